//! The worker behind the conversation: it drains the outbox into documents and vectors. Resumable at every point: work
//! is deleted from the outbox in the transaction that makes it unnecessary, and doing it twice does no harm.

use super::{Memories, Side};
use crate::{lifecycle::Lifecycle, services::health::Condition};
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId, MessageId},
    memory::MemoryKind,
};
use mira_llm::{
    LlmError,
    embeddings::{EmbedError, Embedder},
};
use mira_memory::{
    StoreError, VectorJob,
    index::{IndexError, IndexStatus, Point, Vector},
};
use std::{collections::HashSet, ops::ControlFlow, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Documents written in one transaction.
const DOCUMENTS: u32 = 256;
/// Texts embedded and stored at a time: within every provider's limits, small enough to lose little.
const VECTORS: u32 = 128;
/// Memories compared with Qdrant's points in one request: answered well within the time of a search.
const COMPARED: u32 = 256;
/// How long to wait after a failure; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two tries: an outage of an hour is caught up within this after its end.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often to look without being told: for work that was deferred, and for changes made by other means.
const IDLE_LOOK: Duration = Duration::from_secs(30);
/// How often to look for bytes of something forgotten that could not be wiped out at once.
const SCRUB_AGAIN: Duration = Duration::from_mins(10);

/// Why the indexer could not go on.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("embedding: {0}")]
    Embedder(String),
}

/// Why the worker rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// There is nothing to do.
    Idle,
    /// Something failed and is tried again after so long.
    Failed(Duration),
}

/// What the rounds before have left.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    /// Whether the index was compared with the store.
    compared: bool,
    /// The time of the last round.
    seen: Option<Timestamp>,
}

/// What one round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// There is more to do.
    More,
    /// Nothing is left.
    Done,
}

impl Memories {
    /// Runs until the process ends.
    pub async fn run_indexer(self, account: AccountId, life: Lifecycle) {
        self.drain_outbox(account, life).await;
        self.count_spent(account).await;
    }

    async fn drain_outbox(&self, account: AccountId, life: Lifecycle) {
        let soft = life.soft().clone();
        let mut wait = FIRST_WAIT;
        let mut course = Course::default();
        let mut scrub_at = Instant::now();
        loop {
            if Instant::now() >= scrub_at {
                let done = soft.run_until_cancelled(self.finish_forgetting()).await;
                scrub_at = Instant::now() + SCRUB_AGAIN;
                if done.is_none() {
                    return;
                }
            }
            let next = tokio::select! {
                biased;
                () = soft.cancelled() => return,
                round = self.counted_round(account, &mut course) => match round {
                    Ok(Round::More) => {
                        wait = FIRST_WAIT;
                        continue;
                    }
                    Ok(Round::Done) => {
                        wait = FIRST_WAIT;
                        Pause::Idle
                    }
                    Err(halt) => {
                        self.note_halt(&halt);
                        let now = wait;
                        wait = (wait * 2).min(LONGEST_WAIT);
                        Pause::Failed(now)
                    }
                },
            };
            if self.rest(account, next, &soft).await.is_break() {
                return;
            }
        }
    }

    /// Waits for work, or for the time to try again. After a failure of index or embedder new work is no reason to ask
    /// them sooner, but its documents are written at once: words are found without them.
    async fn rest(&self, account: AccountId, pause: Pause, soft: &CancellationToken) -> ControlFlow<()> {
        let until = Instant::now()
            + match pause {
                Pause::Idle => IDLE_LOOK,
                Pause::Failed(wait) => wait,
            };
        loop {
            tokio::select! {
                () = soft.cancelled() => return ControlFlow::Break(()),
                () = self.0.wake.notified() => {
                    if pause == Pause::Idle {
                        return ControlFlow::Continue(());
                    }
                    if let Err(error) = self.write_documents(account).await {
                        tracing::warn!(%error, "the indexer waits for the database");
                    }
                }
                () = sleep_until(until) => return ControlFlow::Continue(()),
            }
        }
    }

    /// Takes up everything that waits for it: its documents are written, so that words find it.
    pub async fn write_documents(&self, account: AccountId) -> Result<(), StoreError> {
        while self
            .0
            .store
            .write_documents(account, DOCUMENTS, self.0.clock.now())
            .await?
            .left
        {}
        Ok(())
    }

    /// Wipes out what is left of something forgotten or corrected: a crash came between, or a reader was in the way.
    async fn finish_forgetting(&self) {
        let done = async {
            if self.0.store.scrub_pending().await? {
                self.wipe().await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "leftovers of something forgotten could not be wiped out yet");
        }
    }

    /// Queues what the active index lacks: its table was emptied, its collection is new, or it lost something.
    async fn heal(&self, account: AccountId) -> Result<(), Halt> {
        let mut queued = 0;
        for side in self.sides() {
            let now = self.0.clock.now();
            queued += match &side.qdrant {
                None => self.0.store.queue_missing_vectors(account, side.space, now).await?,
                Some(qdrant) => {
                    qdrant.ensure().await?;
                    self.note_index_works();
                    self.queue_lacking(account, &side).await?
                }
            };
        }
        if queued > 0 {
            tracing::info!(queued, "the vector index lacks memories; they are embedded anew");
        }
        Ok(())
    }

    /// Queues what a collection lacks: it is new, it was left for a while, a crash cut its filling off, or the database is
    /// an older copy of itself. Points of memories that are gone stay; recall does not show them. Writing a point twice is
    /// writing it once.
    async fn queue_lacking(&self, account: AccountId, side: &Side) -> Result<u64, Halt> {
        let store = &self.0.store;
        let counts = store.memory_counts(account).await?;
        let waiting = store.outbox_stats(account).await?;
        let has = side.index.count(account).await?;
        let now = self.0.clock.now();
        if has == 0 {
            return Ok(store.queue_vectors(account, side.space, now).await?);
        }
        if has + waiting.vectors == counts.messages + counts.facts {
            return Ok(0);
        }
        // Any direction will do: what is asked is which of them are there.
        let direction: Vector = vec![1.0; side.index.dimension()].into();
        let (mut queued, mut after) = (0, i64::MIN);
        loop {
            let (ids, end) = store.list_embedded(account, after, COMPARED).await?;
            if ids.is_empty() {
                return Ok(queued);
            }
            let there = side.index.score(account, Arc::clone(&direction), ids.clone()).await?;
            let there: HashSet<MemoryId> = there.iter().map(|hit| hit.id).collect();
            let lacking: Vec<MemoryId> = ids.into_iter().filter(|id| !there.contains(id)).collect();
            if !lacking.is_empty() {
                queued += lacking.len() as u64;
                store.queue_vectors_of(account, side.space, lacking, now).await?;
            }
            after = end;
        }
    }

    /// A round; what was spent by then is counted.
    async fn counted_round(&self, account: AccountId, course: &mut Course) -> Result<Round, Halt> {
        let round = self.round(account, course).await;
        self.count_spent(account).await;
        round
    }

    async fn round(&self, account: AccountId, course: &mut Course) -> Result<Round, Halt> {
        let now = self.0.clock.now();
        // At the start nobody knows what the clock said before.
        if course.seen.is_none_or(|seen| now < seen) {
            self.0.store.hasten_outbox(account, now).await?;
        }
        course.seen = Some(now);
        let documents = self.0.store.write_documents(account, DOCUMENTS, now).await?;
        if documents.left {
            self.note_moved();
            return Ok(Round::More);
        }
        // Documents need no index; what follows does. An index that failed may have lost what it had.
        if !course.compared || matches!(self.active().index.status(), IndexStatus::Unavailable(_)) {
            course.compared = false;
            self.heal(account).await?;
            course.compared = true;
        }
        let (removals, jobs) = self.0.store.due_work(account, VECTORS, now).await?;
        self.remove(account, removals).await?;
        // Whoever queues work wakes the indexer, so a batch that is not full was the last: after an ordinary turn there is
        // nothing to look at again.
        let mut more = jobs.len() == VECTORS as usize;
        if !jobs.is_empty() {
            more |= self.embed_and_write(account, jobs, now).await?;
        }
        if more {
            return Ok(Round::More);
        }
        if self.building().is_some() {
            self.swap(account).await?;
        }
        Ok(Round::Done)
    }

    /// Takes out of Qdrant what the store has forgotten.
    async fn remove(&self, account: AccountId, due: Vec<(i64, MemoryId)>) -> Result<(), Halt> {
        if due.is_empty() {
            return Ok(());
        }
        let (rows, ids): (Vec<i64>, Vec<MemoryId>) = due.into_iter().unzip();
        for side in self.sides() {
            match side.index.remove(account, ids.clone()).await {
                // Gone with everything in it, which is as good.
                Ok(()) | Err(IndexError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.0.store.finish_outbox(account, rows).await?)
    }

    /// Embeds; what is said meanwhile has its documents written at once, since a slow embedder is no reason for words not
    /// to be found. Whether there was such.
    async fn embed_and_write(&self, account: AccountId, jobs: Vec<VectorJob>, now: Timestamp) -> Result<bool, Halt> {
        let embedding = self.embed(account, jobs, now);
        tokio::pin!(embedding);
        let mut woken = false;
        loop {
            tokio::select! {
                biased;
                done = &mut embedding => return done.map(|()| woken),
                () = self.0.wake.notified() => {
                    woken = true;
                    self.write_documents(account).await?;
                }
            }
        }
    }

    /// Embeds a batch into the spaces its jobs name.
    async fn embed(&self, account: AccountId, jobs: Vec<VectorJob>, now: Timestamp) -> Result<(), Halt> {
        let (active, building) = (self.active(), self.building());
        let new = |job: &VectorJob| building.as_ref().filter(|side| job.space_id == Some(side.space));
        let (for_new, for_active): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| new(job).is_some());
        let next = building.as_ref().filter(|side| side.space != active.space);
        let mut done = self.embed_into(account, &active, &for_active, next).await;
        if let (Err(Halt::Embedder(_) | Halt::Index(_)), Some(next)) = (&done, next) {
            // The model or index that is being left may never answer again; what is new then goes to its successor.
            done = self.embed_into(account, next, &for_active, None).await;
        }
        if let Err(halt) = done {
            let rows = for_active.iter().map(|job| job.outbox_id).collect();
            self.defer(account, rows, now).await?;
            return Err(halt);
        }
        if let Some(building) = &building
            && let Err(halt) = self.embed_into(account, building, &for_new, None).await
        {
            let rows = for_new.iter().map(|job| job.outbox_id).collect();
            self.defer(account, rows, now).await?;
            return Err(halt);
        }
        Ok(())
    }

    async fn defer(&self, account: AccountId, rows: Vec<i64>, now: Timestamp) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        // The worker's own wait is the backoff; the row only counts its attempts.
        self.0.store.defer_outbox(account, rows, now).await
    }

    /// Embeds jobs into one side; what is new goes into `also` too, so that a model that is being changed to lacks
    /// nothing at its end.
    async fn embed_into(
        &self,
        account: AccountId,
        side: &Side,
        jobs: &[VectorJob],
        also: Option<&Side>,
    ) -> Result<(), Halt> {
        if jobs.is_empty() {
            return Ok(());
        }
        let points = self.points(side, jobs).await?;
        if let Some(also) = also {
            let copies = self.points(also, jobs).await?;
            self.upsert(account, also, copies, Vec::new()).await?;
        }
        let rows = jobs.iter().map(|job| job.outbox_id).collect();
        self.upsert(account, side, points, rows).await
    }

    async fn points(&self, side: &Side, jobs: &[VectorJob]) -> Result<Vec<Point>, Halt> {
        let mut vectors: Vec<Option<Vector>> = jobs
            .iter()
            .map(|job| {
                let own = job.kind == MemoryKind::Message;
                own.then(|| self.take_fresh(side.space, MessageId(job.id.0))).flatten()
            })
            .collect();
        let missing: Vec<String> = jobs
            .iter()
            .zip(&vectors)
            .filter(|(_, vector)| vector.is_none())
            .map(|(job, _)| job.text.clone())
            .collect();
        if !missing.is_empty() {
            let made = embed_all(&*side.embedder, missing).await?;
            self.embedder_answers(side);
            for (slot, vector) in vectors.iter_mut().filter(|slot| slot.is_none()).zip(made) {
                *slot = Some(vector);
            }
        }
        let points = jobs.iter().zip(vectors).filter_map(|(job, vector)| {
            Some(Point {
                id: job.id,
                kind: job.kind,
                session: job.session.clone(),
                project: job.project,
                at: job.at,
                vector: vector?,
            })
        });
        Ok(points.collect())
    }

    async fn upsert(&self, account: AccountId, side: &Side, points: Vec<Point>, rows: Vec<i64>) -> Result<(), Halt> {
        let left = match side.index.upsert_queued(account, points, rows).await {
            Ok(left) => left,
            Err(error) => {
                if matches!(error, IndexError::Missing(_)) {
                    self.refill(account, side).await?;
                }
                return Err(error.into());
            }
        };
        self.note_index_works();
        self.0.store.finish_outbox(account, left).await?;
        self.note_moved();
        Ok(())
    }

    /// The collection is gone: it is made again and everything is queued.
    async fn refill(&self, account: AccountId, side: &Side) -> Result<(), Halt> {
        let Some(qdrant) = &side.qdrant else { return Ok(()) };
        qdrant.ensure().await?;
        let queued = self
            .0
            .store
            .queue_vectors(account, side.space, self.0.clock.now())
            .await?;
        tracing::warn!(queued, "Qdrant's collection was gone; it is filled anew");
        Ok(())
    }

    /// The new model's vectors are whole: they answer from here on, the old ones go.
    async fn swap(&self, account: AccountId) -> Result<(), Halt> {
        let Some(new) = self.building() else { return Ok(()) };
        let store = &self.0.store;
        if store.outbox_stats(account).await?.vectors > 0 {
            return Ok(());
        }
        if let Some(qdrant) = &new.qdrant {
            qdrant.swap_alias().await?;
        } else if store
            .queue_missing_vectors(account, new.space, self.0.clock.now())
            .await?
            > 0
        {
            return Ok(());
        }
        // First nobody asks the old ones any more, then they go.
        {
            let mut sides = self.0.sides.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            sides.active = new.clone();
            sides.building = None;
        }
        let before = store.activate_space(new.space).await?;
        if let Some(qdrant) = &new.qdrant {
            for old in before.into_iter().flatten() {
                if let Err(error) = qdrant.delete_model(&old.model, old.dimension).await {
                    tracing::warn!(%error, model = old.model, "the collection of the model before could not be deleted");
                }
            }
        }
        self.embedder_answers(&new);
        self.note_moved();
        tracing::info!(
            model = new.embedder.model(),
            "every memory is embedded with the new model; it answers now"
        );
        Ok(())
    }

    fn note_halt(&self, halt: &Halt) {
        match halt {
            Halt::Store(error) => tracing::warn!(%error, "the indexer waits for the database"),
            Halt::Index(error) => self.note_index(Condition::Degraded, error.to_string()),
            Halt::Embedder(error) => self.note_embeddings(Condition::Degraded, error.clone()),
        }
    }
}

/// The vectors of texts. Where the embedder refuses a batch for what it says, each text is asked for alone, and one that
/// is refused even so gets the vector of nothing: it is found by its words, and holds up no other.
async fn embed_all(embedder: &dyn Embedder, texts: Vec<String>) -> Result<Vec<Vector>, Halt> {
    let error = match embedder.embed(texts.clone()).await {
        Ok(vectors) => return Ok(vectors),
        Err(error) => error,
    };
    if !refuses_text(&error) {
        return Err(Halt::Embedder(error.to_string()));
    }
    let mut vectors = Vec::with_capacity(texts.len());
    for text in texts {
        match embedder.embed(vec![text]).await {
            Ok(made) => vectors.extend(made.into_iter().take(1)),
            Err(error) if refuses_text(&error) => {
                tracing::warn!(%error, "a text cannot be embedded; it is recalled by its words alone");
                vectors.push(vec![0.0; embedder.dimension()].into());
            }
            Err(error) => return Err(Halt::Embedder(error.to_string())),
        }
    }
    Ok(vectors)
}

fn refuses_text(error: &EmbedError) -> bool {
    matches!(
        error,
        EmbedError::Endpoint(
            LlmError::BadRequest { .. } | LlmError::ContextTooLong { .. } | LlmError::Unsendable { .. }
        )
    )
}

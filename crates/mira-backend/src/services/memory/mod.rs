//! Memory as the server runs it: who embeds, which index answers, what is recalled for a message, and the worker that
//! keeps documents and vectors up with the conversation.
//!
//! Invariants: recall never fails a turn, it degrades and says so; the index is derived, and whatever it lacks is in the
//! outbox; an index of another model keeps answering until the new one is whole.

mod gather;
mod indexer;
mod open;
mod probe;
mod progress;
mod spent;

pub use gather::{Gathered, RecallAsk};
pub use open::{MemoryError, open};
pub use probe::{probe_embeddings, probe_index};

use crate::services::{
    health::{Condition, PartHealth},
    metrics::Metrics,
};
use mira_core::{
    clock::Clock,
    ids::{AccountId, MessageId},
};
use mira_llm::embeddings::Embedder;
use mira_memory::{
    OutboxStats, SpaceId, SpeakerNames, Store, StoreError, TombstoneKey,
    index::{IndexStatus, Vector, VectorIndex, qdrant::QdrantIndex},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// Vectors of messages embedded for their own turn, kept until the indexer takes them.
const FRESH_VECTORS: usize = 64;

/// The vectors of one model in one place, and the embedder that made them.
#[derive(Clone)]
pub(super) struct Side {
    pub(super) space: SpaceId,
    pub(super) embedder: Arc<dyn Embedder>,
    pub(super) index: Arc<dyn VectorIndex>,
    /// The same index where it is Qdrant, for what only Qdrant needs.
    pub(super) qdrant: Option<Arc<QdrantIndex>>,
}

/// Which sides there are.
pub(super) struct Sides {
    /// The one that answers.
    pub(super) active: Side,
    /// The one being filled to take its place.
    pub(super) building: Option<Side>,
}

/// The vector of a message that was embedded for its own turn.
pub(super) struct Fresh {
    /// Whose model made it: the vector is of no use to another one's.
    space: SpaceId,
    message: MessageId,
    vector: Vector,
}

/// Handle on memory. Cheap to clone.
#[derive(Clone)]
pub struct Memories(Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) sides: RwLock<Sides>,
    pub(super) wake: Notify,
    pub(super) fresh: Mutex<VecDeque<Fresh>>,
    pub(super) paused: AtomicBool,
    pub(super) limit: usize,
    /// What documents call the two.
    pub(super) names: SpeakerNames,
    pub(super) tombstone_key: TombstoneKey,
    pub(super) backup_dir: std::path::PathBuf,
    /// Where the vectors are, in a few words for the owner.
    pub(super) place: String,
    pub(super) embeddings: Mutex<PartHealth>,
    pub(super) embedder_rests: Mutex<gather::EmbedderRests>,
    pub(super) vectors: Mutex<PartHealth>,
    /// Changes whenever the indexer has got on.
    pub(super) moved: watch::Sender<u64>,
    /// What no reply carries.
    spent: spent::Spent,
}

impl std::fmt::Debug for Memories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memories").finish_non_exhaustive()
    }
}

/// How memory is, for the owner.
#[derive(Debug, Clone)]
pub struct MemoryStatus {
    /// The vector index.
    pub index: PartHealth,
    /// The embedder.
    pub embeddings: PartHealth,
    /// What waits to be indexed.
    pub outbox: OutboxStats,
    /// Whether a new index is being filled while the old one answers.
    pub rebuilding: bool,
}

impl Memories {
    pub(super) fn active(&self) -> Side {
        self.0
            .sides
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .active
            .clone()
    }

    pub(super) fn building(&self) -> Option<Side> {
        self.0
            .sides
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .building
            .clone()
    }

    /// Both, each once: where nobody can embed for the model before, the side being filled answers too.
    pub(super) fn sides(&self) -> Vec<Side> {
        let active = self.active();
        let building = self.building().filter(|side| side.space != active.space);
        std::iter::once(active).chain(building).collect()
    }

    /// The store below.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// The embedder whose vectors answer now.
    pub fn embedder(&self) -> Arc<dyn Embedder> {
        self.active().embedder
    }

    /// Now, and fresh ids.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// What tombstones are made with.
    pub fn tombstone_key(&self) -> &TombstoneKey {
        &self.0.tombstone_key
    }

    /// Tells the indexer that there may be work.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Whether the owner paused the writing of memories.
    pub fn is_paused(&self) -> bool {
        self.0.paused.load(Ordering::Relaxed)
    }

    /// Pauses or resumes the writing of memories, in all sessions.
    pub async fn set_paused(&self, account: AccountId, paused: bool) -> Result<(), StoreError> {
        self.0.store.set_memory_paused(account, paused).await?;
        self.0.paused.store(paused, Ordering::Relaxed);
        Ok(())
    }

    /// Takes memories out of the index's copy at once; the store has forgotten them already.
    pub async fn unindex(&self, account: AccountId, ids: Vec<mira_core::ids::MemoryId>) {
        for side in self.sides() {
            if let Err(error) = side.index.remove(account, ids.clone()).await {
                // The removal is in the outbox too, and is tried until it works.
                tracing::warn!(%error, "the vector index has not forgotten yet");
            }
        }
        let gone: Vec<MessageId> = ids.iter().map(|id| MessageId(id.0)).collect();
        self.0
            .fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|fresh| !gone.contains(&fresh.message));
        self.wake();
    }

    /// Wipes out what is left on the disk of something forgotten, and replaces Mira's own backups that still hold it. What
    /// could not be wiped out yet (another process reads the file; the store says so) is tried again by the indexer.
    pub async fn wipe(&self) -> Result<(), StoreError> {
        self.0.store.scrub().await?;
        self.0
            .store
            .renew_backups(&self.0.backup_dir, self.0.clock.now())
            .await?;
        Ok(())
    }

    /// Rebuilds every document and vector from the store. Returns how many memories are queued.
    pub async fn reindex(&self, account: AccountId) -> Result<u64, StoreError> {
        let queued = self.0.store.queue_everything(account, self.0.clock.now()).await?;
        self.wake();
        Ok(queued)
    }

    /// How memory is.
    pub async fn status(&self, account: AccountId) -> Result<MemoryStatus, StoreError> {
        let outbox = self.0.store.outbox_stats(account).await?;
        Ok(MemoryStatus {
            index: self.index_health(),
            embeddings: self.embeddings_health(),
            outbox,
            rebuilding: self.is_rebuilding(),
        })
    }

    /// Whether another model's index is being filled while the old one answers.
    pub fn is_rebuilding(&self) -> bool {
        self.building().is_some()
    }

    /// How the embedder did when last used.
    pub fn embeddings_health(&self) -> PartHealth {
        self.0.embeddings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the index is.
    pub fn index_health(&self) -> PartHealth {
        let noted = self.0.vectors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (condition, detail) = match self.active().index.status() {
            IndexStatus::Ready => return noted,
            IndexStatus::Building { done, total } => (
                Condition::Ok,
                format!("{}; being read: {done} of {total} vectors", noted.detail),
            ),
            IndexStatus::Unavailable(why) => (Condition::Degraded, why),
        };
        PartHealth { condition, detail }
    }

    pub(super) fn note_embeddings(&self, condition: Condition, detail: String) {
        note(&self.0.embeddings, condition, detail, "embeddings");
    }

    /// The embedder of a side has answered; turns ask that of the active one.
    pub(super) fn embedder_answers(&self, side: &Side) {
        if side.space == self.active().space {
            *self.rests() = gather::EmbedderRests::default();
        }
        self.note_embeddings(Condition::Ok, open::describe(&*side.embedder));
    }

    /// Whether turns leave the embedder alone for now.
    pub(super) fn embedder_rests(&self) -> bool {
        self.rests().until.is_some_and(|until| Instant::now() < until)
    }

    /// After it failed a turn.
    pub(super) fn rest_embedder(&self) {
        self.rests().failed(Instant::now());
    }

    fn rests(&self) -> MutexGuard<'_, gather::EmbedderRests> {
        self.0.embedder_rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_index(&self, condition: Condition, detail: String) {
        note(&self.0.vectors, condition, detail, "vector index");
    }

    pub(super) fn note_index_works(&self) {
        self.note_index(Condition::Ok, self.0.place.clone());
    }

    /// Keeps the vector of a message that was embedded for its own turn, so that the indexer need not ask again.
    pub(super) fn keep_fresh(&self, space: SpaceId, message: MessageId, vector: Vector) {
        let mut fresh = self.0.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        // Said once more (another reply to the same words): it takes no second place.
        fresh.retain(|kept| kept.message != message);
        if fresh.len() >= FRESH_VECTORS {
            fresh.pop_front();
        }
        fresh.push_back(Fresh { space, message, vector });
    }

    /// The vector of a message, if it was made by the model of this space.
    pub(super) fn take_fresh(&self, space: SpaceId, message: MessageId) -> Option<Vector> {
        let mut fresh = self.0.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let place = fresh
            .iter()
            .position(|kept| kept.message == message && kept.space == space)?;
        fresh.remove(place).map(|kept| kept.vector)
    }
}

/// Notes how a part is; a change is logged once.
fn note(slot: &Mutex<PartHealth>, condition: Condition, detail: String, part: &'static str) {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.condition != condition {
        match condition {
            Condition::Ok => tracing::info!(part, %detail, "works again"),
            Condition::Degraded | Condition::Unavailable => tracing::warn!(part, %detail, "does not work"),
        }
    }
    *slot = PartHealth { condition, detail };
}

//! What memory has to say to a message, under a deadline. Nothing here fails a turn.

use super::Memories;
use crate::{lifecycle::Lifecycle, services::health::Condition};
use futures_util::FutureExt;
use jiff::tz::TimeZone;
use mira_core::{
    ids::{AccountId, MemoryId, MessageId, ProjectId},
    memory::{Degraded, Memory, Recalled},
};
use mira_llm::embeddings::embed_within;
use mira_memory::{
    index::{IndexStatus, Vector, VectorIndex},
    recall::RecallQuery,
};
use std::{collections::HashSet, panic::AssertUnwindSafe, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long a turn waits for memory in all.
const DEADLINE: Duration = Duration::from_millis(1500);
/// How long of that a remote embedder may take; what is left is for words alone.
const EMBEDDING: Duration = Duration::from_secs(1);
/// Memories ranked beyond those used, for the receipt.
const CONSIDERED: usize = 24;
/// Pinned memories in every prompt.
const PINNED: u32 = 16;
/// The longest text embedded for a query, in characters: a whole book says nothing in particular.
const QUERY_CHARS: usize = 2000;

/// For how long turns leave an embedder alone that has just failed one of them: twice as long each time, so that in a
/// long outage hardly a turn waits for it. Where the indexer gets an answer meanwhile, the rest ends.
const SHORTEST_REST: Duration = Duration::from_secs(5);
/// However often it failed.
const LONGEST_REST: Duration = Duration::from_mins(2);

/// Whether turns ask the embedder.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) struct EmbedderRests {
    /// Not before then.
    pub(super) until: Option<Instant>,
    last: Duration,
}

impl EmbedderRests {
    /// It has failed a turn. Turns that were under way together count once.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.until.is_some_and(|until| now < until) {
            return;
        }
        self.last = (self.last * 2).clamp(SHORTEST_REST, LONGEST_REST);
        self.until = Some(now + self.last);
    }
}

/// What is asked of memory.
#[derive(Debug)]
pub struct RecallAsk {
    /// The owner's words.
    pub text: String,
    /// The message they are, where it is known already: its vector is kept for the indexer.
    pub message: Option<MessageId>,
    /// What is in the prompt already, the message itself included.
    pub exclude: HashSet<MemoryId>,
    /// Only what belongs to this project.
    pub project: Option<ProjectId>,
    /// Where the owner is: what "yesterday" means.
    pub zone: TimeZone,
}

/// What memory had to say.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Pinned by the owner: in every prompt.
    pub pinned: Vec<Memory>,
    /// What came up, best first; the first [`Gathered::wanted`] are to be used.
    pub items: Vec<Recalled>,
    /// How many of the items to use.
    pub wanted: usize,
    /// What says the same as one of the items, and is left out for that.
    pub merged: Vec<Recalled>,
    /// Why recall was not whole.
    pub degraded: Option<Degraded>,
}

impl Gathered {
    /// Nothing, and why.
    fn without(why: Degraded) -> Self {
        Self {
            degraded: Some(why),
            ..Self::default()
        }
    }
}

impl Memories {
    /// Asks by words what was said last, so that the first turns after a start wait less.
    pub async fn warm_up(self, account: AccountId, life: Lifecycle) {
        // Times are not asked for: any zone will do.
        let now = self.0.clock.now().to_zoned(TimeZone::UTC);
        let asked = mira_memory::recall::warm_up(&self.0.store, account, &self.0.names, &now);
        if let Some(Err(error)) = life.soft().run_until_cancelled(asked).await {
            tracing::warn!(%error, "recall was not warmed up");
        }
    }

    /// What memory has to say. What is pinned is there even where the rest takes too long.
    pub async fn gather(&self, account: AccountId, mut ask: RecallAsk) -> Gathered {
        let started = Instant::now();
        let deadline = started + DEADLINE;
        let mut gathered = match timeout_at(deadline, self.pinned(account, &ask.exclude)).await {
            Ok(gathered) => gathered,
            Err(_) => Gathered::without(Degraded::Deadline),
        };
        if self.0.limit > 0 && !ask.text.trim().is_empty() {
            ask.exclude.extend(gathered.pinned.iter().map(|memory| memory.id));
            let look = AssertUnwindSafe(self.look(account, ask, self.0.limit)).catch_unwind();
            let found = match timeout_at(deadline, look).await {
                Ok(Ok(found)) => found,
                // Its own words are in the log.
                Ok(Err(_panic)) => Gathered::without(Degraded::Store),
                Err(_) => Gathered::without(Degraded::Deadline),
            };
            gathered = Gathered {
                pinned: gathered.pinned,
                degraded: found.degraded.or(gathered.degraded),
                ..found
            };
        }
        self.0.metrics.recalled(started.elapsed(), gathered.degraded);
        gathered
    }

    /// What answers a question of hers, at most `limit`; pinned memories are found like the others.
    pub async fn look_up(&self, account: AccountId, ask: RecallAsk, limit: usize) -> Gathered {
        let look = AssertUnwindSafe(self.look(account, ask, limit)).catch_unwind();
        match timeout_at(Instant::now() + DEADLINE, look).await {
            Ok(Ok(found)) => found,
            // Its own words are in the log.
            Ok(Err(_panic)) => Gathered::without(Degraded::Store),
            Err(_) => Gathered::without(Degraded::Deadline),
        }
    }

    /// What is pinned and not in the prompt already.
    async fn pinned(&self, account: AccountId, exclude: &HashSet<MemoryId>) -> Gathered {
        match self.0.store.pinned_memories(account, PINNED).await {
            Ok(mut pinned) => {
                pinned.retain(|memory| !exclude.contains(&memory.id));
                Gathered {
                    pinned,
                    ..Gathered::default()
                }
            }
            Err(error) => {
                tracing::warn!(%error, "pinned memories could not be read");
                Gathered::without(Degraded::Store)
            }
        }
    }

    /// What answers the message, without what is pinned.
    async fn look(&self, account: AccountId, ask: RecallAsk, limit: usize) -> Gathered {
        let mut degraded = None;
        let side = self.active();
        let text: String = ask.text.chars().take(QUERY_CHARS).collect();
        let asked = if self.embedder_rests() {
            None
        } else {
            Some(embed_within(&*side.embedder, vec![text.clone()], EMBEDDING).await)
        };
        let vector = match asked {
            Some(Ok(vectors)) => {
                self.embedder_answers(&side);
                vectors.into_iter().next()
            }
            Some(Err(error)) => {
                self.rest_embedder();
                self.note_embeddings(Condition::Degraded, error.to_string());
                degraded = Some(Degraded::Embeddings);
                None
            }
            None => {
                degraded = Some(Degraded::Embeddings);
                None
            }
        };
        if let (Some(message), Some(vector), true) = (ask.message, &vector, ask.text.len() == text.len()) {
            self.keep_fresh(side.space, message, Vector::clone(vector));
        }
        let index: &dyn VectorIndex = &*side.index;
        let embedded = vector.is_some();
        let query = RecallQuery {
            text,
            vector,
            exclude: ask.exclude,
            project: ask.project,
            names: self.0.names.clone(),
            now: self.0.clock.now().to_zoned(ask.zone),
            considered: limit + CONSIDERED,
        };
        match mira_memory::recall::recall(&self.0.store, Some(index), account, query).await {
            Ok(outcome) => {
                if degraded.is_none() && self.building_or_loading(&*side.index) {
                    degraded = Some(Degraded::Building);
                }
                match outcome.degraded {
                    Some(Degraded::Index) => {
                        self.note_index(Condition::Degraded, "the vector index does not answer".to_owned());
                    }
                    None if embedded => self.note_index_works(),
                    None | Some(Degraded::Embeddings | Degraded::Building | Degraded::Deadline | Degraded::Store) => {}
                }
                Gathered {
                    pinned: Vec::new(),
                    wanted: outcome.items.len().min(limit),
                    items: outcome.items,
                    merged: outcome.merged,
                    degraded: outcome.degraded.or(degraded),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "memories could not be read");
                Gathered::without(Degraded::Store)
            }
        }
    }

    fn building_or_loading(&self, index: &dyn VectorIndex) -> bool {
        self.building().is_some() || matches!(index.status(), IndexStatus::Building { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedder_that_fails_again_rests_longer() {
        let (mut rests, mut now) = (EmbedderRests::default(), Instant::now());
        let mut seconds = || {
            rests.failed(now);
            let until = rests.until.unwrap();
            rests.failed(now);
            assert_eq!(rests.until, Some(until), "the same failure");
            (until - std::mem::replace(&mut now, until)).as_secs()
        };
        assert_eq!([(); 7].map(|()| seconds()), [5, 10, 20, 40, 80, 120, 120]);
    }
}

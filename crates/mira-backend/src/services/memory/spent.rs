//! Tokens that no reply carries, those of notes and of vectors: what was spent since the store has counted the last of
//! them. Not here: the day's budget, which they are counted against.

use super::Memories;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits to be counted.
#[derive(Debug, Default)]
pub(super) struct Spent(Mutex<Tally>);

#[derive(Debug, Default)]
struct Tally {
    waiting: u64,
    /// What the embedder had used when it was asked last.
    embedded: u64,
}

impl Spent {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memories {
    /// Takes note of tokens that were spent beside the conversation.
    pub fn spend(&self, tokens: u64) {
        let mut tally = self.0.spent.tally();
        tally.waiting = tally.waiting.saturating_add(tokens);
    }

    /// Takes what waits to be counted, vectors included.
    pub fn take_spent(&self) -> u64 {
        // Of all sides one at most is an endpoint's; it stays among them.
        let embedded: u64 = self.sides().iter().map(|side| side.embedder.usage().tokens).sum();
        let mut tally = self.0.spent.tally();
        let fresh = embedded.saturating_sub(tally.embedded);
        tally.embedded = embedded;
        std::mem::take(&mut tally.waiting).saturating_add(fresh)
    }
}

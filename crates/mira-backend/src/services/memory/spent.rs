//! Tokens that no reply carries, those of notes and of vectors: the store counts them as they are spent. Not here: the
//! day's budget, which they are counted against.

use super::Memories;
use mira_core::ids::AccountId;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the store has not counted yet.
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

    fn add(&self, tokens: u64) {
        let mut tally = self.tally();
        tally.waiting = tally.waiting.saturating_add(tokens);
    }

    /// All that waits, the embedder's since it was asked last included.
    fn take(&self, embedded: u64) -> u64 {
        let mut tally = self.tally();
        let fresh = embedded.saturating_sub(tally.embedded);
        tally.embedded = embedded;
        std::mem::take(&mut tally.waiting).saturating_add(fresh)
    }
}

impl Memories {
    /// Takes note of tokens that were spent beside the conversation.
    pub async fn spend(&self, account: AccountId, tokens: u64) {
        self.0.spent.add(tokens);
        self.count_spent(account).await;
    }

    /// Lets the store count what it has not yet, vectors included; what it could not be given, which is tried again the
    /// next time.
    pub async fn count_spent(&self, account: AccountId) -> u64 {
        // Of all sides one at most is an endpoint's; it stays among them.
        let embedded: u64 = self.sides().iter().map(|side| side.embedder.usage().tokens).sum();
        let spent = self.0.spent.take(embedded);
        if spent == 0 {
            return 0;
        }
        match self.0.store.add_tokens(account, spent, self.0.clock.now()).await {
            Ok(()) => 0,
            Err(error) => {
                tracing::warn!(%error, "tokens spent beside the conversation wait to be counted");
                self.0.spent.add(spent);
                spent
            }
        }
    }
}

//! How far the index is, told while there is much to take up: another model's vectors, a rebuild, an outage that is over.
//! What an ordinary turn leaves to index is told to nobody.

use super::{Memories, MemoryStatus};
use crate::lifecycle::Lifecycle;
use mira_core::ids::AccountId;
use std::time::Duration;

/// More than so many memories are much: two of the indexer's batches.
const MUCH: u64 = 256;
/// The shortest time between two events: a bar that moves, not a stream.
const EVERY: Duration = Duration::from_millis(500);

impl Memories {
    /// Notes that the indexer has got on.
    pub(super) fn note_moved(&self) {
        self.0.moved.send_modify(|moves| *moves = moves.wrapping_add(1));
    }

    /// Tells how far the index is, and at last that it is whole, until the process ends.
    pub async fn tell_progress(self, account: AccountId, life: Lifecycle, tell: impl Fn(&MemoryStatus)) {
        let soft = life.soft().clone();
        let mut moved = self.0.moved.subscribe();
        // What was left to do by the process before is told too.
        moved.mark_changed();
        let mut telling = false;
        while let Some(Ok(())) = soft.run_until_cancelled(moved.changed()).await {
            let status = match self.status(account).await {
                Ok(status) => status,
                Err(error) => {
                    tracing::warn!(%error, "how far the index is cannot be told");
                    continue;
                }
            };
            let much = status.rebuilding || status.outbox.depth() > MUCH;
            if !much && !telling {
                continue;
            }
            // Once told, it is told to its end.
            telling = status.rebuilding || status.outbox.depth() > 0;
            tell(&status);
            if soft.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }
}

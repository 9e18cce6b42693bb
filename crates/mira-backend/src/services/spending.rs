//! The day's tokens: what was spent since midnight, by replies and beside them, and whether that is all the owner allows.
//!
//! Invariant: what was spent is counted in the store as soon as it is known, whether there was a turn that day or not, so
//! that no restart forgets it.

use crate::services::deps::Deps;
use jiff::Timestamp;
use mira_core::{chat::Usage, ids::AccountId};
use mira_memory::StoreError;

/// The day's beginning, where the owner lives.
fn midnight(deps: &Deps) -> Timestamp {
    let now = deps.clock.now().to_zoned(deps.settings.tz.clone());
    now.start_of_day().map_or(deps.clock.now(), |day| day.timestamp())
}

/// Tokens spent since midnight, those beside the replies too.
pub async fn used_today(deps: &Deps, account: AccountId) -> Result<u64, StoreError> {
    let waiting = deps.memories.count_spent(account).await;
    let stored = deps.store.tokens_used_since(account, midnight(deps)).await?;
    Ok(stored.saturating_add(waiting))
}

/// Whether the day's budget is used up, with what this turn has spent so far.
pub async fn is_spent(deps: &Deps, account: AccountId, so_far: Usage) -> bool {
    let Some(budget) = deps.settings.daily_token_budget else {
        return false;
    };
    match used_today(deps, account).await {
        Ok(used) => used.saturating_add(tokens(so_far)) >= budget,
        Err(error) => {
            tracing::warn!(%error, "today's tokens could not be counted");
            false
        }
    }
}

/// Tokens read and written.
pub fn tokens(usage: Usage) -> u64 {
    usage.input_tokens.saturating_add(usage.output_tokens)
}

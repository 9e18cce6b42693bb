//! What a turn may spend: the day's tokens, and the room of a prompt while tools tell more and more.

use crate::services::deps::Deps;
use mira_core::{budget::estimate_tokens, chat::Usage, ids::AccountId, tool::Round};
use mira_memory::StoreError;

/// Of what the tools of earlier rounds told, so much is left of each output where room is short, in characters.
const SHORT_CHARS: usize = 600;
/// The least room the rounds of a turn have, as a part of the prompt's budget.
const LEAST_SHARE: usize = 4;
/// Said where something was cut.
const SHORTENED: &str = "\n(shortened to make room; call the tool again if you need it whole)";
/// Said where nothing is left.
const LEFT_OUT: &str = "(left out to make room; call the tool again if you need it)";

/// Tokens spent since midnight, where the owner lives.
pub(super) async fn used_today(deps: &Deps, account: AccountId) -> Result<u64, StoreError> {
    let now = deps.clock.now().to_zoned(deps.settings.tz.clone());
    let midnight = now.start_of_day().map_or(deps.clock.now(), |day| day.timestamp());
    deps.store.tokens_used_since(account, midnight).await
}

/// Whether the day's budget is used up, with what this turn has spent so far.
pub(super) async fn is_spent(deps: &Deps, account: AccountId, so_far: Usage) -> bool {
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
pub(super) fn tokens(usage: Usage) -> u64 {
    usage.input_tokens.saturating_add(usage.output_tokens)
}

/// The room the rounds of a turn have beside a prompt of so many tokens.
pub(super) fn room(budget: usize, prompt: usize) -> usize {
    budget.saturating_sub(prompt).max(budget / LEAST_SHARE)
}

fn round_tokens(round: &Round) -> usize {
    let asked: usize = if round.asked.carry.is_empty() {
        round
            .asked
            .calls
            .iter()
            .map(|call| estimate_tokens(&call.arguments))
            .sum()
    } else {
        round.asked.carry.iter().map(|item| estimate_tokens(item)).sum()
    };
    let told: usize = round.outputs.iter().map(|output| estimate_tokens(output)).sum();
    estimate_tokens(&round.said) + asked + told
}

/// Shortens what tools told until the rounds fit, the oldest first, the newest round never. Three quarters of the room
/// are aimed at, so that the prompt's beginning then stays the same for some rounds.
pub(super) fn fit(rounds: &mut [Round], room: usize) {
    let mut total: usize = rounds.iter().map(round_tokens).sum();
    if total <= room {
        return;
    }
    let aim = room / 4 * 3;
    let Some((_newest, older)) = rounds.split_last_mut() else {
        return;
    };
    let steps: [fn(&str) -> Option<String>; 2] = [shortened, left_out];
    for shorten in steps {
        for output in older.iter_mut().flat_map(|round| &mut round.outputs) {
            if total <= aim {
                return;
            }
            let before = estimate_tokens(output);
            if let Some(less) = shorten(output.as_str()) {
                total = total.saturating_sub(before) + estimate_tokens(&less);
                *output = less;
            }
        }
    }
}

fn shortened(output: &str) -> Option<String> {
    let (end, _) = output.char_indices().nth(SHORT_CHARS + SHORTENED.len())?;
    let (kept, _) = output.split_at(end);
    let kept: String = kept.chars().take(SHORT_CHARS).collect();
    Some(kept + SHORTENED)
}

fn left_out(output: &str) -> Option<String> {
    (output.len() > LEFT_OUT.len()).then(|| LEFT_OUT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mira_core::tool::AskedCalls;

    fn round(outputs: &[usize]) -> Round {
        Round {
            said: String::new(),
            asked: AskedCalls::default(),
            outputs: outputs.iter().map(|words| "word ".repeat(*words)).collect(),
        }
    }

    fn check(rounds: &[&[usize]], room: usize, expect: &[&str]) {
        let mut rounds: Vec<Round> = rounds.iter().map(|outputs| round(outputs)).collect();
        fit(&mut rounds, room);
        let fate = |output: &String| {
            if output == LEFT_OUT {
                "left out"
            } else if output.ends_with(SHORTENED) {
                "short"
            } else {
                "whole"
            }
        };
        let fates: Vec<&str> = rounds.iter().flat_map(|round| &round.outputs).map(fate).collect();
        assert_eq!(fates, expect);
    }

    #[test]
    fn the_oldest_goes_first_and_the_newest_never() {
        let one = estimate_tokens(&"word ".repeat(1000));
        check(&[&[1000], &[1000], &[1000]], 3 * one, &["whole", "whole", "whole"]);
        check(&[&[1000], &[1000], &[1000]], 3 * one - 1, &["short", "whole", "whole"]);
        check(&[&[1000, 1000], &[1000]], 2 * one, &["short", "short", "whole"]);
        check(&[&[1000], &[1000], &[1000]], one, &["left out", "left out", "whole"]);
        check(
            &[&[1000], &[1, 1000], &[1]],
            one / 4,
            &["left out", "whole", "short", "whole"],
        );
        check(&[&[1000]], 1, &["whole"]);
        check(&[], 0, &[]);
    }

    #[test]
    fn there_is_always_some_room() {
        assert_eq!(room(1000, 300), 700);
        assert_eq!(room(1000, 5000), 250);
    }
}

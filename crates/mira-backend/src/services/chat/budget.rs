//! The room of a prompt while tools tell more and more. Not here: the day's tokens ([`crate::services::spending`]).

use super::attached::PICTURES;
use mira_core::{budget::estimate_tokens, prompt::PICTURE_TOKENS, tool::Round};

/// Of what the tools of earlier rounds told, so much is left of each output where room is short, in characters.
const SHORT_CHARS: usize = 600;
/// So much is left of each output of the newest round, however little room there is, in tokens.
const LEAST_TOKENS: usize = 200;
/// Of what is left of an output of the newest round, so much is its end: a part of it.
const END_SHARE: usize = 4;
/// The pictures of the newest round take at most this part of the room.
const PICTURE_SHARE: usize = 2;
/// The least room the rounds of a turn have, as a part of the prompt's budget.
const LEAST_SHARE: usize = 4;
/// Said where something was cut.
const SHORTENED: &str = "\n(shortened to make room; call the tool again if you need it whole)";
/// Said where nothing is left.
const LEFT_OUT: &str = "(left out to make room; call the tool again if you need it)";

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
    estimate_tokens(&round.said) + asked + told + round.pictures.len() * PICTURE_TOKENS
}

/// Shortens what tools told until the rounds fit: pictures before words, the oldest first; of the newest round only what
/// is too much for it by itself: pictures beyond their share, then words, the longest first.
pub(super) fn fit(rounds: &mut [Round], room: usize) {
    keep_newest_pictures(rounds);
    let mut total: usize = rounds.iter().map(round_tokens).sum();
    let Some((newest, older)) = rounds.split_last_mut() else {
        return;
    };
    if total > room {
        total -= drop_pictures(older, total - aim(room));
    }
    if total > room {
        let kept = newest.pictures.len().min(room / PICTURE_SHARE / PICTURE_TOKENS);
        total -= newest.pictures.split_off(kept).len() * PICTURE_TOKENS;
    }
    if total > room {
        total = shorten_older(older, total, room);
    }
    if total > room {
        let told: usize = newest.outputs.iter().map(|output| estimate_tokens(output)).sum();
        shorten_newest(&mut newest.outputs, room.saturating_sub(total - told));
    }
}

/// Leaves out all pictures but the newest [`PICTURES`]: however few tokens they are counted as, each is megabytes.
fn keep_newest_pictures(rounds: &mut [Round]) {
    let mut left = PICTURES;
    for round in rounds.iter_mut().rev() {
        round.pictures.truncate(left);
        left -= round.pictures.len();
    }
}

/// Where room was short, three quarters of it are aimed at, so that the prompt's beginning then stays the same for some
/// rounds.
fn aim(room: usize) -> usize {
    room / 4 * 3
}

/// Leaves out the pictures of rounds until so many tokens are saved; what was saved.
fn drop_pictures(rounds: &mut [Round], wanted: usize) -> usize {
    let mut saved = 0;
    for round in rounds {
        if saved >= wanted {
            break;
        }
        saved += std::mem::take(&mut round.pictures).len() * PICTURE_TOKENS;
    }
    saved
}

/// What all rounds cost after what older ones told was shortened.
fn shorten_older(older: &mut [Round], mut total: usize, room: usize) -> usize {
    let aim = aim(room);
    let steps: [fn(&str) -> Option<String>; 2] = [shortened, left_out];
    for shorten in steps {
        for output in older.iter_mut().flat_map(|round| &mut round.outputs) {
            if total <= aim {
                return total;
            }
            let before = estimate_tokens(output);
            if let Some(less) = shorten(output.as_str()) {
                total = total.saturating_sub(before) + estimate_tokens(&less);
                *output = less;
            }
        }
    }
    total
}

/// Cuts the longest outputs down to one length, so that all together they cost no more than `room`.
fn shorten_newest(outputs: &mut [String], room: usize) {
    let costs: Vec<usize> = outputs.iter().map(|output| estimate_tokens(output)).collect();
    let level = level(&costs, room).max(LEAST_TOKENS);
    for (output, cost) in outputs.iter_mut().zip(costs) {
        if cost > level {
            *output = without_middle(output, cost, level);
        }
    }
}

/// The cost nothing may be above so that the sum is `room`.
fn level(costs: &[usize], room: usize) -> usize {
    let mut sorted = costs.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (n, cost) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - n);
        if *cost > share {
            return share;
        }
        left -= cost;
    }
    usize::MAX
}

/// The beginning and the end of an output that costs `cost`, so that it costs `level` at most.
fn without_middle(output: &str, cost: usize, level: usize) -> String {
    let chars = output.chars().count();
    let mut kept = chars * level / cost.max(1);
    loop {
        let end = kept / END_SHARE;
        let at = |n: usize| output.char_indices().nth(n).map_or(output.len(), |(at, _)| at);
        let (begin, rest) = output.split_at(at(kept - end));
        let (middle, end) = rest.split_at(at(chars - end).saturating_sub(begin.len()));
        let left_out = grouped(middle.chars().count());
        let short = format!("{begin}\n… {left_out} characters left out: ask for less, or for a part of it …\n{end}");
        if kept == 0 || estimate_tokens(&short) <= level {
            return short;
        }
        kept = kept / 10 * 9;
    }
}

/// A number as people write it: `12,345`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
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
    use mira_core::{model::Picture, tool::AskedCalls};

    fn round(outputs: &[usize]) -> Round {
        Round {
            said: String::new(),
            asked: AskedCalls::default(),
            outputs: outputs.iter().map(|words| "word ".repeat(*words)).collect(),
            pictures: Vec::new(),
        }
    }

    fn seen(pictures: usize) -> Round {
        let picture = Picture {
            media_type: "image/png".into(),
            sha256: [0; 32],
            base64: None,
        };
        Round {
            pictures: vec![picture; pictures],
            ..round(&[100])
        }
    }

    #[test]
    fn pictures_go_before_words() {
        let check = |rounds: &[usize], room: usize, expect: &[usize]| {
            let mut rounds: Vec<Round> = rounds.iter().map(|pictures| seen(*pictures)).collect();
            fit(&mut rounds, room * PICTURE_TOKENS);
            let left: Vec<usize> = rounds.iter().map(|round| round.pictures.len()).collect();
            assert_eq!(left, expect);
            assert!(
                rounds.iter().all(|round| round.outputs == seen(0).outputs),
                "{rounds:?}"
            );
        };
        check(&[2, 2], 5, &[2, 2]);
        check(&[2, 2, 2], 5, &[0, 0, 2]);
        check(&[3, 2], 4, &[0, 2]);
        check(&[1, 8], 6, &[0, 3]);
        check(&[8], 6, &[3]);
        // However much room there is, the newest are as many as one prompt shows.
        check(&[4, 3, 6], 100, &[0, 2, 6]);
        check(&[1, 8, 0], 100, &[0, 8, 0]);
    }

    fn check(rounds: &[&[usize]], room: usize, expect: &[&str]) {
        let mut rounds: Vec<Round> = rounds.iter().map(|outputs| round(outputs)).collect();
        fit(&mut rounds, room);
        let fate = |output: &String| {
            if output == LEFT_OUT {
                "left out"
            } else if output.ends_with(SHORTENED) {
                "short"
            } else if output.contains("characters left out") {
                "cut"
            } else {
                "whole"
            }
        };
        let fates: Vec<&str> = rounds.iter().flat_map(|round| &round.outputs).map(fate).collect();
        assert_eq!(fates, expect);
    }

    #[test]
    fn the_oldest_goes_first_and_the_newest_last() {
        let one = estimate_tokens(&"word ".repeat(1000));
        check(&[&[1000], &[1000], &[1000]], 3 * one, &["whole", "whole", "whole"]);
        check(&[&[1000], &[1000], &[1000]], 3 * one - 1, &["short", "whole", "whole"]);
        check(&[&[1000, 1000], &[1000]], 2 * one, &["short", "short", "whole"]);
        check(&[&[1000], &[1000], &[1000]], one, &["left out", "left out", "cut"]);
        check(
            &[&[1000], &[1, 1000], &[1]],
            one / 4,
            &["left out", "whole", "short", "whole"],
        );
        check(&[&[1000]], one, &["whole"]);
        check(&[&[1000]], 1, &["cut"]);
        check(&[&[1000], &[1000, 10]], one, &["left out", "cut", "whole"]);
        check(&[], 0, &[]);
    }

    #[test]
    fn the_longest_of_the_newest_are_cut_to_what_there_is_room_for() {
        let mut rounds = vec![round(&[20_000; 8])];
        rounds[0].outputs[3] = "small".to_owned();
        rounds[0].outputs[5] = format!("first{}last", " ä1 b2-c3".repeat(10_000));
        let (room, before) = (16_384, rounds[0].outputs[5].chars().count());
        fit(&mut rounds, room);
        let total = round_tokens(&rounds[0]);
        assert!(total <= room && total > room / 2, "{total}");
        assert_eq!(rounds[0].outputs[3], "small");
        let output = &rounds[0].outputs[5];
        assert!(output.starts_with("first") && output.ends_with("last"), "{output}");
        let (begin, rest) = output.split_once("\n… ").unwrap();
        let (number, end) = rest.split_once(" characters left out").unwrap();
        let end = end.split_once("…\n").unwrap().1;
        let kept = begin.chars().count() + end.chars().count();
        assert_eq!(number.replace(',', "").parse(), Ok(before - kept));
        assert_eq!(
            (grouped(12_345), grouped(999), grouped(1_000_000)),
            ("12,345".into(), "999".into(), "1,000,000".into())
        );
        // What fits is left alone, and a second look changes nothing.
        let once = rounds.clone();
        fit(&mut rounds, room);
        assert_eq!(rounds, once);
    }

    #[test]
    fn there_is_always_some_room() {
        assert_eq!(room(1000, 300), 700);
        assert_eq!(room(1000, 5000), 250);
    }
}

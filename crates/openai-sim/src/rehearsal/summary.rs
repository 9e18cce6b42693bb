//! A short account of a stretch of conversation, made of its own words: what the stand-in answers when it is asked for a
//! summary. It picks; it does not understand.

use super::{clip, notes};

/// The longest summary, in characters.
const SUMMARY_CHARS: usize = 900;
/// How many facts and how many quotations it holds at most.
const FACTS: usize = 8;
/// How many of the owner's lines are quoted.
const QUOTED: usize = 3;
/// The longest quotation, in characters.
const QUOTE_CHARS: usize = 110;

/// Summarises lines such as `owner: I moved to Graz` and `Mira: Finally!`.
pub(crate) fn summarise(text: &str) -> String {
    let (mut owner, mut mira, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // What stands before the speaker is a date.
        let (head, said) = line.split_once(": ").unwrap_or(("", line));
        let head = head.to_lowercase();
        if head.ends_with("mira") || head.ends_with("assistant") {
            mira.push(said);
        } else if head.ends_with("owner") || head.ends_with("user") || head.ends_with("you") {
            owner.push(said);
        } else {
            other.push(line.trim_start_matches(['-', '*', '#', ' ']));
        }
    }
    let mut parts: Vec<String> = Vec::new();
    let mut facts: Vec<String> = Vec::new();
    for note in owner.iter().flat_map(|said| notes::notes(said, &[], "")) {
        if !facts.contains(&note.text) && facts.len() < FACTS {
            facts.push(note.text);
        }
    }
    parts.extend(facts);
    if parts.is_empty() {
        // The longest lines tell the most; they stay in their order.
        let mut lengths: Vec<usize> = owner.iter().map(|said| said.chars().count()).collect();
        lengths.sort_unstable_by(|one, two| two.cmp(one));
        let least = lengths.get(QUOTED - 1).copied().unwrap_or_default();
        let told = owner.iter().filter(|said| said.chars().count() >= least).take(QUOTED);
        parts.extend(told.map(|said| format!("The owner said: “{}”", clip(said, QUOTE_CHARS))));
    }
    parts.extend(other.iter().take(FACTS).map(|line| clip(line, QUOTE_CHARS * 2)));
    if let Some(last) = mira.last() {
        parts.push(format!("Mira ended on: “{}”", clip(last, QUOTE_CHARS)));
    }
    if parts.is_empty() {
        return "Nothing was said.".to_owned();
    }
    clip(&parts.join(" "), SUMMARY_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(summarise(text), expect);
    }

    #[test]
    fn a_summary_is_made_of_what_was_said() {
        check(
            "owner: I moved to Graz and my sister is called Anna.\nMira: Finally!\nowner: what now?",
            "The owner moved to Graz. The owner's sister is called Anna. Mira ended on: “Finally!”",
        );
        check(
            "8 May 2026, owner: the gutters leaked again\n",
            "The owner said: “the gutters leaked again”",
        );
        check("- Graz was new.\n- Anna visited.", "Graz was new. Anna visited.");
        check("", "Nothing was said.");
        assert!(
            summarise(&"owner: a very long line of talk indeed\n".repeat(9999))
                .chars()
                .count()
                <= 901
        );
    }
}

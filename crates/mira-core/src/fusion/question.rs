//! What a message asks for: its words that matter, whom and which times it names, whether it asks for a time. Read from
//! the message and the present moment alone, without a model.

use super::{
    stem::stem,
    times::Times,
    words::{is_stop, is_unspaced, words},
};
use jiff::Zoned;
use std::collections::HashSet;

/// How much of a message counts, in characters.
const MAX_CHARS: usize = 4000;
/// The most words of it that are looked for.
const MAX_TERMS: usize = 32;

const OWNER_WORDS: &[&str] = &["i", "me", "mine", "my", "myself"];
const MIRA_WORDS: &[&str] = &["you", "your", "yours", "yourself"];

/// What the owner and Mira are called.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The owner.
    pub owner: &'a str,
    /// Mira.
    pub mira: &'a str,
}

/// A word that is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// In lower case.
    pub word: String,
    /// Without its ending.
    pub stem: String,
    /// How much it says, see [`super::idf`].
    pub idf: f32,
}

impl Term {
    /// What its stem shares with every word of that stem: all but the last letter, of a single one all.
    pub fn head(&self) -> &str {
        let last = self.stem.char_indices().next_back().filter(|(at, _)| *at > 0);
        last.and_then(|(at, _)| self.stem.get(..at)).unwrap_or(&self.stem)
    }

    /// Whether it is looked for as it is, within a script without spaces.
    pub fn is_unspaced(&self) -> bool {
        !self.word.is_ascii() && self.word.chars().any(is_unspaced)
    }
}

/// A message as recall reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The words to look for, each once.
    pub words: Vec<String>,
    /// All its words, to recognise names by.
    pub all: HashSet<String>,
    /// Whether it speaks of the owner.
    pub names_owner: bool,
    /// Whether it speaks of Mira.
    pub names_mira: bool,
    /// The times it names.
    pub times: Times,
    /// Whether it asks for a time.
    pub asks_when: bool,
}

impl Question {
    /// Reads a message said now, where the owner is; `None` if it holds no letter and no digit.
    pub fn read(text: &str, names: Names<'_>, now: &Zoned) -> Option<Self> {
        let cut = text
            .char_indices()
            .nth(MAX_CHARS)
            .and_then(|(end, _)| text.get(..end))
            .unwrap_or(text);
        let list: Vec<String> = words(cut).collect();
        if list.is_empty() {
            return None;
        }
        let times = Times::read(cut, &list, now);
        let names_may = times.months.iter().any(|m| m.month == 5);
        let matters = |word: &&String| !is_stop(word) || names_may && *word == "may";
        let mut kept = distinct(list.iter().filter(matters));
        if kept.is_empty() {
            kept = distinct(list.iter());
        }
        let all: HashSet<String> = list.iter().cloned().collect();
        let any = |of: &[&str]| of.iter().any(|word| all.contains(*word));
        Some(Self {
            names_owner: any(OWNER_WORDS) || names_one(&all, names.owner),
            names_mira: any(MIRA_WORDS) || names_one(&all, names.mira),
            asks_when: asks_when(&list),
            words: kept,
            times,
            all,
        })
    }

    /// Whether it names somebody: all words of the name stand in it.
    pub fn names(&self, name: &str) -> bool {
        names_one(&self.all, name)
    }
}

fn names_one(all: &HashSet<String>, name: &str) -> bool {
    let mut parts = words(name).peekable();
    parts.peek().is_some() && parts.all(|part| all.contains(&part))
}

/// Words with different stems, the first of each.
fn distinct<'a>(list: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut stems = HashSet::new();
    list.filter(|word| stems.insert(stem(word)))
        .take(MAX_TERMS)
        .cloned()
        .collect()
}

fn asks_when(list: &[String]) -> bool {
    let starts = |with: &[&str]| {
        list.iter()
            .map(String::as_str)
            .take(with.len())
            .eq(with.iter().copied())
    };
    starts(&["when"])
        || starts(&["how", "long"])
        || starts(&["since", "when"])
        || list.iter().zip(list.iter().skip(1)).any(|(a, b)| {
            matches!(a.as_str(), "what" | "which") && matches!(b.as_str(), "date" | "day" | "month" | "year" | "time")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'static> = Names {
        owner: "Anna",
        mira: "Mira",
    };

    fn now() -> Zoned {
        "2023-07-01T12:00[UTC]".parse().unwrap()
    }

    fn check(text: &str, words: &[&str], named: (bool, bool), months: &[(i8, Option<i16>)], when: bool) {
        let q = Question::read(text, NAMES, &now()).unwrap();
        let found: Vec<(i8, Option<i16>)> = q.times.months.iter().map(|m| (m.month, m.year)).collect();
        assert_eq!(
            (q.words, (q.names_owner, q.names_mira), found, q.asks_when),
            (
                words.iter().map(ToString::to_string).collect(),
                named,
                months.to_vec(),
                when
            ),
            "{text}"
        );
    }

    #[test]
    fn questions_are_read() {
        check(
            "When did Anna paint her paintings?",
            &["anna", "paint"],
            (true, false),
            &[],
            true,
        );
        check("What pets do I own?", &["pets"], (true, false), &[], false);
        check("Did you like it, Mira?", &["like", "mira"], (false, true), &[], false);
        check("Who was there?", &["who", "was", "there"], (false, false), &[], false);
        check(
            "What did Tom buy on 3 May 2023, or in june?",
            &["tom", "buy", "3", "may", "2023", "june"],
            (false, false),
            &[(5, Some(2023)), (6, None)],
            false,
        );
        check("May she march home?", &["march", "home"], (false, false), &[], false);
        check(
            "What was it last may?",
            &["last", "may"],
            (false, false),
            &[(5, None)],
            false,
        );
        check("Which year was it?", &["year"], (false, false), &[], true);
        check("東京はどう?", &["東京はどう"], (false, false), &[], false);
        assert_eq!(Question::read(" ?! \u{1F600} \0", NAMES, &now()), None);
    }

    /// A head of nothing would have every word of every text cut into its stem.
    #[test]
    fn a_head_is_never_empty() {
        for (stem, head) in [
            ("paint", "pain"),
            ("ie", "i"),
            ("x", "x"),
            ("7", "7"),
            ("é", "é"),
            ("été", "ét"),
        ] {
            let term = Term {
                word: stem.to_owned(),
                stem: stem.to_owned(),
                idf: 1.0,
            };
            assert_eq!(term.head(), head);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let words: Vec<String> = (0..20_000).map(|n| format!("word{n}")).collect();
        let read = Question::read(&words.join(" "), NAMES, &now()).unwrap();
        assert_eq!(read.words.len(), MAX_TERMS);
    }
}

//! What a message asks for: its words that matter, whom and which months it names, whether it asks for a time. Read from
//! the message alone, without a model.

use super::{
    stem::stem,
    words::{is_stop, is_unspaced, words},
};
use jiff::{Timestamp, tz::TimeZone};
use std::collections::HashSet;

/// How much of a message counts, in characters.
const MAX_CHARS: usize = 4000;
/// The most words of it that are looked for.
const MAX_TERMS: usize = 32;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Words that make the `may` or `march` after them a month.
const BEFORE_MONTH: &[&str] = &[
    "after", "before", "by", "during", "early", "from", "in", "last", "late", "mid", "next", "of", "on", "since",
    "this", "until",
];
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
    /// Whether it is looked for as it is, within a script without spaces.
    pub fn is_unspaced(&self) -> bool {
        !self.word.is_ascii() && self.word.chars().any(is_unspaced)
    }
}

/// A month, of any year or of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// 1..=12.
    pub month: i8,
    /// The year, if one is named beside it.
    pub year: Option<i16>,
}

impl Month {
    /// Whether a moment lies in it (UTC, as the dates in documents).
    pub fn has(&self, at: Timestamp) -> bool {
        let date = at.to_zoned(TimeZone::UTC);
        date.month() == self.month && self.year.is_none_or(|year| year == date.year())
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
    /// The months it names.
    pub months: Vec<Month>,
    /// Whether it asks for a time.
    pub asks_when: bool,
}

impl Question {
    /// Reads a message; `None` if it holds no letter and no digit.
    pub fn read(text: &str, names: Names<'_>) -> Option<Self> {
        let cut = text
            .char_indices()
            .nth(MAX_CHARS)
            .and_then(|(end, _)| text.get(..end))
            .unwrap_or(text);
        let list: Vec<String> = words(cut).collect();
        if list.is_empty() {
            return None;
        }
        let months = read_months(cut, &list);
        let names_may = months.iter().any(|m| m.month == 5);
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
            months,
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

/// The months a text names. `may` and `march` are months only beside a number, after a word such as `in`, or with a
/// capital within a sentence.
fn read_months(text: &str, list: &[String]) -> Vec<Month> {
    let number = |word: Option<&String>| word.is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    let mut cased = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    let mut months = Vec::new();
    let mut before: Option<&String> = None;
    let mut rest = list.iter().peekable();
    while let Some(word) = rest.next() {
        let capital = cased.next().is_some_and(|run| run.starts_with(char::is_uppercase));
        let index = MONTHS.iter().position(|month| month == word);
        let ambiguous = matches!(word.as_str(), "may" | "march");
        let sure = !ambiguous
            || number(before)
            || number(rest.peek().copied())
            || before.is_some_and(|w| capital || BEFORE_MONTH.contains(&w.as_str()));
        if let Some(month) = index.and_then(|i| i8::try_from(i + 1).ok())
            && sure
        {
            let year = rest.clone().take(2).find_map(|w| read_year(w));
            months.push(Month { month, year });
        }
        before = Some(word);
    }
    months
}

fn read_year(word: &str) -> Option<i16> {
    word.parse().ok().filter(|year| (1900..2200).contains(year))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'static> = Names {
        owner: "Anna",
        mira: "Mira",
    };

    fn check(text: &str, words: &[&str], named: (bool, bool), months: &[(i8, Option<i16>)], when: bool) {
        let q = Question::read(text, NAMES).unwrap();
        let found: Vec<(i8, Option<i16>)> = q.months.iter().map(|m| (m.month, m.year)).collect();
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
        assert_eq!(Question::read(" ?! \u{1F600} \0", NAMES), None);
    }

    #[test]
    fn a_long_message_is_cut() {
        let words: Vec<String> = (0..20_000).map(|n| format!("word{n}")).collect();
        assert_eq!(Question::read(&words.join(" "), NAMES).unwrap().words.len(), MAX_TERMS);
    }

    #[test]
    fn months_have_years() {
        let at: Timestamp = "2023-05-08T13:56:00Z".parse().unwrap();
        let month = |year| Month { month: 5, year };
        assert!(month(None).has(at) && month(Some(2023)).has(at) && !month(Some(2022)).has(at));
    }
}

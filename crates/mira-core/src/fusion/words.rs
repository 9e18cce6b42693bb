//! Words of a text as recall compares them: in lower case, by their stems. Matching here is only for what FTS5 does not
//! tell: whether the turn before asks the same, and what to name in a reason.

use super::stem::stem;
use std::collections::HashMap;

/// English words that ask, point or connect, and find nothing. Sorted.
const STOP: &[&str] = &[
    "a", "about", "above", "after", "again", "against", "all", "already", "am", "an", "and", "any", "are", "aren",
    "as", "at", "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "could",
    "couldn", "d", "did", "didn", "do", "does", "doesn", "doing", "don", "down", "during", "each", "ever", "few",
    "for", "from", "further", "had", "has", "hasn", "have", "haven", "having", "he", "her", "here", "hers", "herself",
    "him", "himself", "his", "how", "i", "if", "in", "into", "is", "isn", "it", "its", "itself", "just", "kind",
    "know", "ll", "m", "many", "may", "me", "might", "mine", "more", "most", "much", "must", "my", "myself", "no",
    "nor", "not", "of", "off", "on", "once", "only", "or", "other", "our", "ours", "out", "over", "own", "re", "s",
    "same", "shall", "she", "should", "so", "some", "sort", "still", "such", "t", "tell", "than", "that", "the",
    "their", "theirs", "them", "then", "there", "these", "they", "this", "those", "through", "to", "too", "type",
    "under", "until", "up", "us", "ve", "very", "was", "wasn", "we", "were", "weren", "what", "when", "where", "which",
    "while", "who", "whom", "whose", "why", "will", "with", "won", "would", "yet", "you", "your", "yours", "yourself",
];

/// Words that place something in time. Sorted.
const TIME: &[&str] = &[
    "ago",
    "april",
    "august",
    "december",
    "february",
    "friday",
    "january",
    "july",
    "june",
    "last",
    "lately",
    "march",
    "monday",
    "month",
    "months",
    "next",
    "night",
    "november",
    "october",
    "recently",
    "saturday",
    "september",
    "since",
    "soon",
    "sunday",
    "thursday",
    "today",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "week",
    "weekend",
    "weeks",
    "year",
    "years",
    "yesterday",
];

/// Runs of letters and digits, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|run| !run.is_empty())
        .map(str::to_lowercase)
}

/// The longest word of [`STOP`] and [`TIME`], in bytes.
const LONGEST: usize = 9;

/// Whether a word is in a sorted list. Few are looked at whole: every word of every candidate comes by here.
fn is_in(list: &[&str], word: &str) -> bool {
    let first = |word: &str| word.bytes().next();
    let own = first(word);
    word.len() <= LONGEST
        && list
            .get(list.partition_point(|other| first(other) < own)..)
            .unwrap_or_default()
            .iter()
            .take_while(|other| first(other) == own)
            .any(|other| *other == word)
}

/// Whether a lower-case word finds nothing by itself.
pub fn is_stop(word: &str) -> bool {
    is_in(STOP, word)
}

/// Whether a letter belongs to a script that is written without spaces.
pub fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x1B000..=0x1B16F | 0x20000..=0x323AF)
}

/// Calls for each word of a text, in lower case, without a text of its own for each.
pub fn each_word(text: &str, mut call: impl FnMut(&str)) {
    let mut word = String::new();
    for run in text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
        word.clear();
        if run.is_ascii() {
            word.push_str(run);
            word.make_ascii_lowercase();
        } else {
            word.extend(run.chars().flat_map(char::to_lowercase));
        }
        call(&word);
    }
}

/// Stems as numbers, for texts that are compared with each other: each word is stemmed once, however often it comes.
#[derive(Debug, Default)]
pub struct Stems {
    words: HashMap<String, u32>,
    stems: HashMap<String, u32>,
}

impl Stems {
    /// The stems of a text, each once, in order.
    pub fn of(&mut self, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        each_word(text, |word| numbers.push(self.number(word)));
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.words.get(word) {
            return number;
        }
        let next = u32::try_from(self.stems.len()).unwrap_or(u32::MAX);
        let number = *self.stems.entry(stem(word)).or_insert(next);
        self.words.insert(word.to_owned(), number);
        number
    }
}

/// How a text speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// How many words that matter it has; of scripts without spaces two letters make one.
    pub content: usize,
    /// Whether it speaks of a time.
    pub time: bool,
    /// Whether it ends with a question.
    pub ends_asking: bool,
}

/// A [`Manner`] while a text is read word by word.
#[derive(Debug, Default)]
pub(super) struct Reading {
    manner: Manner,
    unspaced: usize,
}

impl Reading {
    /// The next word, in lower case.
    pub(super) fn word(&mut self, word: &str) {
        self.manner.time |= is_time(word);
        let letters = if word.is_ascii() {
            0
        } else {
            word.chars().filter(|&c| is_unspaced(c)).count()
        };
        if letters > 0 {
            self.unspaced += letters;
        } else if !is_stop(word) {
            self.manner.content += 1;
        }
    }

    /// How the text speaks, all of whose words were read.
    pub(super) fn end(self, text: &str) -> Manner {
        Manner {
            content: self.manner.content + self.unspaced / 2,
            ends_asking: ends_asking(text),
            ..self.manner
        }
    }
}

fn is_question_mark(c: char) -> bool {
    matches!(c, '?' | '？' | '؟' | '¿' | '\u{37E}')
}

/// Whether a text asks anything.
pub fn asks(text: &str) -> bool {
    text.chars().any(is_question_mark)
}

fn ends_asking(text: &str) -> bool {
    text.trim_end()
        .chars()
        .rev()
        .find(|c| c.is_alphanumeric() || matches!(c, '.' | '!' | '。' | '！') || is_question_mark(*c))
        .is_some_and(is_question_mark)
}

/// Years, ordinals and the words of [`TIME`].
pub(super) fn is_time(word: &str) -> bool {
    if is_in(TIME, word) {
        return true;
    }
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits == 4 && word.len() == 4
        || digits > 0
            && word
                .get(digits..)
                .is_some_and(|rest| ["st", "nd", "rd", "th"].contains(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(STOP.is_sorted() && TIME.is_sorted());
        let longest = STOP.iter().chain(TIME).map(|word| word.len()).max();
        assert_eq!(longest, Some(LONGEST));
        assert!(STOP.iter().all(|word| is_stop(word)) && TIME.iter().all(|word| is_time(word)));
    }

    fn check(text: &str, content: usize, time: bool, ends_asking: bool) {
        let expect = Manner {
            content,
            time,
            ends_asking,
        };
        let mut reading = Reading::default();
        each_word(text, |word| reading.word(word));
        assert_eq!(reading.end(text), expect, "{text}");
    }

    #[test]
    fn texts_are_read() {
        check("I moved to Graz last May. Didn't you know?  ", 3, true, true);
        check("Why? Because of the 3rd.", 1, true, false);
        check("Is it (really) so? \u{1F600}", 1, false, true);
        check("In 1999, or 12345 or 7.", 3, true, false);
        check("東京に行きました？", 4, false, true);
        check("", 0, false, false);
    }
}

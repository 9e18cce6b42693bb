//! Lines to text, with words put together again that were broken at the end of a line.

use std::collections::HashSet;

use super::page::Line;
use crate::Heading;

/// The words of a whole document: whether a broken word has a hyphen of its own is answered by where it stands unbroken.
pub struct Words<'a>(HashSet<&'a str>);

impl<'a> Words<'a> {
    /// Collects them.
    pub fn of(pages: impl Iterator<Item = &'a [Line]>) -> Self {
        let lines = pages.flatten();
        Self(
            lines
                .flat_map(|line| line.text.split_whitespace())
                .map(bare)
                .filter(|word| !word.is_empty())
                .collect(),
        )
    }
}

/// The text of a page, its paragraphs apart by an empty line, and where its headings are in it.
pub fn text(lines: &[Line], words: &Words<'_>) -> (String, Vec<Heading>) {
    let mut text = String::new();
    let mut headings: Vec<Heading> = Vec::new();
    for line in lines {
        let mut own = line.text.as_str();
        if !text.is_empty() {
            if !line.begins
                && let Some((rest, has_hyphen)) = broken(&text, own, words)
            {
                // The rest of the word goes up to its beginning.
                if !has_hyphen {
                    text.pop();
                }
                text.push_str(rest);
                own = own.get(rest.len()..).unwrap_or_default().trim_start();
            }
            if !own.is_empty() {
                text.push_str(if line.begins { "\n\n" } else { "\n" });
            }
        }
        let start = text.len();
        text.extend(
            own.char_indices()
                .filter(|(at, letter)| *letter != SOFT || at + letter.len_utf8() == own.len())
                .map(|(_, letter)| letter),
        );
        match (line.level, headings.last_mut()) {
            (Some(_), Some(heading)) if !line.begins => heading.range.end = text.len(),
            (Some(level), _) => headings.push(Heading {
                range: start..text.len(),
                level,
            }),
            (None, _) => {}
        }
    }
    if text.ends_with(SOFT) {
        text.pop();
    }
    if !text.is_empty() {
        text.push('\n');
    }
    (text, headings)
}

/// A hyphen that is seen only at the end of a line.
const SOFT: char = '\u{ad}';

/// The rest of the word that is broken between `above` and `line`, and whether its hyphen belongs to it.
fn broken<'a>(above: &str, line: &'a str, words: &Words<'_>) -> Option<(&'a str, bool)> {
    let hyphen = above.chars().next_back().filter(|end| matches!(*end, '-' | SOFT))?;
    let start = above.rsplit(char::is_whitespace).next()?.strip_suffix(hyphen)?;
    let rest = line.split(char::is_whitespace).next()?;
    let is_word = start.ends_with(char::is_alphabetic) && rest.starts_with(char::is_lowercase);
    if !is_word {
        return None;
    }
    if hyphen == SOFT {
        return Some((rest, false));
    }
    let (start, end) = (bare_start(start), bare_end(rest));
    let whole = words.0.contains(format!("{start}{end}").as_str());
    let hyphenated = words.0.contains(format!("{start}-{end}").as_str());
    Some((rest, hyphenated && !whole))
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    bare_end(bare_start(word))
}

fn bare_start(word: &str) -> &str {
    word.trim_start_matches(|letter: char| !letter.is_alphanumeric())
}

fn bare_end(word: &str) -> &str {
    word.trim_end_matches(|letter: char| !letter.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expect: &str) {
        let lines: Vec<Line> = lines
            .iter()
            .map(|line| Line {
                text: line.trim_start_matches('¶').to_owned(),
                begins: line.starts_with('¶'),
                ..Line::default()
            })
            .collect();
        let words = Words::of(std::iter::once(lines.as_slice()));
        assert_eq!(text(&lines, &words), (expect.to_owned(), Vec::new()));
    }

    #[test]
    fn headings_are_where_they_stand() {
        let line = |text: &str, begins, level| Line {
            text: text.to_owned(),
            begins,
            level,
            ..Line::default()
        };
        let lines = [
            line("One", true, Some(0)),
            line("Of pipe-", true, Some(1)),
            line("lines", false, Some(1)),
            line("Text.", false, None),
        ];
        let (text, headings) = text(&lines, &Words::of(std::iter::empty()));
        let found: Vec<(&str, u8)> = headings
            .iter()
            .map(|heading| (text.get(heading.range.clone()).unwrap(), heading.level))
            .collect();
        assert_eq!(found, [("One", 0), ("Of pipelines", 1)]);
        assert_eq!(text, "One\n\nOf pipelines\nText.\n");
    }

    #[test]
    fn broken_words_are_whole_again() {
        check(&["an exam-", "ple of it"], "an example\nof it\n");
        check(&["an exam-", "ple."], "an example.\n");
        check(&["(exam-", "ple)", "next"], "(example)\nnext\n");
        check(&["soft\u{ad}", "ware and soft\u{ad}ware"], "software\nand software\n");
    }

    #[test]
    fn hyphens_of_their_own_stay() {
        check(
            &["a well-known fact, well-", "known"],
            "a well-known fact, well-known\n",
        );
        check(&["since 1990-", "2000"], "since 1990-\n2000\n");
        check(&["X-", "Ray"], "X-\nRay\n");
        check(&["a -", "b"], "a -\nb\n");
        check(&["one-", "¶two"], "one-\n\ntwo\n");
    }
}

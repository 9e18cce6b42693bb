//! Lines to text, with words put together again that were broken at the end of a line.

use std::collections::HashSet;

use super::page::Line;

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

/// The text of a page, its paragraphs apart by an empty line.
pub fn text(lines: &[Line], words: &Words<'_>) -> String {
    let mut text = String::new();
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
        text.extend(
            own.char_indices()
                .filter(|(at, letter)| *letter != SOFT || at + letter.len_utf8() == own.len())
                .map(|(_, letter)| letter),
        );
    }
    if text.ends_with(SOFT) {
        text.pop();
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
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
            })
            .collect();
        let words = Words::of(std::iter::once(lines.as_slice()));
        assert_eq!(text(&lines, &words), expect);
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

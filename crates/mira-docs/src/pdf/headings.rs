//! Which lines of a document are headings. A PDF does not say so; they are told by letters larger than those of the
//! text, or by a number such as 2.1 in front of a line of its own.
//!
//! How deep a heading stands is told by its size, and by its number among those of one size.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use super::page::Line;

/// How much larger than those of the text a heading's letters are at least, in hundredths.
const LARGER: u32 = 115;
/// Letters of a size that make up more than this part of a document are no headings.
const RARE: usize = 4;
/// The longest heading, in characters, and in lines.
const LONGEST: usize = 160;
const MOST_LINES: usize = 3;
/// A numbered line from this many characters on is a heading only if nothing goes on below it.
const FULL_LINE: usize = 60;

/// What orders headings: the larger, the higher; the longer its number, the deeper.
type Rank = (Reverse<u16>, usize);

/// Gives headings their levels, 0 for the highest.
pub fn mark(pages: &mut [(u32, Vec<Line>)]) {
    let sizes = Sizes::of(pages.iter().flat_map(|(_, lines)| lines));
    let mut found: Vec<(usize, usize, usize, Rank)> = Vec::new();
    for (page, (_, lines)) in pages.iter().enumerate() {
        let mut at = 0;
        while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
            let heading = sizes.heading(rest);
            let count = heading.as_ref().map_or(1, |(count, _)| *count);
            found.extend(heading.map(|(count, rank)| (page, at, count, rank)));
            at += count;
        }
    }
    let ranks: BTreeSet<Rank> = found.iter().map(|(.., rank)| *rank).collect();
    let levels: HashMap<Rank, u8> = ranks.into_iter().zip(0..=u8::MAX).collect();
    for (page, at, count, rank) in found {
        let Some((_, lines)) = pages.get_mut(page) else {
            continue;
        };
        for line in lines.iter_mut().skip(at).take(count) {
            line.level = levels.get(&rank).copied();
        }
    }
}

/// How much of a document is in letters of which size.
struct Sizes {
    letters: HashMap<u16, usize>,
    all: usize,
    /// That of the most.
    usual: u16,
}

impl Sizes {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut letters: HashMap<u16, usize> = HashMap::new();
        for line in lines {
            *letters.entry(line.size).or_default() += line.text.len();
        }
        let usual = letters.iter().max_by_key(|(size, count)| (**count, Reverse(**size)));
        Self {
            usual: usual.map_or(0, |(size, _)| *size),
            all: letters.values().sum(),
            letters,
        }
    }

    fn is_large(&self, line: &Line) -> bool {
        let of_size = self.letters.get(&line.size).copied().unwrap_or_default();
        u32::from(line.size) * 100 >= u32::from(self.usual) * LARGER && of_size * RARE <= self.all
    }

    /// The heading these lines begin with: how many of them it has, and its rank.
    fn heading(&self, lines: &[Line]) -> Option<(usize, Rank)> {
        let (first, below) = lines.split_first()?;
        let length = first.text.chars().count();
        let is_title = first.begins && length <= LONGEST && says_something(&first.text);
        if !is_title {
            return None;
        }
        let depth = depth(&first.text);
        let goes_on = below
            .iter()
            .take_while(|line| !line.begins && line.size == first.size)
            .count();
        let count = if self.is_large(first) {
            Some(1 + goes_on).filter(|count| *count <= MOST_LINES)
        } else {
            let stands_alone = goes_on == 0 || length < FULL_LINE;
            let is_one = depth.is_some() && first.size >= self.usual && stands_alone && ends_as_a_title(&first.text);
            is_one.then_some(1)
        };
        Some((count?, (Reverse(first.size), depth.unwrap_or_default())))
    }
}

/// Letters, and no line of a table of contents.
fn says_something(text: &str) -> bool {
    !text.contains("...")
        && !text.contains(". . .")
        && text.chars().filter(|letter| letter.is_alphabetic()).count() >= 2
}

fn ends_as_a_title(text: &str) -> bool {
    !text.ends_with(|end: char| end.is_ascii_digit() || matches!(end, '.' | ',' | ';' | '-'))
}

/// How many parts the number in front has: 2 for `2.1 Pipes`. A number of one part may count anything, and is none.
fn depth(text: &str) -> Option<usize> {
    let (number, rest) = text.split_once(' ')?;
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = number.trim_end_matches('.').split('.');
    let first = parts.next()?;
    let is_first = is_number(first) || matches!(first.as_bytes(), [b'A'..=b'Z']);
    let deeper = parts
        .map(is_number)
        .try_fold(0, |count, is_one| is_one.then_some(count + 1))?;
    let begins = rest.trim_start().chars().next()?;
    (is_first && deeper > 0 && !begins.is_lowercase() && !begins.is_ascii_digit()).then_some(deeper + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(size: u16, text: &str) -> Line {
        Line {
            text: text.trim_start_matches('¶').to_owned(),
            begins: text.starts_with('¶'),
            size,
            level: None,
        }
    }

    /// `text` is in letters of size 20; of each line it is said how deep it stands.
    fn check(lines: &[(u16, &str)], expect: &[Option<u8>]) {
        let body = [
            line(20, "¶A paragraph of text as it stands on every page of a book,"),
            line(20, "in letters of the usual size, which are most of them,"),
            line(20, "and that goes on for a while before it comes to an end."),
        ];
        let own = lines.iter().map(|(size, text)| line(*size, text));
        let mut pages = vec![(1, [body.as_slice(); 4].concat()), (2, own.collect())];
        mark(&mut pages);
        let levels: Vec<Option<u8>> = pages[1].1.iter().map(|line| line.level).collect();
        assert_eq!(levels, expect, "{lines:?}");
        assert!(pages[0].1.iter().all(|line| line.level.is_none()));
    }

    #[test]
    fn larger_lines_are_headings_by_size() {
        check(
            &[(40, "¶Shells"), (28, "¶Of pipes"), (20, "¶Text."), (28, "¶Of lists")],
            &[Some(0), Some(1), None, Some(1)],
        );
        // Over two lines, and a paragraph in large letters.
        check(&[(28, "¶Of pipes"), (28, "and lists")], &[Some(0), Some(0)]);
        check(
            &[(28, "¶A very"), (28, "long"), (28, "quotation"), (28, "in")],
            &[None; 4],
        );
        // A little larger, an ornament, a line of a table of contents.
        check(&[(22, "¶Note"), (40, "¶7"), (28, "¶Of pipes ... 7")], &[None; 3]);
    }

    #[test]
    fn numbered_lines_are_headings() {
        check(
            &[
                (28, "¶2.1 Pipes"),
                (20, "¶2.1.1 Of commands"),
                (20, "Text below."),
                (28, "¶B.2. Lists"),
            ],
            &[Some(0), Some(1), None, Some(0)],
        );
        for text in [
            "¶2 Pipes",
            "¶2.1 pipes are",
            "¶2.1 Pipes 17",
            "¶2.1 It ends.",
            "¶1990.12 Pipes",
            "2.1 Pipes",
            "¶2.1",
            "¶e.g. Pipes",
        ] {
            check(&[(20, text)], &[None]);
        }
        let long = format!("¶2.1 GHz {}", "is fast enough ".repeat(5));
        check(&[(20, long.trim_end()), (20, "for that.")], &[None, None]);
        check(&[(16, "¶2.1 A note")], &[None]);
    }
}

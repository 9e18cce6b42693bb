//! The headings of a text: which of its lines they are, and below which of them a place stands.

use std::ops::Range;

use crate::{
    Heading,
    text::{LONGEST_HEADING, Outline, short},
};

/// Between a document's title and the headings in it.
const BETWEEN: &str = " › ";

/// How headings are known.
pub enum Marks<'a> {
    /// By `#` in front of them.
    InText,
    /// They are told beside the text, in their order.
    Given(&'a [Heading]),
}

/// Reads line by line which lines are headings.
pub struct Reader<'a> {
    text: &'a str,
    outline: Option<Outline>,
    given: &'a [Heading],
    /// Where the heading ends that was read last.
    end: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str, marks: &Marks<'a>) -> Self {
        let (outline, given): (_, &[Heading]) = match marks {
            Marks::InText => (Some(Outline::default()), &[]),
            Marks::Given(given) => (None, given),
        };
        Self {
            text,
            outline,
            given,
            end: 0,
        }
    }

    /// How deep the heading stands that the next line begins, and what it says. To be called for every line, in order.
    pub fn heading(&mut self, at: &Range<usize>, line: &str) -> Option<(u8, String)> {
        if let Some(outline) = &mut self.outline {
            let heading = outline.heading(line)?;
            let level = u8::try_from(heading.level).unwrap_or(u8::MAX);
            return Some((level, heading.text.to_owned()));
        }
        while let Some((next, rest)) = self.given.split_first() {
            if next.range.start > at.start {
                return None;
            }
            self.given = rest;
            if next.range.start == at.start {
                self.end = next.range.end;
                let words: Vec<&str> = self.text.get(next.range.clone())?.split_whitespace().collect();
                return Some((next.level, short(&words.join(" ")).to_owned()));
            }
        }
        None
    }

    /// Whether a line is one more of the heading before it.
    pub fn is_in_heading(&self, line: &Range<usize>) -> bool {
        line.start < self.end
    }

    /// Whether the line after the ones seen so far is inside a code block.
    pub fn in_code(&self) -> bool {
        self.outline.as_ref().is_some_and(Outline::in_code)
    }
}

/// Where a place stands: the document's title and the headings it is below.
#[derive(Debug, Default)]
pub struct Trail {
    title: Option<String>,
    /// With their levels, from the highest to the nearest.
    above: Vec<(u8, String)>,
}

impl Trail {
    /// The beginning of a document.
    pub fn new(title: Option<&str>) -> Self {
        Self {
            title: title.map(|title| short(title).to_owned()),
            above: Vec::new(),
        }
    }

    /// A heading; those as deep or deeper are over.
    pub fn enter(&mut self, level: u8, text: &str) {
        self.above.retain(|(above, _)| *above < level);
        self.above.push((level, text.to_owned()));
    }

    /// The place in words. The nearest heading is always told, what is above it as far as there is room.
    pub fn name(&self) -> Option<String> {
        let mut nearest_first = self.above.iter().rev().map(|(_, text)| text.as_str());
        let title = self.title.as_deref();
        let Some(nearest) = nearest_first.next() else {
            return title.map(str::to_owned);
        };
        let mut name = nearest.to_owned();
        let mut topmost = nearest;
        for above in nearest_first.chain(title) {
            if above == topmost || name.len() + above.len() > LONGEST_HEADING {
                continue;
            }
            name = format!("{above}{BETWEEN}{name}");
            topmost = above;
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(title: Option<&str>, headings: &[(u8, &str)], expect: Option<&str>) {
        let mut trail = Trail::new(title);
        for (level, text) in headings {
            trail.enter(*level, text);
        }
        assert_eq!(trail.name().as_deref(), expect, "{headings:?}");
    }

    #[test]
    fn a_place_is_told_by_what_it_is_below() {
        check(None, &[], None);
        check(Some("Book"), &[], Some("Book"));
        check(Some("Book"), &[(1, "Book")], Some("Book"));
        check(
            Some("Book"),
            &[(1, "Book"), (2, "One"), (3, "a")],
            Some("Book › One › a"),
        );
        check(Some("Book"), &[(2, "One"), (3, "a"), (2, "Two")], Some("Book › Two"));
        check(None, &[(3, "a"), (1, "One"), (3, "b")], Some("One › b"));
        let long = "x".repeat(LONGEST_HEADING - 10);
        check(Some("Book"), &[(1, &long), (2, "One")], Some(&format!("{long} › One")));
        check(
            Some("Book"),
            &[(1, &long), (2, "Of many things")],
            Some("Book › Of many things"),
        );
    }

    #[test]
    fn given_headings_are_found_by_their_place() {
        let text = "One\nOf two\nlines\nText.\n";
        let given = [Heading { range: 4..16, level: 3 }];
        let mut reader = Reader::new(text, &Marks::Given(&given));
        let mut at = 0;
        let found: Vec<_> = text
            .split_inclusive('\n')
            .map(|line| {
                let range = at..at + line.len();
                at = range.end;
                reader.heading(&range, line)
            })
            .collect();
        assert_eq!(found, [None, Some((3, "Of two lines".to_owned())), None, None]);
        assert!(reader.is_in_heading(&(11..17)) && !reader.is_in_heading(&(17..23)));
    }
}

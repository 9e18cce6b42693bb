//! Places of a text that point at sources: `<span class="cites" data-cites="1 2">` around `[1, 2]`, and the same span,
//! empty, behind a place that is no such marker.
//!
//! Places are told in code points of the text as it came, and kept in bytes of the normalised text, which is what the
//! parser's offsets mean. None is put into code, a link or an image; one that ends in them stands behind.

use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::block::normalize;

/// Marks no closer than this, so that few are kept and little is counted from one.
const MARK_EVERY_CHARS: usize = 256;

/// A place of a text that points at a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Unicode code points from the beginning of the text.
    pub at: Range<u32>,
    /// The source's number.
    pub number: u32,
}

/// A text that grows, normalised, and where the code points of what came lie in it.
#[derive(Default)]
pub(crate) struct Positions {
    /// Code points read so far.
    read: usize,
    /// What came last ended with a carriage return, whose line feed may follow.
    ends_in_cr: bool,
    /// Pairs of code points that came and bytes that became of them.
    marks: Vec<(usize, usize)>,
}

impl Positions {
    /// Appends what came to the text.
    pub(crate) fn append(&mut self, text: &mut String, raw: &str) {
        if raw.is_empty() {
            return;
        }
        let rest = match raw.strip_prefix('\n') {
            Some(rest) if self.ends_in_cr => {
                self.count(1, text.len(), true);
                rest
            }
            _ => raw,
        };
        self.ends_in_cr = raw.ends_with('\r');
        for line in rest.split_inclusive('\n') {
            text.push_str(&normalize(line));
            self.count(line.chars().count(), text.len(), line.ends_with("\r\n"));
        }
    }

    fn count(&mut self, chars: usize, bytes: usize, shifted: bool) {
        self.read += chars;
        let marked = self.marks.last().map_or(0, |&(chars, _)| chars);
        if shifted || self.read - marked >= MARK_EVERY_CHARS {
            self.marks.push((self.read, bytes));
        }
    }

    /// The byte of a code point; `None` behind the text.
    fn byte(&self, text: &str, at: u32) -> Option<usize> {
        let at = usize::try_from(at).ok().filter(|&at| at <= self.read)?;
        let before = self.marks.partition_point(|&(chars, _)| chars <= at);
        let (from, bytes) = before
            .checked_sub(1)
            .and_then(|n| self.marks.get(n))
            .copied()
            .unwrap_or_default();
        let mut chars = text.get(bytes..)?.chars();
        for _ in from..at {
            chars.next()?;
        }
        Some(text.len() - chars.as_str().len())
    }
}

/// Where a span goes: around `from..to`, or, where both are the same, between what is before and behind.
#[derive(Debug, PartialEq, Eq)]
struct Spot {
    from: usize,
    to: usize,
    numbers: Vec<u32>,
}

impl Spot {
    fn is_behind(&self) -> bool {
        self.from == self.to
    }
}

/// The places of a text, in their order, each once.
#[derive(Default)]
pub(crate) struct Places(Vec<Spot>);

impl Places {
    /// Takes in a place of the text so far. Its first byte; `None` if there is no such place.
    pub(crate) fn add(&mut self, place: &Place, text: &str, positions: &Positions) -> Option<usize> {
        let start = positions.byte(text, place.at.start)?;
        let to = positions.byte(text, place.at.end)?;
        let from = if is_marker(text.get(start..to)?) { start } else { to };
        match self.0.binary_search_by_key(&(from, to), |spot| (spot.from, spot.to)) {
            Ok(n) => {
                if let Some(spot) = self.0.get_mut(n)
                    && !spot.numbers.contains(&place.number)
                {
                    spot.numbers.push(place.number);
                }
            }
            Err(n) => self.0.insert(
                n,
                Spot {
                    from,
                    to,
                    numbers: vec![place.number],
                },
            ),
        }
        Some(from)
    }

    /// Those that may stand in a block of these bytes.
    fn of_block(&self, block: &Range<usize>) -> &[Spot] {
        let first = self.0.partition_point(|spot| spot.to <= block.start);
        let rest = self.0.get(first..).unwrap_or_default();
        let count = rest.partition_point(|spot| spot.from <= block.end);
        rest.get(..count).unwrap_or_default()
    }

    /// The events of a block with its places among them. `source` is what was parsed, and stands at byte `base` of
    /// the text.
    pub(crate) fn weave<'a>(
        &self,
        events: Vec<(Event<'a>, Range<usize>)>,
        source: &'a str,
        base: usize,
    ) -> Vec<Piece<'a>> {
        let block = events.first().map(|(_, range)| base + range.start..base + range.end);
        let spots = block.map(|block| self.of_block(&block)).unwrap_or_default();
        let mut loom = Loom {
            out: Vec::with_capacity(events.len() + 3 * spots.len()),
            source,
            base,
            spots,
        };
        loom.weave(events);
        loom.out
    }
}

/// Whether a place is a marker of its own, as `[1]` or `[2, 3]`.
fn is_marker(place: &str) -> bool {
    let inside = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|inside| {
        inside.contains(|c: char| c.is_ascii_digit())
            && inside
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, ',' | ';' | ' '))
    })
}

/// What a block is written from.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    /// An event of the parser.
    Event(Event<'a>),
    /// Markup of this crate: the begin or end of a place.
    Markup(String),
}

struct Loom<'a, 's> {
    out: Vec<Piece<'a>>,
    source: &'a str,
    base: usize,
    /// Those that are still to come.
    spots: &'s [Spot],
}

impl<'a> Loom<'a, '_> {
    fn weave(&mut self, events: Vec<(Event<'a>, Range<usize>)>) {
        let mut closed = 0usize;
        let mut events = events.into_iter().peekable();
        while let Some((event, range)) = events.next() {
            match &event {
                Event::Start(tag) => {
                    closed += usize::from(is_closed(tag));
                    if matches!(tag, Tag::List(_)) {
                        self.pass(range.start);
                    }
                }
                Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock | TagEnd::HtmlBlock) => {
                    closed = closed.saturating_sub(1);
                }
                Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell)
                    if closed == 0 =>
                {
                    self.pass(range.end);
                }
                Event::Text(text) if closed == 0 && !self.spots.is_empty() => {
                    self.pass(range.start);
                    if self.is_verbatim(text, &range) {
                        let mut run = range;
                        while let Some((_, next)) = events.next_if(|(event, next)| {
                            next.start == run.end && matches!(event, Event::Text(text) if self.is_verbatim(text, next))
                        }) {
                            run.end = next.end;
                        }
                        self.run(run);
                        continue;
                    }
                }
                _ => {}
            }
            self.out.push(Piece::Event(event));
        }
    }

    /// Whether a text stands in the source as it is.
    fn is_verbatim(&self, text: &str, range: &Range<usize>) -> bool {
        self.source.get(range.clone()) == Some(text)
    }

    /// Everything before this byte of the source has been written: what belongs behind it comes now, and what
    /// should have stood around something cannot any more.
    fn pass(&mut self, at: usize) {
        while let Some((spot, rest)) = self.spots.split_first()
            && spot.to <= self.base + at
        {
            self.spots = rest;
            if spot.is_behind() {
                self.span(spot, at..at);
            }
        }
    }

    /// Writes text that stands in the source as it is.
    fn run(&mut self, run: Range<usize>) {
        let mut at = run.start;
        while let Some((spot, rest)) = self.spots.split_first()
            && spot.from <= self.base + run.end
            && (spot.is_behind() || spot.from < self.base + run.end)
        {
            self.spots = rest;
            let Some(place) = spot.from.checked_sub(self.base).map(|from| from..spot.to - self.base) else {
                continue;
            };
            let fits = place.start >= at && place.end <= run.end;
            let is_there = spot.is_behind() || self.source.get(place.clone()).is_some_and(is_marker);
            if fits && is_there {
                self.text(at..place.start);
                at = place.end;
                self.span(spot, place);
            }
        }
        self.text(at..run.end);
    }

    fn span(&mut self, spot: &Spot, inside: Range<usize>) {
        let mut open = String::from("<span class=\"cites\" data-cites=\"");
        for (n, number) in spot.numbers.iter().enumerate() {
            if n > 0 {
                open.push(' ');
            }
            open.push_str(&number.to_string());
        }
        open.push_str("\">");
        self.out.push(Piece::Markup(open));
        self.text(inside);
        self.out.push(Piece::Markup("</span>".to_owned()));
    }

    fn text(&mut self, range: Range<usize>) {
        if let Some(text) = self.source.get(range)
            && !text.is_empty()
        {
            self.out.push(Piece::Event(Event::Text(text.into())));
        }
    }
}

/// Whether nothing is put inside.
fn is_closed(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::HtmlBlock
    )
}

#[cfg(test)]
mod tests {
    use super::{Positions, is_marker};

    #[test]
    fn code_points_are_found_however_the_text_came() {
        let raw = "ä\r\n🦀b\rc\r\n\0d\n".repeat(100);
        let mut whole = String::new();
        Positions::default().append(&mut whole, &raw);
        for step in [1, 2, 3, 7, 4_000] {
            let (mut positions, mut text) = (Positions::default(), String::new());
            let chars: Vec<char> = raw.chars().collect();
            for part in chars.chunks(step) {
                positions.append(&mut text, &part.iter().collect::<String>());
            }
            assert_eq!(text, whole);
            let (mut at, mut previous) = (0, ' ');
            for (n, &c) in chars.iter().enumerate() {
                if !(previous == '\r' && c == '\n') {
                    assert_eq!(
                        positions.byte(&text, u32::try_from(n).unwrap()),
                        Some(at),
                        "{n} by {step}"
                    );
                    at += if c == '\0' { '\u{fffd}'.len_utf8() } else { c.len_utf8() };
                }
                previous = c;
            }
            let end = u32::try_from(chars.len()).unwrap();
            assert_eq!(positions.byte(&text, end), Some(text.len()));
            assert_eq!(positions.byte(&text, end + 1), None);
        }
    }

    #[test]
    fn markers() {
        for (text, expect) in [
            ("[1]", true),
            ("[1, 2;3]", true),
            ("[]", false),
            ("[, ]", false),
            ("[a]", false),
            ("(1)", false),
            ("", false),
        ] {
            assert_eq!(is_marker(text), expect, "{text}");
        }
    }
}

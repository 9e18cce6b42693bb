//! Places of a text that point at sources: `<span class="cites" data-cites="1 2">` around `[1, 2]`, and the same span,
//! empty, behind a place that is no such marker.
//!
//! Places are told in code points of the text as it came, and kept in bytes of the normalised text, which is what the
//! parser's offsets mean.
//!
//! Invariants:
//! - Spans change nothing else: without them the HTML is, but for line breaks between blocks, that of the text alone.
//! - No place is lost: each belongs to the block it ends in or behind, and one that cannot stand where it is (nothing is
//!   put into code, a link or an image) stands behind that.

use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::block::{Block, normalize};

/// Marks about this far apart, so that few are kept and little is counted from one.
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
        for run in rest.split_inclusive('\n').flat_map(runs) {
            text.push_str(&normalize(run));
            self.count(run.chars().count(), text.len(), run.ends_with("\r\n"));
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

/// A line in runs of [`MARK_EVERY_CHARS`]; its end stays whole.
fn runs(mut line: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = line.char_indices().nth(MARK_EVERY_CHARS).map(|(end, _)| end);
        let end = end.filter(|&end| line.get(end..) != Some("\n"));
        let (run, rest) = line.split_at(end.unwrap_or(line.len()));
        line = rest;
        (!run.is_empty()).then_some(run)
    })
}

/// Where a span goes: around `from..to`, or, where both are the same, between what is before and behind.
#[derive(Debug, PartialEq, Eq)]
struct Spot {
    from: usize,
    to: usize,
    numbers: Vec<u32>,
}

/// The places of a text, in their order, each once.
#[derive(Default)]
pub(crate) struct Places(Vec<Spot>);

impl Places {
    /// Takes in a place of the text so far. Its first byte; `None` if there is no such place.
    pub(crate) fn add(&mut self, place: &Place, text: &str, positions: &Positions) -> Option<usize> {
        let start = positions.byte(text, place.at.start)?;
        let to = positions.byte(text, place.at.end)?;
        let inside = text.get(start..to)?;
        let (from, to) = if is_marker(inside) {
            (start, to)
        } else {
            let end = start + inside.trim_end().len();
            (end, end)
        };
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

    /// Those that end in these bytes: behind the first of them, unless that is the text's, up to the last.
    fn ending_in(&self, bytes: &Range<usize>) -> &[Spot] {
        let first = self.0.partition_point(|spot| bytes.start > 0 && spot.to <= bytes.start);
        let rest = self.0.get(first..).unwrap_or_default();
        let count = rest.partition_point(|spot| spot.to <= bytes.end);
        rest.get(..count).unwrap_or_default()
    }

    /// The events of a block with the places among them that end in its reach. `source` is what was parsed, and stands
    /// at byte `base` of the text.
    pub(crate) fn weave<'a>(&self, block: Block<'a>, source: &'a str, base: usize) -> Vec<Piece<'a>> {
        let reach = base + block.reach.start..base.saturating_add(block.reach.end);
        let spots = self.ending_in(&reach);
        let mut loom = Loom {
            out: Vec::with_capacity(block.events.len() + 3 * spots.len()),
            source,
            base,
            spots,
        };
        loom.weave(block.events);
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

impl<'a, 's> Loom<'a, 's> {
    fn weave(&mut self, events: Vec<(Event<'a>, Range<usize>)>) {
        // Inside how many things that nothing is put into.
        let mut closed = 0usize;
        let mut events = events.into_iter().peekable();
        while let Some((event, range)) = events.next() {
            if closed == 0 && may_follow_a_span(&event) {
                self.pass(range.start);
            }
            match &event {
                Event::Start(tag) => closed += usize::from(is_closed(tag)),
                Event::End(TagEnd::Link | TagEnd::Image) => closed = closed.saturating_sub(1),
                Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock) => {
                    closed = closed.saturating_sub(1);
                    self.out.push(Piece::Event(event));
                    self.pass(range.end);
                    continue;
                }
                Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell)
                    if closed == 0 =>
                {
                    self.pass(range.end);
                }
                Event::Text(text) if closed == 0 && !self.spots.is_empty() && self.is_verbatim(text, &range) => {
                    let mut run = range;
                    while let Some((_, next)) = events.next_if(|(event, next)| {
                        next.start == run.end && matches!(event, Event::Text(text) if self.is_verbatim(text, next))
                    }) {
                        run.end = next.end;
                    }
                    self.run(run);
                    continue;
                }
                _ => {}
            }
            self.out.push(Piece::Event(event));
        }
        for spot in std::mem::take(&mut self.spots) {
            self.span(spot, 0..0);
        }
    }

    /// Whether a text stands in the source as it is.
    fn is_verbatim(&self, text: &str, range: &Range<usize>) -> bool {
        self.source.get(range.clone()) == Some(text)
    }

    /// Everything before this byte of the source has been written, and so is what belongs behind it or could not stand
    /// around something of it.
    fn pass(&mut self, at: usize) {
        while let Some(spot) = self.next_to(at) {
            self.span(spot, 0..0);
        }
    }

    /// Writes text that stands in the source as it is.
    fn run(&mut self, run: Range<usize>) {
        let mut at = run.start;
        while let Some(spot) = self.next_to(run.end) {
            // Of a text that was mended for the view it may lie anywhere.
            let to = self.source.floor_char_boundary(spot.to.saturating_sub(self.base));
            let to = to.clamp(at, run.end);
            let from = spot.from.checked_sub(self.base).filter(|from| {
                let place = self.source.get(*from..to);
                *from >= at && place.is_some_and(is_marker)
            });
            let from = from.unwrap_or(to);
            self.text(at..from);
            self.span(spot, from..to);
            at = to;
        }
        self.text(at..run.end);
    }

    /// Takes the next one if it ends no later than at this byte of the source.
    fn next_to(&mut self, end: usize) -> Option<&'s Spot> {
        let (spot, rest) = self.spots.split_first()?;
        (spot.to <= self.base + end).then(|| {
            self.spots = rest;
            spot
        })
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

/// Whether a span can stand right before this. Where it cannot, it stands in what begins, or behind what ends.
fn may_follow_a_span(event: &Event<'_>) -> bool {
    match event {
        Event::Start(tag) => !matches!(
            tag,
            Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::TableHead | Tag::TableRow | Tag::TableCell
        ),
        Event::TaskListMarker(_) | Event::End(_) => false,
        _ => true,
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
    use super::{MARK_EVERY_CHARS, Positions, is_marker, normalize};

    /// Every code point is found where it lies, however the text came, and no more than a few are counted for it.
    fn check(raw: &str) {
        let mut whole = String::new();
        Positions::default().append(&mut whole, raw);
        assert_eq!(whole, normalize(raw));
        let chars: Vec<char> = raw.chars().collect();
        let end = u32::try_from(chars.len()).unwrap();
        for step in [1, 2, 3, 7, MARK_EVERY_CHARS, 4_000, usize::MAX] {
            let (mut positions, mut text) = (Positions::default(), String::new());
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
            assert_eq!(positions.byte(&text, end), Some(text.len()));
            assert_eq!(positions.byte(&text, end + 1), None);
            let mut marked = 0;
            let marks = positions.marks.iter().map(|&(chars, _)| chars);
            for mark in marks.chain([chars.len()]) {
                assert!(mark - marked <= 2 * MARK_EVERY_CHARS, "{marked} to {mark} by {step}");
                marked = mark;
            }
        }
    }

    #[test]
    fn code_points_are_found_however_the_text_came() {
        check("");
        check(&"ä\r\n🦀b\rc\r\n\0d\n".repeat(100));
        check(&"ä🦀b\rc\0".repeat(500));
        // The line's end lies where a run would be cut.
        for length in MARK_EVERY_CHARS - 2..MARK_EVERY_CHARS + 2 {
            check(&format!("{}\r\n", "ä".repeat(length)).repeat(3));
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

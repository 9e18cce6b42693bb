//! Running text: whole paragraphs as long as they fit, a new chunk at a heading once there is something in the old one.

use std::ops::Range;

use super::{
    ChunkSettings, Piece, cut,
    outline::{Marks, Reader, Trail},
};

/// The part of the target from which on a heading begins a new chunk.
const ENOUGH: usize = 4;

/// A paragraph, a heading or a block of code.
struct Block {
    range: Range<usize>,
    /// How deep a heading stands, and what it says.
    heading: Option<(u8, String)>,
}

/// Cuts a text that stands below the headings of `trail`, and leaves there those its end stands below. Where marks are in
/// the text, fenced code stays together if it fits.
pub fn pieces(text: &str, marks: &Marks<'_>, trail: &mut Trail, settings: &ChunkSettings) -> Vec<Piece> {
    let mut packer = Packer {
        text,
        settings,
        pieces: Vec::new(),
        open: None,
        heading: trail.name(),
        trail,
    };
    for block in blocks(text, marks) {
        packer.add(&block);
    }
    packer.flush();
    packer.pieces
}

fn blocks(text: &str, marks: &Marks<'_>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut reader = Reader::new(text, marks);
    let mut open: Option<Range<usize>> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        if reader.is_in_heading(&range)
            && let Some(block) = blocks.last_mut()
        {
            block.range.end = range.end;
            continue;
        }
        let was_code = reader.in_code();
        let heading = reader.heading(&range, line);
        let is_code = was_code || reader.in_code();
        let ends_before = heading.is_some() || (line.trim().is_empty() && !is_code);
        if ends_before && let Some(range) = open.take() {
            blocks.push(Block { range, heading: None });
        }
        match heading {
            Some(heading) => blocks.push(Block {
                range,
                heading: Some(heading).filter(|(_, text)| !text.is_empty()),
            }),
            None if ends_before => {}
            None => open = Some(open.map_or(range.start, |open| open.start)..range.end),
        }
    }
    if let Some(range) = open {
        blocks.push(Block { range, heading: None });
    }
    blocks
}

/// The chunk that is being filled.
struct Open {
    range: Range<usize>,
    heading: Option<String>,
    /// Where the headings begin that stand at its end, with nothing below them yet.
    dangling: Option<(usize, Option<String>)>,
}

struct Packer<'a> {
    text: &'a str,
    settings: &'a ChunkSettings,
    pieces: Vec<Piece>,
    open: Option<Open>,
    /// The headings above, and how they are told.
    trail: &'a mut Trail,
    heading: Option<String>,
}

impl Packer<'_> {
    fn add(&mut self, block: &Block) {
        let is_heading = block.heading.is_some();
        if let Some((level, text)) = &block.heading {
            self.trail.enter(*level, text);
            self.heading = self.trail.name();
            self.before_heading();
        }
        self.make_room(&block.range);
        let start = self.open.as_ref().map_or(block.range.start, |open| open.range.start);
        if !cut::fits(self.text, &(start..block.range.end), self.settings.target) {
            self.add_long(start..block.range.end);
            return;
        }
        let heading = self.heading.clone();
        let open = self.open.get_or_insert_with(|| Open {
            range: block.range.clone(),
            heading: heading.clone(),
            dangling: None,
        });
        open.range.end = block.range.end;
        open.dangling = match open.dangling.take() {
            _ if !is_heading => None,
            Some(dangling) => Some(dangling),
            None => Some((block.range.start, heading)),
        };
    }

    /// A heading begins a new chunk, unless the old one has hardly anything in it.
    fn before_heading(&mut self) {
        let Some(open) = &self.open else {
            return;
        };
        if open.dangling.is_none() && !cut::fits(self.text, &open.range, self.settings.target / ENOUGH) {
            self.flush();
        }
    }

    /// Ends the open chunk if the block does not fit into it; headings at its end go with the block.
    fn make_room(&mut self, block: &Range<usize>) {
        let Some(open) = &mut self.open else {
            return;
        };
        if cut::fits(self.text, &(open.range.start..block.end), self.settings.target) {
            return;
        }
        match open.dangling.take() {
            Some((start, heading)) if start > open.range.start => {
                let carried = Open {
                    range: start..open.range.end,
                    heading,
                    dangling: None,
                };
                open.range.end = start;
                self.flush();
                self.open = Some(carried);
            }
            // Nothing but headings: they stay in front of the block.
            Some(_) => {}
            None => self.flush(),
        }
    }

    /// A block over the target: cut, its last piece left open for what follows.
    fn add_long(&mut self, range: Range<usize>) {
        let heading = self
            .open
            .take()
            .and_then(|open| open.heading)
            .or_else(|| self.heading.clone());
        let mut ranges = cut::long(self.text, range, self.settings, self.settings.overlap);
        let last = ranges.pop();
        for range in ranges {
            self.pieces.push(Piece {
                range,
                heading: heading.clone(),
                before: None,
            });
        }
        self.open = last.map(|range| Open {
            range,
            heading: self.heading.clone(),
            dangling: None,
        });
    }

    fn flush(&mut self) {
        if let Some(open) = self.open.take() {
            self.pieces.push(Piece {
                range: open.range,
                heading: open.heading,
                before: None,
            });
        }
    }
}

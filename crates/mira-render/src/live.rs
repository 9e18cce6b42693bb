//! A reply that grows: which of its blocks changed, as HTML.
//!
//! The text before the last settled block start is never looked at again, so a push costs what the last block costs,
//! not what the reply costs. The last block itself is rendered whole each time (the client replaces it whole), which
//! for a long one would be quadratic; therefore a pass waits until the text grew by a share of what the pass before
//! wrote, see [`growth_due`]. A paragraph or a short list is still rendered with every few characters. Highlighting
//! keeps its state per line.
//!
//! While the text grows its open ends are closed for the view (see `mend`); [`LiveHtml::finish`] renders the end as
//! it is. After it the blocks joined equal what `render` makes of the whole text.

use std::borrow::Cow;

use crate::block::{self, Block, Kind};
use crate::cites::{Place, Places, Positions};
use crate::highlight::CodeCache;
use crate::html::block_html;
use crate::mend;

/// Up to `SMOOTH_BYTES` of HTML a pass waits for growth by this fraction of it.
const SMOOTH_DIVISOR: usize = 256;
/// What a reader follows by eye; beyond it the wait grows with the square, so that the passes over a block of any
/// length write some tens of megabytes at most before `COARSE_DIVISOR` takes over.
const SMOOTH_BYTES: usize = 64 * 1024;
/// No pass waits for more growth than this fraction of the text that may change: in the long run a block costs this
/// many times its own rendering.
const COARSE_DIVISOR: usize = 8;

/// How many bytes of text must come before the next pass, after one that read `read` bytes and wrote `written`.
fn growth_due(read: usize, written: usize) -> usize {
    let cost = read.max(written);
    let smooth = cost / SMOOTH_DIVISOR;
    smooth
        .saturating_mul((cost / SMOOTH_BYTES).max(1))
        .min((read / COARSE_DIVISOR).max(1))
}

/// Renders a growing reply block by block. A block is named by its index among the top-level blocks, from 0.
///
/// Link definitions (`[a]: https://…`) reach other blocks only with [`LiveHtml::finish`], and so does a place that is
/// told when its block can no longer change.
#[derive(Default)]
pub struct LiveHtml {
    text: String,
    positions: Positions,
    cites: Places,
    /// A place lies before `settled_at`.
    cited_late: bool,
    /// Where the blocks that may still change begin in `text`, and how many come before.
    settled_at: usize,
    settled: usize,
    blocks: Vec<Slot>,
    code: CodeCache,
    /// Length of `text` at the last pass, and the growth that makes the next one due.
    seen: usize,
    due_after: usize,
}

struct Slot {
    html: String,
    changed: bool,
}

/// Whether the view of the end may be a guess.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Final,
}

impl LiveHtml {
    /// An empty reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends text, cut anywhere. Cheap: nothing is rendered before it is asked for.
    pub fn push(&mut self, text: &str) {
        self.positions.append(&mut self.text, text);
    }

    /// A place of the text so far points at a source. It shows with the next pass.
    pub fn cite(&mut self, place: &Place) {
        let from = self.cites.add(place, &self.text, &self.positions);
        self.cited_late |= from.is_some_and(|from| from <= self.settled_at && self.settled > 0);
    }

    /// The blocks that changed since they were last returned, with their HTML; an empty HTML means that the block is
    /// gone (two became one). May return nothing although text was pushed, see the module's documentation.
    pub fn render_changed(&mut self) -> Vec<(usize, String)> {
        let growth = self.text.len() - self.seen;
        if growth > 0 && growth >= self.due_after {
            self.pass(End::Open);
        }
        self.take_changed()
    }

    /// The last changes of a reply that is complete: nothing waits, nothing is guessed. More text may follow, though.
    pub fn finish(&mut self) -> Vec<(usize, String)> {
        if self.cited_late || block::has_definitions(&self.text) {
            // Definitions reach over blocks, so all of them are looked at once more.
            self.cited_late = false;
            (self.settled_at, self.settled) = (0, 0);
            self.code = CodeCache::new();
        }
        self.pass(End::Final);
        self.take_changed()
    }

    /// All blocks as they are now, for a client that joins. Does not affect what `render_changed` returns next.
    pub fn snapshot(&mut self) -> Vec<(usize, String)> {
        if self.text.len() > self.seen {
            self.pass(End::Open);
        }
        let shown = self.blocks.iter().enumerate().filter(|(_, slot)| !slot.html.is_empty());
        shown.map(|(index, slot)| (index, slot.html.clone())).collect()
    }

    fn take_changed(&mut self) -> Vec<(usize, String)> {
        let changed = self.blocks.iter_mut().enumerate().filter(|(_, slot)| slot.changed);
        changed
            .map(|(index, slot)| {
                slot.changed = false;
                (index, slot.html.clone())
            })
            .collect()
    }

    /// Renders everything from the last settled block start, and moves that start on.
    fn pass(&mut self, end: End) {
        let text = std::mem::take(&mut self.text);
        let tail = text.get(self.settled_at..).unwrap_or_default();
        self.code.rewind(end == End::Open);

        let shown = if end == End::Open {
            mend::without_marks(tail)
        } else {
            tail
        };
        let mut found = block::split(shown);
        let last = found.pop();
        let mut index = self.settled;
        let mut written = 0;
        let mut settled = (0, 0, 0);
        let mut previous: Option<Kind> = None;
        for block in found {
            let (start, kind) = (block.start, block.kind);
            if previous.is_some_and(|previous| block::is_settled(tail, previous, start)) {
                settled = (start, index - self.settled, self.code.seen());
            }
            previous = Some(kind);
            written += self.show(index, block, shown, self.settled_at);
            index += 1;
        }
        if let Some(last) = last {
            if previous.is_some_and(|previous| block::is_settled(tail, previous, last.start)) {
                settled = (last.start, index - self.settled, self.code.seen());
            }
            let (count, bytes) = self.show_last(index, shown, last, end);
            index += count;
            written += bytes;
        }
        for slot in self.blocks.iter_mut().skip(index) {
            slot.changed |= !slot.html.is_empty();
            slot.html.clear();
        }

        self.due_after = growth_due(tail.len(), written);
        self.seen = text.len();
        self.settled_at += settled.0;
        self.settled += settled.1;
        self.code.forget(settled.2);
        self.text = text;
    }

    /// Shows the last block, its open ends closed if it may be a guess. How many blocks that gave, and bytes of HTML.
    fn show_last<'a>(&mut self, index: usize, shown: &'a str, last: Block<'a>, end: End) -> (usize, usize) {
        let source = shown.get(last.start..).unwrap_or_default();
        let is_guess = end == End::Open && !last.ends_in_code;
        let Some(Cow::Owned(mended)) = is_guess.then(|| mend::close(source)) else {
            return (1, self.show(index, last, shown, self.settled_at));
        };
        let base = self.settled_at + last.start;
        let mut written = 0;
        let blocks = block::split(&mended);
        let count = blocks.len();
        for (offset, block) in blocks.into_iter().enumerate() {
            written += self.show(index + offset, block, &mended, base);
        }
        (count, written)
    }

    /// Shows a block; `source` is what was parsed, and stands at byte `base` of the text.
    fn show<'a>(&mut self, index: usize, block: Block<'a>, source: &'a str, base: usize) -> usize {
        let html = block_html(self.cites.weave(block, source, base), &mut self.code);
        let written = html.len();
        while self.blocks.len() <= index {
            self.blocks.push(Slot {
                html: String::new(),
                changed: false,
            });
        }
        if let Some(slot) = self.blocks.get_mut(index)
            && slot.html != html
        {
            *slot = Slot { html, changed: true };
        }
        written
    }
}

//! A document's text in pieces small enough to be found and quoted, each with its place.
//!
//! Invariants:
//! - a chunk is a stretch of one part's text, as it stands there; only CSV repeats its first row in front;
//! - together the chunks hold all of the text but blank lines; two overlap only where a paragraph or a line was cut;
//! - no chunk is empty, none goes over the end of a page, and none has more than the target's characters, apart from
//!   the row CSV repeats.

mod code;
mod cut;
mod outline;
mod place;
mod prose;
mod rows;

use std::ops::Range;

use crate::{Document, Kind};
use outline::{Marks, Trail};
use place::Places;

/// Less than this is no size for a chunk.
const LEAST_TARGET: usize = 64;
/// How large chunks are, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSettings {
    /// The size to come close to, and not to exceed. At least 64.
    pub target: usize,
    /// How much of its end a piece of a cut paragraph shares with the next one. At most a quarter of the target.
    pub overlap: usize,
}

impl Default for ChunkSettings {
    fn default() -> Self {
        Self {
            target: 1200,
            overlap: 150,
        }
    }
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What it says.
    pub text: String,
    /// The page it is on, from 1. PDF only.
    pub page: Option<u32>,
    /// Its first and its last line in the file, from 1. Plain text, Markdown, code and CSV only.
    pub lines: Option<(u32, u32)>,
    /// Where it stands: the document's title, then the headings it is below, from the highest to the nearest, as far as
    /// there are such.
    pub heading: Option<String>,
}

/// A stretch of a part's text.
pub(crate) struct Piece {
    range: Range<usize>,
    heading: Option<String>,
    /// What is put in front: the first row of a CSV.
    before: Option<Range<usize>>,
}

impl Piece {
    fn plain(range: Range<usize>) -> Self {
        Self {
            range,
            heading: None,
            before: None,
        }
    }
}

/// Cuts a document into chunks.
pub fn chunks(kind: Kind, document: &Document, settings: &ChunkSettings) -> Vec<Chunk> {
    let target = settings.target.max(LEAST_TARGET);
    let settings = ChunkSettings {
        target,
        overlap: settings.overlap.min(target / 4),
    };
    let mut chunks = Vec::new();
    // A page goes on below the headings of those before.
    let mut trail = Trail::new(document.title.as_deref());
    for part in &document.parts {
        let text = part.text.as_str();
        let above = trail.name();
        let pieces = match kind {
            Kind::Code => code::pieces(text, &settings),
            Kind::Csv => rows::pieces(text, &settings),
            Kind::Markdown | Kind::Html | Kind::Docx => prose::pieces(text, &Marks::InText, &mut trail, &settings),
            Kind::Text | Kind::Pdf | Kind::Image | Kind::Other => {
                prose::pieces(text, &Marks::Given(&part.headings), &mut trail, &settings)
            }
        };
        let places = match kind {
            Kind::Text | Kind::Markdown | Kind::Code | Kind::Csv => Some(Places::new(text)),
            Kind::Html | Kind::Pdf | Kind::Docx | Kind::Image | Kind::Other => None,
        };
        for piece in pieces {
            let range = cut::without_blank_lines(text, piece.range);
            let Some(own) = text.get(range.clone()).filter(|own| !own.trim().is_empty()) else {
                continue;
            };
            let before = piece.before.and_then(|before| text.get(before));
            chunks.push(Chunk {
                text: before.map_or_else(|| own.to_owned(), |before| format!("{before}\n{own}")),
                page: part.page,
                lines: places.as_ref().map(|places| places.lines(&range)),
                heading: piece.heading.or_else(|| above.clone()),
            });
        }
    }
    chunks
}

#[cfg(test)]
mod tests;

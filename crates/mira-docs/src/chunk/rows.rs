//! CSV: whole rows, each chunk with the first row in front, which names the columns.

use std::ops::Range;

use super::{ChunkSettings, Piece, code, cut};

/// The part of the target up to which the first row is repeated; a longer one would be most of each chunk.
const HEADER_SHARE: usize = 3;

/// Cuts rows.
pub fn pieces(text: &str, settings: &ChunkSettings) -> Vec<Piece> {
    let rows = rows(text);
    let first = rows.first().cloned().unwrap_or_default();
    let header = first.start..first.start + text.get(first.clone()).map_or(0, |row| row.trim_end().len());
    let header_length = cut::length(text, &header);
    let repeats = header_length <= settings.target / HEADER_SHARE && header_length > 0;
    let room = if repeats {
        settings.target - header_length - 1
    } else {
        settings.target
    };
    let before = |range: &Range<usize>| (repeats && range.start >= first.end).then(|| header.clone());

    // The end of the last line is not in the chunk.
    let fits = |range: Range<usize>| {
        let ends = usize::from(text.get(range.clone()).is_some_and(|rows| rows.ends_with('\n')));
        cut::fits(text, &(range.start..range.end - ends), room)
    };

    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for row in rows {
        let start = open.as_ref().map_or(row.start, |open| open.start);
        if fits(start..row.end) {
            open = Some(start..row.end);
            continue;
        }
        pieces.extend(open.take());
        if fits(row.clone()) {
            open = Some(row);
        } else {
            let within = ChunkSettings {
                target: room,
                ..*settings
            };
            pieces.extend(cut::long(text, row, &within, 0));
        }
    }
    pieces.extend(open);
    let piece = |range: Range<usize>| Piece {
        before: before(&range),
        range,
        heading: None,
    };
    pieces.into_iter().map(piece).collect()
}

/// The rows of a table. A line end between quotes does not end a row, unless the quotes never close: then there is no
/// telling, and every line is a row.
fn rows(text: &str) -> Vec<Range<usize>> {
    let lines = code::lines(text);
    let mut rows: Vec<Range<usize>> = Vec::new();
    let mut is_open = false;
    for line in &lines {
        let quotes = text.get(line.clone()).map_or(0, |line| line.matches('"').count());
        match rows.last_mut() {
            Some(row) if is_open => row.end = line.end,
            _ => rows.push(line.clone()),
        }
        is_open ^= quotes % 2 == 1;
    }
    if is_open { lines } else { rows }
}

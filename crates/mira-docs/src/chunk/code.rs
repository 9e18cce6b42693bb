//! Code: whole lines, best up to an empty line before one that is not indented, which is where most languages begin
//! something new.

use std::ops::Range;

use super::{ChunkSettings, Piece, cut};

/// Cuts code.
pub fn pieces(text: &str, settings: &ChunkSettings) -> Vec<Piece> {
    let lines = lines(text);
    let mut pieces = Vec::new();
    let mut first = 0;
    while let Some(start) = lines.get(first).map(|line| line.start) {
        let fitting = fitting(text, &lines, first, settings.target);
        if fitting == 0 {
            let line = lines.get(first).cloned().unwrap_or_default();
            pieces.extend(cut::long(text, line, settings, 0).into_iter().map(Piece::plain));
            first += 1;
            continue;
        }
        let count = if first + fitting < lines.len() {
            good_end(text, &lines, first, fitting)
        } else {
            fitting
        };
        first += count;
        let end = lines.get(first).map_or(text.len(), |line| line.start);
        pieces.push(Piece::plain(start..end));
    }
    pieces
}

/// The lines of a text, with their ends.
pub fn lines(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let range = at..at + line.len();
        at = range.end;
        range
    });
    lines.collect()
}

/// How many lines from `first` on are within the target.
fn fitting(text: &str, lines: &[Range<usize>], first: usize, target: usize) -> usize {
    let mut total = 0_usize;
    let from = lines.iter().skip(first).filter_map(|line| text.get(line.clone()));
    let fits = |line: &&str| {
        // The end of the last line is not in the chunk.
        let own = line.trim_end_matches('\n').chars().count();
        let fits = total.saturating_add(own) <= target;
        total = total
            .saturating_add(own)
            .saturating_add(usize::from(line.ends_with('\n')));
        fits
    };
    from.take_while(fits).count()
}

/// How many of `fitting` lines to take so that the next chunk begins with something new.
fn good_end(text: &str, lines: &[Range<usize>], first: usize, fitting: usize) -> usize {
    let line = |index: usize| {
        lines
            .get(first + index)
            .and_then(|line| text.get(line.clone()))
            .unwrap_or_default()
    };
    let begins = |index: &usize| {
        line(index.saturating_sub(1)).trim().is_empty()
            && line(*index).starts_with(|letter: char| !letter.is_whitespace())
    };
    let second_half = fitting.div_ceil(2)..=fitting;
    second_half
        .rev()
        .filter(|index| *index > 0)
        .find(begins)
        .unwrap_or(fitting)
}

//! Cutting a text that is longer than a chunk: after a line, a sentence or a word, whichever comes first in this order
//! in the second half of what fits.

use std::ops::Range;

use super::ChunkSettings;

/// How many characters a stretch has.
pub fn length(text: &str, range: &Range<usize>) -> usize {
    text.get(range.clone()).map_or(0, |text| text.chars().count())
}

/// Whether a stretch has at most `target` characters. Counts only where the number of bytes does not tell.
pub fn fits(text: &str, range: &Range<usize>, target: usize) -> bool {
    range.len() <= target || (range.len() <= target.saturating_mul(4) && length(text, range) <= target)
}

/// The stretch in pieces of at most the target, each but the first beginning with the end of the one before.
pub fn long(text: &str, range: Range<usize>, settings: &ChunkSettings, overlap: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while let Some(rest) = text.get(start..range.end).filter(|rest| !rest.is_empty()) {
        let fits = after_characters(rest, settings.target);
        if fits >= rest.len() {
            pieces.push(start..range.end);
            break;
        }
        let end = start + break_within(rest, fits);
        pieces.push(start..end);
        start = overlapped(text, start, end, overlap);
    }
    pieces
}

/// Without blank lines at its beginning and white space at its end. The first line keeps its indentation.
pub fn without_blank_lines(text: &str, range: Range<usize>) -> Range<usize> {
    let Some(own) = text.get(range.clone()) else {
        return range.start..range.start;
    };
    let end = range.start + own.trim_end().len();
    let indented = own.len() - own.trim_start().len();
    let blank = own
        .get(..indented)
        .and_then(|blank| blank.rfind('\n'))
        .map_or(0, |at| at + 1);
    (range.start + blank).min(end)..end
}

/// The byte after so many characters.
fn after_characters(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// The best place to end a piece within the first `fits` bytes. Never 0.
fn break_within(text: &str, fits: usize) -> usize {
    let window = text.get(..fits).unwrap_or(text);
    let half = window.floor_char_boundary(fits / 2);
    let tail = window.get(half..).unwrap_or_default();
    let line = || tail.rfind('\n').map(|at| at + 1);
    let sentence = || {
        let mut ends = tail.char_indices().rev().zip(tail.chars().rev().skip(1));
        // White space after the end of a sentence; the scripts that have none put the mark itself there.
        let after =
            ends.find(|((_, space), mark)| space.is_whitespace() && matches!(mark, '.' | '!' | '?' | ':' | ';'));
        let after = after.map(|((at, space), _)| at + space.len_utf8());
        after.or_else(|| tail.rfind(['。', '！', '？']).map(|at| at + '。'.len_utf8()))
    };
    let word = || {
        tail.char_indices()
            .rev()
            .find(|(_, letter)| letter.is_whitespace())
            .map(|(at, space)| at + space.len_utf8())
    };
    let found = line().or_else(sentence).or_else(word).map(|at| half + at);
    found.filter(|at| *at > 0).unwrap_or(fits)
}

/// Where the piece after one that ends at `end` begins: some characters before, at the start of a word.
fn overlapped(text: &str, start: usize, end: usize, overlap: usize) -> usize {
    if overlap == 0 {
        return end;
    }
    let own = text.get(start..end).unwrap_or_default();
    let Some((back, _)) = own.char_indices().rev().nth(overlap.saturating_sub(1)) else {
        return end;
    };
    let shared = own.get(back..).unwrap_or_default();
    let word = shared.find(char::is_whitespace).map_or(0, |at| at);
    let word = shared
        .get(word..)
        .map_or(word, |rest| word + rest.len() - rest.trim_start().len());
    let next = start + back + word;
    // A piece goes on from where the last one was, and never stays in place.
    if next > start && next < end { next } else { end }
}

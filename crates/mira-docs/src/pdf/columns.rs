//! The order in which a page is read: columns one after the other, everything else from top to bottom.
//!
//! A page has columns where an upright strip is empty but for a few lines across it, such as headlines. A table has such
//! strips as well; its cells are drawn row by row, and its columns are not filled like running text.

use super::words::{Segment, Word};

/// A gap wider than this part of the size ends a segment.
const SEGMENT_GAP: f32 = 0.85;
/// How wide the empty strip must be, as part of the usual size.
const GUTTER: f32 = 0.8;
/// Where the strip may be: not within this part of the width from either side.
const MARGIN: f32 = 0.15;
/// How fine strips are looked for, as parts of the width.
const BINS: usize = 600;
/// Lines each column must have.
const LEAST_LINES: usize = 3;
/// How often columns may be left in columns.
const DEPTH: u32 = 4;

/// A line's words in groups without wide gaps.
pub fn segments(lines: Vec<Vec<Word>>) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for line in lines {
        let mut open: Segment = Vec::new();
        for word in line {
            let is_far = open
                .last()
                .is_some_and(|last| word.x0 - last.x1 > SEGMENT_GAP * last.size.max(word.size));
            if is_far {
                segments.push(std::mem::take(&mut open));
            }
            open.push(word);
        }
        if !open.is_empty() {
            segments.push(open);
        }
    }
    segments
}

/// The page's regions in reading order. Within each, reading is from top to bottom.
pub fn regions(segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    let mut regions = Vec::new();
    split(segments, DEPTH, &mut regions);
    regions
}

fn split(segments: Vec<Segment>, depth: u32, regions: &mut Vec<Vec<Segment>>) {
    let gutter = if depth == 0 { None } else { gutter(&segments) };
    let Some(gutter) = gutter else {
        if !segments.is_empty() {
            regions.push(segments);
        }
        return;
    };
    let (across, beside): (Vec<_>, Vec<_>) = segments
        .into_iter()
        .partition(|segment| left(segment) < gutter && right(segment) > gutter);
    // Between two lines across, the columns are read; what is not columns there is read with those lines.
    let mut plain: Vec<Segment> = Vec::new();
    let mut beside = beside.into_iter().peekable();
    let mut across = across.into_iter().peekable();
    while beside.peek().is_some() || across.peek().is_some() {
        let border = across.peek().map_or(f32::INFINITY, baseline);
        let mut band = Vec::new();
        while let Some(segment) = beside.next_if(|segment| baseline(segment) < border) {
            band.push(segment);
        }
        if are_columns(&band, gutter) {
            if !plain.is_empty() {
                regions.push(std::mem::take(&mut plain));
            }
            let (first, second) = band.into_iter().partition(|segment| right(segment) <= gutter);
            split(first, depth - 1, regions);
            split(second, depth - 1, regions);
        } else {
            plain.extend(band);
        }
        plain.extend(across.next());
    }
    if !plain.is_empty() {
        regions.push(plain);
    }
}

/// The middle of the emptiest strip, if it is empty and wide enough.
fn gutter(segments: &[Segment]) -> Option<f32> {
    if segments.len() < 2 * LEAST_LINES {
        return None;
    }
    let start = segments.iter().map(left).min_by(f32::total_cmp)?;
    let end = segments.iter().map(right).max_by(f32::total_cmp)?;
    let mut sizes: Vec<f32> = segments
        .iter()
        .filter_map(|segment| segment.first())
        .map(|word| word.size)
        .collect();
    sizes.sort_by(f32::total_cmp);
    let size = *sizes.get(sizes.len() / 2)?;
    let width = end - start;
    if !width.is_finite() || width < 20.0 * size {
        return None;
    }
    let covered = coverage(segments, start, width);
    let margin = bin(MARGIN);
    let inner = covered.get(margin..BINS - margin)?;
    let least = *inner.iter().min()?;
    if least * 4 > segments.len() {
        return None;
    }
    let (from, length) = widest(inner, least);
    let is_wide = length as f32 / BINS as f32 * width >= GUTTER * size;
    let middle = (margin + from) as f32 + length as f32 / 2.0;
    is_wide.then_some(start + middle / BINS as f32 * width)
}

/// How many segments are over each of the strips of the width.
fn coverage(segments: &[Segment], start: f32, width: f32) -> Vec<usize> {
    let mut covered = vec![0_usize; BINS];
    for segment in segments {
        let from = bin((left(segment) - start) / width);
        let to = bin((right(segment) - start) / width);
        for count in covered.iter_mut().take(to.saturating_add(1)).skip(from) {
            *count += 1;
        }
    }
    covered
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the number of bins before"
)]
fn bin(part: f32) -> usize {
    (part * BINS as f32).clamp(0.0, (BINS - 1) as f32) as usize
}

/// The longest run of `value`: where it begins, and how long it is.
fn widest(values: &[usize], value: usize) -> (usize, usize) {
    let (mut best, mut start) = ((0, 0), 0);
    for run in values.chunk_by(|a, b| (*a == value) == (*b == value)) {
        if run.first() == Some(&value) && run.len() > best.1 {
            best = (start, run.len());
        }
        start += run.len();
    }
    best
}

/// Whether what is left and right of the gutter is read one after the other, and not row by row.
fn are_columns(band: &[Segment], gutter: f32) -> bool {
    let (first, second): (Vec<_>, Vec<_>) = band.iter().partition(|segment| right(segment) <= gutter);
    let fewer = first.len().min(second.len());
    if fewer < LEAST_LINES {
        return false;
    }
    let mut drawn: Vec<(usize, bool)> = band
        .iter()
        .map(|segment| (order(segment), right(segment) <= gutter))
        .collect();
    drawn.sort_unstable();
    let changes = drawn
        .windows(2)
        .filter(|pair| matches!(pair, [(_, a), (_, b)] if a != b))
        .count();
    changes <= (fewer / 5).max(1) || (fewer >= 2 * LEAST_LINES && is_prose(&first) && is_prose(&second))
}

/// Whether a column is filled to its right end by most of its lines.
fn is_prose(column: &[&Segment]) -> bool {
    let start = column.iter().map(|segment| left(segment)).fold(f32::INFINITY, f32::min);
    let end = column
        .iter()
        .map(|segment| right(segment))
        .fold(f32::NEG_INFINITY, f32::max);
    let is_full = |segment: &&&Segment| {
        let letters: usize = segment.iter().map(|word| word.text.chars().count()).sum();
        letters >= 15 && right(segment) - start >= 0.75 * (end - start)
    };
    column.iter().filter(is_full).count() * 3 >= column.len() * 2
}

fn left(segment: &Segment) -> f32 {
    segment.first().map_or(0.0, |word| word.x0)
}

fn right(segment: &Segment) -> f32 {
    segment.iter().map(|word| word.x1).fold(f32::NEG_INFINITY, f32::max)
}

fn baseline(segment: &Segment) -> f32 {
    segment.first().map_or(0.0, |word| word.y)
}

fn order(segment: &Segment) -> usize {
    segment.iter().map(|word| word.order).min().unwrap_or(0)
}

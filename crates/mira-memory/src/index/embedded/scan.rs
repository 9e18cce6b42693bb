//! The scan: every wanted row is compared with the query, the best are kept. Pure and blocking; to be run where blocking
//! is allowed.
//!
//! Bytes are compared in one pass, the best then by all their bits. With nibbles a first pass counts in how many signs a
//! row differs from the query, and the nearest third goes through the second: on vectors that are random in all
//! directions, the worst there is, the signs' order is so loose that less would lose neighbours; on real ones a
//! hundredth would do.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into `Part` is made for the plainest processor"
)]

use super::{
    codes::{Form, Query},
    compact::{Segment, Shape, Tags, View, Wanted},
};
use mira_core::ids::MemoryId;
use pulp::{Arch, Simd, WithSimd};
use std::sync::Arc;

/// From this many bytes on two threads scan.
const BYTES_FOR_TWO: usize = 50_000_000;
/// One of this many rows goes through the second pass.
const SHARE: usize = 3;
/// At least as many rows go through the second pass.
const LEAST: usize = 4096;

/// A row that is among the best, by its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub id: MemoryId,
    pub key: i64,
    /// The cosine, as well as the code tells.
    pub near: f32,
    segment: usize,
    row: usize,
}

/// The best so far.
struct Best {
    keep: usize,
    /// Below this nothing is among the best any more.
    floor: f32,
    found: Vec<Candidate>,
}

impl Best {
    fn new(keep: usize) -> Self {
        Self {
            keep,
            floor: f32::NEG_INFINITY,
            found: Vec::with_capacity(2 * keep),
        }
    }

    fn offer(&mut self, tags: &Tags, near: f32, segment: usize, row: usize) {
        if near <= self.floor {
            return;
        }
        self.found.push(Candidate {
            id: tags.id,
            key: tags.key,
            near,
            segment,
            row,
        });
        if self.found.len() >= 2 * self.keep {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.keep == 0 || self.found.len() <= self.keep {
            return;
        }
        let (_, worst, _) = self
            .found
            .select_nth_unstable_by(self.keep - 1, |a, b| b.near.total_cmp(&a.near));
        self.floor = worst.near;
        self.found.truncate(self.keep);
    }

    fn into_vec(mut self) -> Vec<Candidate> {
        self.cut();
        self.found
    }
}

/// The `keep` best rows by their codes, in any order.
pub(super) fn scan(view: &View, query: &Query, keep: usize) -> Vec<Candidate> {
    let rows: usize = view.segments.iter().map(|segment| segment.tags.len()).sum();
    if rows * view.shape.code_bytes < BYTES_FOR_TWO {
        return part(&view.segments, view.shape, &view.wanted, query, keep);
    }
    let (left, right) = view.segments.split_at(view.segments.len() / 2);
    let part = |segments: &[Arc<Segment>]| part(segments, view.shape, &view.wanted, query, keep);
    let mut found = std::thread::scope(|scope| {
        let other = scope.spawn(|| part(right));
        let mut found = part(left);
        match other.join() {
            Ok(more) => found.extend(more),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        found
    });
    found.sort_unstable_by(|a, b| b.near.total_cmp(&a.near));
    found.truncate(keep);
    found
}

fn part(segments: &[Arc<Segment>], shape: Shape, wanted: &Wanted, query: &Query, keep: usize) -> Vec<Candidate> {
    let part = Part {
        segments,
        shape,
        wanted,
        query,
        best: Best::new(keep),
    };
    Arch::new().dispatch(part)
}

/// A part of a scan, made for the widest vector instructions of this processor. Not a closure: nobody promises that one
/// is inlined.
struct Part<'a> {
    segments: &'a [Arc<Segment>],
    shape: Shape,
    wanted: &'a Wanted,
    query: &'a Query,
    best: Best,
}

impl WithSimd for Part<'_> {
    type Output = Vec<Candidate>;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) -> Self::Output {
        match self.shape.form {
            Form::Bytes => bytes(self.segments, self.shape, self.wanted, self.query, &mut self.best),
            Form::Nibbles => nibbles(self.segments, self.shape, self.wanted, self.query, &mut self.best),
        }
        self.best.into_vec()
    }
}

#[inline(always)]
fn bytes(segments: &[Arc<Segment>], shape: Shape, wanted: &Wanted, query: &Query, best: &mut Best) {
    let all = wanted.all();
    for (number, segment) in segments.iter().enumerate() {
        let rows = segment.codes.chunks_exact(shape.code_bytes).zip(&segment.factors);
        for (row, ((codes, &factor), tags)) in rows.zip(&segment.tags).enumerate() {
            if all || wanted.takes(tags) {
                best.offer(tags, query.with_bytes(codes, factor), number, row);
            }
        }
    }
    best.cut();
    for candidate in &mut best.found {
        let segment = segments.get(candidate.segment);
        if let Some(near) = segment.and_then(|segment| segment.near(candidate.row, shape, query)) {
            candidate.near = near;
        }
    }
}

#[inline(always)]
fn nibbles(segments: &[Arc<Segment>], shape: Shape, wanted: &Wanted, query: &Query, best: &mut Best) {
    /// Of a row that is not wanted.
    const NEVER: u32 = u32::MAX;
    let all = wanted.all();
    let rows = segments.iter().map(|segment| segment.tags.len()).sum();
    let mut distances: Vec<u32> = Vec::with_capacity(rows);
    // How many wanted rows differ in so many signs.
    let mut counts = vec![0_usize; shape.sign_words * 64 + 1];
    for segment in segments {
        for (signs, tags) in segment.signs.chunks_exact(shape.sign_words).zip(&segment.tags) {
            if !all && !wanted.takes(tags) {
                distances.push(NEVER);
                continue;
            }
            let distance = query.differs(signs);
            distances.push(distance);
            if let Some(count) = counts.get_mut(distance as usize) {
                *count += 1;
            }
        }
    }
    let matched: usize = counts.iter().sum();
    let reach = reach(&counts, (matched / SHARE).max(LEAST));
    let mut distances = distances.iter();
    for (number, segment) in segments.iter().enumerate() {
        let rows = segment.codes.chunks_exact(shape.code_bytes).zip(&segment.factors);
        for (row, (((codes, &factor), tags), &distance)) in rows.zip(&segment.tags).zip(distances.by_ref()).enumerate()
        {
            if distance <= reach {
                best.offer(tags, query.with_nibbles(codes, factor), number, row);
            }
        }
    }
}

/// The distance within which at least `wanted` rows are, if there are so many.
fn reach(counts: &[usize], wanted: usize) -> u32 {
    let mut seen = 0;
    for (distance, count) in (0_u32..).zip(counts) {
        seen += count;
        if seen >= wanted {
            return distance;
        }
    }
    u32::try_from(counts.len()).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_counts() {
        assert_eq!(reach(&[1, 0, 2, 5], 1), 0);
        assert_eq!(reach(&[1, 0, 2, 5], 2), 2);
        assert_eq!(reach(&[1, 0, 2, 5], 3), 2);
        assert_eq!(reach(&[1, 0, 2, 5], 4), 3);
        assert_eq!(reach(&[1, 0, 2, 5], 100), 4);
    }

    #[test]
    fn the_best_are_kept() {
        let mut best = Best::new(3);
        for near in [5, 1, 9, 3, 7, 2, 8, 9, 0] {
            let tags = Tags {
                id: MemoryId(uuid::Uuid::from_u128(near)),
                key: 0,
                at: 0,
                session: 0,
                project: 0,
                kind: mira_core::memory::MemoryKind::Message,
            };
            best.offer(&tags, near as f32, 0, 0);
        }
        let mut kept: Vec<f32> = best.into_vec().iter().map(|c| c.near).collect();
        kept.sort_by(f32::total_cmp);
        assert_eq!(kept, [8.0, 9.0, 9.0]);
    }
}

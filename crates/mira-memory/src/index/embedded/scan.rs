//! The scan: every wanted row is compared with the query, the best are kept. Pure and blocking; to be run where blocking
//! is allowed.
//!
//! Bytes are compared in one pass, the best then by all their bits. With nibbles a first pass counts in how many signs a
//! row differs from the query, and those that differ least go through the second: the first few thousand in any case, and
//! of the rest as many as may still hold one of the nearest, which those few thousand tell ([`Trend`]). On vectors that are
//! random in all directions, the worst there is, that is a third of all; of 100,000 texts' one in sixteen.

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
use std::{ops::RangeInclusive, sync::Arc};

/// From this many bytes on two threads scan.
const BYTES_FOR_TWO: usize = 50_000_000;
/// At least as many rows go through the second pass, and [`LEAST_OF_KEPT`] times as many as are kept.
const LEAST: usize = 2048;
/// See [`LEAST`].
const LEAST_OF_KEPT: usize = 8;
/// One of this many rows goes through the second pass at most.
const SHARE: usize = 3;
/// How many of the nearest must not be missed.
const SURE: usize = 16;
/// How many of them may be expected among the rows that do not go through the second pass.
const MISSED: f64 = 0.05;

/// A row that is among the best, by its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub id: MemoryId,
    pub key: i64,
    /// The cosine, as well as the code tells.
    pub near: f32,
    place: Place,
}

/// Where a row is in a part of a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
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

    fn offer(&mut self, tags: &Tags, near: f32, place: Place) {
        if near <= self.floor {
            return;
        }
        self.found.push(Candidate {
            id: tags.id,
            key: tags.key,
            near,
            place,
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

    /// The cosine of the n-th best; that of the worst where there are fewer.
    fn nth(&mut self, n: usize) -> f32 {
        let last = self.found.len().min(n).saturating_sub(1);
        if self.found.is_empty() {
            return f32::NEG_INFINITY;
        }
        let (_, nth, _) = self
            .found
            .select_nth_unstable_by(last, |a, b| b.near.total_cmp(&a.near));
        nth.near
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
    for (segment, of_segment) in segments.iter().enumerate() {
        let rows = of_segment.codes.chunks_exact(shape.code_bytes).zip(&of_segment.factors);
        for (row, ((codes, &factor), tags)) in rows.zip(&of_segment.tags).enumerate() {
            if all || wanted.takes(tags) {
                best.offer(tags, query.with_bytes(codes, factor), Place { segment, row });
            }
        }
    }
    best.cut();
    for candidate in &mut best.found {
        let segment = segments.get(candidate.place.segment);
        if let Some(near) = segment.and_then(|segment| segment.near(candidate.place.row, shape, query)) {
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
    let first = reach(&counts, LEAST.max(LEAST_OF_KEPT * best.keep));
    let mut trend = Trend::default();
    second_pass(
        segments,
        shape,
        query,
        (&distances, 0..=first),
        |distance, near, tags, place| {
            trend.learn(distance, near);
            best.offer(tags, near, place);
        },
    );
    let last = trend.reach(&counts, first, best.nth(SURE));
    let last = last.min(reach(&counts, matched / SHARE));
    second_pass(
        segments,
        shape,
        query,
        (&distances, first + 1..=last),
        |_, near, tags, place| {
            best.offer(tags, near, place);
        },
    );
}

/// Hands over the cosines of the rows at these distances, by their nibbles.
#[inline(always)]
fn second_pass(
    segments: &[Arc<Segment>],
    shape: Shape,
    query: &Query,
    (distances, of): (&[u32], RangeInclusive<u32>),
    mut take: impl FnMut(u32, f32, &Tags, Place),
) {
    if of.is_empty() {
        return;
    }
    let mut distances = distances.iter();
    for (segment, of_segment) in segments.iter().enumerate() {
        let rows = of_segment.codes.chunks_exact(shape.code_bytes).zip(&of_segment.factors);
        let rows = rows.zip(&of_segment.tags).zip(distances.by_ref());
        for (row, (((codes, &factor), tags), &distance)) in rows.enumerate() {
            if of.contains(&distance) {
                take(
                    distance,
                    query.with_nibbles(codes, factor),
                    tags,
                    Place { segment, row },
                );
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

/// What the number of signs in which a row differs says about its cosine: the straight line through what was seen, and
/// how far the rows are from it.
#[derive(Debug, Default)]
struct Trend {
    rows: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Trend {
    fn learn(&mut self, distance: u32, cosine: f32) {
        let (x, y) = (f64::from(distance), f64::from(cosine));
        self.rows += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.yy += y * y;
    }

    /// The distance beyond which fewer than [`MISSED`] of these rows can be expected to have a cosine above `floor`;
    /// not below `from`.
    fn reach(&self, counts: &[usize], from: u32, floor: f32) -> u32 {
        let (x, y) = (self.x / self.rows, self.y / self.rows);
        let (xx, xy, yy) = (
            self.xx / self.rows - x * x,
            self.xy / self.rows - x * y,
            self.yy / self.rows - y * y,
        );
        let slope = if xx > 0.0 { xy / xx } else { 0.0 };
        let variance = (yy - slope * xy).max(f64::MIN_POSITIVE);
        // The share of a normal distribution beyond z is below exp(-z * z / 2) / 2.
        let above = |distance: u32| {
            let off = f64::from(floor) - y - slope * (f64::from(distance) - x);
            if off > 0.0 {
                (-off * off / (2.0 * variance)).exp() / 2.0
            } else {
                1.0
            }
        };
        let mut missed = 0.0;
        let counts: Vec<(u32, usize)> = (0..).zip(counts.iter().copied()).collect();
        for &(distance, count) in counts.iter().rev() {
            missed += count as f64 * above(distance);
            if distance <= from || missed > MISSED {
                return distance.max(from);
            }
        }
        from
    }
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
    fn rows_are_looked_at_as_long_as_one_may_be_among_the_nearest() {
        // Cosines fall by 0.01 a sign, and are as much as `spread` off.
        let check = |spread: f32, floor: f32, reach: RangeInclusive<u32>| {
            let mut trend = Trend::default();
            for n in 0..400_u32 {
                let off = if n.is_multiple_of(2) { spread } else { -spread };
                let distance = n / 4;
                trend.learn(distance, 1.0 - distance as f32 / 100.0 + off);
            }
            let found = trend.reach(&[10; 300], 100, floor);
            assert!(reach.contains(&found), "{spread} {floor}: {found}");
        };
        check(0.001, 0.5, 100..=100);
        check(0.001, -0.5, 150..=151);
        check(0.1, -0.5, 170..=190);
        check(10.0, -0.5, 299..=299);
        check(0.001, f32::NEG_INFINITY, 299..=299);
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
            best.offer(&tags, near as f32, Place { segment: 0, row: 0 });
        }
        let mut kept: Vec<f32> = best.into_vec().iter().map(|c| c.near).collect();
        kept.sort_by(f32::total_cmp);
        assert_eq!(kept, [8.0, 9.0, 9.0]);
    }
}

//! The compact copy: every vector's code, and what filters ask, in segments that scans share.
//!
//! A scan takes the segments as they are and works on them without any lock; a change of a segment that is being
//! scanned makes a new one beside it. Segments are small enough that this costs a few milliseconds at worst.
//!
//! A row costs, beside its code: 48 bytes of [`Tags`], 4 of its factor and about 40 in the table of places. So a hundred
//! thousand 256-d vectors take 60 MB, a million 600 MB, and a hundred thousand 3072-d ones 200 MB.

use super::{
    super::{Filter, Hit},
    codes::{Code, Form, Query},
};
use jiff::Timestamp;
use mira_core::{
    ids::{MemoryId, ProjectId, SessionId},
    memory::MemoryKind,
};
use std::{collections::HashMap, hash::Hash, sync::Arc};

/// Bytes of codes in one segment: what a change during a scan may have to copy.
const SEGMENT_BYTES: usize = 4 << 20;

/// What a filter asks of a row, and what names it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tags {
    pub id: MemoryId,
    pub key: i64,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// 0: none.
    pub session: u32,
    /// 0: none.
    pub project: u32,
    pub kind: MemoryKind,
}

/// A row on its way into the copy.
#[derive(Debug)]
pub(super) struct Row {
    pub id: MemoryId,
    pub key: i64,
    pub at: i64,
    pub session: Option<SessionId>,
    pub project: Option<ProjectId>,
    pub kind: MemoryKind,
    pub code: Code,
}

/// Rows side by side; row `n` is the n-th of each list.
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    pub tags: Vec<Tags>,
    pub factors: Vec<f32>,
    pub codes: Vec<u8>,
    pub rest: Vec<u8>,
    pub signs: Vec<u64>,
}

/// How wide a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub form: Form,
    pub code_bytes: usize,
    pub rest_bytes: usize,
    pub sign_words: usize,
}

impl Shape {
    pub(super) fn of(dimension: usize) -> Self {
        let form = Form::of(dimension);
        Self {
            form,
            code_bytes: form.code_bytes(dimension).max(1),
            rest_bytes: form.rest_bytes(dimension),
            sign_words: form.sign_words(dimension),
        }
    }

    /// Bytes of a row's code.
    pub(super) fn row_bytes(self) -> usize {
        self.code_bytes + self.rest_bytes + 8 * self.sign_words
    }

    fn rows_of_segment(self) -> usize {
        (SEGMENT_BYTES / self.row_bytes()).clamp(64, 1 << 16)
    }
}

impl Segment {
    fn push(&mut self, tags: Tags, code: &Code) {
        self.tags.push(tags);
        self.factors.push(code.factor);
        self.codes.extend_from_slice(&code.codes);
        self.rest.extend_from_slice(&code.rest);
        self.signs.extend_from_slice(&code.signs);
    }

    fn set(&mut self, row: usize, tags: Tags, code: &Code) {
        if let Some(place) = self.tags.get_mut(row) {
            *place = tags;
        }
        if let Some(place) = self.factors.get_mut(row) {
            *place = code.factor;
        }
        overwrite(&mut self.codes, row, &code.codes);
        overwrite(&mut self.rest, row, &code.rest);
        overwrite(&mut self.signs, row, &code.signs);
    }

    /// The cosine of a row, as well as its code tells.
    pub(super) fn near(&self, row: usize, shape: Shape, query: &Query) -> Option<f32> {
        let codes = part(&self.codes, row, shape.code_bytes)?;
        let factor = *self.factors.get(row)?;
        Some(match shape.form {
            Form::Bytes => query.with_words(codes, part(&self.rest, row, shape.rest_bytes)?, factor),
            Form::Nibbles => query.with_nibbles(codes, factor),
        })
    }

    /// Takes the last row off.
    fn pop(&mut self, shape: Shape) -> Option<(Tags, Code)> {
        let tags = self.tags.pop()?;
        let factor = self.factors.pop()?;
        let codes = self.codes.split_off(self.codes.len().checked_sub(shape.code_bytes)?);
        let rest = self.rest.split_off(self.rest.len().checked_sub(shape.rest_bytes)?);
        let signs = self.signs.split_off(self.signs.len().checked_sub(shape.sign_words)?);
        let code = Code {
            codes,
            rest,
            signs,
            factor,
        };
        Some((tags, code))
    }
}

/// The row-th piece of so many.
fn part<T>(all: &[T], row: usize, width: usize) -> Option<&[T]> {
    all.get(row * width..)?.get(..width)
}

/// Puts a piece where the row-th of its width is.
fn overwrite<T: Clone>(all: &mut [T], row: usize, piece: &[T]) {
    let place = all
        .get_mut(row * piece.len()..)
        .and_then(|rest| rest.get_mut(..piece.len()));
    if let Some(place) = place {
        place.clone_from_slice(piece);
    }
}

/// Small numbers for ids, from 1.
#[derive(Debug)]
struct Numbers<T>(HashMap<T, u32>);

impl<T: Eq + Hash> Numbers<T> {
    fn number(&mut self, id: Option<T>) -> u32 {
        let Some(id) = id else { return 0 };
        let next = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        *self.0.entry(id).or_insert(next)
    }
}

/// A filter in the copy's own numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wanted {
    /// Empty: all.
    kinds: Vec<MemoryKind>,
    /// 0: all.
    session: u32,
    /// 0: all.
    project: u32,
    from: Option<i64>,
    until: Option<i64>,
}

impl Wanted {
    /// Whether every row is wanted.
    pub(super) fn all(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn takes(&self, row: &Tags) -> bool {
        (self.session == 0 || row.session == self.session)
            && (self.project == 0 || row.project == self.project)
            && self.from.is_none_or(|from| row.at >= from)
            && self.until.is_none_or(|until| row.at < until)
            && (self.kinds.is_empty() || self.kinds.contains(&row.kind))
    }
}

/// What one scan looks at: the copy as it was when it was taken.
#[derive(Debug)]
pub(super) struct View {
    pub segments: Vec<Arc<Segment>>,
    pub wanted: Wanted,
    pub shape: Shape,
}

/// Some rows, to be scored.
#[derive(Debug)]
pub(super) struct Picked {
    pub segments: Vec<Arc<Segment>>,
    /// Memory, segment and row.
    pub rows: Vec<(MemoryId, usize, usize)>,
    pub shape: Shape,
}

impl View {
    /// Bytes of codes in it.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.segments.iter().map(|segment| segment.tags.len()).sum();
        rows * self.shape.row_bytes()
    }
}

impl Picked {
    /// Bytes of codes in it.
    pub(super) fn bytes(&self) -> usize {
        self.rows.len() * self.shape.row_bytes()
    }

    /// Their cosines, as well as their codes tell.
    pub(super) fn score(&self, query: &Query) -> Vec<Hit> {
        let cosine = |segment: usize, row| self.segments.get(segment)?.near(row, self.shape, query);
        let hits = self.rows.iter().filter_map(|&(id, segment, row)| {
            Some(Hit {
                id,
                cosine: cosine(segment, row)?.clamp(-1.0, 1.0),
            })
        });
        hits.collect()
    }
}

/// The copy.
#[derive(Debug)]
pub(super) struct Compact {
    shape: Shape,
    /// Rows of each segment but the last.
    rows_of_segment: usize,
    segments: Vec<Arc<Segment>>,
    /// Where a memory's row is: segment x rows of a segment + row.
    places: HashMap<MemoryId, u32>,
    sessions: Numbers<SessionId>,
    projects: Numbers<ProjectId>,
}

impl Compact {
    pub(super) fn new(dimension: usize) -> Self {
        let shape = Shape::of(dimension);
        Self {
            shape,
            rows_of_segment: shape.rows_of_segment(),
            segments: Vec::new(),
            places: HashMap::new(),
            sessions: Numbers(HashMap::new()),
            projects: Numbers(HashMap::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    fn split(&self, place: u32) -> (usize, usize) {
        let place = place as usize;
        (place / self.rows_of_segment, place % self.rows_of_segment)
    }

    /// Adds a row, or replaces the one of the same memory.
    pub(super) fn put(&mut self, row: Row) {
        let tags = Tags {
            id: row.id,
            key: row.key,
            at: row.at,
            session: self.sessions.number(row.session),
            project: self.projects.number(row.project),
            kind: row.kind,
        };
        if let Some(&place) = self.places.get(&row.id) {
            let (segment, index) = self.split(place);
            if let Some(segment) = self.segments.get_mut(segment) {
                Arc::make_mut(segment).set(index, tags, &row.code);
            }
            return;
        }
        // More rows than a u32 counts would take terabytes.
        let Ok(place) = u32::try_from(self.places.len()) else {
            return;
        };
        self.places.insert(row.id, place);
        match self.segments.last_mut() {
            Some(last) if last.tags.len() < self.rows_of_segment => Arc::make_mut(last).push(tags, &row.code),
            _ => {
                let mut segment = Segment::default();
                segment.push(tags, &row.code);
                self.segments.push(Arc::new(segment));
            }
        }
    }

    /// Takes a memory's row out; the last row takes its place.
    pub(super) fn remove(&mut self, id: MemoryId) {
        let Some(place) = self.places.remove(&id) else { return };
        let Some(last) = self.segments.last_mut() else { return };
        let Some((tags, code)) = Arc::make_mut(last).pop(self.shape) else {
            return;
        };
        if last.tags.is_empty() {
            self.segments.pop();
        }
        if tags.id == id {
            return;
        }
        self.places.insert(tags.id, place);
        let (segment, index) = self.split(place);
        if let Some(segment) = self.segments.get_mut(segment) {
            Arc::make_mut(segment).set(index, tags, &code);
        }
    }

    pub(super) fn clear(&mut self) {
        self.segments = Vec::new();
        self.places = HashMap::new();
    }

    /// The rows of some memories, those that have one.
    pub(super) fn pick(&self, ids: &[MemoryId]) -> Picked {
        let place = |id: &MemoryId| {
            let (segment, row) = self.split(*self.places.get(id)?);
            Some((*id, segment, row))
        };
        Picked {
            segments: self.segments.clone(),
            rows: ids.iter().filter_map(place).collect(),
            shape: self.shape,
        }
    }

    /// What a scan with this filter looks at; `None` if nothing can pass.
    pub(super) fn view(&self, filter: &Filter) -> Option<View> {
        let known = |number: Option<&u32>| number.copied();
        let session = match &filter.session {
            Some(id) => known(self.sessions.0.get(id))?,
            None => 0,
        };
        let project = match &filter.project {
            Some(id) => known(self.projects.0.get(id))?,
            None => 0,
        };
        Some(View {
            segments: self.segments.clone(),
            wanted: Wanted {
                kinds: filter.kinds.clone(),
                session,
                project,
                from: filter.from.map(Timestamp::as_millisecond),
                until: filter.until.map(Timestamp::as_millisecond),
            },
            shape: self.shape,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn row(id: u8, mark: u8) -> Row {
        Row {
            id: MemoryId(Uuid::from_u128(u128::from(id))),
            key: i64::from(id),
            at: i64::from(mark),
            session: (mark > 0).then(|| format!("s{}", mark % 3).parse().unwrap()),
            project: None,
            kind: MemoryKind::Message,
            code: Code {
                codes: vec![mark; 2],
                rest: vec![mark; 2],
                signs: Vec::new(),
                factor: f32::from(mark),
            },
        }
    }

    fn rows(copy: &Compact) -> Vec<(MemoryId, i64, Vec<u8>, f32)> {
        let mut rows = Vec::new();
        for segment in &copy.segments {
            assert_eq!(segment.tags.len() * 2, segment.codes.len());
            assert_eq!(segment.codes, segment.rest);
            for ((tags, code), factor) in segment.tags.iter().zip(segment.codes.chunks(2)).zip(&segment.factors) {
                rows.push((tags.id, tags.at, code.to_vec(), *factor));
            }
        }
        rows.sort_by_key(|row| row.0);
        rows
    }

    proptest! {
        /// Whatever is put and removed in whatever order, the copy holds what a map would.
        #[test]
        fn a_copy_is_a_map(ops in proptest::collection::vec((0_u8..40, any::<u8>(), any::<bool>()), 0..400)) {
            let mut copy = Compact::new(2);
            copy.rows_of_segment = 8;
            let mut map = std::collections::BTreeMap::new();
            for (id, mark, put) in ops {
                let held = copy.view(&Filter::default());
                if put {
                    copy.put(row(id, mark));
                    map.insert(row(id, mark).id, mark);
                } else {
                    copy.remove(row(id, mark).id);
                    map.remove(&row(id, mark).id);
                }
                drop(held);
                prop_assert_eq!(copy.len(), map.len());
            }
            let expect: Vec<_> = map
                .iter()
                .map(|(id, &mark)| (*id, i64::from(mark), vec![mark; 2], f32::from(mark)))
                .collect();
            prop_assert_eq!(rows(&copy), expect);
        }
    }

    #[test]
    fn a_view_stays_as_it_was() {
        let mut copy = Compact::new(2);
        copy.put(row(1, 1));
        let view = copy.view(&Filter::default()).unwrap();
        copy.put(row(1, 2));
        copy.put(row(2, 2));
        assert_eq!(view.segments[0].codes, [1, 1]);
        assert_eq!(copy.view(&Filter::default()).unwrap().segments[0].codes, [2, 2, 2, 2]);
    }

    #[test]
    fn an_unknown_session_has_nothing() {
        let mut copy = Compact::new(2);
        copy.put(row(1, 1));
        let of = |session: &str| Filter {
            session: Some(session.parse().unwrap()),
            ..Filter::default()
        };
        assert!(copy.view(&of("s1")).is_some());
        assert!(copy.view(&of("other")).is_none());
    }
}

//! Vectors of files in memory, as small codes beside each other, text by text. Pure; scans are for where blocking is
//! allowed.
//!
//! A shelf is a snapshot: what it holds is shared by its clones and changed only by making another. It knows up to where
//! in the order of vectors it has read, and holds at most [`MOST_BYTES`]: of more, those made last.

use crate::index::embedded::codes::{Form, Query};
use mira_core::ids::{AccountId, FileId};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Bytes of codes and keys held: a hundred and fifty thousand pieces of 256 numbers, which are some forty thousand pages.
const MOST_BYTES: usize = 40 << 20;
/// A centre out of few vectors says little; it counts as if so many of zeros were among them.
const THOUGHT_BESIDE: f32 = 50.0;

/// Whose vectors, and of which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Space {
    pub account: AccountId,
    pub model: Arc<str>,
    pub dimension: usize,
}

/// A text of a file: what one reader made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TextId {
    pub file: FileId,
    pub reader: i64,
}

impl TextId {
    /// Whether its file has a newer text by now, or is gone. The readers of the texts that are found.
    fn is_older_than(&self, files: &HashMap<FileId, i64>) -> bool {
        files.get(&self.file).is_none_or(|found| self.reader < *found)
    }
}

/// A vector on its way onto the shelf.
#[derive(Debug)]
pub(super) struct Arriving {
    pub seq: i64,
    pub text: TextId,
    pub key: i64,
    /// `None` where there is none, or a damaged one.
    pub vector: Option<Vec<f32>>,
}

/// The vectors of one text; row `n` is the n-th of each list.
#[derive(Debug, Clone, Default)]
struct Rows {
    /// When the newest was made, in the order of vectors.
    newest: i64,
    keys: Vec<i64>,
    factors: Vec<f32>,
    codes: Vec<u8>,
}

/// Vectors in memory.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub space: Space,
    /// Everything made up to here was read.
    pub seen: i64,
    form: Form,
    texts: HashMap<TextId, Arc<Rows>>,
    /// The sum of all vectors.
    sum: Vec<f32>,
    count: usize,
}

impl Shelf {
    pub(super) fn new(space: Space) -> Self {
        Self {
            form: Form::of(space.dimension),
            sum: vec![0.0; space.dimension],
            space,
            seen: 0,
            texts: HashMap::new(),
            count: 0,
        }
    }

    fn row_bytes(&self) -> usize {
        self.form.code_bytes(self.space.dimension).max(1) + size_of::<i64>() + size_of::<f32>()
    }

    /// Takes up what was made since, in its order.
    pub(super) fn take_up(&mut self, arriving: Vec<Arriving>) {
        for row in arriving {
            self.seen = self.seen.max(row.seq);
            let vector = row.vector.filter(|vector| vector.iter().any(|x| *x != 0.0));
            if let Some(vector) = vector {
                self.put(row.text, row.key, row.seq, &vector);
            }
        }
        while self.count > 1 && self.count * self.row_bytes() > MOST_BYTES {
            let oldest = self.texts.iter().min_by_key(|(_, rows)| rows.newest);
            let Some(text) = oldest.map(|(text, _)| *text) else {
                break;
            };
            self.drop_text(text);
        }
    }

    fn put(&mut self, text: TextId, key: i64, seq: i64, vector: &[f32]) {
        let code = self.form.encode(vector);
        let rows = Arc::make_mut(self.texts.entry(text).or_default());
        rows.newest = seq;
        rows.keys.push(key);
        rows.factors.push(code.factor);
        rows.codes.extend_from_slice(&code.codes);
        for (sum, x) in self.sum.iter_mut().zip(vector) {
            *sum += x;
        }
        self.count += 1;
    }

    /// Takes out what belongs to no file any more, or to a text older than the one that is found. The centre stays where it
    /// was: a few more or less do not move it.
    pub(super) fn drop_older(&mut self, files: &HashMap<FileId, i64>) {
        let texts = self.texts.keys().copied();
        let gone: Vec<TextId> = texts.filter(|text| text.is_older_than(files)).collect();
        for text in gone {
            self.drop_text(text);
        }
    }

    /// Whether there is something to take out.
    pub(super) fn has_older_than(&self, files: &HashMap<FileId, i64>) -> bool {
        self.texts.keys().any(|text| text.is_older_than(files))
    }

    fn drop_text(&mut self, text: TextId) {
        let Some(rows) = self.texts.remove(&text) else { return };
        let left = self.count.saturating_sub(rows.keys.len());
        let share = left as f32 / self.count.max(1) as f32;
        self.sum.iter_mut().for_each(|x| *x *= share);
        self.count = left;
    }

    /// The cosine of each piece of these texts with the query, both seen from the middle of all pieces: what every piece
    /// has in common says nothing.
    pub(super) fn compare(&self, texts: &HashSet<TextId>, query: &[f32]) -> Vec<(i64, f32)> {
        let weight = 1.0 / (self.count as f32 + THOUGHT_BESIDE);
        let centre: Vec<f32> = self.sum.iter().map(|x| x * weight).collect();
        let centre_length = centre.iter().map(|x| x * x).sum::<f32>().sqrt();
        let query_length = query.iter().map(|x| x * x).sum::<f32>().sqrt();
        if query.len() != self.space.dimension || query_length == 0.0 {
            return Vec::new();
        }
        let along: f32 = centre.iter().zip(query).map(|(c, q)| c * q).sum::<f32>() / query_length;
        let (asked, middle) = (Query::new(self.form, query), Query::new(self.form, &centre));
        let width = self.form.code_bytes(self.space.dimension).max(1);
        let mut found = Vec::with_capacity(self.count);
        for (_, rows) in self.texts.iter().filter(|(text, _)| texts.contains(text)) {
            for ((key, factor), codes) in rows.keys.iter().zip(&rows.factors).zip(rows.codes.chunks_exact(width)) {
                let near = |query: &Query| match self.form {
                    Form::Bytes => query.with_bytes(codes, *factor),
                    Form::Nibbles => query.with_nibbles(codes, *factor),
                };
                // |v - c|^2, with v of length 1.
                let apart = 1.0 - 2.0 * near(&middle) * centre_length + centre_length * centre_length;
                found.push((*key, (near(&asked) - along) / apart.max(0.01).sqrt()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn shelf() -> Shelf {
        Shelf::new(Space {
            account: AccountId(1),
            model: "m".into(),
            dimension: 4,
        })
    }

    fn text(n: u128) -> TextId {
        TextId {
            file: FileId(Uuid::from_u128(n)),
            reader: 1,
        }
    }

    fn arriving(seq: i64, of: u128, vector: [f32; 4]) -> Arriving {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
        Arriving {
            seq,
            text: text(of),
            key: seq * 10,
            vector: Some(vector.map(|x| x / length).to_vec()),
        }
    }

    fn best(shelf: &Shelf, texts: &[u128], query: [f32; 4]) -> Option<i64> {
        let texts = texts.iter().map(|n| text(*n)).collect();
        let found = shelf.compare(&texts, &query);
        found.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(key, _)| key)
    }

    #[test]
    fn the_nearest_is_found_where_it_may_be() {
        let mut shelf = shelf();
        shelf.take_up(vec![
            arriving(1, 1, [1.0, 0.0, 0.0, 0.1]),
            arriving(2, 1, [0.0, 1.0, 0.0, 0.1]),
            arriving(3, 2, [0.9, 0.3, 0.0, 0.1]),
            arriving(4, 2, [0.0; 4]),
        ]);
        assert_eq!((shelf.seen, shelf.count), (4, 3));
        assert_eq!(best(&shelf, &[1, 2], [1.0, 0.0, 0.0, 0.0]), Some(10));
        assert_eq!(best(&shelf, &[2], [0.0, 1.0, 0.0, 0.0]), Some(30));
        assert_eq!(best(&shelf, &[], [1.0, 0.0, 0.0, 0.0]), None);
        assert_eq!(shelf.compare(&HashSet::from([text(1)]), &[0.0; 4]), []);
        assert_eq!(shelf.compare(&HashSet::from([text(1)]), &[1.0; 3]), []);
    }

    /// Cosines are those of the vectors less their middle.
    #[test]
    fn what_all_have_in_common_counts_for_nothing() {
        let mut shelf = shelf();
        let all: Vec<[f32; 4]> = (0..200_u8)
            .map(|n| [10.0, f32::from(n % 7), f32::from(n % 5), 1.0])
            .collect();
        shelf.take_up((1..).zip(&all).map(|(seq, vector)| arriving(seq, 1, *vector)).collect());
        let unit: Vec<Vec<f32>> = all.iter().map(|v| arriving(1, 1, *v).vector.unwrap()).collect();
        let centre: Vec<f32> = (0..4).map(|i| unit.iter().map(|v| v[i]).sum::<f32>() / 250.0).collect();
        let query = [0.0, 1.0, 0.0, 0.0];
        for (key, cosine) in shelf.compare(&HashSet::from([text(1)]), &query) {
            let vector = &unit[usize::try_from(key / 10 - 1).unwrap()];
            let moved: Vec<f32> = vector.iter().zip(&centre).map(|(v, c)| v - c).collect();
            let length = moved.iter().map(|x| x * x).sum::<f32>().sqrt().max(0.1);
            let expect = moved.iter().zip(query).map(|(m, q)| m * q).sum::<f32>() / length;
            assert!((cosine - expect).abs() < 0.05, "{key}: {cosine} for {expect}");
        }
    }

    #[test]
    fn what_is_gone_is_taken_out() {
        let mut shelf = shelf();
        shelf.take_up(vec![arriving(1, 1, [1.0; 4]), arriving(2, 2, [1.0, 0.0, 0.0, 0.0])]);
        let left = HashMap::from([(text(2).file, 1)]);
        assert!(shelf.has_older_than(&left));
        let before = shelf.clone();
        shelf.drop_older(&left);
        assert!(!shelf.has_older_than(&left));
        assert_eq!((shelf.count, before.count), (1, 2));
        assert_eq!(best(&shelf, &[1, 2], [1.0; 4]), Some(20));
        // The next reader's text of it is not found yet, but will be.
        let newer = TextId { reader: 2, ..text(2) };
        shelf.take_up(vec![Arriving {
            text: newer,
            ..arriving(3, 2, [1.0; 4])
        }]);
        assert!(!shelf.has_older_than(&left));
        assert_eq!(best(&shelf, &[2], [1.0; 4]), Some(20));
        shelf.drop_older(&HashMap::from([(newer.file, 2)]));
        assert_eq!(shelf.compare(&HashSet::from([text(2)]), &[1.0; 4]), []);
        assert_eq!(shelf.compare(&HashSet::from([newer]), &[1.0; 4]).len(), 1);
    }
}

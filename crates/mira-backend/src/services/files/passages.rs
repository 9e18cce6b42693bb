//! What pieces say of a question in other words. Each word of the question looks for the word of a piece that comes nearest
//! to it: itself, one of its forms, or one of much the same meaning; what it finds counts by how much the word tells. That
//! is done over the whole piece, and over each passage of a few lines, since an answer stands close together.
//!
//! The late interaction of `ColBERT` (Khattab and Zaharia, 2020), with a table of words in place of a model that reads the
//! context. Pure; for where blocking is allowed.

use super::search::{Telling, is_name};
use mira_core::fusion::{stem::stem, words::each_word};
use mira_llm::embeddings::Vector;
use mira_memory::FileChunk;
use std::{collections::HashMap, sync::Arc};

/// Half a passage, in words.
const HALF: usize = 15;
/// Words less alike than this have nothing to do with each other.
const UNLIKE: f32 = 0.3;
/// Numbers side by side in a product.
const LANES: usize = 16;

/// How much of a question a piece says, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Saying {
    /// Anywhere in it.
    pub whole: f32,
    /// In its best passage.
    pub passage: f32,
}

/// Pieces as numbers of words.
#[derive(Debug, Default)]
pub(super) struct Texts {
    words: Vec<String>,
    /// Words that are forms of a word of the question, and which it is.
    forms: Vec<(u32, usize)>,
    /// Names of the question, as which of its words they are. Where one stands, its number stands behind it: the first
    /// has the number after the last word.
    names: Vec<usize>,
    pieces: Vec<Vec<u32>>,
}

/// Words as they are met.
struct Reading {
    /// Stems of the question's words.
    stems: Vec<String>,
    numbers: HashMap<String, u32>,
    texts: Texts,
}

impl Reading {
    fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = u32::try_from(self.texts.words.len()).unwrap_or(u32::MAX);
        self.numbers.insert(word.to_owned(), number);
        // A stem begins as its word does, which leaves few to be found.
        let begins_alike = |stem: &String| stem.bytes().next() == word.bytes().next();
        if self.stems.iter().any(begins_alike) {
            let own = stem(word);
            let columns = self.stems.iter().enumerate().filter(|(_, stem)| **stem == own);
            self.texts.forms.extend(columns.map(|(column, _)| (number, column)));
        }
        self.texts.words.push(word.to_owned());
        number
    }

    /// Marks the places where names of the question stand, once all is read.
    fn mark(&mut self, question: &[Telling]) {
        let is_named = |(_, word): &(usize, &Telling)| is_name(&word.word);
        let mut names = Vec::new();
        for (column, name) in question.iter().enumerate().filter(is_named) {
            let number = u32::try_from(self.texts.words.len() + self.texts.names.len()).unwrap_or(u32::MAX);
            self.texts.names.push(column);
            let parts = name.word.split(' ').map(|part| self.numbers.get(part).copied());
            names.extend(parts.collect::<Option<Vec<u32>>>().map(|parts| (number, parts)));
        }
        for piece in &mut self.texts.pieces {
            // All of them before a mark parts what stands together.
            let mut places: Vec<(usize, u32)> = Vec::new();
            for (number, parts) in &names {
                let stands = piece
                    .windows(parts.len())
                    .enumerate()
                    .filter(|(_, words)| words == parts);
                places.extend(stands.map(|(at, _)| (at + parts.len(), *number)));
            }
            places.sort_unstable();
            for (at, number) in places.into_iter().rev() {
                piece.insert(at, number);
            }
        }
    }
}

impl Texts {
    /// Reads headings and texts of pieces with a question in mind.
    pub(super) fn of<'a>(question: &[Telling], chunks: impl Iterator<Item = &'a FileChunk>) -> Self {
        let mut reading = Reading {
            stems: question.iter().map(|word| stem(&word.word)).collect(),
            numbers: HashMap::new(),
            texts: Self::default(),
        };
        for chunk in chunks {
            let mut piece = Vec::new();
            for text in [&chunk.heading, &chunk.text] {
                each_word(text, |word| piece.push(reading.number(word)));
            }
            reading.texts.pieces.push(piece);
        }
        reading.mark(question);
        reading.texts
    }

    /// Each word once, in the order of their numbers; to be embedded.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The words of each piece, in their order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u32]> {
        self.pieces.iter().map(Vec::as_slice)
    }
}

/// How near each word of the pieces comes to each word of the question.
#[derive(Debug)]
pub(super) struct Likeness {
    weights: Vec<f32>,
    /// For each word of the pieces one number for each word of the question, 0 to 1.
    rows: Vec<f32>,
}

impl Likeness {
    /// Compares; `vectors` are those of the pieces' words, in their order.
    pub(super) fn of(question: &[Telling], texts: &Texts, vectors: &[Vector]) -> Self {
        let width = question.len();
        let mut rows = vec![0.0; width * vectors.len()];
        for (vector, row) in vectors.iter().zip(rows.chunks_exact_mut(width.max(1))) {
            for (word, slot) in question.iter().zip(row) {
                let near = word.vector.as_ref().map_or(0.0, |own| dot(own, vector));
                *slot = ((near - UNLIKE) / (1.0 - UNLIKE)).clamp(0.0, 1.0);
            }
        }
        for column in &texts.names {
            rows.extend((0..width).map(|own| f32::from(u8::from(own == *column))));
        }
        // The forms of a word are the word.
        for (number, column) in &texts.forms {
            if let Some(slot) = rows.get_mut(*number as usize * width + column) {
                *slot = 1.0;
            }
        }
        Self {
            weights: question.iter().map(|word| word.weight).collect(),
            rows,
        }
    }

    /// How much of the question a piece says.
    pub(super) fn said(&self, piece: &[u32]) -> Saying {
        let halves: Vec<Vec<f32>> = piece.chunks(HALF).map(|words| self.nearest(words)).collect();
        let mut whole = vec![0.0; self.weights.len()];
        for half in &halves {
            raise(&mut whole, half);
        }
        let passages = halves.windows(2).map(|two| {
            let mut both = vec![0.0; self.weights.len()];
            for half in two {
                raise(&mut both, half);
            }
            self.weigh(&both)
        });
        let passage = passages.fold(halves.first().map_or(0.0, |half| self.weigh(half)), f32::max);
        Saying {
            whole: self.weigh(&whole),
            passage,
        }
    }

    /// For each word of the question how near one of these words comes.
    fn nearest(&self, words: &[u32]) -> Vec<f32> {
        let width = self.weights.len();
        let mut nearest = vec![0.0; width];
        for word in words {
            if let Some(row) = self
                .rows
                .get(*word as usize * width..)
                .and_then(|rest| rest.get(..width))
            {
                raise(&mut nearest, row);
            }
        }
        nearest
    }

    fn weigh(&self, near: &[f32]) -> f32 {
        let all: f32 = self.weights.iter().sum();
        let said: f32 = self.weights.iter().zip(near).map(|(weight, near)| weight * near).sum();
        if all > 0.0 { said / all } else { 0.0 }
    }
}

fn raise(to: &mut [f32], row: &[f32]) {
    for (to, near) in to.iter_mut().zip(row) {
        *to = to.max(*near);
    }
}

/// The product of two vectors, in sums that can be made at once.
fn dot(a: &Arc<[f32]>, b: &Arc<[f32]>) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "tests of numbers that are exact")]
    use super::*;

    fn chunk(text: &str) -> FileChunk {
        FileChunk {
            page: None,
            lines: None,
            heading: String::new(),
            text: text.to_owned(),
        }
    }

    /// Words of the same first letter mean the same here.
    fn vector(word: &str) -> Vector {
        let letter = word.bytes().next().unwrap_or_default();
        (0..32).map(|n| f32::from(u8::from(letter % 32 == n))).collect()
    }

    /// What of the question each text says; a name means nothing by itself.
    fn said(question: &[(&str, f32)], texts: &[&str]) -> Vec<Saying> {
        let question: Vec<Telling> = question
            .iter()
            .map(|(word, weight)| Telling {
                word: (*word).to_owned(),
                weight: *weight,
                vector: (!is_name(word)).then(|| vector(word)),
            })
            .collect();
        let chunks: Vec<FileChunk> = texts.iter().map(|text| chunk(text)).collect();
        let texts = Texts::of(&question, chunks.iter());
        let vectors: Vec<Vector> = texts.words().iter().map(|word| vector(word)).collect();
        let likeness = Likeness::of(&question, &texts, &vectors);
        texts.pieces().map(|piece| likeness.said(piece)).collect()
    }

    fn check(question: &[(&str, f32)], text: &str, expect: (f32, f32)) {
        assert_eq!(
            said(question, &[text]),
            [Saying {
                whole: expect.0,
                passage: expect.1
            }],
            "{text}"
        );
    }

    #[test]
    fn a_question_is_said_in_its_words_or_in_others() {
        let question = [("plot", 3.0), ("title", 1.0)];
        check(&question, "the title of a plot", (1.0, 1.0));
        check(&question, "", (0.0, 0.0));
        check(&question, "nobody knows", (0.0, 0.0));
        // A form of the word, and one that is like it.
        check(&question, "Plots", (0.75, 0.75));
        check(&question, "picture", (0.75, 0.75));
        let far = format!("plot {} title", "x ".repeat(40));
        check(&question, &far, (1.0, 0.75));
        let near = format!("{} plot x x x title {}", "x ".repeat(27), "x ".repeat(40));
        check(&question, &near, (1.0, 1.0));
        check(&[], "plot", (0.0, 0.0));
    }

    #[test]
    fn a_name_is_said_where_it_stands_whole() {
        let question = [("as character", 3.0), ("character", 1.0)];
        let passages = |text: &str| {
            let said = said(&question, &["as it is", text]);
            said.iter().map(|said| said.passage).collect::<Vec<_>>()
        };
        assert_eq!(passages("use as.character(x), as.character(y)"), [0.0, 1.0]);
        assert_eq!(passages("a character as such"), [0.0, 0.25]);
        assert_eq!(passages("nothing"), [0.0, 0.0]);
    }

    #[test]
    fn names_that_overlap_are_all_found() {
        let question = [("git http", 1.0), ("git http fetch", 1.0), ("fetch data", 1.0)];
        let said = said(&question, &["then git-http-fetch data", "git-http and data"]);
        let whole: Vec<f32> = said.iter().map(|said| said.whole).collect();
        assert_eq!(whole, [1.0, 1.0 / 3.0]);
    }

    #[test]
    fn products_are_whole() {
        let a: Arc<[f32]> = (0..37_u8).map(f32::from).collect();
        assert_eq!(dot(&a, &a), (0..37_u16).map(|n| f32::from(n * n)).sum::<f32>());
    }
}

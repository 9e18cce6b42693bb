//! What words mean, kept for those that pieces say most: a question looks at thousands of words, and nearly all of them
//! were looked at for the questions before.
//!
//! Invariant: no more than twice [`MOST`] are kept, and only of one model.

use super::{reader::space, search::embedded};
use mira_llm::embeddings::{Embedder, Vector};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Words of one generation: four megabytes with vectors of 256 numbers.
const MOST: usize = 4096;

/// Vectors of words that were met lately.
#[derive(Debug, Default)]
pub(super) struct WordVectors(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    space: String,
    young: HashMap<String, Vector>,
    /// What was young before; what is met again is young again, and the rest goes.
    old: HashMap<String, Vector>,
}

impl Kept {
    fn find(&mut self, word: &str) -> Option<Vector> {
        if let Some(vector) = self.young.get(word) {
            return Some(Vector::clone(vector));
        }
        let (word, vector) = self.old.remove_entry(word)?;
        self.put(word, Vector::clone(&vector));
        Some(vector)
    }

    fn put(&mut self, word: String, vector: Vector) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(word, vector);
    }
}

impl WordVectors {
    fn with<T>(&self, space: &str, work: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.space != space {
            *kept = Kept {
                space: space.to_owned(),
                ..Kept::default()
            };
        }
        work(&mut kept)
    }

    /// Vectors of words, in their order; `None` where the embedder fails.
    pub(super) async fn of(&self, embedder: &dyn Embedder, words: &[String]) -> Option<Vec<Vector>> {
        let space = space(embedder);
        let mut vectors: Vec<Option<Vector>> =
            self.with(&space, |kept| words.iter().map(|word| kept.find(word)).collect());
        let known = words.iter().zip(&vectors);
        let missing: Vec<String> = known
            .filter(|(_, vector)| vector.is_none())
            .map(|(word, _)| word.clone())
            .collect();
        if !missing.is_empty() {
            let made = embedded(embedder, missing.clone()).await?;
            for (slot, vector) in vectors.iter_mut().filter(|slot| slot.is_none()).zip(&made) {
                *slot = Some(Vector::clone(vector));
            }
            self.with(&space, |kept| {
                for (word, vector) in missing.into_iter().zip(made) {
                    kept.put(word, vector);
                }
            });
        }
        vectors.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::BoxFuture};
    use mira_llm::embeddings::EmbedError;

    /// Counts what it is asked; the length of a word is its meaning.
    #[derive(Debug)]
    struct Counting(&'static str, Mutex<usize>);

    impl Embedder for Counting {
        fn model(&self) -> &'static str {
            self.0
        }

        fn dimension(&self) -> usize {
            1
        }

        fn is_local(&self) -> bool {
            true
        }

        fn embed(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>> {
            *self.1.lock().unwrap() += texts.len();
            let length = |text: &String| Vector::from([f32::from(u8::try_from(text.len()).unwrap())]);
            let vectors = texts.iter().map(length).collect();
            async move { Ok(vectors) }.boxed()
        }
    }

    #[tokio::test]
    async fn words_that_come_again_are_known() {
        let kept = WordVectors::default();
        let (one, other) = (Counting("one", Mutex::default()), Counting("other", Mutex::default()));
        let check = async |embedder: &Counting, words: &[&str], asked: usize| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let vectors = kept.of(embedder, &words).await.unwrap();
            let lengths: Vec<f32> = vectors.iter().map(|vector| vector[0]).collect();
            let expect = words.iter().map(|word| f32::from(u8::try_from(word.len()).unwrap()));
            assert_eq!(lengths, expect.collect::<Vec<_>>());
            assert_eq!(std::mem::take(&mut *embedder.1.lock().unwrap()), asked, "{words:?}");
        };
        check(&one, &["a", "bb", "ccc"], 3).await;
        check(&one, &["bb", "dddd", "a"], 1).await;
        check(&one, &[], 0).await;
        // What comes again stays, the rest makes room.
        let many: Vec<String> = (0..MOST * 3).map(|n| format!("w{n}")).collect();
        for some in many.chunks(MOST / 2) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            check(&one, &some, some.len()).await;
            check(&one, &["a"], 0).await;
        }
        check(&one, &["bb"], 1).await;
        check(&one, &["w0"], 1).await;
        let count = kept.with("one#1", |kept| kept.young.len() + kept.old.len());
        assert!(count <= 2 * MOST, "{count}");
        // Another model means something else.
        check(&other, &["a"], 1).await;
        check(&one, &["a"], 1).await;
    }
}

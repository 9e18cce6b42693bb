//! The embedder in the binary: a table distilled from all-MiniLM-L6-v2 (see `data/make`). It knows English only; a text
//! in another script has no vector and is found by its words.
//!
//! The table's bytes are part of the program and are paged in as they are used; its index is built with the first text,
//! on a blocking thread. Short texts are then encoded where they are asked for, which is faster than a hand-over;
//! batches run on a blocking thread, one batch at a time, so that a re-embedding leaves the other cores alone.

use super::{
    EmbedError, Embedder, Vector,
    table::{Table, TableError},
};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use tokio::sync::Semaphore;

/// The file, and the model's name. The part after the number is the beginning of the file's SHA-256 (a test compares
/// them), so that a changed table is another model.
static BYTES: &[u8] = include_bytes!("../../data/english-256.bin");
const MODEL: &str = "mira-english-256@1-1a6f7510";
const DIMENSION: usize = 256;

/// The characters of a text that count; nobody reads on beyond them, and nor does a sum of words.
const MOST_CHARS: usize = 8_000;
/// The most work done without a hand-over: about half a millisecond.
const INLINE_TEXTS: usize = 32;
const INLINE_BYTES: usize = 4_000;
/// Batches at the same time.
const BATCHES: usize = 1;

/// The embedder in the binary. Clones share its index.
#[derive(Clone)]
pub struct LocalEmbedder(Arc<Shared>);

struct Shared {
    table: OnceLock<Result<Table<'static>, TableError>>,
    batches: Arc<Semaphore>,
}

impl LocalEmbedder {
    /// An embedder that has read nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            table: OnceLock::new(),
            batches: Arc::new(Semaphore::new(BATCHES)),
        }))
    }
}

impl Default for LocalEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalEmbedder").field(&MODEL).finish()
    }
}

impl Shared {
    fn encode(&self, texts: &[String]) -> Result<Vec<Vector>, EmbedError> {
        let table = self.table.get_or_init(|| Table::parse(BYTES, DIMENSION));
        let table = table.as_ref().map_err(Clone::clone)?;
        Ok(texts.iter().map(|text| table.encode(beginning(text)).into()).collect())
    }

    async fn encode_elsewhere(self: Arc<Self>, texts: Vec<String>) -> Result<Vec<Vector>, EmbedError> {
        let stopped = |error: &dyn fmt::Display| EmbedError::Stopped { why: error.to_string() };
        let permit = Arc::clone(&self.batches)
            .acquire_owned()
            .await
            .map_err(|error| stopped(&error))?;
        let work = move || {
            // Held by the work, not by who waits for it: a caller that gives up must not let in another batch.
            let _permit = permit;
            self.encode(&texts)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(stopped(&error)),
        }
    }
}

impl Embedder for LocalEmbedder {
    fn model(&self) -> &'static str {
        MODEL
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    fn is_local(&self) -> bool {
        true
    }

    fn embed(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>> {
        let shared = Arc::clone(&self.0);
        async move {
            let bytes = texts.iter().map(String::len).sum::<usize>();
            let short = texts.len() <= INLINE_TEXTS && bytes <= INLINE_BYTES;
            if texts.is_empty() {
                Ok(Vec::new())
            } else if short && shared.table.get().is_some() {
                shared.encode(&texts)
            } else {
                shared.encode_elsewhere(texts).await
            }
        }
        .boxed()
    }
}

/// What counts of a text.
fn beginning(text: &str) -> &str {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::string_slice, reason = "tests")]
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_model_is_named_after_its_bytes() {
        let whole = format!("{:x}", Sha256::digest(BYTES));
        assert_eq!(
            whole,
            "1a6f75105e656de256aa87d53fb91ff4633fc2f84374ad16e8290d8b681bc228"
        );
        assert_eq!(MODEL.rsplit_once('-').unwrap(), ("mira-english-256@1", &whole[..8]));
    }

    /// First and last numbers of vectors that the training script's own runtime gave for the same file.
    #[test]
    fn vectors_are_those_of_the_training_runtime() {
        let table = Table::parse(BYTES, DIMENSION).unwrap();
        let check = |text: &str, first: [f32; 4], last: [f32; 2]| {
            let vector = table.encode(text);
            let near = |got: &[f32], expect: &[f32]| got.iter().zip(expect).all(|(a, b)| (a - b).abs() < 2e-5);
            assert_eq!(vector.len(), DIMENSION);
            assert!(
                near(&vector, &first) && near(&vector[DIMENSION - 2..], &last),
                "{text:?}: {vector:?}"
            );
        };
        check(
            "We adopted a golden retriever called Biscuit.",
            [-0.31481, 0.10239, -0.17385, 0.05141],
            [-0.03824, -0.04884],
        );
        check(
            "What pets do I own?",
            [-0.28809, 0.17363, -0.13441, -0.02358],
            [0.09945, 0.03639],
        );
        check(
            "Crème brûlée, naïve café & ÜBER-cool façades!",
            [-0.41081, -0.00526, -0.12107, -0.05856],
            [0.05632, 0.0241],
        );
        check(
            "don't re-enter: foo_bar(42) == \"x\"",
            [-0.19719, -0.04633, 0.03744, 0.02005],
            [0.0246, 0.0773],
        );
        check(
            "东京 and Kyoto — in 2026…",
            [-0.2154, 0.06885, -0.12806, -0.01577],
            [-0.00973, -0.0668],
        );
        check(
            "antidisestablishmentarianism",
            [-0.33287, -0.17408, 0.03956, 0.04946],
            [-0.01926, 0.03039],
        );
        check(
            "\u{200b}zero\u{a0}width\tand\nlines",
            [-0.12196, -0.0019, -0.1522, 0.11396],
            [-0.05425, 0.03385],
        );
        check(
            "İstanbul ΣΑΣ привет",
            [-0.09568, 0.0218, -0.08841, -0.03028],
            [-0.06177, -0.03997],
        );
        check("   ", [0.0; 4], [0.0; 2]);
        check("🦀🦀", [0.0; 4], [0.0; 2]);
    }

    #[test]
    fn a_long_text_is_its_beginning() {
        let text = format!("{}zebra", "é ".repeat(MOST_CHARS / 2));
        assert_eq!(beginning(&text).chars().count(), MOST_CHARS);
        assert!(!beginning(&text).contains('z'));
        assert_eq!(beginning("short"), "short");
    }
}

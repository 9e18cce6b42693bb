//! Vectors of pieces, a batch at a time, oldest first.
//!
//! Words find what has no vector yet, so nothing here is urgent; but nothing may stand in the way forever either. A batch
//! that the embedder refuses while it takes others is halved, down to the one piece it does not take, which is kept without
//! a vector. An embedder that takes nothing at all is asked again later.

use super::reader::space;
use mira_llm::embeddings::{EmbedError, Embedder, embed_within};
use mira_memory::{Store, StoreError};
use std::time::Duration;

/// Pieces embedded and stored at a time.
const BATCH: u32 = 64;
/// How often a piece is tried whose failure may pass.
const TRIES: u32 = 5;
/// A text every embedder takes.
const HARMLESS: &str = "text";
/// How long it may take for that.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    /// There was none.
    None,
    /// It is done, or the next will be smaller.
    Done,
    /// Later, perhaps.
    Failed,
}

/// Whose fault a failure was, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Everything fails.
    Wait,
    /// Something in the batch.
    Halve,
    /// The piece: it has no vector.
    GiveUp,
}

fn verdict(pieces: usize, error: &EmbedError, tries: u32, takes_others: bool) -> Verdict {
    match pieces {
        _ if !takes_others => Verdict::Wait,
        2.. => Verdict::Halve,
        _ if !error.retryable() || tries >= TRIES => Verdict::GiveUp,
        _ => Verdict::Wait,
    }
}

/// Where the work stands.
#[derive(Debug)]
pub(super) struct Embedding {
    /// Pieces in the next batch.
    size: u32,
    /// How often the one piece has failed.
    tries: u32,
    /// The model whose work is in the queue.
    queued: Option<String>,
}

impl Embedding {
    pub(super) fn new() -> Self {
        Self {
            size: BATCH,
            tries: 0,
            queued: None,
        }
    }

    /// One batch.
    pub(super) async fn batch(&mut self, store: &Store, embedder: &dyn Embedder) -> Result<Batch, StoreError> {
        let space = space(embedder);
        if self.queued.as_ref() != Some(&space) {
            store.requeue_chunks(&space).await?;
            self.queued = Some(space.clone());
        }
        let waiting = store.chunks_to_embed(self.size).await?;
        if waiting.is_empty() {
            return Ok(Batch::None);
        }
        let (keys, texts): (Vec<i64>, Vec<String>) = waiting.into_iter().unzip();
        let error = match embedder.embed(texts).await {
            Ok(vectors) => {
                let vectors = keys.into_iter().zip(vectors.into_iter().map(Some));
                store.write_chunk_vectors(&space, vectors.collect()).await?;
                self.size = (self.size * 2).min(BATCH);
                self.tries = 0;
                return Ok(Batch::Done);
            }
            Err(error) => error,
        };
        let harmless = embed_within(embedder, vec![HARMLESS.to_owned()], PATIENCE).await;
        self.tries = if keys.len() == 1 { self.tries + 1 } else { 0 };
        match verdict(keys.len(), &error, self.tries, harmless.is_ok()) {
            Verdict::Wait => {
                tracing::warn!(%error, pieces = keys.len(), "pieces of files could not be embedded; they are tried again");
                Ok(Batch::Failed)
            }
            Verdict::Halve => {
                self.size = u32::try_from(keys.len() / 2).unwrap_or(1).max(1);
                Ok(if error.retryable() { Batch::Failed } else { Batch::Done })
            }
            Verdict::GiveUp => {
                tracing::warn!(%error, "a piece of a file is found by its words alone: the embedder does not take it");
                let without = keys.into_iter().map(|key| (key, None));
                store.write_chunk_vectors(&space, without.collect()).await?;
                self.tries = 0;
                Ok(Batch::Done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::BoxFuture};
    use mira_core::{
        file::{FileStatus, StoredFile},
        ids::{AccountId, FileId},
        persona::PersonaName,
        project::Author,
    };
    use mira_llm::{LlmError, embeddings::Vector};
    use mira_memory::{Durability, FileChunk, FileScope, StoreOptions};
    use std::sync::Mutex;
    use uuid::Uuid;

    const ME: AccountId = AccountId::OWNER;

    /// Takes everything but what says "poison"; takes nothing while it is down.
    #[derive(Debug, Default)]
    struct Picky {
        is_down: Mutex<bool>,
        batches: Mutex<Vec<usize>>,
    }

    fn refusal() -> EmbedError {
        EmbedError::Endpoint(LlmError::BadRequest {
            status: 400,
            code: None,
            param: None,
            message: "no".to_owned(),
        })
    }

    impl Embedder for Picky {
        fn model(&self) -> &'static str {
            "picky"
        }

        fn dimension(&self) -> usize {
            2
        }

        fn is_local(&self) -> bool {
            false
        }

        fn embed(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>> {
            self.batches.lock().unwrap().push(texts.len());
            let refused = *self.is_down.lock().unwrap() || texts.iter().any(|text| text.contains("poison"));
            let vectors = texts.iter().map(|_| Vector::from([1.0, 0.0])).collect();
            async move { if refused { Err(refusal()) } else { Ok(vectors) } }.boxed()
        }
    }

    /// A store with one file of so many pieces; each tenth is one that is not taken.
    async fn store(dir: &tempfile::TempDir, pieces: usize) -> (Store, FileId) {
        let options = StoreOptions {
            path: dir.path().join("mira.db"),
            readers: 1,
            durability: Durability::Normal,
            backup_dir: dir.path().join("backups"),
            default_persona: PersonaName::parse("default").unwrap(),
        };
        let now = "2027-01-02T03:04:05Z".parse().unwrap();
        let store = Store::open(options, now).await.unwrap();
        let id = FileId(Uuid::from_u128(7));
        let file = StoredFile {
            id,
            project_id: None,
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            size: 1,
            sha256: [1; 32],
            status: FileStatus::Processing,
            error: None,
            pages: None,
            author: Author::Owner,
            message_id: None,
            created_at: now,
        };
        store.insert_file(ME, file).await.unwrap();
        let chunk = |n: usize| FileChunk {
            page: None,
            lines: None,
            heading: String::new(),
            text: format!("{} {n}", if n % 10 == 9 { "poison" } else { "bread" }),
        };
        let chunks = (0..pieces).map(chunk).collect();
        assert!(store.write_file_text(ME, id, 1, Vec::new(), chunks).await.unwrap());
        store.publish_file_text(ME, id, 1, None, now).await.unwrap();
        (store, id)
    }

    async fn with_vectors(store: &Store) -> usize {
        let query = Vector::from([1.0, 0.0]);
        let found = store.compare_chunks(ME, &FileScope::default(), "picky#2", query).await;
        found.unwrap().len()
    }

    #[tokio::test]
    async fn what_the_embedder_does_not_take_stands_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = store(&dir, 100).await;
        let (picky, mut embedding) = (Picky::default(), Embedding::new());
        while embedding.batch(&store, &picky).await.unwrap() != Batch::None {}
        assert_eq!(with_vectors(&store).await, 90);
        assert_eq!(embedding.batch(&store, &picky).await.unwrap(), Batch::None);
        store.close().await;
    }

    #[tokio::test]
    async fn an_embedder_that_is_down_costs_no_piece_its_vector() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = store(&dir, 3).await;
        let (picky, mut embedding) = (Picky::default(), Embedding::new());
        *picky.is_down.lock().unwrap() = true;
        for _ in 0..20 {
            assert_eq!(embedding.batch(&store, &picky).await.unwrap(), Batch::Failed);
        }
        *picky.is_down.lock().unwrap() = false;
        assert_eq!(embedding.batch(&store, &picky).await.unwrap(), Batch::Done);
        assert_eq!(with_vectors(&store).await, 3);
        assert_eq!(*picky.batches.lock().unwrap(), [[3, 1].repeat(20), vec![3]].concat());
        store.close().await;
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let slow = || EmbedError::Late {
            after: Duration::from_secs(1),
        };
        assert_eq!(verdict(1, &slow(), 1, true), Verdict::Wait);
        assert_eq!(verdict(1, &slow(), TRIES, true), Verdict::GiveUp);
        assert_eq!(verdict(1, &slow(), TRIES, false), Verdict::Wait);
        assert_eq!(verdict(1, &refusal(), 1, true), Verdict::GiveUp);
        assert_eq!(verdict(9, &slow(), 0, true), Verdict::Halve);
        assert_eq!(verdict(9, &refusal(), 0, false), Verdict::Wait);
    }
}

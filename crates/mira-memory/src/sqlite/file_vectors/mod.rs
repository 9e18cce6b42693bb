//! Tables `file_vectors` and `file_waiting`: the vectors of pieces of files, and the pieces that wait for one.
//!
//! Invariants: a piece waits from its first moment until its vector is stored, or it is known that the model does not take
//! it; vectors of another model than the one asked with are not compared; the copy in memory ([`shelf`]) is made with the
//! first question and reads what is new with each, so that nobody has to tell it.

mod shelf;

use super::{
    Store,
    error::StoreError,
    file_texts::FileScope,
    messages::json,
    rows::Columns,
    vectors::{to_bytes, vector_of_bytes},
    writer::Class,
};
use futures_util::FutureExt;
use mira_core::ids::{AccountId, FileId, ProjectId};
use shelf::{Arriving, Shelf, Space, TextId};
use sqlx::sqlite::SqliteRow;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Vectors read at a time: some megabytes.
const SLICE: usize = 4096;

/// `?1` account, `?2` model, `?3` after, `?4` limit. Read in the order they were made, not by the index of models.
const NEW: &str = "
    SELECT v.seq, c.file_id, c.n >> 32, c.key, v.vector FROM file_vectors v CROSS JOIN file_chunks c ON c.key = v.chunk_key
     WHERE v.seq > ?3 AND +v.model = ?2 AND c.account_id = ?1 ORDER BY v.seq LIMIT (?4 + 0)";

/// `?1` model. An index knows the models; vectors of this one are not looked at.
const REQUEUE: &str = "
    INSERT INTO file_waiting (chunk_key)
    SELECT v.chunk_key FROM file_vectors v WHERE v.model < ?1
     UNION ALL
    SELECT v.chunk_key FROM file_vectors v WHERE v.model > ?1
        ON CONFLICT (chunk_key) DO NOTHING";

/// The vectors in memory of whoever asked last.
#[derive(Debug, Default)]
pub(super) struct Shelves(Mutex<Option<Arc<Shelf>>>);

impl Shelves {
    fn of(&self, space: &Space) -> Option<Arc<Shelf>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone().filter(|shelf| shelf.space == *space)
    }

    /// Of two that were brought up to date at the same time the one that knows more stays.
    fn put(&self, new: &Arc<Shelf>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = |old: &Arc<Shelf>| old.space == new.space && old.seen > new.seen;
        if !held.as_ref().is_some_and(newer) {
            *held = Some(Arc::clone(new));
        }
    }
}

/// The files of an account: the reader of the text that is found of each, and the texts in scope.
#[derive(Debug, Default)]
struct InScope {
    all: HashMap<FileId, i64>,
    wanted: HashSet<TextId>,
}

fn arriving(row: &SqliteRow, dimension: usize) -> Result<Arriving, StoreError> {
    let mut c = Columns::new("file_vectors", row);
    let seq: i64 = c.take("seq")?;
    c.named(seq);
    let text = TextId {
        file: FileId(c.uuid("file_id")?),
        reader: c.take("n")?,
    };
    let (key, bytes): (i64, Option<&[u8]>) = (c.take("chunk_key")?, c.take("vector")?);
    Ok(Arriving {
        seq,
        text,
        key,
        vector: bytes.and_then(|bytes| vector_of_bytes(bytes, dimension)),
    })
}

/// Work on the copy in memory, where blocking is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)
}

impl Store {
    /// How like the query each piece in scope is that has a vector of this model, in any order: cosines, more is better,
    /// seen from the middle of all pieces. Of more vectors than memory is there for, those of the newest files.
    pub async fn compare_chunks(
        &self,
        account: AccountId,
        scope: &FileScope,
        model: &str,
        query: Arc<[f32]>,
    ) -> Result<Vec<(i64, f32)>, StoreError> {
        let space = Space {
            account,
            model: model.into(),
            dimension: query.len(),
        };
        // Taken down before the files are listed: it holds none that they could lack and that is there.
        let held = self.shelves.of(&space);
        let files = self.files_in(account, scope).await?;
        let shelf = self.shelf(held, space, &files.all).await?;
        blocking(move || shelf.compare(&files.wanted, &query)).await
    }

    async fn files_in(&self, account: AccountId, scope: &FileScope) -> Result<InScope, StoreError> {
        let rows = sqlx::query("SELECT id, project_id, status = 'ready', reading FROM files WHERE account_id = ?1")
            .bind(account.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let only: Option<HashSet<FileId>> = scope.files.as_ref().map(|ids| ids.iter().copied().collect());
        let mut files = InScope::default();
        for row in &rows {
            let mut c = Columns::new("files", row);
            let file = FileId(c.uuid("id")?);
            let project = c.uuid_or_null("project_id")?.map(ProjectId);
            let (is_ready, reader): (i64, i64) = (c.take("status")?, c.take("reading")?);
            files.all.insert(file, reader);
            let is_seen = project.is_none() || project == scope.project;
            if is_ready != 0 && is_seen && only.as_ref().is_none_or(|only| only.contains(&file)) {
                files.wanted.insert(TextId { file, reader });
            }
        }
        Ok(files)
    }

    /// The copy in memory as of now, out of one that is no newer than the list of files.
    async fn shelf(
        &self,
        held: Option<Arc<Shelf>>,
        space: Space,
        files: &HashMap<FileId, i64>,
    ) -> Result<Arc<Shelf>, StoreError> {
        let mut shelf = held.unwrap_or_else(|| Arc::new(Shelf::new(space.clone())));
        let before = Arc::clone(&shelf);
        if shelf.has_older_than(files) {
            Arc::make_mut(&mut shelf).drop_older(files);
        }
        loop {
            let rows = self.new_vectors(&space, shelf.seen).await?;
            let read = rows.len();
            if read > 0 {
                shelf = blocking(move || {
                    Arc::make_mut(&mut shelf).take_up(rows);
                    shelf
                })
                .await?;
            }
            if read < SLICE {
                break;
            }
        }
        if !Arc::ptr_eq(&before, &shelf) {
            self.shelves.put(&shelf);
        }
        Ok(shelf)
    }

    async fn new_vectors(&self, space: &Space, after: i64) -> Result<Vec<Arriving>, StoreError> {
        let rows = sqlx::query(NEW)
            .bind(space.account.0)
            .bind(&*space.model)
            .bind(after)
            .bind(i64::try_from(SLICE).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(|row| arriving(row, space.dimension)).collect()
    }

    /// Pieces that wait for a vector, the oldest first: key, and heading and text to embed.
    pub async fn chunks_to_embed(&self, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.key, c.heading, c.text FROM file_waiting w CROSS JOIN file_chunks c ON c.key = w.chunk_key
              ORDER BY w.chunk_key LIMIT (?1 + 0)",
        )
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::new("file_chunks", row);
                let (key, heading, text): (i64, &str, &str) = (c.take("key")?, c.take("heading")?, c.take("text")?);
                Ok((key, format!("{heading}\n{text}")))
            })
            .collect()
    }

    /// Pieces whose vector is of another model wait for one of this.
    pub async fn requeue_chunks(&self, model: &str) -> Result<(), StoreError> {
        let model: Arc<str> = model.into();
        self.write(Class::Partial, move |conn| {
            let model = Arc::clone(&model);
            async move {
                sqlx::query(REQUEUE).bind(&*model).execute(conn).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Stores vectors of pieces, which wait no longer; `None` for a piece the model does not take. Those whose piece is
    /// gone are left out.
    pub async fn write_chunk_vectors(
        &self,
        model: &str,
        vectors: Vec<(i64, Option<Arc<[f32]>>)>,
    ) -> Result<(), StoreError> {
        let (model, vectors): (Arc<str>, _) = (model.into(), Arc::new(vectors));
        self.write(Class::Partial, move |conn| {
            let (model, vectors) = (Arc::clone(&model), Arc::clone(&vectors));
            async move {
                for (key, vector) in vectors.iter() {
                    let bytes = vector.as_ref().map(|vector| to_bytes(vector));
                    // Replaced and not changed: it comes last in the order, and so is read anew.
                    sqlx::query(
                        "INSERT OR REPLACE INTO file_vectors (chunk_key, model, vector)
                         SELECT key, ?2, ?3 FROM file_chunks WHERE key = ?1",
                    )
                    .bind(key)
                    .bind(&*model)
                    .bind(bytes)
                    .execute(&mut *conn)
                    .await?;
                }
                let keys: Vec<i64> = vectors.iter().map(|(key, _)| *key).collect();
                sqlx::query("DELETE FROM file_waiting WHERE chunk_key IN (SELECT value FROM json_each(?1))")
                    .bind(json(&keys)?)
                    .execute(&mut *conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::file_texts::FileChunk;
    use jiff::Timestamp;
    use mira_core::{
        file::{FileStatus, StoredFile},
        project::Author,
    };
    use sqlx::AssertSqlSafe;
    use uuid::Uuid;

    const ME: AccountId = AccountId::OWNER;

    /// A file of one piece, with its vector.
    async fn land(store: &Store, n: u8) -> FileId {
        let id = FileId(Uuid::from_u128(n.into()));
        let file = StoredFile {
            id,
            project_id: None,
            name: format!("{n}.txt"),
            media_type: "text/plain".to_owned(),
            size: 1,
            sha256: [n; 32],
            status: FileStatus::Processing,
            error: None,
            pages: None,
            author: Author::Owner,
            message_id: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        store.insert_file(ME, file).await.unwrap();
        let chunk = FileChunk {
            page: None,
            lines: None,
            heading: String::new(),
            text: format!("text {n}"),
        };
        store.write_file_text(ME, id, 1, Vec::new(), vec![chunk]).await.unwrap();
        let ready = store.publish_file_text(ME, id, 1, None, Timestamp::UNIX_EPOCH);
        ready.await.unwrap().unwrap();
        let waiting = store.chunks_to_embed(10).await.unwrap();
        let vectors = waiting.iter().map(|(key, _)| (*key, Some(Arc::from([1.0, 0.0]))));
        store.write_chunk_vectors("m", vectors.collect()).await.unwrap();
        id
    }

    async fn compared(store: &Store) -> usize {
        let query = Arc::from([1.0, 0.0]);
        let found = store.compare_chunks(ME, &FileScope::default(), "m", query).await;
        found.unwrap().len()
    }

    /// Two questions at once: while the first has listed the files, another lands and the second takes it up.
    #[tokio::test]
    async fn a_file_that_lands_between_stays() {
        let (_dir, store) = Store::of_a_test().await;
        let first = land(&store, 1).await;
        assert_eq!(compared(&store).await, 1);
        let space = Space {
            account: ME,
            model: "m".into(),
            dimension: 2,
        };
        let held = store.shelves.of(&space);
        let files = store.files_in(ME, &FileScope::default()).await.unwrap();
        assert_eq!(files.all, HashMap::from([(first, 1)]));
        land(&store, 2).await;
        assert_eq!(compared(&store).await, 2);
        store.shelf(held, space, &files.all).await.unwrap();
        assert_eq!(compared(&store).await, 2);
    }

    async fn plan(store: &Store, sql: &str) -> Vec<String> {
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(explained))
            .fetch_all(&mut *store.read().await.unwrap())
            .await
            .unwrap();
        steps.into_iter().map(|(.., step)| step).collect()
    }

    /// Vectors are most of the bytes of this file: a start and a question read none they do not need.
    #[tokio::test]
    async fn vectors_are_not_read_for_nothing() {
        let (_dir, store) = Store::of_a_test().await;
        let steps = plan(&store, REQUEUE).await;
        let by_model = |way: &str| format!("SEARCH v USING INDEX file_vectors_model (model{way}?)");
        for way in ["<", ">"] {
            assert!(steps.contains(&by_model(way)), "{steps:?}");
        }
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
        let steps = plan(&store, NEW).await;
        let in_order = "SEARCH v USING INTEGER PRIMARY KEY (rowid>?)".to_owned();
        assert!(steps.contains(&in_order), "{steps:?}");
    }
}

//! Tables `file_pages`, `file_chunks`, `file_words` and `file_vectors`: the text of files, and how a place in it is found.
//!
//! Invariants: everything goes with its file; a piece is found by its words as soon as it is stored, and by its vector as
//! soon as that was made; vectors of another model than the one asked with are not compared.

use super::{
    Store,
    error::StoreError,
    messages::json,
    rows::{Columns, blob},
    vectors::vector_of_bytes,
    writer::Class,
};
use futures_util::FutureExt;
use mira_core::ids::{AccountId, FileId, ProjectId};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

/// A page of a file's text; the whole text where there are no pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePage {
    /// From 1, where the document has pages.
    pub page: Option<u32>,
    /// What stands there.
    pub text: String,
}

/// A piece of a file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChunk {
    /// Its page, from 1.
    pub page: Option<u32>,
    /// Its first and its last line, from 1.
    pub lines: Option<(u32, u32)>,
    /// Title and nearest heading; may be empty.
    pub heading: String,
    /// What it says.
    pub text: String,
}

/// A piece that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundChunk {
    /// Its key in this file of the database.
    pub key: i64,
    /// The file.
    pub file: FileId,
    /// The file's name.
    pub name: String,
    /// The piece.
    pub chunk: FileChunk,
}

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileScope {
    /// The files of this project are seen beside those in none.
    pub project: Option<ProjectId>,
    /// Only these.
    pub files: Option<Vec<FileId>>,
}

/// `?2` project or null, `?3` ids as a JSON list of hex, or null.
macro_rules! in_scope {
    () => {
        " f.account_id = ?1 AND (f.project_id IS NULL OR f.project_id = ?2)
          AND (?3 IS NULL OR f.id IN (SELECT unhex(j.value) FROM json_each(?3) j)) "
    };
}

/// `?4` the words, `?5` limit. A heading's word counts for four of the text.
const BY_WORDS: &str = concat!(
    "SELECT c.key, -bm25(file_words, 4.0, 1.0) FROM file_words
      CROSS JOIN file_chunks c ON c.key = file_words.rowid
      CROSS JOIN files f ON f.account_id = c.account_id AND f.id = c.file_id
      WHERE file_words MATCH ?4 AND ",
    in_scope!(),
    "ORDER BY bm25(file_words, 4.0, 1.0) LIMIT (?5 + 0)"
);

/// `?4` the model, `?5` limit.
const VECTORS: &str = concat!(
    "SELECT v.chunk_key, v.vector FROM files f
      CROSS JOIN file_chunks c ON c.account_id = f.account_id AND c.file_id = f.id
      CROSS JOIN file_vectors v ON v.chunk_key = c.key AND v.model = ?4
      WHERE ",
    in_scope!(),
    "ORDER BY f.recency DESC LIMIT (?5 + 0)"
);

const FIND: &str = "
    SELECT c.key, c.file_id, f.name, c.page, c.line_from, c.line_to, c.heading, c.text
      FROM json_each(?2) j CROSS JOIN file_chunks c ON c.key = j.value
     CROSS JOIN files f ON f.account_id = c.account_id AND f.id = c.file_id
     WHERE c.account_id = ?1 ORDER BY j.key";

const INSERT_CHUNK: &str = "
    INSERT INTO file_chunks (account_id, file_id, n, page, line_from, line_to, heading, text)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

impl FileScope {
    fn bound(&self) -> Result<(Option<Vec<u8>>, Option<String>), StoreError> {
        let project = self.project.map(|id| blob(&id.0).to_vec());
        let files = self.files.as_ref().map(|ids| {
            let ids: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
            json(&ids)
        });
        Ok((project, files.transpose()?))
    }
}

fn page_number(number: Option<i64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn read(row: &SqliteRow) -> Result<FoundChunk, StoreError> {
    let mut c = Columns::new("file_chunks", row);
    let key: i64 = c.take("key")?;
    c.named(key);
    let file = FileId(c.uuid("file_id")?);
    let name = c.take("name")?;
    let page = page_number(c.take("page")?);
    let (from, to) = (page_number(c.take("line_from")?), page_number(c.take("line_to")?));
    Ok(FoundChunk {
        key,
        file,
        name,
        chunk: FileChunk {
            page,
            lines: from.zip(to),
            heading: c.take("heading")?,
            text: c.take("text")?,
        },
    })
}

async fn write_text(
    conn: &mut SqliteConnection,
    account: AccountId,
    file: FileId,
    pages: &[FilePage],
    chunks: &[FileChunk],
) -> Result<bool, StoreError> {
    let there: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2)")
        .bind(account.0)
        .bind(blob(&file.0))
        .fetch_one(&mut *conn)
        .await?;
    if there == 0 {
        return Ok(false);
    }
    // What an interrupted reading left is done again.
    for table in [
        "DELETE FROM file_pages WHERE account_id = ?1 AND file_id = ?2",
        "DELETE FROM file_chunks WHERE account_id = ?1 AND file_id = ?2",
    ] {
        let query = sqlx::query(table).bind(account.0).bind(blob(&file.0));
        query.execute(&mut *conn).await?;
    }
    for (n, page) in (0..).zip(pages) {
        sqlx::query("INSERT INTO file_pages (account_id, file_id, n, page, text) VALUES (?1, ?2, ?3, ?4, ?5)")
            .bind(account.0)
            .bind(blob(&file.0))
            .bind::<i64>(n)
            .bind(page.page)
            .bind(page.text.as_str())
            .execute(&mut *conn)
            .await?;
    }
    for (n, chunk) in (0..).zip(chunks) {
        sqlx::query(INSERT_CHUNK)
            .bind(account.0)
            .bind(blob(&file.0))
            .bind::<i64>(n)
            .bind(chunk.page)
            .bind(chunk.lines.map(|lines| lines.0))
            .bind(chunk.lines.map(|lines| lines.1))
            .bind(chunk.heading.as_str())
            .bind(chunk.text.as_str())
            .execute(&mut *conn)
            .await?;
    }
    Ok(true)
}

impl Store {
    /// Stores the text of a file, in place of what was stored of it before. `false` if the file is gone.
    pub async fn write_file_text(
        &self,
        account: AccountId,
        file: FileId,
        pages: Vec<FilePage>,
        chunks: Vec<FileChunk>,
    ) -> Result<bool, StoreError> {
        let text = Arc::new((pages, chunks));
        self.write(Class::Acknowledged, move |conn| {
            let text = Arc::clone(&text);
            async move { write_text(conn, account, file, &text.0, &text.1).await }.boxed()
        })
        .await
    }

    /// A page of a file's text, counted from 0 whatever the document says, and how many there are.
    pub async fn file_page(
        &self,
        account: AccountId,
        file: FileId,
        n: u32,
    ) -> Result<(Option<FilePage>, u32), StoreError> {
        let mut conn = self.read().await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM file_pages WHERE account_id = ?1 AND file_id = ?2")
            .bind(account.0)
            .bind(blob(&file.0))
            .fetch_one(&mut *conn)
            .await?;
        let row = sqlx::query("SELECT page, text FROM file_pages WHERE account_id = ?1 AND file_id = ?2 AND n = ?3")
            .bind(account.0)
            .bind(blob(&file.0))
            .bind(n)
            .fetch_optional(&mut *conn)
            .await?;
        let page = row.map(|row| {
            let mut c = Columns::new("file_pages", &row);
            Ok::<_, StoreError>(FilePage {
                page: page_number(c.take("page")?),
                text: c.take("text")?,
            })
        });
        Ok((page.transpose()?, u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// Pieces that hold any of these words, with their bm25 (more is better), best first. `words` is an expression of
    /// FTS5 in which every word is quoted.
    pub async fn find_chunks_by_words(
        &self,
        account: AccountId,
        scope: &FileScope,
        words: &str,
        limit: u32,
    ) -> Result<Vec<(i64, f64)>, StoreError> {
        let (project, files) = scope.bound()?;
        let rows = sqlx::query(BY_WORDS)
            .bind(account.0)
            .bind(project)
            .bind(files)
            .bind(words)
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::new("file_words", row);
                Ok((c.take("rowid")?, c.take("bm25")?))
            })
            .collect()
    }

    /// The vectors of pieces, those of the newest files first; damaged ones are left out.
    pub async fn chunk_vectors(
        &self,
        account: AccountId,
        scope: &FileScope,
        model: &str,
        dimension: usize,
        limit: u32,
    ) -> Result<Vec<(i64, Vec<f32>)>, StoreError> {
        let (project, files) = scope.bound()?;
        let rows = sqlx::query(VECTORS)
            .bind(account.0)
            .bind(project)
            .bind(files)
            .bind(model)
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let mut vectors = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut c = Columns::new("file_vectors", row);
            let (key, bytes): (i64, &[u8]) = (c.take("chunk_key")?, c.take("vector")?);
            vectors.extend(vector_of_bytes(bytes, dimension).map(|vector| (key, vector)));
        }
        Ok(vectors)
    }

    /// Pieces by key, in this order; those that are gone are left out.
    pub async fn find_chunks(&self, account: AccountId, keys: &[i64]) -> Result<Vec<FoundChunk>, StoreError> {
        let rows = sqlx::query(FIND)
            .bind(account.0)
            .bind(json(&keys)?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Pieces that have no vector of this model yet: key, and heading and text to embed.
    pub async fn chunks_to_embed(&self, model: &str, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.key, c.heading, c.text FROM file_chunks c LEFT JOIN file_vectors v ON v.chunk_key = c.key
              WHERE v.chunk_key IS NULL OR v.model <> ?1 ORDER BY c.key LIMIT (?2 + 0)",
        )
        .bind(model)
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

    /// Stores vectors of pieces; those whose piece is gone are left out.
    pub async fn write_chunk_vectors(&self, model: &str, vectors: Vec<(i64, Vec<f32>)>) -> Result<(), StoreError> {
        let (model, vectors): (Arc<str>, _) = (model.into(), Arc::new(vectors));
        self.write(Class::Acknowledged, move |conn| {
            let (model, vectors) = (Arc::clone(&model), Arc::clone(&vectors));
            async move {
                for (key, vector) in vectors.iter() {
                    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                    sqlx::query(
                        "INSERT INTO file_vectors (chunk_key, model, vector)
                         SELECT key, ?2, ?3 FROM file_chunks WHERE key = ?1
                         ON CONFLICT (chunk_key) DO UPDATE SET model = excluded.model, vector = excluded.vector",
                    )
                    .bind(key)
                    .bind(&*model)
                    .bind(bytes)
                    .execute(&mut *conn)
                    .await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// How many pieces there are.
    pub async fn count_chunks(&self, account: AccountId, scope: &FileScope) -> Result<u64, StoreError> {
        let (project, files) = scope.bound()?;
        let count: i64 = sqlx::query_scalar(concat!(
            "SELECT count(*) FROM files f CROSS JOIN file_chunks c ON c.account_id = f.account_id AND c.file_id = f.id
              WHERE ",
            in_scope!()
        ))
        .bind(account.0)
        .bind(project)
        .bind(files)
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(count.unsigned_abs())
    }
}

//! Tables `file_pages`, `file_chunks` and `file_words`: the text of files, and how a place in it is found by its words.
//! Its vectors are in [`file_vectors`](super::file_vectors).
//!
//! Invariants: everything goes with its file; a text is written a few hundred pieces at a time, so that others get to write
//! between them, and is found once it is whole. The number of a page or piece says in its upper half which reader made it
//! (`n >> 32`), so that two texts of a file stand beside each other; of files that are ready the one of `files.reading` is
//! found ([`file_readings`](super::file_readings)).

use super::{
    Store,
    error::StoreError,
    messages::json,
    rows::{Columns, blob},
    writer::Class,
};
use futures_util::FutureExt;
use mira_core::ids::{AccountId, FileId, ProjectId};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::{ops::Range, sync::Arc};

/// Pieces written or removed in one transaction.
const PIECES: usize = 256;
/// Pages written in one transaction; a text without pages is one, whatever its length.
const PAGES: usize = 64;
/// The first number of the reader 1; that of the reader 2 is twice as much.
pub(super) const FIRST: i64 = 1 << 32;

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
    /// Title and the headings it stands below, the highest first; may be empty.
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

/// A piece that holds words that were looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct WordHit {
    /// The piece's key.
    pub key: i64,
    /// Its file.
    pub file: FileId,
    /// Its page, from 1.
    pub page: Option<u32>,
    /// Its bm25; more is better.
    pub score: f64,
}

/// How common words are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordCounts {
    /// In how many pieces each word stands, in their order.
    pub pieces: Vec<u64>,
    /// How many pieces there are.
    pub of: u64,
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
        " c.n >> 32 = f.reading AND f.account_id = ?1 AND f.status = 'ready'
          AND (f.project_id IS NULL OR f.project_id = ?2)
          AND (?3 IS NULL OR f.id IN (SELECT unhex(j.value) FROM json_each(?3) j)) "
    };
}

/// `?4` the words, `?5` limit. A heading's words count like those of the text.
const BY_WORDS: &str = concat!(
    "SELECT c.key, c.file_id, c.page, -bm25(file_words) FROM file_words
      CROSS JOIN file_chunks c ON c.key = file_words.rowid
      CROSS JOIN files f ON f.account_id = c.account_id AND f.id = c.file_id
      WHERE file_words MATCH ?4 AND ",
    in_scope!(),
    "ORDER BY 4 DESC LIMIT (?5 + 0)"
);

const COUNTS: &str = "
    SELECT (SELECT count(*) FROM file_words WHERE file_words MATCH j.value), (SELECT count(*) FROM file_chunks)
      FROM json_each(?1) j ORDER BY j.key";

const FIND: &str = "
    SELECT c.key, c.file_id, f.name, c.page, c.line_from, c.line_to, c.heading, c.text
      FROM json_each(?2) j CROSS JOIN file_chunks c ON c.key = j.value
     CROSS JOIN files f ON f.account_id = c.account_id AND f.id = c.file_id
     WHERE c.account_id = ?1 ORDER BY j.key";

const COUNT_PAGES: &str = "
    SELECT count(*) FROM files f
     CROSS JOIN file_pages p ON p.account_id = f.account_id AND p.file_id = f.id
                            AND p.n >= f.reading << 32 AND p.n < (f.reading + 1) << 32
     WHERE f.account_id = ?1 AND f.id = ?2";

/// `?3` which, from 0.
const FIND_PAGE: &str = "
    SELECT p.page, p.text FROM files f
     CROSS JOIN file_pages p ON p.account_id = f.account_id AND p.file_id = f.id AND p.n = (f.reading << 32) + ?3
     WHERE f.account_id = ?1 AND f.id = ?2";

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

/// The text of a file on its way into the tables.
#[derive(Debug)]
struct Text {
    account: AccountId,
    file: FileId,
    /// The number of its first page and its first piece.
    first: i64,
    pages: Vec<FilePage>,
    chunks: Vec<FileChunk>,
}

/// What is written in one transaction.
#[derive(Debug, Clone)]
enum Part {
    Pages(Range<usize>),
    Chunks(Range<usize>),
}

impl Text {
    fn parts(&self) -> Vec<Part> {
        let pages = ranges(self.pages.len(), PAGES).map(Part::Pages);
        pages
            .chain(ranges(self.chunks.len(), PIECES).map(Part::Chunks))
            .collect()
    }

    /// `false` if the file is gone.
    async fn write(&self, conn: &mut SqliteConnection, part: &Part) -> Result<bool, StoreError> {
        let there: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2)")
            .bind(self.account.0)
            .bind(blob(&self.file.0))
            .fetch_one(&mut *conn)
            .await?;
        if there == 0 {
            return Ok(false);
        }
        match part {
            Part::Pages(range) => self.write_pages(conn, range).await?,
            Part::Chunks(range) => self.write_chunks(conn, range).await?,
        }
        Ok(true)
    }

    async fn write_pages(&self, conn: &mut SqliteConnection, range: &Range<usize>) -> Result<(), StoreError> {
        for (n, page) in (self.first..).zip(&self.pages).skip(range.start).take(range.len()) {
            sqlx::query("INSERT INTO file_pages (account_id, file_id, n, page, text) VALUES (?1, ?2, ?3, ?4, ?5)")
                .bind(self.account.0)
                .bind(blob(&self.file.0))
                .bind(n)
                .bind(page.page)
                .bind(page.text.as_str())
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    }

    async fn write_chunks(&self, conn: &mut SqliteConnection, range: &Range<usize>) -> Result<(), StoreError> {
        for (n, chunk) in (self.first..).zip(&self.chunks).skip(range.start).take(range.len()) {
            sqlx::query(INSERT_CHUNK)
                .bind(self.account.0)
                .bind(blob(&self.file.0))
                .bind(n)
                .bind(chunk.page)
                .bind(chunk.lines.map(|lines| lines.0))
                .bind(chunk.lines.map(|lines| lines.1))
                .bind(chunk.heading.as_str())
                .bind(chunk.text.as_str())
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    }
}

/// Removes some of the pieces with these numbers, then the pages; whether there may be more.
async fn clear(
    conn: &mut SqliteConnection,
    account: AccountId,
    file: FileId,
    numbers: Range<i64>,
) -> Result<bool, StoreError> {
    let cleared = sqlx::query(
        "DELETE FROM file_chunks WHERE key IN
            (SELECT key FROM file_chunks WHERE account_id = ?1 AND file_id = ?2 AND n >= ?3 AND n < ?4 LIMIT (?5 + 0))",
    )
    .bind(account.0)
    .bind(blob(&file.0))
    .bind(numbers.start)
    .bind(numbers.end)
    .bind(i64::try_from(PIECES).unwrap_or(i64::MAX))
    .execute(&mut *conn)
    .await?;
    if cleared.rows_affected() > 0 {
        return Ok(true);
    }
    sqlx::query("DELETE FROM file_pages WHERE account_id = ?1 AND file_id = ?2 AND n >= ?3 AND n < ?4")
        .bind(account.0)
        .bind(blob(&file.0))
        .bind(numbers.start)
        .bind(numbers.end)
        .execute(conn)
        .await?;
    Ok(false)
}

/// So many things, a few at a time.
fn ranges(count: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count)
        .step_by(step)
        .map(move |start| start..(start + step).min(count))
}

impl Store {
    /// Stores the text this reader makes of a file, in place of what an interruption left of it. `false` if the file is
    /// gone. Nothing of it is found until the caller says that it is whole.
    pub async fn write_file_text(
        &self,
        account: AccountId,
        file: FileId,
        reader: u16,
        pages: Vec<FilePage>,
        chunks: Vec<FileChunk>,
    ) -> Result<bool, StoreError> {
        let first = FIRST * i64::from(reader);
        self.clear_text(account, file, first..first + FIRST).await?;
        let text = Arc::new(Text {
            account,
            file,
            first,
            pages,
            chunks,
        });
        for part in text.parts() {
            let new = Arc::clone(&text);
            let write = self.write(Class::Partial, move |conn| {
                let (new, part) = (Arc::clone(&new), part.clone());
                async move { new.write(conn, &part).await }.boxed()
            });
            if !write.await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes the pages and pieces with these numbers.
    pub(super) async fn clear_text(
        &self,
        account: AccountId,
        file: FileId,
        numbers: Range<i64>,
    ) -> Result<(), StoreError> {
        loop {
            let numbers = numbers.clone();
            let clear = self.write(Class::Partial, move |conn| {
                let numbers = numbers.clone();
                async move { clear(conn, account, file, numbers).await }.boxed()
            });
            if !clear.await? {
                return Ok(());
            }
        }
    }

    /// A page of a file's text, counted from 0 whatever the document says, and how many there are.
    pub async fn file_page(
        &self,
        account: AccountId,
        file: FileId,
        n: u32,
    ) -> Result<(Option<FilePage>, u32), StoreError> {
        let mut conn = self.read().await?;
        let count: i64 = sqlx::query_scalar(COUNT_PAGES)
            .bind(account.0)
            .bind(blob(&file.0))
            .fetch_one(&mut *conn)
            .await?;
        let row = sqlx::query(FIND_PAGE)
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

    /// Pieces that hold any of these words, best first. `words` is an expression of FTS5 in which every word is quoted.
    pub async fn find_chunks_by_words(
        &self,
        account: AccountId,
        scope: &FileScope,
        words: &str,
        limit: u32,
    ) -> Result<Vec<WordHit>, StoreError> {
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
                let key: i64 = c.take("rowid")?;
                c.named(key);
                Ok(WordHit {
                    key,
                    file: FileId(c.uuid("file_id")?),
                    page: page_number(c.take("page")?),
                    score: c.take("bm25")?,
                })
            })
            .collect()
    }

    /// How common words are; each quoted as FTS5 takes it.
    pub async fn count_word_chunks(&self, words: &[String]) -> Result<WordCounts, StoreError> {
        let rows = sqlx::query(COUNTS)
            .bind(json(&words)?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let mut counts = WordCounts::default();
        for row in &rows {
            let mut c = Columns::new("file_words", row);
            let (pieces, of): (i64, i64) = (c.take("count")?, c.take("chunks")?);
            counts.pieces.push(pieces.unsigned_abs());
            counts.of = of.unsigned_abs();
        }
        Ok(counts)
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
}

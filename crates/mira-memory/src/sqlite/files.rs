//! Tables `files`, `message_files` and `file_leftovers`: what is known of the owner's files and of those Mira makes. The
//! bytes lie in the data directory under their SHA-256; nothing here touches them. What is to be read, and what came of it,
//! is in [`file_readings`](super::file_readings).
//!
//! Invariants: bytes that are about to come, and those whose last row goes, are among the leftovers (for the latter a
//! trigger sees to it, in the same transaction and whoever removes the row), until a row speaks of them (another trigger)
//! or somebody says that they are gone: a crash at any instant leaves no bytes that nobody knows. The owner's same bytes
//! under the same name in the same place are one row.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{json, unknown},
    ord_cursor,
    projects::{self, next_recency},
    rows::{Columns, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::{AccountId, FileId, MessageId, ProjectId},
    project::{Author, unhex},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

ord_cursor! {
    /// A place in a list of files.
    FileCursor
}

/// What became of storing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutcome {
    /// It is new.
    Created(StoredFile),
    /// The owner has it here already.
    Known(StoredFile),
    /// The same, and its text could not be read before: it waits to be read again.
    Requeued(StoredFile),
    /// There is no such project.
    NoSuchProject,
}

/// Which files to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePlace {
    /// All.
    Anywhere,
    /// Those in no project.
    NoProject,
    /// Those of a project.
    Project(ProjectId),
    /// What a conversation in this project sees: its own and those in no project.
    SeenFrom(ProjectId),
}

/// How many columns [`file_columns`] are.
pub(super) const COLUMNS: usize = 13;

/// The columns of a file `f`, as [`read`] takes them.
macro_rules! file_columns {
    () => {
        "f.id, f.project_id, f.name, f.media_type, f.size, f.sha256, f.status, f.error, f.pages, f.author, f.message_id,
         f.created_at, f.recency"
    };
}
pub(super) use file_columns;

/// The files sent with a message `m`, as [`parse_attached`] takes them; NULL where there are none.
macro_rules! attached_column {
    () => {
        "(SELECT json_group_array(json_array(hex(f.id), hex(f.project_id), f.name, f.media_type, f.size, hex(f.sha256),
                                             f.status, f.error, f.pages, f.author, hex(f.message_id), f.created_at)
                                  ORDER BY a.n)
            FROM message_files a CROSS JOIN files f ON f.account_id = a.account_id AND f.id = a.file_id
           WHERE a.account_id = m.account_id AND a.message_id = m.id HAVING count(*) > 0)"
    };
}
pub(super) use attached_column;

fn parse_status(text: &str) -> Result<FileStatus, String> {
    [FileStatus::Processing, FileStatus::Ready, FileStatus::Failed]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| unknown(text))
}

pub(super) fn read(row: &SqliteRow) -> Result<(StoredFile, FileCursor), StoreError> {
    let mut c = Columns::new("files", row);
    let id = FileId(c.uuid("id")?);
    c.named(id);
    let file = StoredFile {
        id,
        project_id: c.uuid_or_null("project_id")?.map(ProjectId),
        name: c.take("name")?,
        media_type: c.take("media_type")?,
        size: c.count("size")?,
        sha256: {
            let bytes: &[u8] = c.take("sha256")?;
            bytes.try_into().map_err(|error| c.bad("sha256", error))?
        },
        status: c.parsed("status", parse_status)?,
        error: c.take("error")?,
        pages: pages(c.take("pages")?),
        author: c.parsed("author", |text| Author::parse(text).ok_or_else(|| unknown(text)))?,
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        created_at: c.time("created_at")?,
    };
    Ok((file, FileCursor(c.take("recency")?)))
}

fn pages(count: Option<i64>) -> Option<u32> {
    count.and_then(|count| u32::try_from(count).ok())
}

/// What [`attached_column`] says.
pub(super) fn parse_attached(text: &str) -> Result<Vec<StoredFile>, String> {
    type Row = (
        String,
        Option<String>,
        String,
        String,
        u64,
        String,
        String,
        Option<String>,
        Option<u32>,
        String,
        Option<String>,
        i64,
    );
    let rows: Vec<Row> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let id = |text: &str| uuid::Uuid::try_parse(text).map_err(|error| error.to_string());
    // `hex(NULL)` is an empty text.
    let id_or_none = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(id).transpose();
    rows.into_iter()
        .map(|row| {
            Ok(StoredFile {
                id: FileId(id(&row.0)?),
                project_id: id_or_none(row.1.as_deref())?.map(ProjectId),
                name: row.2,
                media_type: row.3,
                size: row.4,
                sha256: unhex(&row.5).ok_or_else(|| unknown(&row.5))?,
                status: parse_status(&row.6)?,
                error: row.7,
                pages: row.8,
                author: Author::parse(&row.9).ok_or_else(|| unknown(&row.9))?,
                message_id: id_or_none(row.10.as_deref())?.map(MessageId),
                created_at: Timestamp::from_millisecond(row.11).map_err(|error| error.to_string())?,
            })
        })
        .collect()
}

pub(super) async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: FileId,
) -> Result<Option<StoredFile>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        file_columns!(),
        " FROM files f WHERE f.account_id = ?1 AND f.id = ?2"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.0)).transpose()
}

/// `?2` bytes, `?3` name, `?4` project or null.
const FIND_SAME: &str = concat!(
    "SELECT ",
    file_columns!(),
    " FROM files f WHERE f.account_id = ?1 AND f.sha256 = ?2 AND f.name = ?3 AND f.project_id IS ?4
         AND f.author = 'owner' ORDER BY f.key LIMIT 1"
);

const INSERT: &str = concat!(
    "INSERT INTO files (account_id, id, project_id, name, media_type, size, sha256, status, author, message_id, created_at,
                        updated_at, recency)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ",
    next_recency!("files")
);

/// What puts a file back among those that wait to be read.
const REQUEUE: &str = "
    UPDATE files SET status = 'processing', error = NULL, tries = 0, retry_at = NULL, updated_at = ?3
     WHERE account_id = ?1 AND id = ?2 AND status <> 'ready'";

async fn requeue(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: FileId,
    now: Timestamp,
) -> Result<Option<StoredFile>, StoreError> {
    sqlx::query(REQUEUE)
        .bind(account.0)
        .bind(blob(&id.0))
        .bind(ms(now))
        .execute(&mut *conn)
        .await?;
    find(conn, account, id).await
}

/// Whether a row speaks of these bytes.
pub(super) async fn is_spoken_of(conn: &mut SqliteConnection, sha: [u8; 32]) -> Result<bool, StoreError> {
    let held: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = ?1)")
        .bind(sha.as_slice())
        .fetch_one(conn)
        .await?;
    Ok(held != 0)
}

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    new: &StoredFile,
) -> Result<FileOutcome, StoreError> {
    if let Some(project) = new.project_id
        && !projects::exists(&mut *conn, account, project).await?
    {
        return Ok(FileOutcome::NoSuchProject);
    }
    let project = new.project_id.map(|id| blob(&id.0).to_vec());
    if new.author == Author::Owner {
        let row = sqlx::query(FIND_SAME)
            .bind(account.0)
            .bind(new.sha256.as_slice())
            .bind(new.name.as_str())
            .bind(project.as_deref())
            .fetch_optional(&mut *conn)
            .await?;
        if let Some(row) = row {
            let known = read(&row)?.0;
            if known.status != FileStatus::Failed {
                return Ok(FileOutcome::Known(known));
            }
            let again = requeue(conn, account, known.id, new.created_at).await?;
            return Ok(FileOutcome::Requeued(again.ok_or(StoreError::Closed)?));
        }
    }
    sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&new.id.0))
        .bind(project.as_deref())
        .bind(new.name.as_str())
        .bind(new.media_type.as_str())
        .bind(int(new.size))
        .bind(new.sha256.as_slice())
        .bind(new.status.as_str())
        .bind(new.author.as_str())
        .bind(new.message_id.as_ref().map(|id| blob(&id.0)))
        .bind(ms(new.created_at))
        .execute(&mut *conn)
        .await?;
    let file = find(conn, account, new.id).await?.ok_or(StoreError::Closed)?;
    Ok(FileOutcome::Created(file))
}

/// `?2` cursor or null, `?3` 0 anywhere, 1 no project, 2 the project `?4`, 3 seen from it, `?5` limit.
const LIST: &str = concat!(
    "SELECT ",
    file_columns!(),
    " FROM files f WHERE f.account_id = ?1 AND (?2 IS NULL OR f.recency < ?2)
         AND CASE ?3 WHEN 0 THEN 1 WHEN 1 THEN f.project_id IS NULL WHEN 2 THEN f.project_id = ?4
                     ELSE f.project_id IS NULL OR f.project_id = ?4 END
       ORDER BY f.recency DESC LIMIT (?5 + 0)"
);

impl FilePlace {
    fn bound(self) -> (i64, Option<Vec<u8>>) {
        match self {
            Self::Anywhere => (0, None),
            Self::NoProject => (1, None),
            Self::Project(id) => (2, Some(blob(&id.0).to_vec())),
            Self::SeenFrom(id) => (3, Some(blob(&id.0).to_vec())),
        }
    }
}

/// `?3` ids as a JSON list of hex; answers those that are there.
const ATTACH: &str = "
    INSERT INTO message_files (account_id, message_id, n, file_id)
    SELECT ?1, ?2, j.key, f.id FROM json_each(?3) j
     CROSS JOIN files f ON f.account_id = ?1 AND f.id = unhex(j.value) ORDER BY j.key";

/// `?2` ids as a JSON list of hex; those that are there, each as often as it is asked for and in that order.
const FIND_ALL: &str = concat!(
    "SELECT ",
    file_columns!(),
    " FROM json_each(?2) j CROSS JOIN files f ON f.account_id = ?1 AND f.id = unhex(j.value) ORDER BY j.key"
);

/// These files; `None` where the account does not have all of them.
pub(super) async fn find_all(
    conn: &mut SqliteConnection,
    account: AccountId,
    ids: &[FileId],
) -> Result<Option<Vec<StoredFile>>, StoreError> {
    if ids.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let rows = sqlx::query(FIND_ALL)
        .bind(account.0)
        .bind(id_list(ids)?)
        .fetch_all(conn)
        .await?;
    let files: Result<Vec<StoredFile>, StoreError> = rows.iter().map(|row| Ok(read(row)?.0)).collect();
    Ok(Some(files?).filter(|files| files.len() == ids.len()))
}

/// Ids as a JSON list of hex.
fn id_list(ids: &[FileId]) -> Result<String, StoreError> {
    let ids: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
    json(&ids)
}

/// The files of a project, oldest first.
pub(super) async fn list_of(
    conn: &mut SqliteConnection,
    account: AccountId,
    project: ProjectId,
) -> Result<Vec<StoredFile>, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        file_columns!(),
        " FROM files f WHERE f.account_id = ?1 AND f.project_id = ?2 ORDER BY f.recency"
    ))
    .bind(account.0)
    .bind(blob(&project.0))
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(read(row)?.0)).collect()
}

/// Hangs files on a new message. A file that is gone meanwhile is left out.
pub(super) async fn attach(
    conn: &mut SqliteConnection,
    account: AccountId,
    message: MessageId,
    files: &[FileId],
) -> Result<(), StoreError> {
    if files.is_empty() {
        return Ok(());
    }
    sqlx::query(ATTACH)
        .bind(account.0)
        .bind(blob(&message.0))
        .bind(id_list(files)?)
        .execute(conn)
        .await?;
    Ok(())
}

/// The files of a message it replaces hang on the new one, too.
pub(super) async fn attach_again(
    conn: &mut SqliteConnection,
    account: AccountId,
    from: MessageId,
    to: MessageId,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO message_files (account_id, message_id, n, file_id)
         SELECT account_id, ?3, n, file_id FROM message_files WHERE account_id = ?1 AND message_id = ?2",
    )
    .bind(account.0)
    .bind(blob(&from.0))
    .bind(blob(&to.0))
    .execute(conn)
    .await?;
    Ok(())
}

/// The files sent with a message.
pub(super) async fn of_message(
    conn: &mut SqliteConnection,
    account: AccountId,
    message: MessageId,
) -> Result<Vec<StoredFile>, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        file_columns!(),
        " FROM message_files a CROSS JOIN files f ON f.account_id = a.account_id AND f.id = a.file_id
          WHERE a.account_id = ?1 AND a.message_id = ?2 ORDER BY a.n"
    ))
    .bind(account.0)
    .bind(blob(&message.0))
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(read(row)?.0)).collect()
}

impl Store {
    /// Stores what is known of a file whose bytes are on disk. Why its text could not be read, and its pages, are not
    /// known yet.
    pub async fn insert_file(&self, account: AccountId, new: StoredFile) -> Result<FileOutcome, StoreError> {
        let new = Arc::new(new);
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move { insert(conn, account, &new).await }.boxed()
        })
        .await
    }

    /// The file with this id.
    pub async fn find_file(&self, account: AccountId, id: FileId) -> Result<Option<StoredFile>, StoreError> {
        find(&mut *self.read().await?, account, id).await
    }

    /// The files with these ids, in their order; `None` where one of them is not there.
    pub async fn find_files(&self, account: AccountId, ids: &[FileId]) -> Result<Option<Vec<StoredFile>>, StoreError> {
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        find_all(&mut *self.read().await?, account, ids).await
    }

    /// Files, newest first.
    pub async fn list_files(
        &self,
        account: AccountId,
        place: FilePlace,
        page: Page<FileCursor>,
    ) -> Result<Listed<StoredFile, FileCursor>, StoreError> {
        let (mode, project) = place.bound();
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(page.cursor.map(|cursor| cursor.0))
            .bind(mode)
            .bind(project)
            .bind(int(page.rows() as u64 + 1))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, StoreError> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, page.rows()))
    }

    /// Whether the account has any file at all.
    pub async fn has_files(&self, account: AccountId) -> Result<bool, StoreError> {
        let found: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE account_id = ?1)")
            .bind(account.0)
            .fetch_one(&mut *self.read().await?)
            .await?;
        Ok(found != 0)
    }

    /// A file that could not be read, or not yet, is to be read at once; one that was read stays as it is. `None` if
    /// there is none.
    pub async fn requeue_file(
        &self,
        account: AccountId,
        id: FileId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move { requeue(conn, account, id, now).await }.boxed()
        })
        .await
    }

    /// Removes what is known of a file; its bytes are among the leftovers then, unless another row holds them. Answers it
    /// as it was.
    pub async fn delete_file(&self, account: AccountId, id: FileId) -> Result<Option<StoredFile>, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                let Some(file) = find(&mut *conn, account, id).await? else {
                    return Ok(None);
                };
                sqlx::query("DELETE FROM files WHERE account_id = ?1 AND id = ?2")
                    .bind(account.0)
                    .bind(blob(&id.0))
                    .execute(conn)
                    .await?;
                Ok(Some(file))
            }
            .boxed()
        })
        .await
    }

    /// Notes that bytes are about to come: without a row they are leftovers.
    pub async fn insert_file_leftover(&self, sha: [u8; 32]) -> Result<(), StoreError> {
        self.execute_for_bytes(
            "INSERT OR IGNORE INTO file_leftovers (sha256)
             SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.sha256 = ?1)",
            sha,
        )
        .await
    }

    /// `?1` the hash.
    async fn execute_for_bytes(&self, sql: &'static str, sha: [u8; 32]) -> Result<(), StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                sqlx::query(sql).bind(sha.as_slice()).execute(conn).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// SHA-256 of bytes no row speaks of.
    pub async fn list_file_leftovers(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let rows = sqlx::query("SELECT l.sha256 FROM file_leftovers l")
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(sha256).collect()
    }

    /// Whether no row speaks of these bytes.
    pub async fn is_file_leftover(&self, sha: [u8; 32]) -> Result<bool, StoreError> {
        Ok(!is_spoken_of(&mut *self.read().await?, sha).await?)
    }

    /// Notes that leftover bytes are gone.
    pub async fn delete_file_leftover(&self, sha: [u8; 32]) -> Result<(), StoreError> {
        self.execute_for_bytes("DELETE FROM file_leftovers WHERE sha256 = ?1", sha)
            .await
    }
}

/// The hash a row is about, its only column.
pub(super) fn sha256(row: &SqliteRow) -> Result<[u8; 32], StoreError> {
    let mut c = Columns::new("files", row);
    let bytes: &[u8] = c.take("sha256")?;
    bytes.try_into().map_err(|error| c.bad("sha256", error))
}

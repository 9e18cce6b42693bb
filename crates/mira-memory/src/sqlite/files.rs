//! Tables `files`, `message_files`, `file_leftovers` and `provider_files`: what is known of the owner's files and of those
//! Mira makes. The bytes lie in the data directory under their SHA-256; nothing here touches them.
//!
//! Invariants: bytes whose last row goes are among the leftovers, in the same transaction and whoever removes the row
//! (a trigger sees to it), until somebody says that they are gone; the owner's same bytes under the same name in the same
//! place are one row.

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
    project::Author,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

ord_cursor! {
    /// A place in a list of files.
    FileCursor
}

/// A file to store, its bytes already on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its id.
    pub id: FileId,
    /// The project it goes to.
    pub project_id: Option<ProjectId>,
    /// One line, never a path.
    pub name: String,
    /// As its bytes say.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// `Processing` where its text is to be read.
    pub status: FileStatus,
    /// Who made it.
    pub author: Author,
    /// The reply it was made for.
    pub message_id: Option<MessageId>,
    /// When.
    pub now: Timestamp,
}

/// What became of storing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutcome {
    /// It is new.
    Created(StoredFile),
    /// The owner has it here already.
    Known(StoredFile),
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

/// The columns of a file `f`, as [`read`] takes them.
macro_rules! file_columns {
    () => {
        "f.id, f.project_id, f.name, f.media_type, f.size, f.sha256, f.status, f.error, f.pages, f.author, f.message_id,
         f.created_at, f.recency"
    };
}

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

fn read(row: &SqliteRow) -> Result<(StoredFile, FileCursor), StoreError> {
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
                sha256: sha_of_hex(&row.5).ok_or_else(|| unknown(&row.5))?,
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

fn sha_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut sha = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in sha.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(sha)
}

async fn find(conn: &mut SqliteConnection, account: AccountId, id: FileId) -> Result<Option<StoredFile>, StoreError> {
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

async fn insert(conn: &mut SqliteConnection, account: AccountId, new: &NewFile) -> Result<FileOutcome, StoreError> {
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
            return Ok(FileOutcome::Known(read(&row)?.0));
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
        .bind(ms(new.now))
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

/// Whether the account has all of these.
pub(super) async fn are_there(
    conn: &mut SqliteConnection,
    account: AccountId,
    files: &[FileId],
) -> Result<bool, StoreError> {
    for id in files {
        if find(&mut *conn, account, *id).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
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
    let ids: Vec<String> = files.iter().map(|id| id.0.simple().to_string()).collect();
    sqlx::query(ATTACH)
        .bind(account.0)
        .bind(blob(&message.0))
        .bind(json(&ids)?)
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
    /// Stores what is known of a file whose bytes are on disk.
    pub async fn insert_file(&self, account: AccountId, new: NewFile) -> Result<FileOutcome, StoreError> {
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

    /// The oldest file that waits to be read, whoever's.
    pub async fn next_file_to_read(&self) -> Result<Option<(AccountId, StoredFile)>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            file_columns!(),
            ", f.account_id FROM files f WHERE f.status = 'processing' ORDER BY f.key LIMIT 1"
        ))
        .fetch_optional(&mut *self.read().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let account = Columns::at("files", &row, 13).take("account_id").map(AccountId)?;
        Ok(Some((account, read(&row)?.0)))
    }

    /// Says where a file stands; `None` if it is gone.
    pub async fn set_file_status(
        &self,
        account: AccountId,
        id: FileId,
        status: FileStatus,
        error: Option<String>,
        pages: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        let error: Option<Arc<str>> = error.map(Into::into);
        self.write(Class::Acknowledged, move |conn| {
            let error = error.clone();
            async move {
                sqlx::query(
                    "UPDATE files SET status = ?3, error = ?4, pages = coalesce(?5, pages), updated_at = ?6
                      WHERE account_id = ?1 AND id = ?2",
                )
                .bind(account.0)
                .bind(blob(&id.0))
                .bind(status.as_str())
                .bind(error.as_deref())
                .bind(pages)
                .bind(ms(now))
                .execute(&mut *conn)
                .await?;
                find(conn, account, id).await
            }
            .boxed()
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

    /// SHA-256 of bytes no row speaks of any more.
    pub async fn list_file_leftovers(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let rows = sqlx::query("SELECT l.sha256 FROM file_leftovers l")
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(sha256).collect()
    }

    /// Whether no row speaks of these bytes.
    pub async fn is_file_leftover(&self, sha: [u8; 32]) -> Result<bool, StoreError> {
        let held: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = ?1)")
            .bind(sha.as_slice())
            .fetch_one(&mut *self.read().await?)
            .await?;
        Ok(held == 0)
    }

    /// Notes that leftover bytes are gone.
    pub async fn delete_file_leftover(&self, sha: [u8; 32]) -> Result<(), StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                sqlx::query("DELETE FROM file_leftovers WHERE sha256 = ?1")
                    .bind(sha.as_slice())
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

fn sha256(row: &SqliteRow) -> Result<[u8; 32], StoreError> {
    let mut c = Columns::new("files", row);
    let bytes: &[u8] = c.take("sha256")?;
    bytes.try_into().map_err(|error| c.bad("sha256", error))
}

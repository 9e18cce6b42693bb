//! Which of the `files` are to be read, and what came of it. Their texts are in [`file_texts`](super::file_texts).
//!
//! A reader has a number, the higher the better; each text knows the one that made it, and a file the last one that was
//! tried. What an older one made is made anew: written beside the old text (it is *staged* once it is whole), and put in its
//! place in one step. Invariants: of a file that is ready one whole text is found at any moment; what a newer reader cannot
//! read keeps the text it has.

use super::{
    Store,
    error::StoreError,
    file_texts::FIRST,
    files::{COLUMNS, file_columns, find, read},
    rows::{Columns, blob, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    file::StoredFile,
    ids::{AccountId, FileId},
};
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;

/// A document that is to be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingFile {
    /// Whose it is.
    pub account: AccountId,
    /// The file.
    pub file: StoredFile,
    /// How often reading it was begun before.
    pub tries: u32,
}

macro_rules! waiting {
    ($($which:tt)+) => {
        concat!(
            "SELECT ",
            file_columns!(),
            ", f.account_id, f.tries FROM files f WHERE ",
            $($which)+,
            " AND (f.retry_at IS NULL OR f.retry_at <= ?1) ORDER BY f.key LIMIT 1"
        )
    };
}

/// `?1` now.
const TO_READ: &str = waiting!("f.status = 'processing'");

/// Whether a file has a text of a reader older than `?2` that this one has not tried yet. Pictures have none.
macro_rules! is_old {
    () => {
        "f.status = 'ready' AND f.tried < ?2
         AND EXISTS (SELECT 1 FROM file_pages p WHERE p.account_id = f.account_id AND p.file_id = f.id)"
    };
}

/// `?1` now, `?2` reader.
const TO_RENEW: &str = waiting!(is_old!(), " AND f.staged <> ?2");

/// `?2` reader.
const COUNT_OLD: &str = concat!("SELECT count(*) FROM files f WHERE ", is_old!());

/// `?3` reader, `?4` now, `?5` what is to be said of it.
const STAGE: &str =
    "UPDATE files SET staged = ?3, error = ?5, updated_at = ?4 WHERE account_id = ?1 AND id = ?2 AND status = 'ready'";

/// `?3` reader, `?4` now, `?5` what is to be said of it, unless that was said when it was staged.
const PUBLISH: &str = "
    UPDATE files SET status = 'ready', error = iif(staged = ?3, error, ?5), reading = ?3, tried = ?3, staged = 0, tries = 0,
           retry_at = NULL, updated_at = ?4,
           pages = (SELECT p.page FROM file_pages p
                     WHERE p.account_id = ?1 AND p.file_id = ?2 AND p.n >= ?3 << 32 AND p.n < (?3 + 1) << 32
                     ORDER BY p.n DESC LIMIT 1)
     WHERE account_id = ?1 AND id = ?2";

/// `?3` reader, `?4` now, `?5` why. A text that is found stays.
const GIVE_UP: &str = "
    UPDATE files SET status = iif(status = 'ready', status, 'failed'), error = iif(status = 'ready', error, ?5),
           tries = iif(status = 'ready', 0, tries), tried = ?3, retry_at = NULL, updated_at = ?4
     WHERE account_id = ?1 AND id = ?2";

/// `?3` until when, `?4` now, `?5` why. Who has a text hears nothing of it.
const PUT_OFF: &str = "
    UPDATE files SET error = iif(status = 'ready', error, ?5), retry_at = ?3, updated_at = ?4
     WHERE account_id = ?1 AND id = ?2 AND status <> 'failed'";

/// `?1` reader.
const TO_PUBLISH: &str = "
    SELECT f.account_id, f.id FROM files f WHERE f.status = 'ready' AND f.tried < ?1 AND f.staged = ?1 ORDER BY f.key LIMIT 1";

/// A text that is not found and will not be: pages go last. `?1` reader.
const WITH_OLD_TEXT: &str = "
    SELECT f.account_id, f.id, f.reading FROM files f
     WHERE f.status = 'ready' AND f.tried >= ?1
       AND (EXISTS (SELECT 1 FROM file_pages p WHERE p.account_id = f.account_id AND p.file_id = f.id AND p.n < f.reading << 32)
         OR EXISTS (SELECT 1 FROM file_pages p
                     WHERE p.account_id = f.account_id AND p.file_id = f.id AND p.n >= (f.reading + 1) << 32))
     LIMIT 1";

fn waiting(row: &SqliteRow) -> Result<WaitingFile, StoreError> {
    let mut c = Columns::at("files", row, COLUMNS);
    Ok(WaitingFile {
        account: c.take("account_id").map(AccountId)?,
        tries: c.take("tries")?,
        file: read(row)?.0,
    })
}

impl Store {
    /// The oldest file without a text that is to be read now, whoever's.
    pub async fn next_file_to_read(&self, now: Timestamp) -> Result<Option<WaitingFile>, StoreError> {
        let row = sqlx::query(TO_READ)
            .bind(ms(now))
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(waiting).transpose()
    }

    /// The oldest file whose text a reader older than this made, and that is to be read anew now.
    pub async fn next_file_to_renew(&self, reader: u16, now: Timestamp) -> Result<Option<WaitingFile>, StoreError> {
        let row = sqlx::query(TO_RENEW)
            .bind(ms(now))
            .bind(reader)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(waiting).transpose()
    }

    /// How many files have a text of a reader older than this, which nobody has tried to make anew yet.
    pub async fn count_files_to_renew(&self, reader: u16) -> Result<u64, StoreError> {
        let row = sqlx::query(COUNT_OLD)
            .bind(None::<i64>)
            .bind(reader)
            .fetch_one(&mut *self.read().await?)
            .await?;
        Columns::new("files", &row).count("count")
    }

    /// When the next file that was put off is to be read.
    pub async fn next_file_retry(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query("SELECT min(f.retry_at) FROM files f WHERE f.status <> 'failed'")
            .fetch_one(&mut *self.read().await?)
            .await?;
        Columns::new("files", &row).time_or_null("retry_at")
    }

    /// Changes a file by `sql` (`?1` account, `?2` id, `?3` a number, `?4` now, `?5` a note); answers it as it is then,
    /// `None` if it is gone.
    async fn change_reading(
        &self,
        account: AccountId,
        id: FileId,
        sql: &'static str,
        number: i64,
        note: Option<String>,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        let note: Option<Arc<str>> = note.map(Into::into);
        self.write(Class::Acknowledged, move |conn| {
            let note = note.clone();
            async move {
                sqlx::query(sql)
                    .bind(account.0)
                    .bind(blob(&id.0))
                    .bind(number)
                    .bind(ms(now))
                    .bind(note.as_deref())
                    .execute(&mut *conn)
                    .await?;
                find(conn, account, id).await
            }
            .boxed()
        })
        .await
    }

    /// Notes that reading a file begins, before it does: what ends the process every time is not begun forever.
    pub async fn count_file_try(&self, account: AccountId, id: FileId) -> Result<(), StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                sqlx::query("UPDATE files SET tries = tries + 1, retry_at = NULL WHERE account_id = ?1 AND id = ?2")
                    .bind(account.0)
                    .bind(blob(&id.0))
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// A file that could not be read now waits until `retry_at`; `None` if it is gone. One that has a text does not say
    /// why.
    pub async fn put_off_file(
        &self,
        account: AccountId,
        id: FileId,
        error: String,
        retry_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        self.change_reading(account, id, PUT_OFF, ms(retry_at), Some(error), now)
            .await
    }

    /// This reader cannot read a file: it has failed, unless it has a text, which stays. `None` if it is gone.
    pub async fn give_up_file(
        &self,
        account: AccountId,
        id: FileId,
        reader: u16,
        error: String,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        self.change_reading(account, id, GIVE_UP, reader.into(), Some(error), now)
            .await
    }

    /// The text this reader made is whole and waits to be put in the place of the one that is found. `note` says what is
    /// wrong with it, if anything.
    pub async fn stage_file_text(
        &self,
        account: AccountId,
        id: FileId,
        reader: u16,
        note: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_reading(account, id, STAGE, reader.into(), note, now)
            .await
            .map(drop)
    }

    /// From now on the text this reader made is found, and no other; it must be whole. `note` says what is wrong with it, if
    /// anything and it was not staged. `None` if the file is gone.
    pub async fn publish_file_text(
        &self,
        account: AccountId,
        id: FileId,
        reader: u16,
        note: Option<String>,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        self.change_reading(account, id, PUBLISH, reader.into(), note, now)
            .await
    }

    /// A file whose new text is staged.
    pub async fn next_file_to_publish(&self, reader: u16) -> Result<Option<(AccountId, FileId)>, StoreError> {
        let row = sqlx::query(TO_PUBLISH)
            .bind(reader)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut c = Columns::new("files", &row);
        let account = c.take("account_id").map(AccountId)?;
        Ok(Some((account, FileId(c.uuid("id")?))))
    }

    /// Removes texts that are found no more, of one file; whether there were any.
    pub async fn clear_old_text(&self, reader: u16) -> Result<bool, StoreError> {
        let row = sqlx::query(WITH_OLD_TEXT)
            .bind(reader)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let mut c = Columns::new("files", &row);
        let account = c.take("account_id").map(AccountId)?;
        let id = FileId(c.uuid("id")?);
        let reading: u16 = c.take("reading")?;
        let own = FIRST * i64::from(reading);
        for range in [0..own, own + FIRST..i64::MAX] {
            self.clear_text(account, id, range).await?;
        }
        Ok(true)
    }

    /// For a start, when what was in the way may be gone: what was put off is to be read at once, and what an older reader
    /// could not read.
    pub async fn hasten_files(&self, reader: u16) -> Result<(), StoreError> {
        self.write(Class::Partial, move |conn| {
            async move {
                sqlx::query("UPDATE files SET retry_at = NULL WHERE status <> 'failed' AND retry_at IS NOT NULL")
                    .execute(&mut *conn)
                    .await?;
                sqlx::query(
                    "UPDATE files SET status = 'processing', error = NULL, tries = 0 WHERE status = 'failed' AND tried < ?1",
                )
                .bind(reader)
                .execute(conn)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

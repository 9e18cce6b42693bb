//! Backups, checks and sizes. None of this changes a row.

use super::{
    Store, connect_options, create_private,
    error::StoreError,
    file_bytes::{self, FileBytes, Packed},
    reader_options,
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::ids::AccountId;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::{Path, PathBuf};

/// The most problems a check lists.
const MAX_PROBLEMS: usize = 100;

/// A backup that was made and found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// What became of Mira's own copies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenewedBackups {
    /// The files that are gone.
    pub removed: Vec<PathBuf>,
    /// The copy made in their place; none where there was nothing to replace.
    pub made: Option<PathBuf>,
}

/// How the names of Mira's own copies begin. A file of another name is the owner's, and stays.
const OWN_COPIES: [&str; 3] = ["pre-migration-", "pre-restore-", RENEWED];
const RENEWED: &str = "after-forgetting-";

/// What a check of the whole file found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntegrityReport {
    /// What is wrong, at most 100 lines; empty if nothing is.
    pub problems: Vec<String>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Sessions of the account.
    pub sessions: u64,
    /// Messages of the account.
    pub messages: u64,
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Bytes of its log.
    pub wal_bytes: u64,
}

/// How the file is opened to be read: as one that others write. Where nothing can be written beside it, SQLite cannot do
/// that; then as one that does not change, which is true where it has no log: whoever has it open has made one.
pub(super) async fn read_options(path: &Path) -> Result<SqliteConnectOptions, StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    // Asked first: a try that fails may leave an empty one.
    let logged = log.exists();
    let shared = connect_options(path).read_only(true);
    match is_readable(&shared).await {
        Err(StoreError::Io { .. } | StoreError::ReadOnly(_)) if !logged => Ok(shared.immutable(true)),
        Err(error @ (StoreError::Io { .. } | StoreError::ReadOnly(_))) => Err(StoreError::Open {
            path: path.to_owned(),
            detail: format!(
                "{error}; where its folder cannot be written, its log cannot be read: copy the database and {} to where \
                 you may write, or let the server that wrote them end",
                log.display()
            ),
        }),
        // Whatever else is wrong with it is told better by whoever reads on.
        Ok(()) | Err(_) => Ok(shared),
    }
}

async fn is_readable(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut conn = options.connect().await?;
    sqlx::query("SELECT count(*) FROM sqlite_schema")
        .execute(&mut conn)
        .await?;
    Ok(conn.close().await?)
}

impl Store {
    /// Copies the database to a new file: compact, of one moment, checked before it gets its name. Blocks nobody.
    pub async fn backup_to(&self, target: &Path) -> Result<BackupReport, StoreError> {
        // A connection of its own: `query_only` would refuse to write even the copy.
        let mut conn = read_options(&self.path).await?.connect().await?;
        let bytes = backup_file(&mut conn, target, None).await?;
        conn.close().await?;
        Ok(BackupReport {
            path: target.to_owned(),
            bytes,
        })
    }

    /// Replaces Mira's own copies in `dir`, which may hold what was forgotten since, by one of this moment, all in all as
    /// much work as one backup. The old ones go in any case, also where the disk has no room for a new one beside them.
    /// For after [`Store::scrub`].
    pub async fn renew_backups(&self, dir: &Path, now: Timestamp) -> Result<RenewedBackups, StoreError> {
        let removed = list_own_copies(dir).await?;
        if removed.is_empty() {
            return Ok(RenewedBackups::default());
        }
        let made = new_name(dir, now).await?;
        let copied = self.backup_to(&made).await;
        for path in &removed {
            remove(path).await?;
        }
        if let Err(error) = copied {
            tracing::warn!(%error, "the fresh backup is tried again without the old ones");
            self.backup_to(&made).await?;
        }
        Ok(RenewedBackups {
            removed,
            made: Some(made),
        })
    }

    /// Checks every page, index, foreign key and (where the file is open for writing) the search index against the
    /// messages. Reads the whole file.
    pub async fn integrity_check(&self) -> Result<IntegrityReport, StoreError> {
        // A connection of its own: one that has searched before keeps FTS5's list of segments, and the check would miss
        // those that were merged away since.
        let mut conn = reader_options(&read_options(&self.path).await?).connect().await?;
        let mut problems = check_file(&mut conn).await?;
        conn.close().await?;
        if self.writer.is_some() {
            let found = self
                .write(Class::Partial, |conn| {
                    async move { Ok(check_search(conn).await.err().map(|error| error.to_string())) }.boxed()
                })
                .await?;
            problems.extend(found.map(|error| format!("search index: {error}")));
        }
        Ok(IntegrityReport { problems })
    }

    /// Counts and sizes.
    pub async fn stats(&self, account: AccountId) -> Result<StoreStats, StoreError> {
        let (sessions, messages): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM sessions WHERE account_id = ?1),
                    (SELECT coalesce(sum(message_count), 0) FROM sessions WHERE account_id = ?1)",
        )
        .bind(account.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        Ok(StoreStats {
            sessions: sessions.unsigned_abs(),
            messages: messages.unsigned_abs(),
            database_bytes: size(&self.path).await,
            wal_bytes: size(Path::new(&wal)).await,
        })
    }
}

/// The version of the SQLite this program was built with.
pub async fn sqlite_version() -> Result<String, StoreError> {
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new()
        .in_memory(true)
        .connect()
        .await?;
    let version = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut conn)
        .await?;
    conn.close().await?;
    Ok(version)
}

/// Mira's own copies in a folder, with their logs and half-made ones.
async fn list_own_copies(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let io = |source| StoreError::Io {
        what: dir.display().to_string(),
        source,
    };
    let mut entries = match tokio::fs::read_dir(dir).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(io)? {
        let name = entry.file_name();
        let is_ours = name
            .to_str()
            .is_some_and(|name| name.contains(".db") && OWN_COPIES.iter().any(|prefix| name.starts_with(prefix)));
        if is_ours && entry.file_type().await.map_err(io)?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A name for a fresh copy that no file has.
async fn new_name(dir: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let stamp = now.strftime("%Y%m%dT%H%M%S%3fZ");
    let mut path = dir.join(format!("{RENEWED}{stamp}.db"));
    let mut n = 2;
    while tokio::fs::try_exists(&path).await.map_err(|source| StoreError::Io {
        what: path.display().to_string(),
        source,
    })? {
        path = dir.join(format!("{RENEWED}{stamp}-{n}.db"));
        n += 1;
    }
    Ok(path)
}

async fn remove(path: &Path) -> Result<(), StoreError> {
    match tokio::fs::remove_file(path).await {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io {
            what: path.display().to_string(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file's size; one that is not there has none.
async fn size(path: &Path) -> u64 {
    tokio::fs::metadata(path).await.map_or(0, |file| file.len())
}

/// The search index against the messages it was made of.
async fn check_search(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)")
        .execute(&mut *conn)
        .await?;
    sqlx::query("INSERT INTO messages_grams (messages_grams) VALUES ('integrity-check')")
        .execute(conn)
        .await?;
    Ok(())
}

/// SQLite's own checks.
async fn check_file(conn: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let mut problems: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(100)")
        .fetch_all(&mut *conn)
        .await?;
    problems.retain(|line| line != "ok");
    let broken: Vec<(String, Option<i64>, String, i64)> =
        sqlx::query_as("PRAGMA foreign_key_check").fetch_all(conn).await?;
    problems.extend(
        broken
            .into_iter()
            .map(|(table, row, parent, _)| format!("{table} row {row:?} refers to a missing row of {parent}")),
    );
    problems.truncate(MAX_PROBLEMS);
    Ok(problems)
}

/// Copies an open database to a new file, with the bytes of its files if they are given, and answers its size. The copy
/// has its name only when it is whole, checked and on the disk.
pub(crate) async fn backup_file(
    conn: &mut SqliteConnection,
    target: &Path,
    files: Option<(&dyn FileBytes, &mut Packed)>,
) -> Result<u64, StoreError> {
    let io = |source| StoreError::Io {
        what: target.display().to_string(),
        source,
    };
    if tokio::fs::try_exists(target).await.map_err(io)? {
        return Err(StoreError::Exists(target.to_owned()));
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let made = copy_and_check(conn, &partial, files).await;
    if made.is_err() {
        // The first error is the one to tell.
        drop(tokio::fs::remove_file(&partial).await);
    }
    made?;
    tokio::fs::File::open(&partial)
        .await
        .map_err(io)?
        .sync_all()
        .await
        .map_err(io)?;
    tokio::fs::rename(&partial, target).await.map_err(io)?;
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    tokio::fs::File::open(folder)
        .await
        .map_err(io)?
        .sync_all()
        .await
        .map_err(io)?;
    Ok(tokio::fs::metadata(target).await.map_err(io)?.len())
}

async fn copy_and_check(
    conn: &mut SqliteConnection,
    partial: &Path,
    files: Option<(&dyn FileBytes, &mut Packed)>,
) -> Result<(), StoreError> {
    match tokio::fs::remove_file(partial).await {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(StoreError::Io {
                what: partial.display().to_string(),
                source,
            });
        }
    }
    // SQLite fills an empty file, so it can have its mode from the start.
    create_private(partial)?;
    let name = partial.to_str().ok_or_else(|| StoreError::Open {
        path: partial.to_owned(),
        detail: "the path is not UTF-8".to_owned(),
    })?;
    sqlx::query("VACUUM INTO ?1").bind(name).execute(&mut *conn).await?;
    if let Some((bytes, packed)) = files {
        *packed = file_bytes::pack(conn, partial, bytes).await?;
    }
    let mut copy = connect_options(partial)
        .read_only(true)
        .immutable(true)
        .connect()
        .await?;
    let problems = check_file(&mut copy).await?;
    copy.close().await?;
    match problems.first() {
        None => Ok(()),
        Some(problem) => Err(StoreError::Damaged(format!("the copy is not sound: {problem}"))),
    }
}

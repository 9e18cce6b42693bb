//! The bytes of files, which lie outside of the database: what exports, imports, backups and restores want of whoever
//! keeps them ([`FileBytes`]), and how they travel inside a backup.
//!
//! A backup carries them in a table of its own, `carried_bytes`, in pieces; a restore takes them out again, and the table
//! goes before the copy becomes the database. Invariants: no more than a piece is in memory at once; bytes leave only
//! after they were found to be those of their hash, and stay only if they are.

use super::{
    Store, connect_options,
    error::StoreError,
    files,
    maintenance::{BackupReport, backup_file},
    rows::Columns,
    writer_options,
};
use futures_util::{FutureExt, future::BoxFuture};
use mira_core::{file::FileStatus, project::hex};
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteJournalMode};
use std::{io, path::Path};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

/// How much is read at once.
const PIECE: usize = 256 * 1024;

/// Whoever keeps the bytes of files.
pub trait FileBytes: Send + Sync {
    /// The bytes of this hash, to be read; not found where they are missing.
    fn open(&self, sha256: [u8; 32]) -> BoxFuture<'_, io::Result<File>>;

    /// Begins to take bytes in. Dropped before they are kept, nothing is left of them.
    fn begin(&self) -> Box<dyn ArrivingBytes>;

    /// What the kept bytes of this hash are, under this name.
    fn judge<'a>(&'a self, sha256: [u8; 32], name: &'a str) -> BoxFuture<'a, io::Result<JudgedFile>>;
}

/// Bytes on their way in.
pub trait ArrivingBytes: Send {
    /// The next of them.
    fn write(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>>;

    /// All have come: keeps them if they are those of this hash, and says whether they were.
    fn keep(self: Box<Self>, sha256: [u8; 32]) -> BoxFuture<'static, io::Result<bool>>;
}

/// Keeps no bytes at all: for whoever moves conversations only. Files are left out of exports, and refused in imports.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl FileBytes for NoFiles {
    fn open(&self, _: [u8; 32]) -> BoxFuture<'_, io::Result<File>> {
        std::future::ready(Err(io::ErrorKind::NotFound.into())).boxed()
    }

    fn begin(&self) -> Box<dyn ArrivingBytes> {
        Box::new(*self)
    }

    fn judge<'a>(&'a self, _: [u8; 32], _: &'a str) -> BoxFuture<'a, io::Result<JudgedFile>> {
        std::future::ready(Err(io::ErrorKind::NotFound.into())).boxed()
    }
}

impl ArrivingBytes for NoFiles {
    fn write(&mut self, _: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        std::future::ready(Err(io::ErrorKind::Unsupported.into())).boxed()
    }

    fn keep(self: Box<Self>, _: [u8; 32]) -> BoxFuture<'static, io::Result<bool>> {
        std::future::ready(Err(io::ErrorKind::Unsupported.into())).boxed()
    }
}

/// What a file is, as its bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedFile {
    /// Its name, as it may be kept.
    pub name: String,
    /// What it is.
    pub media_type: String,
    /// How many bytes it has.
    pub size: u64,
    /// `Processing` where its text is to be read.
    pub status: FileStatus,
}

/// Names the file an error is about; a full disk is one.
pub(super) fn failed(sha256: [u8; 32]) -> impl Fn(io::Error) -> StoreError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull(source.to_string()),
        _ => StoreError::Io {
            what: format!("bytes of the file {}", hex(&sha256)),
            source,
        },
    }
}

/// The bytes of a hash from their beginning; `None` where they are missing, cannot be read, or are others by now. Which
/// of these goes to the log.
pub(super) async fn open_sound(bytes: &dyn FileBytes, sha256: [u8; 32]) -> Option<File> {
    let opened = async {
        let mut file = bytes.open(sha256).await?;
        let mut hash = Sha256::new();
        while let Some(piece) = next_piece(&mut file).await? {
            hash.update(&piece);
        }
        if <[u8; 32]>::from(hash.finalize()) != sha256 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "they are not those of their hash",
            ));
        }
        file.rewind().await?;
        Ok(file)
    };
    match opened.await {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(%error, sha256 = hex(&sha256), "the bytes of a file cannot be taken along");
            None
        }
    }
}

/// The next piece; `None` at the end.
pub(super) async fn next_piece(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut piece = Vec::with_capacity(PIECE);
    file.take(PIECE as u64).read_to_end(&mut piece).await?;
    Ok((!piece.is_empty()).then_some(piece))
}

// ---- into a backup ------------------------------------------------------------------------------------------------

/// What was packed into a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packed {
    /// Different contents of files.
    pub files: u64,
    /// Contents that are missing or damaged, though a row speaks of them.
    pub missing: u64,
}

impl Store {
    /// The same as [`Store::backup_to`], with the bytes of the files in it. A file that is deleted meanwhile is in
    /// neither half of it.
    pub async fn backup_with_files(
        &self,
        target: &Path,
        bytes: &dyn FileBytes,
    ) -> Result<(BackupReport, Packed), StoreError> {
        let mut conn = connect_options(self.path()).read_only(true).connect().await?;
        let mut packed = Packed::default();
        let size = backup_file(&mut conn, target, Some((bytes, &mut packed))).await?;
        conn.close().await?;
        let report = BackupReport {
            path: target.to_owned(),
            bytes: size,
        };
        Ok((report, packed))
    }
}

/// Puts the bytes of a copy's files into it; `source` is what it was copied of.
pub(super) async fn pack(
    source: &mut SqliteConnection,
    copy: &Path,
    bytes: &dyn FileBytes,
) -> Result<Packed, StoreError> {
    let mut packed = Packed::default();
    // A copy that breaks off is thrown away: it needs no journal. What a file said whose deletion it has to follow is
    // overwritten in it.
    let options = connect_options(copy)
        .journal_mode(SqliteJournalMode::Off)
        .pragma("secure_delete", "ON");
    let mut conn = options.connect().await?;
    for sql in [
        "DROP TABLE IF EXISTS carried_bytes",
        "CREATE TABLE carried_bytes (key INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, bytes BLOB NOT NULL) STRICT",
    ] {
        sqlx::query(sql).execute(&mut conn).await?;
    }
    let rows = sqlx::query("SELECT f.sha256 FROM files f GROUP BY f.sha256 ORDER BY min(f.key)")
        .fetch_all(&mut conn)
        .await?;
    for row in &rows {
        let sha256 = files::sha256(row)?;
        if let Some(mut file) = open_sound(bytes, sha256).await {
            pack_one(&mut conn, sha256, &mut file).await?;
            packed.files += 1;
        } else if files::is_spoken_of(&mut *source, sha256).await? {
            packed.missing += 1;
        } else {
            sqlx::query("DELETE FROM files WHERE sha256 = ?1")
                .bind(sha256.as_slice())
                .execute(&mut conn)
                .await?;
        }
    }
    conn.close().await?;
    Ok(packed)
}

async fn pack_one(conn: &mut SqliteConnection, sha256: [u8; 32], file: &mut File) -> Result<(), StoreError> {
    let mut tx = conn.begin().await?;
    let mut piece = next_piece(file).await.map_err(failed(sha256))?.unwrap_or_default();
    loop {
        sqlx::query("INSERT INTO carried_bytes (sha256, bytes) VALUES (?1, ?2)")
            .bind(sha256.as_slice())
            .bind(piece)
            .execute(&mut *tx)
            .await?;
        match next_piece(file).await.map_err(failed(sha256))? {
            Some(next) => piece = next,
            None => break,
        }
    }
    Ok(tx.commit().await?)
}

// ---- out of a backup ----------------------------------------------------------------------------------------------

/// A piece and where it stands.
const NEXT_PIECE: &str = "
    SELECT key, sha256, length(bytes), CASE WHEN length(bytes) <= ?2 THEN bytes END
      FROM carried_bytes WHERE key > ?1 ORDER BY key LIMIT 1";

/// Takes the bytes out of a backup's copy (of this program's schema, opened by nobody) and gives them to whoever keeps
/// them. Bytes that are not those of their hash are refused, and with them the backup. A backup without any is fine.
pub async fn unpack_files(copy: &Path, bytes: &dyn FileBytes) -> Result<u64, StoreError> {
    let mut conn = writer_options(&connect_options(copy)).connect().await?;
    let carries: i64 = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'carried_bytes')",
    )
    .fetch_one(&mut conn)
    .await?;
    let mut files = 0;
    if carries != 0 {
        files = unpack(&mut conn, bytes).await?;
        for sql in ["DROP TABLE carried_bytes", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            sqlx::query(sql).execute(&mut conn).await?;
        }
    }
    conn.close().await?;
    Ok(files)
}

async fn unpack(conn: &mut SqliteConnection, bytes: &dyn FileBytes) -> Result<u64, StoreError> {
    let mut files = 0;
    let mut arriving: Option<([u8; 32], Box<dyn ArrivingBytes>)> = None;
    let mut after = i64::MIN;
    loop {
        let row = sqlx::query(NEXT_PIECE)
            .bind(after)
            .bind(i64::try_from(PIECE).unwrap_or(i64::MAX))
            .fetch_optional(&mut *conn)
            .await?;
        let Some(row) = row else { break };
        let mut c = Columns::new("carried_bytes", &row);
        after = c.take("key")?;
        c.named(after);
        let sha256: &[u8] = c.take("sha256")?;
        let sha256: [u8; 32] = sha256.try_into().map_err(|error| c.bad("sha256", error))?;
        let length: i64 = c.take("length")?;
        let piece: Option<Vec<u8>> = c.take("bytes")?;
        let piece = piece.ok_or_else(|| c.bad("bytes", format!("{length} bytes at once")))?;
        let of = match arriving.take() {
            Some((of, open)) if of == sha256 => open,
            other => {
                files += u64::from(other.is_some());
                keep(other).await?;
                bytes.begin()
            }
        };
        let (_, open) = arriving.insert((sha256, of));
        open.write(piece).await.map_err(failed(sha256))?;
    }
    files += u64::from(arriving.is_some());
    keep(arriving).await?;
    Ok(files)
}

async fn keep(arrived: Option<([u8; 32], Box<dyn ArrivingBytes>)>) -> Result<(), StoreError> {
    let Some((sha256, bytes)) = arrived else { return Ok(()) };
    if bytes.keep(sha256).await.map_err(failed(sha256))? {
        Ok(())
    } else {
        let detail = format!("the bytes of the file {} are not those of its hash", hex(&sha256));
        Err(StoreError::Damaged(detail))
    }
}

//! Putting a backup in the database's place, the same way with and without a running server.
//!
//! The backup is copied beside the database (`.restoring`), brought up to date and checked; the bytes of files it carries
//! go where such bytes lie, which changes nothing for the old database. Then nobody has either file open any more, and
//! the swap is three renames: the copy gets the name `.restored`, which decides it; the old database and its log go to
//! the backups folder; the copy becomes the database. Invariant: whoever holds the data directory first finishes what
//! was decided ([`finish_interrupted`]), so that at every instant the old or the new database is whole, and no database
//! ever meets the log of another.

mod record;

pub use record::{Record, Restores, State, Ticket};

use crate::{config::Config, services::files::travel::Shelf, store_options};
use jiff::Timestamp;
use mira_core::clock::{Clock, SystemClock};
use mira_memory::{Store, StoreError, StoreOptions, hand_over, migration_info, settle, unpack_files};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tokio::io::AsyncWriteExt;

/// What belongs to a database and lies beside it: its log, and the journal it has before it has a log.
const LOGS: [&str; 2] = ["-wal", "-journal"];
/// SQLite's notes about the log, made anew when missing.
const NOTES: &str = "-shm";
/// A copy that arrives or is being checked; worthless when found at start.
const ARRIVING: &str = ".restoring";
/// A copy that is sound and is to become the database, whatever happens.
const DECIDED: &str = ".restored";

/// Why a backup was not put in place. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is no sound backup of Mira.
    #[error("{0}")]
    Unfit(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The work broke off.
    #[error("the restore broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A backup's copy on its way into place. Dropped, it takes its files along.
#[derive(Debug)]
pub struct Copy {
    path: PathBuf,
    file: tokio::fs::File,
    /// Where the bytes of its files go.
    shelf: Shelf,
}

impl Copy {
    /// An empty copy beside the database; what an earlier one left is removed.
    pub fn begin(config: &Config, shelf: Shelf) -> Result<Self, RestoreError> {
        let path = with_suffix(&config.database.path, ARRIVING);
        remove_database(&path)?;
        let mut options = fs::OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(|e| at(&path, e))?.into();
        Ok(Self { path, file, shelf })
    }

    /// The next piece of the backup.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), RestoreError> {
        self.file.write_all(piece).await.map_err(|e| at(&self.path, e))
    }

    /// Brings the whole copy up to date, checks it through and through, and takes the bytes of its files out of it.
    pub async fn check(&mut self, config: &Config) -> Result<(), RestoreError> {
        self.file.flush().await.map_err(|e| at(&self.path, e))?;
        let checked = match check(config, &self.path).await {
            Ok(()) => unpack_files(&self.path, &self.shelf).await.map_err(RestoreError::from),
            Err(e) => Err(e),
        };
        checked.map(drop).map_err(|e| match e {
            RestoreError::Store(e) => unfit(e),
            other => other,
        })
    }

    /// Puts the copy in the database's place; answers where the old one is now. Call it where nobody has the database
    /// open and the data directory is held.
    pub async fn put_in_place(self, config: &Config) -> Result<Option<PathBuf>, RestoreError> {
        let places = Places::of(config);
        hand_over(&places.database, &self.path).await?;
        if places.database.exists()
            && let Err(error) = settle(&places.database).await
        {
            // A damaged database may be why it is replaced: it is kept as it is, log and all.
            tracing::warn!(%error, "the database before the restore is set aside with its log");
        }
        self.file.sync_all().await.map_err(|e| at(&self.path, e))?;
        remove_beside(&self.path)?;
        let arrived = self.path.clone();
        tokio::task::spawn_blocking(move || decide(&arrived, &places)).await?
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // One that was decided for has another name by now.
        if let Err(error) = remove_database(&self.path) {
            tracing::warn!(%error, "a copy could not be removed; the next start does it");
        }
    }
}

async fn check(config: &Config, path: &Path) -> Result<(), RestoreError> {
    if !migration_info(path).await?.iter().any(|migration| migration.applied) {
        return Err(RestoreError::Unfit(
            "the file holds no backup of Mira's database".to_owned(),
        ));
    }
    let options = StoreOptions {
        path: path.to_owned(),
        ..store_options(config)
    };
    let store = Store::open(options, SystemClock.now()).await?;
    let report = store.integrity_check().await;
    store.close().await;
    match report?.problems.first() {
        None => Ok(()),
        Some(problem) => Err(RestoreError::Unfit(format!("the backup is not sound: {problem}"))),
    }
}

/// What is wrong with a backup, said of the backup and not of the database.
fn unfit(error: StoreError) -> RestoreError {
    RestoreError::Unfit(match error {
        StoreError::Damaged(detail) => format!("the backup is damaged ({detail})"),
        row @ StoreError::Row { .. } => format!("the backup is damaged ({row})"),
        StoreError::Foreign { application_id, .. } => {
            format!("the file is a database of another program (application id {application_id:#x})")
        }
        StoreError::Newer { found, known } => {
            format!(
                "the backup has schema {found}, this program knows up to {known}: restore it with the newer version"
            )
        }
        StoreError::Schema(detail) => format!("the backup's migrations do not fit this program: {detail}"),
        StoreError::Migration { version, detail } => {
            format!("the backup could not be brought up to date (migration {version}): {detail}")
        }
        other => return other.into(),
    })
}

/// The files of a swap.
#[derive(Debug)]
struct Places {
    database: PathBuf,
    decided: PathBuf,
    backups: PathBuf,
}

impl Places {
    fn of(config: &Config) -> Self {
        Self {
            database: config.database.path.clone(),
            decided: with_suffix(&config.database.path, DECIDED),
            backups: config.data_dir.join("backups"),
        }
    }
}

/// Finishes a swap that a crash cut short and removes what a broken one left; answers where the old database is now, if
/// there was something to finish. Whoever takes the data directory calls this before the database is opened.
pub fn finish_interrupted(config: &Config) -> Result<Option<PathBuf>, RestoreError> {
    let places = Places::of(config);
    remove_database(&with_suffix(&places.database, ARRIVING))?;
    if !places.decided.exists() {
        return Ok(None);
    }
    let kept = swap(&places)?;
    tracing::warn!("a restore that was cut short is finished now");
    Ok(kept)
}

/// Decides for the copy and swaps. Where that fails everything is as it was.
fn decide(arrived: &Path, places: &Places) -> Result<Option<PathBuf>, RestoreError> {
    fs::rename(arrived, &places.decided).map_err(|e| at(&places.decided, e))?;
    let swapped = sync_folder_of(&places.decided).and_then(|()| swap(places));
    if swapped.is_err() {
        remove(&places.decided)?;
    }
    swapped
}

/// The old database goes to the backups folder, the copy takes its place. Run again after a crash it goes on where it
/// was; after an error everything has its old name.
fn swap(places: &Places) -> Result<Option<PathBuf>, RestoreError> {
    let kept = keep_aside(places)?;
    if let Err(e) = fs::rename(&places.decided, &places.database) {
        put_back(places, &kept);
        return Err(at(&places.database, e));
    }
    // The new database is in place, and there is no way back from here.
    if let Err(error) = sync_folder_of(&places.database) {
        tracing::error!(%error, "the restore is done and may not survive a loss of power");
    }
    Ok(kept.exists().then_some(kept))
}

/// Moves the log, then the database. The name comes from the copy, so that a second run finds the first one's.
fn keep_aside(places: &Places) -> Result<PathBuf, RestoreError> {
    let (decided, folder) = (&places.decided, &places.backups);
    let modified = fs::metadata(decided).and_then(|found| found.modified());
    let stamp = Timestamp::try_from(modified.map_err(|e| at(decided, e))?)
        .map_err(|e| at(decided, io::Error::other(e)))?
        .strftime("%Y%m%dT%H%M%S%3fZ");
    let kept = folder.join(format!("pre-restore-{stamp}.db"));
    fs::create_dir_all(folder).map_err(|e| at(folder, e))?;
    remove(&with_suffix(&places.database, NOTES))?;
    for log in LOGS {
        if with_suffix(&kept, log).exists() {
            // Moved by an earlier run; what has its name now is the empty one of somebody who only read.
            remove(&with_suffix(&places.database, log))?;
        }
    }
    for suffix in LOGS.into_iter().chain([""]) {
        let (from, to) = (with_suffix(&places.database, suffix), with_suffix(&kept, suffix));
        if let Err(e) = move_file(&from, &to) {
            put_back(places, &kept);
            return Err(at(&from, e));
        }
    }
    sync_folder_of(&kept)?;
    Ok(kept)
}

/// Undoes [`keep_aside`] as far as it came.
fn put_back(places: &Places, kept: &Path) {
    for suffix in [""].into_iter().chain(LOGS) {
        let (from, to) = (with_suffix(kept, suffix), with_suffix(&places.database, suffix));
        if let Err(error) = move_file(&from, &to) {
            tracing::error!(%error, path = %from.display(), "could not be moved back");
        }
    }
}

/// A rename, or a copy where the folders lie on different disks. Nothing to move is fine; nothing is overwritten.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    if to.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    match fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            let partial = with_suffix(to, ".partial");
            let copied = fs::copy(from, &partial)
                .and_then(|_| fs::File::open(&partial)?.sync_all())
                .and_then(|()| fs::rename(&partial, to));
            if let Err(e) = copied {
                // The first error is the one to tell.
                fs::remove_file(&partial).unwrap_or_default();
                return Err(e);
            }
            fs::remove_file(from)
        }
        moved => moved,
    }
}

/// Removes a database that is ours to remove, with what SQLite keeps beside it.
fn remove_database(path: &Path) -> Result<(), RestoreError> {
    remove(path)?;
    remove_beside(path)
}

fn remove_beside(path: &Path) -> Result<(), RestoreError> {
    let mut beside = LOGS.into_iter().chain([NOTES]);
    beside.try_for_each(|suffix| remove(&with_suffix(path, suffix)))
}

fn remove(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(path, e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder_of(path: &Path) -> Result<(), RestoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| at(folder, e))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

fn at(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! `restore FILE`: puts a backup in the database's place. The backup is copied, brought up to date and checked before
//! anything is touched; what was there is moved to the backups folder, never deleted.
//!
//! A server that runs must be stopped first: it holds the database open, and what clients see would change under them.

use super::{CliError, progress, say};
use crate::{
    config::Config,
    datadir::{DataDir, DataDirError},
    store_options,
};
use mira_core::clock::{Clock, SystemClock};
use mira_memory::{Store, StoreError, StoreOptions};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The database and the files SQLite keeps beside it.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

pub(super) async fn run(config: &Config, backup: &Path) -> Result<ExitCode, CliError> {
    let _held = match DataDir::take(config) {
        Err(DataDirError::Held { holder, .. }) => {
            let reason = format!("{holder} uses the database: stop it, then restore again");
            return Err(CliError::Plain(reason));
        }
        taken => taken?,
    };
    let database = &config.database.path;
    let copy = with_suffix(database, ".restoring");
    remove_all(&copy)?;
    let prepared = prepare(config, backup, &copy).await;
    if prepared.is_err() {
        remove_all(&copy)?;
    }
    prepared?;
    let kept = move_aside(config, database)?;
    fs::rename(&copy, database).map_err(|source| CliError::File {
        path: database.clone(),
        source,
    })?;
    sync_folder(database)?;
    if let Some(kept) = kept {
        progress(&format!("what was there is now {}", kept.display()));
    }
    say(&format!("restored {}", backup.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Copies the backup, migrates the copy and checks it whole.
async fn prepare(config: &Config, backup: &Path, copy: &Path) -> Result<(), CliError> {
    progress("copying");
    let (from, to) = (backup.to_owned(), copy.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        // Opened first: SQLite makes an empty database of a file that is not there.
        fs::File::open(&from)?;
        fs::copy(&from, &to)?;
        fs::File::open(&to)?.sync_all()
    });
    let copied = copied.await.map_err(|e| CliError::Plain(e.to_string()))?;
    copied.map_err(|source| CliError::File {
        path: backup.to_owned(),
        source,
    })?;
    progress("checking");
    let options = StoreOptions {
        path: copy.to_owned(),
        ..store_options(config)
    };
    if fs::metadata(copy)
        .map_err(|source| CliError::File {
            path: copy.to_owned(),
            source,
        })?
        .len()
        == 0
    {
        return Err(StoreError::Damaged("the backup is empty".to_owned()).into());
    }
    let store = Store::open(options, SystemClock.now()).await?;
    let report = store.integrity_check().await;
    store.close().await;
    match report?.problems.first() {
        None => Ok(()),
        Some(problem) => Err(StoreError::Damaged(format!("the backup is not sound: {problem}")).into()),
    }
}

/// Moves the database and what lies beside it into the backups folder; answers its new place.
fn move_aside(config: &Config, database: &Path) -> Result<Option<PathBuf>, CliError> {
    if !database.exists() {
        return Ok(None);
    }
    let folder = config.data_dir.join("backups");
    fs::create_dir_all(&folder).map_err(|source| CliError::File {
        path: folder.clone(),
        source,
    })?;
    let kept = folder.join(format!(
        "pre-restore-{}.db",
        SystemClock.now().strftime("%Y%m%dT%H%M%S%3fZ")
    ));
    // The log first: a database without its log would lose what is only there, should we end in between.
    for suffix in SUFFIXES.iter().rev() {
        let (from, to) = (with_suffix(database, suffix), with_suffix(&kept, suffix));
        if from.exists() {
            move_file(&from, &to).map_err(|source| CliError::File { path: from, source })?;
        }
    }
    Ok(Some(kept))
}

/// A rename, or a copy where the backups lie on another disk.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to)?;
            fs::File::open(to)?.sync_all()?;
            fs::remove_file(from)
        }
        moved => moved,
    }
}

fn remove_all(path: &Path) -> Result<(), CliError> {
    for suffix in SUFFIXES {
        let path = with_suffix(path, suffix);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(CliError::File { path, source }),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn sync_folder(path: &Path) -> Result<(), CliError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| CliError::File {
        path: folder.to_owned(),
        source,
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

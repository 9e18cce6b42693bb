//! Whether each file has its bytes, and whether all bytes have a file: `doctor`'s look. Reads only, also beside a running
//! server, which may take in and delete files meanwhile.

use super::disk::Disk;
use crate::services::import;
use mira_core::{file::StoredFile, ids::AccountId};
use mira_memory::{Store, StoreError};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// How closely bytes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Whether they are there, and as many as they should be.
    Lengths,
    /// Whether they are those of their hash: all are read.
    Hashes,
}

/// What is wrong with the bytes of a file.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// There are none.
    #[error("its bytes are missing")]
    Missing,
    /// There are more or fewer.
    #[error("it has {0} bytes on disk")]
    Length(u64),
    /// They are others.
    #[error("its bytes are damaged")]
    Damaged,
    /// They cannot be read.
    #[error("its bytes cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Looked {
    /// How many files there are.
    pub files: u64,
    /// How many bytes they have, each file counted.
    pub bytes: u64,
    /// Files without sound bytes.
    pub wrong: Vec<(StoredFile, Wrong)>,
    /// What lies there and belongs to no file.
    pub unknown: Vec<PathBuf>,
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder.
    #[error("the files cannot be listed: {0}")]
    Io(#[from] io::Error),
    /// The work broke off.
    #[error("the look at the files broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Looks at all files of the account.
pub async fn look(store: &Store, account: AccountId, disk: Disk, depth: Depth) -> Result<Looked, CheckError> {
    // The disk first: what comes meanwhile has a row by then, or is about to.
    let listing = disk.clone();
    let (lying, mut unknown) = tokio::task::spawn_blocking(move || listing.list()).await??;
    let files = import::files(store, account).await?;
    let mut known: HashSet<_> = files.iter().map(|file| file.sha256).collect();
    known.extend(store.list_file_leftovers().await?);
    unknown.extend(
        lying
            .iter()
            .filter(|sha| !known.contains(*sha))
            .map(|sha| disk.path(sha)),
    );
    let (count, bytes) = (files.len() as u64, files.iter().map(|file| file.size).sum());
    let judging = move || {
        // What is gone by now was deleted meanwhile.
        unknown.retain(|path| path.exists());
        let judged = |file: StoredFile| Some((wrong(&disk.path(&file.sha256), &file, depth)?, file));
        (files.into_iter().filter_map(judged).collect::<Vec<_>>(), unknown)
    };
    let (judged, unknown) = tokio::task::spawn_blocking(judging).await?;
    let mut looked = Looked {
        files: count,
        bytes,
        wrong: Vec::new(),
        unknown,
    };
    for (what, file) in judged {
        if store.find_file(account, file.id).await?.is_some() {
            looked.wrong.push((file, what));
        }
    }
    Ok(looked)
}

fn wrong(path: &Path, file: &StoredFile, depth: Depth) -> Option<Wrong> {
    let sound = |path: &Path| -> io::Result<Option<Wrong>> {
        let length = fs::metadata(path)?.len();
        if length != file.size {
            return Ok(Some(Wrong::Length(length)));
        }
        let is_sound = match depth {
            Depth::Lengths => true,
            Depth::Hashes => hash(path)? == file.sha256,
        };
        Ok((!is_sound).then_some(Wrong::Damaged))
    };
    match sound(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Wrong::Missing),
        Err(error) => Some(Wrong::Unreadable(error)),
    }
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize().into())
}

//! Bytes on disk: `<folder>/<first two hex digits>/<SHA-256 in hex>`, mode 0600, written beside and renamed when whole.
//!
//! Writing and hashing happen on a thread that may block; what is still on its way waits in a queue of a few pieces.

use super::FilesError;
use crate::{config::Config, lifecycle::Lifecycle};
use bytes::Bytes;
use mira_core::project::{hex, unhex};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use tempfile::TempPath;
use tokio::{io::AsyncReadExt, sync::mpsc, task::JoinHandle};

/// How much of a file is kept to tell what it is.
const HEAD_BYTES: usize = 16 * 1024;
/// Pieces that wait to be written.
const QUEUED: usize = 8;
/// How much is read at once of a file that is copied.
const PIECE: usize = 64 * 1024;

/// The folder of the files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disk {
    folder: PathBuf,
}

/// A file on its way in.
#[derive(Debug)]
pub struct Upload {
    life: Lifecycle,
    pieces: mpsc::Sender<Bytes>,
    written: JoinHandle<Result<Staged, FilesError>>,
}

/// A file that is whole but has no name yet; removed when dropped.
#[derive(Debug)]
pub struct Staged {
    path: TempPath,
    size: u64,
    sha256: [u8; 32],
    head: Vec<u8>,
}

impl Staged {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of its bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Its beginning.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Upload {
    /// Takes the next bytes. Waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        // A writer that has given up tells why at the end.
        if !bytes.is_empty() && self.pieces.send(bytes).await.is_err() {
            return Err(self.failure().await);
        }
        Ok(())
    }

    async fn failure(&mut self) -> FilesError {
        match (&mut self.written).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => FilesError::Ending,
        }
    }

    /// Takes all of a file. Nothing is followed: a link is refused.
    pub async fn copy(&mut self, path: PathBuf) -> Result<(), FilesError> {
        let pieces = self.pieces.clone();
        let copied = self.life.spawn_blocking(move || -> io::Result<()> {
            let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
            let mut file = OpenOptions::new().read(true).custom_flags(nofollow).open(path)?;
            loop {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece)?;
                if read == 0 {
                    return Ok(());
                }
                piece.truncate(read);
                if pieces.blocking_send(piece.into()).is_err() {
                    return Ok(());
                }
            }
        });
        copied.await.map_err(|_| FilesError::Ending)??;
        if self.pieces.is_closed() {
            return Err(self.failure().await);
        }
        Ok(())
    }

    /// All bytes were given.
    pub async fn finish(self) -> Result<Staged, FilesError> {
        drop(self.pieces);
        self.written.await.map_err(|_| FilesError::Ending)?
    }
}

impl Disk {
    /// The folder in the data directory.
    pub fn of(config: &Config) -> Self {
        Self {
            folder: config.data_dir.join("files"),
        }
    }

    /// Where the bytes of this hash are.
    pub(super) fn path(&self, sha: &[u8; 32]) -> PathBuf {
        let name = hex(sha);
        let (shelf, _) = name.split_at(2);
        self.folder.join(shelf).join(name)
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    pub(super) fn begin(&self, life: &Lifecycle, most: u64) -> Upload {
        let folder = self.unfinished();
        let (pieces, queue) = mpsc::channel(QUEUED);
        let written = life.spawn_blocking(move || write_all(&folder, queue, most));
        Upload {
            life: life.clone(),
            pieces,
            written,
        }
    }

    /// Gives a whole file its name. What has it already goes: these are the bytes of the hash, whatever those have become.
    pub(super) fn put(&self, staged: Staged) -> Result<(), FilesError> {
        let path = self.path(&staged.sha256);
        let shelf = path.parent().unwrap_or(&self.folder);
        make_private(shelf)?;
        staged.path.persist(&path).map_err(|error| error.error)?;
        File::open(shelf)?.sync_all()?;
        Ok(())
    }

    /// Removes the bytes of this hash, if they are there.
    pub(super) fn remove(&self, sha: &[u8; 32]) -> Result<(), FilesError> {
        let path = self.path(sha);
        match fs::remove_file(&path) {
            Ok(()) => Ok(File::open(path.parent().unwrap_or(&self.folder))?.sync_all()?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What lies there: the files by their hash, and whatever else has found its way in.
    pub(super) fn list(&self) -> io::Result<(Vec<[u8; 32]>, Vec<PathBuf>)> {
        let (mut known, mut strange) = (Vec::new(), Vec::new());
        for shelf in entries(&self.folder)? {
            if shelf == self.unfinished() {
                continue;
            }
            if !shelf.is_dir() {
                strange.push(shelf);
                continue;
            }
            for path in entries(&shelf)? {
                let name = path.file_name().and_then(|name| name.to_str());
                match name.and_then(unhex).filter(|sha| self.path(sha) == path) {
                    Some(sha) => known.push(sha),
                    None => strange.push(path),
                }
            }
        }
        Ok((known, strange))
    }

    /// Before anything is taken in: what an earlier process did not finish goes.
    pub fn clear_unfinished(&self) -> io::Result<()> {
        for path in entries(&self.unfinished())? {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The beginning of a file, which tells what it is, and its size.
pub(super) async fn head(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
    Ok((head, size))
}

/// What lies in a folder; nothing where there is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_all(folder: &Path, mut pieces: mpsc::Receiver<Bytes>, most: u64) -> Result<Staged, FilesError> {
    make_private(folder)?;
    let (mut file, path) = tempfile::Builder::new().tempfile_in(folder)?.into_parts();
    let (mut hash, mut size, mut head) = (Sha256::new(), 0_u64, Vec::new());
    while let Some(piece) = pieces.blocking_recv() {
        size += piece.len() as u64;
        if size > most {
            return Err(FilesError::TooLarge(most));
        }
        let missing = HEAD_BYTES.saturating_sub(head.len()).min(piece.len());
        head.extend_from_slice(piece.get(..missing).unwrap_or_default());
        hash.update(&piece);
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    Ok(Staged {
        path,
        size,
        sha256: hash.finalize().into(),
        head,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_lies_there_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk {
            folder: dir.path().join("files"),
        };
        assert_eq!(disk.list().unwrap(), (Vec::new(), Vec::new()), "there is no folder yet");
        let known = [7; 32];
        let strange = [
            disk.folder.join("07/notes.txt"),
            // A right name on another's shelf.
            disk.folder.join("08").join(hex(&known)),
            disk.folder.join("stray.txt"),
        ];
        for path in [disk.path(&known), disk.unfinished().join("half")]
            .iter()
            .chain(&strange)
        {
            make_private(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let (found, mut others) = disk.list().unwrap();
        others.sort();
        assert_eq!((found, others.as_slice()), (vec![known], strange.as_slice()));
    }
}

//! The bytes of files as exports, imports, backups and restores handle them.
//!
//! Invariant: bytes that came for a row that is not stored yet are not taken for leftovers while somebody brings them.

use super::{
    Files, FilesError, MOST_BYTES,
    disk::{self, Disk, Upload},
    is_read,
    names::tidy_name,
};
use crate::{config::Config, lifecycle::Lifecycle};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use mira_core::file::FileStatus;
use mira_memory::{ArrivingBytes, FileBytes, JudgedFile};
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::fs::File;

/// The bytes of the files of a data directory, as [`FileBytes`].
pub struct Shelf {
    disk: Disk,
    life: Lifecycle,
    /// Who else has them in hand; nobody where no server runs.
    files: Option<Files>,
    /// What came, for them to spare.
    arrived: Arc<Mutex<Vec<[u8; 32]>>>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

impl Shelf {
    /// For a command that holds the data directory, or only reads.
    pub fn alone(config: &Config) -> Self {
        Self {
            disk: Disk::of(config),
            life: Lifecycle::new(),
            files: None,
            arrived: Arc::default(),
        }
    }

    /// For the server itself.
    pub fn of(files: &Files) -> Self {
        Self {
            disk: files.0.disk.clone(),
            life: files.life().clone(),
            files: Some(files.clone()),
            arrived: Arc::default(),
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let Some(files) = self.files.take() else { return };
        let arrived = std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        // A life that ends leaves what is left to the next.
        if arrived.is_empty() || files.life().soft().is_cancelled() {
            return;
        }
        let life = files.life().clone();
        life.spawn(async move {
            let mut arriving = files.0.naming.lock().await;
            for sha in arrived {
                if let Some(at) = arriving.iter().position(|one| *one == sha) {
                    arriving.swap_remove(at);
                }
            }
            drop(arriving);
            files.look_after().await;
        });
    }
}

impl FileBytes for Shelf {
    fn open(&self, sha256: [u8; 32]) -> BoxFuture<'_, io::Result<File>> {
        File::open(self.disk.path(&sha256)).boxed()
    }

    fn begin(&self) -> Box<dyn ArrivingBytes> {
        Box::new(Arriving {
            upload: self.disk.begin(&self.life, MOST_BYTES),
            disk: self.disk.clone(),
            life: self.life.clone(),
            files: self.files.clone(),
            arrived: Arc::clone(&self.arrived),
        })
    }

    fn judge<'a>(&'a self, sha256: [u8; 32], name: &'a str) -> BoxFuture<'a, io::Result<JudgedFile>> {
        async move {
            let (head, size) = disk::head(&self.disk.path(&sha256)).await?;
            Ok(judge(name, size, &head))
        }
        .boxed()
    }
}

/// What a file of this name, size and beginning is.
pub(super) fn judge(name: &str, size: u64, head: &[u8]) -> JudgedFile {
    let name = tidy_name(name);
    let sniffed = mira_docs::sniff(&name, head);
    JudgedFile {
        name,
        media_type: sniffed.media_type,
        size,
        status: if is_read(sniffed.kind) && size > 0 {
            FileStatus::Processing
        } else {
            FileStatus::Ready
        },
    }
}

struct Arriving {
    upload: Upload,
    disk: Disk,
    life: Lifecycle,
    files: Option<Files>,
    arrived: Arc<Mutex<Vec<[u8; 32]>>>,
}

impl ArrivingBytes for Arriving {
    fn write(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        let piece = Bytes::from(bytes);
        async move { self.upload.write(piece).await.map_err(as_io) }.boxed()
    }

    fn keep(self: Box<Self>, sha256: [u8; 32]) -> BoxFuture<'static, io::Result<bool>> {
        let Self {
            upload,
            disk,
            life,
            files,
            arrived,
        } = *self;
        async move {
            let staged = upload.finish().await.map_err(as_io)?;
            if staged.sha256() != sha256 {
                return Ok(false);
            }
            // Held until the bytes have their name: whoever clears leftovers then knows of them.
            let mut naming = match &files {
                Some(files) => Some(files.0.naming.lock().await),
                None => None,
            };
            if let Some(arriving) = &mut naming {
                arriving.push(sha256);
                arrived.lock().unwrap_or_else(PoisonError::into_inner).push(sha256);
            }
            let put = life.spawn_blocking(move || disk.put(staged));
            put.await
                .map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?
                .map_err(as_io)?;
            Ok(true)
        }
        .boxed()
    }
}

fn as_io(error: FilesError) -> io::Error {
    let kind = match error {
        FilesError::Io(error) => return error,
        FilesError::TooLarge(_) => io::ErrorKind::FileTooLarge,
        FilesError::DiskFull => io::ErrorKind::StorageFull,
        FilesError::Ending => io::ErrorKind::Interrupted,
        FilesError::NoSuchProject | FilesError::Store(_) => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

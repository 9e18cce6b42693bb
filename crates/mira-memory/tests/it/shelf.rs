//! Bytes of files in a folder, as whoever keeps them does.

use futures_util::{FutureExt, future::BoxFuture};
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::{FileId, MessageId, ProjectId},
    project::{Author, hex},
};
use mira_memory::{ArrivingBytes, FileBytes, FileOutcome, JudgedFile, Store};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::fs::File;

use crate::support::{ME, now};

pub struct Shelf(pub TempDir);

struct Arriving {
    folder: PathBuf,
    bytes: Vec<u8>,
}

pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Shelf {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, bytes: &[u8]) -> PathBuf {
        self.0.path().join(hex(&hash(bytes)))
    }

    pub fn put(&self, bytes: &[u8]) {
        fs::write(self.path(bytes), bytes).unwrap();
    }

    /// What lies there, in order of the hashes.
    pub fn all(&self) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        all.sort();
        all
    }
}

fn judge(path: &Path, name: &str) -> io::Result<JudgedFile> {
    let is_text = Path::new(name).extension().is_some_and(|ending| ending == "txt");
    Ok(JudgedFile {
        name: name.rsplit('/').next().unwrap().to_owned(),
        media_type: if is_text {
            "text/plain"
        } else {
            "application/octet-stream"
        }
        .to_owned(),
        size: fs::metadata(path)?.len(),
        status: if is_text {
            FileStatus::Processing
        } else {
            FileStatus::Ready
        },
    })
}

impl FileBytes for Shelf {
    fn open(&self, sha256: [u8; 32]) -> BoxFuture<'_, io::Result<File>> {
        File::open(self.0.path().join(hex(&sha256))).boxed()
    }

    fn begin(&self) -> Box<dyn ArrivingBytes> {
        Box::new(Arriving {
            folder: self.0.path().to_owned(),
            bytes: Vec::new(),
        })
    }

    fn judge<'a>(&'a self, sha256: [u8; 32], name: &'a str) -> BoxFuture<'a, io::Result<JudgedFile>> {
        std::future::ready(judge(&self.0.path().join(hex(&sha256)), name)).boxed()
    }
}

impl ArrivingBytes for Arriving {
    fn write(&mut self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        assert!(bytes.len() <= 256 * 1024, "{}", bytes.len());
        self.bytes.extend(bytes);
        std::future::ready(Ok(())).boxed()
    }

    fn keep(self: Box<Self>, sha256: [u8; 32]) -> BoxFuture<'static, io::Result<bool>> {
        let is_sound = hash(&self.bytes) == sha256;
        let kept = if is_sound {
            fs::write(self.folder.join(hex(&sha256)), &self.bytes)
        } else {
            Ok(())
        };
        std::future::ready(kept.map(|()| is_sound)).boxed()
    }
}

/// A file as it would be stored, its bytes on the shelf.
pub fn file(shelf: &Shelf, n: u128, name: &str, bytes: &[u8]) -> StoredFile {
    shelf.put(bytes);
    let judged = judge(&shelf.path(bytes), name).unwrap();
    StoredFile {
        id: FileId(uuid::Uuid::from_u128(n)),
        project_id: None,
        name: judged.name,
        media_type: judged.media_type,
        size: judged.size,
        sha256: hash(bytes),
        status: judged.status,
        error: None,
        pages: None,
        author: Author::Owner,
        message_id: None,
        created_at: now(),
    }
}

pub async fn insert(store: &Store, file: StoredFile) -> StoredFile {
    match store.insert_file(ME, file).await.unwrap() {
        FileOutcome::Created(file) => file,
        other => panic!("{other:?}"),
    }
}

pub fn in_project(file: StoredFile, project: ProjectId) -> StoredFile {
    StoredFile {
        project_id: Some(project),
        ..file
    }
}

pub fn made_for(file: StoredFile, message: MessageId) -> StoredFile {
    StoredFile {
        author: Author::Mira,
        message_id: Some(message),
        ..file
    }
}

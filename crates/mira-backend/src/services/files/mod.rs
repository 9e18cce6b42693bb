//! The owner's files and those Mira makes: bytes on disk under their SHA-256 ([`disk`]), what is known of them in the
//! store, every change told to every socket of the account. Documents are read behind the conversation ([`reader`], in
//! processes of their own: [`extract`]; again where that failed: [`tries`]) and searched ([`search`]). Bytes leave and
//! come with exports and backups ([`travel`]); names are made fit to be shown ([`names`]); `doctor` looks whether all are
//! there ([`check`]).
//!
//! Invariants: a row is written after its bytes are on disk and synced, and these are among the leftovers until it is;
//! bytes go after their last row; a name is shown and never becomes a path; what a file is, its bytes say and not its
//! sender.

pub mod check;
pub mod disk;
pub mod door;
mod embedding;
pub mod extract;
mod names;
mod passages;
mod rank;
pub mod reader;
pub mod search;
pub mod travel;
mod tries;
mod web_reader;
mod words;

use crate::lifecycle::Lifecycle;
use bytes::Bytes;
use disk::{Disk, Staged, Upload};
use mira_core::{
    clock::Clock,
    file::{FileStatus, StoredFile},
    ids::{AccountId, FileId, MessageId, ProjectId},
    project::Author,
};
use mira_docs::{Kind, READER};
use mira_memory::{FileOutcome, Store, StoreError};
use std::{io, path::PathBuf, sync::Arc};
use tokio::sync::{Mutex, Notify, broadcast};
use words::WordVectors;

/// The largest file the owner may upload, in bytes.
pub const MOST_BYTES: u64 = 100 * 1024 * 1024;
/// The largest file a tool may make, in bytes.
pub const MOST_MADE_BYTES: u64 = 64 * 1024 * 1024;

/// Why a file was not stored, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// More bytes than are taken.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// There is no such project.
    #[error("there is no such project")]
    NoSuchProject,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The disk.
    #[error("the file could not be stored: {0}")]
    Io(#[source] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program is ending.
    #[error("shutting down")]
    Ending,
}

impl From<io::Error> for FilesError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::DiskFull,
            _ => Self::Io(error),
        }
    }
}

/// A change of a file.
#[derive(Debug, Clone, Copy)]
pub enum FileChange<'a> {
    /// It is new.
    Created(&'a StoredFile),
    /// It was read, or could not be.
    Updated(&'a StoredFile),
    /// It is gone.
    Deleted(&'a StoredFile),
}

/// Who hears of changes.
#[derive(Debug, Clone)]
pub struct Teller {
    /// How a change becomes a frame.
    pub encode: fn(FileChange<'_>) -> Bytes,
    /// Every socket of the account.
    pub account_events: broadcast::Sender<Bytes>,
}

/// What a tool made.
#[derive(Debug)]
pub enum Made {
    /// In memory.
    Bytes(Bytes),
    /// On disk; copied.
    Path(PathBuf),
}

/// Where a file goes, and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The project.
    pub project: Option<ProjectId>,
    /// Who made it.
    pub author: Author,
    /// The reply it was made for.
    pub message: Option<MessageId>,
}

/// The files. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    disk: Disk,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    life: Lifecycle,
    teller: Teller,
    /// Held from "the bytes are on disk" to "the row says so", and while leftover bytes are removed. Bytes that somebody
    /// brings whose rows come later, as often as they are brought.
    naming: Mutex<Vec<[u8; 32]>>,
    /// A document waits to be read.
    wake: Notify,
    /// For questions.
    words: WordVectors,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    /// Files on `disk`, whose folder is made when the first is stored.
    pub fn new(disk: Disk, store: Arc<Store>, clock: Arc<dyn Clock>, life: Lifecycle, teller: Teller) -> Self {
        Self(Arc::new(Inner {
            disk,
            store,
            clock,
            life,
            teller,
            naming: Mutex::default(),
            wake: Notify::new(),
            words: WordVectors::default(),
        }))
    }

    /// Before the first upload: what an earlier process did not finish goes.
    pub async fn prepare(&self) {
        let disk = self.0.disk.clone();
        let cleared = self.0.life.spawn_blocking(move || disk.clear_unfinished()).await;
        if let Ok(Err(error)) = cleared {
            tracing::warn!(%error, "leftovers of unfinished uploads could not be removed");
        }
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Now.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// How it ends.
    pub fn life(&self) -> &Lifecycle {
        &self.0.life
    }

    /// Waits until a document may wait to be read.
    pub async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// What words mean.
    fn words(&self) -> &WordVectors {
        &self.0.words
    }

    /// Says that a document waits to be read.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Tells every socket of the account.
    pub fn tell(&self, change: FileChange<'_>) {
        // Nobody listening is fine.
        drop(self.0.teller.account_events.send((self.0.teller.encode)(change)));
    }

    /// Begins to take a file of at most `most` bytes. Dropped before [`Files::keep`], nothing is left of it.
    pub fn begin(&self, most: u64) -> Upload {
        self.0.disk.begin(&self.0.life, most)
    }

    /// Stores what was taken. The flag says whether it is new: the owner's same bytes under the same name in the same
    /// place are one file. Goes on to its end even if the caller goes away.
    pub async fn keep(
        &self,
        account: AccountId,
        place: Place,
        name: &str,
        staged: Staged,
    ) -> Result<(StoredFile, bool), FilesError> {
        let (files, name) = (self.clone(), name.to_owned());
        let work = async move { files.keep_alone(account, place, name, staged).await };
        self.0.life.spawn(work).await.unwrap_or(Err(FilesError::Ending))
    }

    async fn keep_alone(
        &self,
        account: AccountId,
        place: Place,
        name: String,
        staged: Staged,
    ) -> Result<(StoredFile, bool), FilesError> {
        let judged = travel::judge(&name, staged.size(), staged.head());
        let new = StoredFile {
            id: FileId(self.0.clock.new_uuid()),
            project_id: place.project,
            name: judged.name,
            media_type: judged.media_type,
            size: judged.size,
            sha256: staged.sha256(),
            status: judged.status,
            error: None,
            pages: None,
            author: place.author,
            message_id: place.message,
            created_at: self.0.clock.now(),
        };
        let stored = {
            let _naming = self.0.naming.lock().await;
            self.put(staged, account, new).await
        };
        let outcome = match stored {
            Ok(outcome) => outcome,
            Err(error) => {
                // A full disk is no place to wait for the next start.
                if let Err(error) = self.sweep_leftovers().await {
                    tracing::warn!(%error, "what is left of an upload could not be removed");
                }
                return Err(error);
            }
        };
        match outcome {
            FileOutcome::Created(file) => {
                self.tell(FileChange::Created(&file));
                if file.status == FileStatus::Processing {
                    self.wake();
                }
                Ok((file, true))
            }
            FileOutcome::Known(file) => Ok((file, false)),
            FileOutcome::Requeued(file) => {
                self.tell(FileChange::Updated(&file));
                self.wake();
                Ok((file, false))
            }
            FileOutcome::NoSuchProject => {
                self.sweep_leftovers().await?;
                Err(FilesError::NoSuchProject)
            }
        }
    }

    /// Bytes, then their row. Nobody may remove leftovers meanwhile.
    async fn put(&self, staged: Staged, account: AccountId, new: StoredFile) -> Result<FileOutcome, FilesError> {
        self.0.store.insert_file_leftover(staged.sha256()).await?;
        let disk = self.0.disk.clone();
        let put = self.0.life.spawn_blocking(move || disk.put(staged));
        put.await.map_err(|_| FilesError::Ending)??;
        Ok(self.0.store.insert_file(account, new).await?)
    }

    /// Reads a file again that could not be read, or not yet, and at once; one that was read stays as it is.
    pub async fn retry(&self, account: AccountId, id: FileId) -> Result<Option<StoredFile>, FilesError> {
        let asked = self.0.store.requeue_file(account, id, self.0.clock.now()).await?;
        if let Some(file) = &asked
            && file.status == FileStatus::Processing
        {
            self.tell(FileChange::Updated(file));
            self.wake();
        }
        Ok(asked)
    }

    /// Stores what a tool made.
    pub async fn keep_made(
        &self,
        account: AccountId,
        project: Option<ProjectId>,
        message: Option<MessageId>,
        name: &str,
        made: Made,
    ) -> Result<StoredFile, FilesError> {
        let mut upload = self.begin(MOST_MADE_BYTES);
        match made {
            Made::Bytes(bytes) => upload.write(bytes).await?,
            Made::Path(path) => upload.copy(path).await?,
        }
        let staged = upload.finish().await?;
        let place = Place {
            project,
            author: Author::Mira,
            message,
        };
        Ok(self.keep(account, place, name, staged).await?.0)
    }

    /// A file and where its bytes are.
    pub async fn open(&self, account: AccountId, id: FileId) -> Result<Option<(StoredFile, PathBuf)>, FilesError> {
        let file = self.0.store.find_file(account, id).await?;
        Ok(file.map(|file| {
            let path = self.0.disk.path(&file.sha256);
            (file, path)
        }))
    }

    /// Where the bytes of a file are.
    pub fn path(&self, file: &StoredFile) -> PathBuf {
        self.0.disk.path(&file.sha256)
    }

    /// Removes a file; answers it as it was. Goes on to its end even if the caller goes away.
    pub async fn delete(&self, account: AccountId, id: FileId) -> Result<Option<StoredFile>, FilesError> {
        let files = self.clone();
        let work = async move {
            let Some(file) = files.0.store.delete_file(account, id).await? else {
                return Ok(None);
            };
            files.tell(FileChange::Deleted(&file));
            files.sweep_leftovers().await?;
            Ok(Some(file))
        };
        self.0.life.spawn(work).await.unwrap_or(Err(FilesError::Ending))
    }

    /// Removes bytes no row speaks of any more. Called when rows went otherwise, with their project for example.
    pub async fn sweep_leftovers(&self) -> Result<(), FilesError> {
        for sha in self.0.store.list_file_leftovers().await? {
            let arriving = self.0.naming.lock().await;
            if arriving.contains(&sha) {
                continue;
            }
            if self.0.store.is_file_leftover(sha).await? {
                let disk = self.0.disk.clone();
                let removed = self.0.life.spawn_blocking(move || disk.remove(&sha));
                removed.await.map_err(|_| FilesError::Ending)??;
            }
            self.0.store.delete_file_leftover(sha).await?;
        }
        Ok(())
    }

    /// Once after a start, and after an import: what was deleted or not stored goes, what was put off is read, and what an
    /// older reader could not read. Bytes no row knows stay: the database may be an older one, put back.
    pub async fn look_after(self) {
        if let Err(error) = self.sweep_leftovers().await {
            tracing::warn!(%error, "leftovers of files could not be removed");
        }
        if let Err(error) = self.0.store.hasten_files(READER).await {
            tracing::warn!(%error, "files that were put off wait on");
        }
        self.wake();
    }
}

/// Whether there is a text in it to find.
pub fn is_read(kind: Kind) -> bool {
    match kind {
        Kind::Text | Kind::Markdown | Kind::Html | Kind::Pdf | Kind::Docx | Kind::Csv | Kind::Code => true,
        Kind::Image | Kind::Other => false,
    }
}

//! The SQLite store: one file, one writer that commits in groups, a few readers that never wait for it.
//!
//! [`Store`] is the door. SQL lives in this folder only, one file per table; those files' functions take a connection,
//! and only the store's methods open transactions. Pragmas are set in one place, [`connect_options`].
//!
//! Write `LIMIT (?3 + 0)`, never `LIMIT ?3`: SQLite plans by the value of a bare parameter there, and prepares the
//! statement anew each time one is bound, which costs ten times what most of our queries do.
//!
//! Write `+account_id = ?1` where rows are looked up or walked by their number: SQLite takes any index that begins with
//! the account for a narrow one, and would look at every row of the account instead (the test of `plans` watches).

pub mod approvals;
pub mod artifacts;
mod citations;
pub mod documents;
pub mod error;
pub mod facts;
pub mod file_bytes;
pub mod file_readings;
pub mod file_texts;
pub mod file_vectors;
pub mod files;
pub mod forget;
pub mod handover;
pub mod lexical;
pub mod logins;
pub mod maintenance;
pub mod memories;
pub mod messages;
pub mod migrate;
pub mod moods;
pub mod outbox;
#[cfg(test)]
mod plans;
pub mod projects;
pub mod proposals;
pub mod provider_files;
mod readers;
pub(crate) mod recall_rows;
pub mod receipts;
pub mod repos;
mod rows;
pub mod search;
pub mod sessions;
pub mod spaces;
mod spent;
pub mod state;
pub mod summaries;
pub mod tombstones;
pub mod traces;
pub mod transfer;
pub mod turns;
pub mod vectors;
pub mod writer;

use error::StoreError;
use file_vectors::Shelves;
use forget::Traces;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use lexical::Terms;
use mira_core::persona::PersonaName;
use readers::{Reader, Readers};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use summaries::HandedOut;
use tokio::{sync::Semaphore, task::JoinSet};
use writer::{Class, Writer, WriterStats};

pub(crate) use maintenance::backup_file;

/// Statements kept prepared per connection; more than the crate has.
const STATEMENT_CACHE: usize = 200;

/// The first schema whose files were always written with deleted rows wiped out.
const FIRST_SECURE: i64 = 2;

/// Rows a connection's thread may be ahead of whoever reads them: a recall's few hundred, so that the two threads do not
/// wake each other for every row.
const ROW_BUFFER: usize = 1024;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: every acknowledged commit is synced to the disk.
    Full,
    /// Death of the process, at any instant. Power loss may undo the last commits, never damage the file.
    Normal,
}

/// Where and how a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The database file; made (mode 0600) if missing, its folder is not.
    pub path: PathBuf,
    /// Connections that read, at least 1.
    pub readers: u32,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Where copies made before a migration go; made if missing.
    pub backup_dir: PathBuf,
    /// The overlay Mira starts in when the file is new.
    pub default_persona: PersonaName,
}

impl StoreOptions {
    /// The file a `DATABASE_URL` names, read as sqlx reads it (`sqlite:path`, `sqlite://path`).
    pub fn path_of_url(url: &str) -> Result<PathBuf, StoreError> {
        if !url.starts_with("sqlite:") {
            return Err(StoreError::Url("it must begin with sqlite:".to_owned()));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::Url(
                "a database in memory forgets everything; name a file".to_owned(),
            ));
        }
        let path = SqliteConnectOptions::from_str(url)?.get_filename().to_owned();
        if path.as_os_str().is_empty() {
            return Err(StoreError::Url("it names no file".to_owned()));
        }
        Ok(path)
    }
}

/// How much of a list, from where.
#[derive(Debug, Clone, Copy)]
pub struct Page<C> {
    /// The most items; clamped to 1..=[`Page::MAX`].
    pub limit: u32,
    /// Where the page before this one ended; `None` for the first.
    pub cursor: Option<C>,
}

impl<C> Page<C> {
    /// The hard limit of every list.
    pub const MAX: u32 = 200;

    /// The first page.
    pub fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }

    fn rows(&self) -> usize {
        self.limit.clamp(1, Self::MAX) as usize
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T, C> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<C>,
}

impl<T, C> Listed<T, C> {
    /// A page out of up to `limit + 1` rows, each with the cursor that stands after it.
    fn cut(rows: Vec<(T, C)>, limit: usize) -> Self {
        let more = rows.len() > limit;
        let mut items = Vec::with_capacity(rows.len().min(limit));
        let mut next = None;
        for (item, cursor) in rows.into_iter().take(limit) {
            items.push(item);
            next = Some(cursor);
        }
        Self {
            items,
            next: next.filter(|_| more),
        }
    }
}

/// A place in a list ordered by arrival.
macro_rules! ord_cursor {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub(super) i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}
pub(crate) use ord_cursor;

/// The store. Cheap to share behind an `Arc`; close it with [`Store::close`].
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    readers: Readers,
    /// `None` where the file is open for reading only.
    writer: Option<Writer>,
    /// What is kept for queries of recall.
    terms: Terms,
    /// Vectors of files, once they were asked for.
    shelves: Shelves,
    /// What is being summarised.
    handed_out: Arc<HandedOut>,
    /// What is still to be wiped out of the file.
    traces: Arc<Mutex<Traces>>,
    /// One permit: wiping out is done by one at a time.
    scrubbing: Semaphore,
    task: Mutex<JoinSet<()>>,
}

impl Store {
    /// Opens the file for reading and writing, brings its schema up to date (after a copy), and starts the writer.
    /// `now` names the copy.
    pub async fn open(options: StoreOptions, now: Timestamp) -> Result<Self, StoreError> {
        let mut conn = open_writer(&options).await?;
        if let Err(error) = prepare(&mut conn, &options, now).await {
            // The first error is the one to tell.
            drop(conn.close().await);
            return Err(error);
        }
        let connect = connect_options(&options.path);
        let readers = Readers::new(reader_options(&connect), options.readers);
        let (writer, task) = Writer::new(conn, writer_options(&connect), options.durability);
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Ok(Self {
            path: options.path,
            readers,
            writer: Some(writer),
            terms: Terms::new(),
            shelves: Shelves::default(),
            handed_out: Arc::default(),
            traces: Arc::default(),
            scrubbing: Semaphore::new(1),
            task: Mutex::new(tasks),
        })
    }

    /// Opens the file for reading only: works beside a running server, migrates nothing, refuses every write.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Open {
                path: path.to_owned(),
                detail: "there is no such file".to_owned(),
            });
        }
        let connect = maintenance::read_options(path).await?;
        let readers = Readers::new(reader_options(&connect), 2);
        {
            let mut conn = readers.get().await?;
            let found = migrate::check(&mut conn, path).await?;
            if found < migrate::newest_known() {
                return Err(StoreError::Schema(format!(
                    "it has {found}, this program needs {}: run `migrate run`",
                    migrate::newest_known()
                )));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            readers,
            writer: None,
            terms: Terms::new(),
            shelves: Shelves::default(),
            handed_out: Arc::default(),
            traces: Arc::default(),
            scrubbing: Semaphore::new(1),
            task: Mutex::default(),
        })
    }

    /// Finishes what is queued, folds the log into the file and closes it. Everything asked afterwards is refused.
    pub async fn close(&self) {
        self.readers.close().await;
        self.terms.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        let mut tasks = std::mem::take(&mut *self.task.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the writer did not end well");
            }
        }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the writer has done so far; zeros where the file is open for reading only.
    pub fn writer_stats(&self) -> WriterStats {
        self.writer.as_ref().map(Writer::stats).unwrap_or_default()
    }

    /// A reading connection.
    async fn read(&self) -> Result<Reader<'_>, StoreError> {
        self.readers.get().await
    }

    /// Runs a job in the writer. It may run twice (see [`writer`]), but is committed once.
    async fn write<T, F>(&self, class: Class, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        match &self.writer {
            Some(writer) => writer.submit(class, work).await,
            None => Err(StoreError::ReadOnly("it was opened for reading only".to_owned())),
        }
    }
}

/// Everything that stands between an open connection and a usable store.
async fn prepare(conn: &mut SqliteConnection, options: &StoreOptions, now: Timestamp) -> Result<(), StoreError> {
    let found = migrate::check(conn, &options.path).await?;
    migrate::run(conn, options, now).await?;
    if (1..FIRST_SECURE).contains(&found) {
        forget::wipe_leftovers(conn).await?;
    }
    state::insert_missing(conn, &options.default_persona).await
}

/// The pragmas of every connection.
fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(STATEMENT_CACHE)
        .row_buffer_size(ROW_BUFFER)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-16000")
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("mmap_size", "0")
        .disable_statement_logging()
}

fn writer_options(connect: &SqliteConnectOptions) -> SqliteConnectOptions {
    connect
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is overwritten with zeros, cell by cell and page by page.
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", "67108864")
        .pragma("wal_autocheckpoint", "1000")
}

fn reader_options(connect: &SqliteConnectOptions) -> SqliteConnectOptions {
    connect.clone().read_only(true).pragma("query_only", "ON")
}

/// Opens the writing connection; a missing file is made readable by its owner only.
async fn open_writer(options: &StoreOptions) -> Result<SqliteConnection, StoreError> {
    create_private(&options.path)?;
    writer_options(&connect_options(&options.path))
        .connect()
        .await
        .map_err(|error| match StoreError::from(error) {
            StoreError::Io { source, .. } => StoreError::Open {
                path: options.path.clone(),
                detail: source.to_string(),
            },
            other => other,
        })
}

/// Makes the file with mode 0600 if it is missing; SQLite gives its log the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    match open.open(path) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            std::io::ErrorKind::AlreadyExists => Ok(()),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Err(StoreError::ReadOnly(format!("{}: {error}", path.display())))
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Err(StoreError::DiskFull(format!("{}: {error}", path.display())))
            }
            _ => Err(StoreError::Open {
                path: path.to_owned(),
                detail: error.to_string(),
            }),
        },
    }
}

#[cfg(test)]
impl Store {
    /// A new one, in a directory that goes when the test ends.
    async fn of_a_test() -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            path: dir.path().join("mira.db"),
            readers: 2,
            durability: Durability::Normal,
            backup_dir: dir.path().join("backups"),
            default_persona: PersonaName::parse("default").unwrap(),
        };
        let store = Self::open(options, Timestamp::UNIX_EPOCH).await.unwrap();
        (dir, store)
    }
}

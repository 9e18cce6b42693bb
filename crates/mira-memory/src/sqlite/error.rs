//! What can go wrong in the store. "Not found" is not an error.

use std::path::PathBuf;

/// A failure of the store. The text is meant for a log or an operator; clients never see it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk (or quota) is full. What was committed is safe; the next write works once there is room.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The file or its folder cannot be written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The file is not a healthy SQLite database. It is left as it is.
    #[error("the database is damaged ({0}); it was left as it is: restore a backup, or look at it with `doctor`")]
    Damaged(String),
    /// A healthy SQLite database of some other program.
    #[error("{path} is not a database of Mira (application id {application_id:#x})", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id in its header.
        application_id: i64,
    },
    /// The schema is newer than this program.
    #[error(
        "the database has schema {found}, this program knows up to {known}: run the newer version, or restore a backup"
    )]
    Newer {
        /// The newest migration found in the file.
        found: i64,
        /// The newest migration this program knows.
        known: i64,
    },
    /// A migration in the file differs from the one this program ships, or was left half done.
    #[error("the database's migrations do not fit this program: {0}")]
    Schema(String),
    /// A migration failed and was rolled back.
    #[error("migration {version} failed and was rolled back: {detail}")]
    Migration {
        /// The migration.
        version: i64,
        /// Why.
        detail: String,
    },
    /// Somebody outside this process holds the database.
    #[error("the database is held by another process: {0}")]
    Busy(String),
    /// The file cannot be opened.
    #[error("cannot open the database {path}: {detail}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The database URL is not one of a SQLite file.
    #[error("not a usable database URL: {0}")]
    Url(String),
    /// A row holds something that cannot be.
    #[error("column {column} of {table} row {row} does not parse: {detail}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row, as well as it can be named.
        row: String,
        /// What is wrong.
        detail: String,
    },
    /// A constraint of the schema was violated.
    #[error("the database refused the change: {0}")]
    Constraint(String),
    /// A file given to `import` is not one.
    #[error("line {line} of the import: {detail}")]
    Import {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// The backup's target exists already.
    #[error("{} exists already and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// A job of the writer panicked; its transaction was rolled back.
    #[error("a store operation panicked")]
    Panicked,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// Reading or writing a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Any other failure of SQLite.
    #[error("SQLite: {0}")]
    Sqlite(String),
}

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>), the low byte of the extended ones.
mod code {
    pub const BUSY: i32 = 5;
    pub const LOCKED: i32 = 6;
    pub const READONLY: i32 = 8;
    pub const IOERR: i32 = 10;
    pub const CORRUPT: i32 = 11;
    pub const FULL: i32 = 13;
    pub const CANTOPEN: i32 = 14;
    pub const CONSTRAINT: i32 = 19;
    pub const NOTADB: i32 = 26;
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let extended = error
                    .code()
                    .and_then(|code| code.parse::<i32>().ok())
                    .unwrap_or_default();
                let text = error.to_string();
                match extended & 0xff {
                    code::BUSY | code::LOCKED => Self::Busy(text),
                    code::READONLY => Self::ReadOnly(text),
                    code::CORRUPT | code::NOTADB => Self::Damaged(text),
                    code::FULL => Self::DiskFull(text),
                    code::CONSTRAINT => Self::Constraint(text),
                    code::IOERR | code::CANTOPEN => Self::Io {
                        what: "database file".to_owned(),
                        source: std::io::Error::other(text),
                    },
                    _ => Self::Sqlite(text),
                }
            }
            sqlx::Error::Io(source) => Self::Io {
                what: "database file".to_owned(),
                source,
            },
            sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::Configuration(source) => Self::Url(source.to_string()),
            other => Self::Sqlite(other.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as M;
        match error {
            M::Execute(error) => error.into(),
            M::ExecuteMigration(error, version) => match Self::from(error) {
                // These say what to do better than "the migration failed" does.
                full @ (Self::DiskFull(_) | Self::ReadOnly(_) | Self::Busy(_) | Self::Damaged(_)) => full,
                other => Self::Migration {
                    version,
                    detail: other.to_string(),
                },
            },
            other => Self::Schema(other.to_string()),
        }
    }
}

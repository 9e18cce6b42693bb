//! The readers: a few read-only connections handed out one query at a time, opened when first needed.
//!
//! Not sqlx's pool, because that spawns a task and pings the connection after each use, which costs more than most of
//! our queries; a SQLite connection needs neither.

use super::error::StoreError;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The longest a query waits for a free connection.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Readers {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Semaphore,
    most: u32,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, most: u32) -> Self {
        let most = most.max(1);
        Self {
            options,
            idle: Mutex::default(),
            permits: Semaphore::new(most as usize),
            most,
        }
    }

    /// A connection of one's own until the answer is dropped.
    pub(super) async fn get(&self) -> Result<Reader<'_>, StoreError> {
        let permit = tokio::time::timeout(WAIT, self.permits.acquire())
            .await
            .map_err(|_| StoreError::Busy(format!("all {} readers are at work", self.most)))?
            .map_err(|_| StoreError::Closed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.options.connect().await?,
        };
        Ok(Reader {
            conn: Some(conn),
            pool: self,
            _permit: permit,
        })
    }

    /// Lets nobody in any more and closes what is idle; a reader still at work closes with its query.
    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for conn in idle {
            if let Err(error) = sqlx::Connection::close(conn).await {
                tracing::warn!(%error, "closing a reader");
            }
        }
    }
}

/// A borrowed reading connection.
pub(super) struct Reader<'p> {
    /// `None` only while it is being dropped.
    conn: Option<SqliteConnection>,
    pool: &'p Readers,
    _permit: SemaphorePermit<'p>,
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    #[expect(clippy::expect_used, reason = "taken only by drop")]
    fn deref(&self) -> &SqliteConnection {
        self.conn.as_ref().expect("a reader in use has its connection")
    }
}

impl DerefMut for Reader<'_> {
    #[expect(clippy::expect_used, reason = "taken only by drop")]
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.conn.as_mut().expect("a reader in use has its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // A query cut short is no harm: the connection's own thread ends it before it takes the next.
        if let Some(conn) = self.conn.take()
            && !self.pool.permits.is_closed()
        {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

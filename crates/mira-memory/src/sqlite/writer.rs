//! The one writer: a task that owns the only writing connection. Jobs queue before it; whatever queued while the former
//! commit ran is committed together. A job that fails never takes its neighbours along: its group is rolled back and
//! each job of it is run again in a transaction of its own.
//!
//! Invariant: between two groups no transaction is open. A caller that goes away changes nothing: its job is in the
//! queue already and runs whole or not at all.

use super::{Durability, error::StoreError};
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Jobs waiting for the writer. With 64 sessions at work a few hundred wait behind a slow disk; beyond this callers
/// wait at the door, which is the back-pressure we want.
const QUEUE: usize = 1024;
/// The most jobs in one transaction: enough to hide an fsync, few enough that repeating them one by one stays cheap.
const MAX_GROUP: usize = 64;
/// How long the queue must be empty before the log is folded into the file.
const IDLE: Duration = Duration::from_secs(2);
/// A log larger than this is folded into the file and truncated when there is nothing else to do.
const WAL_TRUNCATE_BYTES: u64 = 32 << 20;
/// How long a chore waits for readers while jobs wait for it, and what the connection is opened with.
const SHORT_PATIENCE: &str = "PRAGMA busy_timeout = 400";
const USUAL_PATIENCE: &str = "PRAGMA busy_timeout = 5000";
/// A file larger than this is rebuilt by way of a temporary file instead of memory. SQLite unlinks it as it makes it,
/// and it holds nothing that was deleted.
const REBUILD_IN_MEMORY_BYTES: u64 = 64 << 20;
/// `BEGIN IMMEDIATE` waits for `busy_timeout` each time; another process (the sqlx command line, say) may hold the file.
const BEGIN_ATTEMPTS: u32 = 4;

/// How long what a job wrote must live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A partial that may be lost with the power: survives the process.
    Partial,
    /// Acknowledged to somebody: survives what [`Durability`] promises.
    Acknowledged,
}

/// What the writer has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Transactions committed.
    pub commits: u64,
    /// Jobs committed; `jobs / commits` is the mean group.
    pub jobs: u64,
    /// The largest group.
    pub max_group: u64,
    /// Groups that were rolled back and run again job by job.
    pub retried_groups: u64,
    /// Microseconds the last `COMMIT` took.
    pub last_commit_us: u64,
    /// Microseconds all `COMMIT`s took together.
    pub commit_us: u64,
    /// How often another process held the file longer than the busy timeout.
    pub busy: u64,
    /// Jobs waiting now.
    pub queued: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    jobs: AtomicU64,
    max_group: AtomicU64,
    retried_groups: AtomicU64,
    last_commit_us: AtomicU64,
    commit_us: AtomicU64,
    busy: AtomicU64,
}

/// A job without its types.
trait Job: Send {
    fn class(&self) -> Class;
    /// Runs inside the open transaction and keeps the answer. May be called again after a rollback.
    fn run<'a>(&'a mut self, conn: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Hands out the kept answer, or why there is none.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct TypedJob<T, F> {
    class: Class,
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    fn class(&self) -> Class {
        self.class
    }

    fn run<'a>(&'a mut self, conn: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        self.value = None;
        let work = (self.work)(conn);
        let value = &mut self.value;
        async move {
            *value = Some(
                AssertUnwindSafe(work)
                    .catch_unwind()
                    .await
                    .map_err(|_| StoreError::Panicked)??,
            );
            Ok(())
        }
        .boxed()
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let answer = committed.and_then(|()| value.ok_or(StoreError::Closed));
        // Nobody may be waiting any more; the job is done all the same.
        drop(reply.send(answer));
    }
}

/// Work on the whole file, done between two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chore {
    /// Folds the log into the file and empties it. Answers whether no reader was in the way.
    Truncate,
    /// Writes the file anew, without what is left of deleted rows. Nothing else is written meanwhile.
    Rebuild,
}

enum Order {
    Job(Box<dyn Job>),
    Chore(Chore, oneshot::Sender<Result<bool, StoreError>>),
    Close,
}

/// The door to the writer task.
#[derive(Debug)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    counters: Arc<Counters>,
}

impl Writer {
    /// A writer over an open connection, and the task that must be driven for it to work.
    pub(super) fn new(
        conn: SqliteConnection,
        options: SqliteConnectOptions,
        durability: Durability,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (orders, queue) = mpsc::channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let mut wal = options.get_filename().as_os_str().to_owned();
        wal.push("-wal");
        let task = Task {
            conn,
            options,
            durability,
            synchronous: None,
            queue,
            counters: Arc::clone(&counters),
            wal: wal.into(),
        };
        (Self { orders, counters }, task.run())
    }

    /// Queues a job and waits until it is committed (or has failed alone).
    pub(super) async fn submit<T, F>(&self, class: Class, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(TypedJob {
            class,
            work,
            value: None,
            reply,
        });
        self.orders
            .send(Order::Job(job))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Queues a chore behind the jobs that wait and waits until it is done.
    pub(super) async fn chore(&self, chore: Chore) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.orders
            .send(Order::Chore(chore, reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Asks the task to finish what is queued and end.
    pub(super) async fn close(&self) {
        // An error means that it has ended already.
        drop(self.orders.send(Order::Close).await);
    }

    pub(super) fn stats(&self) -> WriterStats {
        let c = &self.counters;
        WriterStats {
            commits: c.commits.load(Relaxed),
            jobs: c.jobs.load(Relaxed),
            max_group: c.max_group.load(Relaxed),
            retried_groups: c.retried_groups.load(Relaxed),
            last_commit_us: c.last_commit_us.load(Relaxed),
            commit_us: c.commit_us.load(Relaxed),
            busy: c.busy.load(Relaxed),
            queued: (self.orders.max_capacity() - self.orders.capacity()) as u64,
        }
    }
}

struct Task {
    conn: SqliteConnection,
    options: SqliteConnectOptions,
    durability: Durability,
    /// The level the connection is set to; `None` until the first transaction.
    synchronous: Option<&'static str>,
    queue: mpsc::Receiver<Order>,
    counters: Arc<Counters>,
    wal: PathBuf,
}

impl Task {
    async fn run(mut self) {
        let mut orders = Vec::with_capacity(MAX_GROUP);
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(MAX_GROUP);
        let mut chores = Vec::new();
        let mut checked = true;
        loop {
            let received = if checked {
                self.queue.recv_many(&mut orders, MAX_GROUP).await
            } else if let Ok(received) = tokio::time::timeout(IDLE, self.queue.recv_many(&mut orders, MAX_GROUP)).await
            {
                received
            } else {
                self.truncate_if_large().await;
                checked = true;
                continue;
            };
            if received == 0 {
                break;
            }
            for order in orders.drain(..) {
                match order {
                    Order::Job(job) => group.push(job),
                    Order::Chore(chore, reply) => chores.push((chore, reply)),
                    Order::Close => self.queue.close(),
                }
            }
            if !group.is_empty() {
                self.commit(&mut group).await;
                checked = false;
            }
            for (chore, reply) in chores.drain(..) {
                let done = self.run_chore(chore).await;
                // Nobody may be waiting any more; the chore is done all the same.
                drop(reply.send(done));
            }
        }
        self.truncate().await;
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "closing the database");
        }
    }

    /// Commits a group, or each job of it alone.
    async fn commit(&mut self, group: &mut Vec<Box<dyn Job>>) {
        match self.transaction(group).await {
            Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
            Err(error) if group.len() == 1 => {
                if let Some(job) = group.pop() {
                    job.answer(Err(error));
                }
            }
            // Whoever holds the file holds it for each of them.
            Err(StoreError::Busy(why)) => {
                group
                    .drain(..)
                    .for_each(|job| job.answer(Err(StoreError::Busy(why.clone()))));
            }
            Err(_) => {
                self.counters.retried_groups.fetch_add(1, Relaxed);
                for job in group.drain(..) {
                    let mut alone = [job];
                    let done = self.transaction(&mut alone).await;
                    let [job] = alone;
                    job.answer(done);
                }
            }
        }
    }

    /// One transaction over the jobs; after an error nothing of it remains.
    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let class = jobs.iter().map(|job| job.class()).max().unwrap_or(Class::Acknowledged);
        self.begin(class).await?;
        for job in &mut *jobs {
            if let Err(error) = job.run(&mut self.conn).await {
                self.rollback().await;
                return Err(error);
            }
        }
        let start = Instant::now();
        if let Err(error) = sqlx::query("COMMIT").execute(&mut self.conn).await {
            self.rollback().await;
            return Err(error.into());
        }
        self.count(jobs.len() as u64, start.elapsed());
        Ok(())
    }

    fn count(&self, jobs: u64, commit: Duration) {
        let c = &self.counters;
        let us = u64::try_from(commit.as_micros()).unwrap_or(u64::MAX);
        c.commits.fetch_add(1, Relaxed);
        c.jobs.fetch_add(jobs, Relaxed);
        c.max_group.fetch_max(jobs, Relaxed);
        c.last_commit_us.store(us, Relaxed);
        c.commit_us.fetch_add(us, Relaxed);
    }

    async fn begin(&mut self, class: Class) -> Result<(), StoreError> {
        let wanted = match (self.durability, class) {
            (Durability::Full, Class::Acknowledged) => "PRAGMA synchronous = FULL",
            (Durability::Full, Class::Partial) | (Durability::Normal, _) => "PRAGMA synchronous = NORMAL",
        };
        if self.synchronous != Some(wanted) {
            self.set_pragma(wanted).await?;
            self.synchronous = Some(wanted);
        }
        let mut attempt = 1;
        loop {
            match sqlx::query("BEGIN IMMEDIATE")
                .execute(&mut self.conn)
                .await
                .map_err(StoreError::from)
            {
                Ok(_) => return Ok(()),
                Err(StoreError::Busy(why)) => {
                    self.counters.busy.fetch_add(1, Relaxed);
                    tracing::warn!(attempt, "another process holds the database");
                    if attempt == BEGIN_ATTEMPTS {
                        return Err(StoreError::Busy(why));
                    }
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the open transaction. SQLite may have rolled back by itself (full disk, IO error), which is as good.
    async fn rollback(&mut self) {
        match sqlx::query("ROLLBACK")
            .execute(&mut self.conn)
            .await
            .map_err(StoreError::from)
        {
            Ok(_) | Err(StoreError::Sqlite(_)) => {}
            Err(error) => {
                tracing::error!(%error, "rolling back failed; the writer opens a new connection");
                match self.options.connect().await {
                    Ok(conn) => {
                        let broken = std::mem::replace(&mut self.conn, conn);
                        drop(broken);
                        self.synchronous = None;
                    }
                    Err(error) => tracing::error!(%error, "the writer cannot open a new connection"),
                }
            }
        }
    }

    async fn truncate_if_large(&mut self) {
        // No log file means an empty one.
        if tokio::fs::metadata(&self.wal)
            .await
            .is_ok_and(|file| file.len() > WAL_TRUNCATE_BYTES)
        {
            self.truncate().await;
        }
    }

    async fn run_chore(&mut self, chore: Chore) -> Result<bool, StoreError> {
        match chore {
            Chore::Truncate => {
                self.set_pragma(SHORT_PATIENCE).await?;
                let folded = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
                    .fetch_one(&mut self.conn)
                    .await;
                self.set_pragma(USUAL_PATIENCE).await?;
                let busy: i64 = folded?;
                Ok(busy == 0)
            }
            Chore::Rebuild => {
                let large = tokio::fs::metadata(self.options.get_filename())
                    .await
                    .is_ok_and(|file| file.len() > REBUILD_IN_MEMORY_BYTES);
                if large {
                    self.set_pragma("PRAGMA temp_store = FILE").await?;
                }
                let rebuilt = sqlx::query("VACUUM").persistent(false).execute(&mut self.conn).await;
                if large {
                    self.set_pragma("PRAGMA temp_store = MEMORY").await?;
                }
                rebuilt?;
                Ok(true)
            }
        }
    }

    /// Not as a cached statement: SQLite applies some pragmas when they are prepared, not when they are run.
    async fn set_pragma(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.conn.execute(sqlx::query(sql).persistent(false)).await?;
        Ok(())
    }

    /// Folds the log into the file. A reader in the way only means that the log stays as it is for now.
    async fn truncate(&mut self) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut self.conn)
            .await
        {
            tracing::warn!(%error, "checkpoint");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{connect_options, writer_options};
    use std::sync::Arc;
    use tokio::{sync::Semaphore, task::JoinSet};

    struct Fixture {
        _dir: tempfile::TempDir,
        writer: Arc<Writer>,
        task: JoinSet<()>,
        options: SqliteConnectOptions,
    }

    async fn open(max_page_count: &'static str) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let options = writer_options(&connect_options(&path))
            .create_if_missing(true)
            .pragma("max_page_count", max_page_count);
        let mut conn = options.connect().await.unwrap();
        conn.execute("CREATE TABLE t (v INTEGER NOT NULL UNIQUE, pad BLOB) STRICT")
            .await
            .unwrap();
        let (writer, run) = Writer::new(conn, options.clone(), Durability::Normal);
        let mut task = JoinSet::new();
        task.spawn(run);
        Fixture {
            _dir: dir,
            writer: Arc::new(writer),
            task,
            options,
        }
    }

    impl Fixture {
        /// Closes the writer and answers what the file holds.
        async fn rows(mut self) -> Vec<i64> {
            self.writer.close().await;
            while self.task.join_next().await.is_some() {}
            let mut conn = self.options.connect().await.unwrap();
            sqlx::query_scalar("SELECT v FROM t ORDER BY v")
                .fetch_all(&mut conn)
                .await
                .unwrap()
        }
    }

    async fn insert(writer: &Writer, v: i64) -> Result<(), StoreError> {
        writer
            .submit(Class::Acknowledged, move |conn| {
                async move {
                    sqlx::query("INSERT INTO t (v) VALUES (?1)")
                        .bind(v)
                        .execute(conn)
                        .await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    fn run(sql: &'static str) -> impl for<'c> Fn(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>> {
        move |conn| {
            async move {
                sqlx::query(sql).persistent(false).execute(conn).await?;
                Ok(())
            }
            .boxed()
        }
    }

    /// Holds the writer inside a transaction until the semaphore has a permit.
    async fn hold(writer: Arc<Writer>, gate: Arc<Semaphore>, held: Arc<Semaphore>) -> Result<(), StoreError> {
        writer
            .submit(Class::Partial, move |_| {
                let (gate, held) = (Arc::clone(&gate), Arc::clone(&held));
                async move {
                    held.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    async fn until_queued(writer: &Writer, jobs: u64) {
        while writer.stats().queued < jobs {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_bad_job_hurts_nobody() {
        let fixture = open("100000").await;
        let (gate, held) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let mut jobs = JoinSet::new();
        jobs.spawn(hold(Arc::clone(&fixture.writer), Arc::clone(&gate), Arc::clone(&held)));
        held.acquire().await.unwrap().forget();
        // 7 comes twice; one job panics; all of them wait together behind the held one.
        for v in [1, 2, 3, 7, 7, 8, 9] {
            let writer = Arc::clone(&fixture.writer);
            jobs.spawn(async move { insert(&writer, v).await });
        }
        let writer = Arc::clone(&fixture.writer);
        jobs.spawn(async move {
            writer
                .submit(Class::Partial, |_| async { panic!("a bad job") }.boxed())
                .await
        });
        until_queued(&fixture.writer, 8).await;
        gate.add_permits(1);
        let answers = jobs.join_all().await;
        let count = |wanted: fn(&Result<(), StoreError>) -> bool| answers.iter().filter(|a| wanted(a)).count();
        assert_eq!(count(Result::is_ok), 7);
        assert_eq!(count(|a| matches!(a, Err(StoreError::Constraint(_)))), 1);
        assert_eq!(count(|a| matches!(a, Err(StoreError::Panicked))), 1);
        assert_eq!(fixture.writer.stats().retried_groups, 1);
        assert_eq!(fixture.rows().await, [1, 2, 3, 7, 8, 9]);
    }

    #[tokio::test]
    async fn what_queued_together_is_committed_together() {
        let fixture = open("100000").await;
        let (gate, held) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let mut jobs = JoinSet::new();
        jobs.spawn(hold(Arc::clone(&fixture.writer), Arc::clone(&gate), Arc::clone(&held)));
        held.acquire().await.unwrap().forget();
        for v in 0..50 {
            let writer = Arc::clone(&fixture.writer);
            jobs.spawn(async move { insert(&writer, v).await });
        }
        until_queued(&fixture.writer, 50).await;
        gate.add_permits(1);
        assert!(jobs.join_all().await.iter().all(Result::is_ok));
        let stats = fixture.writer.stats();
        assert_eq!((stats.commits, stats.jobs, stats.max_group), (2, 51, 50));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_changes_nothing() {
        let fixture = open("100000").await;
        assert!(insert(&fixture.writer, 1).now_or_never().is_none());
        assert_eq!(fixture.rows().await, [1]);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_survived() {
        let fixture = open("8").await;
        insert(&fixture.writer, 1).await.unwrap();
        let big = || run("INSERT INTO t (v, pad) VALUES (2, zeroblob(100000))");
        let full = fixture.writer.submit(Class::Acknowledged, big()).await;
        assert!(matches!(full, Err(StoreError::DiskFull(_))), "{full:?}");
        insert(&fixture.writer, 3).await.unwrap();
        let room = run("PRAGMA max_page_count = 100000");
        fixture.writer.submit(Class::Acknowledged, room).await.unwrap();
        fixture.writer.submit(Class::Acknowledged, big()).await.unwrap();
        assert_eq!(fixture.rows().await, [1, 2, 3]);
    }

    /// SQLite applies `PRAGMA synchronous` when it is prepared; from the statement cache it would do nothing.
    #[tokio::test]
    async fn durability_follows_the_strongest_job() {
        let dir = tempfile::tempdir().unwrap();
        let options = writer_options(&connect_options(&dir.path().join("t.db"))).create_if_missing(true);
        let conn = options.connect().await.unwrap();
        let (writer, run) = Writer::new(conn, options, Durability::Full);
        let mut task = JoinSet::new();
        task.spawn(run);
        for (class, level) in [
            (Class::Acknowledged, 2),
            (Class::Partial, 1),
            (Class::Acknowledged, 2),
            (Class::Partial, 1),
        ] {
            let found: i64 = writer
                .submit(class, |conn| {
                    async move { Ok(sqlx::query_scalar("PRAGMA synchronous").fetch_one(conn).await?) }.boxed()
                })
                .await
                .unwrap();
            assert_eq!(found, level);
        }
    }
}

//! How the process ends. Two tokens: *soft* (take nothing new, finish what runs) and *hard* (stop now, save what there
//! is); one tracker that owns every task. Nothing else in the backend spawns.
//!
//! A process has one life, or several in a row: after a restore the server starts anew in the same process, on the same
//! listening socket.

use crate::services::restore::Restores;
use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{
    sync::CancellationToken,
    task::{
        TaskTracker,
        task_tracker::{TaskTrackerWaitFuture, TrackedFuture},
    },
};

/// How long tasks may take to save their work once the hard token is set.
const SAVE_LIMIT: Duration = Duration::from_secs(4);
/// How long requests may take to finish before a restore; turns that run are stopped and kept.
const RESTORE_GRACE: Duration = Duration::from_secs(2);

/// Handle on the process's life. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    restores: Restores,
    stopped: Arc<AtomicBool>,
    again: bool,
}

/// What a caller of `serve` stops it with.
pub type Shutdown = Lifecycle;

impl Lifecycle {
    /// A fresh life.
    pub fn new() -> Self {
        Self::default()
    }

    /// The life after this one, in the same process.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            restores: self.restores.clone(),
            again: true,
            ..Self::default()
        }
    }

    /// Whether this is the process's first life.
    pub fn is_first(&self) -> bool {
        !self.again
    }

    /// The restores of this process; one that is due is why this life ends.
    pub fn restores(&self) -> &Restores {
        &self.restores
    }

    /// Whether the process was told to end, and not only this life of it.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.soft.cancel();
    }

    /// Set when nothing new is to be taken: listeners stop, sockets say goodbye, running turns finish.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Set when the grace is over: running turns are saved as interrupted.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Runs a task that the process waits for before it ends. The task must end by itself soon after one of the
    /// tokens is set.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// A future that the process waits for like for a task, for those who are spawned by a library.
    pub fn track<F: Future>(&self, future: F) -> TrackedFuture<F> {
        self.tasks.track_future(future)
    }

    /// Runs blocking work that the process waits for.
    pub fn spawn_blocking<F, T>(&self, work: F) -> tokio::task::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.tasks.spawn_blocking(work)
    }

    /// Waits for all tasks; only ends after [`Self::drain`] began.
    fn finished(&self) -> TaskTrackerWaitFuture<'_> {
        self.tasks.wait()
    }

    /// Ends the life: soft now, hard after `grace`; returns when every task has ended or [`SAVE_LIMIT`] has passed.
    /// The answer is whether all tasks ended.
    pub async fn drain(&self, grace: Duration) -> bool {
        let grace = if self.restores.is_due() {
            grace.min(RESTORE_GRACE)
        } else {
            grace
        };
        self.soft.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.finished()).await.is_ok() {
            self.hard.cancel();
            return true;
        }
        tracing::info!(tasks = self.tasks.len(), "grace is over, saving what runs");
        self.hard.cancel();
        tokio::time::timeout(SAVE_LIMIT, self.finished()).await.is_ok()
    }
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen; from here on the signals no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one; cancel-safe.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Turns signals into the end of a life: the first sets the soft token, the second ends the process at once.
pub async fn obey_signals(signals: &mut Signals, life: Lifecycle) -> Infallible {
    let first = tokio::select! {
        name = signals.next() => Some(name),
        () = life.soft.cancelled() => if life.restores.is_due() {
            tracing::info!("draining for a restore");
            Some(signals.next().await)
        } else {
            // It ends by itself, and says why.
            None
        },
    };
    life.stop();
    if let Some(signal) = first {
        tracing::info!(signal, "draining; a second signal ends at once");
    }
    let name = signals.next().await;
    tracing::warn!(signal = name, "second signal, ending at once");
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_tasks_and_then_insists() {
        let life = Lifecycle::new();
        let hard = life.hard().clone();
        let patient = life.spawn(async move { hard.cancelled().await });
        assert!(life.drain(Duration::ZERO).await, "the task ends at the hard token");
        assert!(patient.is_finished());
    }
}

//! One conversation with a remote: who talks to whom, with which credentials, until when, and what came of it. libgit2
//! asks its transports for bytes from deep inside a call; the conversation of the call under way is found through a
//! thread-local, which is right because libgit2 calls a transport on the thread it was called on.
//!
//! A failure inside the transport is kept here with its reason, since libgit2 would only pass on a text.

use super::{
    advert::Advert,
    credentials::Credentials,
    progress::{Progress, Reporter},
    report::Report,
    url::RemoteUrl,
};
use crate::error::GitError;
use mira_net::GuardedClient;
use std::{
    cell::RefCell,
    io, mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Everything a transport needs to know about the conversation it serves.
pub(crate) struct Exchange {
    pub(crate) client: GuardedClient,
    pub(crate) url: RemoteUrl,
    pub(crate) credentials: Credentials,
    pub(crate) ssh: SshFiles,
    pub(crate) cancel: CancellationToken,
    pub(crate) deadline: Instant,
    /// More bytes than this are not taken from the remote.
    pub(crate) max_bytes: u64,
    pub(crate) runtime: Handle,
    pub(crate) reporter: Reporter,
    received: AtomicU64,
    failure: Mutex<Option<GitError>>,
    ear: Mutex<Ear>,
}

/// What is read along while libgit2 reads it.
#[derive(Default)]
enum Ear {
    #[default]
    Closed,
    /// What the remote has.
    Advert(Advert),
    /// What it says of a push.
    Report(Report),
}

/// Where ssh finds what it needs.
#[derive(Debug, Clone)]
pub(crate) struct SshFiles {
    /// The keys of hosts that were reached before.
    pub(crate) known_hosts: PathBuf,
    /// The folder of this attachment's credentials.
    pub(crate) secrets: PathBuf,
    /// The socket of the owner's agent.
    pub(crate) agent: Option<PathBuf>,
}

/// What an [`Exchange`] is made of; see its fields.
pub(crate) struct Terms {
    pub(crate) client: GuardedClient,
    pub(crate) url: RemoteUrl,
    pub(crate) credentials: Credentials,
    pub(crate) ssh: SshFiles,
    pub(crate) deadline: Instant,
    pub(crate) max_bytes: u64,
    pub(crate) reporter: Reporter,
    pub(crate) cancel: CancellationToken,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Exchange>>> = const { RefCell::new(None) };
}

/// The conversation of the libgit2 call this thread is in.
pub(crate) fn current() -> Option<Arc<Exchange>> {
    CURRENT.with(|current| current.borrow().clone())
}

struct Left;

impl Drop for Left {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

impl Exchange {
    /// Must be called inside the runtime whose network the transports use.
    pub(crate) fn new(terms: Terms) -> Arc<Self> {
        Arc::new(Self {
            client: terms.client,
            url: terms.url,
            credentials: terms.credentials,
            ssh: terms.ssh,
            cancel: terms.cancel,
            deadline: terms.deadline,
            max_bytes: terms.max_bytes,
            runtime: Handle::current(),
            reporter: terms.reporter,
            received: AtomicU64::new(0),
            failure: Mutex::new(None),
            ear: Mutex::default(),
        })
    }

    /// Runs libgit2 calls that talk to the remote. A failure of the transport replaces libgit2's word for it.
    pub(crate) fn hold<T>(self: &Arc<Self>, work: impl FnOnce() -> Result<T, GitError>) -> Result<T, GitError> {
        // What an earlier call failed of says nothing about this one.
        drop(self.take_failure());
        CURRENT.with(|current| *current.borrow_mut() = Some(Arc::clone(self)));
        let left = Left;
        let done = work();
        drop(left);
        done.map_err(|error| self.take_failure().unwrap_or(error))
    }

    fn take_failure(&self) -> Option<GitError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the first reason; what fails after it fails because of it.
    pub(crate) fn fail(&self, error: GitError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    /// For the transports: keeps the reason, and gives libgit2 an error to stop with.
    pub(crate) fn stop(&self, error: GitError) -> io::Error {
        self.fail(error);
        io::Error::other("the exchange with the remote failed")
    }

    /// Waits on the blocking thread, until it is done, the caller gives up, or time is over.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, GitError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(GitError::Cancelled),
                () = sleep_until(self.deadline) => Err(GitError::Timeout("the exchange with the remote")),
                done = work => Ok(done),
            }
        })
    }

    /// Whether work may go on; between steps that do not wait.
    pub(crate) fn check(&self) -> Result<(), GitError> {
        if self.cancel.is_cancelled() {
            return Err(GitError::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(GitError::Timeout("the exchange with the remote"));
        }
        Ok(())
    }

    /// For the transports: counts what came from the remote, and listens to what is to be heard.
    pub(crate) fn arrived(&self, bytes: &[u8]) -> Result<(), GitError> {
        let length = bytes.len() as u64;
        let before = self.received.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > self.max_bytes {
            return Err(GitError::TooLarge {
                what: "what the remote sends",
                limit: self.max_bytes,
            });
        }
        match &mut *self.ear.lock().unwrap_or_else(PoisonError::into_inner) {
            Ear::Advert(advert) => advert.hear(bytes)?,
            Ear::Report(report) => report.hear(bytes),
            Ear::Closed => {}
        }
        Ok(())
    }

    fn turn_ear(&self, to: Ear) -> Ear {
        mem::replace(&mut *self.ear.lock().unwrap_or_else(PoisonError::into_inner), to)
    }

    /// From here on, what the remote says it has is heard.
    pub(crate) fn listen(&self) {
        self.turn_ear(Ear::Advert(Advert::default()));
    }

    /// What was heard since [`Self::listen`].
    pub(crate) fn heard(&self) -> Advert {
        match self.turn_ear(Ear::Closed) {
            Ear::Advert(advert) => advert,
            Ear::Report(_) | Ear::Closed => Advert::default(),
        }
    }

    /// From here on, what the remote says of a push is heard.
    pub(crate) fn listen_for_report(&self) {
        self.turn_ear(Ear::Report(Report::default()));
    }

    /// What was heard since [`Self::listen_for_report`].
    pub(crate) fn heard_report(&self) -> Report {
        match self.turn_ear(Ear::Closed) {
            Ear::Report(report) => report,
            Ear::Advert(_) | Ear::Closed => Report::default(),
        }
    }

    /// Tells whoever listens how far it is.
    pub(crate) fn report(&self, progress: Progress) {
        self.reporter.report(progress);
    }
}

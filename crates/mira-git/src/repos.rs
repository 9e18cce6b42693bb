//! The door: [`Repos`]. Every action goes through [`Repos::read`] or [`Repos::write_turn`], which put it on the blocking
//! pool. Invariants: at most `max_concurrent` actions run at once; the writers of one repository run one after the other
//! and never two at once, readers do not wait for them; whoever waits longer than `lock_wait` gets
//! [`GitError::Busy`]; the first touch of a repository after a start mends what a crash left ([`crate::recover`]).
//!
//! A permit travels with the work, not with the caller: a caller who gives up does not free a place that is still used.

use crate::{
    error::{Clash, GitError, Holder},
    open::{Idle, Opened, open, reopen},
    recover,
    settings::GitSettings,
};
use mira_core::ids::AttachmentId;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

/// How long a read may take before its caller is told so; the work itself may go on for a while.
const READ_TIME: Duration = Duration::from_mins(1);
/// Between two looks at a lock that git, run by hand, holds.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

/// All clones below one folder. Cheap to clone. One process at a time may own the folder.
#[derive(Debug, Clone)]
pub struct Repos(Arc<Inner>);

struct Inner {
    root: PathBuf,
    settings: GitSettings,
    pool: Arc<Semaphore>,
    /// Grows with the repositories touched since the start; a removed one leaves it.
    turns: Mutex<HashMap<AttachmentId, Arc<Turn>>>,
    /// Handles of readers, at most [`IDLE`], the longest unused one first.
    idle: Mutex<Vec<(AttachmentId, Idle)>>,
}

/// Kept open for the next reader: a large repository's index takes a while to read, and about 30 MB.
const IDLE: usize = 8;

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn take_idle(&self, id: AttachmentId) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|(kept, _)| *kept == id)?;
        Some(idle.remove(at).1)
    }

    fn keep_idle(&self, id: AttachmentId, handle: Idle) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() == IDLE {
            idle.remove(0);
        }
        idle.push((id, handle));
    }
}

/// The order of those who write one repository.
#[derive(Debug)]
struct Turn {
    one: Arc<Semaphore>,
    /// Set once what a crash may have left was looked at.
    mended: OnceCell<()>,
}

impl Repos {
    /// Clones live in `<root>/<attachment id>/`. Nothing is opened yet.
    pub fn new(root: PathBuf, settings: GitSettings) -> Self {
        let pool = Arc::new(Semaphore::new(settings.max_concurrent.max(1)));
        Self(Arc::new(Inner {
            root,
            settings,
            pool,
            turns: Mutex::default(),
            idle: Mutex::default(),
        }))
    }

    /// The folder of one clone, whether it exists or not.
    pub fn folder(&self, id: AttachmentId) -> PathBuf {
        self.0.root.join(id.to_string())
    }

    /// The folder that holds all clones.
    pub(crate) fn root(&self) -> &std::path::Path {
        &self.0.root
    }

    /// The limits in force.
    pub fn settings(&self) -> &GitSettings {
        &self.0.settings
    }

    fn turn(&self, id: AttachmentId) -> Arc<Turn> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(id).or_insert_with(|| {
            Arc::new(Turn {
                one: Arc::new(Semaphore::new(1)),
                mended: OnceCell::new(),
            })
        });
        Arc::clone(turn)
    }

    /// Forgets the order of a repository that is gone.
    pub(crate) fn forget(&self, id: AttachmentId) {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.0
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(kept, _)| *kept != id);
    }

    /// Waits for a place in the pool.
    async fn place(&self, until: Instant) -> Result<OwnedSemaphorePermit, GitError> {
        acquire(&self.0.pool, until, Holder::Pool).await
    }

    /// The right to be the only writer of `id` for as long as it is kept: for [`Self::in_turn`]. Everything that is one step
    /// uses [`Self::write_turn`].
    pub(crate) async fn hold(&self, id: AttachmentId) -> Result<OwnedSemaphorePermit, GitError> {
        let until = Instant::now() + self.0.settings.lock_wait;
        acquire(&self.turn(id).one, until, Holder::Mira).await
    }

    /// Reads. Does not wait for writers.
    pub(crate) async fn read<T, F>(&self, id: AttachmentId, work: F) -> Result<T, GitError>
    where
        T: Send + 'static,
        F: FnOnce(&Opened<'_>) -> Result<T, GitError> + Send + 'static,
    {
        self.mended(id).await?;
        let place = self.place(Instant::now() + self.0.settings.lock_wait).await?;
        let (inner, dir) = (Arc::clone(&self.0), self.folder(id));
        let running = blocking(place, move || {
            let opened = reopen(inner.take_idle(id), &dir, &inner.settings)?;
            let done = work(&opened)?;
            if let Some(handle) = opened.into_idle() {
                inner.keep_idle(id, handle);
            }
            Ok(done)
        });
        match timeout_at(Instant::now() + READ_TIME, running).await {
            Ok(done) => done,
            Err(_) => Err(GitError::Timeout("reading the repository")),
        }
    }

    /// Writes, alone. `work` may run several times: as long as a git command run by hand holds the repository's lock or has
    /// just moved the branch, it fails with [`Holder::Git`] or [`Clash::Moved`], with nothing changed, and is tried again
    /// until the deadline.
    pub(crate) async fn write_turn<T, F>(&self, id: AttachmentId, work: F) -> Result<T, GitError>
    where
        T: Send + 'static,
        F: Fn(&Opened<'_>) -> Result<T, GitError> + Send + Sync + 'static,
    {
        self.mended(id).await?;
        self.write_unmended(id, work).await
    }

    async fn write_unmended<T, F>(&self, id: AttachmentId, work: F) -> Result<T, GitError>
    where
        T: Send + 'static,
        F: Fn(&Opened<'_>) -> Result<T, GitError> + Send + Sync + 'static,
    {
        let until = Instant::now() + self.0.settings.lock_wait;
        let work = Arc::new(work);
        loop {
            let permits = (self.hold(id).await?, self.place(until).await?);
            let (inner, dir, work) = (Arc::clone(&self.0), self.folder(id), Arc::clone(&work));
            let done = blocking(permits, move || {
                let opened = open(&dir, &inner.settings)?;
                // A step that failed half-way in this very process (a full disk) left the same traces as a crash.
                recover::mend(&opened)?;
                work(&opened)
            });
            match done.await {
                Err(GitError::Busy(Holder::Git) | GitError::Conflict { why: Clash::Moved, .. })
                    if Instant::now() + LOOK_AGAIN < until =>
                {
                    sleep(LOOK_AGAIN).await;
                }
                done => return done,
            }
        }
    }

    /// Mends once per start what a crash left.
    async fn mended(&self, id: AttachmentId) -> Result<(), GitError> {
        let turn = self.turn(id);
        let mend = || self.write_unmended(id, |_| Ok(()));
        turn.mended.get_or_try_init(mend).await.copied()
    }

    /// Runs work on the folder of a clone, there or not, for whoever has its [`Self::hold`], in `turn`.
    pub(crate) async fn in_turn<P, T, F>(&self, turn: P, work: F) -> Result<T, GitError>
    where
        P: Send + 'static,
        T: Send + 'static,
        F: FnOnce(&GitSettings) -> Result<T, GitError> + Send + 'static,
    {
        let place = self.place(Instant::now() + self.0.settings.lock_wait).await?;
        let inner = Arc::clone(&self.0);
        blocking((turn, place), move || work(&inner.settings)).await
    }
}

async fn acquire(from: &Arc<Semaphore>, until: Instant, holder: Holder) -> Result<OwnedSemaphorePermit, GitError> {
    match timeout_at(until, Arc::clone(from).acquire_owned()).await {
        Ok(permit) => permit.map_err(|_| GitError::Broken),
        Err(_) => Err(GitError::Busy(holder)),
    }
}

/// Runs `work` on the blocking pool; the permits are given back when it ends, whoever still listens.
async fn blocking<P, T, F>(permits: P, work: F) -> Result<T, GitError>
where
    P: Send + 'static,
    T: Send + 'static,
    F: FnOnce() -> Result<T, GitError> + Send + 'static,
{
    let running = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permits);
        done
    });
    running.await.unwrap_or_else(|error| {
        tracing::error!(error = %error, "an action on a repository broke off");
        Err(GitError::Broken)
    })
}

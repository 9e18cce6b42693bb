//! Everything of git that leaves the machine: addresses, credentials, transports, clone, sync. The door is [`Remotes`].
//!
//! Invariants: a connection goes only where `mira-net`'s guard lets it, whatever the protocol; a credential is in the
//! secret files, in memory and on the wire to its own host, and nowhere else; one exchange per repository runs at a time,
//! each with a deadline, a cap and a way to cancel it; what fails or is cancelled leaves nothing.

mod advert;
mod clone;
mod credentials;
mod exchange;
mod fetch;
mod held;
mod http;
mod pkt;
mod progress;
mod register;
mod report;
mod ssh;
mod sync;
pub(crate) mod tags;
mod url;

pub use clone::Cloned;
pub use credentials::{Credentials, Secret, Secrets};
pub use held::Held;
pub use progress::{Progress, Stage};
pub use sync::{Outcome, Synced};
pub use url::{RemoteUrl, UrlError};

use crate::{
    error::{Clash, GitError, Holder, Missing},
    path::BranchName,
    recover,
    repos::Repos,
};
use exchange::{Exchange, SshFiles, Terms};
use fetch::Caps;
use mira_core::ids::AttachmentId;
use mira_net::GuardedClient;
use progress::Reporter;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Limits and places for exchanges with remotes.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// The folder for credentials.
    pub secrets: PathBuf,
    /// The file for keys of ssh hosts.
    pub known_hosts: PathBuf,
    /// The socket of the owner's ssh agent, for attachments without a key.
    pub ssh_agent: Option<PathBuf>,
    /// Most bytes one exchange may receive.
    pub max_bytes: u64,
    /// Most objects one exchange may receive.
    pub max_objects: u64,
    /// Most branches a remote may have.
    pub max_branches: usize,
    /// Most tags a remote may have; of one that has more none are taken.
    pub max_tags: usize,
    /// How long one exchange may take.
    pub max_time: Duration,
    /// Exchanges that run at once, over all repositories; more wait.
    pub max_concurrent: usize,
}

impl RemoteSettings {
    /// Defaults, with everything that is written below `data`.
    pub fn below(data: &Path) -> Self {
        const GIB: u64 = 1024 * 1024 * 1024;
        Self {
            secrets: data.join("secrets").join("git"),
            known_hosts: data.join("secrets").join("known_hosts"),
            ssh_agent: None,
            max_bytes: 4 * GIB,
            max_objects: 5_000_000,
            max_branches: 10_000,
            max_tags: 50_000,
            max_time: Duration::from_hours(1),
            max_concurrent: 4,
        }
    }
}

/// What is to be attached.
#[derive(Debug, Clone)]
pub struct Attach {
    /// Where it is.
    pub url: RemoteUrl,
    /// How to get in; kept for later syncs.
    pub credentials: Credentials,
    /// The branch to check out; `None` is the remote's own choice.
    pub branch: Option<BranchName>,
}

/// How an attached repository is to be synced.
#[derive(Debug, Clone)]
pub struct Sync {
    /// Where it is.
    pub url: RemoteUrl,
    /// Whether commits are pushed.
    pub push: bool,
    /// The message of a merge commit, should one be needed; `None` is git's usual one.
    pub message: Option<String>,
}

/// Who listens to an exchange, and who may end it.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// Told how far it is.
    pub progress: Option<watch::Sender<Progress>>,
    /// Ends it, with [`GitError::Cancelled`].
    pub cancel: CancellationToken,
}

/// Remotes of all clones. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Remotes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    repos: Repos,
    client: GuardedClient,
    settings: RemoteSettings,
    secrets: Secrets,
    places: Arc<Semaphore>,
    /// Grows with the repositories talked about since the start; a detached one leaves it.
    turns: Mutex<HashMap<AttachmentId, Arc<Semaphore>>>,
}

/// A place among the running exchanges, and the only one of a repository.
struct Permits(#[expect(dead_code, reason = "held until the work ends")] [OwnedSemaphorePermit; 2]);

impl Remotes {
    /// Remotes of the clones in `repos`, reached through `client`.
    pub fn new(repos: Repos, client: GuardedClient, settings: RemoteSettings) -> Self {
        Self(Arc::new(Inner {
            repos,
            client,
            secrets: Secrets::new(settings.secrets.clone()),
            places: Arc::new(Semaphore::new(settings.max_concurrent.max(1))),
            settings,
            turns: Mutex::default(),
        }))
    }

    /// Reads an address, under the rules in force.
    pub fn parse_url(&self, text: &str) -> Result<RemoteUrl, UrlError> {
        RemoteUrl::parse(text, self.0.client.guard())
    }

    /// Clones a repository and keeps its credentials. Waits for a place as long as it takes; dropped, it cancels.
    pub async fn attach(&self, id: AttachmentId, attach: Attach, listener: Listener) -> Result<Cloned, GitError> {
        let permits = self.permits(id, &listener.cancel).await?;
        // Before the credentials of what is there could be replaced.
        if self.0.repos.folder(id).symlink_metadata().is_ok() {
            return Err(GitError::standing(Clash::Exists));
        }
        let secrets = self.0.secrets.clone();
        let kept = attach.credentials.clone();
        let permits = blocking(permits, move || secrets.keep(id, &kept)).await?.0;
        let (exchange, _guard) = self.exchange(id, attach.url, attach.credentials, listener)?;
        let job = clone::Job {
            temporary: recover::temporary(&self.0.repos, id),
            folder: self.0.repos.folder(id),
            branch: attach.branch,
            settings: self.0.repos.settings().clone(),
            caps: self.caps(),
        };
        let secrets = self.0.secrets.clone();
        let cloned = blocking(permits, move || {
            clone::run(&job, &exchange).inspect_err(|_| {
                if let Err(error) = secrets.remove(id) {
                    tracing::warn!(attachment.id = %id, error = %error, "credentials of a failed clone stay");
                }
            })
        });
        Ok(cloned.await?.1)
    }

    /// Fetches, merges, and pushes if asked to.
    pub async fn sync(&self, id: AttachmentId, sync: Sync, listener: Listener) -> Result<Synced, GitError> {
        let permits = self.permits(id, &listener.cancel).await?;
        let pair = self.0.repos.read(id, sync::Pair::of).await?;
        let secrets = self.0.secrets.clone();
        let (permits, credentials) = blocking(permits, move || secrets.load(id)).await?;
        let (exchange, _guard) = self.exchange(id, sync.url, credentials, listener)?;
        let (dir, settings) = (self.0.repos.folder(id), self.0.repos.settings().clone());

        let fetching = {
            let (dir, settings, exchange) = (dir.clone(), settings.clone(), Arc::clone(&exchange));
            let caps = self.caps();
            blocking(permits, move || sync::take_news(&dir, &settings, &exchange, caps))
        };
        let (permits, fetched) = fetching.await?;

        let bringing = {
            let (pair, exchange, message) = (pair.clone(), Arc::clone(&exchange), sync.message);
            self.0.repos.write_turn(id, move |opened| {
                sync::bring_in(opened, &pair, message.as_deref(), &exchange)
            })
        };
        let (outcome, head) = bringing.await?;

        let mut pushed = false;
        if sync.push && head.is_some() {
            let pushing = {
                let pair = pair.clone();
                blocking(permits, move || sync::push(&dir, &settings, &pair, &exchange))
            };
            let (_permits, sent) = pushing.await?;
            if let Some(commit) = sent {
                pushed = true;
                let pair = pair.clone();
                let noted = self
                    .0
                    .repos
                    .write_turn(id, move |opened| sync::note_pushed(opened, &pair, commit));
                if let Err(error) = noted.await {
                    // The remote has it; the next fetch will say so.
                    tracing::warn!(attachment.id = %id, error = %error, "a push could not be noted");
                }
            }
        }
        Ok(Synced {
            branch: pair.short().to_owned(),
            fetched,
            outcome,
            pushed,
            head: head.map(|commit| commit.to_string()),
        })
    }

    /// Keeps other credentials for a clone from now on; what is under way with its remote ends with the old ones. Whether
    /// they are any good the next exchange says.
    pub async fn renew(&self, id: AttachmentId, credentials: Credentials) -> Result<(), GitError> {
        let turn = self.own_turn(id).await?;
        let (secrets, folder) = (self.0.secrets.clone(), self.0.repos.folder(id));
        let keeping = self.0.repos.in_turn(turn, move |_| {
            // Whoever waited for a removal keeps nothing for what is gone.
            if !folder.is_dir() {
                return Err(GitError::NotFound(Missing::Repository));
            }
            secrets.keep(id, &credentials)
        });
        keeping.await
    }

    fn caps(&self) -> Caps {
        let settings = &self.0.settings;
        Caps {
            objects: settings.max_objects,
            branches: settings.max_branches,
            tags: settings.max_tags,
        }
    }

    fn turn(&self, id: AttachmentId) -> Arc<Semaphore> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(id).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    /// The right to be the only one who talks about a repository with its remote, within `lock_wait`.
    async fn own_turn(&self, id: AttachmentId) -> Result<OwnedSemaphorePermit, GitError> {
        let wait = self.0.repos.settings().lock_wait;
        match timeout(wait, self.turn(id).acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| GitError::Broken),
            Err(_) => Err(GitError::Busy(Holder::Mira)),
        }
    }

    /// The repository's own turn, then a place among the exchanges, however long that takes.
    async fn permits(&self, id: AttachmentId, cancel: &CancellationToken) -> Result<Permits, GitError> {
        let own = self.own_turn(id).await?;
        let place = Arc::clone(&self.0.places).acquire_owned();
        let place = cancel.run_until_cancelled(place).await.ok_or(GitError::Cancelled)?;
        Ok(Permits([own, place.map_err(|_| GitError::Broken)?]))
    }

    /// An exchange, and a guard that cancels it when its caller goes away.
    fn exchange(
        &self,
        id: AttachmentId,
        url: RemoteUrl,
        credentials: Credentials,
        listener: Listener,
    ) -> Result<(Arc<Exchange>, tokio_util::sync::DropGuard), GitError> {
        let settings = &self.0.settings;
        let cancel = listener.cancel.child_token();
        let now = Instant::now();
        if let Some(folder) = settings.known_hosts.parent() {
            credentials::make_private(folder).map_err(GitError::io("preparing the secrets"))?;
        }
        let exchange = Exchange::new(Terms {
            client: self.0.client.clone(),
            url,
            credentials,
            ssh: SshFiles {
                known_hosts: settings.known_hosts.clone(),
                secrets: self.0.secrets.folder(id),
                agent: settings.ssh_agent.clone(),
            },
            deadline: now.checked_add(settings.max_time).unwrap_or(now),
            max_bytes: settings.max_bytes,
            reporter: Reporter::new(listener.progress),
            cancel: cancel.clone(),
        });
        Ok((exchange, cancel.drop_guard()))
    }
}

/// Runs `work` on a thread that may block. The permits stay with the work, whoever still listens, and come back with it.
async fn blocking<T, F>(permits: Permits, work: F) -> Result<(Permits, T), GitError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, GitError> + Send + 'static,
{
    let running = tokio::task::spawn_blocking(move || (permits, work()));
    match running.await {
        Ok((permits, done)) => Ok((permits, done?)),
        Err(error) => {
            tracing::error!(error = %error, "an exchange with a remote broke off");
            Err(GitError::Broken)
        }
    }
}

//! Repositories attached to projects. What git does is in `mira-git`; here lives who may reach which clone, what is going
//! on with it ([`attach`], [`sync`]), the actions on its files that doors and tools share ([`files`]), the changes Mira
//! proposes ([`proposals`]), and what would be lost with a clone ([`unpublished`]).
//!
//! Invariants: a clone is reached only through its project and its account; rows tell the truth after a crash; every
//! change is told to every socket of the account; credentials pass through and are kept in their own files only.

pub mod attach;
pub mod files;
pub mod proposals;
pub mod sync;
pub mod unpublished;

use crate::{
    config::Config,
    services::{deps::RepoChange, hub::Hub},
};
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId, ProposalId},
    repo::{ProposalState, Repo, RepoProgress, RepoStatus},
};
use mira_git::{
    GitError, GitSettings, Repos,
    remote::{Progress, RemoteSettings, RemoteUrl, Remotes, UrlError},
};
use mira_memory::{RepoPatch, StoreError};
use mira_net::{Guard, GuardedClient};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use unpublished::Unsaved;

/// Progress is stored and told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Why something about a repository did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// The project has no such repository.
    #[error("there is no such repository")]
    NotFound,
    /// The project has no such proposal.
    #[error("there is no such proposal")]
    NoSuchProposal,
    /// There is no clone to work with, or it is busy with its remote.
    #[error("the repository is {}", standing(*.0))]
    NotReady(RepoStatus),
    /// Somebody decides about the proposal at this moment.
    #[error("the proposal is being decided")]
    Deciding,
    /// The proposal was decided otherwise.
    #[error("the proposal is {}", .0.as_str())]
    Decided(ProposalState),
    /// It would go with something in it that is nowhere else.
    #[error("{}", lost(.0))]
    Unsaved(Vec<Unsaved>),
    /// The program is ending.
    #[error("shutting down")]
    Ending,
    /// git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What would be lost, in words.
fn lost(unsaved: &[Unsaved]) -> String {
    let each: Vec<String> = unsaved.iter().map(Unsaved::in_words).collect();
    format!(
        "something would be lost that is nowhere else: {}; push it, or delete with force=true",
        each.join(", ")
    )
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn standing(status: RepoStatus) -> &'static str {
    match status {
        RepoStatus::Cloning => "still being cloned",
        RepoStatus::Ready => "not being cloned or synced",
        RepoStatus::Syncing => "being synced",
        RepoStatus::Failed => "not there: cloning it failed",
        RepoStatus::Cancelled => "not there: cloning it was cancelled",
    }
}

/// The clones and their remotes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    repos: Repos,
    remotes: Remotes,
    /// What can be cancelled; at most one entry for each attachment that is being cloned or synced.
    running: Mutex<HashMap<AttachmentId, CancellationToken>>,
    /// Proposals somebody decides about; as many as there are such requests.
    deciding: Mutex<HashSet<ProposalId>>,
}

impl Git {
    /// What the configuration says. Nothing is opened yet.
    pub fn new(config: &Config) -> Self {
        let git = &config.git;
        let settings = GitSettings {
            author: git.author.clone(),
            ..GitSettings::default()
        };
        let repos = Repos::new(git.repos_dir.clone(), settings);
        let client = GuardedClient::new(Guard::new(git.private_hosts.clone()));
        let remote = RemoteSettings {
            ssh_agent: git.ssh_agent.clone(),
            ..RemoteSettings::below(&config.data_dir)
        };
        Self(Arc::new(Inner {
            remotes: Remotes::new(repos.clone(), client, remote),
            repos,
            running: Mutex::default(),
            deciding: Mutex::default(),
        }))
    }

    /// The clones.
    pub fn repos(&self) -> &Repos {
        &self.0.repos
    }

    fn remotes(&self) -> &Remotes {
        &self.0.remotes
    }

    /// Reads an address, under the rules in force.
    pub fn parse_url(&self, text: &str) -> Result<RemoteUrl, UrlError> {
        self.0.remotes.parse_url(text)
    }

    /// The right to be the only one who does something with a whole repository; `None` if somebody has it.
    fn begin(&self, id: AttachmentId) -> Option<Running> {
        let cancel = CancellationToken::new();
        match { self.0.running.lock().unwrap_or_else(PoisonError::into_inner) }.entry(id) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(cancel.clone());
                Some(Running {
                    git: self.clone(),
                    id,
                    cancel,
                })
            }
        }
    }

    /// Whether something is going on with a repository that can be cancelled.
    fn is_running(&self, id: AttachmentId) -> bool {
        { self.0.running.lock().unwrap_or_else(PoisonError::into_inner) }.contains_key(&id)
    }

    /// Ends what is going on with a repository, if anything is; it ends by itself soon after.
    fn cancel(&self, id: AttachmentId) -> bool {
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&id).map(CancellationToken::cancel).is_some()
    }

    fn decide(&self, id: ProposalId) -> Option<Deciding> {
        let mut deciding = self.0.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        deciding.insert(id).then(|| Deciding { git: self.clone(), id })
    }
}

/// Something that goes on with a repository and can be cancelled.
struct Running {
    git: Git,
    id: AttachmentId,
    cancel: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.git.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.id);
    }
}

/// The right to decide about a proposal.
struct Deciding {
    git: Git,
    id: ProposalId,
}

impl Drop for Deciding {
    fn drop(&mut self) {
        let mut deciding = self.git.0.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        deciding.remove(&self.id);
    }
}

/// Runs `work` to its end, even if the caller goes away.
pub(in crate::services) async fn to_the_end<T, W>(hub: &Hub, work: impl FnOnce(Hub) -> W) -> Result<T, RepoError>
where
    T: Send + 'static,
    W: Future<Output = Result<T, RepoError>> + Send + 'static,
{
    let task = hub.deps().lifecycle.spawn(work(hub.clone()));
    task.await.unwrap_or(Err(RepoError::Ending))
}

/// A repository of this project, however it stands.
pub async fn find(hub: &Hub, account: AccountId, project: ProjectId, id: AttachmentId) -> Result<Repo, RepoError> {
    let found = hub.deps().store.find_repo(account, project, id).await?;
    found.ok_or(RepoError::NotFound)
}

/// A repository of this project that can be worked with.
pub async fn usable(hub: &Hub, account: AccountId, project: ProjectId, id: AttachmentId) -> Result<Repo, RepoError> {
    let repo = find(hub, account, project, id).await?;
    if repo.status.is_usable() {
        Ok(repo)
    } else {
        Err(RepoError::NotReady(repo.status))
    }
}

/// Changes what is known of a repository and tells everybody. `None` if it is gone, or does not stand as the patch
/// demands.
pub async fn update(
    hub: &Hub,
    account: AccountId,
    id: AttachmentId,
    patch: RepoPatch,
) -> Result<Option<Repo>, StoreError> {
    let deps = hub.deps();
    let repo = deps.store.update_repo(account, id, patch, deps.clock.now()).await?;
    if let Some(repo) = &repo {
        hub.announce_repo(RepoChange::Updated(repo));
    }
    Ok(repo)
}

/// Runs `work`, and meanwhile stores and tells how far it is, as long as the repository stands like this.
async fn with_progress<T>(
    hub: &Hub,
    account: AccountId,
    repo: &Repo,
    mut progress: watch::Receiver<Progress>,
    work: impl Future<Output = T>,
) -> T {
    // That it began is worth telling too.
    progress.mark_changed();
    let tell = async move {
        let mut tick = interval(TELL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while progress.changed().await.is_ok() {
            tick.tick().await;
            let now = *progress.borrow_and_update();
            let patch = RepoPatch {
                only_if: Some(repo.status),
                progress: Some(Some(stored(now))),
                ..RepoPatch::default()
            };
            if let Err(error) = update(hub, account, repo.id, patch).await {
                tracing::warn!(%error, attachment.id = %repo.id, "how far a repository is could not be stored");
            }
        }
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tell => {}
    }
    // Nothing more to tell; only the work is left.
    work.await
}

fn stored(progress: Progress) -> RepoProgress {
    RepoProgress {
        stage: progress.stage.as_str().to_owned(),
        received_objects: progress.received_objects,
        total_objects: progress.total_objects,
        received_bytes: progress.received_bytes,
        percent: progress.percent,
    }
}

fn now(hub: &Hub) -> Timestamp {
    hub.deps().clock.now()
}

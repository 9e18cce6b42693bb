//! Attaching and detaching: the row first, then the clone, behind the caller's back; and what a start finds after a
//! crash.
//!
//! A clone that was under way when the process died has failed, unless its folder is whole: then only the row was late.
//! A folder that is missing or damaged makes a row say so, and a folder that is there again makes it ready again.

use super::{
    RepoError, Running, to_the_end,
    unpublished::{self, HeldClones, Losses},
    update, with_progress,
};
use crate::services::{deps::RepoChange, hub::Hub};
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId},
    repo::{Repo, RepoStatus},
};
use mira_git::{
    BranchName, GitError, Health, Holder,
    remote::{Attach, Cloned, Credentials, Held, Listener, Progress, RemoteUrl},
};
use mira_memory::{NewRepo, RepoPatch, StoreError};
use tokio::sync::watch;

/// What a row says of a clone that died with the process.
const INTERRUPTED: &str = "interrupted: Mira was stopped; attach it again";

/// What is to be attached.
#[derive(Debug, Clone)]
pub struct NewAttachment {
    /// The project.
    pub project_id: ProjectId,
    /// Where it is.
    pub url: RemoteUrl,
    /// The branch to check out; `None` is the remote's own choice.
    pub branch: Option<BranchName>,
    /// How to get in.
    pub credentials: Credentials,
}

/// Attaches a repository: its row is there when this returns, the clone follows. `None` if there is no such project.
/// Goes on to its end even if the caller goes away: no row is left that nobody works for.
pub async fn attach(hub: &Hub, account: AccountId, new: NewAttachment) -> Result<Option<Repo>, RepoError> {
    to_the_end(hub, move |hub| async move { attach_alone(&hub, account, new).await }).await
}

async fn attach_alone(hub: &Hub, account: AccountId, new: NewAttachment) -> Result<Option<Repo>, RepoError> {
    let deps = hub.deps();
    let row = NewRepo {
        id: AttachmentId(deps.clock.new_uuid()),
        project_id: new.project_id,
        repo_url: new.url.as_str().to_owned(),
        branch: new.branch.as_ref().map(|name| name.as_str().to_owned()),
        now: deps.clock.now(),
    };
    // Before the row: whoever sees that can cancel what it tells of.
    let running = deps.git.begin(row.id).ok_or(GitError::Busy(Holder::Mira))?;
    let Some(repo) = deps.store.insert_repo(account, row).await? else {
        return Ok(None);
    };
    hub.announce_repo(RepoChange::Created(&repo));
    let attach = Attach {
        url: new.url,
        credentials: new.credentials,
        branch: new.branch,
    };
    deps.lifecycle
        .spawn(clone(hub.clone(), account, repo.clone(), attach, running));
    Ok(Some(repo))
}

/// Clones, and lets the row say what came of it.
async fn clone(hub: Hub, account: AccountId, repo: Repo, attach: Attach, running: Running) {
    let (git, soft) = (hub.deps().git.clone(), hub.deps().lifecycle.soft().clone());
    let (sender, progress) = watch::channel(Progress::default());
    let listener = Listener {
        progress: Some(sender),
        cancel: running.cancel.clone(),
    };
    let cloning = with_progress(
        &hub,
        account,
        &repo,
        progress,
        git.remotes().attach(repo.id, attach, listener),
    );
    let ended = {
        let mut cloning = std::pin::pin!(cloning);
        tokio::select! {
            biased;
            done = &mut cloning => done,
            () = soft.cancelled() => {
                running.cancel.cancel();
                cloning.await
            }
        }
    };
    let patch = outcome(&ended, soft.is_cancelled());
    if let Err(error) = &ended {
        tracing::info!(attachment.id = %repo.id, %error, "a repository could not be cloned");
    }
    match update(&hub, account, repo.id, patch).await {
        Ok(Some(_)) => {}
        // Detached meanwhile: whoever did so could not remove what was still being made.
        Ok(None) => clear(&hub, account, repo.id, None).await,
        Err(error) => tracing::error!(%error, attachment.id = %repo.id, "the end of a clone could not be stored"),
    }
}

fn outcome(ended: &Result<Cloned, GitError>, stopped: bool) -> RepoPatch {
    let ends = RepoPatch {
        only_if: Some(RepoStatus::Cloning),
        progress: Some(None),
        ..RepoPatch::default()
    };
    match ended {
        Ok(cloned) => RepoPatch {
            status: Some(RepoStatus::Ready),
            branch: Some(Some(cloned.branch.clone())),
            error: Some(None),
            ..ends
        },
        Err(GitError::Cancelled) if !stopped => RepoPatch {
            status: Some(RepoStatus::Cancelled),
            error: Some(Some("cancelled".to_owned())),
            ..ends
        },
        Err(error) => {
            let why = if stopped { INTERRUPTED.to_owned() } else { told(error) };
            RepoPatch {
                status: Some(RepoStatus::Failed),
                error: Some(Some(why)),
                ..ends
            }
        }
    }
}

/// A failure as the row tells it. What is Mira's own trouble is in the log.
pub(super) fn told(error: &GitError) -> String {
    match error {
        GitError::Io { what, .. } => format!("{what} failed; the log says why"),
        other => other.to_string(),
    }
}

/// Cancels a clone or a sync. It ends soon after, and events tell so.
pub async fn cancel(hub: &Hub, account: AccountId, project: ProjectId, id: AttachmentId) -> Result<Repo, RepoError> {
    let repo = super::find(hub, account, project, id).await?;
    if hub.deps().git.cancel(id) {
        Ok(repo)
    } else {
        Err(RepoError::NotReady(repo.status))
    }
}

/// Detaches a repository: its row, its proposals, and the folder and credentials Mira made. The remote stays as it is.
/// Goes on to its end even if the caller goes away.
pub async fn detach(
    hub: &Hub,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
    losses: Losses,
) -> Result<(), RepoError> {
    to_the_end(hub, move |hub| async move {
        let repo = super::find(&hub, account, project, id).await?;
        let mut held = unpublished::hold(&hub, &[repo], losses).await?;
        let deleted = hub.deps().store.delete_repo(account, project, id).await?;
        let repo = deleted.ok_or(RepoError::NotFound)?;
        hub.announce_repo(RepoChange::Deleted(repo.id, repo.project_id));
        hub.deps().git.cancel(id);
        clear(&hub, account, id, held.remove(&id)).await;
        crate::services::forget::wipe_later(&hub);
        Ok(())
    })
    .await
}

/// Repositories whose project is gone: their rows went with it. `held` are those of which somebody made sure that they may
/// go.
pub fn project_deleted(hub: &Hub, account: AccountId, gone: &[Repo], mut held: HeldClones) {
    if gone.is_empty() {
        return;
    }
    for repo in gone {
        hub.announce_repo(RepoChange::Deleted(repo.id, repo.project_id));
        hub.deps().git.cancel(repo.id);
    }
    let ids: Vec<AttachmentId> = gone.iter().map(|repo| repo.id).collect();
    let clearing = hub.clone();
    hub.deps().lifecycle.spawn(async move {
        for id in ids {
            clear(&clearing, account, id, held.remove(&id)).await;
        }
    });
}

/// Removes what Mira made for a repository that has no row any more. What does not work now is done by the next start.
async fn clear(hub: &Hub, account: AccountId, id: AttachmentId, held: Option<Held>) {
    let deps = hub.deps();
    let cleared = async {
        match held {
            Some(held) => held.detach().await?,
            None => deps.git.remotes().detach(id).await?,
        }
        deps.store.delete_repo_leftover(account, id).await?;
        Ok::<(), RepoError>(())
    };
    if let Err(error) = cleared.await {
        tracing::warn!(%error, attachment.id = %id, "the folder of a detached repository is still there");
    }
}

/// What has to be true before the port answers: no row says that something is going on.
pub async fn recover(store: &mira_memory::Store, account: AccountId, now: jiff::Timestamp) -> Result<(), StoreError> {
    if store.recover_repos(account, INTERRUPTED, now).await? {
        tracing::warn!("the last process ended while repositories were cloned or synced; their rows say so");
    }
    Ok(())
}

/// Looks after every clone once after a start: leftovers go, interrupted changes are completed, rows say what is there.
pub async fn look_after(hub: Hub, account: AccountId) {
    let soft = hub.deps().lifecycle.soft().clone();
    let looking = async {
        let store = &hub.deps().store;
        for id in store.list_repo_leftovers(account).await? {
            clear(&hub, account, id, None).await;
        }
        for repo in store.list_all_repos(account).await? {
            // One that is being cloned now was attached since the start; of the others nothing goes on meanwhile.
            let Some(_running) = hub.deps().git.begin(repo.id) else {
                continue;
            };
            look_at(&hub, account, &repo).await?;
        }
        Ok::<(), StoreError>(())
    };
    if let Some(Err(error)) = soft.run_until_cancelled(looking).await {
        tracing::warn!(%error, "the repositories could not be looked after");
    }
}

async fn look_at(hub: &Hub, account: AccountId, repo: &Repo) -> Result<(), StoreError> {
    let found = hub.deps().git.repos().check(repo.id).await;
    let is = |status| RepoPatch {
        only_if: Some(repo.status),
        status: Some(status),
        ..RepoPatch::default()
    };
    let lost = |reason: String| RepoPatch {
        error: Some(Some(reason)),
        ..is(RepoStatus::Failed)
    };
    let patch = match (repo.status, found) {
        (RepoStatus::Failed, Ok(Health::Good { branch, .. })) => RepoPatch {
            branch: Some(branch),
            error: Some(None),
            ..is(RepoStatus::Ready)
        },
        (RepoStatus::Ready, Ok(Health::Missing)) => lost("its folder is missing".to_owned()),
        (RepoStatus::Ready, Ok(Health::Damaged { reason })) => lost(format!("it cannot be read: {reason}")),
        (RepoStatus::Failed | RepoStatus::Cancelled, Ok(Health::Missing)) => {
            // Nothing but the row is left of a clone that failed, its credentials neither.
            if let Err(error) = hub.deps().git.remotes().detach(repo.id).await {
                tracing::warn!(%error, attachment.id = %repo.id, "what a failed clone left could not be removed");
            }
            return Ok(());
        }
        (_, Ok(_)) => return Ok(()),
        (_, Err(error)) => {
            tracing::warn!(%error, attachment.id = %repo.id, "a repository could not be looked after");
            return Ok(());
        }
    };
    update(hub, account, repo.id, patch).await.map(drop)
}

/// Keeps another way to get into a repository, for the syncs to come.
pub async fn set_credentials(
    hub: &Hub,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
    credentials: Credentials,
) -> Result<(), RepoError> {
    super::usable(hub, account, project, id).await?;
    Ok(hub.deps().git.remotes().renew(id, credentials).await?)
}

/// Says what becomes of Mira's own changes in a repository.
pub async fn set_writes(
    hub: &Hub,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
    writes: mira_core::repo::WriteMode,
) -> Result<Repo, RepoError> {
    super::find(hub, account, project, id).await?;
    let patch = RepoPatch {
        writes: Some(writes),
        ..RepoPatch::default()
    };
    update(hub, account, id, patch).await?.ok_or(RepoError::NotFound)
}

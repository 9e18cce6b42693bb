//! Bringing a repository in step with its remote. The work outlives the caller who asked for it; one at a time for each
//! repository.

use super::{RepoError, Running, attach::told, now, to_the_end, update, usable, with_progress};
use crate::services::hub::Hub;
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId},
    repo::{Repo, RepoStatus},
};
use mira_git::{
    GitError,
    remote::{Listener, Progress, Sync, Synced},
};
use mira_memory::RepoPatch;
use tokio::sync::watch;

/// What is asked for beside fetching and merging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Whether commits are pushed to the branch's own upstream.
    pub push: bool,
    /// The message of a merge commit, should one be needed.
    pub message: Option<String>,
}

/// Fetches, merges, and pushes if asked to. A conflict changes nothing. Goes on to its end even if the caller goes away:
/// the row says that it is being synced only as long as it is.
pub async fn sync(
    hub: &Hub,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
    options: SyncOptions,
) -> Result<Synced, RepoError> {
    let repo = usable(hub, account, project, id).await?;
    // The rules may have changed since it was attached.
    let url = hub.deps().git.parse_url(&repo.repo_url).map_err(GitError::from)?;
    let running = hub
        .deps()
        .git
        .begin(id)
        .ok_or(RepoError::NotReady(RepoStatus::Syncing))?;
    let sync = Sync {
        url,
        push: options.push,
        message: options.message,
    };
    to_the_end(
        hub,
        move |hub| async move { run(&hub, account, &repo, sync, running).await },
    )
    .await
}

async fn run(hub: &Hub, account: AccountId, repo: &Repo, sync: Sync, running: Running) -> Result<Synced, RepoError> {
    let begins = RepoPatch {
        only_if: Some(RepoStatus::Ready),
        status: Some(RepoStatus::Syncing),
        ..RepoPatch::default()
    };
    let Some(repo) = update(hub, account, repo.id, begins).await? else {
        let repo = super::find(hub, account, repo.project_id, repo.id).await?;
        return Err(RepoError::NotReady(repo.status));
    };
    let (git, soft) = (hub.deps().git.clone(), hub.deps().lifecycle.soft().clone());
    let (sender, progress) = watch::channel(Progress::default());
    let listener = Listener {
        progress: Some(sender),
        cancel: running.cancel.clone(),
    };
    let syncing = with_progress(
        hub,
        account,
        &repo,
        progress,
        git.remotes().sync(repo.id, sync, listener),
    );
    let done = {
        let mut syncing = std::pin::pin!(syncing);
        tokio::select! {
            biased;
            done = &mut syncing => done,
            () = soft.cancelled() => {
                running.cancel.cancel();
                syncing.await
            }
        }
    };
    let ends = RepoPatch {
        only_if: Some(RepoStatus::Syncing),
        status: Some(RepoStatus::Ready),
        progress: Some(None),
        ..RepoPatch::default()
    };
    let patch = match &done {
        Ok(synced) => RepoPatch {
            branch: Some(Some(synced.branch.clone())),
            error: Some(None),
            last_sync_at: Some(now(hub)),
            ..ends
        },
        Err(error) => RepoPatch {
            error: Some(Some(told(error))),
            ..ends
        },
    };
    update(hub, account, repo.id, patch).await?;
    Ok(done?)
}

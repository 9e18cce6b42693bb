//! What would be lost with a clone, before it goes: commits that were never pushed, edits that are in no commit. It only
//! looks; who deletes asks here first, and goes on where nothing is lost or the owner said that it may be.
//!
//! Law: what cannot be looked into counts as something to lose.

use super::{RepoError, attach::told, find};
use crate::services::hub::Hub;
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId},
    repo::{Repo, RepoStatus},
};
use mira_git::{GitError, Health, Missing, Unpublished};

/// Whether what was never pushed or committed may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    /// Nothing of it may: then nothing is deleted.
    Refused,
    /// The owner knows, and lets it go.
    Accepted,
}

/// A repository with something in it that is nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// It.
    pub repo: Repo,
    /// What would be lost, or why nobody can tell.
    pub found: Result<Unpublished, String>,
}

/// Those of these repositories with something that would be lost with their clones, in their order.
pub async fn among(hub: &Hub, repos: Vec<Repo>) -> Vec<Unsaved> {
    let mut unsaved = Vec::new();
    // One after the other: each may read a whole work tree.
    for repo in repos {
        if let Some(found) = of(hub, &repo).await {
            unsaved.push(Unsaved { repo, found });
        }
    }
    unsaved
}

async fn of(hub: &Hub, repo: &Repo) -> Option<Result<Unpublished, String>> {
    match repo.status {
        // There is no clone yet, or none any more.
        RepoStatus::Cloning | RepoStatus::Cancelled => return None,
        RepoStatus::Ready | RepoStatus::Syncing | RepoStatus::Failed => {}
    }
    let repos = hub.deps().git.repos();
    let found = repos.unpublished(repo.id).await;
    if let Err(GitError::NotFound(Missing::Repository)) = &found
        && matches!(repos.check(repo.id).await, Ok(Health::Missing))
    {
        return None;
    }
    match found {
        Ok(found) if found.is_empty() => None,
        Ok(found) => Some(Ok(found)),
        Err(error) => {
            tracing::warn!(%error, attachment.id = %repo.id, "what a repository holds could not be told");
            Some(Err(told(&error)))
        }
    }
}

/// What would be lost with a repository of this project.
pub async fn find_unsaved(
    hub: &Hub,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
) -> Result<Vec<Unsaved>, RepoError> {
    let repo = find(hub, account, project, id).await?;
    Ok(among(hub, vec![repo]).await)
}

/// What would be lost with a whole project.
pub async fn of_project(hub: &Hub, account: AccountId, project: ProjectId) -> Result<Vec<Unsaved>, RepoError> {
    let mut repos = hub.deps().store.list_all_repos(account).await?;
    repos.retain(|repo| repo.project_id == project);
    Ok(among(hub, repos).await)
}

/// Refuses where there is anything to lose.
pub fn refuse(unsaved: Vec<Unsaved>) -> Result<(), RepoError> {
    if unsaved.is_empty() {
        Ok(())
    } else {
        Err(RepoError::Unsaved(unsaved))
    }
}

//! What would be lost with a clone, before it goes: commits, tags and stashes that are nowhere else, edits that are in no
//! commit. Who deletes asks here first ([`hold`]), and goes on where nothing is lost or the owner said that it may be.
//!
//! Law: what cannot be looked into counts as something to lose; from the look until the clone is gone, nothing of Mira's
//! works with it.

use super::{RepoError, attach::told, counted, find};
use crate::services::hub::Hub;
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId},
    repo::{Repo, RepoStatus},
};
use mira_git::{GitError, MAX_CHANGED, MAX_UNPUSHED, Unpublished, remote::Held};
use std::collections::HashMap;

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

impl Unsaved {
    /// `None` if there is nothing to lose.
    fn of(repo: Repo, found: Result<Unpublished, GitError>) -> Option<Self> {
        let found = match found {
            Ok(found) if found.is_empty() => return None,
            Ok(found) => Ok(found),
            Err(error) => {
                tracing::warn!(%error, attachment.id = %repo.id, "what a repository holds could not be told");
                Err(told(&error))
            }
        };
        Some(Self { repo, found })
    }

    /// What would be lost, in words.
    pub(super) fn in_words(&self) -> String {
        let url = &self.repo.repo_url;
        let found = match &self.found {
            Ok(found) => found,
            Err(why) => return format!("{url} (nobody can tell: {why})"),
        };
        let up_to = |most: u64, number: u64, one: &str, many: &str| match number {
            0 => None,
            _ if number < most => Some(counted(number, one, many)),
            _ => Some(format!("{most} or more {many}")),
        };
        let all = |number, one, many| up_to(u64::MAX, number, one, many);
        let (commits, files) = (found.unpushed_commits, found.changed_files);
        let kinds = [
            up_to(MAX_UNPUSHED, commits, "commit never pushed", "commits never pushed"),
            up_to(
                MAX_CHANGED,
                files,
                "changed file in no commit",
                "changed files in no commit",
            ),
            all(found.stashes, "stash", "stashes"),
            all(found.tags.count, "tag never pushed", "tags never pushed"),
            all(found.refs.count, "other ref never pushed", "other refs never pushed"),
        ];
        let each: Vec<String> = kinds.into_iter().flatten().collect();
        format!("{url} ({})", each.join(", "))
    }
}

/// Those of these repositories with something that would be lost with their clones, in their order.
async fn among(hub: &Hub, repos: &[Repo]) -> Vec<Unsaved> {
    let mut unsaved = Vec::new();
    // One after the other: each may read a whole work tree.
    for repo in repos.iter().filter(|repo| may_have_clone(repo)) {
        let found = hub.deps().git.repos().unpublished(repo.id).await;
        unsaved.extend(Unsaved::of(repo.clone(), found));
    }
    unsaved
}

fn may_have_clone(repo: &Repo) -> bool {
    match repo.status {
        // There is none yet, or none any more.
        RepoStatus::Cloning | RepoStatus::Cancelled => false,
        RepoStatus::Ready | RepoStatus::Syncing | RepoStatus::Failed => true,
    }
}

/// Clones that are held until they are gone.
pub type HeldClones = HashMap<AttachmentId, Held>;

/// Keeps everybody out of the clones of these repositories, which are about to be deleted, and ends what is under way with
/// them. Where something would be lost, they stay as they are, and it is told.
pub async fn hold(hub: &Hub, repos: &[Repo], losses: Losses) -> Result<HeldClones, RepoError> {
    let mut held = HashMap::new();
    if losses == Losses::Accepted {
        return Ok(held);
    }
    let git = &hub.deps().git;
    // Nothing is ended in vain.
    if repos.iter().any(|repo| git.is_running(repo.id)) {
        refuse(among(hub, repos).await)?;
    }
    let mut unsaved = Vec::new();
    for repo in repos.iter().filter(|repo| may_have_clone(repo)) {
        git.cancel(repo.id);
        let clone = git.remotes().hold(repo.id).await?;
        unsaved.extend(Unsaved::of(repo.clone(), clone.unpublished().await));
        held.insert(repo.id, clone);
    }
    refuse(unsaved).map(|()| held)
}

/// What would be lost with a repository of this project.
pub async fn find_unsaved(
    hub: &Hub,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
) -> Result<Vec<Unsaved>, RepoError> {
    let repo = find(hub, account, project, id).await?;
    Ok(among(hub, &[repo]).await)
}

/// The repositories of a project.
pub async fn repos_of(hub: &Hub, account: AccountId, project: ProjectId) -> Result<Vec<Repo>, RepoError> {
    let mut repos = hub.deps().store.list_all_repos(account).await?;
    repos.retain(|repo| repo.project_id == project);
    Ok(repos)
}

/// What would be lost with a whole project.
pub async fn of_project(hub: &Hub, account: AccountId, project: ProjectId) -> Result<Vec<Unsaved>, RepoError> {
    Ok(among(hub, &repos_of(hub, account, project).await?).await)
}

/// Refuses where there is anything to lose.
fn refuse(unsaved: Vec<Unsaved>) -> Result<(), RepoError> {
    if unsaved.is_empty() {
        Ok(())
    } else {
        Err(RepoError::Unsaved(unsaved))
    }
}

//! What is done with the files and the history of an attached repository: the same for REST and for tools. Each action
//! names the project the repository has to belong to.

use super::{RepoError, update, usable};
use crate::services::{deps::RepoChange, hub::Hub};
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId},
    repo::Repo,
};
use mira_git::{
    Blame, BranchName, Branches, CommitDiff, Content, Edit, LogPage, LogQuery, RepoPath, Revision, SearchResult,
    Status, SwitchMode, Tree, WriteOptions, Written,
};
use mira_memory::RepoPatch;

/// Which repository, and on whose behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The account.
    pub account: AccountId,
    /// The project it must belong to.
    pub project: ProjectId,
    /// The repository.
    pub id: AttachmentId,
}

impl At {
    async fn usable(self, hub: &Hub) -> Result<Repo, RepoError> {
        usable(hub, self.account, self.project, self.id).await
    }
}

/// One folder, at `revision` or HEAD.
pub async fn tree(hub: &Hub, at: At, folder: Option<RepoPath>, revision: Option<Revision>) -> Result<Tree, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().tree(repo.id, folder, revision).await?)
}

/// A file: what lies in the work tree, or what `revision` has.
pub async fn read(hub: &Hub, at: At, path: RepoPath, revision: Option<Revision>) -> Result<Content, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().read_file(repo.id, path, revision).await?)
}

/// Commits one edit. Everybody hears that the repository changed.
pub async fn commit(hub: &Hub, at: At, edit: Edit, options: WriteOptions) -> Result<Written, RepoError> {
    let repo = at.usable(hub).await?;
    let written = hub.deps().git.repos().commit(repo.id, vec![edit], options).await?;
    if written.changed {
        hub.announce_repo(RepoChange::Updated(&repo));
    }
    Ok(written)
}

/// Local and remote branches.
pub async fn branches(hub: &Hub, at: At) -> Result<Branches, RepoError> {
    let repo = at.usable(hub).await?;
    let branches = hub.deps().git.repos().branches(repo.id).await?;
    note_branch(hub, at, &repo, branches.current.as_deref()).await?;
    Ok(branches)
}

/// Checks out a branch; edits in no commit come along, or nothing is done.
pub async fn switch(hub: &Hub, at: At, branch: BranchName, mode: SwitchMode) -> Result<Repo, RepoError> {
    let repo = at.usable(hub).await?;
    let switched = hub.deps().git.repos().switch(repo.id, branch, mode).await?;
    let patch = RepoPatch {
        branch: Some(Some(switched.branch)),
        ..RepoPatch::default()
    };
    update(hub, at.account, repo.id, patch)
        .await?
        .ok_or(RepoError::NotFound)
}

/// The state of the clone.
pub async fn status(hub: &Hub, at: At, path: Option<RepoPath>) -> Result<Status, RepoError> {
    let repo = at.usable(hub).await?;
    let status = hub.deps().git.repos().status(repo.id, path).await?;
    note_branch(hub, at, &repo, status.branch.as_deref()).await?;
    Ok(status)
}

/// The owner may have switched by hand.
async fn note_branch(hub: &Hub, at: At, repo: &Repo, found: Option<&str>) -> Result<(), RepoError> {
    if repo.branch.as_deref() == found {
        return Ok(());
    }
    let patch = RepoPatch {
        only_if: Some(repo.status),
        branch: Some(found.map(str::to_owned)),
        ..RepoPatch::default()
    };
    update(hub, at.account, repo.id, patch).await?;
    Ok(())
}

/// A page of history.
pub async fn log(hub: &Hub, at: At, query: LogQuery) -> Result<LogPage, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().log(repo.id, query).await?)
}

/// What a commit changed, against each parent.
pub async fn diff(hub: &Hub, at: At, commit: Revision) -> Result<CommitDiff, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().diff(repo.id, commit).await?)
}

/// Where the lines of a file come from.
pub async fn blame(hub: &Hub, at: At, path: RepoPath, revision: Option<Revision>) -> Result<Blame, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().blame(repo.id, path, revision).await?)
}

/// Lines that hold `query`.
pub async fn search(hub: &Hub, at: At, query: String, limit: usize) -> Result<SearchResult, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().search(repo.id, query, limit).await?)
}

/// AGENTS.md of the repository, which strangers may have written.
pub async fn agents_md(hub: &Hub, at: At) -> Result<Option<String>, RepoError> {
    let repo = at.usable(hub).await?;
    Ok(hub.deps().git.repos().agents_md(repo.id).await?)
}

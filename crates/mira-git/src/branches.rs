//! Branches: which there are, and switching between them without losing an edit.

use crate::{
    error::{Clash, GitError, Missing},
    journal::{Goal, Step},
    open::Opened,
    path::BranchName,
    repos::Repos,
    transition::{self, unwatched},
};
use git2::{BranchType, Oid, RepositoryState};
use mira_core::ids::AttachmentId;

/// Branches listed; more are left out.
const MAX_BRANCHES: usize = 2_000;
/// Of so many branches it is counted how far they are ahead and behind.
const MAX_COUNTED: usize = 50;

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Short: `main`, or `origin/main` of a remote; replacement characters stand for what is not UTF-8.
    pub name: String,
    /// Whether it can be checked out by its name: `false` for names that are not UTF-8 or that git takes for no branch's.
    pub reachable: bool,
    /// Whether it is a remote's, as of the last fetch.
    pub remote: bool,
    /// Whether it is checked out.
    pub current: bool,
    /// Its newest commit.
    pub commit: String,
    /// The remote branch it follows, short.
    pub upstream: Option<String>,
    /// Commits it has and its upstream has not; `None` without upstream.
    pub ahead: Option<usize>,
    /// Commits its upstream has and it has not.
    pub behind: Option<usize>,
}

/// All branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches {
    /// What is checked out, short; `None` if HEAD is at a commit only.
    pub current: Option<String>,
    /// Local ones first, then by name.
    pub branches: Vec<Branch>,
    /// Whether some were left out.
    pub truncated: bool,
}

/// Whether a switch may make the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchMode {
    /// It exists, here or at a remote; then a local one that follows it is made.
    Existing,
    /// It is made, at the commit that is checked out.
    Create,
}

/// What is checked out after a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// The branch, short.
    pub branch: String,
    /// Its commit; `None` before the first.
    pub commit: Option<String>,
}

impl Repos {
    /// Lists local and remote branches.
    pub async fn branches(&self, id: AttachmentId) -> Result<Branches, GitError> {
        self.read(id, list).await
    }

    /// Checks out a branch. Edits that are in no commit come along; where they are in the way, nothing is done.
    pub async fn switch(&self, id: AttachmentId, branch: BranchName, mode: SwitchMode) -> Result<Switched, GitError> {
        self.write_turn(id, move |opened| switch(opened, &branch, mode)).await
    }
}

fn list(opened: &Opened<'_>) -> Result<Branches, GitError> {
    let head = opened.head_branch()?;
    let current = head
        .as_deref()
        .and_then(|name| name.strip_prefix("refs/heads/"))
        .map(str::to_owned);
    let mut branches = Vec::new();
    let mut truncated = false;
    let mut counted = 0;
    for found in opened.repo.branches(None)? {
        let (branch, kind) = found?;
        let remote = kind == BranchType::Remote;
        // `origin/HEAD` only names another one.
        let Some(target) = branch.get().target() else { continue };
        if branches.len() == MAX_BRANCHES {
            truncated = true;
            break;
        }
        let name = branch.name_bytes()?;
        let reachable = str::from_utf8(name).is_ok_and(|name| BranchName::parse(name).is_ok());
        let name = String::from_utf8_lossy(name).into_owned();
        let followed = if remote { None } else { branch.upstream().ok() };
        let counts = followed
            .as_ref()
            .and_then(|upstream| upstream.get().target())
            .filter(|_| {
                counted += 1;
                counted <= MAX_COUNTED
            });
        let counts = counts.and_then(|upstream| opened.repo.graph_ahead_behind(target, upstream).ok());
        let upstream =
            followed.and_then(|upstream| Some(String::from_utf8_lossy(upstream.name_bytes().ok()?).into_owned()));
        branches.push(Branch {
            current: !remote && current.as_ref() == Some(&name),
            name,
            reachable,
            remote,
            commit: target.to_string(),
            upstream,
            ahead: counts.map(|(ahead, _)| ahead),
            behind: counts.map(|(_, behind)| behind),
        });
    }
    branches.sort_by(|a, b| a.remote.cmp(&b.remote).then_with(|| a.name.cmp(&b.name)));
    Ok(Branches {
        current,
        branches,
        truncated,
    })
}

fn switch(opened: &Opened<'_>, branch: &BranchName, mode: SwitchMode) -> Result<Switched, GitError> {
    let full = branch.full();
    let from = opened.head_commit()?;
    let head = opened.head_branch()?;
    let local = target_of(opened, &full)?;
    let (to, follows) = match (mode, local) {
        (SwitchMode::Create, Some(_)) => return Err(GitError::clash(Clash::Exists, branch.as_str())),
        (SwitchMode::Create, None) => (from, None),
        (SwitchMode::Existing, Some(commit)) => (Some(commit), None),
        (SwitchMode::Existing, None) if head.as_ref() == Some(&full) => (None, None),
        (SwitchMode::Existing, None) => {
            let (commit, follows) = of_remote(opened, branch)?;
            (Some(commit), Some(follows))
        }
    };
    let switched = Switched {
        branch: branch.as_str().to_owned(),
        commit: to.map(|id| id.to_string()),
    };
    if head.as_ref() == Some(&full) {
        return Ok(switched);
    }
    if opened.repo.state() != RepositoryState::Clean {
        return Err(GitError::standing(Clash::Unfinished));
    }
    let Some(to) = to else {
        // No commit yet: there is nothing to check out.
        opened.repo.set_head(&full)?;
        return Ok(switched);
    };
    let left = head.or_else(|| from.map(|id| id.to_string())).unwrap_or_default();
    let step = Step {
        from,
        to,
        goal: Goal::Switch {
            left,
            branch: full,
            follows,
        },
    };
    let message = format!("checkout: moving to {}", branch.as_str());
    transition::take(opened, &step, &[], &message, &mut unwatched)?;
    Ok(switched)
}

fn target_of(opened: &Opened<'_>, full: &str) -> Result<Option<Oid>, GitError> {
    match opened.repo.refname_to_id(full) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The one remote branch of that name: its commit and full name. Of several remotes `origin` goes first. Who asks for a
/// name that is only shown so is told.
fn of_remote(opened: &Opened<'_>, branch: &BranchName) -> Result<(Oid, String), GitError> {
    let remotes = opened.repo.remotes()?;
    let mut names: Vec<&str> = remotes.iter().filter_map(|name| name.ok().flatten()).collect();
    names.sort_by_key(|name| *name != "origin");
    for remote in names {
        let full = format!("refs/remotes/{remote}/{}", branch.as_str());
        if let Some(commit) = target_of(opened, &full)? {
            return Ok((commit, full));
        }
    }
    if is_shown_as(opened, branch)? {
        return Err(GitError::Unusable(
            "the name of that branch is not UTF-8; rename it to check it out",
        ));
    }
    Err(GitError::NotFound(Missing::Branch))
}

/// Whether a branch whose name is no text is shown under this one.
fn is_shown_as(opened: &Opened<'_>, branch: &BranchName) -> Result<bool, GitError> {
    if !branch.as_str().contains(char::REPLACEMENT_CHARACTER) {
        return Ok(false);
    }
    for found in opened.repo.branches(None)? {
        let (found, _) = found?;
        let name = String::from_utf8_lossy(found.name_bytes()?);
        // Of a remote's the remote's own name goes before it.
        let short = name.split_once('/').map(|(_, short)| short);
        if name == branch.as_str() || short == Some(branch.as_str()) {
            return Ok(true);
        }
    }
    Ok(false)
}

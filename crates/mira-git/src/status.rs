//! How index and work tree differ from the commit that is checked out.

use crate::{error::GitError, open::Opened, path::RepoPath, repos::Repos, scan};
use git2::{Delta, DiffDelta, RepositoryState, StatusOptions, StatusShow, Statuses};
use mira_core::ids::AttachmentId;

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// New in the index.
    Added,
    /// Other content or mode.
    Modified,
    /// Gone.
    Deleted,
    /// Under another name.
    Renamed,
    /// Became a link, a file, a submodule.
    TypeChanged,
    /// In the work tree only.
    Untracked,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEntry {
    /// From the root; replacement characters stand for what is not UTF-8. A folder that is untracked as a whole ends in `/`.
    pub path: String,
    /// Its name in the commit, if renamed.
    pub old_path: Option<String>,
    /// Index against commit.
    pub staged: Option<Change>,
    /// Work tree against index.
    pub unstaged: Option<Change>,
    /// Whether a merge left it with two versions.
    pub conflicted: bool,
}

/// How the current branch stands to the one it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// The remote branch, short.
    pub upstream: String,
    /// Commits only here.
    pub ahead: usize,
    /// Commits only there, as of the last fetch.
    pub behind: usize,
}

/// The state of a clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What is checked out, short; `None` if HEAD is at a commit only.
    pub branch: Option<String>,
    /// Its commit; `None` before the first.
    pub commit: Option<String>,
    /// What it follows.
    pub tracking: Option<Tracking>,
    /// Whether somebody is in the middle of a merge, rebase or the like.
    pub unfinished: bool,
    /// What differs, by path.
    pub entries: Vec<StatusEntry>,
    /// Whether some were left out.
    pub truncated: bool,
}

impl Repos {
    /// The state of the clone; entries only below `path`, if one is given.
    pub async fn status(&self, id: AttachmentId, path: Option<RepoPath>) -> Result<Status, GitError> {
        self.read(id, move |opened| status(opened, path.as_ref())).await
    }
}

/// What libgit2 finds to differ, everywhere or at a path; `None`: nothing.
pub(crate) fn differing<'a>(opened: &'a Opened<'_>, path: Option<&RepoPath>) -> Result<Option<Statuses<'a>>, GitError> {
    let mut options = StatusOptions::new();
    options
        .show(StatusShow::IndexAndWorkdir)
        .include_untracked(true)
        .exclude_submodules(true)
        .renames_head_to_index(true)
        .update_index(false);
    if let Some(path) = path {
        options.pathspec(path.as_str()).disable_pathspec_match(true);
    } else if let Some(doubtful) = scan::doubtful(opened)? {
        // No path at all would mean every path.
        if doubtful.is_empty() {
            return Ok(None);
        }
        options.disable_pathspec_match(true);
        for path in doubtful {
            options.pathspec(path);
        }
    }
    Ok(Some(opened.repo.statuses(Some(&mut options))?))
}

fn status(opened: &Opened<'_>, path: Option<&RepoPath>) -> Result<Status, GitError> {
    let found = differing(opened, path)?;
    let limit = opened.settings.max_status_entries;
    let entries = found.iter().flat_map(Statuses::iter).take(limit).map(|entry| {
        let staged = entry.head_to_index();
        let unstaged = entry.index_to_workdir();
        let old_path = staged.as_ref().filter(|delta| delta.status() == Delta::Renamed);
        StatusEntry {
            path: staged_path(staged.as_ref())
                .unwrap_or_else(|| String::from_utf8_lossy(entry.path_bytes()).into_owned()),
            old_path: old_path.and_then(|delta| lossy(delta.old_file().path_bytes())),
            staged: staged.as_ref().and_then(|delta| change(delta.status())),
            unstaged: unstaged.as_ref().and_then(|delta| change(delta.status())),
            conflicted: entry.status().is_conflicted(),
        }
    });
    let branch = opened.head_branch()?;
    let commit = opened.head_commit()?;
    Ok(Status {
        tracking: branch.as_deref().and_then(|branch| tracking(opened, branch)),
        branch: branch.map(|name| name.trim_start_matches("refs/heads/").to_owned()),
        commit: commit.map(|id| id.to_string()),
        unfinished: opened.repo.state() != RepositoryState::Clean,
        truncated: found.as_ref().is_some_and(|found| found.len() > limit),
        entries: entries.collect(),
    })
}

fn lossy(path: Option<&[u8]>) -> Option<String> {
    path.map(|path| String::from_utf8_lossy(path).into_owned())
}

/// A renamed file is shown under its new name.
fn staged_path(staged: Option<&DiffDelta<'_>>) -> Option<String> {
    let renamed = staged.filter(|delta| delta.status() == Delta::Renamed)?;
    lossy(renamed.new_file().path_bytes())
}

fn change(delta: Delta) -> Option<Change> {
    match delta {
        Delta::Added | Delta::Copied => Some(Change::Added),
        Delta::Modified => Some(Change::Modified),
        Delta::Deleted => Some(Change::Deleted),
        Delta::Renamed => Some(Change::Renamed),
        Delta::Typechange => Some(Change::TypeChanged),
        Delta::Untracked => Some(Change::Untracked),
        Delta::Unmodified | Delta::Ignored | Delta::Unreadable | Delta::Conflicted => None,
    }
}

/// `None` if the branch follows nothing, or what it follows is gone.
fn tracking(opened: &Opened<'_>, branch: &str) -> Option<Tracking> {
    let local = opened
        .repo
        .find_branch(branch.strip_prefix("refs/heads/")?, git2::BranchType::Local)
        .ok()?;
    let upstream = local.upstream().ok()?;
    let (here, there) = (local.get().target()?, upstream.get().target()?);
    let (ahead, behind) = opened.repo.graph_ahead_behind(here, there).ok()?;
    Some(Tracking {
        upstream: String::from_utf8_lossy(upstream.name_bytes().ok()?).into_owned(),
        ahead,
        behind,
    })
}

//! History, newest first, in pages.

use crate::{
    error::{GitError, Missing},
    open::Opened,
    path::{RefError, RepoPath, Revision},
    repos::Repos,
};
use git2::{Oid, Tree};
use mira_core::ids::AttachmentId;
use std::{fmt, str::FromStr};

/// Commits of one page at most.
pub const MAX_LOG: usize = 200;
/// Commits looked at for one page when a path is asked for; the page then ends early and says where it goes on.
const MAX_LOOKED_AT: usize = 20_000;
/// Of longer messages the rest is left out, bytes.
const MAX_MESSAGE: usize = 64 * 1024;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// From where; `None`: HEAD.
    pub revision: Option<Revision>,
    /// Only commits that changed this file or folder.
    pub path: Option<RepoPath>,
    /// [`LogPage::next_cursor`] of the page before.
    pub cursor: Option<LogCursor>,
    /// Commits, at most [`MAX_LOG`].
    pub limit: usize,
}

/// Somebody, at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As in the commit.
    pub name: String,
    /// As in the commit.
    pub email: String,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Of their clock from UTC, minutes.
    pub offset_minutes: i32,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: String,
    /// Ids of the commits it follows.
    pub parents: Vec<String>,
    /// Who wrote it.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// First paragraph of the message, on one line.
    pub summary: String,
    /// The message.
    pub message: String,
}

/// Some commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// Newest first.
    pub commits: Vec<Commit>,
    /// Where the next page begins; a page may be short and yet not the last.
    pub next_cursor: Option<LogCursor>,
}

impl Repos {
    /// A page of history.
    pub async fn log(&self, id: AttachmentId, query: LogQuery) -> Result<LogPage, GitError> {
        self.read(id, move |opened| page(opened, &query)).await
    }
}

/// Where a page begins: the commit the listing began at, so that later commits do not shift the pages, and the last one
/// looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    start: Oid,
    last: Oid,
}

impl FromStr for LogCursor {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let id = |text: &str| (text.len() == 40).then(|| Oid::from_str(text).ok()).flatten();
        let parts = text.split_once('-').and_then(|(start, last)| id(start).zip(id(last)));
        parts.map(|(start, last)| Self { start, last }).ok_or(RefError::Cursor)
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.last)
    }
}

fn page(opened: &Opened<'_>, query: &LogQuery) -> Result<LogPage, GitError> {
    let start = match query.cursor {
        Some(cursor) => Some(cursor.start),
        None => opened.commit_at(query.revision.as_ref())?,
    };
    let mut page = LogPage {
        commits: Vec::new(),
        next_cursor: None,
    };
    let Some(start) = start else {
        return Ok(page);
    };
    let mut walk = opened.repo.revwalk()?;
    // Without a sorting asked for, the walk goes by time as far as it has read, like git's own, and reads no more history
    // than it yields; any sorting reads all of it first.
    walk.push(start).map_err(|_| GitError::NotFound(Missing::Commit))?;
    let mut ids = walk;
    if let Some(cursor) = query.cursor {
        let found = ids.any(|id| id.as_ref() == Ok(&cursor.last));
        if !found {
            return Err(GitError::NotFound(Missing::Commit));
        }
    }
    let limit = query.limit.clamp(1, MAX_LOG);
    let mut last = None;
    for (looked_at, id) in ids.enumerate() {
        if page.commits.len() == limit || looked_at == MAX_LOOKED_AT {
            page.next_cursor = last.map(|last| LogCursor { start, last });
            break;
        }
        let commit = opened.repo.find_commit(id?)?;
        last = Some(commit.id());
        let touches = match &query.path {
            None => true,
            Some(path) => changes(&commit, path)?,
        };
        if touches {
            page.commits.push(described(&commit));
        }
    }
    Ok(page)
}

/// Whether a commit has at `path` what none of its parents has.
fn changes(commit: &git2::Commit<'_>, path: &RepoPath) -> Result<bool, GitError> {
    let at = |tree: &Tree<'_>| {
        tree.get_path(path.as_path())
            .ok()
            .map(|entry| (entry.id(), entry.filemode()))
    };
    let here = at(&commit.tree()?);
    let mut parents = commit.parents().peekable();
    if parents.peek().is_none() {
        return Ok(here.is_some());
    }
    for parent in parents {
        if at(&parent.tree()?) == here {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A commit in our words.
pub(crate) fn described(commit: &git2::Commit<'_>) -> Commit {
    let mut message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let end = message.floor_char_boundary(MAX_MESSAGE);
    message.truncate(end);
    Commit {
        sha: commit.id().to_string(),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        author: person(&commit.author()),
        committer: person(&commit.committer()),
        summary: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
        message,
    }
}

/// A signature in our words.
pub(crate) fn person(signature: &git2::Signature<'_>) -> Person {
    Person {
        name: String::from_utf8_lossy(signature.name_bytes()).into_owned(),
        email: String::from_utf8_lossy(signature.email_bytes()).into_owned(),
        seconds: signature.when().seconds(),
        offset_minutes: signature.when().offset_minutes(),
    }
}

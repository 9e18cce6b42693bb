//! What can go wrong with a repository. Everything a caller may want to tell apart is a variant; the texts are written for
//! the owner and never hold a secret.

use crate::{
    path::{PathError, RefError},
    remote::UrlError,
};
use mira_net::NetError;
use std::io;

/// A failure of one action on a repository. Nothing was changed unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// What was asked for is not there.
    #[error("there is no such {0}")]
    NotFound(Missing),
    /// Doing it would lose something, or what the caller knew is no longer so. Nothing was changed.
    #[error("{why}{}", listed(paths))]
    Conflict {
        /// In what way.
        why: Clash,
        /// The paths concerned; empty where it is not about paths.
        paths: Vec<String>,
    },
    /// Somebody else works on the repository and did not finish within the time one waits.
    #[error("{0}; try again")]
    Busy(Holder),
    /// Over a limit.
    #[error("{what} is larger than the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit, in the unit `what` names (bytes where it names none).
        limit: u64,
    },
    /// It took longer than it may.
    #[error("{0} took too long")]
    Timeout(&'static str),
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
    /// Not a path inside a repository.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Not the name of a branch or commit.
    #[error(transparent)]
    Ref(#[from] RefError),
    /// Not the address of a repository Mira clones.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The remote wants (other) credentials.
    #[error("{host} {}", if *known { "does not accept these credentials" } else { "wants credentials" })]
    Unauthorized {
        /// The remote's host.
        host: String,
        /// Whether any were shown.
        known: bool,
    },
    /// The credentials do not allow this.
    #[error("{host} does not allow this with these credentials")]
    Forbidden {
        /// The remote's host.
        host: String,
    },
    /// The host shows another key than before.
    #[error(
        "the host key of {host} is not the one Mira knows; if it was changed on purpose, remove its line from \
         secrets/known_hosts in the data directory"
    )]
    HostKey {
        /// The remote's host.
        host: String,
    },
    /// Something answers that is no git server.
    #[error("{host} answers, but not as a git server: is this the address of a repository?")]
    NotAGitServer {
        /// The remote's host.
        host: String,
    },
    /// No conversation with the remote.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The remote's host.
        host: String,
        /// The reason.
        why: String,
    },
    /// A rule refuses the address.
    #[error(transparent)]
    Blocked(NetError),
    /// The remote does not take what was pushed; nothing of it was changed.
    #[error("the remote does not take the push: {why}")]
    Rejected {
        /// The remote's words, or git's.
        why: String,
    },
    /// The remote has no such branch.
    #[error("the remote has no branch `{branch}`{}", listed(known))]
    NoSuchBranch {
        /// The branch that was asked for.
        branch: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// The repository is in a state this cannot work with.
    #[error("{0}")]
    Unusable(&'static str),
    /// libgit2 failed.
    #[error("git: {}", .0.message())]
    Git(#[source] git2::Error),
    /// The file system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The work ended without an answer: the program is ending, or the code has a bug.
    #[error("the work on the repository was broken off")]
    Broken,
}

/// What a [`GitError::NotFound`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The clone itself.
    Repository,
    /// A file or folder.
    Path,
    /// A folder: something else is there.
    Folder,
    /// A branch.
    Branch,
    /// A commit, or anything that names one.
    Commit,
    /// The repository behind an address.
    Remote,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Repository => "repository",
            Self::Path => "file or folder",
            Self::Folder => "folder",
            Self::Branch => "branch",
            Self::Commit => "commit",
            Self::Remote => "repository at that address, or it is hidden without credentials",
        })
    }
}

/// Why something would lose data or contradicts what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clash {
    /// The file is not the one the caller has seen.
    Changed,
    /// There already is something of that name.
    Exists,
    /// The work tree holds edits that are in no commit.
    Uncommitted,
    /// The index holds staged edits that are in no commit.
    Staged,
    /// A name there differs only in case or Unicode form, which many file systems cannot hold.
    Twin,
    /// Two histories changed the same lines.
    Merge,
    /// No branch is checked out.
    Detached,
    /// Somebody is in the middle of a merge, rebase or the like.
    Unfinished,
    /// Folder, link or submodule, where a file is wanted.
    NotAFile,
    /// The branch moved while the work was done.
    Moved,
}

impl std::fmt::Display for Clash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Changed => "the file has changed since it was read",
            Self::Exists => "there already is something of that name",
            Self::Uncommitted => "there are edits in the work tree that are not committed",
            Self::Staged => "there are staged edits that are not committed",
            Self::Twin => "a name there differs only in case or Unicode form",
            Self::Merge => "both sides changed the same place",
            Self::Detached => "no branch is checked out: switch to one first",
            Self::Unfinished => "a merge or rebase is unfinished: end it first",
            Self::NotAFile => "this is a folder, a link or a submodule, not a file",
            Self::Moved => "the branch has moved meanwhile",
        })
    }
}

/// Who keeps a writer waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Another writer of ours.
    Mira,
    /// A git command run by hand, or the rest of one that died (`.git/index.lock` or a ref's lock).
    Git,
    /// All places of the pool are taken.
    Pool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mira => "another change of this repository is under way",
            Self::Git => "another git process holds this repository (index.lock or a ref's lock)",
            Self::Pool => "too many repository actions at once",
        })
    }
}

/// How many paths an error's text names.
const NAMED: usize = 5;

fn listed(paths: &[String]) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let named: Vec<&str> = paths.iter().take(NAMED).map(String::as_str).collect();
    let more = paths.len().saturating_sub(NAMED);
    let rest = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    format!(" ({}{rest})", named.join(", "))
}

impl GitError {
    /// A clash about one path.
    pub(crate) fn clash(why: Clash, path: impl Into<String>) -> Self {
        Self::Conflict {
            why,
            paths: vec![path.into()],
        }
    }

    /// A clash that is not about paths.
    pub(crate) fn standing(why: Clash) -> Self {
        Self::Conflict { why, paths: Vec::new() }
    }

    /// For `map_err`: a failure of the file system while `what`.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: as [`Self::io`], from rustix.
    pub(crate) fn sys(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::Io {
            what,
            source: errno.into(),
        }
    }
}

/// Locks are a matter of waiting; everything else of libgit2 is a failure. What is "not found" depends on the question, so
/// that callers who asked one map it themselves.
impl From<git2::Error> for GitError {
    fn from(error: git2::Error) -> Self {
        match error.code() {
            git2::ErrorCode::Locked => Self::Busy(Holder::Git),
            git2::ErrorCode::Modified => Self::standing(Clash::Moved),
            // The lock of a ref has no code of its own.
            _ if error.class() == git2::ErrorClass::Os && error.message().starts_with("failed to lock file") => {
                Self::Busy(Holder::Git)
            }
            _ => Self::Git(error),
        }
    }
}

impl From<NetError> for GitError {
    fn from(error: NetError) -> Self {
        match error {
            refused if refused.is_refusal() => Self::Blocked(refused),
            NetError::TooLarge { limit, .. } => Self::TooLarge {
                what: "what the remote sends",
                limit,
            },
            NetError::Unreachable { host, why }
            | NetError::Unresolved { host, why }
            | NetError::Broken { host, why } => Self::Unreachable { host, why },
            NetError::Timeout { host, phase, .. } => Self::Unreachable {
                host,
                why: format!("it kept Mira waiting for {phase}"),
            },
            other => Self::Blocked(other),
        }
    }
}

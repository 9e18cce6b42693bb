//! Opening one clone: the repository and its work tree, checked to be the folder that was asked for and nothing behind it.

use crate::{
    confine::WorkTree,
    error::{GitError, Missing},
    global,
    scan::Seen,
    settings::GitSettings,
};
use git2::{Oid, Repository, RepositoryOpenFlags};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

/// One open clone; for the blocking pool, used by one thread.
pub(crate) struct Opened<'a> {
    /// libgit2's view.
    pub(crate) repo: Repository,
    /// The files, reached through a handle only.
    pub(crate) files: WorkTree,
    /// The folder; for libgit2 and messages.
    pub(crate) dir: PathBuf,
    /// Limits.
    pub(crate) settings: &'a GitSettings,
    /// What the last status found the index to hold, for the next one.
    pub(crate) seen: Cell<Option<Seen>>,
}

/// An open clone kept for the next reader: libgit2 then has the index and the packs at hand.
pub(crate) struct Idle {
    repo: Repository,
    files: WorkTree,
    stamp: Stamp,
    seen: Option<Seen>,
}

/// What must be as it was for an idle handle to be used again: the folder, and the configuration, which libgit2 reads once.
#[derive(PartialEq, Eq)]
struct Stamp {
    folder: (u64, u64),
    config: (u64, i64, i64, u64),
}

fn stamp(dir: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let folder = std::fs::symlink_metadata(dir).ok()?;
    let config = std::fs::symlink_metadata(dir.join(".git/config")).ok()?;
    Some(Stamp {
        folder: (folder.dev(), folder.ino()),
        config: (config.ino(), config.mtime(), config.mtime_nsec(), config.size()),
    })
}

/// As [`open`], with an idle handle if it still fits.
pub(crate) fn reopen<'a>(idle: Option<Idle>, dir: &Path, settings: &'a GitSettings) -> Result<Opened<'a>, GitError> {
    match idle {
        Some(idle)
            if stamp(dir).as_ref() == Some(&idle.stamp)
                && idle.files.has_own_git_folder()?
                && !idle.files.borrows_objects()? =>
        {
            Ok(Opened {
                repo: idle.repo,
                files: idle.files,
                dir: dir.to_owned(),
                settings,
                seen: Cell::new(idle.seen),
            })
        }
        _ => open(dir, settings),
    }
}

/// Opens the clone in `dir`.
pub(crate) fn open<'a>(dir: &Path, settings: &'a GitSettings) -> Result<Opened<'a>, GitError> {
    global::prepare()?;
    let Some(files) = WorkTree::open(dir)? else {
        return Err(GitError::NotFound(Missing::Repository));
    };
    // A `.git` that is a file or a link leads somewhere else.
    if !files.has_own_git_folder()? {
        return Err(GitError::NotFound(Missing::Repository));
    }
    if files.borrows_objects()? {
        return Err(GitError::Unusable(
            "the repository borrows objects from another folder (objects/info/alternates)",
        ));
    }
    let none: [&Path; 0] = [];
    let repo = Repository::open_ext(dir, RepositoryOpenFlags::NO_SEARCH, none)?;
    let here = std::fs::canonicalize(dir).map_err(GitError::io("finding the clone"))?;
    let same = |found: Option<&Path>, wanted: &Path| {
        found.and_then(|found| std::fs::canonicalize(found).ok()).as_deref() == Some(wanted)
    };
    if !same(repo.workdir(), &here) || !same(Some(repo.path()), &here.join(".git")) {
        return Err(GitError::Unusable("the repository's work tree is another folder"));
    }
    Ok(Opened {
        repo,
        files,
        dir: dir.to_owned(),
        settings,
        seen: Cell::new(None),
    })
}

/// What a clone's own configuration must say, for libgit2 as for git run by hand. Called when a clone is made.
pub(crate) fn settle_config(repo: &Repository) -> Result<(), GitError> {
    let mut config = repo.config()?;
    // A link of a stranger is written as a small file that holds its target.
    config.set_bool("core.symlinks", false)?;
    config.set_bool("core.protectHFS", true)?;
    config.set_bool("core.protectNTFS", true)?;
    // Bytes are what they are; only attributes of the repository itself change line ends.
    config.set_bool("core.autocrlf", false)?;
    Ok(())
}

impl Opened<'_> {
    /// For the next reader. A handle that was used for writing has another index in it and is never kept.
    pub(crate) fn into_idle(self) -> Option<Idle> {
        let stamp = stamp(&self.dir)?;
        Some(Idle {
            repo: self.repo,
            files: self.files,
            stamp,
            seen: self.seen.take(),
        })
    }

    /// Where HEAD points: the branch's full name, or `None` if no branch is checked out.
    pub(crate) fn head_branch(&self) -> Result<Option<String>, GitError> {
        let head = self.repo.find_reference("HEAD")?;
        Ok(head.symbolic_target().ok().flatten().map(str::to_owned))
    }

    /// The commit that is checked out; `None` before the first one.
    pub(crate) fn head_commit(&self) -> Result<Option<Oid>, GitError> {
        match self.repo.refname_to_id("HEAD") {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The tree of a commit; `None` for no commit is the empty tree.
    pub(crate) fn tree_of(&self, commit: Option<Oid>) -> Result<Option<git2::Tree<'_>>, GitError> {
        match commit {
            Some(id) => Ok(Some(self.repo.find_commit(id)?.tree()?)),
            None => Ok(None),
        }
    }

    /// The commit a revision names; `None` names HEAD.
    pub(crate) fn commit_at(&self, revision: Option<&crate::path::Revision>) -> Result<Option<Oid>, GitError> {
        let Some(revision) = revision else {
            return self.head_commit();
        };
        let found = self.repo.revparse_single(revision.as_str());
        let object = found.map_err(|error| match error.code() {
            git2::ErrorCode::NotFound | git2::ErrorCode::InvalidSpec | git2::ErrorCode::Ambiguous => {
                GitError::NotFound(Missing::Commit)
            }
            _ => GitError::Git(error),
        })?;
        let commit = object
            .peel_to_commit()
            .map_err(|_| GitError::NotFound(Missing::Commit))?;
        Ok(Some(commit.id()))
    }
}

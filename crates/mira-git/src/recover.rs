//! After a crash: the change that was under way is completed, locks of ours are removed, what lies about is cleared away.
//! Runs at the first touch of a repository after a start, and before each change, always as the only writer.
//!
//! A lock counts as ours only with proof: `index.lock` carries our mark; the lock of a branch or of HEAD must belong to the
//! change the journal names and hold nothing or exactly what that change writes. Any other lock is somebody's at work, or
//! a dead git's, and is left to the owner ([`crate::error::Holder::Git`]).

use crate::{
    confine::{self, Scratch},
    error::{Clash, GitError},
    filter,
    journal::{self, Goal, Step},
    moves::{self, RESCUED},
    open::Opened,
    repos::Repos,
    transition,
};
use git2::{ObjectType, Oid};
use mira_core::ids::AttachmentId;
use std::{io::ErrorKind, path::Path};

/// A lock that holds the name of a ref or an id is shorter.
const LOCK_SIZE: u64 = 4096;

/// What [`Repos::check`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The repository can be read.
    Good {
        /// The branch that is checked out, short; `None` if none is.
        branch: Option<String>,
        /// The commit that is checked out; `None` before the first.
        commit: Option<String>,
    },
    /// There is no such clone.
    Missing,
    /// It is there and cannot be read.
    Damaged {
        /// Why.
        reason: String,
    },
}

/// Completes what was interrupted, and clears away.
pub(crate) fn mend(opened: &Opened<'_>) -> Result<(), GitError> {
    let scratch = opened.files.scratch()?;
    if let Some(step) = journal::unfinished(&scratch)? {
        clear_locks(&scratch, &step)?;
        match transition::resume(opened, &scratch, &step) {
            Ok(()) => {}
            // Somebody else has moved things since: nothing of theirs is touched, ours is reachable as objects.
            Err(GitError::Conflict { why: Clash::Moved, .. }) => journal::end(&scratch)?,
            Err(error) => return Err(error),
        }
        clear_objects(&scratch, "objects", "tmp_object_")?;
        tracing::info!(folder = %opened.dir.display(), "a change that had been interrupted was completed");
    }
    if journal::is_ours(&scratch)? {
        scratch.remove_git(journal::INDEX_LOCK)?;
    }
    sweep(opened, &scratch)
}

fn clear_locks(scratch: &Scratch, step: &Step) -> Result<(), GitError> {
    let (branch, head, config) = match &step.goal {
        Goal::Advance { branch } => (branch, None, false),
        Goal::Switch { branch, follows, .. } => (branch, Some(format!("ref: {branch}\n")), follows.is_some()),
    };
    clear_lock(scratch, &format!("{branch}.lock"), &format!("{}\n", step.to))?;
    if let Some(head) = head {
        clear_lock(scratch, "HEAD.lock", &head)?;
    }
    if config {
        // Its content is the whole configuration in the middle of being written: only the journal speaks for it.
        scratch.remove_git("config.lock")?;
    }
    Ok(())
}

fn clear_lock(scratch: &Scratch, name: &str, ours: &str) -> Result<(), GitError> {
    match scratch.read_git(name, LOCK_SIZE) {
        Ok(Some(found)) if ours.as_bytes().starts_with(&found) => scratch.remove_git(name),
        Ok(_) | Err(GitError::TooLarge { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn clear_objects(scratch: &Scratch, folder: &str, prefix: &str) -> Result<(), GitError> {
    for name in scratch.list_git(folder)? {
        if name.starts_with(prefix) {
            scratch.remove_git(&format!("{folder}/{name}"))?;
        }
    }
    Ok(())
}

/// Removes our files, except one that is no version any commit knows: then a crash hit the very moment in which an edit of
/// the owner was to be put back, and it is kept under a name of its own.
fn sweep(opened: &Opened<'_>, scratch: &Scratch) -> Result<(), GitError> {
    for name in scratch.names()? {
        if journal::keeps(&name) || name.starts_with(RESCUED) {
            continue;
        }
        if name.strip_suffix(confine::REPLACED).unwrap_or(&name) == moves::PREPARED
            && let Some(kept) = unknown_edit(opened, scratch, &name)?
        {
            tracing::warn!(folder = %opened.dir.display(), file = %kept, "an edit that no commit knows is kept in .git/mira");
            scratch.rename(&name, &kept)?;
            continue;
        }
        scratch.remove(&name)?;
    }
    Ok(())
}

/// The name to keep a file of ours under, if what it holds may be an edit that no commit has.
fn unknown_edit(opened: &Opened<'_>, scratch: &Scratch, name: &str) -> Result<Option<String>, GitError> {
    let bytes = match scratch.read(name, opened.settings.max_file_bytes) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        // Too large to look into, or unreadable: whoever cannot tell keeps it.
        Err(_) => {
            let stat = scratch.stat(name)?;
            let (file, at) = stat.map_or((0, 0), |stat| (stat.st_ino, stat.st_mtime));
            return Ok(Some(format!("{RESCUED}unread-{file}-{at}")));
        }
    };
    let id = Oid::hash_object(ObjectType::Blob, &bytes)?;
    let plain = Oid::hash_object(ObjectType::Blob, &filter::unix_lines(&bytes))?;
    let odb = opened.repo.odb()?;
    Ok((!odb.exists(id) && !odb.exists(plain)).then(|| format!("{RESCUED}{id}")))
}

/// Where a clone is made before it is whole.
pub(crate) fn temporary(repos: &Repos, id: AttachmentId) -> std::path::PathBuf {
    repos.root().join(format!(".tmp-{id}"))
}

fn removed(repos: &Repos, id: AttachmentId) -> std::path::PathBuf {
    repos.root().join(format!(".gone-{id}"))
}

/// Removes a folder of ours with all that is in it. A link is removed itself, never followed.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), GitError> {
    let told = "removing a folder";
    let found = match std::fs::symlink_metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(GitError::io(told)(error)),
    };
    let done = if found.is_dir() {
        std::fs::remove_dir_all(folder)
    } else {
        std::fs::remove_file(folder)
    };
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(GitError::io(told)(error)),
        _ => Ok(()),
    }
}

impl Repos {
    /// What is done for every attachment at start: leftovers of an interrupted clone or removal go, an interrupted change is
    /// completed, and whether the repository can be read is said.
    pub async fn check(&self, id: AttachmentId) -> Result<Health, GitError> {
        let turn = self.hold(id).await?;
        let leftovers = [temporary(self, id), removed(self, id)];
        let folder = self.folder(id);
        let there = self
            .in_turn(turn, move |_| {
                leftovers.iter().try_for_each(|leftover| remove_folder(leftover))?;
                Ok(folder.is_dir())
            })
            .await?;
        if !there {
            return Ok(Health::Missing);
        }
        let found = self.write_turn(id, |opened| {
            let scratch = opened.files.scratch()?;
            // Halves of packs of a fetch that died.
            clear_objects(&scratch, "objects/pack", "pack_git2_")?;
            let commit = opened.head_commit()?;
            opened.tree_of(commit)?;
            let branch = opened.head_branch()?;
            Ok(Health::Good {
                branch: branch.map(|name| name.trim_start_matches("refs/heads/").to_owned()),
                commit: commit.map(|id| id.to_string()),
            })
        });
        match found.await {
            Ok(health) => Ok(health),
            Err(error @ (GitError::Git(_) | GitError::NotFound(_) | GitError::Unusable(_))) => Ok(Health::Damaged {
                reason: error.to_string(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Removes the folder Mira made, and nothing else, for whoever has its [`Self::hold`], in `turn`. A crash on the way is
    /// ended by the next [`Self::check`].
    pub(crate) async fn remove_in<P: Send + 'static>(&self, turn: P, id: AttachmentId) -> Result<(), GitError> {
        let (folder, gone, temporary) = (self.folder(id), removed(self, id), temporary(self, id));
        self.in_turn(turn, move |_| {
            remove_folder(&gone)?;
            // Renamed first: from then on nobody can open it half-removed.
            match std::fs::rename(&folder, &gone) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(GitError::io("removing a repository")(error));
                }
                _ => remove_folder(&gone)?,
            }
            remove_folder(&temporary)
        })
        .await?;
        self.forget(id);
        Ok(())
    }
}

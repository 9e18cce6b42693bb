//! What makes a change whole across a crash: git's `index.lock`, held by us and marked as ours, and a journal that says
//! which change is under way.
//!
//! Both are in place before the first file of the work tree changes, and gone when the change is done. A git command run by
//! hand meets the lock and leaves the index and the branch alone; after a crash the mark says that nobody is behind the
//! lock any more, since one process at a time owns the folder and the writers of a repository take turns in it.

use crate::{
    confine::Scratch,
    error::{GitError, Holder},
};
use git2::Oid;

/// In `.git`: git's own lock of the index.
pub(crate) const INDEX_LOCK: &str = "index.lock";
/// The content of the lock while it is ours.
const MARK: &[u8] = b"held by mira\n";
const MARK_FILE: &str = "mark";
const JOURNAL: &str = "journal";
const JOURNAL_DRAFT: &str = "journal.new";
/// Journals and locks are shorter.
const SMALL: u64 = 64 * 1024;
const FORMAT: &str = "mira change 1";

/// One change of what is checked out: from the tree of one commit to that of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The commit that is checked out; `None` before the first.
    pub(crate) from: Option<Oid>,
    /// The commit to check out.
    pub(crate) to: Oid,
    /// What refers to it afterwards.
    pub(crate) goal: Goal,
}

/// What refers to the new commit when a [`Step`] is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The branch that is checked out moves there.
    Advance {
        /// Full name.
        branch: String,
    },
    /// Another branch is checked out; it is made if it is missing.
    Switch {
        /// What HEAD held before: a branch's full name, or a commit.
        left: String,
        /// Full name.
        branch: String,
        /// The remote branch a new branch follows, full name.
        follows: Option<String>,
    },
}

impl Step {
    fn to_text(&self) -> String {
        let from = self.from.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let goal = match &self.goal {
            Goal::Advance { branch } => format!("advance\n{branch}\n"),
            Goal::Switch { left, branch, follows } => {
                format!("switch\n{branch}\n{left}\n{}\n", follows.as_deref().unwrap_or("-"))
            }
        };
        format!("{FORMAT}\n{from}\n{}\n{goal}", self.to)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != FORMAT {
            return None;
        }
        let from = match lines.next()? {
            "-" => None,
            id => Some(Oid::from_str(id).ok()?),
        };
        let to = Oid::from_str(lines.next()?).ok()?;
        let (kind, branch) = (lines.next()?, lines.next()?.to_owned());
        let goal = match kind {
            "advance" => Goal::Advance { branch },
            "switch" => Goal::Switch {
                branch,
                left: lines.next()?.to_owned(),
                follows: Some(lines.next()?.to_owned()).filter(|name| name != "-"),
            },
            _ => return None,
        };
        Some(Self { from, to, goal })
    }
}

/// Git's lock of the index, ours until [`IndexLock::release`]. Dropping it without leaves it for [`crate::recover`].
pub(crate) struct IndexLock<'a>(&'a Scratch);

impl<'a> IndexLock<'a> {
    /// Takes the lock, or adopts one that a dead process of ours left.
    pub(crate) fn take(scratch: &'a Scratch) -> Result<Self, GitError> {
        if is_ours(scratch)? {
            return Ok(Self(scratch));
        }
        scratch.write(MARK_FILE, MARK, 0o666, false)?;
        if scratch.publish_new(MARK_FILE, INDEX_LOCK)? {
            Ok(Self(scratch))
        } else {
            Err(GitError::Busy(Holder::Git))
        }
    }

    /// Gives the lock back.
    pub(crate) fn release(self) -> Result<(), GitError> {
        if is_ours(self.0)? {
            self.0.remove_git(INDEX_LOCK)?;
        }
        Ok(())
    }
}

/// Whether the lock is there and marked as ours.
pub(crate) fn is_ours(scratch: &Scratch) -> Result<bool, GitError> {
    match scratch.read_git(INDEX_LOCK, SMALL) {
        Ok(found) => Ok(found.as_deref() == Some(MARK)),
        // An index under way, written by git.
        Err(GitError::TooLarge { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes down what is about to be done.
pub(crate) fn begin(scratch: &Scratch, step: &Step) -> Result<(), GitError> {
    scratch.write(JOURNAL_DRAFT, step.to_text().as_bytes(), 0o666, true)?;
    scratch.rename(JOURNAL_DRAFT, JOURNAL)?;
    scratch.sync()
}

/// What was being done when the process died, if anything.
pub(crate) fn unfinished(scratch: &Scratch) -> Result<Option<Step>, GitError> {
    let Some(bytes) = scratch.read(JOURNAL, SMALL)? else {
        return Ok(None);
    };
    let step = Step::from_text(&String::from_utf8_lossy(&bytes));
    if step.is_none() {
        // Written by another version: nothing is known, so nothing is done; what is in the work tree stays.
        tracing::warn!("a journal in .git/mira cannot be read; it is dropped");
        end(scratch)?;
    }
    Ok(step)
}

/// It is done, or undone.
pub(crate) fn end(scratch: &Scratch) -> Result<(), GitError> {
    scratch.remove(JOURNAL)
}

/// Whether `name` in our folder is of this module.
pub(crate) fn keeps(name: &str) -> bool {
    name == JOURNAL
}

#[cfg(test)]
mod tests {
    use super::{Goal, Step};
    use git2::Oid;

    #[test]
    fn a_step_is_read_back_as_written() {
        let id = Oid::from_str("1234567890123456789012345678901234567890").unwrap();
        let advance = Goal::Advance {
            branch: "refs/heads/main".to_owned(),
        };
        let switch = |follows: Option<&str>| Goal::Switch {
            left: "refs/heads/main".to_owned(),
            branch: "refs/heads/fix/one".to_owned(),
            follows: follows.map(str::to_owned),
        };
        for goal in [advance, switch(None), switch(Some("refs/remotes/origin/fix/one"))] {
            for from in [None, Some(id)] {
                let step = Step {
                    from,
                    to: id,
                    goal: goal.clone(),
                };
                assert_eq!(Step::from_text(&step.to_text()), Some(step));
            }
        }
        assert_eq!(Step::from_text("mira change 2\n-\n"), None);
    }
}

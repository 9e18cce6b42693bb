//! From the tree of one commit to that of another: work tree, index, and the branch or HEAD, whole or not at all. Writing a
//! file, switching a branch, fast-forwarding and merging are all this one step; recovery after a crash is the same step
//! taken again.
//!
//! Order: git's index lock, the plan (nothing is touched if an edit would be lost or a bound is passed), the journal, the files, the index, the
//! ref, the end of the journal, the lock. Killed before the journal: nothing has happened. Killed later: the objects are
//! all there, each file is either old or new, and [`resume`] ends the step, leaving alone whatever is neither. An error on
//! the way is undone in reverse order; only where even that fails the journal stays for the next turn.

use crate::{
    compare::{self, Bounds},
    confine::{Found, Scratch},
    error::{Clash, GitError},
    journal::{self, Goal, IndexLock, Step},
    moves::{self, Delta, Entry, Recorded, Standing},
    open::Opened,
    path::{RepoPath, SafePath},
};
use git2::{Index, IndexEntry, Oid, RepositoryState};
use rustix::fs::Stat;
use std::{collections::HashSet, os::unix::ffi::OsStrExt, path::Path};

/// Told how many files of how many are done; its error ends the step.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(usize, usize) -> Result<(), GitError>;

/// Names in `.git/mira`.
const INDEX_DRAFT: &str = "index";
/// libgit2's own lock of the draft; one that lies about is of a process that was killed while it wrote.
const INDEX_DRAFT_LOCK: &str = "index.lock";
const INDEX_OLD: &str = "index.old";
/// In the index's extended flags: the file is not meant to be in the work tree.
const SKIP_WORKTREE: u16 = 1 << 14;
/// In the index's flags: there are extended ones.
const EXTENDED: u16 = 0x4000;

/// Nobody watches.
#[expect(clippy::unnecessary_wraps, reason = "one of the functions a `Watch` may be")]
pub(crate) fn unwatched(_done: usize, _total: usize) -> Result<(), GitError> {
    Ok(())
}

/// Bytes for the work tree that are not simply a blob's: what the caller of a write gave.
pub(crate) struct Given<'a> {
    pub(crate) path: &'a RepoPath,
    pub(crate) bytes: &'a [u8],
}

/// What is to be done about one delta.
struct Todo {
    delta: Delta,
    /// `None`: the file stays as it is.
    file: Option<Seen>,
    index: bool,
}

/// The file a plan was made for, if there was one.
struct Seen(Option<Stat>);

/// How edits in the way are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edits {
    /// The step is refused.
    Refuse,
    /// They stay as they are, the rest is done: after a crash.
    Keep,
}

/// Takes the step. `message` goes to the reflog.
pub(crate) fn take(
    opened: &Opened<'_>,
    step: &Step,
    given: &[Given<'_>],
    message: &str,
    watch: Watch<'_>,
) -> Result<(), GitError> {
    let scratch = opened.files.scratch()?;
    let lock = IndexLock::take(&scratch)?;
    match take_locked(opened, &scratch, step, given, message, watch) {
        Ok(()) => lock.release(),
        Err(error) => {
            // With the journal still there, the lock stays too: nobody may commit what lies about now.
            if journal::unfinished(&scratch)?.is_none() {
                scratch.remove(INDEX_DRAFT)?;
                lock.release()?;
            }
            Err(error)
        }
    }
}

fn take_locked(
    opened: &Opened<'_>,
    scratch: &Scratch,
    step: &Step,
    given: &[Given<'_>],
    message: &str,
    watch: Watch<'_>,
) -> Result<(), GitError> {
    if opened.repo.state() != RepositoryState::Clean {
        return Err(GitError::standing(Clash::Unfinished));
    }
    if !is_at_start(opened, step)? {
        return Err(GitError::standing(Clash::Moved));
    }
    let (mut index, stamp) = draft_index(opened, scratch)?;
    let deltas = deltas(opened, (step.from, step.to), Bounds::of(opened.settings), watch)?;
    let todos = plan(opened, &index, stamp.as_ref(), deltas, Edits::Refuse)?;
    journal::begin(scratch, step)?;
    let mut done = Vec::new();
    let moved = move_files(opened, scratch, &todos, given, watch, &mut done)
        .and_then(|()| write_index(opened, scratch, &mut index, &todos))
        .and_then(|()| point(opened, step, message));
    if let Err(error) = moved {
        undo(opened, scratch, &done)?;
        return Err(error);
    }
    journal::end(scratch)?;
    scratch.remove(INDEX_OLD)
}

/// Ends a step that a crash interrupted, if nothing else has happened since; the caller ends the journal.
pub(crate) fn resume(opened: &Opened<'_>, scratch: &Scratch, step: &Step) -> Result<(), GitError> {
    let lock = IndexLock::take(scratch)?;
    if is_at_start(opened, step)? && opened.repo.state() == RepositoryState::Clean {
        let (mut index, stamp) = draft_index(opened, scratch)?;
        let deltas = deltas(opened, (step.from, step.to), Bounds::NONE, &mut unwatched)?;
        let todos = plan(opened, &index, stamp.as_ref(), deltas, Edits::Keep)?;
        move_files(opened, scratch, &todos, &[], &mut unwatched, &mut Vec::new())?;
        write_index(opened, scratch, &mut index, &todos)?;
        point(opened, step, "mira: completed after an interruption")?;
    }
    journal::end(scratch)?;
    lock.release()
}

/// Fills the empty work tree and index of a fresh clone whose HEAD is at `commit`. No journal: a clone that is not whole is
/// thrown away.
pub(crate) fn checkout_fresh(opened: &Opened<'_>, commit: Oid, watch: Watch<'_>) -> Result<(), GitError> {
    let scratch = opened.files.scratch()?;
    let (mut index, stamp) = draft_index(opened, &scratch)?;
    let deltas = deltas(opened, (None, commit), Bounds::of(opened.settings), watch)?;
    let todos = plan(opened, &index, stamp.as_ref(), deltas, Edits::Refuse)?;
    move_files(opened, &scratch, &todos, &[], watch, &mut Vec::new())?;
    write_index(opened, &scratch, &mut index, &todos)?;
    scratch.remove(INDEX_OLD)
}

/// Whether HEAD is still where the step begins.
fn is_at_start(opened: &Opened<'_>, step: &Step) -> Result<bool, GitError> {
    let commit = opened.head_commit()?;
    let branch = opened.head_branch()?;
    Ok(match &step.goal {
        Goal::Advance { branch: wanted } => commit == step.from && branch.as_deref() == Some(wanted),
        Goal::Switch { left, .. } => {
            commit == step.from
                && (branch.as_deref() == Some(left)
                    || (branch.is_none() && commit.is_some_and(|id| id.to_string() == *left)))
        }
    })
}

/// The paths that differ between two commits, within the bounds.
fn deltas(
    opened: &Opened<'_>,
    commits: (Option<Oid>, Oid),
    bounds: Bounds,
    watch: Watch<'_>,
) -> Result<Vec<Delta>, GitError> {
    let mut deltas = Vec::new();
    compare::weighed(&opened.repo, commits, bounds, &mut || watch(0, 0), &mut |delta| {
        deltas.push(delta);
    })?;
    Ok(deltas)
}

/// A copy of git's index in our folder, to be changed and put in its place, and the stat of the one there now.
fn draft_index(opened: &Opened<'_>, scratch: &Scratch) -> Result<(Index, Option<Stat>), GitError> {
    scratch.remove(INDEX_OLD)?;
    scratch.remove(INDEX_DRAFT_LOCK)?;
    let stamp = scratch.copy_git("index", INDEX_DRAFT)?;
    let mut index = Index::open(&opened.dir.join(".git/mira").join(INDEX_DRAFT))?;
    // The repository's, so that writing it gives back to entries that are too young their doubt (see `moves`).
    opened.repo.set_index(&mut index)?;
    Ok((index, stamp))
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}

/// What to do about each delta; an error that names every path in the way, if edits are to be refused.
fn plan(
    opened: &Opened<'_>,
    index: &Index,
    stamp: Option<&Stat>,
    deltas: Vec<Delta>,
    edits: Edits,
) -> Result<Vec<Todo>, GitError> {
    let gone: HashSet<Vec<u8>> = deltas
        .iter()
        .filter(|delta| delta.new.is_none_or(Entry::is_submodule))
        .map(|delta| delta.path.clone())
        .collect();
    let mut ways = Ways {
        opened,
        gone: &gone,
        clear: HashSet::new(),
    };
    let mut clashes: Vec<(Clash, String)> = Vec::new();
    let mut todos = Vec::with_capacity(deltas.len());
    for delta in deltas {
        let known = index.get_path(as_path(&delta.path), 0);
        let unmerged = index.get_path(as_path(&delta.path), 2).is_some();
        let staged = unmerged || !is_either(known.as_ref(), &delta);
        let trusted = known.as_ref().filter(|known| Recorded::of(known).is_reliable(stamp));
        let file = match SafePath::from_tree(&delta.path) {
            // Never in the work tree; see `write_index`.
            None => None,
            Some(path) => match moves::standing(opened, &delta, path, trusted)? {
                Standing::New => None,
                Standing::Old(seen) if delta.new.is_none() || ways.is_clear(path)? => Some(Seen(seen)),
                Standing::Old(_) | Standing::Edited => {
                    clashes.push((Clash::Uncommitted, delta.shown()));
                    None
                }
            },
        };
        if staged {
            clashes.push((Clash::Staged, delta.shown()));
        }
        todos.push(Todo {
            delta,
            file,
            index: !staged,
        });
    }
    match clashes.first() {
        Some((why, _)) if edits == Edits::Refuse => {
            let why = *why;
            let mut paths: Vec<String> = clashes.into_iter().map(|(_, path)| path).collect();
            paths.sort();
            paths.dedup();
            Err(GitError::Conflict { why, paths })
        }
        _ => Ok(todos),
    }
}

fn is_either(known: Option<&IndexEntry>, delta: &Delta) -> bool {
    let is = |entry: Option<Entry>| match (known, entry) {
        (None, None) => true,
        (Some(known), Some(entry)) => known.id == entry.id && known.mode == entry.mode,
        _ => false,
    };
    // What may not be in the work tree may be missing in the index, too.
    is(delta.old) || is(delta.new) || (known.is_none() && SafePath::from_tree(&delta.path).is_none())
}

/// Whether the folders towards a new file, and its own place, are free or will be.
struct Ways<'a> {
    opened: &'a Opened<'a>,
    gone: &'a HashSet<Vec<u8>>,
    clear: HashSet<Vec<u8>>,
}

impl Ways<'_> {
    fn is_clear(&mut self, path: SafePath<'_>) -> Result<bool, GitError> {
        if matches!(self.opened.files.look(path)?, Found::Folder) && !self.will_be_empty(path)? {
            return Ok(false);
        }
        let mut next = path.split().0;
        while let Some(folder) = next {
            if self.clear.contains(folder.bytes()) {
                return Ok(true);
            }
            match self.opened.files.look(folder)? {
                Found::Folder => break,
                Found::Nothing => {}
                Found::File(_) if self.gone.contains(folder.bytes()) => {}
                Found::File(_) | Found::Other => return Ok(false),
            }
            next = folder.split().0;
        }
        if let Some(folder) = path.split().0 {
            self.clear.insert(folder.bytes().to_vec());
        }
        Ok(true)
    }

    fn will_be_empty(&self, folder: SafePath<'_>) -> Result<bool, GitError> {
        for (name, is_folder) in self.opened.files.list(Some(folder))? {
            let inside = [folder.bytes(), b"/", &name].concat();
            let free = match SafePath::from_tree(&inside) {
                Some(path) if is_folder => self.will_be_empty(path)?,
                Some(_) => self.gone.contains(&inside),
                None => false,
            };
            if !free {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Removals first, deepest first, so that a file can come where a folder was.
fn move_files<'a>(
    opened: &Opened<'_>,
    scratch: &Scratch,
    todos: &'a [Todo],
    given: &[Given<'_>],
    watch: Watch<'_>,
    done: &mut Vec<&'a Delta>,
) -> Result<(), GitError> {
    let total = todos.len();
    let removals = todos.iter().rev().filter(|todo| todo.delta.new.is_none());
    let others = todos.iter().filter(|todo| todo.delta.new.is_some());
    for (count, todo) in removals.chain(others).enumerate() {
        watch(count, total)?;
        let (Some(Seen(seen)), Some(path)) = (&todo.file, SafePath::from_tree(&todo.delta.path)) else {
            continue;
        };
        let bytes = given
            .iter()
            .find(|given| given.path.as_str().as_bytes() == todo.delta.path);
        let bytes = bytes.filter(|_| todo.delta.new.is_some()).map(|given| given.bytes);
        moves::carry_out(opened, scratch, &todo.delta, path, seen.as_ref(), bytes)?;
        done.push(&todo.delta);
    }
    watch(total, total)
}

fn write_index(opened: &Opened<'_>, scratch: &Scratch, index: &mut Index, todos: &[Todo]) -> Result<(), GitError> {
    for todo in todos.iter().filter(|todo| todo.index && todo.delta.new.is_none()) {
        let path = as_path(&todo.delta.path);
        if index.get_path(path, 0).is_some() {
            index.remove(path, 0)?;
        }
    }
    for todo in todos.iter().filter(|todo| todo.index) {
        let Some(new) = todo.delta.new else { continue };
        let mut entry = moves::index_entry(opened, &todo.delta.path, new)?;
        if SafePath::from_tree(&todo.delta.path).is_none() {
            entry.flags |= EXTENDED;
            entry.flags_extended |= SKIP_WORKTREE;
            if let Err(error) = index.add(&entry) {
                tracing::warn!(path = %todo.delta.shown(), error = %error, "a name git refuses is left out of the index");
            }
            continue;
        }
        index.add(&entry)?;
    }
    index.write()?;
    if !scratch.link_git("index", INDEX_OLD)? {
        // An empty file stands for none.
        scratch.write(INDEX_OLD, b"", 0o666, false)?;
    }
    scratch.publish(INDEX_DRAFT, "index")
}

/// Makes the branch or HEAD refer to the new commit. The last step, and the one that counts.
fn point(opened: &Opened<'_>, step: &Step, message: &str) -> Result<(), GitError> {
    match &step.goal {
        Goal::Advance { branch } => {
            match step.from {
                Some(from) => opened.repo.reference_matching(branch, step.to, true, from, message)?,
                None => opened.repo.reference(branch, step.to, false, message)?,
            };
        }
        Goal::Switch { branch, follows, .. } => {
            match opened.repo.refname_to_id(branch) {
                Ok(id) if id == step.to => {}
                Ok(_) => return Err(GitError::standing(Clash::Moved)),
                Err(_) => {
                    opened.repo.reference(branch, step.to, false, message)?;
                }
            }
            if let (Some(follows), Some(short)) = (follows, branch.strip_prefix("refs/heads/")) {
                let upstream = follows.strip_prefix("refs/remotes/").unwrap_or(follows);
                let mut local = opened.repo.find_branch(short, git2::BranchType::Local)?;
                local.set_upstream(Some(upstream))?;
            }
            opened.repo.set_head(branch)?;
        }
    }
    Ok(())
}

/// Takes back what was done of a step that failed.
fn undo(opened: &Opened<'_>, scratch: &Scratch, done: &[&Delta]) -> Result<(), GitError> {
    let mut failed = false;
    // What was removed for something to come in its place can only come back after that is gone.
    let (added, removed): (Vec<&Delta>, Vec<&Delta>) = done.iter().rev().partition(|delta| delta.new.is_some());
    for delta in added.into_iter().chain(removed) {
        let back = delta.turned();
        let Some(path) = SafePath::from_tree(&back.path) else {
            continue;
        };
        let undone = moves::standing(opened, &back, path, None).and_then(|standing| match standing {
            Standing::Old(seen) => moves::carry_out(opened, scratch, &back, path, seen.as_ref(), None),
            Standing::New | Standing::Edited => Ok(()),
        });
        if let Err(error) = undone {
            tracing::warn!(path = %back.shown(), error = %error, "a file could not be put back; the next action will");
            failed = true;
        }
    }
    match scratch.stat(INDEX_OLD)? {
        // The index had not been replaced yet.
        None => {}
        Some(stat) if stat.st_size == 0 => scratch.remove_git("index")?,
        Some(_) => scratch.publish(INDEX_OLD, "index")?,
    }
    if failed { Ok(()) } else { journal::end(scratch) }
}

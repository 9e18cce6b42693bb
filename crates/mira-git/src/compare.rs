//! What differs between the trees of two commits, and what a checkout of it would write, found out without writing.
//!
//! Folders that are the same on both sides are not read, so that the cost is that of the difference; and no more is
//! unfolded than the bounds let: a few small objects can describe more files than a disk holds. libgit2's own comparison
//! unfolds both trees whole, which is why it is never given a tree of a stranger.

use crate::{
    error::GitError,
    moves::{self, Delta, Entry},
    path::MAX_PATH,
    settings::GitSettings,
};
use git2::{ObjectType, Odb, Oid, Repository, Tree, TreeEntry};
use std::{cmp::Ordering, ops::ControlFlow, vec};

/// Kind of a tree entry: folder.
const MODE_FOLDER: u32 = 0o040_000;
/// What reading a tree costs beside its bytes: an empty one is not free.
const TREE_COST: u64 = 128;
/// How often it is asked whether work may go on, in files.
const FILES_PER_CHECK: usize = 1024;

/// What one checkout may come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    files: usize,
    bytes: u64,
    file_bytes: u64,
    tree_bytes: u64,
}

impl Bounds {
    pub(crate) fn of(settings: &GitSettings) -> Self {
        Self {
            files: settings.max_checkout_files,
            bytes: settings.max_checkout_bytes,
            file_bytes: settings.max_checkout_file_bytes,
            tree_bytes: settings.max_tree_bytes,
        }
    }

    /// For a step that was within the bounds when it began.
    pub(crate) const NONE: Self = Self {
        files: usize::MAX,
        bytes: u64::MAX,
        file_bytes: u64::MAX,
        tree_bytes: u64::MAX,
    };
}

/// Asked from time to time whether work may go on; its error ends it.
pub(crate) type Check<'a> = &'a mut dyn FnMut() -> Result<(), GitError>;

/// Told each path that differs, in the order of the paths.
type See<'a> = &'a mut dyn FnMut(Delta) -> Result<ControlFlow<()>, GitError>;

/// The paths that differ between the trees of two commits (`None`: of no commit), if checking out the new one keeps to the
/// bounds.
pub(crate) fn weighed(
    repo: &Repository,
    (old, new): (Option<Oid>, Oid),
    bounds: Bounds,
    check: Check<'_>,
    keep: &mut dyn FnMut(Delta),
) -> Result<(), GitError> {
    let tree = |commit: Oid| repo.find_commit(commit).map(|commit| commit.tree_id());
    let (old, new) = (old.map(tree).transpose()?, tree(new)?);
    let odb = repo.odb()?;
    let (mut files, mut bytes) = (0_usize, 0_u64);
    Trees::new(repo, bounds.tree_bytes)?.differing(old, Some(new), &mut |delta| {
        if files.is_multiple_of(FILES_PER_CHECK) {
            check()?;
        }
        files += 1;
        within("the number of files to check out", files as u64, bounds.files as u64)?;
        if let Some(entry) = delta.new.filter(|entry| !entry.is_submodule()) {
            let (size, kind) = odb.read_header(entry.id)?;
            if kind != ObjectType::Blob {
                return Err(GitError::Unusable("a commit names something as a file that is none"));
            }
            within("one of the files to check out", size as u64, bounds.file_bytes)?;
            bytes = bytes.saturating_add(size as u64);
            within("the checkout", bytes, bounds.bytes)?;
        }
        keep(delta);
        Ok(ControlFlow::Continue(()))
    })
}

fn within(what: &'static str, found: u64, limit: u64) -> Result<(), GitError> {
    if found > limit {
        return Err(GitError::TooLarge { what, limit });
    }
    Ok(())
}

/// Trees that are compared, with what may still be read of them.
pub(crate) struct Trees<'a> {
    repo: &'a Repository,
    odb: Odb<'a>,
    limit: u64,
    read: u64,
}

/// A name that differs.
struct Pair {
    name: Vec<u8>,
    sides: Sides,
}

enum Sides {
    Files(Option<Entry>, Option<Entry>),
    Folders(Option<Oid>, Option<Oid>),
}

/// A folder being walked: what is left of it.
struct Folder {
    /// Of its path, with the `/` at the end.
    length: usize,
    pairs: vec::IntoIter<Pair>,
}

impl<'a> Trees<'a> {
    /// Of all trees read through this, at most `limit` bytes.
    pub(crate) fn new(repo: &'a Repository, limit: u64) -> Result<Self, GitError> {
        Ok(Self {
            repo,
            odb: repo.odb()?,
            limit,
            read: 0,
        })
    }

    /// Tells `see` what differs between two trees, until it breaks.
    pub(crate) fn differing(&mut self, old: Option<Oid>, new: Option<Oid>, see: See<'_>) -> Result<(), GitError> {
        if old == new {
            return Ok(());
        }
        let mut path = Vec::new();
        let root = self.pairs(old, new)?.into_iter();
        let mut folders = vec![Folder { length: 0, pairs: root }];
        while let Some(folder) = folders.last_mut() {
            let Some(pair) = folder.pairs.next() else {
                folders.pop();
                continue;
            };
            path.truncate(folder.length);
            path.extend_from_slice(&pair.name);
            within("the length of a path", path.len() as u64, MAX_PATH as u64)?;
            match pair.sides {
                Sides::Files(old, new) => {
                    let path = path.clone();
                    if see(Delta { path, old, new })?.is_break() {
                        return Ok(());
                    }
                }
                Sides::Folders(old, new) => {
                    path.push(b'/');
                    let pairs = self.pairs(old, new)?.into_iter();
                    folders.push(Folder {
                        length: path.len(),
                        pairs,
                    });
                }
            }
        }
        Ok(())
    }

    fn pairs(&mut self, old: Option<Oid>, new: Option<Oid>) -> Result<Vec<Pair>, GitError> {
        let (old, new) = (self.read(old)?, self.read(new)?);
        let mut old = sorted(old.as_ref()).into_iter().peekable();
        let mut new = sorted(new.as_ref()).into_iter().peekable();
        let mut pairs = Vec::new();
        loop {
            let next = match (old.peek(), new.peek()) {
                (None, None) => return Ok(pairs),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => order(old, new),
            };
            let before = if next.is_le() { old.next() } else { None };
            let after = if next.is_ge() { new.next() } else { None };
            pairs.extend(pair(before.as_ref(), after.as_ref()));
        }
    }

    fn read(&mut self, id: Option<Oid>) -> Result<Option<Tree<'a>>, GitError> {
        let Some(id) = id else { return Ok(None) };
        let (size, _) = self.odb.read_header(id)?;
        self.read = self.read.saturating_add(size as u64).saturating_add(TREE_COST);
        within("what the folders of the commits list", self.read, self.limit)?;
        Ok(Some(self.repo.find_tree(id)?))
    }
}

/// `None` if the sides are the same.
fn pair(old: Option<&TreeEntry<'_>>, new: Option<&TreeEntry<'_>>) -> Option<Pair> {
    let (before, after) = (old.map(entry), new.map(entry));
    if before == after {
        return None;
    }
    let name = old.or(new)?.name_bytes().to_vec();
    // Entries that are paired are both folders or both none, see `order`.
    let is_folder = [before, after].iter().flatten().any(|entry| entry.mode == MODE_FOLDER);
    let sides = if is_folder {
        Sides::Folders(before.map(|entry| entry.id), after.map(|entry| entry.id))
    } else {
        Sides::Files(before, after)
    };
    Some(Pair { name, sides })
}

/// As git orders them: folders as if their names ended in `/`, which is the order of whole paths.
fn order(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    fn key<'a>(entry: &'a TreeEntry<'_>) -> impl Iterator<Item = u8> + use<'a> {
        let end = is_folder(entry).then_some(b'/');
        entry.name_bytes().iter().copied().chain(end)
    }
    key(a).cmp(key(b))
}

/// The entries in order, each once, whatever the stranger wrote who made the tree.
fn sorted<'a>(tree: Option<&'a Tree<'_>>) -> Vec<TreeEntry<'a>> {
    let mut entries: Vec<TreeEntry<'a>> = tree.into_iter().flat_map(Tree::iter).collect();
    if !entries.is_sorted_by(|a, b| order(a, b).is_lt()) {
        entries.sort_by(order);
        entries.dedup_by(|b, a| order(a, b).is_eq());
    }
    entries
}

fn raw_mode(entry: &TreeEntry<'_>) -> u32 {
    u32::try_from(entry.filemode_raw()).unwrap_or(0)
}

fn is_folder(entry: &TreeEntry<'_>) -> bool {
    raw_mode(entry) & 0o170_000 == MODE_FOLDER
}

/// With one of the modes git writes today.
fn entry(found: &TreeEntry<'_>) -> Entry {
    let raw = raw_mode(found);
    let mode = match raw & 0o170_000 {
        kind @ (MODE_FOLDER | moves::MODE_LINK | moves::MODE_SUBMODULE) => kind,
        _ if raw & 0o100 != 0 => moves::MODE_PROGRAM,
        _ => moves::MODE_FILE,
    };
    Entry { id: found.id(), mode }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;

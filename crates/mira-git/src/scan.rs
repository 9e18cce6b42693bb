//! Which paths may differ from the commit that is checked out: one look at each file of the index and at each folder, on
//! several threads, and no more. What is found is for libgit2 to judge, by ignore rules and by content; what is not found
//! does not differ. A stat that is no proof (a file as young as the index) counts as a difference.

use crate::{
    compare::Trees,
    confine::WorkTree,
    error::GitError,
    moves::{self, Entry, Recorded},
    open::Opened,
    path::SafePath,
};
use git2::{IndexEntry, Oid};
use rustix::fs::{FileType, Stat};
use std::{
    collections::HashMap,
    ops::ControlFlow,
    slice::Chunks,
    sync::{Mutex, PoisonError},
    thread,
};

/// With more paths than these, libgit2 looks at everything as fast as at each of them.
const MAX_DOUBTFUL: usize = 5_000;
/// More threads than these a disk does not serve faster.
const MAX_THREADS: usize = 4;
/// Folders that a thread takes at a time: few, so that no thread is waited for by others that have nothing left to do.
const FOLDERS_AT_ONCE: usize = 32;

/// What an index holds, and how that differs from a tree: found out once for the two.
pub(crate) struct Seen {
    tree: Option<Oid>,
    index: IndexStamp,
    /// Paths at which they differ.
    staged: Vec<Vec<u8>>,
    folders: Vec<Folder>,
}

/// Inode, size and time of change of the index: git writes a new file each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IndexStamp(u64, u64, i64, i64);

impl IndexStamp {
    fn of(index: &Stat) -> Self {
        let (seconds, nanos) = moves::changed_at(index);
        Self(index.st_ino, u64::try_from(index.st_size).unwrap_or(0), seconds, nanos)
    }
}

/// Paths that may differ; `None`: too many to name.
pub(crate) fn doubtful(opened: &Opened<'_>) -> Result<Option<Vec<Vec<u8>>>, GitError> {
    // Before the index is read: of a later one the entries would seem older than they are.
    let stat = opened.files.stat_index()?;
    let tree = opened.tree_of(opened.head_commit()?)?.map(|tree| tree.id());
    let stamp = stat.as_ref().map(IndexStamp::of);
    let seen = opened.seen.take();
    let mut entries: Vec<IndexEntry> = Vec::new();
    let (folders, staged) = if let Some(seen) = seen.filter(|seen| seen.tree == tree && Some(seen.index) == stamp) {
        (seen.folders, Some(seen.staged))
    } else {
        let mut index = opened.repo.index()?;
        index.read(false)?;
        entries.extend(index.iter());
        (Folder::all(&entries), None)
    };
    let look = Look {
        files: &opened.files,
        index: stat.as_ref(),
        modes: moves::modes_count(opened),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let threads = threads.min(folders.len().div_ceil(FOLDERS_AT_ONCE));
    let shares = Mutex::new(folders.chunks(FOLDERS_AT_ONCE));
    let (found, staged) = thread::scope(|scope| {
        // This thread is one of them.
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| look.at_all(&shares))).collect();
        let staged = match staged {
            None => differing(opened, tree, &entries)?,
            known => known,
        };
        let mut found = both(staged.clone(), look.at_all(&shares)?);
        for other in others {
            found = both(found, other.join().map_err(|_| GitError::Broken)??);
        }
        Ok::<_, GitError>((found, staged))
    })?;
    if let (Some(index), Some(staged)) = (stamp, staged) {
        opened.seen.set(Some(Seen {
            tree,
            index,
            staged,
            folders,
        }));
    }
    Ok(found.filter(|found| found.len() <= MAX_DOUBTFUL).map(|mut found| {
        found.sort();
        found.dedup();
        found
    }))
}

/// All of these paths; `None` if there were too many.
fn both(found: Option<Vec<Vec<u8>>>, more: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    let (mut found, more) = found.zip(more)?;
    found.extend(more);
    Some(found)
}

/// Paths at which the index has something else than the commit.
fn differing(opened: &Opened<'_>, tree: Option<Oid>, entries: &[IndexEntry]) -> Result<Option<Vec<Vec<u8>>>, GitError> {
    let mut rest = entries.iter().peekable();
    let mut found = Vec::new();
    Trees::new(&opened.repo, opened.settings.max_tree_bytes)?.differing(None, tree, &mut |delta| {
        while let Some(added) = rest.next_if(|entry| entry.path < delta.path) {
            found.push(added.path.clone());
        }
        let same = rest.next_if(|entry| entry.path == delta.path).is_some_and(|entry| {
            let known = Entry {
                id: entry.id,
                mode: entry.mode,
            };
            is_merged(entry) && delta.new == Some(known)
        });
        if !same {
            found.push(delta.path);
        }
        Ok(if found.len() > MAX_DOUBTFUL {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if found.len() > MAX_DOUBTFUL {
        return Ok(None);
    }
    found.extend(rest.map(|added| added.path.clone()));
    Ok(Some(found))
}

fn is_merged(entry: &IndexEntry) -> bool {
    entry.flags & 0x3000 == 0
}

/// A folder with what the index has in it.
struct Folder {
    /// Empty: the root.
    path: Vec<u8>,
    /// A path of the index below it: libgit2 takes a folder for untracked if it is asked for nothing that it knows there.
    known: Vec<u8>,
    /// By name; `None` is a folder.
    names: Vec<(Box<[u8]>, Option<Recorded>)>,
}

impl Folder {
    fn all(entries: &[IndexEntry]) -> Vec<Self> {
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let mut folders = Vec::new();
        Self::place(b"", b"", &mut places, &mut folders);
        let mut last: (&[u8], usize) = (b"", 0);
        for entry in entries {
            let (folder, name) = split(&entry.path);
            if folder != last.0 {
                last = (folder, Self::place(folder, &entry.path, &mut places, &mut folders));
            }
            if let Some(folder) = folders.get_mut(last.1) {
                folder.names.push((name.into(), Some(Recorded::of(entry))));
            }
        }
        for folder in &mut folders {
            folder.names.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        folders
    }

    /// Where a folder is in the list, put there if it was not, with those above it.
    fn place<'a>(
        path: &'a [u8],
        known: &[u8],
        places: &mut HashMap<&'a [u8], usize>,
        folders: &mut Vec<Self>,
    ) -> usize {
        if let Some(place) = places.get(path) {
            return *place;
        }
        if !path.is_empty() {
            let (above, name) = split(path);
            let above = Self::place(above, known, places, folders);
            if let Some(above) = folders.get_mut(above) {
                above.names.push((name.into(), None));
            }
        }
        folders.push(Self {
            path: path.to_vec(),
            known: known.to_vec(),
            names: Vec::new(),
        });
        places.insert(path, folders.len() - 1);
        folders.len() - 1
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() {
            name.to_vec()
        } else {
            [self.path.as_slice(), b"/", name].concat()
        }
    }
}

/// The folder, empty for the root, and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}

/// What every look needs.
#[derive(Clone, Copy)]
struct Look<'a> {
    files: &'a WorkTree,
    index: Option<&'a Stat>,
    modes: bool,
}

impl Look<'_> {
    /// At what nobody else has taken.
    fn at_all(self, shares: &Mutex<Chunks<'_, Folder>>) -> Result<Option<Vec<Vec<u8>>>, GitError> {
        let mut found = Vec::new();
        loop {
            let next = shares.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(folders) = next else {
                return Ok(Some(found));
            };
            for folder in folders {
                self.at(folder, &mut found)?;
                if found.len() > MAX_DOUBTFUL {
                    return Ok(None);
                }
            }
        }
    }

    fn at(self, folder: &Folder, found: &mut Vec<Vec<u8>>) -> Result<(), GitError> {
        let path = SafePath::from_tree(&folder.path);
        let opened = match path {
            None if !folder.path.is_empty() => None,
            path => self.files.open_folder(path)?,
        };
        let Some(opened) = opened else {
            let files = folder.names.iter().filter(|(_, entry)| entry.is_some());
            found.extend(files.map(|(name, _)| folder.path_of(name)));
            return Ok(());
        };
        let mut missing = vec![true; folder.names.len()];
        opened.each(|name, is_folder| {
            if folder.path.is_empty() && name == b".git" {
                return;
            }
            let place = folder.names.binary_search_by(|(known, _)| (**known).cmp(name));
            let known = place.ok().and_then(|place| folder.names.get(place));
            if let Some(missing) = place.ok().and_then(|place| missing.get_mut(place)) {
                *missing = false;
            }
            let same = match known {
                None => false,
                Some((_, None)) => is_folder,
                Some((_, Some(entry))) if entry.mode == moves::MODE_SUBMODULE => is_folder,
                Some((_, Some(entry))) => opened.stat(name).is_some_and(|stat| self.is_same(*entry, &stat)),
            };
            if !same {
                found.push(folder.path_of(name));
            }
            if known.is_none() && !folder.known.is_empty() {
                found.push(folder.known.clone());
            }
        })?;
        let missing = folder.names.iter().zip(missing).filter(|(_, missing)| *missing);
        found.extend(missing.map(|((name, _), _)| folder.path_of(name)));
        Ok(())
    }

    fn is_same(self, entry: Recorded, stat: &Stat) -> bool {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_link = entry.mode == moves::MODE_LINK;
        let program = stat.st_mode & 0o100 != 0;
        (kind == FileType::RegularFile || (is_link && kind == FileType::Symlink))
            && (!self.modes || is_link || program == (entry.mode == moves::MODE_PROGRAM))
            && entry.is_reliable(self.index)
            && entry.is_untouched(stat)
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

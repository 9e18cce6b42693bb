//! One file of the work tree on its way from what one commit holds to what another holds. Each move is one atomic rename;
//! what it replaces is looked at afterwards, so that an edit saved in the very moment of the move is put back and reported,
//! not lost.

use crate::{
    confine::{Found, Scratch},
    error::{Clash, GitError},
    filter::{self, LineEnds},
    open::Opened,
    path::SafePath,
};
use git2::{IndexEntry, IndexTime, Oid};
use rustix::fs::Stat;

/// The name under which a file is prepared, and where what it replaced lands.
pub(crate) const PREPARED: &str = "file";
/// The same while it is being written: what a crash leaves under this name is nobody's edit.
const UNFINISHED: &str = "file.part";
/// Prefix of files in `.git/mira` that hold somebody's edit. Nothing here writes to them or removes them.
pub(crate) const RESCUED: &str = "rescued-";
/// A file that is more times larger than the version it would have to come from is not read: keywords that git has spelled
/// out make a file larger (12 times, were it nothing else), and so do line ends, but not by more.
const MOST_GROWN: u64 = 16;

/// Kind of a tree entry: submodule.
pub(crate) const MODE_SUBMODULE: u32 = 0o160_000;
/// Kind of a tree entry: symbolic link.
pub(crate) const MODE_LINK: u32 = 0o120_000;
/// Kind of a tree entry: ordinary file.
pub(crate) const MODE_FILE: u32 = 0o100_644;
/// Kind of a tree entry: executable file.
pub(crate) const MODE_PROGRAM: u32 = 0o100_755;

/// What a commit holds at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Oid,
    pub(crate) mode: u32,
}

impl Entry {
    pub(crate) fn is_submodule(self) -> bool {
        self.mode == MODE_SUBMODULE
    }

    fn is_program(self) -> bool {
        self.mode == MODE_PROGRAM
    }
}

/// A path whose content differs between two commits.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) path: Vec<u8>,
    pub(crate) old: Option<Entry>,
    pub(crate) new: Option<Entry>,
}

impl Delta {
    pub(crate) fn turned(&self) -> Self {
        Self {
            path: self.path.clone(),
            old: self.new,
            new: self.old,
        }
    }

    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// How a file of the work tree stands to the two commits of a [`Delta`].
pub(crate) enum Standing {
    /// As the old commit has it (the stat is of the file that was compared).
    Old(Option<Stat>),
    /// As the new commit has it already.
    New,
    /// Somebody's edit.
    Edited,
}

/// Compares the work tree with a delta. `known`: the index entry, if its stat data can be relied on; saves reading the file.
pub(crate) fn standing(
    opened: &Opened<'_>,
    delta: &Delta,
    path: SafePath<'_>,
    known: Option<&IndexEntry>,
) -> Result<Standing, GitError> {
    let (old, new) = (delta.old, delta.new);
    let submodule = |entry: Option<Entry>| entry.is_some_and(Entry::is_submodule);
    match opened.files.look(path)? {
        // A file deleted by hand holds nothing that could be lost.
        Found::Nothing if new.is_none() => Ok(Standing::New),
        Found::Nothing => Ok(Standing::Old(None)),
        Found::Folder if submodule(new) => Ok(Standing::New),
        Found::Folder if submodule(old) => Ok(Standing::Old(None)),
        // Whether the folder will be empty by then is the plan's question.
        Found::Folder if old.is_none() => Ok(Standing::Old(None)),
        Found::Folder | Found::Other => Ok(Standing::Edited),
        Found::File(stat) => {
            if let (Some(old), Some(known)) = (old, known)
                && known.id == old.id
                && Recorded::of(known).is_untouched(&stat)
                && has_mode(opened, old, &stat)
            {
                return Ok(Standing::Old(Some(stat)));
            }
            if !is_plausible(opened, delta, &stat)? {
                return Ok(Standing::Edited);
            }
            let Some(id) = filter::clean_id_of(opened, path)? else {
                return Ok(Standing::Edited);
            };
            let is = |entry: Option<Entry>, id: Oid| {
                entry.is_some_and(|entry| !entry.is_submodule() && entry.id == id && has_mode(opened, entry, &stat))
            };
            Ok(if is(new, id) {
                Standing::New
            } else if is(old, id) {
                Standing::Old(Some(stat))
            } else {
                Standing::Edited
            })
        }
    }
}

/// Whether a file of this size may come from one of the two versions at all.
fn is_plausible(opened: &Opened<'_>, delta: &Delta, stat: &Stat) -> Result<bool, GitError> {
    let odb = opened.repo.odb()?;
    let files = [delta.old, delta.new].into_iter().flatten();
    let sizes = files.filter_map(|entry| odb.read_header(entry.id).ok());
    let largest = sizes.map(|(size, _)| size as u64).max().unwrap_or(0);
    Ok(u64::try_from(stat.st_size).is_ok_and(|size| size <= largest.saturating_mul(MOST_GROWN)))
}

/// The bit is an edit too, where the file system has one.
fn has_mode(opened: &Opened<'_>, entry: Entry, stat: &Stat) -> bool {
    !modes_count(opened) || entry.is_program() == (stat.st_mode & 0o100 != 0)
}

/// Whether the file system has the executable bit.
pub(crate) fn modes_count(opened: &Opened<'_>) -> bool {
    let config = opened.repo.config();
    config
        .and_then(|config| config.get_bool("core.filemode"))
        .unwrap_or(true)
}

/// The stat data of a file, as the index has it.
#[derive(Clone, Copy)]
pub(crate) struct Recorded {
    pub(crate) mode: u32,
    size: u32,
    ino: u32,
    mtime: (i32, u32),
    ctime: (i32, u32),
}

impl Recorded {
    pub(crate) fn of(entry: &IndexEntry) -> Self {
        let time = |time: IndexTime| (time.seconds(), time.nanoseconds());
        Self {
            mode: entry.mode,
            size: entry.file_size,
            ino: entry.ino,
            mtime: time(entry.mtime),
            ctime: time(entry.ctime),
        }
    }

    /// Whether this is the file's stat data, which says that its content is the entry's, too, if it [`Self::is_reliable`].
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the index keeps 32 bits of each"
    )]
    pub(crate) fn is_untouched(self, stat: &Stat) -> bool {
        let is = |time: (i32, u32), seconds: i64, nanos: i64| time == (seconds as i32, nanos as u32) && time.0 != 0;
        self.size == stat.st_size as u32
            && self.ino == stat.st_ino as u32
            && is(self.mtime, seconds(stat.st_mtime), nanos(stat.st_mtime_nsec))
            && is(self.ctime, seconds(stat.st_ctime), nanos(stat.st_ctime_nsec))
    }

    /// Whether it can be relied on: a file changed within the same tick of the clock as the index was written may look
    /// untouched ("racy" in git's words).
    pub(crate) fn is_reliable(self, index: Option<&Stat>) -> bool {
        let time = (i64::from(self.mtime.0), i64::from(self.mtime.1));
        index.is_some_and(|index| time < changed_at(index))
    }
}

/// Seconds since 1970, and nanoseconds.
pub(crate) fn changed_at(stat: &Stat) -> (i64, i64) {
    (seconds(stat.st_mtime), nanos(stat.st_mtime_nsec))
}

/// Widths differ between systems.
fn seconds<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(0)
}

fn nanos<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(0)
}

fn is_same_file(before: &Stat, now: &Stat) -> bool {
    // The rename itself changes ctime.
    before.st_ino == now.st_ino
        && before.st_size == now.st_size
        && before.st_mtime == now.st_mtime
        && before.st_mtime_nsec == now.st_mtime_nsec
}

/// Moves one file from `delta.old` to `delta.new`. `seen` is what [`standing`] compared. `bytes` are the file's new content
/// where they are not simply the blob's.
pub(crate) fn carry_out(
    opened: &Opened<'_>,
    scratch: &Scratch,
    delta: &Delta,
    path: SafePath<'_>,
    seen: Option<&Stat>,
    bytes: Option<&[u8]>,
) -> Result<(), GitError> {
    match (delta.old, delta.new) {
        (_, Some(new)) if new.is_submodule() => {
            if let Some(seen) = seen {
                remove(opened, scratch, path, seen)?;
            }
            opened.files.make_folder(path)
        }
        (_, Some(new)) => {
            let blob;
            let (content, ends) = if let Some(given) = bytes {
                (given, LineEnds::Same)
            } else {
                blob = opened.repo.find_blob(new.id)?;
                (blob.content(), LineEnds::of(opened, path, blob.content()))
            };
            let mode = if new.is_program() { 0o777 } else { 0o666 };
            scratch.write_with(UNFINISHED, mode, |file| ends.write(content, file))?;
            scratch.rename(UNFINISHED, PREPARED)?;
            place(opened, scratch, path, seen)
        }
        (Some(old), None) if old.is_submodule() => opened.files.prune(path),
        (_, None) => match seen {
            Some(seen) => remove(opened, scratch, path, seen),
            None => Ok(()),
        },
    }
}

fn place(opened: &Opened<'_>, scratch: &Scratch, path: SafePath<'_>, seen: Option<&Stat>) -> Result<(), GitError> {
    opened.files.make_folders_for(path)?;
    let Some(seen) = seen else {
        // An empty folder left of a submodule or of removed files is in nobody's way.
        if matches!(opened.files.look(path)?, Found::Folder) {
            opened.files.prune(path)?;
            opened.files.make_folders_for(path)?;
        }
        return if opened.files.put_new(scratch, PREPARED, path)? {
            Ok(())
        } else {
            Err(GitError::clash(Clash::Uncommitted, path.shown()))
        };
    };
    let prepared = scratch.stat(PREPARED)?;
    opened.files.exchange(scratch, PREPARED, path)?;
    match scratch.stat(PREPARED) {
        Ok(Some(stat)) if is_same_file(seen, &stat) => scratch.remove(PREPARED),
        _ => {
            exchange_back(opened, scratch, path, prepared.as_ref())?;
            Err(GitError::clash(Clash::Uncommitted, path.shown()))
        }
    }
}

/// Puts an edit that was exchanged for `prepared` back to its place; where that fails, or another edit comes out, it is kept.
fn exchange_back(
    opened: &Opened<'_>,
    scratch: &Scratch,
    path: SafePath<'_>,
    prepared: Option<&Stat>,
) -> Result<(), GitError> {
    let back = opened.files.exchange(scratch, PREPARED, path);
    match (back, scratch.stat(PREPARED), prepared) {
        (Ok(()), Ok(Some(now)), Some(prepared)) if is_same_file(prepared, &now) => Ok(()),
        _ => rescue(opened, scratch, PREPARED),
    }
}

/// Puts an edit that was taken away back to its place; where something else is by now, or that fails, it is kept.
fn put_back(opened: &Opened<'_>, scratch: &Scratch, path: SafePath<'_>) -> Result<(), GitError> {
    match opened.files.put_new(scratch, PREPARED, path) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => rescue(opened, scratch, PREPARED),
    }
}

/// Gives a file of ours that may hold an edit of the owner a name of its own, so that nothing that follows can drop it.
pub(crate) fn rescue(opened: &Opened<'_>, scratch: &Scratch, name: &str) -> Result<(), GitError> {
    let Some(stat) = scratch.stat(name)? else {
        return Ok(());
    };
    let kept = format!("{RESCUED}{}-{}.{}", stat.st_ino, stat.st_mtime, stat.st_mtime_nsec);
    // The name is taken only by the very same file.
    scratch.rename_new(name, &kept)?;
    tracing::warn!(folder = %opened.dir.display(), file = %kept, "an edit that could not be put back is kept in .git/mira");
    Ok(())
}

fn remove(opened: &Opened<'_>, scratch: &Scratch, path: SafePath<'_>, seen: &Stat) -> Result<(), GitError> {
    scratch.remove(PREPARED)?;
    opened.files.take(scratch, PREPARED, path)?;
    match scratch.stat(PREPARED) {
        Ok(Some(stat)) if is_same_file(seen, &stat) => {}
        _ => {
            put_back(opened, scratch, path)?;
            return Err(GitError::clash(Clash::Uncommitted, path.shown()));
        }
    }
    scratch.remove(PREPARED)?;
    match path.split() {
        (Some(folder), _) => opened.files.prune(folder),
        (None, _) => Ok(()),
    }
}

/// The index entry of a path, with the stat data of the file as it is now, so that git need not read it again.
pub(crate) fn index_entry(opened: &Opened<'_>, path: &[u8], entry: Entry) -> Result<IndexEntry, GitError> {
    let stat = match SafePath::from_tree(path) {
        Some(safe) if !entry.is_submodule() => match opened.files.look(safe)? {
            Found::File(stat) => Some(stat),
            Found::Nothing | Found::Folder | Found::Other => None,
        },
        _ => None,
    };
    Ok(described(path, entry, stat.as_ref()))
}

/// The index entry of a path, with the stat data of a file if there is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the index keeps 32 bits of each"
)]
pub(crate) fn described(path: &[u8], entry: Entry, stat: Option<&Stat>) -> IndexEntry {
    let time = |seconds: i64, nanos: i64| IndexTime::new(seconds as i32, nanos as u32);
    let number = |pick: fn(&Stat) -> u64| stat.map_or(0, |stat| pick(stat) as u32);
    IndexEntry {
        ctime: stat.map_or(time(0, 0), |stat| {
            time(seconds(stat.st_ctime), nanos(stat.st_ctime_nsec))
        }),
        mtime: stat.map_or(time(0, 0), |stat| {
            time(seconds(stat.st_mtime), nanos(stat.st_mtime_nsec))
        }),
        dev: 0,
        ino: number(|stat| stat.st_ino),
        mode: entry.mode,
        uid: number(|stat| u64::from(stat.st_uid)),
        gid: number(|stat| u64::from(stat.st_gid)),
        file_size: number(|stat| stat.st_size as u64),
        id: entry.id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;

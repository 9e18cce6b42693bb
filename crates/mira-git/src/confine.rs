//! Files of a work tree, reached from a handle of its root and never through a link: on Linux by `openat2` with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`, elsewhere (and on kernels without it) by opening one folder after the other
//! with `O_NOFOLLOW`. A link in the middle of a path, put there by whomever, ends in an error, not somewhere else.
//!
//! Also the folder of our own, `.git/mira`, where files are prepared: it is on the same file system, and git does not look
//! at it. Nothing here knows what git is otherwise.

use crate::{error::GitError, path::SafePath};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

/// Where files are prepared, relative to the root of the work tree.
const SCRATCH: &str = ".git/mira";
/// Added to the name of a prepared file: what it replaces, where two files cannot change places in one step.
pub(crate) const REPLACED: &str = ".old";
const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Handles of a clone's folder and of our own folder in it.
pub(crate) struct WorkTree {
    root: OwnedFd,
}

/// See [`WorkTree::read_next`].
#[derive(Default)]
pub(crate) struct LastFolder {
    path: Vec<u8>,
    handle: Option<OwnedFd>,
}

/// A folder of a work tree.
pub(crate) struct OpenFolder(OwnedFd);

impl OpenFolder {
    /// Tells the names in it, with whether each is a folder.
    pub(crate) fn each(&self, tell: impl FnMut(&[u8], bool)) -> Result<(), GitError> {
        each_entry(&self.0, tell).map_err(GitError::sys("listing a folder"))
    }

    /// What is under a name; a link itself. `None` if that cannot be told.
    pub(crate) fn stat(&self, name: &[u8]) -> Option<Stat> {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok()
    }
}

/// What is at a path.
pub(crate) enum Found {
    /// Nothing, or a folder on the way is missing or is a file.
    Nothing,
    /// A regular file.
    File(Stat),
    /// A folder.
    Folder,
    /// A link, a pipe, a socket, a device; or something like that on the way.
    Other,
}

impl WorkTree {
    /// `None` if there is no such folder, or it is a link.
    pub(crate) fn open(dir: &Path) -> Result<Option<Self>, GitError> {
        match rustix::fs::open(dir, FOLDER, Mode::empty()) {
            Ok(root) => Ok(Some(Self { root })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(GitError::sys("opening the clone")(errno)),
        }
    }

    /// Whether `.git` is a folder, not a link or a file that leads elsewhere.
    pub(crate) fn has_own_git_folder(&self) -> Result<bool, GitError> {
        match beneath(&self.root, b".git", FOLDER) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(errno) => Err(GitError::sys("opening the clone")(errno)),
        }
    }

    /// Whether objects of another folder are used.
    pub(crate) fn borrows_objects(&self) -> Result<bool, GitError> {
        match rustix::fs::statat(&self.root, ".git/objects/info/alternates", AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(GitError::sys("opening the clone")(errno)),
        }
    }

    fn folder(&self, folder: Option<SafePath<'_>>) -> Result<OwnedFd, Errno> {
        match folder {
            Some(path) => beneath(&self.root, path.bytes(), FOLDER),
            None => rustix::fs::openat(&self.root, ".", FOLDER, Mode::empty()),
        }
    }

    /// What is at `path`.
    pub(crate) fn look(&self, path: SafePath<'_>) -> Result<Found, GitError> {
        let (folder, name) = path.split();
        let found = self
            .folder(folder)
            .and_then(|folder| rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Found::File(stat),
                FileType::Directory => Found::Folder,
                _ => Found::Other,
            }),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Found::Nothing),
            Err(Errno::LOOP) => Ok(Found::Other),
            Err(errno) => Err(GitError::sys("looking at a file")(errno)),
        }
    }

    /// A regular file to be read, and its stat; `None` if there is none.
    pub(crate) fn open_file(&self, path: SafePath<'_>) -> Result<Option<(File, Stat)>, GitError> {
        // Without NONBLOCK opening a pipe waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match beneath(&self.root, path.bytes(), flags) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(GitError::sys("opening a file")(errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(GitError::sys("looking at a file"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        Ok(Some((File::from(file), stat)))
    }

    /// The bytes of a regular file, at most `cap`; `None` if there is none.
    pub(crate) fn read(&self, path: SafePath<'_>, cap: u64) -> Result<Option<Vec<u8>>, GitError> {
        let file = self.open_file(path)?;
        file.map(|(file, _)| read_capped(file, cap)).transpose()
    }

    /// As [`Self::read`], for many files in the order of their paths: the folder of the last one is kept open, and `bytes`
    /// is used again. `false` for what is no regular file, is larger than `cap`, or cannot be read.
    pub(crate) fn read_next(&self, last: &mut LastFolder, path: SafePath<'_>, cap: u64, bytes: &mut Vec<u8>) -> bool {
        let (folder, name) = path.split();
        let wanted = folder.map_or(&b""[..], SafePath::bytes);
        if last.handle.is_none() || last.path != wanted {
            last.path = wanted.to_vec();
            last.handle = self.folder(folder).ok();
        }
        let Some(folder) = &last.handle else { return false };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(folder, name, flags, Mode::empty()) else {
            return false;
        };
        let Ok(stat) = rustix::fs::fstat(&file) else {
            return false;
        };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size > cap {
            return false;
        }
        bytes.clear();
        bytes.resize(usize::try_from(size).unwrap_or(0), 0);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::read(&file, rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        bytes.truncate(filled);
        true
    }

    /// A folder to be looked through; `None` if there is none, or something else is there.
    pub(crate) fn open_folder(&self, folder: Option<SafePath<'_>>) -> Result<Option<OpenFolder>, GitError> {
        match self.folder(folder) {
            Ok(folder) => Ok(Some(OpenFolder(folder))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(GitError::sys("listing a folder")(errno)),
        }
    }

    /// The stat of git's index; `None` if there is none.
    pub(crate) fn stat_index(&self) -> Result<Option<Stat>, GitError> {
        match rustix::fs::statat(&self.root, ".git/index", AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(GitError::sys("looking at git's index")(errno)),
        }
    }

    /// The names in a folder, with whether each is a folder; empty if there is none.
    pub(crate) fn list(&self, folder: Option<SafePath<'_>>) -> Result<Vec<(Vec<u8>, bool)>, GitError> {
        let mut names = Vec::new();
        if let Some(folder) = self.open_folder(folder)? {
            folder.each(|name, is_folder| names.push((name.to_vec(), is_folder)))?;
        }
        Ok(names)
    }

    /// Makes the folders above `path`.
    pub(crate) fn make_folders_for(&self, path: SafePath<'_>) -> Result<(), GitError> {
        let (Some(folder), _) = path.split() else {
            return Ok(());
        };
        match self.folder(Some(folder)) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(GitError::sys("making a folder")(errno)),
        }
        let mut here = self.folder(None).map_err(GitError::sys("making a folder"))?;
        for part in folder.parts() {
            match rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(GitError::sys("making a folder")(errno)),
            }
            here = rustix::fs::openat(&here, part, FOLDER, Mode::empty()).map_err(GitError::sys("making a folder"))?;
        }
        Ok(())
    }

    /// Makes an empty folder at `path`, as git does for a submodule.
    pub(crate) fn make_folder(&self, path: SafePath<'_>) -> Result<(), GitError> {
        self.make_folders_for(path)?;
        let (folder, name) = path.split();
        let folder = self.folder(folder).map_err(GitError::sys("making a folder"))?;
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(GitError::sys("making a folder")(errno)),
        }
    }

    /// Removes the folder at `path` and those above it, as far as they are empty.
    pub(crate) fn prune(&self, path: SafePath<'_>) -> Result<(), GitError> {
        let mut next = Some(path);
        while let Some(path) = next {
            let (above, name) = path.split();
            let Ok(folder) = self.folder(above) else {
                return Ok(());
            };
            match rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                // Not empty, or not a folder: it stays.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
                Err(errno) => return Err(GitError::sys("removing an empty folder")(errno)),
            }
            next = above;
        }
        Ok(())
    }

    /// Our own folder, made if missing.
    pub(crate) fn scratch(&self) -> Result<Scratch, GitError> {
        let told = || GitError::sys("opening .git/mira");
        let git = beneath(&self.root, b".git", FOLDER).map_err(told())?;
        match rustix::fs::mkdirat(&git, "mira", Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(told()(errno)),
        }
        let here = beneath(&self.root, SCRATCH.as_bytes(), FOLDER).map_err(told())?;
        Ok(Scratch { here, git })
    }

    /// Puts the prepared file `from` where nothing is. `false`: there is something.
    pub(crate) fn put_new(&self, scratch: &Scratch, from: &str, path: SafePath<'_>) -> Result<bool, GitError> {
        let (folder, name) = path.split();
        let folder = self.folder(folder).map_err(GitError::sys("writing a file"))?;
        match rename(&scratch.here, from.as_bytes(), &folder, name, Swap::OnlyNew) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR) => Ok(false),
            Err(errno) => Err(GitError::sys("writing a file")(errno)),
        }
    }

    /// Exchanges the prepared file `with` and the one at `path` in one step: afterwards `with` is what was there.
    pub(crate) fn exchange(&self, scratch: &Scratch, with: &str, path: SafePath<'_>) -> Result<(), GitError> {
        let (folder, name) = path.split();
        let folder = self.folder(folder).map_err(GitError::sys("writing a file"))?;
        rename(&scratch.here, with.as_bytes(), &folder, name, Swap::Exchange).map_err(GitError::sys("writing a file"))
    }

    /// Moves the file at `path` into our folder under the name `to`.
    pub(crate) fn take(&self, scratch: &Scratch, to: &str, path: SafePath<'_>) -> Result<(), GitError> {
        let (folder, name) = path.split();
        let folder = self.folder(folder).map_err(GitError::sys("removing a file"))?;
        rename(&folder, name, &scratch.here, to.as_bytes(), Swap::OnlyNew).map_err(GitError::sys("removing a file"))
    }
}

/// `.git/mira`, and the `.git` above it.
pub(crate) struct Scratch {
    here: OwnedFd,
    git: OwnedFd,
}

impl Scratch {
    /// Writes a file of ours, whole and on disk when this returns if `durable`.
    pub(crate) fn write(&self, name: &str, bytes: &[u8], mode: u32, durable: bool) -> Result<(), GitError> {
        let file = self.write_with(name, mode, |file| file.write_all(bytes))?;
        if durable {
            file.sync_all().map_err(GitError::io("preparing a file"))?;
        }
        Ok(())
    }

    /// Makes a file of ours, which `fill` writes.
    pub(crate) fn write_with(
        &self,
        name: &str,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<File, GitError> {
        let told = "preparing a file";
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.remove(name)?;
        let mode = Mode::from_raw_mode(mode);
        let file = rustix::fs::openat(&self.here, name, flags, mode).map_err(GitError::sys(told))?;
        let mut file = File::from(file);
        fill(&mut file).map_err(GitError::io(told))?;
        Ok(file)
    }

    /// The bytes of a file of ours; `None` if there is none.
    pub(crate) fn read(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>, GitError> {
        read_at(&self.here, name, cap)
    }

    /// Removes a file of ours, if there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), GitError> {
        remove_at(&self.here, name)
    }

    /// What we have under a name.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<Stat>, GitError> {
        match rustix::fs::statat(&self.here, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(GitError::sys("looking at a file of ours")(errno)),
        }
    }

    /// Copies a file of `.git` to ours, its time of change too; its stat. If there is none, neither is ours afterwards.
    pub(crate) fn copy_git(&self, from: &str, to: &str) -> Result<Option<Stat>, GitError> {
        let told = || GitError::sys("copying git's index");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        self.remove(to)?;
        let file = match rustix::fs::openat(&self.git, from, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(told()(errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(told())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let copy = rustix::fs::openat(&self.here, to, flags, Mode::from_raw_mode(0o666)).map_err(told())?;
        let mut copy = File::from(copy);
        io::copy(&mut File::from(file), &mut copy).map_err(GitError::io("copying git's index"))?;
        let time = |sec, nsec: i64| Timespec {
            tv_sec: sec,
            tv_nsec: nsec,
        };
        #[expect(
            clippy::cast_possible_wrap,
            reason = "nanoseconds are below 10^9; signed on some systems"
        )]
        let times = Timestamps {
            last_access: time(stat.st_mtime, stat.st_mtime_nsec as i64),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec as i64),
        };
        rustix::fs::futimens(&copy, &times).map_err(told())?;
        Ok(Some(stat))
    }

    /// Keeps a file of `.git` that is about to be replaced under a name of ours. `false`: there is none.
    pub(crate) fn link_git(&self, from: &str, to: &str) -> Result<bool, GitError> {
        self.remove(to)?;
        match rustix::fs::linkat(&self.git, from, &self.here, to, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            // No hard links here.
            Err(Errno::PERM | Errno::NOTSUP | Errno::MLINK) => Ok(self.copy_git(from, to)?.is_some()),
            Err(errno) => Err(GitError::sys("keeping git's index")(errno)),
        }
    }

    /// Renames a file of ours, replacing.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), GitError> {
        rustix::fs::renameat(&self.here, from, &self.here, to).map_err(GitError::sys("preparing a file"))
    }

    /// Renames a file of ours to a name that must be free. `false`: it is not.
    pub(crate) fn rename_new(&self, from: &str, to: &str) -> Result<bool, GitError> {
        match rename(&self.here, from.as_bytes(), &self.here, to.as_bytes(), Swap::OnlyNew) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(GitError::sys("keeping a file")(errno)),
        }
    }

    /// Our files.
    pub(crate) fn names(&self) -> Result<Vec<String>, GitError> {
        let names = entries(&self.here).map_err(GitError::sys("listing .git/mira"))?;
        let files = names.into_iter().filter(|(_, folder)| !folder);
        Ok(files.filter_map(|(name, _)| String::from_utf8(name).ok()).collect())
    }

    /// Puts a file of ours into `.git` under a name that must be free. `false`: it is not.
    pub(crate) fn publish_new(&self, from: &str, to: &str) -> Result<bool, GitError> {
        match rename(&self.here, from.as_bytes(), &self.git, to.as_bytes(), Swap::OnlyNew) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(GitError::sys("taking git's lock")(errno)),
        }
    }

    /// Puts a file of ours into `.git`, in the place of what is there.
    pub(crate) fn publish(&self, from: &str, to: &str) -> Result<(), GitError> {
        rustix::fs::renameat(&self.here, from, &self.git, to).map_err(GitError::sys("replacing git's index"))
    }

    /// The bytes of a file in `.git` (`to` may name one in a folder below).
    pub(crate) fn read_git(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>, GitError> {
        read_at(&self.git, name, cap)
    }

    /// Removes a file in `.git`, if there.
    pub(crate) fn remove_git(&self, name: &str) -> Result<(), GitError> {
        remove_at(&self.git, name)
    }

    /// The names in a folder of `.git`.
    pub(crate) fn list_git(&self, folder: &str) -> Result<Vec<String>, GitError> {
        let told = "listing a folder of git";
        match rustix::fs::openat(&self.git, folder, FOLDER, Mode::empty()) {
            Ok(folder) => {
                let names = entries(&folder).map_err(GitError::sys(told))?;
                Ok(names
                    .into_iter()
                    .filter_map(|(name, _)| String::from_utf8(name).ok())
                    .collect())
            }
            Err(Errno::NOENT) => Ok(Vec::new()),
            Err(errno) => Err(GitError::sys(told)(errno)),
        }
    }

    /// Makes what was renamed in `.git` and in our folder last.
    pub(crate) fn sync(&self) -> Result<(), GitError> {
        rustix::fs::fsync(&self.here)
            .and_then(|()| rustix::fs::fsync(&self.git))
            .map_err(GitError::sys("writing to disk"))
    }
}

/// How a rename treats what is in its way.
#[derive(Clone, Copy)]
enum Swap {
    /// Fails if something is there.
    OnlyNew,
    /// The two change places.
    Exchange,
}

/// One atomic rename. File systems without the flags (some network ones) get the nearest thing: a link that fails if the
/// name is taken, and a plain replacing rename. There a racing edit of the owner in the same millisecond can be lost.
fn rename(from: &OwnedFd, name: &[u8], to: &OwnedFd, target: &[u8], swap: Swap) -> Result<(), Errno> {
    let (name, target) = (OsStr::from_bytes(name), OsStr::from_bytes(target));
    let flags = match swap {
        Swap::OnlyNew => RenameFlags::NOREPLACE,
        Swap::Exchange => RenameFlags::EXCHANGE,
    };
    match rustix::fs::renameat_with(from, name, to, target, flags) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        done => return done,
    }
    match swap {
        Swap::OnlyNew => {
            rustix::fs::linkat(from, name, to, target, AtFlags::empty())?;
            rustix::fs::unlinkat(from, name, AtFlags::empty())
        }
        Swap::Exchange => {
            let mut kept: OsString = name.to_owned();
            kept.push(REPLACED);
            rustix::fs::linkat(to, target, from, &kept, AtFlags::empty())?;
            rustix::fs::renameat(from, name, to, target)?;
            rustix::fs::renameat(from, &kept, from, name)
        }
    }
}

#[cfg(target_os = "linux")]
fn beneath(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // With NOFOLLOW a link at the end would count as "not a folder", which is also said of what is harmless.
    let flags = flags.difference(OFlags::NOFOLLOW);
    loop {
        match openat2(root, path, flags, Mode::empty(), resolve) {
            // A rename somewhere on the way, or a signal.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::PERM) => return walk(root, path, flags),
            done => return done,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn beneath(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    walk(root, path, flags)
}

/// The same without the kernel's help: one name at a time, none of them a link.
fn walk(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut here = rustix::fs::openat(root, ".", FOLDER, Mode::empty())?;
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() || part == b"." || part == b".." {
            return Err(Errno::LOOP);
        }
        let last = parts.peek().is_none();
        let wanted = if last { flags | OFlags::NOFOLLOW } else { FOLDER };
        here = rustix::fs::openat(&here, part, wanted, Mode::empty())?;
    }
    Ok(here)
}

fn entries(folder: &OwnedFd) -> Result<Vec<(Vec<u8>, bool)>, Errno> {
    let mut names = Vec::new();
    each_entry(folder, |name, is_folder| names.push((name.to_vec(), is_folder)))?;
    Ok(names)
}

fn each_entry(folder: &OwnedFd, mut tell: impl FnMut(&[u8], bool)) -> Result<(), Errno> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            tell(name, entry.file_type() == FileType::Directory);
        }
    }
    Ok(())
}

fn read_at(folder: &OwnedFd, name: &str, cap: u64) -> Result<Option<Vec<u8>>, GitError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => read_capped(File::from(file), cap).map(Some),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(GitError::sys("opening a file of git")(errno)),
    }
}

fn remove_at(folder: &OwnedFd, name: &str) -> Result<(), GitError> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(errno) => Err(GitError::sys("removing a file of ours")(errno)),
    }
}

fn read_capped(file: File, cap: u64) -> Result<Vec<u8>, GitError> {
    let mut bytes = Vec::new();
    let mut file = file.take(cap.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(GitError::io("reading a file"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > cap {
        return Err(GitError::TooLarge {
            what: "the file",
            limit: cap,
        });
    }
    Ok(bytes)
}

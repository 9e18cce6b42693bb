//! The folder where files that come out of a box wait to be taken. Names in it are numbers of ours.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// How folders of runs begin; nothing else in the folder is touched.
const PREFIX: &str = "run-";

/// The folder of all runs.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    next: AtomicU64,
}

/// The folder of one run. Removed when dropped.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder and clears away what a crash left in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            next: AtomicU64::new(1),
        })
    }

    /// A fresh folder.
    pub(crate) fn run_folder(&self) -> io::Result<RunFolder> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("{PREFIX}{number}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(RunFolder { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl RunFolder {
    /// Where the file of this number lies.
    pub(crate) fn file(&self, number: usize) -> PathBuf {
        self.path.join(number.to_string())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // A few files of ours, on a disk of ours.
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "the files of a run could not be removed; the next start clears them away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_nothing_and_a_crash_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let scratch = Scratch::open(&path).unwrap();
        let run = scratch.run_folder().unwrap();
        fs::write(run.file(0), "x").unwrap();
        drop(run);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);

        let crashed = scratch.run_folder().unwrap();
        fs::write(crashed.file(0), "x").unwrap();
        fs::write(path.join("keep"), "").unwrap();
        std::mem::forget(crashed);
        Scratch::open(&path).unwrap();
        let left: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["keep"]);
    }
}

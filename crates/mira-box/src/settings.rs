//! What the owner's machine offers and how much of it a run may take.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Where systems have bubblewrap and Python. Only what lies below `/usr` can be seen from inside the box.
const BUBBLEWRAP: [&str; 2] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap"];
const PYTHON: [&str; 2] = ["/usr/bin/python3", "/usr/local/bin/python3"];

/// How a box is made.
#[derive(Debug, Clone)]
pub struct BoxSettings {
    /// bubblewrap.
    pub bwrap: PathBuf,
    /// Python 3, below `/usr`.
    pub python: PathBuf,
    /// What a run may take.
    pub limits: Limits,
    /// A folder of our own inside the data directory, for what comes out.
    pub scratch: PathBuf,
}

impl BoxSettings {
    /// The system's programs and the usual limits.
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        let first = |places: [&str; 2]| {
            let found = places.into_iter().find(|place| Path::new(place).exists());
            PathBuf::from(found.unwrap_or(places[0]))
        };
        Self {
            bwrap: first(BUBBLEWRAP),
            python: first(PYTHON),
            limits: Limits::default(),
            scratch: scratch.into(),
        }
    }
}

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From its start to its end.
    pub wall: Duration,
    /// Seconds of one process on a processor.
    pub cpu_seconds: u64,
    /// Address space of one process, and memory of all of them together.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Open files of one process.
    pub descriptors: u64,
    /// One file.
    pub file_bytes: u64,
    /// All files together, beside those that were put in. They lie in memory.
    pub disk_bytes: u64,
    /// All files that are put in.
    pub input_bytes: u64,
    /// Files and folders, whatever their size.
    pub files: u64,
    /// What is kept of both kinds of output together.
    pub output_bytes: usize,
    /// Files that are handed back.
    pub files_out: usize,
    /// Their bytes together.
    pub files_out_bytes: u64,
}

const MIB: u64 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_mins(1),
            cpu_seconds: 30,
            memory_bytes: 1024 * MIB,
            processes: 64,
            descriptors: 128,
            file_bytes: 64 * MIB,
            disk_bytes: 256 * MIB,
            input_bytes: 256 * MIB,
            files: 20_000,
            output_bytes: 256 * 1024,
            files_out: 20,
            files_out_bytes: 64 * MIB,
        }
    }
}

//! What the machine is and what it can do by itself: processor, commit, open files, the disk's own rate.

use crate::{Outcome, report::Samples};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// Allows this process and its children as many open files as the system lets them have.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where this is refused the old limit stands, and `idle` holds fewer sockets.
    setrlimit(Resource::Nofile, raised).unwrap_or_default();
}

/// How many files this process may open.
pub fn open_files() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// Cores and the processor's name.
pub fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!(
        "{cores} cores, {}",
        name.map_or("unknown processor", |(_, name)| name.trim())
    )
}

/// The checked-out commit, and whether the files differ from it.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "no commit".to_owned();
    };
    let clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
    if clean { commit } else { format!("{commit} and changes") }
}

/// Load averages: what else runs on the machine.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Times of `append 4 KiB, fdatasync` in this directory, one after the other.
pub fn disk(directory: &Path, limit: Duration) -> Outcome<Samples> {
    let path = directory.join("fsync-probe");
    let mut file = File::create(&path)?;
    let block = [b'm'; 4096];
    let (mut samples, begun) = (Samples::default(), Instant::now());
    while begun.elapsed() < limit {
        let started = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        samples.push(started.elapsed());
    }
    fs::remove_file(path)?;
    Ok(samples)
}

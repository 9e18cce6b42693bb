//! What the kernel does not limit for a group of processes without a cgroup of its own: their memory together, what lies
//! in the buffers of their sockets, and how many files they make. Looked at from outside, often enough that a box cannot do harm between two looks.

use crate::{Exit, settings::Limits};
use rustix::fs::statvfs;
use std::{fs, time::Duration};
use tokio::time::MissedTickBehavior;

/// Between two looks. In this time a process can touch some hundred MiB.
const EVERY: Duration = Duration::from_millis(50);
/// The folders in memory inside a box.
const FOLDERS: [&str; 2] = ["box", "dev/shm"];
/// Sockets of a box. Each can hold some 200 KiB in a buffer of the kernel's.
const MOST_SOCKETS: usize = 1024;
/// Of a page, where `/proc` counts in them. Only a smaller one than the real one would miss something, and there is none.
const PAGE_BYTES: u64 = 4096;

/// Ends when the box takes more than it may. Safe to drop at any time.
pub(crate) async fn excess(init: i32, limits: Limits) -> Exit {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Reading /proc of a process that is busy mapping memory can take a while.
        let looked = tokio::task::spawn_blocking(move || look(init, &limits)).await;
        if let Ok(Some(exit)) = looked {
            return exit;
        }
    }
}

/// What is too much now. What cannot be read is a process that just ended.
fn look(init: i32, limits: &Limits) -> Option<Exit> {
    let processes = family(init);
    // Shared pages count in each process: enough for a first look, and cheap.
    let at_most: u64 = processes.iter().filter_map(|process| resident(*process)).sum();
    if at_most > limits.memory_bytes {
        let exactly: u64 = processes
            .iter()
            .filter_map(|process| proportional(*process).or_else(|| resident(*process)))
            .sum();
        if exactly > limits.memory_bytes {
            return Some(Exit::Memory);
        }
    }
    if sockets(init) > MOST_SOCKETS {
        return Some(Exit::Memory);
    }
    let files: u64 = FOLDERS
        .iter()
        .filter_map(|folder| statvfs(format!("/proc/{init}/root/{folder}")).ok())
        .map(|stat| stat.f_files.saturating_sub(stat.f_ffree))
        .sum();
    (files > limits.files).then_some(Exit::Files)
}

/// A process and all that come from it. In a box orphans go to its first process, so nothing gets lost.
fn family(first: i32) -> Vec<i32> {
    let mut found = vec![first];
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        found.extend(children(process));
        next += 1;
    }
    found
}

/// The processes that all threads of this one have started.
pub(crate) fn children(process: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|text| {
            let numbers: Vec<i32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            numbers
        })
        .collect()
}

/// Sockets there are in the box; all are of the kind this counts.
fn sockets(init: i32) -> usize {
    fs::read_to_string(format!("/proc/{init}/net/unix")).map_or(0, |text| text.lines().count())
}

/// Pages in memory, in bytes.
fn resident(process: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

/// The same, each shared page divided among those who share it.
fn proportional(process: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

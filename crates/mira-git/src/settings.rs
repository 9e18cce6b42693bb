//! Limits and names that the operator or the caller chooses. Defaults are meant for one owner on one machine.

use std::time::Duration;

/// Who signs the commits Mira makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Name, as in `git config user.name`.
    pub name: String,
    /// Address, as in `git config user.email`.
    pub email: String,
}

/// What [`crate::Repos`] keeps to.
#[derive(Debug, Clone)]
pub struct GitSettings {
    /// Author and committer where a call names no other author.
    pub author: Author,
    /// Actions that run at once, over all repositories; more wait.
    pub max_concurrent: usize,
    /// How long an action waits for its turn before it answers [`crate::GitError::Busy`].
    pub lock_wait: Duration,
    /// Largest file that is read or written, bytes.
    pub max_file_bytes: u64,
    /// Entries of one folder that are listed.
    pub max_tree_entries: usize,
    /// Files that one checkout, switch or merge may touch.
    pub max_checkout_files: usize,
    /// Bytes that one checkout, switch or merge may write.
    pub max_checkout_bytes: u64,
    /// Bytes that one file of a checkout may have. It is held in memory while it is written.
    pub max_checkout_file_bytes: u64,
    /// Bytes of folder listings that are read to find out what two commits differ in.
    pub max_tree_bytes: u64,
    /// Changed lines shown of one diff.
    pub max_diff_lines: usize,
    /// Changed files shown of one diff.
    pub max_diff_files: usize,
    /// How long one code search may take.
    pub search_time: Duration,
    /// How long it may take to find out where the lines of one file come from.
    pub blame_time: Duration,
    /// Paths shown in one status.
    pub max_status_entries: usize,
}

impl Default for GitSettings {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            author: Author {
                name: "Mira".to_owned(),
                email: "mira@localhost".to_owned(),
            },
            max_concurrent: 16,
            lock_wait: Duration::from_secs(10),
            max_file_bytes: 5 * MIB,
            max_tree_entries: 10_000,
            max_checkout_files: 1_000_000,
            max_checkout_bytes: 16 * 1024 * MIB,
            max_checkout_file_bytes: 256 * MIB,
            max_tree_bytes: 256 * MIB,
            max_diff_lines: 20_000,
            max_diff_files: 1_000,
            search_time: Duration::from_secs(5),
            blame_time: Duration::from_secs(10),
            max_status_entries: 5_000,
        }
    }
}

//! mira-git against the real `git` command line: what it does is read back by git, what git does is read back by it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::type_complexity,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tests"
)]

mod blame;
mod bombs;
mod branches;
mod edits;
mod hostile;
mod kill;
mod paths;
mod reading;
mod remote;
mod support;
mod together;
mod unpublished;

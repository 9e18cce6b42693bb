//! The store through its own door, on real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod files;
mod lists;
mod search;
mod support;
mod transfer;
mod turns;

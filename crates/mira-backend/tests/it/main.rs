//! Behaviour through the real binary over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a panic is how a test reports"
)]

mod support;

mod commands;
mod config;
mod edge;
mod kill;
mod login;
mod shutdown;

//! Behaviour through the real binary over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a panic is how a test reports"
)]

mod support;

mod approvals;
mod artifacts;
mod branches;
mod breakdowns;
mod budget;
mod chat;
mod citations;
mod commands;
mod config;
mod copies;
mod edge;
mod faults;
mod file_care;
mod file_search;
mod file_travel;
mod files;
mod git;
mod hosted;
mod hostile;
mod kill;
mod limits;
mod login;
mod mcp;
mod memory;
mod memory_trouble;
mod openapi;
mod outside;
mod own_tools;
mod persona;
mod projects;
mod prompt;
mod qdrant;
mod restore;
mod sessions;
mod shutdown;
mod sockets;
mod strangers;
mod tools;
mod web;
mod week_later;

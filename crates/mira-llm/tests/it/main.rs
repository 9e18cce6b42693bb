//! The adapters against the emulator, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod adapt;
mod bodies;
mod embeddings;
mod embeddings_local;
mod faults;
mod forms;
mod hosted;
mod odd_servers;
mod side;
mod support;
mod tool_bodies;
mod tools;

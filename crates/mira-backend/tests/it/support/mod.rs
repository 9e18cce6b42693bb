//! What all tests stand on.

pub mod server;

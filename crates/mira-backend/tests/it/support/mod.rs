//! What all tests stand on.

pub mod server;
pub mod sim;
pub mod ws;

//! What all tests stand on.

pub mod ahead;
pub mod client;
pub mod contract;
pub mod forge;
pub mod held;
pub mod server;
pub mod sim;
pub mod ws;

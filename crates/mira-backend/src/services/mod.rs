//! What happens between a door and the store. No HTTP here.

pub mod auth;
pub mod chat;
pub mod context;
pub mod deps;
pub mod health;
pub mod import;
pub mod hub;
pub mod metrics;
pub mod model;
pub mod personas;

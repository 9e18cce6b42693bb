//! What happens between a door and the store. No HTTP here.

pub mod artifacts;
pub mod auth;
pub mod chat;
pub mod context;
pub mod deps;
pub mod facts;
pub mod forget;
pub mod git;
pub mod health;
pub mod hub;
pub mod import;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod personas;
pub mod projects;
pub mod restore;
pub mod summarization;
pub mod tools;

//! The REST routes, one file per noun.

pub mod admin;
pub mod chat;
pub mod health;
pub mod login;
pub mod memories;
pub mod messages;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod sessions;

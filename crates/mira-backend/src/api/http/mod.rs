//! The REST routes, one file per noun.

pub mod admin;
pub mod approvals;
pub mod artifact_views;
pub mod artifacts;
pub mod chat;
pub mod file_search;
pub mod files;
pub mod git;
pub mod health;
pub mod login;
pub mod mcp;
pub mod memories;
pub mod messages;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod projects;
pub mod sessions;
pub mod tools;

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
pub mod parts;
pub mod projects;
pub mod sessions;
pub mod tools;

use crate::state::AppState;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// The answer about something new.
fn created(state: &AppState, place: &str, object: impl IntoResponse) -> Response {
    let mut response = placed(state, place, object);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// An answer with the place of what it is about: a path of Mira's, which the client sees below the public sub-path.
fn placed(state: &AppState, place: &str, object: impl IntoResponse) -> Response {
    let mut response = object.into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("{}{place}", state.sub_path())) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

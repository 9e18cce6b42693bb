//! The doors: every route in one function, inside the layers that hold for all of them.
//!
//! Order, from outside: request id, host and origin rules, headers and log line ([`security::edge`]); a panic becomes a
//! 500; the login ([`auth::require_login`]) around everything that is not on the public list.

pub mod auth;
pub mod chat_body;
pub mod error;
pub mod extract;
pub mod failure;
pub mod file_objects;
pub mod frames;
pub mod git_objects;
pub mod http;
mod leftover;
pub mod openapi;
pub mod security;
pub mod wire;
pub mod work_objects;
pub mod ws;

use crate::state::AppState;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{MethodRouter, get, post, put},
};
use error::ApiError;
use tower_http::catch_panic::CatchPanicLayer;

/// All routes.
pub fn router(state: AppState) -> Router {
    let mut public = Router::new()
        .route("/", get(http::page::index))
        .route("/health", get(http::health::health))
        .route("/api/health", get(http::health::health))
        .route("/ready", get(http::health::ready))
        .route("/api/login", post(http::login::login))
        // A socket may log in by its first frame.
        .route("/ws/chat", get(ws::upgrade))
        .route("/api/ws/chat", get(ws::upgrade))
        // A signed link stands for a login.
        .route("/api/artifacts/{id}/preview", get(http::artifact_views::preview));
    for asset in http::page::ASSETS {
        public = public.route(asset.path, get(http::page::asset));
    }
    let private = Router::new()
        .route("/metrics", get(http::metrics::metrics))
        .route("/api/openapi.json", get(http::openapi::document))
        .route("/api/docs", get(http::openapi::page))
        .route("/api/logout", post(http::login::logout))
        .route(
            "/api/logins",
            get(http::login::list_logins).delete(http::login::delete_logins),
        )
        .route(
            "/api/logins/{id}",
            get(http::login::get_login).delete(http::login::delete_login),
        )
        .route("/api/admin/import", post(http::admin::import))
        .route(
            "/api/admin/restore",
            get(http::admin::last_restore).post(http::admin::restore),
        )
        .route("/api/admin/reindex", post(http::memories::reindex))
        .route("/chat", post(http::chat::chat))
        .route("/api/chat", post(http::chat::api_chat))
        .route("/api/chat/history", get(http::messages::history))
        .route("/api/messages/{id}", get(http::messages::get_message))
        .route("/api/messages/{id}/receipt", get(http::memories::receipt))
        .route(
            "/api/memories",
            get(http::memories::list_memories).post(http::memories::create_memory),
        )
        .route(
            "/api/memories/{id}",
            get(http::memories::get_memory)
                .patch(http::memories::patch_memory)
                .delete(http::memories::delete_memory),
        )
        .route(
            "/api/memory",
            get(http::memories::get_state).patch(http::memories::patch_state),
        )
        .route("/api/tools", get(http::tools::list_tools))
        .route("/api/sketches/{tool_call_id}", get(http::tools::sketch))
        .route("/api/approvals", get(http::approvals::list_approvals))
        .route("/api/approvals/{id}", get(http::approvals::get_approval))
        .route("/api/approvals/{id}/approve", post(http::approvals::approve))
        .route("/api/approvals/{id}/deny", post(http::approvals::deny))
        .route("/mcp", post(http::mcp::mcp))
        .route(
            "/api/projects",
            get(http::projects::list_projects).post(http::projects::create_project),
        )
        .route("/api/projects/{id}", project())
        .route("/api/project/{id}", project())
        .route("/api/projects/{id}/deletion", get(http::projects::get_deletion))
        .route("/api/projects/{id}/artifacts", get(http::artifacts::list_artifacts))
        .nest("/api/projects/{id}/git", http::git::routes())
        .nest("/api/project/{id}/git", http::git::routes())
        .route("/api/artifacts", post(http::artifacts::create_artifact))
        .route(
            "/api/artifacts/{id}",
            get(http::artifacts::get_artifact)
                .put(http::artifacts::put_artifact)
                .patch(http::artifacts::patch_artifact)
                .delete(http::artifacts::delete_artifact),
        )
        .route("/api/artifacts/{id}/versions", get(http::artifacts::list_versions))
        .route(
            "/api/artifacts/{id}/versions/{version}",
            get(http::artifacts::get_version),
        )
        .route("/api/artifacts/{id}/restore", post(http::artifacts::restore_version))
        .route("/api/artifacts/{id}/diff", get(http::artifacts::diff_versions))
        .route("/api/artifacts/{id}/raw", get(http::artifact_views::raw))
        .route(
            "/api/artifacts/{id}/preview-link",
            post(http::artifact_views::preview_link),
        )
        .route(
            "/api/files",
            get(http::files::list_files)
                .post(http::files::upload)
                .layer(DefaultBodyLimit::max(http::files::MAX_UPLOAD_BYTES)),
        )
        .route(
            "/api/projects/{id}/files",
            get(http::files::list_project_files)
                .post(http::files::upload_to_project)
                .layer(DefaultBodyLimit::max(http::files::MAX_UPLOAD_BYTES)),
        )
        .route(
            "/api/files/{id}",
            get(http::files::get_file).delete(http::files::delete_file),
        )
        .route("/api/files/{id}/content", get(http::files::content))
        .route("/api/files/{id}/retry", post(http::files::retry))
        .route("/api/files/{id}/text", get(http::file_search::text))
        .route("/api/files/search", get(http::file_search::search))
        .route("/api/search", get(http::messages::search))
        .route("/api/personas", get(http::messages::list_personas))
        .route("/api/personas/{name}", get(http::messages::get_persona))
        .route(
            "/api/sessions",
            get(http::sessions::list_sessions).post(http::sessions::create_session),
        )
        .route(
            "/api/sessions/{id}",
            get(http::sessions::get_session)
                .patch(http::sessions::patch_session)
                .delete(http::sessions::delete_session),
        )
        .route("/api/sessions/{id}/stop", post(http::sessions::stop))
        .route("/api/sessions/{id}/moods", get(http::sessions::list_moods))
        .route("/api/sessions/{id}/persona", put(http::sessions::put_persona))
        .route("/api/sessions/{id}/events", get(http::chat::events))
        .route_layer(middleware::from_fn_with_state(state.clone(), auth::require_login));
    public
        .merge(private)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(extract::MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(security::panicked))
        .layer(middleware::from_fn_with_state(state.clone(), security::edge))
        .with_state(state)
}

/// One project, under both of its names.
fn project() -> MethodRouter<AppState> {
    get(http::projects::get_project)
        .put(http::projects::put_project)
        .patch(http::projects::patch_project)
        .delete(http::projects::delete_project)
}

async fn no_such_path() -> ApiError {
    ApiError::NotFound("path")
}

async fn no_such_method() -> ApiError {
    ApiError::MethodNotAllowed
}

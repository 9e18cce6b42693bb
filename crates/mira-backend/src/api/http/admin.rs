//! `POST /api/admin/import`: what `mira-backend import` asks a running server to do, since only one process may write.
//! The body is an export (`mira-backend export`), sent as a stream.

use crate::{
    api::error::{ApiError, Problem},
    services::{auth::Identity, import},
    state::AppState,
};
use axum::{
    Json,
    extract::{Request, State},
    http::header,
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{pin::Pin, time::Duration};
use utoipa::ToSchema;

/// The media type of an export.
pub const EXPORT_TYPE: &str = "application/x-ndjson";

/// How long the body may be silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What an import has stored.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportObject {
    /// Lines read.
    pub lines: u64,
    /// Sessions made.
    pub sessions: u64,
    /// Messages stored.
    pub messages: u64,
    /// Entries of mood timelines stored.
    pub moods: u64,
    /// Objects that were there already.
    pub skipped: u64,
}

impl From<mira_memory::ImportReport> for ImportObject {
    fn from(report: mira_memory::ImportReport) -> Self {
        let mira_memory::ImportReport {
            lines,
            sessions,
            messages,
            moods,
            skipped,
        } = report;
        Self {
            lines,
            sessions,
            messages,
            moods,
            skipped,
        }
    }
}

/// Reads an export into the database. What is there already stays as it is; repeating it is harmless.
#[utoipa::path(post, path = "/api/admin/import", tag = "operation",
    request_body(content = String, content_type = "application/x-ndjson"), responses(
    (status = 200, description = "Imported", body = ImportObject),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "Not an export", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A line is not valid; what came before it is stored", body = Problem, content_type = "application/problem+json"),
))]
pub async fn import(
    State(state): State<AppState>,
    identity: Identity,
    request: Request,
) -> Result<Json<ImportObject>, ApiError> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if kind != Some(EXPORT_TYPE) {
        return Err(ApiError::UnsupportedMedia(EXPORT_TYPE));
    }
    let body: Pin<Box<_>> = Box::pin(request.into_body().into_data_stream());
    let pieces = stream::unfold(body, |mut body| async move {
        match tokio::time::timeout(SILENCE_LIMIT, body.next()).await {
            Ok(piece) => Some((piece?.map_err(|e| e.to_string()), body)),
            Err(_) => Some((Err("nothing came for too long".to_owned()), body)),
        }
    });
    let report = import::import(state.store(), identity.account, pieces, |_| {}).await?;
    tracing::info!(
        sessions = report.sessions,
        messages = report.messages,
        skipped = report.skipped,
        "imported"
    );
    Ok(Json(report.into()))
}

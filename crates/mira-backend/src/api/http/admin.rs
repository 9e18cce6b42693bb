//! What commands ask a running server to do, since only one process may write: `POST /api/admin/import` takes an export
//! (`mira-backend export`), `POST /api/admin/restore` a backup (`mira-backend backup`), both sent as a stream.

use crate::{
    api::{
        error::{ApiError, Problem},
        extract::media_type,
    },
    services::{
        auth::Identity,
        files::travel::Shelf,
        forget, import,
        restore::{Copy, Record, RestoreError, State as RestoreState, Ticket},
    },
    state::AppState,
};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{io, pin::Pin, time::Duration};
use utoipa::ToSchema;

/// The media type of an export.
pub const EXPORT_TYPE: &str = "application/x-ndjson";

/// The media type of a backup.
pub const BACKUP_TYPE: &str = "application/vnd.sqlite3";

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
    /// Facts stored.
    pub facts: u64,
    /// Projects stored.
    pub projects: u64,
    /// Artifacts stored.
    pub artifacts: u64,
    /// Versions of artifacts stored.
    pub versions: u64,
    /// Attached repositories stored; their clones do not come along.
    pub repos: u64,
    /// Proposals stored.
    pub proposals: u64,
    /// Files stored, with their bytes.
    pub files: u64,
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
            facts,
            projects,
            artifacts,
            versions,
            repos,
            proposals,
            files,
            skipped,
        } = report;
        Self {
            lines,
            sessions,
            messages,
            moods,
            facts,
            projects,
            artifacts,
            versions,
            repos,
            proposals,
            files,
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
    wants(request.headers(), EXPORT_TYPE)?;
    let body = pieces(request.into_body());
    let report = import::import_live(state.hub(), identity.account, body).await?;
    forget::again(state.hub().clone(), identity.account).await;
    tracing::info!(
        sessions = report.sessions,
        messages = report.messages,
        skipped = report.skipped,
        "imported"
    );
    Ok(Json(report.into()))
}

/// A restore and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RestoreObject {
    /// Its id.
    pub id: String,
    /// `checking`: the backup arrives and is checked. `restarting`: it is sound, and the server starts anew with it.
    /// `restored`: it is the database now. `failed`: everything is as it was.
    pub status: RestoreStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Where the database before it is now, on the server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<String>,
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStatus {
    /// The backup arrives and is checked.
    Checking,
    /// It is sound; the server starts anew with it.
    Restarting,
    /// It is the database now.
    Restored,
    /// Everything is as it was.
    Failed,
}

impl From<Record> for RestoreObject {
    fn from(record: Record) -> Self {
        let (status, detail, kept) = match record.state {
            RestoreState::Checking => (RestoreStatus::Checking, None, None),
            RestoreState::Restarting => (RestoreStatus::Restarting, None, None),
            RestoreState::Restored { kept } => (
                RestoreStatus::Restored,
                None,
                kept.map(|kept| kept.display().to_string()),
            ),
            RestoreState::Failed { reason } => (RestoreStatus::Failed, Some(reason), None),
        };
        Self {
            id: record.id.to_string(),
            status,
            detail,
            kept,
        }
    }
}

/// Puts a backup in the database's place. It is checked while the conversation goes on; then turns that run are stopped
/// and kept, sockets close with 1001, the database is moved to the backups folder, and the server starts anew with the
/// backup. Clients that come back get `reset`.
#[utoipa::path(post, path = "/api/admin/restore", tag = "operation",
    request_body(content = String, content_type = "application/vnd.sqlite3"), responses(
    (status = 202, description = "The backup is sound, the server starts anew with it", body = RestoreObject),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Another restore is under way", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "Not a backup", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Not a sound backup; nothing has changed", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "A problem; nothing has changed", body = Problem, content_type = "application/problem+json"),
))]
pub async fn restore(
    State(state): State<AppState>,
    _owner: Identity,
    request: Request,
) -> Result<(StatusCode, Json<RestoreObject>), ApiError> {
    wants(request.headers(), BACKUP_TYPE)?;
    let ticket = state.life().restores().begin(state.clock().new_uuid());
    let ticket = ticket.ok_or_else(|| ApiError::Conflict("another restore is under way".to_owned()))?;
    // Everything up to here and the copy itself end with the request, should the client go away.
    match receive(&state, request.into_body()).await {
        Ok(copy) => {
            let record = pass(&state, ticket, copy)?;
            Ok((StatusCode::ACCEPTED, Json(record.into())))
        }
        Err(error) => {
            ticket.fail(error.to_string());
            Err(error)
        }
    }
}

async fn receive(state: &AppState, body: Body) -> Result<Copy, ApiError> {
    let mut copy = Copy::begin(state.config(), Shelf::of(&state.hub().deps().files))?;
    let mut pieces = pieces(body);
    while let Some(piece) = pieces.next().await {
        if let Err(error) = copy.write(&piece.map_err(ApiError::Malformed)?).await {
            drop(copy);
            // A client that still sends would not hear why it is refused.
            let rest = pieces.for_each(|_| std::future::ready(()));
            tokio::time::timeout(SILENCE_LIMIT, rest).await.unwrap_or_default();
            return Err(error.into());
        }
    }
    copy.check(state.config()).await?;
    Ok(copy)
}

fn pass(state: &AppState, ticket: Ticket, copy: Copy) -> Result<Record, ApiError> {
    let life = state.life();
    if life.soft().is_cancelled() {
        let detail = "shutting down".to_owned();
        ticket.fail(detail.clone());
        let retry_after = Duration::from_secs(5);
        return Err(ApiError::Unavailable { detail, retry_after });
    }
    let record = ticket.pass(copy);
    life.soft().cancel();
    Ok(record)
}

/// The last restore since the process began.
#[utoipa::path(get, path = "/api/admin/restore", tag = "operation", responses(
    (status = 200, description = "The last restore", body = RestoreObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn last_restore(State(state): State<AppState>, _owner: Identity) -> Result<Json<RestoreObject>, ApiError> {
    let record = state.life().restores().last();
    record
        .map(|record| Json(record.into()))
        .ok_or(ApiError::NotFound("restore since the process began"))
}

impl From<RestoreError> for ApiError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Unfit(detail) => Self::field("", detail),
            RestoreError::Store(error) => error.into(),
            RestoreError::File { ref source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    tracing::error!(%error, "no room for a backup");
                    Self::StorageFull
                }
                _ => Self::internal(&error),
            },
            RestoreError::Task(_) => Self::internal(&error),
        }
    }
}

fn wants(headers: &HeaderMap, kind: &'static str) -> Result<(), ApiError> {
    if media_type(headers) == kind {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMedia(kind))
    }
}

/// A body as it comes; one that is silent for too long has broken off.
fn pieces(body: Body) -> Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>> {
    let body = Box::pin(body.into_data_stream());
    Box::pin(stream::unfold(body, |mut body| async move {
        match tokio::time::timeout(SILENCE_LIMIT, body.next()).await {
            Ok(piece) => Some((piece?.map_err(|e| e.to_string()), body)),
            Err(_) => Some((Err("nothing came for too long".to_owned()), body)),
        }
    }))
}

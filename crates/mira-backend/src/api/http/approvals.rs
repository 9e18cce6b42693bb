//! `/api/approvals`: calls that wait for the owner's word.

use super::sessions::ListQuery;
use crate::{
    api::{
        error::{ApiError, Problem},
        extract::{Path, Query},
        wire::ApprovalObject,
    },
    services::{approvals, auth::Identity},
    state::AppState,
};
use axum::{Json, extract::State};
use mira_core::{
    approval::{Answer, ApprovalStatus},
    ids::ApprovalId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

/// How long an answer waits for a call that runs outside of its turn, so that it can tell what came of it. The call goes
/// on beyond that.
const OUTCOME_WITHIN: Duration = Duration::from_secs(10);

/// Which approvals.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApprovalsQuery {
    /// `pending` (when absent), `approved`, `denied`, `expired`, `void` or `all`.
    status: Option<String>,
}

/// A page of approvals.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalList {
    /// The newest first.
    pub approvals: Vec<ApprovalObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// Lists the calls that wait for the owner's word, or have waited in the last thirty days.
#[utoipa::path(get, path = "/api/approvals", tag = "tools", params(ApprovalsQuery, ListQuery), responses(
    (status = 200, description = "A page of approvals", body = ApprovalList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_approvals(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<ApprovalsQuery>,
    Query(page): Query<ListQuery>,
) -> Result<Json<ApprovalList>, ApiError> {
    let page = page.page()?;
    let status = match query.status.as_deref() {
        None => Some(ApprovalStatus::Pending),
        Some("all") => None,
        Some(name) => {
            let unknown = || ApiError::field("status", "pending, approved, denied, expired, void or all");
            Some(ApprovalStatus::parse(name).ok_or_else(unknown)?)
        }
    };
    let now = state.clock().now();
    let listed = { state.store() }
        .list_approvals(identity.account, status, page, now)
        .await?;
    Ok(Json(ApprovalList {
        approvals: listed.items.iter().map(ApprovalObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// What a path names; what is no id names nothing.
fn approval_id(id: &str) -> Result<ApprovalId, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound("approval"))
}

/// One approval.
#[utoipa::path(get, path = "/api/approvals/{id}", tag = "tools", params(("id" = String, Path)), responses(
    (status = 200, description = "The approval", body = ApprovalObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_approval(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<ApprovalObject>, ApiError> {
    let (id, now) = (approval_id(&id)?, state.clock().now());
    let found = state.store().find_approval(identity.account, id, now).await?;
    let found = found.ok_or(ApiError::NotFound("approval"))?;
    Ok(Json(ApprovalObject::of(&found)))
}

/// Lets a call run that waits. Approving what was approved is answered the same; what was denied, has expired or is void
/// is a 409. Where a restart has ended the turn, the call runs by itself, and the answer tells what came of it if that is
/// known within ten seconds.
#[utoipa::path(post, path = "/api/approvals/{id}/approve", tag = "tools", params(("id" = String, Path)), responses(
    (status = 200, description = "The approval as it stands", body = ApprovalObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn approve(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<ApprovalObject>, ApiError> {
    answer(&state, &identity, &id, Answer::Approve).await
}

/// Refuses a call that waits; the model is told. Denying what was denied is answered the same, anything else is a 409.
#[utoipa::path(post, path = "/api/approvals/{id}/deny", tag = "tools", params(("id" = String, Path)), responses(
    (status = 200, description = "The approval as it stands", body = ApprovalObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn deny(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<ApprovalObject>, ApiError> {
    answer(&state, &identity, &id, Answer::Deny).await
}

async fn answer(
    state: &AppState,
    identity: &Identity,
    id: &str,
    word: Answer,
) -> Result<Json<ApprovalObject>, ApiError> {
    let taken = approvals::answer(state.hub(), identity.account, approval_id(id)?, word).await?;
    let ended = match taken.running {
        Some(running) => timeout(OUTCOME_WITHIN, running)
            .await
            .ok()
            .and_then(Result::ok)
            .flatten(),
        None => None,
    };
    Ok(Json(ApprovalObject::of(&ended.unwrap_or(taken.approval))))
}

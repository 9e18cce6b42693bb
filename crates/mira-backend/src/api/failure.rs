//! What a failed or refused turn looks like to a client: status, slug and title for each kind.

use super::error::{ApiError, Problem, retry_after_seconds};
use crate::services::hub::actor::Refusal;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mira_core::turn::{Failure, FailureKind};
use std::{borrow::Cow, time::Duration};

/// How soon what is busy now may be free.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How soon to look whether the day's tokens may be spent again.
const BUDGET_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The problem of a failed turn.
pub fn problem(failure: &Failure) -> Problem {
    let (status, slug, title) = match failure.kind {
        FailureKind::ModelAuth => (
            StatusCode::BAD_GATEWAY,
            "model-auth",
            "The model endpoint refuses the key",
        ),
        FailureKind::ModelNotFound => (StatusCode::BAD_GATEWAY, "model-not-found", "The model is not offered"),
        FailureKind::RateLimited => (
            StatusCode::SERVICE_UNAVAILABLE,
            "model-rate-limited",
            "The model endpoint is busy",
        ),
        FailureKind::QuotaExceeded => (StatusCode::BAD_GATEWAY, "model-quota", "The model's quota is used up"),
        FailureKind::ContextTooLong => (StatusCode::BAD_GATEWAY, "context-too-long", "Too long for the model"),
        FailureKind::Refused => (StatusCode::BAD_GATEWAY, "model-refused", "The model refused"),
        FailureKind::ModelRejected => (
            StatusCode::BAD_GATEWAY,
            "model-rejected",
            "The model endpoint rejected the request",
        ),
        FailureKind::ModelUnavailable => (
            StatusCode::BAD_GATEWAY,
            "model-unavailable",
            "The model cannot be reached",
        ),
        FailureKind::ModelTimeout => (StatusCode::GATEWAY_TIMEOUT, "model-timeout", "The model fell silent"),
        FailureKind::ModelCutOff => (StatusCode::BAD_GATEWAY, "model-cut-off", "The reply broke off"),
        FailureKind::ModelNonsense => (
            StatusCode::BAD_GATEWAY,
            "model-nonsense",
            "The model sent nothing usable",
        ),
        FailureKind::BudgetExceeded => (
            StatusCode::TOO_MANY_REQUESTS,
            "token-budget",
            "Today's token budget is used up",
        ),
        FailureKind::Storage => (StatusCode::INSUFFICIENT_STORAGE, "storage", "It could not be stored"),
        FailureKind::ShuttingDown => (
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting-down",
            "Mira is shutting down",
        ),
        FailureKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
    };
    Problem {
        kind: Cow::Owned(format!("urn:mira:problem:{slug}")),
        title: Cow::Borrowed(title),
        status: status.as_u16(),
        detail: Some(failure.detail.clone()),
        instance: None,
        errors: Vec::new(),
        paths: Vec::new(),
        unpublished: Vec::new(),
    }
}

/// A failed turn as the answer of a REST call.
#[derive(Debug)]
pub struct TurnFailed(pub Failure);

impl IntoResponse for TurnFailed {
    fn into_response(self) -> Response {
        let problem = problem(&self.0);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&problem)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, super::error::PROBLEM_JSON);
        let retry_after = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER),
            StatusCode::TOO_MANY_REQUESTS => Some(BUDGET_RETRY_AFTER),
            _ => None,
        };
        if let Some(wait) = retry_after {
            let seconds = HeaderValue::from(retry_after_seconds(wait));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(problem);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NoSuchSession => Self::NotFound("session"),
            Refusal::NoSuchMessage => Self::NotFound("message in this session"),
            Refusal::NoSuchTurn => Self::NotFound("turn running or waiting"),
            Refusal::NoSuchProject => Self::field("project_id", text),
            Refusal::NoSuchFile => Self::field("file_ids", text),
            Refusal::WrongRole => Self::field("message_id", text),
            Refusal::NoSuchPersona(_) => Self::field("persona", text),
            Refusal::ClientIdConflict => Self::Conflict(text),
            Refusal::QueueFull => Self::TooMany {
                detail: text,
                retry_after: RETRY_AFTER,
            },
            Refusal::TooLong { .. } => Self::TooLong(text),
            Refusal::BudgetExceeded { .. } => Self::TooMany {
                detail: text,
                retry_after: BUDGET_RETRY_AFTER,
            },
            Refusal::ShuttingDown => Self::Unavailable {
                detail: text,
                retry_after: RETRY_AFTER,
            },
            // The panic itself is in the log.
            Refusal::Broken => Self::Internal,
            Refusal::Store(error) => error.into(),
        }
    }
}

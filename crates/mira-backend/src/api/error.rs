//! Every error a client can get, as RFC 9457 problem details. Only this module chooses status codes.
//!
//! An [`ApiError`] answers with its [`Problem`] in the response's extensions; the edge layer ([`super::security`])
//! writes the body, because only it knows the request id. WebSocket and SSE put the same object into their frames
//! ([`ApiError::problem`]). A 5xx never shows what went wrong inside: the cause is logged here, once.

use super::git_objects::UnpublishedObject;
use crate::services::{approvals::ApprovalError, git::RepoError, import::ImportError};
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mira_git::{GitError, Missing};
use mira_memory::StoreError;
use serde::Serialize;
use std::{borrow::Cow, time::Duration};
use utoipa::ToSchema;

/// The media type of a problem.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's path, like `metadata.selection.start_line`; empty for the whole value.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Problem details (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:mira:problem:` and a slug that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The kind in words.
    pub title: Cow<'static, str>,
    /// The HTTP status, on sockets too.
    pub status: u16,
    /// What went wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The invalid fields of a 422.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<FieldError>,
    /// The files a conflict is about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub paths: Vec<String>,
    /// The repositories that hold something that is nowhere else.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unpublished: Vec<UnpublishedObject>,
}

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 400: the request cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// 401: no login, or one that no longer counts.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 403: a foreign origin.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 404: nothing of that name that is the caller's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// 405: the path exists, the method does not.
    #[error("this path does not take that method")]
    MethodNotAllowed,
    /// 406: no representation the client takes.
    #[error("{0}")]
    NotAcceptable(&'static str),
    /// 408: the body did not arrive in time.
    #[error("the request's body did not arrive in time")]
    Timeout,
    /// 409: a lost update or a conflict.
    #[error("{0}")]
    Conflict(String),
    /// 409: a conflict about files.
    #[error("{detail}")]
    ConflictOn {
        /// In what way.
        detail: String,
        /// The files.
        paths: Vec<String>,
    },
    /// 409: something would be lost that is nowhere else.
    #[error("{detail}")]
    Unpublished {
        /// What.
        detail: String,
        /// In which repositories.
        repos: Vec<UnpublishedObject>,
    },
    /// 412: a precondition failed.
    #[error("{0}")]
    PreconditionFailed(String),
    /// 413: too large.
    #[error("the request is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// 413: a text longer than a conversation takes.
    #[error("{0}")]
    TooLong(String),
    /// 415: not JSON.
    #[error("the body must be sent as {0}")]
    UnsupportedMedia(&'static str),
    /// 421: a `Host` Mira does not answer to.
    #[error("{0}")]
    Misdirected(String),
    /// 422: well-formed, but with invalid values.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// 426: only a WebSocket is spoken here.
    #[error("this path speaks WebSocket (version 13) only")]
    UpgradeRequired,
    /// 428: a precondition is missing.
    #[error("{0}")]
    PreconditionRequired(&'static str),
    /// 429: too much at once.
    #[error("{detail}")]
    TooMany {
        /// Why.
        detail: String,
        /// When to come again.
        retry_after: Duration,
    },
    /// 500: a fault of ours; the cause is in the log.
    #[error("something went wrong inside; the log has it under this request id")]
    Internal,
    /// 502: a git remote failed or refused.
    #[error("{0}")]
    Remote(String),
    /// 422: a git remote wants other credentials.
    #[error("{0}")]
    RemoteCredentials(String),
    /// 503: not now.
    #[error("{detail}")]
    Unavailable {
        /// Why.
        detail: String,
        /// When to come again.
        retry_after: Duration,
    },
    /// 507: the disk is full.
    #[error("the disk is full: nothing new can be stored until there is room")]
    StorageFull,
    /// A status a library chose.
    #[error("the request was refused")]
    Other(StatusCode),
}

/// How soon a client may try a write again that another process held up.
const BUSY_RETRY: Duration = Duration::from_secs(2);

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::DiskFull(_) => {
                tracing::error!(%error, "nothing can be stored");
                Self::StorageFull
            }
            StoreError::Busy(_) | StoreError::ReadOnly(_) => {
                tracing::error!(%error, "nothing can be stored");
                Self::Unavailable {
                    detail: "nothing can be stored now".to_owned(),
                    retry_after: BUSY_RETRY,
                }
            }
            StoreError::Closed => Self::Unavailable {
                detail: "shutting down".to_owned(),
                retry_after: BUSY_RETRY,
            },
            StoreError::Import { .. } => Self::field("", error.to_string()),
            _ => Self::internal(&error),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(e) => e.into(),
            ImportError::Source(_) => Self::Malformed(error.to_string()),
            ImportError::Line { .. } => Self::field("", error.to_string()),
        }
    }
}

impl From<ApprovalError> for ApiError {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::NoSuch => Self::NotFound("approval"),
            ApprovalError::Settled(_) => Self::Conflict(error.to_string()),
            ApprovalError::Store(error) => error.into(),
        }
    }
}

impl From<RepoError> for ApiError {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::NotFound => Self::NotFound("repository"),
            RepoError::NoSuchProposal => Self::NotFound("proposal"),
            RepoError::NotReady(_) | RepoError::Decided(_) => Self::Conflict(error.to_string()),
            RepoError::Unsaved(ref unsaved) => Self::Unpublished {
                detail: error.to_string(),
                repos: unsaved.iter().map(UnpublishedObject::of).collect(),
            },
            RepoError::Deciding | RepoError::Ending => Self::busy(error.to_string()),
            RepoError::Store(error) => error.into(),
            RepoError::Git(error) => error.into(),
        }
    }
}

impl From<GitError> for ApiError {
    fn from(error: GitError) -> Self {
        let detail = error.to_string();
        match error {
            GitError::NotFound(Missing::Repository) => Self::NotFound("repository"),
            GitError::NotFound(Missing::Path) => Self::NotFound("file or folder"),
            GitError::NotFound(Missing::Folder) => Self::NotFound("folder"),
            GitError::NotFound(Missing::Branch) => Self::NotFound("branch"),
            GitError::NotFound(Missing::Commit) => Self::NotFound("commit"),
            GitError::NotFound(Missing::Remote) => Self::Remote(detail),
            GitError::Conflict { paths, .. } => Self::ConflictOn { detail, paths },
            GitError::Busy(_) | GitError::Timeout(_) | GitError::Broken => Self::busy(detail),
            GitError::TooLarge { .. } => Self::TooLong(detail),
            GitError::Path(_) => Self::field("path", detail),
            GitError::Ref(_) => Self::field("ref", detail),
            GitError::Url(_) | GitError::Blocked(_) => Self::field("repo_url", detail),
            GitError::Cancelled | GitError::Rejected { .. } | GitError::NoSuchBranch { .. } | GitError::Unusable(_) => {
                Self::Conflict(detail)
            }
            GitError::Unauthorized { .. } | GitError::Forbidden { .. } => Self::RemoteCredentials(detail),
            GitError::HostKey { .. } | GitError::NotAGitServer { .. } | GitError::Unreachable { .. } => {
                Self::Remote(detail)
            }
            GitError::Io { ref source, .. } if is_full(source) => {
                tracing::error!(%error, "nothing can be written to a repository");
                Self::StorageFull
            }
            GitError::Git(_) | GitError::Io { .. } => Self::internal(&error),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn summary(errors: &[FieldError]) -> String {
    let first = errors.first().map(|e| match e.field.as_str() {
        "" => e.message.clone(),
        field => format!("{field}: {}", e.message),
    });
    first.unwrap_or_else(|| "a value is not valid".to_owned())
}

impl ApiError {
    /// One invalid field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.into(),
            message: message.into(),
        }])
    }

    /// Not now, but soon.
    pub(super) fn busy(detail: String) -> Self {
        Self::Unavailable {
            detail,
            retry_after: BUSY_RETRY,
        }
    }

    /// A fault of ours: logged here with its cause, shown without.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            chain.push_str(": ");
            chain.push_str(&source.to_string());
            next = source.source();
        }
        tracing::error!(error = %chain, "request failed");
        Self::Internal
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.parts().0
    }

    /// Status, slug and title.
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "Malformed request"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized", "Login needed"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::NotAcceptable(_) => (StatusCode::NOT_ACCEPTABLE, "not-acceptable", "Not acceptable"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "Request timed out"),
            Self::Conflict(_) | Self::ConflictOn { .. } => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::Unpublished { .. } => (StatusCode::CONFLICT, "unpublished", "Something would be lost"),
            Self::PreconditionFailed(_) => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "Precondition failed",
            ),
            Self::TooLarge { .. } | Self::TooLong(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::UnsupportedMedia(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
            ),
            Self::Misdirected(_) => (StatusCode::MISDIRECTED_REQUEST, "unknown-host", "Unknown host"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid values"),
            Self::UpgradeRequired => (StatusCode::UPGRADE_REQUIRED, "upgrade-required", "WebSocket needed"),
            Self::PreconditionRequired(_) => (
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "Precondition required",
            ),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Remote(_) => (StatusCode::BAD_GATEWAY, "remote-failed", "The git remote failed"),
            Self::RemoteCredentials(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "remote-credentials",
                "The git remote wants other credentials",
            ),
            Self::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now"),
            Self::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage-full", "Storage full"),
            Self::Other(status) => (*status, "refused", status.canonical_reason().unwrap_or("Refused")),
        }
    }

    /// When a client may come again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after, .. } | Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The problem object, for bodies and frames alike.
    pub fn problem(&self, instance: Option<&str>) -> Problem {
        let (status, slug, title) = self.parts();
        Problem {
            kind: Cow::Owned(format!("urn:mira:problem:{slug}")),
            title: Cow::Borrowed(title),
            status: status.as_u16(),
            detail: Some(self.to_string()),
            instance: instance.map(str::to_owned),
            errors: match self {
                Self::Invalid(errors) => errors.clone(),
                _ => Vec::new(),
            },
            paths: match self {
                Self::ConflictOn { paths, .. } => paths.clone(),
                _ => Vec::new(),
            },
            unpublished: match self {
                Self::Unpublished { repos, .. } => repos.clone(),
                _ => Vec::new(),
            },
        }
    }
}

/// Whole seconds for `Retry-After`, at least one.
pub fn retry_after_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem(None);
        let mut response = (self.status(), Json(&problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds(wait)));
        }
        if self.status() == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"mira\""),
            );
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// The header that carries a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

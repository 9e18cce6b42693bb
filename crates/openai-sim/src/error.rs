//! The error bodies of the API, and what can go wrong with a stream on purpose.
//!
//! Lives here: the refusal type every check returns, and its JSON. Not here: which rule was broken.

use bytes::Bytes;
use serde::Serialize;

/// A refused request: the HTTP status and the fields of `{"error": {...}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{status}: {message}")]
pub struct ApiError {
    /// HTTP status of the answer.
    #[serde(skip)]
    pub status: u16,
    /// For people.
    pub message: String,
    /// The class, e.g. `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which parameter is meant, e.g. `tools[0].name`.
    pub param: Option<String>,
    /// For programs, e.g. `unknown_parameter`.
    pub code: Option<String>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a ApiError,
}

impl ApiError {
    /// A 400 of class `invalid_request_error` without a code.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            kind: "invalid_request_error".to_owned(),
            param: Some(param.into()),
            code: None,
        }
    }

    /// The same refusal with a code.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// The same refusal with another HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same refusal with another class.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    /// The same refusal without naming a parameter.
    #[must_use]
    pub fn no_param(mut self) -> Self {
        self.param = None;
        self
    }

    /// The body, `{"error": {...}}`.
    pub fn body(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        crate::json::push(&mut out, &Envelope { error: self });
        Bytes::from(out)
    }
}

/// Ends a response body without its proper end, so that hyper drops the connection.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is cut here on purpose")]
pub struct Cut;

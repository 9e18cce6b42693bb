//! Refusals: the status codes and texts of Qdrant's `StorageError` as its REST layer answers them.

use serde_json::{Value, json};

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: u16,
    pub words: String,
    /// Answered as plain text: what comes from before the API (the key).
    pub plain: bool,
    pub retry_after_seconds: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(status: u16, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
            plain: false,
            retry_after_seconds: None,
        }
    }

    pub(crate) fn plain(status: u16, words: &str) -> Self {
        Self {
            plain: true,
            ..Self::new(status, words)
        }
    }

    /// A body that is JSON, but not of the documented form.
    pub(crate) fn format(why: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Format error in JSON body: {why}"))
    }

    pub(crate) fn bad_request(why: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Bad request: {why}"))
    }

    pub(crate) fn wrong_input(why: impl std::fmt::Display) -> Self {
        Self::new(400, format!("Wrong input: {why}"))
    }

    pub(crate) fn no_collection(name: &str) -> Self {
        Self::new(404, format!("Not found: Collection `{name}` doesn't exist!"))
    }

    pub(crate) fn full() -> Self {
        Self::new(
            500,
            "Service internal error: No space left on device: WAL buffer size exceeds available disk space",
        )
    }

    pub(crate) fn body(&self) -> Value {
        json!({ "status": { "error": self.words }, "time": 0.0 })
    }
}

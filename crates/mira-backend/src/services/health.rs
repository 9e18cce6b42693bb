//! What is known about the parts Mira leans on. Whoever talks to the model notes how it went; `/health` reads it.

use std::sync::{Mutex, PoisonError};

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It works, or worked when last used.
    Ok,
    /// It failed when last used.
    Degraded,
    /// It cannot be used here.
    Unavailable,
}

impl Condition {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A part's condition and a line about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHealth {
    /// How it is.
    pub condition: Condition,
    /// A line for the owner; no keys, no bodies.
    pub detail: String,
}

/// The model endpoint's health.
#[derive(Debug)]
pub struct ModelHealth(Mutex<PartHealth>);

impl ModelHealth {
    /// Before the first call.
    pub fn new(detail: String) -> Self {
        Self(Mutex::new(PartHealth {
            condition: Condition::Ok,
            detail,
        }))
    }

    /// Notes how a call went.
    pub fn note(&self, condition: Condition, detail: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = PartHealth { condition, detail };
    }

    /// The last thing noted.
    pub fn get(&self) -> PartHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

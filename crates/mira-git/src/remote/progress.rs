//! How far an exchange with a remote is, told through a `watch` channel: who looks sees the latest, who does not look
//! holds nothing up.

use tokio::sync::watch;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Reaching the remote and hearing what it has.
    #[default]
    Connecting,
    /// Objects arrive.
    Receiving,
    /// Differences become objects.
    Resolving,
    /// Files are written.
    CheckingOut,
    /// Objects are sent.
    Sending,
}

impl Stage {
    /// The name clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Receiving => "receiving",
            Self::Resolving => "resolving",
            Self::CheckingOut => "checking_out",
            Self::Sending => "sending",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Objects that have arrived.
    pub received_objects: u64,
    /// Objects there will be; 0 while that is not known.
    pub total_objects: u64,
    /// Bytes that have arrived.
    pub received_bytes: u64,
    /// Of the stage, 0 to 100.
    pub percent: u8,
}

/// `done` of `total` as a percentage.
pub(crate) fn percent(done: u64, total: u64) -> u8 {
    let share = done.saturating_mul(100).checked_div(total).unwrap_or(0);
    u8::try_from(share.min(100)).unwrap_or(100)
}

/// Passes progress on, if anybody wants it.
#[derive(Debug, Clone)]
pub(crate) struct Reporter(Option<watch::Sender<Progress>>);

/// Fewer objects or bytes than these are not worth waking somebody.
const OBJECTS: u64 = 512;
const BYTES: u64 = 256 * 1024;

impl Reporter {
    pub(crate) fn new(listener: Option<watch::Sender<Progress>>) -> Self {
        Self(listener)
    }

    /// Small steps are swallowed.
    pub(crate) fn report(&self, now: Progress) {
        let Some(listener) = &self.0 else {
            return;
        };
        listener.send_if_modified(|told| {
            let tell = now.stage != told.stage
                || now.percent != told.percent
                || now.received_objects.abs_diff(told.received_objects) >= OBJECTS
                || now.received_bytes.abs_diff(told.received_bytes) >= BYTES
                || now.total_objects != told.total_objects;
            if tell {
                *told = now;
            }
            tell
        });
    }
}

//! What the two kinds of connection share: which messages are let through, how many, what each wait is, and who is to
//! blame for an end.

use crate::error::LinkError;
use futures_util::future::BoxFuture;
use rmcp::{
    RoleClient,
    model::{
        ClientNotification, ClientRequest, ErrorCode, ErrorData, JsonRpcError, JsonRpcMessage, RequestId,
        ServerNotification,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The largest message a server may send, in bytes. Lists of tools and pictures are the large ones.
pub(crate) const MOST_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// A message that is too large is passed over up to so many bytes; whoever goes on then has no end of it.
pub(crate) const MOST_SKIPPED_BYTES: usize = 8 * MOST_MESSAGE_BYTES;
/// More messages than this in one second are a flood.
const MOST_IN_A_SECOND: u32 = 1000;

/// What the crate needs of the process it lives in. Cheap to clone.
#[derive(Clone)]
pub struct Hooks {
    /// Runs a task that the process waits for before it ends.
    pub spawn: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
    /// Set when all connections are to end.
    pub stop: CancellationToken,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a server's greeting; the first start of a program may have to fetch it.
    pub greeting: Duration,
    /// For a list of tools.
    pub list: Duration,
    /// Before a server is tried again, the first time; each time after that twice as long.
    pub retry: Duration,
    /// The same at most.
    pub longest_retry: Duration,
    /// For a program to end by itself once nothing more is sent to it.
    pub ending: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            greeting: Duration::from_mins(1),
            list: Duration::from_secs(30),
            retry: Duration::from_secs(1),
            longest_retry: Duration::from_mins(5),
            ending: Duration::from_secs(1),
        }
    }
}

/// A message from a server.
pub(crate) type Received = RxJsonRpcMessage<RoleClient>;
/// A message to a server.
pub(crate) type Sent = TxJsonRpcMessage<RoleClient>;

/// What a message from a server is.
pub(crate) enum Heard {
    /// One that is worth hearing.
    Message(Box<Received>),
    /// One that nobody here needs: progress, a log, a change of what is not read.
    Unneeded,
    /// None at all.
    Nonsense,
}

/// Reads a message.
pub(crate) fn hear(text: &[u8]) -> Heard {
    match serde_json::from_slice::<Received>(text) {
        Ok(message) if is_needed(&message) => Heard::Message(Box::new(message)),
        Ok(_) => Heard::Unneeded,
        Err(_) => Heard::Nonsense,
    }
}

/// The library logs and spawns for each notification it sees; the one that means something here is let through.
fn is_needed(message: &Received) -> bool {
    match message {
        JsonRpcMessage::Notification(inner) => {
            matches!(inner.notification, ServerNotification::ToolListChangedNotification(_))
        }
        JsonRpcMessage::Request(_) | JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => true,
    }
}

/// What stands for an answer that is too large. No server says it: the standard's codes are far from it.
const TOO_LARGE: ErrorCode = ErrorCode(i32::MIN);

/// The answer to a request whose own one is too large.
pub(crate) fn too_large(id: RequestId) -> Received {
    JsonRpcMessage::Error(JsonRpcError::new(Some(id), ErrorData::new(TOO_LARGE, "", None)))
}

/// Whether this is [`too_large`].
pub(crate) fn is_too_large(error: &ErrorData) -> bool {
    error.code == TOO_LARGE
}

/// The request a message answers.
pub(crate) fn answers(message: &Received) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(inner) => Some(&inner.id),
        JsonRpcMessage::Error(inner) => inner.id.as_ref(),
        JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
    }
}

/// What a message to a server is, as far as a connection cares.
pub(crate) enum Purpose {
    /// The greeting.
    Greeting(RequestId),
    /// Any other request.
    Request(RequestId),
    /// The greeting is over.
    Greeted,
    /// Nobody waits for this request any more.
    Cancel(RequestId),
    /// Anything else.
    Other,
}

/// What a message is for.
pub(crate) fn purpose(message: &Sent) -> Purpose {
    match message {
        JsonRpcMessage::Request(inner) => match &inner.request {
            ClientRequest::InitializeRequest(_) => Purpose::Greeting(inner.id.clone()),
            _ => Purpose::Request(inner.id.clone()),
        },
        JsonRpcMessage::Notification(inner) => match &inner.notification {
            ClientNotification::InitializedNotification(_) => Purpose::Greeted,
            ClientNotification::CancelledNotification(cancelled) => match &cancelled.params.request_id {
                Some(id) => Purpose::Cancel(id.clone()),
                None => Purpose::Other,
            },
            _ => Purpose::Other,
        },
        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => Purpose::Other,
    }
}

/// Counts messages.
#[derive(Debug)]
pub(crate) struct Gauge {
    since: Instant,
    count: u32,
}

impl Gauge {
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            count: 0,
        }
    }

    /// Counts one more; an error if they are too many.
    pub fn count(&mut self) -> Result<(), LinkError> {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        self.count += 1;
        if self.count > MOST_IN_A_SECOND {
            return Err(LinkError::Flood(MOST_IN_A_SECOND));
        }
        Ok(())
    }
}

/// Why a connection ended; the first reason stays. Empty where it was closed from this side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blame(Arc<Mutex<Option<String>>>);

impl Blame {
    pub fn set(&self, error: &LinkError) {
        if matches!(error, LinkError::Closed) {
            return;
        }
        let mut reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason.get_or_insert_with(|| error.to_string());
    }

    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

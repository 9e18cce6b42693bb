//! What clients are told of a turn: its events, its stages, how it ended and why it failed.

use crate::{
    approval::Approval,
    chat::Message,
    citation::Citation,
    ids::{ClientId, ToolCallId},
    memory::{Degraded, Recalled},
    model::Head,
    tool::ToolCall,
};

/// What a turn is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the turn before it.
    Queued,
    /// Looking for memories.
    Recalling,
    /// The model is at work.
    Thinking,
    /// A tool is at work.
    Tool,
    /// Old messages are being summarised.
    Summarizing,
}

impl Stage {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Recalling => "recalling",
            Self::Thinking => "thinking",
            Self::Tool => "tool",
            Self::Summarizing => "summarizing",
        }
    }
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is whole.
    Complete,
    /// The owner stopped it.
    Stopped,
    /// A partial reply was kept.
    Interrupted,
    /// There is no reply.
    Failed,
}

impl Outcome {
    /// The name in rows and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// Why a turn failed, in kinds that a client can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The provider refuses the key.
    ModelAuth,
    /// The provider does not offer the model.
    ModelNotFound,
    /// Too many requests at the provider.
    RateLimited,
    /// The provider's quota is used up.
    QuotaExceeded,
    /// The prompt is too long for the model.
    ContextTooLong,
    /// The provider refused to answer.
    Refused,
    /// The provider rejected the request.
    ModelRejected,
    /// The provider is down or cannot be reached.
    ModelUnavailable,
    /// The provider fell silent.
    ModelTimeout,
    /// The provider's stream broke off.
    ModelCutOff,
    /// The provider sent nothing that could be used.
    ModelNonsense,
    /// The day's token budget is used up.
    BudgetExceeded,
    /// The database could not store it.
    Storage,
    /// Mira is being shut down.
    ShuttingDown,
    /// A fault inside Mira.
    Internal,
}

/// A failure of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// One sentence for the owner, without secrets.
    pub detail: String,
    /// Whether the same turn may work when tried again.
    pub retryable: bool,
}

/// An event of a turn as clients are told. Wire names and fields are given to it at the edge.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnEvent {
    /// The owner's message is stored.
    Message {
        /// The message.
        message: Box<Message>,
        /// The client's own name for it.
        client_id: Option<ClientId>,
    },
    /// What she is busy with.
    Status {
        /// The stage.
        stage: Stage,
        /// More about it.
        detail: Option<String>,
    },
    /// What came up from memory for this turn and stands in its prompt.
    Recall {
        /// Best first.
        memories: Vec<Recalled>,
        /// Why recall was not whole.
        degraded: Option<Degraded>,
    },
    /// Overlay and mood of the reply that follows.
    Persona {
        /// Overlay, mood and its cause.
        head: Head,
        /// Whether the owner pinned the overlay.
        pinned: bool,
    },
    /// Text to append to the reply.
    Chunk(String),
    /// A tool is called.
    ToolCall(Box<ToolCall>),
    /// A picture can be looked at while a call draws it.
    Sketch {
        /// The call.
        call: ToolCallId,
        /// Its tool.
        tool: String,
        /// The number of the sketch, from 1; a later one takes its place.
        n: u32,
    },
    /// A call waits for the owner's word. It was called before.
    Approval(Box<Approval>),
    /// What came of a call.
    ToolResult(Box<ToolCall>),
    /// The reply points at a source.
    Citation(Box<Citation>),
    /// The stored reply.
    Complete(Box<Message>),
    /// The turn failed; with the partial reply if one was kept.
    Error {
        /// Why.
        failure: Failure,
        /// The partial reply as stored.
        message: Option<Box<Message>>,
    },
    /// The end.
    Done(Outcome),
}

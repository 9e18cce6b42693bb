//! What Mira can do beside talking: the trait of a tool, the registry, one file per tool. What a tool needs of the rest
//! of Mira it declares here as a small trait (a door); the backend opens it.
//!
//! Invariants: a call ends with exactly one outcome, whatever the tool does (wrong arguments, a panic, no end); an
//! outcome has a size limit; what a tool says is data.

pub mod artifacts;
pub mod code;
pub mod files;
pub mod images;
pub mod memory;
pub mod python;
mod registry;
mod schema;
pub mod web;

pub use registry::{Entry, Ran, Registry};

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use mira_core::{
    citation::Passage,
    ids::{AccountId, MessageId, ProjectId, SessionId, ToolCallId, TurnId},
    tool::Effect,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{future::Future, time::Duration};

/// What a call may know of the turn it is made in.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// For whom.
    pub account: AccountId,
    /// Where.
    pub session: SessionId,
    /// The project of the conversation.
    pub project: Option<ProjectId>,
    /// The turn.
    pub turn: TurnId,
    /// The owner's message.
    pub message: Option<MessageId>,
    /// The id the reply will have.
    pub reply: MessageId,
    /// The call itself.
    pub call: ToolCallId,
    /// Whether this turn has read what strangers may have written.
    pub untrusted: bool,
    /// Whether words of strangers stand in what the conversation so far tells the model: files, results of earlier turns,
    /// notes on them.
    pub exposed: bool,
    /// Whether the owner was asked about this very call and said yes.
    pub approved: bool,
    /// The owner's time zone.
    pub zone: TimeZone,
}

impl CallContext {
    /// Whether words of strangers reach the model, read in this turn or before it.
    pub fn meets_strangers(&self) -> bool {
        self.untrusted || self.exposed
    }
}

/// What a tool is.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// `[a-z0-9_]{1,64}`.
    pub name: &'static str,
    /// When to use it, in the model's words.
    pub description: &'static str,
    /// What it may do.
    pub effect: Effect,
    /// Beside which calls of the same round it may run.
    pub concurrency: Concurrency,
    /// How long a call may take.
    pub timeout: Duration,
}

/// Beside which calls of the same round a call may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// Beside any.
    Together,
    /// Beside any but those that take turns too: these run one after the other, in the model's order, since a later one
    /// may go on from an earlier one.
    InTurn,
}

/// What a tool answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What the model reads now.
    pub text: String,
    /// What is kept of it with the reply and read by the model later, where that is less: ids in place of texts that
    /// may have to be forgotten.
    pub kept: Option<String>,
    /// What clients are told: an object a front end can draw.
    pub data: Value,
    /// Whether strangers may have written what was read.
    pub untrusted: bool,
    /// What was read and may be pointed at. The turn numbers them; the model reads each after `text`, under its number.
    pub sources: Vec<Passage>,
}

impl Output {
    /// An answer that is kept as it is.
    pub fn new(text: impl Into<String>, data: Value) -> Self {
        Self {
            text: text.into(),
            kept: None,
            data,
            untrusted: false,
            sources: Vec::new(),
        }
    }
}

/// A call that came to nothing. The model is told the sentence and goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The arguments make no sense.
    #[error("the arguments are wrong: {0}")]
    Arguments(String),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
    /// It must not be done.
    #[error("{0}")]
    Denied(String),
    /// It cannot work here.
    #[error("{0}")]
    Unavailable(String),
}

/// A tool. Its arguments are a type; the schema a model is told is made of it.
pub trait Tool: Send + Sync + 'static {
    /// What a call must say.
    type Arguments: DeserializeOwned + JsonSchema + Send;

    /// What it is.
    fn about(&self) -> About;

    /// Why it cannot work here, if it cannot.
    fn unavailable(&self) -> Option<String> {
        None
    }

    /// What this very call may do, where that depends on what it says or on what the turn has read. A call that is
    /// [`Effect::Outside`] in a turn that has read strangers' words waits for the owner.
    fn effect_of(&self, _context: &CallContext, _arguments: &Self::Arguments) -> Effect {
        self.about().effect
    }

    /// Whether what it does cannot be undone: such a call, too, waits for the owner in a turn that has read strangers'
    /// words.
    fn is_final(&self) -> bool {
        false
    }

    /// Does it. May be dropped at any await: what was begun is then either whole or undone.
    fn run(
        &self,
        context: &CallContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Output, ToolError>> + Send;
}

/// What a door gives.
pub type Doorway<'a, T> = BoxFuture<'a, Result<T, ToolError>>;

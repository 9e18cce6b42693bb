//! Tools in a turn: what is offered to a model, what it asks for, what came of it. Running them is the backend's
//! business; what a tool does is the tool's.

use crate::{budget::estimate_tokens, ids::ToolCallId, model::Picture};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What a tool may do, at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It only looks.
    Read,
    /// It changes what Mira keeps for the owner.
    Write,
    /// It reaches beyond Mira: the network, another program.
    Outside,
}

impl Effect {
    /// The name on the wire and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Outside => "outside",
        }
    }
}

/// A tool as a model is told of it. The bytes stay the same from turn to turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolOffer {
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub name: Arc<str>,
    /// When to use it, in the model's words.
    pub description: Arc<str>,
    /// The JSON Schema of its arguments, in the strict form: every object closed, every property required, optional
    /// ones nullable.
    pub parameters: Arc<str>,
    /// What telling of it costs, counted once.
    tokens: usize,
}

impl ToolOffer {
    /// A tool of this name, with what it is for and the schema of its arguments.
    pub fn new(name: impl Into<Arc<str>>, description: impl Into<Arc<str>>, parameters: impl Into<Arc<str>>) -> Self {
        let (name, description, parameters) = (name.into(), description.into(), parameters.into());
        let told = [&name, &description, &parameters];
        Self {
            tokens: told.map(|text| estimate_tokens(text)).iter().sum::<usize>() + 8,
            name,
            description,
            parameters,
        }
    }

    /// Estimated tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

/// A call as a model asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedCall {
    /// The provider's name for the call; its output is sent back under it.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// The arguments as they were written: JSON, if the model kept to it.
    pub arguments: String,
}

/// What a model asks for in place of an end: calls whose outputs it waits for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AskedCalls {
    /// At least one, in the model's order.
    pub calls: Vec<AskedCall>,
    /// Items of the provider's (JSON) that must go back unchanged before the outputs, the calls among them; empty where
    /// the API has no such thing.
    pub carry: Vec<Arc<str>>,
    /// The model that answered, as it names itself.
    pub model: String,
    /// Tokens spent.
    pub usage: crate::chat::Usage,
}

/// A round of calls that is over: the model is asked again with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// What she said before the calls; mostly nothing.
    pub said: String,
    /// What was asked.
    pub asked: AskedCalls,
    /// What came of each call, in their order, as the model reads it.
    pub outputs: Vec<String>,
    /// What the calls brought to look at, in their order.
    pub pictures: Vec<Picture>,
}

/// A call of an earlier reply as the model sees it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCall {
    /// Mira's own name for it.
    pub id: ToolCallId,
    /// The tool.
    pub name: String,
    /// The arguments: JSON.
    pub arguments: String,
    /// What came of it.
    pub output: String,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// It did what was asked.
    Ok,
    /// It could not.
    Failed,
    /// It was not allowed.
    Denied,
    /// There is no such tool here, or it cannot work here.
    Unavailable,
}

impl CallStatus {
    /// The name on the wire and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Said of a call that changes something and whose end nobody saw.
pub const UNCERTAIN: &str = "whether it took effect is not known";

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallOutcome {
    /// How it ended.
    pub status: CallStatus,
    /// What the model is told.
    pub output: String,
    /// What clients are told: an object a front end can draw.
    pub data: Value,
    /// Whether what was read may have been written by strangers.
    #[serde(default)]
    pub untrusted: bool,
}

impl CallOutcome {
    /// A call that came to nothing; model and clients read the same sentence.
    pub fn unsuccessful(status: CallStatus, why: impl Into<String>) -> Self {
        let why = why.into();
        Self {
            status,
            data: serde_json::json!({ "error": why }),
            output: why,
            untrusted: false,
        }
    }
}

/// A call of a turn as clients see it and rows keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Its id.
    pub id: ToolCallId,
    /// The tool.
    pub tool: String,
    /// The arguments as they were written: JSON, if the model kept to it.
    pub arguments: String,
    /// What it may do.
    pub effect: Effect,
    /// What came of it; nothing while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CallOutcome>,
}

impl ToolCall {
    /// A call whose end nobody saw. What it had read by then may have been heard all the same: a provider's own tool
    /// reads within the answer.
    pub fn cut_off(&self, why: &str) -> CallOutcome {
        let why = match self.effect {
            Effect::Read => why.to_owned(),
            Effect::Write | Effect::Outside => format!("{why}; {UNCERTAIN}"),
        };
        CallOutcome {
            untrusted: self.effect != Effect::Write,
            ..CallOutcome::unsuccessful(CallStatus::Failed, why)
        }
    }

    /// Takes every word out of it: that this tool was called, and how it ended, is left.
    pub fn empty(&mut self) {
        "{}".clone_into(&mut self.arguments);
        if let Some(outcome) = &mut self.outcome {
            outcome.output.clear();
            outcome.data = Value::Object(serde_json::Map::new());
        }
    }

    /// The arguments as clients are shown them: the JSON value, or the text where it is none.
    pub fn shown_arguments(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| Value::String(self.arguments.clone()))
    }
}

//! A planned answer: what the emulated model says, and everything that goes wrong on the way.
//!
//! Lives here: plain descriptions a test builds. Not here: how they become bytes (`responses`, `chat`, `player`).

use std::time::Duration;

use serde_json::Value;

use crate::gate::Gate;
use crate::hosted::{Cite, HostedCall};

/// The structured reply of a model, fitted to whatever schema the request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The overlay she speaks as.
    pub persona: String,
    /// Her mood.
    pub mood: String,
    /// Why she is in it.
    pub mood_cause: Option<String>,
    /// The words of the reply.
    pub output: String,
    /// What the owner wanted.
    pub intent: String,
    /// How the owner seems to feel.
    pub owner_mood: String,
    /// Subjects.
    pub tags: Vec<String>,
    /// How much the exchange matters, 0 to 1.
    pub salience: f64,
    /// What to remember: an array of notes, or whatever a test wants to send.
    pub remember: Value,
    /// Values for further keys a schema may have.
    pub more: serde_json::Map<String, Value>,
}

impl Reply {
    /// A reply with these words and quiet defaults around them.
    pub fn new(output: impl Into<String>) -> Self {
        Self {
            persona: "default".to_owned(),
            mood: "playful".to_owned(),
            mood_cause: None,
            output: output.into(),
            intent: "chat".to_owned(),
            owner_mood: "neutral".to_owned(),
            tags: vec!["chat".to_owned()],
            salience: 0.3,
            remember: Value::Array(Vec::new()),
            more: serde_json::Map::new(),
        }
    }

    /// The same reply spoken as this overlay.
    #[must_use]
    pub fn persona(mut self, persona: impl Into<String>) -> Self {
        self.persona = persona.into();
        self
    }

    /// The same reply with one thing more to remember. `replaces` is the number of a memory in the prompt.
    #[must_use]
    pub fn remember(mut self, about: &str, topic: &str, text: &str, replaces: Option<u32>) -> Self {
        let added = note(about, topic, text, replaces);
        match &mut self.remember {
            Value::Array(notes) => notes.push(added),
            other => *other = Value::Array(vec![added]),
        }
        self
    }

    /// The same reply in this mood, with its cause.
    #[must_use]
    pub fn mood(mut self, mood: impl Into<String>, cause: Option<&str>) -> Self {
        self.mood = mood.into();
        self.mood_cause = cause.map(str::to_owned);
        self
    }
}

/// One entry of a reply's `remember`.
pub(crate) fn note(about: &str, topic: &str, text: &str, replaces: Option<u32>) -> Value {
    serde_json::json!({ "about": about, "topic": topic, "text": text, "replaces": replaces })
}

/// One function call of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the function.
    pub name: String,
    /// Arguments, as JSON text (sent as it is, also when it is no JSON).
    pub arguments: String,
    /// The call's id; made up when `None`.
    pub call_id: Option<String>,
}

impl Call {
    /// A call of `name` with these arguments.
    pub fn new(name: impl Into<String>, arguments: &Value) -> Self {
        Self {
            name: name.into(),
            arguments: arguments.to_string(),
            call_id: None,
        }
    }
}

/// What the model answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The structured reply, fitted to the asked schema; only its words where no schema is asked.
    Structured(Box<Reply>),
    /// This text as it is, schema or not; as the arguments where a function is forced.
    Text(String),
    /// Refuses with these words (a `refusal` part).
    Refusal(String),
    /// Nothing but the calls of the plan.
    Nothing,
}

/// How an answer that began well ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ending {
    /// Properly.
    #[default]
    Completed,
    /// `response.incomplete` (`length`/`content_filter` on chat) with this reason.
    Incomplete(String),
    /// `response.failed` with this error.
    Failed {
        /// Error code, e.g. `server_error`.
        code: String,
        /// Error message.
        message: String,
    },
    /// A top-level `error` event, its fields flat as documented.
    ErrorFlat,
    /// A top-level `error` event, its fields under `error` as also seen.
    ErrorNested,
}

/// How the connection misbehaves. Counts are server-sent events from the start of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Ends the body properly after so many events, without the terminal event.
    Close(usize),
    /// Drops the connection after so many events.
    Cut(usize),
    /// Drops the connection in the middle of the event after so many events.
    CutInside(usize),
    /// Sends nothing more after so many events, forever.
    Stall(usize),
    /// Puts a line that is neither UTF-8 nor JSON after so many events, then goes on.
    Garbage(usize),
}

/// How the bytes of a stream are cut into writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// One write per event.
    #[default]
    Events,
    /// A write every so many bytes, wherever that falls (in a character, between the newlines of an event).
    Every(usize),
    /// Writes of 1 to 40 bytes from a seeded sequence.
    Random(u64),
}

/// An HTTP error instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFault {
    /// HTTP status.
    pub status: u16,
    /// `error.code`.
    pub code: Option<String>,
    /// `error.type`.
    pub kind: String,
    /// `error.message`.
    pub message: String,
    /// `retry-after`, in seconds, or whatever text is wished.
    pub retry_after: Option<String>,
    /// `retry-after-ms`.
    pub retry_after_ms: Option<u64>,
    /// Answers an HTML page as a proxy does.
    pub html: bool,
}

impl HttpFault {
    /// The error OpenAI gives with this status.
    pub fn new(status: u16) -> Self {
        let (kind, code, message) = match status {
            401 => (
                "invalid_request_error",
                Some("invalid_api_key"),
                "Incorrect API key provided.",
            ),
            429 => (
                "requests",
                Some("rate_limit_exceeded"),
                "Rate limit reached. Please try again later.",
            ),
            400..=499 => ("invalid_request_error", None, "The request was refused."),
            503 => (
                "server_error",
                Some("overloaded"),
                "The engine is currently overloaded, please try again later.",
            ),
            _ => (
                "server_error",
                Some("server_error"),
                "The server had an error while processing your request.",
            ),
        };
        Self {
            status,
            code: code.map(str::to_owned),
            kind: kind.to_owned(),
            message: message.to_owned(),
            retry_after: None,
            retry_after_ms: None,
            html: false,
        }
    }
}

/// Which requests may take a plan from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// `/responses` and `/chat/completions`.
    #[default]
    Model,
    /// `/embeddings` (only the HTTP error and the delay of the plan matter).
    Embeddings,
    /// `/models` (likewise).
    Models,
    /// `/files`, `/vector_stores` and `/containers` (likewise; what is asked for is done all the same: its answer is
    /// held back or lost).
    Files,
    /// `/images/generations` (likewise).
    Images,
}

/// One upstream answer. Build it from [`Plan::reply`] and its kin and add what should go wrong.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is said.
    pub answer: Answer,
    /// Function calls after it. Several rounds are several plans.
    pub calls: Vec<Call>,
    /// Calls of the server's own tools before it.
    pub hosted: Vec<HostedCall>,
    /// What its words point at.
    pub cites: Vec<Cite>,
    /// A reasoning item first, with this summary (sent where the request asks for summaries).
    pub reasoning: Option<String>,
    /// How it ends.
    pub ending: Ending,
    /// After how many tokens of the answer an ending other than `Completed` comes; half of them when `None`.
    pub ending_after: Option<usize>,
    /// An HTTP error instead of all this.
    pub http: Option<HttpFault>,
    /// What the connection does.
    pub fault: Option<Fault>,
    /// Mixes in events, items and fields nobody knows.
    pub unknown: bool,
    /// How the bytes are cut.
    pub split: Split,
    /// Wait before the HTTP answer.
    pub headers_delay: Duration,
    /// Wait before the first token; the configuration's when `None`.
    pub first_token_delay: Option<Duration>,
    /// Time between tokens; the configuration's when `None`.
    pub token_interval: Option<Duration>,
    /// Holds the stream.
    pub gate: Option<Gate>,
    /// Who may take it.
    pub target: Target,
    /// Only a request whose last user message contains this may take it.
    pub only_for: Option<String>,
}

impl Plan {
    fn with(answer: Answer) -> Self {
        Self {
            answer,
            calls: Vec::new(),
            hosted: Vec::new(),
            cites: Vec::new(),
            reasoning: None,
            ending: Ending::default(),
            ending_after: None,
            http: None,
            fault: None,
            unknown: false,
            split: Split::default(),
            headers_delay: Duration::ZERO,
            first_token_delay: None,
            token_interval: None,
            gate: None,
            target: Target::default(),
            only_for: None,
        }
    }

    /// A structured reply.
    pub fn structured(reply: Reply) -> Self {
        Self::with(Answer::Structured(Box::new(reply)))
    }

    /// A structured reply with these words and defaults around them.
    pub fn reply(output: impl Into<String>) -> Self {
        Self::structured(Reply::new(output))
    }

    /// Text as it is, whatever schema was asked.
    pub fn text(text: impl Into<String>) -> Self {
        Self::with(Answer::Text(text.into()))
    }

    /// A refusal.
    pub fn refusal(words: impl Into<String>) -> Self {
        Self::with(Answer::Refusal(words.into()))
    }

    /// Function calls and nothing else.
    pub fn calls(calls: impl IntoIterator<Item = Call>) -> Self {
        let mut plan = Self::with(Answer::Nothing);
        plan.calls = calls.into_iter().collect();
        plan
    }

    /// An HTTP error with the body OpenAI gives for it.
    pub fn status(status: u16) -> Self {
        Self::http(HttpFault::new(status))
    }

    /// An HTTP error.
    pub fn http(fault: HttpFault) -> Self {
        let mut plan = Self::with(Answer::Nothing);
        plan.http = Some(fault);
        plan
    }

    /// The same error with `retry-after`: seconds, or a date.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        if let Some(http) = &mut self.http {
            http.retry_after = Some(value.into());
        }
        self
    }

    /// The same error with `retry-after-ms`.
    #[must_use]
    pub fn retry_after_ms(mut self, milliseconds: u64) -> Self {
        if let Some(http) = &mut self.http {
            http.retry_after_ms = Some(milliseconds);
        }
        self
    }

    /// The same error as an HTML page.
    #[must_use]
    pub fn html(mut self) -> Self {
        if let Some(http) = &mut self.http {
            http.html = true;
        }
        self
    }

    /// The same answer after a reasoning item.
    #[must_use]
    pub fn reasoning(mut self, summary: impl Into<String>) -> Self {
        self.reasoning = Some(summary.into());
        self
    }

    /// The same answer followed by function calls.
    #[must_use]
    pub fn then_calls(mut self, calls: impl IntoIterator<Item = Call>) -> Self {
        self.calls.extend(calls);
        self
    }

    /// The same answer after calls of the server's own tools.
    #[must_use]
    pub fn hosted(mut self, calls: impl IntoIterator<Item = HostedCall>) -> Self {
        self.hosted.extend(calls);
        self
    }

    /// The same answer pointing at sources.
    #[must_use]
    pub fn cites(mut self, cites: impl IntoIterator<Item = Cite>) -> Self {
        self.cites.extend(cites);
        self
    }

    /// The same answer with this ending, after so many tokens (half of them when `None`).
    #[must_use]
    pub fn ending(mut self, ending: Ending, after: Option<usize>) -> Self {
        self.ending = ending;
        self.ending_after = after;
        self
    }

    /// The same answer cut short: `max_output_tokens` or `content_filter`.
    #[must_use]
    pub fn incomplete(self, reason: &str) -> Self {
        self.ending(Ending::Incomplete(reason.to_owned()), None)
    }

    /// The same answer ending in `response.failed`.
    #[must_use]
    pub fn failed(self, code: &str, message: &str) -> Self {
        self.ending(
            Ending::Failed {
                code: code.to_owned(),
                message: message.to_owned(),
            },
            None,
        )
    }

    /// The same answer over a connection with this fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The same answer with unknown events, items and fields mixed in.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.unknown = true;
        self
    }

    /// The same answer with its bytes cut so.
    #[must_use]
    pub fn split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }

    /// The same answer held by this gate.
    #[must_use]
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The same answer, its HTTP head only after this time.
    #[must_use]
    pub fn headers_after(mut self, delay: Duration) -> Self {
        self.headers_delay = delay;
        self
    }

    /// The same answer with this pace: time to the first token, time between tokens.
    #[must_use]
    pub fn pace(mut self, first: Duration, interval: Duration) -> Self {
        self.first_token_delay = Some(first);
        self.token_interval = Some(interval);
        self
    }

    /// The same answer for the embeddings or models endpoint.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// The same answer, only for a request whose last user message contains `words`.
    #[must_use]
    pub fn only_for(mut self, words: impl Into<String>) -> Self {
        self.only_for = Some(words.into());
        self
    }
}

/// A queue of planned replies.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Taken in order by the requests they fit.
    pub plans: Vec<Plan>,
    /// What follows when none fits.
    pub then: Then,
}

impl Script {
    /// These replies, and an error to every further request.
    pub fn new(plans: impl IntoIterator<Item = Plan>) -> Self {
        Self {
            plans: plans.into_iter().collect(),
            then: Then::Fail,
        }
    }
}

/// What a script does when its replies are used up.
#[derive(Debug, Clone, Default)]
pub enum Then {
    /// A 500 with code `script_exhausted`: an unplanned request is a finding.
    #[default]
    Fail,
    /// This reply, again and again.
    Repeat(Box<Plan>),
    /// The rehearsal's replies.
    Rehearse,
}

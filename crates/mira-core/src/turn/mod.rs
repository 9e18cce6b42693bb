//! One turn as a machine that never waits: model events and interruptions go in, events for clients and the reply to
//! store come out. The driver (the backend's chat service) does the waiting.
//!
//! Invariants: exactly one ending; the order of events obeys [`laws`]; text that was shown is in the draft that is
//! stored; an error is never her words.

pub mod laws;

use crate::{
    chat::{Message, MessageStatus, Mood, ReplyMeta, Usage},
    ids::{ClientId, MessageId, ToolCallId, TurnId},
    memory::{Degraded, Recalled},
    model::{Ending, Finished, Head, ModelEvent},
    persona::PersonaName,
    tool::{AskedCalls, CallOutcome, ToolCall},
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
    /// What came of a call.
    ToolResult(Box<ToolCall>),
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

/// A reply ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its text, not empty.
    pub content: String,
    /// What it says about itself.
    pub meta: ReplyMeta,
    /// Whole, stopped or interrupted.
    pub status: MessageStatus,
    /// The model that wrote it, if known.
    pub model: Option<String>,
    /// Tokens spent.
    pub usage: Option<Usage>,
    /// The tools called, each with its outcome.
    pub calls: Vec<ToolCall>,
}

/// What the driver does after an event of the model.
#[derive(Debug)]
pub enum Step {
    /// It goes on listening.
    Listen,
    /// It runs tools, then asks the model again.
    Call(Box<AskedCalls>),
    /// The talking is over.
    End(Box<End>),
}

/// The end of a turn's talking; the driver stores the draft and tells the clients.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// What to store.
    pub draft: Option<Draft>,
    /// What to tell beside it.
    pub failure: Option<Failure>,
    /// The last word.
    pub outcome: Outcome,
}

/// Why a turn is cut off from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// The owner pressed stop.
    Stop,
    /// Something failed.
    Failure(Failure),
}

/// A turn from the moment the model is asked until its end.
#[derive(Debug)]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// The reply's preallocated id.
    pub reply_id: MessageId,
    /// The overlay that wins over whatever the model names: the owner's pin, or the one asked for this turn.
    forced: Option<PersonaName>,
    pinned: bool,
    fallback: ReplyMeta,
    head: Option<Head>,
    text: String,
    /// Where the text of the present call of the model begins.
    round_from: usize,
    /// Tokens of the calls of the model that are over.
    usage: Usage,
    calls: Vec<ToolCall>,
    thinking_told: bool,
    stored_to: usize,
}

impl Turn {
    /// A turn whose reply falls back to `fallback` for what the model does not say; `forced` overrides its overlay.
    pub fn new(
        id: TurnId,
        reply_id: MessageId,
        forced: Option<PersonaName>,
        pinned: bool,
        mut fallback: ReplyMeta,
    ) -> Self {
        if let Some(name) = &forced {
            fallback.persona = name.clone();
        }
        Self {
            id,
            reply_id,
            forced,
            pinned,
            fallback,
            head: None,
            text: String::new(),
            round_from: 0,
            usage: Usage::default(),
            calls: Vec::new(),
            thinking_told: false,
            stored_to: 0,
        }
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Overlay and mood, once known.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The mood chunks carry.
    pub fn mood(&self) -> &Mood {
        self.head.as_ref().map_or(&self.fallback.mood, |head| &head.mood)
    }

    /// The overlay chunks carry.
    pub fn persona(&self) -> &PersonaName {
        self.head.as_ref().map_or(&self.fallback.persona, |head| &head.persona)
    }

    /// What no checkpoint has stored yet.
    pub fn unstored(&self) -> Option<&str> {
        self.text.get(self.stored_to..).filter(|part| !part.is_empty())
    }

    /// A checkpoint has stored this many more bytes of the text.
    pub fn mark_stored(&mut self, bytes: usize) {
        self.stored_to = self.stored_to.saturating_add(bytes).min(self.text.len());
    }

    /// The tools called so far.
    pub fn calls(&self) -> &[ToolCall] {
        &self.calls
    }

    /// What was said since the model was last asked; the next call of it begins here.
    pub fn take_round(&mut self) -> String {
        let said = self.text.get(self.round_from..).unwrap_or_default().to_owned();
        self.round_from = self.text.len();
        said
    }

    /// A tool begins its work.
    pub fn begin_call(&mut self, call: ToolCall, out: &mut Vec<TurnEvent>) {
        out.push(TurnEvent::ToolCall(Box::new(call.clone())));
        self.calls.push(call);
    }

    /// A tool is done. A call that is not open has its outcome already.
    pub fn end_call(&mut self, id: ToolCallId, outcome: CallOutcome, out: &mut Vec<TurnEvent>) {
        let open = |call: &&mut ToolCall| call.id == id && call.outcome.is_none();
        if let Some(call) = self.calls.iter_mut().find(open) {
            call.outcome = Some(outcome);
            out.push(TurnEvent::ToolResult(Box::new(call.clone())));
        }
    }

    /// Ends every call that is still open: the turn is cut off.
    pub fn abort_calls(&mut self, why: &str, out: &mut Vec<TurnEvent>) {
        let open = self.calls.iter().filter(|call| call.outcome.is_none());
        let ends: Vec<_> = open.map(|call| (call.id, call.cut_off(why))).collect();
        for (id, outcome) in ends {
            self.end_call(id, outcome, out);
        }
    }

    /// One event of the model; what it means to clients goes to `out`.
    pub fn on_model(&mut self, event: ModelEvent, out: &mut Vec<TurnEvent>) -> Step {
        match event {
            ModelEvent::Thinking => {
                if !std::mem::replace(&mut self.thinking_told, true) {
                    out.push(TurnEvent::Status {
                        stage: Stage::Thinking,
                        detail: None,
                    });
                }
                Step::Listen
            }
            ModelEvent::Head(head) => {
                self.open(head, out);
                Step::Listen
            }
            ModelEvent::Text(text) => {
                self.hear(text, out);
                Step::Listen
            }
            ModelEvent::Calls(asked) => {
                self.usage = self.usage.plus(asked.usage);
                self.thinking_told = false;
                Step::Call(asked)
            }
            ModelEvent::Finished(finished) => Step::End(Box::new(self.finish(*finished))),
        }
    }

    fn hear(&mut self, mut text: String, out: &mut Vec<TurnEvent>) {
        if text.is_empty() {
            return;
        }
        if self.head.is_none() {
            let head = head_of(&self.fallback);
            self.open(head, out);
        }
        // What she says after a tool is a paragraph of its own.
        if self.round_from > 0 && self.round_from == self.text.len() {
            text.insert_str(0, "\n\n");
        }
        self.text.push_str(&text);
        out.push(TurnEvent::Chunk(text));
    }

    fn open(&mut self, mut head: Head, out: &mut Vec<TurnEvent>) {
        if self.head.is_some() {
            return;
        }
        if let Some(name) = &self.forced {
            head.persona = name.clone();
        }
        out.push(TurnEvent::Persona {
            head: head.clone(),
            pinned: self.pinned,
        });
        self.head = Some(head);
    }

    fn finish(&mut self, finished: Finished) -> End {
        let Finished {
            mut meta,
            ending,
            model,
            usage,
        } = finished;
        if let Some(name) = &self.forced {
            meta.persona = name.clone();
        }
        if self.round_from > 0
            && let Some(head) = self.head.take()
        {
            // She spoke before she called a tool: what was shown then stands.
            (meta.persona, meta.mood, meta.mood_cause) = (head.persona, head.mood, head.mood_cause);
        }
        let usage = self.usage.plus(usage);
        let calls = std::mem::take(&mut self.calls);
        if self.text.trim().is_empty() {
            let failure = Failure {
                kind: FailureKind::ModelNonsense,
                detail: match ending {
                    Ending::Whole => "The model sent an empty reply.".to_owned(),
                    Ending::CutShort(reason) => format!("The model stopped before its first word ({reason})."),
                },
                retryable: true,
            };
            return End {
                draft: None,
                failure: Some(failure),
                outcome: Outcome::Failed,
            };
        }
        let (status, failure, outcome) = match ending {
            Ending::Whole => (MessageStatus::Complete, None, Outcome::Complete),
            Ending::CutShort(reason) => {
                let detail = format!("The model stopped early ({reason}). What she had said is kept.");
                let failure = Failure {
                    kind: FailureKind::ModelCutOff,
                    detail,
                    retryable: true,
                };
                (MessageStatus::Interrupted, Some(failure), Outcome::Interrupted)
            }
        };
        let content = std::mem::take(&mut self.text);
        End {
            draft: Some(Draft {
                content,
                meta,
                status,
                model: Some(model),
                usage: Some(usage),
                calls,
            }),
            failure,
            outcome,
        }
    }

    /// Cuts the turn off: whatever was said becomes a well-formed partial reply.
    pub fn interrupt(&mut self, why: Interruption, model: Option<&str>) -> End {
        let mut meta = self.fallback.clone();
        if let Some(head) = self.head.take() {
            meta.persona = head.persona;
            meta.mood = head.mood;
            meta.mood_cause = head.mood_cause;
        }
        let content = std::mem::take(&mut self.text);
        let mut calls = std::mem::take(&mut self.calls);
        for call in calls.iter_mut().filter(|call| call.outcome.is_none()) {
            // Nobody could be told of it; a row keeps no open call.
            call.outcome = Some(call.cut_off("the turn was cut off"));
        }
        let usage = (self.usage != Usage::default()).then_some(self.usage);
        let draft = |status| {
            (!content.trim().is_empty()).then(|| Draft {
                content: content.clone(),
                meta: meta.clone(),
                status,
                model: model.map(str::to_owned),
                usage,
                calls: calls.clone(),
            })
        };
        match why {
            Interruption::Stop => End {
                draft: draft(MessageStatus::Stopped),
                failure: None,
                outcome: Outcome::Stopped,
            },
            Interruption::Failure(failure) => {
                let draft = draft(MessageStatus::Interrupted);
                let outcome = if draft.is_some() {
                    Outcome::Interrupted
                } else {
                    Outcome::Failed
                };
                End {
                    draft,
                    failure: Some(failure),
                    outcome,
                }
            }
        }
    }
}

fn head_of(meta: &ReplyMeta) -> Head {
    Head {
        persona: meta.persona.clone(),
        mood: meta.mood.clone(),
        mood_cause: meta.mood_cause.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::CallStatus;
    use uuid::Uuid;

    fn meta(persona: &str) -> ReplyMeta {
        ReplyMeta {
            persona: persona.parse().unwrap(),
            mood: Mood::from_text("calm").unwrap(),
            mood_cause: None,
            intent: None,
            owner_mood: None,
            tags: vec![],
            salience: None,
            remember: Vec::new(),
        }
    }

    fn turn(forced: Option<&str>) -> Turn {
        let forced = forced.map(|name| name.parse().unwrap());
        Turn::new(
            TurnId(Uuid::nil()),
            MessageId(Uuid::nil()),
            forced,
            false,
            meta("default"),
        )
    }

    fn finished(ending: Ending) -> ModelEvent {
        let usage = Usage::default();
        ModelEvent::Finished(Box::new(Finished {
            meta: meta("haven"),
            ending,
            model: "m".into(),
            usage,
        }))
    }

    /// Runs events and checks the law over all that clients are told.
    fn run(forced: Option<&str>, events: Vec<ModelEvent>) -> (Vec<TurnEvent>, End) {
        let (mut turn, mut out) = (turn(forced), Vec::new());
        for event in events {
            if let Step::End(end) = turn.on_model(event, &mut out) {
                let mut law = laws::Law::default();
                for event in &out {
                    law.check(event).unwrap();
                }
                return (out, *end);
            }
        }
        let end = turn.interrupt(Interruption::Stop, None);
        (out, end)
    }

    #[test]
    fn text_before_a_head_opens_with_the_fallback() {
        let (events, end) = run(None, vec![ModelEvent::Text("hi".into()), finished(Ending::Whole)]);
        assert!(matches!(&events[0], TurnEvent::Persona { head, .. } if head.persona.as_str() == "default"));
        assert_eq!(events[1], TurnEvent::Chunk("hi".into()));
        assert_eq!(end.outcome, Outcome::Complete);
        assert_eq!(end.draft.unwrap().meta.persona.as_str(), "haven");
    }

    #[test]
    fn a_forced_overlay_wins() {
        let head = Head {
            persona: "haven".parse().unwrap(),
            mood: Mood::from_text("soft").unwrap(),
            mood_cause: None,
        };
        let (events, end) = run(
            Some("hallow"),
            vec![
                ModelEvent::Head(head),
                ModelEvent::Text("hi".into()),
                finished(Ending::Whole),
            ],
        );
        assert!(matches!(&events[0], TurnEvent::Persona { head, .. } if head.persona.as_str() == "hallow"));
        assert_eq!(end.draft.unwrap().meta.persona.as_str(), "hallow");
    }

    #[test]
    fn endings() {
        let empty = run(None, vec![finished(Ending::Whole)]).1;
        assert_eq!(
            (empty.outcome, empty.draft.is_none(), empty.failure.is_some()),
            (Outcome::Failed, true, true)
        );
        let short = run(
            None,
            vec![ModelEvent::Text("a".into()), finished(Ending::CutShort("x".into()))],
        )
        .1;
        assert_eq!(
            (short.outcome, short.draft.unwrap().status),
            (Outcome::Interrupted, MessageStatus::Interrupted)
        );
        let stopped = run(None, vec![ModelEvent::Text("a".into())]).1;
        assert_eq!(
            (stopped.outcome, stopped.draft.unwrap().status),
            (Outcome::Stopped, MessageStatus::Stopped)
        );
        assert_eq!(
            run(None, vec![]).1,
            End {
                draft: None,
                failure: None,
                outcome: Outcome::Stopped
            }
        );
    }

    #[test]
    fn checkpoints_take_each_byte_once() {
        let (mut turn, mut out) = (turn(None), Vec::new());
        assert_eq!(turn.unstored(), None);
        for part in ["a", "bé"] {
            turn.on_model(ModelEvent::Text(part.into()), &mut out);
        }
        assert_eq!(turn.unstored(), Some("abé"));
        turn.mark_stored(1);
        assert_eq!(turn.unstored(), Some("bé"));
        turn.mark_stored(100);
        assert_eq!(turn.unstored(), None);
    }

    #[test]
    fn a_tool_in_the_middle_is_part_of_the_reply() {
        let (mut turn, mut out) = (turn(None), Vec::new());
        turn.on_model(ModelEvent::Text("Let me look.".into()), &mut out);
        let asked = AskedCalls {
            usage: Usage {
                input_tokens: 5,
                ..Usage::default()
            },
            ..AskedCalls::default()
        };
        assert!(matches!(
            turn.on_model(ModelEvent::Calls(Box::new(asked)), &mut out),
            Step::Call(_)
        ));
        assert_eq!(turn.take_round(), "Let me look.");
        let call = ToolCall {
            id: ToolCallId(Uuid::nil()),
            tool: "recall".into(),
            arguments: "{}".into(),
            effect: crate::tool::Effect::Read,
            outcome: None,
        };
        turn.begin_call(call.clone(), &mut out);
        turn.begin_call(
            ToolCall {
                id: ToolCallId(Uuid::from_u128(1)),
                ..call.clone()
            },
            &mut out,
        );
        turn.end_call(call.id, CallOutcome::unsuccessful(CallStatus::Denied, "no"), &mut out);
        turn.end_call(
            call.id,
            CallOutcome::unsuccessful(CallStatus::Failed, "again"),
            &mut out,
        );
        turn.abort_calls("cut off", &mut out);
        turn.on_model(ModelEvent::Text("Here.".into()), &mut out);
        let Step::End(end) = turn.on_model(finished(Ending::Whole), &mut out) else {
            panic!("it ends")
        };
        let mut law = laws::Law::default();
        for event in &out {
            law.check(event).unwrap();
        }
        let draft = end.draft.unwrap();
        assert_eq!(draft.content, "Let me look.\n\nHere.");
        assert_eq!(draft.usage.unwrap().input_tokens, 5);
        assert_eq!(draft.meta.persona.as_str(), "default", "what was shown first stands");
        let ended: Vec<_> = draft
            .calls
            .iter()
            .map(|call| call.outcome.as_ref().unwrap().status)
            .collect();
        assert_eq!(ended, [CallStatus::Denied, CallStatus::Failed]);
    }
}

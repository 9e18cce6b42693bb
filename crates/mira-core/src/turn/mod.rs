//! One turn as a machine that never waits: model events and interruptions go in, events for clients and the reply to
//! store come out. The driver (the backend's chat service) does the waiting.
//!
//! Invariants: exactly one ending; the order of events obeys [`laws`]; text that was shown is in the draft that is
//! stored; an error is never her words.

mod event;
pub mod laws;

pub use event::{Failure, FailureKind, Outcome, Stage, TurnEvent};

use crate::{
    approval::Approval,
    chat::{MessageStatus, Mood, ReplyMeta, Usage},
    citation::{Citation, MOST_CITATIONS, Pointers, Source, Sources},
    ids::{MessageId, ToolCallId, TurnId},
    model::{Ending, Finished, Head, HostedEvent, ModelEvent},
    persona::PersonaName,
    tool::{AskedCalls, CallOutcome, CallStatus, Effect, ToolCall},
};

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
    /// The places that point at sources.
    pub citations: Vec<Citation>,
}

/// What the driver does after an event of the model.
#[derive(Debug)]
pub enum Step {
    /// It goes on listening.
    Listen,
    /// It runs tools, then asks the model again.
    Call(Box<AskedCalls>),
    /// It keeps what a tool of the provider's did.
    Hosted(Box<HostedEvent>),
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
    /// Tokens spent where there is no draft to carry them.
    pub usage: Option<Usage>,
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
    sources: Sources,
    pointers: Pointers,
    citations: Vec<Citation>,
    /// Where the text of the present call of the model begins, in code points.
    said_from: u32,
    thinking_told: bool,
    stored_to: usize,
    stored_citations: usize,
}

/// What no checkpoint has stored yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unstored<'a> {
    /// Of the text.
    pub text: &'a str,
    /// Of the places that point at sources.
    pub citations: &'a [Citation],
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
            sources: Sources::default(),
            pointers: Pointers::default(),
            citations: Vec::new(),
            said_from: 0,
            thinking_told: false,
            stored_to: 0,
            stored_citations: 0,
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

    /// What no checkpoint has stored yet, if there is anything.
    pub fn unstored(&self) -> Option<Unstored<'_>> {
        let text = self.text.get(self.stored_to..).unwrap_or_default();
        let citations = self.citations.get(self.stored_citations..).unwrap_or_default();
        (!text.is_empty() || !citations.is_empty()).then_some(Unstored { text, citations })
    }

    /// A checkpoint has stored this many more bytes of the text, and so many more citations.
    pub fn mark_stored(&mut self, bytes: usize, citations: usize) {
        self.stored_to = self.stored_to.saturating_add(bytes).min(self.text.len());
        self.stored_citations = self
            .stored_citations
            .saturating_add(citations)
            .min(self.citations.len());
    }

    /// The tools called so far.
    pub fn calls(&self) -> &[ToolCall] {
        &self.calls
    }

    /// The places of the reply that point at sources, so far.
    pub fn citations(&self) -> &[Citation] {
        &self.citations
    }

    /// What was said since the model was last asked; the next call of it begins here.
    pub fn take_round(&mut self) -> String {
        let said = self.text.get(self.round_from..).unwrap_or_default().to_owned();
        self.round_from = self.text.len();
        self.said_from = self.pointers.position();
        said
    }

    /// Tokens of the calls of the model that are over.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Takes in what a tool has read; the number of each, in their order. The same place keeps its number.
    pub fn take_sources(&mut self, sources: Vec<Source>) -> Vec<u32> {
        sources.into_iter().map(|source| self.sources.number(source)).collect()
    }

    /// The reply points at a source that no marker in its text names. `place` is in code points of the text of the
    /// present call of the model.
    pub fn cite(&mut self, source: Source, place: Option<(u32, u32)>, out: &mut Vec<TurnEvent>) {
        let index = self.sources.number(source.clone());
        let place = place.filter(|(start, end)| start < end);
        let (start, end) = match place {
            Some((start, end)) => (
                Some(self.said_from.saturating_add(start)),
                Some(self.said_from.saturating_add(end)),
            ),
            None => (None, None),
        };
        let citation = Citation {
            index,
            source: self.sources.find(index).cloned().unwrap_or(source),
            start,
            end,
        };
        self.push_citation(citation, out);
    }

    fn push_citation(&mut self, citation: Citation, out: &mut Vec<TurnEvent>) {
        if self.citations.len() >= MOST_CITATIONS || self.citations.contains(&citation) {
            return;
        }
        if self.head.is_none() {
            let head = head_of(&self.fallback);
            self.open(head, out);
        }
        out.push(TurnEvent::Citation(Box::new(citation.clone())));
        self.citations.push(citation);
    }

    /// A call that was told of waits for the owner's word.
    pub fn wait_for_owner(&mut self, approval: Approval, out: &mut Vec<TurnEvent>) {
        out.push(TurnEvent::Approval(Box::new(approval)));
    }

    /// A tool begins its work.
    pub fn begin_call(&mut self, call: ToolCall, out: &mut Vec<TurnEvent>) {
        out.push(TurnEvent::ToolCall(Box::new(call.clone())));
        self.calls.push(call);
    }

    /// What a call says is known only now. One that is not open stays as it was told.
    pub fn set_arguments(&mut self, id: ToolCallId, arguments: String) {
        let open = |call: &&mut ToolCall| call.id == id && call.outcome.is_none();
        if let Some(call) = self.calls.iter_mut().find(open) {
            call.arguments = arguments;
        }
    }

    /// A tool is done. A call that is not open has its outcome already.
    pub fn end_call(&mut self, id: ToolCallId, outcome: CallOutcome, out: &mut Vec<TurnEvent>) {
        let open = |call: &&mut ToolCall| call.id == id && call.outcome.is_none();
        if let Some(call) = self.calls.iter_mut().find(open) {
            call.outcome = Some(outcome);
            out.push(TurnEvent::ToolResult(Box::new(call.clone())));
        }
    }

    /// Ends every call that is still open: the turn is cut off. Those of `unbegun` have not run.
    pub fn abort_calls(&mut self, why: &str, unbegun: &[ToolCallId], out: &mut Vec<TurnEvent>) {
        let open = self.calls.iter().filter(|call| call.outcome.is_none());
        let end = |call: &ToolCall| match call.effect {
            Effect::Write | Effect::Outside if unbegun.contains(&call.id) => {
                CallOutcome::unsuccessful(CallStatus::Denied, format!("{why}; it has not run"))
            }
            Effect::Read | Effect::Write | Effect::Outside => call.cut_off(why),
        };
        let ends: Vec<_> = open.map(|call| (call.id, end(call))).collect();
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
            ModelEvent::Hosted(event) => Step::Hosted(event),
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
            self.said_from = self.said_from.saturating_add(2);
        }
        self.text.push_str(&text);
        let found = self.pointers.read(&text);
        out.push(TurnEvent::Chunk(text));
        for pointer in found {
            for index in pointer.numbers {
                // A number nobody gave out is just text.
                if let Some(source) = self.sources.find(index).cloned() {
                    let (start, end) = (Some(pointer.start), Some(pointer.end));
                    let citation = Citation {
                        index,
                        source,
                        start,
                        end,
                    };
                    self.push_citation(citation, out);
                }
            }
        }
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
        let citations = std::mem::take(&mut self.citations);
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
                usage: Some(usage),
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
                citations,
            }),
            failure,
            outcome,
            usage: None,
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
        let citations = std::mem::take(&mut self.citations);
        let draft = |status| {
            (!content.trim().is_empty()).then(|| Draft {
                content: content.clone(),
                meta: meta.clone(),
                status,
                model: model.map(str::to_owned),
                usage,
                calls: calls.clone(),
                citations: citations.clone(),
            })
        };
        match why {
            Interruption::Stop => {
                let draft = draft(MessageStatus::Stopped);
                End {
                    usage: usage.filter(|_| draft.is_none()),
                    draft,
                    failure: None,
                    outcome: Outcome::Stopped,
                }
            }
            Interruption::Failure(failure) => {
                let draft = draft(MessageStatus::Interrupted);
                let outcome = if draft.is_some() {
                    Outcome::Interrupted
                } else {
                    Outcome::Failed
                };
                End {
                    usage: usage.filter(|_| draft.is_none()),
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
mod tests;

//! The law of a turn: which event may follow which. Checked on every turn in tests and debug builds.
//!
//! `message? status* recall? (status | tool_call | approval | tool_result)* persona?
//! (chunk | status | tool_call | approval | tool_result | citation)* (complete | error)? done`. Each call has exactly one
//! result, before the end; only a call without one yet waits for the owner's word, once. What is cited stands in the
//! reply, so that the reply has begun.

use super::TurnEvent;
use crate::ids::ToolCallId;

/// A broken law.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event of kind {event} may not follow {after}")]
pub struct Broken {
    event: &'static str,
    after: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Place {
    #[default]
    Start,
    Before,
    Recalled,
    Speaking,
    Ended,
    Done,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "the beginning",
            Self::Before => "the events before the first word",
            Self::Recalled => "recall",
            Self::Speaking => "the reply",
            Self::Ended => "complete or error",
            Self::Done => "done",
        }
    }
}

/// Follows one turn.
#[derive(Debug, Clone, Default)]
pub struct Law {
    place: Place,
    /// Calls without a result yet.
    open: Vec<ToolCallId>,
    /// Those of them that wait, or have waited, for the owner's word.
    asked: Vec<ToolCallId>,
}

impl Law {
    /// Takes the next event; an error says which law it breaks.
    pub fn check(&mut self, event: &TurnEvent) -> Result<(), Broken> {
        let (name, next) = match (event, self.place) {
            (TurnEvent::Message { .. }, Place::Start) => ("message", Some(Place::Before)),
            (TurnEvent::Message { .. }, _) => ("message", None),
            (TurnEvent::Status { .. }, Place::Start | Place::Before) => ("status", Some(Place::Before)),
            (TurnEvent::Status { .. }, place @ (Place::Recalled | Place::Speaking)) => ("status", Some(place)),
            (TurnEvent::Status { .. }, _) => ("status", None),
            (TurnEvent::Recall { .. }, Place::Start | Place::Before) => ("recall", Some(Place::Recalled)),
            (TurnEvent::Recall { .. }, _) => ("recall", None),
            (TurnEvent::Persona { .. }, Place::Start | Place::Before | Place::Recalled) => {
                ("persona", Some(Place::Speaking))
            }
            (TurnEvent::Persona { .. }, _) => ("persona", None),
            (TurnEvent::Chunk(text), Place::Speaking) if !text.is_empty() => ("chunk", Some(Place::Speaking)),
            (TurnEvent::Chunk(_), _) => ("chunk", None),
            (TurnEvent::ToolCall(call), place) if place < Place::Ended && !self.open.contains(&call.id) => {
                self.open.push(call.id);
                ("tool_call", Some(place.max(Place::Recalled)))
            }
            (TurnEvent::ToolCall(_), _) => ("tool_call", None),
            (TurnEvent::Sketch { call, .. }, place) if place < Place::Ended && self.open.contains(call) => {
                ("status", Some(place))
            }
            (TurnEvent::Sketch { .. }, _) => ("status", None),
            (TurnEvent::Approval(approval), place)
                if place < Place::Ended
                    && self.open.contains(&approval.call.id)
                    && !self.asked.contains(&approval.call.id) =>
            {
                self.asked.push(approval.call.id);
                ("approval", Some(place))
            }
            (TurnEvent::Approval(_), _) => ("approval", None),
            (TurnEvent::Citation(_), Place::Speaking) => ("citation", Some(Place::Speaking)),
            (TurnEvent::Citation(_), _) => ("citation", None),
            (TurnEvent::ToolResult(call), place) if place < Place::Ended && self.open.contains(&call.id) => {
                self.open.retain(|id| *id != call.id);
                ("tool_result", Some(place))
            }
            (TurnEvent::ToolResult(_), _) => ("tool_result", None),
            (TurnEvent::Complete(_), place) if place < Place::Ended && self.open.is_empty() => {
                ("complete", Some(Place::Ended))
            }
            (TurnEvent::Complete(_), _) => ("complete", None),
            (TurnEvent::Error { .. }, place) if place < Place::Ended && self.open.is_empty() => {
                ("error", Some(Place::Ended))
            }
            (TurnEvent::Error { .. }, _) => ("error", None),
            // Only a turn stopped before its first word ends without `complete` or `error`.
            (TurnEvent::Done(_), Place::Start | Place::Before | Place::Recalled | Place::Ended)
                if self.open.is_empty() =>
            {
                ("done", Some(Place::Done))
            }
            (TurnEvent::Done(_), _) => ("done", None),
        };
        let after = self.place.name();
        self.place = next.ok_or(Broken { event: name, after })?;
        Ok(())
    }

    /// Whether the turn has had its last event.
    pub fn is_done(&self) -> bool {
        self.place == Place::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{Failure, FailureKind, Outcome, Stage};

    fn status() -> TurnEvent {
        TurnEvent::Status {
            stage: Stage::Thinking,
            detail: None,
        }
    }

    fn persona() -> TurnEvent {
        let mood = crate::chat::Mood::first();
        let head = crate::model::Head {
            persona: "default".parse().unwrap(),
            mood,
            mood_cause: None,
        };
        TurnEvent::Persona { head, pinned: false }
    }

    fn error() -> TurnEvent {
        let failure = Failure {
            kind: FailureKind::Internal,
            detail: String::new(),
            retryable: false,
        };
        TurnEvent::Error { failure, message: None }
    }

    fn call(n: u128, ended: bool) -> crate::tool::ToolCall {
        use crate::tool::{CallOutcome, CallStatus, Effect, ToolCall};
        ToolCall {
            id: ToolCallId(uuid::Uuid::from_u128(n)),
            tool: "recall".into(),
            arguments: "{}".into(),
            effect: Effect::Read,
            outcome: ended.then(|| CallOutcome::unsuccessful(CallStatus::Failed, "no")),
        }
    }

    #[test]
    fn each_call_has_one_result() {
        let asked = |n| TurnEvent::ToolCall(Box::new(call(n, false)));
        let answered = |n| TurnEvent::ToolResult(Box::new(call(n, true)));
        let (chunk, done) = (TurnEvent::Chunk("a".into()), TurnEvent::Done(Outcome::Complete));
        check(
            &[
                status(),
                asked(1),
                asked(2),
                answered(2),
                answered(1),
                persona(),
                chunk.clone(),
                error(),
                done.clone(),
            ],
            true,
        );
        check(
            &[persona(), chunk, asked(1), status(), answered(1), error(), done.clone()],
            true,
        );
        check(&[asked(1), answered(1), done.clone()], true);
        check(&[asked(1), error()], false);
        check(&[asked(1), done], false);
        check(&[answered(1)], false);
        check(&[asked(1), answered(1), answered(1)], false);
        check(&[error(), asked(1)], false);
        let recall = TurnEvent::Recall {
            memories: vec![],
            degraded: None,
        };
        check(&[asked(1), answered(1), recall], false);
    }

    #[test]
    fn a_sketch_is_of_a_call_at_work() {
        let asked = TurnEvent::ToolCall(Box::new(call(1, false)));
        let answered = TurnEvent::ToolResult(Box::new(call(1, true)));
        let sketch = |n| TurnEvent::Sketch {
            call: ToolCallId(uuid::Uuid::from_u128(n)),
            tool: "image_generation".into(),
            n: 1,
        };
        check(&[asked.clone(), sketch(1), sketch(1), answered.clone(), error()], true);
        check(&[sketch(1)], false);
        check(&[asked.clone(), sketch(2)], false);
        check(&[asked, answered, sketch(1)], false);
    }

    #[test]
    fn a_call_waits_once_and_before_its_result() {
        use crate::{
            approval::{Approval, ApprovalStatus, Reason},
            ids::{ApprovalId, MessageId, TurnId},
        };
        let id = uuid::Uuid::nil();
        let waits = |n| {
            let now = jiff::Timestamp::UNIX_EPOCH;
            TurnEvent::Approval(Box::new(Approval {
                id: ApprovalId(id),
                session_id: "eternal".parse().unwrap(),
                turn_id: TurnId(id),
                reply_id: MessageId(id),
                message_id: None,
                project_id: None,
                call: call(n, false),
                reason: Reason::Untrusted,
                untrusted: true,
                zone: None,
                status: ApprovalStatus::Pending,
                created_at: now,
                expires_at: now,
                answered_at: None,
            }))
        };
        let asked = |n| TurnEvent::ToolCall(Box::new(call(n, false)));
        let answered = |n| TurnEvent::ToolResult(Box::new(call(n, true)));
        let done = TurnEvent::Done(Outcome::Complete);
        let chunk = || TurnEvent::Chunk("a".into());
        let both = [asked(1), asked(2), waits(2), answered(1), status(), answered(2)];
        check(
            &[&both[..], &[persona(), chunk(), error(), done.clone()][..]].concat(),
            true,
        );
        check(
            &[&[persona(), chunk()][..], &both[..], &[error(), done][..]].concat(),
            true,
        );
        check(&[waits(1)], false);
        check(&[asked(1), waits(2)], false);
        check(&[asked(1), waits(1), waits(1)], false);
        check(&[asked(1), answered(1), waits(1)], false);
    }

    #[test]
    fn what_is_cited_has_been_said() {
        let cited = || {
            TurnEvent::Citation(Box::new(crate::citation::Citation {
                index: 1,
                source: crate::citation::Source::default(),
                start: None,
                end: None,
            }))
        };
        let chunk = || TurnEvent::Chunk("a".into());
        check(&[persona(), chunk(), cited(), chunk(), cited(), cited(), error()], true);
        check(&[status(), cited()], false);
        check(&[persona(), chunk(), error(), cited()], false);
    }

    fn check(events: &[TurnEvent], legal: bool) {
        let mut law = Law::default();
        let broken = events.iter().find_map(|event| law.check(event).err());
        assert_eq!(broken.is_none(), legal, "{events:?}: {broken:?}");
    }

    #[test]
    fn the_law() {
        let (chunk, done) = (TurnEvent::Chunk("a".into()), TurnEvent::Done(Outcome::Complete));
        check(
            &[
                status(),
                persona(),
                chunk.clone(),
                status(),
                chunk.clone(),
                error(),
                done.clone(),
            ],
            true,
        );
        check(&[status(), done.clone()], true);
        check(&[status(), error(), done.clone()], true);
        check(std::slice::from_ref(&chunk), false);
        check(&[persona(), persona()], false);
        check(&[persona(), chunk, done.clone()], false);
        check(&[error(), status()], false);
        let recall = || TurnEvent::Recall {
            memories: vec![],
            degraded: Some(crate::memory::Degraded::Index),
        };
        check(&[status(), recall(), status(), persona(), status(), error()], true);
        check(&[recall(), recall()], false);
        check(&[persona(), recall()], false);
        check(&[done.clone(), done], false);
    }
}

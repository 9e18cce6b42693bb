//! The law of a turn: which event may follow which. Checked on every turn in tests and debug builds.
//!
//! `message? status* recall? (status | tool...)* persona? (chunk | status | tool...)* (complete | error)? done`

use super::TurnEvent;

/// A broken law.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event of kind {event} may not follow {after}")]
pub struct Broken {
    event: &'static str,
    after: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Default)]
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
            (TurnEvent::Complete(_), place) if place < Place::Ended => ("complete", Some(Place::Ended)),
            (TurnEvent::Complete(_), _) => ("complete", None),
            (TurnEvent::Error { .. }, place) if place < Place::Ended => ("error", Some(Place::Ended)),
            (TurnEvent::Error { .. }, _) => ("error", None),
            // Only a turn stopped before its first word ends without `complete` or `error`.
            (TurnEvent::Done(_), Place::Start | Place::Before | Place::Recalled | Place::Ended) => {
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

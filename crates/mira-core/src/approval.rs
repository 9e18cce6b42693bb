//! Calls that wait for the owner's word: when they must, and what is known of one while it waits and after.
//!
//! Law: a call that waits was told of first; it is answered once; until it is, and where the answer is no, it has not
//! run.

use crate::{
    ids::{ApprovalId, MessageId, ProjectId, SessionId, TurnId},
    tool::{Effect, ToolCall},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a project wants to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// Calls that reach beyond Mira in a turn that has read strangers' words.
    #[default]
    Outside,
    /// Every call that changes something, too.
    Writes,
}

impl Asks {
    /// The name on the wire and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Writes => "writes",
        }
    }

    /// The setting of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Outside, Self::Writes]
            .into_iter()
            .find(|asks| asks.as_str() == text)
    }
}

/// Why a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It reaches beyond Mira, and the turn has read strangers' words.
    Untrusted,
    /// It cannot be undone, and the turn has read strangers' words.
    Final,
    /// It changes something in a project whose owner wants to be asked.
    Writes,
}

impl Reason {
    const ALL: [Self; 3] = [Self::Untrusted, Self::Final, Self::Writes];

    /// The name in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Final => "final",
            Self::Writes => "writes",
        }
    }

    /// The reason of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// What the owner is told.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Untrusted => {
                "This call reaches beyond Mira, and she has read text in this conversation that others may have written."
            }
            Self::Final => {
                "This call cannot be undone, and she has read text in this conversation that others may have written."
            }
            Self::Writes => "This call changes something, and this project asks before anything is changed.",
        }
    }
}

/// What decides whether a call waits.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// What the call may do.
    pub effect: Effect,
    /// Whether it cannot be undone.
    pub is_final: bool,
    /// Whether words of strangers stand in what the model has read.
    pub untrusted: bool,
    /// What the project wants to be asked about.
    pub asks: Asks,
}

/// Why this call has to wait; `None` where it may run.
pub fn reason(of: Circumstances) -> Option<Reason> {
    let changes = of.effect != Effect::Read;
    match (of.untrusted, of.effect, of.is_final, of.asks) {
        (true, Effect::Outside, _, _) => Some(Reason::Untrusted),
        (true, _, true, _) => Some(Reason::Final),
        (_, _, _, Asks::Writes) if changes => Some(Reason::Writes),
        _ => None,
    }
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalStatus {
    /// Nobody has answered.
    Pending,
    /// The owner said yes.
    Approved,
    /// The owner said no.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// What asked is gone: the turn was stopped or has failed, or its words were forgotten.
    Void,
}

impl ApprovalStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Void];

    /// The name on the wire and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }

    /// The status of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The owner's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may run.
    Approve,
    /// It may not.
    Deny,
}

impl Answer {
    /// How an approval so answered stands.
    pub fn status(self) -> ApprovalStatus {
        match self {
            Self::Approve => ApprovalStatus::Approved,
            Self::Deny => ApprovalStatus::Denied,
        }
    }
}

/// A call that waits, or has waited, for the owner's word. It holds what the call needs to run after a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Where.
    pub session_id: SessionId,
    /// The turn.
    pub turn_id: TurnId,
    /// The id the turn's reply has, or would have had.
    pub reply_id: MessageId,
    /// The owner's message the turn answers.
    pub message_id: Option<MessageId>,
    /// The project of the conversation then.
    pub project_id: Option<ProjectId>,
    /// The call with its whole arguments; with its outcome once it has one.
    pub call: ToolCall,
    /// Why it waits.
    pub reason: Reason,
    /// Whether the turn itself had read strangers' words.
    pub untrusted: bool,
    /// The owner's time zone then (IANA name), if it has a name.
    pub zone: Option<String>,
    /// How it stands.
    pub status: ApprovalStatus,
    /// Since when it waits.
    pub created_at: Timestamp,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
    /// When it was answered, expired or became void.
    pub answered_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(effect: Effect, is_final: bool, untrusted: bool, asks: Asks, expect: Option<Reason>) {
        let of = Circumstances {
            effect,
            is_final,
            untrusted,
            asks,
        };
        assert_eq!(reason(of), expect, "{of:?}");
    }

    #[test]
    fn who_waits() {
        use Effect::{Outside, Read, Write};
        for asks in [Asks::Outside, Asks::Writes] {
            check(Read, false, true, asks, None);
            check(Outside, false, true, asks, Some(Reason::Untrusted));
            check(Write, true, true, asks, Some(Reason::Final));
        }
        check(Outside, false, false, Asks::Outside, None);
        check(Write, false, true, Asks::Outside, None);
        check(Write, true, false, Asks::Outside, None);
        check(Write, false, false, Asks::Writes, Some(Reason::Writes));
        check(Outside, false, false, Asks::Writes, Some(Reason::Writes));
    }

    #[test]
    fn names_come_back() {
        for status in ApprovalStatus::ALL {
            assert_eq!(ApprovalStatus::parse(status.as_str()), Some(status));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        for asks in [Asks::Outside, Asks::Writes] {
            assert_eq!(Asks::parse(asks.as_str()), Some(asks));
        }
        assert_eq!(ApprovalStatus::parse("maybe"), None);
    }
}

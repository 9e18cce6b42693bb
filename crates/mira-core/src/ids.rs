//! Ids as types. A function never takes two bare strings; an id is parsed once, at the edge.

use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt, str::FromStr, sync::Arc};
use uuid::Uuid;

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct IdError {
    what: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError { what: $what })
            }
        }
    };
}

uuid_id!(/// A stored message (or the reply preallocated for a running turn).
    MessageId, "message id");
uuid_id!(/// One turn: the owner's message and the reply to it.
    TurnId, "turn id");
uuid_id!(/// A memory; a message's own id where the memory is a message.
    MemoryId, "memory id");
uuid_id!(/// A project.
    ProjectId, "project id");
uuid_id!(/// An attached repository.
    AttachmentId, "attachment id");
uuid_id!(/// A change Mira proposes in a repository.
    ProposalId, "proposal id");
uuid_id!(/// An uploaded file.
    FileId, "file id");
uuid_id!(/// An artifact.
    ArtifactId, "artifact id");
uuid_id!(/// A browser login.
    LoginId, "login id");
uuid_id!(/// One call of a tool.
    ToolCallId, "tool call id");
uuid_id!(/// A call that waits for the owner's word.
    ApprovalId, "approval id");
uuid_id!(/// One entry of the mood timeline.
    MoodId, "mood id");

impl From<MessageId> for MemoryId {
    fn from(id: MessageId) -> Self {
        Self(id.0)
    }
}

/// The account everything belongs to. Today there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

impl AccountId {
    /// The owner.
    pub const OWNER: Self = Self(1);
}

/// A session's name: `[a-z0-9_-]{1,64}`; a UUIDv7 when generated. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for SessionId {
    fn from(id: Uuid) -> Self {
        Self(id.as_hyphenated().to_string().into())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SessionId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(IdError {
                what: "session id (1 to 64 of a-z, 0-9, _ and -)",
            })
        }
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The client's own name for a message: 1 to 128 bytes without control characters. Unique in a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if (1..=128).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                what: "client id (1 to 128 bytes, no control characters)",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, legal: bool) {
        assert_eq!(text.parse::<SessionId>().is_ok(), legal, "{text:?}");
    }

    #[test]
    fn session_ids() {
        check("eternal", true);
        check("a-b_9", true);
        check("", false);
        check("Upper", false);
        check("../etc", false);
        check("é", false);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
    }
}

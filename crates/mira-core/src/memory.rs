//! The nouns of memory: what is remembered, what a reply wants remembered, what came up for a message and why. Plain
//! values; ranking is in [`crate::fusion`], the gate that facts pass in [`crate::gate`].

use crate::{
    chat::{Role, Salience, one_line},
    ids::{MemoryId, MessageId, ProjectId, SessionId},
};
use jiff::Timestamp;
use std::fmt;

/// What kind of memory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemoryKind {
    /// Something said: the memory is the message and has its id.
    Message,
    /// One sentence about the owner, Mira or somebody in their life.
    Fact,
    /// What a stretch of a conversation was about. Never a chat message.
    Summary,
}

impl MemoryKind {
    /// The name in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Fact => "fact",
            Self::Summary => "summary",
        }
    }

    /// The kind of a name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "message" => Some(Self::Message),
            "fact" => Some(Self::Fact),
            "summary" => Some(Self::Summary),
            _ => None,
        }
    }
}

/// Where a memory came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemorySource {
    /// Said in, learnt from or made of the conversation.
    Conversation,
    /// Written or corrected by the owner in the memory panel or over REST.
    Owner,
    /// Learnt or replied in a turn whose prompt or tools held strangers' words: untrusted, and said to be so wherever it
    /// appears.
    Tool,
}

impl MemorySource {
    /// The name in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Owner => "owner",
            Self::Tool => "tool",
        }
    }

    /// The source of a name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "conversation" => Some(Self::Conversation),
            "owner" => Some(Self::Owner),
            "tool" => Some(Self::Tool),
            _ => None,
        }
    }

    /// Whether nobody but the owner and Mira had a hand in it.
    pub fn is_trusted(self) -> bool {
        match self {
            Self::Conversation | Self::Owner => true,
            Self::Tool => false,
        }
    }
}

/// A memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Its id; a message's own id where it is a message.
    pub id: MemoryId,
    /// What kind.
    pub kind: MemoryKind,
    /// Its text.
    pub text: String,
    /// Who said it (kind `message`).
    pub role: Option<Role>,
    /// Whom it is about (kind `fact`): `owner`, `mira`, or a name.
    pub about: Option<String>,
    /// What it is about (kind `fact`), one to four words.
    pub topic: Option<String>,
    /// When it was said or learnt.
    pub date: Timestamp,
    /// Where it was said or learnt; none for what the owner added by hand.
    pub session_id: Option<SessionId>,
    /// The message it came from; its own id where it is a message.
    pub message_id: Option<MessageId>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// How much it matters.
    pub salience: Option<Salience>,
    /// Kept in view by the owner: a pinned fact is in every prompt that reads memory.
    pub pinned: bool,
    /// Where it came from.
    pub source: MemorySource,
    /// Since when it holds (facts); the date for the others.
    pub valid_from: Timestamp,
    /// The fact that replaced it.
    pub superseded_by: Option<MemoryId>,
}

/// What a reply wants remembered: one entry of its `remember` list, tidied but not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactNote {
    /// Whom it is about: `owner`, `mira`, or a name.
    pub about: String,
    /// What it is about, one to four words, such as `job` or `home town`.
    pub topic: String,
    /// One sentence that is true by itself.
    pub text: String,
    /// The number of the line in the prompt's block of memories that this makes outdated, from 1.
    pub replaces: Option<u32>,
}

impl FactNote {
    /// The most notes kept of one reply.
    pub const MAX: usize = 6;
    /// The longest text, in characters.
    pub const MAX_CHARS: usize = 400;
    /// The longest `about` and `topic`, in characters.
    pub const MAX_NAME_CHARS: usize = 48;

    /// A note of any texts: each folded into one line and cut; `None` if nothing is said.
    pub fn tidy(about: &str, topic: &str, text: &str, replaces: Option<u32>) -> Option<Self> {
        let text = one_line(text, Self::MAX_CHARS);
        let about = one_line(about, Self::MAX_NAME_CHARS);
        let about = match about.to_lowercase().as_str() {
            "" | "owner" | "user" | "the owner" | "the user" => "owner".to_owned(),
            "mira" | "assistant" | "self" => "mira".to_owned(),
            _ => about,
        };
        let topic = one_line(topic, Self::MAX_NAME_CHARS).to_lowercase();
        (!text.is_empty()).then_some(Self {
            about,
            topic,
            text,
            replaces: replaces.filter(|&line| line > 0),
        })
    }
}

/// How well a memory answers a message. All parts are on one absolute scale, so that scores of different turns compare.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scores {
    /// BM25 of the contextual document over its ceiling, 0..=1.
    pub lexical: f32,
    /// Cosine of the embeddings, -1..=1; 0 where there is none.
    pub cosine: f32,
    /// What speaker, month and session added.
    pub bonus: f32,
    /// What the ranking went by.
    pub total: f32,
}

/// A memory that came up for a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled {
    /// The memory.
    pub memory: Memory,
    /// How well it answers.
    pub scores: Scores,
    /// Why it came up, in a few words for the owner.
    pub why: String,
}

/// What became of a memory that was considered for a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the prompt.
    Used,
    /// It ranked high enough but was left out, for the reason given.
    Dropped,
    /// It ranked too low.
    Considered,
}

impl Fate {
    /// The name in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Dropped => "dropped",
            Self::Considered => "considered",
        }
    }
}

/// One line of a receipt. It names the memory by its id alone, so that a forgotten text is in no receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptItem {
    /// The memory.
    pub memory_id: MemoryId,
    /// What kind it is.
    pub kind: MemoryKind,
    /// What became of it.
    pub fate: Fate,
    /// How well it answered.
    pub scores: Scores,
    /// Its place in the ranking, from 1.
    pub rank: u32,
    /// What it costs in the prompt.
    pub tokens: u32,
    /// Why it was used, dropped or only considered.
    pub reason: String,
}

/// What of its own conversation a prompt had no room for: the oldest of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Messages.
    pub messages: u32,
    /// Notes on what came before the messages.
    pub notes: u32,
}

/// What one reply was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The reply.
    pub message_id: MessageId,
    /// What was considered, best first.
    pub items: Vec<ReceiptItem>,
    /// Why recall was not whole, if it was not.
    pub degraded: Option<String>,
    /// SHA-256 over the bytes of the prompt's parts in the order they are sent.
    pub prompt_hash: [u8; 32],
    /// Tokens (estimated) of each part of the prompt, in its order.
    pub parts: Vec<(String, u32)>,
    /// What the prompt had no room for.
    pub left_out: LeftOut,
    /// When the prompt was made.
    pub created_at: Timestamp,
}

/// Why recall was not whole. The turn goes on without what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Degraded {
    /// The embeddings could not be had: words alone were compared.
    Embeddings,
    /// The vector index does not answer: words alone were compared.
    Index,
    /// The vector index is still being read or built: some memories were compared by words alone.
    Building,
    /// It took too long.
    Deadline,
    /// The database could not be asked.
    Store,
}

impl Degraded {
    /// The reason in a few words, as events and receipts carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings unavailable: compared by words alone",
            Self::Index => "vector index unavailable: compared by words alone",
            Self::Building => "vector index is being built: compared by words alone where it is not ready",
            Self::Deadline => "recall took too long and was left out",
            Self::Store => "memories could not be read",
        }
    }
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(about: &str, topic: &str, text: &str, expect: Option<(&str, &str, &str)>) {
        let note = FactNote::tidy(about, topic, text, Some(0));
        let got = note
            .as_ref()
            .map(|n| (n.about.as_str(), n.topic.as_str(), n.text.as_str()));
        assert_eq!(got, expect);
        assert_eq!(note.and_then(|n| n.replaces), None);
    }

    #[test]
    fn notes_are_tidied() {
        check(
            "The User",
            " Home\nTown ",
            "  Lives in\tGraz. ",
            Some(("owner", "home town", "Lives in Graz.")),
        );
        check("Anna", "", "Is a nurse.", Some(("Anna", "", "Is a nurse.")));
        check("owner", "job", " \n", None);
    }
}

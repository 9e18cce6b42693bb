//! The nouns of a conversation: messages, sessions, moods, usage. Plain values; how they look on a wire or in a row is
//! decided at those edges.

use crate::{
    ids::{AttachmentId, FileId, MessageId, MoodId, ProjectId, SessionId},
    memory::FactNote,
    persona::PersonaName,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The owner.
    User,
    /// Mira.
    Assistant,
}

impl Role {
    /// The name used in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Whole.
    Complete,
    /// The owner stopped her; the text is what she had said.
    Stopped,
    /// The model, the process or the power failed; the text is what she had said.
    Interrupted,
    /// Nothing could be said.
    Failed,
    /// Forgotten on the owner's wish: a tombstone without content.
    Forgotten,
}

impl MessageStatus {
    /// The name used in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Forgotten => "forgotten",
        }
    }
}

/// How much a message matters for memory, 0..=1. Immutable once written.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Salience(f32);

impl Salience {
    /// A salience from any number: clamped to 0..=1, NaN counts as 0.
    pub fn clamped(value: f32) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The value, 0..=1.
    pub fn get(self) -> f32 {
        self.0
    }
}

/// A mood in her own words: one line, 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Mood(String);

impl Mood {
    /// The longest mood, in characters.
    pub const MAX_CHARS: usize = 80;

    /// A mood from any text: white space folded to single spaces, control characters dropped, cut at
    /// [`Self::MAX_CHARS`]; `None` if nothing is left.
    pub fn from_text(text: &str) -> Option<Self> {
        let folded = one_line(text, Self::MAX_CHARS);
        (!folded.is_empty()).then_some(Self(folded))
    }

    /// The mood she is in before anything has happened.
    pub fn first() -> Self {
        Self("curious".to_owned())
    }

    /// The mood as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Any text as one line of at most `max_chars` characters: white space folded, control characters dropped.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    let mut chars = 0;
    let mut gap = false;
    // Bounded, because the text may be megabytes of white space.
    for c in text.chars().take(max_chars.saturating_mul(4).saturating_add(64)) {
        if c.is_whitespace() || c.is_control() {
            gap = !out.is_empty();
            continue;
        }
        let wanted = usize::from(gap) + 1;
        if chars + wanted > max_chars {
            break;
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(c);
        chars += wanted;
    }
    out
}

/// A text of at most `max_chars` characters: a longer one's beginning, with an ellipsis behind it.
pub fn shortened(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", text.split_at(end).0),
        None => text.to_owned(),
    }
}

/// What a reply says about itself, beside its text.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyMeta {
    /// The overlay the reply names; the next turn's prompt is built with it.
    pub persona: PersonaName,
    /// Her mood.
    pub mood: Mood,
    /// What caused the mood.
    pub mood_cause: Option<String>,
    /// What the owner is after.
    pub intent: Option<String>,
    /// How she reads the owner.
    pub owner_mood: Option<String>,
    /// Topics, lower case, at most [`Self::MAX_TAGS`].
    pub tags: Vec<String>,
    /// How much this exchange matters for memory.
    pub salience: Option<Salience>,
    /// What she wants to remember of it; judged and stored as facts, not part of the message.
    pub remember: Vec<FactNote>,
}

impl ReplyMeta {
    /// The most tags kept of one reply.
    pub const MAX_TAGS: usize = 8;
}

/// Tokens of one reply as the provider counted them (or zero where it does not say).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input_tokens: u64,
    /// Prompt tokens served from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Tokens spent on reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// The sum of two calls' counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
        }
    }
}

/// A range of lines the owner selected, 1-based, inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, not before `start_line`.
    pub end_line: u32,
    /// The selected text, where the client sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a client says about where a message was written: an editor's file, a selection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageMetadata {
    /// The file open in the owner's editor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// The attached repository the file belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_id: Option<AttachmentId>,
    /// The file's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The selected lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

/// How near strangers' words were when a reply was made. What comes of the words themselves is marked, and what retells
/// that; there the mark ends, or a page read once would mark all that is said after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// None stood in its prompt, nor Mira's own account of any.
    #[default]
    Clear,
    /// An account Mira gave of them: a reply made of the words themselves, or notes on it.
    Retold,
    /// The words themselves: in its prompt, or read for it.
    Direct,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The session it belongs to.
    pub session_id: SessionId,
    /// The message it follows; `None` for the first of a session.
    pub parent_id: Option<MessageId>,
    /// All messages with the same parent, itself included, oldest first.
    pub sibling_ids: Vec<MessageId>,
    /// Who wrote it.
    pub role: Role,
    /// Markdown text.
    pub content: String,
    /// Set on replies.
    pub meta: Option<ReplyMeta>,
    /// How it ended.
    pub status: MessageStatus,
    /// The project it was written in.
    pub project_id: Option<ProjectId>,
    /// Where the owner wrote it.
    pub metadata: Option<MessageMetadata>,
    /// The model that wrote a reply.
    pub model: Option<String>,
    /// The reply's tokens.
    pub usage: Option<Usage>,
    /// The tools called on the way to a reply, in their order.
    pub tool_calls: Vec<crate::tool::ToolCall>,
    /// The places of a reply that point at sources, in the order they were found.
    pub citations: Vec<crate::citation::Citation>,
    /// The files the owner sent with it, in their order.
    pub files: Vec<crate::file::StoredFile>,
    /// How near strangers' words were when a reply was made; the owner's own messages are always clear.
    pub exposure: Exposure,
    /// When it was stored (the owner's) or finished (hers).
    pub created_at: Timestamp,
}

impl Message {
    /// Whether words of strangers stand in it or behind it: in its files, or in what tools read on the way to it.
    pub fn shows_strangers(&self) -> bool {
        let mut outcomes = self.tool_calls.iter().filter_map(|call| call.outcome.as_ref());
        !self.files.is_empty() || outcomes.any(|outcome| outcome.untrusted)
    }

    /// Whether it shows words of strangers, or is an account of such that stood before it.
    pub fn tells_of_strangers(&self) -> bool {
        self.shows_strangers() || self.exposure == Exposure::Direct
    }
}

/// Whether a session reads and writes memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryMode {
    /// Reads and writes.
    On,
    /// Reads, never writes.
    ReadOnly,
    /// Off the record.
    Off,
}

impl MemoryMode {
    /// The name used in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::ReadOnly => "read_only",
            Self::Off => "off",
        }
    }
}

/// Mira's own state: hers, not a session's. Every session sees the same.
#[derive(Debug, Clone, PartialEq)]
pub struct MiraState {
    /// The overlay she is in.
    pub persona: PersonaName,
    /// Her mood.
    pub mood: Mood,
    /// What caused it.
    pub mood_cause: Option<String>,
    /// Whether the last change of mood was the owner's nudge, which she is told once.
    pub nudged: bool,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its title; `None` until the first message gives one.
    pub title: Option<String>,
    /// The overlay the next turn is built with: the pin, else the one Mira is in.
    pub persona: PersonaName,
    /// Mira's mood.
    pub mood: Mood,
    /// The overlay the owner pinned here.
    pub pinned_persona: Option<PersonaName>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// The last message of the chosen branch.
    pub head_id: Option<MessageId>,
    /// Whether it reads and writes memory.
    pub memory: MemoryMode,
    /// Listed first.
    pub pinned: bool,
    /// Hidden from the usual list.
    pub archived: bool,
    /// Stored messages, all branches.
    pub message_count: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Who changed her mood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoodSource {
    /// Her own reply.
    Reply,
    /// The owner's nudge.
    Owner,
}

impl MoodSource {
    /// The name used in rows and on wires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Owner => "owner",
        }
    }
}

/// One entry of the mood timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct MoodEntry {
    /// Its id.
    pub id: MoodId,
    /// Where it happened.
    pub session_id: SessionId,
    /// The reply it came with.
    pub message_id: Option<MessageId>,
    /// The overlay of the moment.
    pub persona: PersonaName,
    /// The mood.
    pub mood: Mood,
    /// What caused it.
    pub cause: Option<String>,
    /// Who changed it.
    pub source: MoodSource,
    /// When.
    pub created_at: Timestamp,
}

/// What a client asks for when it sends a message.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The owner's words, not empty.
    pub content: String,
    /// The project it is written in.
    pub project_id: Option<ProjectId>,
    /// The client's own name for the message.
    pub client_id: Option<crate::ids::ClientId>,
    /// An overlay for this turn only.
    pub persona: Option<PersonaName>,
    /// The message to answer to; the session's head when absent.
    pub parent_id: Option<MessageId>,
    /// Uploaded files.
    pub file_ids: Vec<FileId>,
    /// The client's time zone (IANA name), checked at the edge.
    pub tz: Option<String>,
    /// Where the owner wrote it.
    pub metadata: Option<MessageMetadata>,
}

/// A session's title made of its first message: one line, at most 60 characters, cut at a word.
pub fn title_from(content: &str) -> Option<String> {
    const MAX: usize = 60;
    let line = one_line(content, MAX + 1);
    if line.is_empty() {
        return None;
    }
    if line.chars().count() <= MAX {
        return Some(line);
    }
    let cut: String = line.chars().take(MAX - 1).collect();
    let at_word = match cut.rsplit_once(' ') {
        Some((head, _)) if head.chars().count() >= MAX / 2 => head.to_owned(),
        _ => cut,
    };
    Some(format!("{at_word}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_folds_and_cuts() {
        assert_eq!(one_line("  a \n\t b\u{0} c  ", 10), "a b c");
        assert_eq!(one_line("abc def", 5), "abc d");
        assert_eq!(one_line("abc def", 4), "abc");
        assert_eq!(one_line(&" ".repeat(10_000), 5), "");
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        for (text, expect) in [("", ""), ("äöü", "äöü"), ("äöüß", "äöü…")] {
            assert_eq!(shortened(text, 3), expect, "{text}");
        }
    }

    #[test]
    fn titles() {
        assert_eq!(title_from("  \n"), None);
        assert_eq!(title_from("Hello there"), Some("Hello there".into()));
        let long = title_from(&"word ".repeat(40)).unwrap();
        assert!(long.ends_with('…') && long.chars().count() <= 60, "{long}");
    }
}

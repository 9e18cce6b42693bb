//! The objects clients see: JSON shapes of messages, sessions, moods and personas. Times are RFC 3339 in UTC.

use super::file_objects::FileObject;
use crate::services::chat::places;
use mira_core::{
    approval::Approval,
    chat::{MemoryMode, Message, MessageMetadata, MessageStatus, MoodEntry, MoodSource, Role, Session, Usage},
    citation::Citation,
    memory::{Memory, Recalled, Scores},
    persona::{Persona, PersonaSource},
    tool::ToolCall,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Messages larger than this are rendered where blocking is allowed.
const RENDER_INLINE_BYTES: usize = 16 * 1024;
/// The longest arguments of a call that every socket is told.
const MAX_EVENT_BYTES: usize = 32 * 1024;

/// A stored message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageObject {
    /// Its id (UUIDv7).
    pub id: String,
    /// The session it belongs to.
    pub session_id: String,
    /// The message it follows.
    pub parent_id: Option<String>,
    /// All messages with the same parent, itself included, oldest first.
    pub sibling_ids: Vec<String>,
    /// `user` or `assistant`.
    #[schema(value_type = String, example = "assistant")]
    pub role: Role,
    /// Markdown.
    pub content: String,
    /// The content as sanitised HTML.
    pub html: String,
    /// The overlay a reply names.
    pub persona: Option<String>,
    /// Her mood.
    pub mood: Option<String>,
    /// What caused it.
    pub mood_cause: Option<String>,
    /// What the owner is after.
    pub intent: Option<String>,
    /// How she reads the owner.
    pub owner_mood: Option<String>,
    /// Topics.
    pub tags: Vec<String>,
    /// How much it matters, 0 to 1.
    pub salience: Option<f32>,
    /// `complete`, `stopped`, `interrupted`, `failed` or `forgotten`.
    #[schema(value_type = String, example = "complete")]
    pub status: MessageStatus,
    /// The project it was written in.
    pub project_id: Option<String>,
    /// Where the owner wrote it.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<MessageMetadata>,
    /// The model that wrote a reply.
    pub model: Option<String>,
    /// Its tokens.
    #[schema(value_type = Option<UsageObject>)]
    pub usage: Option<Usage>,
    /// The tools called on the way to a reply, in their order.
    pub tool_calls: Vec<ToolCallObject>,
    /// The files the owner sent with it.
    pub files: Vec<FileObject>,
    /// The places of a reply that point at sources, in the order they were found.
    pub citations: Vec<CitationObject>,
    /// When it was stored.
    pub created_at: String,
}

/// A tool's call with what came of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ToolCall)]
pub struct ToolCallObject {
    /// Its id.
    pub tool_call_id: String,
    /// The tool.
    pub tool: String,
    /// What it was called with: an object, or text where the model wrote no JSON.
    pub arguments: serde_json::Value,
    /// What it may do: `read`, `write` or `outside`.
    pub effect: &'static str,
    /// `ok`, `failed`, `denied` or `unavailable`; null while it is at work.
    pub status: Option<&'static str>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    pub data: Option<serde_json::Value>,
}

impl ToolCallObject {
    /// The object of a call.
    pub fn of(call: &ToolCall) -> Self {
        Self {
            tool_call_id: call.id.to_string(),
            tool: call.tool.clone(),
            arguments: call.shown_arguments(),
            effect: call.effect.as_str(),
            status: call.outcome.as_ref().map(|outcome| outcome.status.as_str()),
            data: call.outcome.as_ref().map(|outcome| outcome.data.clone()),
        }
    }
}

/// A place in a reply that points at a source.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Citation)]
pub struct CitationObject {
    /// The source's number in its reply, from 1: what `[1]` in the text means.
    pub index: u32,
    /// Its web address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The owner's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// The file's page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Its name; empty where what it quoted was forgotten.
    pub title: String,
    /// What stands there, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
    /// Where in the reply, in Unicode code points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<u32>,
    /// The end of that place, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<u32>,
}

impl CitationObject {
    /// The object of a citation.
    pub fn of(citation: &Citation) -> Self {
        let source = &citation.source;
        Self {
            index: citation.index,
            url: source.url.clone(),
            file_id: source.file_id.map(|id| id.to_string()),
            page: source.page,
            title: source.title.clone(),
            snippet: source.snippet.clone(),
            start: citation.start,
            end: citation.end,
        }
    }
}

/// A call that waits, or has waited, for the owner's word.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalObject {
    /// Its id.
    pub id: String,
    /// Where.
    pub session_id: String,
    /// The turn.
    pub turn_id: String,
    /// The id the turn's reply has, or would have had.
    pub message_id: String,
    /// The call.
    pub tool_call_id: String,
    /// The tool.
    pub tool: String,
    /// What it is to be called with, whole: an object, or text where the model wrote no JSON. In an event null where it
    /// is longer than 32 KiB.
    pub arguments: serde_json::Value,
    /// What it may do: `read`, `write` or `outside`.
    pub effect: &'static str,
    /// Why it waits, in a sentence.
    pub reason: &'static str,
    /// `pending`, `approved`, `denied`, `expired` or `void`.
    pub status: &'static str,
    /// Since when it waits.
    pub created_at: String,
    /// Until when it can be answered.
    pub expires_at: String,
    /// When it was answered, expired or became void.
    pub answered_at: Option<String>,
    /// What came of the call, once it has run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ToolResultObject>)]
    pub outcome: Option<ToolResultObject>,
}

impl ApprovalObject {
    /// The approval as every socket hears of it: nothing long, and not what came of the call.
    pub fn in_event(approval: &Approval) -> Self {
        let mut object = Self {
            outcome: None,
            ..Self::of(approval)
        };
        if approval.call.arguments.len() > MAX_EVENT_BYTES {
            object.arguments = serde_json::Value::Null;
        }
        object
    }

    /// The object of an approval.
    pub fn of(approval: &Approval) -> Self {
        let call = &approval.call;
        Self {
            id: approval.id.to_string(),
            session_id: approval.session_id.to_string(),
            turn_id: approval.turn_id.to_string(),
            message_id: approval.reply_id.to_string(),
            tool_call_id: call.id.to_string(),
            tool: call.tool.clone(),
            arguments: call.shown_arguments(),
            effect: call.effect.as_str(),
            reason: approval.reason.sentence(),
            status: approval.status.as_str(),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            answered_at: approval.answered_at.map(|at| at.to_string()),
            outcome: ToolResultObject::of(call),
        }
    }
}

/// What came of a tool's call.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ToolResult)]
pub struct ToolResultObject {
    /// The call.
    pub tool_call_id: String,
    /// The tool.
    pub tool_type: String,
    /// `ok`, `failed`, `denied` or `unavailable`.
    pub status: &'static str,
    /// What came of it.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

impl ToolResultObject {
    /// The object of a call that is over.
    pub fn of(call: &ToolCall) -> Option<Self> {
        let outcome = call.outcome.as_ref()?;
        Some(Self {
            tool_call_id: call.id.to_string(),
            tool_type: call.tool.clone(),
            status: outcome.status.as_str(),
            data: outcome.data.clone(),
        })
    }
}

/// Tokens of a reply as the provider counted them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageObject {
    /// Prompt tokens, cached ones included.
    pub input_tokens: u64,
    /// Prompt tokens from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Tokens of reasoning.
    pub reasoning_tokens: u64,
}

impl MessageObject {
    /// The object of a message, its HTML rendered.
    pub fn of(message: &Message) -> Self {
        let meta = message.meta.as_ref();
        let render = || mira_render::render_cited(&message.content, places(&message.citations));
        let html = if message.content.len() > RENDER_INLINE_BYTES {
            tokio::task::block_in_place(render)
        } else {
            render()
        };
        Self {
            id: message.id.to_string(),
            session_id: message.session_id.to_string(),
            parent_id: message.parent_id.map(|id| id.to_string()),
            sibling_ids: message.sibling_ids.iter().map(ToString::to_string).collect(),
            role: message.role,
            content: message.content.clone(),
            html,
            persona: meta.map(|m| m.persona.to_string()),
            mood: meta.map(|m| m.mood.as_str().to_owned()),
            mood_cause: meta.and_then(|m| m.mood_cause.clone()),
            intent: meta.and_then(|m| m.intent.clone()),
            owner_mood: meta.and_then(|m| m.owner_mood.clone()),
            tags: meta.map(|m| m.tags.clone()).unwrap_or_default(),
            salience: meta.and_then(|m| m.salience).map(mira_core::chat::Salience::get),
            status: message.status,
            project_id: message.project_id.map(|id| id.to_string()),
            metadata: message.metadata.clone(),
            model: message.model.clone(),
            usage: message.usage,
            tool_calls: message.tool_calls.iter().map(ToolCallObject::of).collect(),
            files: message.files.iter().map(FileObject::of).collect(),
            citations: message.citations.iter().map(CitationObject::of).collect(),
            created_at: message.created_at.to_string(),
        }
    }
}

/// A conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionObject {
    /// Its id, `[a-z0-9_-]{1,64}`.
    pub id: String,
    /// Its title; null until the first message gives one.
    pub title: Option<String>,
    /// The overlay the next turn is built with.
    pub persona: String,
    /// Mira's mood.
    pub mood: String,
    /// The overlay the owner pinned here.
    pub pinned_persona: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// The last message of the chosen branch.
    pub head_id: Option<String>,
    /// `on`, `read_only` or `off`.
    #[schema(value_type = String, example = "on")]
    pub memory: MemoryMode,
    /// Listed first.
    pub pinned: bool,
    /// Hidden from the usual list.
    pub archived: bool,
    /// Stored messages, all branches.
    pub message_count: u64,
    /// When it began.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

impl SessionObject {
    /// The object of a session.
    pub fn of(session: &Session) -> Self {
        Self {
            id: session.id.to_string(),
            title: session.title.clone(),
            persona: session.persona.to_string(),
            mood: session.mood.as_str().to_owned(),
            pinned_persona: session.pinned_persona.as_ref().map(ToString::to_string),
            project_id: session.project_id.map(|id| id.to_string()),
            head_id: session.head_id.map(|id| id.to_string()),
            memory: session.memory,
            pinned: session.pinned,
            archived: session.archived,
            message_count: session.message_count,
            created_at: session.created_at.to_string(),
            updated_at: session.updated_at.to_string(),
        }
    }
}

/// One entry of the mood timeline.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Mood)]
pub struct MoodObject {
    /// Its id.
    pub id: String,
    /// Where it happened.
    pub session_id: String,
    /// The reply it came with.
    pub message_id: Option<String>,
    /// The overlay of the moment.
    pub persona: String,
    /// The mood.
    pub mood: String,
    /// What caused it.
    pub cause: Option<String>,
    /// `reply` or `owner`.
    #[schema(value_type = String, example = "reply")]
    pub source: MoodSource,
    /// When.
    pub created_at: String,
}

impl MoodObject {
    /// The object of an entry.
    pub fn of(entry: &MoodEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            session_id: entry.session_id.to_string(),
            message_id: entry.message_id.map(|id| id.to_string()),
            persona: entry.persona.to_string(),
            mood: entry.mood.as_str().to_owned(),
            cause: entry.cause.clone(),
            source: entry.source,
            created_at: entry.created_at.to_string(),
        }
    }
}

/// An overlay.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Persona)]
pub struct PersonaObject {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// One line about it.
    pub description: String,
    /// `#rrggbb`.
    pub colour: String,
    /// `builtin`, or the file it came from.
    pub source: String,
}

impl PersonaObject {
    /// The object of an overlay.
    pub fn of(persona: &Persona) -> Self {
        Self {
            name: persona.name.to_string(),
            title: persona.title.clone(),
            description: persona.description.clone(),
            colour: persona.colour.clone(),
            source: match &persona.source {
                PersonaSource::Builtin => "builtin".to_owned(),
                PersonaSource::File(name) => name.clone(),
            },
        }
    }
}

/// A memory.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Memory)]
pub struct MemoryObject {
    /// Its id; a message's own id where it is a message.
    pub id: String,
    /// `message`, `fact` or `summary`.
    pub kind: &'static str,
    /// Its text.
    pub text: String,
    /// When it was said or learnt.
    pub date: String,
    /// Where it was said or learnt.
    pub session_id: Option<String>,
    /// The message it came from.
    pub message_id: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// Who said it: `user` or `assistant` (kind `message`).
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    /// Whom it is about: `owner`, `mira` or a name (kind `fact`).
    pub about: Option<String>,
    /// What it is about, in a few words (kind `fact`).
    pub topic: Option<String>,
    /// How much it matters, 0 to 1.
    pub salience: Option<f32>,
    /// In every prompt.
    pub pinned: bool,
    /// `conversation`, `owner` or `tool`.
    pub source: &'static str,
    /// False for what came from a tool's result or a web page.
    pub trusted: bool,
    /// Since when it holds.
    pub valid_from: String,
    /// The fact that replaced it.
    pub superseded_by: Option<String>,
}

impl MemoryObject {
    /// The object of a memory.
    pub fn of(memory: &Memory) -> Self {
        Self {
            id: memory.id.to_string(),
            kind: memory.kind.as_str(),
            text: memory.text.clone(),
            date: memory.date.to_string(),
            session_id: memory.session_id.as_ref().map(ToString::to_string),
            message_id: memory.message_id.map(|id| id.to_string()),
            project_id: memory.project_id.map(|id| id.to_string()),
            role: memory.role,
            about: memory.about.clone(),
            topic: memory.topic.clone(),
            salience: memory.salience.map(mira_core::chat::Salience::get),
            pinned: memory.pinned,
            source: memory.source.as_str(),
            trusted: memory.source.is_trusted(),
            valid_from: memory.valid_from.to_string(),
            superseded_by: memory.superseded_by.map(|id| id.to_string()),
        }
    }
}

/// A memory that came up, as the `recall` event tells it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Recalled)]
pub struct RecalledObject {
    /// The memory.
    pub id: String,
    /// `message`, `fact` or `summary`.
    pub kind: &'static str,
    /// Its text.
    pub text: String,
    /// When it was said or learnt.
    pub date: String,
    /// How well it answers; comparable between turns.
    pub score: f32,
    /// Why it came up.
    pub why: String,
    /// The message it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The session of that message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

impl RecalledObject {
    /// The object of a recalled memory.
    pub fn of(recalled: &Recalled) -> Self {
        let memory = &recalled.memory;
        Self {
            id: memory.id.to_string(),
            kind: memory.kind.as_str(),
            text: memory.text.clone(),
            date: memory.date.to_string(),
            score: recalled.scores.total,
            why: recalled.why.clone(),
            message_id: memory.message_id.map(|id| id.to_string()),
            session_id: memory.session_id.as_ref().map(ToString::to_string),
        }
    }
}

/// How well a memory answered.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = Scores)]
pub struct ScoresObject {
    /// BM25 of its contextual document over the ceiling, 0 to 1.
    pub lexical: f32,
    /// Cosine of the embeddings.
    pub cosine: f32,
    /// What speaker, month and session added.
    pub bonus: f32,
    /// What the ranking went by.
    pub total: f32,
}

impl ScoresObject {
    /// The object of scores.
    pub fn of(scores: Scores) -> Self {
        let Scores {
            lexical,
            cosine,
            bonus,
            total,
        } = scores;
        Self {
            lexical,
            cosine,
            bonus,
            total,
        }
    }
}

/// One memory of a receipt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReceiptItem)]
pub struct ReceiptItemObject {
    /// The memory; it may be forgotten since.
    pub memory_id: String,
    /// `message`, `fact` or `summary`.
    pub kind: &'static str,
    /// How well it answered.
    pub scores: ScoresObject,
    /// Its place in the ranking, from 1.
    pub rank: u32,
    /// What it cost in the prompt (estimated).
    pub tokens: u32,
    /// Why it was used, dropped or only considered.
    pub reason: String,
    /// Its text as it is now.
    pub text: Option<String>,
    /// When it was said or learnt.
    pub date: Option<String>,
    /// The message it came from.
    pub message_id: Option<String>,
    /// The session of that message.
    pub session_id: Option<String>,
}

/// Tokens of one part of a prompt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PartTokens)]
pub struct TokensObject {
    /// `system`, `summaries`, `history`, `message`, `memories` or `state`.
    pub part: String,
    /// Estimated tokens.
    pub tokens: u32,
}

/// The oldest of a conversation, where the prompt had no room for it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LeftOut)]
pub struct LeftOutObject {
    /// Messages.
    pub messages: u32,
    /// Notes on what came before the messages.
    pub notes: u32,
}

/// What a reply was made of.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptObject {
    /// The reply.
    pub message_id: String,
    /// SHA-256 over the prompt (system text, each message's role and text, tail; a NUL byte after each), in hex.
    pub prompt_hash: String,
    /// What the parts of the prompt cost.
    pub tokens: Vec<TokensObject>,
    /// What of its own conversation the prompt had no room for.
    pub left_out: LeftOutObject,
    /// Why recall was not whole.
    pub degraded: Option<String>,
    /// What stands in the prompt.
    pub used: Vec<ReceiptItemObject>,
    /// What was left out of it, and why.
    pub dropped: Vec<ReceiptItemObject>,
    /// What others answered better.
    pub considered: Vec<ReceiptItemObject>,
    /// When the prompt was made.
    pub created_at: String,
}

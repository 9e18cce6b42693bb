//! What Mira asks of a language model and what she hears back, in no provider's words.

use crate::{
    chat::{ReplyMeta, Role, Usage},
    persona::PersonaName,
    tool::{AskedCalls, PastCall, Round, ToolOffer},
};
use std::sync::Arc;

/// One earlier message as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptMessage {
    /// Who wrote it.
    pub role: Role,
    /// The text.
    pub text: Arc<str>,
    /// The calls made on the way to it, with what came of them; they stand before it.
    pub calls: Vec<PastCall>,
}

/// One structured reply asked of a model. `system` and the leading `messages` are byte-stable from turn to turn, so
/// that a provider's prompt cache holds; whatever changes every turn is in `tail`.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// Core self, overlay, how to answer.
    pub system: Arc<str>,
    /// The conversation, oldest first; the last one is the owner's new message.
    pub messages: Vec<PromptMessage>,
    /// State of the moment (mood, time, recalled memories); comes after the last message.
    pub tail: String,
    /// The tools that may be called, in a stable order.
    pub tools: Arc<[ToolOffer]>,
    /// What was called for this reply so far, oldest first; comes after the tail.
    pub rounds: Vec<Round>,
    /// Whether the answer must come now: no more calls.
    pub no_more_calls: bool,
    /// The overlays a reply may name, in a stable order.
    pub personas: Vec<PersonaName>,
    /// The overlay and mood to fall back on where the model names none.
    pub fallback: ReplyMeta,
    /// A stable key of the conversation for the provider's prompt cache, at most 64 bytes.
    pub cache_key: String,
}

/// What streams back. Law: `Thinking* Head? (Text | Thinking)* (Finished | Calls)`; `Head` comes before the first `Text`.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The model is at work but has said nothing yet (reasoning).
    Thinking,
    /// Overlay and mood, known before the first word.
    Head(Head),
    /// Text to append to the reply. Never empty.
    Text(String),
    /// The end.
    Finished(Box<Finished>),
    /// The end of this call of the model, but not of the reply: it waits for tools. Only where tools were offered.
    Calls(Box<AskedCalls>),
}

/// Overlay and mood of a reply that is about to be spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The overlay the reply names.
    pub persona: PersonaName,
    /// Her mood.
    pub mood: crate::chat::Mood,
    /// What caused it.
    pub mood_cause: Option<String>,
}

/// A model call that came to its own end.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// What the reply says about itself.
    pub meta: ReplyMeta,
    /// Whether the text is whole.
    pub ending: Ending,
    /// The model that answered, as it names itself.
    pub model: String,
    /// Tokens spent, all calls of this reply together.
    pub usage: Usage,
}

/// How a model call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The whole reply.
    Whole,
    /// The model stopped early (`max_output_tokens`, `content_filter`, ...); the text so far stands.
    CutShort(String),
}

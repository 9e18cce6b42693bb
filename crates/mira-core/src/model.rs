//! What Mira asks of a language model and what she hears back, in no provider's words.

use crate::{
    chat::{ReplyMeta, Role, Usage},
    citation::Source,
    persona::PersonaName,
    tool::{AskedCalls, CallOutcome, PastCall, Round, ToolOffer},
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
    /// Pictures that came with it, for models that see.
    pub pictures: Vec<Picture>,
}

/// A picture as a model is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// `image/png` and the like.
    pub media_type: Arc<str>,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its bytes in base64; nothing where they were not read, because the model is shown none.
    pub base64: Option<Arc<str>>,
}

/// Which tool a provider runs itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostedKind {
    /// It searches the web.
    WebSearch,
    /// It runs Python.
    CodeInterpreter,
    /// It searches documents.
    FileSearch,
    /// It draws.
    ImageGeneration,
}

impl HostedKind {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [
        Self::WebSearch,
        Self::CodeInterpreter,
        Self::FileSearch,
        Self::ImageGeneration,
    ];

    /// As Mira names the tool; her own tool of the same name takes its place where the provider has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSearch => "web_search",
            Self::CodeInterpreter => "code_interpreter",
            Self::FileSearch => "file_search",
            Self::ImageGeneration => "image_generation",
        }
    }
}

/// A tool the provider runs itself, in the course of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostedTool {
    /// It searches the web.
    WebSearch,
    /// It runs Python in a container of the provider's.
    CodeInterpreter {
        /// Files of the container, by the provider's ids.
        files: Vec<String>,
    },
    /// It searches documents given to the provider.
    FileSearch {
        /// The vector stores to search, by the provider's ids.
        stores: Vec<String>,
    },
    /// It draws.
    ImageGeneration,
}

impl HostedTool {
    /// Which one it is.
    pub fn kind(&self) -> HostedKind {
        match self {
            Self::WebSearch => HostedKind::WebSearch,
            Self::CodeInterpreter { .. } => HostedKind::CodeInterpreter,
            Self::FileSearch { .. } => HostedKind::FileSearch,
            Self::ImageGeneration => HostedKind::ImageGeneration,
        }
    }

    /// The files it is given, by the provider's ids.
    pub fn files(&self) -> &[String] {
        match self {
            Self::CodeInterpreter { files } => files,
            Self::WebSearch | Self::FileSearch { .. } | Self::ImageGeneration => &[],
        }
    }
}

/// What is heard of a tool the provider runs.
#[derive(Debug, Clone, PartialEq)]
pub enum HostedEvent {
    /// It was called.
    Begun {
        /// The provider's name for the call, unique in its answer.
        key: String,
        /// As Mira names the tool: `web_search`, `code_interpreter`, `file_search`, `image_generation`, or the
        /// provider's own word.
        tool: String,
        /// What is known of its arguments: JSON.
        arguments: String,
    },
    /// It is at work.
    Progress {
        /// Which call.
        key: String,
        /// What it does, in a word or two.
        detail: String,
    },
    /// A picture it draws, as far as it is.
    Sketched {
        /// Which call.
        key: String,
        /// The number of the sketch, from 1.
        n: u32,
        /// The picture.
        bytes: Arc<[u8]>,
    },
    /// It is done.
    Ended {
        /// Which call.
        key: String,
        /// Its arguments, now whole: JSON.
        arguments: String,
        /// What came of it.
        outcome: CallOutcome,
        /// What it made.
        files: Vec<HostedFile>,
        /// Where its code ran, by the provider's id: what it left there is to be asked for before that is gone.
        container: Option<String>,
    },
    /// The reply points at a source.
    Cited {
        /// What it points at.
        source: Source,
        /// The file that is meant: one of a container, to be fetched before it expires, or one that was given.
        file: Option<HostedFile>,
        /// Where, in Unicode code points of the text of this call of the model, if it can be told.
        place: Option<(u32, u32)>,
    },
}

/// A file a provider's tool made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostedFile {
    /// It came with the answer.
    Here {
        /// Its name.
        name: String,
        /// Its type, as the provider says.
        media_type: String,
        /// Its bytes.
        bytes: Arc<[u8]>,
    },
    /// It lies with the provider for a while.
    There {
        /// The container, by the provider's id.
        container: String,
        /// The file in it, by the provider's id.
        id: String,
        /// Its name.
        name: String,
    },
    /// It lies behind a link for a while.
    At {
        /// The link; nobody has checked where it leads.
        url: String,
        /// Its name.
        name: String,
    },
    /// It is one of those that were given to the provider to search.
    Given {
        /// The file, by the provider's id.
        id: String,
        /// Its name.
        name: String,
    },
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
    /// The provider's own tools that may be used, in a stable order.
    pub hosted: Arc<[HostedTool]>,
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

/// What streams back. Law: `(Thinking | Hosted)* Head? (Text | Thinking | Hosted)* (Finished | Calls)`; `Head` comes before the first `Text`.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The model is at work but has said nothing yet (reasoning).
    Thinking,
    /// Overlay and mood, known before the first word.
    Head(Head),
    /// Text to append to the reply. Never empty.
    Text(String),
    /// Something of a tool the provider runs.
    Hosted(Box<HostedEvent>),
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

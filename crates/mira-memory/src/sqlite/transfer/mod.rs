//! Export and import: the whole conversation as JSON lines, readable by people and by every later version.
//!
//! The first line names the format and its version, the last one counts what stood between. Import is idempotent: what
//! is there already (by id) is skipped; each batch is stored whole or not at all.
//!
//! Version 1 has no facts, versions 1 and 2 have no projects and artifacts, version 3 has no repositories and proposals,
//! version 4 has no files. Never exported is what is made from the rest or means nothing elsewhere: recall's documents
//! and vectors (the import queues them), summaries, receipts, and the hashes of what must stay forgotten, whose key is
//! this installation's.

pub(super) mod attached;
pub(super) mod export;
pub(super) mod files;
mod import;
pub(super) mod works;

use super::{
    Store,
    error::StoreError,
    memories::{self, memory_columns, memory_join},
    messages::{exposure_column, json, list_column, message_columns, read, usage_columns},
    moods::{self, mood_columns},
    outbox,
    rows::{blob, int, ms},
    search::grams,
    sessions::parse_memory,
    state,
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::{
        Exposure, MemoryMode, Message, MessageMetadata, MessageStatus, Mood, MoodEntry, MoodSource, Role, Salience,
        Usage,
    },
    citation::Citation,
    ids::{AccountId, ClientId, MemoryId, MessageId, MoodId, ProjectId, SessionId},
    memory::Memory,
    persona::PersonaName,
    tool::ToolCall,
};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::mpsc;

/// The name of the format.
const FORMAT: &str = "mira-export";
/// The version written; older ones are read.
const VERSION: u32 = 5;
/// Rows read or written at once.
const BATCH: usize = 500;
/// Bytes of lines stored at once, and a last line on top.
const BATCH_BYTES: usize = 16 << 20;

/// What an export wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportReport {
    /// Sessions.
    pub sessions: u64,
    /// Messages, all branches.
    pub messages: u64,
    /// Entries of mood timelines.
    pub moods: u64,
    /// Facts, superseded ones included.
    #[serde(default)]
    pub facts: u64,
    /// Projects.
    #[serde(default)]
    pub projects: u64,
    /// Artifacts.
    #[serde(default)]
    pub artifacts: u64,
    /// Versions of artifacts.
    #[serde(default)]
    pub versions: u64,
    /// Attached repositories, without their clones.
    #[serde(default)]
    pub repos: u64,
    /// Proposals nobody has decided.
    #[serde(default)]
    pub proposals: u64,
    /// Files, with their bytes.
    #[serde(default)]
    pub files: u64,
    /// Files whose bytes were missing or damaged.
    #[serde(default)]
    pub files_left_out: u64,
}

/// What an import has stored so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Lines read.
    pub lines: u64,
    /// Sessions made (or filled, where they were empty).
    pub sessions: u64,
    /// Messages stored.
    pub messages: u64,
    /// Entries of mood timelines stored.
    pub moods: u64,
    /// Facts stored.
    pub facts: u64,
    /// Projects stored.
    pub projects: u64,
    /// Artifacts stored.
    pub artifacts: u64,
    /// Versions of artifacts stored.
    pub versions: u64,
    /// Attached repositories stored; their clones do not come along.
    pub repos: u64,
    /// Proposals stored.
    pub proposals: u64,
    /// Files stored.
    pub files: u64,
    /// Objects that were there already.
    pub skipped: u64,
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Header {
        format: String,
        version: u32,
        exported_at: Timestamp,
    },
    Session(SessionLine),
    Message(Box<MessageLine>),
    Mood(MoodLine),
    Fact(FactLine),
    Project(works::ProjectLine),
    Artifact(works::ArtifactLine),
    ArtifactVersion(Box<works::VersionLine>),
    Repo(attached::RepoLine),
    Proposal(Box<attached::ProposalLine>),
    FileBytes(files::BytesLine),
    File(Box<files::FileLine>),
    State(StateLine),
    End(ExportReport),
}

#[derive(Debug, Serialize, Deserialize)]
struct SessionLine {
    id: SessionId,
    title: Option<String>,
    pinned_persona: Option<PersonaName>,
    project_id: Option<ProjectId>,
    head_id: Option<MessageId>,
    memory: MemoryMode,
    pinned: bool,
    archived: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct MessageLine {
    id: MessageId,
    session_id: SessionId,
    parent_id: Option<MessageId>,
    role: Role,
    content: String,
    status: MessageStatus,
    client_id: Option<String>,
    project_id: Option<ProjectId>,
    metadata: Option<MessageMetadata>,
    meta: Option<MetaLine>,
    model: Option<String>,
    usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    citations: Vec<Citation>,
    /// Of a reply. Those of before it was kept have none; what is with them then tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exposed: Option<Exposure>,
    created_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct MetaLine {
    persona: PersonaName,
    mood: String,
    mood_cause: Option<String>,
    intent: Option<String>,
    owner_mood: Option<String>,
    tags: Vec<String>,
    salience: Option<f32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MoodLine {
    id: MoodId,
    session_id: SessionId,
    message_id: Option<MessageId>,
    persona: PersonaName,
    mood: String,
    cause: Option<String>,
    source: MoodSource,
    created_at: Timestamp,
}

/// A fact. `message_id` is its evidence, `superseded_by` the fact that took its place.
#[derive(Debug, Serialize, Deserialize)]
struct FactLine {
    id: MemoryId,
    about: String,
    topic: Option<String>,
    text: String,
    session_id: Option<SessionId>,
    message_id: Option<MessageId>,
    project_id: Option<ProjectId>,
    salience: Option<f32>,
    pinned: bool,
    source: String,
    valid_from: Timestamp,
    superseded_by: Option<MemoryId>,
    created_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct StateLine {
    persona: PersonaName,
    mood: String,
    mood_cause: Option<String>,
}

//! What the services of a conversation share, wired once at start.

use crate::{
    lifecycle::Lifecycle,
    services::{
        approvals::Approvals,
        chat::Pictures,
        files::Files,
        git::Git,
        hosted::HostedTools,
        hub::log::Encoded,
        mcp::McpTools,
        memory::{Memories, MemoryStatus},
        metrics::Metrics,
        personas::Personas,
        summarization::Summarizer,
        tools::Toolbox,
    },
};
use bytes::Bytes;
use jiff::tz::TimeZone;
use mira_core::{
    approval::Approval,
    chat::Session,
    clock::Clock,
    ids::{ArtifactId, AttachmentId, MemoryId, MessageId, ProjectId, SessionId, TurnId},
    memory::{Memory, MemoryKind},
    model::Head,
    persona::PersonaName,
    project::{Artifact, Project},
    repo::{Proposal, Repo},
    turn::TurnEvent,
};
use mira_llm::ChatModel;
use mira_memory::Store;
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// What an event says beside its own content.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The session.
    pub session_id: &'a SessionId,
    /// The turn.
    pub turn_id: TurnId,
    /// The id the reply is stored under.
    pub reply_id: MessageId,
    /// The overlay chunks carry.
    pub persona: &'a str,
    /// The mood chunks carry.
    pub mood: &'a str,
}

/// How events become frames; the wire format itself lives in `api`.
#[derive(Debug, Clone, Copy)]
pub struct Encoder {
    /// A turn's event, but for its sequence number.
    pub turn: fn(&Scope<'_>, &TurnEvent) -> Encoded,
    /// A rendered block.
    pub html: fn(&Scope<'_>, usize, &str) -> Bytes,
    /// A change of overlay or mood made by the owner, outside any turn.
    pub persona: fn(&SessionId, &Head, bool) -> Encoded,
    /// A session was created, changed or deleted; told to every socket of the account.
    pub session: fn(Change<'_>) -> Bytes,
    /// A memory was learnt, changed or forgotten; told to every socket of the account.
    pub memory: fn(MemoryChange<'_>) -> Bytes,
    /// How far the index is; told to every socket of the account.
    pub index: fn(&MemoryStatus) -> Bytes,
    /// A project was made, changed or deleted; told to every socket of the account.
    pub project: fn(ProjectChange<'_>) -> Bytes,
    /// An artifact was made, changed or deleted; told to every socket of the account.
    pub artifact: fn(ArtifactChange<'_>) -> Bytes,
    /// A repository was attached, changed or detached; told to every socket of the account.
    pub git: fn(RepoChange<'_>) -> Bytes,
    /// A change to a repository was proposed or decided; told to every socket of the account.
    pub proposal: fn(ProposalChange<'_>) -> Bytes,
    /// A call waits for the owner's word, or does not any more; told to every socket of the account.
    pub approval: fn(ApprovalChange<'_>) -> Bytes,
    /// Somebody is typing.
    pub typing: fn(&SessionId, bool) -> Bytes,
}

/// A change of a memory.
#[derive(Debug, Clone, Copy)]
pub enum MemoryChange<'a> {
    /// It is new.
    Created(&'a Memory),
    /// It changed.
    Updated(&'a Memory),
    /// It is forgotten.
    Deleted(MemoryId, MemoryKind),
}

/// A change of a project.
#[derive(Debug, Clone, Copy)]
pub enum ProjectChange<'a> {
    /// It is new.
    Created(&'a Project),
    /// It changed.
    Updated(&'a Project),
    /// It is gone, with its artifacts.
    Deleted(ProjectId),
}

/// A change of an artifact.
#[derive(Debug, Clone, Copy)]
pub enum ArtifactChange<'a> {
    /// It is new.
    Created(&'a Artifact),
    /// It has a new version, or another name.
    Updated(&'a Artifact),
    /// It is gone from this project.
    Deleted(ArtifactId, ProjectId),
}

/// A change of an attached repository.
#[derive(Debug, Clone, Copy)]
pub enum RepoChange<'a> {
    /// It is attached.
    Created(&'a Repo),
    /// Something about it, or in it, changed.
    Updated(&'a Repo),
    /// It is detached from this project.
    Deleted(AttachmentId, ProjectId),
}

/// A change of a proposal.
#[derive(Debug, Clone, Copy)]
pub enum ProposalChange<'a> {
    /// It is new.
    Created(&'a Proposal),
    /// It is decided, or stale.
    Updated(&'a Proposal),
}

/// A change of an approval.
#[derive(Debug, Clone, Copy)]
pub enum ApprovalChange<'a> {
    /// It waits.
    Created(&'a Approval),
    /// It was answered, has expired or is void, or its call is over.
    Updated(&'a Approval),
}

/// A change of a session.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// It is new.
    Created(&'a Session),
    /// It changed.
    Updated(&'a Session),
    /// It is gone.
    Deleted(&'a SessionId),
}

/// What configuration says about turns.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// Least recent messages in a prompt.
    pub history_messages: u64,
    /// The whole prompt's budget.
    pub context_tokens: usize,
    /// The overlay to fall back on.
    pub default_persona: PersonaName,
    /// The owner's time zone.
    pub tz: TimeZone,
    /// Tokens a day, if limited.
    pub daily_token_budget: Option<u64>,
    /// How long a call waits for the owner's word.
    pub approval_wait: Duration,
    /// The model's configured name, shown where a reply broke off before the model named itself.
    pub model: String,
}

/// The shared parts.
#[derive(Clone)]
pub struct Deps {
    /// The truth.
    pub store: Arc<Store>,
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// The overlays.
    pub personas: Personas,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// Frames.
    pub encoder: Encoder,
    /// Settings.
    pub settings: Arc<ChatSettings>,
    /// Memory.
    pub memories: Memories,
    /// Who writes summaries.
    pub summarizer: Summarizer,
    /// What she can do.
    pub tools: Toolbox,
    /// The calls that wait for the owner's word.
    pub approvals: Approvals,
    /// What the owner's MCP servers can do.
    pub mcp: McpTools,
    /// Files.
    pub files: Files,
    /// Pictures as models are shown them.
    pub pictures: Pictures,
    /// What the model's provider runs itself.
    pub hosted: HostedTools,
    /// Repositories.
    pub git: Git,
    /// What every socket of the account is told.
    pub account_events: broadcast::Sender<Bytes>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Tasks and their end.
    pub lifecycle: Lifecycle,
}

impl Deps {
    /// Tells every socket of the account.
    pub fn tell_account(&self, frame: Bytes) {
        // Nobody listening is fine.
        drop(self.account_events.send(frame));
    }
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").finish_non_exhaustive()
    }
}

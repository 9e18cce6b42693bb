//! `/api/memories`, `/api/memory`, `/api/messages/{id}/receipt`: what she remembers, why it came up, and how to correct,
//! pin or forget it.

use super::{
    created,
    sessions::{check_limit, known_project, not_null},
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Json, Path, Query},
        http::health::ComponentObject,
        wire::{LeftOutObject, MemoryObject, ReceiptItemObject, ReceiptObject, ScoresObject, TokensObject},
        ws::message::present,
    },
    services::{
        auth::Identity,
        deps::MemoryChange,
        facts::{self, OwnFact},
        forget,
        memory::MemoryStatus,
    },
    state::AppState,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use mira_core::{
    chat::one_line,
    ids::{MemoryId, MessageId, ProjectId, SessionId},
    memory::{FactNote, Fate, Memory, MemoryKind},
};
use mira_memory::{FactOutcome, FactPatch, MemoryFilter, Page, PatchFactOutcome};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt::Write};
use utoipa::{IntoParams, ToSchema};

/// The longest `q`, in characters.
const MAX_Q: usize = 1024;

/// Which memories to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemoriesQuery {
    /// Words to search for; all when absent.
    q: Option<String>,
    /// `message`, `fact` or `summary`.
    kind: Option<String>,
    /// Of this session only.
    session_id: Option<String>,
    /// Of this project only.
    project_id: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of memories.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemoryList {
    /// The newest first.
    pub memories: Vec<MemoryObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// A fact to remember.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateMemory {
    /// One sentence, at most 400 characters.
    text: String,
    /// `fact`, or absent: what was said and what sums it up comes about by itself.
    #[serde(default)]
    kind: Option<String>,
    /// Whom it is about: `owner` (default), `mira`, or a name.
    #[serde(default)]
    about: Option<String>,
    /// What it is about, in a few words.
    #[serde(default)]
    topic: Option<String>,
    /// In every prompt.
    #[serde(default)]
    pinned: bool,
    /// The session it belongs to.
    #[serde(default)]
    session_id: Option<String>,
    /// The project it belongs to.
    #[serde(default)]
    project_id: Option<String>,
}

/// What to change of a memory. Of a message only `pinned`.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PatchMemory {
    /// The sentence.
    #[serde(default, deserialize_with = "not_null")]
    text: Option<String>,
    /// Whom it is about.
    #[serde(default, deserialize_with = "not_null")]
    about: Option<String>,
    /// What it is about, or null.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    topic: Option<Option<String>>,
    /// In every prompt.
    #[serde(default, deserialize_with = "not_null")]
    pinned: Option<bool>,
}

/// How many memories there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemoryCountsObject {
    /// Messages taken up.
    pub messages: u64,
    /// Facts, superseded ones included.
    pub facts: u64,
    /// Summaries.
    pub summaries: u64,
    /// Pinned ones.
    pub pinned: u64,
}

/// How the index is.
#[derive(Debug, Serialize, ToSchema)]
pub struct IndexObject {
    /// `ok`, `degraded` or `unavailable`.
    pub status: &'static str,
    /// A line about it.
    pub detail: String,
    /// Memories waiting to be taken up.
    pub pending: u64,
    /// Since when the oldest of them waits.
    pub oldest_pending_at: Option<String>,
    /// Whether a new model's index is being filled while the old one answers.
    pub rebuilding: bool,
}

impl IndexObject {
    /// The index of this moment.
    pub fn of(status: &MemoryStatus) -> Self {
        Self {
            status: status.index.condition.as_str(),
            detail: status.index.detail.clone(),
            pending: status.outbox.depth(),
            oldest_pending_at: status.outbox.oldest_queued_at.map(|at| at.to_string()),
            rebuilding: status.rebuilding,
        }
    }
}

/// How memory is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemoryState)]
pub struct MemoryStateObject {
    /// Whether the writing of memories is paused.
    pub paused: bool,
    /// How many there are.
    pub counts: MemoryCountsObject,
    /// The index.
    pub index: IndexObject,
    /// The embedder.
    pub embeddings: ComponentObject,
}

/// What to change.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PatchMemoryState {
    /// Pause or resume the writing of memories.
    #[serde(default, deserialize_with = "not_null")]
    paused: Option<bool>,
}

/// What a rebuild has begun.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReindexObject {
    /// Memories that will be taken up anew.
    pub queued: u64,
}

/// Lists or searches what she remembers.
#[utoipa::path(get, path = "/api/memories", tag = "memory", params(MemoriesQuery), responses(
    (status = 200, description = "A page of memories", body = MemoryList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_memories(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<MemoriesQuery>,
) -> Result<axum::Json<MemoryList>, ApiError> {
    let mut complaints = Complaints::default();
    let limit = check_limit(query.limit, &mut complaints);
    let cursor = complaints.parse("cursor", query.cursor.as_deref());
    let kind = query.kind.as_deref().and_then(|name| {
        let kind = MemoryKind::parse(name);
        if kind.is_none() {
            complaints.add("kind", "message, fact or summary");
        }
        kind
    });
    let session_id: Option<SessionId> = complaints.parse("session_id", query.session_id.as_deref());
    let project_id: Option<ProjectId> = complaints.parse("project_id", query.project_id.as_deref());
    complaints.done()?;
    check_session(&state, &identity, session_id.as_ref()).await?;
    let filter = MemoryFilter {
        q: query
            .q
            .map(|q| q.chars().take(MAX_Q).collect::<String>())
            .filter(|q| !q.trim().is_empty()),
        kind,
        session_id,
        project_id,
    };
    let page = Page { limit, cursor };
    let listed = state.store().list_memories(identity.account, filter, page).await?;
    Ok(axum::Json(MemoryList {
        memories: listed.items.iter().map(MemoryObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// That the session which is named exists, where one is.
async fn check_session(state: &AppState, identity: &Identity, session: Option<&SessionId>) -> Result<(), ApiError> {
    if let Some(id) = session {
        let known = state.store().find_session(identity.account, id).await?;
        known.ok_or(ApiError::NotFound("session"))?;
    }
    Ok(())
}

fn check_text(text: &str, complaints: &mut Complaints) -> String {
    if text.chars().count() > FactNote::MAX_CHARS {
        complaints.add("text", format!("at most {} characters", FactNote::MAX_CHARS));
    }
    let text = one_line(text, FactNote::MAX_CHARS);
    if text.is_empty() {
        complaints.add("text", "must not be empty");
    }
    text
}

fn check_name(field: &str, text: &str, complaints: &mut Complaints) -> String {
    if text.chars().count() > FactNote::MAX_NAME_CHARS {
        complaints.add(field, format!("at most {} characters", FactNote::MAX_NAME_CHARS));
    }
    one_line(text, FactNote::MAX_NAME_CHARS)
}

/// Adds a fact of the owner's.
#[utoipa::path(post, path = "/api/memories", tag = "memory", request_body = CreateMemory, responses(
    (status = 201, description = "Remembered", body = MemoryObject),
    (status = 200, description = "It was known already", body = MemoryObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create_memory(
    State(state): State<AppState>,
    identity: Identity,
    Json(body): Json<CreateMemory>,
) -> Result<Response, ApiError> {
    let mut complaints = Complaints::default();
    let text = check_text(&body.text, &mut complaints);
    if body.kind.is_some_and(|kind| kind != MemoryKind::Fact.as_str()) {
        complaints.add("kind", "only a fact can be added");
    }
    let about = check_name("about", body.about.as_deref().unwrap_or_default(), &mut complaints);
    let topic = check_name("topic", body.topic.as_deref().unwrap_or_default(), &mut complaints);
    let session: Option<SessionId> = complaints.parse("session_id", body.session_id.as_deref());
    let project = known_project(&state, &identity, &mut complaints, body.project_id.as_deref()).await?;
    complaints.done()?;
    check_session(&state, &identity, session.as_ref()).await?;
    let Some(note) = FactNote::tidy(&about, &topic, &text, None) else {
        return Err(ApiError::field("text", "must not be empty"));
    };
    let own = OwnFact {
        about: note.about,
        topic: Some(note.topic).filter(|topic| !topic.is_empty()),
        text: note.text,
        pinned: body.pinned,
        session,
        project,
    };
    let memories = &state.hub().deps().memories;
    match facts::add(memories, identity.account, own).await? {
        FactOutcome::Stored(memory) => {
            state.hub().announce_memory(MemoryChange::Created(&memory));
            let place = format!("/api/memories/{}", memory.id);
            Ok(created(&state, &place, axum::Json(MemoryObject::of(&memory))))
        }
        FactOutcome::Merged(id) => {
            let memory = found(&state, &identity, id).await?;
            // It may be pinned now, and is the owner's word.
            state.hub().announce_memory(MemoryChange::Updated(&memory));
            Ok(axum::Json(MemoryObject::of(&memory)).into_response())
        }
        FactOutcome::Forgotten => Err(ApiError::Conflict(
            "this was forgotten on your wish, and stays forgotten".to_owned(),
        )),
    }
}

async fn found(state: &AppState, identity: &Identity, id: MemoryId) -> Result<Memory, ApiError> {
    state
        .store()
        .find_memory(identity.account, id)
        .await?
        .ok_or(ApiError::NotFound("memory"))
}

/// One memory.
#[utoipa::path(get, path = "/api/memories/{id}", tag = "memory", params(("id" = String, Path)), responses(
    (status = 200, description = "The memory", body = MemoryObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_memory(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<MemoryObject>, ApiError> {
    let id: MemoryId = id.parse().map_err(|_| ApiError::NotFound("memory"))?;
    let memory = found(&state, &identity, id).await?;
    Ok(axum::Json(MemoryObject::of(&memory)))
}

/// Corrects or pins a memory. The text of a message cannot be changed here: edit the message, or add a fact.
#[utoipa::path(patch, path = "/api/memories/{id}", tag = "memory", params(("id" = String, Path)),
    request_body = PatchMemory, responses(
    (status = 200, description = "As it is now", body = MemoryObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn patch_memory(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Json(body): Json<PatchMemory>,
) -> Result<axum::Json<MemoryObject>, ApiError> {
    let id: MemoryId = id.parse().map_err(|_| ApiError::NotFound("memory"))?;
    let mut complaints = Complaints::default();
    let text = body.text.as_deref().map(|text| check_text(text, &mut complaints));
    let about = body
        .about
        .as_deref()
        .map(|about| check_name("about", about, &mut complaints));
    let topic = body.topic.map(|topic| {
        topic
            .map(|topic| check_name("topic", &topic, &mut complaints).to_lowercase())
            .filter(|topic| !topic.is_empty())
    });
    complaints.done()?;
    let about = about.and_then(|about| FactNote::tidy(&about, "", "-", None).map(|note| note.about));
    let patch = FactPatch {
        text,
        about,
        topic,
        pinned: body.pinned,
    };
    let corrects = patch.text.is_some() || patch.about.is_some() || patch.topic.is_some();
    if !corrects && patch.pinned != Some(true) {
        // Only pinning makes a message a memory that is none.
        let memory = found(&state, &identity, id).await?;
        if patch.pinned.is_none() {
            return Ok(axum::Json(MemoryObject::of(&memory)));
        }
    }
    let corrects = patch.text.is_some();
    let memories = &state.hub().deps().memories;
    let now = memories.clock().now();
    let outcome = state.store().patch_memory(identity.account, id, patch, now).await?;
    match outcome {
        PatchFactOutcome::Patched(memory) => {
            memories.wake();
            if corrects {
                forget::wipe_later(state.hub());
            }
            state.hub().announce_memory(MemoryChange::Updated(&memory));
            Ok(axum::Json(MemoryObject::of(&memory)))
        }
        PatchFactOutcome::NotFound => Err(ApiError::NotFound("memory")),
        PatchFactOutcome::NotAFact => Err(ApiError::field(
            "text",
            "only a fact can be corrected: edit the message, or add a fact",
        )),
    }
}

/// Forgets a memory everywhere: rows, search, index, summaries, receipts, Mira's own backups. A message leaves a
/// tombstone without content in the conversation.
#[utoipa::path(delete, path = "/api/memories/{id}", tag = "memory", params(("id" = String, Path)), responses(
    (status = 204, description = "Forgotten"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_memory(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id: MemoryId = id.parse().map_err(|_| ApiError::NotFound("memory"))?;
    let (hub, account) = (state.hub().clone(), identity.account);
    // In a task of its own: a caller who goes away must not leave it half done.
    let work = state
        .life()
        .spawn(async move { forget::forget(&hub, account, id).await });
    let known = work.await.map_err(|error| ApiError::internal(&error))??;
    if known {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound("memory"))
    }
}

/// How memory is.
#[utoipa::path(get, path = "/api/memory", tag = "memory", responses(
    (status = 200, description = "How memory is", body = MemoryStateObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_state(
    State(state): State<AppState>,
    identity: Identity,
) -> Result<axum::Json<MemoryStateObject>, ApiError> {
    let memories = &state.hub().deps().memories;
    let status = memories.status(identity.account).await?;
    let counts = state.store().memory_counts(identity.account).await?;
    Ok(axum::Json(MemoryStateObject {
        paused: memories.is_paused(),
        counts: MemoryCountsObject {
            messages: counts.messages,
            facts: counts.facts,
            summaries: counts.summaries,
            pinned: counts.pinned,
        },
        index: IndexObject::of(&status),
        embeddings: status.embeddings.into(),
    }))
}

/// Pauses or resumes the writing of memories.
#[utoipa::path(patch, path = "/api/memory", tag = "memory", request_body = PatchMemoryState, responses(
    (status = 200, description = "How memory is", body = MemoryStateObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn patch_state(
    State(state): State<AppState>,
    identity: Identity,
    Json(body): Json<PatchMemoryState>,
) -> Result<axum::Json<MemoryStateObject>, ApiError> {
    if let Some(paused) = body.paused {
        let memories = &state.hub().deps().memories;
        memories.set_paused(identity.account, paused).await?;
    }
    get_state(State(state), identity).await
}

/// Rebuilds the recall documents and the vector index from the database, in the background.
#[utoipa::path(post, path = "/api/admin/reindex", tag = "operation", responses(
    (status = 202, description = "Begun; `GET /api/memory` tells how many are left", body = ReindexObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn reindex(State(state): State<AppState>, identity: Identity) -> Result<Response, ApiError> {
    let memories = &state.hub().deps().memories;
    let queued = memories.reindex(identity.account).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(ReindexObject { queued })).into_response())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

/// What a reply was made of.
#[utoipa::path(get, path = "/api/messages/{id}/receipt", tag = "memory", params(("id" = String, Path)), responses(
    (status = 200, description = "What was considered, used and dropped, and what the prompt was made of", body = ReceiptObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn receipt(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<ReceiptObject>, ApiError> {
    let id: MessageId = id.parse().map_err(|_| ApiError::NotFound("message"))?;
    let receipt = state.store().find_receipt(identity.account, id).await?;
    let Some(receipt) = receipt else {
        let message = state.store().find_message(identity.account, id).await?;
        return Err(ApiError::NotFound(if message.is_some() {
            "receipt"
        } else {
            "message"
        }));
    };
    let ids: Vec<MemoryId> = receipt.items.iter().map(|item| item.memory_id).collect();
    let known = state.store().find_memories(identity.account, &ids).await?;
    let known: HashMap<MemoryId, Memory> = known.into_iter().map(|memory| (memory.id, memory)).collect();
    let mut object = ReceiptObject {
        message_id: receipt.message_id.to_string(),
        prompt_hash: hex(&receipt.prompt_hash),
        tokens: receipt
            .parts
            .into_iter()
            .map(|(part, tokens)| TokensObject { part, tokens })
            .collect(),
        left_out: LeftOutObject {
            messages: receipt.left_out.messages,
            notes: receipt.left_out.notes,
        },
        degraded: receipt.degraded,
        used: Vec::new(),
        dropped: Vec::new(),
        considered: Vec::new(),
        created_at: receipt.created_at.to_string(),
    };
    for item in receipt.items {
        let memory = known.get(&item.memory_id);
        let line = ReceiptItemObject {
            memory_id: item.memory_id.to_string(),
            kind: item.kind.as_str(),
            scores: ScoresObject::of(item.scores),
            rank: item.rank,
            tokens: item.tokens,
            reason: item.reason,
            text: memory.map(|memory| memory.text.clone()),
            date: memory.map(|memory| memory.date.to_string()),
            message_id: memory.and_then(|memory| memory.message_id).map(|id| id.to_string()),
            session_id: memory
                .and_then(|memory| memory.session_id.as_ref())
                .map(ToString::to_string),
        };
        match item.fate {
            Fate::Used => object.used.push(line),
            Fate::Dropped => object.dropped.push(line),
            Fate::Considered => object.considered.push(line),
        }
    }
    Ok(axum::Json(object))
}

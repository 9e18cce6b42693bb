//! History, single messages, full-text search, overlays.

use super::{
    parts::PartQuery,
    sessions::{ListQuery, check_limit, session_or_default},
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Path, Query},
        wire::{ApprovalObject, CitationObject, MessageObject, PersonaObject, ToolCallObject},
    },
    services::auth::Identity,
    state::AppState,
};
use axum::{Json, extract::State};
use mira_core::{chat::Message, ids::MessageId, persona::PersonaName};
use mira_memory::BranchFrom;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Attempts to catch a conversation standing still for one look; after that the last look stands.
const LOOKS: usize = 5;

/// Which part of the history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The session; the default one when absent.
    session_id: Option<String>,
    /// Only messages with this tag.
    tag: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The reply being spoken while the history was read.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActiveTurn {
    /// The turn.
    pub turn_id: String,
    /// The id the reply will be stored under.
    pub message_id: String,
    /// Its text so far.
    pub content: String,
    /// The tools called so far.
    pub tool_calls: Vec<ToolCallObject>,
    /// The places that point at sources so far.
    pub citations: Vec<CitationObject>,
    /// The calls that wait for the owner's word.
    pub approvals: Vec<ApprovalObject>,
    /// The events after this number continue the text.
    pub from_seq: u64,
}

/// A page of history.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// Messages of the chosen branch, oldest first.
    pub messages: Vec<MessageObject>,
    /// Where the next, older page begins.
    pub next_cursor: Option<String>,
    /// The number of the last event these messages tell of: open the socket with `after` set to it.
    pub seq: u64,
    /// The reply being spoken.
    pub active_turn: Option<ActiveTurn>,
}

/// What to search for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Any text.
    q: Option<String>,
}

/// One find.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResult {
    /// The message.
    pub message: MessageObject,
    /// Its session.
    pub session_id: String,
    /// The session's title.
    pub session_title: Option<String>,
    /// The place found, plain text; matches stand between U+E000 and U+E001.
    pub snippet: String,
}

/// A page of finds.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResults {
    /// The newest first.
    pub results: Vec<SearchResult>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// All overlays.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonaList {
    /// By name.
    pub personas: Vec<PersonaObject>,
    /// Files of the owner's folder that were skipped, and why.
    pub skipped: Vec<SkippedPersona>,
    /// Where the next part begins, for those who ask for parts.
    pub next_cursor: Option<String>,
}

/// A file that is no overlay.
#[derive(Debug, Serialize, ToSchema)]
pub struct SkippedPersona {
    /// Its name.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// Many messages at once, rendered where blocking is allowed.
async fn objects(messages: Vec<Message>) -> Result<Vec<MessageObject>, ApiError> {
    let work = move || messages.iter().map(MessageObject::of).collect();
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::internal(&error))
}

/// The history of a session, newest page first, along the chosen branch.
#[utoipa::path(get, path = "/api/chat/history", tag = "chat", params(HistoryQuery), responses(
    (status = 200, description = "A page of history", body = History),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn history(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<History>, ApiError> {
    let session = session_or_default(&state, query.session_id.as_deref())?;
    let mut complaints = Complaints::default();
    let limit = check_limit(query.limit, &mut complaints);
    let cursor: Option<MessageId> = complaints.parse("cursor", query.cursor.as_deref());
    complaints.done()?;
    let live = state
        .hub()
        .live(identity.account, &session)
        .await?
        .ok_or(ApiError::NotFound("session"))?;
    let from = cursor.map_or(BranchFrom::Head, BranchFrom::Before);
    let mut before = live.log.snapshot();
    let mut looks = 0;
    let page = loop {
        let page = state
            .store()
            .branch(identity.account, &session, from, limit, query.tag.as_deref())
            .await?;
        let after = live.log.snapshot();
        // A turn that began, stored or ended meanwhile would be told twice or not at all; chunks alone do no harm.
        let turn = |snapshot: &crate::services::hub::log::Snapshot| snapshot.active.as_ref().map(|a| a.turn_id);
        let still = turn(&before) == turn(&after) && (after.active.is_some() || before.seq == after.seq);
        looks += 1;
        if still || looks == LOOKS {
            break page;
        }
        before = after;
    };
    if let Some(cursor) = cursor.filter(|_| page.messages.is_empty()) {
        // Nothing stands above the first message, nor above one that is gone; above another session's stands no page of
        // this one.
        let message = state.store().find_message(identity.account, cursor).await?;
        if message.is_some_and(|message| message.session_id != session) {
            return Err(ApiError::Malformed(
                "the cursor is of another session's history".to_owned(),
            ));
        }
    }
    let next_cursor = page
        .messages
        .first()
        .filter(|_| page.more)
        .map(|message| message.id.to_string());
    let stored: Vec<MessageId> = page.messages.iter().map(|message| message.id).collect();
    let active_turn = before
        .active
        .filter(|active| !stored.contains(&active.message_id))
        .map(|active| *active)
        .map(|active| ActiveTurn {
            turn_id: active.turn_id.to_string(),
            message_id: active.message_id.to_string(),
            content: active.content,
            tool_calls: active.calls.iter().map(ToolCallObject::of).collect(),
            citations: active.citations.iter().map(CitationObject::of).collect(),
            approvals: active.approvals.iter().map(ApprovalObject::of).collect(),
            from_seq: before.seq,
        });
    let messages = objects(page.messages).await?;
    Ok(Json(History {
        messages,
        next_cursor,
        seq: before.seq,
        active_turn,
    }))
}

/// One message.
#[utoipa::path(get, path = "/api/messages/{id}", tag = "chat", params(("id" = String, Path)), responses(
    (status = 200, description = "The message", body = MessageObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_message(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Json<MessageObject>, ApiError> {
    let id: MessageId = id.parse().map_err(|_| ApiError::NotFound("message"))?;
    let message = state
        .store()
        .find_message(identity.account, id)
        .await?
        .ok_or(ApiError::NotFound("message"))?;
    Ok(Json(MessageObject::of(&message)))
}

/// Full-text search over everything said. Each message is found by each of its words; any text is a valid query.
#[utoipa::path(get, path = "/api/search", tag = "chat", params(SearchQuery, ListQuery), responses(
    (status = 200, description = "A page of finds", body = SearchResults),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn search(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<SearchQuery>,
    Query(page): Query<ListQuery>,
) -> Result<Json<SearchResults>, ApiError> {
    let page = page.page()?;
    let text = query.q.unwrap_or_default();
    let listed = state.store().search(identity.account, &text, page).await?;
    let work = move || {
        let results = listed.items.iter().map(|hit| SearchResult {
            message: MessageObject::of(&hit.message),
            session_id: hit.message.session_id.to_string(),
            session_title: hit.session_title.clone(),
            snippet: hit.snippet.clone(),
        });
        SearchResults {
            results: results.collect(),
            next_cursor: listed.next.map(|cursor| cursor.to_string()),
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map(Json)
        .map_err(|error| ApiError::internal(&error))
}

/// All overlays, the owner's own included.
#[utoipa::path(get, path = "/api/personas", tag = "personas", params(PartQuery), responses(
    (status = 200, description = "The overlays", body = PersonaList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_personas(
    State(state): State<AppState>,
    Query(part): Query<PartQuery>,
) -> Result<Json<PersonaList>, ApiError> {
    let personas = &state.hub().deps().personas;
    let set = personas.fresh().await;
    let skipped = personas.skipped();
    let skipped = skipped.iter().map(|s| SkippedPersona {
        file: s.file.clone(),
        reason: s.reason.clone(),
    });
    let (personas, next_cursor) = part.of(set.iter().map(PersonaObject::of).collect())?;
    Ok(Json(PersonaList {
        personas,
        skipped: skipped.collect(),
        next_cursor,
    }))
}

/// One overlay.
#[utoipa::path(get, path = "/api/personas/{name}", tag = "personas", params(("name" = String, Path)), responses(
    (status = 200, description = "The overlay", body = PersonaObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_persona(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<PersonaObject>, ApiError> {
    let name: PersonaName = name.parse().map_err(|_| ApiError::NotFound("persona"))?;
    let set = state.hub().deps().personas.fresh().await;
    set.get(&name)
        .map(|persona| Json(PersonaObject::of(persona)))
        .ok_or(ApiError::NotFound("persona"))
}

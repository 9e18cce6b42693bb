//! `/api/sessions`: the conversations.

use super::created;
use crate::{
    api::{
        chat_body::{Complaints, parse_session},
        error::{ApiError, Problem},
        extract::{Json, OptionalJson, Path, Query},
        wire::{MoodObject, SessionObject},
        ws::message::{persona_change, present},
    },
    services::{auth::Identity, deps::Change, forget, hub::PersonaChange, hub::live::Live},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use mira_core::{
    chat::{MemoryMode, one_line},
    ids::{MessageId, ProjectId, SessionId, TurnId},
};
use mira_memory::{Inserted, NewSession, Page, PatchOutcome, SessionFilter, SessionPatch};
use serde::{Deserialize, Deserializer, Serialize};
use std::{fmt::Display, str::FromStr, sync::Arc};
use utoipa::{IntoParams, ToSchema};

/// The longest title, in characters.
const MAX_TITLE: usize = 200;

/// The usual query of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// The page asked for. A limit out of range is an error, a cursor of another list too.
    pub fn page<C: FromStr<Err: Display>>(&self) -> Result<Page<C>, ApiError> {
        let mut complaints = Complaints::default();
        let limit = check_limit(self.limit, &mut complaints);
        let cursor = complaints.parse("cursor", self.cursor.as_deref());
        complaints.done().map(|()| Page { limit, cursor })
    }
}

/// A limit: 50 when absent, at most 200.
pub fn check_limit(limit: Option<u32>, complaints: &mut Complaints) -> u32 {
    match limit {
        Some(0) => {
            complaints.add("limit", "1 to 200");
            1
        }
        Some(limit) => limit.min(200),
        None => 50,
    }
}

/// Which sessions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only archived ones (`true`), or only others (`false`); all when absent.
    archived: Option<bool>,
    /// Only those of a project.
    project_id: Option<String>,
}

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    /// Pinned ones first, then the last used.
    pub sessions: Vec<SessionObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// A new session.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct CreateSession {
    /// Its id; generated when absent.
    #[serde(default)]
    id: Option<String>,
    /// Its title; the first message gives one when absent.
    #[serde(default)]
    title: Option<String>,
    /// The project it belongs to.
    #[serde(default)]
    project_id: Option<String>,
    /// `on` (default), `read_only` or `off`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    memory: Option<MemoryMode>,
}

/// What to change of a session.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PatchSession {
    /// Its title, or null.
    #[serde(default, deserialize_with = "present")]
    title: Option<Option<String>>,
    /// Listed first.
    #[serde(default, deserialize_with = "not_null")]
    pinned: Option<bool>,
    /// Hidden from the usual list.
    #[serde(default, deserialize_with = "not_null")]
    archived: Option<bool>,
    /// Its project, or null.
    #[serde(default, deserialize_with = "present")]
    project_id: Option<Option<String>>,
    /// The last message of the chosen branch.
    #[serde(default, deserialize_with = "not_null")]
    head_id: Option<String>,
    /// `on`, `read_only` or `off`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Option<String>)]
    memory: Option<MemoryMode>,
}

/// Absent leaves a value as it is; null is not a value.
pub(super) fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A pin or a nudge.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PutPersona {
    /// A name pins it, null lets her choose; absent leaves it as it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    persona: Option<Option<String>>,
    /// A mood to nudge her to: she is told.
    #[serde(default)]
    mood: Option<String>,
}

/// A page of the mood timeline.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoodList {
    /// Newest first.
    pub moods: Vec<MoodObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// Which turn to stop.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct StopRequest {
    /// The running one when absent.
    #[serde(default)]
    turn_id: Option<String>,
}

/// What is being stopped.
#[derive(Debug, Serialize, ToSchema)]
pub struct StopAnswer {
    /// The turn; null when none was running.
    pub turn_id: Option<String>,
}

pub(super) async fn live(state: &AppState, identity: &Identity, id: &str) -> Result<Arc<Live>, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound("session"))?;
    state
        .hub()
        .live(identity.account, &id)
        .await?
        .ok_or(ApiError::NotFound("session"))
}

/// A project of the caller's; a name of none that is theirs is a complaint.
pub(super) async fn known_project(
    state: &AppState,
    identity: &Identity,
    complaints: &mut Complaints,
    project: Option<&str>,
) -> Result<Option<ProjectId>, ApiError> {
    let id: Option<ProjectId> = complaints.parse("project_id", project);
    if let Some(id) = id
        && state.store().find_project(identity.account, id).await?.is_none()
    {
        complaints.add("project_id", "there is no such project");
    }
    Ok(id)
}

fn check_title(title: Option<String>, complaints: &mut Complaints) -> Option<String> {
    let title = title?;
    if title.chars().count() > MAX_TITLE {
        complaints.add("title", "at most 200 characters");
    }
    Some(one_line(&title, MAX_TITLE)).filter(|title| !title.is_empty())
}

/// Lists the sessions.
#[utoipa::path(get, path = "/api/sessions", tag = "sessions", params(SessionsQuery), responses(
    (status = 200, description = "A page of sessions", body = SessionList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_sessions(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<SessionsQuery>,
) -> Result<axum::Json<SessionList>, ApiError> {
    let page = ListQuery {
        limit: query.limit,
        cursor: query.cursor,
    }
    .page()?;
    let mut complaints = Complaints::default();
    let project_id = complaints.parse("project_id", query.project_id.as_deref());
    complaints.done()?;
    let filter = SessionFilter {
        archived: query.archived,
        project_id,
    };
    let listed = state.store().list_sessions(identity.account, filter, page).await?;
    Ok(axum::Json(SessionList {
        sessions: listed.items.iter().map(SessionObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// Makes a session. It starts with the mood and overlay Mira is in.
#[utoipa::path(post, path = "/api/sessions", tag = "sessions", request_body = Option<CreateSession>, responses(
    (status = 201, description = "The new session", body = SessionObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create_session(
    State(state): State<AppState>,
    identity: Identity,
    OptionalJson(body): OptionalJson<CreateSession>,
) -> Result<Response, ApiError> {
    let mut complaints = Complaints::default();
    let named: Option<SessionId> = complaints.parse("id", body.id.as_deref());
    let project_id = known_project(&state, &identity, &mut complaints, body.project_id.as_deref()).await?;
    let title = check_title(body.title, &mut complaints);
    complaints.done()?;
    let id = named.unwrap_or_else(|| SessionId::from(state.clock().new_uuid()));
    let new = NewSession {
        id,
        title,
        pinned_persona: None,
        project_id,
        memory: body.memory.unwrap_or(MemoryMode::On),
        now: state.clock().now(),
    };
    match state.store().insert_session(identity.account, new).await? {
        Inserted::New(session) => {
            state.hub().announce(Change::Created(&session));
            let place = format!("/api/sessions/{}", session.id);
            Ok(created(&state, &place, axum::Json(SessionObject::of(&session))))
        }
        Inserted::Exists(_) => Err(ApiError::Conflict("a session of that id exists".to_owned())),
    }
}

/// One session.
#[utoipa::path(get, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path)), responses(
    (status = 200, description = "The session", body = SessionObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_session(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<SessionObject>, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound("session"))?;
    let session = state
        .store()
        .find_session(identity.account, &id)
        .await?
        .ok_or(ApiError::NotFound("session"))?;
    Ok(axum::Json(SessionObject::of(&session)))
}

/// Changes a session.
#[utoipa::path(patch, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    request_body = PatchSession, responses(
    (status = 200, description = "The session as it is now", body = SessionObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn patch_session(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Json(body): Json<PatchSession>,
) -> Result<axum::Json<SessionObject>, ApiError> {
    let live = live(&state, &identity, &id).await?;
    let mut complaints = Complaints::default();
    let head_id: Option<MessageId> = complaints.parse("head_id", body.head_id.as_deref());
    let title = body.title.map(|title| check_title(title, &mut complaints));
    let project_id: Option<Option<ProjectId>> = body
        .project_id
        .map(|project| complaints.parse("project_id", project.as_deref()));
    complaints.done()?;
    let patch = SessionPatch {
        title,
        pinned: body.pinned,
        archived: body.archived,
        head_id,
        memory: body.memory,
        pinned_persona: None,
        project_id,
    };
    match state
        .store()
        .update_session(identity.account, &live.id, patch, state.clock().now())
        .await?
    {
        PatchOutcome::Updated(session) => {
            state.hub().announce(Change::Updated(&session));
            Ok(axum::Json(SessionObject::of(&session)))
        }
        PatchOutcome::NoSuchSession => Err(ApiError::NotFound("session")),
        PatchOutcome::NoSuchMessage => Err(ApiError::field("head_id", "no such message in this session")),
        PatchOutcome::NoSuchProject => Err(ApiError::field("project_id", "there is no such project")),
    }
}

/// Deletes a session with everything said in it. The default session is cleared instead: it is always there.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path)), responses(
    (status = 204, description = "Deleted (the default session: cleared)"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_session(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let live = live(&state, &identity, &id).await?;
    state.hub().quiet(&live).await?;
    if live.id == *state.default_session() {
        state
            .store()
            .clear_session(identity.account, &live.id, state.clock().now())
            .await?;
        if let Some(session) = state.store().find_session(identity.account, &live.id).await? {
            state.hub().cleared(&live, &session);
        }
    } else {
        state.store().delete_session(identity.account, &live.id).await?;
        state.hub().drop_session(identity.account, &live.id);
    }
    forget::wipe_later(state.hub());
    Ok(StatusCode::NO_CONTENT)
}

/// Stops a turn: what she had said is kept.
#[utoipa::path(post, path = "/api/sessions/{id}/stop", tag = "sessions", params(("id" = String, Path)),
    request_body = Option<StopRequest>, responses(
    (status = 200, description = "What is being stopped", body = StopAnswer),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn stop(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<StopRequest>,
) -> Result<axum::Json<StopAnswer>, ApiError> {
    let live = live(&state, &identity, &id).await?;
    let mut complaints = Complaints::default();
    let turn_id: Option<TurnId> = complaints.parse("turn_id", request.turn_id.as_deref());
    complaints.done()?;
    let stopped = state.hub().stop(&live, turn_id).await?;
    Ok(axum::Json(StopAnswer {
        turn_id: stopped.map(|id| id.to_string()),
    }))
}

/// The mood timeline of a session.
#[utoipa::path(get, path = "/api/sessions/{id}/moods", tag = "sessions", params(("id" = String, Path), ListQuery), responses(
    (status = 200, description = "A page of moods, newest first", body = MoodList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_moods(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<MoodList>, ApiError> {
    let live = live(&state, &identity, &id).await?;
    let listed = state
        .store()
        .list_moods(identity.account, &live.id, query.page()?)
        .await?;
    Ok(axum::Json(MoodList {
        moods: listed.items.iter().map(MoodObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// Pins or releases the overlay, nudges her mood; every client sees it at once.
#[utoipa::path(put, path = "/api/sessions/{id}/persona", tag = "sessions", params(("id" = String, Path)),
    request_body = PutPersona, responses(
    (status = 200, description = "The session as it is now", body = SessionObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn put_persona(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Json(body): Json<PutPersona>,
) -> Result<axum::Json<SessionObject>, ApiError> {
    let live = live(&state, &identity, &id).await?;
    let (pin, mood) = persona_change(body.persona, body.mood.as_deref())?;
    let session = state.hub().change_persona(&live, PersonaChange { pin, mood }).await?;
    Ok(axum::Json(SessionObject::of(&session)))
}

/// The session a query names, or the default one.
pub fn session_or_default(state: &AppState, named: Option<&str>) -> Result<SessionId, ApiError> {
    named.map_or_else(|| Ok(state.default_session().clone()), parse_session)
}

//! Saying something over HTTP: `POST /chat` (one JSON answer and a cookie), `POST /api/chat` (the stored reply, or the
//! turn as server-sent events), `GET /api/sessions/{id}/events` (a session's events). The turn is the same as over
//! a WebSocket; only the listening differs.

use super::sessions::live;
use crate::{
    api::{
        auth::{cookie_text, is_https, set_cookie},
        chat_body::{ChatBody, Words, parse_session},
        error::{ApiError, Problem},
        extract::{Json, Path, Query},
        failure::TurnFailed,
        frames::{json, sse},
        wire::{CitationObject, MessageObject, ToolResultObject},
        ws::wants_html,
    },
    services::{
        auth::Identity,
        chat::TurnEnd,
        deps::Change,
        hub::{
            actor::{Accepted, Ask},
            live::Live,
            log::{Audience, Cursor, Entry},
        },
    },
    state::AppState,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use mira_core::{
    chat::{MemoryMode, Message, MessageStatus},
    ids::{SessionId, TurnId},
    turn::Outcome,
};
use mira_memory::NewSession;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

/// The cookie that keeps a `POST /chat` caller in its session.
const SESSION_COOKIE: &str = "mira_session";
/// How long that cookie lasts, in seconds.
const SESSION_COOKIE_S: i64 = 365 * 24 * 3600;
/// A comment in this time, so that proxies and clients know the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// The simple answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatAnswer {
    /// What she says.
    pub output: String,
    /// The overlay.
    pub persona: Option<String>,
    /// Her mood.
    pub mood: Option<String>,
    /// The session.
    pub session_id: String,
    /// The reply's id.
    pub message_id: String,
    /// Results of tools.
    pub tool_results: Vec<ToolResultObject>,
    /// The places that point at sources.
    pub citations: Vec<CitationObject>,
}

/// Where it is said; what the body names goes before.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// The session.
    session_id: Option<String>,
}

impl PlaceQuery {
    /// The session that a request names, if it names one.
    fn session(&self, body: &ChatBody) -> Result<Option<SessionId>, ApiError> {
        let query = || self.session_id.as_deref().map(parse_session).transpose();
        body.session()?.map_or_else(query, |session| Ok(Some(session)))
    }
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Resume after this number; `Last-Event-ID` wins.
    after: Option<u64>,
    /// `html`: rendered blocks too.
    render: Option<String>,
}

/// Says something; answers when the reply is whole. Needs nothing but curl: the cookie keeps the session.
#[utoipa::path(post, path = "/chat", tag = "chat", params(PlaceQuery), request_body = ChatBody, responses(
    (status = 200, description = "The reply", body = ChatAnswer),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn chat(
    State(state): State<AppState>,
    identity: Identity,
    Query(place): Query<PlaceQuery>,
    request: axum::extract::Request,
) -> Result<Response, ApiError> {
    let secure = is_https(&request);
    let cookie = session_cookie(request.headers());
    let Json(body) = <Json<ChatBody> as axum::extract::FromRequest<AppState>>::from_request(request, &state).await?;
    let named = place.session(&body)?;
    let asked = body.into_request(Words::Message)?;
    let live = match named {
        Some(session) => state
            .hub()
            .live(identity.account, &session)
            .await?
            .ok_or(ApiError::NotFound("session"))?,
        None => cookie_session(&state, &identity, cookie).await?,
    };
    let reply = match wait(&state, &live, Ask::Send(asked)).await? {
        Ok(reply) => reply,
        Err(failed) => return Ok(with_session(*failed, &live.id, secure)),
    };
    let meta = reply.meta.as_ref();
    let answer = ChatAnswer {
        output: reply.content.clone(),
        persona: meta.map(|m| m.persona.to_string()),
        mood: meta.map(|m| m.mood.as_str().to_owned()),
        session_id: live.id.to_string(),
        message_id: reply.id.to_string(),
        tool_results: reply.tool_calls.iter().filter_map(ToolResultObject::of).collect(),
        citations: reply.citations.iter().map(CitationObject::of).collect(),
    };
    Ok(with_session(axum::Json(answer).into_response(), &live.id, secure))
}

fn with_session(mut response: Response, session: &SessionId, secure: bool) -> Response {
    let cookie = cookie_text(SESSION_COOKIE, session.as_str(), SESSION_COOKIE_S, secure);
    set_cookie(&mut response, &cookie);
    response
}

fn session_cookie(headers: &HeaderMap) -> Option<SessionId> {
    let all = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let named = all
        .flat_map(cookie::Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == SESSION_COOKIE);
    named.and_then(|cookie| cookie.value().parse().ok())
}

/// The cookie's session if it still exists, else a new one.
async fn cookie_session(
    state: &AppState,
    identity: &Identity,
    cookie: Option<SessionId>,
) -> Result<Arc<Live>, ApiError> {
    if let Some(session) = cookie
        && let Some(live) = state.hub().live(identity.account, &session).await?
    {
        return Ok(live);
    }
    let id = SessionId::from(state.clock().new_uuid());
    let new = NewSession {
        id: id.clone(),
        title: None,
        pinned_persona: None,
        project_id: None,
        memory: MemoryMode::On,
        now: state.clock().now(),
    };
    let session = state.store().insert_session(identity.account, new).await?.into_inner();
    state.hub().announce(Change::Created(&session));
    state
        .hub()
        .live(identity.account, &id)
        .await?
        .ok_or(ApiError::NotFound("session"))
}

/// Runs a turn and waits for its reply; the inner error is the answer of a turn without one.
async fn wait(state: &AppState, live: &Arc<Live>, ask: Ask) -> Result<Result<Box<Message>, Box<Response>>, ApiError> {
    let (mut cursor, _) = live.log.listen();
    let end = match state.hub().ask(live, ask).await? {
        Accepted::Turn { end, .. } => end.await.map_err(|_| ApiError::Internal)?,
        Accepted::Duplicate {
            message,
            reply: Some(reply),
            ..
        } if message.id != reply.id => return Ok(Ok(reply)),
        Accepted::Duplicate {
            message,
            running: Some(turn),
            ..
        } => {
            wait_for_done(live, &mut cursor, turn).await?;
            let reply = state.store().find_reply_to(live.account, message.id).await?;
            return reply
                .map(|reply| Ok(Box::new(reply)))
                .ok_or_else(|| ApiError::Conflict("that turn ended without a reply".to_owned()));
        }
        Accepted::Duplicate { .. } => {
            return Err(ApiError::Conflict(
                "that message was sent before and its turn ended without a reply".to_owned(),
            ));
        }
    };
    Ok(reply_of(end))
}

fn reply_of(end: TurnEnd) -> Result<Box<Message>, Box<Response>> {
    match (end.failure, end.reply) {
        (Some(failure), _) => Err(Box::new(TurnFailed(failure).into_response())),
        (None, Some(reply)) => Ok(reply),
        (None, None) => {
            debug_assert_eq!(end.outcome, Outcome::Stopped);
            let refused = ApiError::Conflict("the turn was stopped before its first word".to_owned());
            Err(Box::new(refused.into_response()))
        }
    }
}

async fn wait_for_done(live: &Live, cursor: &mut Cursor, turn: TurnId) -> Result<(), ApiError> {
    let mut entries = Vec::new();
    loop {
        entries.clear();
        if live.log.read(cursor, 0, &mut entries).is_err() {
            return Ok(());
        }
        if entries
            .iter()
            .any(|entry| entry.turn_id == Some(turn) && entry.kind == "done")
        {
            return Ok(());
        }
        if live.log.is_at_end(cursor) && !cursor.wait().await {
            return Err(ApiError::NotFound("session"));
        }
    }
}

/// Says something: the stored reply as JSON, or with `Accept: text/event-stream` the turn's events.
#[utoipa::path(post, path = "/api/chat", tag = "chat", params(PlaceQuery), request_body = ChatBody, responses(
    (status = 200, description = "The stored reply, or the turn as server-sent events", content(
        (MessageObject = "application/json"), (String = "text/event-stream"),
    )),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn api_chat(
    State(state): State<AppState>,
    identity: Identity,
    Query(place): Query<PlaceQuery>,
    headers: HeaderMap,
    Json(body): Json<ChatBody>,
) -> Result<Response, ApiError> {
    let named = place.session(&body)?;
    let session = named.as_ref().unwrap_or_else(|| state.default_session());
    let live = live(&state, &identity, session.as_str()).await?;
    let ask = Ask::Send(body.into_request(Words::Content)?);
    if !wants_events(&headers) {
        return match wait(&state, &live, ask).await? {
            Ok(reply) => Ok(axum::Json(MessageObject::of(&reply)).into_response()),
            Err(failed) => Ok(*failed),
        };
    }
    let (cursor, _) = live.log.listen();
    let replaying_to = live.log.end_pos();
    let (turn_id, cursor, replaying_to) = match state.hub().ask(&live, ask).await? {
        Accepted::Turn { turn_id, .. } => (turn_id, cursor, replaying_to),
        Accepted::Duplicate {
            running: Some(turn_id), ..
        } => {
            // The whole turn from its beginning: a client that repeats itself has lost what it heard.
            let cursor = live.log.replay_turn(turn_id).unwrap_or(cursor);
            (turn_id, cursor, live.log.end_pos())
        }
        Accepted::Duplicate {
            message,
            reply,
            running: None,
        } => return Ok(event_headers(Body::from(retold(&live, &message, reply.as_deref())))),
    };
    let mut events = Events::new(&state, identity, live, (cursor, replaying_to), false);
    events.turn = Some(turn_id);
    Ok(event_stream(events))
}

/// A frame of a turn that is told again from what is stored.
#[derive(Serialize)]
struct Retold<'a> {
    r#type: &'static str,
    session_id: &'a SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

/// The events of a turn that ended some time ago: the message, what became of it, the end.
fn retold(live: &Live, message: &Message, reply: Option<&Message>) -> Vec<u8> {
    let (outcome, problem) = match reply.map(|reply| reply.status) {
        Some(MessageStatus::Complete | MessageStatus::Forgotten) => (Outcome::Complete, None),
        Some(MessageStatus::Stopped) => (Outcome::Stopped, None),
        Some(MessageStatus::Interrupted) => (Outcome::Interrupted, Some("the reply to that message was interrupted")),
        Some(MessageStatus::Failed) | None => (
            Outcome::Failed,
            Some("that message was sent before and its turn ended without a reply"),
        ),
    };
    let frame = |kind| Retold {
        r#type: kind,
        session_id: &live.id,
        message_id: None,
        message: None,
        error: None,
        retryable: None,
        outcome: None,
    };
    let of = |kind, message: Option<&Message>| Retold {
        message_id: message.map(|message| message.id.to_string()),
        message: message.map(MessageObject::of),
        ..frame(kind)
    };
    let second = match problem {
        Some(text) => Retold {
            error: Some(ApiError::Conflict(text.to_owned()).problem(None)),
            retryable: Some(false),
            ..of("error", reply)
        },
        None => of("complete", reply),
    };
    let done = Retold {
        outcome: Some(outcome.as_str()),
        message_id: reply.map(|reply| reply.id.to_string()),
        ..frame("done")
    };
    let frames = [of("message", Some(message)), second, done];
    frames
        .iter()
        .flat_map(|frame| sse(frame.r#type, None, &json(frame)))
        .collect()
}

/// Whether a client wants a stream rather than one answer.
fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.split(',').any(|kind| {
        kind.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("text/event-stream")
    })
}

/// A session's events as server-sent events: `event:` is the type, `id:` the number; `Last-Event-ID` resumes.
#[utoipa::path(get, path = "/api/sessions/{id}/events", tag = "chat", params(("id" = String, Path), EventsQuery), responses(
    (status = 200, description = "Events until the client leaves", body = String, content_type = "text/event-stream"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn events(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let html = wants_html(query.render.as_deref())?;
    let live = live(&state, &identity, &id).await?;
    let last = match headers
        .get("last-event-id")
        .map(|value| value.to_str().unwrap_or_default().trim())
    {
        None | Some("") => query.after,
        Some(text) => Some(
            text.parse()
                .map_err(|_| ApiError::field("Last-Event-ID", "a sequence number"))?,
        ),
    };
    let (lost, cursor) = match last.map(|after| live.log.resume(after)) {
        None => (None, live.log.listen().0),
        Some(Ok((cursor, _))) => (None, cursor),
        Some(Err((_, cursor, snapshot))) => (Some(snapshot.seq), cursor),
    };
    let replaying_to = live.log.end_pos();
    let mut events = Events::new(&state, identity, live, (cursor, replaying_to), html);
    if let Some(seq) = lost {
        events.ready.push_back(events.reset(seq, "expired"));
    }
    Ok(event_stream(events))
}

/// A cursor as a stream of SSE bytes.
struct Events {
    state: AppState,
    /// Whose it is, and news of logins that ended: it does not outlast its own.
    identity: Identity,
    revocations: watch::Receiver<u64>,
    live: Arc<Live>,
    cursor: Cursor,
    replaying_to: u64,
    /// Only this turn, and no further than its end.
    turn: Option<TurnId>,
    html: Option<crate::services::hub::live::HtmlListener>,
    ready: VecDeque<Bytes>,
    over: bool,
    /// Counts the open stream in the metrics.
    _counted: crate::services::metrics::Open,
}

impl Events {
    fn new(
        state: &AppState,
        identity: Identity,
        live: Arc<Live>,
        (cursor, replaying_to): (Cursor, u64),
        html: bool,
    ) -> Self {
        let html = html.then(|| live.want_html());
        let counted = state.metrics().clone().stream_opened();
        let mut revocations = state.auth().revocations();
        // The login may have ended since it was looked at.
        revocations.mark_changed();
        Self {
            state: state.clone(),
            identity,
            revocations,
            live,
            cursor,
            replaying_to,
            turn: None,
            html,
            ready: VecDeque::new(),
            over: false,
            _counted: counted,
        }
    }

    fn reset(&self, seq: u64, reason: &str) -> Bytes {
        let frame = serde_json::json!({"type": "reset", "session_id": self.live.id, "seq": seq, "reason": reason});
        sse("reset", None, frame.to_string().as_bytes())
    }

    fn read(&mut self) {
        let mut entries: Vec<Entry> = Vec::new();
        if let Err(seq) = self.live.log.read(&mut self.cursor, self.replaying_to, &mut entries) {
            let reset = self.reset(seq, "lagged");
            self.ready.push_back(reset);
            self.over = true;
            return;
        }
        for entry in entries {
            let mine = match entry.audience {
                Audience::All | Audience::AllBut(_) => true,
                Audience::Html => self.html.is_some(),
            };
            let wanted = self.turn.is_none() || entry.turn_id == self.turn;
            if !mine || !wanted || self.over {
                continue;
            }
            self.ready.push_back(sse(entry.kind, entry.seq, &entry.frame));
            self.over = self.turn.is_some() && entry.kind == "done";
        }
    }

    /// Whether its login holds; looked at again when some login has ended.
    async fn is_logged_in(&mut self) -> bool {
        if !self.revocations.has_changed().unwrap_or(true) {
            return true;
        }
        self.revocations.mark_unchanged();
        let valid = self.state.auth().still_valid(&self.identity).await;
        valid.unwrap_or_else(|error| {
            tracing::error!(%error, "a login could not be looked at; its event stream ends");
            false
        })
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let soft = self.state.life().soft().clone();
        let mut draining = false;
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.over || !self.is_logged_in().await {
                return None;
            }
            if !self.live.log.is_at_end(&self.cursor) {
                self.read();
                continue;
            }
            if self.live.is_removed() || (draining && !self.live.is_active()) {
                return None;
            }
            tokio::select! {
                biased;
                news = self.revocations.changed() => match news {
                    Ok(()) => self.revocations.mark_changed(),
                    Err(_) => return None,
                },
                open = self.cursor.wait() => self.over = !open,
                () = soft.cancelled(), if !draining => draining = true,
                () = tokio::time::sleep(HEARTBEAT) => {
                    return Some(sse("heartbeat", None, br#"{"type":"heartbeat"}"#));
                }
            }
        }
    }
}

fn event_stream(events: Events) -> Response {
    let stream = stream::unfold(events, |mut events| async move {
        events
            .next()
            .await
            .map(|bytes| (Ok::<_, std::convert::Infallible>(bytes), events))
    });
    event_headers(Body::from_stream(stream))
}

fn event_headers(body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx passes each event on at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

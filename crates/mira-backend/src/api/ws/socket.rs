//! One socket's task: it writes what its cursor yields and hands client frames to the hub, one at a time.

use super::{
    Entry,
    message::{ClientMsg, client_id_of, parse},
};
use crate::{
    api::{
        error::{ApiError, Problem},
        frames::{error_frame, json},
        wire::{ApprovalObject, CitationObject, MessageObject, SessionObject, ToolCallObject},
    },
    services::{
        approvals,
        auth::{AuthError, Identity},
        hub::{
            PersonaChange,
            actor::{Accepted, Ask, Refusal},
            live::{HtmlListener, Live},
            log::{Audience, Cursor, Entry as LogEntry, Lost, Snapshot},
        },
    },
    state::AppState,
};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, future::BoxFuture};
use mira_core::{
    chat::Session,
    ids::{ClientId, SessionId},
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{broadcast, watch},
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::tungstenite;

/// A socket that is not logged in says who it is within this.
const AUTH_WITHIN: Duration = Duration::from_secs(5);
/// At least one frame in this time, so that proxies and clients know the socket is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// A client that does not take what is sent within this cannot keep up.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
/// How long it is waited for then, so that it hears why when it reads again.
const LISTEN_WITHIN: Duration = Duration::from_secs(45);
/// How long a closed socket is read on, so that the client gets the close frame and not a reset.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

const NORMAL: u16 = 1000;
const AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;
const INTERNAL: u16 = 1011;
const TRY_AGAIN: u16 = 1013;
const LOGIN: u16 = 4401;
const NO_SESSION: u16 = 4404;

/// How a socket ends.
#[derive(Debug)]
enum Goodbye {
    /// With a close frame.
    Close(u16, &'static str),
    /// The peer cannot keep up.
    TooSlow,
    /// The peer is gone or does not read.
    Gone,
}

/// Writes to the peer; each write has a deadline.
struct Peer(WebSocket);

impl Peer {
    async fn send(&mut self, frame: Bytes) -> Result<(), Goodbye> {
        self.send_all(std::iter::once(frame)).await
    }

    async fn send_all(&mut self, frames: impl Iterator<Item = Bytes>) -> Result<(), Goodbye> {
        self.send_within(WRITE_WITHIN, frames).await
    }

    async fn send_within(&mut self, limit: Duration, frames: impl Iterator<Item = Bytes>) -> Result<(), Goodbye> {
        let writing = async {
            for frame in frames {
                self.0.feed(text(frame)?).await.map_err(|_| Goodbye::Gone)?;
            }
            self.0.flush().await.map_err(|_| Goodbye::Gone)
        };
        timeout(limit, writing).await.unwrap_or(Err(Goodbye::TooSlow))
    }

    async fn close(mut self, code: u16, reason: &'static str) {
        let frame = Message::Close(Some(CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        }));
        let closing = async {
            // Where the client closes, this fails: the answer to that waits already, and leaves with the first reading.
            let sent = self.0.send(frame).await;
            // What the client still sends is read and dropped, in bounded measure.
            for _ in 0..4096 {
                if self.0.recv().await.is_none() {
                    break;
                }
            }
            sent
        };
        if let Ok(Err(error)) = timeout(CLOSE_WITHIN, closing).await {
            tracing::debug!(%error, "a socket could not be closed in order");
        }
    }
}

fn text(frame: Bytes) -> Result<Message, Goodbye> {
    // Frames are our own JSON, so they are UTF-8.
    Utf8Bytes::try_from(frame)
        .map(Message::Text)
        .map_err(|_| Goodbye::Close(INTERNAL, "internal error"))
}

/// Runs a socket to its end.
pub async fn run(state: AppState, socket: WebSocket, login: Result<Option<Identity>, AuthError>, entry: Entry) {
    let metrics = state.metrics().clone();
    let _counted = metrics.socket_opened();
    let mut peer = Peer(socket);
    let goodbye = match admit(&state, &mut peer, login).await {
        Ok(identity) => match Connection::open(state, &mut peer, identity, entry).await {
            Ok(mut connection) => connection.serve(&mut peer).await,
            Err(goodbye) => goodbye,
        },
        Err(goodbye) => goodbye,
    };
    match goodbye {
        Goodbye::Close(code, reason) => {
            if code == TRY_AGAIN {
                metrics.client_dropped();
            }
            peer.close(code, reason).await;
        }
        Goodbye::TooSlow => metrics.client_dropped(),
        Goodbye::Gone => {}
    }
}

async fn admit(
    state: &AppState,
    peer: &mut Peer,
    login: Result<Option<Identity>, AuthError>,
) -> Result<Identity, Goodbye> {
    match login {
        Ok(Some(identity)) => return Ok(identity),
        Ok(None) => {}
        Err(error) => return refuse(peer, error.into()).await,
    }
    let first = async {
        loop {
            match peer.0.recv().await {
                // They are the protocol's own and say nothing of who sends them.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return other,
            }
        }
    };
    let token = match timeout(AUTH_WITHIN, first).await {
        Ok(Some(Ok(Message::Text(frame)))) => match parse(&frame) {
            Ok(ClientMsg::Auth { token }) => token,
            Ok(_) => return refuse(peer, AuthError::Missing.into()).await,
            Err(error) => return refuse(peer, error).await,
        },
        Ok(Some(Ok(Message::Close(_))) | None) => return Err(Goodbye::Close(NORMAL, "")),
        Ok(Some(Err(error))) => return Err(goodbye_of(&error)),
        Ok(Some(Ok(_))) | Err(_) => return refuse(peer, AuthError::Missing.into()).await,
    };
    match state.auth().authenticate_token(&token) {
        Ok(identity) => Ok(identity),
        Err(error) => refuse(peer, error.into()).await,
    }
}

async fn refuse(peer: &mut Peer, error: ApiError) -> Result<Identity, Goodbye> {
    peer.send(error_frame(&error.problem(None), None)).await?;
    Err(Goodbye::Close(LOGIN, "login needed"))
}

/// What a client frame set in motion.
enum Outcome {
    Frames(Vec<Bytes>),
    Nothing,
}

type Pending = BoxFuture<'static, Outcome>;

struct Connection {
    state: AppState,
    identity: Identity,
    id: u64,
    live: Arc<Live>,
    cursor: Cursor,
    replaying_to: u64,
    wants_html: bool,
    html: Option<HtmlListener>,
    account: broadcast::Receiver<Bytes>,
    revocations: watch::Receiver<u64>,
    heartbeat: Interval,
}

impl Connection {
    async fn open(state: AppState, peer: &mut Peer, identity: Identity, entry: Entry) -> Result<Self, Goodbye> {
        let session = entry.session.unwrap_or_else(|| state.default_session().clone());
        // Subscribed before the session is looked at, so that no change falls between.
        let (account, revocations) = (state.hub().account_events(), state.auth().revocations());
        let found = state.hub().live(identity.account, &session).await;
        let Some(live) = found.map_err(|error| log_store(&error))? else {
            return nowhere(peer).await;
        };
        let (cursor, _) = live.log.listen();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let id = state.next_socket_id();
        let mut connection = Self {
            state,
            identity,
            id,
            live: live.clone(),
            cursor,
            replaying_to: 0,
            wants_html: entry.html,
            html: None,
            account,
            revocations,
            heartbeat,
        };
        if connection.attach(peer, live, entry.after).await? {
            Ok(connection)
        } else {
            nowhere(peer).await
        }
    }

    /// Moves the socket to a session: `hello`, then whatever was missed. False, and nothing has happened, where the
    /// session was deleted just now.
    async fn attach(&mut self, peer: &mut Peer, live: Arc<Live>, after: Option<u64>) -> Result<bool, Goodbye> {
        let found = self.state.store().find_session(self.identity.account, &live.id).await;
        let Some(session) = found.map_err(|error| log_store(&error))? else {
            return Ok(false);
        };
        let (lost, cursor, snapshot) = match after {
            None => {
                let (cursor, snapshot) = live.log.listen();
                (None, cursor, snapshot)
            }
            Some(after) => match live.log.resume(after) {
                Ok((cursor, snapshot)) => (None, cursor, snapshot),
                Err((lost, cursor, snapshot)) => (Some(lost), cursor, snapshot),
            },
        };
        self.replaying_to = live.log.end_pos();
        self.cursor = cursor;
        self.html = self.wants_html.then(|| live.want_html());
        self.live = live;
        let mut frames = vec![hello(&self.state, &session, &snapshot)];
        if let Some(lost) = lost {
            frames.push(reset(&session.id, snapshot.seq, lost));
        }
        peer.send_all(frames.into_iter()).await.map(|()| true)
    }

    async fn serve(&mut self, peer: &mut Peer) -> Goodbye {
        match self.serve_until(peer).await {
            Ok(never) => match never {},
            Err(Goodbye::TooSlow) => self.let_go(peer).await,
            Err(goodbye) => goodbye,
        }
    }

    /// Tells a client that cannot keep up where to go on from, as soon as it reads again.
    async fn let_go(&mut self, peer: &mut Peer) -> Goodbye {
        let told = reset(&self.live.id, self.live.log.last_seq(), Lost::Lagged);
        let telling = peer.send_within(LISTEN_WITHIN, std::iter::once(told));
        match self.state.life().soft().run_until_cancelled(telling).await {
            Some(Ok(())) => Goodbye::Close(TRY_AGAIN, "too slow"),
            Some(Err(goodbye)) => goodbye,
            None => Goodbye::Gone,
        }
    }

    async fn serve_until(&mut self, peer: &mut Peer) -> Result<std::convert::Infallible, Goodbye> {
        let soft = self.state.life().soft().clone();
        let mut draining = false;
        let mut pending: Option<Pending> = None;
        loop {
            self.write_out(peer).await?;
            if draining && pending.is_none() && !self.live.is_active() && self.live.log.is_at_end(&self.cursor) {
                return Err(Goodbye::Close(AWAY, "Mira is shutting down"));
            }
            tokio::select! {
                biased;
                open = self.cursor.wait() => if !open {
                    return Err(Goodbye::Close(AWAY, "the session is gone"));
                },
                outcome = finish(&mut pending) => {
                    pending = None;
                    if let Outcome::Frames(frames) = outcome {
                        // Events come before the answer that tells of them.
                        self.write_out(peer).await?;
                        peer.send_all(frames.into_iter()).await?;
                    }
                }
                message = peer.0.recv(), if pending.is_none() => {
                    pending = self.on_message(peer, message).await?;
                }
                event = self.account.recv() => match event {
                    Ok(frame) => peer.send(frame).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => return Err(Goodbye::TooSlow),
                    Err(broadcast::error::RecvError::Closed) => return Err(Goodbye::Close(AWAY, "Mira is shutting down")),
                },
                _ = self.heartbeat.tick() => {
                    peer.send(Bytes::from_static(br#"{"type":"heartbeat"}"#)).await?;
                }
                changed = self.revocations.changed() => self.check_login(peer, changed.is_ok()).await?,
                () = soft.cancelled(), if !draining => draining = true,
            }
        }
    }

    async fn check_login(&self, peer: &mut Peer, gate_open: bool) -> Result<(), Goodbye> {
        if gate_open
            && self
                .state
                .auth()
                .still_valid(&self.identity)
                .await
                .map_err(|error| log_store(&error))?
        {
            return Ok(());
        }
        peer.send(error_frame(&ApiError::from(AuthError::Ended).problem(None), None))
            .await?;
        Err(Goodbye::Close(LOGIN, "the login has ended"))
    }

    /// Writes everything the cursor has not seen.
    async fn write_out(&mut self, peer: &mut Peer) -> Result<(), Goodbye> {
        let mut entries: Vec<LogEntry> = Vec::new();
        loop {
            entries.clear();
            let read = self.live.log.read(&mut self.cursor, self.replaying_to, &mut entries);
            if read.is_err() {
                return Err(Goodbye::TooSlow);
            }
            let (html, id) = (self.html.is_some(), self.id);
            let mine = |entry: &LogEntry| match entry.audience {
                Audience::All => true,
                Audience::Html => html,
                Audience::AllBut(other) => other != id,
            };
            if !entries.is_empty() {
                peer.send_all(entries.drain(..).filter(mine).map(|entry| entry.frame))
                    .await?;
            }
            if self.live.log.is_at_end(&self.cursor) {
                return Ok(());
            }
        }
    }

    async fn on_message(
        &mut self,
        peer: &mut Peer,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<Pending>, Goodbye> {
        let frame = match message {
            None => return Err(Goodbye::Gone),
            Some(Err(error)) => return Err(goodbye_of(&error)),
            Some(Ok(Message::Close(_))) => return Err(Goodbye::Close(NORMAL, "")),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(None),
            Some(Ok(Message::Binary(_))) => {
                let error = ApiError::Malformed("frames are text with one JSON object each".to_owned());
                peer.send(error_frame(&error.problem(None), None)).await?;
                return Ok(None);
            }
            Some(Ok(Message::Text(frame))) => frame,
        };
        match parse(&frame) {
            Ok(message) => self.obey(peer, message).await,
            Err(error) => {
                let named = client_id_of(&frame);
                let named = named.as_ref().map(ClientId::as_str);
                peer.send(error_frame(&error.problem(None), named)).await?;
                Ok(None)
            }
        }
    }

    async fn obey(&mut self, peer: &mut Peer, message: ClientMsg) -> Result<Option<Pending>, Goodbye> {
        let (hub, live) = (self.state.hub().clone(), self.live.clone());
        let pending: Pending = match message {
            ClientMsg::Auth { .. } => return Ok(None),
            ClientMsg::Ping => {
                peer.send(Bytes::from_static(br#"{"type":"pong"}"#)).await?;
                return Ok(None);
            }
            ClientMsg::Typing { active } => {
                let frame = (hub.deps().encoder.typing)(&live.id, active);
                live.log.send("typing", None, Audience::AllBut(self.id), frame);
                return Ok(None);
            }
            ClientMsg::Subscribe { session, after } => {
                self.move_to(peer, &session, after, None).await?;
                return Ok(None);
            }
            ClientMsg::Chat { session, request } => {
                // What was deleted and made anew under the same name is another session.
                let elsewhere = |session: &SessionId| *session != self.live.id || self.live.is_removed();
                if let Some(session) = session.filter(elsewhere)
                    && !self.move_to(peer, &session, None, request.client_id.as_ref()).await?
                {
                    return Ok(None);
                }
                ask(&self.state, self.live.clone(), Ask::Send(*request))
            }
            ClientMsg::Regenerate { message_id, tz } => ask(&self.state, live, Ask::Regenerate { message_id, tz }),
            ClientMsg::Edit {
                message_id,
                content,
                file_ids,
                tz,
            } => ask(
                &self.state,
                live,
                Ask::Edit {
                    message_id,
                    content,
                    file_ids,
                    tz,
                },
            ),
            ClientMsg::Stop { turn_id } => Box::pin(async move { answer(hub.stop(&live, turn_id).await) }),
            ClientMsg::Answer { approval_id, answer } => {
                let account = self.identity.account;
                Box::pin(async move {
                    match approvals::answer(&hub, account, approval_id, answer).await {
                        // What comes of it is told by the events of its turn, or by the session's.
                        Ok(_) => Outcome::Nothing,
                        Err(error) => Outcome::Frames(vec![error_frame(&ApiError::from(error).problem(None), None)]),
                    }
                })
            }
            ClientMsg::Select { message_id } => Box::pin(async move { answer(hub.select(&live, message_id).await) }),
            ClientMsg::SwitchPersona { persona, mood } => {
                let change = PersonaChange { pin: persona, mood };
                Box::pin(async move { answer(hub.change_persona(&live, change).await) })
            }
        };
        Ok(Some(pending))
    }

    /// Moves to another session; false (and an error frame, for the message that was to be said there) if there is none
    /// of that name.
    async fn move_to(
        &mut self,
        peer: &mut Peer,
        session: &SessionId,
        after: Option<u64>,
        client_id: Option<&ClientId>,
    ) -> Result<bool, Goodbye> {
        let found = self.state.hub().live(self.identity.account, session).await;
        let moved = match found.map_err(|error| log_store(&error))? {
            Some(live) => self.attach(peer, live, after).await?,
            None => false,
        };
        if !moved {
            let problem = ApiError::NotFound("session").problem(None);
            let named = client_id.map(ClientId::as_str);
            peer.send(error_frame(&problem, named)).await?;
        }
        Ok(moved)
    }
}

/// The end of a socket whose session is not there.
async fn nowhere<T>(peer: &mut Peer) -> Result<T, Goodbye> {
    peer.send(error_frame(&ApiError::NotFound("session").problem(None), None))
        .await?;
    Err(Goodbye::Close(NO_SESSION, "no such session"))
}

async fn finish(pending: &mut Option<Pending>) -> Outcome {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

fn answer<T>(result: Result<T, Refusal>) -> Outcome {
    match result {
        Ok(_) => Outcome::Nothing,
        Err(refusal) => Outcome::Frames(vec![error_frame(&ApiError::from(refusal).problem(None), None)]),
    }
}

fn ask(state: &AppState, live: Arc<Live>, ask: Ask) -> Pending {
    let hub = state.hub().clone();
    let client_id = match &ask {
        Ask::Send(request) => request.client_id.as_ref().map(|id| id.as_str().to_owned()),
        Ask::Regenerate { .. } | Ask::Edit { .. } => None,
    };
    Box::pin(async move {
        match hub.ask(&live, ask).await {
            Ok(Accepted::Turn { .. }) => Outcome::Nothing,
            Ok(Accepted::Duplicate { message, .. }) => {
                let frame = live.log.find_message_event(message.id).unwrap_or_else(|| {
                    json(&MessageFrame {
                        r#type: "message",
                        session_id: &live.id,
                        message_id: message.id.to_string(),
                        client_id: client_id.as_deref(),
                        message: MessageObject::of(&message),
                    })
                    .into()
                });
                Outcome::Frames(vec![frame])
            }
            Err(refusal) => {
                let problem: Problem = ApiError::from(refusal).problem(None);
                Outcome::Frames(vec![error_frame(&problem, client_id.as_deref())])
            }
        }
    })
}

#[derive(Serialize)]
struct MessageFrame<'a> {
    r#type: &'static str,
    session_id: &'a SessionId,
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    message: MessageObject,
}

fn hello(state: &AppState, session: &Session, snapshot: &Snapshot) -> Bytes {
    #[derive(Serialize)]
    struct Active<'a> {
        turn_id: String,
        message_id: String,
        content: &'a str,
        tool_calls: Vec<ToolCallObject>,
        citations: Vec<CitationObject>,
        approvals: Vec<ApprovalObject>,
        from_seq: u64,
    }
    #[derive(Serialize)]
    struct Hello<'a> {
        r#type: &'static str,
        protocol: &'static str,
        version: &'static str,
        session_id: &'a SessionId,
        session: SessionObject,
        seq: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        active_turn: Option<Active<'a>>,
        rehearsal: bool,
    }
    let active_turn = snapshot.active.as_ref().map(|active| Active {
        turn_id: active.turn_id.to_string(),
        message_id: active.message_id.to_string(),
        content: &active.content,
        tool_calls: active.calls.iter().map(ToolCallObject::of).collect(),
        citations: active.citations.iter().map(CitationObject::of).collect(),
        approvals: active.approvals.iter().map(ApprovalObject::of).collect(),
        from_seq: snapshot.seq,
    });
    json(&Hello {
        r#type: "hello",
        protocol: super::PROTOCOL,
        version: env!("CARGO_PKG_VERSION"),
        session_id: &session.id,
        session: SessionObject::of(session),
        seq: snapshot.seq,
        active_turn,
        rehearsal: state.is_rehearsal(),
    })
    .into()
}

fn reset(session_id: &SessionId, seq: u64, lost: Lost) -> Bytes {
    let reason = match lost {
        Lost::Expired => "expired",
        Lost::Lagged => "lagged",
    };
    format!(r#"{{"type":"reset","session_id":"{session_id}","seq":{seq},"reason":"{reason}"}}"#).into()
}

fn log_store(error: &mira_memory::StoreError) -> Goodbye {
    tracing::error!(%error, "a socket's session could not be read");
    Goodbye::Close(INTERNAL, "internal error")
}

/// The close code a broken frame deserves.
fn goodbye_of(error: &axum::Error) -> Goodbye {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        match cause.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Utf8(_)) => return Goodbye::Close(NOT_UTF8, "text frames are UTF-8"),
            Some(tungstenite::Error::Capacity(_)) => return Goodbye::Close(TOO_BIG, "frames are at most 1 MiB"),
            Some(tungstenite::Error::Protocol(_)) => return Goodbye::Close(PROTOCOL_ERROR, "not WebSocket"),
            Some(_) => return Goodbye::Gone,
            None => source = cause.source(),
        }
    }
    Goodbye::Gone
}

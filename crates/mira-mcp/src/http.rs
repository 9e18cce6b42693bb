//! A server at an address: streamable HTTP (MCP 2025-03-26 to 2025-11-25) through the guarded client. Each message is a
//! POST; its answer is JSON or a stream of events. What the server says by itself comes over one stream more, where it
//! offers one. A session is ended on the server too when the connection ends.
//!
//! Redirects within the origin are followed, as the address of a server often lacks a slash or has one too many; others
//! never, for they would take the owner's headers along.
//!
//! Not here: the login flows of OAuth. A server that wants one is told its header by the owner.

use crate::{
    config::Remote,
    error::LinkError,
    link::{Blame, Gauge, Heard, Hooks, MOST_MESSAGE_BYTES, Purpose, Received, Sent, answers, hear, purpose},
    sse::Events,
};
use mira_net::{
    GuardedClient, Limits, NetError, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use rmcp::{
    RoleClient,
    model::{JsonRpcMessage, RequestId, ServerResult},
    transport::Transport,
};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Messages that were heard and not yet taken.
const INBOX: usize = 64;
/// The stream of what a server says by itself is asked for anew so soon after it ended.
const AGAIN: Duration = Duration::from_secs(1);
/// The same at most, while it keeps ending.
const AGAIN_AT_MOST: Duration = Duration::from_mins(1);
/// When it cannot be reached so often in a row, the server is gone.
const MOST_MISSES: u32 = 3;
/// Whether a session is still known is asked with this id: none of the library's, which are numbers.
const PROBE: &str = "mira-probe";

/// For a message and its answer. How long a call may take is the caller's to say; this only ends what nobody ended.
const MESSAGE_LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_mins(10),
    idle: Duration::from_mins(10),
    total: Duration::from_mins(15),
    body_bytes: 2 * MOST_MESSAGE_BYTES as u64,
    redirects: 3,
};
/// For a word beside the messages: whether a session is known, and its end.
const ASIDE_LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    first_byte: Duration::from_secs(2),
    idle: Duration::from_secs(2),
    total: Duration::from_secs(3),
    ..MESSAGE_LIMITS
};
/// For the stream of what a server says by itself.
const STREAM_LIMITS: Limits = Limits {
    first_byte: Duration::from_secs(30),
    idle: Duration::from_hours(1),
    total: Duration::from_hours(12),
    body_bytes: 8 * MOST_MESSAGE_BYTES as u64,
    ..MESSAGE_LIMITS
};

/// The connection to an address.
pub(crate) struct Http {
    wire: Arc<Wire>,
    inbox: mpsc::Receiver<Received>,
    _over: DropGuard,
}

impl Drop for Http {
    fn drop(&mut self) {
        (self.wire.hooks.spawn)(Box::pin(Arc::clone(&self.wire).say_goodbye()));
    }
}

struct Wire {
    client: GuardedClient,
    remote: Remote,
    /// What every message of this session carries.
    session: Mutex<HeaderMap>,
    inbox: mpsc::Sender<Received>,
    gauge: Mutex<Gauge>,
    /// Requests whose answers are still being read.
    flying: Mutex<HashMap<RequestId, CancellationToken>>,
    over: CancellationToken,
    blame: Blame,
    hooks: Hooks,
}

impl Http {
    /// Nothing is sent yet.
    pub fn new(remote: &Remote, client: GuardedClient, hooks: &Hooks, blame: Blame) -> Self {
        let (sender, inbox) = mpsc::channel(INBOX);
        let over = CancellationToken::new();
        Self {
            wire: Arc::new(Wire {
                client,
                remote: remote.clone(),
                session: Mutex::default(),
                inbox: sender,
                gauge: Mutex::new(Gauge::new()),
                flying: Mutex::default(),
                over: over.clone(),
                blame,
                hooks: hooks.clone(),
            }),
            inbox,
            _over: over.drop_guard(),
        }
    }
}

impl Transport<RoleClient> for Http {
    type Error = LinkError;

    fn send(&mut self, message: Sent) -> impl Future<Output = Result<(), LinkError>> + Send + 'static {
        let (wire, over) = (Arc::clone(&self.wire), self.wire.over.clone());
        async move {
            tokio::select! {
                biased;
                sent = wire.send(message) => sent,
                () = over.cancelled() => Err(LinkError::Closed),
            }
        }
    }

    async fn receive(&mut self) -> Option<Received> {
        tokio::select! {
            biased;
            message = self.inbox.recv() => message,
            () = self.wire.over.cancelled() => None,
        }
    }

    async fn close(&mut self) -> Result<(), LinkError> {
        self.wire.end(&LinkError::Closed);
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// Ends the connection; a new one begins with a greeting.
    fn end(&self, why: &LinkError) {
        self.blame.set(why);
        self.over.cancel();
    }

    /// The server has forgotten the session, or was never asked to keep one.
    fn session_over(&self) -> LinkError {
        locked(&self.session).remove(SESSION);
        self.end(&LinkError::SessionOver);
        LinkError::SessionOver
    }

    /// Tells the server that the session is over. One that does not take it lets it expire by itself.
    async fn say_goodbye(self: Arc<Self>) {
        if !self.in_session() {
            return;
        }
        let request = self.client.delete(self.remote.url.clone()).limits(ASIDE_LIMITS);
        if let Err(error) = self.dressed(request, BOTH).send().await {
            tracing::debug!(%error, "an MCP server could not be told that its session is over");
        }
    }

    /// Whether the server still knows the session: it answers a ping within it, in whatever way.
    async fn is_known(&self) -> bool {
        let ping = format!(r#"{{"jsonrpc":"2.0","id":"{PROBE}","method":"ping"}}"#);
        let request = self
            .client
            .post(self.remote.url.clone(), JSON, ping)
            .limits(ASIDE_LIMITS);
        match self.dressed(request, BOTH).send().await {
            Ok(answer) => !matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST),
            // That it cannot be reached now says nothing about the session.
            Err(_) => true,
        }
    }

    fn dressed(&self, request: Request, accept: HeaderValue) -> Request {
        let mut request = request.header(ACCEPT, accept).same_origin();
        for (name, value) in &self.remote.headers {
            request = request.header(name.clone(), value.clone());
        }
        for (name, value) in &*locked(&self.session) {
            request = request.header(name.clone(), value.clone());
        }
        request
    }

    fn in_session(&self) -> bool {
        locked(&self.session).contains_key(SESSION)
    }

    /// A refusal that is about one message: the server's own words answer it, where it has any.
    async fn refused(&self, answer: Response, id: &RequestId) -> Result<(), LinkError> {
        let status = LinkError::Status(answer.status.as_u16());
        let Ok(body) = answer.body.bytes().await else {
            return Err(status);
        };
        match hear(&body) {
            Heard::Message(message) if answers(&message) == Some(id) => self.deliver(*message).await,
            Heard::Message(_) | Heard::Unneeded | Heard::Nonsense => Err(status),
        }
    }

    async fn send(self: Arc<Self>, message: Sent) -> Result<(), LinkError> {
        let purpose = purpose(&message);
        let body = serde_json::to_vec(&message).map_err(|_| LinkError::NoMessage)?;
        match &purpose {
            Purpose::Greeting(id) | Purpose::Request(id) => {
                let cancelled = CancellationToken::new();
                locked(&self.flying).insert(id.clone(), cancelled.clone());
                let sent = tokio::select! {
                    sent = self.request(body, id) => sent,
                    () = cancelled.cancelled() => Ok(()),
                };
                locked(&self.flying).remove(id);
                sent
            }
            Purpose::Cancel(id) => {
                let flying = locked(&self.flying).remove(id);
                let sent = self.tell(body).await;
                if let Some(flying) = flying {
                    flying.cancel();
                }
                sent
            }
            Purpose::Greeted => {
                self.tell(body).await?;
                (self.hooks.spawn)(Box::pin(Arc::clone(&self).listen()));
                Ok(())
            }
            Purpose::Other => self.tell(body).await,
        }
    }

    /// Sends what is not answered.
    async fn tell(&self, body: Vec<u8>) -> Result<(), LinkError> {
        match self.post(body).await? {
            answer if answer.status.is_success() => Ok(()),
            answer => Err(LinkError::Status(answer.status.as_u16())),
        }
    }

    /// Sends a message; the answer's head, if it is a good one or a refusal of this message alone.
    async fn post(&self, body: Vec<u8>) -> Result<Response, LinkError> {
        let request = self
            .client
            .post(self.remote.url.clone(), JSON, body)
            .limits(MESSAGE_LIMITS);
        let answer = self
            .dressed(request, BOTH)
            .send()
            .await
            .map_err(|error| self.lost(error))?;
        // The message is wrong, or the session unknown: servers say it of either.
        let doubtful = answer.status == StatusCode::BAD_REQUEST && self.in_session();
        if doubtful && !self.is_known().await {
            return Err(self.session_over());
        }
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND if self.in_session() => Err(self.session_over()),
            StatusCode::BAD_REQUEST => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(LinkError::Login(answer.status.as_u16())),
            status => Err(LinkError::Status(status.as_u16())),
        }
    }

    /// A server that cannot be reached has forgotten everything when it is back.
    fn lost(&self, error: NetError) -> LinkError {
        let gone = matches!(error, NetError::Unreachable { .. });
        let error = LinkError::from(error);
        if gone {
            self.end(&error);
        }
        error
    }

    /// Sends a request and hears until it is answered.
    async fn request(&self, body: Vec<u8>, id: &RequestId) -> Result<(), LinkError> {
        let answer = self.post(body).await?;
        if answer.status == StatusCode::BAD_REQUEST {
            return self.refused(answer, id).await;
        }
        if let Some(session) = answer.headers.get(SESSION) {
            locked(&self.session).entry(SESSION).or_insert_with(|| session.clone());
        }
        if is_stream(&answer.headers) {
            return self.hear_stream(answer, Some(id), &mut None).await;
        }
        let body = answer.body.bytes().await?;
        match hear(&body) {
            Heard::Message(message) if answers(&message) == Some(id) => self.deliver(*message).await,
            Heard::Message(_) | Heard::Unneeded | Heard::Nonsense => Err(LinkError::NoMessage),
        }
    }

    /// Hears a stream of events to its end, or until `id` is answered.
    async fn hear_stream(
        &self,
        answer: Response,
        id: Option<&RequestId>,
        last: &mut Option<HeaderValue>,
    ) -> Result<(), LinkError> {
        let mut body = answer.body;
        let mut events = Events::default();
        while let Some(piece) = body.chunk().await? {
            for event in events.feed(&piece)? {
                if let Some(seen) = event.id.and_then(|id| HeaderValue::from_str(&id).ok()) {
                    *last = Some(seen);
                }
                // An event without data only tells its id.
                if event.data.trim_ascii().is_empty() {
                    continue;
                }
                match hear(&event.data) {
                    Heard::Message(message) => {
                        let done = id.is_some() && answers(&message) == id;
                        self.deliver(*message).await?;
                        if done {
                            return Ok(());
                        }
                    }
                    Heard::Unneeded => locked(&self.gauge).count()?,
                    Heard::Nonsense => return Err(LinkError::NoMessage),
                }
            }
        }
        if id.is_some() { Err(LinkError::BrokeOff) } else { Ok(()) }
    }

    async fn deliver(&self, message: Received) -> Result<(), LinkError> {
        let counted = locked(&self.gauge).count();
        if let Err(flood) = counted {
            self.end(&flood);
            return Err(flood);
        }
        if let JsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(greeting) = &response.result
            && let Ok(version) = HeaderValue::from_str(greeting.protocol_version.as_str())
        {
            locked(&self.session).insert(VERSION, version);
        }
        self.inbox.send(message).await.map_err(|_| LinkError::Closed)
    }

    /// Hears what the server says by itself, as long as the connection lasts.
    async fn listen(self: Arc<Self>) {
        let mut pause = AGAIN;
        let mut last = None;
        let mut misses = 0;
        loop {
            let heard = tokio::select! {
                heard = self.listen_once(&mut last) => heard,
                () = self.over.cancelled() => return,
            };
            match heard {
                Listened::NotOffered => return,
                Listened::Ended => (pause, misses) = (AGAIN, 0),
                Listened::Missed(error) => {
                    misses += 1;
                    if misses >= MOST_MISSES {
                        return self.end(&error);
                    }
                    pause = (pause * 2).min(AGAIN_AT_MOST);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.over.cancelled() => return,
            }
        }
    }

    async fn listen_once(&self, last: &mut Option<HeaderValue>) -> Listened {
        let request = self.client.get(self.remote.url.clone()).limits(STREAM_LIMITS);
        let mut request = self.dressed(request, STREAM);
        if let Some(last) = last {
            request = request.header(LAST_EVENT, last.clone());
        }
        match request.send().await {
            Ok(answer) if answer.status.is_success() && is_stream(&answer.headers) => {
                match self.hear_stream(answer, None, last).await {
                    Ok(()) | Err(LinkError::Net(_)) => Listened::Ended,
                    Err(error) => Listened::Missed(error),
                }
            }
            Ok(answer) if answer.status.is_server_error() => {
                Listened::Missed(LinkError::Status(answer.status.as_u16()))
            }
            Ok(_) => Listened::NotOffered,
            Err(error) => Listened::Missed(error.into()),
        }
    }
}

/// How a stream of what a server says by itself went.
enum Listened {
    /// There is none.
    NotOffered,
    /// It ended, as streams do.
    Ended,
    /// It could not be had.
    Missed(LinkError),
}

fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

//! Connections: who is let in, which fault comes first, what is kept of a request, and how an answer leaves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::collections::Collections;
use crate::error::Refusal;
use crate::routes::{self, Asked};
use crate::{Fault, SimConfig};

/// Largest request body, as Qdrant's default (`max_request_size_mb`).
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Captured {
    /// HTTP method.
    pub method: String,
    /// Path as asked.
    pub path: String,
    /// Query as asked.
    pub query: Option<String>,
    /// The header `api-key`.
    pub api_key: Option<String>,
    /// Bytes of the body.
    pub bytes: usize,
    /// The body; null when there is none.
    pub body: Value,
    /// Status of the answer; `None` where a fault cut it off.
    pub status: Option<u16>,
}

/// What may change while it runs.
#[derive(Debug)]
struct Settings {
    key: Option<String>,
    full: bool,
    faults: VecDeque<(Fault, u32)>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    capture: usize,
    strict_mode: bool,
    settings: Mutex<Settings>,
    collections: Mutex<Collections>,
    captured: Mutex<VecDeque<Captured>>,
}

impl Shared {
    pub(crate) fn new(config: SimConfig) -> Self {
        Self {
            capture: config.capture,
            strict_mode: config.strict_mode,
            settings: Mutex::new(Settings {
                key: config.api_key,
                full: false,
                faults: VecDeque::new(),
            }),
            collections: Mutex::default(),
            captured: Mutex::default(),
        }
    }

    pub(crate) fn collections(&self) -> MutexGuard<'_, Collections> {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push_fault(&self, fault: Fault, times: u32) {
        self.settings().faults.push_back((fault, times));
    }

    pub(crate) fn clear_faults(&self) {
        self.settings().faults.clear();
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.settings().full = full;
    }

    pub(crate) fn set_key(&self, key: Option<String>) {
        self.settings().key = key;
    }

    pub(crate) fn captured(&self) -> Vec<Captured> {
        let captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        captured.iter().cloned().collect()
    }

    fn keep(&self, captured: Captured) {
        let mut kept = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(captured);
        while kept.len() > self.capture {
            kept.pop_front();
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut settings = self.settings();
        while let Some((fault, times)) = settings.faults.front_mut() {
            if *times > 0 {
                *times -= 1;
                return Some(fault.clone());
            }
            settings.faults.pop_front();
        }
        None
    }
}

/// Accepts connections until it is told to stop.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, or a client gone before we looked: neither ends the emulator.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tasks.spawn(serve(stream, Arc::clone(&shared), stop.clone()));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    if stream.set_nodelay(true).is_err() {
        return; // the client is gone already
    }
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(handle(request, &shared).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // How a connection ends is its client's business, or a fault's.
        _ended = serving => {}
        () = stop.cancelled() => {}
    }
}

/// A body that may end before its end.
#[derive(Debug)]
struct Answer {
    bytes: Option<Bytes>,
    cut: bool,
}

/// Ends a body without its proper end, so that hyper drops the connection.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut here on purpose")
    }
}

impl std::error::Error for Cut {}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Poll::Ready(match self.bytes.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.cut => Some(Err(Cut)),
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.bytes {
            Some(bytes) if !self.cut => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

fn respond(status: u16, kind: &'static str, bytes: Vec<u8>) -> Response<Answer> {
    let mut response = Response::new(Answer {
        bytes: Some(bytes.into()),
        cut: false,
    });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn refuse(refusal: &Refusal) -> Response<Answer> {
    if refusal.plain {
        return respond(
            refusal.status,
            "text/plain; charset=utf-8",
            refusal.words.clone().into_bytes(),
        );
    }
    let mut response = respond(
        refusal.status,
        "application/json",
        refusal.body().to_string().into_bytes(),
    );
    if let Some(seconds) = refusal.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Whether the key is the right one; Qdrant takes it in either header.
fn let_in(headers: &HeaderMap, key: Option<&str>) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let given = headers.get("api-key").map(HeaderValue::as_bytes).or_else(|| {
        headers
            .get("authorization")
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
    });
    match given {
        Some(given) if given == key.as_bytes() => Ok(()),
        Some(_) => Err(Refusal::plain(401, "Invalid API key or JWT")),
        None => Err(Refusal::plain(
            401,
            "Must provide an API key or an Authorization bearer token",
        )),
    }
}

/// `%20` and the like become what they stand for.
fn unescaped(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
    }
    String::from_utf8(bytes).ok()
}

/// Only `wait` is known, and only where something is written.
fn read_query(method: &Method, path: &str, query: Option<&str>) -> Result<bool, Refusal> {
    let writes =
        *method != Method::GET && (path.ends_with("/points") || path.ends_with("/delete") || path.ends_with("/index"));
    match query {
        None | Some("") => Ok(false),
        Some("wait=true") if writes => Ok(true),
        Some("wait=false") if writes => Ok(false),
        Some(other) => Err(Refusal::new(
            400,
            format!("Deserialize error in query parameters: the emulator does not know {other:?} here"),
        )),
    }
}

fn read_body(method: &Method, raw: &[u8]) -> Result<Value, Refusal> {
    if raw.is_empty() && matches!(*method, Method::GET | Method::DELETE) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw).map_err(Refusal::format)
}

async fn handle(request: Request<Incoming>, shared: &Shared) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let raw = Limited::new(body, LARGEST_BODY)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let mut captured = Captured {
        method: parts.method.to_string(),
        path: path.clone(),
        query: parts.uri.query().map(str::to_owned),
        api_key: parts
            .headers
            .get("api-key")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        bytes: raw.as_ref().map(Bytes::len).unwrap_or_default(),
        body: Value::Null,
        status: None,
    };
    let fault = shared.next_fault();
    let mut response = match &fault {
        Some(fault) if !matches!(fault, Fault::Slow(_) | Fault::CutBody) => broken(fault),
        _ => {
            if let Some(Fault::Slow(time)) = &fault {
                tokio::time::sleep(*time).await;
            }
            let done = raw
                .map_err(|_| Refusal::new(413, "The request body is too large or ended early"))
                .and_then(|raw| carry_out(shared, &parts, &path, &raw, &mut captured.body));
            match done {
                Ok(result) => respond(
                    200,
                    "application/json",
                    json!({ "result": result, "status": "ok", "time": 0.0 })
                        .to_string()
                        .into_bytes(),
                ),
                Err(refusal) => refuse(&refusal),
            }
        }
    };
    if fault == Some(Fault::CutBody) {
        halve(&mut response);
    }
    if !response.body().cut {
        captured.status = Some(response.status().as_u16());
    }
    shared.keep(captured);
    response
}

fn carry_out(
    shared: &Shared,
    parts: &hyper::http::request::Parts,
    path: &str,
    raw: &[u8],
    kept: &mut Value,
) -> Result<Value, Refusal> {
    let (key, full) = {
        let settings = shared.settings();
        (settings.key.clone(), settings.full)
    };
    let_in(&parts.headers, key.as_deref())?;
    let wait = read_query(&parts.method, path, parts.uri.query())?;
    let segments: Option<Vec<String>> = path.trim_start_matches('/').split('/').map(unescaped).collect();
    *kept = read_body(&parts.method, raw)?;
    let asked = Asked {
        method: &parts.method,
        path: segments.ok_or_else(|| Refusal::plain(404, ""))?,
        wait,
        body: kept,
        full,
        strict_mode: shared.strict_mode,
    };
    routes::answer(&mut shared.collections(), &asked)
}

/// The answer of a fault that comes before anything is done.
fn broken(fault: &Fault) -> Response<Answer> {
    match fault {
        Fault::Internal => refuse(&Refusal::new(500, "Service internal error: task panicked")),
        Fault::Unavailable => refuse(&Refusal::new(503, "Shard temporarily unavailable: 0")),
        Fault::TooMany { retry_after_seconds } => refuse(&Refusal {
            retry_after_seconds: *retry_after_seconds,
            ..Refusal::new(429, "Rate limiting exceeded: Write rate limit exceeded, retry later")
        }),
        Fault::Garbage => respond(200, "application/json", b"{\"result\": <!-- ".to_vec()),
        Fault::Nonsense => respond(
            200,
            "application/json",
            br#"{"result":{"surprise":[1,2,3]},"status":"ok","time":0.0}"#.to_vec(),
        ),
        Fault::Cut | Fault::Slow(_) | Fault::CutBody => {
            let mut response = respond(200, "application/json", Vec::new());
            response.body_mut().bytes = None;
            response.body_mut().cut = true;
            response
        }
    }
}

/// Half of an answer, and then the connection is cut.
fn halve(response: &mut Response<Answer>) {
    let whole = response.body().bytes.clone().unwrap_or_default();
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let body = response.body_mut();
    body.bytes = Some(whole.slice(..whole.len() / 2));
    body.cut = true;
}

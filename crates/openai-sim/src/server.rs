//! Connections and routes: who is let in, what is kept of a request, and how an answer leaves.
//!
//! Lives here: HTTP. Not here: what is said (`brain`, `compose`) and which requests are wrong (`rules`).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asked::{self, Api, Asked};
use crate::brain::Chooser;
use crate::cache::PromptCache;
use crate::compose::{self, Composition, Stamp};
use crate::embeddings::EmbeddingsManner;
use crate::error::ApiError;
use crate::gate::Gate;
use crate::plan::{Fault, HttpFault, Plan, Split, Target};
use crate::player::{self, Body, Events, Manner, Pace, Presence};
use crate::responses::{self, InputUse, Written};
use crate::rules::Rules;
use crate::shelf::{Given, Shelf, Way};
use crate::stats::Stats;
use crate::{Flavour, PIXEL, SimConfig, chat, embeddings, images, json, tokens};

/// Largest request body, in bytes; a whole context window fits many times.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Captured {
    /// HTTP method.
    pub method: String,
    /// Path as asked, e.g. `/v1/responses`.
    pub path: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null when it is no JSON.
    pub body: Value,
    /// The body's bytes, to check the order of keys.
    pub raw: Bytes,
    /// Accepted, or the error it got. A planned HTTP fault is no refusal.
    pub verdict: Result<(), ApiError>,
    /// Which connection it came over, counted from 1.
    pub connection: u64,
}

impl Captured {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What all connections share.
pub(crate) struct Shared {
    config: SimConfig,
    pub chooser: Chooser,
    pub stats: Arc<Stats>,
    pub gate: OnceLock<Gate>,
    captured: Mutex<VecDeque<Captured>>,
    cache: Mutex<PromptCache>,
    embeddings: Mutex<EmbeddingsManner>,
    pub shelf: Shelf,
    answers: AtomicU64,
    started: Instant,
    stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(mut config: SimConfig, stop: CancellationToken) -> Self {
        let brain = std::mem::take(&mut config.brain);
        Self {
            chooser: Chooser::new(brain, config.directives),
            stats: Arc::default(),
            gate: OnceLock::new(),
            captured: Mutex::default(),
            cache: Mutex::default(),
            embeddings: Mutex::default(),
            shelf: Shelf::new(config.epoch_seconds),
            config,
            answers: AtomicU64::new(0),
            started: Instant::now(),
            stop,
        }
    }

    pub(crate) fn captured(&self) -> Vec<Captured> {
        self.captured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    pub(crate) fn set_embeddings(&self, manner: EmbeddingsManner) {
        *self.embeddings.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    fn embeddings(&self) -> EmbeddingsManner {
        self.embeddings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, captured: Captured) {
        let mut kept = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.config.capture {
            kept.pop_front();
        }
        kept.push_back(captured);
    }

    fn stamp(&self) -> Stamp {
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        let hex = format!("{:016x}{:016x}", tokens::mix(number), tokens::mix(!number));
        Stamp {
            hex,
            created: self.config.epoch_seconds + self.started.elapsed().as_secs(),
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            models: &self.config.models,
            flavour: self.config.server,
            context_tokens: self.config.context_tokens,
        }
    }
}

/// Accepts connections until the emulator stops.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker) {
    let mut connections = 0_u64;
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, or a client gone before we looked: neither ends the emulator.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        connections += 1;
        tasks.spawn(serve(stream, Arc::clone(&shared), connections));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, connection: u64) {
    if stream.set_nodelay(true).is_err() {
        return; // the client is gone already
    }
    let stop = shared.stop.clone();
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(handle(request, &shared, connection).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // How a connection ends is its client's business, or a planned fault.
        _ended = serving => {}
        () = stop.cancelled() => {}
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Model(Api),
    Embeddings,
    Models,
    Shelf(Way),
    Images,
    /// A picture that was answered by its address; like those of the live API it needs no key.
    Picture,
}

impl Route {
    fn takes_json(&self) -> bool {
        match self {
            Self::Model(_) | Self::Embeddings | Self::Images => true,
            Self::Models | Self::Picture => false,
            Self::Shelf(way) => way.takes_json(),
        }
    }
}

fn route(method: &Method, path: &str, flavour: Flavour) -> Result<Route, ApiError> {
    let unknown = || {
        ApiError::invalid("", format!("Invalid URL ({method} {path})"))
            .no_param()
            .status(404)
    };
    let (wanted, route) = match path.strip_prefix("/v1").unwrap_or(path) {
        "/responses" if flavour == Flavour::OpenAi => (Method::POST, Route::Model(Api::Responses)),
        "/chat/completions" => (Method::POST, Route::Model(Api::Chat)),
        "/embeddings" => (Method::POST, Route::Embeddings),
        "/models" => (Method::GET, Route::Models),
        "/images/generations" => (Method::POST, Route::Images),
        images::PICTURE_PATH => (Method::GET, Route::Picture),
        other if other.starts_with("/models/") => (Method::GET, Route::Models),
        other => match Way::of(method, other).filter(|_| flavour == Flavour::OpenAi) {
            Some(way) => return Ok(Route::Shelf(way)),
            None => return Err(unknown()),
        },
    };
    if *method == wanted {
        return Ok(route);
    }
    let message = format!("Not allowed to {method} on {path}. (HINT: Perhaps you meant to make a {wanted} request?)");
    Err(ApiError::invalid("", message)
        .no_param()
        .status(405)
        .code("method_not_supported"))
}

/// Compares without stopping at the first difference.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

fn let_in(headers: &HeaderMap, key: Option<&str>) -> Result<(), ApiError> {
    let Some(key) = key else { return Ok(()) };
    let given = headers
        .get("authorization")
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let message = match given {
        Some(given) if same(given, key.as_bytes()) => return Ok(()),
        Some(_) => "Incorrect API key provided. You can find your API key in the settings of your account.",
        None => {
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer \
             auth (i.e. Authorization: Bearer YOUR_KEY)."
        }
    };
    Err(ApiError::invalid("", message)
        .no_param()
        .status(401)
        .code("invalid_api_key"))
}

async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::invalid("", "The request body is too large.")
            .no_param()
            .status(413)),
        Err(_) => Err(ApiError::invalid("", "The request body ended early.").no_param()),
    }
}

fn parse(headers: &HeaderMap, raw: &[u8]) -> Result<Value, ApiError> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !kind.starts_with("application/json") {
        let message =
            format!("Unsupported content type: '{kind}'. This API method only accepts 'application/json' requests.");
        return Err(ApiError::invalid("", message)
            .no_param()
            .code("unsupported_content_type"));
    }
    match serde_json::from_slice(raw) {
        Ok(body @ Value::Object(_)) => Ok(body),
        Ok(_) | Err(_) => Err(ApiError::invalid(
            "",
            "We could not parse the JSON body of your request. The API expects a JSON payload that is an object.",
        )
        .no_param()),
    }
}

async fn handle(request: Request<Incoming>, shared: &Shared, connection: u64) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let read = read_body(body).await;
    let raw = read.as_ref().ok().cloned().unwrap_or_default();
    let mut judged = Value::Null;
    let key = shared
        .config
        .api_key
        .as_deref()
        .filter(|_| !path.ends_with(images::PICTURE_PATH));
    let verdict = let_in(&parts.headers, key)
        .and_then(|()| route(&parts.method, path, shared.config.server))
        .and_then(|route| read.map(|_| route))
        .and_then(|route| {
            if route.takes_json() {
                judged = parse(&parts.headers, &raw)?;
                judge(shared, &route, &judged, raw.len())?;
            }
            Ok(route)
        });
    if shared.config.capture > 0 {
        let headers = parts.headers.iter();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        shared.keep(Captured {
            method: parts.method.to_string(),
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            body: judged.clone(),
            raw: raw.clone(),
            verdict: verdict.as_ref().map(|_| ()).map_err(Clone::clone),
            connection,
        });
    }
    shared.stats.change(|counts| counts.requests += 1);
    match verdict {
        Err(error) => refuse(&error),
        Ok(Route::Models) => models(shared, path).await,
        Ok(Route::Embeddings) => embed(shared, &judged).await,
        Ok(Route::Model(api)) => answer(shared, api, &judged).await,
        Ok(Route::Shelf(way)) => {
            let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let sent = (kind.unwrap_or_default(), &raw, &judged);
            shelve(shared, &way, parts.uri.query().unwrap_or_default(), sent).await
        }
        Ok(Route::Images) => draw(shared, &parts.headers, &judged).await,
        Ok(Route::Picture) => respond(200, "image/png", Body::Whole(Some(Bytes::from_static(PIXEL)))),
    }
}

async fn shelve(shared: &Shared, way: &Way, query: &str, sent: (&str, &Bytes, &Value)) -> Response<Body> {
    let answer = shared.shelf.answer(way, query, sent);
    if let Some(fault) = plain_fault(shared, Target::Files).await {
        return fault;
    }
    match answer {
        Ok(Given::Json(value)) => {
            let mut out = Vec::new();
            json::push(&mut out, &value);
            whole(200, out)
        }
        Ok(Given::File { media_type, bytes }) => {
            let mut response = whole(200, bytes);
            if let Ok(kind) = HeaderValue::from_str(&media_type) {
                response.headers_mut().insert(CONTENT_TYPE, kind);
            }
            response
        }
        Err(error) => refuse(&error),
    }
}

async fn draw(shared: &Shared, headers: &HeaderMap, body: &Value) -> Response<Body> {
    if let Some(fault) = plain_fault(shared, Target::Images).await {
        return fault;
    }
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let mut out = Vec::new();
    let base = format!("http://{}/v1", host.unwrap_or_default());
    json::push(&mut out, &images::answer(body, &base));
    whole(200, out)
}

fn judge(shared: &Shared, route: &Route, body: &Value, bytes: usize) -> Result<(), ApiError> {
    let rules = shared.rules();
    match route {
        Route::Model(api) => {
            rules.flavour(body)?;
            if shared.config.strict {
                rules.model(*api, body, bytes)?;
            }
            if *api == Api::Responses {
                supported(&shared.config, body)?;
                shared.shelf.check(body)?;
            }
            sees(&shared.config, body)
        }
        Route::Embeddings if shared.config.strict => rules.embeddings(body),
        Route::Images => images::check(body),
        Route::Embeddings | Route::Models | Route::Shelf(_) | Route::Picture => Ok(()),
    }
}

/// Refuses hosted tools that the models do not support, and functions they do not like.
fn supported(config: &SimConfig, body: &Value) -> Result<(), ApiError> {
    let is_among = |refused: &[String], word: &str| refused.iter().any(|one| one == word);
    for (index, tool) in asked::items(body, "tools").iter().enumerate() {
        let kind = asked::field(tool, "type").as_str().unwrap_or_default();
        if is_among(&config.refused_tools, kind) {
            let model = asked::field(body, "model").as_str().unwrap_or_default();
            let message = format!("Hosted tool '{kind}' is not supported with {model}.");
            return Err(ApiError::invalid("tools", message));
        }
        let nested = asked::field(asked::field(tool, "function"), "name");
        let name = asked::field(tool, "name")
            .as_str()
            .or(nested.as_str())
            .unwrap_or_default();
        if is_among(&config.refused_functions, name) {
            let message = format!("Invalid schema for function '{name}': it is refused here.");
            return Err(ApiError::invalid(format!("tools[{index}].parameters"), message));
        }
    }
    Ok(())
}

/// Refuses pictures where the models do not see.
fn sees(config: &SimConfig, body: &Value) -> Result<(), ApiError> {
    let messages = asked::items(body, "input").iter().chain(asked::items(body, "messages"));
    let mut parts = messages.flat_map(|message| asked::items(message, "content"));
    let pictured = parts.any(|part| matches!(asked::field(part, "type").as_str(), Some("input_image" | "image_url")));
    if config.blind && pictured {
        let message = "Invalid content type. image_url is only supported by certain models.";
        return Err(ApiError::invalid("messages", message));
    }
    Ok(())
}

fn respond(status: u16, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn whole(status: u16, bytes: impl Into<Bytes>) -> Response<Body> {
    respond(status, "application/json", Body::Whole(Some(bytes.into())))
}

fn refuse(error: &ApiError) -> Response<Body> {
    whole(error.status, error.body())
}

fn fail(fault: &HttpFault) -> Response<Body> {
    let mut response = if fault.html {
        let page = format!(
            "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n",
            fault.status
        );
        respond(fault.status, "text/html", Body::Whole(Some(page.into())))
    } else {
        let mut error = ApiError::invalid("", fault.message.as_str())
            .no_param()
            .status(fault.status)
            .kind(&fault.kind);
        error.code.clone_from(&fault.code);
        refuse(&error)
    };
    let headers = response.headers_mut();
    if let Some(value) = fault
        .retry_after
        .as_deref()
        .and_then(|value| HeaderValue::from_str(value).ok())
    {
        headers.insert(RETRY_AFTER, value);
    }
    if let Some(milliseconds) = fault.retry_after_ms {
        headers.insert("retry-after-ms", HeaderValue::from(milliseconds));
    }
    response
}

/// What a plan orders for an endpoint that does not stream.
async fn plain_fault(shared: &Shared, target: Target) -> Option<Response<Body>> {
    let plan = shared.chooser.take(target, "")?;
    let mut presence = Presence::new(&shared.stats);
    pause(shared, plan.headers_delay, gates(shared, &plan)).await;
    presence.finished();
    plan.http.as_ref().map(fail)
}

async fn models(shared: &Shared, path: &str) -> Response<Body> {
    if let Some(fault) = plain_fault(shared, Target::Models).await {
        return fault;
    }
    let entry = |model: &String| {
        serde_json::json!({
            "id": model, "object": "model", "created": shared.config.epoch_seconds, "owned_by": "system",
        })
    };
    let offered = &shared.config.models;
    let mut out = Vec::new();
    match path.split_once("/models/") {
        None => {
            let data: Vec<Value> = offered.iter().map(entry).collect();
            json::push(&mut out, &serde_json::json!({ "object": "list", "data": data }));
        }
        Some((_, wanted)) => match offered.iter().find(|model| *model == wanted) {
            Some(model) => json::push(&mut out, &entry(model)),
            None => return refuse(&crate::rules::model_not_found(wanted)),
        },
    }
    whole(200, out)
}

async fn embed(shared: &Shared, body: &Value) -> Response<Body> {
    if let Some(fault) = plain_fault(shared, Target::Embeddings).await {
        return fault;
    }
    let manner = shared.embeddings();
    if let Some(down) = &manner.down {
        return fail(down);
    }
    match manner.check(body) {
        Ok(()) => whole(200, embeddings::answer(body, &manner)),
        Err(refused) => refuse(&refused),
    }
}

fn gates(shared: &Shared, plan: &Plan) -> Vec<Gate> {
    shared.gate.get().into_iter().chain(&plan.gate).cloned().collect()
}

/// Waits for the gates and the time, or the end of the emulator.
async fn pause(shared: &Shared, delay: Duration, gates: Vec<Gate>) {
    let waiting = async {
        for gate in &gates {
            gate.pass().await;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    };
    tokio::select! {
        () = shared.stop.cancelled() => {}
        () = waiting => {}
    }
}

async fn answer(shared: &Shared, api: Api, body: &Value) -> Response<Body> {
    let mut asked = Asked::read(api, body);
    asked.reasoning_content = shared.config.server != Flavour::OpenAi;
    let (plan, words) = shared.chooser.choose(&asked);
    if !plan.headers_delay.is_zero() {
        pause(shared, plan.headers_delay, Vec::new()).await;
    }
    if let Some(fault) = &plan.http {
        return fail(fault);
    }
    let stamp = shared.stamp();
    let composition = compose::compose(&asked, &plan, &words, &stamp, &shared.shelf);
    let prompt = asked.prompt();
    let key = body.get("prompt_cache_key").and_then(Value::as_str).unwrap_or_default();
    let tokens = prompt.tokens();
    let cache = shared
        .cache
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .visit(key, prompt);
    let input = InputUse { tokens, cache };
    let written = Written {
        asked: &asked,
        composition: &composition,
        stamp: &stamp,
        input,
        unknown: plan.unknown,
    };
    let manner = Manner {
        first: plan
            .first_token_delay
            .unwrap_or(Duration::from_millis(shared.config.first_token_delay_ms)),
        interval: plan.token_interval.unwrap_or(shared.config.token_interval),
        split: plan.split,
        fault: plan.fault,
        gates: gates(shared, &plan),
    };
    let mut response = if asked.stream {
        let events = match api {
            Api::Responses => responses::stream(&written),
            Api::Chat => chat::stream(&written),
        };
        let events = player::play(events, &manner, shared.stop.clone(), &shared.stats);
        respond(200, "text/event-stream; charset=utf-8", Body::Events(events))
    } else {
        let bytes = match api {
            Api::Responses => responses::whole(&written),
            Api::Chat => chat::whole(&written),
        };
        at_once(shared, bytes, manner, &composition).await
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(id) = HeaderValue::from_str(&format!("req_{}", stamp.hex)) {
        headers.insert("x-request-id", id);
    }
    response
}

/// An answer that is not streamed: after the time its tokens take, as one piece, with what faults it may have.
async fn at_once(shared: &Shared, bytes: Vec<u8>, manner: Manner, composition: &Composition) -> Response<Body> {
    let mut presence = Presence::new(&shared.stats);
    let delay = manner.first + manner.interval * composition.paced;
    pause(shared, delay, manner.gates).await;
    presence.finished();
    let fault = manner.fault.map(|fault| match fault {
        Fault::Close(_) | Fault::Cut(_) | Fault::CutInside(_) => Fault::CutInside(0),
        Fault::Stall(_) => Fault::Stall(0),
        Fault::Garbage(_) => Fault::Garbage(0),
    });
    if fault.is_none() && manner.split == Split::Events {
        return whole(200, bytes);
    }
    let mut events = Events::default();
    events.bytes = bytes;
    events.close(Pace::Now);
    let manner = Manner {
        first: Duration::ZERO,
        interval: Duration::ZERO,
        split: manner.split,
        fault,
        gates: Vec::new(),
    };
    let events = player::play(events, &manner, shared.stop.clone(), &shared.stats);
    respond(200, "application/json", Body::Events(events))
}

//! The test's own client: REST, sockets and event streams, everything it hears judged by the contract.

use super::{
    contract::{Contract, contract},
    server::{LIMIT, Server, Setup},
    sim,
    ws::{Ended, Ws},
};
use jiff::SignedDuration;
use openai_sim::{Brain, Captured, Gate, Plan, Sim, SimConfig};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// An answer, already judged.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The body of an answer of this status.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body of a problem of this status and kind.
    pub fn problem(self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.body["type"], format!("urn:mira:problem:{slug}"), "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["instance"], self.headers["x-request-id"].to_str().unwrap());
        self.body
    }
}

/// A REST client with the owner's token.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: String,
    http: reqwest::Client,
    contract: &'static Contract,
}

impl Api {
    pub async fn new(server: &Server) -> Self {
        Self {
            base: server.base.clone(),
            token: server.token(),
            http: Server::client(),
            contract: contract(server).await,
        }
    }

    /// The bare request, to add to.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }

    /// Sends a request and judges the answer.
    pub async fn send(&self, method: Method, path: &str, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let media_type = headers
            .get(CONTENT_TYPE)
            .map(|value| value.to_str().unwrap().to_owned());
        let media_type = media_type.unwrap_or_default();
        let is_json = media_type.starts_with("application/json") || media_type.ends_with("+json");
        let body: Option<Value> = is_json.then(|| serde_json::from_slice(&bytes).unwrap());
        assert!(is_json || bytes.is_empty(), "{method} {path} answered {media_type:?}");
        self.contract
            .answer(method.as_str(), path, status, &media_type, body.as_ref());
        Answer {
            status,
            headers,
            body: body.unwrap_or_default(),
        }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method.clone(), path);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.send(method, path, request).await
    }

    /// The body of a GET that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.expect(200)
    }

    /// A GET that may be refused.
    pub async fn try_get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A fact of the owner's, added by hand.
    pub async fn fact(&self, text: &str) -> Value {
        self.post("/api/memories", json!({ "text": text })).await.expect(201)
    }

    pub async fn project(&self, name: &str) -> Value {
        self.post("/api/projects", json!({ "name": name })).await.expect(201)
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Says something over `POST /api/chat`; the stored reply.
    pub async fn say(&self, content: &str) -> Value {
        self.post("/api/chat", json!({ "content": content })).await.expect(200)
    }

    /// The default session's messages, newest page.
    pub async fn history(&self) -> Vec<Value> {
        let page = self.get("/api/chat/history?limit=200").await;
        page["messages"].as_array().unwrap().clone()
    }

    /// Something said over `POST /api/chat` whose turn is heard as events.
    pub async fn stream(&self, body: Value) -> Sse {
        let request = self
            .request(Method::POST, "/api/chat")
            .header("accept", "text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        Sse::open(self.contract, request).await
    }

    /// A session's events; `query` is what follows the `?`.
    pub async fn events(&self, session: &str, query: &str) -> Sse {
        let path = format!("/api/sessions/{session}/events?{query}");
        Sse::open(self.contract, self.request(Method::GET, &path)).await
    }

    /// The same, resumed by `Last-Event-ID`.
    pub async fn events_after(&self, session: &str, last: u64) -> Sse {
        let path = format!("/api/sessions/{session}/events");
        let request = self.request(Method::GET, &path).header("last-event-id", last);
        Sse::open(self.contract, request).await
    }
}

/// A stream of server-sent events.
pub struct Sse {
    response: reqwest::Response,
    buffer: Vec<u8>,
    contract: &'static Contract,
}

impl Sse {
    async fn open(contract: &'static Contract, request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{response:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream; charset=utf-8");
        Self {
            response,
            buffer: Vec::new(),
            contract,
        }
    }

    /// The next event; `None` at the end. Heartbeats are passed over.
    pub async fn next(&mut self) -> Option<Value> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let frame = self.judged(std::str::from_utf8(&block).unwrap());
                if frame["type"] != "heartbeat" {
                    return Some(frame);
                }
                continue;
            }
            let chunk = timeout_at(deadline, self.response.chunk()).await;
            let Some(bytes) = chunk.expect("no event in time").unwrap() else {
                assert!(self.buffer.is_empty(), "half an event at the end");
                return None;
            };
            self.buffer.extend_from_slice(&bytes);
        }
    }

    fn judged(&self, block: &str) -> Value {
        let field = |name: &str| {
            let start = format!("{name}: ");
            block.lines().find_map(|line| line.strip_prefix(start.as_str()))
        };
        let frame: Value = serde_json::from_str(field("data").unwrap()).unwrap();
        assert_eq!(field("event"), frame["type"].as_str(), "{block}");
        let seq = frame["seq"].as_u64().filter(|_| frame["type"] != "reset");
        assert_eq!(field("id").map(|id| id.parse().unwrap()), seq, "{block}");
        self.contract.frame(&frame);
        frame
    }

    /// All events up to and with the first of this type.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.expect("the stream ended");
            let found = frame["type"] == kind;
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    /// Everything up to the end.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

/// A socket whose every frame is judged, and whose numbers must increase.
pub struct Line {
    ws: Ws,
    pub hello: Value,
    contract: &'static Contract,
    last_seq: u64,
}

impl Line {
    /// Connects with the owner's token; `query` is what follows the `?`.
    pub async fn open(server: &Server, query: &str) -> Self {
        let contract = contract(server).await;
        let ws = Ws::connect(server, query).await;
        let hello = ws.hello.clone();
        contract.frame(&hello);
        Self {
            ws,
            hello,
            contract,
            last_seq: 0,
        }
    }

    pub async fn send(&mut self, frame: Value) {
        self.ws.send(frame).await;
    }

    pub async fn chat(&mut self, content: &str) {
        self.send(json!({ "type": "chat", "content": content })).await;
    }

    /// The next frame, or how the socket ended; heartbeats are passed over.
    pub async fn read(&mut self) -> Result<Value, Ended> {
        // Heartbeats must not keep a wait alive that has failed.
        let deadline = Instant::now() + LIMIT;
        loop {
            let frame = timeout_at(deadline, self.ws.read()).await.expect("no frame in time")?;
            self.contract.frame(&frame);
            let kind = frame["type"].as_str().unwrap();
            if kind == "hello" {
                self.last_seq = 0;
            } else if kind != "reset"
                && let Some(seq) = frame["seq"].as_u64()
            {
                // A repeated message is answered with its old event.
                assert!(
                    seq > self.last_seq || kind == "message",
                    "after {}: {frame}",
                    self.last_seq
                );
                self.last_seq = self.last_seq.max(seq);
            }
            if kind != "heartbeat" {
                return Ok(frame);
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        self.read().await.expect("a frame")
    }

    /// All frames up to and with the first that satisfies `wanted`.
    pub async fn until_that(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            let found = wanted(&frame);
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }

    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        self.until_that(|frame| frame["type"] == kind).await
    }

    /// The first frame of this type.
    pub async fn wait(&mut self, kind: &str) -> Value {
        self.until(kind).await.pop().unwrap()
    }

    /// Says something and hears its turn to the end.
    pub async fn turn(&mut self, content: &str) -> Told {
        self.ask(json!({ "type": "chat", "content": content })).await
    }

    /// Sends a frame that begins a turn and hears that turn to the end; no other turn may run.
    pub async fn ask(&mut self, frame: Value) -> Told {
        self.send(frame).await;
        let frames = self.until("done").await;
        law(&frames)
    }

    /// Sends a ping and hears everything up to its answer: nothing else is on its way then.
    pub async fn settle(&mut self) -> Vec<Value> {
        self.send(json!({ "type": "ping" })).await;
        let mut frames = self.until("pong").await;
        frames.pop();
        frames
    }

    /// The error frame that answers what was just sent.
    pub async fn refused(&mut self, status: u16) -> Value {
        let frame = self.wait("error").await;
        assert_eq!(frame["error"]["status"], status, "{frame}");
        assert!(frame.get("turn_id").is_none() && frame.get("seq").is_none(), "{frame}");
        frame
    }
}

/// One turn as it was told.
#[derive(Debug, Default)]
pub struct Told {
    pub message: Option<Value>,
    pub stages: Vec<String>,
    pub recall: Option<Value>,
    pub persona: Option<Value>,
    pub text: String,
    pub chunks: usize,
    pub calls: Vec<Value>,
    pub results: Vec<Value>,
    pub approvals: Vec<Value>,
    pub citations: Vec<Value>,
    pub complete: Option<Value>,
    pub error: Option<Value>,
    pub outcome: String,
    pub reply_id: String,
}

impl Told {
    /// The reply of a turn that went well.
    pub fn reply(&self) -> &Value {
        assert_eq!(self.outcome, "complete", "{self:?}");
        self.complete.as_ref().unwrap()
    }

    /// The slug of the turn's error.
    pub fn slug(&self) -> &str {
        let kind = self.error.as_ref().expect("an error")["error"]["type"]
            .as_str()
            .unwrap();
        kind.strip_prefix("urn:mira:problem:").unwrap()
    }
}

/// Checks that the frames of one turn among these keep the law, from its beginning to its `done`.
pub fn law(frames: &[Value]) -> Told {
    let done = frames.iter().find(|frame| frame["type"] == "done").expect("a done");
    law_of(frames, done["turn_id"].as_str().unwrap())
}

/// The same for a turn by its id.
pub fn law_of(frames: &[Value], turn_id: &str) -> Told {
    let mut told = Told::default();
    let mut ended = false;
    let mine: Vec<&Value> = frames
        .iter()
        .filter(|frame| frame["turn_id"] == turn_id && frame["type"] != "html")
        .collect();
    for (index, frame) in mine.iter().enumerate() {
        assert!(told.outcome.is_empty(), "after done: {frame}");
        assert!(!ended || frame["type"] == "done", "after the end: {frame}");
        match frame["type"].as_str().unwrap() {
            "message" => {
                assert_eq!(index, 0, "message comes first: {frame}");
                assert_eq!(frame["message"]["id"], frame["message_id"]);
                told.message = Some(frame["message"].clone());
            }
            "status" => told.stages.push(frame["stage"].as_str().unwrap().to_owned()),
            "recall" => {
                assert!(
                    told.recall.is_none() && told.persona.is_none() && told.chunks == 0,
                    "one recall before the first word: {frame}"
                );
                assert!(frame["memories"].is_array(), "{frame}");
                told.recall = Some((*frame).clone());
            }
            "persona" => {
                assert!(
                    told.persona.is_none() && told.chunks == 0,
                    "one persona before the words"
                );
                told.persona = Some((*frame).clone());
            }
            "chunk" => {
                let persona = told.persona.as_ref().expect("persona before the first chunk");
                assert_eq!(frame["persona"], persona["persona"]);
                assert_eq!(frame["mood"], persona["mood"]);
                told.text.push_str(frame["content"].as_str().unwrap());
                told.chunks += 1;
            }
            "tool_call" => {
                assert!(
                    !told
                        .calls
                        .iter()
                        .any(|call| call["tool_call_id"] == frame["tool_call_id"])
                );
                assert_eq!(frame["message_id"].as_str().map(str::len), Some(36), "{frame}");
                told.calls.push((*frame).clone());
            }
            "approval" => {
                let same = |other: &Value| other["tool_call_id"] == frame["tool_call_id"];
                assert!(told.calls.iter().any(same), "an approval of no call: {frame}");
                assert!(!told.results.iter().any(same), "an approval after the result: {frame}");
                assert!(!told.approvals.iter().any(same), "a second approval: {frame}");
                told.approvals.push((*frame).clone());
            }
            "citation" => {
                assert!(told.persona.is_some(), "a citation before the words: {frame}");
                if let Some(end) = frame["end"].as_u64() {
                    let said = told.text.chars().count() as u64;
                    assert!(end <= said && frame["start"].as_u64().unwrap() < end, "{frame}");
                }
                told.citations.push((*frame).clone());
            }
            "tool_result" => {
                let same = |other: &Value| other["tool_call_id"] == frame["tool_call_id"];
                assert!(told.calls.iter().any(same), "a result of no call: {frame}");
                assert!(!told.results.iter().any(same), "a second result: {frame}");
                told.results.push((*frame).clone());
            }
            "complete" => {
                told.complete = Some(frame["message"].clone());
                ended = true;
            }
            "error" => {
                told.error = Some((*frame).clone());
                ended = true;
            }
            "done" => {
                frame["outcome"].as_str().unwrap().clone_into(&mut told.outcome);
                frame["message_id"].as_str().unwrap().clone_into(&mut told.reply_id);
            }
            other => panic!("{other} is not of a turn: {frame}"),
        }
    }
    assert_eq!(told.calls.len(), told.results.len(), "each call has a result: {told:?}");
    assert!(!told.outcome.is_empty(), "no done for {turn_id}: {frames:#?}");
    let kept = match &told.error {
        Some(error) => error.get("message"),
        None => told.complete.as_ref(),
    };
    let status = match told.outcome.as_str() {
        "failed" => None,
        "stopped" if told.chunks == 0 => None,
        other => Some(other),
    };
    assert_eq!(kept.map(|reply| reply["status"].as_str().unwrap()), status, "{told:?}");
    assert_eq!(
        told.error.is_some(),
        matches!(told.outcome.as_str(), "failed" | "interrupted"),
        "{told:?}"
    );
    if let Some(reply) = kept {
        assert_eq!(reply["content"], told.text, "what is stored is what was said");
        assert_eq!(reply["id"], told.reply_id);
        assert_eq!(reply["role"], "assistant");
        let stored = reply["citations"].as_array().unwrap();
        assert_eq!(stored.len(), told.citations.len(), "what was cited is stored");
        if let Some(message) = &told.message {
            assert_eq!(reply["parent_id"], message["id"]);
        }
    } else {
        assert_eq!(told.text.trim(), "", "words that were not kept");
    }
    told
}

/// The text of all chunks among these frames.
pub fn chunks(frames: &[Value]) -> String {
    super::ws::chunks(frames)
}

/// A model, and a server that asks it.
pub struct House {
    pub sim: Sim,
    pub setup: Setup,
    pub server: Server,
    pub api: Api,
}

impl House {
    /// One whose model answers `to: ` and the owner's words, and obeys plans and directives before that.
    pub async fn new() -> Self {
        Self::with(|setup| setup).await
    }

    /// The same with more variables.
    pub async fn with(more: impl FnOnce(Setup) -> Setup) -> Self {
        Self::of(SimConfig::default(), more).await
    }

    /// The same with a model set up in another way.
    pub async fn of(config: SimConfig, more: impl FnOnce(Setup) -> Setup) -> Self {
        let sim = sim::start_with(SimConfig {
            brain: Brain::Respond(Arc::new(|body| Plan::reply(format!("to: {}", owner_words(body))))),
            capture: 4096,
            ..config
        })
        .await;
        let setup = more(sim::setup(&sim));
        let server = setup.start();
        let api = Api::new(&server).await;
        Self {
            sim,
            setup,
            server,
            api,
        }
    }

    /// Plans a reply that waits behind a gate of its own.
    pub fn gated(&self, plan: Plan) -> Gate {
        let gate = Gate::closed();
        self.sim.push(plan.gated(&gate));
        gate
    }

    /// A socket on the default session.
    pub async fn line(&self) -> Line {
        Line::open(&self.server, "").await
    }

    /// A socket on another session.
    pub async fn line_on(&self, session: &str) -> Line {
        Line::open(&self.server, &format!("session_id={session}")).await
    }

    /// Starts the server again on the same data.
    pub async fn restart(&mut self) {
        self.server = self.setup.start();
        self.api = Api::new(&self.server).await;
    }

    /// Starts the server again on the same data, at a time that lies ahead.
    pub async fn restart_ahead(&mut self, by: SignedDuration) {
        self.server = self.setup.start_ahead(by);
        self.api = Api::new(&self.server).await;
    }

    /// The prompts the model took, oldest first. A server that is not OpenAI may refuse a form before it takes another.
    pub fn prompts(&self) -> Vec<Captured> {
        let of_model = |path: &str| path.ends_with("/responses") || path.ends_with("/completions");
        let asked = |request: &Captured| of_model(&request.path) && request.verdict.is_ok();
        self.sim.requests().into_iter().filter(asked).collect()
    }

    /// What the model refused of the prompts it was sent, once it had taken one: by then its manner is known.
    pub fn refused(&self) -> Vec<String> {
        let requests = self.sim.requests().into_iter();
        let prompts = requests.filter(|request| request.method == "POST");
        let later = prompts.skip_while(|request| request.verdict.is_err());
        later
            .filter_map(|request| request.verdict.err())
            .map(|error| error.message)
            .collect()
    }

    /// Waits until nothing is left to index.
    pub async fn indexed(&self) {
        let deadline = std::time::Instant::now() + LIMIT;
        while self.api.get("/api/memory").await["index"]["pending"] != 0 {
            assert!(std::time::Instant::now() < deadline, "memories wait to be indexed");
            tokio::task::yield_now().await;
        }
    }

    /// The state block of the latest prompt.
    pub fn state(&self) -> String {
        let prompts = self.prompts();
        let raw = prompts.last().unwrap().body.to_string();
        let state = raw.rsplit_once("[state]").unwrap().1.split_once("[/state]").unwrap().0;
        state.replace("\\n", "\n")
    }
}

/// The last words of the owner's in a prompt. Where roles must alternate, her state stands behind them and words that
/// got no answer before them.
fn owner_words(body: &Value) -> String {
    let items = body.get("input").or_else(|| body.get("messages"));
    let mut items = items.and_then(Value::as_array).into_iter().flatten();
    let last = items.rfind(|item| item["role"] == "user");
    let words = last.and_then(|item| item["content"].as_str()).unwrap_or_default();
    match words.rsplit_once("\n\n[state]\n") {
        Some((words, _)) => {
            let words = words.split("\n\n[memories]\n").next().unwrap_or_default();
            words.rsplit("\n\n").next().unwrap_or_default().to_owned()
        }
        None => words.to_owned(),
    }
}

/// Events enough for the head of a reply and some words, whichever form it has; no reply of [`long`] ends within.
pub const SOME: u64 = 60;

/// A reply of many words.
pub fn long(name: &str) -> String {
    let words: Vec<String> = (0..200).map(|word| format!("{name}{word}")).collect();
    words.join(" ")
}

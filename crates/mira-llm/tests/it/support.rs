//! What the tests share: requests, an endpoint at the emulator, a stream taken to its end and checked against the law of
//! its events, and a server that says exactly what a test wants.

use futures_util::StreamExt;
use mira_core::{
    chat::{Mood, ReplyMeta, Role},
    model::{Finished, Head, HostedEvent, ModelEvent, ModelRequest, PromptMessage},
    persona::PersonaName,
    tool::AskedCalls,
};
use mira_llm::{Api, ChatModel, Endpoint, LlmError, RetryPolicy, Secret, connect};
use openai_sim::{Flavour, Plan, Reply, Sim, SimConfig};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub const KEY: &str = "sk-the-key-of-this-test";

pub fn persona(name: &str) -> PersonaName {
    name.parse().unwrap()
}

pub fn fallback() -> ReplyMeta {
    ReplyMeta {
        persona: persona("haven"),
        mood: Mood::from_text("steady").unwrap(),
        mood_cause: None,
        intent: None,
        owner_mood: None,
        tags: vec![],
        salience: None,
        remember: Vec::new(),
    }
}

pub fn message(role: Role, text: &str) -> PromptMessage {
    PromptMessage {
        role,
        text: text.into(),
        calls: Vec::new(),
        pictures: Vec::new(),
    }
}

pub fn request() -> ModelRequest {
    ModelRequest {
        system: "You are Mira.".into(),
        messages: vec![
            message(Role::User, "Hello."),
            message(Role::Assistant, "Hello yourself."),
            message(Role::User, "How are you?"),
        ],
        tail: "[state]\nmood: steady\n[/state]".into(),
        tools: [].into(),
        hosted: [].into(),
        rounds: Vec::new(),
        no_more_calls: false,
        personas: vec![persona("default"), persona("haven")],
        fallback: fallback(),
        cache_key: "session-1".into(),
    }
}

/// Repeats quickly, gives up soon.
pub fn endpoint(url: &str, api: Api) -> Endpoint {
    Endpoint {
        api_key: Some(Secret::new(KEY)),
        idle_timeout: Duration::from_secs(20),
        thinking_timeout: Duration::from_secs(20),
        retry: RetryPolicy {
            attempts: 3,
            base: Duration::from_millis(2),
            cap: Duration::from_millis(4),
            retry_after_cap: Duration::from_secs(1),
        },
        ..Endpoint::new(url, api, "gpt-5")
    }
}

/// As OpenAI itself is asked.
pub fn openai(url: &str, api: Api) -> Endpoint {
    Endpoint {
        openai: true,
        verbosity: Some("high".into()),
        reasoning_effort: Some("high".into()),
        ..endpoint(url, api)
    }
}

pub async fn sim(server: Flavour) -> Sim {
    Sim::start(SimConfig {
        server,
        api_key: Some(KEY.into()),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

pub const WORDS: &str = "Wickedly well, \"thank you\".\n\n```rust\nlet é = '𝄞';\n```\n";

pub fn reply() -> Reply {
    Reply::new(WORDS).persona("default").mood("playful", Some("you asked"))
}

/// What a call yielded.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub thought: bool,
    pub head: Option<Head>,
    pub text: String,
    pub texts: usize,
    pub finished: Option<Finished>,
    pub calls: Option<AskedCalls>,
    pub hosted: Vec<HostedEvent>,
    pub error: Option<LlmError>,
}

/// Takes a stream to its end; the law: `Thinking* Head? (Text | Thinking)* (Finished | Calls | error)`.
pub async fn hear(model: &Arc<dyn ChatModel>, request: ModelRequest) -> Heard {
    let mut heard = Heard::default();
    let offered = !request.tools.is_empty();
    let mut stream = model.stream(request);
    while let Some(item) = stream.next().await {
        assert!(
            heard.finished.is_none() && heard.error.is_none() && heard.calls.is_none(),
            "{item:?} after the end"
        );
        match item {
            Ok(ModelEvent::Thinking) => heard.thought = true,
            Ok(ModelEvent::Head(head)) => {
                assert!(
                    heard.head.is_none() && heard.text.is_empty(),
                    "one head before the text"
                );
                heard.head = Some(head);
            }
            Ok(ModelEvent::Text(text)) => {
                assert!(
                    heard.head.is_some() && !text.is_empty(),
                    "text after its head: {text:?}"
                );
                heard.text.push_str(&text);
                heard.texts += 1;
            }
            Ok(ModelEvent::Hosted(event)) => {
                // Where something is pointed at, its words are there.
                if let HostedEvent::Cited {
                    place: Some((_, end)), ..
                } = &*event
                {
                    assert!(
                        *end as usize <= heard.text.chars().count(),
                        "{event:?} before its words"
                    );
                }
                heard.hosted.push(*event);
            }
            Ok(ModelEvent::Finished(finished)) => heard.finished = Some(*finished),
            Ok(ModelEvent::Calls(asked)) => {
                assert!(
                    offered && !asked.calls.is_empty(),
                    "calls where they may come: {asked:?}"
                );
                heard.calls = Some(*asked);
            }
            Err(error) => {
                assert!(!error.to_string().contains(KEY) && !format!("{error:?}").contains(KEY));
                heard.error = Some(error);
            }
        }
    }
    let ends = [heard.finished.is_some(), heard.error.is_some(), heard.calls.is_some()];
    assert_eq!(ends.iter().filter(|end| **end).count(), 1, "exactly one end: {heard:?}");
    heard
}

/// One reply of a fresh model that is planned to say `plan`.
pub async fn say(sim: &Sim, endpoint: Endpoint, plan: Plan) -> Heard {
    sim.push(plan);
    hear(&connect(endpoint).unwrap(), request()).await
}

/// The body of a captured request, in its own key order.
pub fn body(sim: &Sim, index: usize) -> Value {
    sim.requests()[index].body.clone()
}

/// All text of a captured request's bytes.
pub fn raw(sim: &Sim, index: usize) -> String {
    String::from_utf8(sim.requests()[index].raw.to_vec()).unwrap()
}

/// A server that answers each connection's first request with the next of `answers`, byte for byte, then closes.
pub async fn scripted(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_request(&mut socket).await;
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    url
}

async fn read_request(socket: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                return;
            }
        }
        let read = socket.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the client went away inside its request");
        seen.extend_from_slice(&buffer[..read]);
    }
}

/// A whole HTTP answer that ends with its connection.
pub fn answer(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}")
}

/// Events of a stream.
pub fn events(data: &[&str]) -> String {
    let body = data
        .iter()
        .flat_map(|data| ["data: ", data, "\n\n"])
        .collect::<String>();
    answer("200 OK", "text/event-stream", &body)
}

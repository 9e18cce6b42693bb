//! A plain client of the emulator: posts JSON, reads event streams.

use std::sync::Once;

use openai_sim::{Plan, Sim, SimConfig};
use reqwest::Response;
use serde_json::{Value, json};

/// The client of this test: building one is slow, and tests do not share a runtime.
pub fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    thread_local! {
        static CLIENT: reqwest::Client = reqwest::Client::builder().no_proxy().build().unwrap();
    }
    // It fails only if it is there already, which is what is wanted.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    CLIENT.with(Clone::clone)
}

/// An emulator that answers with pushed plans.
pub async fn sim() -> Sim {
    Sim::start(SimConfig::default()).await.unwrap()
}

/// Posts a body to a path below the base URL.
pub async fn post(sim: &Sim, path: &str, body: &Value) -> Response {
    let request = client()
        .post(format!("{}{path}", sim.url()))
        .header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

/// Status and JSON of an answer.
pub async fn answer(sim: &Sim, path: &str, body: &Value) -> (u16, Value) {
    let response = post(sim, path, body).await;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// A small streaming request of `/responses`.
pub fn ask(words: &str) -> Value {
    json!({ "model": "gpt-5", "stream": true, "input": [{ "role": "user", "content": words }] })
}

/// A small streaming request of `/chat/completions`.
pub fn ask_chat(words: &str) -> Value {
    json!({ "model": "gpt-5", "stream": true, "messages": [{ "role": "user", "content": words }] })
}

/// One server-sent event: its `event` line and its data.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub kind: Option<String>,
    pub data: String,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

/// Reads complete events out of the bytes of a stream; comments are left out.
pub fn events(bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let blocks = text
        .split_inclusive("\n\n")
        .filter(|block| block.ends_with("\n\n") && !block.starts_with(':'));
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name).map(str::to_owned))
    };
    blocks
        .map(|block| Event {
            kind: field(block, "event: "),
            data: field(block, "data: ").unwrap(),
        })
        .collect()
}

/// All events of one streaming request.
pub async fn stream(sim: &Sim, path: &str, body: &Value) -> Vec<Event> {
    let response = post(sim, path, body).await;
    assert_eq!(response.status().as_u16(), 200);
    events(&response.bytes().await.unwrap())
}

/// All events of the answer to one planned request.
pub async fn planned(plan: Plan, path: &str, body: &Value) -> Vec<Event> {
    let sim = sim().await;
    sim.push(plan);
    let events = stream(&sim, path, body).await;
    sim.shutdown().await;
    events
}

/// The types of the data of events, runs of the same written once.
pub fn kinds(events: &[Event]) -> Vec<String> {
    let mut kinds: Vec<String> = events
        .iter()
        .map(|event| event.json()["type"].as_str().unwrap().to_owned())
        .collect();
    kinds.dedup();
    kinds
}

/// What the deltas of this type add up to.
pub fn joined(events: &[Event], kind: &str) -> String {
    let deltas = events.iter().map(Event::json).filter(|data| data["type"] == kind);
    deltas.map(|data| data["delta"].as_str().unwrap().to_owned()).collect()
}

/// Mira's reply schema, as the tests need it.
pub fn reply_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "persona": { "type": "string", "enum": ["default", "forbidden", "hallow", "haven"] },
            "mood": { "type": "string" },
            "mood_cause": { "type": ["string", "null"] },
            "output": { "type": "string" },
            "intent": { "type": "string" },
            "owner_mood": { "type": "string" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "salience": { "type": "number" },
            "remember": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "about": { "type": "string" },
                    "topic": { "type": "string" },
                    "text": { "type": "string" },
                    "replaces": { "type": ["integer", "null"] },
                },
                "required": ["about", "topic", "text", "replaces"],
                "additionalProperties": false,
            } },
        },
        "required": ["persona", "mood", "mood_cause", "output", "intent", "owner_mood", "tags", "salience", "remember"],
        "additionalProperties": false,
    })
}

/// The text format of `/responses` with that schema.
pub fn reply_format() -> Value {
    json!({ "format": { "type": "json_schema", "name": "reply", "strict": true, "schema": reply_schema() } })
}

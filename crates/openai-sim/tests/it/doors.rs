//! Who is let in, which routes there are, what is kept, embeddings, models, rehearsal.

use base64::Engine as _;
use openai_sim::{Brain, Plan, Sim, SimConfig};
use serde_json::{Value, json};

use crate::support::{answer, ask, client, joined, post, sim, stream};

const DELTA: &str = "response.output_text.delta";

#[tokio::test]
async fn only_the_key_opens() {
    let config = SimConfig {
        api_key: Some("sk-right".to_owned()),
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.unwrap();
    for key in [None, Some("sk-wrong"), Some("sk-right2"), Some("")] {
        let mut request = client().get(format!("{}/models", sim.url()));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401);
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "invalid_api_key");
    }
    let right = client()
        .get(format!("{}/models", sim.url()))
        .header("authorization", "Bearer sk-right");
    assert_eq!(right.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn routes_with_and_without_the_prefix() {
    let sim = sim().await;
    let base = sim.url();
    let bare = base.strip_suffix("/v1").unwrap();
    let status = async |method: &str, url: String| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        client().request(method, url).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("GET", format!("{base}/models")).await, 200);
    assert_eq!(status("GET", format!("{bare}/models")).await, 200);
    assert_eq!(status("GET", format!("{bare}/models/gpt-5")).await, 200);
    assert_eq!(status("GET", format!("{base}/models/nope")).await, 404);
    assert_eq!(status("GET", format!("{base}/responses")).await, 405);
    assert_eq!(status("GET", format!("{base}/audio")).await, 404);
    assert_eq!(
        status("POST", format!("{base}/responses")).await,
        400,
        "no content type"
    );
    let broken = client()
        .post(format!("{bare}/responses"))
        .header("content-type", "application/json");
    assert_eq!(broken.body("{\"model\":").send().await.unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn requests_are_kept_up_to_the_limit() {
    let sim = Sim::start(SimConfig {
        capture: 2,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    for words in ["one", "two", "three"] {
        sim.push(Plan::reply("ok"));
        stream(&sim, "/responses", &ask(words)).await;
    }
    let kept = sim.requests();
    assert_eq!(
        kept.iter()
            .map(|kept| kept.body["input"][0]["content"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["two", "three"]
    );
    assert_eq!(
        (kept[0].method.as_str(), kept[0].path.as_str()),
        ("POST", "/v1/responses")
    );
    assert_eq!(kept[0].header("content-type"), Some("application/json"));
    assert_eq!(kept[0].connection, kept[1].connection, "kept alive");
    assert_eq!(kept[1].raw, ask("three").to_string());
    assert_eq!((sim.counts().requests, sim.counts().finished), (3, 3));
}

#[tokio::test]
async fn embeddings_as_numbers_and_as_bytes() {
    let sim = sim().await;
    let mut body = json!({ "model": "text-embedding-3-large", "input": ["a dog", "a dog", "taxes"], "dimensions": 64 });
    let (status, floats) = answer(&sim, "/embeddings", &body).await;
    assert_eq!(status, 200);
    let vector = |data: &Value| -> Vec<f32> { serde_json::from_value(data["embedding"].clone()).unwrap() };
    let vectors: Vec<Vec<f32>> = floats["data"].as_array().unwrap().iter().map(vector).collect();
    assert_eq!((vectors[0].len(), &vectors[0]), (64, &vectors[1]));
    assert_ne!(vectors[0], vectors[2]);
    assert_eq!(floats["data"][2]["index"], 2);
    assert!(floats["usage"]["total_tokens"].as_u64() > Some(0));
    body["encoding_format"] = json!("base64");
    let (_, encoded) = answer(&sim, "/embeddings", &body).await;
    let text = encoded["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let decoded: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    assert_eq!(decoded, vectors[0]);
    let (_, single) = answer(
        &sim,
        "/embeddings",
        &json!({ "model": "text-embedding-3-small", "input": "x" }),
    )
    .await;
    assert_eq!(vector(&single["data"][0]).len(), 1536);
}

fn rehearsal(words: &str, overlay: &str, memory: &str) -> Value {
    let state = format!(
        "[memories]\n1. {memory}\n[/memories]\n\n[state]\noverlay: {overlay}\npinned: yes\noverlays: default, forbidden, hallow, haven\nmood: playful\n\
         mood_cause: coffee\ntime: Saturday 21 November 2026, 02:10 (Europe/Berlin)\n[/state]"
    );
    let mut body = ask(words);
    body["input"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "role": "developer", "content": state }));
    body["text"] = crate::support::reply_format();
    body
}

#[tokio::test]
async fn the_rehearsal_follows_from_the_prompt() {
    let sim = Sim::start(SimConfig::with_brain(Brain::Rehearsal)).await.unwrap();
    let mut replies = Vec::new();
    for (words, overlay, memory) in [
        (
            "I got the job!",
            "default",
            "8 May 2023, owner: I adopted a golden retriever",
        ),
        (
            "I got the job!",
            "haven",
            "8 May 2023, owner: I adopted a golden retriever",
        ),
        (
            "My father died.",
            "default",
            "8 May 2023, owner: I adopted a golden retriever",
        ),
    ] {
        let events = stream(&sim, "/responses", &rehearsal(words, overlay, memory)).await;
        let reply: Value = serde_json::from_str(&joined(&events, DELTA)).unwrap();
        assert_eq!(reply["persona"], overlay, "pinned");
        assert!(reply["output"].as_str().unwrap().len() > 10);
        replies.push(reply);
    }
    assert!(replies[0]["output"] != replies[1]["output"] && replies[0]["output"] != replies[2]["output"]);
    // Two steps: words first, then metadata alone for the same prompt.
    let mut plain = rehearsal("I got the job!", "default", "x");
    plain["text"] = json!(null);
    let events = stream(&sim, "/responses", &plain).await;
    assert!(!joined(&events, DELTA).starts_with('{'));
}

#[tokio::test]
async fn the_rehearsal_notes_and_recalls() {
    let sim = Sim::start(SimConfig::with_brain(Brain::Rehearsal)).await.unwrap();
    let memory = "8 May 2026, fact about owner: The owner lives in Graz.";
    let events = stream(&sim, "/responses", &rehearsal("I moved to Linz", "default", memory)).await;
    let reply: Value = serde_json::from_str(&joined(&events, DELTA)).unwrap();
    assert_eq!(
        reply["remember"],
        json!([{ "about": "owner", "topic": "home town", "text": "The owner moved to Linz in November 2026.", "replaces": 1 }])
    );
    let events = stream(&sim, "/responses", &rehearsal("Where do I live?", "default", memory)).await;
    let reply: Value = serde_json::from_str(&joined(&events, DELTA)).unwrap();
    assert_eq!(reply["remember"], json!([]));
    assert!(reply["output"].as_str().unwrap().contains("You live in Graz."));
}

#[tokio::test]
async fn the_rehearsal_summarises_when_asked_plainly() {
    let sim = Sim::start(SimConfig::with_brain(Brain::Rehearsal)).await.unwrap();
    let talk = "owner: I moved to Linz\nMira: Finally!";
    let mut body = ask(talk);
    body["instructions"] = json!("# Summarise\n\nWrite what happened.");
    let said = joined(&stream(&sim, "/responses", &body).await, DELTA);
    assert_eq!(said, "The owner moved to Linz. Mira ended on: “Finally!”");
}

#[tokio::test]
async fn a_brain_can_be_a_function() {
    let brain = Brain::Respond(std::sync::Arc::new(|body: &Value| {
        Plan::reply(body["model"].as_str().unwrap_or("?"))
    }));
    let sim = Sim::start(SimConfig::with_brain(brain)).await.unwrap();
    assert_eq!(joined(&stream(&sim, "/responses", &ask("hi")).await, DELTA), "gpt-5");
}

#[tokio::test]
async fn rehearsal_mode_is_ready_made() {
    let config = SimConfig::rehearsal("key", vec!["rehearsal".to_owned()]);
    let sim = Sim::start(config).await.unwrap();
    assert_eq!(post(&sim, "/responses", &ask("hi")).await.status().as_u16(), 401);
    assert!(sim.requests().is_empty(), "nothing is kept");
    assert_eq!(sim.counts().requests, 1);
}

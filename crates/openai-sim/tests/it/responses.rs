//! `/responses`: event sequences, forms of the answer, reasoning, caching.

use openai_sim::{Call, Ending, Plan, Reply};
use serde_json::{Value, json};

use crate::support::{Event, answer, ask, joined, kinds, planned, reply_format, reply_schema, sim, stream};

fn reply() -> Reply {
    Reply::new("There you are. \"Finally\"\n\u{2615}")
        .persona("haven")
        .mood("soft", Some("rain"))
}

const REPLY_JSON: &str = "{\"persona\":\"haven\",\"mood\":\"soft\",\"mood_cause\":\"rain\",\"output\":\"There you are. \
     \\\"Finally\\\"\\n\u{2615}\",\"intent\":\"chat\",\"owner_mood\":\"neutral\",\"tags\":[\"chat\"],\"salience\":0.3,\
     \"remember\":[]}";

fn structured(words: &str) -> Value {
    let mut body = ask(words);
    body["text"] = reply_format();
    body
}

/// Laws of every stream: the event line is the type, numbers count from 0.
fn lawful(events: &[Event]) {
    for (number, event) in events.iter().enumerate() {
        let data = event.json();
        assert_eq!(event.kind.as_deref(), data["type"].as_str());
        assert_eq!(data["sequence_number"], json!(number));
    }
}

#[tokio::test]
async fn a_structured_reply_streams_in_full_sequence() {
    let events = planned(Plan::structured(reply()), "/responses", &structured("hi")).await;
    lawful(&events);
    let expect = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&events), expect);
    assert_eq!(joined(&events, "response.output_text.delta"), REPLY_JSON);
    let deltas = events
        .iter()
        .filter(|event| event.kind.as_deref() == Some("response.output_text.delta"));
    assert!(deltas.clone().count() > 30, "word by word");
    for delta in deltas.map(Event::json) {
        assert!(delta["obfuscation"].is_string() && delta["logprobs"] == json!([]));
    }
    let created = events[0].json();
    assert_eq!(created["response"]["status"], "in_progress");
    assert_eq!(created["response"]["output"], json!([]));
    assert_eq!(created["response"]["usage"], Value::Null);
    assert_eq!(
        created["response"]["text"]["format"]["schema"],
        reply_schema(),
        "the request is repeated"
    );
    let response = &events.last().unwrap().json()["response"];
    assert_eq!(response["status"], "completed");
    assert_eq!(response["model"], "gpt-5");
    assert_eq!(response["output"][0]["content"][0]["text"], REPLY_JSON);
    assert_eq!(response["output"][0]["id"], events[2].json()["item"]["id"]);
    let usage = &response["usage"];
    assert!(usage["output_tokens"].as_u64() > Some(20) && usage["input_tokens"].as_u64() > Some(5));
    let required = [
        "id",
        "object",
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "model",
        "tools",
        "output",
        "parallel_tool_calls",
        "metadata",
        "tool_choice",
        "temperature",
        "top_p",
    ];
    assert!(
        required.iter().all(|key| response.get(*key).is_some()),
        "all required fields"
    );
}

#[tokio::test]
async fn the_whole_object_is_that_of_the_stream() {
    let sim = sim().await;
    let mut body = structured("hi");
    sim.push(Plan::structured(reply()));
    let streamed = stream(&sim, "/responses", &body).await.last().unwrap().json()["response"].clone();
    body["stream"] = json!(false);
    sim.push(Plan::structured(reply()));
    let (status, mut whole) = answer(&sim, "/responses", &body).await;
    assert_eq!(status, 200);
    whole["id"] = streamed["id"].clone();
    whole["created_at"] = streamed["created_at"].clone();
    whole["completed_at"] = streamed["completed_at"].clone();
    whole["output"][0]["id"] = streamed["output"][0]["id"].clone();
    assert_eq!(whole, streamed);
}

#[tokio::test]
async fn obfuscation_can_be_turned_off() {
    let mut body = ask("hi");
    body["stream_options"] = json!({ "include_obfuscation": false });
    let events = planned(Plan::reply("one two three"), "/responses", &body).await;
    assert!(events.iter().all(|event| !event.data.contains("obfuscation\":")));
    assert_eq!(
        joined(&events, "response.output_text.delta"),
        "one two three",
        "no schema, only the words"
    );
}

#[tokio::test]
async fn a_forced_function_takes_the_reply_as_arguments() {
    let mut body = ask("hi");
    body["tools"] = json!([{ "type": "function", "name": "format_response", "strict": true,
                             "parameters": reply_schema() }]);
    body["tool_choice"] = json!({ "type": "function", "name": "format_response" });
    let events = planned(Plan::structured(reply()), "/responses", &body).await;
    lawful(&events);
    let expect = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&events), expect);
    assert_eq!(joined(&events, "response.function_call_arguments.delta"), REPLY_JSON);
    let call = &events.last().unwrap().json()["response"]["output"][0];
    assert_eq!(
        (&call["type"], &call["name"], &call["arguments"]),
        (&json!("function_call"), &json!("format_response"), &json!(REPLY_JSON))
    );
}

#[tokio::test]
async fn metadata_alone_is_fitted_too() {
    let mut body = ask("hi");
    body["text"] = json!({ "format": { "type": "json_schema", "name": "meta", "strict": true, "schema": {
        "type": "object", "properties": { "mood": { "type": "string" }, "persona": { "type": "string" } },
        "required": ["mood", "persona"], "additionalProperties": false } } });
    body["stream"] = json!(false);
    let sim = sim().await;
    sim.push(Plan::structured(reply()));
    let (_, whole) = answer(&sim, "/responses", &body).await;
    assert_eq!(
        whole["output"][0]["content"][0]["text"],
        "{\"mood\":\"soft\",\"persona\":\"haven\"}"
    );
}

#[tokio::test]
async fn calls_come_in_rounds_with_their_reasoning() {
    let sim = sim().await;
    sim.push(
        Plan::calls([
            Call::new("look", &json!({ "at": "door" })),
            Call::new("wait", &json!({})),
        ])
        .reasoning("Hm."),
    );
    sim.push(Plan::reply("A cat."));
    let mut body = ask("who is there?");
    body["store"] = json!(false);
    body["include"] = json!(["reasoning.encrypted_content"]);
    body["reasoning"] = json!({ "effort": "low", "summary": "auto" });
    let tool = |name: &str| json!({ "type": "function", "name": name, "parameters": null, "strict": false });
    body["tools"] = json!([tool("look"), tool("wait")]);
    let first = stream(&sim, "/responses", &body).await;
    lawful(&first);
    assert_eq!(joined(&first, "response.reasoning_summary_text.delta"), "Hm.");
    let response = first.last().unwrap().json()["response"].clone();
    let items = response["output"].as_array().unwrap().clone();
    assert_eq!(
        items
            .iter()
            .map(|item| item["type"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["reasoning", "function_call", "function_call"]
    );
    assert!(items[0]["encrypted_content"].is_string());
    assert_eq!(items[1]["arguments"], "{\"at\":\"door\"}");
    assert!(response["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64() > Some(0));
    // Back with everything, unchanged; then with a piece missing.
    let input = body["input"].as_array_mut().unwrap();
    input.extend(items.clone());
    for item in &items[1..] {
        input.push(json!({ "type": "function_call_output", "call_id": item["call_id"], "output": "a cat" }));
    }
    let mut without = body.clone();
    without["input"].as_array_mut().unwrap().remove(1);
    let (status, refused) = answer(&sim, "/responses", &without).await;
    assert_eq!(status, 400);
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("without its required 'reasoning' item")
    );
    let second = stream(&sim, "/responses", &body).await;
    assert_eq!(joined(&second, "response.output_text.delta"), "A cat.");
}

#[tokio::test]
async fn refusals_are_parts_of_their_own() {
    let events = planned(Plan::refusal("No, darling."), "/responses", &structured("hi")).await;
    lawful(&events);
    assert_eq!(joined(&events, "response.refusal.delta"), "No, darling.");
    assert_eq!(
        events.last().unwrap().json()["response"]["output"][0]["content"],
        json!([{ "type": "refusal", "refusal": "No, darling." }])
    );
}

#[tokio::test]
async fn endings_other_than_completed() {
    let words = "one two three four";
    let cases = [
        (Ending::Incomplete("content_filter".to_owned()), "response.incomplete"),
        (
            Ending::Failed {
                code: "server_error".to_owned(),
                message: "broke".to_owned(),
            },
            "response.failed",
        ),
        (Ending::ErrorFlat, "error"),
        (Ending::ErrorNested, "error"),
    ];
    for (ending, kind) in cases {
        let events = planned(
            Plan::reply(words).ending(ending.clone(), None),
            "/responses",
            &ask("hi"),
        )
        .await;
        lawful(&events);
        assert_eq!(joined(&events, "response.output_text.delta"), "one two");
        let last = events.last().unwrap().json();
        assert_eq!(last["type"], kind);
        match ending {
            Ending::Incomplete(reason) => {
                assert_eq!(last["response"]["incomplete_details"]["reason"], json!(reason));
                assert_eq!(last["response"]["output"][0]["status"], "incomplete");
            }
            Ending::Failed { .. } => assert_eq!(last["response"]["error"]["message"], "broke"),
            Ending::ErrorFlat => assert_eq!(last["code"], "server_error"),
            Ending::ErrorNested => assert_eq!(last["error"]["code"], "server_error"),
            Ending::Completed => unreachable!(),
        }
    }
}

#[tokio::test]
async fn the_output_token_limit_is_kept() {
    let mut body = ask("hi");
    body["max_output_tokens"] = json!(16);
    let words = vec!["word"; 40].join(" ");
    let events = planned(Plan::reply(words), "/responses", &body).await;
    let last = events.last().unwrap().json();
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(joined(&events, "response.output_text.delta").split(' ').count(), 16);
}

#[tokio::test]
async fn unknown_events_and_items_come_between() {
    let events = planned(
        Plan::reply("one two three four five").unknown(),
        "/responses",
        &ask("hi"),
    )
    .await;
    lawful(&events);
    assert_eq!(joined(&events, "response.output_text.delta"), "one two three four five");
    assert!(
        kinds(&events)
            .iter()
            .filter(|kind| *kind == "response.hologram.shimmering")
            .count()
            >= 2
    );
    let output = events.last().unwrap().json()["response"]["output"].clone();
    assert_eq!(
        (&output[0]["type"], &output[1]["type"]),
        (&json!("hologram"), &json!("message"))
    );
}

#[tokio::test]
async fn the_shared_prefix_is_reported_as_cached() {
    let sim = sim().await;
    let long = "You are Mira, and this is your long story. ".repeat(200);
    let ask = |key: &str, words: &str| {
        json!({ "model": "gpt-5", "prompt_cache_key": key, "input": [
            { "role": "developer", "content": long }, { "role": "user", "content": words }] })
    };
    let mut cached = Vec::new();
    for (key, words) in [("a", "one"), ("a", "two"), ("b", "two")] {
        sim.push(Plan::reply("ok"));
        let (_, body) = answer(&sim, "/responses", &ask(key, words)).await;
        cached.push(body["usage"]["input_tokens_details"]["cached_tokens"].as_u64().unwrap());
    }
    assert_eq!(cached[0], 0);
    assert!(cached[1] >= 1024 && cached[1].is_multiple_of(128), "{cached:?}");
    assert_eq!(cached[2], 0, "another key");
}

#[tokio::test]
async fn the_same_requests_get_the_same_bytes() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let events = planned(
            Plan::structured(reply()).reasoning("Hm."),
            "/responses",
            &structured("hi"),
        )
        .await;
        runs.push(events);
    }
    assert_eq!(runs[0], runs[1]);
}

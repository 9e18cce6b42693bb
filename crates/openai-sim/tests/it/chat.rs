//! `/chat/completions`: chunks, tools, the old functions, usage.

use openai_sim::{Call, Ending, Flavour, Plan, Reply, Sim, SimConfig};
use serde_json::{Value, json};

use crate::support::{Event, answer, ask_chat, planned, reply_schema, sim, stream};

const PATH: &str = "/chat/completions";

/// The chunks before `[DONE]`, which must be last.
fn chunks(events: &[Event]) -> Vec<Value> {
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.data, "[DONE]");
    let chunks: Vec<Value> = chunks.iter().map(Event::json).collect();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"])
    );
    chunks
}

fn joined(chunks: &[Value], pointer: &str) -> String {
    let text = |chunk: &Value| {
        chunk["choices"][0]["delta"]
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    chunks.iter().filter_map(text).collect()
}

fn finish(chunks: &[Value]) -> Vec<&str> {
    chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str())
        .collect()
}

#[tokio::test]
async fn words_stream_as_content() {
    let events = planned(Plan::reply("one two three"), PATH, &ask_chat("hi")).await;
    let chunks = chunks(&events);
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({ "role": "assistant", "content": "", "refusal": null })
    );
    assert_eq!(joined(&chunks, "/content"), "one two three");
    assert_eq!(chunks.len(), 5, "role, three words, end");
    assert_eq!(finish(&chunks), ["stop"]);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn usage_comes_last_when_asked() {
    let mut body = ask_chat("hi");
    body["stream_options"] = json!({ "include_usage": true });
    let events = planned(Plan::reply("one"), PATH, &body).await;
    let chunks = chunks(&events);
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["total_tokens"].as_u64() > Some(0));
    assert!(
        before
            .iter()
            .all(|chunk| chunk["usage"] == Value::Null && chunk.get("usage").is_some())
    );
}

#[tokio::test]
async fn response_format_gives_the_schema() {
    let mut body = ask_chat("hi");
    body["response_format"] = json!({ "type": "json_schema",
        "json_schema": { "name": "reply", "strict": true, "schema": reply_schema() } });
    let events = planned(Plan::structured(Reply::new("Hey.").persona("hallow")), PATH, &body).await;
    let text = joined(&chunks(&events), "/content");
    assert!(
        text.starts_with("{\"persona\":\"hallow\",\"mood\":") && text.ends_with("\"remember\":[]}"),
        "{text}"
    );
}

#[tokio::test]
async fn a_forced_function_streams_as_a_tool_call() {
    let mut body = ask_chat("hi");
    body["tools"] = json!([{ "type": "function",
        "function": { "name": "format_response", "strict": true, "parameters": reply_schema() } }]);
    body["tool_choice"] = json!({ "type": "function", "function": { "name": "format_response" } });
    let events = planned(Plan::reply("Hey."), PATH, &body).await;
    let streamed = chunks(&events);
    assert_eq!(joined(&streamed, "/tool_calls/0/function/name"), "format_response");
    let arguments: Value = serde_json::from_str(&joined(&streamed, "/tool_calls/0/function/arguments")).unwrap();
    assert_eq!(arguments["output"], "Hey.");
    assert_eq!(
        finish(&streamed),
        ["stop"],
        "the call was the caller's wish, not the model's"
    );
    // The model's own choice ends differently.
    body["tool_choice"] = json!("auto");
    let events = planned(Plan::calls([Call::new("format_response", &json!({}))]), PATH, &body).await;
    assert_eq!(finish(&chunks(&events)), ["tool_calls"]);
}

#[tokio::test]
async fn several_calls_have_their_own_index() {
    let mut body = ask_chat("hi");
    body["tools"] = json!([{ "type": "function", "function": { "name": "look" } }]);
    let plan = Plan::reply("Let me see.").then_calls([
        Call::new("look", &json!({ "a": 1 })),
        Call::new("look", &json!({ "b": 2 })),
    ]);
    let events = planned(plan, PATH, &body).await;
    let streamed = chunks(&events);
    assert_eq!(joined(&streamed, "/content"), "Let me see.");
    let mut arguments = vec![String::new(); 2];
    for call in streamed
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0))
    {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        arguments[index] += call["function"]["arguments"].as_str().unwrap();
    }
    assert_eq!(arguments, ["{\"a\":1}", "{\"b\":2}"]);
}

#[tokio::test]
async fn the_old_functions_form() {
    let mut body = ask_chat("hi");
    body["functions"] = json!([{ "name": "format_response", "parameters": reply_schema() }]);
    body["function_call"] = json!({ "name": "format_response" });
    let events = planned(Plan::reply("Hey."), PATH, &body).await;
    let streamed = chunks(&events);
    assert_eq!(joined(&streamed, "/function_call/name"), "format_response");
    let arguments: Value = serde_json::from_str(&joined(&streamed, "/function_call/arguments")).unwrap();
    assert_eq!(arguments["output"], "Hey.");
    body["stream"] = json!(false);
    let sim = sim().await;
    sim.push(Plan::reply("Hey."));
    let (_, whole) = answer(&sim, PATH, &body).await;
    let message = &whole["choices"][0]["message"];
    assert_eq!(
        (&message["function_call"]["name"], &message["content"]),
        (&json!("format_response"), &Value::Null)
    );
    body["function_call"] = json!("auto");
    sim.push(Plan::calls([Call::new("format_response", &json!({}))]));
    let (_, whole) = answer(&sim, PATH, &body).await;
    assert_eq!(whole["choices"][0]["finish_reason"], "function_call");
}

#[tokio::test]
async fn whole_answers() {
    let sim = sim().await;
    let mut body = ask_chat("hi");
    body["stream"] = json!(false);
    sim.push(Plan::reply("one two"));
    let (status, whole) = answer(&sim, PATH, &body).await;
    assert_eq!(
        (status, &whole["object"], &whole["choices"][0]["message"]["content"]),
        (200, &json!("chat.completion"), &json!("one two"))
    );
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    sim.push(Plan::refusal("No."));
    let (_, whole) = answer(&sim, PATH, &body).await;
    assert_eq!(
        (
            &whole["choices"][0]["message"]["refusal"],
            &whole["choices"][0]["message"]["content"]
        ),
        (&json!("No."), &Value::Null)
    );
}

#[tokio::test]
async fn endings_other_than_stop() {
    for (reason, finish_reason) in [("max_output_tokens", "length"), ("content_filter", "content_filter")] {
        let events = planned(
            Plan::reply("one two three four").incomplete(reason),
            PATH,
            &ask_chat("hi"),
        )
        .await;
        let streamed = chunks(&events);
        assert_eq!(
            (joined(&streamed, "/content").as_str(), finish(&streamed)),
            ("one two", vec![finish_reason])
        );
    }
    let events = planned(
        Plan::reply("one two").ending(Ending::ErrorNested, Some(1)),
        PATH,
        &ask_chat("hi"),
    )
    .await;
    assert_eq!(
        events.last().unwrap().json()["error"]["code"],
        "server_error",
        "and no [DONE]"
    );
}

#[tokio::test]
async fn unknown_fields_and_chunks() {
    let events = planned(Plan::reply("one two").unknown(), PATH, &ask_chat("hi")).await;
    let streamed = chunks(&events);
    assert_eq!(
        streamed[0]["choices"],
        json!([]),
        "a chunk without a choice comes first"
    );
    assert_eq!(joined(&streamed, "/content"), "one two");
}

#[tokio::test]
async fn other_servers_show_their_reasoning() {
    let config = SimConfig {
        server: Flavour::CompatiblePlain,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.unwrap();
    sim.push(Plan::reply("Hey.").reasoning("Who is it?"));
    let events = stream(&sim, PATH, &ask_chat("hi")).await;
    let streamed = chunks(&events);
    assert_eq!(joined(&streamed, "/reasoning_content"), "Who is it?");
    assert_eq!(joined(&streamed, "/content"), "Hey.");
}

#[tokio::test]
async fn json_asked_for_in_words_is_given() {
    let config = SimConfig {
        server: Flavour::CompatiblePlain,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.unwrap();
    sim.push(Plan::structured(Reply::new("Hey.").mood("soft", None)));
    let schema = json!({ "type": "object", "properties": { "mood": { "type": "string" } } });
    let events = stream(&sim, PATH, &ask_chat(&format!("Answer with JSON like {schema} only."))).await;
    assert_eq!(joined(&chunks(&events), "/content"), "{\"mood\":\"soft\"}");
}

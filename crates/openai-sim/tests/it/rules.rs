//! One violating request per rule, with the error it must get, through real HTTP.

use crate::support::{answer, reply_schema};
use openai_sim::{Plan, Sim, SimConfig};
use serde_json::{Value, json};

/// A request that keeps every rule.
pub fn good(path: &str) -> Value {
    let schema = reply_schema();
    match path {
        "/responses" => json!({
            "model": "gpt-5",
            "input": [
                { "role": "developer", "content": "You are Mira." },
                { "role": "user", "content": [{ "type": "input_text", "text": "hi" }] },
                { "role": "assistant", "content": [{ "type": "output_text", "text": "hey" }] },
                { "type": "message", "role": "user", "content": "how are you" },
            ],
            "max_output_tokens": 1000, "store": false, "include": ["reasoning.encrypted_content"],
            "reasoning": { "effort": "high" }, "parallel_tool_calls": true, "prompt_cache_key": "mira",
            "text": { "verbosity": "high",
                      "format": { "type": "json_schema", "name": "reply", "strict": true, "schema": schema } },
            "tools": [
                { "type": "function", "name": "look", "description": "looks", "strict": true,
                  "parameters": { "type": "object", "properties": { "at": { "type": ["string", "null"] } },
                                  "required": ["at"], "additionalProperties": false } },
                { "type": "web_search" },
                { "type": "code_interpreter", "container": { "type": "auto" } },
            ],
            "tool_choice": "auto", "metadata": { "a": "b" }, "service_tier": "auto",
        }),
        "/chat/completions" => json!({
            "model": "gpt-5", "reasoning_effort": "low", "verbosity": "high", "max_completion_tokens": 1000,
            "messages": [
                { "role": "developer", "content": "You are Mira." },
                { "role": "user", "content": [{ "type": "text", "text": "hi" }] },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{}" } }] },
                { "role": "tool", "tool_call_id": "call_1", "content": "a cat" },
                { "role": "user", "content": "nice" },
            ],
            "response_format": { "type": "json_schema",
                                 "json_schema": { "name": "reply", "strict": true, "schema": schema } },
            "tools": [{ "type": "function", "function": { "name": "look", "strict": true, "parameters":
                { "type": "object", "properties": {}, "required": [], "additionalProperties": false } } }],
            "tool_choice": "auto",
        }),
        _ => json!({ "model": "text-embedding-3-large", "input": ["one", "two"], "dimensions": 256 }),
    }
}

/// Sets what `pointer` names; removes it when the value is this word.
pub const REMOVED: &str = "(removed)";

pub fn with(path: &str, changes: &[(&str, Value)]) -> Value {
    let mut body = good(path);
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) if key == "-" => items.push(value.clone()),
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
            Value::Object(fields) if value == REMOVED => drop(fields.shift_remove(key)),
            other => other[key] = value.clone(),
        }
    }
    body
}

/// Changes to a good request, and the status, code and parameter of the refusal.
pub type Rule = (
    Vec<(&'static str, Value)>,
    u16,
    Option<&'static str>,
    Option<&'static str>,
);

pub fn rule(pointer: &'static str, value: Value, code: &'static str, param: &'static str) -> Rule {
    (vec![(pointer, value)], 400, Some(code), Some(param))
}

/// A rule whose error has no code.
pub fn uncoded(pointer: &'static str, value: Value, param: &'static str) -> Rule {
    (vec![(pointer, value)], 400, None, Some(param))
}

pub async fn check(path: &str, rules: Vec<Rule>) {
    let sim = Sim::start(SimConfig {
        capture: 1,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    sim.push(Plan::reply("fine"));
    let (status, body) = answer(&sim, path, &good(path)).await;
    assert_eq!(status, 200, "the good request itself: {body}");
    for (changes, status, code, param) in rules {
        let body = with(path, &changes);
        let (got_status, got) = answer(&sim, path, &body).await;
        let error = &got["error"];
        let got = (got_status, error["code"].as_str(), error["param"].as_str());
        assert_eq!(got, (status, code, param), "{changes:?} got {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert!(error["type"].is_string());
        let kept = sim.requests();
        assert_eq!(
            kept[0].verdict.as_ref().map_err(|error| error.status),
            Err(status),
            "the verdict is kept"
        );
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn responses_parameters() {
    check(
        "/responses",
        vec![
            rule("/foo", json!(1), "unknown_parameter", "foo"),
            rule("/messages", json!([]), "unknown_parameter", "messages"),
            rule("/response_format", json!({}), "unknown_parameter", "response_format"),
            rule("/max_tokens", json!(5), "unknown_parameter", "max_tokens"),
            rule(
                "/max_completion_tokens",
                json!(5),
                "unknown_parameter",
                "max_completion_tokens",
            ),
            rule("/n", json!(1), "unknown_parameter", "n"),
            rule("/stop", json!("x"), "unknown_parameter", "stop"),
            rule("/seed", json!(1), "unknown_parameter", "seed"),
            rule("/presence_penalty", json!(1), "unknown_parameter", "presence_penalty"),
            rule("/logit_bias", json!({}), "unknown_parameter", "logit_bias"),
            rule("/model", json!(REMOVED), "missing_required_parameter", "model"),
            (
                vec![("/model", json!("gpt-99"))],
                404,
                Some("model_not_found"),
                Some("model"),
            ),
            rule(
                "/max_output_tokens",
                json!(15),
                "integer_below_min_value",
                "max_output_tokens",
            ),
            rule("/max_output_tokens", json!("16"), "invalid_type", "max_output_tokens"),
            rule("/temperature", json!(0.5), "unsupported_parameter", "temperature"),
            rule("/top_p", json!(0.5), "unsupported_parameter", "top_p"),
            rule("/top_logprobs", json!(5), "unsupported_parameter", "top_logprobs"),
            rule(
                "/reasoning/effort",
                json!("none"),
                "unsupported_value",
                "reasoning.effort",
            ),
            rule(
                "/reasoning/effort",
                json!("xhigh"),
                "unsupported_value",
                "reasoning.effort",
            ),
            rule(
                "/reasoning/effort",
                json!("enormous"),
                "invalid_value",
                "reasoning.effort",
            ),
            rule(
                "/reasoning/summary",
                json!("long"),
                "invalid_value",
                "reasoning.summary",
            ),
            rule("/reasoning/budget", json!(1), "unknown_parameter", "reasoning.budget"),
            (
                vec![("/model", json!("gpt-5.1")), ("/reasoning/effort", json!("minimal"))],
                400,
                Some("unsupported_value"),
                Some("reasoning.effort"),
            ),
            (
                vec![("/model", json!("gpt-4.1")), ("/include", json!([]))],
                400,
                Some("unsupported_parameter"),
                Some("reasoning.effort"),
            ),
            (
                vec![("/model", json!("gpt-4.1")), ("/reasoning", json!(null))],
                400,
                None,
                Some("include[0]"),
            ),
            (
                vec![
                    ("/model", json!("gpt-4.1")),
                    ("/reasoning", json!(null)),
                    ("/include", json!(null)),
                ],
                400,
                Some("unsupported_value"),
                Some("text.verbosity"),
            ),
            (
                vec![
                    ("/model", json!("gpt-4.1")),
                    ("/reasoning", json!(null)),
                    ("/include", json!(null)),
                    ("/temperature", json!(2.5)),
                ],
                400,
                Some("decimal_above_max_value"),
                Some("temperature"),
            ),
            rule("/include/0", json!("everything"), "invalid_value", "include[0]"),
            rule("/service_tier", json!("gold"), "invalid_value", "service_tier"),
            rule("/metadata/a", json!(5), "invalid_type", "metadata.a"),
            rule(
                "/safety_identifier",
                json!("x".repeat(65)),
                "string_above_max_length",
                "safety_identifier",
            ),
            rule("/store", json!("no"), "invalid_type", "store"),
            uncoded(
                "/stream_options",
                json!({ "include_obfuscation": false }),
                "stream_options",
            ),
            rule(
                "/stream_options",
                json!({ "include_usage": true }),
                "unknown_parameter",
                "stream_options.include_usage",
            ),
            rule(
                "/previous_response_id",
                json!("resp_1"),
                "previous_response_not_found",
                "previous_response_id",
            ),
            (
                vec![
                    ("/previous_response_id", json!("resp_1")),
                    ("/conversation", json!("conv_1")),
                ],
                400,
                Some("mutually_exclusive_parameters"),
                Some("previous_response_id"),
            ),
            uncoded("/background", json!(true), "background"),
            rule(
                "/context_management",
                json!([{ "type": "compaction", "compact_threshold": 999 }]),
                "integer_below_min_value",
                "context_management[0].compact_threshold",
            ),
            rule("/text/verbosity", json!("loud"), "invalid_value", "text.verbosity"),
            rule("/text/style", json!("x"), "unknown_parameter", "text.style"),
            rule("/text/format/type", json!("xml"), "invalid_value", "text.format.type"),
            rule(
                "/text/format/name",
                json!(REMOVED),
                "missing_required_parameter",
                "text.format.name",
            ),
            rule(
                "/text/format/name",
                json!("my reply"),
                "invalid_value",
                "text.format.name",
            ),
            rule(
                "/text/format/json_schema",
                json!({}),
                "unknown_parameter",
                "text.format.json_schema",
            ),
            rule(
                "/text/format/schema",
                json!(REMOVED),
                "missing_required_parameter",
                "text.format.schema",
            ),
            uncoded("/text/format", json!({ "type": "json_object" }), "text.format"),
        ],
    )
    .await;
}

#[tokio::test]
async fn strict_schemas() {
    let schema = |value: Value| {
        rule(
            "/text/format/schema",
            value,
            "invalid_json_schema",
            "text.format.schema",
        )
    };
    check(
        "/responses",
        vec![
            rule(
                "/text/format/schema/additionalProperties",
                json!(REMOVED),
                "invalid_json_schema",
                "text.format.schema",
            ),
            rule(
                "/text/format/schema/required",
                json!(["persona"]),
                "invalid_json_schema",
                "text.format.schema",
            ),
            schema(json!({ "type": "array", "items": { "type": "string" } })),
            schema(json!({ "type": "object", "properties": {}, "required": ["ghost"], "additionalProperties": false })),
            schema(
                json!({ "type": "object", "properties": { "a": { "oneOf": [{ "type": "string" }] } },
                           "required": ["a"], "additionalProperties": false }),
            ),
            schema(
                json!({ "type": "object", "properties": { "a": { "allOf": [{ "type": "string" }] } },
                           "required": ["a"], "additionalProperties": false }),
            ),
            schema(json!({ "type": "object", "properties": { "a": {} }, "required": ["a"],
                           "additionalProperties": false })),
            schema(
                json!({ "type": "object", "properties": { "a": { "type": "array" } }, "required": ["a"],
                           "additionalProperties": false }),
            ),
            schema(
                json!({ "type": "object", "required": ["a"], "additionalProperties": false, "properties":
                { "a": { "type": "array", "items": { "type": "object", "properties": {} } } } }),
            ),
            rule(
                "/tools/0/parameters/required",
                json!([]),
                "invalid_function_parameters",
                "tools[0].parameters",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn responses_tools() {
    check(
        "/responses",
        vec![
            rule(
                "/tools/0",
                json!({ "type": "function", "function": { "name": "look", "parameters": {} } }),
                "missing_required_parameter",
                "tools[0].name",
            ),
            rule(
                "/tools/0/parameters",
                json!(REMOVED),
                "missing_required_parameter",
                "tools[0].parameters",
            ),
            rule(
                "/tools/0/strict",
                json!(REMOVED),
                "missing_required_parameter",
                "tools[0].strict",
            ),
            rule("/tools/0/function", json!({}), "unknown_parameter", "tools[0].function"),
            rule("/tools/0/type", json!("teapot"), "invalid_value", "tools[0].type"),
            rule(
                "/tools/2/container",
                json!(REMOVED),
                "missing_required_parameter",
                "tools[2].container",
            ),
            rule(
                "/tools/2/container/memory_limit",
                json!("2g"),
                "invalid_value",
                "tools[2].container.memory_limit",
            ),
            rule(
                "/tools/1",
                json!({ "type": "file_search" }),
                "missing_required_parameter",
                "tools[1].vector_store_ids",
            ),
            rule(
                "/tools/1",
                json!({ "type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 51 }),
                "integer_above_max_value",
                "tools[1].max_num_results",
            ),
            rule(
                "/tools/1",
                json!({ "type": "image_generation", "partial_images": 4 }),
                "integer_above_max_value",
                "tools[1].partial_images",
            ),
            rule(
                "/tool_choice",
                json!({ "type": "web_search" }),
                "invalid_value",
                "tool_choice.type",
            ),
            rule("/tool_choice", json!("sometimes"), "invalid_value", "tool_choice"),
            uncoded(
                "/tool_choice",
                json!({ "type": "function", "name": "ghost" }),
                "tool_choice",
            ),
            rule(
                "/tool_choice",
                json!({ "type": "function", "function": { "name": "look" } }),
                "missing_required_parameter",
                "tool_choice.name",
            ),
            rule(
                "/tool_choice",
                json!({ "type": "allowed_tools", "mode": "must", "tools": [] }),
                "invalid_value",
                "tool_choice.mode",
            ),
            (
                vec![("/tools", json!(null)), ("/tool_choice", json!("required"))],
                400,
                None,
                Some("tool_choice"),
            ),
        ],
    )
    .await;
}

fn call(id: &str) -> Value {
    json!({ "type": "function_call", "id": id, "call_id": "call_1", "name": "look", "arguments": "{}" })
}

fn output() -> Value {
    json!({ "type": "function_call_output", "call_id": "call_1", "output": "a cat" })
}

#[tokio::test]
async fn responses_items() {
    let hex = "0123456789abcdef0123456789abcdef";
    let reasoning =
        |encrypted: Value| json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted });
    check(
        "/responses",
        vec![
            rule("/input", json!(REMOVED), "missing_required_parameter", "input"),
            rule("/input", json!([]), "empty_array", "input"),
            rule("/input", json!(""), "empty_string", "input"),
            rule("/input", json!(5), "invalid_type", "input"),
            rule("/input/0/role", json!("tool"), "invalid_value", "input[0].role"),
            rule("/input/0/name", json!("x"), "unknown_parameter", "input[0].name"),
            rule(
                "/input/0/content",
                json!(REMOVED),
                "missing_required_parameter",
                "input[0].content",
            ),
            rule(
                "/input/2/content/0/type",
                json!("input_text"),
                "invalid_value",
                "input[2].content[0].type",
            ),
            rule(
                "/input/1/content/0/type",
                json!("output_text"),
                "invalid_value",
                "input[1].content[0].type",
            ),
            rule(
                "/input/1/content/0/type",
                json!("text"),
                "invalid_value",
                "input[1].content[0].type",
            ),
            rule(
                "/input/1/content/0/text",
                json!(REMOVED),
                "missing_required_parameter",
                "input[1].content[0].text",
            ),
            rule(
                "/input/1/content/0",
                json!({ "type": "input_image", "image_url": "data:," }),
                "missing_required_parameter",
                "input[1].content[0].detail",
            ),
            rule(
                "/input/-",
                json!({ "type": "tool_result" }),
                "invalid_value",
                "input[4].type",
            ),
            uncoded("/input/-", call("fc_1"), "input"),
            uncoded("/input/-", output(), "input"),
            rule("/input/-", call("call_1"), "invalid_value", "input[4].id"),
            rule(
                "/input/-",
                json!({ "type": "function_call", "call_id": "c", "name": "look", "arguments": {} }),
                "invalid_type",
                "input[4].arguments",
            ),
            rule(
                "/input/-",
                json!({ "type": "function_call_output", "call_id": "c", "output": { "a": 1 } }),
                "invalid_type",
                "input[4].output",
            ),
            (
                vec![("/input/-", output()), ("/input/-", call("fc_1"))],
                400,
                None,
                Some("input"),
            ),
            (vec![("/input/-", reasoning(Value::Null))], 404, None, Some("input")),
            rule(
                "/input/-",
                reasoning(json!("forged")),
                "invalid_encrypted_content",
                "input[4].encrypted_content",
            ),
            (
                vec![("/store", json!(true)), ("/input/-", reasoning(Value::Null))],
                400,
                None,
                Some("input"),
            ),
            (
                vec![("/input/-", call(&format!("fc_{hex}r00"))), ("/input/-", output())],
                400,
                None,
                Some("input"),
            ),
        ],
    )
    .await;
}

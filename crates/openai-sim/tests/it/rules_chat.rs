//! One violating request per rule of the other endpoints, and servers that take less.

use crate::{
    rules::{REMOVED, check, rule, uncoded},
    support::{answer, ask, ask_chat},
};
use openai_sim::{Flavour, Plan, Sim, SimConfig};
use serde_json::json;

#[tokio::test]
async fn chat_requests() {
    let p = "response_format.json_schema.name";
    check(
        "/chat/completions",
        vec![
            rule("/foo", json!(1), "unknown_parameter", "foo"),
            rule("/input", json!("hi"), "unknown_parameter", "input"),
            rule(
                "/max_output_tokens",
                json!(16),
                "unknown_parameter",
                "max_output_tokens",
            ),
            rule("/text", json!({}), "unknown_parameter", "text"),
            rule("/max_tokens", json!(16), "unsupported_parameter", "max_tokens"),
            rule("/temperature", json!(0.2), "unsupported_parameter", "temperature"),
            rule(
                "/reasoning_effort",
                json!("xhigh"),
                "unsupported_value",
                "reasoning_effort",
            ),
            (
                vec![("/model", json!("gpt-99"))],
                404,
                Some("model_not_found"),
                Some("model"),
            ),
            uncoded("/stream_options", json!({ "include_usage": true }), "stream_options"),
            rule("/messages", json!(REMOVED), "missing_required_parameter", "messages"),
            rule("/messages", json!([]), "empty_array", "messages"),
            rule(
                "/messages/0/role",
                json!("narrator"),
                "invalid_value",
                "messages[0].role",
            ),
            rule(
                "/messages/1/content/0/type",
                json!("input_text"),
                "invalid_value",
                "messages[1].content[0].type",
            ),
            rule(
                "/messages/1/content",
                json!(REMOVED),
                "missing_required_parameter",
                "messages[1].content",
            ),
            uncoded(
                "/messages/3",
                json!({ "role": "user", "content": "well?" }),
                "messages[3].role",
            ),
            uncoded(
                "/messages/-",
                json!({ "role": "tool", "tool_call_id": "call_9", "content": "x" }),
                "messages[5].role",
            ),
            uncoded(
                "/messages/4",
                json!({ "role": "assistant", "content": null, "tool_calls": [
                    { "id": "call_2", "type": "function", "function": { "name": "look", "arguments": "{}" } }] }),
                "messages[5].role",
            ),
            rule(
                "/messages/2/tool_calls/0/function/arguments",
                json!({}),
                "invalid_type",
                "messages[2].tool_calls[0].function.arguments",
            ),
            rule(
                "/tools/0",
                json!({ "type": "function", "name": "look", "parameters": {}, "strict": false }),
                "missing_required_parameter",
                "tools[0].function",
            ),
            rule("/tools", json!([]), "empty_array", "tools"),
            rule(
                "/tool_choice",
                json!({ "type": "function", "name": "look" }),
                "missing_required_parameter",
                "tool_choice.function",
            ),
            uncoded(
                "/tool_choice",
                json!({ "type": "function", "function": { "name": "ghost" } }),
                "tool_choice",
            ),
            (vec![("/tools", json!(null))], 400, None, Some("tool_choice")),
            uncoded("/functions", json!([{ "name": "look" }]), "functions"),
            uncoded("/function_call", json!({ "name": "look" }), "function_call"),
            (
                vec![
                    ("/tools", json!(REMOVED)),
                    ("/tool_choice", json!(REMOVED)),
                    ("/functions", json!([{ "name": "look", "strict": true }])),
                ],
                400,
                Some("unknown_parameter"),
                Some("functions[0].strict"),
            ),
            rule(
                "/response_format/json_schema/name",
                json!(REMOVED),
                "missing_required_parameter",
                p,
            ),
            rule(
                "/response_format/json_schema/schema/additionalProperties",
                json!(true),
                "invalid_json_schema",
                "response_format",
            ),
            uncoded("/response_format", json!({ "type": "json_object" }), "response_format"),
        ],
    )
    .await;
}

#[tokio::test]
async fn embeddings_requests() {
    let long = "x".repeat(8192 * 4 + 1);
    let each = "x".repeat(8000 * 4);
    check(
        "/embeddings",
        vec![
            rule("/foo", json!(1), "unknown_parameter", "foo"),
            rule("/input", json!(REMOVED), "missing_required_parameter", "input"),
            rule("/input", json!([]), "empty_array", "input"),
            rule("/input/1", json!(""), "invalid_value", "input"),
            rule("/input", json!(""), "invalid_value", "input"),
            rule("/input", json!(vec!["x"; 2049]), "array_above_max_length", "input"),
            rule("/input", json!(long), "context_length_exceeded", "input"),
            (
                vec![("/input", json!(vec![each; 38]))],
                400,
                Some("max_tokens_per_request"),
                None,
            ),
            rule("/dimensions", json!(0), "integer_below_min_value", "dimensions"),
            rule("/dimensions", json!(3073), "integer_above_max_value", "dimensions"),
            rule("/encoding_format", json!("hex"), "invalid_value", "encoding_format"),
            uncoded("/model", json!("text-embedding-ada-002"), "dimensions"),
            (
                vec![("/model", json!("nope"))],
                404,
                Some("model_not_found"),
                Some("model"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_context_window_that_is_too_small() {
    let sim = Sim::start(SimConfig {
        context_tokens: 100,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    for (path, body, param) in [
        ("/responses", ask(&"word ".repeat(200)), "input"),
        ("/chat/completions", ask_chat(&"word ".repeat(200)), "messages"),
    ] {
        let (status, body) = answer(&sim, path, &body).await;
        assert_eq!(
            (status, &body["error"]["code"], &body["error"]["param"]),
            (400, &json!("context_length_exceeded"), &json!(param))
        );
    }
}

#[tokio::test]
async fn a_lax_emulator_checks_nothing() {
    let sim = Sim::start(SimConfig {
        strict: false,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    sim.push(Plan::reply("fine"));
    let body = json!({ "model": "anything", "input": "hi", "foo": 1, "temperature": 7 });
    assert_eq!(answer(&sim, "/responses", &body).await.0, 200);
}

#[tokio::test]
async fn servers_that_take_less() {
    let tools = json!([{ "type": "function", "function": { "name": "look" } }]);
    let format = json!({ "type": "json_schema", "json_schema": { "name": "r", "schema": {} } });
    let cases = [
        (
            Flavour::CompatibleNoSchema,
            [
                ("tools", tools.clone(), 200),
                ("response_format", format.clone(), 400),
                ("functions", json!([{ "name": "look" }]), 200),
            ],
        ),
        (
            Flavour::CompatibleNoTools,
            [
                ("tools", tools.clone(), 400),
                ("response_format", format.clone(), 400),
                ("functions", json!([{ "name": "look" }]), 200),
            ],
        ),
        (
            Flavour::CompatiblePlain,
            [
                ("tools", tools, 400),
                ("response_format", format, 400),
                ("functions", json!([{ "name": "look" }]), 400),
            ],
        ),
    ];
    for (server, tries) in cases {
        let sim = Sim::start(SimConfig {
            server,
            ..SimConfig::default()
        })
        .await
        .unwrap();
        assert_eq!(
            answer(&sim, "/responses", &ask("hi")).await.0,
            404,
            "no other server has it"
        );
        for (key, value, status) in tries {
            let mut body = ask_chat("hi");
            body["stream"] = json!(false);
            body[key] = value;
            let (got, body) = answer(&sim, "/chat/completions", &body).await;
            assert_eq!(got, status, "{server:?} {key} {body}");
        }
    }
}

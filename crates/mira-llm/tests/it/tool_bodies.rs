//! The bytes that are sent where tools are offered, with an earlier reply's calls and a round of this one.

use crate::{
    support::{endpoint, hear, openai, reply, sim},
    tools::with_tools,
};
use mira_core::{
    model::ModelRequest,
    tool::{AskedCall, AskedCalls, Round},
};
use mira_llm::{Api, Endpoint, ReplyFormat, connect};
use openai_sim::{Flavour, Plan};
use serde_json::Value;

/// A request in its second round.
pub fn second_round(carry: &[&str]) -> ModelRequest {
    let mut request = with_tools();
    let call = |id: &str, name: &str, arguments: &str| AskedCall {
        call_id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    request.rounds.push(Round {
        said: "Let me look.".into(),
        asked: AskedCalls {
            calls: vec![
                call("call_a", "recall", "{\"question\":\"who?\",\"limit\":null}"),
                call("call_b", "forget", "not JSON"),
            ],
            carry: carry.iter().map(|item| (*item).into()).collect(),
            ..AskedCalls::default()
        },
        outputs: vec!["7a | 8 May 2026 | owner | it was me".into(), "error: not JSON".into()],
        pictures: Vec::new(),
    });
    request
}

/// What the Responses API gave in the first round; the text was commentary of another item.
const CARRY: [&str; 3] = [
    r#"{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Let me look."}]}"#,
    r#"{"type":"function_call","id":"fc_1","call_id":"call_a","name":"recall","arguments":"{\"question\":\"who?\",\"limit\":null}"}"#,
    r#"{"type":"function_call","id":"fc_2","call_id":"call_b","name":"forget","arguments":"not JSON"}"#,
];

/// The bodies of the accepted calls, without what other tests show: the schema of the reply and the plain parameters.
async fn shown(flavour: Flavour, at: impl Fn(&str) -> Endpoint, request: ModelRequest) -> Vec<String> {
    let sim = sim(flavour).await;
    for _ in 0..2 {
        sim.push(Plan::structured(reply()));
    }
    hear(&connect(at(&sim.url())).unwrap(), request).await;
    let accepted = sim.requests().into_iter().filter(|request| request.verdict.is_ok());
    accepted.map(|request| show(request.body)).collect()
}

fn show(mut body: Value) -> String {
    const PLAIN: [&str; 9] = [
        "model",
        "stream",
        "stream_options",
        "store",
        "include",
        "prompt_cache_key",
        "max_output_tokens",
        "max_completion_tokens",
        "max_tokens",
    ];
    let fields = body.as_object_mut().unwrap();
    fields.retain(|key, _| !PLAIN.contains(&key.as_str()));
    for place in ["/text/format/schema", "/response_format/json_schema/schema"] {
        if let Some(schema) = body.pointer_mut(place) {
            *schema = Value::from("(the schema)");
        }
    }
    for key in ["tools", "functions"] {
        for tool in body.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            let function = if tool.get("function").is_some() {
                &mut tool["function"]
            } else {
                tool
            };
            if function["name"] == "format_response" {
                function["parameters"] = Value::from("(the schema)");
            }
        }
    }
    serde_json::to_string_pretty(&body).unwrap()
}

fn form(format: ReplyFormat, at: Endpoint) -> Endpoint {
    Endpoint {
        reply_format: format,
        verbosity: None,
        reasoning_effort: None,
        ..at
    }
}

#[tokio::test]
async fn responses_bodies() {
    for (name, format) in [
        ("schema", ReplyFormat::JsonSchema),
        ("function", ReplyFormat::Function),
        ("two_step", ReplyFormat::TwoStep),
    ] {
        let at = |url: &str| form(format, openai(url, Api::Responses));
        let bodies = shown(Flavour::OpenAi, at, second_round(&CARRY)).await;
        insta::assert_snapshot!(format!("responses_{name}"), bodies.join("\n"));
    }
    // Without items to carry, the calls are told by what is known of them.
    let at = |url: &str| form(ReplyFormat::JsonSchema, openai(url, Api::Responses));
    let bodies = shown(Flavour::OpenAi, at, second_round(&[])).await;
    insta::assert_snapshot!("responses_without_items", bodies.join("\n"));
}

#[tokio::test]
async fn chat_bodies() {
    for (name, format) in [
        ("schema", ReplyFormat::JsonSchema),
        ("function", ReplyFormat::Function),
        ("two_step", ReplyFormat::TwoStep),
    ] {
        let at = |url: &str| form(format, openai(url, Api::Chat));
        let bodies = shown(Flavour::OpenAi, at, second_round(&[])).await;
        insta::assert_snapshot!(format!("chat_{name}"), bodies.join("\n"));
    }
}

#[tokio::test]
async fn bodies_for_other_servers() {
    for (name, flavour) in [
        ("other_tools", Flavour::CompatibleNoSchema),
        ("other_legacy", Flavour::CompatibleNoTools),
        ("other_words", Flavour::CompatiblePlain),
    ] {
        let at = |url: &str| form(ReplyFormat::Auto, endpoint(url, Api::Chat));
        let bodies = shown(flavour, at, second_round(&[])).await;
        insta::assert_snapshot!(name, bodies[0]);
    }
}

#[tokio::test]
async fn a_last_answer_has_the_tools_but_no_choice() {
    for (name, format) in [("schema", ReplyFormat::JsonSchema), ("function", ReplyFormat::Function)] {
        let mut request = with_tools();
        request.no_more_calls = true;
        let at = |url: &str| form(format, openai(url, Api::Responses));
        let bodies = shown(Flavour::OpenAi, at, request).await;
        insta::assert_snapshot!(format!("last_answer_{name}"), bodies.join("\n"));
    }
}

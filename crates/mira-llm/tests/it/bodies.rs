//! The bytes that are sent.

use crate::support::{body, endpoint, hear, message, openai, raw, reply, request, sim};
use mira_core::{chat::Role, model::ModelRequest, reply::schema};
use mira_llm::{Api, Endpoint, ReplyFormat, connect};
use openai_sim::{Flavour, Plan, Sim};
use serde_json::Value;

async fn sent(flavour: Flavour, at: impl Fn(&str) -> Endpoint, calls: usize) -> Sim {
    let sim = sim(flavour).await;
    for _ in 0..calls {
        sim.push(Plan::structured(reply()));
    }
    hear(&connect(at(&sim.url())).unwrap(), request()).await;
    sim
}

/// A body as JSON in its own key order, the schema told apart: it is the core's and has its own snapshot there.
fn show(mut body: Value) -> String {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    if matches!(key.as_str(), "schema" | "parameters") {
                        *value = Value::from("(the schema)");
                    } else {
                        hide(value);
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(hide),
            _ => {}
        }
    }
    hide(&mut body);
    serde_json::to_string_pretty(&body).unwrap()
}

#[tokio::test]
async fn responses_bodies() {
    for (name, format) in [("schema", ReplyFormat::JsonSchema), ("function", ReplyFormat::Function)] {
        let sim = sent(
            Flavour::OpenAi,
            |url| Endpoint {
                reply_format: format,
                ..openai(url, Api::Responses)
            },
            1,
        )
        .await;
        insta::assert_snapshot!(format!("responses_{name}"), show(body(&sim, 0)));
    }
    let sim = sent(
        Flavour::OpenAi,
        |url| Endpoint {
            reply_format: ReplyFormat::TwoStep,
            ..openai(url, Api::Responses)
        },
        2,
    )
    .await;
    insta::assert_snapshot!("responses_two_step_reply", show(body(&sim, 0)));
    insta::assert_snapshot!("responses_two_step_metadata", show(body(&sim, 1)));
}

#[tokio::test]
async fn chat_bodies() {
    for (name, format) in [("schema", ReplyFormat::JsonSchema), ("function", ReplyFormat::Function)] {
        let sim = sent(
            Flavour::OpenAi,
            |url| Endpoint {
                reply_format: format,
                ..openai(url, Api::Chat)
            },
            1,
        )
        .await;
        insta::assert_snapshot!(format!("chat_{name}"), show(body(&sim, 0)));
    }
    let sim = sent(Flavour::CompatibleNoTools, |url| endpoint(url, Api::Chat), 1).await;
    let last = sim.requests().len() - 1;
    insta::assert_snapshot!("chat_legacy_function", show(body(&sim, last)));
    let at = |url: &str| Endpoint {
        reply_format: ReplyFormat::TwoStep,
        ..endpoint(url, Api::Chat)
    };
    let sim = sent(Flavour::CompatiblePlain, at, 2).await;
    let last = sim.requests().len() - 1;
    insta::assert_snapshot!("chat_two_step_reply", show(body(&sim, 0)));
    insta::assert_snapshot!("chat_two_step_metadata_in_words", show(body(&sim, last)));
}

#[tokio::test]
async fn the_schema_keeps_its_bytes() {
    let schema = schema(&request().personas);
    let places: Vec<usize> = [
        "persona",
        "mood",
        "mood_cause",
        "output",
        "intent",
        "owner_mood",
        "tags",
        "salience",
    ]
    .iter()
    .map(|key| schema.find(&format!("\"{key}\":")).expect("the key is there"))
    .collect();
    assert!(places.is_sorted(), "{schema}");
    for (flavour, api, format) in [
        (Flavour::OpenAi, Api::Responses, ReplyFormat::JsonSchema),
        (Flavour::OpenAi, Api::Responses, ReplyFormat::Function),
        (Flavour::OpenAi, Api::Chat, ReplyFormat::JsonSchema),
        (Flavour::OpenAi, Api::Chat, ReplyFormat::Function),
        (Flavour::CompatibleNoTools, Api::Chat, ReplyFormat::Function),
    ] {
        let sim = sent(
            flavour,
            |url| Endpoint {
                reply_format: format,
                ..openai(url, api)
            },
            1,
        )
        .await;
        let last = sim.requests().len() - 1;
        assert!(raw(&sim, last).contains(&schema), "{api:?} {format:?}");
    }
}

/// The turn after `request()`: its reply and a new message.
fn following() -> ModelRequest {
    let mut next = request();
    next.messages.push(message(Role::Assistant, "Well."));
    next.messages.push(message(Role::User, "Good."));
    next.tail = "[state]\nmood: sly\n[/state]".into();
    next
}

#[tokio::test]
async fn two_turns_share_everything_before_what_must_change() {
    for (api, own_item) in [
        (Api::Responses, true),
        (Api::Chat, true),
        (Api::Responses, false),
        (Api::Chat, false),
    ] {
        let sim = sim(Flavour::OpenAi).await;
        let model = connect(Endpoint {
            openai: own_item,
            ..openai(&sim.url(), api)
        })
        .unwrap();
        for request in [request(), following()] {
            sim.push(Plan::structured(reply()));
            hear(&model, request).await;
        }
        // The first call may have had to find out what the model takes.
        let last = sim.requests().len() - 1;
        let (first, second) = (raw(&sim, last - 1), raw(&sim, last));
        let common = first.bytes().zip(second.bytes()).take_while(|(a, b)| a == b).count();
        let owners = "How are you?";
        let end = first.find(owners).unwrap() + owners.len();
        assert!(common >= end, "{api:?}: only {:?} is shared", first.get(..common));
    }
}

#[tokio::test]
async fn servers_with_strict_templates_get_roles_that_alternate() {
    let sim = sim(Flavour::OpenAi).await;
    let mut request = request();
    request.messages.insert(1, message(Role::User, "Are you there?"));
    sim.push(Plan::structured(reply()));
    hear(&connect(endpoint(&sim.url(), Api::Chat)).unwrap(), request).await;
    let body = body(&sim, 0);
    let messages: Vec<(&str, &str)> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    assert_eq!(
        messages,
        [
            ("system", "You are Mira."),
            ("user", "Hello.\n\nAre you there?"),
            ("assistant", "Hello yourself."),
            ("user", "How are you?\n\n[state]\nmood: steady\n[/state]"),
        ]
    );
}

//! What the model is asked: the forms of a reply, the stable beginning, and everything that must reach it.

use crate::support::client::{House, law};
use openai_sim::{Flavour, Plan, Reply, SimConfig};
use serde_json::{Value, json};

async fn house(server: Flavour, api: &str, format: &str) -> House {
    let config = SimConfig {
        server,
        ..SimConfig::default()
    };
    House::of(config, |setup| {
        setup
            .env("MIRA_LLM_API", api)
            .env("MIRA_REPLY_FORMAT", format)
            .env("MIRA_MODEL", "gpt-5")
    })
    .await
}

/// Says something to a model that answers with all its fields; the reply as stored.
async fn whole_reply(house: &House, calls: usize) -> Value {
    let mut reply = Reply::new("Hello *you*.").persona("haven").mood("soft", Some("rain"));
    "company".clone_into(&mut reply.intent);
    "tired".clone_into(&mut reply.owner_mood);
    reply.tags = vec!["rain".to_owned()];
    for _ in 0..calls {
        house.sim.push(Plan::structured(reply.clone()));
    }
    let mut line = house.line().await;
    let told = line.turn("it rains").await;
    assert_eq!(told.text, "Hello *you*.");
    assert_eq!(house.sim.planned(), 0);
    assert_eq!(house.prompts().len(), calls);
    told.reply().clone()
}

fn check_fields(reply: &Value) {
    for (field, value) in [
        ("persona", json!("haven")),
        ("mood", json!("soft")),
        ("mood_cause", json!("rain")),
        ("intent", json!("company")),
        ("owner_mood", json!("tired")),
        ("tags", json!(["rain"])),
        ("salience", json!(0.3)),
        ("model", json!("gpt-5")),
    ] {
        assert_eq!(reply[field], value, "{field}");
    }
    assert!(reply["usage"]["output_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn as_a_strict_schema() {
    for api in ["responses", "chat"] {
        let house = house(Flavour::OpenAi, api, "json_schema").await;
        check_fields(&whole_reply(&house, 1).await);
        let body = &house.prompts()[0].body;
        let format = if api == "chat" {
            &body["response_format"]
        } else {
            &body["text"]["format"]
        };
        assert_eq!(format["type"], "json_schema");
        let tools = body["tools"].as_array().unwrap();
        assert!(
            !tools.iter().any(|tool| tool.to_string().contains("format_response")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn as_a_forced_function() {
    for api in ["responses", "chat"] {
        let house = house(Flavour::OpenAi, api, "function").await;
        check_fields(&whole_reply(&house, 1).await);
        let body = &house.prompts()[0].body;
        // Any of her tools may come before the answer, which is a call itself.
        assert_eq!(body["tool_choice"], "required", "{body}");
        let last = body["tools"].as_array().unwrap().last().unwrap();
        let name = if api == "chat" {
            &last["function"]["name"]
        } else {
            &last["name"]
        };
        assert_eq!(name, "format_response", "{body}");
    }
}

#[tokio::test]
async fn as_a_function_of_the_old_form() {
    let house = house(Flavour::CompatibleNoTools, "chat", "function").await;
    let mut line = house.line().await;
    let told = line.turn("hello").await;
    assert_eq!(told.text, "to: hello");
    assert_eq!(told.reply()["intent"], "chat");
    let body = house.prompts().pop().unwrap().body;
    assert_eq!(body["function_call"], "auto", "{body}");
    let last = body["functions"].as_array().unwrap().last().unwrap();
    assert_eq!(last["name"], "format_response", "{body}");
    // What was learnt is not asked again.
    let before = house.sim.counts().requests;
    line.turn("more").await;
    assert_eq!(house.sim.counts().requests, before + 1);
}

#[tokio::test]
async fn in_two_steps() {
    for api in ["responses", "chat"] {
        let house = house(Flavour::OpenAi, api, "two_step").await;
        let reply = whole_reply(&house, 2).await;
        for field in ["intent", "owner_mood", "tags", "mood"] {
            assert!(!reply[field].is_null(), "{field}: {reply}");
        }
        assert_eq!(reply["intent"], "company");
    }
}

#[tokio::test]
async fn the_schemas_keys_keep_their_order() {
    for (api, format) in [
        ("responses", "json_schema"),
        ("chat", "json_schema"),
        ("responses", "function"),
        ("chat", "function"),
    ] {
        let house = house(Flavour::OpenAi, api, format).await;
        house.api.say("x").await;
        let raw = String::from_utf8(house.prompts()[0].raw.to_vec()).unwrap();
        let properties = raw.split_once("\"properties\":{").unwrap().1;
        let keys = [
            "persona",
            "mood",
            "mood_cause",
            "output",
            "intent",
            "owner_mood",
            "tags",
            "salience",
            "remember",
        ];
        let places: Vec<usize> = keys
            .iter()
            .map(|key| properties.find(&format!("\"{key}\":{{")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{api} {format}: {places:?}");
        let required = format!("\"required\":[\"{}\"]", keys.join("\",\""));
        assert!(properties.contains(&required), "{api} {format}");
    }
}

#[tokio::test]
async fn two_following_prompts_share_their_beginning() {
    for api in ["responses", "chat"] {
        let house = house(Flavour::OpenAi, api, "json_schema").await;
        for words in ["one", "two", "three"] {
            // The mood changes each time, and must not change the beginning.
            house.sim.push(Plan::structured(
                Reply::new("yes").mood(format!("{words}-ish"), Some(words)),
            ));
            house.api.say(words).await;
        }
        let raw: Vec<String> = house
            .prompts()
            .iter()
            .map(|captured| String::from_utf8(captured.raw.to_vec()).unwrap())
            .collect();
        for pair in raw.windows(2) {
            // Her state is an item of its own, or stands behind the last words.
            let tail = match api {
                "chat" => pair[0].rfind("\\n\\n[state]\\n").unwrap(),
                _ => pair[0].rfind("{\"role\":\"developer\",\"content\":\"[state]").unwrap(),
            };
            assert!(tail > 5000, "the instructions lie before it");
            assert_eq!(pair[1].get(..tail), pair[0].get(..tail), "{api}");
        }
        let cached = house.api.history().await.last().unwrap()["usage"]["cached_tokens"]
            .as_u64()
            .unwrap();
        assert!(cached > 1000, "{api}: {cached} tokens from the cache");
    }
}

#[tokio::test]
async fn what_the_owner_looks_at_reaches_the_model_on_every_door() {
    let house = House::new().await;
    let metadata = json!({
        "file_path": "src/näh.rs", "language": "rust",
        "selection": { "start_line": 3, "end_line": 5, "text": "let x = 1;\nlet y = 2;" },
    });
    let mut line = house.line().await;
    for door in ["socket", "stream", "/api/chat", "/chat"] {
        let mut body = json!({ "content": format!("by {door}"), "session_id": "eternal", "metadata": metadata });
        match door {
            "socket" => {
                body["type"] = json!("chat");
                line.ask(body).await;
            }
            "stream" => {
                law(&house.api.stream(body).await.rest().await);
            }
            path => {
                house.api.post(path, body).await.expect(200);
            }
        }
        let prompt = house.prompts().pop().unwrap().body;
        let items = prompt["input"].as_array().unwrap();
        let asked = items[items.len() - 2]["content"].as_str().unwrap();
        assert!(asked.starts_with(&format!("by {door}")), "{asked}");
        for part in [
            "file: src/näh.rs",
            "language: rust",
            "lines: 3-5",
            "let x = 1;\nlet y = 2;",
        ] {
            assert!(asked.contains(part), "{door}: {part} in {asked}");
        }
        assert!(house.state().contains("mood:"), "{door}");
        let history = house.api.history().await;
        let stored = &history[history.len() - 2];
        assert_eq!(stored["content"], format!("by {door}"), "the words stay the owner's");
        assert_eq!(stored["metadata"]["selection"]["end_line"], 5);
    }
}

#[tokio::test]
async fn the_owners_clock_reaches_the_model() {
    let house = House::with(|setup| setup.env("MIRA_TZ", "Europe/Vienna")).await;
    let mut line = house.line().await;
    line.turn("what time is it?").await;
    assert!(house.state().contains("(Europe/Vienna)"), "{}", house.state());
    line.ask(json!({ "type": "chat", "content": "and now?", "tz": "Asia/Tokyo" }))
        .await;
    assert!(house.state().contains("(Asia/Tokyo)"), "{}", house.state());
}

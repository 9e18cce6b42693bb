//! Her tools in rehearsal, over the wire: which are called, with what, and how it is told; what a request that offers
//! tools may say.

use openai_sim::{Brain, Plan, Reply, Sim, SimConfig};
use serde_json::{Value, json};

use crate::support::{answer, ask, ask_chat, joined, reply_format, reply_schema, sim, stream};

const STATE: &str = "[state]\noverlay: default\npinned: no\noverlays: default, haven\nmood: dry\n[/state]";

fn parameters(keys: &[(&str, Value)]) -> Value {
    let properties: serde_json::Map<String, Value> = keys
        .iter()
        .map(|(key, kind)| ((*key).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn tool(name: &str) -> Value {
    let text = || json!("string");
    let parameters = match name {
        "remember" => parameters(&[
            ("about", text()),
            ("topic", text()),
            ("text", text()),
            ("replaces", json!(["string", "null"])),
        ]),
        "recall" => parameters(&[("question", text()), ("limit", json!(["integer", "null"]))]),
        _ => json!({
            "type": "object",
            "properties": { "memories": { "type": "array", "items": { "type": "string" } } },
            "required": ["memories"],
            "additionalProperties": false,
        }),
    };
    json!({ "type": "function", "name": name, "strict": true, "parameters": parameters })
}

fn tools() -> Value {
    json!([tool("remember"), tool("recall"), tool("forget")])
}

/// A conversation with tools: one request after the other until words come. What was called, and the words.
async fn talk(chat: bool, words: &str, outputs: &[&str]) -> (Vec<(String, Value)>, String) {
    let sim = Sim::start(SimConfig::with_brain(Brain::Rehearsal)).await.unwrap();
    let mut called = Vec::new();
    let mut outputs = outputs.iter();
    let mut body = if chat { chat_body(words) } else { responses_body(words) };
    loop {
        let (status, answered) = answer(&sim, if chat { "/chat/completions" } else { "/responses" }, &body).await;
        assert_eq!(status, 200, "{answered}");
        let items: Vec<Value> = if chat {
            vec![answered["choices"][0]["message"].clone()]
        } else {
            answered["output"].as_array().unwrap().clone()
        };
        let calls: Vec<(Value, Value, Value)> = if chat {
            let calls = items[0]["tool_calls"].as_array().cloned().unwrap_or_default();
            calls
                .iter()
                .map(|call| {
                    (
                        call["id"].clone(),
                        call["function"]["name"].clone(),
                        call["function"]["arguments"].clone(),
                    )
                })
                .collect()
        } else {
            items
                .iter()
                .filter(|item| item["type"] == "function_call")
                .map(|item| (item["call_id"].clone(), item["name"].clone(), item["arguments"].clone()))
                .collect()
        };
        let list = body[if chat { "messages" } else { "input" }].as_array_mut().unwrap();
        if calls.is_empty() {
            let text = if chat {
                &items[0]["content"]
            } else {
                &items[0]["content"][0]["text"]
            };
            let reply: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            assert!(
                called.is_empty() || reply["remember"] == json!([]),
                "told once: {reply}"
            );
            return (called, reply["output"].as_str().unwrap().to_owned());
        }
        if chat {
            let message = json!({ "role": "assistant", "content": null, "tool_calls": items[0]["tool_calls"] });
            list.push(message);
        } else {
            list.extend(items);
        }
        for (id, name, arguments) in calls {
            let output = outputs.next().unwrap();
            list.push(if chat {
                json!({ "role": "tool", "tool_call_id": id, "content": output })
            } else {
                json!({ "type": "function_call_output", "call_id": id, "output": output })
            });
            let arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
            called.push((name.as_str().unwrap().to_owned(), arguments));
        }
    }
}

fn responses_body(words: &str) -> Value {
    let mut body = ask(words);
    body["stream"] = json!(false);
    body["input"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "role": "developer", "content": STATE }));
    body["tools"] = tools();
    body["text"] = reply_format();
    body
}

fn chat_body(words: &str) -> Value {
    let mut body = ask_chat(words);
    body["stream"] = json!(false);
    body["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "role": "developer", "content": STATE }));
    let nested = |tool: &Value| {
        let mut function = tool.clone();
        function.as_object_mut().unwrap().remove("type");
        json!({ "type": "function", "function": function })
    };
    body["tools"] = tools().as_array().unwrap().iter().map(nested).collect();
    let schema = json!({ "name": "reply", "strict": true, "schema": reply_schema() });
    body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
    body
}

fn names(called: &[(String, Value)]) -> Vec<&str> {
    called.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn she_remembers_when_asked_to() {
    for chat in [false, true] {
        let words = "Please remember that my sister is called Anna.";
        let (called, said) = talk(chat, words, &["kept as 7a"]).await;
        let text = "The owner's sister is called Anna.";
        let note = json!({ "about": "owner", "topic": "sister", "text": text, "replaces": null });
        assert_eq!(called, [("remember".to_owned(), note)]);
        assert!(said.contains("Written down"), "{said}");
        let (_, said) = talk(chat, words, &["error: this session remembers nothing"]).await;
        assert!(said.contains("> this session remembers nothing"), "{said}");
    }
}

const FOUND: &str = "7a | 8 May 2026 | fact about owner | The owner's sister is called Anna.\n\
    7b | 9 May 2026 | owner | the gutters leak\n7c | 9 May 2026 | summary | My sister, Anna, came.";

#[tokio::test]
async fn she_forgets_what_is_meant() {
    for chat in [false, true] {
        let words = "Forget that my sister is called Anna.";
        let (called, said) = talk(chat, words, &[FOUND, "forgotten: 1"]).await;
        assert_eq!(names(&called), ["recall", "forget"]);
        assert_eq!(called[1].1, json!({ "memories": ["7a"] }));
        assert!(
            said.contains("1 thing is gone") && said.contains("8 May 2026"),
            "{said}"
        );
        assert!(!said.contains("Anna"), "what is forgotten is not said again: {said}");
        let (called, said) = talk(chat, words, &["nothing comes up"]).await;
        assert_eq!(names(&called), ["recall"]);
        assert!(said.contains("nothing to forget"), "{said}");
        let (_, said) = talk(chat, words, &[FOUND, "error: the owner said no"]).await;
        assert!(said.contains("> the owner said no"), "{said}");
    }
}

#[tokio::test]
async fn she_answers_from_what_she_looks_up() {
    for chat in [false, true] {
        let words = "What do you know about my sister?";
        let (called, said) = talk(chat, words, &[FOUND]).await;
        assert_eq!(names(&called), ["recall"]);
        assert!(said.contains("> Your sister is called Anna. (8 May 2026)"), "{said}");
        let (_, said) = talk(chat, words, &["nothing comes up"]).await;
        assert!(said.contains("I won't invent a past"), "{said}");
        let (_, said) = talk(chat, words, &["error: it took too long"]).await;
        assert!(said.contains("> it took too long"), "{said}");
    }
}

#[tokio::test]
async fn without_her_tools_she_does_as_she_did() {
    let sim = Sim::start(SimConfig::with_brain(Brain::Rehearsal)).await.unwrap();
    for (choice, offered) in [(json!("auto"), json!([tool("recall")])), (json!("none"), tools())] {
        let mut body = responses_body("Forget that my sister is called Anna.");
        body["tools"] = offered;
        body["tool_choice"] = choice;
        let (_, answered) = answer(&sim, "/responses", &body).await;
        assert_eq!(answered["output"][0]["type"], "message", "{answered}");
    }
    // Talk calls nothing.
    let (called, _) = talk(false, "I forgot my umbrella.", &[]).await;
    assert!(called.is_empty());
}

#[tokio::test]
async fn a_reply_goes_into_its_own_function() {
    let function =
        json!({ "type": "function", "name": "format_response", "strict": true, "parameters": reply_schema() });
    for choice in ["required", "auto"] {
        let sim = sim().await;
        sim.push(Plan::structured(Reply::new("Hi.")));
        let mut body = ask("hello");
        body["tools"] = json!([tool("recall"), function]);
        body["tool_choice"] = json!(choice);
        let events = stream(&sim, "/responses", &body).await;
        let arguments: Value =
            serde_json::from_str(&joined(&events, "response.function_call_arguments.delta")).unwrap();
        assert_eq!(arguments["output"], "Hi.");
    }
}

#[tokio::test]
async fn outputs_belong_to_calls() {
    let sim = sim().await;
    let call = json!({ "type": "function_call", "call_id": "a", "name": "recall", "arguments": "{}" });
    let output = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": "x" });
    for (items, expect) in [
        (json!([call]), "No tool output found for function call a."),
        (
            json!([call, output("a"), output("b")]),
            "No tool call found for function call output with call_id b.",
        ),
        (
            json!([output("a"), call]),
            "No tool call found for function call output with call_id a.",
        ),
    ] {
        let mut body = ask("hello");
        body["tools"] = tools();
        body["input"]
            .as_array_mut()
            .unwrap()
            .extend(items.as_array().unwrap().clone());
        let (status, refused) = answer(&sim, "/responses", &body).await;
        assert_eq!((status, refused["error"]["message"].as_str()), (400, Some(expect)));
    }
}

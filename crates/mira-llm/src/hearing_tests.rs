//! What the decoders and [`Speech`] make of streams with calls, without a socket: odd servers, every split, nonsense.

use crate::{
    calls::{MOST_ARGUMENT_BYTES, MOST_CALLS},
    chat_completions,
    dialect::{Ask, Dialect},
    endpoint::{Api, Endpoint},
    responses,
    speech::Speech,
    sse::SseReader,
    wire::{Trouble, WireEnd},
};
use mira_core::{
    chat::{Mood, ReplyMeta},
    model::{ModelEvent, ModelRequest},
    persona::PersonaName,
    tool::ToolOffer,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const REPLY: &str = r#"{"persona":"default","mood":"sly","mood_cause":"","output":"Hi.","intent":"","owner_mood":"","tags":[],"salience":0,"remember":[]}"#;

fn request() -> ModelRequest {
    let persona: PersonaName = "default".parse().unwrap();
    ModelRequest {
        system: "".into(),
        messages: Vec::new(),
        tail: String::new(),
        tools: [ToolOffer::new("recall", "", "{}")].into(),
        hosted: [].into(),
        rounds: Vec::new(),
        no_more_calls: false,
        personas: vec![persona.clone()],
        fallback: ReplyMeta {
            persona,
            mood: Mood::from_text("steady").unwrap(),
            mood_cause: None,
            intent: None,
            owner_mood: None,
            tags: vec![],
            salience: None,
            remember: Vec::new(),
        },
        cache_key: String::new(),
    }
}

enum Decoder {
    Chat(chat_completions::events::Decoder),
    Responses(responses::events::Decoder),
}

/// What was heard: the text, the calls as `id name arguments`, what goes back, how it ended.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    text: String,
    calls: Vec<String>,
    carry: Vec<Value>,
    ended: bool,
    cut: Option<String>,
}

/// Hears the bytes of a stream in these pieces, and checks the law of the events.
fn hear_request(api: Api, ask: Ask, request: &ModelRequest, pieces: &[&[u8]]) -> Result<Heard, Trouble> {
    let mut dialect = Dialect::new(&Endpoint::new("http://localhost", api, "m"));
    dialect.reply_ask = ask;
    let mut speech = Speech::new(&dialect, request);
    let mut decoder = match api {
        Api::Chat => Decoder::Chat(chat_completions::events::Decoder::default()),
        Api::Responses => Decoder::Responses(responses::events::Decoder::default()),
    };
    let mut reader = SseReader::default();
    let mut end: Option<WireEnd> = None;
    for piece in pieces {
        reader.push(piece).unwrap();
        while let Some(event) = reader.next_event().unwrap() {
            if end.is_none() {
                end = match &mut decoder {
                    Decoder::Chat(decoder) => decoder.event(event.name, event.data, &mut speech)?,
                    Decoder::Responses(decoder) => decoder.event(event.data, &mut speech)?,
                };
            }
        }
    }
    let mut heard = Heard {
        ended: end.is_some(),
        ..Heard::default()
    };
    let end = end.unwrap_or_default();
    if end.cut.is_none() && !end.calls.is_empty() {
        speech.finish_with_calls(request);
    } else {
        speech.finish(request);
    }
    let mut head = false;
    for event in &speech.out {
        match event {
            ModelEvent::Thinking => {}
            ModelEvent::Head(_) => {
                assert!(!head && heard.text.is_empty(), "one head, before the text");
                head = true;
            }
            ModelEvent::Text(text) => {
                assert!(head && !text.is_empty(), "text after its head");
                heard.text.push_str(text);
            }
            ModelEvent::Hosted(_) => {}
            ModelEvent::Finished(_) | ModelEvent::Calls(_) => panic!("the end is not the decoder's"),
        }
    }
    assert!(end.calls.len() <= MOST_CALLS);
    let mut ids: Vec<&str> = end.calls.iter().map(|call| call.call_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), end.calls.len(), "every call has its own id");
    for call in &end.calls {
        assert!(!call.name.is_empty() && !call.arguments.is_empty() && !call.call_id.is_empty());
        heard
            .calls
            .push(format!("{} {} {}", call.call_id, call.name, call.arguments));
    }
    heard.carry = end
        .carry
        .iter()
        .map(|item| serde_json::from_str(item).unwrap())
        .collect();
    heard.cut = end.cut;
    Ok(heard)
}

fn hear(api: Api, ask: Ask, pieces: &[&[u8]]) -> Result<Heard, Trouble> {
    hear_request(api, ask, &request(), pieces)
}

fn stream(data: &[Value]) -> Vec<u8> {
    let lines = data.iter().map(|data| match data {
        Value::String(text) => format!("data: {text}\n\n"),
        data => format!("data: {data}\n\n"),
    });
    lines.collect::<String>().into_bytes()
}

/// A chunk of Chat Completions.
fn delta(delta: &Value) -> Value {
    json!({ "choices": [{ "delta": delta, "finish_reason": null }] })
}

fn calls(calls: &Value) -> Value {
    delta(&json!({ "tool_calls": calls }))
}

fn stop(reason: &str) -> Value {
    json!({ "choices": [{ "delta": {}, "finish_reason": reason }] })
}

fn done() -> Value {
    Value::from("[DONE]")
}

fn check(ask: Ask, data: &[Value], text: &str, calls: &[&str]) {
    let heard = hear(Api::Chat, ask, &[&stream(data)]).unwrap();
    assert_eq!(
        (heard.text.as_str(), heard.calls),
        (text, calls.iter().map(|call| (*call).to_owned()).collect())
    );
}

#[test]
fn chat_calls_in_every_shape_seen() {
    let whole = |id: &str, q: u8| json!({ "id": id, "type": "function", "function": { "name": "recall", "arguments": format!("{{\"q\":{q}}}") } });
    // In pieces, two at once, mixed.
    check(
        Ask::Schema,
        &[
            calls(&json!([{ "index": 0, "id": "a", "function": { "name": "recall", "arguments": "" } }])),
            calls(&json!([{ "index": 1, "id": "b", "function": { "name": "forget", "arguments": "{" } }])),
            calls(
                &json!([{ "index": 0, "function": { "arguments": "{\"q\"" } }, { "index": 1, "function": { "arguments": "}" } }]),
            ),
            calls(&json!([{ "index": 0, "function": { "name": null, "arguments": ":1}" } }])),
            stop("tool_calls"),
            done(),
        ],
        "",
        &["a recall {\"q\":1}", "b forget {}"],
    );
    // Whole, without an index; whole, all with the same index; without ids; arguments as an object or not at all.
    check(
        Ask::Schema,
        &[calls(&json!([whole("a", 1), whole("b", 2)])), stop("stop"), done()],
        "",
        &["a recall {\"q\":1}", "b recall {\"q\":2}"],
    );
    let mut same = [whole("a", 1), whole("b", 2)];
    same[0]["index"] = json!(0);
    same[1]["index"] = json!(0);
    check(
        Ask::Words,
        &[
            calls(&json!([same[0]])),
            calls(&json!([same[1]])),
            stop("tool_calls"),
            done(),
        ],
        "",
        &["a recall {\"q\":1}", "b recall {\"q\":2}"],
    );
    check(
        Ask::Schema,
        &[
            calls(
                &json!([{ "function": { "name": "recall", "arguments": { "q": [1] } } }, { "function": { "name": "recall" } }]),
            ),
            stop("tool_calls"),
            done(),
        ],
        "",
        &["call_1 recall {\"q\":[1]}", "call_2 recall {}"],
    );
    // The legacy form; an id twice; a call without a name is none.
    check(
        Ask::LegacyFunction,
        &[
            delta(&json!({ "function_call": { "name": "recall", "arguments": "" } })),
            delta(&json!({ "function_call": { "arguments": "{\"q\":1}" } })),
            stop("function_call"),
            done(),
        ],
        "",
        &["call_1 recall {\"q\":1}"],
    );
    check(
        Ask::Schema,
        &[
            calls(&json!([{ "index": 0, "id": "a", "function": { "arguments": "{}" } }])),
            delta(&json!({ "content": REPLY })),
            stop("stop"),
            done(),
        ],
        "Hi.",
        &[],
    );
}

#[test]
fn the_answer_and_calls_together() {
    let answer = json!({ "index": 0, "id": "x", "function": { "name": "format_response", "arguments": REPLY } });
    let call = json!({ "index": 1, "id": "a", "function": { "name": "recall", "arguments": "{}" } });
    let answered = |calls_first: bool, ask: Ask, text: &str, expect: &[&str]| {
        let mut parts = vec![calls(&json!([answer])), calls(&json!([call]))];
        if calls_first {
            parts.reverse();
        }
        parts.extend([stop("tool_calls"), done()]);
        check(ask, &parts, text, expect);
    };
    // What was said before the call stands; what comes after it is not heard.
    answered(false, Ask::Tool, "Hi.", &["a recall {}"]);
    answered(true, Ask::Tool, "", &["a recall {}"]);
    // Where it is not the form of the answer it is a call like any other.
    answered(
        true,
        Ask::Schema,
        "",
        &["a recall {}", &format!("x format_response {REPLY}")],
    );
    // Words before a call stand, in every form; the beginning of an object does not.
    for ask in [Ask::Words, Ask::Schema, Ask::Tool] {
        check(
            ask,
            &[
                delta(&json!({ "content": "Let me look." })),
                calls(&json!([call])),
                stop("tool_calls"),
                done(),
            ],
            "Let me look.",
            &["a recall {}"],
        );
    }
    for content in ["{", "{\"persona\":\"default\"", " ", "{}"] {
        check(
            Ask::Schema,
            &[
                delta(&json!({ "content": content })),
                calls(&json!([call])),
                stop("tool_calls"),
                done(),
            ],
            "",
            &["a recall {}"],
        );
    }
    // Cut short: whatever was called is not.
    let cut = [
        delta(&json!({ "content": "Let me" })),
        calls(&json!([call])),
        stop("length"),
        done(),
    ];
    let heard = hear(Api::Chat, Ask::Words, &[&stream(&cut)]).unwrap();
    assert_eq!(
        (heard.text.as_str(), heard.cut.as_deref()),
        ("Let me", Some("max_output_tokens"))
    );
}

#[test]
fn nothing_offered_nothing_heard() {
    let call = calls(&json!([{ "index": 0, "id": "a", "function": { "name": "recall", "arguments": "{}" } }]));
    let data = stream(&[call, delta(&json!({ "content": REPLY })), stop("stop"), done()]);
    for request in [
        ModelRequest {
            tools: [].into(),
            ..request()
        },
        ModelRequest {
            no_more_calls: true,
            ..request()
        },
    ] {
        let heard = hear_request(Api::Chat, Ask::Schema, &request, &[&data]).unwrap();
        assert_eq!((heard.text.as_str(), heard.calls.len()), ("Hi.", 0));
    }
}

#[test]
fn there_is_a_limit() {
    let many: Vec<Value> = (0..=MOST_CALLS)
        .map(|n| json!({ "index": n, "function": { "name": "recall" } }))
        .collect();
    let trouble = hear(Api::Chat, Ask::Schema, &[&stream(&[calls(&json!(many))])]).unwrap_err();
    assert!(matches!(trouble, Trouble::Garbage(_)), "{trouble:?}");
    let long = "x".repeat(MOST_ARGUMENT_BYTES / 2 + 1);
    let piece = calls(&json!([{ "index": 0, "function": { "name": "recall", "arguments": long } }]));
    let trouble = hear(Api::Chat, Ask::Schema, &[&stream(&[piece.clone(), piece])]).unwrap_err();
    assert_eq!(trouble, Trouble::TooLarge(MOST_ARGUMENT_BYTES));
    let item =
        |n: usize| json!({ "type": "function_call", "call_id": format!("c{n}"), "name": "recall", "arguments": "{}" });
    let items: Vec<Value> = (0..=MOST_CALLS).map(item).collect();
    let end = json!({ "type": "response.completed", "response": { "output": items } });
    let trouble = hear(Api::Responses, Ask::Schema, &[&stream(&[end])]).unwrap_err();
    assert!(matches!(trouble, Trouble::Garbage(_)), "{trouble:?}");
}

fn reasoning() -> Value {
    json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed" })
}

fn called(id: &str, arguments: &str) -> Value {
    json!({ "type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "recall", "arguments": arguments, "status": "completed" })
}

fn commentary() -> Value {
    json!({ "type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary", "content": [{ "type": "output_text", "text": "Hm." }] })
}

/// The events of a response with reasoning, commentary and two calls; its final output on request.
fn response(output: Option<&[Value]>) -> Vec<Value> {
    let event = |kind: &str, index: u8, item: &Value| json!({ "type": format!("response.output_item.{kind}"), "output_index": index, "item": item });
    let arguments = |index: u8, delta: &str| json!({ "type": "response.function_call_arguments.delta", "output_index": index, "delta": delta });
    vec![
        event("added", 0, &json!({ "type": "reasoning", "id": "rs_1", "summary": [] })),
        event("done", 0, &reasoning()),
        event(
            "added",
            1,
            &json!({ "type": "message", "phase": "commentary", "content": [] }),
        ),
        json!({ "type": "response.output_text.delta", "output_index": 1, "delta": "Hm." }),
        event("done", 1, &commentary()),
        event("added", 2, &called("a", "")),
        event("added", 3, &called("b", "")),
        arguments(2, "{\"q\""),
        arguments(3, "{}"),
        arguments(2, ":1}"),
        json!({ "type": "response.function_call_arguments.done", "output_index": 2, "arguments": "{\"q\":1}" }),
        event("done", 2, &called("a", "{\"q\":1}")),
        event("done", 3, &called("b", "{}")),
        json!({ "type": "response.completed", "response": { "model": "m", "output": output } }),
    ]
}

#[test]
fn responses_carry_their_items() {
    let items = vec![reasoning(), commentary(), called("a", "{\"q\":1}"), called("b", "{}")];
    let expect = Heard {
        calls: vec!["a recall {\"q\":1}".to_owned(), "b recall {}".to_owned()],
        carry: items.clone(),
        ended: true,
        ..Heard::default()
    };
    for output in [None, Some(&[][..]), Some(&items[..])] {
        let heard = hear(Api::Responses, Ask::Schema, &[&stream(&response(output))]).unwrap();
        assert_eq!(heard, expect);
    }
    // The final output is what counts.
    let heard = hear(
        Api::Responses,
        Ask::Schema,
        &[&stream(&response(Some(&[called("a", "{}")])))],
    )
    .unwrap();
    assert_eq!(
        (heard.calls, heard.carry),
        (vec!["a recall {}".to_owned()], vec![called("a", "{}")])
    );
}

#[test]
fn what_cannot_go_back_stays_or_is_made_good() {
    let whole = |items: &[Value]| {
        let end = json!({ "type": "response.completed", "response": { "output": items } });
        hear(Api::Responses, Ask::Tool, &[&stream(&[end])]).unwrap()
    };
    let plain = |id: &str, arguments: &str| json!({ "type": "function_call", "call_id": id, "name": "recall", "arguments": arguments });
    // Reasoning that nobody can decrypt, and the ids that refer to it.
    let open = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": null });
    let heard = whole(&[open, called("a", "{}")]);
    assert_eq!(heard.carry, [plain("a", "{}")]);
    // Calls without an id, with an object, with nothing; the answer beside them.
    let mut bare = called("", "");
    bare["call_id"] = Value::Null;
    bare["id"] = Value::Null;
    bare["arguments"] = json!({ "q": 1 });
    let answer = json!({ "type": "function_call", "call_id": "x", "name": "format_response", "arguments": REPLY });
    let heard = whole(&[bare, called("b", ""), answer, json!({ "type": "hologram" })]);
    assert_eq!(heard.calls, ["call_1 recall {\"q\":1}", "b recall {}"]);
    assert_eq!(
        heard.carry,
        [
            plain("call_1", "{\"q\":1}"),
            plain("b", "{}"),
            json!({ "type": "hologram" })
        ]
    );
    assert_eq!(heard.text, "");
}

#[test]
fn every_split_hears_the_same() {
    let chat = stream(&[
        delta(&json!({ "content": "Fünf 𝄞 " })),
        calls(&json!([{ "index": 0, "id": "a", "function": { "name": "recall", "arguments": "{\"q\":" } }])),
        calls(
            &json!([{ "index": 0, "function": { "arguments": "\"é𝄞\"}" } }, { "index": 1, "id": "b", "function": { "name": "forget", "arguments": "{}" } }]),
        ),
        stop("tool_calls"),
        done(),
    ]);
    let responses = stream(&response(None));
    for (api, bytes) in [(Api::Chat, chat), (Api::Responses, responses)] {
        let expect = hear(api, Ask::Words, &[&bytes]).unwrap();
        assert_eq!(expect.calls.len(), 2);
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(hear(api, Ask::Words, &[head, tail]).unwrap(), expect, "{api:?} at {at}");
        }
        let each: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(hear(api, Ask::Words, &each).unwrap(), expect);
    }
}

fn chunk() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just(json!("recall")),
        Just(json!("format_response")),
        Just(Value::Null),
        Just(json!(7))
    ];
    let index = prop_oneof![Just(json!(0)), Just(json!(1)), Just(Value::Null)];
    let id = prop_oneof![Just(json!("a")), Just(json!("b")), Just(json!("")), Just(Value::Null)];
    let arguments = prop_oneof![
        Just(json!("{\"q\":1}")),
        Just(json!(REPLY)),
        Just(json!("")),
        Just(Value::Null),
        Just(json!({ "q": 1 })),
        Just(json!([1])),
        "[{}\":a]{0,6}".prop_map(Value::from),
    ];
    let call = (name, index, id, arguments).prop_map(|(name, index, id, arguments)| {
        calls(&json!([{ "index": index, "id": id, "function": { "name": name, "arguments": arguments } }]))
    });
    prop_oneof![
        4 => call,
        1 => "[{}\":a ]{0,6}".prop_map(|text| delta(&json!({ "content": text }))),
        1 => Just(delta(&json!({ "content": REPLY }))),
        1 => Just(delta(&json!({ "function_call": { "name": "recall", "arguments": "{}" } }))),
        1 => Just(delta(&json!({ "tool_calls": null, "function_call": null }))),
        1 => prop_oneof![Just("tool_calls"), Just("stop"), Just("length")].prop_map(stop),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let item = prop_oneof![
        Just(reasoning()),
        Just(commentary()),
        Just(called("a", "{}")),
        Just(called("b", "")),
        Just(json!({ "type": "function_call", "name": "format_response", "call_id": "x", "arguments": REPLY })),
        Just(json!({ "type": "function_call" })),
        Just(json!({ "type": "message", "content": [{ "type": "output_text", "text": REPLY }] })),
        Just(Value::Null),
    ];
    let index = prop_oneof![Just(json!(0)), Just(json!(1)), Just(Value::Null)];
    let kind = prop_oneof![
        Just("response.output_item.added"),
        Just("response.output_item.done"),
        Just("response.function_call_arguments.delta"),
        Just("response.function_call_arguments.done"),
        Just("response.output_text.delta"),
        Just("response.completed"),
        Just("response.incomplete"),
    ];
    let text = prop_oneof![
        Just(json!("{")),
        Just(json!(REPLY)),
        Just(json!("x")),
        Just(Value::Null),
        Just(json!({}))
    ];
    (kind, index, item, text).prop_map(|(kind, index, item, text)| {
        let (output, incomplete) = (json!([item]), json!({ "reason": "max_output_tokens" }));
        let response = json!({ "output": output, "incomplete_details": incomplete });
        json!({ "type": kind, "output_index": index, "item": item, "delta": text, "arguments": text, "response": response })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever comes, in whichever form: no panic, the law holds, ids are each their own.
    #[test]
    fn nonsense_is_heard_lawfully(
        chat in proptest::collection::vec(chunk(), 0..8),
        events in proptest::collection::vec(event(), 0..8),
        ask in prop_oneof![Just(Ask::Schema), Just(Ask::Tool), Just(Ask::LegacyFunction), Just(Ask::Words)],
    ) {
        let mut chat = chat;
        chat.push(done());
        for (api, data) in [(Api::Chat, chat), (Api::Responses, events)] {
            match hear(api, ask, &[&stream(&data)]) {
                Ok(heard) => prop_assert!(heard.calls.is_empty() || heard.ended),
                Err(trouble) => prop_assert!(matches!(trouble, Trouble::Garbage(_)), "{trouble:?}"),
            }
        }
    }
}

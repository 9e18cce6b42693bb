//! Tools offered, called and answered, over sockets, against an emulator that refuses what the live API would.

use crate::support::{WORDS, answer, body, endpoint, events, hear, openai, raw, reply, request, scripted, sim};
use mira_core::{
    ids::ToolCallId,
    model::{Ending, ModelRequest},
    tool::{PastCall, Round, ToolOffer},
};
use mira_llm::{Api, ChatModel, Endpoint, LlmError, ReplyFormat, connect};
use openai_sim::{Call, Ending as SimEnding, Fault, Flavour, HttpFault, Plan, Sim, Split};
use serde_json::{Value, json};
use std::sync::Arc;

const FORMATS: [ReplyFormat; 4] = [
    ReplyFormat::Auto,
    ReplyFormat::JsonSchema,
    ReplyFormat::Function,
    ReplyFormat::TwoStep,
];

fn offer(name: &str, keys: &[(&str, Value)]) -> ToolOffer {
    let properties: serde_json::Map<String, Value> = keys
        .iter()
        .map(|(key, kind)| ((*key).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let schema =
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    ToolOffer::new(name, format!("Use it to {name}."), schema.to_string())
}

/// `support::request` with two tools, and a call on the way to its earlier reply.
pub fn with_tools() -> ModelRequest {
    let mut request = request();
    request.tools = [
        offer(
            "recall",
            &[("question", json!("string")), ("limit", json!(["integer", "null"]))],
        ),
        offer("forget", &[("memories", json!("string"))]),
    ]
    .into();
    request.messages[1].calls = vec![PastCall {
        id: "018f0000-0000-7000-8000-000000000001".parse::<ToolCallId>().unwrap(),
        name: "recall".into(),
        arguments: r#"{"question":"hello?","limit":null}"#.into(),
        output: "nothing comes up".into(),
    }];
    request
}

fn recall(question: &str) -> Call {
    Call::new("recall", &json!({ "question": question, "limit": null }))
}

fn forget() -> Call {
    Call::new("forget", &json!({ "memories": "7a" }))
}

/// Asks with these rounds behind it until words come: what was said in all, and every round.
async fn talk(model: &Arc<dyn ChatModel>, mut request: ModelRequest) -> (String, Vec<Round>, ModelRequest) {
    loop {
        let heard = hear(model, request.clone()).await;
        let Some(asked) = heard.calls else {
            assert_eq!(
                heard.finished.as_ref().map(|end| &end.ending),
                Some(&Ending::Whole),
                "{heard:?}"
            );
            return (heard.text, request.rounds.clone(), request);
        };
        let outputs = asked
            .calls
            .iter()
            .map(|call| format!("output of {}", call.name))
            .collect();
        request.rounds.push(Round {
            said: heard.text,
            asked,
            outputs,
            pictures: Vec::new(),
        });
    }
}

/// Two rounds of calls, then words, in one form on one server.
async fn check(flavour: Flavour, at: impl Fn(&str) -> Endpoint) -> Sim {
    let sim = sim(flavour).await;
    let model = connect(at(&sim.url())).unwrap();
    sim.push(
        Plan::calls([recall("who?"), forget()])
            .reasoning("Let me see.")
            .unknown(),
    );
    sim.push(Plan::calls([forget()]).reasoning("And now?"));
    // Once for the reply, once for its metadata where that is asked apart.
    sim.push(Plan::structured(reply()));
    sim.push(Plan::structured(reply()));
    let (text, rounds, _) = talk(&model, with_tools()).await;
    assert_eq!(text, WORDS);
    let names: Vec<Vec<&str>> = rounds
        .iter()
        .map(|round| round.asked.calls.iter().map(|call| call.name.as_str()).collect())
        .collect();
    assert!(
        names == [vec!["recall", "forget"], vec!["forget"]] || names == [vec!["recall"], vec!["forget"]],
        "{names:?}"
    );
    let usage = rounds[0].asked.usage;
    assert!(usage.input_tokens > 0 && usage.output_tokens > 0, "{usage:?}");
    assert!(rounds[0].asked.model.starts_with("gpt-5"));
    let first: Value = serde_json::from_str(&rounds[0].asked.calls[0].arguments).unwrap();
    assert_eq!(first, json!({ "question": "who?", "limit": null }));
    assert!(model.takes_tools());
    sim
}

#[tokio::test]
async fn a_loop_in_every_form_of_both_apis() {
    for api in [Api::Responses, Api::Chat] {
        for format in FORMATS {
            let sim = check(Flavour::OpenAi, |url| Endpoint {
                reply_format: format,
                ..openai(url, api)
            })
            .await;
            // The emulator checks each request as the live service would: reasoning unchanged, an output per call.
            let refused: Vec<_> = sim
                .requests()
                .into_iter()
                .filter(|request| request.verdict.is_err())
                .collect();
            assert_eq!(refused.len(), 0, "{api:?} {format:?}: {:?}", refused[0].verdict);
        }
    }
}

#[tokio::test]
async fn a_loop_on_servers_that_take_less() {
    for format in [ReplyFormat::Auto, ReplyFormat::Function, ReplyFormat::TwoStep] {
        let at = |url: &str| Endpoint {
            reply_format: format,
            ..endpoint(url, Api::Chat)
        };
        check(Flavour::CompatibleNoSchema, at).await;
    }
    // The legacy form has one call at a time.
    let sim = check(Flavour::CompatibleNoTools, |url| endpoint(url, Api::Chat)).await;
    let last = body(&sim, sim.requests().len() - 1);
    assert_eq!(last["function_call"], "auto");
    assert_eq!(last["functions"][2]["name"], "format_response");
}

#[tokio::test]
async fn without_tools_there_is_still_an_answer() {
    let sim = sim(Flavour::CompatiblePlain).await;
    let model = connect(endpoint(&sim.url(), Api::Chat)).unwrap();
    assert!(model.takes_tools(), "nothing is known yet");
    for _ in 0..2 {
        sim.push(Plan::text(WORDS));
        sim.push(Plan::text("{}"));
        let heard = hear(&model, with_tools()).await;
        assert_eq!(heard.text, WORDS);
    }
    assert!(!model.takes_tools());
    let last = body(&sim, sim.requests().len() - 2);
    assert!(last.get("tools").is_none() && last.get("functions").is_none());
    assert!(
        last["messages"][2]["content"]
            .as_str()
            .unwrap()
            .starts_with("[called recall {"),
        "{last}"
    );
}

#[tokio::test]
async fn words_before_calls_are_heard_first() {
    for api in [Api::Responses, Api::Chat] {
        for format in FORMATS {
            let sim = sim(Flavour::OpenAi).await;
            let at = Endpoint {
                reply_format: format,
                ..openai(&sim.url(), api)
            };
            sim.push(Plan::text("Let me look.").then_calls([recall("who?")]).reasoning("Hm."));
            sim.push(Plan::structured(reply()));
            sim.push(Plan::structured(reply()));
            let (text, rounds, _) = talk(&connect(at).unwrap(), with_tools()).await;
            assert_eq!(
                (text.as_str(), rounds[0].said.as_str()),
                (WORDS, "Let me look."),
                "{api:?} {format:?}"
            );
            assert!(
                sim.requests().iter().all(|request| request.verdict.is_ok()),
                "{api:?} {format:?}"
            );
            assert_eq!(raw(&sim, 1).matches("Let me look.").count(), 1, "told once");
        }
    }
}

#[tokio::test]
async fn a_call_alone_has_no_head() {
    for api in [Api::Responses, Api::Chat] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(Plan::calls([recall("who?")]));
        let heard = hear(&connect(openai(&sim.url(), api)).unwrap(), with_tools()).await;
        assert_eq!((heard.head, heard.text.as_str()), (None, ""));
        assert_eq!(heard.calls.unwrap().calls.len(), 1);
    }
}

#[tokio::test]
async fn every_split_reads_the_same() {
    for api in [Api::Responses, Api::Chat] {
        for format in [ReplyFormat::JsonSchema, ReplyFormat::Function] {
            for split in [Split::Every(1), Split::Every(7), Split::Random(1)] {
                let sim = sim(Flavour::OpenAi).await;
                let at = Endpoint {
                    reply_format: format,
                    ..openai(&sim.url(), api)
                };
                sim.push(
                    Plan::calls([recall("wer? 𝄞"), forget()])
                        .reasoning("Hm.")
                        .unknown()
                        .split(split),
                );
                let asked = hear(&connect(at).unwrap(), with_tools()).await.calls.unwrap();
                let names: Vec<&str> = asked.calls.iter().map(|call| call.name.as_str()).collect();
                assert_eq!(names, ["recall", "forget"]);
                assert!(asked.calls[0].arguments.contains("wer? 𝄞"));
            }
        }
    }
}

#[tokio::test]
async fn half_a_call_is_none() {
    for api in [Api::Responses, Api::Chat] {
        let sim = sim(Flavour::OpenAi).await;
        let model = connect(openai(&sim.url(), api)).unwrap();
        let cut = SimEnding::Incomplete("max_output_tokens".into());
        sim.push(Plan::calls([recall("who?")]).ending(cut.clone(), Some(1)));
        let heard = hear(&model, with_tools()).await;
        let reason = Some("max_output_tokens".to_owned());
        assert_eq!(heard.error, Some(LlmError::Empty { reason }), "{api:?}");
        // With words before it they stand.
        sim.push(
            Plan::text("Let me look.")
                .then_calls([recall("who?")])
                .ending(cut, Some(5)),
        );
        let heard = hear(&model, with_tools()).await;
        assert!(!heard.text.is_empty(), "{heard:?}");
        assert!(matches!(heard.finished.unwrap().ending, Ending::CutShort(_)));
        // A broken stream is asked for again: nothing of it was passed on.
        sim.push(Plan::calls([recall("who?")]).fault(Fault::Cut(5)));
        sim.push(Plan::calls([recall("who?")]));
        assert_eq!(hear(&model, with_tools()).await.calls.unwrap().calls.len(), 1);
    }
}

#[tokio::test]
async fn no_more_calls_keeps_the_tools_and_the_prefix() {
    for api in [Api::Responses, Api::Chat] {
        let sim = sim(Flavour::OpenAi).await;
        let model = connect(openai(&sim.url(), api)).unwrap();
        sim.push(Plan::calls([recall("who?")]).reasoning("Hm."));
        sim.push(Plan::structured(reply()));
        let (_, _, mut request) = talk(&model, with_tools()).await;
        request.no_more_calls = true;
        sim.push(Plan::structured(reply()));
        assert_eq!(hear(&model, request).await.text, WORDS);
        let (with, without) = (body(&sim, 1), body(&sim, 2));
        assert_eq!(with["tools"], without["tools"]);
        assert_eq!(
            (with.get("tool_choice"), &without["tool_choice"]),
            (None, &json!("none"))
        );
        for key in ["input", "messages"] {
            assert_eq!(with.get(key), without.get(key));
        }
    }
}

#[tokio::test]
async fn a_round_shares_everything_before_it() {
    for api in [Api::Responses, Api::Chat] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(Plan::calls([recall("who?")]).reasoning("Hm."));
        sim.push(Plan::structured(reply()));
        talk(&connect(openai(&sim.url(), api)).unwrap(), with_tools()).await;
        let (first, second) = (raw(&sim, 0), raw(&sim, 1));
        let common = first.bytes().zip(second.bytes()).take_while(|(a, b)| a == b).count();
        let end = first.find("[/state]").unwrap();
        assert!(common > end, "{:?}", first.get(..common));
        let tools = first.find("\"tools\"").unwrap();
        assert!(
            tools < first.find("You are Mira.").unwrap(),
            "tools stand in the stable beginning"
        );
    }
}

#[tokio::test]
async fn a_side_question_has_no_tools() {
    for api in [Api::Responses, Api::Chat] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(Plan::text("Fine."));
        let model = connect(openai(&sim.url(), api)).unwrap();
        assert_eq!(model.complete(with_tools(), 64).await.unwrap().text, "Fine.");
        assert!(body(&sim, 0).get("tools").is_none());
    }
}

/// A refusal in these words of a request in this form; the body that is sent then.
async fn after(format: ReplyFormat, status: u16, message: &str) -> Value {
    let sim = sim(Flavour::OpenAi).await;
    let at = Endpoint {
        reply_format: format,
        ..openai(&sim.url(), Api::Chat)
    };
    sim.push(Plan::http(HttpFault {
        message: message.to_owned(),
        ..HttpFault::new(status)
    }));
    sim.push(Plan::structured(reply()));
    let heard = hear(&connect(at).unwrap(), with_tools()).await;
    assert_eq!(heard.text, WORDS, "{message}: {heard:?}");
    body(&sim, 1)
}

fn tools(body: &Value) -> Option<usize> {
    body.get("tools").map(|tools| tools.as_array().unwrap().len())
}

#[tokio::test]
async fn refusals_of_tools_are_understood() {
    use ReplyFormat::{Auto, Function};
    // No tools at all, however it is said; the form stays.
    for (status, message) in [
        (400, "registry/library/model:2b does not support tools"),
        (422, "Tool use is not supported for this model."),
        (500, "tools param requires --jinja flag"),
    ] {
        let sent = after(Auto, status, message).await;
        assert_eq!(
            (tools(&sent), sent.get("response_format").is_some()),
            (None, true),
            "{message}"
        );
    }
    // Only what is strict about them, only the choice among them.
    let sent = after(Auto, 422, "tools[0].function: Extra inputs are not permitted: 'strict'").await;
    assert_eq!(
        (tools(&sent), sent["tools"][0]["function"].get("strict")),
        (Some(2), None)
    );
    let sent = after(Function, 400, "'required' is not a supported value of `tool_choice`").await;
    assert_eq!((tools(&sent), sent.get("tool_choice")), (Some(3), None));
    // Not both: the form gives way, the tools stay.
    let sent = after(Auto, 400, "Cannot use response_format together with tools").await;
    assert_eq!((tools(&sent), sent.get("response_format")), (Some(3), None));
    assert_eq!(sent["tool_choice"], "required");
    // How calls are told.
    let sent = after(Auto, 422, "messages[2].content: none is not an allowed value").await;
    assert_eq!(sent["messages"][2]["content"], "");
    let sent = after(
        Auto,
        400,
        "After the system message, conversation roles must alternate user/assistant",
    )
    .await;
    assert!(sent["messages"][2].get("tool_calls").is_none(), "{sent}");
    // Another parameter that is named beside tools is the one to change.
    let sent = after(
        Auto,
        400,
        "Function tools with reasoning_effort are not supported for this model",
    )
    .await;
    assert_eq!((tools(&sent), sent.get("reasoning_effort")), (Some(2), None));
}

#[tokio::test]
async fn answers_that_are_not_streams_call_too() {
    let chat = json!({ "model": "local", "choices": [{ "message": { "role": "assistant", "content": null, "tool_calls": [
        { "id": "a", "type": "function", "function": { "name": "recall", "arguments": "{}" } },
        { "id": "b", "type": "function", "function": { "name": "unheard_of", "arguments": "{}" } },
    ] }, "finish_reason": "tool_calls" }] });
    let responses = json!({ "model": "local", "status": "completed", "output": [
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed" },
        { "type": "function_call", "id": "fc_1", "call_id": "a", "name": "recall", "arguments": "{}" },
        { "type": "function_call", "id": "fc_2", "call_id": "b", "name": "unheard_of", "arguments": "{}" },
    ] });
    for (api, body, carried) in [(Api::Chat, chat, 0), (Api::Responses, responses, 3)] {
        let url = scripted(vec![answer("200 OK", "application/json", &body.to_string())]).await;
        let asked = hear(&connect(endpoint(&url, api)).unwrap(), with_tools())
            .await
            .calls
            .unwrap();
        let calls: Vec<(&str, &str)> = asked.calls.iter().map(|call| (&*call.call_id, &*call.name)).collect();
        assert_eq!(calls, [("a", "recall"), ("b", "unheard_of")]);
        assert_eq!((asked.carry.len(), asked.model.as_str()), (carried, "local"));
    }
}

#[tokio::test]
async fn more_than_can_be_meant_is_an_error() {
    let long = "x".repeat(700 * 1024);
    let piece = json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "recall", "arguments": long } }] } }] });
    let piece = piece.to_string();
    let url = scripted(vec![events(&[&piece, &piece])]).await;
    let heard = hear(&connect(endpoint(&url, Api::Chat)).unwrap(), with_tools()).await;
    assert_eq!(heard.error, Some(LlmError::TooLarge { limit: 1024 * 1024 }));
}

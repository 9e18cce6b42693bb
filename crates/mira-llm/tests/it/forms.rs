//! Every form of a reply on every kind of server, through both APIs.

use crate::support::{KEY, WORDS, body, endpoint, fallback, hear, openai, reply, request, say, sim};
use mira_core::{
    chat::Mood,
    model::{Ending, Head},
};
use mira_llm::{Api, Endpoint, ReplyFormat, connect, list_models};
use openai_sim::{Flavour, Plan, Sim, SimConfig, Split};

/// The reply of `support::reply`, in whichever form.
async fn check(sim: &Sim, endpoint: Endpoint, two_calls: bool) {
    sim.push(Plan::structured(reply()));
    if two_calls {
        sim.push(Plan::structured(reply()));
    }
    let heard = hear(&connect(endpoint).unwrap(), request()).await;
    assert_eq!(heard.text, WORDS, "{heard:?}");
    let finished = heard.finished.unwrap();
    assert_eq!(finished.ending, Ending::Whole);
    assert_eq!(finished.meta.persona.as_str(), "default");
    assert_eq!(finished.meta.mood.as_str(), "playful");
    assert_eq!(finished.meta.mood_cause.as_deref(), Some("you asked"));
    assert_eq!(finished.meta.tags, ["chat"]);
    assert_eq!(finished.meta.intent.as_deref(), Some("chat"));
    assert!(
        finished.usage.input_tokens > 0 && finished.usage.output_tokens > 0,
        "{finished:?}"
    );
    let head = if two_calls {
        let fallback = fallback();
        Head {
            persona: fallback.persona,
            mood: fallback.mood,
            mood_cause: None,
        }
    } else {
        Head {
            persona: finished.meta.persona,
            mood: Mood::from_text("playful").unwrap(),
            mood_cause: finished.meta.mood_cause,
        }
    };
    assert_eq!(heard.head, Some(head));
    assert_eq!(sim.planned(), 0, "every planned call was made");
    for captured in sim.requests() {
        assert_eq!(captured.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

/// The keys that ask for a form, of the last request.
fn asked(sim: &Sim) -> String {
    let requests = sim.requests();
    let body = &requests.last().unwrap().body;
    let format = body
        .pointer("/text/format/type")
        .or(body.pointer("/response_format/type"));
    if let Some(format) = format {
        return format.as_str().unwrap().to_owned();
    }
    let key = ["tool_choice", "function_call"]
        .into_iter()
        .find(|key| body.get(*key).is_some());
    key.unwrap_or("words").to_owned()
}

#[tokio::test]
async fn responses_on_openai() {
    for (format, form, two_calls) in [
        (ReplyFormat::Auto, "json_schema", false),
        (ReplyFormat::JsonSchema, "json_schema", false),
        (ReplyFormat::Function, "tool_choice", false),
        (ReplyFormat::TwoStep, "json_schema", true),
    ] {
        let sim = sim(Flavour::OpenAi).await;
        check(
            &sim,
            Endpoint {
                reply_format: format,
                ..openai(&sim.url(), Api::Responses)
            },
            two_calls,
        )
        .await;
        assert_eq!(asked(&sim), form, "{format:?}");
        assert_eq!(
            sim.requests().len(),
            if two_calls { 2 } else { 1 },
            "nothing was refused for {format:?}"
        );
    }
}

#[tokio::test]
async fn chat_on_every_server() {
    use Flavour::{CompatibleNoSchema, CompatibleNoTools, CompatiblePlain, OpenAi};
    for (flavour, format, form, two_calls) in [
        (OpenAi, ReplyFormat::Auto, "json_schema", false),
        (OpenAi, ReplyFormat::JsonSchema, "json_schema", false),
        (OpenAi, ReplyFormat::Function, "tool_choice", false),
        (OpenAi, ReplyFormat::TwoStep, "json_schema", true),
        (CompatibleNoSchema, ReplyFormat::Auto, "tool_choice", false),
        (CompatibleNoSchema, ReplyFormat::Function, "tool_choice", false),
        (CompatibleNoSchema, ReplyFormat::TwoStep, "tool_choice", true),
        (CompatibleNoTools, ReplyFormat::Auto, "function_call", false),
        (CompatibleNoTools, ReplyFormat::Function, "function_call", false),
        (CompatibleNoTools, ReplyFormat::TwoStep, "function_call", true),
    ] {
        let sim = sim(flavour).await;
        let at = if flavour == OpenAi {
            openai(&sim.url(), Api::Chat)
        } else {
            endpoint(&sim.url(), Api::Chat)
        };
        check(
            &sim,
            Endpoint {
                reply_format: format,
                ..at
            },
            two_calls,
        )
        .await;
        assert_eq!(asked(&sim), form, "{flavour:?} {format:?}");
    }
    for format in [ReplyFormat::Auto, ReplyFormat::TwoStep] {
        let sim = sim(CompatiblePlain).await;
        sim.push(Plan::text(WORDS));
        sim.push(Plan::text(
            "Certainly:\n```json\n{\"persona\":\"default\",\"mood\":\"sly\",\"tags\":[\"A\"],\"salience\":2}\n```",
        ));
        let heard = hear(
            &connect(Endpoint {
                reply_format: format,
                ..endpoint(&sim.url(), Api::Chat)
            })
            .unwrap(),
            request(),
        )
        .await;
        assert_eq!(heard.text, WORDS);
        let meta = heard.finished.unwrap().meta;
        assert_eq!(
            (meta.persona.as_str(), meta.mood.as_str(), meta.tags),
            ("default", "sly", vec!["a".to_owned()])
        );
        assert_eq!(asked(&sim), "words", "the metadata was asked for in words");
    }
}

#[tokio::test]
async fn what_was_learned_is_remembered() {
    let sim = sim(Flavour::CompatibleNoTools).await;
    let model = connect(endpoint(&sim.url(), Api::Chat)).unwrap();
    let mut tries = Vec::new();
    for _ in 0..3 {
        sim.push(Plan::structured(reply()));
        assert_eq!(hear(&model, request()).await.text, WORDS);
        tries.push(sim.requests().len());
    }
    // The schema, the tools and the old name of the limit are refused, once.
    assert_eq!(tries, [4, 5, 6]);
}

#[tokio::test]
async fn a_lost_second_call_costs_the_metadata_only() {
    for second in [
        Plan::status(500),
        Plan::status(400),
        Plan::text("I would rather not."),
        Plan::refusal("No."),
    ] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(Plan::reply(WORDS));
        for _ in 0..3 {
            sim.push(second.clone());
        }
        let at = Endpoint {
            reply_format: ReplyFormat::TwoStep,
            ..openai(&sim.url(), Api::Responses)
        };
        let heard = hear(&connect(at).unwrap(), request()).await;
        assert_eq!(heard.text, WORDS);
        assert_eq!(heard.finished.unwrap().meta, fallback(), "{second:?}");
    }
}

#[tokio::test]
async fn the_second_call_knows_what_was_said() {
    let sim = sim(Flavour::OpenAi).await;
    sim.push(Plan::structured(reply()));
    sim.push(Plan::structured(reply()));
    let at = Endpoint {
        reply_format: ReplyFormat::TwoStep,
        ..openai(&sim.url(), Api::Chat)
    };
    let heard = hear(&connect(at).unwrap(), request()).await;
    let (first, second) = (body(&sim, 0), body(&sim, 1));
    let (first, second) = (
        first["messages"].as_array().unwrap(),
        second["messages"].as_array().unwrap(),
    );
    assert_eq!(
        second[..first.len()],
        first[..],
        "the cached prefix is the whole first call"
    );
    assert_eq!(second[first.len()]["content"], WORDS);
    assert!(
        heard.finished.unwrap().usage.input_tokens > 60,
        "both calls are counted"
    );
}

#[tokio::test]
async fn text_outside_the_schema_is_kept() {
    for api in [Api::Responses, Api::Chat] {
        for format in [ReplyFormat::JsonSchema, ReplyFormat::Function] {
            for text in [WORDS, "{\"odd\": 1}", "just words"] {
                let sim = sim(Flavour::OpenAi).await;
                let heard = say(
                    &sim,
                    Endpoint {
                        reply_format: format,
                        ..openai(&sim.url(), api)
                    },
                    Plan::text(text),
                )
                .await;
                assert_eq!(heard.text, text);
                let finished = heard.finished.unwrap();
                assert_eq!((finished.meta, finished.ending), (fallback(), Ending::Whole));
            }
        }
    }
}

#[tokio::test]
async fn reasoning_is_announced_once_and_usage_counted() {
    for (api, announced) in [(Api::Responses, true), (Api::Chat, false)] {
        let sim = sim(Flavour::OpenAi).await;
        let heard = say(
            &sim,
            openai(&sim.url(), api),
            Plan::structured(reply()).reasoning("Let me see."),
        )
        .await;
        assert_eq!(heard.thought, announced, "chat completions do not tell");
        let finished = heard.finished.unwrap();
        assert!(finished.usage.reasoning_tokens > 0, "{:?}", finished.usage);
        assert!(finished.model.starts_with("gpt-5"), "{}", finished.model);
    }
}

#[tokio::test]
async fn cached_tokens_are_counted() {
    let sim = sim(Flavour::OpenAi).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    let mut request = request();
    request.system = "You are Mira, and this goes on for a while. ".repeat(400).into();
    sim.push(Plan::structured(reply()));
    sim.push(Plan::structured(reply()));
    assert_eq!(
        hear(&model, request.clone())
            .await
            .finished
            .unwrap()
            .usage
            .cached_tokens,
        0
    );
    assert!(hear(&model, request).await.finished.unwrap().usage.cached_tokens > 1_000);
}

#[tokio::test]
async fn every_split_reads_the_same() {
    for api in [Api::Responses, Api::Chat] {
        for format in [ReplyFormat::JsonSchema, ReplyFormat::Function] {
            for split in [Split::Every(1), Split::Every(7), Split::Random(1), Split::Random(2)] {
                let sim = sim(Flavour::OpenAi).await;
                let at = Endpoint {
                    reply_format: format,
                    ..openai(&sim.url(), api)
                };
                let heard = say(&sim, at, Plan::structured(reply()).split(split).unknown()).await;
                assert_eq!(heard.text, WORDS, "{api:?} {split:?}");
                assert!(heard.texts > 1, "it streams");
            }
        }
    }
}

#[tokio::test]
async fn models_are_listed() {
    let models = vec!["b-model".to_owned(), "a-model".to_owned()];
    let sim = Sim::start(SimConfig {
        models: models.clone(),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let root = format!("http://{}", sim.addr());
    for url in [
        root.clone(),
        format!("{root}/"),
        format!("{root}/v1"),
        format!("{root}/v1/"),
    ] {
        assert_eq!(list_models(&endpoint(&url, Api::Chat)).await.unwrap(), models, "{url}");
    }
}

#[tokio::test]
async fn one_connection_serves_turn_after_turn() {
    let sim = sim(Flavour::OpenAi).await;
    let first = openai(&sim.url(), Api::Responses);
    let second = Endpoint {
        api: Api::Chat,
        ..first.clone()
    };
    for endpoint in [&first, &second, &first, &second] {
        sim.push(Plan::structured(reply()));
        assert_eq!(hear(&connect(endpoint.clone()).unwrap(), request()).await.text, WORDS);
    }
    let connections: Vec<u64> = sim.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1; 4]);
}

//! Parameters a model does not take are found out, dropped and not sent again.

use crate::support::{WORDS, body, endpoint, hear, openai, reply, request, sim};
use mira_llm::{Api, Endpoint, connect};
use openai_sim::{Flavour, HttpFault, Plan};
use serde_json::{Value, json};

/// Two replies from one model; the body that was accepted, twice.
async fn accepted(endpoint: impl Fn(String) -> Endpoint) -> (Value, usize) {
    let sim = sim(Flavour::OpenAi).await;
    let model = connect(endpoint(sim.url())).unwrap();
    sim.push(Plan::structured(reply()));
    assert_eq!(hear(&model, request()).await.text, WORDS);
    let tries = sim.requests().len();
    sim.push(Plan::structured(reply()));
    assert_eq!(hear(&model, request()).await.text, WORDS);
    assert_eq!(sim.requests().len(), tries + 1, "what was learned holds");
    assert_eq!(body(&sim, tries - 1), body(&sim, tries));
    (body(&sim, tries), tries)
}

#[tokio::test]
async fn a_model_that_takes_everything_is_asked_once() {
    let (body, tries) = accepted(|url| openai(&url, Api::Responses)).await;
    assert_eq!(tries, 1);
    assert_eq!(body["reasoning"], json!({"effort": "high"}));
    assert_eq!(body["text"]["verbosity"], "high");
    assert_eq!(body["max_output_tokens"], 128_000);
}

#[tokio::test]
async fn a_model_that_does_not_reason() {
    let (body, _) = accepted(|url| Endpoint {
        model: "gpt-4o".into(),
        ..openai(&url, Api::Responses)
    })
    .await;
    assert_eq!(body.get("reasoning"), None);
    assert_eq!(body.get("include"), None);
    let (body, _) = accepted(|url| Endpoint {
        model: "gpt-4o".into(),
        ..openai(&url, Api::Chat)
    })
    .await;
    assert_eq!(body.get("reasoning_effort"), None);
}

#[tokio::test]
async fn an_effort_too_high_is_lowered() {
    for (model, wish, effort) in [
        ("gpt-5", "max", "high"),
        ("gpt-5.1", "minimal", "none"),
        ("gpt-5.2", "max", "xhigh"),
    ] {
        let at = |url: String, api| Endpoint {
            model: model.into(),
            reasoning_effort: Some(wish.into()),
            ..openai(&url, api)
        };
        let (body, _) = accepted(|url| at(url, Api::Responses)).await;
        assert_eq!(body["reasoning"]["effort"], effort, "{model}");
        let (body, _) = accepted(|url| at(url, Api::Chat)).await;
        assert_eq!(body["reasoning_effort"], effort, "{model}");
    }
}

#[tokio::test]
async fn an_old_model_takes_less_verbosity() {
    let (body, tries) = accepted(|url| Endpoint {
        model: "gpt-4o".into(),
        ..openai(&url, Api::Chat)
    })
    .await;
    assert!(tries > 1, "something was refused");
    assert!(body["verbosity"].is_null() || body["verbosity"] == "medium", "{body}");
}

/// One refusal that names a parameter; what is sent then.
async fn after(api: Api, code: &str, message: &str) -> Value {
    let sim = sim(Flavour::OpenAi).await;
    sim.push(Plan::http(HttpFault {
        code: Some(code.into()),
        message: message.into(),
        ..HttpFault::new(400)
    }));
    sim.push(Plan::structured(reply()));
    let heard = hear(&connect(openai(&sim.url(), api)).unwrap(), request()).await;
    assert_eq!(heard.text, WORDS, "{message}");
    body(&sim, 1)
}

#[tokio::test]
async fn a_parameter_named_in_words_is_dropped() {
    let (responses, chat) = (Api::Responses, Api::Chat);
    for (api, message, gone) in [
        (responses, "Unknown parameter: 'prompt_cache_key'.", "prompt_cache_key"),
        (responses, "Unknown parameter: 'stream_options'.", "stream_options"),
        (responses, "Unknown parameter: 'store'.", "store"),
        (
            responses,
            "Encrypted content is not supported: reasoning.encrypted_content",
            "include",
        ),
        (chat, "unknown field `stream_options`", "stream_options"),
        (chat, "Unrecognized request argument supplied: verbosity", "verbosity"),
        (
            chat,
            "Unrecognized request argument supplied: reasoning_effort",
            "reasoning_effort",
        ),
    ] {
        let body = after(api, "unknown_parameter", message).await;
        assert_eq!(body.get(gone), None, "{message}");
    }
    let body = after(
        chat,
        "unsupported_value",
        "'developer' is not one of ['system', 'assistant', 'user']",
    )
    .await;
    let roles: Vec<&str> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}

#[tokio::test]
async fn a_refused_experiment_is_not_remembered() {
    let sim = sim(Flavour::OpenAi).await;
    let model = connect(openai(&sim.url(), Api::Responses)).unwrap();
    let too_long = HttpFault {
        code: Some("context_length_exceeded".into()),
        ..HttpFault::new(400)
    };
    for _ in 0..2 {
        sim.push(Plan::http(too_long.clone()));
    }
    assert!(hear(&model, request()).await.error.is_some());
    sim.push(Plan::structured(reply()));
    hear(&model, request()).await;
    assert_eq!(body(&sim, 1).get("max_output_tokens"), None);
    assert_eq!(body(&sim, 2)["max_output_tokens"], 128_000);
}

#[tokio::test]
async fn a_server_that_ignores_the_schema_is_asked_in_two_steps() {
    let sim = sim(Flavour::OpenAi).await;
    let at = Endpoint {
        model: "gpt-4o".into(),
        ..endpoint(&sim.url(), Api::Chat)
    };
    let model = connect(at).unwrap();
    for _ in 0..2 {
        sim.push(Plan::text("Just words."));
        assert_eq!(hear(&model, request()).await.text, "Just words.");
    }
    let before = sim.requests().len();
    sim.push(Plan::text("Just words."));
    sim.push(Plan::structured(reply()));
    let heard = hear(&model, request()).await;
    assert_eq!(heard.text, "Just words.");
    assert_eq!(
        heard.finished.unwrap().meta.mood.as_str(),
        "playful",
        "the second call knows"
    );
    assert_eq!(body(&sim, before).get("response_format"), None);
}

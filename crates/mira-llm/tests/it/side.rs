//! Questions beside the conversation: plain words, no schema, the same faults and the same care.

use crate::support::{WORDS, body, endpoint, message, openai, request, sim};
use mira_core::{chat::Role, model::ModelRequest};
use mira_llm::{Api, LlmError, connect};
use openai_sim::{Flavour, Plan};

fn question() -> ModelRequest {
    ModelRequest {
        system: "# Summarise".into(),
        messages: vec![message(Role::User, "Owner: hello")],
        tail: String::new(),
        ..request()
    }
}

#[tokio::test]
async fn plain_words_in_both_apis() {
    for api in [Api::Responses, Api::Chat] {
        let sim = sim(Flavour::OpenAi).await;
        sim.push(Plan::text(WORDS));
        let model = connect(openai(&sim.url(), api)).unwrap();
        let answer = model.complete(question(), 4_096).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.whole), (WORDS.trim(), true), "{api:?}");
        assert!(answer.usage.output_tokens > 0);
        let sent = body(&sim, 0);
        for absent in ["tools", "tool_choice", "response_format"] {
            assert!(sent.get(absent).is_none(), "{absent} in {sent}");
        }
        assert!(sent.pointer("/text/format").is_none(), "{sent}");
        let limit = sent
            .get("max_output_tokens")
            .or_else(|| sent.get("max_completion_tokens"));
        assert_eq!(limit.and_then(serde_json::Value::as_u64), Some(4_096), "{sent}");
        assert_eq!(sent["stream"], false);
    }
}

#[tokio::test]
async fn what_may_pass_is_repeated() {
    let sim = sim(Flavour::OpenAi).await;
    sim.push(Plan::status(500));
    sim.push(Plan::text("Fine."));
    let model = connect(endpoint(&sim.url(), Api::Responses)).unwrap();
    assert_eq!(model.complete(question(), 64).await.unwrap().text, "Fine.");
    sim.push(Plan::text(" "));
    let error = model.complete(question(), 64).await.unwrap_err();
    assert!(matches!(error, LlmError::Empty { .. }), "{error:?}");
}

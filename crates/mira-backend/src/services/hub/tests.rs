//! What a panic in the middle of a turn does: that turn ends with an error, what was said is kept, the session goes on.

use super::{
    Hub,
    actor::{Accepted, Ask, Refusal},
    live::Live,
    log::Cursor,
};
use crate::{
    config::{Config, Env},
    datadir,
    lifecycle::Lifecycle,
    services::{memory, model},
    store_options,
};
use futures_util::{StreamExt, future::BoxFuture, stream, stream::BoxStream};
use mira_core::{
    chat::{ChatRequest, Mood},
    clock::{Clock, SystemClock},
    ids::AccountId,
    model::{Head, ModelEvent, ModelRequest},
    persona::PersonaName,
};
use mira_llm::{ChatModel, LlmError, SideReply};
use mira_memory::{BranchFrom, Store};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

/// A model whose next streams panic after some words; after them it is the one it wraps.
struct Panics {
    words: Mutex<VecDeque<&'static str>>,
    inner: Arc<dyn ChatModel>,
}

impl ChatModel for Panics {
    fn stream(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, LlmError>> {
        let Some(words) = self.words.lock().unwrap().pop_front() else {
            return self.inner.stream(request);
        };
        let head = ModelEvent::Head(Head {
            persona: PersonaName::parse("default").unwrap(),
            mood: Mood::first(),
            mood_cause: None,
        });
        let said = (!words.is_empty()).then(|| vec![head, ModelEvent::Text(words.to_owned())]);
        let said = stream::iter(said.unwrap_or_default().into_iter().map(Ok));
        // The words are heard before the panic: they are polled one by one.
        said.chain(stream::poll_fn(|_| panic!("a model that breaks"))).boxed()
    }

    fn complete(&self, request: ModelRequest, most: u32) -> BoxFuture<'static, Result<SideReply, LlmError>> {
        self.inner.complete(request, most)
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

fn say(content: &str) -> Ask {
    Ask::Send(ChatRequest {
        content: content.to_owned(),
        project_id: None,
        client_id: None,
        persona: None,
        parent_id: None,
        file_ids: Vec::new(),
        tz: None,
        metadata: None,
    })
}

/// A turn's events up to its end.
async fn hear(live: &Live, cursor: &mut Cursor) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let mut entries = Vec::new();
        live.log.read(cursor, 0, &mut entries).unwrap();
        for entry in entries.iter().filter(|entry| entry.seq.is_some()) {
            heard.push(serde_json::from_slice(&entry.frame).unwrap());
            if entry.kind == "done" {
                return heard;
            }
        }
        if live.log.is_at_end(cursor) {
            assert!(cursor.wait().await);
        }
    }
}

async fn turn(hub: &Hub, live: &Arc<Live>, content: &str) -> Vec<Value> {
    let (mut cursor, _) = live.log.listen();
    let accepted = hub.ask(live, say(content)).await.unwrap();
    assert!(matches!(accepted, Accepted::Turn { .. }));
    hear(live, &mut cursor).await
}

/// A turn that broke: one error, one end, and what was said is kept.
fn check(heard: &[Value], kept: Option<&str>) {
    let error = heard.iter().find(|event| event["type"] == "error").expect("an error");
    assert_eq!(error["error"]["type"], "urn:mira:problem:internal");
    assert_eq!(error["retryable"], true);
    assert!(
        !error.to_string().contains("breaks"),
        "what broke is for the log: {error}"
    );
    assert_eq!(error["message"]["content"].as_str(), kept);
    let outcome = if kept.is_some() { "interrupted" } else { "failed" };
    let ends: Vec<&Value> = heard.iter().filter(|event| event["type"] == "done").collect();
    assert_eq!((ends.len(), &ends[0]["outcome"]), (1, &Value::from(outcome)));
}

#[tokio::test]
async fn a_panic_ends_its_turn_and_nothing_else() {
    let dir = tempfile::TempDir::new().unwrap();
    let data = dir.path().join("data");
    let env = Env::from_pairs(&[("MIRA_DATA_DIR", data.to_str().unwrap()), ("MIRA_LLM_API", "rehearsal")]);
    let config = Config::from_env(&env).unwrap();
    datadir::make(&data).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(Store::open(store_options(&config), clock.now()).await.unwrap());
    let (life, metrics) = (Lifecycle::new(), Arc::default());
    let mut opened = model::open(&config.llm, &*clock, Arc::clone(&metrics)).await.unwrap();
    opened.model = Arc::new(Panics {
        words: Mutex::new(["", "She had said this much"].into()),
        inner: Arc::clone(&opened.model),
    });
    let memories = memory::open(&config, AccountId::OWNER, &store, &clock, &metrics)
        .await
        .unwrap();
    let hub = crate::open_hub(&config, &store, &clock, &metrics, &opened, memories, &life)
        .await
        .unwrap();
    let live = hub
        .live(AccountId::OWNER, &config.chat.session_id)
        .await
        .unwrap()
        .unwrap();

    // Before the first word, mostly before anybody was told of the turn: whoever asked hears of it, and the message that
    // was on its way is kept.
    let (mut cursor, _) = live.log.listen();
    match hub.ask(&live, say("one")).await {
        Ok(accepted) => assert!(matches!(accepted, Accepted::Turn { .. })),
        Err(refused) => assert!(matches!(refused, Refusal::Broken), "{refused}"),
    }
    check(&hear(&live, &mut cursor).await, None);
    // In the middle of its words, and again before the first.
    let words = "She had said this much";
    check(&turn(&hub, &live, "two").await, Some(words));
    let heard = turn(&hub, &live, "three").await;
    assert_eq!(heard.last().unwrap()["outcome"], "complete", "the session goes on");
    let page = store
        .branch(AccountId::OWNER, &live.id, BranchFrom::Head, 50, None)
        .await
        .unwrap();
    let said: Vec<&str> = page.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!(said[..4], ["one", "two", words, "three"]);
    assert!(life.drain(std::time::Duration::from_secs(5)).await);
    store.close().await;
}

//! What a panic in the middle of a turn does: that turn ends with an error, what was said is kept, the session goes on.

use super::{
    Hub,
    actor::{Accepted, Ask, Refusal},
    live::Live,
    log::Cursor,
    rig::{Rig, Said},
};
use futures_util::{StreamExt, stream};
use mira_core::{
    chat::{ChatRequest, Mood},
    ids::AccountId,
    model::{Head, ModelEvent},
    persona::PersonaName,
};
use mira_memory::BranchFrom;
use serde_json::Value;
use std::sync::Arc;

/// A model that panics after these words.
fn breaks_after(words: &str) -> Said {
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
    let words = "She had said this much";
    let rig = Rig::open(["", words].map(breaks_after)).await;
    let Rig { hub, store, config, .. } = &rig;
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
    check(&turn(hub, &live, "two").await, Some(words));
    let heard = turn(hub, &live, "three").await;
    assert_eq!(heard.last().unwrap()["outcome"], "complete", "the session goes on");
    let page = store
        .branch(AccountId::OWNER, &live.id, BranchFrom::Head, 50, None)
        .await
        .unwrap();
    let said: Vec<&str> = page.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!(said[..4], ["one", "two", words, "three"]);
    rig.end().await;
}

//! Replies that strangers' words led to: what their turn knew of it stays with them, whatever becomes of the rest.

use crate::{
    shelf::{Shelf, file, insert},
    support::*,
    tool_calls::{awkward, call, said},
    transfer::{export, import, same},
};
use mira_core::{
    chat::{Exposure, Message, MessageStatus},
    ids::{AccountId, MemoryId, MessageId, SessionId},
    memory::MemorySource,
    tool::Effect,
};
use mira_memory::{
    BeginOutcome, BeginTurn, CheckpointPart, FactPatch, FinishOutcome, PatchFactOutcome, ReplyHead, SendParent,
    StoreError,
};

/// Ends a turn whose prompt was this near to strangers' words.
pub async fn replied(fixture: &Fixture, turn: &BeginTurn, exposure: Option<Exposure>) -> Message {
    let mut end = fixture.end(turn, "So it is.");
    end.reply.as_mut().unwrap().exposure = exposure;
    match fixture.store.finish_turn(ME, end).await.unwrap() {
        FinishOutcome::Finished(Some(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// A question and a reply of such a turn.
pub async fn told(fixture: &Fixture, session: &SessionId, exposure: Option<Exposure>) -> (Message, Message) {
    let kind = send(fixture.message_id(), "And then?", SendParent::Head);
    let (turn, question) = fixture.begun(session, kind).await;
    let reply = replied(fixture, &turn, exposure).await;
    (question, reply)
}

async fn is_marked(fixture: &Fixture, id: MessageId) -> bool {
    let [memory] = &fixture.store.find_memories(ME, &[id.into()]).await.unwrap()[..] else {
        panic!("it is a memory")
    };
    memory.source == MemorySource::Tool
}

async fn exposure(fixture: &Fixture, id: MessageId) -> Exposure {
    fixture.store.find_message(ME, id).await.unwrap().unwrap().exposure
}

#[tokio::test]
async fn a_reply_is_as_exposed_as_its_turn() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    for (given, kept) in [
        (Some(Exposure::Clear), Exposure::Clear),
        (Some(Exposure::Retold), Exposure::Retold),
        (Some(Exposure::Direct), Exposure::Direct),
        // What nobody knows is not trusted.
        (None, Exposure::Direct),
    ] {
        let (question, reply) = told(&fixture, &session, given).await;
        assert_eq!(reply.exposure, kept);
        assert_eq!(store.find_message(ME, reply.id).await.unwrap().unwrap(), reply);
        assert_eq!(exposure(&fixture, question.id).await, Exposure::Clear);
        // Pinned before the indexer comes by, or not: the mark is the same.
        let pin = FactPatch {
            pinned: Some(true),
            ..FactPatch::default()
        };
        let pinned = store.patch_memory(ME, reply.id.into(), pin, now()).await.unwrap();
        let PatchFactOutcome::Patched(pinned) = pinned else {
            panic!("{pinned:?}")
        };
        assert_eq!(pinned.source == MemorySource::Tool, kept != Exposure::Clear);
        let (question_again, again) = told(&fixture, &session, given).await;
        fixture.write_documents(64).await;
        for (id, marked) in [
            (question.id, false),
            (question_again.id, false),
            (reply.id, kept != Exposure::Clear),
            (again.id, kept != Exposure::Clear),
        ] {
            assert_eq!(is_marked(&fixture, id).await, marked, "{given:?}");
        }
        let ids = [MemoryId::from(question.id), reply.id.into()];
        let direct = kept == Exposure::Direct;
        assert_eq!(store.has_direct(ME, &ids).await.unwrap(), direct);
        assert!(!store.has_direct(ME, &ids[..1]).await.unwrap());
        assert!(!store.has_direct(AccountId(2), &ids).await.unwrap());
    }
    // What the calls read counts, whatever the prompt was.
    let (_, read) = said(&fixture, &session, "Read it.", awkward()).await;
    assert_eq!(read.exposure, Exposure::Direct);
    assert_eq!(exposure(&fixture, read.id).await, Exposure::Direct);
}

#[tokio::test]
async fn the_mark_outlasts_the_file() {
    let (fixture, session) = Fixture::with_session().await;
    let shelf = Shelf::new();
    let sent = insert(&fixture.store, file(&shelf, 1, "a.txt", b"of cats")).await;
    let turn = BeginTurn {
        files: vec![sent.id],
        ..fixture.begin(&session, send(fixture.message_id(), "Look.", SendParent::Head))
    };
    let begun = fixture.store.begin_turn(ME, turn.clone()).await.unwrap();
    assert!(matches!(begun, BeginOutcome::Begun { .. }), "{begun:?}");
    let reply = replied(&fixture, &turn, Some(Exposure::Direct)).await;
    fixture.store.delete_file(ME, sent.id).await.unwrap().unwrap();
    fixture.write_documents(64).await;
    assert!(is_marked(&fixture, reply.id).await);
}

#[tokio::test]
async fn a_crash_keeps_the_mark() {
    let (fixture, _) = Fixture::with_session().await;
    let mut replies = Vec::new();
    for (n, (head, effect, kept)) in [
        (Some(Exposure::Clear), None, Exposure::Clear),
        (Some(Exposure::Retold), None, Exposure::Retold),
        (Some(Exposure::Direct), None, Exposure::Direct),
        (None, None, Exposure::Direct),
        // What was being read may have been heard: a provider's own tool reads within the answer.
        (Some(Exposure::Clear), Some(Effect::Read), Exposure::Direct),
        (Some(Exposure::Clear), Some(Effect::Outside), Exposure::Direct),
        (Some(Exposure::Clear), Some(Effect::Write), Exposure::Clear),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{n}");
        fixture.store.insert_session(ME, new_session(&name)).await.unwrap();
        let kind = send(fixture.message_id(), "Look.", SendParent::Head);
        let (turn, _) = fixture.begun(&session_id(&name), kind).await;
        let head = head.map(|exposure| ReplyHead {
            persona: persona("haven"),
            mood: mood("curious"),
            mood_cause: None,
            model: None,
            exposure,
        });
        let part = CheckpointPart {
            n: 0,
            text: "I am looking.".to_owned(),
            citations: Vec::new(),
            head,
        };
        fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
        if let Some(effect) = effect {
            let at_work = [call(n as u128, "code_interpreter", effect, "{}")];
            assert!(
                fixture
                    .store
                    .begin_tool_calls(ME, turn.turn_id, 0, &at_work)
                    .await
                    .unwrap()
            );
        }
        replies.push((turn.reply_id, kept));
    }
    let fixture = fixture.reopened().await;
    fixture.store.recover_turns(ME, now()).await.unwrap();
    fixture.write_documents(64).await;
    for (n, (id, kept)) in replies.into_iter().enumerate() {
        let reply = fixture.store.find_message(ME, id).await.unwrap().unwrap();
        assert_eq!(
            (reply.status, reply.exposure),
            (MessageStatus::Interrupted, kept),
            "{n}"
        );
        assert_eq!(is_marked(&fixture, id).await, kept != Exposure::Clear, "{n}");
    }
}

#[tokio::test]
async fn an_export_carries_how_exposed_a_reply_was() {
    let (fixture, session) = Fixture::with_session().await;
    let mut all = Vec::new();
    for exposure in [Exposure::Clear, Exposure::Retold, Exposure::Direct] {
        all.push((told(&fixture, &session, Some(exposure)).await.1, exposure));
    }
    all.push((
        said(&fixture, &session, "Read it.", awkward()).await.1,
        Exposure::Direct,
    ));
    let check = async |copy: &Fixture, expect: &[Exposure]| {
        copy.write_documents(64).await;
        for ((reply, _), expect) in all.iter().zip(expect) {
            let stored = copy.store.find_message(ME, reply.id).await.unwrap().unwrap();
            assert_eq!(stored.exposure, *expect, "{stored:?}");
            let memory = copy
                .store
                .find_memories(ME, &[reply.id.into()])
                .await
                .unwrap()
                .remove(0);
            assert_eq!(memory.source.is_trusted(), *expect == Exposure::Clear);
        }
    };
    let (lines, _) = export(&fixture.store).await;
    let copy = Fixture::new().await;
    import(&copy.store, &lines).await.unwrap();
    check(&copy, &all.iter().map(|(_, exposure)| *exposure).collect::<Vec<_>>()).await;
    same(&lines, &export(&copy.store).await.0);
    // Lines of before say nothing of it: the calls tell.
    let words = ["clear", "retold", "direct"].map(|word| format!("\"exposed\":\"{word}\","));
    let older: Vec<String> = lines
        .iter()
        .map(|line| words.iter().fold(line.clone(), |line, word| line.replace(word, "")))
        .collect();
    assert!(older.iter().all(|line| !line.contains("exposed")));
    let copy = Fixture::new().await;
    import(&copy.store, &older).await.unwrap();
    let (clear, direct) = (Exposure::Clear, Exposure::Direct);
    check(&copy, &[clear, clear, clear, direct]).await;
    // The owner's own messages are never marked.
    let mut bad = lines.clone();
    let at = bad.iter().position(|line| line.contains("\"role\":\"user\"")).unwrap();
    bad[at] = bad[at].replacen("\"created_at\"", "\"exposed\":\"direct\",\"created_at\"", 1);
    match import(&Fixture::new().await.store, &bad).await {
        Err(StoreError::Import { line, .. }) => assert_eq!(line, at as u64 + 1),
        other => panic!("{other:?}"),
    }
}

/// A file of before has no marks but what can be told from it: calls, files, memories, and what was near them.
#[tokio::test]
async fn the_migration_marks_what_it_can_tell() {
    let (fixture, session) = Fixture::with_session().await;
    for name in ["other", "gone"] {
        fixture.store.insert_session(ME, new_session(name)).await.unwrap();
    }
    let clear = Some(Exposure::Clear);
    let before = told(&fixture, &session, clear).await;
    let (question, read) = said(&fixture, &session, "Read it.", awkward()).await;
    let mut after = Vec::new();
    for _ in 0..16 {
        after.push(told(&fixture, &session, clear).await);
    }
    let other = told(&fixture, &session_id("other"), clear).await;
    // Of this one only its memory is left to tell.
    let gone = told(&fixture, &session_id("gone"), Some(Exposure::Direct)).await;
    let next = told(&fixture, &session_id("gone"), clear).await;
    fixture.write_documents(100).await;
    let options = options(&fixture.dir);
    fixture.store.close().await;
    revert_to(&options, 13, now()).await;
    let fixture = fixture.reopened().await;
    let (near, far) = after.split_at(15);
    let direct = [read.id, gone.1.id, next.1.id];
    let clear = [before.0.id, before.1.id, question.id, other.0.id, other.1.id, gone.0.id];
    let direct = direct.into_iter().chain(near.iter().map(|(_, reply)| reply.id));
    let owners = after.iter().map(|(question, _)| question.id);
    let clear = clear
        .into_iter()
        .chain(owners)
        .chain(far.iter().map(|(_, reply)| reply.id));
    for (id, kept) in direct
        .map(|id| (id, Exposure::Direct))
        .chain(clear.map(|id| (id, Exposure::Clear)))
    {
        assert_eq!(exposure(&fixture, id).await, kept, "{id}");
        assert_eq!(is_marked(&fixture, id).await, kept == Exposure::Direct, "{id}");
    }
}

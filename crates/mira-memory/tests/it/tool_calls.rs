//! Tool calls: kept with the reply, through a crash, an export and a migration, and forgotten with what they quote.

use crate::{
    facts::{fact, id, key, stored},
    support::*,
};
use mira_core::{
    chat::{Message, MessageStatus},
    ids::{AccountId, SessionId, ToolCallId},
    tool::{CallOutcome, CallStatus, Effect, ToolCall},
};
use mira_memory::{
    BeginKind, BeginTurn, BranchFrom, CheckpointPart, FactPatch, FinishOutcome, Page, Recovered, SendParent, TurnState,
    search_files,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

pub fn call(n: u128, tool: &str, effect: Effect, arguments: &str) -> ToolCall {
    ToolCall {
        id: ToolCallId(Uuid::from_u128(0x7001_0000 + n)),
        tool: tool.to_owned(),
        arguments: arguments.to_owned(),
        effect,
        outcome: None,
    }
}

fn done(mut call: ToolCall, output: &str, data: Value) -> ToolCall {
    call.outcome = Some(CallOutcome {
        status: CallStatus::Ok,
        output: output.to_owned(),
        data,
        untrusted: false,
    });
    call
}

/// What is left of a call whose words are forgotten.
fn bare(call: &ToolCall) -> ToolCall {
    let call = call.clone();
    let outcome = call.outcome.map(|outcome| CallOutcome {
        output: String::new(),
        data: json!({}),
        ..outcome
    });
    ToolCall {
        arguments: "{}".to_owned(),
        outcome,
        ..call
    }
}

/// Calls as awkward as they come: text that is no JSON, escapes, nothing said, strangers' words.
pub fn awkward() -> Vec<ToolCall> {
    let failed = ToolCall {
        outcome: Some(CallOutcome::unsuccessful(CallStatus::Denied, "no \"such\" thing\n")),
        ..call(2, "forget", Effect::Write, "{\"memories\": [")
    };
    let mut fetched = done(
        call(
            3,
            "fetch_page",
            Effect::Outside,
            "{\"url\":\"https://example.org/\\u00e9\"}",
        ),
        "東京 \u{0} \\ \u{1F600}",
        json!({"z": 1, "a": [0.5, null, {"deep": "\u{7f}"}]}),
    );
    if let Some(outcome) = &mut fetched.outcome {
        outcome.untrusted = true;
    }
    vec![
        done(call(1, "recall", Effect::Read, ""), "", json!({})),
        failed,
        fetched,
    ]
}

async fn finished(fixture: &Fixture, turn: &BeginTurn, text: &str, calls: Vec<ToolCall>) -> Message {
    let mut end = fixture.end(turn, text);
    if let Some(reply) = &mut end.reply {
        reply.tool_calls = calls;
    }
    match fixture.store.finish_turn(ME, end).await.unwrap() {
        FinishOutcome::Finished(Some(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// A question and a reply that called these tools.
pub async fn said(fixture: &Fixture, session: &SessionId, text: &str, calls: Vec<ToolCall>) -> (Message, Message) {
    let (turn, question) = fixture
        .begun(session, send(fixture.message_id(), text, SendParent::Head))
        .await;
    let reply = finished(fixture, &turn, "Done.", calls).await;
    (question, reply)
}

pub async fn calls_of(fixture: &Fixture, message: &Message) -> Vec<ToolCall> {
    fixture
        .store
        .find_message(ME, message.id)
        .await
        .unwrap()
        .unwrap()
        .tool_calls
}

async fn running(fixture: &Fixture, session: &SessionId, text: &str) -> BeginTurn {
    fixture
        .begun(session, send(fixture.message_id(), text, SendParent::Head))
        .await
        .0
}

async fn checkpoint(fixture: &Fixture, turn: &BeginTurn, text: &str) {
    let part = CheckpointPart {
        n: 0,
        text: text.to_owned(),
        citations: Vec::new(),
        head: None,
    };
    fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
}

// ---- kept ---------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn calls_are_read_as_they_were_stored() {
    let (fixture, session) = Fixture::with_session().await;
    let calls = awkward();
    let (_, reply) = said(&fixture, &session, "look at 東京", calls.clone()).await;
    assert_eq!(reply.tool_calls, calls);
    assert_eq!(calls_of(&fixture, &reply).await, calls);
    let column: String = {
        let mut conn = fixture.connect().await;
        sqlx::query_scalar("SELECT tool_calls FROM messages WHERE tool_calls IS NOT NULL")
            .fetch_one(&mut conn)
            .await
            .unwrap()
    };
    assert_eq!(column, serde_json::to_string(&calls).unwrap());
    // Wherever messages are read.
    let page = fixture
        .store
        .branch(ME, &session, BranchFrom::Head, 5, None)
        .await
        .unwrap();
    assert_eq!(page.messages.last(), Some(&reply));
    let hits = fixture.store.search(ME, "done", Page::first(5)).await.unwrap();
    assert_eq!(
        (&hits.items[0].message, hits.items[0].session_title.as_deref()),
        (&reply, Some("a title"))
    );
    // What tools brought is not among the words of the conversation.
    let hits = fixture.store.search(ME, "example", Page::first(5)).await.unwrap();
    assert_eq!(hits.items, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_call_says_is_kept(arguments in any::<String>(), output in any::<String>(), value in any::<String>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (fixture, session) = Fixture::with_session().await;
            let at_work = call(1, "t", Effect::Write, &arguments);
            let calls = vec![done(at_work.clone(), &output, json!({ value.as_str(): value }))];
            let turn = running(&fixture, &session, "q").await;
            assert!(fixture.store.begin_tool_calls(ME, turn.turn_id, 0, &[at_work]).await.unwrap());
            fixture.store.end_tool_call(ME, turn.turn_id, 0, &calls[0]).await.unwrap();
            checkpoint(&fixture, &turn, "text").await;
            fixture.store.recover_turns(ME, now()).await.unwrap();
            let reply = fixture.store.find_message(ME, turn.reply_id).await.unwrap().unwrap();
            assert_eq!(reply.tool_calls, calls);
        });
    }
}

#[tokio::test]
async fn who_calls_nothing_pays_nothing() {
    let (fixture, session) = Fixture::with_session().await;
    let (_, reply) = fixture.say(&session, "q", "a").await;
    assert_eq!(reply.tool_calls, []);
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM messages WHERE tool_calls IS NOT NULL")
            .await,
        0
    );
    // Rows without calls are in no index of calls, and the scan for quotes passes them over.
    let mut conn = fixture.connect().await;
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(
        "EXPLAIN QUERY PLAN
         SELECT id, ord, session_id, tool_calls FROM messages WHERE account_id = 1 AND tool_calls IS NOT NULL",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert!(plan.iter().any(|step| step.3.contains("messages_tools")), "{plan:?}");
}

#[tokio::test]
async fn the_rows_of_a_running_turn_go_with_it() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    let rows = async || fixture.count("SELECT count(*) FROM turn_calls").await;
    let calls = [
        call(1, "recall", Effect::Read, "{}"),
        call(2, "remember", Effect::Write, "{}"),
    ];
    let turn = running(&fixture, &session, "q").await;
    assert!(store.begin_tool_calls(ME, turn.turn_id, 0, &calls).await.unwrap());
    assert!(store.begin_tool_calls(ME, turn.turn_id, 2, &calls[..1]).await.unwrap());
    assert!(store.begin_tool_calls(ME, turn.turn_id, 3, &[]).await.unwrap());
    assert_eq!(rows().await, 3);
    // Nobody else's, and no turn's that is not there.
    let other = AccountId(2);
    assert!(!store.begin_tool_calls(other, turn.turn_id, 5, &calls).await.unwrap());
    let ended = done(calls[0].clone(), "x", json!({}));
    store.end_tool_call(other, turn.turn_id, 0, &ended).await.unwrap();
    store.end_tool_call(ME, turn.turn_id, 77, &ended).await.unwrap();
    assert!(!store.begin_tool_calls(ME, fixture.turn_id(), 0, &calls).await.unwrap());
    assert_eq!(rows().await, 3);
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM turn_calls WHERE call LIKE '%outcome%'")
            .await,
        0
    );
    finished(&fixture, &turn, "a", calls.to_vec()).await;
    assert_eq!(rows().await, 0);
    assert!(!store.begin_tool_calls(ME, turn.turn_id, 0, &calls).await.unwrap());
    store.end_tool_call(ME, turn.turn_id, 0, &ended).await.unwrap();
    assert_eq!(rows().await, 0);
    // Without a reply, and with its session.
    for clear in [false, true] {
        let turn = running(&fixture, &session, "again").await;
        assert!(store.begin_tool_calls(ME, turn.turn_id, 0, &calls).await.unwrap());
        if clear {
            store.clear_session(ME, &session, now()).await.unwrap();
        } else {
            let mut end = fixture.end(&turn, "");
            (end.reply, end.mira, end.state) = (None, None, TurnState::Failed);
            store.finish_turn(ME, end).await.unwrap();
        }
        assert_eq!(rows().await, 0);
    }
}

#[tokio::test]
async fn a_crash_keeps_what_was_called() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    let turn = running(&fixture, &session, "remember it").await;
    let calls = [
        call(1, "recall", Effect::Read, "{\"question\":\"it\"}"),
        call(2, "remember", Effect::Write, "{\"text\":\"it\"}"),
    ];
    checkpoint(&fixture, &turn, "One moment.").await;
    assert!(store.begin_tool_calls(ME, turn.turn_id, 0, &calls).await.unwrap());
    let ended = done(calls[0].clone(), "nothing", json!({"memories": []}));
    store.end_tool_call(ME, turn.turn_id, 0, &ended).await.unwrap();
    let silent = running(&fixture, &session, "and this").await;
    assert!(store.begin_tool_calls(ME, silent.turn_id, 0, &calls).await.unwrap());
    let fixture = fixture.reopened().await;
    let recovered = fixture.store.recover_turns(ME, now()).await.unwrap();
    assert_eq!(
        recovered,
        Recovered {
            interrupted: 1,
            failed: 1
        }
    );
    let reply = fixture.store.find_message(ME, turn.reply_id).await.unwrap().unwrap();
    assert_eq!(
        (reply.status, reply.content.as_str()),
        (MessageStatus::Interrupted, "One moment.")
    );
    let cut_off = CallOutcome::unsuccessful(
        CallStatus::Failed,
        "Mira was cut off while this ran; whether it took effect is not known",
    );
    let [_, second] = calls;
    let second = ToolCall {
        outcome: Some(cut_off),
        ..second
    };
    assert_eq!(reply.tool_calls, [ended, second]);
    assert_eq!(fixture.store.find_message(ME, silent.reply_id).await.unwrap(), None);
    assert_eq!(fixture.count("SELECT count(*) FROM turn_calls").await, 0);
}

// ---- forgotten ----------------------------------------------------------------------------------------------------

/// Nowhere in a table, and after the scrubbing nowhere in a file.
async fn is_gone(fixture: &Fixture, texts: &[&str]) {
    for text in texts {
        assert_eq!(fixture.store.search_forgotten(text).await.unwrap(), [], "{text}");
    }
    let report = fixture.store.scrub().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    for text in texts {
        let files = search_files(fixture.dir.path(), text).await.unwrap();
        assert!(files.is_empty(), "{text}: {files:?}");
    }
}

#[tokio::test]
async fn a_forgotten_question_empties_the_calls_of_its_replies() {
    let (fixture, session) = Fixture::with_session().await;
    let calls = vec![
        done(
            call(
                1,
                "recall",
                Effect::Read,
                "{\"question\":\"Qzxvorbing in other words\"}",
            ),
            "xylographqq",
            json!({"memories": [{"text": "wyvernqqq"}]}),
        ),
        ToolCall {
            outcome: Some(CallOutcome::unsuccessful(CallStatus::Failed, "no jackdawqqq")),
            ..call(2, "fetch_page", Effect::Outside, "kumquatqqq")
        },
    ];
    let (question, reply) = said(&fixture, &session, "Look up my Qzxvorbing", calls.clone()).await;
    let again = BeginKind::Regenerate {
        message_id: question.id,
    };
    let (turn, _) = fixture.begun(&session, again).await;
    let other = finished(&fixture, &turn, "Once more.", calls.clone()).await;
    let unrelated = vec![done(call(3, "recall", Effect::Read, "{}"), "sheep", json!({"n": 1}))];
    let (_, kept) = said(&fixture, &session, "something else", unrelated.clone()).await;
    let forgotten = fixture
        .store
        .forget(ME, question.id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(forgotten.sessions, std::slice::from_ref(&session));
    let bare: Vec<ToolCall> = calls.iter().map(bare).collect();
    assert_eq!(calls_of(&fixture, &reply).await, bare);
    assert_eq!(calls_of(&fixture, &other).await, bare);
    assert_eq!(bare[1].outcome.as_ref().unwrap().status, CallStatus::Failed);
    assert_eq!(calls_of(&fixture, &kept).await, unrelated);
    is_gone(
        &fixture,
        &["qzxvorbing", "xylographqq", "wyvernqqq", "jackdawqqq", "kumquatqqq"],
    )
    .await;
}

#[tokio::test]
async fn a_forgotten_reply_takes_the_words_of_its_calls_along() {
    let (fixture, session) = Fixture::with_session().await;
    let calls = vec![done(
        call(1, "recall", Effect::Read, "{\"question\":\"xylographqq\"}"),
        "wyvernqqq",
        json!({"memories": ["wyvernqqq"]}),
    )];
    let (question, reply) = said(&fixture, &session, "a question", calls.clone()).await;
    fixture
        .store
        .forget(ME, reply.id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    let left = fixture.store.find_message(ME, reply.id).await.unwrap().unwrap();
    assert_eq!(left.status, MessageStatus::Forgotten);
    assert_eq!(left.tool_calls, [bare(&calls[0])]);
    assert_eq!(fixture.texts(&session).await, ["a question", ""]);
    assert_eq!(question.tool_calls, []);
    is_gone(&fixture, &["xylographqq", "wyvernqqq"]).await;
}

/// Memory tools print memories: in these words, in part under their id, escaped, in replies of any session.
#[tokio::test]
async fn a_forgotten_fact_is_in_no_call() {
    let (fixture, session) = Fixture::with_session().await;
    let other = session_id("other");
    fixture.store.insert_session(ME, new_session("other")).await.unwrap();
    let text = "Owns a \"Gräfin\" xylographqq.";
    stored(&fixture, fact(1, "owner", text)).await;
    let quoting = vec![
        done(
            call(1, "recall", Effect::Read, "{\"question\":\"what do I own\"}"),
            text,
            json!({}),
        ),
        done(
            call(2, "recall", Effect::Read, "{}"),
            "",
            json!({"memories": [{"text": text}]}),
        ),
        done(
            call(
                3,
                "remember",
                Effect::Write,
                "{\"text\":\"owns a \\\"Gr\\u00e4fin\\\"\\nxylographqq\"}",
            ),
            "kept",
            json!({}),
        ),
        done(
            call(4, "recall", Effect::Read, "{}"),
            &format!("{} | Owns a \u{201C}Gr\u{2026}", id(1)),
            json!({}),
        ),
    ];
    let innocent = done(
        call(5, "recall", Effect::Read, "{\"question\":\"xylographqqs\"}"),
        "Owns a wyvern.",
        json!({"n": 2}),
    );
    let mut calls = quoting.clone();
    calls.push(innocent.clone());
    let (_, first) = said(&fixture, &session, "what do I own?", calls.clone()).await;
    let (_, second) = said(&fixture, &other, "and here?", vec![quoting[0].clone()]).await;
    let forgotten = fixture.store.forget(ME, id(1), &key(), now()).await.unwrap().unwrap();
    let mut sessions = forgotten.sessions;
    sessions.sort();
    assert_eq!(sessions, [other, session]);
    let mut expect: Vec<ToolCall> = quoting.iter().map(bare).collect();
    assert_eq!(calls_of(&fixture, &second).await, expect[..1]);
    expect.push(innocent);
    assert_eq!(calls_of(&fixture, &first).await, expect);
    is_gone(&fixture, &[text, "Owns a \"Gr", "gr\\u00e4fin"]).await;
}

/// The words before a correction are kept nowhere, the fact's id is.
#[tokio::test]
async fn a_corrected_fact_is_quoted_by_no_call() {
    let (fixture, session) = Fixture::with_session().await;
    stored(&fixture, fact(1, "owner", "Lives in Xylographqq.")).await;
    let calls = vec![
        done(
            call(1, "recall", Effect::Read, "{}"),
            "Lives in Xylographqq.",
            json!({}),
        ),
        done(call(2, "recall", Effect::Read, "{}"), &id(1).to_string(), json!({})),
    ];
    let (_, reply) = said(&fixture, &session, "where do I live?", calls.clone()).await;
    let change = FactPatch {
        text: Some("Lives in Linz.".to_owned()),
        ..FactPatch::default()
    };
    fixture.store.patch_memory(ME, id(1), change, now()).await.unwrap();
    assert_eq!(calls_of(&fixture, &reply).await, [bare(&calls[0]), calls[1].clone()]);
    is_gone(&fixture, &["xylographqq"]).await;
}

/// What a search brought of a message goes with it; what everybody says is no quotation.
#[tokio::test]
async fn a_forgotten_message_is_quoted_by_no_call() {
    let (fixture, session) = Fixture::with_session().await;
    let long = "Listen well. I hid the spare xylographqq below the old pear tree! Ok?";
    let (message, _) = fixture.say(&session, long, "I see").await;
    let (short, _) = fixture.say(&session, "Yes.", "I see").await;
    let search = |n, output: &str| done(call(n, "search", Effect::Read, "{}"), output, json!({}));
    let calls = vec![
        search(1, "…I hid the spare  XYLOGRAPHQQ below the old pear tree… and so on"),
        search(2, &format!("{} | … the spare xylogr…", message.id)),
        search(3, &format!("{} | Yes.", short.id)),
        search(4, "yes, ok, listen well"),
        search(5, "xylographqq"),
    ];
    let (_, reply) = said(&fixture, &session, "where is it?", calls.clone()).await;
    let mut expect = calls.clone();
    for (message, emptied) in [(short, &[2_usize][..]), (message, &[0, 1])] {
        fixture
            .store
            .forget(ME, message.id.into(), &key(), now())
            .await
            .unwrap()
            .unwrap();
        for &at in emptied {
            expect[at] = bare(&calls[at]);
        }
        assert_eq!(calls_of(&fixture, &reply).await, expect);
    }
    is_gone(&fixture, &["the spare xylogr", "pear tree"]).await;
}

#[tokio::test]
async fn what_is_forgotten_while_tools_run_is_not_stored_later() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    stored(&fixture, fact(1, "owner", "Owns a xylographqq.")).await;
    let turn = running(&fixture, &session, "forget what I own").await;
    let recall = call(1, "recall", Effect::Read, "{\"question\":\"what I own\"}");
    let recalled = done(recall.clone(), "Owns a xylographqq.", json!({"memories": [id(1)]}));
    let reads = call(2, "recall", Effect::Read, "{}");
    let forget = call(3, "forget", Effect::Write, &json!({ "memories": [id(1)] }).to_string());
    let other = call(4, "remember", Effect::Write, "{\"text\":\"sheep\"}");
    let begun = [recall, reads.clone(), forget.clone(), other.clone()];
    assert!(store.begin_tool_calls(ME, turn.turn_id, 0, &begun).await.unwrap());
    store.end_tool_call(ME, turn.turn_id, 0, &recalled).await.unwrap();
    store.forget(ME, id(1), &key(), now()).await.unwrap().unwrap();
    assert_eq!(store.search_forgotten("xylographqq").await.unwrap(), []);
    // Those at work end with what they read before.
    let read = done(reads, "Owns a xylographqq.", json!({}));
    let forgot = done(forget, "1 forgotten: Owns a xylographqq.", json!({"memories": [id(1)]}));
    let remembered = done(other, "kept", json!({"memory_id": id(2)}));
    for (n, call) in [(1, &read), (2, &forgot), (3, &remembered)] {
        store.end_tool_call(ME, turn.turn_id, n, call).await.unwrap();
    }
    assert_eq!(store.search_forgotten("xylographqq").await.unwrap(), []);
    let calls = vec![recalled, read, forgot, remembered];
    let reply = finished(&fixture, &turn, "It is gone.", calls.clone()).await;
    let expect = [bare(&calls[0]), bare(&calls[1]), bare(&calls[2]), calls[3].clone()];
    assert_eq!(reply.tool_calls, expect);
    assert_eq!(calls_of(&fixture, &reply).await, expect);
    is_gone(&fixture, &["xylographqq"]).await;
}

#[tokio::test]
async fn a_question_is_forgotten_while_tools_run_for_it() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    let (turn, question) = fixture
        .begun(&session, send(fixture.message_id(), "my wyvernqqq", SendParent::Head))
        .await;
    let first = call(1, "remember", Effect::Write, "{\"text\":\"has a wyvernqqq\"}");
    let begun = std::slice::from_ref(&first);
    assert!(store.begin_tool_calls(ME, turn.turn_id, 0, begun).await.unwrap());
    store
        .forget(ME, question.id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.search_forgotten("wyvernqqq").await.unwrap(), []);
    let first = done(first, "has a wyvernqqq", json!({}));
    store.end_tool_call(ME, turn.turn_id, 0, &first).await.unwrap();
    let second = call(2, "recall", Effect::Read, "{\"question\":\"wyvernqqq\"}");
    let begun = std::slice::from_ref(&second);
    assert!(store.begin_tool_calls(ME, turn.turn_id, 1, begun).await.unwrap());
    assert_eq!(store.search_forgotten("wyvernqqq").await.unwrap(), []);
    checkpoint(&fixture, &turn, "go on").await;
    let fixture = fixture.reopened().await;
    fixture.store.recover_turns(ME, now()).await.unwrap();
    let reply = fixture.store.find_message(ME, turn.reply_id).await.unwrap().unwrap();
    assert_eq!(reply.tool_calls[0], bare(&first));
    assert_eq!(reply.tool_calls.len(), 2);
    is_gone(&fixture, &["wyvernqqq"]).await;
}

#[tokio::test]
async fn nothing_of_another_account_is_touched() {
    let (fixture, session) = Fixture::with_session().await;
    stored(&fixture, fact(1, "owner", "Owns a xylographqq.")).await;
    let calls = vec![done(
        call(1, "recall", Effect::Read, "{}"),
        "Owns a xylographqq.",
        json!({}),
    )];
    let (_, reply) = said(&fixture, &session, "q", calls.clone()).await;
    let turn = running(&fixture, &session, "r").await;
    assert!(
        fixture
            .store
            .begin_tool_calls(ME, turn.turn_id, 0, &calls)
            .await
            .unwrap()
    );
    fixture
        .execute(
            "INSERT INTO accounts (id, name) VALUES (2, 'guest');
             INSERT INTO memories (account_id, id, kind, about, text, source, valid_from, created_at, updated_at)
             VALUES (2, x'000000000000000000000000000000f1', 'fact', 'owner', 'Owns a xylographqq.', 'tool', 1, 1, 1)",
        )
        .await;
    let guest = AccountId(2);
    let theirs = mira_core::ids::MemoryId(Uuid::from_u128(0xf1));
    let forgotten = fixture
        .store
        .forget(guest, theirs, &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(forgotten.sessions, []);
    assert_eq!(calls_of(&fixture, &reply).await, calls);
    assert_eq!(
        fixture.count("SELECT count(*) FROM turn_calls WHERE emptied = 0").await,
        1
    );
}

// ---- the migration --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_file_from_before_tools_is_taken_up_and_given_back() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, a) = fixture.say(&session, "the first question 東京", "the answer").await;
    let options = options(&fixture.dir);
    fixture.store.close().await;
    revert_to(&options, 2, now() - jiff::SignedDuration::from_secs(60)).await;
    let tables = "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%tool_calls%' OR sql LIKE '%turn_calls%'";
    assert_eq!(fixture.count(tables).await, 0);
    assert_eq!(fixture.count("SELECT user_version FROM pragma_user_version").await, 2);
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.find_message(ME, q.id).await.unwrap().unwrap(), q);
    assert_eq!(fixture.store.find_message(ME, a.id).await.unwrap().unwrap(), a);
    let (_, reply) = said(&fixture, &session, "and now", awkward()).await;
    assert_eq!(calls_of(&fixture, &reply).await, awkward());
    let turn = running(&fixture, &session, "more").await;
    let calls = awkward();
    assert!(
        fixture
            .store
            .begin_tool_calls(ME, turn.turn_id, 0, &calls)
            .await
            .unwrap()
    );
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
    // Back, with calls in it: only they are lost.
    fixture.store.close().await;
    revert_to(&options, 2, now() + jiff::SignedDuration::from_secs(60)).await;
    assert_eq!(fixture.count(tables).await, 0);
    assert_eq!(fixture.count("SELECT count(*) FROM messages").await, 5);
    std::fs::remove_dir_all(&options.backup_dir).unwrap();
    let fixture = fixture.reopened().await;
    let left = fixture.store.find_message(ME, reply.id).await.unwrap().unwrap();
    assert_eq!((left.content, left.tool_calls), (reply.content, Vec::new()));
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
    let hits = fixture.store.search(ME, "answer", Page::first(5)).await.unwrap();
    assert_eq!(hits.items.len(), 1);
}

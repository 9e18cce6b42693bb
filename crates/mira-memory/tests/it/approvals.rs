//! Approvals: answered once, expired in time, kept through a crash, forgotten with what they quote; and citations, kept
//! and forgotten beside calls.

use crate::{
    facts::{fact, key, stored},
    support::*,
};
use mira_core::{
    approval::{Answer, Approval, ApprovalStatus, Reason},
    citation::{Citation, Source},
    ids::{AccountId, ApprovalId, ToolCallId},
    tool::{CallOutcome, CallStatus, Effect, ToolCall},
};
use mira_memory::{Answered, BeginTurn, CheckpointPart, FinishOutcome, Page, SendParent, TurnState};
use serde_json::json;
use uuid::Uuid;

fn approval(turn: &BeginTurn, n: u128, arguments: &str) -> Approval {
    Approval {
        id: ApprovalId(Uuid::from_u128(0xA000 + n)),
        session_id: turn.session.clone(),
        turn_id: turn.turn_id,
        reply_id: turn.reply_id,
        message_id: None,
        project_id: None,
        call: ToolCall {
            id: ToolCallId(Uuid::from_u128(0xC000 + n)),
            tool: "send_letter".to_owned(),
            arguments: arguments.to_owned(),
            effect: Effect::Outside,
            outcome: None,
        },
        reason: Reason::Untrusted,
        untrusted: true,
        zone: Some("Europe/Vienna".to_owned()),
        status: ApprovalStatus::Pending,
        created_at: now(),
        expires_at: later(600),
        answered_at: None,
    }
}

fn later(seconds: i64) -> jiff::Timestamp {
    now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap()
}

fn sent() -> CallOutcome {
    CallOutcome {
        status: CallStatus::Ok,
        output: "sent".to_owned(),
        data: json!({ "sent": true }),
        untrusted: false,
    }
}

async fn asked(count: u128) -> (Fixture, BeginTurn, Vec<Approval>) {
    let (fixture, session) = Fixture::with_session().await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "Write to Anna.", SendParent::Head))
        .await;
    let all: Vec<Approval> = (0..count).map(|n| approval(&turn, n, r#"{"to":"Anna"}"#)).collect();
    fixture.store.insert_approvals(ME, all.clone(), now()).await.unwrap();
    (fixture, turn, all)
}

async fn statuses(fixture: &Fixture, all: &[Approval], seconds: i64) -> Vec<ApprovalStatus> {
    let mut found = Vec::new();
    for approval in all {
        let approval = fixture
            .store
            .find_approval(ME, approval.id, later(seconds))
            .await
            .unwrap();
        found.push(approval.unwrap().status);
    }
    found
}

#[tokio::test]
async fn the_first_answer_counts() {
    let (fixture, _, all) = asked(2).await;
    let answer = |id, answer, at| fixture.store.answer_approval(ME, id, answer, later(at));
    assert_eq!(
        fixture.store.find_approval(ME, all[0].id, now()).await.unwrap(),
        Some(all[0].clone())
    );
    let (one, other) = tokio::join!(
        answer(all[0].id, Answer::Approve, 1),
        answer(all[0].id, Answer::Deny, 2)
    );
    let both = [one.unwrap().unwrap(), other.unwrap().unwrap()];
    let counted = both.iter().filter(|it| matches!(it, Answered::Now(_))).count();
    assert_eq!(counted, 1, "{both:?}");
    // Too late, and just in time.
    let late = answer(all[1].id, Answer::Approve, 600).await.unwrap().unwrap();
    assert!(matches!(late, Answered::Before(it) if it.status == ApprovalStatus::Expired));
    assert!(matches!(
        answer(all[1].id, Answer::Deny, 599).await.unwrap().unwrap(),
        Answered::Now(it) if it.status == ApprovalStatus::Denied && it.answered_at == Some(later(599))
    ));
    // Nobody else's.
    assert_eq!(
        fixture
            .store
            .answer_approval(AccountId(2), all[1].id, Answer::Deny, now())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        fixture
            .store
            .find_approval(AccountId(2), all[1].id, now())
            .await
            .unwrap(),
        None
    );
    assert_eq!(answer(ApprovalId(Uuid::nil()), Answer::Deny, 0).await.unwrap(), None);
}

#[tokio::test]
async fn waiting_ends_once() {
    use ApprovalStatus::{Approved, Expired, Pending, Void};
    let (fixture, _, all) = asked(3).await;
    let store = &fixture.store;
    store
        .answer_approval(ME, all[0].id, Answer::Approve, later(1))
        .await
        .unwrap();
    for (approval, status) in all.iter().zip([Void, Void, Expired]) {
        store.end_approval(ME, approval.id, status, later(601)).await.unwrap();
    }
    assert_eq!(statuses(&fixture, &all, 700).await, [Approved, Void, Expired]);
    let list = |status, at| store.list_approvals(ME, status, Page::first(10), later(at));
    assert_eq!(list(None, 0).await.unwrap().items.len(), 3);
    assert_eq!(list(Some(Expired), 0).await.unwrap().items[0].id, all[2].id);
    assert_eq!(list(Some(Pending), 0).await.unwrap().items, []);
    // An answer nobody noted: the clock tells.
    let (fixture, _, all) = asked(1).await;
    let list = |status, at| fixture.store.list_approvals(ME, status, Page::first(10), later(at));
    assert_eq!(list(Some(Pending), 599).await.unwrap().items.len(), 1);
    assert_eq!(list(Some(Pending), 600).await.unwrap().items, []);
    assert_eq!(list(Some(Expired), 600).await.unwrap().items[0].id, all[0].id);
    // A month later they are gone.
    fixture
        .store
        .recover_approvals(ME, later(31 * 24 * 3600))
        .await
        .unwrap();
    assert_eq!(list(None, 0).await.unwrap().items, []);
}

#[tokio::test]
async fn a_crash_leaves_what_waits_and_ends_what_ran() {
    let (fixture, turn, all) = asked(2).await;
    let calls: Vec<ToolCall> = all.iter().map(|approval| approval.call.clone()).collect();
    fixture
        .store
        .begin_tool_calls(ME, turn.turn_id, 0, &calls)
        .await
        .unwrap();
    let part = CheckpointPart {
        n: 0,
        text: "One moment.".to_owned(),
        citations: Vec::new(),
        head: None,
    };
    fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
    let store = &fixture.store;
    store
        .answer_approval(ME, all[1].id, Answer::Approve, later(1))
        .await
        .unwrap();
    store.recover_turns(ME, later(2)).await.unwrap();
    store.recover_approvals(ME, later(2)).await.unwrap();
    let reply = || async { store.find_message(ME, turn.reply_id).await.unwrap().unwrap() };
    let outcomes: Vec<CallOutcome> = reply()
        .await
        .tool_calls
        .into_iter()
        .filter_map(|call| call.outcome)
        .collect();
    assert_eq!(
        (outcomes[0].status, outcomes[1].status),
        (CallStatus::Denied, CallStatus::Failed)
    );
    assert!(outcomes[0].output.contains("has not run"), "{outcomes:?}");
    assert!(outcomes[1].output.contains("not known"), "{outcomes:?}");
    // The one that waits can still be answered; what comes of it stands in the reply.
    store
        .answer_approval(ME, all[0].id, Answer::Approve, later(3))
        .await
        .unwrap();
    let finished = store
        .finish_approval(ME, all[0].id, &sent(), later(3))
        .await
        .unwrap()
        .unwrap();
    assert!(finished.in_reply);
    assert_eq!(finished.approval.call.outcome, Some(sent()));
    assert_eq!(reply().await.tool_calls[0].outcome, Some(sent()));
    let found = store.find_approval(ME, all[0].id, later(4)).await.unwrap().unwrap();
    assert_eq!(
        (found.status, found.call.outcome),
        (ApprovalStatus::Approved, Some(sent()))
    );
}

#[tokio::test]
async fn approvals_go_with_their_session() {
    let (fixture, turn, all) = asked(1).await;
    fixture.store.clear_session(ME, &turn.session, now()).await.unwrap();
    assert_eq!(fixture.store.find_approval(ME, all[0].id, now()).await.unwrap(), None);
    assert_eq!(
        fixture
            .store
            .finish_approval(ME, all[0].id, &sent(), now())
            .await
            .unwrap(),
        None
    );
}

fn cited(n: u32, title: &str, snippet: &str) -> Citation {
    Citation {
        index: n,
        source: Source {
            url: Some(format!("https://a.example/{n}")),
            title: title.to_owned(),
            snippet: Some(snippet.to_owned()),
            ..Source::default()
        },
        start: Some(n),
        end: Some(n + 3),
    }
}

fn bare(citation: &Citation) -> Citation {
    let mut bare = citation.clone();
    bare.empty();
    bare
}

#[tokio::test]
async fn what_quotes_something_forgotten_is_emptied() {
    const TEXT: &str = "The owner's sister Anna plays the violin.";
    let (fixture, session) = Fixture::with_session().await;
    let memory = stored(&fixture, fact(1, "owner", TEXT)).await;
    let citations = vec![
        cited(1, "A page", "It says: The owner's sister Anna plays the violin. So."),
        cited(2, "Another", "nothing of it"),
    ];
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "Who plays?", SendParent::Head))
        .await;
    let quoting = approval(&turn, 1, &json!({ "text": TEXT }).to_string());
    let other = approval(&turn, 2, r#"{"text":"hello"}"#);
    fixture
        .store
        .insert_approvals(ME, vec![quoting.clone(), other.clone()], now())
        .await
        .unwrap();
    let mut end = fixture.end(&turn, "Anna [1], says [2].");
    end.reply.as_mut().unwrap().citations.clone_from(&citations);
    let FinishOutcome::Finished(Some(reply)) = fixture.store.finish_turn(ME, end).await.unwrap() else {
        panic!("it ends")
    };
    assert_eq!(reply.citations, citations);
    let read = || async {
        fixture
            .store
            .find_message(ME, reply.id)
            .await
            .unwrap()
            .unwrap()
            .citations
    };
    assert_eq!(read().await, citations);
    let forgotten = fixture.store.forget(ME, memory.id, &key(), now()).await;
    assert_eq!(forgotten.unwrap().unwrap().voided, [quoting.id]);
    assert_eq!(read().await, [bare(&citations[0]), citations[1].clone()]);
    let found = |id| fixture.store.find_approval(ME, id, now());
    let emptied = found(quoting.id).await.unwrap().unwrap();
    assert_eq!(
        (emptied.call.arguments.as_str(), emptied.status),
        ("{}", ApprovalStatus::Void)
    );
    assert_eq!(found(other.id).await.unwrap(), Some(other));
    // What comes of it later says nothing either.
    let outcome = CallOutcome {
        output: TEXT.to_owned(),
        ..sent()
    };
    fixture
        .store
        .finish_approval(ME, quoting.id, &outcome, now())
        .await
        .unwrap();
    assert_eq!(
        found(quoting.id).await.unwrap().unwrap().call.outcome.unwrap().output,
        ""
    );
    // With the message itself all of it goes.
    let parent = reply.parent_id.unwrap();
    fixture
        .store
        .forget(ME, parent.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read().await, [bare(&citations[0]), bare(&citations[1])]);
}

#[tokio::test]
async fn a_crash_keeps_where_a_reply_points() {
    const TEXT: &str = "The owner's sister Anna plays the violin.";
    let (fixture, session) = Fixture::with_session().await;
    let memory = stored(&fixture, fact(1, "owner", TEXT)).await;
    let (one, two) = (cited(1, "A page", "nothing of it"), cited(2, "Another", TEXT));
    let part = |n, text: &str, citation: &Citation| CheckpointPart {
        n,
        text: text.to_owned(),
        citations: vec![citation.clone()],
        head: None,
    };
    // The second of them forgets while it runs.
    for (forgets, expect) in [(false, vec![one.clone(), two.clone()]), (true, vec![])] {
        let (turn, _) = fixture
            .begun(&session, send(fixture.message_id(), "Who plays?", SendParent::Head))
            .await;
        let mut call = approval(&turn, 1, &json!({ "text": TEXT }).to_string()).call;
        call.outcome = Some(sent());
        let begun = fixture.store.begin_tool_calls(ME, turn.turn_id, 0, &[call]).await;
        assert!(begun.unwrap());
        for part in [
            part(0, "One [1]", &two),
            part(0, "One [1]", &one),
            part(1, ", two [2].", &two),
        ] {
            fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
        }
        if forgets {
            let gone = fixture.store.forget(ME, memory.id, &key(), now()).await;
            assert!(gone.unwrap().is_some());
        }
        fixture.store.recover_turns(ME, now()).await.unwrap();
        let reply = fixture.store.find_message(ME, turn.reply_id).await.unwrap().unwrap();
        assert_eq!((reply.content.as_str(), reply.citations), ("One [1], two [2].", expect));
    }
}

#[tokio::test]
async fn tokens_of_turns_without_a_reply_count() {
    let (fixture, session) = Fixture::with_session().await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "Look.", SendParent::Head))
        .await;
    let end = mira_memory::FinishTurn {
        reply: None,
        state: TurnState::Stopped,
        tokens: Some(700),
        mira: None,
        ..fixture.end(&turn, "")
    };
    fixture.store.finish_turn(ME, end).await.unwrap();
    assert_eq!(fixture.store.tokens_used_since(ME, now()).await.unwrap(), 700);
    fixture.say(&session, "Say.", "Said.").await;
    assert_eq!(fixture.store.tokens_used_since(ME, now()).await.unwrap(), 715);
    assert_eq!(fixture.store.tokens_used_since(ME, later(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn tokens_beside_the_replies_count() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    // There is no turn yet, and none is needed.
    store.add_tokens(ME, 100, now()).await.unwrap();
    fixture.say(&session, "Say.", "Said.").await;
    let before = store.tokens_used_since(ME, now()).await.unwrap();
    assert_eq!(before, 115);
    for (tokens, seconds) in [(100, 0), (23, 0), (7, 3600)] {
        store.add_tokens(ME, tokens, later(seconds)).await.unwrap();
    }
    assert_eq!(store.tokens_used_since(ME, now()).await.unwrap(), before + 130);
    assert_eq!(store.tokens_used_since(ME, later(3600)).await.unwrap(), 7);
    // Nobody else's, and nothing that hangs on a turn: one that ends says what it has cost beside.
    assert_eq!(store.tokens_used_since(AccountId(2), now()).await.unwrap(), 0);
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "Look.", SendParent::Head))
        .await;
    let end = mira_memory::FinishTurn {
        reply: None,
        state: TurnState::Stopped,
        tokens: Some(1000),
        mira: None,
        ..fixture.end(&turn, "")
    };
    fixture.store.finish_turn(ME, end).await.unwrap();
    assert_eq!(store.tokens_used_since(ME, now()).await.unwrap(), before + 1130);
    // Days gone by are not kept.
    let days = 3 * 24 * 3600;
    store.add_tokens(ME, 1, later(days)).await.unwrap();
    assert_eq!(store.tokens_used_since(ME, later(days)).await.unwrap(), 1);
    assert_eq!(store.tokens_used_since(ME, now()).await.unwrap(), 15 + 1000 + 1);
}

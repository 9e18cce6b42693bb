//! The message tree, idempotency, checkpoints, recovery.

use crate::support::*;
use mira_core::{
    chat::{MessageStatus, Role},
    ids::SessionId,
};
use mira_memory::{
    BeginKind, BeginOutcome, BeginTurn, BranchFrom, CheckpointPart, FinishOutcome, Nudge, Page, Recovered, ReplyHead,
    SendParent, SessionPatch, Store, TurnState,
};
use std::sync::Arc;

#[tokio::test]
async fn what_is_answered_is_what_is_stored() {
    let (fixture, session) = Fixture::with_session().await;
    let (question, answer) = fixture.say(&session, "Hello?", "Hello.").await;
    assert_eq!(
        fixture.store.find_message(ME, question.id).await.unwrap().unwrap(),
        question
    );
    assert_eq!(
        fixture.store.find_message(ME, answer.id).await.unwrap().unwrap(),
        answer
    );
    assert_eq!(
        fixture.store.find_reply_to(ME, question.id).await.unwrap().unwrap(),
        answer
    );
    assert_eq!((question.role, answer.role), (Role::User, Role::Assistant));
    let stored = fixture.store.find_session(ME, &session).await.unwrap().unwrap();
    assert_eq!(stored.title.as_deref(), Some("a title"));
    assert_eq!((stored.message_count, stored.head_id), (2, Some(answer.id)));
    assert_eq!((stored.persona, stored.mood), (persona("haven"), mood("glad")));
    let moods = fixture
        .store
        .list_moods(ME, &session, Page::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(moods.len(), 1);
    assert_eq!(
        (moods[0].message_id, &moods[0].mood, &moods[0].persona),
        (Some(answer.id), &mood("glad"), &persona("haven"))
    );
    assert_eq!(fixture.store.tokens_used_since(ME, now()).await.unwrap(), 15);
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.texts(&session).await, ["Hello?", "Hello."]);
}

#[tokio::test]
async fn edit_regenerate_and_select_grow_a_tree() {
    let (fixture, session) = Fixture::with_session().await;
    let (q1, a1) = fixture.say(&session, "q1", "a1").await;
    let (q2, a2) = fixture.say(&session, "q2", "a2").await;
    // An edit of the second question is its sibling, below the first answer.
    let edit = BeginKind::Edit {
        of: q2.id,
        keeps_files: true,
        message_id: fixture.message_id(),
        content: "q2, better".to_owned(),
        client_id: None,
        project_id: None,
        metadata: None,
    };
    let (q2b, a2b) = fixture.turn(&session, edit, "a2 better").await;
    assert_eq!(q2b.parent_id, Some(a1.id));
    assert_eq!(q2b.sibling_ids, [q2.id, q2b.id]);
    assert_eq!(fixture.texts(&session).await, ["q1", "a1", "q2, better", "a2 better"]);
    // Another reply, asked for by the reply or by the question: a sibling of the reply.
    let (q, a2c) = fixture
        .turn(&session, BeginKind::Regenerate { message_id: a2b.id }, "a2 again")
        .await;
    assert_eq!((q.id, a2c.parent_id), (q2b.id, Some(q2b.id)));
    let (_, a2d) = fixture
        .turn(&session, BeginKind::Regenerate { message_id: q2b.id }, "a2 once more")
        .await;
    assert_eq!(a2d.sibling_ids, [a2b.id, a2c.id, a2d.id]);
    assert_eq!(
        fixture.texts(&session).await,
        ["q1", "a1", "q2, better", "a2 once more"]
    );
    // Choosing the old question leads to its newest leaf.
    let chosen = fixture
        .store
        .select_branch(ME, &session, q2.id, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(chosen.head_id, Some(a2.id));
    let chosen = fixture
        .store
        .select_branch(ME, &session, a1.id, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(chosen.head_id, Some(a2d.id));
    assert_eq!(
        fixture
            .store
            .select_branch(ME, &session, fixture.message_id(), now())
            .await
            .unwrap(),
        None
    );
    // The head can be set to any message; what is said next follows it.
    let patch = SessionPatch {
        head_id: Some(a1.id),
        ..SessionPatch::default()
    };
    fixture.store.update_session(ME, &session, patch, now()).await.unwrap();
    let (q3, _) = fixture.say(&session, "q3", "a3").await;
    assert_eq!(q3.sibling_ids, [q2.id, q2b.id, q3.id]);
    // A root of its own beside the first question.
    let (root, _) = fixture
        .turn(&session, send(fixture.message_id(), "r", SendParent::Root), "s")
        .await;
    assert_eq!((root.parent_id, root.sibling_ids), (None, vec![q1.id, root.id]));
    assert_eq!(
        fixture
            .store
            .find_session(ME, &session)
            .await
            .unwrap()
            .unwrap()
            .message_count,
        12
    );
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn wrong_turns_do_not_begin() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, a) = fixture.say(&session, "q", "a").await;
    let other = session_id("other");
    fixture.store.insert_session(ME, new_session("other")).await.unwrap();
    let edit = |of| BeginKind::Edit {
        of,
        keeps_files: true,
        message_id: fixture.message_id(),
        content: "x".to_owned(),
        client_id: None,
        project_id: None,
        metadata: None,
    };
    let at = |parent| send(fixture.message_id(), "x", SendParent::Message(parent));
    let cases = [
        (&session, edit(a.id), BeginOutcome::WrongRole),
        (&session, edit(fixture.message_id()), BeginOutcome::NoSuchMessage),
        (&session, at(fixture.message_id()), BeginOutcome::NoSuchMessage),
        (
            &session,
            BeginKind::Regenerate {
                message_id: fixture.message_id(),
            },
            BeginOutcome::NoSuchMessage,
        ),
        // A message is looked up with its session.
        (&other, edit(q.id), BeginOutcome::NoSuchMessage),
        (&other, at(a.id), BeginOutcome::NoSuchMessage),
        (
            &other,
            BeginKind::Regenerate { message_id: a.id },
            BeginOutcome::NoSuchMessage,
        ),
        (&session_id("none"), edit(q.id), BeginOutcome::NoSuchSession),
        (
            &session_id("none"),
            send(fixture.message_id(), "x", SendParent::Head),
            BeginOutcome::NoSuchSession,
        ),
    ];
    for (session, kind, expected) in cases {
        let turn = fixture.begin(session, kind);
        assert_eq!(
            fixture.store.begin_turn(ME, turn.clone()).await.unwrap(),
            expected,
            "{turn:?}"
        );
    }
    assert_eq!(fixture.store.stats(ME).await.unwrap().messages, 2);
}

#[tokio::test]
async fn every_column_of_the_owners_message_is_kept() {
    let (fixture, session) = Fixture::with_session().await;
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: "東京 and 👩‍🚀 \0 end".to_owned(),
        client_id: Some(client_id("c")),
        parent: SendParent::Head,
        project_id: Some(fixture.project("p").await),
        metadata: Some(mira_core::chat::MessageMetadata {
            file_path: Some("src/lib.rs".to_owned()),
            attachment_id: None,
            language: Some("rust".to_owned()),
            selection: Some(mira_core::chat::Selection {
                start_line: 1,
                end_line: 2,
                text: None,
            }),
        }),
    };
    let mut turn = fixture.begin(&session, kind);
    turn.reserve_seq_to = Some(128);
    let BeginOutcome::Begun { user_message } = fixture.store.begin_turn(ME, turn.clone()).await.unwrap() else {
        panic!("not begun")
    };
    assert_eq!(
        fixture.store.find_message(ME, user_message.id).await.unwrap().unwrap(),
        user_message
    );
    assert_eq!(fixture.store.find_seq(ME, &session).await.unwrap(), Some(128));
    let reply = fixture.finished(&turn, "勉強").await;
    assert_eq!(reply.project_id, user_message.project_id);
    assert_eq!(fixture.store.find_message(ME, reply.id).await.unwrap().unwrap(), reply);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_repeats_are_one_message() {
    let (fixture, session) = Fixture::with_session().await;
    let fixture = Arc::new(fixture);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (fixture, session) = (Arc::clone(&fixture), session.clone());
        tasks.spawn(async move {
            let kind = BeginKind::Send {
                message_id: fixture.message_id(),
                content: "once".to_owned(),
                client_id: Some(client_id("the same")),
                parent: SendParent::Head,
                project_id: None,
                metadata: None,
            };
            let turn = fixture.begin(&session, kind);
            (fixture.store.begin_turn(ME, turn.clone()).await.unwrap(), turn)
        });
    }
    let outcomes = tasks.join_all().await;
    let begun: Vec<_> = outcomes
        .iter()
        .filter(|(o, _)| matches!(o, BeginOutcome::Begun { .. }))
        .collect();
    assert_eq!(begun.len(), 1);
    let turn = &begun[0].1;
    for (outcome, _) in &outcomes {
        match outcome {
            BeginOutcome::Begun { .. } => {}
            BeginOutcome::Duplicate {
                user_message,
                reply: None,
                running_turn,
            } => {
                assert_eq!(Some(user_message.id), fixture.head(&session).await);
                assert_eq!(*running_turn, Some(turn.turn_id));
            }
            other => panic!("{other:?}"),
        }
    }
    let stored = fixture.finished(turn, "the answer").await;
    let repeat = |content: &str| {
        fixture.begin(
            &session,
            BeginKind::Send {
                message_id: fixture.message_id(),
                content: content.to_owned(),
                client_id: Some(client_id("the same")),
                parent: SendParent::Head,
                project_id: None,
                metadata: None,
            },
        )
    };
    match fixture.store.begin_turn(ME, repeat("once")).await.unwrap() {
        BeginOutcome::Duplicate {
            reply: Some(reply),
            running_turn: None,
            ..
        } => assert_eq!(reply, stored),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        fixture.store.begin_turn(ME, repeat("twice")).await.unwrap(),
        BeginOutcome::ClientIdConflict
    );
    assert_eq!(fixture.store.stats(ME).await.unwrap().messages, 2);
}

#[tokio::test]
async fn a_turn_ends_once() {
    let (fixture, session) = Fixture::with_session().await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q", SendParent::Head))
        .await;
    let first = fixture.finished(&turn, "a").await;
    let again = fixture
        .store
        .finish_turn(ME, fixture.end(&turn, "another"))
        .await
        .unwrap();
    assert_eq!(again, FinishOutcome::Finished(Some(first)));
    assert_eq!(fixture.texts(&session).await, ["q", "a"]);
    assert_eq!(
        fixture
            .store
            .list_moods(ME, &session, Page::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn a_reply_does_not_steal_the_head() {
    let (fixture, session) = Fixture::with_session().await;
    let (_, a1) = fixture.say(&session, "q1", "a1").await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q2", SendParent::Head))
        .await;
    let patch = SessionPatch {
        head_id: Some(a1.id),
        ..SessionPatch::default()
    };
    fixture.store.update_session(ME, &session, patch, now()).await.unwrap();
    fixture.finished(&turn, "a2").await;
    assert_eq!(fixture.head(&session).await, Some(a1.id));
}

#[tokio::test]
async fn a_turn_of_a_cleared_session_is_gone() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session, "q", "a").await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q2", SendParent::Head))
        .await;
    let part = CheckpointPart {
        n: 0,
        text: "par".to_owned(),
        citations: Vec::new(),
        head: None,
    };
    fixture
        .store
        .checkpoint_turn(ME, turn.turn_id, part.clone())
        .await
        .unwrap();
    let cleared = fixture.store.clear_session(ME, &session, now()).await.unwrap().unwrap();
    assert_eq!((cleared.message_count, cleared.head_id), (0, None));
    fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
    assert_eq!(
        fixture.store.finish_turn(ME, fixture.end(&turn, "a2")).await.unwrap(),
        FinishOutcome::Gone
    );
    assert!(fixture.texts(&session).await.is_empty());
    assert!(
        fixture
            .store
            .search(ME, "q2", Page::first(5))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    // The moods stay, without the message they came with.
    let moods = fixture
        .store
        .list_moods(ME, &session, Page::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(moods.iter().map(|m| m.message_id).collect::<Vec<_>>(), [None]);
    assert!(fixture.store.delete_session(ME, &session).await.unwrap());
    assert!(!fixture.store.delete_session(ME, &session).await.unwrap());
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn a_crash_keeps_the_partial_text() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    fixture.store.insert_session(ME, new_session("u")).await.unwrap();
    let (with_head, q) = fixture
        .begun(&session, send(fixture.message_id(), "q", SendParent::Head))
        .await;
    let head = ReplyHead {
        persona: persona("hallow"),
        mood: mood("tender"),
        mood_cause: Some("a crash".to_owned()),
        model: Some("m".to_owned()),
        exposure: mira_core::chat::Exposure::Clear,
    };
    for (n, text) in ["Once ", "upon ", "a time"].into_iter().enumerate() {
        let head = (n == 0).then(|| head.clone());
        let part = CheckpointPart {
            n: u32::try_from(n).unwrap(),
            text: text.to_owned(),
            citations: Vec::new(),
            head,
        };
        fixture
            .store
            .checkpoint_turn(ME, with_head.turn_id, part)
            .await
            .unwrap();
    }
    let (bare, _) = fixture
        .begun(&session_id("t"), send(fixture.message_id(), "q", SendParent::Head))
        .await;
    let part = CheckpointPart {
        n: 3,
        text: "bare".to_owned(),
        citations: Vec::new(),
        head: None,
    };
    fixture.store.checkpoint_turn(ME, bare.turn_id, part).await.unwrap();
    let (silent, _) = fixture
        .begun(&session_id("u"), send(fixture.message_id(), "q", SendParent::Head))
        .await;
    // What is there at a crash is what a second process finds; closing adds nothing to it.
    let fixture = fixture.reopened().await;
    let recovered = fixture.store.recover_turns(ME, now()).await.unwrap();
    assert_eq!(
        recovered,
        Recovered {
            interrupted: 2,
            failed: 1
        }
    );
    let reply = fixture.store.find_reply_to(ME, q.id).await.unwrap().unwrap();
    assert_eq!(
        (reply.id, reply.status),
        (with_head.reply_id, MessageStatus::Interrupted)
    );
    assert_eq!(
        (reply.content.as_str(), reply.model.as_deref()),
        ("Once upon a time", Some("m"))
    );
    assert_eq!(reply.meta.unwrap().mood, mood("tender"));
    assert_eq!(fixture.head(&session).await, Some(with_head.reply_id));
    let reply = fixture.store.find_message(ME, bare.reply_id).await.unwrap().unwrap();
    assert_eq!((reply.content.as_str(), reply.meta), ("bare", None));
    assert_eq!(fixture.store.find_message(ME, silent.reply_id).await.unwrap(), None);
    assert_eq!(
        fixture.store.recover_turns(ME, now()).await.unwrap(),
        Recovered::default()
    );
}

#[tokio::test]
async fn a_failed_turn_stores_no_reply() {
    let (fixture, session) = Fixture::with_session().await;
    let (turn, q) = fixture
        .begun(&session, send(fixture.message_id(), "q", SendParent::Head))
        .await;
    let mut end = fixture.end(&turn, "");
    (end.reply, end.mira, end.state) = (None, None, TurnState::Failed);
    assert_eq!(
        fixture.store.finish_turn(ME, end).await.unwrap(),
        FinishOutcome::Finished(None)
    );
    assert_eq!(fixture.head(&session).await, Some(q.id));
    let (_, again) = fixture
        .turn(&session, BeginKind::Regenerate { message_id: q.id }, "now")
        .await;
    assert_eq!(again.parent_id, Some(q.id));
}

#[tokio::test]
async fn pages_of_history() {
    let (fixture, session) = Fixture::with_session().await;
    for n in 0..5 {
        fixture.say(&session, &format!("q{n}"), &format!("a{n}")).await;
    }
    let mut all = Vec::new();
    let mut from = BranchFrom::Head;
    let mut lengths = Vec::new();
    loop {
        let page = fixture.store.branch(ME, &session, from, 3, None).await.unwrap();
        lengths.push(page.length);
        all.splice(0..0, page.messages.iter().map(|m| m.content.clone()));
        from = BranchFrom::Before(page.messages[0].id);
        if !page.more {
            break;
        }
    }
    assert_eq!(all, ["q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3", "q4", "a4"]);
    assert_eq!(lengths, [10, 7, 4, 1]);
    let tagged = fixture
        .store
        .branch(ME, &session, BranchFrom::Head, 2, Some("tests"))
        .await
        .unwrap();
    assert_eq!(
        tagged.messages.iter().map(|m| m.content.as_str()).collect::<Vec<_>>(),
        ["a3", "a4"]
    );
    assert!(tagged.more);
    let none = fixture
        .store
        .branch(ME, &session, BranchFrom::Head, 2, Some("other"))
        .await
        .unwrap();
    assert!(none.messages.is_empty() && !none.more);
    let first = fixture
        .store
        .branch(ME, &session, BranchFrom::At(tagged.messages[0].id), 50, None)
        .await
        .unwrap();
    assert_eq!((first.messages.len(), first.length), (8, 8));
    assert_eq!(
        fixture
            .store
            .branch_length(ME, &session, tagged.messages[0].id)
            .await
            .unwrap(),
        Some(8)
    );
}

async fn nudge(fixture: &Fixture, session: &SessionId, text: &str) {
    let nudge = Nudge {
        id: fixture.mood_id(),
        mood: mood(text),
        cause: None,
        now: now(),
    };
    fixture.store.nudge_mood(ME, session, nudge).await.unwrap().unwrap();
}

async fn state(store: &Store) -> (String, bool) {
    let state = store.find_state(ME).await.unwrap().unwrap();
    (state.mood.as_str().to_owned(), state.nudged)
}

#[tokio::test]
async fn a_nudge_stands_until_she_was_told() {
    let (fixture, session) = Fixture::with_session().await;
    assert_eq!(state(&fixture.store).await, ("curious".to_owned(), false));
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q", SendParent::Head))
        .await;
    // Nudged while she answers: her reply knows nothing of it.
    nudge(&fixture, &session, "mischievous").await;
    fixture.finished(&turn, "a").await;
    assert_eq!(state(&fixture.store).await, ("mischievous".to_owned(), true));
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q2", SendParent::Head))
        .await;
    let mut end = fixture.end(&turn, "a2");
    end.told_nudge = Some(mood("mischievous"));
    fixture.store.finish_turn(ME, end).await.unwrap();
    assert_eq!(state(&fixture.store).await, ("glad".to_owned(), false));
    let moods = fixture
        .store
        .list_moods(ME, &session, Page::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(
        moods.iter().map(|m| m.mood.as_str()).collect::<Vec<_>>(),
        ["glad", "glad", "mischievous"]
    );
}

#[tokio::test]
async fn a_pin_is_hers_everywhere() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.store.insert_session(ME, new_session("other")).await.unwrap();
    let pinned = fixture
        .store
        .pin_persona(ME, &session, Some(persona("forbidden")), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (pinned.persona, pinned.pinned_persona),
        (persona("forbidden"), Some(persona("forbidden")))
    );
    let other = fixture
        .store
        .find_session(ME, &session_id("other"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((other.persona, other.pinned_persona), (persona("forbidden"), None));
    let released = fixture
        .store
        .pin_persona(ME, &session, None, now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (released.persona, released.pinned_persona),
        (persona("forbidden"), None)
    );
    assert_eq!(
        fixture
            .store
            .pin_persona(ME, &session_id("none"), None, now())
            .await
            .unwrap(),
        None
    );
}

/// Three messages sent while she still answers the first: each becomes the child of the reply it waited for.
#[tokio::test]
async fn queued_messages_follow_the_replies_they_waited_for() {
    let (fixture, session) = Fixture::with_session().await;
    let queued = async |text: &str, after: Option<&BeginTurn>| {
        let mut turn = fixture.begin(&session, send(fixture.message_id(), text, SendParent::Head));
        turn.after = after.map(|turn| turn.turn_id);
        let BeginOutcome::Begun { .. } = fixture.store.begin_turn(ME, turn.clone()).await.unwrap() else {
            panic!("not begun")
        };
        turn
    };
    let first = queued("q1", None).await;
    let second = queued("q2", Some(&first)).await;
    let third = queued("q3", Some(&second)).await;
    let a1 = fixture.finished(&first, "a1").await;
    assert_eq!(a1.sibling_ids, [a1.id]);
    assert_eq!(fixture.texts(&session).await, ["q1", "a1", "q2", "q3"]);
    // The second comes to nothing; the third still has its place.
    let mut end = fixture.end(&second, "");
    (end.reply, end.mira, end.state) = (None, None, TurnState::Failed);
    fixture.store.finish_turn(ME, end).await.unwrap();
    fixture.finished(&third, "a3").await;
    let page = fixture
        .store
        .branch(ME, &session, BranchFrom::Head, 50, None)
        .await
        .unwrap();
    let texts: Vec<_> = page.messages.iter().map(|m| m.content.as_str()).collect();
    assert_eq!(texts, ["q1", "a1", "q2", "q3", "a3"]);
    assert_eq!(page.length, 5);
    for message in &page.messages {
        assert_eq!(message.sibling_ids, [message.id]);
    }
}

#[tokio::test]
async fn a_repeat_is_known_without_beginning() {
    let (fixture, session) = Fixture::with_session().await;
    let name = client_id("c");
    let ask = async |content: &str| {
        fixture
            .store
            .find_duplicate(ME, &session, &name, content)
            .await
            .unwrap()
    };
    assert_eq!(ask("q").await, None);
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: "q".to_owned(),
        client_id: Some(name.clone()),
        parent: SendParent::Head,
        project_id: None,
        metadata: None,
    };
    let (q, a) = fixture.turn(&session, kind, "a").await;
    let known = BeginOutcome::Duplicate {
        user_message: q,
        reply: Some(a),
        running_turn: None,
    };
    assert_eq!(ask("q").await, Some(known));
    assert_eq!(ask("else").await, Some(BeginOutcome::ClientIdConflict));
    let (session, state) = fixture.store.find_session_view(ME, &session).await.unwrap().unwrap();
    assert_eq!((session.persona, session.mood), (state.persona, state.mood));
}

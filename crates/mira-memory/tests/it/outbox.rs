//! The indexer's work: what a turn queues, and how it is handed out.

use crate::support::*;
use jiff::ToSpan;
use mira_core::{
    chat::{MemoryMode, MessageStatus},
    memory::MemoryKind,
};
use mira_memory::{
    BeginKind, BeginOutcome, CheckpointPart, EMBEDDED, FinishTurn, NewSession, OutboxStats, SendParent, SpaceId,
    TurnState,
};

async fn waiting(fixture: &Fixture) -> (u64, u64, u64) {
    let OutboxStats {
        documents,
        vectors,
        removals,
        ..
    } = fixture.store.outbox_stats(ME).await.unwrap();
    (documents, vectors, removals)
}

#[tokio::test]
async fn turns_queue_what_is_to_be_remembered() {
    let (fixture, session) = Fixture::with_session().await;
    let check = async |expect: u64| assert_eq!(waiting(&fixture).await, (expect, 0, 0));
    let (q, a) = fixture.say(&session, "q", "a").await;
    check(2).await;
    fixture
        .turn(&session, BeginKind::Regenerate { message_id: a.id }, "again")
        .await;
    check(3).await;
    let edit = BeginKind::Edit {
        of: q.id,
        keeps_files: true,
        message_id: fixture.message_id(),
        content: "in other words".to_owned(),
        client_id: Some(client_id("c")),
        project_id: None,
        metadata: None,
    };
    let (turn, _) = fixture.begun(&session, edit.clone()).await;
    check(4).await;
    // What a client repeats is queued once.
    let repeated = fixture
        .store
        .begin_turn(ME, fixture.begin(&session, edit))
        .await
        .unwrap();
    assert!(matches!(repeated, BeginOutcome::Duplicate { .. }), "{repeated:?}");
    check(4).await;
    // A turn without a word queues nothing more; one that a crash cut off queues what there is.
    let end = FinishTurn {
        reply: None,
        state: TurnState::Failed,
        tokens: None,
        mira: None,
        ..fixture.end(&turn, "")
    };
    fixture.store.finish_turn(ME, end).await.unwrap();
    check(4).await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q 東京", SendParent::Head))
        .await;
    check(5).await;
    let part = CheckpointPart {
        n: 0,
        text: "half an answer 東京".to_owned(),
        citations: Vec::new(),
        head: None,
    };
    fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
    fixture.store.recover_turns(ME, now()).await.unwrap();
    check(6).await;
    let stopped = FinishTurn {
        reply: Some(mira_memory::NewReply {
            status: MessageStatus::Stopped,
            ..reply("stop")
        }),
        state: TurnState::Stopped,
        tokens: None,
        ..fixture.end(
            &fixture
                .begun(&session, send(fixture.message_id(), "q", SendParent::Head))
                .await
                .0,
            "",
        )
    };
    fixture.store.finish_turn(ME, stopped).await.unwrap();
    check(8).await;
    let stats = fixture.store.outbox_stats(ME).await.unwrap();
    assert_eq!((stats.oldest_queued_at, stats.depth()), (Some(now()), 8));
    // A clock that has gone back since makes no lag.
    let lag = |at| stats.lag(at).as_secs();
    assert_eq!((lag(now() + 90.seconds()), lag(now() - 1.hour())), (90, 0));
}

#[tokio::test]
async fn off_the_record_and_paused_turns_queue_nothing() {
    let (fixture, session) = Fixture::with_session().await;
    for (name, memory) in [("off", MemoryMode::Off), ("read", MemoryMode::ReadOnly)] {
        let new = NewSession {
            memory,
            ..new_session(name)
        };
        fixture.store.insert_session(ME, new).await.unwrap();
        fixture.say(&session_id(name), "secret 東京", "secret 東京").await;
    }
    assert_eq!(waiting(&fixture).await, (0, 0, 0));
    assert!(!fixture.store.memory_paused(ME).await.unwrap());
    fixture.store.set_memory_paused(ME, true).await.unwrap();
    fixture.say(&session, "unheard", "unheard").await;
    assert_eq!(waiting(&fixture).await, (0, 0, 0));
    let fixture = fixture.reopened().await;
    assert!(fixture.store.memory_paused(ME).await.unwrap());
    fixture.store.set_memory_paused(ME, false).await.unwrap();
    fixture.say(&session, "heard", "heard").await;
    assert_eq!(waiting(&fixture).await, (2, 0, 0));
    assert_eq!(fixture.write_documents(10).await, 2);
    // Not later either, when everything is made anew.
    assert_eq!(fixture.store.queue_everything(ME, now()).await.unwrap(), 2);
    assert_eq!(fixture.write_documents(10).await, 2);
    assert_eq!(fixture.store.memory_counts(ME).await.unwrap().messages, 2);
    assert!(
        fixture
            .documents()
            .await
            .iter()
            .all(|(_, text)| !text.contains("unheard"))
    );
}

#[tokio::test]
async fn work_is_handed_out_put_off_and_finished() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, a) = fixture.say(&session, "a question", "an answer").await;
    let store = &fixture.store;
    assert!(store.due_vectors(ME, 10, now()).await.unwrap().is_empty());
    assert_eq!(fixture.write_documents(1).await, 2);
    assert_eq!(waiting(&fixture).await, (0, 2, 0));
    let jobs = store.due_vectors(ME, 10, now()).await.unwrap();
    let seen: Vec<_> = jobs
        .iter()
        .map(|job| {
            (
                job.id,
                job.kind,
                job.speaker.as_str(),
                job.text.as_str(),
                job.session.clone(),
                job.attempts,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                q.id.into(),
                MemoryKind::Message,
                "owner",
                "a question",
                Some(session.clone()),
                0
            ),
            (
                a.id.into(),
                MemoryKind::Message,
                "mira",
                "an answer",
                Some(session.clone()),
                0
            ),
        ]
    );
    assert_eq!((jobs[0].space_id, jobs[0].at), (None, now()));
    store
        .defer_outbox(ME, vec![jobs[0].outbox_id], now() + 1.hour())
        .await
        .unwrap();
    store.finish_outbox(ME, vec![jobs[1].outbox_id]).await.unwrap();
    store.finish_outbox(ME, Vec::new()).await.unwrap();
    assert!(store.due_vectors(ME, 10, now()).await.unwrap().is_empty());
    let later = store.due_vectors(ME, 10, now() + 1.hour()).await.unwrap();
    assert_eq!((later.len(), later[0].attempts), (1, 1));
    // By a clock that has gone back it would wait for long.
    assert_eq!(
        store.hasten_outbox(ME, now() + 1.hour()).await.unwrap(),
        0,
        "as it was put off"
    );
    assert_eq!(store.hasten_outbox(ME, now()).await.unwrap(), 1);
    assert_eq!(store.due_vectors(ME, 10, now()).await.unwrap(), later);
    // Work queued anew has an id of its own: finishing what was handed out before does not take it along.
    assert_eq!(store.queue_everything(ME, now()).await.unwrap(), 2);
    assert_eq!(waiting(&fixture).await, (2, 0, 0));
    fixture.write_documents(10).await;
    store.finish_outbox(ME, vec![later[0].outbox_id]).await.unwrap();
    assert_eq!(waiting(&fixture).await, (0, 2, 0));
    assert_eq!(store.drop_vector_jobs(ME).await.unwrap(), 2);
    // A second space is filled beside the first.
    assert_eq!(store.queue_vectors(ME, SpaceId(7), now()).await.unwrap(), 2);
    assert_eq!(store.queue_vectors(ME, SpaceId(7), now()).await.unwrap(), 2);
    let jobs = store.due_vectors(ME, 1, now()).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].space_id), (1, Some(SpaceId(7))));
    assert_eq!(waiting(&fixture).await, (0, 2, 0));
}

#[tokio::test]
async fn what_is_gone_is_dropped() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session, "q", "a").await;
    fixture.store.clear_session(ME, &session, now()).await.unwrap();
    assert_eq!(fixture.write_documents(10).await, 0);
    assert_eq!(waiting(&fixture).await, (0, 0, 0));
    assert_eq!(fixture.store.memory_counts(ME).await.unwrap().messages, 0);
    // With an index outside of the file, what goes is to be taken out of it.
    fixture.say(&session, "q", "a").await;
    fixture.write_documents(10).await;
    fixture.store.delete_session(ME, &session).await.unwrap();
    assert_eq!(waiting(&fixture).await, (0, 0, 0));
    fixture
        .execute("INSERT INTO spaces (place, model, dimension, state, created_at) VALUES ('mira', 'm', 2, 'active', 0)")
        .await;
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    let (q, a) = fixture.say(&session_id("t"), "q", "a").await;
    fixture.write_documents(10).await;
    assert_eq!(waiting(&fixture).await, (0, 2, 0));
    fixture.store.delete_session(ME, &session_id("t")).await.unwrap();
    assert_eq!(waiting(&fixture).await, (0, 0, 2));
    let due = fixture.store.due_removals(ME, 10, now()).await.unwrap();
    let mut ids: Vec<_> = due.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [q.id.into(), a.id.into()]);
    fixture
        .store
        .finish_outbox(ME, due.into_iter().map(|(row, _)| row).collect())
        .await
        .unwrap();
    assert_eq!(waiting(&fixture).await, (0, 0, 0));
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn everything_is_queued_in_slices() {
    let (fixture, session) = Fixture::with_session().await;
    // More than one slice holds.
    fixture
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4100)
             INSERT INTO messages (account_id, session_id, id, depth, role, content, status, created_at)
             SELECT 1, 's', unhex(printf('%032x', i)), i, iif(i % 2, 'user', 'assistant'), 'message ' || i, 'complete', i
               FROM n;
             INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
             SELECT 1, id, 'message', 'document', 0 FROM messages",
        )
        .await;
    fixture.say(&session, "q", "a").await;
    assert_eq!(fixture.store.queue_everything(ME, now()).await.unwrap(), 4102);
    assert_eq!(waiting(&fixture).await, (4102, 0, 0));
    assert_eq!(fixture.write_documents(1000).await, 4102);
    assert_eq!(fixture.store.queue_vectors(ME, SpaceId(3), now()).await.unwrap(), 4102);
    assert_eq!(waiting(&fixture).await, (0, 8204, 0));
    let before = fixture.documents().await;
    assert_eq!(before.len(), 4102);
    // Written anew, nothing is found twice.
    fixture.store.queue_everything(ME, now()).await.unwrap();
    assert!(fixture.documents().await.is_empty());
    fixture.write_documents(1000).await;
    assert_eq!(fixture.documents().await, before);
}

/// A database's collections in Qdrant have a name of its own: the same for every model, never another database's, and what
/// it was before a restore. One from before there were such names goes on without.
#[tokio::test]
async fn a_database_has_one_name_in_qdrant() {
    let (fixture, session) = Fixture::with_session().await;
    let (another, older) = (Fixture::new().await, Fixture::new().await);
    let open = async |fixture: &Fixture, place: &str, model: &str| {
        let opened = fixture.store.open_space(place, model, 4, now()).await;
        opened.unwrap().instance
    };
    let name = open(&fixture, EMBEDDED, "m").await;
    assert_eq!(name.len(), 8, "{name}");
    for (place, model) in [("mira-memory", "m"), ("mira-memory", "next"), ("elsewhere", "m")] {
        assert_eq!(open(&fixture, place, model).await, name);
    }
    assert_ne!(open(&another, "mira-memory", "m").await, name);
    older
        .execute("INSERT INTO spaces (place, model, dimension, state, created_at) VALUES ('mira-memory', 'm', 4, 'active', 0)")
        .await;
    assert_eq!(open(&older, "mira-memory", "next").await, "");

    fixture.say(&session, "q", "a").await;
    fixture.write_documents(2).await;
    let backup = older.dir.path().join("backup.db");
    older.store.backup_to(&backup).await.unwrap();
    mira_memory::hand_over(fixture.store.path(), &backup).await.unwrap();
    std::fs::rename(&backup, fixture.store.path()).unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(open(&fixture, "mira-memory", "m").await, name);
}

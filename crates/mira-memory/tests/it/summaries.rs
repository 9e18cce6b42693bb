//! Summaries: which block comes next, which stand on a branch, what forgetting does to them.

use crate::{facts::key, support::*};
use mira_core::{
    chat::{MemoryMode, Message},
    ids::{AccountId, MemoryId, MessageId, SessionId},
    memory::{MemoryKind, MemorySource},
};
use mira_memory::{BeginKind, NewSummary, SessionPatch, Summary, SummaryLevel, SummaryRange};
use uuid::Uuid;

fn id(n: u128) -> MemoryId {
    MemoryId(Uuid::from_u128(0x5000_0000 + n))
}

/// A session of `turns` turns, and its messages.
async fn told(turns: usize) -> (Fixture, SessionId, Vec<Message>) {
    let (fixture, session) = Fixture::with_session().await;
    let mut messages = Vec::new();
    for n in 0..turns {
        let (q, a) = fixture
            .say(&session, &format!("question {n}"), &format!("answer {n}"))
            .await;
        messages.extend([q, a]);
    }
    (fixture, session, messages)
}

impl Fixture {
    async fn next_range(&self, session: &SessionId, head: MessageId, start: u64) -> Option<SummaryRange> {
        self.store.next_range(ME, session, head, start, 16).await.unwrap()
    }

    async fn summarised(&self, session: &SessionId, range: &SummaryRange, n: u128) -> Summary {
        self.store
            .insert_summary(ME, of_range(session, range, n), now())
            .await
            .unwrap()
            .unwrap()
    }

    async fn listed(&self, session: &SessionId, head: MessageId) -> Vec<MemoryId> {
        let listed = self.store.list_summaries(ME, session, head).await.unwrap();
        listed.into_iter().map(|summary| summary.id).collect()
    }
}

fn of_range(session: &SessionId, range: &SummaryRange, n: u128) -> NewSummary {
    NewSummary {
        id: id(n),
        session: session.clone(),
        level: SummaryLevel::Range,
        first_id: range.first_id,
        last_id: range.last_id,
        first_depth: range.first_depth,
        last_depth: range.last_depth,
        text: format!("They spoke, part {n}."),
        model: "a-model".to_owned(),
        untrusted: false,
    }
}

fn overview(session: &SessionId, first: &Message, last: &Message, last_depth: u64, n: u128) -> NewSummary {
    NewSummary {
        id: id(n),
        session: session.clone(),
        level: SummaryLevel::Overview,
        first_id: first.id,
        last_id: last.id,
        first_depth: 0,
        last_depth,
        text: format!("All of it, up to {last_depth}."),
        model: "a-model".to_owned(),
        untrusted: false,
    }
}

#[tokio::test]
async fn blocks_are_summarised_once_and_in_order() {
    let (fixture, session, messages) = told(20).await;
    let head = messages[39].id;
    assert_eq!(fixture.next_range(&session, head, 15).await, None);
    let range = fixture.next_range(&session, head, 32).await.unwrap();
    assert_eq!((range.first_id, range.last_id), (messages[0].id, messages[15].id));
    assert_eq!((range.first_depth, range.last_depth), (0, 15));
    assert_eq!(range.messages.len(), 16);
    assert_eq!(range.messages[15].content, messages[15].content);
    let first = fixture.summarised(&session, &range, 1).await;
    assert_eq!((first.id, first.text.as_str()), (id(1), "They spoke, part 1."));
    assert!(first.tokens > 0);
    // The same range again is the same summary.
    assert_eq!(fixture.summarised(&session, &range, 2).await, first);
    let memory = fixture.store.find_memory(ME, id(1)).await.unwrap().unwrap();
    assert_eq!((memory.kind, memory.text), (MemoryKind::Summary, first.text.clone()));
    let range = fixture.next_range(&session, head, 32).await.unwrap();
    assert_eq!((range.first_depth, range.last_depth), (16, 31));
    fixture.summarised(&session, &range, 3).await;
    assert_eq!(fixture.next_range(&session, head, 32).await, None);
    assert_eq!(fixture.listed(&session, head).await, [id(1), id(3)]);
    // Up to where one looks.
    assert_eq!(fixture.listed(&session, messages[20].id).await, [id(1)]);
    assert_eq!(fixture.listed(&session, messages[14].id).await, []);
    let of_another = fixture
        .store
        .list_summaries(AccountId(2), &session, head)
        .await
        .unwrap();
    assert_eq!(of_another, []);
    let all = overview(&session, &messages[0], &messages[31], 31, 4);
    fixture.store.insert_summary(ME, all, now()).await.unwrap().unwrap();
    // It stands for what is before its end.
    assert_eq!(fixture.listed(&session, head).await, [id(3), id(4)]);
}

#[tokio::test]
async fn what_it_was_made_of_stays_known() {
    let (fixture, session, messages) = told(20).await;
    let head = messages[39].id;
    for (n, untrusted) in [(1, true), (2, false)] {
        let range = fixture.next_range(&session, head, 40).await.unwrap();
        let new = NewSummary {
            untrusted,
            ..of_range(&session, &range, n)
        };
        let stored = fixture.store.insert_summary(ME, new, now()).await.unwrap().unwrap();
        assert_eq!(stored.untrusted, untrusted);
    }
    let listed = fixture.store.list_summaries(ME, &session, head).await.unwrap();
    assert_eq!(
        listed.iter().map(|summary| summary.untrusted).collect::<Vec<_>>(),
        [true, false]
    );
    let memories = fixture.store.find_memories(ME, &[id(1), id(2)]).await.unwrap();
    let mut sources: Vec<_> = memories.iter().map(|memory| (memory.id, memory.source)).collect();
    sources.sort_by_key(|(id, _)| id.0);
    assert_eq!(
        sources,
        [(id(1), MemorySource::Tool), (id(2), MemorySource::Conversation)]
    );
}

#[tokio::test]
async fn another_branch_has_its_own() {
    let (fixture, session, messages) = told(20).await;
    let head = messages[39].id;
    for n in 1..=2 {
        let range = fixture.next_range(&session, head, 40).await.unwrap();
        fixture.summarised(&session, &range, n).await;
    }
    // A branch off from the middle of the second block.
    let kind = BeginKind::Edit {
        of: messages[20].id,
        keeps_files: true,
        message_id: fixture.message_id(),
        content: "another question".to_owned(),
        client_id: None,
        project_id: None,
        metadata: None,
    };
    let (_, mut last) = fixture.turn(&session, kind, "another answer").await;
    for n in 0..6 {
        last = fixture.say(&session, &format!("more {n}"), "yes").await.1;
    }
    assert_eq!(fixture.listed(&session, last.id).await, [id(1)]);
    let range = fixture.next_range(&session, last.id, 34).await.unwrap();
    assert_eq!((range.first_depth, range.last_depth), (16, 31));
    assert_eq!(range.messages[4].content, "another question");
    fixture.summarised(&session, &range, 3).await;
    assert_eq!(fixture.listed(&session, last.id).await, [id(1), id(3)]);
    assert_eq!(fixture.listed(&session, head).await, [id(1), id(2)]);
    // Forgetting on one branch leaves the other's alone, and what they share goes in both.
    let forgotten = fixture
        .store
        .forget(ME, messages[25].id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(forgotten.stale_summaries, [id(2)]);
    assert_eq!(fixture.listed(&session, last.id).await, [id(1), id(3)]);
    let forgotten = fixture
        .store
        .forget(ME, messages[17].id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(forgotten.stale_summaries, [id(2), id(3)]);
}

#[tokio::test]
async fn forgetting_takes_the_text_and_the_block_is_made_anew() {
    let (fixture, session, messages) = told(20).await;
    let head = messages[39].id;
    for n in 1..=2 {
        let range = fixture.next_range(&session, head, 32).await.unwrap();
        fixture.summarised(&session, &range, n).await;
    }
    let all = overview(&session, &messages[0], &messages[31], 31, 3);
    fixture.store.insert_summary(ME, all, now()).await.unwrap().unwrap();
    let forgotten = fixture
        .store
        .forget(ME, messages[2].id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(forgotten.stale_summaries, [id(1), id(3)]);
    assert_eq!(forgotten.sessions, std::slice::from_ref(&session));
    let stale = fixture.store.stale_summaries(ME).await.unwrap();
    assert_eq!(
        stale.iter().map(|s| (s.id, s.text.as_str())).collect::<Vec<_>>(),
        [(id(1), ""), (id(3), "")]
    );
    assert_eq!(fixture.store.search_forgotten("They spoke, part 1").await.unwrap(), []);
    assert_eq!(fixture.listed(&session, head).await, [id(2)]);
    // An overview of what is being made anew has to wait.
    let again = || overview(&session, &messages[0], &messages[31], 31, 5);
    assert_eq!(fixture.store.insert_summary(ME, again(), now()).await.unwrap(), None);
    let range = fixture.next_range(&session, head, 32).await.unwrap();
    assert_eq!((range.first_depth, range.last_depth), (0, 15));
    assert_eq!(range.messages[2].content, "");
    fixture.summarised(&session, &range, 4).await;
    fixture.store.insert_summary(ME, again(), now()).await.unwrap().unwrap();
    assert_eq!(fixture.listed(&session, head).await, [id(2), id(5)]);
    assert_eq!(fixture.store.stale_summaries(ME).await.unwrap(), []);
    // A summary itself can be forgotten; it is made anew.
    let forgotten = fixture.store.forget(ME, id(2), &key(), now()).await.unwrap().unwrap();
    assert_eq!(
        (forgotten.kind, forgotten.memory_ids),
        (MemoryKind::Summary, vec![id(2)])
    );
    let range = fixture.next_range(&session, head, 32).await.unwrap();
    assert_eq!((range.first_depth, range.last_depth), (16, 31));
}

#[tokio::test]
async fn what_was_read_before_a_forgetting_is_not_stored() {
    let (fixture, session, messages) = told(10).await;
    let head = messages[19].id;
    let range = fixture.next_range(&session, head, 18).await.unwrap();
    fixture
        .store
        .forget(ME, messages[3].id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    let store = &fixture.store;
    assert_eq!(
        store
            .insert_summary(ME, of_range(&session, &range, 1), now())
            .await
            .unwrap(),
        None
    );
    let range = fixture.next_range(&session, head, 18).await.unwrap();
    assert_eq!(range.messages[3].content, "");
    fixture.summarised(&session, &range, 1).await;
    // Nor what was read before its session was cleared.
    let range = {
        let more = told(10).await;
        let range = more.0.next_range(&more.1, more.2[19].id, 18).await.unwrap();
        more.0.store.clear_session(ME, &more.1, now()).await.unwrap();
        let done = more
            .0
            .store
            .insert_summary(ME, of_range(&more.1, &range, 1), now())
            .await
            .unwrap();
        assert_eq!(done, None);
        range
    };
    assert_eq!(range.messages.len(), 16);
    store.clear_session(ME, &session, now()).await.unwrap();
    assert_eq!(store.find_memory(ME, id(1)).await.unwrap(), None);
    assert_eq!(fixture.count("SELECT count(*) FROM summaries").await, 0);
}

#[tokio::test]
async fn nothing_off_the_record_is_handed_out() {
    let (fixture, session, messages) = told(10).await;
    let store = &fixture.store;
    let set = |memory| {
        let patch = SessionPatch {
            memory: Some(memory),
            ..SessionPatch::default()
        };
        store.update_session(ME, &session, patch, now())
    };
    for memory in [MemoryMode::Off, MemoryMode::ReadOnly] {
        set(memory).await.unwrap();
        assert_eq!(fixture.next_range(&session, messages[19].id, 18).await, None);
    }
    set(MemoryMode::On).await.unwrap();
    store.set_memory_paused(ME, true).await.unwrap();
    assert_eq!(fixture.next_range(&session, messages[19].id, 18).await, None);
    store.set_memory_paused(ME, false).await.unwrap();
    assert!(fixture.next_range(&session, messages[19].id, 18).await.is_some());
    assert_eq!(fixture.next_range(&session_id("none"), messages[19].id, 18).await, None);
}

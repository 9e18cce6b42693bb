//! Memories as the owner sees them: by id, listed, searched, counted.

use crate::{
    exposed::replied,
    shelf::{Shelf, file, insert},
    support::*,
    tool_calls::{awkward, said},
};
use mira_core::{
    chat::{Exposure, Role},
    ids::{MemoryId, ProjectId},
    memory::{MemoryKind, MemorySource},
};
use mira_memory::{BeginKind, BeginOutcome, BeginTurn, MemoryCounts, MemoryCursor, MemoryFilter, Page, SendParent};
use uuid::Uuid;

fn fact(n: u128) -> MemoryId {
    MemoryId(Uuid::from_u128(n))
}

/// Two turns of one session, one of another, two facts and a summary, in this order.
async fn filled() -> (Fixture, Vec<MemoryId>) {
    let (fixture, session) = Fixture::with_session().await;
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    let first = fixture
        .say(&session, "I bought a café racer", "A motorcycle, 東京 style?")
        .await;
    let second = fixture.say(&session, "Yes, a red one", "Ride carefully").await;
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: "Motorcycles of the project".to_owned(),
        client_id: None,
        parent: SendParent::Head,
        project_id: Some(fixture.known_project(5).await),
        metadata: None,
    };
    let (_, third) = fixture.begun(&session_id("t"), kind).await;
    fixture.write_documents(64).await;
    fixture
        .execute(
            "INSERT INTO memories (account_id, id, kind, session_id, message_id, about, topic, text, salience, pinned,
                                   source, valid_from, superseded_by, created_at, updated_at)
             VALUES (1, x'000000000000000000000000000000f1', 'fact', 's', NULL, 'owner', 'vehicle',
                     'Owns a red motorcycle.', 0.5, 1, 'conversation', 1000, NULL, 2000, 2000),
                    (1, x'000000000000000000000000000000f2', 'fact', NULL, NULL, 'Anna', '仕事',
                     'Arbeitet im Café 東京タワー.', NULL, 0, 'tool', 1000, x'000000000000000000000000000000f1', 2000, 2000),
                    (1, x'000000000000000000000000000000f3', 'summary', 's', NULL, 'owner', NULL,
                     'They spoke of motorcycles.', NULL, 0, 'conversation', 1000, NULL, 2000, 2000)",
        )
        .await;
    let messages = [first.0.id, first.1.id, second.0.id, second.1.id, third.id].map(MemoryId::from);
    let all = messages.into_iter().chain([0xf1, 0xf2, 0xf3].map(fact)).collect();
    (fixture, all)
}

async fn list(fixture: &Fixture, filter: MemoryFilter) -> Vec<MemoryId> {
    let page = fixture.store.list_memories(ME, filter, Page::first(100)).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|memory| memory.id).collect()
}

#[tokio::test]
async fn memories_by_id() {
    let (fixture, all) = filled().await;
    let found = fixture
        .store
        .find_memories(ME, &[all[5], fact(1), all[1], all[0]])
        .await
        .unwrap();
    assert_eq!(found.iter().map(|m| m.id).collect::<Vec<_>>(), [all[5], all[1], all[0]]);
    assert_eq!(found[0].about.as_deref(), Some("owner"));
    assert_eq!(found[0].topic.as_deref(), Some("vehicle"));
    assert_eq!(
        (found[0].role, found[0].pinned, found[0].source),
        (None, true, MemorySource::Conversation)
    );
    assert_eq!(found[0].salience.map(mira_core::chat::Salience::get), Some(0.5));
    assert_eq!(found[0].valid_from.as_millisecond(), 1000);
    assert_eq!(found[0].date.as_millisecond(), 2000);
    assert_eq!(
        (found[1].role, found[2].role),
        (Some(Role::Assistant), Some(Role::User))
    );
    assert_eq!(
        (found[1].about.as_deref(), found[1].text.as_str()),
        (None, "A motorcycle, 東京 style?")
    );
    assert_eq!(found[1].salience.map(mira_core::chat::Salience::get), Some(0.3));
    assert_eq!(
        (found[1].date, found[1].valid_from, found[1].session_id.clone()),
        (now(), now(), Some(session_id("s")))
    );
    assert_eq!(found[1].message_id.map(MemoryId::from), Some(all[1]));
    let tool = fixture.store.find_memory(ME, all[6]).await.unwrap().unwrap();
    assert_eq!(
        (tool.source, tool.superseded_by, tool.session_id),
        (MemorySource::Tool, Some(all[5]), None)
    );
    assert_eq!(fixture.store.find_memory(ME, fact(1)).await.unwrap(), None);
    assert!(fixture.store.find_memories(ME, &[]).await.unwrap().is_empty());
    assert_eq!(
        fixture.store.memory_counts(ME).await.unwrap(),
        MemoryCounts {
            messages: 5,
            facts: 2,
            summaries: 1,
            pinned: 1
        }
    );
    // A message that is forgotten is no memory, even where its row is still there.
    fixture
        .execute("UPDATE messages SET content = '', status = 'forgotten' WHERE content LIKE 'A motorcycle%'")
        .await;
    assert_eq!(fixture.store.find_memory(ME, all[1]).await.unwrap(), None);
    assert!(!list(&fixture, MemoryFilter::default()).await.contains(&all[1]));
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let (fixture, all) = filled().await;
    let newest_first: Vec<_> = all.iter().rev().copied().collect();
    assert_eq!(list(&fixture, MemoryFilter::default()).await, newest_first);
    let of = |kind| MemoryFilter {
        kind: Some(kind),
        ..MemoryFilter::default()
    };
    assert_eq!(list(&fixture, of(MemoryKind::Fact)).await, [all[6], all[5]]);
    assert_eq!(list(&fixture, of(MemoryKind::Summary)).await, [all[7]]);
    let session = MemoryFilter {
        session_id: Some(session_id("s")),
        ..MemoryFilter::default()
    };
    assert_eq!(
        list(&fixture, session.clone()).await,
        [all[7], all[5], all[3], all[2], all[1], all[0]]
    );
    let both = MemoryFilter {
        kind: Some(MemoryKind::Message),
        ..session
    };
    assert_eq!(list(&fixture, both).await, [all[3], all[2], all[1], all[0]]);
    let project = MemoryFilter {
        project_id: Some(ProjectId(Uuid::from_u128(5))),
        ..MemoryFilter::default()
    };
    assert_eq!(list(&fixture, project).await, [all[4]]);
    // Page by page it is the same list; a cursor travels as text.
    let mut cursor: Option<MemoryCursor> = None;
    let mut paged = Vec::new();
    loop {
        let page = Page { limit: 3, cursor };
        let listed = fixture
            .store
            .list_memories(ME, MemoryFilter::default(), page)
            .await
            .unwrap();
        paged.extend(listed.items.into_iter().map(|memory| memory.id));
        match listed.next {
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(paged, newest_first);
}

#[tokio::test]
async fn the_list_is_searched() {
    let (fixture, all) = filled().await;
    let check = async |q: &str, kind: Option<MemoryKind>, expect: &[usize]| {
        let filter = MemoryFilter {
            q: Some(q.to_owned()),
            kind,
            ..MemoryFilter::default()
        };
        let expect: Vec<_> = expect.iter().map(|&at| all[at]).collect();
        assert_eq!(list(&fixture, filter).await, expect, "{q:?}");
    };
    check("motorcycle", None, &[7, 5, 4, 1]).await;
    check("motorcycle ", None, &[5, 1]).await;
    check("motorcycle", Some(MemoryKind::Message), &[4, 1]).await;
    check("motorcycle", Some(MemoryKind::Fact), &[5]).await;
    check("RED mot", None, &[5]).await;
    check("cafe", None, &[6, 0]).await;
    check("vehicle", None, &[5]).await;
    check("東京", None, &[6, 1]).await;
    check("東京 cafe", None, &[6]).await;
    check("京都", None, &[]).await;
    check("anna", None, &[6]).await;
    check("仕事", None, &[6]).await;
    for nothing in ["", " ", "!?", "\"", "🎉", "\0"] {
        check(nothing, None, &[]).await;
    }
    for odd in ["a\" OR \"b", "NEAR(x", "text:x*", "mot\0", "x' OR 1=1 --"] {
        let filter = MemoryFilter {
            q: Some(odd.to_owned()),
            ..MemoryFilter::default()
        };
        fixture.store.list_memories(ME, filter, Page::first(10)).await.unwrap();
    }
    // What changes or goes is found accordingly.
    fixture
        .execute("UPDATE memories SET text = 'Sold the bike.' WHERE id = x'000000000000000000000000000000f1'")
        .await;
    check("bike", None, &[5]).await;
    check("red", None, &[2]).await;
    fixture.execute("DELETE FROM memories WHERE kind <> 'message'").await;
    check("bike", None, &[]).await;
    check("motorcycle", None, &[4, 1]).await;
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn neighbours_are_memories_on_the_branch() {
    let (fixture, all) = filled().await;
    let messages: Vec<_> = all[..5].iter().map(|id| mira_core::ids::MessageId(id.0)).collect();
    let found = fixture
        .store
        .neighbours(ME, &[messages[1], messages[0], messages[4]])
        .await
        .unwrap();
    let found: Vec<_> = found.into_iter().map(|n| (n.before, n.after)).collect();
    assert_eq!(
        found,
        [(Some(all[0]), Some(all[2])), (None, Some(all[1])), (None, None)]
    );
}

/// What she makes of strangers' words is her own account of them, and says so wherever it comes up.
#[tokio::test]
async fn a_reply_that_strangers_words_led_to_is_marked() {
    let (fixture, session) = Fixture::with_session().await;
    let plain = fixture.say(&session, "Good morning.", "Good morning.").await;
    let looked_up = said(&fixture, &session, "What did I say?", awkward()[..2].to_vec()).await;
    let read = said(&fixture, &session, "Read the page.", awkward()).await;
    let shelf = Shelf::new();
    let sent = insert(&fixture.store, file(&shelf, 1, "a.txt", b"of cats")).await;
    let turn = BeginTurn {
        files: vec![sent.id],
        ..fixture.begin(&session, send(fixture.message_id(), "Look.", SendParent::Head))
    };
    let begun = fixture.store.begin_turn(ME, turn.clone()).await.unwrap();
    let BeginOutcome::Begun { user_message } = begun else {
        panic!("{begun:?}")
    };
    let shown = (user_message, replied(&fixture, &turn, Some(Exposure::Direct)).await);
    fixture.write_documents(64).await;
    let expect = [(plain, false), (looked_up, false), (read, true), (shown, true)];
    let check = async |fixture: &Fixture| {
        for ((question, reply), marked) in &expect {
            let ids = [question.id, reply.id].map(MemoryId::from);
            let found = fixture.store.find_memories(ME, &ids).await.unwrap();
            let sources: Vec<MemorySource> = found.iter().map(|memory| memory.source).collect();
            let of_reply = if *marked {
                MemorySource::Tool
            } else {
                MemorySource::Conversation
            };
            assert_eq!(sources, [MemorySource::Conversation, of_reply], "{}", reply.content);
        }
    };
    check(&fixture).await;
    // Those of before are marked by the migration.
    let options = options(&fixture.dir);
    fixture.store.close().await;
    revert_to(&options, 12, now()).await;
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM memories WHERE source <> 'conversation'")
            .await,
        0
    );
    check(&fixture.reopened().await).await;
}

//! Facts: stored once, superseded, corrected, kept from being learnt again.

use crate::support::*;
use mira_core::{
    chat::Salience,
    ids::{AccountId, MemoryId, MessageId},
    memory::{Memory, MemoryKind, MemorySource},
};
use mira_memory::{FactOutcome, FactPatch, NewFact, PatchFactOutcome, SendParent, TombstoneKey};
use uuid::Uuid;

pub fn key() -> TombstoneKey {
    TombstoneKey::new([3; 32])
}

pub fn id(n: u128) -> MemoryId {
    MemoryId(Uuid::from_u128(0xfac7_0000 + n))
}

pub fn fact(n: u128, about: &str, text: &str) -> NewFact {
    NewFact {
        id: id(n),
        about: about.to_owned(),
        topic: None,
        text: text.to_owned(),
        source: MemorySource::Conversation,
        session_id: None,
        project_id: None,
        message_id: None,
        valid_from: now(),
        salience: None,
        pinned: false,
        supersedes: Vec::new(),
    }
}

pub async fn insert(fixture: &Fixture, fact: NewFact) -> FactOutcome {
    fixture
        .store
        .insert_facts(ME, vec![fact], &key(), now())
        .await
        .unwrap()
        .pop()
        .unwrap()
}

pub async fn stored(fixture: &Fixture, fact: NewFact) -> Memory {
    match insert(fixture, fact).await {
        FactOutcome::Stored(memory) => memory,
        other => panic!("{other:?}"),
    }
}

async fn live(fixture: &Fixture, about: &str) -> Vec<MemoryId> {
    let facts = fixture.store.live_facts(ME, about, 100).await.unwrap();
    facts.into_iter().map(|memory| memory.id).collect()
}

#[tokio::test]
async fn a_fact_is_stored_whole_and_queued() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "I live in Graz", "Nice").await;
    fixture.write_documents(100).await;
    let new = NewFact {
        topic: Some("home town".to_owned()),
        session_id: Some(session.clone()),
        message_id: Some(q.id),
        salience: Some(Salience::clamped(0.5)),
        ..fact(1, "owner", "Lives in Graz.")
    };
    let memory = stored(&fixture, new.clone()).await;
    let expect = Memory {
        id: id(1),
        kind: MemoryKind::Fact,
        text: new.text,
        role: None,
        about: Some("owner".to_owned()),
        topic: new.topic,
        date: now(),
        session_id: Some(session),
        message_id: Some(q.id),
        project_id: None,
        salience: Some(Salience::clamped(0.5)),
        pinned: false,
        source: MemorySource::Conversation,
        valid_from: now(),
        superseded_by: None,
    };
    assert_eq!(memory, expect);
    assert_eq!(fixture.store.find_memory(ME, id(1)).await.unwrap(), Some(expect));
    assert_eq!(fixture.write_documents(100).await, 1);
    assert_eq!(fixture.store.find_memory(AccountId(2), id(1)).await.unwrap(), None);
    assert_eq!(fixture.store.live_facts(AccountId(2), "owner", 9).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_said_again_is_merged() {
    let fixture = Fixture::new().await;
    let first = NewFact {
        salience: Some(Salience::clamped(0.5)),
        source: MemorySource::Tool,
        ..fact(1, "Anna", "Works at the hospital.")
    };
    stored(&fixture, first).await;
    let again = NewFact {
        topic: Some("job".to_owned()),
        salience: Some(Salience::clamped(0.25)),
        pinned: true,
        valid_from: "2027-02-01T00:00:00Z".parse().unwrap(),
        ..fact(2, "anna", "works AT the  hospital!")
    };
    assert_eq!(insert(&fixture, again).await, FactOutcome::Merged(id(1)));
    let one = fixture.store.find_memory(ME, id(1)).await.unwrap().unwrap();
    assert_eq!(one.text, "Works at the hospital.");
    assert_eq!(one.topic.as_deref(), Some("job"));
    assert_eq!(one.salience, Some(Salience::clamped(0.5)));
    assert_eq!(
        (one.pinned, one.valid_from, one.source),
        (true, now(), MemorySource::Conversation)
    );
    // Of another person the same sentence is another fact; two of one call are compared too.
    let both = vec![
        fact(3, "Ben", "Works at the hospital."),
        fact(4, "Ben", "Works at the hospital"),
    ];
    let outcomes = fixture.store.insert_facts(ME, both, &key(), now()).await.unwrap();
    assert!(matches!(outcomes[0], FactOutcome::Stored(_)), "{outcomes:?}");
    assert_eq!(outcomes[1], FactOutcome::Merged(id(3)));
    assert_eq!(live(&fixture, "ANNA").await, [id(1)]);
}

#[tokio::test]
async fn contradictions_supersede_and_chains_never_fork() {
    let fixture = Fixture::new().await;
    let mut pinned = fact(1, "owner", "Lives in Graz.");
    pinned.pinned = true;
    stored(&fixture, pinned).await;
    let supersede = |n, text: &str, old: &[u128]| NewFact {
        supersedes: old.iter().map(|&n| id(n)).collect(),
        ..fact(n, "owner", text)
    };
    let second = stored(&fixture, supersede(2, "Lives in Linz.", &[1])).await;
    // What was kept in view stays in view.
    assert!(second.pinned);
    assert_eq!(live(&fixture, "owner").await, [id(2)]);
    // Somebody who still looks at the first replaces the newest.
    stored(&fixture, supersede(3, "Lives in Wien.", &[1, 3, 99])).await;
    let by = |n| {
        let store = &fixture.store;
        async move { store.find_memory(ME, id(n)).await.unwrap().unwrap().superseded_by }
    };
    assert_eq!(
        (by(1).await, by(2).await, by(3).await),
        (Some(id(2)), Some(id(3)), None)
    );
    // Back to the first town: a new fact, for the old one is past. No circle.
    stored(&fixture, supersede(4, "Lives in Graz.", &[3])).await;
    assert_eq!(live(&fixture, "owner").await, [id(4)]);
    // What is known already, said as news about itself and the past, changes nothing.
    let same = supersede(5, "lives in graz", &[4, 1, 3]);
    assert_eq!(insert(&fixture, same).await, FactOutcome::Merged(id(4)));
    assert_eq!(by(4).await, None);
    let pinned: Vec<_> = fixture.store.pinned_memories(ME, 9).await.unwrap();
    assert_eq!(pinned.iter().map(|m| m.id).collect::<Vec<_>>(), [id(4)]);
}

#[tokio::test]
async fn what_has_no_evidence_left_is_not_learnt() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "I live in Graz", "Nice").await;
    let of = |n, message| NewFact {
        message_id: Some(message),
        ..fact(n, "owner", &format!("Has {n} cats."))
    };
    assert_eq!(
        insert(&fixture, of(1, MessageId(Uuid::from_u128(9)))).await,
        FactOutcome::Forgotten
    );
    fixture
        .store
        .forget(ME, q.id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(insert(&fixture, of(2, q.id)).await, FactOutcome::Forgotten);
    assert_eq!(insert(&fixture, fact(3, "owner", " ...")).await, FactOutcome::Forgotten);
}

#[tokio::test]
async fn the_forgotten_is_not_learnt_again_but_by_the_owner() {
    let fixture = Fixture::new().await;
    stored(&fixture, fact(1, "owner", "Lives in Graz.")).await;
    fixture.store.forget(ME, id(1), &key(), now()).await.unwrap().unwrap();
    assert_eq!(fixture.store.find_memory(ME, id(1)).await.unwrap(), None);
    for (n, text) in [
        (2, "lives in GRAZ"),
        (3, "The owner lives in Graz."),
        (4, "In Graz, the owner lives."),
    ] {
        assert_eq!(
            insert(&fixture, fact(n, "owner", text)).await,
            FactOutcome::Forgotten,
            "{text}"
        );
        assert!(fixture.store.is_tombstoned(ME, &key(), text).await.unwrap());
    }
    assert!(
        !fixture
            .store
            .is_tombstoned(ME, &TombstoneKey::new([4; 32]), "Lives in Graz.")
            .await
            .unwrap()
    );
    assert!(!fixture.store.is_tombstoned(ME, &key(), "Lives in Linz.").await.unwrap());
    let own = NewFact {
        source: MemorySource::Owner,
        ..fact(5, "owner", "Lives in Graz.")
    };
    stored(&fixture, own).await;
    assert!(!fixture.store.is_tombstoned(ME, &key(), "Lives in Graz.").await.unwrap());
}

#[tokio::test]
async fn a_correction_is_the_owners_and_leaves_nothing_of_the_old() {
    let fixture = Fixture::new().await;
    stored(&fixture, fact(1, "owner", "Lives in Qyxgrazburg.")).await;
    fixture.write_documents(100).await;
    let change = FactPatch {
        text: Some("Lives in Linz.".to_owned()),
        topic: Some(Some("home".to_owned())),
        ..FactPatch::default()
    };
    let outcome = fixture.store.patch_memory(ME, id(1), change, now()).await.unwrap();
    let PatchFactOutcome::Patched(memory) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (memory.text.as_str(), memory.source),
        ("Lives in Linz.", MemorySource::Owner)
    );
    assert_eq!(memory.topic.as_deref(), Some("home"));
    assert_eq!(fixture.store.search_forgotten("Qyxgrazburg").await.unwrap(), []);
    assert_eq!(fixture.write_documents(100).await, 1);
    assert!(fixture.store.scrub().await.unwrap().is_clean());
    assert_eq!(
        mira_memory::search_files(fixture.dir.path(), "qyxgraz").await.unwrap(),
        []
    );
}

#[tokio::test]
async fn messages_are_pinned_and_not_corrected() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, a) = fixture.say(&session, "the door code is on the fridge", "I see").await;
    let pin = |pinned| FactPatch {
        pinned: Some(pinned),
        ..FactPatch::default()
    };
    let text = FactPatch {
        text: Some("other".to_owned()),
        ..FactPatch::default()
    };
    let store = &fixture.store;
    // Neither is a memory yet: the indexer has not come by.
    assert_eq!(
        store.patch_memory(ME, q.id.into(), text.clone(), now()).await.unwrap(),
        PatchFactOutcome::NotAFact
    );
    let outcome = store.patch_memory(ME, q.id.into(), pin(true), now()).await.unwrap();
    let PatchFactOutcome::Patched(memory) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((memory.kind, memory.pinned), (MemoryKind::Message, true));
    let pinned = store.pinned_memories(ME, 9).await.unwrap();
    assert_eq!(pinned.iter().map(|m| m.id).collect::<Vec<_>>(), [MemoryId::from(q.id)]);
    // The indexer finds it made already.
    assert_eq!(fixture.write_documents(100).await, 2);
    assert_eq!(
        store.patch_memory(ME, q.id.into(), text.clone(), now()).await.unwrap(),
        PatchFactOutcome::NotAFact
    );
    store.patch_memory(ME, q.id.into(), pin(false), now()).await.unwrap();
    assert_eq!(store.pinned_memories(ME, 9).await.unwrap(), []);
    for (account, id, change) in [
        (ME, id(77), pin(true)),
        (ME, id(77), text),
        (AccountId(2), a.id.into(), pin(true)),
    ] {
        let outcome = store.patch_memory(account, id, change, now()).await.unwrap();
        assert_eq!(outcome, PatchFactOutcome::NotFound);
    }
    let (begun, user) = fixture
        .begun(&session, send(fixture.message_id(), "gone", SendParent::Head))
        .await;
    store.forget(ME, user.id.into(), &key(), now()).await.unwrap().unwrap();
    assert_eq!(
        store.patch_memory(ME, user.id.into(), pin(true), now()).await.unwrap(),
        PatchFactOutcome::NotFound
    );
    fixture.finished(&begun, "still answered").await;
}

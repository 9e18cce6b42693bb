//! Receipts: stored with the reply, without what was forgotten since.

use crate::{
    facts::{fact, id, key, stored},
    support::*,
};
use mira_core::{
    ids::{AccountId, MemoryId},
    memory::{Fate, LeftOut, MemoryKind, Receipt, ReceiptItem, Scores},
};
use mira_memory::{FinishOutcome, SendParent};

fn item(memory_id: MemoryId, kind: MemoryKind, rank: u32, fate: Fate) -> ReceiptItem {
    ReceiptItem {
        memory_id,
        kind,
        fate,
        scores: Scores {
            lexical: 0.1,
            cosine: -0.25,
            bonus: 0.05,
            total: 0.7,
        },
        rank,
        tokens: 12,
        reason: "words and meaning".to_owned(),
    }
}

#[tokio::test]
async fn a_receipt_is_stored_with_its_reply_and_names_nothing_forgotten() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    stored(&fixture, fact(1, "owner", "Lives in Graz.")).await;
    stored(&fixture, fact(2, "owner", "Has a dog.")).await;
    let (q, _) = fixture.say(&session, "My dog is old", "He is").await;
    fixture.write_documents(100).await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "How old?", SendParent::Head))
        .await;
    let receipt = Receipt {
        message_id: turn.reply_id,
        items: vec![
            item(id(1), MemoryKind::Fact, 1, Fate::Used),
            item(q.id.into(), MemoryKind::Message, 2, Fate::Dropped),
            item(id(2), MemoryKind::Fact, 3, Fate::Considered),
        ],
        degraded: Some("index".to_owned()),
        prompt_hash: [9; 32],
        parts: vec![("core".to_owned(), 900), ("memories".to_owned(), 24)],
        left_out: LeftOut { messages: 16, notes: 2 },
        created_at: now(),
    };
    let mut end = fixture.end(&turn, "Very");
    end.receipt = Some(receipt.clone());
    assert_eq!(store.find_receipt(ME, turn.reply_id).await.unwrap(), None);
    for _ in 0..2 {
        // The second end of a turn changes nothing.
        let outcome = store.finish_turn(ME, end.clone()).await.unwrap();
        assert!(matches!(outcome, FinishOutcome::Finished(Some(_))));
        assert_eq!(
            store.find_receipt(ME, turn.reply_id).await.unwrap(),
            Some(receipt.clone())
        );
    }
    assert_eq!(store.find_receipt(AccountId(2), turn.reply_id).await.unwrap(), None);
    store.forget(ME, q.id.into(), &key(), now()).await.unwrap().unwrap();
    store.forget(ME, id(2), &key(), now()).await.unwrap().unwrap();
    let mut left = receipt;
    left.items.truncate(1);
    assert_eq!(store.find_receipt(ME, turn.reply_id).await.unwrap(), Some(left.clone()));
    // And the rows name them no more either.
    store.scrub().await.unwrap();
    let items = "SELECT json_array_length(items) FROM receipts";
    assert_eq!(fixture.count(items).await, 1);
    assert_eq!(store.find_receipt(ME, turn.reply_id).await.unwrap(), Some(left));
    // A forgotten reply has none.
    store
        .forget(ME, turn.reply_id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.find_receipt(ME, turn.reply_id).await.unwrap(), None);
    assert_eq!(fixture.count("SELECT count(*) FROM receipts").await, 0);
}

/// She forgets by her own hand: the receipt of that very reply comes after what it names has gone.
#[tokio::test]
async fn what_a_turn_itself_forgets_is_not_in_its_receipt() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    stored(&fixture, fact(1, "owner", "Lives in Graz.")).await;
    stored(&fixture, fact(2, "owner", "Has a dog.")).await;
    let (turn, asked) = fixture
        .begun(&session, send(fixture.message_id(), "Forget my dog", SendParent::Head))
        .await;
    store.forget(ME, id(2), &key(), now()).await.unwrap().unwrap();
    store.scrub().await.unwrap();
    let mut end = fixture.end(&turn, "Gone");
    end.receipt = Some(Receipt {
        message_id: turn.reply_id,
        items: vec![
            item(id(2), MemoryKind::Fact, 1, Fate::Used),
            item(id(1), MemoryKind::Fact, 2, Fate::Used),
        ],
        degraded: None,
        prompt_hash: [9; 32],
        parts: Vec::new(),
        left_out: LeftOut::default(),
        created_at: now(),
    });
    store.finish_turn(ME, end).await.unwrap();
    let count = |sql: &'static str| fixture.count(sql);
    assert_eq!(count("SELECT json_array_length(items) FROM receipts").await, 1);
    // Why the other one came up is told in words of the question: they go with it.
    let told = "SELECT count(*) FROM receipts WHERE items LIKE '%words and meaning%'";
    assert_eq!(count(told).await, 1);
    store.forget(ME, asked.id.into(), &key(), now()).await.unwrap().unwrap();
    assert_eq!(count(told).await, 0);
    let receipt = store.find_receipt(ME, turn.reply_id).await.unwrap().unwrap();
    let left: Vec<_> = receipt.items.iter().map(|item| (item.memory_id, item.rank)).collect();
    assert_eq!(left, [(id(1), 2)]);
}

#[tokio::test]
async fn many_receipts_are_cleaned_in_slices() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "My dog is old", "He is").await;
    stored(&fixture, fact(1, "owner", "Has a dog.")).await;
    fixture.write_documents(10).await;
    // 1200 replies that all named the fact and the message.
    sqlx::query(
        "INSERT INTO messages (account_id, session_id, id, depth, role, content, status, created_at)
         SELECT 1, 's', unhex(printf('%032x', value)), value, 'assistant', '', 'complete', 0
           FROM (WITH RECURSIVE n (value) AS (SELECT 10 UNION ALL SELECT value + 1 FROM n WHERE value < 1209)
                 SELECT value FROM n)",
    )
    .execute(&mut fixture.connect().await)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO receipts (account_id, message_id, prompt_hash, items, parts, created_at)
         SELECT 1, id, zeroblob(32), json_array(json_object('memory_id', ?1), json_object('memory_id', ?2)), '[]', 0
           FROM messages WHERE content = ''",
    )
    .bind(id(1).to_string())
    .bind(q.id.to_string())
    .execute(&mut fixture.connect().await)
    .await
    .unwrap();
    let lines = "SELECT sum(json_array_length(items)) FROM receipts";
    assert_eq!(fixture.count(lines).await, 2400);
    fixture.store.forget(ME, id(1), &key(), now()).await.unwrap().unwrap();
    fixture.store.scrub().await.unwrap();
    assert_eq!(fixture.count(lines).await, 1200);
}

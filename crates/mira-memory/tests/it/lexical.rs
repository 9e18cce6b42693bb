//! What recall finds by words.

use crate::support::*;
use mira_core::{ids::MemoryId, memory::MemoryKind};
use mira_memory::{BeginKind, LexicalHits, LexicalQuery, SendParent};
use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

fn terms(words: &[&str]) -> LexicalQuery {
    LexicalQuery {
        terms: words.iter().map(ToString::to_string).collect(),
        limit: 200,
        ..LexicalQuery::default()
    }
}

async fn find(fixture: &Fixture, words: &[&str]) -> LexicalHits {
    fixture.store.find_lexical(ME, terms(words)).await.unwrap()
}

fn ids(hits: &LexicalHits) -> Vec<MemoryId> {
    hits.hits.iter().map(|hit| hit.id).collect()
}

#[tokio::test]
async fn terms_are_stemmed_counted_and_scored() {
    let (fixture, session) = Fixture::with_session().await;
    let nothing = find(&fixture, &["dogs"]).await;
    assert_eq!(
        (nothing.documents, nothing.df.as_slice(), nothing.hits.len()),
        (0, [0].as_slice(), 0)
    );
    let mut said = Vec::new();
    for text in [
        "My dogs are running",
        "A café in Graz",
        "It ran well",
        "A dog again",
        "Nothing here",
    ] {
        let kind = send(fixture.message_id(), text, SendParent::Root);
        let (turn, message) = fixture.begun(&session, kind).await;
        said.push(MemoryId::from(message.id));
        let end = mira_memory::FinishTurn {
            reply: None,
            state: mira_memory::TurnState::Failed,
            tokens: None,
            mira: None,
            ..fixture.end(&turn, "")
        };
        fixture.store.finish_turn(ME, end).await.unwrap();
    }
    fixture.write_documents(64).await;
    let found = find(&fixture, &["Dog", "run", "DOGS", "unheard", "CAFE"]).await;
    assert_eq!(found.documents, 5);
    let asked: Vec<_> = found.terms.iter().map(|t| (t.text.as_str(), t.df, t.scored)).collect();
    assert_eq!(
        asked,
        [
            ("dog", 2, true),
            ("run", 1, true),
            ("unheard", 0, true),
            ("cafe", 1, true)
        ]
    );
    assert_eq!(found.df, [2, 1, 0, 1]);
    assert_eq!(ids(&found), [said[0], said[1], said[3]]);
    assert!(found.hits[0].bm25 > found.hits[1].bm25 && found.hits[2].bm25 > 0.0);
    // A term of several words counts as its words.
    assert_eq!(ids(&find(&fixture, &["café-graz"]).await), [said[1]]);
    assert_eq!(ids(&find(&fixture, &[]).await), []);
    // No more than was asked for.
    let one = LexicalQuery {
        limit: 1,
        ..terms(&["dog", "run"])
    };
    assert_eq!(ids(&fixture.store.find_lexical(ME, one).await.unwrap()), [said[0]]);
}

#[tokio::test]
async fn filters() {
    let (fixture, session) = Fixture::with_session().await;
    let project = fixture.known_project(7).await;
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: "tomatoes 東京 in the project".to_owned(),
        client_id: None,
        parent: SendParent::Root,
        project_id: Some(project),
        metadata: None,
    };
    let (_, inside) = fixture.begun(&session, kind).await;
    let kind = send(fixture.message_id(), "tomatoes 東京 elsewhere", SendParent::Root);
    let (_, outside) = fixture.begun(&session, kind).await;
    fixture
        .execute(
            "INSERT INTO memories (account_id, id, kind, about, topic, text, source, valid_from, created_at, updated_at)
             VALUES (1, x'00000000000000000000000000000099', 'fact', 'owner', 'garden', 'Grows tomatoes.', 'conversation',
                     0, 0, 0);
             INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
             VALUES (1, x'00000000000000000000000000000099', 'fact', 'document', 0)",
        )
        .await;
    assert_eq!(fixture.write_documents(64).await, 3);
    let fact = MemoryId(Uuid::from_u128(0x99));
    let check = async |words: &[&str], project, kinds: &[MemoryKind], expect: &[MemoryId]| {
        let query = LexicalQuery {
            project,
            kinds: kinds.to_vec(),
            ..terms(words)
        };
        let found = fixture.store.find_lexical(ME, query).await.unwrap();
        let (mut found, mut expect) = (ids(&found), expect.to_vec());
        found.sort_unstable();
        expect.sort_unstable();
        assert_eq!(found, expect);
    };
    let (inside, outside) = (inside.id.into(), outside.id.into());
    check(&["tomato"], None, &[], &[inside, outside, fact]).await;
    check(&["tomato"], Some(project), &[], &[inside]).await;
    check(&["東京"], Some(project), &[], &[inside]).await;
    check(&["tomato"], None, &[MemoryKind::Fact], &[fact]).await;
    check(&["1970"], None, &[], &[fact]).await;
    check(&["tomato", "東京"], None, &[MemoryKind::Message], &[inside, outside]).await;
    let other = mira_core::ids::AccountId(2);
    assert!(
        fixture
            .store
            .find_lexical(other, terms(&["tomato"]))
            .await
            .unwrap()
            .hits
            .is_empty()
    );
}

/// What everybody says all the time finds the newest, and only where nothing else does.
#[tokio::test]
async fn what_is_everywhere_finds_the_newest() {
    let (fixture, _) = Fixture::with_session().await;
    fixture
        .execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400)
             INSERT INTO memories (key, account_id, id, kind, about, text, source, valid_from, created_at, updated_at)
             SELECT n, 1, CAST(printf('%016d', n) AS BLOB), 'fact', 'owner', 'day', 'conversation', 0, 0, 0 FROM n;
             INSERT INTO recall_fts (rowid, text)
             SELECT key, CASE key WHEN 7 THEN 'day tomato day day' ELSE 'day day day' END FROM memories",
        )
        .await;
    let ask = async |words: &[&str], kinds: &[MemoryKind], limit: u32| {
        let query = LexicalQuery {
            limit,
            kinds: kinds.to_vec(),
            ..terms(words)
        };
        // As soon as it is known how common the words are, it is the same.
        let first = fixture.store.find_lexical(ME, query.clone()).await.unwrap();
        assert_eq!(fixture.store.find_lexical(ME, query).await.unwrap(), first);
        let keys: Vec<i64> = first.hits.iter().map(|hit| hit.key).collect();
        (keys, first.df)
    };
    assert_eq!(ask(&["days"], &[], 3).await, (vec![400, 399, 398], vec![400]));
    assert_eq!(ask(&["days"], &[MemoryKind::Fact], 3).await.1, vec![400]);
    assert_eq!(ask(&["days"], &[MemoryKind::Message], 3).await.0, Vec::<i64>::new());
    assert_eq!(ask(&["tomato", "days"], &[], 1).await, (vec![7], vec![1]));
    let (keys, df) = ask(&["tomato", "days"], &[], 3).await;
    assert_eq!((keys[0], keys.len(), df), (7, 3, vec![1, 400]));
}

/// The scores are those of FTS5, whatever was rewritten and removed before.
async fn compare(texts: &[Vec<u8>], gone: u64, words: &[u8]) {
    let (fixture, session) = Fixture::with_session().await;
    for (n, text) in texts.iter().enumerate() {
        let text: Vec<String> = text.iter().map(|word| format!("w{word}x")).collect();
        fixture.say(&session, &text.join(" "), "東京").await;
        if n % 3 == 0 {
            fixture.store.write_documents(ME, 2, now()).await.unwrap();
        }
    }
    fixture.write_documents(64).await;
    let mut conn = fixture.connect().await;
    sqlx::query("DELETE FROM recall_fts WHERE rowid % 7 = ?1")
        .bind(i64::try_from(gone).unwrap())
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    // A table of its own, in which nothing was ever rewritten.
    let mut scratch = SqliteConnection::connect(":memory:").await.unwrap();
    sqlx::query("CREATE VIRTUAL TABLE d USING fts5 (text)")
        .execute(&mut scratch)
        .await
        .unwrap();
    let documents = fixture.documents().await;
    for (key, text) in &documents {
        sqlx::query("INSERT INTO d (rowid, text) VALUES (?1, ?2)")
            .bind(key)
            .bind(text)
            .execute(&mut scratch)
            .await
            .unwrap();
    }
    let words: Vec<String> = words.iter().map(|word| format!("w{word}x")).collect();
    let query: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let mut expect: Vec<(i64, f64)> = sqlx::query_as("SELECT rowid, -bm25(d) FROM d WHERE d MATCH ?1 ORDER BY rowid")
        .bind(query.join(" OR "))
        .fetch_all(&mut scratch)
        .await
        .unwrap();
    let query = LexicalQuery {
        terms: words,
        limit: 1000,
        ..LexicalQuery::default()
    };
    let found = fixture.store.find_lexical(ME, query).await.unwrap();
    assert_eq!(found.documents, documents.len() as u64);
    assert_eq!(found.hits.len(), expect.len());
    let mut by_key: Vec<_> = found.hits.iter().map(|hit| (hit.key, f64::from(hit.bm25))).collect();
    assert!(by_key.is_sorted_by(|a, b| a.1 >= b.1));
    by_key.sort_by_key(|hit| hit.0);
    expect.sort_by_key(|hit| hit.0);
    for (ours, theirs) in by_key.iter().zip(&expect) {
        assert!(
            ours.0 == theirs.0 && (ours.1 - theirs.1).abs() < 1e-4,
            "{ours:?} {theirs:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn scores_are_those_of_fts5(
        texts in prop::collection::vec(prop::collection::vec(0..12u8, 1..9), 1..16),
        gone in 0..7u64,
        words in prop::collection::hash_set(0..14u8, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let words: Vec<u8> = words.into_iter().collect();
        runtime.block_on(compare(&texts, gone, &words));
    }

    /// Any text is a query.
    #[test]
    fn any_text_is_a_term(texts in prop::collection::vec(any::<String>(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (fixture, session) = Fixture::with_session().await;
            for text in &texts {
                if !text.is_empty() {
                    fixture.begun(&session, send(fixture.message_id(), text, SendParent::Root)).await;
                }
            }
            fixture.write_documents(64).await;
            let query = LexicalQuery { terms: texts, limit: 10, ..LexicalQuery::default() };
            let found = fixture.store.find_lexical(ME, query).await.unwrap();
            assert!(found.hits.len() <= 10 && found.terms.len() <= 96);
        });
    }
}

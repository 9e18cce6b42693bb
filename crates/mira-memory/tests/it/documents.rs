//! Recall's documents.

use crate::support::*;
use jiff::Timestamp;
use mira_core::{
    chat::{MemoryMode, Message},
    ids::{MessageId, SessionId},
};
use mira_memory::{BeginKind, LexicalQuery, NewSession, SendParent, SpeakerNames, Store};
use proptest::prelude::*;
use sqlx::Connection;

/// One owner's message in a conversation, said at `at`, without a reply.
async fn said(fixture: &Fixture, session: &SessionId, text: &str, parent: SendParent) -> MessageId {
    let (turn, message) = fixture.begun(session, send(fixture.message_id(), text, parent)).await;
    let end = mira_memory::FinishTurn {
        reply: None,
        state: mira_memory::TurnState::Failed,
        tokens: None,
        mira: None,
        ..fixture.end(&turn, "")
    };
    fixture.store.finish_turn(ME, end).await.unwrap();
    message.id
}

async fn texts(fixture: &Fixture) -> Vec<String> {
    fixture.documents().await.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn a_document_holds_its_neighbours() {
    let (fixture, session) = Fixture::with_session().await;
    let names = SpeakerNames {
        owner: "Caroline".to_owned(),
        mira: "Melanie".to_owned(),
    };
    fixture.store.set_speaker_names(ME, names.clone()).await.unwrap();
    assert_eq!(fixture.store.find_speaker_names(ME).await.unwrap(), names);
    fixture.say(&session, "one", "two").await;
    fixture.say(&session, "three", "four").await;
    assert_eq!(fixture.write_documents(64).await, 4);
    let date = "15 januari 2027";
    let first = [
        format!("{date} carolin on carolin on melani two carolin three"),
        format!("{date} carolin on melani two melani two carolin three melani four"),
        format!("{date} carolin on melani two carolin three carolin three melani four"),
        format!("{date} melani two carolin three melani four melani four"),
    ];
    assert_eq!(texts(&fixture).await, first);
    // A new turn changes the documents of the two before it, and no other.
    fixture.say(&session, "five", "six").await;
    fixture.write_documents(1).await;
    let after = texts(&fixture).await;
    assert_eq!(after[..2], first[..2]);
    assert_eq!(after[2], format!("{} carolin five", first[2]));
    assert_eq!(after[3], format!("{} carolin five melani six", first[3]));
    assert_eq!(
        after[4],
        format!("{date} carolin three melani four carolin five carolin five melani six")
    );
    assert_eq!(after.len(), 6);
}

#[tokio::test]
async fn neighbours_are_of_the_session_the_branch_and_remembered() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "alpha", "beta").await;
    fixture.store.set_memory_paused(ME, true).await.unwrap();
    fixture.say(&session, "whispered", "whispered").await;
    fixture.store.set_memory_paused(ME, false).await.unwrap();
    fixture.say(&session, "gamma", "delta").await;
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    fixture.say(&session_id("t"), "elsewhere", "elsewhere").await;
    fixture.write_documents(64).await;
    let all = texts(&fixture).await;
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|text| !text.contains("whisper")), "{all:?}");
    assert!(
        all[2].contains("i gamma i gamma mira delta") && !all[2].contains("beta"),
        "{all:?}"
    );
    assert!(all[3].contains("gamma") && !all[3].contains("elsewher"), "{all:?}");
    // Another branch: what stands above sees the newest way on.
    let edit = BeginKind::Edit {
        of: q.id,
        keeps_files: true,
        message_id: fixture.message_id(),
        content: "epsilon".to_owned(),
        client_id: None,
        project_id: None,
        metadata: None,
    };
    fixture.turn(&session, edit, "zeta").await;
    fixture
        .turn(&session, BeginKind::Regenerate { message_id: q.id }, "eta")
        .await;
    fixture.write_documents(64).await;
    let all = texts(&fixture).await;
    assert!(all[0].ends_with("i alpha i alpha mira eta"), "{all:?}");
    assert!(all[6].ends_with("i epsilon i epsilon mira zeta"), "{all:?}");
    assert!(all[8].ends_with("2027 i alpha mira eta mira eta"), "{all:?}");
}

/// Everything a message can be made of; each is remembered, found where it holds a word, and harmless.
#[tokio::test]
async fn bad_input() {
    let (fixture, session) = Fixture::with_session().await;
    let long = format!("{}needle {}", "grass ".repeat(900), "wörd ".repeat(2_000_000));
    let odd = [
        "x".to_owned(),
        "   \n\t ".to_owned(),
        "🎉🎉🎉".to_owned(),
        "the and of it".to_owned(),
        "before\0after nulword".to_owned(),
        "\"quoted\" AND (NEAR( col:x ^y * -z".to_owned(),
        "昨日は東京でラーメンを食べました".to_owned(),
        "Привет, Ёлка! Γειά σου. שלום".to_owned(),
        "\u{202e}\u{feff}\u{fffd}\u{10ffff}".to_owned(),
        "a'b; DROP TABLE memories; --".to_owned(),
        long,
    ];
    let mut ids = Vec::new();
    for text in &odd {
        ids.push(said(&fixture, &session, text, SendParent::Root).await);
    }
    assert_eq!(fixture.write_documents(3).await, 11);
    let check = async |term: &str, expect: Option<usize>| {
        let query = LexicalQuery {
            terms: vec![term.to_owned()],
            limit: 20,
            ..LexicalQuery::default()
        };
        let found = fixture.store.find_lexical(ME, query).await.unwrap();
        let found: Vec<_> = found.hits.iter().map(|hit| hit.id).collect();
        let expect: Vec<_> = expect.map(|at| ids[at].into()).into_iter().collect();
        assert_eq!(found, expect, "{term:?}");
    };
    check("nulword", Some(4)).await;
    check("quoted", Some(5)).await;
    check("NEAR(", Some(5)).await;
    check("ラーメン", Some(6)).await;
    check("東", Some(6)).await;
    check("привет", Some(7)).await;
    check("שלום", Some(7)).await;
    check("needle", Some(10)).await;
    check("🎉", None).await;
    check("\"", None).await;
    check("", None).await;
    // Only its beginning is in the document, and is embedded.
    let jobs = fixture.store.due_vectors(ME, 20, now()).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.text.chars().count()).max(), Some(8000));
    assert_eq!(jobs[4].text, odd[4]);
    assert!(fixture.documents().await.iter().all(|(_, text)| text.len() < 40_000));
    // As a neighbour it is cut shorter still.
    let child = said(&fixture, &session, "after the flood", SendParent::Message(ids[10])).await;
    fixture.write_documents(10).await;
    let found = fixture.store.find_memory(ME, child.into()).await.unwrap();
    assert_eq!(found.map(|memory| memory.text), Some("after the flood".to_owned()));
    let (_, text) = fixture.documents().await.pop().unwrap();
    assert!(
        text.len() < 700 && text.contains("grass") && text.contains("flood"),
        "{text}"
    );
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn what_goes_takes_its_documents_along() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    fixture.say(&session, "kept 東京", "kept").await;
    fixture.say(&session_id("t"), "gone 京都", "gone").await;
    fixture.write_documents(64).await;
    assert_eq!(fixture.count("SELECT count(*) FROM recall_grams_docsize").await, 4);
    fixture.store.delete_session(ME, &session_id("t")).await.unwrap();
    let all = texts(&fixture).await;
    assert!(
        all.len() == 2 && all.iter().all(|text| text.contains("kept")),
        "{all:?}"
    );
    assert_eq!(fixture.count("SELECT count(*) FROM recall_grams_docsize").await, 2);
    assert_eq!(fixture.count("SELECT count(*) FROM memories").await, 2);
    fixture.store.clear_session(ME, &session, now()).await.unwrap();
    assert!(fixture.documents().await.is_empty());
    assert_eq!(fixture.count("SELECT count(*) FROM recall_grams_docsize").await, 0);
    assert_eq!(fixture.count("SELECT count(*) FROM memories").await, 0);
}

/// A step of a conversation: what is said follows the message of this number (or begins a branch), and some documents
/// are written.
#[derive(Debug, Clone)]
struct Said {
    parent: Option<prop::sample::Index>,
    word: u8,
    write: Option<u32>,
}

fn said_any() -> impl Strategy<Value = Said> {
    (
        prop::option::weighted(0.9, any::<prop::sample::Index>()),
        0..6u8,
        prop::option::of(1..4u32),
    )
        .prop_map(|(parent, word, write)| Said { parent, word, write })
}

async fn converse(steps: &[Said], piecemeal: bool) -> Vec<(i64, String)> {
    let (fixture, session) = Fixture::with_session().await;
    let mut ids: Vec<MessageId> = Vec::new();
    for step in steps {
        let parent = match &step.parent {
            Some(index) if !ids.is_empty() => SendParent::Message(*index.get(&ids)),
            _ => SendParent::Root,
        };
        let text = format!("word{}", step.word);
        ids.push(said(&fixture, &session, &text, parent).await);
        if let Some(limit) = step.write.filter(|_| piecemeal) {
            fixture.store.write_documents(ME, limit, now()).await.unwrap();
        }
    }
    fixture.write_documents(1000).await;
    fixture.documents().await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Documents depend on what was said, not on when they were written: in any tree, written in any pieces, they come
    /// out the same.
    #[test]
    fn documents_do_not_depend_on_when_they_are_written(steps in prop::collection::vec(said_any(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (once, pieces) = runtime.block_on(async { (converse(&steps, false).await, converse(&steps, true).await) });
        prop_assert_eq!(once, pieces);
    }
}

// ---- the migration ------------------------------------------------------------------------------------------------

/// A file as the version before memory left it, with what was said in it.
async fn before_memory() -> (Fixture, Vec<Message>) {
    let (fixture, session) = Fixture::with_session().await;
    let off = NewSession {
        memory: MemoryMode::Off,
        ..new_session("off")
    };
    fixture.store.insert_session(ME, off).await.unwrap();
    let (q, a) = fixture.say(&session, "the first question", "東京 is the answer").await;
    fixture.say(&session_id("off"), "off the record", "nothing kept").await;
    fixture
        .begun(&session, send(fixture.message_id(), "unanswered", SendParent::Head))
        .await;
    fixture.store.close().await;
    revert_to(&options(&fixture.dir), 1, now()).await;
    (fixture, vec![q, a])
}

#[tokio::test]
async fn a_file_from_before_memory_is_taken_up() {
    let (fixture, messages) = before_memory().await;
    let mut conn = fixture.connect().await;
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE name LIKE '%memor%' OR name LIKE 'recall%' OR sql LIKE '%memory_paused%'
             OR name IN ('outbox', 'spaces', 'vectors', 'summaries', 'receipts', 'tombstones')",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        sqlx::query_scalar::<_, i64>("PRAGMA user_version")
            .fetch_one(&mut conn)
            .await
            .unwrap(),
        1
    );
    conn.close().await.unwrap();
    // The old schema works as it did: a message goes without a word about memory.
    fixture
        .execute("DELETE FROM messages WHERE content = 'unanswered'")
        .await;
    let later: Timestamp = now() + jiff::SignedDuration::from_secs(60);
    let fixture = fixture.reopened().await;
    let stats = fixture.store.outbox_stats(ME).await.unwrap();
    assert_eq!((stats.documents, stats.vectors, stats.removals), (2, 0, 0));
    assert_eq!(fixture.write_documents(10).await, 2);
    let ids: Vec<_> = messages.iter().map(|message| message.id.into()).collect();
    let found = fixture.store.find_memories(ME, &ids).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].text, messages[1].content);
    let all = texts(&fixture).await;
    assert!(
        all.iter()
            .all(|text| !text.contains("record") && !text.contains("noth")),
        "{all:?}"
    );
    assert!(!fixture.store.memory_paused(ME).await.unwrap());
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
    // The owner's search found everything all along.
    let hits = fixture
        .store
        .search(ME, "record", mira_memory::Page::first(5))
        .await
        .unwrap();
    assert_eq!(hits.items.len(), 1);
    // And once more, with memories in it.
    fixture.store.close().await;
    revert_to(&options(&fixture.dir), 1, later).await;
    let store = Store::open(options(&fixture.dir), later + jiff::SignedDuration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(store.outbox_stats(ME).await.unwrap().documents, 2);
    store.close().await;
}

//! Forgetting: out of every table, every file, and not learnt again.

use crate::{
    facts::{fact, id, key, stored},
    shelf::{Shelf, file, insert},
    support::*,
};
use mira_core::{
    chat::{MessageMetadata, MessageStatus, title_from},
    ids::{AccountId, MemoryId, MessageId, SessionId},
    memory::MemoryKind,
};
use mira_memory::{
    BeginKind, BeginOutcome, CheckpointPart, FactOutcome, Found, NewFact, NewSummary, ReplyHead, SendParent, Store,
    SummaryLevel, search_files,
};
use sqlx::{Connection, SqliteConnection};
use std::path::PathBuf;
use uuid::Uuid;

pub async fn found(fixture: &Fixture, text: &str) -> Vec<Found> {
    fixture.store.search_forgotten(text).await.unwrap()
}

/// The files that hold a text, by name.
async fn files(fixture: &Fixture, text: &str) -> Vec<PathBuf> {
    let found = search_files(fixture.dir.path(), text).await.unwrap();
    let name = |file: mira_memory::FoundFile| file.path.strip_prefix(fixture.dir.path()).unwrap().to_owned();
    found.into_iter().map(name).collect()
}

async fn forget(fixture: &Fixture, id: impl Into<MemoryId>) -> mira_memory::Forgotten {
    fixture
        .store
        .forget(ME, id.into(), &key(), now())
        .await
        .unwrap()
        .unwrap()
}

/// A message whose rare word stands wherever a word can: content, metadata, title, a fact, a summary, the notes of the
/// reply, moods, the state, streamed parts, documents of its neighbours.
pub async fn everywhere(word: &str) -> (Fixture, SessionId, MessageId, MessageId) {
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session_id("s"), "good morning", "and to you").await;
    fixture.store.clear_session(ME, &session, now()).await.unwrap();
    let content = format!("My secret is {word}, {word}s, 東京{word}の. Tell nobody!");
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: content.clone(),
        client_id: Some(client_id("c1")),
        parent: SendParent::Head,
        project_id: None,
        metadata: Some(MessageMetadata {
            file_path: Some(format!("src/{word}.rs")),
            ..MessageMetadata::default()
        }),
    };
    let mut begin = fixture.begin(&session, kind);
    begin.title_if_none = title_from(&content);
    let BeginOutcome::Begun { user_message } = fixture.store.begin_turn(ME, begin.clone()).await.unwrap() else {
        panic!("it begins")
    };
    let part = CheckpointPart {
        n: 0,
        text: format!("So {word} it is"),
        citations: Vec::new(),
        head: Some(ReplyHead {
            persona: persona("haven"),
            mood: mood("curious"),
            mood_cause: Some(format!("{word} was said")),
            model: None,
            exposure: mira_core::chat::Exposure::Clear,
        }),
    };
    fixture.store.checkpoint_turn(ME, begin.turn_id, part).await.unwrap();
    let mut end = fixture.end(&begin, "I keep it to myself.");
    if let Some(meta) = end.reply.as_mut().and_then(|reply| reply.meta.as_mut()) {
        meta.intent = Some(format!("wants {word} kept"));
        meta.owner_mood = Some(format!("worried about {word}"));
        meta.mood_cause = Some(format!("{word} was said"));
        meta.tags = vec![word.to_owned()];
    }
    if let Some(mira) = end.mira.as_mut() {
        mira.cause = Some(format!("{word} was said"));
    }
    fixture.store.finish_turn(ME, end).await.unwrap();
    for n in 0..12 {
        fixture
            .say(&session, &format!("question {n}"), &format!("answer {n}"))
            .await;
    }
    // Her mood lasts, and its cause with it.
    for n in 0..2 {
        let begin = fixture.begin(
            &session,
            send(fixture.message_id(), &format!("more {n}"), SendParent::Head),
        );
        fixture.store.begin_turn(ME, begin.clone()).await.unwrap();
        let mut end = fixture.end(&begin, "As before.");
        if let Some(meta) = end.reply.as_mut().and_then(|reply| reply.meta.as_mut()) {
            meta.mood_cause = Some(format!("{word} was said"));
        }
        if let Some(mira) = end.mira.as_mut() {
            mira.cause = Some(format!("{word} was said"));
        }
        fixture.store.finish_turn(ME, end).await.unwrap();
    }
    let learnt = NewFact {
        message_id: Some(user_message.id),
        session_id: Some(session.clone()),
        topic: Some(word.to_lowercase()),
        ..fact(1, "owner", &format!("The owner's secret is {word}."))
    };
    stored(&fixture, learnt).await;
    fixture.write_documents(5).await;
    let head = fixture.head(&session).await.unwrap();
    let range = fixture
        .store
        .next_range(ME, &session, head, 16, 16)
        .await
        .unwrap()
        .unwrap();
    let summary = NewSummary {
        id: MemoryId(Uuid::from_u128(0x50)),
        session: session.clone(),
        level: SummaryLevel::Range,
        first_id: range.first_id,
        last_id: range.last_id,
        first_depth: range.first_depth,
        last_depth: range.last_depth,
        text: format!("They spoke of {word}."),
        model: "m".to_owned(),
        untrusted: false,
    };
    fixture.store.insert_summary(ME, summary, now()).await.unwrap().unwrap();
    (fixture, session, user_message.id, begin.reply_id)
}

#[tokio::test]
async fn a_forgotten_message_does_not_tell_which_files_came_with_it() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    let plan = insert(store, file(&Shelf::new(), 1, "qzxvorbing-plan.bin", b"plan")).await;
    let mut begin = fixture.begin(&session, send(fixture.message_id(), "Look at this.", SendParent::Head));
    begin.files = vec![plan.id];
    let BeginOutcome::Begun { user_message } = store.begin_turn(ME, begin.clone()).await.unwrap() else {
        panic!("it begins")
    };
    assert_eq!(user_message.files, std::slice::from_ref(&plan));
    fixture.finished(&begin, "A fine plan.").await;
    forget(&fixture, user_message.id).await;
    let tombstone = store.find_message(ME, user_message.id).await.unwrap().unwrap();
    assert_eq!(
        (tombstone.status, tombstone.files),
        (MessageStatus::Forgotten, Vec::new())
    );
    assert_eq!(fixture.count("SELECT count(*) FROM message_files").await, 0);
    assert_eq!(
        store.find_file(ME, plan.id).await.unwrap(),
        Some(plan),
        "the file is the owner's to delete"
    );
    assert!(store.scrub().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_forgotten_message_is_nowhere() {
    let word = "Qzxvorbing";
    let (fixture, session, message, reply) = everywhere(word).await;
    let store = &fixture.store;
    let before = found(&fixture, word).await;
    let tables: Vec<&str> = before.iter().map(|found| found.table.as_str()).collect();
    for table in [
        "memories",
        "messages",
        "moods",
        "sessions",
        "turns",
        "messages_fts",
        "memories_fts",
        "recall_fts",
    ] {
        assert!(tables.contains(&table), "{table} is not among {tables:?}");
    }
    let pairs = found(&fixture, "東京qz").await;
    let tables: Vec<&str> = pairs.iter().map(|found| found.table.as_str()).collect();
    assert_eq!(tables, ["messages", "sessions", "messages_grams", "recall_grams"]);
    assert!(!files(&fixture, word).await.is_empty());
    let forgotten = forget(&fixture, message).await;
    assert_eq!(forgotten.kind, MemoryKind::Message);
    assert_eq!(forgotten.memory_ids, [id(1), message.into()]);
    assert_eq!(forgotten.message_ids, [message]);
    assert_eq!(forgotten.sessions, std::slice::from_ref(&session));
    assert_eq!(forgotten.stale_summaries, [MemoryId(Uuid::from_u128(0x50))]);
    for text in [word, "qzxvorbings", "東京qzxvorbingの", "東京", "secret is qzxvorbing"] {
        assert_eq!(found(&fixture, text).await, [], "{text}");
    }
    // Its place in the conversation stays, empty.
    let left = store.find_message(ME, message).await.unwrap().unwrap();
    assert_eq!(
        (left.status, left.content.as_str(), left.metadata),
        (MessageStatus::Forgotten, "", None)
    );
    let reply = store.find_message(ME, reply).await.unwrap().unwrap();
    assert_eq!(reply.content, "I keep it to myself.");
    let meta = reply.meta.unwrap();
    assert_eq!(
        (meta.mood, meta.mood_cause, meta.intent, meta.owner_mood),
        (mood("glad"), None, None, None)
    );
    let title = store.find_session(ME, &session).await.unwrap().unwrap().title;
    assert_eq!(title.as_deref(), Some("question 0"));
    // The bytes go with the scrubbing, the stem's too.
    assert!(store.scrub_pending().await.unwrap());
    let report = store.scrub().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(!store.scrub_pending().await.unwrap());
    for text in [word, "qzxvorb", "secret is"] {
        assert_eq!(files(&fixture, text).await, Vec::<PathBuf>::new(), "{text}");
    }
    assert_eq!(store.integrity_check().await.unwrap().problems, Vec::<String>::new());
    // And it is not learnt again, in whichever words of it.
    for text in [
        "My secret is qzxvorbings.",
        "the owner's secret: Qzxvorbing",
        "Tells nobody",
    ] {
        let outcomes = store
            .insert_facts(ME, vec![fact(9, "owner", text)], &key(), now())
            .await
            .unwrap();
        assert_eq!(outcomes, [FactOutcome::Forgotten], "{text}");
    }
    assert_eq!(
        fixture.store.forget(ME, message.into(), &key(), now()).await.unwrap(),
        None
    );
    // The indexer finds nothing to do with it.
    fixture.write_documents(100).await;
    assert_eq!(found(&fixture, "qzxvorbing").await, []);
}

#[tokio::test]
async fn who_has_no_such_memory_forgets_nothing() {
    let (fixture, session) = Fixture::with_session().await;
    fixture
        .execute("INSERT INTO accounts (id, name) VALUES (2, 'guest')")
        .await;
    let (q, _) = fixture.say(&session, "mine", "yours").await;
    stored(&fixture, fact(1, "owner", "Has a dog.")).await;
    for (account, memory) in [
        (AccountId(2), q.id.into()),
        (AccountId(2), id(1)),
        (ME, MemoryId(Uuid::from_u128(77))),
    ] {
        assert_eq!(
            fixture.store.forget(account, memory, &key(), now()).await.unwrap(),
            None
        );
    }
    assert!(!fixture.store.scrub_pending().await.unwrap());
    assert_eq!(fixture.texts(&session).await, ["mine", "yours"]);
    assert_eq!(fixture.count("SELECT count(*) FROM tombstones").await, 0);
}

/// Off the record, or not indexed yet: the message is no memory, and can be forgotten all the same.
#[tokio::test]
async fn what_is_no_memory_can_be_forgotten() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, a) = fixture.say(&session, "xylographqq", "wyvernqqq").await;
    forget(&fixture, a.id).await;
    assert_eq!(fixture.write_documents(10).await, 1);
    assert_eq!(found(&fixture, "wyvernqqq").await, []);
    forget(&fixture, q.id).await;
    assert_eq!(found(&fixture, "xylographqq").await, []);
    fixture.store.scrub().await.unwrap();
    assert_eq!(files(&fixture, "ographqq").await, Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_message_is_forgotten_while_its_reply_is_on_the_way() {
    let (fixture, session) = Fixture::with_session().await;
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: "oh qzxqzxqzx".to_owned(),
        client_id: Some(client_id("c")),
        parent: SendParent::Head,
        project_id: None,
        metadata: None,
    };
    let (turn, user) = fixture.begun(&session, kind.clone()).await;
    let part = |n, text: &str| CheckpointPart {
        n,
        text: text.to_owned(),
        citations: Vec::new(),
        head: None,
    };
    let store = &fixture.store;
    store
        .checkpoint_turn(ME, turn.turn_id, part(0, "qzxqzxqzx, you say"))
        .await
        .unwrap();
    forget(&fixture, user.id).await;
    assert_eq!(found(&fixture, "qzxqzxqzx").await, []);
    store.checkpoint_turn(ME, turn.turn_id, part(1, "go on")).await.unwrap();
    // A client that sends it again does not bring it back.
    let again = fixture.begin(&session, kind);
    assert_eq!(
        store.begin_turn(ME, again).await.unwrap(),
        BeginOutcome::ClientIdConflict
    );
    let reply = fixture.finished(&turn, "go on").await;
    assert_eq!(reply.parent_id, Some(user.id));
    assert_eq!(fixture.texts(&session).await, ["", "go on"]);
    fixture.write_documents(10).await;
    assert_eq!(fixture.store.find_memory(ME, user.id.into()).await.unwrap(), None);
}

#[tokio::test]
async fn facts_go_with_their_past_or_hold_again() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "I moved to Linz", "Nice").await;
    stored(&fixture, fact(1, "owner", "Lives in Graz.")).await;
    let second = NewFact {
        message_id: Some(q.id),
        supersedes: vec![id(1)],
        ..fact(2, "owner", "Lives in Linz.")
    };
    stored(&fixture, second).await;
    let third = NewFact {
        supersedes: vec![id(2)],
        ..fact(3, "owner", "Lives in Wien.")
    };
    stored(&fixture, third).await;
    // The evidence of the middle one goes: it is as if it had never been said.
    let forgotten = forget(&fixture, q.id).await;
    assert_eq!(forgotten.memory_ids, [id(2), q.id.into()]);
    let first = fixture.store.find_memory(ME, id(1)).await.unwrap().unwrap();
    assert_eq!(first.superseded_by, Some(id(3)));
    // The owner has the fact itself forgotten: its past goes along, and does not come back as news.
    let forgotten = forget(&fixture, id(3)).await;
    assert_eq!(
        (forgotten.kind, forgotten.memory_ids),
        (MemoryKind::Fact, vec![id(3), id(1)])
    );
    assert_eq!(forgotten.sessions, []);
    assert_eq!(
        fixture.count("SELECT count(*) FROM memories WHERE kind = 'fact'").await,
        0
    );
    for (text, expect) in [
        ("Lives in Wien", true),
        ("Lives in Linz", true),
        ("Lives in Graz", false),
    ] {
        assert_eq!(
            fixture.store.is_tombstoned(ME, &key(), text).await.unwrap(),
            expect,
            "{text}"
        );
    }
    // Without a successor, the one before holds again.
    let (q, _) = fixture.say(&session, "I have a cat now", "Nice").await;
    stored(&fixture, fact(4, "owner", "Has a dog.")).await;
    let cat = NewFact {
        message_id: Some(q.id),
        supersedes: vec![id(4)],
        ..fact(5, "owner", "Has a cat.")
    };
    stored(&fixture, cat).await;
    forget(&fixture, q.id).await;
    let live = fixture.store.live_facts(ME, "owner", 9).await.unwrap();
    assert_eq!(live.iter().map(|m| m.id).collect::<Vec<_>>(), [id(4)]);
}

#[tokio::test]
async fn a_title_of_the_owners_own_stays() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "hello there", "hi").await;
    forget(&fixture, q.id).await;
    let title = || async { fixture.store.find_session(ME, &session).await.unwrap().unwrap().title };
    assert_eq!(title().await.as_deref(), Some("a title"));
    // A cleared session has none, whoever gave it.
    fixture.store.clear_session(ME, &session, now()).await.unwrap();
    assert_eq!(title().await, None);
    // The only message: no title is left.
    let kind = send(fixture.message_id(), "general kenobi", SendParent::Head);
    let mut begin = fixture.begin(&session, kind);
    begin.title_if_none = title_from("general kenobi");
    let BeginOutcome::Begun { user_message } = fixture.store.begin_turn(ME, begin).await.unwrap() else {
        panic!("it begins")
    };
    assert_eq!(title().await.as_deref(), Some("general kenobi"));
    forget(&fixture, user_message.id).await;
    assert_eq!(title().await, None);
}

/// Cells that moved from page to page leave copies behind that `secure_delete` does not know of; streamed parts and
/// rewritten documents make many.
#[tokio::test]
async fn no_bytes_are_left_whatever_was_written_around_them() {
    let (fixture, session) = Fixture::with_session().await;
    let word = |n: usize| format!("w{:06}qz", (n * 7919) % 1_000_003);
    let mut messages = Vec::new();
    for n in 0..120 {
        let filler = "lorem ipsum dolor ".repeat([1, 7, 40, 200][n % 4]);
        let kind = send(
            fixture.message_id(),
            &format!("{filler} {} {filler}", word(n)),
            SendParent::Head,
        );
        let (turn, user) = fixture.begun(&session, kind).await;
        for part in 0..6 {
            let part = CheckpointPart {
                n: part,
                text: format!("{} {}", word(1000 + n), filler),
                citations: Vec::new(),
                head: None,
            };
            fixture.store.checkpoint_turn(ME, turn.turn_id, part).await.unwrap();
        }
        let reply = fixture.finished(&turn, &format!("{filler} {}", word(1000 + n))).await;
        messages.extend([(user.id, word(n)), (reply.id, word(1000 + n))]);
        if n % 9 == 0 {
            fixture.write_documents(7).await;
        }
    }
    fixture.write_documents(50).await;
    let mut gone = Vec::new();
    for (at, (message, word)) in messages.into_iter().enumerate().filter(|(at, _)| at % 5 == 2) {
        forget(&fixture, message).await;
        gone.push(word);
        if at % 40 == 2 || gone.len() == 48 {
            let report = fixture.store.scrub().await.unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
    }
    for word in &gone {
        assert_eq!(files(&fixture, word).await, Vec::<PathBuf>::new(), "{word}");
    }
    assert_eq!(gone.len(), 48);
    assert_eq!(
        fixture.store.integrity_check().await.unwrap().problems,
        Vec::<String>::new()
    );
    // What nobody forgot is there.
    assert!(!files(&fixture, &word(0)).await.is_empty());
    assert!(!found(&fixture, &word(0)).await.is_empty());
}

#[tokio::test]
async fn a_crash_between_is_made_good_at_the_next_start() {
    let (fixture, session, message, _) = everywhere("Qzxvorbing").await;
    forget(&fixture, message).await;
    // The process ends here: the words are known to nobody any more.
    let fixture = fixture.reopened().await;
    assert!(fixture.store.scrub_pending().await.unwrap());
    let report = fixture.store.scrub().await.unwrap();
    assert!(report.is_clean() && report.rebuilt, "{report:?}");
    assert_eq!(files(&fixture, "qzxvorb").await, Vec::<PathBuf>::new());
    assert!(!fixture.store.scrub_pending().await.unwrap());
    assert!(!fixture.store.scrub().await.unwrap().rebuilt);
    assert_eq!(fixture.texts(&session).await.len(), 30);
}

/// A reader of another process holds the log; nothing is said to be clean that is not.
#[tokio::test]
async fn a_reader_in_the_way_is_reported() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "xylographqq", "aha").await;
    let mut other = fixture.connect().await;
    let mut tx = other.begin().await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM messages")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 2);
    forget(&fixture, q.id).await;
    let report = fixture.store.scrub().await.unwrap();
    assert!(!report.is_clean() && !report.folded, "{report:?}");
    assert!(fixture.store.scrub_pending().await.unwrap());
    tx.rollback().await.unwrap();
    let report = fixture.store.scrub().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(files(&fixture, "xylographqq").await, Vec::<PathBuf>::new());
    other.close().await.unwrap();
}

#[tokio::test]
async fn miras_own_backups_are_renewed_and_the_owners_stay() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "xylographqq", "aha").await;
    let dir = fixture.dir.path().join("backups");
    let store = &fixture.store;
    // Nothing there: nothing is made.
    assert_eq!(
        store.renew_backups(&dir, now()).await.unwrap(),
        mira_memory::RenewedBackups::default()
    );
    std::fs::create_dir(&dir).unwrap();
    for name in ["pre-migration-1-x.db", "pre-restore-y.db", "of-the-owner.db"] {
        store.backup_to(&dir.join(name)).await.unwrap();
    }
    std::fs::write(dir.join("pre-restore-y.db-wal"), "xylographqq").unwrap();
    forget(&fixture, q.id).await;
    store.scrub().await.unwrap();
    let renewed = store.renew_backups(&dir, now()).await.unwrap();
    assert_eq!(renewed.removed.len(), 3);
    assert_eq!(
        files(&fixture, "xylographqq").await,
        [PathBuf::from("backups/of-the-owner.db")]
    );
    // The next one replaces that one, also within the same millisecond.
    let made = renewed.made.unwrap();
    let again = store.renew_backups(&dir, now()).await.unwrap();
    assert_eq!(again.removed, [made]);
    let copy = Store::open_read_only(&again.made.unwrap()).await.unwrap();
    assert_eq!(copy.count_sessions(ME).await.unwrap(), 1);
    copy.close().await;
}

/// What a restored backup or an import brings back goes again, known by its id.
#[tokio::test]
async fn what_comes_back_is_forgotten_again() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, a) = fixture.say(&session, "xylographqq", "aha").await;
    stored(&fixture, fact(1, "owner", "Has a dog.")).await;
    stored(&fixture, fact(2, "owner", "Has a cat.")).await;
    assert_eq!(fixture.store.forget_again(ME, &key(), now()).await.unwrap(), []);
    let backup = fixture.dir.path().join("backup.db");
    fixture.store.backup_to(&backup).await.unwrap();
    forget(&fixture, q.id).await;
    forget(&fixture, id(1)).await;
    fixture.store.close().await;
    // A restore: the copy gets today's tombstones and takes the place of the database.
    mira_memory::hand_over(fixture.store.path(), &backup).await.unwrap();
    std::fs::rename(&backup, fixture.store.path()).unwrap();
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.texts(&session).await, ["xylographqq", "aha"]);
    let again = fixture.store.forget_again(ME, &key(), now()).await.unwrap();
    assert_eq!(again, [MemoryId::from(q.id), id(1)]);
    assert_eq!(fixture.texts(&session).await, ["", "aha"]);
    let left = fixture.store.live_facts(ME, "owner", 9).await.unwrap();
    assert_eq!(left.iter().map(|m| m.id).collect::<Vec<_>>(), [id(2)]);
    assert!(fixture.store.scrub().await.unwrap().is_clean());
    assert_eq!(files(&fixture, "xylographqq").await, Vec::<PathBuf>::new());
    assert_eq!(fixture.store.forget_again(ME, &key(), now()).await.unwrap(), []);
    assert_eq!(
        fixture.store.find_message(ME, a.id).await.unwrap().unwrap().content,
        "aha"
    );
}

#[tokio::test]
async fn cleared_and_removed_sessions_leave_no_words() {
    for remove in [false, true] {
        let (fixture, session, ..) = everywhere("Qzxvorbing").await;
        forget(&fixture, id(1)).await;
        if remove {
            assert!(fixture.store.delete_session(ME, &session).await.unwrap());
        } else {
            fixture.store.clear_session(ME, &session, now()).await.unwrap();
            // The timeline stays; its words are the owner's to keep.
            fixture.execute("UPDATE moods SET cause = NULL").await;
            fixture.execute("UPDATE mira_state SET mood_cause = NULL").await;
        }
        assert_eq!(found(&fixture, "Qzxvorbing").await, []);
        assert_eq!(fixture.count("SELECT count(*) FROM memories").await, 0);
        assert_eq!(fixture.count("SELECT count(*) FROM outbox").await, 0);
        assert!(fixture.store.scrub().await.unwrap().is_clean());
        assert_eq!(files(&fixture, "qzxvorb").await, Vec::<PathBuf>::new());
    }
}

/// A file of the first schema was written without wiping: its migration does it once.
#[tokio::test]
async fn what_was_deleted_before_memory_came_is_wiped_by_the_migration() {
    let (fixture, session) = Fixture::with_session().await;
    for n in 0..40 {
        fixture
            .say(&session, &format!("xylographqq {n} {}", "lorem ".repeat(200)), "aha")
            .await;
    }
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    fixture.say(&session_id("t"), "kept", "yes").await;
    let options = options(&fixture.dir);
    fixture.store.close().await;
    revert_to(&options, 1, now()).await;
    let mut conn = SqliteConnection::connect(options.path.to_str().unwrap()).await.unwrap();
    sqlx::query("PRAGMA foreign_keys = ON")
        .execute(&mut conn)
        .await
        .unwrap();
    sqlx::query("DELETE FROM messages WHERE session_id = 's'")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    std::fs::remove_dir_all(&options.backup_dir).unwrap();
    assert!(!files(&fixture, "xylographqq").await.is_empty());
    let store = Store::open(options.clone(), now()).await.unwrap();
    store.close().await;
    std::fs::remove_dir_all(&options.backup_dir).unwrap();
    assert_eq!(files(&fixture, "xylographqq").await, Vec::<PathBuf>::new());
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.texts(&session_id("t")).await, ["kept", "yes"]);
}

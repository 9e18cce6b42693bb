//! Finding a text wherever it stands, and naming the rows that hold it.

use crate::{
    forget::{everywhere, found},
    support::*,
};
use mira_memory::{Found, NamedRow};

#[tokio::test]
async fn what_is_found_is_named() {
    let (fixture, session, message, reply) = everywhere("Qzxvorbing").await;
    let named = async |text: &str, table: &str, column: &str| {
        let all = found(&fixture, text).await;
        let place = all
            .iter()
            .find(|place| (place.table.as_str(), place.column.as_str()) == (table, column));
        let place = place.unwrap_or_else(|| panic!("{table}.{column} is not among {all:?}"));
        let rows = fixture.store.name_forgotten(text, place, 20).await.unwrap();
        assert!(fixture.store.name_forgotten(text, place, 0).await.unwrap().is_empty());
        rows
    };
    let id = |what: &str, id: String| (what.to_owned(), id);
    let of_session = id("session", session.to_string());
    let both = [id("message", message.to_string()), of_session.clone()];
    let holds = |rows: &[NamedRow], wanted: &[(String, String)]| {
        rows.iter().any(|row| wanted.iter().all(|id| row.ids.contains(id)))
    };
    let rows = named("qzxvorbing", "messages", "content").await;
    assert!(holds(&rows, &both) && rows[0].ids[0].0 == "message", "{rows:?}");
    // A title that holds the words is not told.
    let rows = named("qzxvorbing", "sessions", "title").await;
    assert_eq!(
        (rows.len(), rows[0].ids[0].clone(), rows[0].title.clone()),
        (1, of_session.clone(), None)
    );
    let rows = named("qzxvorbing", "memories", "topic").await;
    assert!(rows.iter().all(|row| row.ids[0].0 == "memory"), "{rows:?}");
    assert!(holds(&rows, &[id("message", message.to_string())]), "{rows:?}");
    let rows = named("qzxvorbing", "turns", "mood_cause").await;
    assert!(holds(&rows, &[of_session]), "{rows:?}");
    // By a search index alone, and with a title that may be told.
    fixture.execute("UPDATE sessions SET title = 'Secrets'").await;
    fixture
        .execute("UPDATE messages SET content = 'xylographqq' WHERE content = 'I keep it to myself.'")
        .await;
    let rows = named("I keep it to myself", "recall_fts", "full text").await;
    let memories: Vec<&(String, String)> = rows.iter().filter_map(|row| row.ids.first()).collect();
    assert!(memories.contains(&&id("memory", reply.to_string())), "{memories:?}");
    assert_eq!(rows[0].title.as_deref(), Some("Secrets"), "{rows:?}");
}

#[tokio::test]
async fn texts_are_found_wherever_they_stand() {
    let (fixture, session, _, reply) = everywhere("Qzxvorbing").await;
    let place = |table: &str, column: &str| Found {
        table: table.to_owned(),
        column: column.to_owned(),
        rows: 1,
    };
    let all = found(&fixture, "qzxvorbing").await;
    for wanted in [
        place("messages", "content"),
        place("messages", "metadata"),
        place("messages", "tags"),
        place("messages", "intent"),
        place("sessions", "title"),
        place("turns", "mood_cause"),
        place("memories", "topic"),
    ] {
        assert!(all.contains(&wanted), "{wanted:?} is not among {all:?}");
    }
    // Whatever its punctuation; by MATCH where only an index holds it; nothing is everywhere.
    assert!(
        found(&fixture, "i KEEP -- it; to: myself")
            .await
            .contains(&place("messages", "content"))
    );
    fixture
        .execute("UPDATE messages SET content = 'xylographqq' WHERE content = 'I keep it to myself.'")
        .await;
    fixture
        .execute("INSERT INTO messages_grams (rowid, grams) VALUES (9999, 'x006771x004eac')")
        .await;
    let all = found(&fixture, "I keep it to myself").await;
    let tables: Vec<&str> = all.iter().map(|found| found.table.as_str()).collect();
    assert_eq!(tables, ["recall_fts"]);
    assert_eq!(
        found(&fixture, "東京")
            .await
            .iter()
            .filter(|f| f.table == "messages_grams")
            .count(),
        1
    );
    for nothing in [
        "",
        " \n",
        "' OR 1=1 --",
        "NEAR(x",
        "\" OR \"",
        "no such words here",
        "\u{0}",
    ] {
        assert_eq!(found(&fixture, nothing).await, [], "{nothing:?}");
    }
    assert!(
        !fixture
            .store
            .find_message(ME, reply)
            .await
            .unwrap()
            .unwrap()
            .content
            .is_empty()
    );
    assert_eq!(fixture.texts(&session).await.len(), 30);
}

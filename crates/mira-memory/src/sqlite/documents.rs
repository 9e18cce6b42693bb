//! Tables `recall_fts` and `recall_grams`: the documents recall searches, one for each message and fact.
//!
//! A message's document is its date, the two turns before it, its own words twice and the two turns after it, each as
//! `Speaker: text`. Before is up the tree, after is down it by the newest child, both within the session. Only
//! neighbours that are memories themselves are in it: what was said while memory was paused is not found by way of its
//! neighbours. A fact's document is its date and its sentence twice. Summaries have none.
//!
//! Law: when a message becomes a memory, changes or goes, the documents of the two turns on each side are written anew
//! in the same transaction. Documents are bounded ([`OWN_CHARS`], [`NEIGHBOUR_CHARS`]), so that a message of ten
//! megabytes does not become a document of fifty; the words beyond are found by the owner's own search.

use super::{
    Store,
    error::StoreError,
    messages::{json, parse_role},
    outbox::{hex_list, parse_kind},
    rows::{Columns, SPARE, bind_spare, ms},
    search::grams,
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::Role,
    ids::{AccountId, MemoryId, MessageId},
    memory::MemoryKind,
};
use sqlx::SqliteConnection;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How many characters of a memory's own text are in its document, and are embedded.
const OWN_CHARS: usize = 8000;
/// The longest own text that stands twice. A longer one outweighs its neighbours as it is.
const TWICE_CHARS: usize = 2000;
/// How many characters of a neighbour are in a document.
const NEIGHBOUR_CHARS: usize = 600;
/// The most rows of the outbox one transaction takes.
const MAX_BATCH: u32 = 1000;

/// What the two speakers are called in documents; a question that names one finds what that one said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakerNames {
    /// The owner.
    pub owner: String,
    /// Mira.
    pub mira: String,
}

impl SpeakerNames {
    /// The name for what rows say: `owner`, `mira`, or a name already.
    fn of<'a>(&'a self, about: &'a str) -> &'a str {
        match about {
            "owner" => &self.owner,
            "mira" => &self.mira,
            other => other,
        }
    }
}

/// What [`Store::write_documents`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentsReport {
    /// Memories that were due and have their document now.
    pub written: u32,
    /// Whether more are due.
    pub left: bool,
}

/// Text of at most [`OWN_CHARS`] characters from the first bytes of a column, which may end within a character. Read
/// as bytes because SQLite's `substr` of a text ends at a NUL.
pub(super) fn read_text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Some((end, _)) = text.char_indices().nth(OWN_CHARS) {
        text.truncate(end);
    }
    if text.ends_with(char::REPLACEMENT_CHARACTER) && std::str::from_utf8(bytes).is_err() {
        text.pop();
    }
    text
}

// ---- the text -----------------------------------------------------------------------------------------------------

/// Something said, as far as documents are concerned.
struct Turn {
    role: Role,
    at: Timestamp,
    text: String,
}

/// A date in the words somebody would ask with, in UTC.
fn date(at: Timestamp) -> String {
    at.strftime("%-d %B %Y").to_string()
}

fn first_chars(text: &str, max: usize) -> &str {
    text.char_indices()
        .nth(max)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

fn write_turn(out: &mut String, names: &SpeakerNames, turn: &Turn, max: usize) {
    let speaker = match turn.role {
        Role::User => &names.owner,
        Role::Assistant => &names.mira,
    };
    out.extend(["\n", speaker, ": ", first_chars(&turn.text, max)]);
}

/// The document of a message; neighbours in the order they were said.
fn message_document(names: &SpeakerNames, before: &[&Turn], own: &Turn, after: &[&Turn]) -> String {
    let mut out = date(own.at);
    for turn in before {
        write_turn(&mut out, names, turn, NEIGHBOUR_CHARS);
    }
    write_turn(&mut out, names, own, OWN_CHARS);
    if own.text.len() <= TWICE_CHARS || own.text.chars().nth(TWICE_CHARS).is_none() {
        write_turn(&mut out, names, own, OWN_CHARS);
    }
    for turn in after {
        write_turn(&mut out, names, turn, NEIGHBOUR_CHARS);
    }
    out
}

/// The document of a fact.
fn fact_document(names: &SpeakerNames, about: &str, topic: &str, text: &str, at: Timestamp) -> String {
    let (about, text) = (names.of(about), first_chars(text, OWN_CHARS));
    format!("{} {about} {topic} {text}\n{text}", date(at))
}

// ---- rows ---------------------------------------------------------------------------------------------------------

/// Documents by key; `None` where nothing is left to be found. Written in the order of keys, because FTS5 writes out
/// what it has gathered whenever a smaller one follows.
type Documents = Vec<(i64, Option<String>)>;

/// `?2` ids of messages. For each message whose document they are in: its key, and the window around it.
pub(super) const LIST_WINDOWS: &str = "
    WITH base (ord, id, parent_id, session_id) AS MATERIALIZED (
        SELECT m.ord, m.id, m.parent_id, m.session_id
          FROM json_each(?2) j CROSS JOIN messages m ON m.account_id = ?1 AND m.id = unhex(j.value)),
    up (ord, parent_id, session_id) AS MATERIALIZED (
        SELECT p.ord, p.parent_id, p.session_id
          FROM base b CROSS JOIN messages p ON p.account_id = ?1 AND p.id = b.parent_id AND p.session_id = b.session_id),
    down (ord, id, session_id) AS MATERIALIZED (
        SELECT c.ord, c.id, c.session_id
          FROM base b CROSS JOIN messages c
            ON c.account_id = ?1 AND c.parent_id = b.id AND c.session_id = b.session_id),
    near (ord) AS (
        SELECT ord FROM base UNION SELECT ord FROM up UNION SELECT ord FROM down
         UNION
        SELECT p.ord FROM up u CROSS JOIN messages p
            ON p.account_id = ?1 AND p.id = u.parent_id AND p.session_id = u.session_id
         UNION
        SELECT c.ord FROM down d CROSS JOIN messages c
            ON c.account_id = ?1 AND c.parent_id = d.id AND c.session_id = d.session_id)
    SELECT k.key, m.ord, p.ord, g.ord, c.ord, d.ord
      FROM near n CROSS JOIN messages m ON m.ord = n.ord
     CROSS JOIN memories k ON k.account_id = ?1 AND k.id = m.id AND k.kind = 'message'
      LEFT JOIN messages p ON p.account_id = ?1 AND p.id = m.parent_id AND p.session_id = m.session_id
      LEFT JOIN messages g ON g.account_id = ?1 AND g.id = p.parent_id AND g.session_id = m.session_id
      LEFT JOIN messages c ON c.ord = (SELECT max(x.ord) FROM messages x
                                        WHERE x.account_id = ?1 AND x.parent_id = m.id AND x.session_id = m.session_id)
      LEFT JOIN messages d ON d.ord = (SELECT max(x.ord) FROM messages x
                                        WHERE x.account_id = ?1 AND x.parent_id = c.id AND x.session_id = m.session_id)
     ORDER BY k.key";

/// `?2` their `ord`s. Only what is a memory and says something.
const LIST_TURNS: &str = "
    SELECT m.ord, m.role, m.created_at, substr(CAST(m.content AS BLOB), 1, 32000)
      FROM json_each(?2) j CROSS JOIN messages m ON m.ord = j.value
     WHERE m.account_id = ?1 AND m.status <> 'forgotten' AND m.content <> ''
       AND EXISTS (SELECT 1 FROM memories k WHERE k.account_id = ?1 AND k.id = m.id)";

/// A message's key and its window: itself, parent, grandparent, newest child, its newest child.
struct Window {
    key: i64,
    own: i64,
    before: [Option<i64>; 2],
    after: [Option<i64>; 2],
}

async fn list_windows(
    conn: &mut SqliteConnection,
    account: AccountId,
    ids: &[MemoryId],
) -> Result<Vec<Window>, StoreError> {
    let rows = sqlx::query(LIST_WINDOWS)
        .bind(account.0)
        .bind(hex_list(ids)?)
        .fetch_all(conn)
        .await?;
    let read = |row| {
        let mut c = Columns::new("memories", row);
        let key = c.take("key")?;
        c.named(key);
        let own = c.take("ord")?;
        let (parent, grandparent) = (c.take("ord")?, c.take("ord")?);
        Ok(Window {
            key,
            own,
            before: [grandparent, parent],
            after: [c.take("ord")?, c.take("ord")?],
        })
    };
    rows.iter().map(read).collect()
}

async fn list_turns(
    conn: &mut SqliteConnection,
    account: AccountId,
    windows: &[Window],
) -> Result<HashMap<i64, Turn>, StoreError> {
    let ords: BTreeSet<i64> = windows
        .iter()
        .flat_map(|w| w.before.iter().chain(&w.after).flatten().copied().chain([w.own]))
        .collect();
    let rows = sqlx::query(LIST_TURNS)
        .bind(account.0)
        .bind(json(&ords)?)
        .fetch_all(conn)
        .await?;
    let read = |row| {
        let mut c = Columns::new("messages", row);
        let ord = c.take("ord")?;
        c.named(ord);
        let turn = Turn {
            role: c.parsed("role", parse_role)?,
            at: c.time("created_at")?,
            text: read_text(c.take("content")?),
        };
        Ok((ord, turn))
    };
    rows.iter().map(read).collect()
}

/// The documents these messages are in, as they must be now.
async fn message_documents(
    conn: &mut SqliteConnection,
    account: AccountId,
    names: &SpeakerNames,
    ids: &[MemoryId],
) -> Result<Documents, StoreError> {
    let windows = list_windows(&mut *conn, account, ids).await?;
    let turns = list_turns(conn, account, &windows).await?;
    let around =
        |ords: &[Option<i64>]| -> Vec<&Turn> { ords.iter().flatten().filter_map(|ord| turns.get(ord)).collect() };
    Ok(windows
        .iter()
        .map(|w| {
            let text = turns
                .get(&w.own)
                .map(|own| message_document(names, &around(&w.before), own, &around(&w.after)));
            (w.key, text)
        })
        .collect())
}

const LIST_FACTS: &str = "
    SELECT k.key, k.about, k.topic, k.text, k.valid_from
      FROM json_each(?2) j CROSS JOIN memories k ON k.account_id = ?1 AND k.id = unhex(j.value)
     WHERE k.kind = 'fact' ORDER BY k.key";

async fn fact_documents(
    conn: &mut SqliteConnection,
    account: AccountId,
    names: &SpeakerNames,
    ids: &[MemoryId],
) -> Result<Documents, StoreError> {
    let rows = sqlx::query(LIST_FACTS)
        .bind(account.0)
        .bind(hex_list(ids)?)
        .fetch_all(conn)
        .await?;
    let read = |row| {
        let mut c = Columns::new("memories", row);
        let key: i64 = c.take("key")?;
        c.named(key);
        let about: &str = c.take("about")?;
        let topic: Option<&str> = c.take("topic")?;
        let text: &str = c.take("text")?;
        let at = c.time("valid_from")?;
        let text = fact_document(names, about, topic.unwrap_or_default(), text, at);
        Ok((key, Some(text)))
    };
    rows.iter().map(read).collect()
}

/// `?1` keys and texts, `?2` keys of what has no pairs of letters.
macro_rules! write_plain {
    () => {
        "INSERT OR REPLACE INTO recall_fts (rowid, text)
         SELECT j.value ->> 0, j.value ->> 1 FROM json_each(?1) j;
         DELETE FROM recall_grams WHERE rowid IN (
                SELECT id FROM recall_grams_docsize WHERE id IN (SELECT value FROM json_each(?2)))"
    };
}

const WRITE_PLAIN: &str = write_plain!();
/// `?3` keys of what is gone, `?4` keys and pairs of letters.
const WRITE: &str = concat!(
    write_plain!(),
    "; DELETE FROM recall_fts WHERE rowid IN (SELECT value FROM json_each(?3));
     INSERT OR REPLACE INTO recall_grams (rowid, grams)
     SELECT j.value ->> 0, j.value ->> 1 FROM json_each(?4) j"
);

/// Writes documents, each whole; those of `None` are taken away.
async fn write(conn: &mut SqliteConnection, documents: &Documents) -> Result<(), StoreError> {
    let mut texts: Vec<(i64, String)> = Vec::with_capacity(documents.len());
    let mut pairs: Vec<(i64, String)> = Vec::new();
    let (mut gone, mut plain) = (Vec::new(), Vec::new());
    for (key, text) in documents {
        let Some(text) = text else {
            gone.push(*key);
            plain.push(*key);
            continue;
        };
        match grams(text) {
            Some(grams) => pairs.push((*key, grams)),
            None => plain.push(*key),
        }
        // A NUL separates words as any control character does, but ends a text in SQLite's JSON.
        texts.push((*key, text.replace('\0', " ")));
    }
    if gone.is_empty() && pairs.is_empty() {
        let query = sqlx::query(WRITE_PLAIN).bind(json(&texts)?).bind(json(&plain)?);
        bind_spare(query, SPARE).execute(conn).await?;
        return Ok(());
    }
    let query = sqlx::query(WRITE)
        .bind(json(&texts)?)
        .bind(json(&plain)?)
        .bind(json(&gone)?)
        .bind(json(&pairs)?);
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(())
}

async fn find_names(conn: &mut SqliteConnection, account: AccountId) -> Result<SpeakerNames, StoreError> {
    let row = sqlx::query("SELECT owner_name, mira_name FROM mira_state WHERE account_id = ?1")
        .bind(account.0)
        .fetch_one(conn)
        .await?;
    let mut c = Columns::new("mira_state", &row);
    c.named(account.0);
    read_names(&mut c)
}

fn read_names(c: &mut Columns<'_>) -> Result<SpeakerNames, StoreError> {
    Ok(SpeakerNames {
        owner: c.take("owner_name")?,
        mira: c.take("mira_name")?,
    })
}

/// Writes the documents of the messages around this one anew, and its own if it is a memory still. For the transaction
/// that forgets a message, after its text or its memory is gone.
pub(super) async fn rewrite_around(
    conn: &mut SqliteConnection,
    account: AccountId,
    message: MessageId,
) -> Result<(), StoreError> {
    rewrite_around_all(conn, account, &[message]).await
}

/// The same for several, each document written once.
pub(super) async fn rewrite_around_all(
    conn: &mut SqliteConnection,
    account: AccountId,
    messages: &[MessageId],
) -> Result<(), StoreError> {
    let names = find_names(&mut *conn, account).await?;
    for some in messages.chunks(MAX_BATCH as usize) {
        let ids: Vec<MemoryId> = some.iter().map(|&id| id.into()).collect();
        let documents = message_documents(&mut *conn, account, &names, &ids).await?;
        write(&mut *conn, &documents).await?;
    }
    Ok(())
}

/// Empties the tables of an account that has them alone; documents are then written anew as they are queued.
pub(super) async fn delete_all(conn: &mut SqliteConnection, account: AccountId) -> Result<(), StoreError> {
    let others: Option<i64> = sqlx::query_scalar("SELECT 1 FROM memories WHERE account_id <> ?1 LIMIT 1")
        .bind(account.0)
        .fetch_optional(&mut *conn)
        .await?;
    if others.is_none() {
        sqlx::query(
            "INSERT INTO recall_fts (recall_fts) VALUES ('delete-all');
             INSERT INTO recall_grams (recall_grams) VALUES ('delete-all')",
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

// ---- the outbox's step `document` -----------------------------------------------------------------------------------

/// `?2` now, `?3` the most.
pub(super) const DUE_DOCUMENTS: &str = "
    SELECT o.id, o.memory_id, o.kind, t.owner_name, t.mira_name
      FROM outbox o CROSS JOIN mira_state t ON t.account_id = o.account_id
     WHERE o.step = 'document' AND o.next_at <= ?2 AND o.account_id = ?1 ORDER BY o.next_at, o.id LIMIT (?3 + 0)";

/// The `source` of the memory a message `m` becomes.
macro_rules! message_source {
    () => {
        "iif(m.exposed > 0, 'tool', 'conversation')"
    };
}
pub(super) use message_source;

/// `?2` ids of messages: those that can be remembered and are not yet.
pub(super) const INSERT_MEMORIES: &str = concat!(
    "INSERT INTO memories (account_id, id, kind, session_id, message_id, project_id, about, salience, source, valid_from,
                          created_at, updated_at)
    SELECT ?1, m.id, 'message', m.session_id, m.id, m.project_id,
           CASE m.role WHEN 'user' THEN 'owner' ELSE 'mira' END, m.salience, ",
    message_source!(),
    ", m.created_at, m.created_at, ?3
      FROM json_each(?2) j CROSS JOIN messages m ON m.account_id = ?1 AND m.id = unhex(j.value)
     WHERE m.status IN ('complete', 'stopped', 'interrupted') AND m.content <> ''
     ORDER BY m.ord
        ON CONFLICT (account_id, id) DO NOTHING"
);

/// `?2` rows done, `?3` the memories they are about. What is no memory, or a summary, ends here; the others go on to be
/// embedded, in place of what waited for that before.
pub(super) const ADVANCE: &str = "
    DELETE FROM outbox INDEXED BY outbox_memory WHERE account_id = ?1 AND step = 'vector' AND space_id = 0
       AND memory_id IN (SELECT unhex(value) FROM json_each(?3));
    DELETE FROM outbox WHERE +account_id = ?1 AND id IN (SELECT value FROM json_each(?2))
       AND (kind = 'summary' OR NOT EXISTS (SELECT 1 FROM memories k WHERE k.account_id = ?1 AND k.id = memory_id));
    UPDATE outbox SET step = 'vector', space_id = 0, attempts = 0, next_at = 0
     WHERE +account_id = ?1 AND id IN (SELECT value FROM json_each(?2));
    SELECT changes()";

async fn write_due(
    conn: &mut SqliteConnection,
    account: AccountId,
    limit: u32,
    now: Timestamp,
) -> Result<DocumentsReport, StoreError> {
    let rows = sqlx::query(DUE_DOCUMENTS)
        .bind(account.0)
        .bind(ms(now))
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *conn)
        .await?;
    let left = rows.len() > limit as usize;
    let (mut done, mut messages, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = None;
    for row in rows.iter().take(limit as usize) {
        let mut c = Columns::new("outbox", row);
        let id: i64 = c.take("id")?;
        c.named(id);
        let memory = MemoryId(c.uuid("memory_id")?);
        done.push(id);
        match c.parsed("kind", parse_kind)? {
            MemoryKind::Message => messages.push(memory),
            MemoryKind::Fact => facts.push(memory),
            MemoryKind::Summary => {}
        }
        if names.is_none() {
            names = Some(read_names(&mut c)?);
        }
    }
    let Some(names) = names else {
        return Ok(DocumentsReport::default());
    };
    let mut documents = Documents::new();
    if !messages.is_empty() {
        sqlx::query(INSERT_MEMORIES)
            .bind(account.0)
            .bind(hex_list(&messages)?)
            .bind(ms(now))
            .execute(&mut *conn)
            .await?;
        documents = message_documents(&mut *conn, account, &names, &messages).await?;
    }
    if !facts.is_empty() {
        documents.extend(fact_documents(&mut *conn, account, &names, &facts).await?);
        documents.sort_by_key(|(key, _)| *key);
    }
    write(&mut *conn, &documents).await?;
    messages.extend(facts);
    let advance = sqlx::query(ADVANCE)
        .bind(account.0)
        .bind(json(&done)?)
        .bind(hex_list(&messages)?);
    let changes = bind_spare(advance, SPARE).fetch_one(conn).await?;
    let written = Columns::new("outbox", &changes).count("id")?;
    Ok(DocumentsReport {
        written: u32::try_from(written).unwrap_or(u32::MAX),
        left,
    })
}

impl Store {
    /// Writes the documents of up to `limit` (at most 1000) memories that wait for it, oldest first, in one
    /// transaction: a queued message becomes a memory, gets its document, and the documents around it are written
    /// anew; then its text waits to be embedded. What is gone or empty by now is dropped.
    pub async fn write_documents(
        &self,
        account: AccountId,
        limit: u32,
        now: Timestamp,
    ) -> Result<DocumentsReport, StoreError> {
        let limit = limit.clamp(1, MAX_BATCH);
        self.write(Class::Partial, move |conn| {
            async move { write_due(conn, account, limit, now).await }.boxed()
        })
        .await
    }

    /// What the speakers are called in documents.
    pub async fn find_speaker_names(&self, account: AccountId) -> Result<SpeakerNames, StoreError> {
        find_names(&mut *self.read().await?, account).await
    }

    /// Changes what the speakers are called in documents written from now on; the older ones change with
    /// [`Store::queue_everything`].
    pub async fn set_speaker_names(&self, account: AccountId, names: SpeakerNames) -> Result<(), StoreError> {
        let names = Arc::new(names);
        self.write(Class::Acknowledged, move |conn| {
            let names = Arc::clone(&names);
            async move {
                sqlx::query("UPDATE mira_state SET owner_name = ?2, mira_name = ?3 WHERE account_id = ?1")
                    .bind(account.0)
                    .bind(names.owner.as_str())
                    .bind(names.mira.as_str())
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> SpeakerNames {
        SpeakerNames {
            owner: "Caroline".to_owned(),
            mira: "Melanie".to_owned(),
        }
    }

    fn turn(role: Role, text: &str) -> Turn {
        Turn {
            role,
            at: "2023-05-08T13:56:00Z".parse().unwrap(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_document_is_date_neighbours_and_itself_twice() {
        let (a, b) = (turn(Role::User, "one"), turn(Role::Assistant, "two"));
        let own = turn(Role::User, "three");
        let c = turn(Role::Assistant, &"é".repeat(700));
        assert_eq!(
            message_document(&names(), &[&a, &b], &own, &[&c]),
            format!(
                "8 May 2023\nCaroline: one\nMelanie: two\nCaroline: three\nCaroline: three\nMelanie: {}",
                "é".repeat(600)
            )
        );
        let long = turn(Role::User, &"x".repeat(2001));
        let text = message_document(&names(), &[], &long, &[]);
        assert_eq!(text.matches("Caroline: x").count(), 1);
        let long = turn(Role::User, &"é".repeat(2000));
        assert_eq!(
            message_document(&names(), &[], &long, &[])
                .matches("Caroline: é")
                .count(),
            2
        );
    }

    #[test]
    fn a_fact_is_named_and_said_twice() {
        assert_eq!(
            fact_document(&names(), "owner", "job", "Is a nurse.", turn(Role::User, "").at),
            "8 May 2023 Caroline job Is a nurse.\nIs a nurse."
        );
        assert!(fact_document(&names(), "Anna", "", "Is a nurse.", turn(Role::User, "").at).contains(" Anna "));
    }

    #[test]
    fn texts_end_at_a_character() {
        assert_eq!(read_text("aé".as_bytes()), "aé");
        assert_eq!(read_text(&"aé".as_bytes()[..2]), "a");
        assert_eq!(read_text("a\0b\u{FFFD}".as_bytes()), "a\0b\u{FFFD}");
        assert_eq!(read_text("é".repeat(9000).as_bytes()), "é".repeat(8000));
    }
}

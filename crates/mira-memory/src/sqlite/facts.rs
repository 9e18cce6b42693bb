//! Facts: rows of the table `memories` of the kind `fact`, written and corrected. What is live is neither superseded nor
//! forgotten.
//!
//! Invariants: no two live facts about the same person say the same after normalisation, however often they are told;
//! superseding keeps the old row and makes no circle; a fact whose evidence is forgotten or gone is not stored; what was
//! forgotten is stored again only if the owner writes it by hand.

use super::{
    Store,
    documents::message_source,
    error::StoreError,
    forget::Traces,
    memories::{self, memory_columns, memory_join},
    messages::parse_status,
    outbox::{self, Step},
    rows::{Columns, SPARE, bind_spare, blob, ms},
    tombstones::{self, TombstoneKey, normalised},
    turns::calls::{self, Quotes},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::{MessageStatus, Salience},
    ids::{AccountId, MemoryId, MessageId, ProjectId, SessionId},
    memory::{Memory, MemoryKind, MemorySource},
};
use sqlx::SqliteConnection;
use std::sync::Arc;

/// The most facts one list gives.
const MAX_LISTED: u32 = 1000;
/// The longest chain of facts that replaced each other that is followed.
const MAX_CHAIN: usize = 1000;

/// A fact to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFact {
    /// Its id.
    pub id: MemoryId,
    /// Whom it is about: `owner`, `mira`, or a name.
    pub about: String,
    /// What it is about.
    pub topic: Option<String>,
    /// One sentence.
    pub text: String,
    /// Where it came from.
    pub source: MemorySource,
    /// Where it was learnt.
    pub session_id: Option<SessionId>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// The message it was learnt from.
    pub message_id: Option<MessageId>,
    /// Since when it holds.
    pub valid_from: Timestamp,
    /// How much it matters.
    pub salience: Option<Salience>,
    /// In every prompt that reads memory.
    pub pinned: bool,
    /// The live facts it makes outdated.
    pub supersedes: Vec<MemoryId>,
}

/// What became of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum FactOutcome {
    /// It was stored.
    Stored(Memory),
    /// This live fact says the same already.
    Merged(MemoryId),
    /// It, or the message it was learnt from, was forgotten.
    Forgotten,
}

/// What to change of a memory; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FactPatch {
    /// Its sentence (facts).
    pub text: Option<String>,
    /// Whom it is about (facts).
    pub about: Option<String>,
    /// What it is about, or nothing (facts).
    pub topic: Option<Option<String>>,
    /// In every prompt that reads memory (all kinds).
    pub pinned: Option<bool>,
}

impl FactPatch {
    fn corrects(&self) -> bool {
        self.text.is_some() || self.about.is_some() || self.topic.is_some()
    }
}

/// What became of a patch.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchFactOutcome {
    /// Done; the memory as it is now.
    Patched(Memory),
    /// There is no such memory.
    NotFound,
    /// Only facts have words of their own to correct.
    NotAFact,
}

/// Whether a message is there to be learnt from.
async fn is_evidence(conn: &mut SqliteConnection, account: AccountId, id: MessageId) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT status FROM messages WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(false) };
    let mut c = Columns::new("messages", &row);
    c.named(id);
    Ok(c.parsed("status", parse_status)? != MessageStatus::Forgotten)
}

/// The live fact about the same person that says the same.
async fn find_same(
    conn: &mut SqliteConnection,
    account: AccountId,
    about: &str,
    text: &str,
) -> Result<Option<MemoryId>, StoreError> {
    let wanted = normalised(text);
    let rows = sqlx::query(
        "SELECT id, text FROM memories
          WHERE account_id = ?1 AND kind = 'fact' AND about = ?2 COLLATE NOCASE AND superseded_by IS NULL ORDER BY key",
    )
    .bind(account.0)
    .bind(about)
    .fetch_all(conn)
    .await?;
    for row in &rows {
        let mut c = Columns::new("memories", row);
        let id = MemoryId(c.uuid("id")?);
        c.named(id);
        let known: &str = c.take("text")?;
        if normalised(known) == wanted {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// `?2` the fact, `?3` its topic, `?4` salience, `?5` pinned, `?6` source, `?7` now. The owner's word outranks what was
/// heard, and that what was read.
const MERGE: &str = "
    UPDATE memories SET
           topic = coalesce(topic, ?3),
           salience = CASE WHEN salience IS NULL OR ?4 > salience THEN coalesce(?4, salience) ELSE salience END,
           pinned = max(pinned, ?5),
           source = CASE WHEN source = 'owner' OR ?6 = 'owner' THEN 'owner'
                         WHEN source = 'conversation' OR ?6 = 'conversation' THEN 'conversation' ELSE 'tool' END,
           updated_at = ?7
     WHERE account_id = ?1 AND id = ?2";

async fn merge(
    conn: &mut SqliteConnection,
    account: AccountId,
    same: MemoryId,
    fact: &NewFact,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(MERGE)
        .bind(account.0)
        .bind(blob(&same.0))
        .bind(fact.topic.as_deref())
        .bind(fact.salience.map(|salience| f64::from(salience.get())))
        .bind(fact.pinned)
        .bind(fact.source.as_str())
        .bind(ms(now))
        .execute(conn)
        .await?;
    Ok(())
}

const INSERT: &str = "
    INSERT INTO memories (account_id, id, kind, session_id, message_id, project_id, about, topic, text, salience,
                          pinned, source, valid_from, created_at, updated_at)
    VALUES (?1, ?2, 'fact', ?3, ?4, (SELECT p.id FROM projects p WHERE p.account_id = ?1 AND p.id = ?5), ?6, ?7, ?8,
            ?9, ?10, ?11, ?12, ?13, ?13)";

async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    fact: &NewFact,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&fact.id.0))
        .bind(fact.session_id.as_ref().map(SessionId::as_str))
        .bind(fact.message_id.as_ref().map(|id| blob(&id.0)))
        .bind(fact.project_id.as_ref().map(|id| blob(&id.0)))
        .bind(fact.about.as_str())
        .bind(fact.topic.as_deref())
        .bind(fact.text.as_str())
        .bind(fact.salience.map(|salience| f64::from(salience.get())))
        .bind(fact.pinned)
        .bind(fact.source.as_str())
        .bind(ms(fact.valid_from))
        .bind(ms(now))
        .execute(&mut *conn)
        .await?;
    outbox::queue(conn, account, fact.id, MemoryKind::Fact, Step::Document, now).await
}

/// The fact that stands for `id` today; `None` if there is none.
async fn newest(
    conn: &mut SqliteConnection,
    account: AccountId,
    mut id: MemoryId,
) -> Result<Option<MemoryId>, StoreError> {
    for _ in 0..MAX_CHAIN {
        let row = sqlx::query("SELECT superseded_by FROM memories WHERE account_id = ?1 AND id = ?2 AND kind = 'fact'")
            .bind(account.0)
            .bind(blob(&id.0))
            .fetch_optional(&mut *conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut c = Columns::new("memories", &row);
        c.named(id);
        match c.uuid_or_null("superseded_by")? {
            Some(next) => id = MemoryId(next),
            None => return Ok(Some(id)),
        }
    }
    Ok(None)
}

/// `?2` the old fact, `?3` the new one, `?4` now. What was kept in view stays in view, in its new words.
const SUPERSEDE: &str = "
    UPDATE memories SET pinned = max(pinned, (SELECT o.pinned FROM memories o WHERE o.account_id = ?1 AND o.id = ?2))
     WHERE account_id = ?1 AND id = ?3;
    UPDATE memories SET superseded_by = ?3, pinned = 0, updated_at = ?4
     WHERE account_id = ?1 AND id = ?2 AND kind = 'fact'";

/// Makes `by` the successor of facts. One that has a successor already hands the change on to the newest of its chain,
/// so that a chain never forks; `by` is live, so no circle can close.
async fn supersede(
    conn: &mut SqliteConnection,
    account: AccountId,
    old: &[MemoryId],
    by: MemoryId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for &id in old {
        let Some(live) = newest(&mut *conn, account, id).await?.filter(|live| *live != by) else {
            continue;
        };
        let query = sqlx::query(SUPERSEDE)
            .bind(account.0)
            .bind(blob(&live.0))
            .bind(blob(&by.0))
            .bind(ms(now));
        bind_spare(query, SPARE).execute(&mut *conn).await?;
    }
    Ok(())
}

async fn insert_one(
    conn: &mut SqliteConnection,
    account: AccountId,
    fact: &NewFact,
    key: &TombstoneKey,
    now: Timestamp,
) -> Result<FactOutcome, StoreError> {
    let digests = tombstones::digests(key, account, &fact.text);
    if digests.is_empty() && fact.source != MemorySource::Owner {
        // Without a word there is nothing to know it by again, so it could not stay forgotten.
        return Ok(FactOutcome::Forgotten);
    }
    if let Some(evidence) = fact.message_id
        && !is_evidence(&mut *conn, account, evidence).await?
    {
        return Ok(FactOutcome::Forgotten);
    }
    if fact.source == MemorySource::Owner {
        tombstones::delete(&mut *conn, account, &digests).await?;
    } else if tombstones::find_any(&mut *conn, account, &digests).await? {
        return Ok(FactOutcome::Forgotten);
    }
    if let Some(same) = find_same(&mut *conn, account, &fact.about, &fact.text).await? {
        merge(&mut *conn, account, same, fact, now).await?;
        supersede(&mut *conn, account, &fact.supersedes, same, now).await?;
        return Ok(FactOutcome::Merged(same));
    }
    insert(&mut *conn, account, fact, now).await?;
    supersede(&mut *conn, account, &fact.supersedes, fact.id, now).await?;
    let stored = memories::find(conn, account, &[fact.id]).await?.pop();
    stored.map(FactOutcome::Stored).ok_or(StoreError::Closed)
}

/// Makes a message that is there a memory, if it is none yet, so that it can be pinned.
const INSERT_MESSAGE: &str = concat!(
    "INSERT INTO memories (account_id, id, kind, session_id, message_id, project_id, about, salience, source, valid_from,
                          created_at, updated_at)
    SELECT ?1, m.id, 'message', m.session_id, m.id, m.project_id,
           CASE m.role WHEN 'user' THEN 'owner' ELSE 'mira' END, m.salience, ",
    message_source!(),
    ", m.created_at, m.created_at, ?3
      FROM messages m WHERE m.account_id = ?1 AND m.id = ?2 AND m.status <> 'forgotten' AND m.content <> ''
        ON CONFLICT (account_id, id) DO NOTHING"
);

/// `?3` pinned, `?4` text, `?5` about, `?6` whether a topic is given, `?7` topic, `?8` whether it corrects, `?9` now.
const PATCH: &str = "
    UPDATE memories SET
           pinned = coalesce(?3, pinned), text = coalesce(?4, text), about = coalesce(?5, about),
           topic = CASE WHEN ?6 THEN ?7 ELSE topic END,
           source = CASE WHEN ?8 THEN 'owner' ELSE source END, updated_at = ?9
     WHERE account_id = ?1 AND id = ?2";

/// What was made of the words before: out of every index in this file at once, not when the indexer comes by.
const DROP_DERIVED: &str = "
    DELETE FROM recall_fts WHERE rowid = (SELECT key FROM memories WHERE account_id = ?1 AND id = ?2);
    DELETE FROM recall_grams WHERE rowid = (SELECT key FROM memories WHERE account_id = ?1 AND id = ?2);
    DELETE FROM vectors WHERE key = (SELECT key FROM memories WHERE account_id = ?1 AND id = ?2)";

/// The outcome, and the words that are there no more.
async fn patch(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: MemoryId,
    patch: &FactPatch,
    now: Timestamp,
) -> Result<(PatchFactOutcome, Option<String>), StoreError> {
    let known = memories::find(&mut *conn, account, &[id]).await?.pop();
    let is_fact = known.as_ref().map(|memory| memory.kind) == Some(MemoryKind::Fact);
    if patch.corrects() && !is_fact {
        let is_message = is_evidence(&mut *conn, account, MessageId(id.0)).await?;
        let outcome = if known.is_some() || is_message {
            PatchFactOutcome::NotAFact
        } else {
            PatchFactOutcome::NotFound
        };
        return Ok((outcome, None));
    }
    if known.is_none() {
        let made = sqlx::query(INSERT_MESSAGE)
            .bind(account.0)
            .bind(blob(&id.0))
            .bind(ms(now))
            .execute(&mut *conn)
            .await?;
        if made.rows_affected() == 0 {
            return Ok((PatchFactOutcome::NotFound, None));
        }
        outbox::queue(&mut *conn, account, id, MemoryKind::Message, Step::Document, now).await?;
    }
    sqlx::query(PATCH)
        .bind(account.0)
        .bind(blob(&id.0))
        .bind(patch.pinned)
        .bind(patch.text.as_deref())
        .bind(patch.about.as_deref())
        .bind(patch.topic.is_some())
        .bind(patch.topic.as_ref().and_then(Option::as_deref))
        .bind(patch.corrects())
        .bind(ms(now))
        .execute(&mut *conn)
        .await?;
    let mut gone = None;
    if patch.corrects() {
        let query = sqlx::query(DROP_DERIVED).bind(account.0).bind(blob(&id.0));
        bind_spare(query, SPARE).execute(&mut *conn).await?;
        outbox::queue(&mut *conn, account, id, MemoryKind::Fact, Step::Document, now).await?;
        gone = known
            .map(|memory| memory.text)
            .filter(|old| patch.text.as_ref().is_some_and(|new| new != old));
    }
    if let Some(old) = &gone {
        // Memory tools print facts: those words are no more either.
        let mut quotes = Quotes::default();
        quotes.add_fact(old);
        calls::empty_quoting(&mut *conn, account, &quotes).await?;
        tombstones::mark_pending(&mut *conn, account, now).await?;
    }
    let memory = memories::find(conn, account, &[id]).await?.pop();
    Ok((
        memory.map_or(PatchFactOutcome::NotFound, PatchFactOutcome::Patched),
        gone,
    ))
}

impl Store {
    /// Stores facts, in one transaction. See [`FactOutcome`] for what becomes of each.
    pub async fn insert_facts(
        &self,
        account: AccountId,
        facts: Vec<NewFact>,
        key: &TombstoneKey,
        now: Timestamp,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        let (facts, key) = (Arc::new(facts), key.clone());
        self.write(Class::Acknowledged, move |conn| {
            let (facts, key) = (Arc::clone(&facts), key.clone());
            async move {
                let mut outcomes = Vec::with_capacity(facts.len());
                for fact in &*facts {
                    outcomes.push(insert_one(&mut *conn, account, fact, &key, now).await?);
                }
                Ok(outcomes)
            }
            .boxed()
        })
        .await
    }

    /// Up to `limit` (at most 1000) live facts about a person, the newest first.
    pub async fn live_facts(&self, account: AccountId, about: &str, limit: u32) -> Result<Vec<Memory>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            memory_columns!(),
            " FROM memories k ",
            memory_join!(),
            " AND k.account_id = ?1 AND k.kind = 'fact' AND k.about = ?2 COLLATE NOCASE AND k.superseded_by IS NULL
              ORDER BY k.key DESC LIMIT (?3 + 0)"
        ))
        .bind(account.0)
        .bind(about)
        .bind(i64::from(limit.min(MAX_LISTED)))
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(|row| Ok(memories::read(row)?.1)).collect()
    }

    /// Up to `limit` (at most 1000) pinned memories of any kind, the first pinned first; superseded facts are left out.
    pub async fn pinned_memories(&self, account: AccountId, limit: u32) -> Result<Vec<Memory>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            memory_columns!(),
            " FROM memories k ",
            memory_join!(),
            " AND k.account_id = ?1 AND k.pinned = 1 AND k.superseded_by IS NULL ORDER BY k.key LIMIT (?2 + 0)"
        ))
        .bind(account.0)
        .bind(i64::from(limit.min(MAX_LISTED)))
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(|row| Ok(memories::read(row)?.1)).collect()
    }

    /// Corrects a fact (it is the owner's from then on) or pins any memory; a message that is no memory yet becomes one.
    /// The words before a correction are kept nowhere; [`Store::scrub`] wipes out their bytes.
    pub async fn patch_memory(
        &self,
        account: AccountId,
        id: MemoryId,
        change: FactPatch,
        now: Timestamp,
    ) -> Result<PatchFactOutcome, StoreError> {
        let change = Arc::new(change);
        let (outcome, gone) = self
            .write(Class::Acknowledged, move |conn| {
                let change = Arc::clone(&change);
                async move { patch(conn, account, id, &change, now).await }.boxed()
            })
            .await?;
        if let Some(text) = gone {
            self.keep_traces(Traces::of_texts([text.as_str()]));
        }
        Ok(outcome)
    }
}

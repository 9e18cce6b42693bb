//! Table `outbox`: the work of the indexer, written in the transaction of what it is about (the turn's statements write
//! their own rows), done in slices and deleted when done. Documents are written in [`super::documents`]; vectors are
//! made outside of the store, which only hands out what is due and is told what is done.
//!
//! Invariant: for one memory there is at most one row of the step `document`, and one of the step `vector` for each
//! space. A new row of work replaces the old one under a new id, so that finishing what was handed out before does not
//! take newer work along.

use super::{
    Store,
    documents::read_text,
    error::StoreError,
    messages::{json, unknown},
    rows::{Columns, SPARE, bind_spare, blob, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId, SessionId},
    memory::MemoryKind,
};
use sqlx::{Row, SqliteConnection};
use std::time::Duration;

/// The most rows handed out at once.
const MAX_DUE: u32 = 1000;
/// Messages or memories looked at in one transaction while a whole store is queued: a few milliseconds each, so that
/// turns pass in between.
const SLICE: i64 = 2000;

/// The place where vectors of one model are; row of the table `spaces`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub i64);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write the recall document, then embed.
    Document,
    /// Embed into the space.
    Vector,
    /// Take it out of an index that is not in this file.
    Remove,
}

impl Step {
    /// The name used in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Vector => "vector",
            Self::Remove => "remove",
        }
    }
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// Memories whose document is to be written.
    pub documents: u64,
    /// Texts to be embedded.
    pub vectors: u64,
    /// Points to be taken out of an index outside.
    pub removals: u64,
    /// Since when the oldest of them waits.
    pub oldest_queued_at: Option<Timestamp>,
}

impl OutboxStats {
    /// How many wait in all.
    pub fn depth(&self) -> u64 {
        self.documents + self.vectors + self.removals
    }

    /// For how long the oldest has waited; nothing by a clock that has gone back since.
    pub fn lag(&self, now: Timestamp) -> Duration {
        let waited = self.oldest_queued_at.map(|at| now.duration_since(at));
        waited.and_then(|waited| waited.try_into().ok()).unwrap_or_default()
    }
}

/// A text to be embedded.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorJob {
    /// The row, to be given to [`Store::finish_outbox`] or [`Store::defer_outbox`].
    pub outbox_id: i64,
    /// Into which space; `None`: the active one.
    pub space_id: Option<SpaceId>,
    /// The memory's key in this file.
    pub key: i64,
    /// The memory.
    pub id: MemoryId,
    /// What kind of memory it is.
    pub kind: MemoryKind,
    /// Who said it (`owner`, `mira`), or whom the fact is about.
    pub speaker: String,
    /// Its own text, without neighbours, at most 8000 characters.
    pub text: String,
    /// Where it was said or learnt.
    pub session: Option<SessionId>,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// When it was said, or since when it holds.
    pub at: Timestamp,
    /// How often it has been put off.
    pub attempts: u32,
}

/// Queues a message that was stored just now, `$id` in `$session`, unless memory is off or paused. A statement for the
/// end of a batch of the turn's.
macro_rules! queue_new_message {
    ($session:literal, $id:literal, $now:literal, $content:literal) => {
        concat!(
            "INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
             SELECT ?1, ",
            $id,
            ", 'message', 'document', ",
            $now,
            " FROM sessions s CROSS JOIN mira_state t ON t.account_id = s.account_id
              WHERE s.account_id = ?1 AND s.id = ",
            $session,
            " AND s.memory = 'on' AND t.memory_paused = 0 AND ",
            $content,
            " <> ''"
        )
    };
}
pub(super) use queue_new_message;

/// Queues work for one memory; a row that waits for the same is replaced.
pub(super) async fn queue(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: MemoryId,
    kind: MemoryKind,
    step: Step,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "DELETE FROM outbox WHERE account_id = ?1 AND memory_id = ?2 AND step = ?3 AND coalesce(space_id, 0) = 0;
         INSERT INTO outbox (account_id, memory_id, step, kind, queued_at, space_id)
         VALUES (?1, ?2, ?3, ?4, ?5, CASE ?3 WHEN 'vector' THEN 0 END)",
    )
    .bind(account.0)
    .bind(blob(&id.0))
    .bind(step.as_str())
    .bind(kind.as_str())
    .bind(ms(now));
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(())
}

/// Queues the documents of what was just imported: messages that are to be remembered, and facts. An import has no
/// clock; the time, by which nothing is decided, is SQLite's.
pub(super) async fn queue_imported(
    conn: &mut SqliteConnection,
    account: AccountId,
    messages: &[MemoryId],
    facts: &[MemoryId],
) -> Result<(), StoreError> {
    if messages.is_empty() && facts.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(
        "INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
         SELECT ?1, m.id, 'message', 'document', CAST(unixepoch('subsec') * 1000 AS INTEGER)
           FROM json_each(?2) j CROSS JOIN messages m ON m.account_id = ?1 AND m.id = unhex(j.value)
          CROSS JOIN sessions s ON s.account_id = ?1 AND s.id = m.session_id
          CROSS JOIN mira_state t ON t.account_id = ?1
          WHERE s.memory = 'on' AND t.memory_paused = 0 AND m.content <> ''
            AND m.status IN ('complete', 'stopped', 'interrupted')
          ORDER BY m.ord;
         INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
         SELECT ?1, unhex(value), 'fact', 'document', CAST(unixepoch('subsec') * 1000 AS INTEGER)
           FROM json_each(?3) ORDER BY key",
    )
    .bind(account.0)
    .bind(hex_list(messages)?)
    .bind(hex_list(facts)?);
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(())
}

/// Ids as a JSON list of their hex digits; `unhex` makes them blobs again.
pub(super) fn hex_list(ids: &[MemoryId]) -> Result<String, StoreError> {
    let hex: Vec<String> = ids.iter().map(|id| id.0.as_simple().to_string()).collect();
    json(&hex)
}

pub(super) fn parse_kind(text: &str) -> Result<MemoryKind, String> {
    MemoryKind::parse(text).ok_or_else(|| unknown(text))
}

macro_rules! due_vectors {
    () => {
        "
    SELECT o.id, nullif(o.space_id, 0), o.attempts, k.key, k.id, k.kind, k.about, k.session_id, k.project_id,
           k.valid_from, substr(CAST(coalesce(k.text, m.content, '') AS BLOB), 1, 32000)
      FROM outbox o CROSS JOIN memories k ON k.account_id = o.account_id AND k.id = o.memory_id
      LEFT JOIN messages m ON k.kind = 'message' AND m.account_id = k.account_id AND m.id = k.id
     WHERE o.step = 'vector' AND o.next_at <= ?2 AND o.account_id = ?1
     ORDER BY o.next_at, o.id LIMIT (?3 + 0)"
    };
}

macro_rules! due_removals {
    () => {
        "
    SELECT id, memory_id FROM outbox WHERE step = 'remove' AND next_at <= ?2 AND account_id = ?1
     ORDER BY next_at, id LIMIT (?3 + 0)"
    };
}

const DUE_VECTORS: &str = due_vectors!();
const DUE_REMOVALS: &str = due_removals!();
pub(super) const DUE_WORK: &str = concat!(due_removals!(), ";", due_vectors!());
/// How many columns a row of [`DUE_REMOVALS`] has; one of [`DUE_VECTORS`] has more.
const REMOVAL_COLUMNS: usize = 2;

fn read_removal(row: &sqlx::sqlite::SqliteRow) -> Result<(i64, MemoryId), StoreError> {
    let mut c = Columns::new("outbox", row);
    let id: i64 = c.take("id")?;
    c.named(id);
    Ok((id, MemoryId(c.uuid("memory_id")?)))
}

fn read_job(row: &sqlx::sqlite::SqliteRow) -> Result<VectorJob, StoreError> {
    let mut c = Columns::new("outbox", row);
    let outbox_id: i64 = c.take("id")?;
    c.named(outbox_id);
    Ok(VectorJob {
        outbox_id,
        space_id: c.take::<Option<i64>>("space_id")?.map(SpaceId),
        attempts: u32::try_from(c.count("attempts")?).unwrap_or(u32::MAX),
        key: c.take("key")?,
        id: MemoryId(c.uuid("id")?),
        kind: c.parsed("kind", parse_kind)?,
        speaker: c.take("about")?,
        session: c.parsed_or_null("session_id", str::parse)?,
        project: c.uuid_or_null("project_id")?.map(ProjectId),
        at: c.time("valid_from")?,
        text: read_text(c.take("text")?),
    })
}

/// `?2` after this `ord`, `?3` how many.
pub(super) const MESSAGE_SLICE: &str = "SELECT max(ord) FROM (
    SELECT ord FROM messages WHERE +account_id = ?1 AND ord > ?2 ORDER BY ord LIMIT (?3 + 0))";
/// `?2` after this `ord`, `?3` up to this one, `?4` now.
pub(super) const QUEUE_MESSAGES: &str = "
    DELETE FROM outbox INDEXED BY outbox_memory WHERE account_id = ?1 AND step = 'vector' AND space_id = 0
       AND memory_id IN (SELECT id FROM messages WHERE +account_id = ?1 AND ord > ?2 AND ord <= ?3);
    INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
    SELECT ?1, m.id, 'message', 'document', ?4
      FROM messages m CROSS JOIN memories k ON k.account_id = ?1 AND k.id = m.id AND k.kind = 'message'
     WHERE +m.account_id = ?1 AND m.ord > ?2 AND m.ord <= ?3
       AND NOT EXISTS (SELECT 1 FROM outbox o
                        WHERE o.account_id = ?1 AND o.memory_id = m.id AND o.step = 'document')
     ORDER BY m.ord";
/// `?2` after this `ord`, `?3` up to this one.
pub(super) const COUNT_QUEUED: &str = "
    SELECT count(*) FROM messages m CROSS JOIN outbox o
        ON o.account_id = ?1 AND o.memory_id = m.id AND o.step = 'document'
     WHERE +m.account_id = ?1 AND m.ord > ?2 AND m.ord <= ?3";

/// Where the slice after `after` ends, by [`MESSAGE_SLICE`] or [`MEMORY_SLICE`]; `None` where nothing is left.
pub(super) async fn slice_end(
    conn: &mut SqliteConnection,
    sql: &'static str,
    account: AccountId,
    after: i64,
) -> Result<Option<i64>, StoreError> {
    let end = sqlx::query_scalar(sql).bind(account.0).bind(after).bind(SLICE);
    Ok(end.fetch_one(conn).await?)
}

/// One slice of [`Store::queue_everything`]: messages with `ord` beyond `after` that are memories, or wait to become
/// ones. Answers how many are queued and where the slice ended.
async fn queue_message_slice(
    conn: &mut SqliteConnection,
    account: AccountId,
    after: i64,
    now: Timestamp,
) -> Result<(u64, Option<i64>), StoreError> {
    let Some(end) = slice_end(&mut *conn, MESSAGE_SLICE, account, after).await? else {
        return Ok((0, None));
    };
    let queue = sqlx::query(QUEUE_MESSAGES)
        .bind(account.0)
        .bind(after)
        .bind(end)
        .bind(ms(now));
    bind_spare(queue, SPARE).execute(&mut *conn).await?;
    let queued: i64 = sqlx::query_scalar(COUNT_QUEUED)
        .bind(account.0)
        .bind(after)
        .bind(end)
        .fetch_one(conn)
        .await?;
    Ok((queued.unsigned_abs(), Some(end)))
}

/// `?2` after this key, `?3` how many.
pub(super) const MEMORY_SLICE: &str = "SELECT max(key) FROM (
    SELECT key FROM memories WHERE +account_id = ?1 AND key > ?2 ORDER BY key LIMIT (?3 + 0))";
/// `?2` after this key, `?3` up to this one, `?4` now.
pub(super) const QUEUE_FACTS: &str = "
    DELETE FROM outbox INDEXED BY outbox_memory WHERE account_id = ?1 AND kind = 'fact' AND step IN ('document', 'vector')
       AND coalesce(space_id, 0) = 0
       AND memory_id IN (SELECT id FROM memories WHERE account_id = ?1 AND kind = 'fact' AND key > ?2 AND key <= ?3);
    INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
    SELECT ?1, id, 'fact', 'document', ?4 FROM memories
     WHERE account_id = ?1 AND kind = 'fact' AND key > ?2 AND key <= ?3 ORDER BY key";

/// The same, into the space `?5`.
pub(super) const QUEUE_VECTORS: &str = "
    DELETE FROM outbox INDEXED BY outbox_memory WHERE account_id = ?1 AND step = 'vector' AND space_id = ?5
       AND memory_id IN (SELECT id FROM memories WHERE +account_id = ?1 AND key > ?2 AND key <= ?3);
    INSERT INTO outbox (account_id, memory_id, kind, step, queued_at, space_id)
    SELECT ?1, id, kind, 'vector', ?4, ?5 FROM memories
     WHERE account_id = ?1 AND kind IN ('message', 'fact') AND key > ?2 AND key <= ?3 ORDER BY key";

/// `?2` after this key, `?3` the most.
pub(super) const LIST_EMBEDDED: &str = "
    SELECT key, id FROM memories WHERE +account_id = ?1 AND key > ?2 AND kind IN ('message', 'fact')
     ORDER BY key LIMIT (?3 + 0)";

/// `?2` the memories, `?3` the space, `?4` now.
pub(super) const QUEUE_SOME: &str = "
    DELETE FROM outbox INDEXED BY outbox_memory WHERE account_id = ?1 AND step = 'vector' AND space_id = ?3
       AND memory_id IN (SELECT unhex(value) FROM json_each(?2));
    INSERT INTO outbox (account_id, memory_id, kind, step, queued_at, space_id)
    SELECT ?1, k.id, k.kind, 'vector', ?4, ?3
      FROM json_each(?2) j CROSS JOIN memories k ON k.account_id = ?1 AND k.id = unhex(j.value) ORDER BY k.key";

/// One slice of memories by key: runs `sql` over it. Answers how many were queued and where the slice ended.
async fn queue_key_slice(
    conn: &mut SqliteConnection,
    account: AccountId,
    sql: &'static str,
    after: i64,
    space: Option<SpaceId>,
    now: Timestamp,
) -> Result<(u64, Option<i64>), StoreError> {
    let Some(end) = slice_end(&mut *conn, MEMORY_SLICE, account, after).await? else {
        return Ok((0, None));
    };
    let query = sqlx::query(sql)
        .bind(account.0)
        .bind(after)
        .bind(end)
        .bind(ms(now))
        .bind(space.map(|space| space.0));
    bind_spare(query, SPARE).execute(&mut *conn).await?;
    let queued: i64 = sqlx::query_scalar("SELECT changes()").fetch_one(conn).await?;
    Ok((queued.unsigned_abs(), Some(end)))
}

/// `?2` rows done.
pub(super) const FINISH: &str = "DELETE FROM outbox WHERE +account_id = ?1 AND id IN (SELECT value FROM json_each(?2))";
/// `?2` rows, `?3` until when.
pub(super) const DEFER: &str = "UPDATE outbox SET attempts = attempts + 1, next_at = ?3
                      WHERE +account_id = ?1 AND id IN (SELECT value FROM json_each(?2))";

impl Store {
    /// How much waits for the indexer.
    pub async fn outbox_stats(&self, account: AccountId) -> Result<OutboxStats, StoreError> {
        let mut conn = self.read().await?;
        let rows =
            sqlx::query("SELECT step, count(*) FROM outbox INDEXED BY outbox_due WHERE account_id = ?1 GROUP BY step")
                .bind(account.0)
                .fetch_all(&mut *conn)
                .await?;
        let mut stats = OutboxStats::default();
        for row in &rows {
            let mut c = Columns::new("outbox", row);
            let step: &str = c.take("step")?;
            let waiting = c.count("id")?;
            if step == Step::Document.as_str() {
                stats.documents = waiting;
            } else if step == Step::Vector.as_str() {
                stats.vectors = waiting;
            } else {
                stats.removals = waiting;
            }
        }
        // Rows are numbered in the order they were queued.
        let oldest = sqlx::query("SELECT queued_at FROM outbox NOT INDEXED WHERE account_id = ?1 ORDER BY id LIMIT 1")
            .bind(account.0)
            .fetch_optional(&mut *conn)
            .await?;
        stats.oldest_queued_at = oldest
            .map(|row| Columns::new("outbox", &row).time("queued_at"))
            .transpose()?;
        Ok(stats)
    }

    /// Up to `limit` (at most 1000) texts to embed, those that wait longest first.
    pub async fn due_vectors(
        &self,
        account: AccountId,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<VectorJob>, StoreError> {
        let rows = sqlx::query(DUE_VECTORS)
            .bind(account.0)
            .bind(ms(now))
            .bind(i64::from(limit.clamp(1, MAX_DUE)))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read_job).collect()
    }

    /// [`Store::due_removals`] and [`Store::due_vectors`], asked at once.
    pub async fn due_work(
        &self,
        account: AccountId,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<(i64, MemoryId)>, Vec<VectorJob>), StoreError> {
        let query = sqlx::query(DUE_WORK)
            .bind(account.0)
            .bind(ms(now))
            .bind(i64::from(limit.clamp(1, MAX_DUE)));
        let rows = bind_spare(query, SPARE).fetch_all(&mut *self.read().await?).await?;
        let is_job = |row: &&sqlx::sqlite::SqliteRow| row.len() > REMOVAL_COLUMNS;
        let removals = rows
            .iter()
            .filter(|row| !is_job(row))
            .map(read_removal)
            .collect::<Result<_, _>>()?;
        let jobs = rows.iter().filter(is_job).map(read_job).collect::<Result<_, _>>()?;
        Ok((removals, jobs))
    }

    /// Up to `limit` (at most 1000) points to take out of an index outside: the row's id and the memory that was.
    pub async fn due_removals(
        &self,
        account: AccountId,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<(i64, MemoryId)>, StoreError> {
        let rows = sqlx::query(DUE_REMOVALS)
            .bind(account.0)
            .bind(ms(now))
            .bind(i64::from(limit.clamp(1, MAX_DUE)))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read_removal).collect()
    }

    /// These rows are done. Work queued since for the same memories has ids of its own and stays.
    pub async fn finish_outbox(&self, account: AccountId, ids: Vec<i64>) -> Result<(), StoreError> {
        self.end_outbox(account, FINISH, &ids, None).await
    }

    /// These rows could not be done; they are due again at `next_at`, with one attempt more on their count.
    pub async fn defer_outbox(&self, account: AccountId, ids: Vec<i64>, next_at: Timestamp) -> Result<(), StoreError> {
        self.end_outbox(account, DEFER, &ids, Some(next_at)).await
    }

    /// What was put off past `now` is due now: nothing is put off for long, so the clock has gone back since.
    pub async fn hasten_outbox(&self, account: AccountId, now: Timestamp) -> Result<u64, StoreError> {
        self.write(Class::Partial, move |conn| {
            async move {
                let hastened = sqlx::query("UPDATE outbox SET next_at = ?2 WHERE account_id = ?1 AND next_at > ?2")
                    .bind(account.0)
                    .bind(ms(now))
                    .execute(conn)
                    .await?;
                Ok(hastened.rows_affected())
            }
            .boxed()
        })
        .await
    }

    async fn end_outbox(
        &self,
        account: AccountId,
        sql: &'static str,
        ids: &[i64],
        next_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = json(&ids)?;
        self.write(Class::Partial, move |conn| {
            let ids = ids.clone();
            async move {
                sqlx::query(sql)
                    .bind(account.0)
                    .bind(ids)
                    .bind(next_at.map(ms))
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Drops all texts that wait to be embedded, for where there is no embedder; answers how many. A space that is
    /// filled later is filled by [`Store::queue_vectors`].
    pub async fn drop_vector_jobs(&self, account: AccountId) -> Result<u64, StoreError> {
        self.write(Class::Partial, move |conn| {
            async move {
                let done = sqlx::query("DELETE FROM outbox WHERE account_id = ?1 AND step = 'vector'")
                    .bind(account.0)
                    .execute(conn)
                    .await?;
                Ok(done.rows_affected())
            }
            .boxed()
        })
        .await
    }

    /// Empties the full-text tables of recall and queues every message and fact that is a memory, oldest first; answers
    /// how many wait then. What was said off the record or while memory was paused does not become one. Turns go on
    /// meanwhile; words find again what [`Store::write_documents`] has written.
    pub async fn queue_everything(&self, account: AccountId, now: Timestamp) -> Result<u64, StoreError> {
        self.write(Class::Partial, move |conn| {
            async move { super::documents::delete_all(conn, account).await }.boxed()
        })
        .await?;
        let mut queued = 0;
        let mut after = i64::MIN;
        loop {
            let (rows, end) = self
                .write(Class::Partial, move |conn| {
                    async move { queue_message_slice(conn, account, after, now).await }.boxed()
                })
                .await?;
            queued += rows;
            let Some(end) = end else { break };
            after = end;
        }
        Ok(queued + self.queue_by_key(account, QUEUE_FACTS, None, now).await?)
    }

    /// Queues every message and fact that has a document to be embedded into a space; answers how many.
    pub async fn queue_vectors(&self, account: AccountId, space: SpaceId, now: Timestamp) -> Result<u64, StoreError> {
        self.queue_by_key(account, QUEUE_VECTORS, Some(space), now).await
    }

    /// Up to `limit` (at most 1000) of the memories that are embedded, by their keys from `after` on (`i64::MIN` for the
    /// first); the key to go on from. Empty at the end.
    pub async fn list_embedded(
        &self,
        account: AccountId,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<MemoryId>, i64), StoreError> {
        let rows = sqlx::query(LIST_EMBEDDED)
            .bind(account.0)
            .bind(after)
            .bind(i64::from(limit.clamp(1, MAX_DUE)))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let mut end = after;
        let mut ids = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut c = Columns::new("memories", row);
            end = c.take("key")?;
            c.named(end);
            ids.push(MemoryId(c.uuid("id")?));
        }
        Ok((ids, end))
    }

    /// Queues these memories to be embedded into a space; those that are gone are left out.
    pub async fn queue_vectors_of(
        &self,
        account: AccountId,
        space: SpaceId,
        ids: Vec<MemoryId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ids = hex_list(&ids)?;
        self.write(Class::Partial, move |conn| {
            let query = sqlx::query(QUEUE_SOME)
                .bind(account.0)
                .bind(ids.clone())
                .bind(space.0)
                .bind(ms(now));
            async move {
                bind_spare(query, SPARE).execute(conn).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn queue_by_key(
        &self,
        account: AccountId,
        sql: &'static str,
        space: Option<SpaceId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut queued = 0;
        let mut after = i64::MIN;
        loop {
            let (rows, end) = self
                .write(Class::Partial, move |conn| {
                    async move { queue_key_slice(conn, account, sql, after, space, now).await }.boxed()
                })
                .await?;
            queued += rows;
            let Some(end) = end else { break };
            after = end;
        }
        Ok(queued)
    }
}

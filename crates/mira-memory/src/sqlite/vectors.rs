//! Table `vectors`: the embedded index, one unit vector per space and memory, each number a little-endian `f32`.
//! A vector goes with its memory and with its space.
//!
//! Bytes are handed out as they stand: whether they are a vector of the right length is for the reader to say, so that
//! one damaged row does not hide the others.

use super::{
    Store,
    error::StoreError,
    messages::json,
    outbox::{FINISH, MEMORY_SLICE, SpaceId, hex_list, parse_kind, slice_end},
    rows::{Columns, int, ms},
    writer::Class,
};
use crate::index::Vector;
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId, SessionId},
    memory::MemoryKind,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::{collections::HashMap, sync::Arc};

/// The most rows of one slice of [`Store::read_vectors`].
const MAX_ROWS: u32 = 10_000;
/// Memories looked at in one transaction while missing vectors are queued.
const SLICE: i64 = 2000;

/// A stored vector and what an index keeps beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// The memory's key in this file.
    pub key: i64,
    /// The memory.
    pub id: MemoryId,
    /// What kind of memory it is.
    pub kind: MemoryKind,
    /// Where it was said or learnt.
    pub session: Option<SessionId>,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// When it was said, or since when it holds.
    pub at: Timestamp,
    /// The vector as it is stored.
    pub bytes: Vec<u8>,
}

/// A vector as it is stored.
pub(super) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A stored vector, if it has this many numbers and all are finite.
pub fn vector_of_bytes(bytes: &[u8], dimension: usize) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() != dimension {
        return None;
    }
    let vector: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    // The sum of squares is finite only if every number is.
    vector.iter().map(|x| x * x).sum::<f32>().is_finite().then_some(vector)
}

fn read(row: &SqliteRow) -> Result<VectorRow, StoreError> {
    let mut c = Columns::new("vectors", row);
    let key: i64 = c.take("key")?;
    c.named(key);
    Ok(VectorRow {
        key,
        id: MemoryId(c.uuid("id")?),
        kind: c.parsed("kind", parse_kind)?,
        session: c.parsed_or_null("session_id", str::parse)?,
        project: c.uuid_or_null("project_id")?.map(ProjectId),
        at: c.time("valid_from")?,
        bytes: c.take("vector")?,
    })
}

/// Rows of one statement of many; a statement costs about as much as the rows in it.
const MANY: usize = 16;

const INSERT_MANY: &str = "
    INSERT INTO vectors (space_id, key, vector)
     VALUES (?1, ?2, ?3), (?1, ?4, ?5), (?1, ?6, ?7), (?1, ?8, ?9), (?1, ?10, ?11), (?1, ?12, ?13), (?1,
     ?14, ?15), (?1, ?16, ?17), (?1, ?18, ?19), (?1, ?20, ?21), (?1, ?22, ?23), (?1, ?24, ?25), (?1, ?26,
     ?27), (?1, ?28, ?29), (?1, ?30, ?31), (?1, ?32, ?33)
     ON CONFLICT (space_id, key) DO UPDATE SET vector = excluded.vector";

const INSERT_ONE: &str = "
    INSERT INTO vectors (space_id, key, vector) VALUES (?1, ?2, ?3)
     ON CONFLICT (space_id, key) DO UPDATE SET vector = excluded.vector";

/// The keys of memories, those that are there.
async fn find_keys(
    conn: &mut SqliteConnection,
    account: AccountId,
    ids: &[MemoryId],
) -> Result<HashMap<MemoryId, i64>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.id, m.key FROM json_each(?2) j CROSS JOIN memories m ON m.account_id = ?1 AND m.id = unhex(j.value)",
    )
    .bind(account.0)
    .bind(hex_list(ids)?)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::new("memories", row);
            Ok((MemoryId(c.uuid("id")?), c.take("key")?))
        })
        .collect()
}

async fn insert(conn: &mut SqliteConnection, space: SpaceId, rows: &[(i64, &Vector)]) -> Result<(), StoreError> {
    let sql = if rows.len() == MANY { INSERT_MANY } else { INSERT_ONE };
    for rows in rows.chunks(if rows.len() == MANY { MANY } else { 1 }) {
        let mut query = sqlx::query(sql).bind(space.0);
        for (key, vector) in rows {
            query = query.bind(*key).bind(to_bytes(vector));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

async fn put(
    conn: &mut SqliteConnection,
    account: AccountId,
    space: SpaceId,
    vectors: &[(MemoryId, Vector)],
    done_outbox: &[i64],
) -> Result<Vec<(MemoryId, i64)>, StoreError> {
    let ids: Vec<MemoryId> = vectors.iter().map(|(id, _)| *id).collect();
    let keys = find_keys(&mut *conn, account, &ids).await?;
    let rows: Vec<(i64, &Vector)> = vectors
        .iter()
        .filter_map(|(id, vector)| Some((*keys.get(id)?, vector)))
        .collect();
    for rows in rows.chunks(MANY) {
        insert(&mut *conn, space, rows).await?;
    }
    if !done_outbox.is_empty() {
        sqlx::query(FINISH)
            .bind(account.0)
            .bind(json(&done_outbox)?)
            .execute(conn)
            .await?;
    }
    Ok(keys.into_iter().collect())
}

/// One slice of [`Store::queue_missing_vectors`]. A memory whose document is still to be written is embedded into the
/// active space by that, so it is missing only from a space that is being built.
pub(super) const QUEUE_MISSING: &str = "
    INSERT INTO outbox (account_id, memory_id, kind, step, space_id, queued_at)
    SELECT ?1, k.id, k.kind, 'vector', CASE s.state WHEN 'active' THEN 0 ELSE s.id END, ?3
      FROM spaces s CROSS JOIN memories k ON k.account_id = ?1
     WHERE s.id = ?2 AND k.kind IN ('message', 'fact') AND k.key > ?4 AND k.key <= ?5
       AND EXISTS (SELECT 1 FROM recall_fts f WHERE f.rowid = k.key)
       AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.space_id = ?2 AND v.key = k.key)
       AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.account_id = ?1 AND o.memory_id = k.id
              AND ((o.step = 'vector' AND (o.space_id = ?2 OR (s.state = 'active' AND coalesce(o.space_id, 0) = 0)))
                OR (o.step = 'document' AND s.state = 'active')))
     ORDER BY k.key";

async fn queue_missing_slice(
    conn: &mut SqliteConnection,
    account: AccountId,
    space: SpaceId,
    after: i64,
    now: Timestamp,
) -> Result<(u64, Option<i64>), StoreError> {
    let Some(end) = slice_end(&mut *conn, MEMORY_SLICE, account, after).await? else {
        return Ok((0, None));
    };
    let done = sqlx::query(QUEUE_MISSING)
        .bind(account.0)
        .bind(space.0)
        .bind(ms(now))
        .bind(after)
        .bind(end)
        .execute(conn)
        .await?;
    Ok((done.rows_affected(), Some(end)))
}

/// Deletes vectors by memory; answers how many.
async fn delete(conn: &mut SqliteConnection, account: AccountId, space: SpaceId, hex: &str) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM vectors WHERE space_id = ?1 AND key IN
           (SELECT m.key FROM json_each(?3) j CROSS JOIN memories m ON m.account_id = ?2 AND m.id = unhex(j.value))",
    )
    .bind(space.0)
    .bind(account.0)
    .bind(hex)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

impl Store {
    /// Writes vectors and takes finished work off the outbox, in one transaction. A memory that is not there (any more)
    /// is left out; answers the keys of those written, in any order.
    pub async fn put_vectors(
        &self,
        account: AccountId,
        space: SpaceId,
        vectors: Vec<(MemoryId, Vector)>,
        done_outbox: Vec<i64>,
    ) -> Result<Vec<(MemoryId, i64)>, StoreError> {
        let work = Arc::new((vectors, done_outbox));
        self.write(Class::Partial, move |conn| {
            let work = Arc::clone(&work);
            async move { put(conn, account, space, &work.0, &work.1).await }.boxed()
        })
        .await
    }

    /// Vectors with a key beyond `after`, by key, at most `limit` (10,000).
    pub async fn read_vectors(
        &self,
        account: AccountId,
        space: SpaceId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<VectorRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT v.key, m.id, m.kind, m.session_id, m.project_id, m.valid_from, v.vector
               FROM vectors v CROSS JOIN memories m ON m.key = v.key AND m.account_id = ?1
              WHERE v.space_id = ?2 AND v.key > ?3 ORDER BY v.key LIMIT (?4 + 0)",
        )
        .bind(account.0)
        .bind(space.0)
        .bind(after)
        .bind(int(u64::from(limit.min(MAX_ROWS))))
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(read).collect()
    }

    /// The stored vectors of memories, those that have one, in any order.
    pub async fn vectors_of(
        &self,
        account: AccountId,
        space: SpaceId,
        ids: &[MemoryId],
    ) -> Result<Vec<(MemoryId, Vec<u8>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.id, v.vector
               FROM json_each(?3) j CROSS JOIN memories m ON m.account_id = ?1 AND m.id = unhex(j.value)
               CROSS JOIN vectors v ON v.space_id = ?2 AND v.key = m.key",
        )
        .bind(account.0)
        .bind(space.0)
        .bind(hex_list(ids)?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::new("vectors", row);
                Ok((MemoryId(c.uuid("id")?), c.take("vector")?))
            })
            .collect()
    }

    /// The stored vectors by key, those that are there, in any order.
    pub(crate) async fn vectors_by_key(&self, space: SpaceId, keys: &[i64]) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT v.key, v.vector FROM json_each(?2) j CROSS JOIN vectors v ON v.space_id = ?1 AND v.key = j.value",
        )
        .bind(space.0)
        .bind(json(&keys)?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::new("vectors", row);
                Ok((c.take("key")?, c.take("vector")?))
            })
            .collect()
    }

    /// Vectors of the account in a space.
    pub async fn count_vectors(&self, account: AccountId, space: SpaceId) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM vectors v CROSS JOIN memories m ON m.key = v.key AND m.account_id = ?1
              WHERE v.space_id = ?2",
        )
        .bind(account.0)
        .bind(space.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Deletes the vectors of memories from a space; answers how many there were.
    pub async fn delete_vectors(
        &self,
        account: AccountId,
        space: SpaceId,
        ids: &[MemoryId],
    ) -> Result<u64, StoreError> {
        let hex: Arc<str> = hex_list(ids)?.into();
        self.write(Class::Partial, move |conn| {
            let hex = Arc::clone(&hex);
            async move { delete(conn, account, space, &hex).await }.boxed()
        })
        .await
    }

    /// Deletes all vectors of the account from a space, in slices; answers how many there were.
    pub async fn clear_vectors(&self, account: AccountId, space: SpaceId) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let slice = self.read_vector_ids(account, space).await?;
            if slice.is_empty() {
                return Ok(deleted);
            }
            deleted += self.delete_vectors(account, space, &slice).await?;
        }
    }

    /// The first memories with a vector in the space.
    async fn read_vector_ids(&self, account: AccountId, space: SpaceId) -> Result<Vec<MemoryId>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.id FROM vectors v CROSS JOIN memories m ON m.key = v.key AND m.account_id = ?1
              WHERE v.space_id = ?2 ORDER BY v.key LIMIT (?3 + 0)",
        )
        .bind(account.0)
        .bind(space.0)
        .bind(SLICE)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter()
            .map(|row| Ok(MemoryId(Columns::new("memories", row).uuid("id")?)))
            .collect()
    }

    /// Deletes vectors that turned out damaged and queues their memories to be embedded again; answers how many.
    pub async fn renew_vectors(
        &self,
        account: AccountId,
        space: SpaceId,
        ids: &[MemoryId],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let hex: Arc<str> = hex_list(ids)?.into();
        self.write(Class::Partial, move |conn| {
            let hex = Arc::clone(&hex);
            async move {
                let deleted = delete(conn, account, space, &hex).await?;
                sqlx::query(
                    "INSERT INTO outbox (account_id, memory_id, kind, step, space_id, queued_at)
                     SELECT ?1, k.id, k.kind, 'vector', CASE s.state WHEN 'active' THEN 0 ELSE s.id END, ?4
                       FROM json_each(?3) j CROSS JOIN memories k ON k.account_id = ?1 AND k.id = unhex(j.value)
                       CROSS JOIN spaces s ON s.id = ?2
                      WHERE NOT EXISTS (SELECT 1 FROM outbox o
                             WHERE o.account_id = ?1 AND o.memory_id = k.id AND o.step = 'vector'
                               AND (o.space_id = ?2 OR (s.state = 'active' AND coalesce(o.space_id, 0) = 0)))",
                )
                .bind(account.0)
                .bind(space.0)
                .bind(&*hex)
                .bind(ms(now))
                .execute(conn)
                .await?;
                Ok(deleted)
            }
            .boxed()
        })
        .await
    }

    /// Queues what the space lacks: every message and fact that has a recall document but no vector there and no work
    /// queued for it. For a space outside of this file, whose vectors are not here, that is everything. In slices;
    /// answers how many were queued.
    pub async fn queue_missing_vectors(
        &self,
        account: AccountId,
        space: SpaceId,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (mut after, mut queued) = (0, 0);
        loop {
            let (slice, end) = self
                .write(Class::Partial, move |conn| {
                    queue_missing_slice(conn, account, space, after, now).boxed()
                })
                .await?;
            queued += slice;
            match end {
                Some(end) => after = end,
                None => return Ok(queued),
            }
        }
    }
}

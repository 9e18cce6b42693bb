//! Table `summaries`: which stretch of a branch a summary covers. Its text is a row of `memories` under the same id.
//!
//! Invariants: one summary for each range and level; a stale one has no text any more (its memory is gone) and is
//! replaced by the next of its range; what was read before something of its range was forgotten is not stored.

use super::{
    Store,
    error::StoreError,
    messages::{self, message_columns, unknown},
    outbox::hex_list,
    rows::{Columns, SPARE, bind_spare, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    budget::estimate_tokens,
    chat::Message,
    ids::{AccountId, MemoryId, MessageId, SessionId},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a summary is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryLevel {
    /// A block of messages.
    Range,
    /// Everything up to its last message.
    Overview,
}

impl SummaryLevel {
    /// The name used in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Overview => "overview",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        [Self::Range, Self::Overview]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| unknown(text))
    }
}

/// A summary to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSummary {
    /// Its id.
    pub id: MemoryId,
    /// The session it is of.
    pub session: SessionId,
    /// What it is made of.
    pub level: SummaryLevel,
    /// The first message it covers.
    pub first_id: MessageId,
    /// The last one.
    pub last_id: MessageId,
    /// Messages above the first.
    pub first_depth: u64,
    /// Messages above the last.
    pub last_depth: u64,
    /// What it says.
    pub text: String,
    /// The model that wrote it.
    pub model: String,
    /// Whether what it was made of shows what strangers wrote. Its memory is marked as learnt there.
    pub untrusted: bool,
}

/// A stored summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its id; also that of its memory.
    pub id: MemoryId,
    /// The session it is of.
    pub session: SessionId,
    /// What it is made of.
    pub level: SummaryLevel,
    /// The first message it covers.
    pub first_id: MessageId,
    /// The last one.
    pub last_id: MessageId,
    /// Messages above the first.
    pub first_depth: u64,
    /// Messages above the last.
    pub last_depth: u64,
    /// What it says; empty once it is stale.
    pub text: String,
    /// What it costs in a prompt, in tokens (estimated).
    pub tokens: u64,
    /// The model that wrote it.
    pub model: String,
    /// Whether what it was made of shows what strangers wrote.
    pub untrusted: bool,
    /// When.
    pub created_at: Timestamp,
}

/// A stretch of a branch that waits to be summarised.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRange {
    /// Its first message.
    pub first_id: MessageId,
    /// Its last message.
    pub last_id: MessageId,
    /// Messages above the first.
    pub first_depth: u64,
    /// Messages above the last.
    pub last_depth: u64,
    /// Its messages, oldest first; forgotten ones are empty.
    pub messages: Vec<Message>,
}

/// The ranges handed out to be summarised. Forgetting takes them back: a summary made of what was read before is not
/// stored. Kept in memory, as the process that was to write the summary is.
#[derive(Debug, Default)]
pub(super) struct HandedOut {
    ranges: Mutex<HashSet<(AccountId, SessionId, MessageId, MessageId)>>,
    /// How often something was taken back.
    taken_back: AtomicU64,
}

impl HandedOut {
    /// More than any summarizer works on; beyond it the oldest claims are void, which only costs a second try.
    const MAX: usize = 4096;

    fn add(&self, account: AccountId, session: &SessionId, first: MessageId, last: MessageId) {
        let mut all = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::MAX {
            all.clear();
        }
        all.insert((account, session.clone(), first, last));
    }

    fn holds(&self, account: AccountId, new: &NewSummary) -> bool {
        let all = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(&(account, new.session.clone(), new.first_id, new.last_id))
    }

    /// Whatever is at work on this session began too early.
    pub(super) fn take_back(&self, account: AccountId, session: &SessionId) {
        let mut all = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, at, ..)| *of != account || at != session);
        self.taken_back.fetch_add(1, Ordering::Relaxed);
    }
}

/// The columns of a summary `s` left-joined with its memory `k`, as [`read`] takes them.
macro_rules! summary_columns {
    () => {
        "s.id, s.session_id, s.level, s.first_id, s.last_id, s.first_depth, s.last_depth, coalesce(k.text, ''),
         s.tokens, s.model, k.source IS 'tool', s.created_at"
    };
}

macro_rules! summary_join {
    () => {
        " LEFT JOIN memories k ON k.account_id = s.account_id AND k.id = s.id "
    };
}

fn read(row: &SqliteRow) -> Result<Summary, StoreError> {
    let mut c = Columns::new("summaries", row);
    let id = MemoryId(c.uuid("id")?);
    c.named(id);
    Ok(Summary {
        id,
        session: c.parsed("session_id", str::parse)?,
        level: c.parsed("level", SummaryLevel::parse)?,
        first_id: MessageId(c.uuid("first_id")?),
        last_id: MessageId(c.uuid("last_id")?),
        first_depth: c.count("first_depth")?,
        last_depth: c.count("last_depth")?,
        text: c.take("text")?,
        tokens: c.count("tokens")?,
        model: c.take("model")?,
        untrusted: c.take::<i64>("source")? != 0,
        created_at: c.time("created_at")?,
    })
}

/// `?2` session, `?3` level, `?4` first, `?5` last.
const FIND_RANGE: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM summaries s",
    summary_join!(),
    "WHERE s.account_id = ?1 AND s.session_id = ?2 AND s.level = ?3 AND s.first_id = ?4 AND s.last_id = ?5
       AND s.stale = 0"
);

/// `?2` session, `?3` level, `?4` first, `?5` last, `?6` id, `?7` and `?8` depths, `?9` text, `?10` tokens, `?11` model,
/// `?12` now, `?13` whether it is untrusted. Nothing where the session or the range's end is gone. Stale ones that end
/// within the range are done with.
const INSERT: &str = "
    DELETE FROM summaries
     WHERE account_id = ?1 AND session_id = ?2 AND level = ?3 AND stale = 1 AND last_id IN (
           WITH RECURSIVE up (id, parent_id, depth) AS (
               SELECT m.id, m.parent_id, m.depth FROM messages m WHERE m.account_id = ?1 AND m.id = ?5
                UNION ALL
               SELECT m.id, m.parent_id, m.depth FROM up u
                CROSS JOIN messages m ON m.account_id = ?1 AND m.id = u.parent_id WHERE u.depth > ?7)
           SELECT id FROM up);
    INSERT INTO summaries (account_id, session_id, level, first_id, last_id, id, first_depth, last_depth, tokens, model,
                           created_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?10, ?11, ?12
     WHERE EXISTS (SELECT 1 FROM messages WHERE account_id = ?1 AND session_id = ?2 AND id = ?4)
       AND EXISTS (SELECT 1 FROM messages WHERE account_id = ?1 AND session_id = ?2 AND id = ?5);
    INSERT INTO memories (account_id, id, kind, session_id, message_id, project_id, about, text, source, valid_from,
                          created_at, updated_at)
    SELECT ?1, s.id, 'summary', ?2, ?5, p.project_id, 'mira', ?9, iif(?13, 'tool', 'conversation'), ?12, ?12, ?12
      FROM summaries s JOIN sessions p ON p.account_id = ?1 AND p.id = ?2
     WHERE s.account_id = ?1 AND s.id = ?6";

async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    new: &NewSummary,
    handed: &HandedOut,
    now: Timestamp,
) -> Result<Option<Summary>, StoreError> {
    if let Some(known) = find_range(&mut *conn, account, new).await? {
        return Ok(Some(known));
    }
    let outdated = match new.level {
        SummaryLevel::Range => !handed.holds(account, new),
        SummaryLevel::Overview => {
            let found: i64 = sqlx::query_scalar(IS_UNDERMINED)
                .bind(account.0)
                .bind(new.session.as_str())
                .bind(blob(&new.last_id.0))
                .bind(int(new.first_depth))
                .fetch_one(&mut *conn)
                .await?;
            found != 0
        }
    };
    if outdated {
        return Ok(None);
    }
    let tokens = estimate_tokens(&new.text) as u64;
    let query = sqlx::query(INSERT)
        .bind(account.0)
        .bind(new.session.as_str())
        .bind(new.level.as_str())
        .bind(blob(&new.first_id.0))
        .bind(blob(&new.last_id.0))
        .bind(blob(&new.id.0))
        .bind(int(new.first_depth))
        .bind(int(new.last_depth))
        .bind(new.text.as_str())
        .bind(int(tokens))
        .bind(new.model.as_str())
        .bind(ms(now))
        .bind(new.untrusted);
    bind_spare(query, SPARE).execute(&mut *conn).await?;
    find_range(conn, account, new).await
}

async fn find_range(
    conn: &mut SqliteConnection,
    account: AccountId,
    new: &NewSummary,
) -> Result<Option<Summary>, StoreError> {
    let row = sqlx::query(FIND_RANGE)
        .bind(account.0)
        .bind(new.session.as_str())
        .bind(new.level.as_str())
        .bind(blob(&new.first_id.0))
        .bind(blob(&new.last_id.0))
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Walks up a branch from `?3`, over each summarised stretch of these levels in one step: what it visits is as much as is
/// not summarised, plus one message for each stretch. `jump` is the depth of the first message of the one that ends there.
macro_rules! walk {
    ($levels:literal) => {
        concat!(
            "WITH RECURSIVE walk (id, depth, parent_id, jump) AS (
             SELECT m.id, m.depth,
                    CASE WHEN f.id IS NULL THEN m.parent_id ELSE f.parent_id END, f.depth
               FROM messages m LEFT JOIN messages f ON f.account_id = ?1 AND f.id = (
                    SELECT s.first_id FROM summaries s
                     WHERE s.account_id = ?1 AND s.session_id = ?2 AND s.level IN ",
            $levels,
            " AND s.last_id = m.id
                       AND s.stale = 0 ORDER BY s.first_depth LIMIT 1)
              WHERE m.account_id = ?1 AND m.session_id = ?2 AND m.id = ?3
              UNION ALL
             SELECT m.id, m.depth,
                    CASE WHEN f.id IS NULL THEN m.parent_id ELSE f.parent_id END, f.depth
               FROM walk w CROSS JOIN messages m ON m.account_id = ?1 AND m.id = w.parent_id AND m.session_id = ?2
               LEFT JOIN messages f ON f.account_id = ?1 AND f.id = (
                    SELECT s.first_id FROM summaries s
                     WHERE s.account_id = ?1 AND s.session_id = ?2 AND s.level IN ",
            $levels,
            " AND s.last_id = m.id
                       AND s.stale = 0 ORDER BY s.first_depth LIMIT 1))"
        )
    };
}

/// An overview stands for everything before it, so that the walk ends where the newest begins to speak.
const LIST: &str = concat!(
    walk!("('range', 'overview')"),
    "SELECT ",
    summary_columns!(),
    " FROM walk w CROSS JOIN (VALUES ('range'), ('overview')) l
      CROSS JOIN summaries s ON s.account_id = ?1 AND s.session_id = ?2 AND s.level = l.column1 AND s.last_id = w.id",
    summary_join!(),
    "WHERE s.stale = 0 ORDER BY s.last_depth, s.first_depth DESC"
);

/// `?4` the window's first depth.
const WALK_BEFORE: &str = concat!(
    walk!("('range')"),
    "SELECT id, depth, jump FROM walk WHERE depth < ?4 ORDER BY depth"
);

/// Whether blocks an overview is made of have gone stale under it: `?3` its last message, `?4` its first depth.
const IS_UNDERMINED: &str = concat!(
    walk!("('range')"),
    "SELECT EXISTS (SELECT 1 FROM walk w CROSS JOIN summaries s
                     WHERE s.account_id = ?1 AND s.session_id = ?2 AND s.level = 'range' AND s.last_id = w.id
                       AND s.stale = 1 AND w.depth >= ?4)"
);

/// Whether the session writes memory at all.
const WRITES: &str = "
    SELECT EXISTS (SELECT 1 FROM sessions s JOIN mira_state t ON t.account_id = s.account_id
                    WHERE s.account_id = ?1 AND s.id = ?2 AND s.memory = 'on' AND t.memory_paused = 0)";

const LIST_MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM json_each(?2) j CROSS JOIN messages m ON m.account_id = ?1 AND m.id = unhex(j.value) ORDER BY j.key"
);

/// The oldest `block` messages in a row that are not summarised; fewer where a summary follows them. `visited` in order
/// of depth, each with whether it stands for a summarised block.
fn first_gap(visited: &[(MessageId, u64, bool)], block: usize) -> &[(MessageId, u64, bool)] {
    let mut start = 0;
    for (at, (.., summarised)) in visited.iter().enumerate() {
        if *summarised {
            if at > start {
                return visited.get(start..at).unwrap_or_default();
            }
            start = at + 1;
        } else if at + 1 - start == block {
            return visited.get(start..=at).unwrap_or_default();
        }
    }
    &[]
}

/// The summaries that cover a message: same session, its depth in theirs, and their last message below it.
const COVERING: &str = "
    SELECT s.id, s.session_id FROM summaries s
     WHERE s.account_id = ?1 AND s.session_id = ?2 AND s.first_depth <= ?4 AND s.last_depth >= ?4
       AND EXISTS (
           WITH RECURSIVE up (id, parent_id, depth) AS (
               SELECT m.id, m.parent_id, m.depth FROM messages m WHERE m.account_id = ?1 AND m.id = s.last_id
                UNION ALL
               SELECT m.id, m.parent_id, m.depth FROM up u
                CROSS JOIN messages m ON m.account_id = ?1 AND m.id = u.parent_id WHERE u.depth > ?4)
           SELECT 1 FROM up WHERE id = ?3)";

/// The summaries that cover a message.
pub(super) async fn list_covering(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    message: MessageId,
    depth: i64,
) -> Result<Vec<MemoryId>, StoreError> {
    let rows = sqlx::query(COVERING)
        .bind(account.0)
        .bind(session.as_str())
        .bind(blob(&message.0))
        .bind(depth)
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Columns::new("summaries", row).uuid("id").map(MemoryId))
        .collect()
}

/// Takes a summary's text away and leaves its place, to be filled anew.
pub(super) async fn make_stale(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: MemoryId,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "UPDATE summaries SET stale = 1, tokens = 0 WHERE account_id = ?1 AND id = ?2;
         DELETE FROM memories WHERE account_id = ?1 AND id = ?2 AND kind = 'summary'",
    )
    .bind(account.0)
    .bind(blob(&id.0));
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(())
}

impl Store {
    /// Stores a summary. One of this range that is there already is answered instead, unless it is stale. `None` if
    /// something of the range was forgotten since [`Store::next_range`] handed it out, or its messages are gone: what
    /// the summary was made of may hold what must not be kept.
    pub async fn insert_summary(
        &self,
        account: AccountId,
        new: NewSummary,
        now: Timestamp,
    ) -> Result<Option<Summary>, StoreError> {
        let new = Arc::new(new);
        let handed = Arc::clone(&self.handed_out);
        self.write(Class::Acknowledged, move |conn| {
            let (new, handed) = (Arc::clone(&new), Arc::clone(&handed));
            async move { insert(conn, account, &new, &handed, now).await }.boxed()
        })
        .await
    }

    /// Counts up with each forgetting: a branch that was summarised whole may not be any more.
    pub fn forgettings(&self) -> u64 {
        self.handed_out.taken_back.load(Ordering::Relaxed)
    }

    /// The summaries of the branch that ends with `head`, oldest first: the newest overview on it and what comes after, an
    /// overview after the blocks it ends with; stale ones are left out.
    pub async fn list_summaries(
        &self,
        account: AccountId,
        session: &SessionId,
        head: MessageId,
    ) -> Result<Vec<Summary>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(session.as_str())
            .bind(blob(&head.0))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The summaries that lost their text because something of their range was forgotten, oldest first.
    pub async fn stale_summaries(&self, account: AccountId) -> Result<Vec<Summary>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            summary_columns!(),
            " FROM summaries s",
            summary_join!(),
            "WHERE s.account_id = ?1 AND s.stale = 1 ORDER BY s.session_id, s.last_depth, s.first_depth DESC"
        ))
        .bind(account.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(read).collect()
    }

    /// The oldest block of messages of a branch that has left the prompt's window (which begins at depth
    /// `window_start`) and has no summary; shorter than `block` only between two summaries. `None` where nothing is to
    /// be done or the session does not write memory.
    pub async fn next_range(
        &self,
        account: AccountId,
        session: &SessionId,
        head: MessageId,
        window_start: u64,
        block: u64,
    ) -> Result<Option<SummaryRange>, StoreError> {
        let mut conn = self.read().await?;
        let writes: i64 = sqlx::query_scalar(WRITES)
            .bind(account.0)
            .bind(session.as_str())
            .fetch_one(&mut *conn)
            .await?;
        if writes == 0 || block == 0 {
            return Ok(None);
        }
        let rows = sqlx::query(WALK_BEFORE)
            .bind(account.0)
            .bind(session.as_str())
            .bind(blob(&head.0))
            .bind(int(window_start))
            .fetch_all(&mut *conn)
            .await?;
        let mut visited = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut c = Columns::new("messages", row);
            let id = MessageId(c.uuid("id")?);
            c.named(id);
            visited.push((id, c.count("depth")?, c.take::<Option<i64>>("depth")?.is_some()));
        }
        let gap = first_gap(&visited, usize::try_from(block).unwrap_or(usize::MAX));
        let (Some(first), Some(last)) = (gap.first(), gap.last()) else {
            return Ok(None);
        };
        // Before the texts are read: what is forgotten from here on voids what is made of them.
        self.handed_out.add(account, session, first.0, last.0);
        let ids: Vec<MemoryId> = gap.iter().map(|(id, ..)| (*id).into()).collect();
        let rows = sqlx::query(LIST_MESSAGES)
            .bind(account.0)
            .bind(hex_list(&ids)?)
            .fetch_all(&mut *conn)
            .await?;
        let messages: Result<Vec<Message>, StoreError> =
            rows.iter().map(|row| Ok(messages::read(row)?.message)).collect();
        Ok(Some(SummaryRange {
            first_id: first.0,
            last_id: last.0,
            first_depth: first.1,
            last_depth: last.1,
            messages: messages?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// `.` a message, `#` a summarised block; answers the depths (here: places) of the gap.
    fn check(branch: &str, block: usize, expect: &[u64]) {
        let visited: Vec<_> = branch
            .chars()
            .enumerate()
            .map(|(at, c)| (MessageId(Uuid::nil()), at as u64, c == '#'))
            .collect();
        let found: Vec<u64> = first_gap(&visited, block).iter().map(|(_, depth, _)| *depth).collect();
        assert_eq!(found, expect, "{branch}");
    }

    #[test]
    fn the_oldest_gap_comes_first() {
        check("", 3, &[]);
        check("..", 3, &[]);
        check("...", 3, &[0, 1, 2]);
        check("#.....", 3, &[1, 2, 3]);
        check("#..#...", 3, &[1, 2]);
        check("##..", 3, &[]);
        check("#....#", 3, &[1, 2, 3]);
    }
}

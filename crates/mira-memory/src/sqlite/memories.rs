//! Table `memories`, read: memories by id, the owner's list of them, counts, and whether writing is paused. Message
//! memories are made in [`super::documents`]; their text stands in `messages`.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{json, parse_role, unknown},
    ord_cursor,
    outbox::{hex_list, parse_kind},
    rows::{Columns, blob, int},
    search,
    writer::Class,
};
use futures_util::FutureExt;
use mira_core::{
    chat::Salience,
    ids::{AccountId, MemoryId, MessageId, ProjectId, SessionId},
    memory::{Memory, MemoryKind, MemorySource},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

ord_cursor! {
    /// A place in the list of memories.
    MemoryCursor
}

/// Which memories to list. Empty allows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryFilter {
    /// Those that hold all of its words, the last one also as the beginning of a longer word; see [`Store::search`].
    pub q: Option<String>,
    /// Of this kind.
    pub kind: Option<MemoryKind>,
    /// Said or learnt in this session.
    pub session_id: Option<SessionId>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
}

/// How many memories there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryCounts {
    /// Messages.
    pub messages: u64,
    /// Facts, superseded ones included.
    pub facts: u64,
    /// Summaries.
    pub summaries: u64,
    /// Pinned memories, whatever their kind.
    pub pinned: u64,
}

/// The memories on both sides of a message, on its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbours {
    /// The message.
    pub id: MessageId,
    /// What it follows.
    pub before: Option<MemoryId>,
    /// The newest that follows it.
    pub after: Option<MemoryId>,
}

/// The columns of a memory `k` left-joined with its message `m`, as [`read`] takes them.
macro_rules! memory_columns {
    () => {
        "k.key, k.id, k.kind, coalesce(k.text, m.content), m.role, k.about, k.topic, k.created_at, k.session_id,
         k.message_id, k.project_id, k.salience, k.pinned, k.source, k.valid_from, k.superseded_by"
    };
}
pub(super) use memory_columns;

/// Joins a memory `k` with its message `m` and leaves out what is forgotten.
macro_rules! memory_join {
    () => {
        " LEFT JOIN messages m ON k.kind = 'message' AND m.account_id = k.account_id AND m.id = k.id
          WHERE (k.kind <> 'message' OR m.status IS NOT NULL AND m.status <> 'forgotten') "
    };
}
pub(super) use memory_join;

/// A memory from a row of [`memory_columns`], with its key.
pub(super) fn read(row: &SqliteRow) -> Result<(i64, Memory), StoreError> {
    let mut c = Columns::new("memories", row);
    let key: i64 = c.take("key")?;
    c.named(key);
    let id = MemoryId(c.uuid("id")?);
    let kind = c.parsed("kind", parse_kind)?;
    let text = c.take("text")?;
    let role = c.parsed_or_null("role", parse_role)?;
    let about: String = c.take("about")?;
    let topic = c.take("topic")?;
    let date = c.time("created_at")?;
    let session_id = c.parsed_or_null("session_id", str::parse::<SessionId>)?;
    let message_id = c.uuid_or_null("message_id")?.map(MessageId);
    let project_id = c.uuid_or_null("project_id")?.map(ProjectId);
    let salience: Option<f64> = c.take("salience")?;
    #[expect(clippy::cast_possible_truncation, reason = "written from an f32")]
    let salience = salience.map(|value| Salience::clamped(value as f32));
    let memory = Memory {
        id,
        kind,
        text,
        role,
        about: (kind == MemoryKind::Fact).then_some(about),
        topic,
        date,
        session_id,
        message_id,
        project_id,
        salience,
        pinned: c.take("pinned")?,
        source: c.parsed("source", parse_source)?,
        valid_from: c.time("valid_from")?,
        superseded_by: c.uuid_or_null("superseded_by")?.map(MemoryId),
    };
    Ok((key, memory))
}

pub(super) fn parse_source(text: &str) -> Result<MemorySource, String> {
    MemorySource::parse(text).ok_or_else(|| unknown(text))
}

const FIND: &str = concat!(
    "SELECT ",
    memory_columns!(),
    " FROM json_each(?2) j CROSS JOIN memories k ON k.account_id = ?1 AND k.id = unhex(j.value)",
    memory_join!(),
    "ORDER BY j.key"
);

/// The memories with these ids, in this order; what is gone or forgotten is left out.
pub(super) async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    ids: &[MemoryId],
) -> Result<Vec<Memory>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(FIND)
        .bind(account.0)
        .bind(hex_list(ids)?)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(read(row)?.1)).collect()
}

// ---- the list -----------------------------------------------------------------------------------------------------

/// `?2` below this key, `?3` the most, `?4` kind, `?5` session, `?6` project.
macro_rules! list_sql {
    ($from:expr, $kind:literal, $session:literal) => {
        concat!(
            "SELECT ",
            memory_columns!(),
            $from,
            memory_join!(),
            "AND k.account_id = ?1 AND k.key < ?2 AND ",
            $kind,
            " AND ",
            $session,
            " AND (?6 IS NULL OR k.project_id = ?6) ORDER BY k.key DESC LIMIT (?3 + 0)"
        )
    };
}

/// Each walks the keys downwards and ends with the page; left alone, SQLite would gather everything and sort.
const LIST: &str = list_sql!(" FROM memories k NOT INDEXED", "?4 IS NULL", "?5 IS NULL");
const LIST_OF_KIND: &str = list_sql!(" FROM memories k INDEXED BY memories_kind", "k.kind = ?4", "?5 IS NULL");
const LIST_OF_SESSION: &str = list_sql!(
    " FROM memories k INDEXED BY memories_session",
    "(?4 IS NULL OR k.kind = ?4)",
    "k.session_id = ?5"
);

/// Those that hold what is asked: messages by word (`?7`) or by pairs of letters (`?8`), the rest by word and (`?9`, a
/// JSON list) by the runs of letters that FTS5 does not know as words.
const LIST_FOUND: &str = list_sql!(
    " FROM (SELECT o.id AS id FROM messages_fts f CROSS JOIN messages o ON o.ord = f.rowid
             WHERE messages_fts MATCH ?7 AND coalesce(?4, 'message') = 'message'
             UNION
            SELECT o.id FROM messages_grams f CROSS JOIN messages o ON o.ord = f.rowid
             WHERE messages_grams MATCH ?8 AND coalesce(?4, 'message') = 'message'
             UNION
            SELECT n.id FROM memories n
             WHERE n.account_id = ?1 AND n.kind <> 'message' AND coalesce(?4, '') <> 'message'
               AND (?10 IS NULL OR n.key IN (SELECT rowid FROM memories_fts WHERE memories_fts MATCH ?10))
               AND NOT EXISTS (SELECT 1 FROM json_each(?9) r
                                WHERE instr(lower(n.about || ' ' || coalesce(n.topic, '') || ' ' || n.text), r.value) = 0)
           ) hit CROSS JOIN memories k ON k.account_id = ?1 AND k.id = hit.id",
    "(?4 IS NULL OR k.kind = ?4)",
    "(?5 IS NULL OR k.session_id = ?5)"
);

/// What is asked of facts and summaries: words for FTS5, if there are any, and runs of letters to look for as they are.
fn split_query(q: &str) -> (Option<String>, Vec<String>) {
    let (mut known, mut runs) = (String::new(), Vec::new());
    let mut open = false;
    for part in q.split(|c: char| c.is_whitespace() || c.is_control()) {
        open = !part.chars().any(search::needs_grams);
        if open {
            known.extend([part, " "]);
        } else {
            runs.extend(search::runs(part).into_iter().map(String::from_iter));
        }
    }
    if open {
        // The last word stays open, as it is in the text. After white space the last part is empty, and leaves its own.
        known.pop();
    }
    (search::parse(&known).map(|query| query.words), runs)
}

impl Store {
    /// The memories with these ids, in this order; what is gone or forgotten is left out.
    pub async fn find_memories(&self, account: AccountId, ids: &[MemoryId]) -> Result<Vec<Memory>, StoreError> {
        find(&mut *self.read().await?, account, ids).await
    }

    /// The memory with this id; `None` where it is gone or forgotten.
    pub async fn find_memory(&self, account: AccountId, id: MemoryId) -> Result<Option<Memory>, StoreError> {
        Ok(self.find_memories(account, &[id]).await?.pop())
    }

    /// Memories, the newest first (in the order they became memories). A query without a letter or digit finds nothing.
    pub async fn list_memories(
        &self,
        account: AccountId,
        filter: MemoryFilter,
        page: Page<MemoryCursor>,
    ) -> Result<Listed<Memory, MemoryCursor>, StoreError> {
        let limit = page.rows();
        let found = filter.q.as_deref().map(|q| (search::parse(q), split_query(q)));
        let sql = match (&found, &filter.session_id, filter.kind) {
            (Some((None, _)), ..) => {
                return Ok(Listed {
                    items: Vec::new(),
                    next: None,
                });
            }
            (Some(_), ..) => LIST_FOUND,
            (None, Some(_), _) => LIST_OF_SESSION,
            (None, None, Some(_)) => LIST_OF_KIND,
            (None, None, None) => LIST,
        };
        let mut query = sqlx::query(sql)
            .bind(account.0)
            .bind(page.cursor.map_or(i64::MAX, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .bind(filter.kind.map(MemoryKind::as_str))
            .bind(filter.session_id.as_ref().map(SessionId::as_str))
            .bind(filter.project_id.as_ref().map(|id| blob(&id.0)));
        if let Some((Some(asked), (words, runs))) = found {
            query = query.bind(asked.words).bind(asked.grams).bind(json(&runs)?).bind(words);
        }
        let rows = query.fetch_all(&mut *self.read().await?).await?;
        let rows: Result<Vec<_>, _> = rows
            .iter()
            .map(|row| read(row).map(|(key, memory)| (memory, MemoryCursor(key))))
            .collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// How many memories there are.
    pub async fn memory_counts(&self, account: AccountId) -> Result<MemoryCounts, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM memories WHERE account_id = ?1 AND kind = 'message'),
                    (SELECT count(*) FROM memories WHERE account_id = ?1 AND kind = 'fact'),
                    (SELECT count(*) FROM memories WHERE account_id = ?1 AND kind = 'summary'),
                    (SELECT count(*) FROM memories WHERE account_id = ?1 AND pinned = 1)",
        )
        .bind(account.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        let mut c = Columns::new("memories", &row);
        Ok(MemoryCounts {
            messages: c.count("kind")?,
            facts: c.count("kind")?,
            summaries: c.count("kind")?,
            pinned: c.count("pinned")?,
        })
    }

    /// What stands before and after each of these messages, where it is a memory; unknown messages are left out.
    pub async fn neighbours(&self, account: AccountId, ids: &[MessageId]) -> Result<Vec<Neighbours>, StoreError> {
        let ids: Vec<MemoryId> = ids.iter().map(|&id| id.into()).collect();
        let rows = sqlx::query(
            "SELECT m.id,
                    (SELECT k.id FROM messages p CROSS JOIN memories k ON k.account_id = ?1 AND k.id = p.id
                      WHERE p.account_id = ?1 AND p.id = m.parent_id AND p.session_id = m.session_id),
                    (SELECT k.id FROM messages c CROSS JOIN memories k ON k.account_id = ?1 AND k.id = c.id
                      WHERE c.account_id = ?1 AND c.parent_id = m.id AND c.session_id = m.session_id
                      ORDER BY c.ord DESC LIMIT 1)
               FROM json_each(?2) j CROSS JOIN messages m ON m.account_id = ?1 AND m.id = unhex(j.value)
              ORDER BY j.key",
        )
        .bind(account.0)
        .bind(hex_list(&ids)?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let read = |row| {
            let mut c = Columns::new("messages", row);
            let id = MessageId(c.uuid("id")?);
            c.named(id);
            Ok(Neighbours {
                id,
                before: c.uuid_or_null("parent_id")?.map(MemoryId),
                after: c.uuid_or_null("id")?.map(MemoryId),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Whether the owner has paused the writing of memories.
    pub async fn memory_paused(&self, account: AccountId) -> Result<bool, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT memory_paused FROM mira_state WHERE account_id = ?1")
                .bind(account.0)
                .fetch_optional(&mut *self.read().await?)
                .await?
                .unwrap_or_default(),
        )
    }

    /// Pauses the writing of memories in all sessions, or goes on with it. What is said meanwhile is not taken up
    /// later.
    pub async fn set_memory_paused(&self, account: AccountId, paused: bool) -> Result<(), StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                sqlx::query("UPDATE mira_state SET memory_paused = ?2 WHERE account_id = ?1")
                    .bind(account.0)
                    .bind(paused)
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

    fn check(q: &str, words: Option<&str>, runs: &[&str]) {
        let (found, found_runs) = split_query(q);
        assert_eq!(
            (found.as_deref(), found_runs),
            (words, runs.iter().map(ToString::to_string).collect()),
            "{q:?}"
        );
    }

    #[test]
    fn queries_of_facts_are_split_by_script() {
        check("dog nam", Some("\"dog\" \"nam\"* "), &[]);
        check("dog ", Some("\"dog\" "), &[]);
        check("dog 東京タワー", Some("\"dog\" "), &["東京タワー"]);
        check("東京", None, &["東京"]);
        check("!?", None, &[]);
    }
}

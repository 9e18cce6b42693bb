//! What ranking needs of each candidate of recall: tables `memories` and `messages`, read in one query.
//!
//! Texts are cut, so that a candidate of ten megabytes costs no more than another; whole memories are read for those
//! that come up.

use super::{
    Store,
    documents::read_text,
    error::StoreError,
    outbox::{hex_list, parse_kind},
    rows::{Columns, blob},
};
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId, SessionId},
    memory::MemoryKind,
};
use sqlx::sqlite::SqliteRow;

/// A candidate as its rows say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecallRow {
    /// The memory.
    pub id: MemoryId,
    /// A message or a fact.
    pub kind: MemoryKind,
    /// Who said it, or whom it is about: `owner`, `mira`, or a name.
    pub about: String,
    /// Where it was said or learnt.
    pub session: Option<SessionId>,
    /// When it was said, or since when it holds.
    pub at: Timestamp,
    /// Kept in view by the owner.
    pub pinned: bool,
    /// The beginning of its text.
    pub text: String,
    /// The fact that replaced it and is there still.
    pub successor: Option<MemoryId>,
    /// The turn it follows in its session, if that is a memory, and the beginning of its text.
    pub before: Option<(MemoryId, String)>,
}

/// `?2` ids, `?3` project.
const LIST: &str = "
    SELECT k.key, k.id, k.kind, k.about, k.session_id, k.valid_from, k.pinned,
           substr(CAST(coalesce(k.text, m.content) AS BLOB), 1, 8000), s.id, q.id,
           CASE WHEN q.id IS NOT NULL THEN substr(CAST(p.content AS BLOB), 1, 2400) END
      FROM json_each(?2) j CROSS JOIN memories k ON k.account_id = ?1 AND k.id = unhex(j.value)
      LEFT JOIN messages m ON k.kind = 'message' AND m.account_id = k.account_id AND m.id = k.id
      LEFT JOIN memories s ON s.account_id = k.account_id AND s.id = k.superseded_by
      LEFT JOIN messages p ON p.account_id = m.account_id AND p.id = m.parent_id AND p.session_id = m.session_id
                          AND p.status <> 'forgotten'
      LEFT JOIN memories q ON q.account_id = p.account_id AND q.id = p.id
     WHERE k.kind <> 'summary' AND (k.kind = 'fact' OR m.status <> 'forgotten')
       AND (?3 IS NULL OR k.project_id = ?3)";

fn read(row: &SqliteRow) -> Result<RecallRow, StoreError> {
    let mut c = Columns::new("memories", row);
    let key: i64 = c.take("key")?;
    c.named(key);
    Ok(RecallRow {
        id: MemoryId(c.uuid("id")?),
        kind: c.parsed("kind", parse_kind)?,
        about: c.take("about")?,
        session: c.parsed_or_null("session_id", str::parse)?,
        at: c.time("valid_from")?,
        pinned: c.take("pinned")?,
        text: read_text(c.take("text")?),
        successor: c.uuid_or_null("superseded_by")?.map(MemoryId),
        before: {
            let id = c.uuid_or_null("parent_id")?.map(MemoryId);
            let text: Option<&[u8]> = c.take("content")?;
            id.zip(text.map(read_text))
        },
    })
}

impl Store {
    /// What ranking needs of these memories, in any order. What is gone or forgotten, summaries, and what is of another
    /// project than the wanted one is left out.
    pub(crate) async fn recall_rows(
        &self,
        account: AccountId,
        ids: &[MemoryId],
        project: Option<ProjectId>,
    ) -> Result<Vec<RecallRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(hex_list(ids)?)
            .bind(project.as_ref().map(|id| blob(&id.0)))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read).collect()
    }
}

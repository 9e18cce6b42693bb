//! Table `messages`: the tree of a session. A message is written once, by a turn, and never changes, but for being
//! forgotten. `ord` is the order of arrival, `depth` the number of messages above it.

use super::{
    Store,
    error::StoreError,
    files,
    outbox::hex_list,
    rows::{Columns, blob, int},
};
use mira_core::{
    chat::{Exposure, Message, MessageMetadata, MessageStatus, Mood, ReplyMeta, Role, Salience, Usage},
    ids::{AccountId, MemoryId, MessageId, ProjectId, SessionId},
    persona::PersonaName,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

/// The columns of a whole message `m`, as [`read`] takes them.
macro_rules! message_columns {
    () => {
        concat!(
            "m.ord, m.id, m.depth, m.session_id, m.parent_id,
         CASE WHEN EXISTS (SELECT 1 FROM messages x WHERE x.account_id = m.account_id AND x.parent_id IS m.parent_id
                                                      AND x.session_id = m.session_id AND x.ord <> m.ord)
              THEN (SELECT group_concat(hex(x.id), '' ORDER BY x.ord) FROM messages x
                     WHERE x.account_id = m.account_id AND x.parent_id IS m.parent_id AND x.session_id = m.session_id)
              ELSE hex(m.id) END,
         m.role, m.content, m.status, m.project_id, m.metadata,
         m.persona, m.mood, m.mood_cause, m.intent, m.owner_mood, m.tags, m.salience,
         m.model, m.input_tokens, m.cached_tokens, m.output_tokens, m.reasoning_tokens, m.tool_calls,
         m.citations, m.exposed, m.created_at, ",
            $crate::sqlite::files::attached_column!()
        )
    };
}
pub(super) use message_columns;

/// How many columns those are.
pub(super) const MESSAGE_COLUMNS: usize = 28;

/// Where a walk up a branch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchFrom {
    /// With the last message of the chosen branch.
    Head,
    /// With the message above this one: the page of history before it.
    Before(MessageId),
    /// With this message.
    At(MessageId),
}

/// A stretch of a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchPage {
    /// Its messages, oldest first.
    pub messages: Vec<Message>,
    /// Whether more (with the wanted tag) stand above; they follow `Before` the first of these.
    pub more: bool,
    /// The number of messages from the branch's root to the last of these, both included, whatever their tags.
    pub length: u64,
}

/// A message and its place.
pub(super) struct Placed {
    pub ord: i64,
    pub depth: u64,
    pub message: Message,
}

pub(super) fn parse_role(text: &str) -> Result<Role, String> {
    [Role::User, Role::Assistant]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| unknown(text))
}

pub(super) fn parse_status(text: &str) -> Result<MessageStatus, String> {
    use MessageStatus as S;
    [S::Complete, S::Stopped, S::Interrupted, S::Failed, S::Forgotten]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| unknown(text))
}

pub(super) fn unknown(text: &str) -> String {
    format!("unknown value {text:?}")
}

pub(super) fn parse_mood(text: &str) -> Result<Mood, &'static str> {
    Mood::from_text(text).ok_or("a mood cannot be empty")
}

/// A message from a row of [`message_columns`].
pub(super) fn read(row: &SqliteRow) -> Result<Placed, StoreError> {
    let mut c = Columns::new("messages", row);
    let ord: i64 = c.take("ord")?;
    c.named(ord);
    let id = MessageId(c.uuid("id")?);
    let depth = c.count("depth")?;
    let session_id = c.parsed("session_id", str::parse::<SessionId>)?;
    let parent_id = c.uuid_or_null("parent_id")?.map(MessageId);
    let sibling_ids = c.uuids("id")?.into_iter().map(MessageId).collect();
    let role = c.parsed("role", parse_role)?;
    let content: String = c.take("content")?;
    let status = c.parsed("status", parse_status)?;
    let project_id = c.uuid_or_null("project_id")?.map(ProjectId);
    let metadata = c.parsed_or_null("metadata", |text| serde_json::from_str::<MessageMetadata>(text))?;
    let meta = read_meta(&mut c)?;
    let model: Option<String> = c.take("model")?;
    let usage = read_usage(&mut c)?;
    let tool_calls = c.parsed_or_null("tool_calls", parse_list)?.unwrap_or_default();
    let citations = c.parsed_or_null("citations", parse_list)?.unwrap_or_default();
    let exposure = read_exposure(&mut c)?.unwrap_or_default();
    let created_at = c.time("created_at")?;
    let files = c.parsed_or_null("files", files::parse_attached)?.unwrap_or_default();
    let message = Message {
        id,
        session_id,
        parent_id,
        sibling_ids,
        role,
        content,
        meta,
        status,
        project_id,
        metadata,
        model,
        usage,
        tool_calls,
        files,
        citations,
        exposure,
        created_at,
    };
    Ok(Placed { ord, depth, message })
}

/// An exposure as its column, `exposed`, holds it: 0 for the one that leaves no mark.
pub(super) fn exposure_column(exposure: Exposure) -> i64 {
    match exposure {
        Exposure::Clear => 0,
        Exposure::Retold => 1,
        Exposure::Direct => 2,
    }
}

/// The exposure in the next column; none where nobody knew it yet.
pub(super) fn read_exposure(c: &mut Columns<'_>) -> Result<Option<Exposure>, StoreError> {
    let Some(value) = c.take::<Option<i64>>("exposed")? else {
        return Ok(None);
    };
    let found = [Exposure::Clear, Exposure::Retold, Exposure::Direct]
        .into_iter()
        .find(|exposure| exposure_column(*exposure) == value);
    found
        .map(Some)
        .ok_or_else(|| c.bad("exposed", unknown(&value.to_string())))
}

/// What a reply says about itself; its persona is there if and only if the rest may be.
fn read_meta(c: &mut Columns<'_>) -> Result<Option<ReplyMeta>, StoreError> {
    let persona = c.parsed_or_null("persona", PersonaName::parse)?;
    let mood = c.parsed_or_null("mood", parse_mood)?;
    let mood_cause = c.take("mood_cause")?;
    let intent = c.take("intent")?;
    let owner_mood = c.take("owner_mood")?;
    let tags = c
        .parsed_or_null("tags", |text| serde_json::from_str::<Vec<String>>(text))?
        .unwrap_or_default();
    let salience: Option<f64> = c.take("salience")?;
    let Some(persona) = persona else { return Ok(None) };
    let mood = mood.ok_or_else(|| c.bad("mood", "a reply with a persona has a mood"))?;
    #[expect(clippy::cast_possible_truncation, reason = "written from an f32")]
    let salience = salience.map(|value| Salience::clamped(value as f32));
    Ok(Some(ReplyMeta {
        persona,
        mood,
        mood_cause,
        intent,
        owner_mood,
        tags,
        salience,
        remember: Vec::new(),
    }))
}

fn read_usage(c: &mut Columns<'_>) -> Result<Option<Usage>, StoreError> {
    let mut counts = [0; 4];
    let mut known = false;
    for (count, column) in counts
        .iter_mut()
        .zip(["input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"])
    {
        let value: Option<i64> = c.take(column)?;
        known |= value.is_some();
        *count = u64::try_from(value.unwrap_or_default()).map_err(|error| c.bad(column, error))?;
    }
    let [input_tokens, cached_tokens, output_tokens, reasoning_tokens] = counts;
    Ok(known.then_some(Usage {
        input_tokens,
        cached_tokens,
        output_tokens,
        reasoning_tokens,
    }))
}

/// The message with this id.
pub(super) async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages m WHERE m.account_id = ?1 AND m.id = ?2"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.message)).transpose()
}

/// The first reply to an owner's message.
pub(super) async fn find_reply_to(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages m WHERE m.account_id = ?1 AND m.parent_id = ?2 AND m.role = 'assistant' ORDER BY m.ord LIMIT 1"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.message)).transpose()
}

/// The page is gathered before its first row is given out: rows then come in one go, where each row that is still being
/// looked up would wake the waiting task by itself. `MATERIALIZED` also keeps SQLite from sorting before it cuts.
const BRANCH: &str = concat!(
    "WITH RECURSIVE branch (ord, parent_id, n) AS (
         SELECT m.ord, m.parent_id, 1 FROM messages m
          WHERE m.account_id = ?1 AND m.session_id = ?2 AND m.id = CASE ?3
                WHEN 0 THEN (SELECT head_id FROM sessions WHERE account_id = ?1 AND id = ?2)
                WHEN 1 THEN (SELECT b.parent_id FROM messages b
                              WHERE b.account_id = ?1 AND b.session_id = ?2 AND b.id = ?4)
                ELSE ?4 END
          UNION ALL
         SELECT m.ord, m.parent_id, b.n + 1
           FROM branch b JOIN messages m ON m.account_id = ?1 AND m.id = b.parent_id
          WHERE m.session_id = ?2 AND (?6 IS NOT NULL OR b.n < ?5)),
     page AS MATERIALIZED (SELECT ",
    message_columns!(),
    ", b.n AS n FROM branch b CROSS JOIN messages m ON m.ord = b.ord
      WHERE ?6 IS NULL OR EXISTS (SELECT 1 FROM json_each(m.tags) t WHERE t.value = ?6)
      LIMIT (?5 + 0))
     SELECT * FROM page ORDER BY n DESC"
);

/// The most messages one walk up a branch gives.
const BRANCH_MAX: u32 = 2000;

impl Store {
    /// The message with this id, in whichever session.
    pub async fn find_message(&self, account: AccountId, id: MessageId) -> Result<Option<Message>, StoreError> {
        find(&mut *self.read().await?, account, id).await
    }

    /// The first reply to an owner's message; a repeated `client_id` is answered with it.
    pub async fn find_reply_to(&self, account: AccountId, id: MessageId) -> Result<Option<Message>, StoreError> {
        find_reply_to(&mut *self.read().await?, account, id).await
    }

    /// Whether one of these is a reply that was [`Exposure::Direct`].
    pub async fn has_direct(&self, account: AccountId, ids: &[MemoryId]) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM json_each(?2) j CROSS JOIN messages m
                              ON m.account_id = ?1 AND m.id = unhex(j.value) WHERE m.exposed = 2)",
        )
        .bind(account.0)
        .bind(hex_list(ids)?)
        .fetch_one(&mut *self.read().await?)
        .await?)
    }

    /// Up to `limit` (at most 2000) messages of a branch, walking up from `from`, given oldest first; with `tag` only
    /// those that carry it. An unknown session or message gives an empty page.
    pub async fn branch(
        &self,
        account: AccountId,
        session: &SessionId,
        from: BranchFrom,
        limit: u32,
        tag: Option<&str>,
    ) -> Result<BranchPage, StoreError> {
        let limit = limit.clamp(1, BRANCH_MAX) as usize;
        let (mode, id) = match from {
            BranchFrom::Head => (0, None),
            BranchFrom::Before(id) => (1, Some(id)),
            BranchFrom::At(id) => (2, Some(id)),
        };
        let rows = sqlx::query(BRANCH)
            .bind(account.0)
            .bind(session.as_str())
            .bind(mode)
            .bind(id.as_ref().map(|id| blob(&id.0)))
            .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
            .bind(tag)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let more = rows.len() > limit;
        let mut length = 0;
        let mut messages = Vec::with_capacity(rows.len().min(limit));
        // The row beyond the limit is the oldest.
        for row in rows.iter().skip(usize::from(more)) {
            let placed = read(row)?;
            length = placed.depth + 1;
            messages.push(placed.message);
        }
        Ok(BranchPage { messages, more, length })
    }

    /// The number of messages from the root of its branch to this one, both included.
    pub async fn branch_length(
        &self,
        account: AccountId,
        session: &SessionId,
        id: MessageId,
    ) -> Result<Option<u64>, StoreError> {
        let depth: Option<i64> =
            sqlx::query_scalar("SELECT depth + 1 FROM messages WHERE account_id = ?1 AND session_id = ?2 AND id = ?3")
                .bind(account.0)
                .bind(session.as_str())
                .bind(blob(&id.0))
                .fetch_optional(&mut *self.read().await?)
                .await?;
        // The schema keeps depths from being negative.
        Ok(depth.map(i64::unsigned_abs))
    }
}

/// A usage as its four columns.
pub(super) fn usage_columns(usage: Option<Usage>) -> [Option<i64>; 4] {
    match usage {
        Some(u) => [u.input_tokens, u.cached_tokens, u.output_tokens, u.reasoning_tokens].map(|n| Some(int(n))),
        None => [None; 4],
    }
}

/// A list as a column holds it: JSON, NULL where it is empty.
pub(super) fn list_column<T: serde::Serialize>(list: &[T]) -> Result<Option<String>, StoreError> {
    (!list.is_empty()).then(|| json(&list)).transpose()
}

/// A list from its column.
pub(super) fn parse_list<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, serde_json::Error> {
    serde_json::from_str(text)
}

/// JSON for a column; what we serialise always can be.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Sqlite(format!("a column's JSON: {error}")))
}

//! Table `moods`: the timeline of her mood, in order of arrival. Entries are written by the end of a turn and by a nudge.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{parse_mood, unknown},
    ord_cursor,
    rows::{Columns, int},
};
use mira_core::{
    chat::{MoodEntry, MoodSource},
    ids::{AccountId, MessageId, MoodId, SessionId},
    persona::PersonaName,
};
use sqlx::sqlite::SqliteRow;

ord_cursor! {
    /// A place in the mood timeline.
    MoodCursor
}

pub(super) fn parse_source(text: &str) -> Result<MoodSource, String> {
    [MoodSource::Reply, MoodSource::Owner]
        .into_iter()
        .find(|source| source.as_str() == text)
        .ok_or_else(|| unknown(text))
}

/// The columns of an entry, as [`read`] takes them.
macro_rules! mood_columns {
    () => {
        "ord, id, session_id, message_id, persona, mood, cause, source, created_at"
    };
}
pub(super) use mood_columns;

pub(super) fn read(row: &SqliteRow) -> Result<(MoodEntry, MoodCursor), StoreError> {
    let mut c = Columns::new("moods", row);
    let ord: i64 = c.take("ord")?;
    c.named(ord);
    let entry = MoodEntry {
        id: MoodId(c.uuid("id")?),
        session_id: c.parsed("session_id", str::parse::<SessionId>)?,
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        persona: c.parsed("persona", PersonaName::parse)?,
        mood: c.parsed("mood", parse_mood)?,
        cause: c.take("cause")?,
        source: c.parsed("source", parse_source)?,
        created_at: c.time("created_at")?,
    };
    Ok((entry, MoodCursor(ord)))
}

impl Store {
    /// The mood timeline of a session, newest first.
    pub async fn list_moods(
        &self,
        account: AccountId,
        session: &SessionId,
        page: Page<MoodCursor>,
    ) -> Result<Listed<MoodEntry, MoodCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(concat!(
            "SELECT ",
            mood_columns!(),
            " FROM moods WHERE account_id = ?1 AND session_id = ?2 AND (?3 IS NULL OR ord < ?3)
              ORDER BY ord DESC LIMIT (?4 + 0)"
        ))
        .bind(account.0)
        .bind(session.as_str())
        .bind(page.cursor.map(|cursor| cursor.0))
        .bind(int(limit as u64 + 1))
        .fetch_all(&mut *self.read().await?)
        .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }
}

//! Table `sessions`. The order of the list is `recency`, a counter, so that a clock set back changes nothing; the mood
//! and the unpinned overlay shown with a session are Mira's own (table `mira_state`).

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{parse_mood, unknown},
    rows::{Columns, SPARE, bind_spare, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::{MemoryMode, MiraState, Session},
    ids::{AccountId, MessageId, ProjectId, SessionId},
    persona::PersonaName,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::{fmt, str::FromStr, sync::Arc};

/// How many columns [`session_columns`] names.
const SESSION_COLUMNS: usize = 14;

/// The columns of a session `s` and its account's `mira_state` `t`, as [`read`] takes them.
macro_rules! session_columns {
    () => {
        "s.id, s.title, s.pinned_persona, s.project_id, s.head_id, s.memory, s.pinned, s.archived, s.message_count,
         s.created_at, s.updated_at, s.recency, t.persona, t.mood"
    };
}

/// Moves a session to the top of its account's list: the assignment for an `UPDATE sessions`.
macro_rules! touch {
    () => {
        " recency = coalesce((SELECT r.recency + 1 FROM sessions r
                               WHERE r.account_id = sessions.account_id AND r.recency > sessions.recency
                               ORDER BY r.recency DESC LIMIT 1), recency) "
    };
}
pub(super) use touch;

/// A session to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Its title, if it has one from the start.
    pub title: Option<String>,
    /// The overlay pinned from the start.
    pub pinned_persona: Option<PersonaName>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// Whether it reads and writes memory.
    pub memory: MemoryMode,
    /// When.
    pub now: Timestamp,
}

/// Whether an insert made something.
#[derive(Debug, Clone, PartialEq)]
pub enum Inserted<T> {
    /// It was made.
    New(T),
    /// It was there already, and is unchanged.
    Exists(T),
}

impl<T> Inserted<T> {
    /// The object, made or found.
    pub fn into_inner(self) -> T {
        match self {
            Self::New(value) | Self::Exists(value) => value,
        }
    }
}

/// What to change of a session; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionPatch {
    /// Its title, or none.
    pub title: Option<Option<String>>,
    /// Listed first.
    pub pinned: Option<bool>,
    /// Hidden from the usual list.
    pub archived: Option<bool>,
    /// The last message of the chosen branch; a message of another session is refused.
    pub head_id: Option<MessageId>,
    /// Whether it reads and writes memory.
    pub memory: Option<MemoryMode>,
    /// The overlay pinned, or none.
    pub pinned_persona: Option<Option<PersonaName>>,
    /// Its project, or none.
    pub project_id: Option<Option<ProjectId>>,
}

/// What became of a patch.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchOutcome {
    /// Done.
    Updated(Session),
    /// There is no such session.
    NoSuchSession,
    /// `head_id` is no message of it.
    NoSuchMessage,
    /// There is no such project.
    NoSuchProject,
}

/// Which sessions to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only archived, or only others.
    pub archived: Option<bool>,
    /// Only those of a project.
    pub project_id: Option<ProjectId>,
}

/// A place in the list of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCursor {
    pinned: bool,
    recency: i64,
}

impl fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", u8::from(self.pinned), self.recency)
    }
}

impl FromStr for SessionCursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (pinned, recency) = text.split_once('.').ok_or(CursorError)?;
        let pinned = match pinned {
            "0" => false,
            "1" => true,
            _ => return Err(CursorError),
        };
        Ok(Self {
            pinned,
            recency: recency.parse().map_err(|_| CursorError)?,
        })
    }
}

/// A text that is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

pub(super) fn parse_memory(text: &str) -> Result<MemoryMode, String> {
    [MemoryMode::On, MemoryMode::ReadOnly, MemoryMode::Off]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| unknown(text))
}

fn read(row: &SqliteRow) -> Result<(Session, SessionCursor), StoreError> {
    let mut c = Columns::new("sessions", row);
    let id = c.parsed("id", str::parse::<SessionId>)?;
    c.named(&id);
    let title = c.take("title")?;
    let pinned_persona = c.parsed_or_null("pinned_persona", PersonaName::parse)?;
    let project_id = c.uuid_or_null("project_id")?.map(ProjectId);
    let head_id = c.uuid_or_null("head_id")?.map(MessageId);
    let memory = c.parsed("memory", parse_memory)?;
    let pinned: bool = c.take("pinned")?;
    let archived: bool = c.take("archived")?;
    let message_count = c.count("message_count")?;
    let created_at = c.time("created_at")?;
    let updated_at = c.time("updated_at")?;
    let recency: i64 = c.take("recency")?;
    let persona = c.parsed("persona", PersonaName::parse)?;
    let mood = c.parsed("mood", parse_mood)?;
    let session = Session {
        id,
        title,
        persona: pinned_persona.clone().unwrap_or(persona),
        mood,
        pinned_persona,
        project_id,
        head_id,
        memory,
        pinned,
        archived,
        message_count,
        created_at,
        updated_at,
    };
    Ok((session, SessionCursor { pinned, recency }))
}

pub(super) async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: &SessionId,
) -> Result<Option<Session>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions s JOIN mira_state t ON t.account_id = s.account_id WHERE s.account_id = ?1 AND s.id = ?2"
    ))
    .bind(account.0)
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.0)).transpose()
}

/// Makes the session unless it is there; answers whether it was made. A project that is gone is none.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    new: &NewSession,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO sessions
             (account_id, id, title, pinned_persona, project_id, memory, recency, created_at, updated_at)
         SELECT ?1, ?2, ?3, ?4, (SELECT p.id FROM projects p WHERE p.account_id = ?1 AND p.id = ?5), ?6,
                coalesce((SELECT recency + 1 FROM sessions WHERE account_id = ?1 ORDER BY recency DESC LIMIT 1), 1),
                ?7, ?7
          WHERE true
             ON CONFLICT (account_id, id) DO NOTHING",
    )
    .bind(account.0)
    .bind(new.id.as_str())
    .bind(new.title.as_deref())
    .bind(new.pinned_persona.as_ref().map(PersonaName::as_str))
    .bind(new.project_id.as_ref().map(|id| blob(&id.0)))
    .bind(new.memory.as_str())
    .bind(ms(new.now))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn has_message(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    id: MessageId,
) -> Result<bool, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM messages WHERE account_id = ?1 AND session_id = ?2 AND id = ?3")
            .bind(account.0)
            .bind(session.as_str())
            .bind(blob(&id.0))
            .fetch_optional(conn)
            .await?;
    Ok(found.is_some())
}

async fn update(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: &SessionId,
    patch: &SessionPatch,
    now: Timestamp,
) -> Result<PatchOutcome, StoreError> {
    if let Some(head) = patch.head_id
        && find(&mut *conn, account, id).await?.is_some()
        && !has_message(&mut *conn, account, id, head).await?
    {
        return Ok(PatchOutcome::NoSuchMessage);
    }
    if let Some(Some(project)) = patch.project_id
        && !super::projects::exists(&mut *conn, account, project).await?
    {
        return Ok(PatchOutcome::NoSuchProject);
    }
    sqlx::query(concat!(
        "UPDATE sessions SET
             title = CASE WHEN ?3 THEN ?4 ELSE title END,
             pinned = coalesce(?5, pinned),
             archived = coalesce(?6, archived),
             head_id = coalesce(?7, head_id),
             memory = coalesce(?8, memory),
             pinned_persona = CASE WHEN ?9 THEN ?10 ELSE pinned_persona END,
             project_id = CASE WHEN ?11 THEN ?12 ELSE project_id END,
             updated_at = ?13,",
        touch!(),
        "WHERE account_id = ?1 AND id = ?2"
    ))
    .bind(account.0)
    .bind(id.as_str())
    .bind(patch.title.is_some())
    .bind(patch.title.as_ref().and_then(Option::as_deref))
    .bind(patch.pinned)
    .bind(patch.archived)
    .bind(patch.head_id.as_ref().map(|id| blob(&id.0)))
    .bind(patch.memory.map(MemoryMode::as_str))
    .bind(patch.pinned_persona.is_some())
    .bind(
        patch
            .pinned_persona
            .as_ref()
            .and_then(Option::as_ref)
            .map(PersonaName::as_str),
    )
    .bind(patch.project_id.is_some())
    .bind(patch.project_id.as_ref().and_then(Option::as_ref).map(|id| blob(&id.0)))
    .bind(ms(now))
    .execute(&mut *conn)
    .await?;
    if let Some(Some(persona)) = &patch.pinned_persona {
        // The overlay is hers: what the owner pins is what she is in, in every session.
        super::state::set_persona(&mut *conn, account, persona).await?;
    }
    Ok(match find(conn, account, id).await? {
        Some(session) => PatchOutcome::Updated(session),
        None => PatchOutcome::NoSuchSession,
    })
}

/// Makes the branch a message is on the chosen one: the head becomes the newest leaf below it.
async fn select_branch(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    message: MessageId,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    if !has_message(&mut *conn, account, session, message).await? {
        return Ok(None);
    }
    sqlx::query(concat!(
        "WITH RECURSIVE below (id, n) AS (
             SELECT ?3, 0
              UNION ALL
             SELECT (SELECT c.id FROM messages c WHERE c.account_id = ?1 AND c.parent_id = b.id AND c.session_id = ?2
                      ORDER BY c.ord DESC LIMIT 1), b.n + 1
               FROM below b WHERE b.id IS NOT NULL)
         UPDATE sessions SET
             head_id = (SELECT id FROM below WHERE id IS NOT NULL ORDER BY n DESC LIMIT 1),
             updated_at = ?4,",
        touch!(),
        "WHERE account_id = ?1 AND id = ?2"
    ))
    .bind(account.0)
    .bind(session.as_str())
    .bind(blob(&message.0))
    .bind(ms(now))
    .execute(&mut *conn)
    .await?;
    find(conn, account, session).await
}

/// Removes what was said and everything made of it, the title too; keeps the session (pins, moods) and the facts learnt,
/// and never reuses a sequence number.
async fn clear(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let clear = sqlx::query(concat!(
        "DELETE FROM turns WHERE account_id = ?1 AND session_id = ?2;
         UPDATE moods SET message_id = NULL WHERE account_id = ?1 AND session_id = ?2 AND message_id IS NOT NULL;
         DELETE FROM summaries WHERE account_id = ?1 AND session_id = ?2;
         DELETE FROM outbox WHERE account_id = ?1 AND kind = 'message' AND step <> 'remove'
            AND memory_id IN (SELECT id FROM messages WHERE account_id = ?1 AND session_id = ?2);
         DELETE FROM messages WHERE account_id = ?1 AND session_id = ?2;
         UPDATE sessions SET title = NULL, head_id = NULL, message_count = 0, updated_at = ?3,",
        touch!(),
        "WHERE account_id = ?1 AND id = ?2"
    ))
    .bind(account.0)
    .bind(session.as_str())
    .bind(ms(now));
    bind_spare(clear, SPARE).execute(&mut *conn).await?;
    find(conn, account, session).await
}

const LIST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM sessions s JOIN mira_state t ON t.account_id = s.account_id
      WHERE s.account_id = ?1 AND (?2 IS NULL OR s.archived = ?2) AND (?3 IS NULL OR s.project_id = ?3)
        AND (?4 IS NULL OR (s.pinned, s.recency) < (?4, ?5))
      ORDER BY s.pinned DESC, s.recency DESC LIMIT (?6 + 0)"
);

impl Store {
    /// Makes a session; one that exists is answered unchanged.
    pub async fn insert_session(&self, account: AccountId, new: NewSession) -> Result<Inserted<Session>, StoreError> {
        let new = Arc::new(new);
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move {
                let made = insert(&mut *conn, account, &new).await?;
                let session = find(conn, account, &new.id).await?.ok_or(StoreError::Closed)?;
                Ok(if made {
                    Inserted::New(session)
                } else {
                    Inserted::Exists(session)
                })
            }
            .boxed()
        })
        .await
    }

    /// The session with this id.
    pub async fn find_session(&self, account: AccountId, id: &SessionId) -> Result<Option<Session>, StoreError> {
        find(&mut *self.read().await?, account, id).await
    }

    /// Sessions, pinned ones first, then the last changed. A session changed between two pages is not listed twice.
    pub async fn list_sessions(
        &self,
        account: AccountId,
        filter: SessionFilter,
        page: Page<SessionCursor>,
    ) -> Result<Listed<Session, SessionCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(filter.archived)
            .bind(filter.project_id.as_ref().map(|id| blob(&id.0)))
            .bind(page.cursor.map(|cursor| cursor.pinned))
            .bind(page.cursor.map(|cursor| cursor.recency))
            .bind(int(limit as u64 + 1))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// How many sessions there are, archived ones included.
    pub async fn count_sessions(&self, account: AccountId) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions WHERE account_id = ?1")
            .bind(account.0)
            .fetch_one(&mut *self.read().await?)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Changes a session. A pinned overlay becomes the one Mira is in; a released pin leaves her as she is.
    pub async fn update_session(
        &self,
        account: AccountId,
        id: &SessionId,
        patch: SessionPatch,
        now: Timestamp,
    ) -> Result<PatchOutcome, StoreError> {
        let (id, patch) = (id.clone(), Arc::new(patch));
        self.write(Class::Acknowledged, move |conn| {
            let (id, patch) = (id.clone(), Arc::clone(&patch));
            async move { update(conn, account, &id, &patch, now).await }.boxed()
        })
        .await
    }

    /// Pins an overlay to a session, or releases the pin; see [`Store::update_session`].
    pub async fn pin_persona(
        &self,
        account: AccountId,
        id: &SessionId,
        persona: Option<PersonaName>,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let patch = SessionPatch {
            pinned_persona: Some(persona),
            ..SessionPatch::default()
        };
        Ok(match self.update_session(account, id, patch, now).await? {
            PatchOutcome::Updated(session) => Some(session),
            PatchOutcome::NoSuchSession | PatchOutcome::NoSuchMessage | PatchOutcome::NoSuchProject => None,
        })
    }

    /// Makes the branch a message is on the chosen one: the head becomes the newest leaf below it. `None` if the
    /// session has no such message.
    pub async fn select_branch(
        &self,
        account: AccountId,
        session: &SessionId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let session = session.clone();
        self.write(Class::Acknowledged, move |conn| {
            let session = session.clone();
            async move { select_branch(conn, account, &session, message, now).await }.boxed()
        })
        .await
    }

    /// Removes messages, turns, summaries and the title of a session and keeps the session itself, its mood timeline
    /// and the facts learnt in it. [`Store::scrub`] wipes out the bytes.
    pub async fn clear_session(
        &self,
        account: AccountId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let session = session.clone();
        self.write(Class::Acknowledged, move |conn| {
            let session = session.clone();
            async move { clear(conn, account, &session, now).await }.boxed()
        })
        .await
    }

    /// Removes a session with all that belongs to it; answers whether it was there. Facts learnt in it stay.
    /// [`Store::scrub`] wipes out the bytes.
    pub async fn delete_session(&self, account: AccountId, session: &SessionId) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(Class::Acknowledged, move |conn| {
            let session = session.clone();
            async move {
                // Messages first: their parents' constraint would search once per row in a cascade.
                let delete = sqlx::query(
                    "DELETE FROM turns WHERE account_id = ?1 AND session_id = ?2;
                     DELETE FROM summaries WHERE account_id = ?1 AND session_id = ?2;
                     DELETE FROM outbox WHERE account_id = ?1 AND kind = 'message' AND step <> 'remove'
                        AND memory_id IN (SELECT id FROM messages WHERE account_id = ?1 AND session_id = ?2);
                     DELETE FROM messages WHERE account_id = ?1 AND session_id = ?2;
                     UPDATE mira_state SET mood_cause = NULL WHERE account_id = ?1 AND mood_cause IN (
                            SELECT cause FROM moods WHERE account_id = ?1 AND session_id = ?2);
                     DELETE FROM moods WHERE account_id = ?1 AND session_id = ?2",
                )
                .bind(account.0)
                .bind(session.as_str());
                delete.execute(&mut *conn).await?;
                let gone = sqlx::query("DELETE FROM sessions WHERE account_id = ?1 AND id = ?2")
                    .bind(account.0)
                    .bind(session.as_str())
                    .execute(conn)
                    .await?;
                Ok(gone.rows_affected() == 1)
            }
            .boxed()
        })
        .await
    }

    /// The last sequence number reserved for a session's log; events up to it may have been sent.
    pub async fn find_seq(&self, account: AccountId, session: &SessionId) -> Result<Option<u64>, StoreError> {
        let seq: Option<i64> =
            sqlx::query_scalar("SELECT seq_reserved FROM sessions WHERE account_id = ?1 AND id = ?2")
                .bind(account.0)
                .bind(session.as_str())
                .fetch_optional(&mut *self.read().await?)
                .await?;
        Ok(seq.map(i64::unsigned_abs))
    }

    /// Reserves sequence numbers up to `up_to`, durably; answers whether the session is there.
    pub async fn reserve_seq(&self, account: AccountId, session: &SessionId, up_to: u64) -> Result<bool, StoreError> {
        const RESERVE: &str =
            "UPDATE sessions SET seq_reserved = max(seq_reserved, ?3) WHERE account_id = ?1 AND id = ?2";
        self.set_seq(account, session, RESERVE, up_to).await
    }

    /// Gives back what was reserved up to `reserved` beyond `last`, the number last used; nothing happens where
    /// somebody has reserved more since.
    pub async fn release_seq(
        &self,
        account: AccountId,
        session: &SessionId,
        reserved: u64,
        last: u64,
    ) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(Class::Acknowledged, move |conn| {
            let session = session.clone();
            async move {
                let done = sqlx::query(
                    "UPDATE sessions SET seq_reserved = ?3
                      WHERE account_id = ?1 AND id = ?2 AND seq_reserved = ?4 AND ?3 <= ?4",
                )
                .bind(account.0)
                .bind(session.as_str())
                .bind(int(last))
                .bind(int(reserved))
                .execute(conn)
                .await?;
                Ok(done.rows_affected() == 1)
            }
            .boxed()
        })
        .await
    }

    /// A session and the state Mira is in, of one moment.
    pub async fn find_session_view(
        &self,
        account: AccountId,
        id: &SessionId,
    ) -> Result<Option<(Session, MiraState)>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            session_columns!(),
            ", t.persona, t.mood_cause, t.nudged
               FROM sessions s JOIN mira_state t ON t.account_id = s.account_id WHERE s.account_id = ?1 AND s.id = ?2"
        ))
        .bind(account.0)
        .bind(id.as_str())
        .fetch_optional(&mut *self.read().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let session = read(&row)?.0;
        let mut c = Columns::at("mira_state", &row, SESSION_COLUMNS);
        c.named(account.0);
        let state = MiraState {
            persona: c.parsed("persona", PersonaName::parse)?,
            mood: session.mood.clone(),
            mood_cause: c.take("mood_cause")?,
            nudged: c.take("nudged")?,
        };
        Ok(Some((session, state)))
    }

    async fn set_seq(
        &self,
        account: AccountId,
        session: &SessionId,
        sql: &'static str,
        seq: u64,
    ) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(Class::Acknowledged, move |conn| {
            let session = session.clone();
            async move {
                let done = sqlx::query(sql)
                    .bind(account.0)
                    .bind(session.as_str())
                    .bind(int(seq))
                    .execute(conn)
                    .await?;
                Ok(done.rows_affected() == 1)
            }
            .boxed()
        })
        .await
    }
}

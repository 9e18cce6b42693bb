//! Table `mira_state`: the overlay and mood Mira is in, one row per account, shared by all its sessions.

use super::{
    Store,
    error::StoreError,
    messages::parse_mood,
    rows::{Columns, SPARE, bind_spare, blob, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::{MiraState, Mood},
    ids::{AccountId, MoodId, SessionId},
    persona::PersonaName,
};
use sqlx::SqliteConnection;
use std::sync::Arc;

/// The owner's nudge of her mood.
#[derive(Debug, Clone, PartialEq)]
pub struct Nudge {
    /// The id of its entry in the timeline.
    pub id: MoodId,
    /// The mood.
    pub mood: Mood,
    /// Why.
    pub cause: Option<String>,
    /// When.
    pub now: Timestamp,
}

/// Gives every account without one its first state.
pub(super) async fn insert_missing(conn: &mut SqliteConnection, persona: &PersonaName) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO mira_state (account_id, persona, mood)
         SELECT a.id, ?1, ?2 FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM mira_state t WHERE t.account_id = a.id)",
    )
    .bind(persona.as_str())
    .bind(Mood::first().as_str())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn set_persona(
    conn: &mut SqliteConnection,
    account: AccountId,
    persona: &PersonaName,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE mira_state SET persona = ?2 WHERE account_id = ?1")
        .bind(account.0)
        .bind(persona.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn find(conn: &mut SqliteConnection, account: AccountId) -> Result<Option<MiraState>, StoreError> {
    let row = sqlx::query("SELECT persona, mood, mood_cause, nudged FROM mira_state WHERE account_id = ?1")
        .bind(account.0)
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        let mut c = Columns::new("mira_state", &row);
        c.named(account.0);
        Ok(MiraState {
            persona: c.parsed("persona", PersonaName::parse)?,
            mood: c.parsed("mood", parse_mood)?,
            mood_cause: c.take("mood_cause")?,
            nudged: c.take("nudged")?,
        })
    })
    .transpose()
}

const NUDGE: &str = "
    UPDATE mira_state SET mood = ?4, mood_cause = ?5, nudged = 1 WHERE account_id = ?1;
    INSERT INTO moods (account_id, session_id, id, persona, mood, cause, source, created_at)
    SELECT ?1, ?2, ?3, coalesce(s.pinned_persona, t.persona), ?4, ?5, 'owner', ?6
      FROM mira_state t JOIN sessions s ON s.account_id = t.account_id AND s.id = ?2 WHERE t.account_id = ?1";

impl Store {
    /// The overlay and mood Mira is in; `None` for an unknown account.
    pub async fn find_state(&self, account: AccountId) -> Result<Option<MiraState>, StoreError> {
        find(&mut *self.read().await?, account).await
    }

    /// Puts her into an overlay, whatever session.
    pub async fn set_persona(&self, account: AccountId, persona: PersonaName) -> Result<(), StoreError> {
        let persona = Arc::new(persona);
        self.write(Class::Acknowledged, move |conn| {
            let persona = Arc::clone(&persona);
            async move { set_persona(conn, account, &persona).await }.boxed()
        })
        .await
    }

    /// Sets her mood on the owner's wish; she is told once, by the next prompt. `None` if there is no such session.
    pub async fn nudge_mood(
        &self,
        account: AccountId,
        session: &SessionId,
        nudge: Nudge,
    ) -> Result<Option<MiraState>, StoreError> {
        let (session, nudge) = (session.clone(), Arc::new(nudge));
        self.write(Class::Acknowledged, move |conn| {
            let (session, nudge) = (session.clone(), Arc::clone(&nudge));
            async move {
                if super::sessions::find(&mut *conn, account, &session).await?.is_none() {
                    return Ok(None);
                }
                let query = sqlx::query(NUDGE)
                    .bind(account.0)
                    .bind(session.as_str())
                    .bind(blob(&nudge.id.0))
                    .bind(nudge.mood.as_str())
                    .bind(nudge.cause.as_deref())
                    .bind(ms(nudge.now));
                bind_spare(query, SPARE).execute(&mut *conn).await?;
                find(conn, account).await
            }
            .boxed()
        })
        .await
    }
}

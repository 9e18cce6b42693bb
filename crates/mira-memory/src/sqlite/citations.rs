//! Column `messages.citations`: the places of a reply that point at sources.
//!
//! Invariant: a citation that quotes something forgotten is emptied, as calls are, and stays so: where in the reply it
//! stands is left, and nothing else.

use super::{
    error::StoreError,
    messages::json,
    rows::Columns,
    traces::Needles,
    turns::calls::{Emptied, Quotes},
};
use futures_util::TryStreamExt;
use mira_core::{
    citation::Citation,
    ids::{AccountId, MessageId},
};
use sqlx::SqliteConnection;

/// Citations as their column holds them; NULL where there are none.
pub(super) fn column(citations: &[Citation]) -> Result<Option<String>, StoreError> {
    (!citations.is_empty()).then(|| json(&citations)).transpose()
}

/// Citations from their column.
pub(super) fn parse(text: &str) -> Result<Vec<Citation>, serde_json::Error> {
    serde_json::from_str(text)
}

/// Empties the account's citations that quote what is being forgotten.
pub(super) async fn empty_quoting(
    conn: &mut SqliteConnection,
    account: AccountId,
    quotes: &Quotes,
    needles: Option<&Needles>,
    done: &mut Emptied,
) -> Result<(), StoreError> {
    let mut changed = Vec::new();
    let mut rows = sqlx::query(
        "SELECT id, ord, session_id, citations FROM messages WHERE account_id = ?1 AND citations IS NOT NULL",
    )
    .bind(account.0)
    .fetch(&mut *conn);
    while let Some(row) = rows.try_next().await? {
        let mut c = Columns::new("messages", &row);
        let id = MessageId(c.uuid("id")?);
        c.named(id);
        let ord: i64 = c.take("ord")?;
        let session = c.parsed("session_id", str::parse)?;
        let text: &str = c.take("citations")?;
        let Some(goes) = quotes.judge(id, text, needles) else {
            continue;
        };
        let mut citations = parse(text).map_err(|error| c.bad("citations", error))?;
        let mut touched = false;
        for citation in &mut citations {
            let mut emptied = citation.clone();
            emptied.empty();
            if emptied != *citation && goes.takes_text(&json(citation)?) {
                let source = &citation.source;
                let words = [Some(&source.title), source.snippet.as_ref(), source.url.as_ref()];
                words.into_iter().flatten().for_each(|words| done.note_words(words));
                *citation = emptied;
                touched = true;
            }
        }
        if touched {
            changed.push((ord, column(&citations)?));
            done.sessions.insert(session);
        }
    }
    drop(rows);
    for (ord, citations) in changed {
        sqlx::query("UPDATE messages SET citations = ?2 WHERE ord = ?1")
            .bind(ord)
            .bind(citations)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

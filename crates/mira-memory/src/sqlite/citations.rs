//! Column `messages.citations`, the places of a reply that point at sources, and column `turn_parts.citations`, those of a
//! running turn.
//!
//! Invariant: a citation that quotes something forgotten is emptied, as calls are, and stays so: where in the reply it
//! stands is left, and nothing else.

use super::{
    error::StoreError,
    messages::parse_list,
    rows::{Columns, blob},
    turns::calls::Quoting,
};
use mira_core::{
    citation::Citation,
    ids::{AccountId, TurnId},
};
use sqlx::SqliteConnection;

/// The citations of a turn that a crash cut off, in their order.
pub(super) async fn list_cut_off(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
) -> Result<Vec<Citation>, StoreError> {
    let rows = sqlx::query(
        "SELECT citations FROM turn_parts WHERE turn_id = ?1 AND account_id = ?2 AND citations IS NOT NULL ORDER BY n",
    )
    .bind(blob(&turn.0))
    .bind(account.0)
    .fetch_all(conn)
    .await?;
    let mut citations = Vec::new();
    for row in &rows {
        let mut c = Columns::new("turn_parts", row);
        c.named(turn);
        citations.extend(c.parsed("citations", parse_list::<Citation>)?);
    }
    Ok(citations)
}

impl Quoting for Citation {
    const COLUMN: &'static str = "citations";
    const LIST: &'static str =
        "SELECT id, ord, session_id, citations FROM messages WHERE account_id = ?1 AND citations IS NOT NULL";
    const UPDATE: &'static str = "UPDATE messages SET citations = ?2 WHERE ord = ?1";

    fn empty(&mut self) {
        Self::empty(self);
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let source = &self.source;
        [Some(&source.title), source.snippet.as_ref(), source.url.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

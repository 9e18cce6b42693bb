//! Names for the rows a text was found in: the message, session or memory that the owner can look up and have forgotten.
//! The text itself is in no name: a title that holds it is left out.

use super::{Found, Wanted, list_columns, match_query, quoted};
use crate::sqlite::{Store, error::StoreError};
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

/// A row, by the ids it carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedRow {
    /// What it is first, then what it belongs to (`message`, `session`, `turn`, ...), each with its id.
    pub ids: Vec<(String, String)>,
    /// The title of its session, unless it holds the text.
    pub title: Option<String>,
}

impl NamedRow {
    fn id_of(&self, what: &str) -> Option<&str> {
        let found = self.ids.iter().find(|(label, _)| label == what);
        found.map(|(_, id)| id.as_str())
    }
}

/// Which rows a search index is made of: its table, and the column its row numbers are taken from.
fn indexed(index: &str) -> Option<(&'static str, &'static str)> {
    match index {
        "messages_fts" | "messages_grams" => Some(("messages", "ord")),
        "memories_fts" | "recall_fts" | "recall_grams" => Some(("memories", "key")),
        _ => None,
    }
}

/// What one row of a table is called.
fn singular(table: &str) -> String {
    match table.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => table.strip_suffix('s').unwrap_or(table).to_owned(),
    }
}

/// The columns of a table that name a row or what it belongs to, each with its label; the row itself comes first.
async fn name_columns(conn: &mut SqliteConnection, table: &str) -> Result<Vec<(String, String)>, StoreError> {
    let columns: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_table_xinfo(?1) ORDER BY name <> 'id', name <> 'session_id', cid")
            .bind(table)
            .fetch_all(conn)
            .await?;
    let named = columns.into_iter().filter_map(|column| {
        let label = match column.as_str() {
            "id" => singular(table),
            // Whose it is, and what only its sender knows, names nothing.
            "account_id" | "client_id" => return None,
            other => other.strip_suffix("_id")?.replace('_', " "),
        };
        Some((column, label))
    });
    Ok(named.collect())
}

/// Columns as text, bytes as hexadecimal digits.
fn as_text(columns: &[(String, String)]) -> String {
    let each = columns.iter().map(|(column, _)| {
        let column = quoted(column);
        format!("CASE typeof({column}) WHEN 'blob' THEN hex({column}) ELSE CAST({column} AS TEXT) END")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The names in a row whose first columns are these.
fn read(row: &SqliteRow, columns: &[(String, String)]) -> Result<NamedRow, StoreError> {
    let mut named = NamedRow::default();
    for (at, (_, label)) in columns.iter().enumerate() {
        let id: Option<String> = row.try_get(at)?;
        let Some(id) = id else { continue };
        let id = Uuid::try_parse(&id).map_or(id, |id| id.to_string());
        named.ids.push((label.clone(), id));
    }
    Ok(named)
}

/// What a turn belongs to, for rows that know only their turn.
async fn add_turn(conn: &mut SqliteConnection, named: &mut NamedRow) -> Result<(), StoreError> {
    if named.id_of("session").is_some() {
        return Ok(());
    }
    let Some(turn) = named.id_of("turn").and_then(|id| Uuid::try_parse(id).ok()) else {
        return Ok(());
    };
    let row = sqlx::query("SELECT session_id, hex(user_message_id) FROM turns WHERE id = ?1")
        .bind(turn.as_bytes().as_slice())
        .fetch_optional(conn)
        .await?;
    if let Some(row) = row {
        let (session, message): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        named.ids.push(("session".to_owned(), session));
        if let Ok(message) = Uuid::try_parse(&message) {
            named.ids.push(("message".to_owned(), message.to_string()));
        }
    }
    Ok(())
}

/// The title of the row's session, unless it holds what is looked for.
async fn find_title(
    conn: &mut SqliteConnection,
    named: &NamedRow,
    wanted: &Wanted,
) -> Result<Option<String>, StoreError> {
    let Some(session) = named.id_of("session") else {
        return Ok(None);
    };
    let title: Option<Option<String>> = sqlx::query_scalar("SELECT title FROM sessions WHERE id = ?1")
        .bind(session)
        .fetch_optional(conn)
        .await?;
    let told = |title: &String| !title.trim().is_empty() && !wanted.is_in(title.as_bytes());
    Ok(title.flatten().filter(told))
}

impl Store {
    /// Up to `most` of the rows at a place where [`Store::search_forgotten`] has found a text, by their ids. Empty where
    /// rows have none.
    pub async fn name_forgotten(&self, text: &str, place: &Found, most: usize) -> Result<Vec<NamedRow>, StoreError> {
        let wanted = Wanted::new(text);
        let mut conn = self.read().await?;
        let columns = list_columns(&mut conn).await?;
        let (table, column) = (quoted(&place.table), quoted(&place.column));
        let known = columns.iter().find(|(t, c, _)| *t == table && *c == column);
        let mut named = Vec::new();
        if let Some((_, _, is_text)) = known {
            let names = name_columns(&mut conn, &place.table).await?;
            if names.is_empty() {
                return Ok(named);
            }
            let list = as_text(&names);
            let filter = if *is_text { "IS NOT NULL" } else { "<> x''" };
            let sql = format!("SELECT {list}, CAST({column} AS BLOB) FROM {table} WHERE {column} {filter}");
            let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(&mut *conn);
            while named.len() < most
                && let Some(row) = rows.try_next().await?
            {
                let bytes: &[u8] = row.try_get(names.len())?;
                if wanted.is_in(bytes) {
                    named.push(read(&row, &names)?);
                }
            }
        } else if let Some((base, key)) = indexed(&place.table) {
            let Some(query) = match_query(text, place.table.ends_with("_grams")) else {
                return Ok(named);
            };
            let names = name_columns(&mut conn, base).await?;
            let list = as_text(&names);
            let sql = format!(
                "SELECT {list} FROM {base} WHERE {key} IN (SELECT rowid FROM {table} WHERE {table} MATCH ?1) LIMIT {most}"
            );
            let found = sqlx::query(AssertSqlSafe(sql)).bind(query).persistent(false);
            for row in found.fetch_all(&mut *conn).await? {
                named.push(read(&row, &names)?);
            }
        }
        for row in &mut named {
            add_turn(&mut conn, row).await?;
            row.title = find_title(&mut conn, row, &wanted).await?;
        }
        Ok(named)
    }
}

//! What ranking needs of each candidate of recall, and what is told of those that come up: tables `memories` and
//! `messages`, read in one query. And which memories are of a time.
//!
//! The query of candidates answers one row. A row for each candidate would be cut into values, copied and handed over to
//! the waiting task one by one, which takes longer than reading them. A candidate stands in it as a line of short columns
//! with commas between, the last of them lengths in bytes, a semicolon, and as many bytes of text.
//!
//! Texts are cut, so that a candidate of ten megabytes costs no more than another; who shows one reads it whole.

use super::{
    Store,
    documents::read_text,
    error::StoreError,
    memories::parse_source,
    messages::parse_role,
    outbox::{hex_list, parse_kind},
    rows::{Columns, blob, ms},
};
use jiff::Timestamp;
use mira_core::{
    chat::Salience,
    fusion::times::Stretch,
    ids::{AccountId, MemoryId, MessageId, ProjectId},
    memory::{Memory, MemoryKind},
};
use std::fmt::Display;
use uuid::Uuid;

/// A candidate as its rows say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecallRow {
    /// The memory; of a long one the beginning of its text.
    pub memory: Memory,
    /// Whether that is its whole text.
    pub whole: bool,
    /// Who said it, or whom it is about: `owner`, `mira`, or a name.
    pub about: String,
    /// The fact that replaced it and is there still.
    pub successor: Option<MemoryId>,
    /// The turn it follows in its session, if that is a memory, and the beginning of its text.
    pub before: Option<(MemoryId, String)>,
}

/// `?2` ids, `?3` project.
const LIST: &str = "
    SELECT CAST(group_concat(concat(
               hex(id), ',', kind, ',', role, ',', created_at, ',', session_id, ',', hex(message_id), ',',
               hex(project_id), ',', salience, ',', pinned, ',', source, ',', valid_from, ',', hex(superseded_by), ',',
               hex(successor), ',', hex(before_id), ',', whole, ',', octet_length(about), ',', octet_length(topic), ',',
               octet_length(text), ',', octet_length(before), ';', about, topic, text, before), '') AS BLOB)
      FROM (SELECT k.id, k.kind, m.role, k.created_at, k.session_id, k.message_id, k.project_id, k.salience, k.pinned,
                   k.source, k.valid_from, k.superseded_by, s.id AS successor, q.id AS before_id,
                   octet_length(coalesce(k.text, m.content)) <= 8000 AS whole, k.about, k.topic,
                   substr(CAST(coalesce(k.text, m.content) AS BLOB), 1, 8000) AS text,
                   CASE WHEN q.id IS NOT NULL THEN substr(CAST(p.content AS BLOB), 1, 2400) END AS before
              FROM json_each(?2) j CROSS JOIN memories k ON k.account_id = ?1 AND k.id = unhex(j.value)
              LEFT JOIN messages m ON k.kind = 'message' AND m.account_id = k.account_id AND m.id = k.id
              LEFT JOIN memories s ON s.account_id = k.account_id AND s.id = k.superseded_by
              LEFT JOIN messages p ON p.account_id = m.account_id AND p.id = m.parent_id
                                  AND p.session_id = m.session_id AND p.status <> 'forgotten'
              LEFT JOIN memories q ON q.account_id = p.account_id AND q.id = p.id
             WHERE k.kind <> 'summary' AND (k.kind = 'fact' OR m.status <> 'forgotten')
               AND (?3 IS NULL OR k.project_id = ?3))";

/// `?2` the least id of the first moment, `?3` that of the first moment after it, `?4` and `?5` the same two moments, `?6`
/// project, `?7` the most. An id begins with the time it was made at, so that the range of ids finds what is of a time
/// without an index of its own; an import may bring ids that do not, which are found by their words alone.
const LIST_OF_A_TIME: &str = "
    SELECT group_concat(hex(id), '')
      FROM (SELECT id FROM memories
             WHERE account_id = ?1 AND id >= ?2 AND id < ?3 AND kind <> 'summary' AND valid_from >= ?4 AND valid_from < ?5
               AND (?6 IS NULL OR project_id = ?6)
             ORDER BY id DESC LIMIT (?7 + 0))";

/// The least UUIDv7 of a moment.
fn least_id(at: Timestamp) -> Uuid {
    let ms = u128::try_from(at.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(ms << 80)
}

/// The columns of one candidate, from the left, and after them its texts.
struct Line<'l> {
    columns: std::str::Split<'l, char>,
    texts: &'l [u8],
    id: &'l str,
}

impl<'l> Line<'l> {
    /// The first of the lines, the lengths of whose texts are not read yet.
    fn first(bytes: &'l [u8]) -> Result<Self, StoreError> {
        let end = bytes.iter().position(|&byte| byte == b';').unwrap_or(bytes.len());
        let (head, texts) = bytes.split_at(end);
        let mut line = Self {
            columns: std::str::from_utf8(head).unwrap_or_default().split(','),
            texts: texts.get(1..).unwrap_or_default(),
            id: "",
        };
        line.id = line.column("id")?;
        Ok(line)
    }

    fn bad(&self, column: &'static str, detail: impl Display) -> StoreError {
        StoreError::Row {
            table: "memories",
            column,
            row: self.id.to_owned(),
            detail: detail.to_string(),
        }
    }

    fn column(&mut self, column: &'static str) -> Result<&'l str, StoreError> {
        match self.columns.next() {
            Some(text) => Ok(text),
            None => Err(self.bad(column, "it is missing")),
        }
    }

    fn parsed<T, E: Display>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let text = self.column(column)?;
        parse(text).map_err(|error| self.bad(column, error))
    }

    /// A column that is empty where the value is null.
    fn parsed_or_null<T, E: Display>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        let text = self.column(column)?;
        let some = (!text.is_empty()).then(|| parse(text)).transpose();
        some.map_err(|error| self.bad(column, error))
    }

    fn uuid_or_null(&mut self, column: &'static str) -> Result<Option<Uuid>, StoreError> {
        self.parsed_or_null(column, Uuid::try_parse)
    }

    fn time(&mut self, column: &'static str) -> Result<Timestamp, StoreError> {
        let ms: i64 = self.parsed(column, str::parse)?;
        Timestamp::from_millisecond(ms).map_err(|error| self.bad(column, error))
    }

    /// The next text, as long as a column says.
    fn text(&mut self, column: &'static str, length: Option<usize>) -> Result<&'l [u8], StoreError> {
        let (text, rest) = self
            .texts
            .split_at_checked(length.unwrap_or(0))
            .ok_or_else(|| self.bad(column, "it is shorter than it should be"))?;
        self.texts = rest;
        Ok(text)
    }

    fn read(&mut self) -> Result<RecallRow, StoreError> {
        let id = Uuid::try_parse(self.id).map_err(|error| self.bad("id", error))?;
        let kind = self.parsed("kind", parse_kind)?;
        let role = self.parsed_or_null("role", parse_role)?;
        let date = self.time("created_at")?;
        let session_id = self.parsed_or_null("session_id", str::parse)?;
        let message_id = self.uuid_or_null("message_id")?.map(MessageId);
        let project_id = self.uuid_or_null("project_id")?.map(ProjectId);
        let salience = self.parsed_or_null("salience", str::parse)?.map(Salience::clamped);
        let pinned = self.column("pinned")? == "1";
        let source = self.parsed("source", parse_source)?;
        let valid_from = self.time("valid_from")?;
        let superseded_by = self.uuid_or_null("superseded_by")?.map(MemoryId);
        let successor = self.uuid_or_null("superseded_by")?.map(MemoryId);
        let before = self.uuid_or_null("parent_id")?.map(MemoryId);
        let whole = self.column("text")? == "1";
        let mut length = |column| self.parsed_or_null(column, str::parse::<usize>);
        let (about, topic) = (length("about")?, length("topic")?);
        let (text, before_text) = (length("text")?, length("content")?);
        let about = read_text(self.text("about", about)?);
        let topic_text = read_text(self.text("topic", topic)?);
        let memory = Memory {
            id: MemoryId(id),
            kind,
            text: read_text(self.text("text", text)?),
            role,
            about: (kind == MemoryKind::Fact).then(|| about.clone()),
            topic: topic.map(|_| topic_text),
            date,
            session_id,
            message_id,
            project_id,
            salience,
            pinned,
            source,
            valid_from,
            superseded_by,
        };
        let said = read_text(self.text("content", before_text)?);
        Ok(RecallRow {
            memory,
            whole,
            about,
            successor,
            before: before.map(|id| (id, said)),
        })
    }
}

fn read_all(bytes: &[u8]) -> Result<Vec<RecallRow>, StoreError> {
    let (mut rows, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let mut line = Line::first(rest)?;
        rows.push(line.read()?);
        rest = line.texts;
    }
    Ok(rows)
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
        let lines: Option<Vec<u8>> = sqlx::query_scalar(LIST)
            .bind(account.0)
            .bind(hex_list(ids)?)
            .bind(project.as_ref().map(|id| blob(&id.0)))
            .fetch_one(&mut *self.read().await?)
            .await?;
        read_all(lines.as_deref().unwrap_or_default())
    }

    /// The newest messages and facts of a stretch of time, at most `limit`.
    pub(crate) async fn list_of_a_time(
        &self,
        account: AccountId,
        stretch: Stretch,
        project: Option<ProjectId>,
        limit: usize,
    ) -> Result<Vec<MemoryId>, StoreError> {
        let row = sqlx::query(LIST_OF_A_TIME)
            .bind(account.0)
            .bind(blob(&least_id(stretch.from)))
            .bind(blob(&least_id(stretch.until)))
            .bind(ms(stretch.from))
            .bind(ms(stretch.until))
            .bind(project.as_ref().map(|id| blob(&id.0)))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_one(&mut *self.read().await?)
            .await?;
        let ids = Columns::new("memories", &row).uuids("id")?;
        Ok(ids.into_iter().map(MemoryId).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = b"000000000000000000000000000000AB,message,user,5,s-1,000000000000000000000000000000AB,,0.5,0,\
        conversation,7,,,000000000000000000000000000000AA,1,5,,6,3;ownera;\0,b\xc3why";

    #[test]
    fn lines_are_read() {
        let twice = [LINE, LINE].concat();
        let rows = read_all(&twice).unwrap();
        assert_eq!((rows.len(), &rows[0]), (2, &rows[1]));
        let row = &rows[0];
        assert_eq!(row.memory.text, "a;\0,b", "a character that was cut goes");
        assert_eq!(
            (
                row.about.as_str(),
                row.memory.topic.as_deref(),
                row.memory.about.as_deref()
            ),
            ("owner", None, None)
        );
        let before = MemoryId(Uuid::from_u128(0xaa));
        assert_eq!(row.before, Some((before, "why".to_owned())));
        assert_eq!(
            (row.memory.valid_from.as_millisecond(), row.successor, row.whole),
            (7, None, true)
        );
        assert_eq!(read_all(b"").unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        for end in 1..LINE.len() {
            assert!(read_all(&LINE[..end]).is_err(), "{end}");
        }
    }
}

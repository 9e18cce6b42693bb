//! Rows as lines of the export.

use super::{
    AccountId, BATCH, ExportReport, FactLine, Line, Memory, Message, MessageId, MessageLine, MetaLine, MoodEntry,
    MoodLine, PersonaName, ProjectId, Row, Salience, SessionId, SessionLine, SqliteConnection, SqliteRow, StoreError,
    attached::{self, EXPORT_REPOS},
    json, memories, memory_columns, memory_join, message_columns, mood_columns, moods, mpsc, parse_memory, read,
    works::{self, EXPORT_ARTIFACTS, EXPORT_PROJECTS},
};

impl From<MoodEntry> for MoodLine {
    fn from(entry: MoodEntry) -> Self {
        Self {
            id: entry.id,
            session_id: entry.session_id,
            message_id: entry.message_id,
            persona: entry.persona,
            mood: entry.mood.as_str().to_owned(),
            cause: entry.cause,
            source: entry.source,
            created_at: entry.created_at,
        }
    }
}

fn fact_line(memory: Memory) -> FactLine {
    FactLine {
        id: memory.id,
        about: memory.about.unwrap_or_default(),
        topic: memory.topic,
        text: memory.text,
        session_id: memory.session_id,
        message_id: memory.message_id,
        project_id: memory.project_id,
        salience: memory.salience.map(Salience::get),
        pinned: memory.pinned,
        source: memory.source.as_str().to_owned(),
        valid_from: memory.valid_from,
        superseded_by: memory.superseded_by,
        created_at: memory.date,
    }
}

fn message_line(message: Message, client_id: Option<String>) -> MessageLine {
    MessageLine {
        id: message.id,
        session_id: message.session_id,
        parent_id: message.parent_id,
        role: message.role,
        content: message.content,
        status: message.status,
        client_id,
        project_id: message.project_id,
        metadata: message.metadata,
        meta: message.meta.map(|meta| MetaLine {
            persona: meta.persona,
            mood: meta.mood.as_str().to_owned(),
            mood_cause: meta.mood_cause,
            intent: meta.intent,
            owner_mood: meta.owner_mood,
            tags: meta.tags,
            salience: meta.salience.map(Salience::get),
        }),
        model: message.model,
        usage: message.usage,
        tool_calls: message.tool_calls,
        citations: message.citations,
        created_at: message.created_at,
    }
}

fn read_session(row: &SqliteRow) -> Result<(i64, SessionLine), StoreError> {
    let mut c = crate::sqlite::rows::Columns::new("sessions", row);
    let id = c.parsed("id", str::parse::<SessionId>)?;
    c.named(&id);
    let recency = c.take("recency")?;
    let line = SessionLine {
        id,
        title: c.take("title")?,
        pinned_persona: c.parsed_or_null("pinned_persona", PersonaName::parse)?,
        project_id: c.uuid_or_null("project_id")?.map(ProjectId),
        head_id: c.uuid_or_null("head_id")?.map(MessageId),
        memory: c.parsed("memory", parse_memory)?,
        pinned: c.take("pinned")?,
        archived: c.take("archived")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((recency, line))
}

const EXPORT_SESSIONS: &str = "
    SELECT id, recency, title, pinned_persona, project_id, head_id, memory, pinned, archived, created_at, updated_at
      FROM sessions WHERE account_id = ?1 AND recency > ?2 ORDER BY recency LIMIT (?3 + 0)";

const EXPORT_MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    ", m.client_id FROM messages m WHERE m.account_id = ?1 AND m.ord > ?2 ORDER BY m.ord LIMIT (?3 + 0)"
);

const EXPORT_MOODS: &str = concat!(
    "SELECT ",
    mood_columns!(),
    " FROM moods WHERE account_id = ?1 AND ord > ?2 ORDER BY ord LIMIT (?3 + 0)"
);

const EXPORT_FACTS: &str = concat!(
    "SELECT ",
    memory_columns!(),
    " FROM memories k",
    memory_join!(),
    "AND k.account_id = ?1 AND k.kind = 'fact' AND k.key > ?2 ORDER BY k.key LIMIT (?3 + 0)"
);

/// Where export writes its lines.
pub(super) struct Sink {
    pub(super) lines: mpsc::Sender<String>,
    pub(super) report: ExportReport,
}

impl Sink {
    pub(super) async fn write(&self, line: &Line) -> Result<(), StoreError> {
        self.lines.send(json(line)?).await.map_err(|_| StoreError::Closed)
    }
}

pub(super) async fn export_rows(
    conn: &mut SqliteConnection,
    account: AccountId,
    sink: &mut Sink,
) -> Result<(), StoreError> {
    // Projects first: what belongs to one names it.
    for part in [
        EXPORT_PROJECTS,
        EXPORT_SESSIONS,
        EXPORT_MESSAGES,
        EXPORT_MOODS,
        EXPORT_FACTS,
        EXPORT_ARTIFACTS,
        EXPORT_REPOS,
    ] {
        let mut after = i64::MIN;
        loop {
            let rows = sqlx::query(part)
                .bind(account.0)
                .bind(after)
                .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
                .fetch_all(&mut *conn)
                .await?;
            for row in &rows {
                let (place, line) = export_row(part, row, &mut sink.report)?;
                sink.write(&line).await?;
                after = place;
            }
            if rows.len() < BATCH {
                break;
            }
        }
    }
    works::export_versions(&mut *conn, account, sink).await?;
    attached::export_proposals(conn, account, sink).await
}

pub(super) fn export_row(part: &str, row: &SqliteRow, report: &mut ExportReport) -> Result<(i64, Line), StoreError> {
    if part == EXPORT_SESSIONS {
        let (place, line) = read_session(row)?;
        report.sessions += 1;
        Ok((place, Line::Session(line)))
    } else if part == EXPORT_MESSAGES {
        let placed = read(row)?;
        let client_id = row.try_get("client_id")?;
        report.messages += 1;
        Ok((
            placed.ord,
            Line::Message(Box::new(message_line(placed.message, client_id))),
        ))
    } else if part == EXPORT_MOODS {
        let (entry, cursor) = moods::read(row)?;
        report.moods += 1;
        Ok((cursor.0, Line::Mood(entry.into())))
    } else if part == EXPORT_PROJECTS {
        let (place, line) = works::read_project(row)?;
        report.projects += 1;
        Ok((place, Line::Project(line)))
    } else if part == EXPORT_ARTIFACTS {
        let (place, line) = works::read_artifact(row)?;
        report.artifacts += 1;
        Ok((place, Line::Artifact(line)))
    } else if part == EXPORT_REPOS {
        let (place, line) = attached::read_repo(row)?;
        report.repos += 1;
        Ok((place, Line::Repo(line)))
    } else {
        let (key, memory) = memories::read(row)?;
        report.facts += 1;
        Ok((key, Line::Fact(fact_line(memory))))
    }
}

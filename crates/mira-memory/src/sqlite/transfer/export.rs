//! Rows as lines of the export.

use super::{
    AccountId, BATCH, ExportReport, FactLine, Line, Memory, Message, MessageId, MessageLine, MetaLine, MoodEntry,
    MoodLine, PersonaName, ProjectId, Role, Row, Salience, SessionId, SessionLine, SqliteConnection, SqliteRow,
    StoreError,
    attached::{self, EXPORT_PROPOSALS, EXPORT_REPOS, PROPOSALS_AT_ONCE},
    int, json, memories, memory_columns, memory_join, message_columns, mood_columns, moods, mpsc, parse_memory, read,
    works::{self, EXPORT_ARTIFACTS, EXPORT_PROJECTS, EXPORT_VERSIONS, VERSIONS_AT_ONCE},
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
        exposed: (message.role == Role::Assistant).then_some(message.exposure),
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

pub(in crate::sqlite) const EXPORT_MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    ", m.client_id FROM messages m WHERE +m.account_id = ?1 AND m.ord > ?2 ORDER BY m.ord LIMIT (?3 + 0)"
);

pub(in crate::sqlite) const EXPORT_MOODS: &str = concat!(
    "SELECT ",
    mood_columns!(),
    " FROM moods WHERE +account_id = ?1 AND ord > ?2 ORDER BY ord LIMIT (?3 + 0)"
);

pub(in crate::sqlite) const EXPORT_FACTS: &str = concat!(
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

/// One kind of rows: how they are asked for (`?2` the place after which, `?3` how many), how many at once, and what
/// their lines are. The answer of `read` has the row's place.
struct Part {
    sql: &'static str,
    at_once: usize,
    read: ReadLine,
}

type ReadLine = fn(&SqliteRow, &mut ExportReport) -> Result<(i64, Line), StoreError>;

/// Projects first: what belongs to one names it. What a line is about stands before it.
const PARTS: [Part; 9] = [
    Part {
        sql: EXPORT_PROJECTS,
        at_once: BATCH,
        read: |row, report| {
            report.projects += 1;
            works::read_project(row).map(|(place, line)| (place, Line::Project(line)))
        },
    },
    Part {
        sql: EXPORT_SESSIONS,
        at_once: BATCH,
        read: |row, report| {
            report.sessions += 1;
            read_session(row).map(|(place, line)| (place, Line::Session(line)))
        },
    },
    Part {
        sql: EXPORT_MESSAGES,
        at_once: BATCH,
        read: |row, report| {
            report.messages += 1;
            let placed = read(row)?;
            let line = message_line(placed.message, row.try_get("client_id")?);
            Ok((placed.ord, Line::Message(Box::new(line))))
        },
    },
    Part {
        sql: EXPORT_MOODS,
        at_once: BATCH,
        read: |row, report| {
            report.moods += 1;
            moods::read(row).map(|(entry, cursor)| (cursor.0, Line::Mood(entry.into())))
        },
    },
    Part {
        sql: EXPORT_FACTS,
        at_once: BATCH,
        read: |row, report| {
            report.facts += 1;
            memories::read(row).map(|(key, memory)| (key, Line::Fact(fact_line(memory))))
        },
    },
    Part {
        sql: EXPORT_ARTIFACTS,
        at_once: BATCH,
        read: |row, report| {
            report.artifacts += 1;
            works::read_artifact(row).map(|(place, line)| (place, Line::Artifact(line)))
        },
    },
    Part {
        sql: EXPORT_REPOS,
        at_once: BATCH,
        read: |row, report| {
            report.repos += 1;
            attached::read_repo(row).map(|(key, line)| (key, Line::Repo(line)))
        },
    },
    Part {
        sql: EXPORT_VERSIONS,
        at_once: VERSIONS_AT_ONCE,
        read: |row, report| {
            report.versions += 1;
            works::read_version(row).map(|(ord, line)| (ord, Line::ArtifactVersion(Box::new(line))))
        },
    },
    Part {
        sql: EXPORT_PROPOSALS,
        at_once: PROPOSALS_AT_ONCE,
        read: |row, report| {
            report.proposals += 1;
            attached::read_proposal(row).map(|(key, line)| (key, Line::Proposal(Box::new(line))))
        },
    },
];

/// The next rows of a kind.
pub(super) async fn next_rows(
    conn: &mut SqliteConnection,
    account: AccountId,
    sql: &'static str,
    after: i64,
    at_once: usize,
) -> Result<Vec<SqliteRow>, StoreError> {
    Ok(sqlx::query(sql)
        .bind(account.0)
        .bind(after)
        .bind(int(at_once as u64))
        .fetch_all(conn)
        .await?)
}

pub(super) async fn export_rows(
    conn: &mut SqliteConnection,
    account: AccountId,
    sink: &mut Sink,
) -> Result<(), StoreError> {
    for part in &PARTS {
        let mut after = i64::MIN;
        loop {
            let rows = next_rows(&mut *conn, account, part.sql, after, part.at_once).await?;
            for row in &rows {
                let (place, line) = (part.read)(row, &mut sink.report)?;
                sink.write(&line).await?;
                after = place;
            }
            if rows.len() < part.at_once {
                break;
            }
        }
    }
    Ok(())
}

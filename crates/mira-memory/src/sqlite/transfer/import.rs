//! Lines of an export as rows, and the two doors.

use super::{
    AccountId, Arc, BATCH, BATCH_BYTES, BTreeSet, Class, ClientId, Connection, ExportReport, Exposure, FORMAT,
    FactLine, FutureExt, ImportReport, Line, MessageId, MessageLine, Mood, MoodLine, PersonaName, Role, Salience,
    SessionId, SessionLine, SqliteConnection, StateLine, Store, StoreError, Timestamp, VERSION, attached, blob,
    export::{Sink, export_rows},
    exposure_column,
    files::{self, Arrivals},
    grams, json, list_column, memories, mpsc, ms, outbox, state, usage_columns, works,
};
use crate::sqlite::file_bytes::FileBytes;

/// A line that was understood, with its number.
type Numbered = (u64, Line);

fn count(stored: bool, kind: &mut u64, skipped: &mut u64) {
    *(if stored { kind } else { skipped }) += 1;
}

/// Reads a line; what it says is checked as if a client had said it.
fn parse_line(number: u64, text: &str) -> Result<Line, StoreError> {
    let bad = |detail: String| StoreError::Import { line: number, detail };
    let line: Line = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    match &line {
        Line::Header { format, version, .. } => {
            if format != FORMAT || *version > VERSION {
                return Err(bad(format!("format {format:?} version {version} is not known here")));
            }
        }
        Line::Message(message) => {
            if let Some(client_id) = &message.client_id {
                client_id.parse::<ClientId>().map_err(|error| bad(error.to_string()))?;
            }
            if let Some(meta) = &message.meta {
                known_mood(&meta.mood).map_err(bad)?;
            }
            if message.role == Role::User && !(message.tool_calls.is_empty() && message.citations.is_empty()) {
                return Err(bad("only a reply calls tools and cites".to_owned()));
            }
            if message.role == Role::User && message.exposed.is_some_and(|exposed| exposed != Exposure::Clear) {
                return Err(bad("only a reply is exposed".to_owned()));
            }
        }
        Line::Mood(mood) => known_mood(&mood.mood).map_err(bad)?,
        Line::State(state) => known_mood(&state.mood).map_err(bad)?,
        Line::Fact(fact) => {
            memories::parse_source(&fact.source).map_err(bad)?;
            if fact.text.trim().is_empty() || fact.about.trim().is_empty() {
                return Err(bad("a fact says something about somebody".to_owned()));
            }
        }
        Line::Project(project) => project.check().map_err(bad)?,
        Line::Artifact(artifact) => artifact.check().map_err(bad)?,
        Line::ArtifactVersion(version) => version.check().map_err(bad)?,
        Line::Repo(repo) => repo.check().map_err(bad)?,
        Line::Proposal(proposal) => proposal.check().map_err(bad)?,
        Line::File(file) => file.check().map_err(bad)?,
        Line::FileBytes(bytes) => bytes.check().map_err(bad)?,
        Line::Session(_) | Line::End(_) => {}
    }
    Ok(line)
}

/// A mood exactly as Mira would have stored it.
fn known_mood(mood: &str) -> Result<(), String> {
    match Mood::from_text(mood) {
        Some(known) if known.as_str() == mood => Ok(()),
        _ => Err(format!("{mood:?} is no mood")),
    }
}

const IMPORT_SESSION: &str = "
    INSERT INTO sessions (account_id, id, title, pinned_persona, project_id, memory, pinned, archived, created_at,
                          updated_at, recency)
    SELECT ?1, ?2, ?3, ?4, (SELECT p.id FROM projects p WHERE p.account_id = ?1 AND p.id = ?5), ?6, ?7, ?8, ?9, ?10,
           coalesce((SELECT recency + 1 FROM sessions WHERE account_id = ?1 ORDER BY recency DESC LIMIT 1), 1)
     WHERE true
        ON CONFLICT (account_id, id) DO UPDATE SET
           title = excluded.title, pinned_persona = excluded.pinned_persona, project_id = excluded.project_id,
           memory = excluded.memory, pinned = excluded.pinned, archived = excluded.archived,
           created_at = excluded.created_at, updated_at = excluded.updated_at, recency = excluded.recency
     WHERE sessions.message_count = 0
       AND (sessions.title, sessions.pinned_persona, sessions.project_id, sessions.memory, sessions.pinned,
            sessions.archived, sessions.created_at, sessions.updated_at)
    IS NOT (excluded.title, excluded.pinned_persona, excluded.project_id, excluded.memory, excluded.pinned,
            excluded.archived, excluded.created_at, excluded.updated_at)";

async fn import_session(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &SessionLine,
) -> Result<bool, StoreError> {
    let done = sqlx::query(IMPORT_SESSION)
        .bind(account.0)
        .bind(line.id.as_str())
        .bind(line.title.as_deref())
        .bind(line.pinned_persona.as_ref().map(PersonaName::as_str))
        .bind(line.project_id.as_ref().map(|id| blob(&id.0)))
        .bind(line.memory.as_str())
        .bind(line.pinned)
        .bind(line.archived)
        .bind(ms(line.created_at))
        .bind(ms(line.updated_at))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// `?26` its exposure; where it is not known, what its calls read tells.
const IMPORT_MESSAGE: &str = r#"
    INSERT INTO messages (account_id, session_id, id, parent_id, role, content, status, client_id, project_id, metadata,
                          persona, mood, mood_cause, intent, owner_mood, tags, salience, model, input_tokens,
                          cached_tokens, output_tokens, reasoning_tokens, tool_calls, created_at, citations, exposed,
                          depth)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT p.id FROM projects p WHERE p.account_id = ?1 AND p.id = ?9), ?10,
           ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
           coalesce(?26, iif(instr(?23, '"untrusted":true') > 0, 2, 0)),
           coalesce((SELECT depth + 1 FROM messages WHERE account_id = ?1 AND id = ?4 AND session_id = ?2), 0)
     WHERE true
        ON CONFLICT (account_id, id) DO NOTHING"#;

async fn import_message(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &MessageLine,
) -> Result<bool, StoreError> {
    let meta = line.meta.as_ref();
    let [input_tokens, cached_tokens, output_tokens, reasoning_tokens] = usage_columns(line.usage);
    let done = sqlx::query(IMPORT_MESSAGE)
        .bind(account.0)
        .bind(line.session_id.as_str())
        .bind(blob(&line.id.0))
        .bind(line.parent_id.as_ref().map(|id| blob(&id.0)))
        .bind(line.role.as_str())
        .bind(line.content.as_str())
        .bind(line.status.as_str())
        .bind(line.client_id.as_deref())
        .bind(line.project_id.as_ref().map(|id| blob(&id.0)))
        .bind(line.metadata.as_ref().map(json).transpose()?)
        .bind(meta.map(|meta| meta.persona.as_str()))
        .bind(meta.map(|meta| meta.mood.as_str()))
        .bind(meta.and_then(|meta| meta.mood_cause.as_deref()))
        .bind(meta.and_then(|meta| meta.intent.as_deref()))
        .bind(meta.and_then(|meta| meta.owner_mood.as_deref()))
        .bind(meta.map(|meta| json(&meta.tags)).transpose()?)
        .bind(
            meta.and_then(|meta| meta.salience)
                .map(|salience| f64::from(Salience::clamped(salience).get())),
        )
        .bind(line.model.as_deref())
        .bind(input_tokens)
        .bind(cached_tokens)
        .bind(output_tokens)
        .bind(reasoning_tokens)
        .bind(list_column(&line.tool_calls)?)
        .bind(ms(line.created_at))
        .bind(list_column(&line.citations)?)
        .bind(line.exposed.map(exposure_column))
        .execute(&mut *conn)
        .await?;
    let stored = done.rows_affected() == 1;
    if let Some(grams) = grams(&line.content).filter(|_| stored) {
        sqlx::query(
            "INSERT INTO messages_grams (rowid, grams) SELECT ord, ?3 FROM messages WHERE account_id = ?1 AND id = ?2",
        )
        .bind(account.0)
        .bind(blob(&line.id.0))
        .bind(grams)
        .execute(conn)
        .await?;
    }
    Ok(stored)
}

async fn import_mood(conn: &mut SqliteConnection, account: AccountId, line: &MoodLine) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO moods (account_id, session_id, id, message_id, persona, mood, cause, source, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (account_id, id) DO NOTHING",
    )
    .bind(account.0)
    .bind(line.session_id.as_str())
    .bind(blob(&line.id.0))
    .bind(line.message_id.as_ref().map(|id| blob(&id.0)))
    .bind(line.persona.as_str())
    .bind(line.mood.as_str())
    .bind(line.cause.as_deref())
    .bind(line.source.as_str())
    .bind(ms(line.created_at))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn import_fact(conn: &mut SqliteConnection, account: AccountId, line: &FactLine) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO memories (account_id, id, kind, about, topic, text, session_id, message_id, project_id, salience,
                               pinned, source, valid_from, superseded_by, created_at, updated_at)
         VALUES (?1, ?2, 'fact', ?3, ?4, ?5, ?6, ?7,
                 (SELECT p.id FROM projects p WHERE p.account_id = ?1 AND p.id = ?8), ?9, ?10, ?11, ?12, ?13, ?14, ?14)
             ON CONFLICT (account_id, id) DO NOTHING",
    )
    .bind(account.0)
    .bind(blob(&line.id.0))
    .bind(line.about.as_str())
    .bind(line.topic.as_deref())
    .bind(line.text.as_str())
    .bind(line.session_id.as_ref().map(SessionId::as_str))
    .bind(line.message_id.as_ref().map(|id| blob(&id.0)))
    .bind(line.project_id.as_ref().map(|id| blob(&id.0)))
    .bind(
        line.salience
            .map(|salience| f64::from(Salience::clamped(salience).get())),
    )
    .bind(line.pinned)
    .bind(line.source.as_str())
    .bind(ms(line.valid_from))
    .bind(line.superseded_by.as_ref().map(|id| blob(&id.0)))
    .bind(ms(line.created_at))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores a batch; answers what has been stored with it.
async fn import_batch(
    conn: &mut SqliteConnection,
    account: AccountId,
    batch: &[Numbered],
    before: ImportReport,
) -> Result<ImportReport, StoreError> {
    let mut stored = before;
    let mut touched = BTreeSet::new();
    let (mut messages, mut facts) = (Vec::new(), Vec::new());
    for (number, line) in batch {
        let done = match line {
            Line::Session(line) => import_session(&mut *conn, account, line).await,
            Line::Message(line) => import_message(&mut *conn, account, line).await,
            Line::Mood(line) => import_mood(&mut *conn, account, line).await,
            Line::Fact(line) => import_fact(&mut *conn, account, line).await,
            Line::Project(line) => works::import_project(&mut *conn, account, line).await,
            Line::Artifact(line) => works::import_artifact(&mut *conn, account, line).await,
            Line::ArtifactVersion(line) => works::import_version(&mut *conn, account, line).await,
            Line::Repo(line) => attached::import_repo(&mut *conn, account, line).await,
            Line::Proposal(line) => attached::import_proposal(&mut *conn, account, line).await,
            Line::File(line) => files::import_file(&mut *conn, account, line).await,
            Line::Header { .. } | Line::FileBytes(_) | Line::State(_) | Line::End(_) => continue,
        };
        let done = done.map_err(|error| match error {
            StoreError::Constraint(detail) => StoreError::Import { line: *number, detail },
            other => other,
        })?;
        match line {
            Line::Session(_) => count(done, &mut stored.sessions, &mut stored.skipped),
            Line::Message(line) => {
                count(done, &mut stored.messages, &mut stored.skipped);
                touched.insert(line.session_id.clone());
                if done {
                    messages.push(line.id.into());
                }
            }
            Line::Mood(_) => count(done, &mut stored.moods, &mut stored.skipped),
            Line::Fact(line) => {
                count(done, &mut stored.facts, &mut stored.skipped);
                if done {
                    facts.push(line.id);
                }
            }
            Line::Project(_) => count(done, &mut stored.projects, &mut stored.skipped),
            Line::Artifact(_) => count(done, &mut stored.artifacts, &mut stored.skipped),
            Line::ArtifactVersion(_) => count(done, &mut stored.versions, &mut stored.skipped),
            Line::Repo(_) => count(done, &mut stored.repos, &mut stored.skipped),
            Line::Proposal(_) => count(done, &mut stored.proposals, &mut stored.skipped),
            Line::File(_) => count(done, &mut stored.files, &mut stored.skipped),
            Line::Header { .. } | Line::FileBytes(_) | Line::State(_) | Line::End(_) => {}
        }
    }
    for session in touched {
        sqlx::query(
            "UPDATE sessions SET message_count =
                    (SELECT count(*) FROM messages m WHERE m.account_id = ?1 AND m.session_id = ?2)
              WHERE account_id = ?1 AND id = ?2",
        )
        .bind(account.0)
        .bind(session.as_str())
        .execute(&mut *conn)
        .await?;
    }
    outbox::queue_imported(conn, account, &messages, &facts).await?;
    Ok(stored)
}

/// Takes what has come, up to a batch; false at the end.
async fn receive(lines: &mut mpsc::Receiver<String>, texts: &mut Vec<String>) -> bool {
    let Some(first) = lines.recv().await else {
        return false;
    };
    let mut bytes = first.len();
    texts.push(first);
    while texts.len() < BATCH
        && bytes < BATCH_BYTES
        && let Ok(next) = lines.try_recv()
    {
        bytes += next.len();
        texts.push(next);
    }
    true
}

/// After all messages are there: the heads of sessions that have none, and (in an account without a past) her state.
async fn import_end(
    conn: &mut SqliteConnection,
    account: AccountId,
    heads: &[(SessionId, MessageId)],
    state: Option<&StateLine>,
) -> Result<(), StoreError> {
    for (session, head) in heads {
        sqlx::query(
            "UPDATE sessions SET head_id = ?3 WHERE account_id = ?1 AND id = ?2 AND head_id IS NULL
                AND EXISTS (SELECT 1 FROM messages m WHERE m.account_id = ?1 AND m.session_id = ?2 AND m.id = ?3)",
        )
        .bind(account.0)
        .bind(session.as_str())
        .bind(blob(&head.0))
        .execute(&mut *conn)
        .await?;
    }
    if let Some(state) = state {
        sqlx::query("UPDATE mira_state SET persona = ?2, mood = ?3, mood_cause = ?4 WHERE account_id = ?1")
            .bind(account.0)
            .bind(state.persona.as_str())
            .bind(state.mood.as_str())
            .bind(state.mood_cause.as_deref())
            .execute(conn)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Writes the account's conversation as JSON lines, of one moment, to `lines`; running turns are left out. Works
    /// beside a running server. The bytes of files are read after that moment: a file that is deleted meanwhile does not
    /// come along.
    pub async fn export(
        &self,
        account: AccountId,
        now: Timestamp,
        bytes: &dyn FileBytes,
        lines: mpsc::Sender<String>,
    ) -> Result<ExportReport, StoreError> {
        let mut sink = Sink {
            lines,
            report: ExportReport::default(),
        };
        let mut conn = self.read().await?;
        let mut moment = conn.begin().await?;
        sink.write(&Line::Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            exported_at: now,
        })
        .await?;
        export_rows(&mut moment, account, &mut sink).await?;
        if let Some(state) = state::find(&mut moment, account).await? {
            let (persona, mood_cause) = (state.persona, state.mood_cause);
            sink.write(&Line::State(StateLine {
                persona,
                mood: state.mood.as_str().to_owned(),
                mood_cause,
            }))
            .await?;
        }
        let files = files::list_files(&mut moment, account).await?;
        moment.rollback().await?;
        drop(conn);
        files::export_files(files, bytes, &mut sink).await?;
        sink.write(&Line::End(sink.report)).await?;
        Ok(sink.report)
    }

    /// Stores what an export wrote. Each batch is stored whole or not at all; what is there already is skipped, so that
    /// an import that failed half way is simply repeated. `progress` is called after each batch. Bytes of files that came
    /// for a file that was not stored are among the leftovers.
    pub async fn import(
        &self,
        account: AccountId,
        bytes: &dyn FileBytes,
        mut lines: mpsc::Receiver<String>,
        mut progress: impl FnMut(ImportReport) + Send,
    ) -> Result<ImportReport, StoreError> {
        let fresh = self.stats(account).await?.messages == 0;
        let mut report = ImportReport::default();
        let mut texts = Vec::with_capacity(BATCH);
        let mut heads = Vec::new();
        let mut state = None;
        let mut ended = false;
        let mut arrivals = Arrivals::new(self, bytes);
        while receive(&mut lines, &mut texts).await {
            let mut batch = Vec::with_capacity(texts.len());
            for text in texts.drain(..) {
                report.lines += 1;
                let number = report.lines;
                let line = parse_line(number, &text)?;
                if (number == 1) != matches!(line, Line::Header { .. }) {
                    let detail = "the header is the first line, and only that".to_owned();
                    return Err(StoreError::Import { line: number, detail });
                }
                if let Line::Session(session) = &line
                    && let Some(head) = session.head_id
                {
                    heads.push((session.id.clone(), head));
                }
                ended = matches!(line, Line::End(_));
                if let Some(line) = arrivals.take(number, line).await? {
                    batch.push((number, line));
                }
            }
            let batch = Arc::new(batch);
            report = {
                let batch = Arc::clone(&batch);
                self.write(Class::Acknowledged, move |conn| {
                    let batch = Arc::clone(&batch);
                    async move { import_batch(conn, account, &batch, report).await }.boxed()
                })
                .await?
            };
            if let Some(found) = Arc::into_inner(batch).and_then(|batch| {
                batch.into_iter().find_map(|(_, line)| {
                    if let Line::State(state) = line {
                        Some(state)
                    } else {
                        None
                    }
                })
            }) {
                state = Some(found);
            }
            progress(report);
        }
        if !ended {
            let detail = "the file ends before its last line; what it holds was imported".to_owned();
            return Err(StoreError::Import {
                line: report.lines,
                detail,
            });
        }
        let (heads, state) = (Arc::new(heads), Arc::new(state.filter(|_| fresh)));
        self.write(Class::Acknowledged, move |conn| {
            let (heads, state) = (Arc::clone(&heads), Arc::clone(&state));
            async move { import_end(conn, account, &heads, state.as_ref().as_ref()).await }.boxed()
        })
        .await?;
        Ok(report)
    }
}

//! Forgetting. One transaction takes a message, fact or summary out of every table; then [`Store::scrub`] takes what is
//! left of its bytes out of the file, and [`Store::renew_backups`] out of Mira's own copies.
//!
//! Law: what is forgotten is as if it had never been known, but for its empty place in the conversation. Everything made
//! of it goes along: facts it is the evidence of, summaries that cover it, what a reply noted about it (intent, moods'
//! causes, topics), an automatic title, which files came with it, the documents of its neighbours, what tools were given
//! and brought for it or quote of it. The files themselves are the owner's to delete. What others said in words of
//! their own stays.

use super::{
    Store, documents,
    error::StoreError,
    files, memories,
    messages::{json, parse_role, parse_status},
    outbox::hex_list,
    receipts,
    rows::{Columns, SPARE, bind_spare, blob, ms},
    summaries::{self, HandedOut},
    tombstones::{self, TombstoneKey},
    traces::{count_left, quoted},
    turns::calls::{self, Quotes},
    writer::{Chore, Class},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::{MessageStatus, Role, title_from},
    ids::{AccountId, ApprovalId, MemoryId, MessageId, SessionId},
    memory::MemoryKind,
};
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, PoisonError},
};

pub(super) use super::traces::Traces;

/// Pages a full-text table merges in one transaction: about 25 ms, so that turns pass in between.
const MERGE_PAGES: i64 = 100;
/// How often a table's merging begins anew because rows were written meanwhile; what stood in it at the beginning is
/// through after the second.
const MERGE_ROUNDS: u32 = 3;
/// How often the log is folded into the file while readers are in the way. Each try waits a moment, and jobs pass
/// between them.
const FOLD_ATTEMPTS: u32 = 8;

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// What kind of memory it was.
    pub kind: MemoryKind,
    /// The memories that are gone: itself, and facts that rested on it or came before it. Stale
    /// summaries are not among them.
    pub memory_ids: Vec<MemoryId>,
    /// The messages that are empty now.
    pub message_ids: Vec<MessageId>,
    /// The sessions whose messages, titles or summaries have changed.
    pub sessions: Vec<SessionId>,
    /// The summaries that lost their text; they wait to be made anew ([`Store::next_range`]).
    pub stale_summaries: Vec<MemoryId>,
    /// The approvals that waited, of calls that quoted it: they are void.
    pub voided: Vec<ApprovalId>,
}

/// What [`Store::scrub`] could do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// The log is folded into the file and empty. Not where a reader of another process was in the way.
    pub folded: bool,
    /// The file was written anew, because bytes had been left behind in it.
    pub rebuilt: bool,
    /// Words of what was forgotten that stand in the file still, in no row.
    pub left: u32,
}

impl ScrubReport {
    /// Whether nothing is left.
    pub fn is_clean(&self) -> bool {
        self.folded && self.left == 0
    }
}

/// A forgetting at work.
struct Work<'a> {
    conn: &'a mut SqliteConnection,
    account: AccountId,
    key: &'a TombstoneKey,
    handed: &'a HandedOut,
    now: Timestamp,
    done: Forgotten,
    traces: Traces,
    quotes: Quotes,
}

/// A message to forget.
struct Target {
    session: SessionId,
    depth: i64,
    role: Role,
    content: String,
}

const FIND_MESSAGE: &str = "
    SELECT status, session_id, depth, role, content, metadata FROM messages WHERE account_id = ?1 AND id = ?2";

/// What replies say about a message of the owner: `?2` its id.
const LIST_REPLIES: &str = "SELECT id FROM messages WHERE account_id = ?1 AND parent_id = ?2 AND role = 'assistant'";

/// `?2` the messages whose notes go.
const LIST_NOTES: &str = "
    SELECT concat_ws(char(10), mood_cause, intent, owner_mood, tags)
      FROM messages WHERE account_id = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))";

/// The causes of moods that came up with the messages `?2`: a mood that lasts keeps its cause, reply after reply.
const LIST_CAUSES: &str = "
    SELECT DISTINCT m.cause FROM moods m
     WHERE m.account_id = ?1 AND m.message_id IN (SELECT unhex(value) FROM json_each(?2)) AND m.cause IS NOT NULL
       AND m.cause IS NOT (SELECT b.cause FROM moods b WHERE +b.account_id = ?1 AND b.ord < m.ord
                            ORDER BY b.ord DESC LIMIT 1)";

/// `?2` the messages whose notes go, `?3` their session, `?4` the message itself, `?5` the causes that go wherever they
/// stand. The rows of turns are found by the messages' own, and a running one by the message it works on. Why something
/// came up is told in words of the question.
const EMPTY: &str = "
    UPDATE turns SET mood_cause = NULL WHERE account_id = ?1 AND mood_cause IN (SELECT value FROM json_each(?5))
       AND (state = 'running' OR id IN (
           SELECT m.turn_id FROM moods o CROSS JOIN messages m ON m.account_id = ?1 AND m.id = o.message_id
            WHERE o.account_id = ?1 AND o.cause IN (SELECT value FROM json_each(?5))));
    UPDATE messages SET mood_cause = NULL WHERE account_id = ?1 AND mood_cause IS NOT NULL AND id IN (
           SELECT message_id FROM moods WHERE account_id = ?1 AND cause IN (SELECT value FROM json_each(?5)));
    UPDATE mira_state SET mood_cause = NULL
     WHERE account_id = ?1 AND mood_cause IN (
           SELECT cause FROM moods WHERE account_id = ?1 AND session_id = ?3
              AND message_id IN (SELECT unhex(value) FROM json_each(?2)));
    UPDATE moods SET cause = NULL
     WHERE account_id = ?1 AND session_id = ?3 AND cause IS NOT NULL
       AND message_id IN (SELECT unhex(value) FROM json_each(?2));
    UPDATE moods SET cause = NULL WHERE account_id = ?1 AND cause IN (SELECT value FROM json_each(?5));
    DELETE FROM turn_parts WHERE turn_id IN (
           SELECT turn_id FROM messages WHERE account_id = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))
            UNION ALL SELECT id FROM turns WHERE account_id = ?1 AND user_message_id = ?4 AND state = 'running');
    UPDATE turns SET mood_cause = NULL WHERE account_id = ?1 AND mood_cause IS NOT NULL AND id IN (
           SELECT turn_id FROM messages WHERE account_id = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))
            UNION ALL SELECT id FROM turns WHERE account_id = ?1 AND user_message_id = ?4 AND state = 'running');
    UPDATE messages SET mood_cause = NULL, intent = NULL, owner_mood = NULL, tags = NULL
     WHERE account_id = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2));
    UPDATE messages SET content = '', status = 'forgotten', metadata = NULL WHERE account_id = ?1 AND id = ?4;
    DELETE FROM message_files WHERE account_id = ?1 AND message_id = ?4;
    DELETE FROM receipts WHERE account_id = ?1 AND message_id = ?4;
    UPDATE receipts SET items =
           (SELECT json_group_array(json_set(j.value, '$.reason', '') ORDER BY j.key) FROM json_each(items) j)
     WHERE account_id = ?1 AND message_id IN (SELECT unhex(value) FROM json_each(?2));
    DELETE FROM memories WHERE account_id = ?1 AND id = ?4;
    DELETE FROM outbox WHERE account_id = ?1 AND memory_id = ?4 AND step <> 'remove'";

impl Work<'_> {
    async fn forget(&mut self, id: MemoryId) -> Result<bool, StoreError> {
        let known = memories::find(&mut *self.conn, self.account, &[id]).await?.pop();
        match known.map(|memory| (memory.kind, memory.text)) {
            None | Some((MemoryKind::Message, _)) => self.forget_message(MessageId(id.0)).await,
            Some((MemoryKind::Fact, text)) => {
                self.done.kind = MemoryKind::Fact;
                let older = self.list_older(id).await?;
                self.forget_fact(id, &text).await?;
                for (id, text) in older {
                    self.drop_fact(id, &text).await?;
                }
                Ok(true)
            }
            Some((MemoryKind::Summary, text)) => {
                self.done.kind = MemoryKind::Summary;
                self.traces.add_text(&text);
                self.forget_summary(id).await?;
                self.gone(id);
                self.done.memory_ids.push(id);
                Ok(true)
            }
        }
    }

    async fn forget_message(&mut self, id: MessageId) -> Result<bool, StoreError> {
        let Some(target) = self.find_target(id).await? else {
            return Ok(false);
        };
        self.handed.take_back(self.account, &target.session);
        let mut digests = tombstones::message_digests(self.key, self.account, &target.content);
        digests.push(tombstones::id_digest(self.account, id.into()));
        tombstones::insert(&mut *self.conn, self.account, &digests, self.now).await?;
        for (fact, text) in self.list_learnt(id).await? {
            self.forget_fact(fact, &text).await?;
        }
        let covering =
            summaries::list_covering(&mut *self.conn, self.account, &target.session, id, target.depth).await?;
        for summary in covering {
            self.forget_summary(summary).await?;
        }
        self.empty(id, &target).await?;
        documents::rewrite_around(&mut *self.conn, self.account, id).await?;
        self.rename(&target).await?;
        self.done.memory_ids.push(id.into());
        self.done.message_ids.push(id);
        if !self.done.sessions.contains(&target.session) {
            self.done.sessions.push(target.session);
        }
        self.gone(id.into());
        Ok(true)
    }

    /// Notes that a memory is gone.
    fn gone(&mut self, id: MemoryId) {
        self.traces.ids.push((self.account, id));
        self.quotes.add_id(id);
    }

    /// What tools were given and brought on the way to replies to what is forgotten, and wherever they quote it.
    async fn empty_calls(&mut self) -> Result<(), StoreError> {
        let emptied = calls::empty_quoting(&mut *self.conn, self.account, &self.quotes).await?;
        for words in &emptied.words {
            self.traces.add_text(words);
        }
        self.done.voided = emptied.voided;
        for session in emptied.sessions {
            if !self.done.sessions.contains(&session) {
                self.done.sessions.push(session);
            }
        }
        Ok(())
    }

    /// The message, unless it is forgotten already; its words are noted.
    async fn find_target(&mut self, id: MessageId) -> Result<Option<Target>, StoreError> {
        let row = sqlx::query(FIND_MESSAGE)
            .bind(self.account.0)
            .bind(blob(&id.0))
            .fetch_optional(&mut *self.conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut c = Columns::new("messages", &row);
        c.named(id);
        if c.parsed("status", parse_status)? == MessageStatus::Forgotten {
            return Ok(None);
        }
        let session = c.parsed("session_id", str::parse)?;
        let depth = c.take("depth")?;
        let role = c.parsed("role", parse_role)?;
        let content: String = c.take("content")?;
        self.traces.add_text(&content);
        self.quotes.add_said(&content);
        if let Some(metadata) = c.take::<Option<&str>>("metadata")? {
            self.traces.add_text(metadata);
        }
        Ok(Some(Target {
            session,
            depth,
            role,
            content,
        }))
    }

    /// The message's row, and everything noted about it elsewhere.
    async fn empty(&mut self, id: MessageId, target: &Target) -> Result<(), StoreError> {
        let mut noted: Vec<MemoryId> = vec![id.into()];
        if target.role == Role::User {
            let replies = sqlx::query(LIST_REPLIES)
                .bind(self.account.0)
                .bind(blob(&id.0))
                .fetch_all(&mut *self.conn)
                .await?;
            for row in &replies {
                noted.push(MemoryId(Columns::new("messages", row).uuid("id")?));
            }
        }
        for note in &noted {
            self.quotes.add_message(MessageId(note.0));
        }
        let noted = hex_list(&noted)?;
        for file in files::of_message(&mut *self.conn, self.account, id).await? {
            self.traces.add_text(&file.name);
        }
        let notes: Vec<String> = sqlx::query_scalar(LIST_NOTES)
            .bind(self.account.0)
            .bind(noted.as_str())
            .fetch_all(&mut *self.conn)
            .await?;
        for note in &notes {
            self.traces.add_text(note);
        }
        let causes: Vec<String> = sqlx::query_scalar(LIST_CAUSES)
            .bind(self.account.0)
            .bind(noted.as_str())
            .fetch_all(&mut *self.conn)
            .await?;
        let query = sqlx::query(EMPTY)
            .bind(self.account.0)
            .bind(noted)
            .bind(target.session.as_str())
            .bind(blob(&id.0))
            .bind(json(&causes)?);
        bind_spare(query, SPARE).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// A title made of the message's words gives way to one made of the first message that is left.
    async fn rename(&mut self, target: &Target) -> Result<(), StoreError> {
        let title: Option<String> = sqlx::query_scalar("SELECT title FROM sessions WHERE account_id = ?1 AND id = ?2")
            .bind(self.account.0)
            .bind(target.session.as_str())
            .fetch_one(&mut *self.conn)
            .await?;
        if title.is_none() || title != title_from(&target.content) {
            return Ok(());
        }
        let first: Option<String> = sqlx::query_scalar(
            "SELECT content FROM messages
              WHERE account_id = ?1 AND session_id = ?2 AND role = 'user' AND content <> '' ORDER BY ord LIMIT 1",
        )
        .bind(self.account.0)
        .bind(target.session.as_str())
        .fetch_optional(&mut *self.conn)
        .await?;
        sqlx::query("UPDATE sessions SET title = ?3, updated_at = ?4 WHERE account_id = ?1 AND id = ?2")
            .bind(self.account.0)
            .bind(target.session.as_str())
            .bind(first.as_deref().and_then(title_from))
            .bind(ms(self.now))
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// The facts that rest on a message.
    async fn list_learnt(&mut self, id: MessageId) -> Result<Vec<(MemoryId, String)>, StoreError> {
        self.list_facts(
            "SELECT id, text FROM memories WHERE account_id = ?1 AND message_id = ?2 AND kind = 'fact'",
            MemoryId(id.0),
        )
        .await
    }

    /// The versions of a fact before this one.
    async fn list_older(&mut self, id: MemoryId) -> Result<Vec<(MemoryId, String)>, StoreError> {
        self.list_facts(
            "WITH RECURSIVE older (id, text) AS (
                 SELECT k.id, k.text FROM memories k
                  WHERE k.account_id = ?1 AND k.kind = 'fact' AND k.superseded_by = ?2
                  UNION
                 SELECT k.id, k.text FROM older o
                   JOIN memories k ON k.account_id = ?1 AND k.kind = 'fact' AND k.superseded_by = o.id)
             SELECT id, text FROM older WHERE id <> ?2",
            id,
        )
        .await
    }

    async fn list_facts(&mut self, sql: &'static str, id: MemoryId) -> Result<Vec<(MemoryId, String)>, StoreError> {
        let rows = sqlx::query(sql)
            .bind(self.account.0)
            .bind(blob(&id.0))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::new("memories", row);
                let id = MemoryId(c.uuid("id")?);
                c.named(id);
                Ok((id, c.take("text")?))
            })
            .collect()
    }

    /// Forgets one fact. What it had replaced is replaced by what replaced it; where nothing did, it holds again.
    async fn forget_fact(&mut self, id: MemoryId, text: &str) -> Result<(), StoreError> {
        let digests = tombstones::digests(self.key, self.account, text);
        tombstones::insert(&mut *self.conn, self.account, &digests, self.now).await?;
        sqlx::query(
            "UPDATE memories SET superseded_by =
                    (SELECT k.superseded_by FROM memories k WHERE k.account_id = ?1 AND k.id = ?2)
              WHERE account_id = ?1 AND kind = 'fact' AND superseded_by = ?2",
        )
        .bind(self.account.0)
        .bind(blob(&id.0))
        .execute(&mut *self.conn)
        .await?;
        self.drop_fact(id, text).await
    }

    async fn drop_fact(&mut self, id: MemoryId, text: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM memories WHERE account_id = ?1 AND id = ?2 AND kind = 'fact'")
            .bind(self.account.0)
            .bind(blob(&id.0))
            .execute(&mut *self.conn)
            .await?;
        self.traces.add_text(text);
        self.quotes.add_fact(text);
        self.gone(id);
        self.done.memory_ids.push(id);
        let digest = tombstones::id_digest(self.account, id);
        tombstones::insert(&mut *self.conn, self.account, &[digest], self.now).await
    }

    async fn forget_summary(&mut self, id: MemoryId) -> Result<(), StoreError> {
        let row = sqlx::query(
            "SELECT s.session_id, coalesce(k.text, '') FROM summaries s
               LEFT JOIN memories k ON k.account_id = s.account_id AND k.id = s.id
              WHERE s.account_id = ?1 AND s.id = ?2",
        )
        .bind(self.account.0)
        .bind(blob(&id.0))
        .fetch_optional(&mut *self.conn)
        .await?;
        let Some(row) = row else { return Ok(()) };
        let mut c = Columns::new("summaries", &row);
        c.named(id);
        let session: SessionId = c.parsed("session_id", str::parse)?;
        let text: &str = c.take("text")?;
        self.traces.add_text(text);
        self.quotes.add_said(text);
        self.handed.take_back(self.account, &session);
        summaries::make_stale(&mut *self.conn, self.account, id).await?;
        self.gone(id);
        self.done.stale_summaries.push(id);
        if !self.done.sessions.contains(&session) {
            self.done.sessions.push(session);
        }
        Ok(())
    }
}

/// Full-text tables that only mark rows as deleted: their terms stand in the segments until those are merged. Asked of
/// the schema, so that none is left out. (The other ones take terms out at once: `secure-delete` in their migration.)
const LIST_MARKED: &str = "
    SELECT name FROM sqlite_schema
     WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts5 %' AND sql LIKE '%contentless_delete%'";

/// One slice of merging a full-text table: `first` takes all its segments on. Answers whether anything was done.
async fn merge_slice(conn: &mut SqliteConnection, table: &str, first: bool) -> Result<bool, StoreError> {
    const CHANGES: &str = "SELECT total_changes()";
    let sql = format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?1)");
    let before: i64 = sqlx::query_scalar(CHANGES).fetch_one(&mut *conn).await?;
    sqlx::query(AssertSqlSafe(sql))
        .bind(if first { -MERGE_PAGES } else { MERGE_PAGES })
        .persistent(false)
        .execute(&mut *conn)
        .await?;
    let after: i64 = sqlx::query_scalar(CHANGES).fetch_one(conn).await?;
    // The command itself counts as one.
    Ok(after - before > 1)
}

impl Store {
    /// Forgets a memory, and all that was made of it, in one transaction; `None` if the account has no such memory (or
    /// message). Then call [`Store::scrub`]: until it is through, bytes may be left in the file. A fact is forgotten
    /// with the versions before it.
    pub async fn forget(
        &self,
        account: AccountId,
        id: MemoryId,
        key: &TombstoneKey,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, StoreError> {
        let key = key.clone();
        let (handed, traces) = (Arc::clone(&self.handed_out), Arc::clone(&self.traces));
        let forgotten = self
            .write(Class::Acknowledged, move |conn| {
                let key = key.clone();
                let (handed, traces) = (Arc::clone(&handed), Arc::clone(&traces));
                async move {
                    let mut work = Work {
                        conn,
                        account,
                        key: &key,
                        handed: &handed,
                        now,
                        done: Forgotten {
                            kind: MemoryKind::Message,
                            memory_ids: Vec::new(),
                            message_ids: Vec::new(),
                            sessions: Vec::new(),
                            stale_summaries: Vec::new(),
                            voided: Vec::new(),
                        },
                        traces: Traces::default(),
                        quotes: Quotes::default(),
                    };
                    if !work.forget(id).await? {
                        return Ok(None);
                    }
                    work.empty_calls().await?;
                    tombstones::mark_pending(&mut *work.conn, account, now).await?;
                    // Before the commit: whoever sees the mark finds the words. Those of a job that fails do no harm.
                    traces.lock().unwrap_or_else(PoisonError::into_inner).merge(work.traces);
                    Ok(Some(work.done))
                }
                .boxed()
            })
            .await?;
        // Once more: a range may have been handed out, with the old words, while the transaction was open.
        for session in forgotten.iter().flat_map(|forgotten| &forgotten.sessions) {
            self.handed_out.take_back(account, session);
        }
        Ok(forgotten)
    }

    pub(super) fn keep_traces(&self, traces: Traces) {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner).merge(traces);
    }

    /// Whether something was forgotten whose bytes are still to be wiped out: a crash came between. For the start.
    pub async fn scrub_pending(&self) -> Result<bool, StoreError> {
        tombstones::is_pending(&mut *self.read().await?).await
    }

    /// Wipes out what forgetting (or a cleared or removed session) leaves in the file: terms of the search indexes,
    /// lines of receipts, the log, unused space of pages. In slices, so that turns pass in between; one at a time.
    pub async fn scrub(&self) -> Result<ScrubReport, StoreError> {
        let _alone = self.scrubbing.acquire().await.map_err(|_| StoreError::Closed)?;
        let traces = std::mem::take(&mut *self.traces.lock().unwrap_or_else(PoisonError::into_inner));
        let report = self.scrub_traces(&traces).await;
        match &report {
            Ok(report) if report.is_clean() => self.clear_pending().await?,
            Ok(report) => {
                tracing::warn!(
                    folded = report.folded,
                    left = report.left,
                    "bytes of something forgotten could not all be wiped out; they will be with the next scrubbing"
                );
                self.keep_traces(traces);
            }
            Err(_) => self.keep_traces(traces),
        }
        report
    }

    async fn scrub_traces(&self, traces: &Traces) -> Result<ScrubReport, StoreError> {
        let marked: Vec<String> = sqlx::query_scalar(LIST_MARKED)
            .fetch_all(&mut *self.read().await?)
            .await?;
        for table in marked {
            self.merge_all(Arc::from(quoted(&table))).await?;
        }
        self.prune_receipts(&traces.ids).await?;
        let mut report = ScrubReport {
            folded: self.fold().await?,
            ..ScrubReport::default()
        };
        // After a crash nobody knows the words any more: then the file is written anew in any case.
        let unknown = traces.is_empty() && self.scrub_pending().await?;
        if !unknown {
            report.left = self.count_left(traces).await?;
        }
        // While the log is held, what stands there can not be told from what was left behind.
        if report.folded && (unknown || report.left > 0) {
            self.chore(Chore::Rebuild).await?;
            report.rebuilt = true;
            report.folded = self.fold().await?;
            report.left = self.count_left(traces).await?;
        }
        Ok(report)
    }

    async fn count_left(&self, traces: &Traces) -> Result<u32, StoreError> {
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        let files = vec![self.path.clone(), PathBuf::from(wal)];
        count_left(&mut *self.read().await?, files, traces).await
    }

    async fn chore(&self, chore: Chore) -> Result<bool, StoreError> {
        match &self.writer {
            Some(writer) => writer.chore(chore).await,
            None => Err(StoreError::ReadOnly("it was opened for reading only".to_owned())),
        }
    }

    async fn fold(&self) -> Result<bool, StoreError> {
        for _ in 0..FOLD_ATTEMPTS {
            if self.chore(Chore::Truncate).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Merges a table's segments into one, which leaves deleted rows out.
    async fn merge_all(&self, table: Arc<str>) -> Result<(), StoreError> {
        for _ in 0..MERGE_ROUNDS {
            let mut first = true;
            loop {
                let table = Arc::clone(&table);
                let work = self.write(Class::Partial, move |conn| {
                    let table = Arc::clone(&table);
                    async move { merge_slice(conn, &table, first).await }.boxed()
                });
                if !work.await? {
                    break;
                }
                first = false;
            }
            if first {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn prune_receipts(&self, gone: &[(AccountId, MemoryId)]) -> Result<(), StoreError> {
        let accounts: BTreeSet<AccountId> = gone.iter().map(|(account, _)| *account).collect();
        for account in accounts {
            let of_account = gone.iter().filter(|(of, _)| *of == account);
            let gone: Arc<Vec<MemoryId>> = Arc::new(of_account.map(|(_, id)| *id).collect());
            let mut after = Some(Vec::new());
            while let Some(from) = after {
                let gone = Arc::clone(&gone);
                after = self
                    .write(Class::Partial, move |conn| {
                        let (gone, from) = (Arc::clone(&gone), from.clone());
                        async move { receipts::prune_slice(conn, account, &gone, &from).await }.boxed()
                    })
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes the mark away, unless something was forgotten meanwhile.
    async fn clear_pending(&self) -> Result<(), StoreError> {
        let traces = Arc::clone(&self.traces);
        self.write(Class::Acknowledged, move |conn| {
            let traces = Arc::clone(&traces);
            async move {
                let idle = traces.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
                if idle && tombstones::is_pending(&mut *conn).await? {
                    tombstones::clear_pending(conn).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }
}

/// Takes out of a file of an older schema what was deleted before deletions were wiped out.
pub(super) async fn wipe_leftovers(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    for sql in [
        "INSERT INTO messages_fts (messages_fts) VALUES ('optimize')",
        "INSERT INTO messages_grams (messages_grams) VALUES ('optimize')",
        "PRAGMA temp_store = FILE",
        "VACUUM",
        "PRAGMA temp_store = MEMORY",
    ] {
        sqlx::query(sql).persistent(false).execute(&mut *conn).await?;
    }
    Ok(())
}

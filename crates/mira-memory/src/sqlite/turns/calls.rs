//! Table `turn_calls`, the calls of running turns, and the column `messages.tool_calls`, those of replies.
//!
//! Invariant: a call that quotes something forgotten is emptied, wherever it is kept, and stays so: its id, tool, effect
//! and status tell that something was called, and nothing else is left of it.

use crate::sqlite::{
    Store, approvals,
    error::StoreError,
    messages::{json, parse_list},
    rows::{Columns, blob},
    tombstones::normalised,
    traces::{Haystack, Needles, Wanted},
    writer::Class,
};
use futures_util::{FutureExt, TryStreamExt};
use mira_core::{
    citation::Citation,
    ids::{AccountId, ApprovalId, MemoryId, MessageId, SessionId, ToolCallId, TurnId},
    tool::{CallOutcome, CallStatus, Effect, ToolCall},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::SqliteConnection;
use std::{collections::BTreeSet, sync::Arc};

/// What is said of a call that a crash cut off.
pub(in crate::sqlite) const CUT_OFF: &str = "Mira was cut off while this ran";
/// What is said of one that waited for the owner's word then.
const WAITED: &str = "Mira was cut off while this waited for the owner's word; it has not run.";
/// A message shorter than this is in everybody's mouth: a call that holds its words does not quote it. In bytes of its
/// words.
const MIN_MESSAGE_BYTES: usize = 12;
/// The same for one sentence of a message.
const MIN_SENTENCE_BYTES: usize = 24;
/// The most sentences of one message that are looked for.
const MAX_SENTENCES: usize = 64;
/// Of the arguments of an emptied call, how many characters are looked for in the file's unused space.
const TRACED_CHARS: usize = 512;

/// Whether no word is left of a call.
pub(in crate::sqlite) fn is_empty(call: &ToolCall) -> bool {
    emptied(call) == *call
}

fn emptied(call: &ToolCall) -> ToolCall {
    let mut call = call.clone();
    call.empty();
    call
}

// ---- the calls of a running turn ----------------------------------------------------------------------------------

/// Whether the turn's message was forgotten; `None` where no such turn runs.
async fn look_running(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
) -> Result<Option<bool>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT u.status IS 'forgotten' FROM turns t
           LEFT JOIN messages u ON u.account_id = t.account_id AND u.id = t.user_message_id
          WHERE t.id = ?2 AND t.account_id = ?1 AND t.state = 'running'",
    )
    .bind(account.0)
    .bind(blob(&turn.0))
    .fetch_optional(conn)
    .await?)
}

/// A call as its row may have to hold it.
struct Row {
    n: i64,
    whole: String,
    emptied: String,
}

impl Row {
    fn new(n: u32, call: &ToolCall) -> Result<Self, StoreError> {
        Ok(Self {
            n: i64::from(n),
            whole: json(call)?,
            emptied: json(&emptied(call))?,
        })
    }
}

async fn begin(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
    rows: &[Row],
) -> Result<bool, StoreError> {
    let Some(forgotten) = look_running(&mut *conn, account, turn).await? else {
        return Ok(false);
    };
    for row in rows {
        sqlx::query(
            "INSERT INTO turn_calls (turn_id, n, account_id, call, emptied) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (turn_id, n) DO UPDATE SET call = excluded.call, emptied = excluded.emptied",
        )
        .bind(blob(&turn.0))
        .bind(row.n)
        .bind(account.0)
        .bind(if forgotten { &row.emptied } else { &row.whole }.as_str())
        .bind(forgotten)
        .execute(&mut *conn)
        .await?;
    }
    Ok(true)
}

async fn end(conn: &mut SqliteConnection, account: AccountId, turn: TurnId, row: &Row) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE turn_calls SET call = CASE emptied WHEN 0 THEN ?4 ELSE ?5 END
          WHERE turn_id = ?1 AND n = ?2 AND account_id = ?3",
    )
    .bind(blob(&turn.0))
    .bind(row.n)
    .bind(account.0)
    .bind(row.whole.as_str())
    .bind(row.emptied.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// The calls of a turn that a crash cut off, in their order; those that were at work are ended.
pub(super) async fn list_cut_off(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
) -> Result<Vec<ToolCall>, StoreError> {
    let rows = sqlx::query("SELECT n, call FROM turn_calls WHERE turn_id = ?1 AND account_id = ?2 ORDER BY n")
        .bind(blob(&turn.0))
        .bind(account.0)
        .fetch_all(&mut *conn)
        .await?;
    let waiting = approvals::list_waiting(conn, account, turn).await?;
    rows.iter()
        .map(|row| {
            let mut call = read(turn, &mut Columns::new("turn_calls", row))?.1;
            let waits = waiting.contains(&call.id);
            if call.outcome.is_none() {
                call.outcome = Some(if waits {
                    CallOutcome::unsuccessful(CallStatus::Denied, WAITED)
                } else {
                    call.cut_off(CUT_OFF)
                });
            }
            Ok(call)
        })
        .collect()
}

fn read(turn: TurnId, c: &mut Columns<'_>) -> Result<(i64, ToolCall), StoreError> {
    let n = c.take("n")?;
    c.named(format_args!("{turn} {n}"));
    Ok((n, c.parsed("call", |text| serde_json::from_str(text))?))
}

/// Those of a running turn's calls that were emptied meanwhile.
pub(super) async fn list_emptied(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
) -> Result<Vec<ToolCallId>, StoreError> {
    let rows = sqlx::query("SELECT n, call FROM turn_calls WHERE turn_id = ?1 AND account_id = ?2 AND emptied = 1")
        .bind(blob(&turn.0))
        .bind(account.0)
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok(read(turn, &mut Columns::new("turn_calls", row))?.1.id))
        .collect()
}

impl Store {
    /// Keeps the calls of a round, numbered from `first_n` on, before their tools run; a repeated number replaces the
    /// call. False where the turn is gone or has ended: then no tool may run. Where one of them does more than look,
    /// they are durable when this returns; else they survive the process, not the power.
    pub async fn begin_tool_calls(
        &self,
        account: AccountId,
        turn: TurnId,
        first_n: u32,
        calls: &[ToolCall],
    ) -> Result<bool, StoreError> {
        let class = if calls.iter().all(|call| call.effect == Effect::Read) {
            Class::Partial
        } else {
            Class::Acknowledged
        };
        let rows: Result<Vec<Row>, StoreError> = (first_n..).zip(calls).map(|(n, call)| Row::new(n, call)).collect();
        let rows = Arc::new(rows?);
        self.write(class, move |conn| {
            let rows = Arc::clone(&rows);
            async move { begin(conn, account, turn, &rows).await }.boxed()
        })
        .await
    }

    /// Keeps what came of a call. Survives the process, not the power. A turn that has ended keeps nothing.
    pub async fn end_tool_call(
        &self,
        account: AccountId,
        turn: TurnId,
        n: u32,
        call: &ToolCall,
    ) -> Result<(), StoreError> {
        let row = Arc::new(Row::new(n, call)?);
        self.write(Class::Partial, move |conn| {
            let row = Arc::clone(&row);
            async move { end(conn, account, turn, &row).await }.boxed()
        })
        .await
    }
}

// ---- forgetting ---------------------------------------------------------------------------------------------------

/// What calls may quote of what is being forgotten.
#[derive(Default)]
pub(in crate::sqlite) struct Quotes {
    /// All calls of these replies, and of the turns at work on these messages, go empty.
    messages: BTreeSet<MessageId>,
    wanted: Vec<Wanted>,
    /// What a row that holds one of the wanted texts holds in any case.
    words: Vec<Vec<u8>>,
    /// One of the wanted texts has no such word.
    any: bool,
}

impl Quotes {
    /// A message all whose calls go empty, or all calls on the way to a reply to it.
    pub(in crate::sqlite) fn add_message(&mut self, id: MessageId) {
        self.messages.insert(id);
    }

    /// The id of a memory: tools name it beside what they print of it, which may be cut short.
    pub(in crate::sqlite) fn add_id(&mut self, id: MemoryId) {
        self.add(&id.to_string());
    }

    /// A fact.
    pub(in crate::sqlite) fn add_fact(&mut self, text: &str) {
        if !normalised(text).is_empty() {
            self.add(text);
        }
    }

    /// A message or a summary: the whole of it, and each of its longer sentences.
    pub(in crate::sqlite) fn add_said(&mut self, text: &str) {
        if normalised(text).len() >= MIN_MESSAGE_BYTES {
            self.add(text);
        }
        let sentences = text
            .split(['.', '!', '?', ';', '\n', '\u{3002}', '\u{2026}'])
            .filter(|sentence| normalised(sentence).len() >= MIN_SENTENCE_BYTES);
        for sentence in sentences.take(MAX_SENTENCES) {
            self.add(sentence);
        }
    }

    fn add(&mut self, text: &str) {
        let longest = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .max_by_key(|word| word.len())
            .filter(|word| !word.is_empty());
        match longest {
            Some(word) => self.words.push(word.as_bytes().to_vec()),
            None => self.any = true,
        }
        self.wanted.push(Wanted::new(text));
    }

    /// What of a column's calls goes empty: all, those that quote, or surely none.
    pub(in crate::sqlite) fn judge<'q>(
        &'q self,
        of: MessageId,
        column: &str,
        needles: Option<&Needles>,
    ) -> Option<Goes<'q>> {
        if self.messages.contains(&of) {
            return Some(Goes::All);
        }
        let mut hit = self.any;
        if let Some(needles) = needles.filter(|_| !hit) {
            needles.scan_all(column.as_bytes(), &mut |_, _| hit = true);
        }
        hit.then_some(Goes::Quoting(&self.wanted))
    }
}

/// Which calls of a row go empty.
pub(in crate::sqlite) enum Goes<'q> {
    All,
    Quoting(&'q [Wanted]),
}

impl Goes<'_> {
    /// Whether this call goes empty and is not yet.
    fn takes(&self, call: &ToolCall) -> Result<bool, StoreError> {
        Ok(!is_empty(call) && self.takes_text(&json(call)?))
    }

    /// Whether something that is kept as this text goes empty.
    pub(in crate::sqlite) fn takes_text(&self, text: &str) -> bool {
        match self {
            Self::All => true,
            Self::Quoting(wanted) => {
                let haystack = Haystack::new(text.as_bytes());
                wanted.iter().any(|wanted| wanted.stands_in(&haystack))
            }
        }
    }
}

/// What emptying calls has changed.
#[derive(Default)]
pub(in crate::sqlite) struct Emptied {
    /// The sessions with replies whose calls are other ones now.
    pub(in crate::sqlite) sessions: BTreeSet<SessionId>,
    /// What the calls were given, the beginning of it.
    pub(in crate::sqlite) words: Vec<String>,
    /// The approvals that waited and cannot be answered any more.
    pub(in crate::sqlite) voided: Vec<ApprovalId>,
}

impl Emptied {
    pub(in crate::sqlite) fn note_words(&mut self, words: &str) {
        self.words.push(words.chars().take(TRACED_CHARS).collect());
    }
}

/// Empties the account's calls, citations and approvals that quote what is being forgotten.
pub(in crate::sqlite) async fn empty_quoting(
    conn: &mut SqliteConnection,
    account: AccountId,
    quotes: &Quotes,
) -> Result<Emptied, StoreError> {
    let needles = Needles::new(quotes.words.iter().cloned());
    let mut done = Emptied::default();
    empty_in_replies::<ToolCall>(&mut *conn, account, quotes, needles.as_ref(), &mut done).await?;
    empty_in_replies::<Citation>(&mut *conn, account, quotes, needles.as_ref(), &mut done).await?;
    empty_in_turns(&mut *conn, account, quotes, needles.as_ref(), &mut done).await?;
    approvals::empty_quoting(conn, account, quotes, needles.as_ref(), &mut done).await?;
    Ok(done)
}

/// What a column of `messages` keeps a list of, and what emptying one of them means.
pub(in crate::sqlite) trait Quoting: Clone + PartialEq + Serialize + DeserializeOwned {
    /// The column.
    const COLUMN: &'static str;
    /// Id, place, session and the column of every message of the account `?1` that has such a list.
    const LIST: &'static str;
    /// Sets the column of the message in place `?1` to `?2`.
    const UPDATE: &'static str;

    /// Takes every word out of it.
    fn empty(&mut self);
    /// What it says, as far as it is looked for in the file's unused space.
    fn words(&self) -> impl Iterator<Item = &str>;
}

impl Quoting for ToolCall {
    const COLUMN: &'static str = "tool_calls";
    const LIST: &'static str =
        "SELECT id, ord, session_id, tool_calls FROM messages WHERE account_id = ?1 AND tool_calls IS NOT NULL";
    const UPDATE: &'static str = "UPDATE messages SET tool_calls = ?2 WHERE ord = ?1";

    fn empty(&mut self) {
        Self::empty(self);
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.arguments.as_str())
    }
}

async fn empty_in_replies<T: Quoting>(
    conn: &mut SqliteConnection,
    account: AccountId,
    quotes: &Quotes,
    needles: Option<&Needles>,
    done: &mut Emptied,
) -> Result<(), StoreError> {
    let mut changed = Vec::new();
    let mut rows = sqlx::query(T::LIST).bind(account.0).fetch(&mut *conn);
    while let Some(row) = rows.try_next().await? {
        let mut c = Columns::new("messages", &row);
        let id = MessageId(c.uuid("id")?);
        c.named(id);
        let ord: i64 = c.take("ord")?;
        let session = c.parsed("session_id", str::parse)?;
        let text: &str = c.take(T::COLUMN)?;
        let Some(goes) = quotes.judge(id, text, needles) else {
            continue;
        };
        let mut list: Vec<T> = parse_list(text).map_err(|error| c.bad(T::COLUMN, error))?;
        let mut touched = false;
        for item in &mut list {
            let mut emptied = item.clone();
            emptied.empty();
            if emptied != *item && goes.takes_text(&json(item)?) {
                item.words().for_each(|words| done.note_words(words));
                *item = emptied;
                touched = true;
            }
        }
        if touched {
            changed.push((ord, json(&list)?));
            done.sessions.insert(session);
        }
    }
    drop(rows);
    for (ord, list) in changed {
        sqlx::query(T::UPDATE).bind(ord).bind(list).execute(&mut *conn).await?;
    }
    Ok(())
}

async fn empty_in_turns(
    conn: &mut SqliteConnection,
    account: AccountId,
    quotes: &Quotes,
    needles: Option<&Needles>,
    done: &mut Emptied,
) -> Result<(), StoreError> {
    // Few turns run at once, and each has few calls.
    let rows = sqlx::query(
        "SELECT t.id, t.user_message_id, c.n, c.call FROM turns t CROSS JOIN turn_calls c ON c.turn_id = t.id
          WHERE t.account_id = ?1 AND t.state = 'running'",
    )
    .bind(account.0)
    .fetch_all(&mut *conn)
    .await?;
    for row in &rows {
        let mut c = Columns::new("turn_calls", row);
        let turn = TurnId(c.uuid("turn_id")?);
        let message = MessageId(c.uuid("user_message_id")?);
        let (n, mut call) = read(turn, &mut c)?;
        let goes = quotes.judge(message, &json(&call)?, needles);
        // What looks at this moment may bring the words only when it ends.
        let looks = call.outcome.is_none() && call.effect == Effect::Read;
        let empties = match goes {
            Some(Goes::All) => true,
            Some(goes) => looks || goes.takes(&call)?,
            None => looks,
        };
        if !empties {
            continue;
        }
        done.note_words(&call.arguments);
        call.empty();
        sqlx::query("UPDATE turn_calls SET call = ?3, emptied = 1 WHERE turn_id = ?1 AND n = ?2")
            .bind(blob(&turn.0))
            .bind(n)
            .bind(json(&call)?)
            .execute(&mut *conn)
            .await?;
        // Which call a source came from is not kept.
        sqlx::query("UPDATE turn_parts SET citations = NULL WHERE turn_id = ?1")
            .bind(blob(&turn.0))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

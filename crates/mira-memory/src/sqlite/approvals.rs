//! Table `approvals`: calls that wait, or have waited, for the owner's word.
//!
//! Invariants: an approval is answered once, by whoever comes first; one whose time is over counts as expired whether or
//! not anybody has noted it; what came of an approved call stands here and, where the reply is stored already, in the
//! reply; one that quotes something forgotten is emptied like any call, and cannot be approved any more.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{json, list_column, parse_list, unknown},
    ord_cursor,
    rows::{Columns, blob, int, ms},
    traces::Needles,
    turns::calls::{self, Emptied, Quotes},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use mira_core::{
    approval::{Answer, Approval, ApprovalStatus, Reason},
    ids::{AccountId, ApprovalId, MessageId, ProjectId, ToolCallId, TurnId},
    tool::{CallOutcome, ToolCall},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

/// How long one is kept after its time.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

ord_cursor! {
    /// A place in the list of approvals.
    ApprovalCursor
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// It counts.
    Now(Box<Approval>),
    /// It was answered, has expired or become void before; as it stands.
    Before(Box<Approval>),
}

/// What became of an outcome that was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedApproval {
    /// The approval, its call with the outcome.
    pub approval: Approval,
    /// Whether the reply was stored already and tells of the outcome now.
    pub in_reply: bool,
}

/// The columns of an approval `a` at the time `?2`, as [`read`] takes them.
macro_rules! approval_columns {
    () => {
        "a.id, a.session_id, a.turn_id, a.reply_id, a.message_id, a.project_id, a.call, a.reason, a.untrusted, a.zone,
         CASE WHEN a.status = 'pending' AND a.expires_at <= ?2 THEN 'expired' ELSE a.status END,
         a.created_at, a.expires_at, a.answered_at, a.key"
    };
}

fn read(row: &SqliteRow) -> Result<(Approval, ApprovalCursor), StoreError> {
    let mut c = Columns::new("approvals", row);
    let id = ApprovalId(c.uuid("id")?);
    c.named(id);
    let approval = Approval {
        id,
        session_id: c.parsed("session_id", str::parse)?,
        turn_id: TurnId(c.uuid("turn_id")?),
        reply_id: MessageId(c.uuid("reply_id")?),
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        project_id: c.uuid_or_null("project_id")?.map(ProjectId),
        call: c.parsed("call", |text| serde_json::from_str::<ToolCall>(text))?,
        reason: c.parsed("reason", |text| Reason::parse(text).ok_or_else(|| unknown(text)))?,
        untrusted: c.take("untrusted")?,
        zone: c.take("zone")?,
        status: c.parsed("status", |text| {
            ApprovalStatus::parse(text).ok_or_else(|| unknown(text))
        })?,
        created_at: c.time("created_at")?,
        expires_at: c.time("expires_at")?,
        answered_at: c.time_or_null("answered_at")?,
    };
    Ok((approval, ApprovalCursor(c.take("key")?)))
}

const FIND: &str = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals a WHERE a.account_id = ?1 AND a.id = ?3"
);

async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ApprovalId,
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let row = sqlx::query(FIND)
        .bind(account.0)
        .bind(ms(now))
        .bind(blob(&id.0))
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(|row| Ok(read(row)?.0)).transpose()
}

const INSERT: &str = "
    INSERT INTO approvals (account_id, id, session_id, turn_id, reply_id, message_id, project_id, call_id, call, reason,
                           untrusted, zone, status, created_at, expires_at, answered_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
        ON CONFLICT (account_id, id) DO NOTHING";

async fn insert(conn: &mut SqliteConnection, account: AccountId, new: &Approval) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&new.id.0))
        .bind(new.session_id.as_str())
        .bind(blob(&new.turn_id.0))
        .bind(blob(&new.reply_id.0))
        .bind(new.message_id.as_ref().map(|id| blob(&id.0)))
        .bind(new.project_id.as_ref().map(|id| blob(&id.0)))
        .bind(blob(&new.call.id.0))
        .bind(json(&new.call)?)
        .bind(new.reason.as_str())
        .bind(new.untrusted)
        .bind(new.zone.as_deref())
        .bind(new.status.as_str())
        .bind(ms(new.created_at))
        .bind(ms(new.expires_at))
        .bind(new.answered_at.map(ms))
        .execute(conn)
        .await?;
    Ok(())
}

/// Only what still waits at `?2` changes.
const SETTLE: &str = "
    UPDATE approvals SET status = ?4, answered_at = ?2
     WHERE account_id = ?1 AND id = ?3 AND status = 'pending' AND expires_at > ?5";

/// Answers whether it changed; `deadline` is what its time must not have passed.
async fn settle(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ApprovalId,
    status: ApprovalStatus,
    now: Timestamp,
    deadline: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(SETTLE)
        .bind(account.0)
        .bind(ms(now))
        .bind(blob(&id.0))
        .bind(status.as_str())
        .bind(ms(deadline))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn purge(conn: &mut SqliteConnection, account: AccountId, now: Timestamp) -> Result<(), StoreError> {
    let before = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    sqlx::query("DELETE FROM approvals WHERE account_id = ?1 AND expires_at < ?2")
        .bind(account.0)
        .bind(ms(before))
        .execute(conn)
        .await?;
    Ok(())
}

/// The call of the stored reply gets the outcome; whether it did.
async fn tell_reply(
    conn: &mut SqliteConnection,
    account: AccountId,
    reply: MessageId,
    ended: &ToolCall,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT tool_calls FROM messages WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&reply.0))
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(false) };
    let mut c = Columns::new("messages", &row);
    c.named(reply);
    let mut kept = c
        .parsed_or_null("tool_calls", parse_list::<ToolCall>)?
        .unwrap_or_default();
    let Some(call) = kept.iter_mut().find(|call| call.id == ended.id) else {
        return Ok(false);
    };
    // What is shown of the arguments stays as it is; an emptied call stays empty.
    let was_empty = calls::is_empty(call);
    call.outcome.clone_from(&ended.outcome);
    if was_empty {
        call.empty();
    }
    sqlx::query("UPDATE messages SET tool_calls = ?3 WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&reply.0))
        .bind(list_column(&kept)?)
        .execute(conn)
        .await?;
    Ok(true)
}

async fn finish(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ApprovalId,
    outcome: &CallOutcome,
    now: Timestamp,
) -> Result<Option<FinishedApproval>, StoreError> {
    let Some(mut approval) = find(&mut *conn, account, id, now).await? else {
        return Ok(None);
    };
    approval.call.outcome = Some(outcome.clone());
    let emptied: bool = sqlx::query_scalar("SELECT emptied FROM approvals WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_one(&mut *conn)
        .await?;
    if emptied {
        approval.call.empty();
    }
    store_call(&mut *conn, account, id, &approval.call).await?;
    let in_reply = tell_reply(conn, account, approval.reply_id, &approval.call).await?;
    Ok(Some(FinishedApproval { approval, in_reply }))
}

async fn store_call(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ApprovalId,
    call: &ToolCall,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE approvals SET call = ?3 WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&id.0))
        .bind(json(call)?)
        .execute(conn)
        .await?;
    Ok(())
}

const LIST: &str = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals a
      WHERE a.account_id = ?1 AND a.key < ?3
        AND (?5 IS NULL OR CASE WHEN a.status = 'pending' AND a.expires_at <= ?2 THEN 'expired' ELSE a.status END = ?5)
      ORDER BY a.key DESC LIMIT (?4 + 0)"
);

/// Those that were approved and whose calls have no outcome: whatever ran them is gone.
const LIST_CUT_OFF: &str = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals a
      WHERE a.account_id = ?1 AND a.status = 'approved' AND json_extract(a.call, '$.outcome') IS NULL"
);

async fn recover(conn: &mut SqliteConnection, account: AccountId, now: Timestamp) -> Result<(), StoreError> {
    purge(&mut *conn, account, now).await?;
    let rows = sqlx::query(LIST_CUT_OFF)
        .bind(account.0)
        .bind(ms(now))
        .fetch_all(&mut *conn)
        .await?;
    for row in &rows {
        let (approval, _) = read(row)?;
        let outcome = approval.call.cut_off(calls::CUT_OFF);
        finish(&mut *conn, account, approval.id, &outcome, now).await?;
    }
    Ok(())
}

/// Empties the account's approvals that quote what is being forgotten; those that wait cannot be approved any more.
pub(super) async fn empty_quoting(
    conn: &mut SqliteConnection,
    account: AccountId,
    quotes: &Quotes,
    needles: Option<&Needles>,
    done: &mut Emptied,
) -> Result<(), StoreError> {
    // There are few: they are kept for a month.
    let rows = sqlx::query(
        "SELECT key, id, status, reply_id, message_id, call FROM approvals WHERE account_id = ?1 AND emptied = 0",
    )
    .bind(account.0)
    .fetch_all(&mut *conn)
    .await?;
    for row in &rows {
        let mut c = Columns::new("approvals", row);
        let key: i64 = c.take("key")?;
        c.named(key);
        let id = ApprovalId(c.uuid("id")?);
        let waits = c.take::<&str>("status")? == ApprovalStatus::Pending.as_str();
        let reply = MessageId(c.uuid("reply_id")?);
        let message = c.uuid_or_null("message_id")?.map(MessageId);
        let text: &str = c.take("call")?;
        let takes = |of| {
            let goes = quotes.judge(of, text, needles);
            goes.is_some_and(|goes| goes.takes_text(text))
        };
        if !takes(reply) && !message.is_some_and(takes) {
            continue;
        }
        let mut call: ToolCall = serde_json::from_str(text).map_err(|error| c.bad("call", error))?;
        done.note_words(&call.arguments);
        if waits {
            done.voided.push(id);
        }
        call.empty();
        sqlx::query(
            "UPDATE approvals SET call = ?3, emptied = 1,
                    status = CASE status WHEN 'pending' THEN 'void' ELSE status END
              WHERE account_id = ?1 AND key = ?2",
        )
        .bind(account.0)
        .bind(key)
        .bind(json(&call)?)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The calls of a turn that were still waiting for the owner's word.
pub(super) async fn list_waiting(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
) -> Result<Vec<ToolCallId>, StoreError> {
    let rows = sqlx::query(
        "SELECT call_id FROM approvals WHERE turn_id = ?2 AND account_id = ?1 AND status IN ('pending', 'expired')",
    )
    .bind(account.0)
    .bind(blob(&turn.0))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok(ToolCallId(Columns::new("approvals", row).uuid("call_id")?)))
        .collect()
}

impl Store {
    /// Keeps approvals that are asked for, durably, and drops those of long ago.
    pub async fn insert_approvals(
        &self,
        account: AccountId,
        new: Vec<Approval>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let new = Arc::new(new);
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move {
                purge(&mut *conn, account, now).await?;
                for approval in new.iter() {
                    insert(&mut *conn, account, approval).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// An approval as it stands.
    pub async fn find_approval(
        &self,
        account: AccountId,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError> {
        find(&mut *self.read().await?, account, id, now).await
    }

    /// Approvals, the newest first; with `status` only those that stand so.
    pub async fn list_approvals(
        &self,
        account: AccountId,
        status: Option<ApprovalStatus>,
        page: Page<ApprovalCursor>,
        now: Timestamp,
    ) -> Result<Listed<Approval, ApprovalCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(ms(now))
            .bind(page.cursor.map_or(i64::MAX, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .bind(status.map(ApprovalStatus::as_str))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// The owner's word about a call that waits; the first one counts. `None` if there is no such approval.
    pub async fn answer_approval(
        &self,
        account: AccountId,
        id: ApprovalId,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Option<Answered>, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                let counts = settle(&mut *conn, account, id, answer.status(), now, now).await?;
                let found = find(conn, account, id, now).await?.map(Box::new);
                Ok(found.map(|found| {
                    if counts {
                        Answered::Now(found)
                    } else {
                        Answered::Before(found)
                    }
                }))
            }
            .boxed()
        })
        .await
    }

    /// Ends the wait of an approval whose time is over, or whose turn is. Answers it as it stands: somebody may have
    /// answered at the last moment.
    pub async fn end_approval(
        &self,
        account: AccountId,
        id: ApprovalId,
        status: ApprovalStatus,
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                settle(&mut *conn, account, id, status, now, Timestamp::MIN).await?;
                find(conn, account, id, now).await
            }
            .boxed()
        })
        .await
    }

    /// Keeps what came of an approved call, here and in the reply where that is stored. `None` where the approval is
    /// gone.
    pub async fn finish_approval(
        &self,
        account: AccountId,
        id: ApprovalId,
        outcome: &CallOutcome,
        now: Timestamp,
    ) -> Result<Option<FinishedApproval>, StoreError> {
        let outcome = Arc::new(outcome.clone());
        self.write(Class::Acknowledged, move |conn| {
            let outcome = Arc::clone(&outcome);
            async move { finish(conn, account, id, &outcome, now).await }.boxed()
        })
        .await
    }

    /// Ends what a crash cut off: calls that were approved and whose end nobody saw. Those that wait still wait. For the
    /// start, before anything runs.
    pub async fn recover_approvals(&self, account: AccountId, now: Timestamp) -> Result<(), StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move { recover(conn, account, now).await }.boxed()
        })
        .await
    }
}

//! The end of a turn: the reply, Mira's state and mood and the turn's state in one transaction; and the same for turns
//! that a crash cut off.

use super::{FinishOutcome, FinishTurn, NewReply, Recovered, TurnState, calls, stored};
use crate::sqlite::{
    citations,
    error::StoreError,
    messages::{self, exposure_column, json, list_column, parse_mood, read_exposure, usage_columns},
    outbox::queue_new_message,
    receipts,
    rows::{Columns, SPARE, bind_spare, blob, int, ms},
    search::grams,
    sessions::touch,
};
use jiff::Timestamp;
use mira_core::{
    chat::{Exposure, Message, MessageStatus, Mood, ReplyMeta, Role},
    citation::Citation,
    ids::{AccountId, MessageId, ProjectId, SessionId, ToolCallId, TurnId},
    persona::PersonaName,
    tool::ToolCall,
};
use sqlx::SqliteConnection;

/// A turn about to end.
struct Ending {
    session: SessionId,
    user_message: MessageId,
    reply_id: MessageId,
    state: TurnState,
    /// What its head said, if it came to one.
    exposure: Option<Exposure>,
    depth: Option<u64>,
    project_id: Option<ProjectId>,
    /// The owner's message was forgotten meanwhile.
    forgotten: bool,
    siblings: Vec<MessageId>,
}

const LOOK_TURN: &str = "
    SELECT t.session_id, t.user_message_id, t.reply_id, t.state, t.exposed, u.depth, u.project_id,
           u.status IS 'forgotten',
           (SELECT group_concat(hex(x.id), '' ORDER BY x.ord) FROM messages x
             WHERE x.account_id = ?1 AND x.parent_id = t.user_message_id AND x.session_id = t.session_id
               AND NOT EXISTS (SELECT 1 FROM turns q WHERE q.after_turn = t.id AND q.user_message_id = x.id))
      FROM turns t LEFT JOIN messages u ON u.account_id = t.account_id AND u.id = t.user_message_id
     WHERE t.id = ?2 AND t.account_id = ?1";

async fn look_turn(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
) -> Result<Option<Ending>, StoreError> {
    let row = sqlx::query(LOOK_TURN)
        .bind(account.0)
        .bind(blob(&turn.0))
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut c = Columns::new("turns", &row);
    c.named(turn);
    Ok(Some(Ending {
        session: c.parsed("session_id", str::parse)?,
        user_message: MessageId(c.uuid("user_message_id")?),
        reply_id: MessageId(c.uuid("reply_id")?),
        state: c.parsed("state", TurnState::parse)?,
        exposure: read_exposure(&mut c)?,
        depth: c.take::<Option<i64>>("depth")?.map(i64::unsigned_abs),
        project_id: c.uuid_or_null("project_id")?.map(ProjectId),
        forgotten: c.take("status")?,
        siblings: c.uuids("id")?.into_iter().map(MessageId).collect(),
    }))
}

/// `?1` account, `?2` turn, `?3` state, `?4` now.
macro_rules! finish_turn {
    () => {
        "UPDATE turns SET state = ?3, ended_at = ?4 WHERE id = ?2 AND account_id = ?1;
         DELETE FROM turn_parts WHERE turn_id = ?2;
         DELETE FROM turn_calls WHERE turn_id = ?2;"
    };
}

const FINISH_EMPTY: &str = concat!(
    finish_turn!(),
    "UPDATE turns SET tokens = ?5 WHERE id = ?2 AND account_id = ?1"
);

/// `?5` session, `?6` reply, `?7` owner's message, `?8` Mira's mood, `?9` its cause, `?10` its overlay, `?11` the nudge
/// told, `?12` the mood's entry, `?13` the overlay of the moment, `?14` on: the reply's columns,
/// `?30` its calls, `?31` its citations, `?32` its exposure.
macro_rules! finish_reply {
    () => {
        concat!(
            finish_turn!(),
            "INSERT INTO messages (account_id, turn_id, created_at, session_id, id, parent_id, role,
                                   depth, content, status, persona, mood, mood_cause, intent, owner_mood, tags,
                                   salience, model, input_tokens, cached_tokens, output_tokens, reasoning_tokens,
                                   project_id, tool_calls, citations, exposed)
             VALUES (?1, ?2, ?4, ?5, ?6, ?7, 'assistant',
                     ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31,
                     ?32);
             UPDATE messages SET depth = depth + 1 WHERE account_id = ?1 AND id IN (
                    WITH RECURSIVE moved (id) AS (
                        SELECT m.id FROM turns q CROSS JOIN messages m ON m.account_id = ?1 AND m.id = q.user_message_id
                         WHERE q.after_turn = ?2 AND m.parent_id = ?7
                         UNION ALL
                        SELECT m.id FROM moved d CROSS JOIN messages m ON m.account_id = ?1 AND m.parent_id = d.id)
                    SELECT id FROM moved);
             UPDATE messages SET parent_id = ?6 WHERE account_id = ?1 AND parent_id = ?7
                AND id IN (SELECT q.user_message_id FROM turns q WHERE q.after_turn = ?2);
             UPDATE sessions SET head_id = CASE WHEN head_id = ?7 THEN ?6 ELSE head_id END,
                    message_count = message_count + 1, updated_at = ?4,",
            touch!(),
            "WHERE account_id = ?1 AND id = ?5;
             UPDATE mira_state SET
                    persona = coalesce(?10, persona),
                    mood = CASE WHEN nudged AND mood IS NOT ?11 THEN mood ELSE ?8 END,
                    mood_cause = CASE WHEN nudged AND mood IS NOT ?11 THEN mood_cause ELSE ?9 END,
                    nudged = nudged AND mood IS NOT ?11
              WHERE account_id = ?1 AND ?8 IS NOT NULL;
             INSERT INTO moods (account_id, created_at, session_id, message_id, mood, cause, id, persona, source)
             SELECT ?1, ?4, ?5, ?6, ?8, ?9, ?12, coalesce(?13, persona), 'reply'
               FROM mira_state WHERE account_id = ?1 AND ?8 IS NOT NULL;",
            queue_new_message!("?5", "?6", "?4", "?15")
        )
    };
}

const FINISH: &str = finish_reply!();
const FINISH_GRAMS: &str = concat!(
    finish_reply!(),
    "; INSERT INTO messages_grams (rowid, grams) SELECT ord, ?33 FROM messages WHERE account_id = ?1 AND id = ?6"
);

/// What the transaction has made of a turn's end; what it was given is not in it.
pub(super) enum Ended {
    Gone,
    /// Before, or without a reply.
    Otherwise(Option<Box<Message>>),
    Now(Box<Place>),
}

/// Where the reply is stored, and which of its words are not.
pub(super) struct Place {
    turn: Ending,
    left_out: LeftOut,
}

impl Ended {
    /// The outcome, with the reply as it is stored.
    pub(super) fn told(self, end: FinishTurn) -> FinishOutcome {
        match (self, end.reply) {
            (Self::Gone, _) => FinishOutcome::Gone,
            (Self::Otherwise(message), _) => FinishOutcome::Finished(message.map(|message| *message)),
            (Self::Now(place), Some(reply)) => FinishOutcome::Finished(Some(place.message(reply, end.now))),
            (Self::Now(_), None) => FinishOutcome::Finished(None),
        }
    }
}

pub(super) async fn finish(
    conn: &mut SqliteConnection,
    account: AccountId,
    end: &FinishTurn,
) -> Result<Ended, StoreError> {
    let Some(turn) = look_turn(&mut *conn, account, end.turn_id).await? else {
        return Ok(Ended::Gone);
    };
    if turn.state != TurnState::Running {
        let message = messages::find(conn, account, turn.reply_id).await?;
        return Ok(Ended::Otherwise(message.map(Box::new)));
    }
    let Some(depth) = turn.depth else {
        return Ok(Ended::Gone);
    };
    if let Some(reply) = &end.reply {
        let left_out = insert_reply(&mut *conn, account, end, reply, &turn, depth + 1).await?;
        if let Some(receipt) = end
            .receipt
            .as_ref()
            .filter(|receipt| receipt.message_id == turn.reply_id)
        {
            receipts::insert(conn, account, receipt).await?;
        }
        Ok(Ended::Now(Box::new(Place { turn, left_out })))
    } else {
        let query = sqlx::query(FINISH_EMPTY)
            .bind(account.0)
            .bind(blob(&end.turn_id.0))
            .bind(end.state.as_str())
            .bind(ms(end.now))
            .bind(end.tokens.map(int));
        bind_spare(query, SPARE).execute(conn).await?;
        Ok(Ended::Otherwise(None))
    }
}

/// What of a reply's calls and citations is not stored: their words were forgotten while the turn ran.
enum LeftOut {
    Nothing,
    /// The words of these calls, and of all citations: which call a source came from is not kept.
    Calls(Vec<ToolCallId>),
    All,
}

impl LeftOut {
    async fn of(
        conn: &mut SqliteConnection,
        account: AccountId,
        turn: TurnId,
        reply: &NewReply,
        forgotten: bool,
    ) -> Result<Self, StoreError> {
        if forgotten {
            return Ok(Self::All);
        }
        if reply.tool_calls.is_empty() {
            return Ok(Self::Nothing);
        }
        let emptied = calls::list_emptied(conn, account, turn).await?;
        Ok(if emptied.is_empty() {
            Self::Nothing
        } else {
            Self::Calls(emptied)
        })
    }

    fn take_from(&self, kept: &mut [ToolCall], citations: &mut [Citation]) {
        let is_left_out = |call: &ToolCall| match self {
            Self::Nothing => false,
            Self::Calls(emptied) => emptied.contains(&call.id),
            Self::All => true,
        };
        kept.iter_mut()
            .filter(|call| is_left_out(call))
            .for_each(ToolCall::empty);
        if !matches!(self, Self::Nothing) {
            citations.iter_mut().for_each(Citation::empty);
        }
    }

    /// The columns of the calls and of the citations.
    fn columns(&self, reply: &NewReply) -> Result<[Option<String>; 2], StoreError> {
        if matches!(self, Self::Nothing) {
            return Ok([list_column(&reply.tool_calls)?, list_column(&reply.citations)?]);
        }
        let (mut kept, mut citations) = (reply.tool_calls.clone(), reply.citations.clone());
        self.take_from(&mut kept, &mut citations);
        Ok([list_column(&kept)?, list_column(&citations)?])
    }
}

async fn insert_reply(
    conn: &mut SqliteConnection,
    account: AccountId,
    end: &FinishTurn,
    reply: &NewReply,
    turn: &Ending,
    depth: u64,
) -> Result<LeftOut, StoreError> {
    let grams = grams(&reply.content);
    let left_out = LeftOut::of(&mut *conn, account, end.turn_id, reply, turn.forgotten).await?;
    let [tool_calls, citations] = left_out.columns(reply)?;
    let (meta, mira) = (reply.meta.as_ref(), end.mira.as_ref());
    let [input_tokens, cached_tokens, output_tokens, reasoning_tokens] = usage_columns(reply.usage);
    let query = sqlx::query(if grams.is_some() { FINISH_GRAMS } else { FINISH })
        .bind(account.0)
        .bind(blob(&end.turn_id.0))
        .bind(end.state.as_str())
        .bind(ms(end.now))
        .bind(turn.session.as_str())
        .bind(blob(&turn.reply_id.0))
        .bind(blob(&turn.user_message.0))
        .bind(mira.map(|mira| mira.mood.as_str()))
        .bind(mira.and_then(|mira| mira.cause.as_deref()))
        .bind(mira.and_then(|mira| mira.persona.as_ref()).map(PersonaName::as_str))
        .bind(end.told_nudge.as_ref().map(Mood::as_str))
        .bind(mira.map(|mira| blob(&mira.entry.0)))
        .bind(meta.map(|meta| meta.persona.as_str()))
        .bind(int(depth))
        .bind(reply.content.as_str())
        .bind(reply.status.as_str())
        .bind(meta.map(|meta| meta.persona.as_str()))
        .bind(meta.map(|meta| meta.mood.as_str()))
        .bind(meta.and_then(|meta| meta.mood_cause.as_deref()))
        .bind(meta.and_then(|meta| meta.intent.as_deref()))
        .bind(meta.and_then(|meta| meta.owner_mood.as_deref()))
        .bind(meta.map(|meta| json(&meta.tags)).transpose()?)
        .bind(
            meta.and_then(|meta| meta.salience)
                .map(|salience| f64::from(salience.get())),
        )
        .bind(reply.model.as_deref())
        .bind(input_tokens)
        .bind(cached_tokens)
        .bind(output_tokens)
        .bind(reasoning_tokens)
        .bind(turn.project_id.as_ref().map(|id| blob(&id.0)))
        .bind(tool_calls)
        .bind(citations)
        .bind(exposure_column(turn.exposure_of(reply)))
        .bind(grams);
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(left_out)
}

impl Ending {
    /// How near strangers' words were to the reply, what its calls read included.
    fn exposure_of(&self, reply: &NewReply) -> Exposure {
        let mut outcomes = reply.tool_calls.iter().filter_map(|call| call.outcome.as_ref());
        if outcomes.any(|outcome| outcome.untrusted) {
            return Exposure::Direct;
        }
        reply.exposure.or(self.exposure).unwrap_or(Exposure::Direct)
    }
}

impl Place {
    /// The reply as it is stored.
    fn message(self, reply: NewReply, now: Timestamp) -> Message {
        let Self { turn, left_out } = self;
        let exposure = turn.exposure_of(&reply);
        let (mut tool_calls, mut citations) = (reply.tool_calls, reply.citations);
        left_out.take_from(&mut tool_calls, &mut citations);
        let mut sibling_ids = turn.siblings;
        sibling_ids.push(turn.reply_id);
        Message {
            id: turn.reply_id,
            session_id: turn.session,
            parent_id: Some(turn.user_message),
            sibling_ids,
            role: Role::Assistant,
            content: reply.content,
            meta: reply.meta,
            status: reply.status,
            project_id: turn.project_id,
            metadata: None,
            model: reply.model,
            usage: reply.usage,
            tool_calls,
            citations,
            files: Vec::new(),
            exposure,
            created_at: stored(now),
        }
    }
}

const LIST_RUNNING: &str = "
    SELECT t.id, t.persona, t.mood, t.mood_cause, t.model,
           (SELECT group_concat(p.text, '' ORDER BY p.n) FROM turn_parts p WHERE p.turn_id = t.id)
      FROM turns t WHERE t.account_id = ?1 AND t.state = 'running' ORDER BY t.id";

pub(super) async fn recover(
    conn: &mut SqliteConnection,
    account: AccountId,
    now: Timestamp,
) -> Result<Recovered, StoreError> {
    let rows = sqlx::query(LIST_RUNNING).bind(account.0).fetch_all(&mut *conn).await?;
    let mut recovered = Recovered::default();
    for row in &rows {
        let mut c = Columns::new("turns", row);
        let turn_id = TurnId(c.uuid("id")?);
        c.named(turn_id);
        let persona = c.parsed_or_null("persona", PersonaName::parse)?;
        let mood = c.parsed_or_null("mood", parse_mood)?;
        let mood_cause: Option<String> = c.take("mood_cause")?;
        let model: Option<String> = c.take("model")?;
        let text: Option<String> = c.take("text")?;
        let tool_calls = calls::list_cut_off(&mut *conn, account, turn_id).await?;
        let citations = citations::list_cut_off(&mut *conn, account, turn_id).await?;
        let meta = persona.zip(mood).map(|(persona, mood)| ReplyMeta {
            persona,
            mood,
            mood_cause,
            intent: None,
            owner_mood: None,
            tags: Vec::new(),
            salience: None,
            remember: Vec::new(),
        });
        let reply = text.filter(|text| !text.is_empty()).map(|content| NewReply {
            content,
            meta,
            status: MessageStatus::Interrupted,
            model,
            usage: None,
            tool_calls,
            citations,
            exposure: None,
        });
        let state = if reply.is_some() {
            TurnState::Interrupted
        } else {
            TurnState::Failed
        };
        let end = FinishTurn {
            turn_id,
            reply,
            state,
            tokens: None,
            mira: None,
            told_nudge: None,
            receipt: None,
            now,
        };
        finish(&mut *conn, account, &end).await?;
        match state {
            TurnState::Interrupted => recovered.interrupted += 1,
            TurnState::Running | TurnState::Complete | TurnState::Stopped | TurnState::Failed => recovered.failed += 1,
        }
    }
    Ok(recovered)
}

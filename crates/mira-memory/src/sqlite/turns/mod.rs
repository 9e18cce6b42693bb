//! Tables `turns`, `turn_parts` and `turn_calls`: one row per turn, from the owner's message to its end, and the
//! streaming text and the tool calls of those still running.
//!
//! Invariants: a turn is begun and ended in one transaction each; it ends once (a second end changes nothing); what a
//! crash cuts off is ended by [`Store::recover_turns`] with the text of its parts and its calls. The statements of each
//! transaction travel to SQLite as one batch, because every trip to the connection's thread costs more than most of
//! them.

mod begin;
pub(in crate::sqlite) mod calls;
mod end;

use super::{
    Store,
    error::StoreError,
    messages::{exposure_column, list_column, unknown},
    rows::{SPARE, bind_spare, blob},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    chat::{Exposure, Message, MessageMetadata, MessageStatus, Mood, ReplyMeta, Usage},
    citation::Citation,
    ids::{AccountId, ClientId, FileId, MessageId, MoodId, ProjectId, SessionId, TurnId},
    memory::Receipt,
    persona::PersonaName,
    tool::ToolCall,
};
use sqlx::SqliteConnection;
use std::sync::Arc;

/// How a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnState {
    /// At work.
    Running,
    /// The reply is whole.
    Complete,
    /// The owner stopped it.
    Stopped,
    /// The model, the process or the power failed after the first words.
    Interrupted,
    /// Nothing was said.
    Failed,
}

impl TurnState {
    /// The name used in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        [
            Self::Running,
            Self::Complete,
            Self::Stopped,
            Self::Interrupted,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| unknown(text))
    }
}

/// What a message of the owner follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendParent {
    /// The session's head.
    Head,
    /// This message.
    Message(MessageId),
    /// Nothing: it begins a branch of its own.
    Root,
}

/// What begins a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum BeginKind {
    /// A new message of the owner.
    Send {
        /// Its id.
        message_id: MessageId,
        /// Its text.
        content: String,
        /// The client's name for it; a repeated one begins nothing.
        client_id: Option<ClientId>,
        /// What it follows.
        parent: SendParent,
        /// The project it was written in.
        project_id: Option<ProjectId>,
        /// Where it was written.
        metadata: Option<MessageMetadata>,
    },
    /// A message of the owner in other words: a new sibling of `of`.
    Edit {
        /// The message of the owner to replace.
        of: MessageId,
        /// Whether the files of that message go with the new one; else those of the turn do.
        keeps_files: bool,
        /// The new message's id.
        message_id: MessageId,
        /// Its text.
        content: String,
        /// The client's name for it; a repeated one begins nothing.
        client_id: Option<ClientId>,
        /// The project it was written in.
        project_id: Option<ProjectId>,
        /// Where it was written.
        metadata: Option<MessageMetadata>,
    },
    /// Another reply to a message that is there.
    Regenerate {
        /// A reply, or the owner's message itself; the new reply is a sibling of the old ones.
        message_id: MessageId,
    },
}

impl BeginKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::Edit { .. } => "edit",
            Self::Regenerate { .. } => "regenerate",
        }
    }
}

/// A turn to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct BeginTurn {
    /// Its id.
    pub turn_id: TurnId,
    /// Where.
    pub session: SessionId,
    /// What begins it.
    pub kind: BeginKind,
    /// The files sent with the message.
    pub files: Vec<FileId>,
    /// The id its reply will have.
    pub reply_id: MessageId,
    /// The turn it waits for: once that has a reply, a message sent to the session's head becomes its child.
    pub after: Option<TurnId>,
    /// Sequence numbers to reserve along the way.
    pub reserve_seq_to: Option<u64>,
    /// The session's title, if it has none.
    pub title_if_none: Option<String>,
    /// When.
    pub now: Timestamp,
}

impl BeginTurn {
    fn follows_head(&self) -> bool {
        matches!(
            self.kind,
            BeginKind::Send {
                parent: SendParent::Head,
                ..
            }
        )
    }
}

/// What became of a turn's beginning. Only `Begun` has written anything.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one per turn, moved once")]
pub enum BeginOutcome {
    /// It runs.
    Begun {
        /// The owner's message the reply answers.
        user_message: Message,
    },
    /// The client has sent this message before.
    Duplicate {
        /// The message as stored then.
        user_message: Message,
        /// The first reply to it.
        reply: Option<Message>,
        /// The turn that works on a reply now.
        running_turn: Option<TurnId>,
    },
    /// The client has sent other words under this name before.
    ClientIdConflict,
    /// There is no such session.
    NoSuchSession,
    /// The session has no such message.
    NoSuchMessage,
    /// There is no such project.
    NoSuchProject,
    /// One of the files is not there.
    NoSuchFile,
    /// An edit of a reply, or a reply asked of something that is none and has none.
    WrongRole,
}

/// What a reply said of itself before its first word.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyHead {
    /// The overlay.
    pub persona: PersonaName,
    /// Her mood.
    pub mood: Mood,
    /// What caused it.
    pub mood_cause: Option<String>,
    /// The model at work, if known by then.
    pub model: Option<String>,
    /// How near strangers' words were in its prompt; what its calls read is with them.
    pub exposure: Exposure,
}

/// A piece of a running turn's text.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointPart {
    /// Its place: pieces are joined in this order. A repeated number replaces the piece.
    pub n: u32,
    /// The text since the piece before.
    pub text: String,
    /// The places that point at sources, as far as no piece before has them.
    pub citations: Vec<Citation>,
    /// With the first piece: what the reply said of itself.
    pub head: Option<ReplyHead>,
}

/// A reply to store; its id was given when the turn began.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReply {
    /// Its text.
    pub content: String,
    /// What it says about itself, if it came to that.
    pub meta: Option<ReplyMeta>,
    /// How it ended.
    pub status: MessageStatus,
    /// The model that wrote it.
    pub model: Option<String>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// The tools called on the way to it, in their order.
    pub tool_calls: Vec<ToolCall>,
    /// The places that point at sources.
    pub citations: Vec<Citation>,
    /// How near strangers' words were in its prompt. What its calls read counts beside it. Where it is not known any
    /// more, what the turn's head said counts, and without one the worst.
    pub exposure: Option<Exposure>,
}

/// What a reply changes of Mira's own state.
#[derive(Debug, Clone, PartialEq)]
pub struct MiraChange {
    /// The overlay she is in from now on; `None` leaves it.
    pub persona: Option<PersonaName>,
    /// Her mood. Where the owner has nudged it since this turn's prompt was made, the nudge stands.
    pub mood: Mood,
    /// What caused it.
    pub cause: Option<String>,
    /// The id of the timeline's entry.
    pub entry: MoodId,
}

/// A turn's end.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishTurn {
    /// Which.
    pub turn_id: TurnId,
    /// The reply, if there is one.
    pub reply: Option<NewReply>,
    /// How it ended; not `Running`.
    pub state: TurnState,
    /// Tokens spent (input and output) where there is no reply to carry them.
    pub tokens: Option<u64>,
    /// What the reply changes of Mira's own state; only with a reply.
    pub mira: Option<MiraChange>,
    /// The nudged mood this turn's prompt told her of; she is not told again.
    pub told_nudge: Option<Mood>,
    /// What the reply was made of; only with a reply.
    pub receipt: Option<Receipt>,
    /// When.
    pub now: Timestamp,
}

/// What became of a turn's end.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one per turn, moved once")]
pub enum FinishOutcome {
    /// It has ended, now or before; the stored reply, if there is one.
    Finished(Option<Message>),
    /// It is not there any more: its session was cleared or removed meanwhile.
    Gone,
}

/// What recovery at start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Turns whose partial reply was kept.
    pub interrupted: u64,
    /// Turns that had said nothing.
    pub failed: u64,
}

/// A time as it will be read again: whole milliseconds.
pub(super) fn stored(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

macro_rules! checkpoint {
    () => {
        "INSERT INTO turn_parts (turn_id, n, account_id, text, citations)
         SELECT id, ?3, account_id, ?4, ?5 FROM turns WHERE id = ?2 AND account_id = ?1 AND state = 'running'
             ON CONFLICT (turn_id, n) DO UPDATE SET text = excluded.text, citations = excluded.citations"
    };
}

const CHECKPOINT: &str = checkpoint!();
const CHECKPOINT_HEAD: &str = concat!(
    checkpoint!(),
    "; UPDATE turns SET persona = ?6, mood = ?7, mood_cause = ?8, model = ?9, exposed = ?10
        WHERE id = ?2 AND account_id = ?1 AND state = 'running'"
);

async fn checkpoint(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: TurnId,
    part: &CheckpointPart,
) -> Result<(), StoreError> {
    let sql = if part.head.is_some() {
        CHECKPOINT_HEAD
    } else {
        CHECKPOINT
    };
    let head = part.head.as_ref();
    let query = sqlx::query(sql)
        .bind(account.0)
        .bind(blob(&turn.0))
        .bind(i64::from(part.n))
        .bind(part.text.as_str())
        .bind(list_column(&part.citations)?)
        .bind(head.map(|head| head.persona.as_str()))
        .bind(head.map(|head| head.mood.as_str()))
        .bind(head.and_then(|head| head.mood_cause.as_deref()))
        .bind(head.and_then(|head| head.model.as_deref()))
        .bind(head.map(|head| exposure_column(head.exposure)));
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(())
}

impl Store {
    /// What a repeated `client_id` means, without beginning anything; `None` for a new one.
    pub async fn find_duplicate(
        &self,
        account: AccountId,
        session: &SessionId,
        client_id: &ClientId,
        content: &str,
    ) -> Result<Option<BeginOutcome>, StoreError> {
        begin::find_duplicate(&mut *self.read().await?, account, session, client_id, content).await
    }

    /// Begins a turn: stores the owner's message (unless the turn repeats one), makes it the session's head, and
    /// remembers that a reply is on its way. When this returns `Begun`, the message is durable.
    pub async fn begin_turn(&self, account: AccountId, turn: BeginTurn) -> Result<BeginOutcome, StoreError> {
        let turn = Arc::new(turn);
        self.write(Class::Acknowledged, move |conn| {
            let turn = Arc::clone(&turn);
            async move { begin::begin(conn, account, &turn).await }.boxed()
        })
        .await
    }

    /// Keeps a piece of a running turn's text and of its citations, so that a crash does not lose it. Survives the
    /// process, not the power. A turn that has ended keeps nothing.
    pub async fn checkpoint_turn(
        &self,
        account: AccountId,
        turn: TurnId,
        part: CheckpointPart,
    ) -> Result<(), StoreError> {
        let part = Arc::new(part);
        self.write(Class::Partial, move |conn| {
            let part = Arc::clone(&part);
            async move { checkpoint(conn, account, turn, &part).await }.boxed()
        })
        .await
    }

    /// Ends a turn: the reply, Mira's state and mood, and the turn's state in one transaction. The reply becomes the
    /// session's head unless the owner has chosen another branch meanwhile. A second end changes nothing and answers
    /// what the first stored.
    pub async fn finish_turn(&self, account: AccountId, end: FinishTurn) -> Result<FinishOutcome, StoreError> {
        let end = Arc::new(end);
        let job = Arc::clone(&end);
        let ended = self
            .write(Class::Acknowledged, move |conn| {
                let end = Arc::clone(&job);
                async move { end::finish(conn, account, &end).await }.boxed()
            })
            .await?;
        Ok(ended.told(Arc::unwrap_or_clone(end)))
    }

    /// Ends the turns a crash cut off: those with text keep it as an interrupted reply, the others have failed.
    /// For the start, before anything runs.
    pub async fn recover_turns(&self, account: AccountId, now: Timestamp) -> Result<Recovered, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move { end::recover(conn, account, now).await }.boxed()
        })
        .await
    }
}

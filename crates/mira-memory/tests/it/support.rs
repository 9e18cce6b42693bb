//! A store in a folder of its own, and short words for what tests do with it.

use jiff::Timestamp;
use mira_core::{
    chat::{Exposure, MemoryMode, Message, MessageStatus, Mood, ReplyMeta, Salience, Usage},
    ids::{AccountId, ClientId, LoginId, MessageId, MoodId, SessionId, TurnId},
    persona::PersonaName,
};
use mira_memory::{
    BeginKind, BeginOutcome, BeginTurn, BranchFrom, Durability, FinishOutcome, FinishTurn, MiraChange, NewReply,
    NewSession, SendParent, Store, StoreOptions, TurnState, migration_info, revert_last,
};
use sqlx::{Connection, SqliteConnection};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tempfile::TempDir;
use uuid::Uuid;

pub const ME: AccountId = AccountId::OWNER;

pub struct Fixture {
    pub dir: TempDir,
    pub store: Store,
    next: AtomicU64,
}

/// The moment all tests happen at.
pub fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

pub fn options(dir: &TempDir) -> StoreOptions {
    StoreOptions {
        path: dir.path().join("mira.db"),
        readers: 3,
        durability: Durability::Normal,
        backup_dir: dir.path().join("backups"),
        default_persona: persona("default"),
    }
}

pub fn persona(name: &str) -> PersonaName {
    PersonaName::parse(name).unwrap()
}

pub fn mood(text: &str) -> Mood {
    Mood::from_text(text).unwrap()
}

pub fn session_id(name: &str) -> SessionId {
    name.parse().unwrap()
}

pub fn client_id(name: &str) -> ClientId {
    name.parse().unwrap()
}

pub fn new_session(name: &str) -> NewSession {
    NewSession {
        id: session_id(name),
        title: None,
        pinned_persona: None,
        project_id: None,
        memory: MemoryMode::On,
        now: now(),
    }
}

pub fn meta(mood_text: &str) -> ReplyMeta {
    ReplyMeta {
        persona: persona("haven"),
        mood: mood(mood_text),
        mood_cause: Some("a test".to_owned()),
        intent: Some("to know".to_owned()),
        owner_mood: Some("patient".to_owned()),
        tags: vec!["tests".to_owned(), "ünïcode".to_owned()],
        salience: Some(Salience::clamped(0.3)),
        remember: Vec::new(),
    }
}

pub fn reply(content: &str) -> NewReply {
    NewReply {
        content: content.to_owned(),
        meta: Some(meta("glad")),
        status: MessageStatus::Complete,
        model: Some("a-model".to_owned()),
        usage: Some(Usage {
            input_tokens: 10,
            cached_tokens: 4,
            output_tokens: 5,
            reasoning_tokens: 2,
        }),
        tool_calls: Vec::new(),
        citations: Vec::new(),
        exposure: Some(Exposure::Clear),
    }
}

pub fn send(message_id: MessageId, content: &str, parent: SendParent) -> BeginKind {
    BeginKind::Send {
        message_id,
        content: content.to_owned(),
        client_id: None,
        parent,
        project_id: None,
        metadata: None,
    }
}

impl Fixture {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(options(&dir), now()).await.unwrap();
        Self {
            dir,
            store,
            next: AtomicU64::new(1),
        }
    }

    pub async fn with_session() -> (Self, SessionId) {
        let fixture = Self::new().await;
        fixture.store.insert_session(ME, new_session("s")).await.unwrap();
        (fixture, session_id("s"))
    }

    /// The same file, closed and opened again.
    pub async fn reopened(self) -> Self {
        self.store.close().await;
        let store = Store::open(options(&self.dir), now()).await.unwrap();
        Self { store, ..self }
    }

    fn uuid(&self) -> Uuid {
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.next.fetch_add(1, Relaxed)))
    }

    pub fn message_id(&self) -> MessageId {
        MessageId(self.uuid())
    }

    pub fn turn_id(&self) -> TurnId {
        TurnId(self.uuid())
    }

    pub fn mood_id(&self) -> MoodId {
        MoodId(self.uuid())
    }

    pub fn login_id(&self) -> LoginId {
        LoginId(self.uuid())
    }

    pub fn begin(&self, session: &SessionId, kind: BeginKind) -> BeginTurn {
        BeginTurn {
            files: Vec::new(),
            turn_id: self.turn_id(),
            session: session.clone(),
            kind,
            reply_id: self.message_id(),
            after: None,
            reserve_seq_to: None,
            title_if_none: Some("a title".to_owned()),
            now: now(),
        }
    }

    /// Begins a turn that must begin.
    pub async fn begun(&self, session: &SessionId, kind: BeginKind) -> (BeginTurn, Message) {
        let turn = self.begin(session, kind);
        match self.store.begin_turn(ME, turn.clone()).await.unwrap() {
            BeginOutcome::Begun { user_message } => (turn, user_message),
            other => panic!("{other:?}"),
        }
    }

    pub fn end(&self, turn: &BeginTurn, text: &str) -> FinishTurn {
        FinishTurn {
            turn_id: turn.turn_id,
            reply: Some(reply(text)),
            state: TurnState::Complete,
            tokens: None,
            mira: Some(MiraChange {
                persona: Some(persona("haven")),
                mood: mood("glad"),
                cause: Some("a test".to_owned()),
                entry: self.mood_id(),
            }),
            told_nudge: None,
            receipt: None,
            now: now(),
        }
    }

    pub async fn finished(&self, turn: &BeginTurn, text: &str) -> Message {
        match self.store.finish_turn(ME, self.end(turn, text)).await.unwrap() {
            FinishOutcome::Finished(Some(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// A whole turn: the owner's message and the reply.
    pub async fn turn(&self, session: &SessionId, kind: BeginKind, text: &str) -> (Message, Message) {
        let (turn, user_message) = self.begun(session, kind).await;
        let reply = self.finished(&turn, text).await;
        (user_message, reply)
    }

    pub async fn say(&self, session: &SessionId, question: &str, answer: &str) -> (Message, Message) {
        self.turn(session, send(self.message_id(), question, SendParent::Head), answer)
            .await
    }

    /// The texts of a session's chosen branch.
    pub async fn texts(&self, session: &SessionId) -> Vec<String> {
        let page = self
            .store
            .branch(ME, session, BranchFrom::Head, 100, None)
            .await
            .unwrap();
        page.messages.into_iter().map(|message| message.content).collect()
    }

    pub async fn head(&self, session: &SessionId) -> Option<MessageId> {
        self.store.find_session(ME, session).await.unwrap().unwrap().head_id
    }
}

/// Takes a closed file back to an older schema.
pub async fn revert_to(options: &StoreOptions, version: i64, at: Timestamp) {
    while migration_info(&options.path)
        .await
        .unwrap()
        .iter()
        .any(|migration| migration.applied && migration.version > version)
    {
        revert_last(options, at).await.unwrap().unwrap();
    }
}

// ---- what is in the file ------------------------------------------------------------------------------------------

impl Fixture {
    /// A connection beside the store's own.
    pub async fn connect(&self) -> SqliteConnection {
        SqliteConnection::connect(self.store.path().to_str().unwrap())
            .await
            .unwrap()
    }

    pub async fn execute(&self, sql: &'static str) {
        let mut conn = self.connect().await;
        sqlx::query(sql).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        let mut conn = self.connect().await;
        let count = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        count
    }

    /// Writes all documents that are due, `limit` at a time.
    pub async fn write_documents(&self, limit: u32) -> u32 {
        let mut written = 0;
        loop {
            let report = self.store.write_documents(ME, limit, now()).await.unwrap();
            written += report.written;
            if !report.left {
                return written;
            }
        }
    }

    /// The documents of recall as FTS5 keeps them: stems in their order, by the memory's key.
    pub async fn documents(&self) -> Vec<(i64, String)> {
        let mut conn = self.connect().await;
        let documents = sqlx::query_as(
            "SELECT doc, group_concat(term, ' ' ORDER BY offset) FROM recall_terms GROUP BY doc ORDER BY doc",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        conn.close().await.unwrap();
        documents
    }
}

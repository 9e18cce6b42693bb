//! How a wait ends: by an answer, by time, by nobody listening any more.

use super::*;
use mira_core::{
    approval::Reason,
    chat::MemoryMode,
    clock::{Clock, SystemClock},
    ids::{MessageId, SessionId, ToolCallId, TurnId},
    tool::{Effect, ToolCall},
};
use mira_memory::{BeginKind, BeginTurn, Durability, NewSession, SendParent, StoreOptions};
use tempfile::TempDir;

const ME: AccountId = AccountId::OWNER;

struct Desk {
    store: Store,
    turn: BeginTurn,
    approvals: Approvals,
    _dir: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            path: dir.path().join("mira.db"),
            readers: 1,
            durability: Durability::Normal,
            backup_dir: dir.path().join("backups"),
            default_persona: "default".parse().unwrap(),
        };
        let now = SystemClock.now();
        let store = Store::open(options, now).await.unwrap();
        let session: SessionId = "s".parse().unwrap();
        let new = NewSession {
            id: session.clone(),
            title: None,
            pinned_persona: None,
            project_id: None,
            memory: MemoryMode::On,
            now,
        };
        store.insert_session(ME, new).await.unwrap();
        let turn = BeginTurn {
            turn_id: TurnId(SystemClock.new_uuid()),
            session,
            kind: BeginKind::Send {
                message_id: MessageId(SystemClock.new_uuid()),
                content: "Write to Anna.".to_owned(),
                client_id: None,
                parent: SendParent::Head,
                project_id: None,
                metadata: None,
            },
            files: Vec::new(),
            reply_id: MessageId(SystemClock.new_uuid()),
            after: None,
            reserve_seq_to: None,
            title_if_none: None,
            now,
        };
        store.begin_turn(ME, turn.clone()).await.unwrap();
        Self {
            store,
            turn,
            approvals: Approvals::default(),
            _dir: dir,
        }
    }

    /// One that waits so long.
    async fn asked(&self, patience: Duration) -> (Approval, Wait) {
        let now = SystemClock.now();
        let approval = Approval {
            id: ApprovalId(SystemClock.new_uuid()),
            session_id: self.turn.session.clone(),
            turn_id: self.turn.turn_id,
            reply_id: self.turn.reply_id,
            message_id: None,
            project_id: None,
            call: ToolCall {
                id: ToolCallId(SystemClock.new_uuid()),
                tool: "send_letter".to_owned(),
                arguments: "{}".to_owned(),
                effect: Effect::Outside,
                outcome: None,
            },
            reason: Reason::Untrusted,
            untrusted: true,
            zone: None,
            status: ApprovalStatus::Pending,
            created_at: now,
            expires_at: now.checked_add(patience).unwrap(),
            answered_at: None,
        };
        let wait = self.approvals.wait_for(&approval);
        self.store
            .insert_approvals(ME, vec![approval.clone()], now)
            .await
            .unwrap();
        (approval, wait)
    }

    async fn status(&self, approval: &Approval) -> ApprovalStatus {
        let found = self.store.find_approval(ME, approval.id, SystemClock.now()).await;
        found.unwrap().unwrap().status
    }

    /// How the wait ends, and how the approval stands then.
    async fn ends(&self, approval: &Approval, wait: Wait) -> (Word, ApprovalStatus) {
        let ended = self.ends_so(approval, wait).await;
        assert!(self.approvals.take(approval.id).is_none(), "nobody waits any more");
        ended
    }

    async fn ends_so(&self, approval: &Approval, wait: Wait) -> (Word, ApprovalStatus) {
        let word = wait.word(&self.store, ME, &SystemClock).await;
        (word, self.status(approval).await)
    }
}

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_mins(5);

#[tokio::test]
async fn time_runs_out() {
    let desk = Desk::new().await;
    let (approval, wait) = desk.asked(SOON).await;
    assert_eq!(
        desk.ends(&approval, wait).await,
        (Word::Expired, ApprovalStatus::Expired)
    );
    let refused = Word::Expired.refusal().unwrap();
    assert!(refused.told.contains("in time"), "{refused:?}");
    assert_eq!(refused.outcome.data["approval"], "expired");
    // Answered at the last moment, before its turn was told: the answer is waited for, and goes to nobody else.
    let (approval, wait) = desk.asked(SOON).await;
    desk.store
        .answer_approval(ME, approval.id, Answer::Approve, approval.created_at)
        .await
        .unwrap();
    let told = async {
        tokio::time::sleep(SOON * 5).await;
        let Some(Waiter::Listens(turn)) = desk.approvals.take(approval.id) else {
            panic!("its turn still listens")
        };
        turn.send(Answer::Approve).unwrap();
    };
    let (ended, ()) = tokio::join!(desk.ends_so(&approval, wait), told);
    assert_eq!(ended, (Word::Approved, ApprovalStatus::Approved));
}

#[tokio::test]
async fn a_word_ends_the_wait() {
    let desk = Desk::new().await;
    for (answer, word) in [(Answer::Approve, Word::Approved), (Answer::Deny, Word::Denied)] {
        let (approval, wait) = desk.asked(LONG).await;
        let Some(Waiter::Listens(turn)) = desk.approvals.take(approval.id) else {
            panic!("its turn listens")
        };
        turn.send(answer).unwrap();
        let ended = wait.word(&desk.store, ME, &SystemClock).await;
        assert_eq!((ended, ended.refusal().is_none()), (word, answer == Answer::Approve));
    }
}

#[tokio::test]
async fn a_turn_that_left_is_known_and_closed() {
    let desk = Desk::new().await;
    let (approval, wait) = desk.asked(LONG).await;
    let (given, other) = desk.asked(LONG).await;
    desk.store
        .answer_approval(ME, given.id, Answer::Approve, SystemClock.now())
        .await
        .unwrap();
    drop((wait, other));
    assert!(matches!(lock(&desk.approvals.0).get(&approval.id), Some(Waiter::Left)));
    let ids = [approval.id, given.id];
    let closed = desk.approvals.close(&desk.store, ME, &ids, SystemClock.now()).await;
    let stand: Vec<_> = closed.iter().map(|approval| (approval.id, approval.status)).collect();
    assert_eq!(
        stand,
        [
            (approval.id, ApprovalStatus::Void),
            (given.id, ApprovalStatus::Approved)
        ]
    );
    // Whoever brings that answer finds that its turn has left.
    assert!(matches!(desk.approvals.take(given.id), Some(Waiter::Left)));
    assert!(lock(&desk.approvals.0).is_empty());
}

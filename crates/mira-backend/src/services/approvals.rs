//! Calls that wait for the owner's word: who waits in this process, the one answer there is, and what was approved after
//! its turn had ended.
//!
//! Invariants: the row is the truth and comes first; whoever answers first has answered; a call runs at most once, in its
//! turn or, where a restart has ended that, by itself.

use crate::services::{
    chat::toolbelt,
    deps::{ApprovalChange, Deps},
    hub::{Hub, live::Live},
};
use jiff::{Timestamp, tz::TimeZone};
use mira_core::{
    approval::{Answer, Approval, ApprovalStatus},
    ids::{AccountId, ApprovalId},
    tool::{CallOutcome, CallStatus},
};
use mira_memory::{Answered, FinishedApproval, Store, StoreError};
use mira_tools::{CallContext, Ran};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// How long an answer that is stored may take to the turn it is for.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// There is none of that name.
    #[error("there is no such approval")]
    NoSuch,
    /// It is not waiting any more, and stands otherwise.
    #[error("{}", settled(*.0))]
    Settled(ApprovalStatus),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn settled(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Pending => "it waits",
        ApprovalStatus::Approved => "it was approved before",
        ApprovalStatus::Denied => "it was denied before",
        ApprovalStatus::Expired => "its time was over before the answer came",
        ApprovalStatus::Void => {
            "what asked for it is gone: the turn was stopped or has failed, or its words were forgotten"
        }
    }
}

/// An answer that was taken.
#[derive(Debug)]
pub struct Taken {
    /// The approval as it stands.
    pub approval: Approval,
    /// The call, where it runs outside of its turn; it goes on whoever waits.
    pub running: Option<JoinHandle<Option<Approval>>>,
}

impl Taken {
    fn over(approval: Approval) -> Self {
        Self {
            approval,
            running: None,
        }
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The call may run.
    Approved,
    /// It may not.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// It cannot be answered any more, or nobody can tell.
    Void,
}

/// A call of a turn of this process.
#[derive(Debug)]
enum Waiter {
    /// Its turn listens.
    Listens(oneshot::Sender<Answer>),
    /// Its turn does not take the answer any more.
    Left,
}

type Waiters = Arc<Mutex<HashMap<ApprovalId, Waiter>>>;

/// The calls that wait in this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Approvals(Waiters);

/// One wait. Dropped, it leaves its place empty, so that an answer is not taken for one that came after a restart.
#[derive(Debug)]
pub struct Wait {
    id: ApprovalId,
    expires_at: Timestamp,
    answered: oneshot::Receiver<Answer>,
    waiters: Waiters,
}

fn lock(waiters: &Waiters) -> MutexGuard<'_, HashMap<ApprovalId, Waiter>> {
    waiters.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Taken out where the answer came.
        if let Some(waiter) = lock(&self.waiters).get_mut(&self.id) {
            *waiter = Waiter::Left;
        }
    }
}

impl Approvals {
    /// A place to wait for an answer. To be called before anybody can know of the approval.
    pub fn wait_for(&self, approval: &Approval) -> Wait {
        let (answer, answered) = oneshot::channel();
        lock(&self.0).insert(approval.id, Waiter::Listens(answer));
        Wait {
            id: approval.id,
            expires_at: approval.expires_at,
            answered,
            waiters: Arc::clone(&self.0),
        }
    }

    /// Wakes whoever waits for words about these: there will be none.
    fn wake(&self, ids: &[ApprovalId]) {
        let mut waiters = lock(&self.0);
        for id in ids {
            waiters.remove(id);
        }
    }

    fn take(&self, id: ApprovalId) -> Option<Waiter> {
        lock(&self.0).remove(&id)
    }

    /// Ends what still waits of a turn that ends; answers them as they stand then: somebody may have answered before.
    pub async fn close(&self, store: &Store, account: AccountId, ids: &[ApprovalId], now: Timestamp) -> Vec<Approval> {
        let mut closed = Vec::new();
        for &id in ids {
            let ended = store.end_approval(account, id, ApprovalStatus::Void, now).await;
            let ended = ended.unwrap_or_else(|error| {
                tracing::warn!(%error, approval.id = %id, "an approval could not be closed");
                None
            });
            // Whoever brings a yes finds the place left.
            if ended
                .as_ref()
                .is_none_or(|approval| approval.status != ApprovalStatus::Approved)
            {
                self.take(id);
            }
            closed.extend(ended);
        }
        closed
    }
}

impl Wait {
    /// Waits for the owner's word, at most until the approval expires.
    pub async fn word(mut self, store: &Store, account: AccountId, clock: &dyn mira_core::clock::Clock) -> Word {
        let left = self.expires_at.duration_since(clock.now());
        let left = Duration::try_from(left).unwrap_or_default();
        tokio::select! {
            biased;
            answer = &mut self.answered => match answer {
                Ok(Answer::Approve) => Word::Approved,
                Ok(Answer::Deny) => Word::Denied,
                Err(_) => Word::Void,
            },
            () = sleep(left) => self.expire(store, account, clock.now()).await,
        }
    }

    /// The time is over; somebody may have answered at the last moment.
    async fn expire(&mut self, store: &Store, account: AccountId, now: Timestamp) -> Word {
        let ended = store.end_approval(account, self.id, ApprovalStatus::Expired, now).await;
        if let Ok(Some(approval)) = &ended
            && matches!(approval.status, ApprovalStatus::Approved | ApprovalStatus::Denied)
        {
            // The answer is on its way here, and nowhere else: a call runs at most once.
            return match timeout(ON_ITS_WAY, &mut self.answered).await {
                Ok(Ok(Answer::Approve)) => Word::Approved,
                Ok(Ok(Answer::Deny)) => Word::Denied,
                Ok(Err(_)) | Err(_) => Word::Void,
            };
        }
        lock(&self.waiters).remove(&self.id);
        match ended {
            Ok(Some(approval)) => match approval.status {
                ApprovalStatus::Pending | ApprovalStatus::Expired => Word::Expired,
                ApprovalStatus::Approved | ApprovalStatus::Denied | ApprovalStatus::Void => Word::Void,
            },
            Ok(None) => Word::Void,
            Err(error) => {
                tracing::error!(%error, approval.id = %self.id, "an approval could not be closed");
                Word::Void
            }
        }
    }
}

impl Word {
    /// What the call comes to where it may not run: what the model is told, and for clients how the approval stands.
    pub fn refusal(self) -> Option<Ran> {
        let (status, why) = match self {
            Self::Approved => return None,
            Self::Denied => (
                ApprovalStatus::Denied,
                "the owner was asked and said no; it has not run, and asking again would not be welcome",
            ),
            Self::Expired => (
                ApprovalStatus::Expired,
                "the owner was asked and did not answer in time; it has not run",
            ),
            Self::Void => (ApprovalStatus::Void, "the owner could not be asked; it has not run"),
        };
        let mut ran = Ran::unsuccessful(CallStatus::Denied, why);
        ran.outcome.data = json!({ "error": why, "approval": status.as_str() });
        Some(ran)
    }
}

/// Tells every socket of the account how an approval stands.
pub fn announce(deps: &Deps, change: ApprovalChange<'_>) {
    deps.tell_account((deps.encoder.approval)(change));
}

/// These cannot be answered any more: what they ask was forgotten. Their turns go on, and everybody hears of it.
pub async fn voided(deps: &Deps, account: AccountId, ids: &[ApprovalId]) {
    deps.approvals.wake(ids);
    for &id in ids {
        match deps.store.find_approval(account, id, deps.clock.now()).await {
            Ok(approval) => approval
                .iter()
                .for_each(|found| announce(deps, ApprovalChange::Updated(found))),
            Err(error) => tracing::warn!(%error, approval.id = %id, "that an approval is void could not be announced"),
        }
    }
}

/// The owner's word about a call. The same word again is fine; another one is not. Goes on to its end even if the caller
/// goes away.
pub async fn answer(hub: &Hub, account: AccountId, id: ApprovalId, word: Answer) -> Result<Taken, ApprovalError> {
    let task_hub = hub.clone();
    let task = hub
        .deps()
        .lifecycle
        .spawn(async move { answer_alone(&task_hub, account, id, word).await });
    task.await.unwrap_or(Err(ApprovalError::Store(StoreError::Closed)))
}

async fn answer_alone(hub: &Hub, account: AccountId, id: ApprovalId, word: Answer) -> Result<Taken, ApprovalError> {
    let deps = hub.deps();
    let answered = deps.store.answer_approval(account, id, word, deps.clock.now()).await?;
    let mut approval = match answered.ok_or(ApprovalError::NoSuch)? {
        Answered::Now(approval) => *approval,
        Answered::Before(approval) if approval.status == word.status() => return Ok(Taken::over(*approval)),
        Answered::Before(approval) => return Err(ApprovalError::Settled(approval.status)),
    };
    announce(deps, ApprovalChange::Updated(&approval));
    let left = match deps.approvals.take(id) {
        Some(Waiter::Listens(turn)) => turn.send(word).is_err(),
        Some(Waiter::Left) => true,
        None => {
            // Its turn ended with an earlier process.
            let running = (word == Answer::Approve).then(|| {
                let (hub, approval) = (hub.clone(), approval.clone());
                deps.lifecycle
                    .spawn(async move { run_alone(&hub, account, approval).await })
            });
            return Ok(Taken { approval, running });
        }
    };
    if left && word == Answer::Approve {
        // The turn ended at this very moment, and the call has not run.
        let why = "the turn ended as the owner's word came; it has not run";
        let outcome = CallOutcome::unsuccessful(CallStatus::Denied, why);
        if let Some(finished) = store_outcome(deps, account, id, &outcome).await? {
            approval = finished.approval;
        }
    }
    Ok(Taken::over(approval))
}

/// Runs an approved call whose turn is no more, and keeps what came of it where the reply tells of it.
async fn run_alone(hub: &Hub, account: AccountId, approval: Approval) -> Option<Approval> {
    let deps = hub.deps();
    let zone = approval.zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let context = CallContext {
        account,
        session: approval.session_id.clone(),
        project: approval.project_id,
        turn: approval.turn_id,
        message: approval.message_id,
        reply: approval.reply_id,
        call: approval.call.id,
        untrusted: approval.untrusted,
        // What else its turn had been shown is not kept.
        exposed: true,
        approved: true,
        zone: zone.unwrap_or_else(|| deps.settings.tz.clone()),
    };
    let ran = toolbelt::call(deps, &context, &approval.call.tool, &approval.call.arguments).await;
    deps.metrics.tool_called(ran.outcome.status);
    // No reply is being written that could point at them: they are numbered as they come.
    let numbers: Vec<u32> = (1..).take(ran.sources.len()).collect();
    let outcome = ran.numbered(&numbers).outcome;
    keep(hub, account, approval, &outcome).await
}

async fn keep(hub: &Hub, account: AccountId, approval: Approval, outcome: &CallOutcome) -> Option<Approval> {
    match store_outcome(hub.deps(), account, approval.id, outcome).await {
        Ok(Some(finished)) => {
            if finished.in_reply {
                tell(hub, account, &finished.approval).await;
            }
            Some(finished.approval)
        }
        // Its session was removed meanwhile.
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, approval.id = %approval.id, "what came of an approved call could not be stored");
            None
        }
    }
}

/// The stored reply says something else now: nobody goes on with what they remember of it.
async fn tell(hub: &Hub, account: AccountId, approval: &Approval) {
    match hub.live(account, &approval.session_id).await {
        Ok(Some(live)) => {
            Live::forget_window(&live);
            hub.announce_updated(account, &approval.session_id).await;
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, session.id = %approval.session_id, "a session could not be told"),
    }
}

/// Keeps what came of a call, and tells everybody that it is over.
async fn store_outcome(
    deps: &Deps,
    account: AccountId,
    id: ApprovalId,
    outcome: &CallOutcome,
) -> Result<Option<FinishedApproval>, StoreError> {
    let finished = deps
        .store
        .finish_approval(account, id, outcome, deps.clock.now())
        .await?;
    if let Some(finished) = &finished {
        announce(deps, ApprovalChange::Updated(&finished.approval));
    }
    Ok(finished)
}

/// Keeps what came of a call of a running turn; the reply is stored later, with the call in it.
pub async fn finish(deps: &Deps, account: AccountId, id: ApprovalId, outcome: &CallOutcome) {
    if let Err(error) = store_outcome(deps, account, id, outcome).await {
        tracing::warn!(%error, approval.id = %id, "what came of an approved call could not be stored");
    }
}

#[cfg(test)]
mod tests;

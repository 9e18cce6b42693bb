//! The live sessions: who talks, who listens. Whatever changes a conversation goes through here, so that every client
//! of the account sees it.

pub mod actor;
pub mod live;
pub mod log;

use self::{
    actor::{Accepted, Actor, Ask, Command, MAILBOX, Refusal},
    live::Live,
};
use crate::services::{
    deps::{ArtifactChange, Change, Deps, MemoryChange, ProjectChange, ProposalChange, RepoChange},
    memory::MemoryStatus,
};
use bytes::Bytes;
use mira_core::{
    chat::{Mood, Session},
    ids::{AccountId, MemoryId, MessageId, MoodId, SessionId, TurnId},
    model::Head,
    persona::PersonaName,
};
use mira_memory::{Nudge, StoreError};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::{broadcast, mpsc, oneshot};

/// Account-wide events a socket may fall behind before it is told to refetch.
const ACCOUNT_EVENTS: usize = 256;
/// A session nobody has used for so long is let go; its place in the numbering is stored.
const IDLE_S: i64 = 900;

/// A change of overlay or mood by the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonaChange {
    /// `Some(Some(name))` pins, `Some(None)` lets her choose, `None` leaves it as it is.
    pub pin: Option<Option<PersonaName>>,
    /// A nudge.
    pub mood: Option<Mood>,
}

/// A cheap handle to all live sessions.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// The same, without keeping them alive.
#[derive(Clone)]
pub struct HubRef(Weak<Inner>);

impl HubRef {
    /// The live sessions, while there are any.
    pub fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl std::fmt::Debug for HubRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubRef").finish_non_exhaustive()
    }
}

struct Inner {
    deps: Deps,
    sessions: Mutex<HashMap<(AccountId, SessionId), Arc<Live>>>,
}

/// The channel of events that concern the account, not one session.
pub fn account_channel() -> broadcast::Sender<Bytes> {
    broadcast::channel(ACCOUNT_EVENTS).0
}

impl Hub {
    /// A hub without live sessions.
    pub fn new(deps: Deps) -> Self {
        Self(Arc::new(Inner {
            deps,
            sessions: Mutex::default(),
        }))
    }

    /// A handle that does not keep them alive.
    pub fn downgrade(&self) -> HubRef {
        HubRef(Arc::downgrade(&self.0))
    }

    /// What the services share.
    pub fn deps(&self) -> &Deps {
        &self.0.deps
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<(AccountId, SessionId), Arc<Live>>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_s(&self) -> i64 {
        self.0.deps.clock.now().as_second()
    }

    /// The live session of that id; `None` if there is no such session.
    pub async fn live(&self, account: AccountId, id: &SessionId) -> Result<Option<Arc<Live>>, StoreError> {
        let key = (account, id.clone());
        if let Some(live) = self.sessions().get(&key) {
            live.touch(self.now_s());
            return Ok(Some(live.clone()));
        }
        let Some(seq) = self.0.deps.store.find_seq(account, id).await? else {
            return Ok(None);
        };
        let now_s = self.now_s();
        let mut sessions = self.sessions();
        // Somebody else may have been faster.
        let live = sessions
            .entry(key)
            .or_insert_with(|| Arc::new(Live::new(account, id.clone(), seq, now_s)));
        Ok(Some(live.clone()))
    }

    fn mailbox(&self, live: &Arc<Live>) -> mpsc::Sender<Command> {
        let mut slot = live.mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return sender.clone();
        }
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let actor = Actor::new(self.0.deps.clone(), live.clone());
        self.0.deps.lifecycle.spawn(actor.run(receiver));
        *slot = Some(sender.clone());
        sender
    }

    async fn command<T>(
        &self,
        live: &Arc<Live>,
        make: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Refusal> {
        if live.is_removed() {
            return Err(Refusal::NoSuchSession);
        }
        live.touch(self.now_s());
        let (answer, answered) = oneshot::channel();
        let sent = self.mailbox(live).send(make(answer)).await;
        sent.map_err(|_| Refusal::ShuttingDown)?;
        answered.await.map_err(|_| {
            if self.0.deps.lifecycle.soft().is_cancelled() {
                Refusal::ShuttingDown
            } else {
                Refusal::Broken
            }
        })
    }

    /// Asks for a turn.
    pub async fn ask(&self, live: &Arc<Live>, ask: Ask) -> Result<Accepted, Refusal> {
        let untitled = matches!(ask, Ask::Send(_));
        let accepted = self
            .command(live, |answer| Command::Turn {
                ask: Box::new(ask),
                answer,
            })
            .await??;
        if let (true, Accepted::Turn { message, .. }) = (untitled, &accepted)
            && message.parent_id.is_none()
        {
            self.announce_updated(live.account, &live.id).await;
        }
        Ok(accepted)
    }

    /// Stops a turn; `None` stops the running one. Returns the one that is being stopped.
    pub async fn stop(&self, live: &Arc<Live>, turn_id: Option<TurnId>) -> Result<Option<TurnId>, Refusal> {
        self.command(live, |answer| Command::Stop { turn_id, answer }).await?
    }

    /// Changes the overlay's pin or nudges her mood; every client sees it at once.
    pub async fn change_persona(&self, live: &Arc<Live>, change: PersonaChange) -> Result<Session, Refusal> {
        let deps = &self.0.deps;
        if live.is_removed() {
            return Err(Refusal::NoSuchSession);
        }
        if let Some(Some(name)) = &change.pin
            && deps.personas.fresh().await.get(name).is_none()
        {
            return Err(Refusal::NoSuchPersona(name.to_string()));
        }
        if let Some(pin) = change.pin {
            deps.store
                .pin_persona(live.account, &live.id, pin, deps.clock.now())
                .await?;
        }
        if let Some(mood) = change.mood {
            let nudge = Nudge {
                id: MoodId(deps.clock.new_uuid()),
                mood,
                cause: None,
                now: deps.clock.now(),
            };
            deps.store.nudge_mood(live.account, &live.id, nudge).await?;
        }
        let (session, state) = deps
            .store
            .find_session_view(live.account, &live.id)
            .await?
            .ok_or(Refusal::NoSuchSession)?;
        live.reserve(deps).await?;
        let head = Head {
            persona: session.persona.clone(),
            mood: state.mood,
            mood_cause: state.mood_cause,
        };
        let event = (deps.encoder.persona)(&live.id, &head, session.pinned_persona.is_some());
        live.log.append(None, &event, |_| {});
        self.announce(Change::Updated(&session));
        Ok(session)
    }

    /// Makes a message's branch the session's head.
    pub async fn select(&self, live: &Arc<Live>, message_id: MessageId) -> Result<Session, Refusal> {
        let deps = &self.0.deps;
        let session = deps
            .store
            .select_branch(live.account, &live.id, message_id, deps.clock.now())
            .await?;
        let session = session.ok_or(Refusal::NoSuchMessage)?;
        self.announce(Change::Updated(&session));
        Ok(session)
    }

    /// Ends all turns of a session, so that it can be cleared or deleted.
    pub async fn quiet(&self, live: &Arc<Live>) -> Result<(), Refusal> {
        self.command(live, |answer| Command::Quiet { answer }).await
    }

    /// Forgets a deleted session.
    pub fn drop_session(&self, account: AccountId, id: &SessionId) {
        if let Some(live) = self.sessions().remove(&(account, id.clone())) {
            live.remove();
            live.mailbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.announce(Change::Deleted(id));
    }

    /// Tells everybody that a session was cleared; whoever resumes from before refetches.
    pub fn cleared(&self, live: &Live, session: &Session) {
        live.log.expire();
        self.announce(Change::Updated(session));
    }

    /// Tells every socket of the account of a change.
    pub fn announce(&self, change: Change<'_>) {
        self.0.deps.tell_account((self.0.deps.encoder.session)(change));
    }

    /// Tells every socket of the account of a change of a memory.
    pub fn announce_memory(&self, change: MemoryChange<'_>) {
        self.0.deps.tell_account((self.0.deps.encoder.memory)(change));
    }

    /// Tells every socket of the account how far the index is.
    pub fn announce_index(&self, status: &MemoryStatus) {
        self.0.deps.tell_account((self.0.deps.encoder.index)(status));
    }

    /// Tells every socket of the account of a change of a project.
    pub fn announce_project(&self, change: ProjectChange<'_>) {
        self.0.deps.tell_account((self.0.deps.encoder.project)(change));
    }

    /// Tells every socket of the account of a change of an artifact.
    pub fn announce_artifact(&self, change: ArtifactChange<'_>) {
        self.0.deps.tell_account((self.0.deps.encoder.artifact)(change));
    }

    /// Tells every socket of the account of a change of an attached repository.
    pub fn announce_repo(&self, change: RepoChange<'_>) {
        self.0.deps.tell_account((self.0.deps.encoder.git)(change));
    }

    /// Tells every socket of the account of a change of a proposal.
    pub fn announce_proposal(&self, change: ProposalChange<'_>) {
        self.0.deps.tell_account((self.0.deps.encoder.proposal)(change));
    }

    /// Memories were forgotten, with what was said in `sessions`: no turn sees what an actor still remembers of it, and
    /// no log repeats it, that of another session neither, whose turn told what it recalled.
    pub async fn forgot(&self, account: AccountId, memories: &[MemoryId], sessions: &[SessionId]) {
        let ids: Vec<String> = memories.iter().map(ToString::to_string).collect();
        let live: Vec<Arc<Live>> = self.sessions().values().cloned().collect();
        for live in live.iter().filter(|live| live.account == account) {
            let said_here = sessions.contains(&live.id);
            if said_here {
                live.forget_window();
            }
            live.log.forget(&ids, said_here);
        }
        for id in sessions {
            self.announce_updated(account, id).await;
        }
    }

    /// Tells every socket of the account that a session has changed.
    pub async fn announce_updated(&self, account: AccountId, id: &SessionId) {
        match self.0.deps.store.find_session(account, id).await {
            Ok(Some(session)) => self.announce(Change::Updated(&session)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, session.id = %id, "a session could not be announced"),
        }
    }

    /// The account's events from now on.
    pub fn account_events(&self) -> broadcast::Receiver<Bytes> {
        self.0.deps.account_events.subscribe()
    }

    /// Lets go of sessions that nobody uses and stores where their numbering stands.
    pub async fn sweep(&self) {
        let before_s = self.now_s() - IDLE_S;
        let idle: Vec<Arc<Live>> = {
            let mut sessions = self.sessions();
            let unused = |live: &Arc<Live>| {
                let has_actor = live.mailbox.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                // The map's own handle and the actor's; anybody else is a listener or a request.
                Arc::strong_count(live) <= 1 + usize::from(has_actor)
                    && live.last_used_s() < before_s
                    && !live.is_active()
            };
            let keys: Vec<_> = sessions
                .iter()
                .filter(|(_, live)| unused(live))
                .map(|(key, _)| key.clone())
                .collect();
            keys.iter().filter_map(|key| sessions.remove(key)).collect()
        };
        for live in idle {
            live.mailbox.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.release(&live).await;
        }
    }

    /// Stores where every session's numbering stands, so that clients resume without a gap after a restart. Call it
    /// when no turn runs any more.
    pub async fn release_all(&self) {
        let all: Vec<Arc<Live>> = self.sessions().drain().map(|(_, live)| live).collect();
        for live in all {
            self.release(&live).await;
        }
    }

    async fn release(&self, live: &Live) {
        if live.log.reserve_left() == 0 {
            return;
        }
        if let Err(error) = self
            .0
            .deps
            .store
            .release_seq(live.account, &live.id, live.log.reserved_to(), live.log.last_seq())
            .await
        {
            tracing::warn!(%error, session.id = %live.id, "the event numbering could not be stored; it will jump");
        }
    }

    /// How many sessions are live.
    pub fn live_sessions(&self) -> usize {
        self.sessions().len()
    }
}

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;

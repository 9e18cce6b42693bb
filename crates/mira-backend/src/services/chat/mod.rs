//! One turn from request to stored reply: the only driver of the turn machine. REST, SSE and WebSocket differ only in
//! how they listen.
//!
//! Invariants: nothing of a turn is sent before its message is durable; whatever was sent is stored or said to be
//! lost; exactly one `done`.

mod attached;
mod budget;
mod close;
mod hosted;
mod prepare;
mod project;
mod rounds;
mod strangers;
pub mod toolbelt;
mod voice;

pub use attached::Pictures;
pub use close::{close, fallback_meta, shutting_down};
pub use voice::places;

use self::{
    close::{Closing, close_with, failure_of_refusal},
    prepare::{Plan, Ready, prepare},
    voice::{Heard, Next, Voice},
};
use crate::services::{
    context::{self, View, Window},
    deps::{Deps, Scope},
    hub::{
        actor::{Accepted, Ask, Refusal, accept_without_turn, begin_turn, message_event, store_begin},
        live::Live,
    },
    spending,
};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, try_join_all},
};
use mira_core::{
    chat::{Exposure, Message, MessageStatus, Role},
    ids::{MessageId, TurnId},
    persona::PersonaName,
    turn::{End, Failure, Outcome, Stage, TurnEvent, laws::Law},
};
use mira_memory::{BeginKind, BeginOutcome, BeginTurn, StoreError};
use std::sync::Arc;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

/// How a turn begins.
#[derive(Debug)]
pub enum Start {
    /// Nothing is stored yet; `answer` is told whether it was taken.
    Fresh {
        /// What was asked.
        ask: Ask,
        /// Who asked.
        answer: oneshot::Sender<Result<Accepted, Refusal>>,
    },
    /// It waited in the queue; its message is stored and was announced.
    Stored {
        /// The owner's message.
        message: Box<Message>,
        /// What was asked.
        ask: Ask,
    },
}

/// How a turn ended, for callers that wait for one answer.
#[derive(Debug, Clone)]
pub struct TurnEnd {
    /// The reply as stored.
    pub reply: Option<Box<Message>>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// The last word.
    pub outcome: Outcome,
}

/// A turn and everything it needs.
pub struct TurnTask {
    pub(super) deps: Deps,
    pub(super) live: Arc<Live>,
    pub(super) turn_id: TurnId,
    pub(super) reply_id: MessageId,
    /// Cancelled by the owner's stop.
    pub(super) stop: CancellationToken,
    /// Told once the owner's message is stored.
    pub(super) begun: Option<oneshot::Sender<bool>>,
    /// Told how it ended, where the turn waited in the queue.
    pub(super) told: Option<oneshot::Sender<TurnEnd>>,
    /// The branch's recent end, if the last turn left it.
    pub(super) window: Window,
}

/// An event of the model that came while the beginning was still being stored; the inner `None` is its stream's end.
type Early = Option<Next>;

/// Where the preparation of a turn stands when its message is stored.
enum Preparing {
    /// Memory is still being asked.
    Running(BoxFuture<'static, Result<Ready, Refusal>>),
    /// The model was asked, or cannot be.
    Done(Result<Box<Ready>, Refusal>, Early),
}

impl TurnTask {
    /// Runs the turn to its end and returns the conversation's recent end.
    pub async fn run(mut self, start: Start) -> Window {
        let begun_at = Instant::now();
        self.deps.metrics.turn_started();
        let window = match start {
            Start::Fresh { ask, answer } => Box::pin(self.run_fresh(ask, answer)).await,
            Start::Stored { message, ask } => Box::pin(self.run_stored(*message, &ask)).await,
        };
        self.deps.metrics.turn_ended(begun_at.elapsed());
        window
    }

    async fn run_fresh(&mut self, ask: Ask, answer: oneshot::Sender<Result<Accepted, Refusal>>) -> Window {
        let begin = begin_turn(&self.deps, &self.live, self.turn_id, self.reply_id, &ask, None);
        match self.begin_fresh(&ask, begin).await {
            Ok(Begun::Turn { message, preparing }) => {
                let (told, end) = oneshot::channel();
                self.told = Some(told);
                self.tell_begun(true);
                if let Some(event) = message_event(&ask, &message) {
                    self.emit_plain(&event);
                }
                let accepted = Accepted::Turn {
                    turn_id: self.turn_id,
                    reply_id: self.reply_id,
                    message,
                    end,
                };
                // The caller may have gone away; the turn goes on without it.
                drop(answer.send(Ok(accepted)));
                self.answer(preparing).await
            }
            Ok(Begun::Without(accepted)) => {
                self.tell_begun(false);
                drop(answer.send(Ok(accepted)));
                Window::default()
            }
            Err(refusal) => {
                self.tell_begun(false);
                drop(answer.send(Err(refusal)));
                Window::default()
            }
        }
    }

    async fn run_stored(&mut self, message: Message, ask: &Ask) -> Window {
        self.tell_begun(true);
        let ready = async {
            self.check_budget().await?;
            let view = self.view().await?.ok_or(Refusal::NoSuchSession)?;
            let mut window = std::mem::take(&mut self.window);
            // The reply before it may have become its parent meanwhile; the store knows.
            let stored = self
                .deps
                .store
                .find_message(self.live.account, message.id)
                .await?
                .unwrap_or(message);
            if window.head() != stored.parent_id || window.messages.is_empty() {
                window = context::read_window(&self.deps, self.live.account, &self.live.id, stored.parent_id).await?;
            }
            if stored.status == MessageStatus::Forgotten {
                return Ok(None);
            }
            self.push_message(&mut window, stored);
            let target = self.target(ask).await?;
            let alternatives = self.alternatives(target.as_ref()).await?;
            Ok::<_, Refusal>(Some(self.plan(view, window, alternatives, ask)))
        }
        .await;
        match ready {
            // Forgotten while it waited: there is nothing to answer.
            Ok(None) => self.end_stopped(&mut Law::default()).await,
            Ok(Some(plan)) => {
                let preparing = Preparing::Running(prepare(self.deps.clone(), plan).boxed());
                self.answer(preparing).await
            }
            Err(refusal) => self.fail(failure_of_refusal(&refusal)).await,
        }
    }

    fn plan(&self, view: View, window: Window, alternatives: Vec<MessageId>, ask: &Ask) -> Plan {
        Plan {
            account: self.live.account,
            turn_id: self.turn_id,
            reply_id: self.reply_id,
            view,
            window,
            alternatives,
            persona: persona_of(ask),
            tz: tz_of(ask).map(str::to_owned),
            fresh: !matches!(ask, Ask::Regenerate { .. }),
        }
    }

    fn tell_begun(&mut self, stored: bool) {
        if let Some(begun) = self.begun.take() {
            // Only an actor that has something to queue listens.
            begun.send(stored).unwrap_or_default();
        }
    }

    async fn view(&self) -> Result<Option<View>, Refusal> {
        let found = self
            .deps
            .store
            .find_session_view(self.live.account, &self.live.id)
            .await?;
        Ok(found.map(|(session, state)| View { session, state }))
    }

    /// Stores the beginning and asks the model at the same time, so that the disk's wait hides behind the model.
    async fn begin_fresh(&mut self, ask: &Ask, begin: BeginTurn) -> Result<Begun, Refusal> {
        // A repeated message costs nothing, so it is answered whatever the budget says.
        if let Some(accepted) = self.find_duplicate(ask).await? {
            return Ok(Begun::Without(accepted));
        }
        self.check_budget().await?;
        let Some(view) = self.view().await? else {
            return Err(Refusal::NoSuchSession);
        };
        if let Some(name) = persona_of(ask)
            && self.deps.personas.fresh().await.get(&name).is_none()
        {
            return Err(Refusal::NoSuchPersona(name.to_string()));
        }
        let target = self.target(ask).await?;
        let alternatives = self.alternatives(target.as_ref()).await?;
        let window = self.window_before(ask, &begin, &view, target).await?;
        let plan = self.plan(view, window, alternatives, ask);
        let mut preparing = Preparing::Running(prepare(self.deps.clone(), plan).boxed());
        let (deps, live) = (self.deps.clone(), self.live.clone());
        let commit = async move { store_begin(&deps, &live, begin).await };
        tokio::pin!(commit);
        let outcome = loop {
            match &mut preparing {
                Preparing::Running(work) => tokio::select! {
                    biased;
                    outcome = &mut commit => break outcome?,
                    ready = work => preparing = Preparing::Done(ready.map(Box::new), None),
                },
                Preparing::Done(Ok(ready), early @ None) => tokio::select! {
                    biased;
                    outcome = &mut commit => break outcome?,
                    event = ready.stream.next() => *early = Some(event),
                },
                Preparing::Done(..) => break commit.await?,
            }
        };
        match outcome {
            BeginOutcome::Begun { user_message } => Ok(Begun::Turn {
                message: Box::new(user_message),
                preparing,
            }),
            other => accept_without_turn(other).map(Begun::Without),
        }
    }

    /// A repeated `client_id` must not cost a model call.
    async fn find_duplicate(&self, ask: &Ask) -> Result<Option<Accepted>, Refusal> {
        let Ask::Send(request) = ask else { return Ok(None) };
        let Some(client_id) = &request.client_id else {
            return Ok(None);
        };
        let found = self
            .deps
            .store
            .find_duplicate(self.live.account, &self.live.id, client_id, &request.content)
            .await?;
        found.map(accept_without_turn).transpose()
    }

    async fn check_budget(&self) -> Result<(), Refusal> {
        let Some(budget) = self.deps.settings.daily_token_budget else {
            return Ok(());
        };
        let used = spending::used_today(&self.deps, self.live.account).await?;
        if used >= budget {
            Err(Refusal::BudgetExceeded { budget, used })
        } else {
            Ok(())
        }
    }

    /// The message that is edited or answered anew, if it is there.
    async fn target(&self, ask: &Ask) -> Result<Option<Message>, StoreError> {
        let (Ask::Edit { message_id, .. } | Ask::Regenerate { message_id, .. }) = ask else {
            return Ok(None);
        };
        let found = self.deps.store.find_message(self.live.account, *message_id).await?;
        Ok(found.filter(|message| message.session_id == self.live.id))
    }

    /// The window of a turn that is not stored yet, its own message last.
    async fn window_before(
        &mut self,
        ask: &Ask,
        begin: &BeginTurn,
        view: &View,
        target: Option<Message>,
    ) -> Result<Window, Refusal> {
        let cached = std::mem::take(&mut self.window);
        let account = self.live.account;
        let files = self.deps.store.find_files(account, &begin.files).await?;
        let mut files = files.ok_or(Refusal::NoSuchFile)?;
        let parent = match (ask, target) {
            (Ask::Send(request), _) => request.parent_id.or(view.session.head_id),
            (Ask::Edit { .. }, Some(edited)) => {
                if let BeginKind::Edit { keeps_files: true, .. } = begin.kind {
                    files = edited.files;
                }
                edited.parent_id
            }
            (Ask::Regenerate { .. }, Some(found)) => match found.role {
                Role::User => Some(found.id),
                Role::Assistant => found.parent_id,
            },
            (Ask::Edit { .. } | Ask::Regenerate { .. }, None) => return Err(Refusal::NoSuchMessage),
        };
        let mut window = if cached.head().is_some() && cached.head() == parent {
            cached
        } else {
            context::read_window(&self.deps, account, &self.live.id, parent).await?
        };
        let own = |id: MessageId, content: &str| Message {
            id,
            session_id: self.live.id.clone(),
            parent_id: parent,
            sibling_ids: Vec::new(),
            role: Role::User,
            content: content.to_owned(),
            meta: None,
            status: MessageStatus::Complete,
            project_id: None,
            metadata: None,
            model: None,
            usage: None,
            tool_calls: Vec::new(),
            citations: Vec::new(),
            exposure: Exposure::Clear,
            files: files.clone(),
            created_at: begin.now,
        };
        match &begin.kind {
            BeginKind::Send {
                message_id,
                content,
                project_id,
                metadata,
                ..
            }
            | BeginKind::Edit {
                message_id,
                content,
                project_id,
                metadata,
                ..
            } => {
                let message = Message {
                    project_id: *project_id,
                    metadata: metadata.clone(),
                    ..own(*message_id, content)
                };
                self.push_message(&mut window, message);
            }
            BeginKind::Regenerate { .. } => {
                let last = window.messages.last();
                if last.is_some_and(|message| message.status == MessageStatus::Forgotten) {
                    return Err(Refusal::WrongRole);
                }
            }
        }
        Ok(window)
    }

    /// What this turn says again in another way: not to be recalled for it, or it would be said once more.
    async fn alternatives(&self, target: Option<&Message>) -> Result<Vec<MessageId>, Refusal> {
        let Some(found) = target else {
            return Ok(Vec::new());
        };
        let mut all = found.sibling_ids.clone();
        if found.role == Role::User {
            // What was replied to any version of it.
            let (store, account) = (&self.deps.store, self.live.account);
            let replies = found
                .sibling_ids
                .iter()
                .map(|version| store.find_reply_to(account, *version));
            for reply in try_join_all(replies).await?.into_iter().flatten() {
                all.extend(reply.sibling_ids);
            }
        }
        Ok(all)
    }

    fn push_message(&self, window: &mut Window, message: Message) {
        window.advance(self.deps.settings.history_messages);
        window.messages.push(message);
    }

    async fn fail(&mut self, failure: Failure) -> Window {
        let end = End {
            draft: None,
            failure: Some(failure),
            outcome: Outcome::Failed,
            usage: None,
        };
        self.end(end, Closing::default(), Window::default(), &mut Law::default())
            .await
    }

    /// Ends a turn of which nothing was said.
    async fn end_stopped(&mut self, law: &mut Law) -> Window {
        let end = End {
            draft: None,
            failure: None,
            outcome: Outcome::Stopped,
            usage: None,
        };
        self.end(end, Closing::default(), Window::default(), law).await
    }

    /// Answers a message that is stored: waits for memory where it must, then for the model.
    async fn answer(&mut self, preparing: Preparing) -> Window {
        let mut law = Law::default();
        let (ready, early) = match preparing {
            Preparing::Done(ready, early) => (ready, early),
            Preparing::Running(work) => {
                let recalling = TurnEvent::Status {
                    stage: Stage::Recalling,
                    detail: None,
                };
                self.emit_lawful(&mut law, &recalling);
                let hard = self.deps.lifecycle.hard().clone();
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return self.end_stopped(&mut law).await,
                    () = hard.cancelled() => return self.fail(shutting_down()).await,
                    ready = work => (ready.map(Box::new), None),
                }
            }
        };
        match ready {
            Ok(mut ready) => {
                if let Some(event) = ready.recall.take() {
                    self.emit_lawful(&mut law, &event);
                }
                self.speak(*ready, early, law).await
            }
            Err(refusal) => self.fail(failure_of_refusal(&refusal)).await,
        }
    }

    fn emit_lawful(&self, law: &mut Law, event: &TurnEvent) {
        debug_assert_eq!(law.check(event), Ok(()), "the law of a turn");
        self.emit_plain(event);
    }

    /// Streams the reply and stores it.
    async fn speak(&mut self, ready: Ready, early: Early, law: Law) -> Window {
        let Ready {
            mut turn,
            mut stream,
            mut closing,
            exposure,
            window,
            mut tools,
            recall: _,
        } = ready;
        let mut voice = Voice::new(self, &mut turn, law, exposure);
        voice.hosted.project = tools.context.project;
        voice.say(&TurnEvent::Status {
            stage: Stage::Thinking,
            detail: None,
        });
        let mut early = early;
        let end = loop {
            let asked = match voice.listen(&mut stream, early.take()).await {
                Heard::End(end) => break *end,
                Heard::Calls(asked) => asked,
            };
            if let Err(end) = voice.run_tools(&mut tools, *asked).await {
                break *end;
            }
            stream = self.deps.model.stream(tools.request.clone());
        };
        if let (Some(lesson), Some(draft)) = (&mut closing.lesson, &end.draft) {
            let outcomes = draft.calls.iter().filter_map(|call| call.outcome.as_ref());
            lesson.untrusted |= outcomes.into_iter().any(|outcome| outcome.untrusted);
        }
        // The upstream connection goes back to its pool (or is closed) before the disk is waited for.
        drop(stream);
        if let Some(draft) = &end.draft {
            voice.finish_html(&draft.content, &draft.citations);
        }
        let mut law = voice.law;
        self.end(end, closing, window, &mut law).await
    }

    /// Stores how it ended, then says so.
    async fn end(&mut self, end: End, closing: Closing, mut window: Window, law: &mut Law) -> Window {
        let scope = Scope {
            session_id: &self.live.id,
            turn_id: self.turn_id,
            reply_id: self.reply_id,
            persona: "",
            mood: "",
        };
        let ended = close_with(&self.deps, &self.live, &scope, end, closing, law).await;
        match &ended.reply {
            Some(reply) if window.head().is_some() && window.head() == reply.parent_id => {
                window.messages.push((**reply).clone());
            }
            // Without a reply the branch ends with the owner's message, which the window already holds.
            Some(_) => window = Window::default(),
            None => {}
        }
        if let Some(told) = self.told.take() {
            drop(told.send(ended));
        }
        window
    }

    fn emit_plain(&self, event: &TurnEvent) {
        let scope = Scope {
            session_id: &self.live.id,
            turn_id: self.turn_id,
            reply_id: self.reply_id,
            persona: "",
            mood: "",
        };
        self.live.emit(&self.deps, &scope, event);
    }
}

enum Begun {
    Turn {
        message: Box<Message>,
        preparing: Preparing,
    },
    Without(Accepted),
}

fn persona_of(ask: &Ask) -> Option<PersonaName> {
    match ask {
        Ask::Send(request) => request.persona.clone(),
        Ask::Regenerate { .. } | Ask::Edit { .. } => None,
    }
}

fn tz_of(ask: &Ask) -> Option<&str> {
    match ask {
        Ask::Send(request) => request.tz.as_deref(),
        Ask::Regenerate { tz, .. } | Ask::Edit { tz, .. } => tz.as_deref(),
    }
}

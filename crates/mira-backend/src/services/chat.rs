//! One turn from request to stored reply: the only driver of the turn machine. REST, SSE and WebSocket differ only in
//! how they listen.
//!
//! Invariants: nothing of a turn is sent before its message is durable; whatever was sent is stored or said to be
//! lost; exactly one `done`.

use crate::services::{
    context::{self, View, Window},
    deps::{Deps, Scope},
    hub::{
        actor::{Accepted, Ask, Refusal, accept_without_turn, begin_turn, message_event, store_begin},
        live::Live,
    },
    personas,
};
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use jiff::tz::TimeZone;
use mira_core::{
    chat::{Message, MessageStatus, Mood, ReplyMeta, Role},
    ids::{AccountId, MessageId, MoodId, TurnId},
    model::{ModelEvent, ModelRequest},
    persona::PersonaName,
    prompt::{self, PromptInput},
    turn::{Draft, End, Failure, FailureKind, Interruption, Outcome, Stage, Turn, TurnEvent, laws::Law},
};
use mira_llm::LlmError;
use mira_memory::{
    BeginKind, BeginOutcome, BeginTurn, CheckpointPart, FinishOutcome, FinishTurn, MiraChange, NewReply, ReplyHead,
    StoreError, TurnState,
};
use mira_render::LiveHtml;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Partial text is stored this long after it was shown, at most (plus one write).
const CHECKPOINT_AFTER: Duration = Duration::from_millis(200);
/// HTML is rendered at most this often while text streams.
const RENDER_EVERY: Duration = Duration::from_millis(40);
/// A reply longer than this is a model gone wild; it is cut and kept.
const MAX_REPLY_BYTES: usize = 2 * 1024 * 1024;

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

/// A turn ready to be spoken.
struct Ready {
    turn: Turn,
    stream: BoxStream<'static, Result<ModelEvent, LlmError>>,
    closing: Closing,
    window: Window,
}

/// What the end of a turn must know of its beginning.
#[derive(Debug, Clone, Default)]
struct Closing {
    /// The overlay was asked for this turn only and does not become hers.
    keeps_persona: bool,
    /// The nudged mood the prompt told her of.
    told_nudge: Option<Mood>,
}

/// What the turn is built for.
struct Plan<'a> {
    view: &'a View,
    window: Window,
    persona: Option<PersonaName>,
    tz: Option<&'a str>,
}

impl TurnTask {
    /// Runs the turn to its end and returns the conversation's recent end.
    pub async fn run(mut self, start: Start) -> Window {
        let begun_at = Instant::now();
        self.deps.metrics.turn_started();
        let window = match start {
            Start::Fresh { ask, answer } => self.run_fresh(ask, answer).await,
            Start::Stored { message, ask } => self.run_stored(*message, &ask).await,
        };
        self.deps.metrics.turn_ended(begun_at.elapsed());
        window
    }

    async fn run_fresh(&mut self, ask: Ask, answer: oneshot::Sender<Result<Accepted, Refusal>>) -> Window {
        let begin = begin_turn(&self.deps, &self.live, self.turn_id, self.reply_id, &ask, None);
        match self.begin_fresh(&ask, begin).await {
            Ok(Begun::Turn { message, ready, early }) => {
                let (told, end) = oneshot::channel();
                self.told = Some(told);
                self.tell_begun(true);
                if let Some(event) = message_event(&ask, &message) {
                    self.emit_plain(&event);
                }
                let accepted = Accepted::Turn { turn_id: self.turn_id, reply_id: self.reply_id, message, end };
                // The caller may have gone away; the turn goes on without it.
                drop(answer.send(Ok(accepted)));
                match ready {
                    Ok(ready) => self.speak(*ready, early).await,
                    Err(failure) => self.fail(failure).await,
                }
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
            let view = self.view().await?.ok_or(Refusal::NoSuchSession)?;
            let mut window = std::mem::take(&mut self.window);
            // The reply before it may have become its parent meanwhile; the store knows.
            let stored = self.deps.store.find_message(self.live.account, message.id).await?.unwrap_or(message);
            if window.head() != stored.parent_id || window.messages.is_empty() {
                window = context::read_window(&self.deps, self.live.account, &self.live.id, stored.parent_id).await?;
            }
            self.push_message(&mut window, stored);
            self.prepare(Plan { view: &view, window, persona: persona_of(ask), tz: tz_of(ask) }).await
        }
        .await;
        match ready {
            Ok(ready) => self.speak(ready, None).await,
            Err(refusal) => self.fail(failure_of_refusal(&refusal)).await,
        }
    }

    fn tell_begun(&mut self, stored: bool) {
        if let Some(begun) = self.begun.take() {
            // Only an actor that has something to queue listens.
            begun.send(stored).unwrap_or_default();
        }
    }

    async fn view(&self) -> Result<Option<View>, Refusal> {
        let found = self.deps.store.find_session_view(self.live.account, &self.live.id).await?;
        Ok(found.map(|(session, state)| View { session, state }))
    }

    /// Stores the beginning and asks the model at the same time, so that the disk's wait hides behind the model.
    async fn begin_fresh(&mut self, ask: &Ask, begin: BeginTurn) -> Result<Begun, Refusal> {
        self.check_budget().await?;
        if let Some(accepted) = self.find_duplicate(ask).await? {
            return Ok(Begun::Without(accepted));
        }
        let Some(view) = self.view().await? else { return Err(Refusal::NoSuchSession) };
        if let Some(name) = persona_of(ask) {
            if self.deps.personas.fresh().await.get(&name).is_none() {
                return Err(Refusal::NoSuchPersona(name.to_string()));
            }
        }
        let window = self.window_before(ask, &begin, &view).await?;
        let plan = Plan { view: &view, window, persona: persona_of(ask), tz: tz_of(ask) };
        let mut ready = self.prepare(plan).await;
        let mut early = None;
        let (deps, live) = (self.deps.clone(), self.live.clone());
        let commit = async move { store_begin(&deps, &live, begin).await };
        tokio::pin!(commit);
        let outcome = loop {
            match &mut ready {
                Ok(ready) if early.is_none() => tokio::select! {
                    biased;
                    outcome = &mut commit => break outcome?,
                    event = ready.stream.next() => early = Some(event),
                },
                Ok(_) | Err(_) => break commit.await?,
            }
        };
        match outcome {
            BeginOutcome::Begun { user_message } => {
                let ready = ready.map(Box::new).map_err(|refusal| failure_of_refusal(&refusal));
                Ok(Begun::Turn { message: Box::new(user_message), ready, early })
            }
            other => accept_without_turn(other).map(Begun::Without),
        }
    }

    /// A repeated `client_id` must not cost a model call.
    async fn find_duplicate(&self, ask: &Ask) -> Result<Option<Accepted>, Refusal> {
        let Ask::Send(request) = ask else { return Ok(None) };
        let Some(client_id) = &request.client_id else { return Ok(None) };
        let found = self.deps.store.find_duplicate(self.live.account, &self.live.id, client_id, &request.content).await?;
        found.map(accept_without_turn).transpose()
    }

    async fn check_budget(&self) -> Result<(), Refusal> {
        let Some(budget) = self.deps.settings.daily_token_budget else { return Ok(()) };
        let now = self.deps.clock.now().to_zoned(self.deps.settings.tz.clone());
        let midnight = now.start_of_day().map_or(self.deps.clock.now(), |day| day.timestamp());
        let used = self.deps.store.tokens_used_since(self.live.account, midnight).await?;
        if used >= budget { Err(Refusal::BudgetExceeded { budget, used }) } else { Ok(()) }
    }

    /// The window of a turn that is not stored yet, its own message last.
    async fn window_before(&mut self, ask: &Ask, begin: &BeginTurn, view: &View) -> Result<Window, Refusal> {
        let cached = std::mem::take(&mut self.window);
        let (store, account) = (&self.deps.store, self.live.account);
        let parent = match ask {
            Ask::Send(request) => request.parent_id.or(view.session.head_id),
            Ask::Edit { message_id, .. } => {
                let edited = store.find_message(account, *message_id).await?;
                edited.filter(|m| m.session_id == self.live.id).ok_or(Refusal::NoSuchMessage)?.parent_id
            }
            Ask::Regenerate { message_id, .. } => {
                let found = store.find_message(account, *message_id).await?;
                let found = found.filter(|m| m.session_id == self.live.id).ok_or(Refusal::NoSuchMessage)?;
                match found.role {
                    Role::User => Some(found.id),
                    Role::Assistant => found.parent_id,
                }
            }
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
            created_at: begin.now,
        };
        match &begin.kind {
            BeginKind::Send { message_id, content, metadata, .. } => {
                let message = Message { metadata: metadata.clone(), ..own(*message_id, content) };
                self.push_message(&mut window, message);
            }
            BeginKind::Edit { message_id, content, .. } => self.push_message(&mut window, own(*message_id, content)),
            BeginKind::Regenerate { .. } => {}
        }
        Ok(window)
    }

    fn push_message(&self, window: &mut Window, message: Message) {
        window.advance(self.deps.settings.history_messages);
        window.messages.push(message);
    }

    /// Builds the prompt and opens the model's stream.
    async fn prepare(&self, plan: Plan<'_>) -> Result<Ready, Refusal> {
        let Plan { view, window, persona, tz } = plan;
        let set = self.deps.personas.fresh().await;
        let pin = view.session.pinned_persona.clone();
        let closing = Closing {
            keeps_persona: persona.is_some(),
            told_nudge: view.state.nudged.then(|| view.state.mood.clone()),
        };
        let pinned = pin.is_some() && persona.is_none();
        let forced = persona.or(pin);
        let wanted = forced.as_ref().unwrap_or(&view.state.persona);
        let overlay = personas::find_or(&set, wanted, &self.deps.settings.default_persona);
        let overlay = overlay.ok_or_else(|| Refusal::NoSuchPersona(wanted.to_string()))?;
        let zone = tz.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| self.deps.settings.tz.clone());
        let local = self.deps.clock.now().to_zoned(zone);
        let built = prompt::build(&PromptInput {
            persona: overlay,
            personas: &set,
            pinned: forced.is_some(),
            state: &view.state,
            history: &window.messages,
            skipped: window.skipped,
            local_time: &local.strftime("%A %-d %B %Y, %H:%M (%Q)").to_string(),
            budget_tokens: self.deps.settings.context_tokens,
        });
        if built.dropped > 0 {
            tracing::debug!(session.id = %self.live.id, dropped = built.dropped, tokens = built.tokens, "the prompt budget is full");
        }
        let fallback = ReplyMeta {
            persona: overlay.name.clone(),
            mood: view.state.mood.clone(),
            mood_cause: view.state.mood_cause.clone(),
            intent: None,
            owner_mood: None,
            tags: Vec::new(),
            salience: None,
        };
        let request = ModelRequest {
            system: built.system,
            messages: built.messages,
            tail: built.tail,
            personas: set.iter().map(|p| p.name.clone()).collect(),
            fallback: fallback.clone(),
            cache_key: self.live.id.to_string(),
        };
        let stream = self.deps.model.stream(request);
        let turn = Turn::new(self.turn_id, self.reply_id, forced, pinned, fallback);
        Ok(Ready { turn, stream, closing, window })
    }

    async fn fail(&mut self, failure: Failure) -> Window {
        let end = End { draft: None, failure: Some(failure), outcome: Outcome::Failed };
        self.end(end, Closing::default(), Window::default(), &mut Law::default()).await
    }

    /// Streams the reply and stores it.
    async fn speak(&mut self, ready: Ready, early: Option<Option<Result<ModelEvent, LlmError>>>) -> Window {
        let Ready { mut turn, mut stream, closing, window } = ready;
        let mut voice = Voice::new(self, &mut turn);
        voice.say(&TurnEvent::Status { stage: Stage::Thinking, detail: None });
        let end = voice.listen(&mut stream, early).await;
        // The upstream connection goes back to its pool (or is closed) before the disk is waited for.
        drop(stream);
        voice.finish_html();
        let mut law = voice.law;
        self.end(end, closing, window, &mut law).await
    }

    /// Stores how it ended, then says so.
    async fn end(&mut self, end: End, closing: Closing, mut window: Window, law: &mut Law) -> Window {
        let scope = Scope { session_id: &self.live.id, turn_id: self.turn_id, reply_id: self.reply_id, persona: "", mood: "" };
        let ended = close_with(&self.deps, &self.live, &scope, end, closing, law).await;
        match &ended.reply {
            Some(reply) if window.head().is_some() && window.head() == reply.parent_id => window.messages.push((**reply).clone()),
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
        let scope = Scope { session_id: &self.live.id, turn_id: self.turn_id, reply_id: self.reply_id, persona: "", mood: "" };
        self.live.emit(&self.deps, &scope, event);
    }
}

enum Begun {
    Turn {
        message: Box<Message>,
        ready: Result<Box<Ready>, Failure>,
        early: Option<Option<Result<ModelEvent, LlmError>>>,
    },
    Without(Accepted),
}

/// A turn while it speaks: the machine, its checkpoints, its HTML.
struct Voice<'a> {
    task: &'a TurnTask,
    turn: &'a mut Turn,
    law: Law,
    html: Option<LiveHtml>,
    html_fed: usize,
    parts: u32,
}

type Checkpoint = BoxFuture<'static, Result<usize, StoreError>>;

impl<'a> Voice<'a> {
    fn new(task: &'a TurnTask, turn: &'a mut Turn) -> Self {
        Self { task, turn, law: Law::default(), html: None, html_fed: 0, parts: 0 }
    }

    fn say(&mut self, event: &TurnEvent) {
        debug_assert_eq!(self.law.check(event), Ok(()), "the law of a turn");
        let scope = Scope {
            session_id: &self.task.live.id,
            turn_id: self.task.turn_id,
            reply_id: self.task.reply_id,
            persona: self.turn.persona().as_str(),
            mood: self.turn.mood().as_str(),
        };
        self.task.live.emit(&self.task.deps, &scope, event);
    }

    async fn listen(
        &mut self,
        stream: &mut BoxStream<'static, Result<ModelEvent, LlmError>>,
        early: Option<Option<Result<ModelEvent, LlmError>>>,
    ) -> End {
        if let Some(event) = early {
            if let Some(end) = self.on_event(event).await {
                return end;
            }
        }
        let hard = self.task.deps.lifecycle.hard().clone();
        let mut checkpoint: Option<Checkpoint> = None;
        let far = Instant::now() + Duration::from_secs(86_400);
        let (checkpoint_due, render_due) = (sleep_until(far), sleep_until(far));
        tokio::pin!(checkpoint_due, render_due);
        let (mut checkpoint_armed, mut render_armed) = (false, false);
        loop {
            if !checkpoint_armed && checkpoint.is_none() && self.turn.unstored().is_some() {
                checkpoint_due.as_mut().reset(Instant::now() + CHECKPOINT_AFTER);
                checkpoint_armed = true;
            }
            if !render_armed && self.html_behind() {
                render_due.as_mut().reset(Instant::now() + RENDER_EVERY);
                render_armed = true;
            }
            tokio::select! {
                biased;
                () = self.task.stop.cancelled() => return self.turn.interrupt(Interruption::Stop, self.model()),
                () = hard.cancelled() => return self.turn.interrupt(Interruption::Failure(shutting_down()), self.model()),
                stored = wait_for(&mut checkpoint) => {
                    checkpoint = None;
                    match stored {
                        Ok(bytes) => self.turn.mark_stored(bytes),
                        Err(error) => tracing::warn!(%error, turn.id = %self.task.turn_id, "partial text could not be stored"),
                    }
                }
                () = &mut checkpoint_due, if checkpoint_armed => {
                    checkpoint_armed = false;
                    checkpoint = self.checkpoint();
                }
                () = &mut render_due, if render_armed => {
                    render_armed = false;
                    self.render();
                }
                event = stream.next() => if let Some(end) = self.on_event(event).await {
                    // A checkpoint under way must not be overtaken by the end of its own turn.
                    if let Some(checkpoint) = checkpoint {
                        if let Err(error) = checkpoint.await {
                            tracing::warn!(%error, turn.id = %self.task.turn_id, "partial text could not be stored");
                        }
                    }
                    return end;
                },
            }
        }
    }

    async fn on_event(&mut self, event: Option<Result<ModelEvent, LlmError>>) -> Option<End> {
        let event = match event {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                let failure = failure_of(&error);
                tracing::warn!(%error, turn.id = %self.task.turn_id, session.id = %self.task.live.id, "the model call failed");
                return Some(self.turn.interrupt(Interruption::Failure(failure), self.model()));
            }
            None => {
                let failure = failure_of(&LlmError::CutOff);
                return Some(self.turn.interrupt(Interruption::Failure(failure), self.model()));
            }
        };
        let mut out = Vec::with_capacity(2);
        let end = self.turn.on_model(event, &mut out).err();
        if let Err(error) = self.task.live.reserve(&self.task.deps).await {
            tracing::error!(%error, session.id = %self.task.live.id, "no event numbers could be reserved");
            return Some(self.turn.interrupt(Interruption::Failure(storage_failure(&error)), self.model()));
        }
        for event in &out {
            if matches!(event, TurnEvent::Persona { .. }) {
                self.task.deps.metrics.first_word();
            }
            self.say(event);
        }
        if end.is_none() && self.turn.text().len() > MAX_REPLY_BYTES {
            let detail = format!("The reply grew beyond {MAX_REPLY_BYTES} bytes and was cut.");
            let failure = Failure { kind: FailureKind::ModelNonsense, detail, retryable: false };
            return Some(self.turn.interrupt(Interruption::Failure(failure), self.model()));
        }
        end.map(|end| *end)
    }

    fn model(&self) -> Option<&'a str> {
        Some(self.task.deps.settings.model.as_str())
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let text = self.turn.unstored()?.to_owned();
        let head = self.turn.head().map(|head| ReplyHead {
            persona: head.persona.clone(),
            mood: head.mood.clone(),
            mood_cause: head.mood_cause.clone(),
            model: self.model().map(str::to_owned),
        });
        let (store, account, turn_id) = (self.task.deps.store.clone(), self.task.live.account, self.task.turn_id);
        let n = self.parts;
        self.parts += 1;
        Some(Box::pin(async move {
            let bytes = text.len();
            store.checkpoint_turn(account, turn_id, CheckpointPart { n, text, head }).await.map(|()| bytes)
        }))
    }

    fn html_behind(&self) -> bool {
        self.task.live.html_wanted() && self.html_fed < self.turn.text().len()
    }

    fn render(&mut self) {
        let text = self.turn.text();
        let html = self.html.get_or_insert_with(LiveHtml::new);
        if let Some(new) = text.get(self.html_fed..) {
            html.push(new);
        }
        self.html_fed = text.len();
        let blocks = if self.task.live.take_html_refresh() { html.snapshot() } else { html.render_changed() };
        let scope = Scope { session_id: &self.task.live.id, turn_id: self.task.turn_id, reply_id: self.task.reply_id, persona: "", mood: "" };
        self.task.live.emit_html(&self.task.deps, &scope, &blocks);
    }

    fn finish_html(&mut self) {
        if self.html.is_some() && self.html_behind() {
            self.render();
        }
    }
}

async fn wait_for(checkpoint: &mut Option<Checkpoint>) -> Result<usize, StoreError> {
    match checkpoint {
        Some(checkpoint) => checkpoint.await,
        None => std::future::pending().await,
    }
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

/// Ends a turn that never reached the model.
pub async fn close(deps: &Deps, live: &Live, scope: &Scope<'_>, end: End) -> TurnEnd {
    close_with(deps, live, scope, end, Closing::default(), &mut Law::default()).await
}

async fn close_with(deps: &Deps, live: &Live, scope: &Scope<'_>, end: End, closing: Closing, law: &mut Law) -> TurnEnd {
    let End { draft, mut failure, mut outcome } = end;
    let had_draft = draft.is_some();
    let finish = finish_turn(deps, scope.turn_id, draft, outcome, closing);
    let reply = match deps.store.finish_turn(live.account, finish).await {
        Ok(FinishOutcome::Finished(reply)) => reply.map(Box::new),
        // The session was cleared or removed meanwhile: there is nothing to tell of.
        Ok(FinishOutcome::Gone) => None,
        Err(error) => {
            tracing::error!(%error, turn.id = %scope.turn_id, session.id = %live.id, "the end of a turn could not be stored");
            // The parts stored so far are put together at the next start.
            failure = Some(storage_failure(&error));
            outcome = if had_draft { Outcome::Interrupted } else { Outcome::Failed };
            None
        }
    };
    if let Some(usage) = reply.as_ref().and_then(|reply| reply.usage) {
        deps.metrics.tokens(usage);
    }
    deps.metrics.turn_outcome(outcome);
    if let Err(error) = live.reserve(deps).await {
        tracing::error!(%error, session.id = %live.id, "no event numbers could be reserved");
    }
    let mut say = |event: TurnEvent| {
        debug_assert_eq!(law.check(&event), Ok(()), "the law of a turn");
        live.emit(deps, scope, &event);
    };
    match (&failure, &reply) {
        (Some(failure), reply) => say(TurnEvent::Error { failure: failure.clone(), message: reply.clone() }),
        (None, Some(reply)) => say(TurnEvent::Complete(reply.clone())),
        (None, None) => {}
    }
    say(TurnEvent::Done(outcome));
    TurnEnd { reply, failure, outcome }
}

fn finish_turn(deps: &Deps, turn_id: TurnId, draft: Option<Draft>, outcome: Outcome, closing: Closing) -> FinishTurn {
    let mira = draft.as_ref().map(|draft| MiraChange {
        persona: (!closing.keeps_persona).then(|| draft.meta.persona.clone()),
        mood: draft.meta.mood.clone(),
        cause: draft.meta.mood_cause.clone(),
        entry: MoodId(deps.clock.new_uuid()),
    });
    let reply = draft.map(|draft| NewReply {
        content: draft.content,
        meta: Some(draft.meta),
        status: draft.status,
        model: draft.model,
        usage: draft.usage,
    });
    let state = match outcome {
        Outcome::Complete => TurnState::Complete,
        Outcome::Stopped => TurnState::Stopped,
        Outcome::Interrupted => TurnState::Interrupted,
        Outcome::Failed => TurnState::Failed,
    };
    FinishTurn { turn_id, reply, state, mira, told_nudge: closing.told_nudge, now: deps.clock.now() }
}

/// What a reply falls back to when even the session cannot be read.
pub async fn fallback_meta(deps: &Deps, account: AccountId) -> ReplyMeta {
    let state = deps.store.find_state(account).await.ok().flatten();
    let (persona, mood, mood_cause) = match state {
        Some(state) => (state.persona, state.mood, state.mood_cause),
        None => (deps.settings.default_persona.clone(), Mood::first(), None),
    };
    ReplyMeta { persona, mood, mood_cause, intent: None, owner_mood: None, tags: Vec::new(), salience: None }
}

/// The failure of a turn that the end of the process cut off.
pub fn shutting_down() -> Failure {
    let detail = "Mira was shut down before the reply was whole. What she had said is kept.".to_owned();
    Failure { kind: FailureKind::ShuttingDown, detail, retryable: true }
}

fn storage_failure(error: &StoreError) -> Failure {
    let detail = match error {
        StoreError::DiskFull(_) => "The disk is full: nothing new can be stored until there is room.",
        StoreError::ReadOnly(_) => "The database cannot be written: its disk or folder is read-only.",
        _ => "The database failed; Mira's log says why.",
    };
    Failure { kind: FailureKind::Storage, detail: detail.to_owned(), retryable: true }
}

fn failure_of_refusal(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::Store(error) => storage_failure(error),
        other => Failure { kind: FailureKind::Internal, detail: other.to_string(), retryable: true },
    }
}

/// What a failed model call means to the owner.
fn failure_of(error: &LlmError) -> Failure {
    let kind = match error {
        LlmError::Auth { .. } | LlmError::BadKey => FailureKind::ModelAuth,
        LlmError::ModelNotFound { .. } => FailureKind::ModelNotFound,
        LlmError::RateLimited { .. } => FailureKind::RateLimited,
        LlmError::Quota => FailureKind::QuotaExceeded,
        LlmError::ContextTooLong { .. } => FailureKind::ContextTooLong,
        LlmError::Refused { .. } => FailureKind::Refused,
        LlmError::BadRequest { .. } | LlmError::Forbidden { .. } | LlmError::Unsendable { .. } => FailureKind::ModelRejected,
        LlmError::Server { .. } | LlmError::Connect { .. } | LlmError::BadUrl { .. } | LlmError::Transport { .. } => {
            FailureKind::ModelUnavailable
        },
        LlmError::IdleTimeout { .. } => FailureKind::ModelTimeout,
        LlmError::CutOff => FailureKind::ModelCutOff,
        LlmError::Garbage { .. } | LlmError::Empty { .. } | LlmError::TooLarge { .. } => FailureKind::ModelNonsense,
    };
    Failure { kind, detail: error.to_string(), retryable: error.retryable() }
}

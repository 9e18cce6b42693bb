//! One turn from request to stored reply: the only driver of the turn machine. REST, SSE and WebSocket differ only in
//! how they listen.
//!
//! Invariants: nothing of a turn is sent before its message is durable; whatever was sent is stored or said to be
//! lost; exactly one `done`.

mod close;
mod voice;

pub use close::{close, fallback_meta, shutting_down};

use self::{
    close::{Closing, close_with, failure_of_refusal},
    voice::Voice,
};
use crate::services::{
    context::{self, View, Window},
    deps::{Deps, Scope},
    hub::{
        actor::{Accepted, Ask, Refusal, accept_without_turn, begin_turn, message_event, store_begin},
        live::Live,
    },
    personas,
};
use futures_util::{StreamExt, stream::BoxStream};
use jiff::tz::TimeZone;
use mira_core::{
    chat::{Message, MessageStatus, ReplyMeta, Role},
    ids::{MessageId, TurnId},
    model::{ModelEvent, ModelRequest},
    persona::PersonaName,
    prompt::{self, PromptInput},
    turn::{End, Failure, Outcome, Stage, Turn, TurnEvent, laws::Law},
};
use mira_llm::LlmError;
use mira_memory::{BeginKind, BeginOutcome, BeginTurn};
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

/// A turn ready to be spoken.
struct Ready {
    turn: Turn,
    stream: BoxStream<'static, Result<ModelEvent, LlmError>>,
    closing: Closing,
    window: Window,
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
                let accepted = Accepted::Turn {
                    turn_id: self.turn_id,
                    reply_id: self.reply_id,
                    message,
                    end,
                };
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
            let stored = self
                .deps
                .store
                .find_message(self.live.account, message.id)
                .await?
                .unwrap_or(message);
            if window.head() != stored.parent_id || window.messages.is_empty() {
                window = context::read_window(&self.deps, self.live.account, &self.live.id, stored.parent_id).await?;
            }
            self.push_message(&mut window, stored);
            self.prepare(Plan {
                view: &view,
                window,
                persona: persona_of(ask),
                tz: tz_of(ask),
            })
            .await
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
        let window = self.window_before(ask, &begin, &view).await?;
        let plan = Plan {
            view: &view,
            window,
            persona: persona_of(ask),
            tz: tz_of(ask),
        };
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
                Ok(Begun::Turn {
                    message: Box::new(user_message),
                    ready,
                    early,
                })
            }
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
        let now = self.deps.clock.now().to_zoned(self.deps.settings.tz.clone());
        let midnight = now.start_of_day().map_or(self.deps.clock.now(), |day| day.timestamp());
        let used = self.deps.store.tokens_used_since(self.live.account, midnight).await?;
        if used >= budget {
            Err(Refusal::BudgetExceeded { budget, used })
        } else {
            Ok(())
        }
    }

    /// The window of a turn that is not stored yet, its own message last.
    async fn window_before(&mut self, ask: &Ask, begin: &BeginTurn, view: &View) -> Result<Window, Refusal> {
        let cached = std::mem::take(&mut self.window);
        let (store, account) = (&self.deps.store, self.live.account);
        let parent = match ask {
            Ask::Send(request) => request.parent_id.or(view.session.head_id),
            Ask::Edit { message_id, .. } => {
                let edited = store.find_message(account, *message_id).await?;
                edited
                    .filter(|m| m.session_id == self.live.id)
                    .ok_or(Refusal::NoSuchMessage)?
                    .parent_id
            }
            Ask::Regenerate { message_id, .. } => {
                let found = store.find_message(account, *message_id).await?;
                let found = found
                    .filter(|m| m.session_id == self.live.id)
                    .ok_or(Refusal::NoSuchMessage)?;
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
            BeginKind::Send {
                message_id,
                content,
                metadata,
                ..
            } => {
                let message = Message {
                    metadata: metadata.clone(),
                    ..own(*message_id, content)
                };
                self.push_message(&mut window, message);
            }
            BeginKind::Edit {
                message_id, content, ..
            } => self.push_message(&mut window, own(*message_id, content)),
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
        let Plan {
            view,
            window,
            persona,
            tz,
        } = plan;
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
        let zone = tz
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or_else(|| self.deps.settings.tz.clone());
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
        Ok(Ready {
            turn,
            stream,
            closing,
            window,
        })
    }

    async fn fail(&mut self, failure: Failure) -> Window {
        let end = End {
            draft: None,
            failure: Some(failure),
            outcome: Outcome::Failed,
        };
        self.end(end, Closing::default(), Window::default(), &mut Law::default())
            .await
    }

    /// Streams the reply and stores it.
    async fn speak(&mut self, ready: Ready, early: Option<Option<Result<ModelEvent, LlmError>>>) -> Window {
        let Ready {
            mut turn,
            mut stream,
            closing,
            window,
        } = ready;
        let mut voice = Voice::new(self, &mut turn);
        voice.say(&TurnEvent::Status {
            stage: Stage::Thinking,
            detail: None,
        });
        let end = voice.listen(&mut stream, early).await;
        // The upstream connection goes back to its pool (or is closed) before the disk is waited for.
        drop(stream);
        if let Some(draft) = &end.draft {
            voice.finish_html(&draft.content);
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
        ready: Result<Box<Ready>, Failure>,
        early: Option<Option<Result<ModelEvent, LlmError>>>,
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

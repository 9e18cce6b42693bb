//! A session's actor: one turn at a time, a short queue behind it, and the commands that change the conversation.

use super::live::{Live, SEQ_BLOCK, SEQ_LOW};
use crate::services::{
    chat::{self, Start, TurnEnd},
    context::Window,
    deps::{Deps, Scope},
};
use mira_core::{
    budget::estimate_tokens,
    chat::{ChatRequest, Message, MessageStatus, title_from},
    ids::{FileId, MessageId, TurnId},
    tool::ToolCall,
    turn::{Draft, End, Failure, FailureKind, Interruption, Outcome, Stage, Turn, TurnEvent},
};
use mira_memory::{BeginKind, BeginOutcome, BeginTurn, SendParent, StoreError};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Turns that may wait behind the running one: enough for somebody who types ahead, few enough to notice a mistake.
pub const QUEUE: usize = 8;
/// Commands in the mailbox: as many clients may press a key at once.
pub const MAILBOX: usize = 64;

/// What can be asked of a session.
#[derive(Debug)]
pub enum Command {
    /// A turn.
    Turn {
        /// Which.
        ask: Box<Ask>,
        /// Whether it was taken.
        answer: oneshot::Sender<Result<Accepted, Refusal>>,
    },
    /// Stop one turn, or the running one.
    Stop {
        /// Which.
        turn_id: Option<TurnId>,
        /// The turn that is being stopped.
        answer: oneshot::Sender<Result<Option<TurnId>, Refusal>>,
    },
    /// End every turn; answered when none is left.
    Quiet {
        /// Told when all is quiet.
        answer: oneshot::Sender<()>,
    },
}

/// A turn to run.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A new message.
    Send(ChatRequest),
    /// Another reply to the message that `message_id` answered (or to that very message of the owner's).
    Regenerate {
        /// A reply, or a message of the owner's.
        message_id: MessageId,
        /// The client's time zone.
        tz: Option<String>,
    },
    /// A message said differently: a new branch.
    Edit {
        /// The owner's message.
        message_id: MessageId,
        /// The new words.
        content: String,
        /// The files that go with it; `None` keeps those of the message.
        file_ids: Option<Vec<FileId>>,
        /// The client's time zone.
        tz: Option<String>,
    },
}

/// A turn that was taken.
#[derive(Debug)]
pub enum Accepted {
    /// It runs, or waits in the queue.
    Turn {
        /// Its id.
        turn_id: TurnId,
        /// The id the reply will have.
        reply_id: MessageId,
        /// The owner's message it answers.
        message: Box<Message>,
        /// How it ended.
        end: oneshot::Receiver<TurnEnd>,
    },
    /// The same message was sent before.
    Duplicate {
        /// The message as first stored.
        message: Box<Message>,
        /// Its first reply.
        reply: Option<Box<Message>>,
        /// The turn, if it is still running.
        running: Option<TurnId>,
    },
}

/// Why a turn was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such session.
    #[error("no such session")]
    NoSuchSession,
    /// No such message in this session.
    #[error("no such message in this session")]
    NoSuchMessage,
    /// No such project.
    #[error("there is no such project")]
    NoSuchProject,
    /// One of the files is not there.
    #[error("there is no such file")]
    NoSuchFile,
    /// The message is not of the kind that this can be done to.
    #[error("this cannot be done to that message")]
    WrongRole,
    /// No such turn.
    #[error("no such turn is running or waiting")]
    NoSuchTurn,
    /// No such overlay.
    #[error("no such persona: {0}")]
    NoSuchPersona(String),
    /// The client id was used for other words.
    #[error("this client_id was used for another message")]
    ClientIdConflict,
    /// Too many turns wait.
    #[error("{QUEUE} messages are waiting already")]
    QueueFull,
    /// The message alone exceeds the prompt's budget.
    #[error("the message is about {tokens} tokens long; a prompt holds {budget}")]
    TooLong {
        /// Estimated tokens of the message.
        tokens: usize,
        /// The budget.
        budget: usize,
    },
    /// The day's tokens are used up.
    #[error("today's budget of {budget} tokens is used up ({used} used)")]
    BudgetExceeded {
        /// The budget.
        budget: u64,
        /// Used since midnight.
        used: u64,
    },
    /// Mira is shutting down.
    #[error("Mira is shutting down")]
    ShuttingDown,
    /// A panic cut it off; the log has it.
    #[error("something broke inside Mira; her log says what")]
    Broken,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Running {
    turn_id: TurnId,
    reply_id: MessageId,
    stop: CancellationToken,
    /// Resolves when the owner's message is stored (or the turn was refused).
    begun: Option<oneshot::Receiver<bool>>,
    ended: oneshot::Receiver<Box<Window>>,
}

struct Waiting {
    start: Start,
    turn_id: TurnId,
    reply_id: MessageId,
    end: oneshot::Sender<TurnEnd>,
}

/// The end of a turn that the owner stopped before it began.
const STOPPED: End = End {
    draft: None,
    failure: None,
    outcome: Outcome::Stopped,
    usage: None,
};

pub(super) struct Actor {
    deps: Deps,
    live: Arc<Live>,
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
    /// The branch's recent end as the last turn left it, so that the next one need not read it again.
    window: Window,
}

impl Actor {
    pub(super) fn new(deps: Deps, live: Arc<Live>) -> Self {
        Self {
            deps,
            live,
            running: None,
            waiting: VecDeque::new(),
            window: Window::default(),
        }
    }

    pub(super) async fn run(mut self, mut mailbox: mpsc::Receiver<Command>) {
        let soft = self.deps.lifecycle.soft().clone();
        let mut draining = false;
        loop {
            if draining && self.running.is_none() {
                return;
            }
            tokio::select! {
                biased;
                window = ended(&mut self.running) => self.turn_ended(window).await,
                () = soft.cancelled(), if !draining => {
                    draining = true;
                    while let Some(waiting) = self.waiting.pop_front() {
                        let end = End { draft: None, failure: Some(chat::shutting_down()), outcome: Outcome::Failed, usage: None };
                        self.drop_waiting(waiting, end).await;
                    }
                }
                command = mailbox.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None if self.running.is_none() => return,
                    // The session is being dropped: let the running turn end, then leave.
                    None => {
                        let window = ended(&mut self.running).await;
                        self.turn_ended(window).await;
                        return;
                    }
                },
            }
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Turn { ask, answer } => self.take(*ask, answer).await,
            Command::Stop { turn_id, answer } => {
                let stopped = self.stop(turn_id).await;
                reply(answer, stopped);
            }
            Command::Quiet { answer } => {
                while let Some(waiting) = self.waiting.pop_back() {
                    self.drop_waiting(waiting, STOPPED).await;
                }
                if let Some(running) = &self.running {
                    running.stop.cancel();
                    let window = ended(&mut self.running).await;
                    self.turn_ended(window).await;
                }
                self.window = Window::default();
                reply(answer, ());
            }
        }
    }

    async fn take(&mut self, ask: Ask, answer: oneshot::Sender<Result<Accepted, Refusal>>) {
        if let Err(refusal) = self.check(&ask) {
            reply(answer, Err(refusal));
            return;
        }
        let (turn_id, reply_id) = (
            TurnId(self.deps.clock.new_uuid()),
            MessageId(self.deps.clock.new_uuid()),
        );
        if self.running.is_none() {
            self.spawn(turn_id, reply_id, Start::Fresh { ask, answer });
        } else if self.waiting.len() >= QUEUE {
            self.deps.metrics.queue_full.inc();
            let repeated = self.find_repeated(&ask).await;
            reply(answer, repeated);
        } else {
            let taken = self.enqueue(turn_id, reply_id, ask).await;
            reply(answer, taken);
        }
    }

    /// A full queue takes nothing new; a repeated message needs no place.
    async fn find_repeated(&self, ask: &Ask) -> Result<Accepted, Refusal> {
        if let Ask::Send(ChatRequest {
            client_id: Some(client_id),
            content,
            ..
        }) = ask
            && let Some(found) = self
                .deps
                .store
                .find_duplicate(self.live.account, &self.live.id, client_id, content)
                .await?
        {
            return accept_without_turn(found);
        }
        Err(Refusal::QueueFull)
    }

    fn check(&self, ask: &Ask) -> Result<(), Refusal> {
        if self.deps.lifecycle.soft().is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        let content = match ask {
            Ask::Send(request) => &request.content,
            Ask::Edit { content, .. } => content,
            Ask::Regenerate { .. } => return Ok(()),
        };
        let (tokens, budget) = (estimate_tokens(content), self.deps.settings.context_tokens);
        if tokens > budget {
            Err(Refusal::TooLong { tokens, budget })
        } else {
            Ok(())
        }
    }

    /// Stores the message of a turn that must wait, right away, so that nothing typed is lost.
    async fn enqueue(&mut self, turn_id: TurnId, reply_id: MessageId, ask: Ask) -> Result<Accepted, Refusal> {
        if let Some(begun) = self.running.as_mut().and_then(|running| running.begun.take()) {
            // A turn that was refused has ended; whatever it was, this one can be stored now.
            drop(begun.await);
        }
        let after = self
            .waiting
            .back()
            .map(|w| w.turn_id)
            .or(self.running.as_ref().map(|r| r.turn_id));
        let begin = begin_turn(&self.deps, &self.live, turn_id, reply_id, &ask, after);
        let message = match store_begin(&self.deps, &self.live, begin).await? {
            BeginOutcome::Begun { user_message } => user_message,
            other => return accept_without_turn(other),
        };
        let scope = scope(&self.live, turn_id, reply_id);
        if let Some(event) = message_event(&ask, &message) {
            self.live.emit(&self.deps, &scope, &event);
        }
        self.live.emit(
            &self.deps,
            &scope,
            &TurnEvent::Status {
                stage: Stage::Queued,
                detail: None,
            },
        );
        let (end, ended) = oneshot::channel();
        let start = Start::Stored {
            message: message.clone().into(),
            ask,
        };
        self.waiting.push_back(Waiting {
            start,
            turn_id,
            reply_id,
            end,
        });
        Ok(Accepted::Turn {
            turn_id,
            reply_id,
            message: message.into(),
            end: ended,
        })
    }

    fn spawn(&mut self, turn_id: TurnId, reply_id: MessageId, start: Start) {
        self.spawn_with(turn_id, reply_id, start, None);
    }

    fn spawn_with(
        &mut self,
        turn_id: TurnId,
        reply_id: MessageId,
        start: Start,
        told: Option<oneshot::Sender<TurnEnd>>,
    ) {
        if self.live.take_window_stale() {
            self.window = Window::default();
        }
        let stop = CancellationToken::new();
        let (begun_tx, begun) = oneshot::channel();
        let (ended_tx, ended) = oneshot::channel();
        let task = chat::TurnTask {
            deps: self.deps.clone(),
            live: self.live.clone(),
            turn_id,
            reply_id,
            stop: stop.clone(),
            begun: Some(begun_tx),
            told,
            window: std::mem::take(&mut self.window),
        };
        self.deps.lifecycle.spawn(async move {
            let window = Box::pin(task.run(start)).await;
            // Only the actor listens, and it may be gone at the end of the process.
            drop(ended_tx.send(Box::new(window)));
        });
        self.running = Some(Running {
            turn_id,
            reply_id,
            stop,
            begun: Some(begun),
            ended,
        });
    }

    async fn turn_ended(&mut self, window: Option<Box<Window>>) {
        let Some(running) = self.running.take() else { return };
        match window {
            Some(window) => self.window = *window,
            None => self.close_panicked(&running).await,
        }
        if let Some(next) = self.waiting.pop_front() {
            self.spawn_with(next.turn_id, next.reply_id, next.start, Some(next.end));
        }
    }

    /// The turn's task died by a panic. What was said is kept; the turn ends with an error, the session goes on.
    async fn close_panicked(&mut self, running: &Running) {
        tracing::error!(turn.id = %running.turn_id, session.id = %self.live.id, "a turn panicked");
        let snapshot = self.live.log.snapshot();
        let said = snapshot.active.filter(|a| a.turn_id == running.turn_id).map(|a| *a);
        let (text, calls, citations) = said.map(|a| (a.content, a.calls, a.citations)).unwrap_or_default();
        let failure = Failure {
            kind: FailureKind::Internal,
            detail: "Something broke inside Mira.".to_owned(),
            retryable: true,
        };
        let fallback = chat::fallback_meta(&self.deps, self.live.account).await;
        let mut turn = Turn::new(running.turn_id, running.reply_id, None, false, fallback.clone());
        let mut end = turn.interrupt(Interruption::Failure(failure), None);
        let (calls, aborted) = aborted(calls);
        if !text.trim().is_empty() {
            let status = MessageStatus::Interrupted;
            end.draft = Some(Draft {
                content: text,
                meta: fallback,
                status,
                model: None,
                usage: None,
                calls,
                citations,
            });
            end.outcome = Outcome::Interrupted;
        }
        let scope = scope(&self.live, running.turn_id, running.reply_id);
        for event in aborted {
            self.live.emit(&self.deps, &scope, &event);
        }
        chat::close(&self.deps, &self.live, &scope, end).await;
    }

    async fn stop(&mut self, wanted: Option<TurnId>) -> Result<Option<TurnId>, Refusal> {
        if let Some(running) = &self.running
            && wanted.is_none_or(|id| id == running.turn_id)
        {
            running.stop.cancel();
            return Ok(Some(running.turn_id));
        }
        let Some(id) = wanted else { return Ok(None) };
        let place = self
            .waiting
            .iter()
            .position(|waiting| waiting.turn_id == id)
            .ok_or(Refusal::NoSuchTurn)?;
        if let Some(waiting) = self.waiting.remove(place) {
            self.drop_waiting(waiting, STOPPED).await;
        }
        Ok(Some(id))
    }

    /// Ends a turn that never began; the owner's message stays.
    async fn drop_waiting(&self, waiting: Waiting, end: End) {
        let scope = scope(&self.live, waiting.turn_id, waiting.reply_id);
        let ended = chat::close(&self.deps, &self.live, &scope, end).await;
        // A REST caller may have gone away.
        drop(waiting.end.send(ended));
    }
}

/// Resolves with what the running turn left, `None` if it panicked; never, when no turn runs.
async fn ended(running: &mut Option<Running>) -> Option<Box<Window>> {
    match running {
        Some(running) => (&mut running.ended).await.ok(),
        None => std::future::pending().await,
    }
}

/// Answers somebody who may have gone away meanwhile; that is theirs to decide.
fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    drop(answer.send(value));
}

/// What an event of a turn without overlay and mood says beside its content.
pub(super) fn scope(live: &Live, turn_id: TurnId, reply_id: MessageId) -> Scope<'_> {
    Scope {
        session_id: &live.id,
        turn_id,
        reply_id,
        persona: "",
        mood: "",
    }
}

/// What clients are told of a stored message; nothing where the turn repeats one.
pub fn message_event(ask: &Ask, message: &Message) -> Option<TurnEvent> {
    let client_id = match ask {
        Ask::Send(request) => request.client_id.clone(),
        Ask::Edit { .. } => None,
        Ask::Regenerate { .. } => return None,
    };
    Some(TurnEvent::Message {
        message: Box::new(message.clone()),
        client_id,
    })
}

/// The row that begins a turn.
pub fn begin_turn(
    deps: &Deps,
    live: &Live,
    turn_id: TurnId,
    reply_id: MessageId,
    ask: &Ask,
    after: Option<TurnId>,
) -> BeginTurn {
    let reserve_seq_to = (live.log.reserve_left() < SEQ_LOW).then(|| live.log.last_seq() + SEQ_BLOCK);
    let (kind, title_if_none) = match ask {
        Ask::Send(request) => (
            BeginKind::Send {
                message_id: MessageId(deps.clock.new_uuid()),
                content: request.content.clone(),
                client_id: request.client_id.clone(),
                parent: request.parent_id.map_or(SendParent::Head, SendParent::Message),
                project_id: request.project_id,
                metadata: request.metadata.clone(),
            },
            title_from(&request.content),
        ),
        Ask::Edit {
            message_id,
            content,
            file_ids,
            ..
        } => {
            let new_id = MessageId(deps.clock.new_uuid());
            let kind = BeginKind::Edit {
                of: *message_id,
                keeps_files: file_ids.is_none(),
                message_id: new_id,
                content: content.clone(),
                client_id: None,
                project_id: None,
                metadata: None,
            };
            (kind, None)
        }
        Ask::Regenerate { message_id, .. } => (
            BeginKind::Regenerate {
                message_id: *message_id,
            },
            None,
        ),
    };
    let files = match ask {
        Ask::Send(request) => request.file_ids.clone(),
        Ask::Edit { file_ids, .. } => file_ids.clone().unwrap_or_default(),
        Ask::Regenerate { .. } => Vec::new(),
    };
    BeginTurn {
        turn_id,
        files,
        session: live.id.clone(),
        kind,
        reply_id,
        after,
        reserve_seq_to,
        title_if_none,
        now: deps.clock.now(),
    }
}

/// Stores a turn's beginning and takes over the sequence numbers reserved with it.
pub async fn store_begin(deps: &Deps, live: &Live, begin: BeginTurn) -> Result<BeginOutcome, StoreError> {
    let reserved = begin.reserve_seq_to;
    let outcome = deps.store.begin_turn(live.account, begin).await?;
    if let (BeginOutcome::Begun { .. }, Some(to)) = (&outcome, reserved) {
        live.log.reserved(to);
    }
    Ok(outcome)
}

/// What every outcome but a begun turn means to the one who asked.
pub fn accept_without_turn(outcome: BeginOutcome) -> Result<Accepted, Refusal> {
    match outcome {
        BeginOutcome::Duplicate {
            user_message,
            reply,
            running_turn,
        } => Ok(Accepted::Duplicate {
            message: user_message.into(),
            reply: reply.map(Box::new),
            running: running_turn,
        }),
        BeginOutcome::ClientIdConflict => Err(Refusal::ClientIdConflict),
        BeginOutcome::NoSuchSession => Err(Refusal::NoSuchSession),
        BeginOutcome::NoSuchMessage => Err(Refusal::NoSuchMessage),
        BeginOutcome::NoSuchProject => Err(Refusal::NoSuchProject),
        BeginOutcome::NoSuchFile => Err(Refusal::NoSuchFile),
        BeginOutcome::WrongRole | BeginOutcome::Begun { .. } => Err(Refusal::WrongRole),
    }
}

/// The calls of a turn that broke, each with an outcome, and what is to be said of those that had none.
fn aborted(mut calls: Vec<ToolCall>) -> (Vec<ToolCall>, Vec<TurnEvent>) {
    let mut events = Vec::new();
    for call in calls.iter_mut().filter(|call| call.outcome.is_none()) {
        call.outcome = Some(call.cut_off("the turn broke"));
        events.push(TurnEvent::ToolResult(Box::new(call.clone())));
    }
    (calls, events)
}

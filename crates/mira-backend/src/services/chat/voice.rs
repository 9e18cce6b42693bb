//! A turn while it speaks: model events become events for the listeners, partial text is stored now and then, HTML is
//! rendered for those who want it.

use super::{
    TurnTask,
    close::{failure_of, shutting_down, storage_failure},
    hosted::Hosted,
};
use crate::services::deps::Scope;
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use mira_core::{
    chat::Exposure,
    citation::Citation,
    model::ModelEvent,
    tool::{AskedCalls, ToolCall},
    turn::{End, Failure, FailureKind, Interruption, Step, Turn, TurnEvent, laws::Law},
};
use mira_llm::LlmError;
use mira_memory::{CheckpointPart, ReplyHead, StoreError};
use mira_render::{LiveHtml, Place};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Partial text is stored this long after it was shown, at most (plus one write).
const CHECKPOINT_AFTER: Duration = Duration::from_millis(200);
/// HTML is rendered at most this often while text streams.
const RENDER_EVERY: Duration = Duration::from_millis(40);
/// A reply longer than this is a model gone wild; it is cut and kept.
const MAX_REPLY_BYTES: usize = 2 * 1024 * 1024;
/// Events told on one reservation of numbers, which always holds for as many.
const EVENTS_AT_ONCE: usize = 8;

/// A turn while it speaks: the machine, its checkpoints, its HTML.
pub(super) struct Voice<'a> {
    pub(super) task: &'a TurnTask,
    pub(super) turn: &'a mut Turn,
    pub(super) law: Law,
    html: Option<LiveHtml>,
    html_fed: usize,
    html_cited: usize,
    parts: u32,
    /// How near strangers' words are in the prompt.
    exposure: Exposure,
    /// The calls of the provider's own tools.
    pub(super) hosted: Hosted,
}

/// What ends the listening to one call of the model.
pub(super) enum Heard {
    /// The talking is over.
    End(Box<End>),
    /// The model waits for tools.
    Calls(Box<AskedCalls>),
}

/// What the model says next; nothing at the end of its stream.
pub(super) type Next = Option<Result<ModelEvent, LlmError>>;

/// A checkpoint under way; what it stores: bytes of the text, and citations.
type Checkpoint = BoxFuture<'static, Result<(usize, usize), StoreError>>;

impl<'a> Voice<'a> {
    pub(super) fn new(task: &'a TurnTask, turn: &'a mut Turn, law: Law, exposure: Exposure) -> Self {
        Self {
            task,
            turn,
            law,
            html: None,
            html_fed: 0,
            html_cited: 0,
            parts: 0,
            exposure,
            hosted: Hosted::default(),
        }
    }

    pub(super) fn say(&mut self, event: &TurnEvent) {
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

    pub(super) async fn listen(
        &mut self,
        stream: &mut BoxStream<'static, Result<ModelEvent, LlmError>>,
        early: Option<Next>,
    ) -> Heard {
        if let Some(event) = early
            && let Some(heard) = self.on_event(event).await
        {
            return heard;
        }
        let hard = self.task.deps.lifecycle.hard().clone();
        let mut checkpoint: Option<Checkpoint> = None;
        let far = Instant::now() + Duration::from_hours(24);
        let (checkpoint_due, render_due) = (sleep_until(far), sleep_until(far));
        tokio::pin!(checkpoint_due, render_due);
        let (mut checkpoint_armed, mut render_armed) = (false, false);
        // What waits for files that are being taken in, and all that comes after it.
        let mut held: Option<Next> = None;
        loop {
            if !checkpoint_armed && checkpoint.is_none() && self.turn.unstored().is_some() {
                checkpoint_due.as_mut().reset(Instant::now() + CHECKPOINT_AFTER);
                checkpoint_armed = true;
            }
            if !render_armed && self.html_behind() {
                render_due.as_mut().reset(Instant::now() + RENDER_EVERY);
                render_armed = true;
            }
            let waits = held.as_ref().is_some_and(|event| self.hosted.holds_back(event));
            let event = tokio::select! {
                biased;
                () = self.task.stop.cancelled() => return self.interrupt(Interruption::Stop).await,
                () = hard.cancelled() => return self.interrupt(Interruption::Failure(shutting_down())).await,
                stored = wait_for(&mut checkpoint) => {
                    checkpoint = None;
                    self.note_stored(stored);
                    continue;
                }
                () = &mut checkpoint_due, if checkpoint_armed => {
                    checkpoint_armed = false;
                    checkpoint = self.checkpoint();
                    continue;
                }
                () = &mut render_due, if render_armed => {
                    render_armed = false;
                    self.render();
                    continue;
                }
                taken_in = wait_for(&mut self.hosted.at_work) => {
                    if let Err(end) = self.taken_in(taken_in).await {
                        return Heard::End(end);
                    }
                    continue;
                }
                event = next(&mut held, stream), if !waits => event,
            };
            if self.hosted.holds_back(&event) {
                held = Some(event);
            } else if let Some(heard) = self.on_event(event).await {
                // A checkpoint under way must not be overtaken by the end of its own turn.
                if let Some(checkpoint) = checkpoint {
                    self.note_stored(checkpoint.await);
                }
                return heard;
            }
        }
    }

    /// Cuts the talking off; a tool of the provider's may be at work.
    async fn interrupt(&mut self, why: Interruption) -> Heard {
        let told = match &why {
            Interruption::Stop => "stopped by the owner",
            Interruption::Failure(_) => "the turn failed",
        };
        Heard::End(self.abort(told, why).await)
    }

    fn note_stored(&mut self, stored: Result<(usize, usize), StoreError>) {
        match stored {
            Ok((bytes, citations)) => self.turn.mark_stored(bytes, citations),
            Err(error) => tracing::warn!(%error, turn.id = %self.task.turn_id, "partial text could not be stored"),
        }
    }

    async fn on_event(&mut self, event: Next) -> Option<Heard> {
        let event = match event {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                let failure = failure_of(&error);
                tracing::warn!(%error, turn.id = %self.task.turn_id, session.id = %self.task.live.id, "the model call failed");
                return Some(self.interrupt(Interruption::Failure(failure)).await);
            }
            None => {
                return Some(
                    self.interrupt(Interruption::Failure(failure_of(&LlmError::CutOff)))
                        .await,
                );
            }
        };
        let mut out = Vec::with_capacity(2);
        let step = self.turn.on_model(event, &mut out);
        if let Err(end) = self.tell(&out).await {
            return Some(Heard::End(end));
        }
        match step {
            Step::Listen if self.turn.text().len() > MAX_REPLY_BYTES => {
                let detail = format!("The reply grew beyond {MAX_REPLY_BYTES} bytes and was cut.");
                let failure = Failure {
                    kind: FailureKind::ModelNonsense,
                    detail,
                    retryable: true,
                };
                Some(self.interrupt(Interruption::Failure(failure)).await)
            }
            Step::Listen => None,
            Step::Call(asked) => Some(Heard::Calls(asked)),
            Step::Hosted(event) => self.hosted(*event).await.err().map(Heard::End),
            Step::End(end) => Some(Heard::End(end)),
        }
    }

    /// Tells the listeners. An `Err` is the end of the turn: nothing can be numbered any more.
    pub(super) async fn tell(&mut self, events: &[TurnEvent]) -> Result<(), Box<End>> {
        // No more at once than a reservation is sure to hold.
        for some in events.chunks(EVENTS_AT_ONCE) {
            if let Err(error) = self.task.live.reserve(&self.task.deps).await {
                tracing::error!(%error, session.id = %self.task.live.id, "no event numbers could be reserved");
                let failure = Interruption::Failure(storage_failure(&error));
                return Err(Box::new(self.turn.interrupt(failure, Some(self.model()))));
            }
            for event in some {
                if matches!(event, TurnEvent::Persona { .. }) {
                    self.task.deps.metrics.first_word();
                }
                self.say(event);
            }
        }
        Ok(())
    }

    /// Stores and draws what was said so far: a tool may take its time.
    pub(super) async fn store_text(&mut self) {
        if let Some(checkpoint) = self.checkpoint() {
            let stored = checkpoint.await;
            self.note_stored(stored);
        }
        if self.html_behind() {
            self.render();
        }
    }

    /// Stores that calls begin; what they do may not outlast the knowledge that they were made.
    /// False where the turn is gone: then nothing may run.
    pub(super) async fn store_begun(&mut self, first: usize, calls: &[ToolCall]) -> Result<bool, StoreError> {
        let (account, turn_id) = (self.task.live.account, self.task.turn_id);
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        let store = &self.task.deps.store;
        store.begin_tool_calls(account, turn_id, first, calls).await
    }

    /// Stores what came of call number `n`.
    pub(super) async fn store_ended(&mut self, n: usize) {
        let Some(call) = self.turn.calls().get(n) else { return };
        let (account, turn_id) = (self.task.live.account, self.task.turn_id);
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        if let Err(error) = self.task.deps.store.end_tool_call(account, turn_id, n, call).await {
            // It is stored once more with the reply.
            tracing::warn!(%error, turn.id = %turn_id, "a tool's result could not be stored yet");
        }
    }

    pub(super) fn model(&self) -> &'a str {
        self.task.deps.settings.model.as_str()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let unstored = self.turn.unstored()?;
        let (text, citations) = (unstored.text.to_owned(), unstored.citations.to_vec());
        let head = self.turn.head().map(|head| ReplyHead {
            persona: head.persona.clone(),
            mood: head.mood.clone(),
            mood_cause: head.mood_cause.clone(),
            model: Some(self.model().to_owned()),
            exposure: self.exposure,
        });
        let (store, account, turn_id) = (self.task.deps.store.clone(), self.task.live.account, self.task.turn_id);
        let n = self.parts;
        self.parts += 1;
        Some(Box::pin(async move {
            let stored = (text.len(), citations.len());
            let part = CheckpointPart {
                n,
                text,
                citations,
                head,
            };
            store.checkpoint_turn(account, turn_id, part).await.map(|()| stored)
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
        cite(html, self.turn.citations(), &mut self.html_cited);
        let blocks = if self.task.live.take_html_refresh() {
            html.snapshot()
        } else {
            html.render_changed()
        };
        self.emit_html(&blocks);
    }

    fn emit_html(&self, blocks: &[(usize, String)]) {
        let scope = Scope {
            session_id: &self.task.live.id,
            turn_id: self.task.turn_id,
            reply_id: self.task.reply_id,
            persona: "",
            mood: "",
        };
        self.task.live.emit_html(&self.task.deps, &scope, blocks);
    }

    /// The last blocks of a reply with its whole text and all places in it.
    pub(super) fn finish_html(&mut self, text: &str, citations: &[Citation]) {
        if self.html.is_none() && self.task.live.html_wanted() {
            // A short reply is at its end before its first block was due.
            self.html = Some(LiveHtml::new());
        }
        let Some(html) = &mut self.html else { return };
        html.push(text.get(self.html_fed..).unwrap_or_default());
        cite(html, citations, &mut self.html_cited);
        let blocks = html.finish();
        self.emit_html(&blocks);
    }
}

/// Tells the view of the citations behind the first `cited`.
fn cite(html: &mut LiveHtml, citations: &[Citation], cited: &mut usize) {
    for place in places(citations.get(*cited..).unwrap_or_default()) {
        html.cite(&place);
    }
    *cited = citations.len();
}

/// The places of citations, as far as they are known.
pub fn places(citations: &[Citation]) -> impl Iterator<Item = Place> {
    citations.iter().filter_map(|one| {
        let (at, number) = (one.place()?, one.index);
        Some(Place { at, number })
    })
}

async fn wait_for<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// What was held back, else what the model says next.
async fn next(held: &mut Option<Next>, stream: &mut BoxStream<'static, Result<ModelEvent, LlmError>>) -> Next {
    match held.take() {
        Some(event) => event,
        None => stream.next().await,
    }
}

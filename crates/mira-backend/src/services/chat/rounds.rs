//! The tools of a turn: what the model asks for is announced, run side by side, and handed back. The only place that
//! runs tools.
//!
//! Invariants: each call has exactly one result, an aborted one too; nothing runs that was not offered; there is an end
//! to it ([`MOST_ROUNDS`], [`MOST_CALLS`], [`MOST_TOLD`]), and the model is told so.

use super::{
    close::{shutting_down, storage_failure},
    voice::Voice,
};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use mira_core::ids::ToolCallId;
use mira_core::{
    model::ModelRequest,
    tool::{AskedCall, AskedCalls, CallStatus, Effect, Round, ToolCall, UNCERTAIN},
    turn::{End, Failure, FailureKind, Interruption, Stage, TurnEvent},
};
use mira_tools::{CallContext, Ran, Registry};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// After so many rounds the model has to answer.
pub(super) const MOST_ROUNDS: usize = 10;
/// The most calls of one reply that are run.
const MOST_CALLS: usize = 48;
/// So many calls run at once.
const AT_ONCE: usize = 8;
/// The longest text among a call's arguments that is shown and kept, in characters.
const SHOWN_CHARS: usize = 2000;
/// The longest arguments that are shown and kept as they are, in bytes, however many texts are in them.
const SHOWN_BYTES: usize = 16 * 1024;
/// The most the tools of one reply tell the model, in bytes.
const MOST_TOLD: usize = 256 * 1024;

/// The tools of one turn.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) registry: Arc<Registry>,
    /// The turn, as its calls see it.
    pub(super) context: CallContext,
    /// What the model is asked next.
    pub(super) request: ModelRequest,
    /// What was told so far, in bytes.
    told: usize,
}

impl Tools {
    pub(super) fn new(registry: Arc<Registry>, context: CallContext, request: ModelRequest) -> Self {
        Self {
            registry,
            context,
            request,
            told: 0,
        }
    }

    /// What this turn may be asked for, or why not.
    fn refusal(&self, asked: &AskedCall, n: usize) -> Option<Ran> {
        if !self.request.tools.iter().any(|offer| *offer.name == asked.name) {
            let why = format!("there is no tool called {:?} here", asked.name);
            return Some(Ran::unsuccessful(CallStatus::Unavailable, why));
        }
        (n >= MOST_CALLS).then(|| {
            let why = format!("the limit of {MOST_CALLS} calls for one reply is reached; answer with what you have");
            Ran::unsuccessful(CallStatus::Denied, why)
        })
    }

    /// What the model reads of an outcome, as far as there is room.
    fn tell(&mut self, told: String) -> String {
        self.told += told.len();
        if self.told > MOST_TOLD {
            return format!("(left out: the tools of this reply have told more than {MOST_TOLD} bytes)");
        }
        told
    }
}

impl Voice<'_> {
    /// Runs what the model asks for; then `tools.request` is what it is asked next. An `Err` is the end of the turn.
    pub(super) async fn run_tools(&mut self, tools: &mut Tools, asked: AskedCalls) -> Result<(), Box<End>> {
        if tools.request.no_more_calls {
            let detail = "The model went on calling tools although it had been told to answer.".to_owned();
            return Err(self.cut_off(nonsense(detail)).await);
        }
        self.store_text().await;
        let said = self.turn.take_round();
        let first = self.turn.calls().len();
        let calls: Vec<ToolCall> = asked.calls.iter().map(|call| self.named(tools, call)).collect();
        match self.store_begun(first, &calls).await {
            Ok(true) => {}
            // The conversation was removed meanwhile.
            Ok(false) => return Err(self.abort("the conversation is gone", Interruption::Stop).await),
            Err(error) => return Err(self.cut_off(storage_failure(&error)).await),
        }
        let mut out = vec![TurnEvent::Status {
            stage: Stage::Tool,
            detail: Some(names(&calls)),
        }];
        for call in &calls {
            self.turn.begin_call(call.clone(), &mut out);
        }
        self.tell(&out).await?;
        let outputs = self.run_calls(tools, first, &asked.calls, &calls).await?;
        let outputs = outputs.into_iter().map(|told| tools.tell(told)).collect();
        tools.context.untrusted |= self.is_untrusted();
        tools.request.rounds.push(Round { said, asked, outputs });
        let spent = tools.request.rounds.len() >= MOST_ROUNDS || self.turn.calls().len() >= MOST_CALLS;
        tools.request.no_more_calls = spent;
        self.tell(&[TurnEvent::Status {
            stage: Stage::Thinking,
            detail: None,
        }])
        .await
    }

    /// Whether a tool of this turn read what strangers may have written.
    pub(super) fn is_untrusted(&self) -> bool {
        let outcomes = self.turn.calls().iter().filter_map(|call| call.outcome.as_ref());
        outcomes.into_iter().any(|outcome| outcome.untrusted)
    }

    fn named(&self, tools: &Tools, asked: &AskedCall) -> ToolCall {
        ToolCall {
            id: ToolCallId(self.task.deps.clock.new_uuid()),
            tool: asked.name.clone(),
            arguments: shortened(&asked.arguments),
            effect: tools
                .registry
                .find(&asked.name)
                .map_or(Effect::Read, |entry| entry.effect),
            outcome: None,
        }
    }

    /// Runs the calls of one round side by side; what came of each, in their order, as the model reads it.
    async fn run_calls(
        &mut self,
        tools: &Tools,
        first: usize,
        asked: &[AskedCall],
        calls: &[ToolCall],
    ) -> Result<Vec<String>, Box<End>> {
        let lifecycle = self.task.deps.lifecycle.clone();
        let room = Semaphore::new(AT_ONCE);
        // What changes something happens in the model's order: a later edit goes on from an earlier one.
        let pen = Semaphore::new(1);
        let mut running: FuturesUnordered<_> = asked
            .iter()
            .zip(calls)
            .enumerate()
            .map(|(n, (asked, call))| {
                let context = CallContext {
                    call: call.id,
                    ..tools.context.clone()
                };
                let refused = tools.refusal(asked, first + n);
                let lifecycle = lifecycle.clone();
                let (room, pen) = (&room, (call.effect == Effect::Write).then_some(&pen));
                async move {
                    if let Some(ran) = refused {
                        return (n, ran);
                    }
                    // Never closed; without a permit it would only run at once.
                    let _permit = room.acquire().await.ok();
                    let _turn = match pen {
                        Some(pen) => pen.acquire().await.ok(),
                        None => None,
                    };
                    if call.effect != Effect::Write {
                        return (n, tools.registry.call(&context, &asked.name, &asked.arguments).await);
                    }
                    // What changes something is not dropped half-way, whatever becomes of the turn.
                    let (registry, asked) = (Arc::clone(&tools.registry), asked.clone());
                    let work = async move { registry.call(&context, &asked.name, &asked.arguments).await };
                    let broken = |_| Ran::unsuccessful(CallStatus::Failed, format!("it was cut off; {UNCERTAIN}"));
                    (n, lifecycle.spawn(work).await.unwrap_or_else(broken))
                }
                .boxed()
            })
            .collect();
        let mut outputs = vec![String::new(); calls.len()];
        let hard = self.task.deps.lifecycle.hard().clone();
        let stop = self.task.stop.clone();
        loop {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(self.abort("stopped by the owner", Interruption::Stop).await),
                () = hard.cancelled() => {
                    return Err(self.abort("Mira was shut down", Interruption::Failure(shutting_down())).await);
                }
                ended = running.next() => ended,
            };
            let Some((n, ran)) = ended else { return Ok(outputs) };
            if let (Some(call), Some(output)) = (calls.get(n), outputs.get_mut(n)) {
                *output = ran.told;
                self.task.deps.metrics.tool_called(ran.outcome.status);
                let mut out = Vec::with_capacity(1);
                self.turn.end_call(call.id, ran.outcome, &mut out);
                self.store_ended(first + n).await;
                self.tell(&out).await?;
            }
        }
    }

    /// Ends a turn whose tools are at work.
    async fn abort(&mut self, why: &str, interruption: Interruption) -> Box<End> {
        let mut out = Vec::new();
        self.turn.abort_calls(why, &mut out);
        if let Err(end) = self.tell(&out).await {
            return end;
        }
        Box::new(self.turn.interrupt(interruption, Some(self.model())))
    }

    async fn cut_off(&mut self, failure: Failure) -> Box<End> {
        self.abort("the turn failed", Interruption::Failure(failure)).await
    }
}

fn names(calls: &[ToolCall]) -> String {
    let mut names: Vec<&str> = calls.iter().map(|call| call.tool.as_str()).collect();
    names.dedup();
    names.truncate(8);
    names.join(", ")
}

/// Arguments as they are shown and kept: a whole file that is written stands in its artifact or repository, not here too.
fn shortened(arguments: &str) -> String {
    if arguments.len() <= SHOWN_CHARS {
        return arguments.to_owned();
    }
    match serde_json::from_str::<Value>(arguments) {
        Ok(mut value) => {
            shorten(&mut value);
            let short = value.to_string();
            if short.len() > SHOWN_BYTES {
                cut(arguments)
            } else {
                short
            }
        }
        Err(_) => cut(arguments),
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = cut(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS).map(|(end, _)| text.split_at(end)) {
        Some((shown, rest)) => format!("{shown} (and {} more bytes)", rest.len()),
        None => text.to_owned(),
    }
}

fn nonsense(detail: String) -> Failure {
    Failure {
        kind: FailureKind::ModelNonsense,
        detail,
        retryable: true,
    }
}

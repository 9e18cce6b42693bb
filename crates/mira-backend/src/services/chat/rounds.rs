//! The tools of a turn: what the model asks for is announced, run side by side, and handed back. The only place that
//! runs tools of a turn.
//!
//! Invariants: each call has exactly one result, an aborted one too; nothing runs that was not offered, and nothing that
//! has to wait for the owner's word before the word is yes; there is an end to it ([`MOST_ROUNDS`], [`MOST_CALLS`],
//! [`MOST_WORK`]), and the model has to answer then; what calls tell fits the room there is ([`budget::fit`]), what is
//! stored of them stays whole.

use super::{
    attached, budget,
    close::{shutting_down, storage_failure},
    toolbelt::{self, Judged},
    voice::Voice,
};
use crate::services::{
    approvals::{self, Wait},
    deps::{ApprovalChange, Deps},
    spending,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use mira_core::{
    approval::{Approval, ApprovalStatus, Asks, Reason},
    file::StoredFile,
    ids::{ApprovalId, ToolCallId},
    model::ModelRequest,
    tool::{AskedCall, AskedCalls, CallStatus, Effect, Round, ToolCall, UNCERTAIN},
    turn::{End, Failure, FailureKind, Interruption, Stage, TurnEvent},
};
use mira_tools::{CallContext, Ran};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

/// After so many rounds the model has to answer.
pub(super) const MOST_ROUNDS: usize = 10;
/// The most calls of one reply that are run.
const MOST_CALLS: usize = 48;
/// So long tools work for one reply; rounds in which the owner was waited for do not count.
const MOST_WORK: Duration = Duration::from_mins(15);
/// So many calls run at once.
const AT_ONCE: usize = 8;
/// The longest text among a call's arguments that is shown and kept, in characters.
const SHOWN_CHARS: usize = 2000;
/// The longest arguments that are shown and kept as they are, in bytes, however many texts are in them.
const SHOWN_BYTES: usize = 16 * 1024;
/// The longest arguments a call may wait for the owner's word with, in bytes: all of them are kept and shown.
const MOST_WAITING: usize = 256 * 1024;

/// The tools of one turn.
#[derive(Debug)]
pub(super) struct Tools {
    /// The turn, as its calls see it.
    pub(super) context: CallContext,
    /// What the model is asked next.
    pub(super) request: ModelRequest,
    /// What the project wants to be asked about.
    pub(super) asks: Asks,
    /// The room all rounds together have, in tokens.
    room: usize,
    /// How long they have worked.
    worked: Duration,
}

impl Tools {
    /// `room`: the tokens all rounds together may take.
    pub(super) fn new(context: CallContext, request: ModelRequest, room: usize) -> Self {
        Self {
            context,
            request,
            asks: Asks::default(),
            room,
            worked: Duration::ZERO,
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
}

/// A call about to be made.
struct Planned {
    asked: AskedCall,
    /// As it is shown and kept.
    call: ToolCall,
    context: CallContext,
    /// Why it is not made.
    refused: Option<Ran>,
    /// What the owner is asked first.
    approval: Option<Approval>,
}

/// What the model is told of a call.
#[derive(Debug, Default)]
struct Told {
    /// In words.
    output: String,
    /// To look at, where it sees.
    pictures: Vec<StoredFile>,
}

/// What the calls of a round share while they run.
#[derive(Clone)]
struct Floor {
    deps: Deps,
    room: Arc<Semaphore>,
    /// Held by the one of those that take turns whose turn it is.
    pen: Arc<Semaphore>,
    /// Calls that have not begun.
    unbegun: Arc<Mutex<Vec<ToolCallId>>>,
    /// Told of calls the owner has approved.
    approved: mpsc::Sender<usize>,
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
        tools.context.untrusted |= self.is_untrusted();
        let first = self.turn.calls().len();
        let planned: Vec<Planned> = (first..)
            .zip(&asked.calls)
            .map(|(n, asked)| self.plan(tools, asked, n))
            .collect();
        let calls: Vec<ToolCall> = planned.iter().map(|planned| planned.call.clone()).collect();
        match self.store_begun(first, &calls).await {
            Ok(true) => {}
            // The conversation was removed meanwhile.
            Ok(false) => return Err(self.abort("the conversation is gone", Interruption::Stop).await),
            Err(error) => return Err(self.cut_off(storage_failure(&error)).await),
        }
        let waits = self.ask_owner(&planned).await?;
        let mut out = vec![TurnEvent::Status {
            stage: Stage::Tool,
            detail: Some(names(&calls)),
        }];
        for call in &calls {
            self.turn.begin_call(call.clone(), &mut out);
        }
        for approval in planned.iter().filter_map(|planned| planned.approval.as_ref()) {
            self.turn.wait_for_owner(approval.clone(), &mut out);
            approvals::announce(&self.task.deps, ApprovalChange::Created(approval));
        }
        self.tell(&out).await?;
        let (begun, owner_waits) = (Instant::now(), waits.iter().any(Option::is_some));
        let told = self.run_calls(first, planned, waits).await?;
        if !owner_waits {
            tools.worked += begun.elapsed();
        }
        tools.context.untrusted |= self.is_untrusted();
        let (outputs, pictures): (_, Vec<_>) = told.into_iter().map(|told| (told.output, told.pictures)).unzip();
        let round = Round {
            said,
            asked,
            outputs,
            pictures: attached::shown(&self.task.deps, pictures.into_iter().flatten()).await,
        };
        tools.request.rounds.push(round);
        budget::fit(&mut tools.request.rounds, tools.room);
        let spent = is_enough(tools.request.rounds.len(), self.turn.calls().len(), tools.worked);
        let (deps, account) = (&self.task.deps, self.task.live.account);
        tools.request.no_more_calls = spent || spending::is_spent(deps, account, self.turn.usage()).await;
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

    fn plan(&self, tools: &Tools, asked: &AskedCall, n: usize) -> Planned {
        let deps = &self.task.deps;
        let id = ToolCallId(deps.clock.new_uuid());
        let context = CallContext {
            call: id,
            ..tools.context.clone()
        };
        let Judged { effect, waits_for } = toolbelt::judge(deps, &context, &asked.name, &asked.arguments, tools.asks);
        let call = ToolCall {
            id,
            tool: asked.name.clone(),
            arguments: shortened(&asked.arguments),
            effect,
            outcome: None,
        };
        let mut refused = tools.refusal(asked, n);
        let waits_for = waits_for.filter(|_| refused.is_none());
        if waits_for.is_some() && asked.arguments.len() > MOST_WAITING {
            let why =
                format!("the owner would have to read all of it first: at most {MOST_WAITING} bytes of arguments");
            refused = Some(Ran::unsuccessful(CallStatus::Failed, why));
        }
        let approval = waits_for
            .filter(|_| refused.is_none())
            .map(|reason| self.approval(&context, asked, effect, reason));
        Planned {
            asked: asked.clone(),
            call,
            context,
            refused,
            approval,
        }
    }

    fn approval(&self, context: &CallContext, asked: &AskedCall, effect: Effect, reason: Reason) -> Approval {
        let clock = &self.task.deps.clock;
        let now = clock.now();
        Approval {
            id: ApprovalId(clock.new_uuid()),
            session_id: context.session.clone(),
            turn_id: context.turn,
            reply_id: context.reply,
            message_id: context.message,
            project_id: context.project,
            call: ToolCall {
                id: context.call,
                tool: asked.name.clone(),
                arguments: asked.arguments.clone(),
                effect,
                outcome: None,
            },
            reason,
            untrusted: context.untrusted,
            zone: context.zone.iana_name().map(str::to_owned),
            status: ApprovalStatus::Pending,
            created_at: now,
            expires_at: now.checked_add(self.task.deps.settings.approval_wait).unwrap_or(now),
            answered_at: None,
        }
    }

    /// Keeps what the owner is asked, durably, before anybody hears of it; a place to wait for each call that has to.
    async fn ask_owner(&mut self, planned: &[Planned]) -> Result<Vec<Option<Wait>>, Box<End>> {
        let deps = &self.task.deps;
        let new: Vec<Approval> = planned.iter().filter_map(|planned| planned.approval.clone()).collect();
        let wait = |planned: &Planned| { planned.approval.as_ref() }.map(|approval| deps.approvals.wait_for(approval));
        let waits = planned.iter().map(wait).collect();
        if new.is_empty() {
            return Ok(waits);
        }
        let (account, now) = (self.task.live.account, deps.clock.now());
        match deps.store.insert_approvals(account, new, now).await {
            Ok(()) => Ok(waits),
            Err(error) => Err(self.cut_off(storage_failure(&error)).await),
        }
    }

    /// Runs the calls of one round side by side; what came of each, in their order, as the model reads it.
    async fn run_calls(
        &mut self,
        first: usize,
        planned: Vec<Planned>,
        waits: Vec<Option<Wait>>,
    ) -> Result<Vec<Told>, Box<End>> {
        let deps = self.task.deps.clone();
        let count = planned.len();
        let calls: Vec<(ToolCallId, String)> = planned
            .iter()
            .map(|planned| (planned.call.id, planned.call.tool.clone()))
            .collect();
        let mut waiting: Vec<Option<ApprovalId>> = planned
            .iter()
            .map(|planned| planned.approval.as_ref().map(|approval| approval.id))
            .collect();
        let (approved, mut approvals) = mpsc::channel(count.max(1));
        let floor = Floor {
            deps: deps.clone(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
            pen: Arc::new(Semaphore::new(1)),
            unbegun: Arc::new(Mutex::new(calls.iter().map(|(id, _)| *id).collect())),
            approved,
        };
        let mut running: FuturesUnordered<BoxFuture<'static, (usize, Ran)>> = planned
            .into_iter()
            .zip(waits)
            .enumerate()
            .map(|(n, (planned, wait))| {
                let floor = floor.clone();
                async move { (n, floor.run(n, planned, wait).await) }.boxed()
            })
            .collect();
        let unbegun = Arc::clone(&floor.unbegun);
        drop(floor);
        let mut told: Vec<Told> = (0..count).map(|_| Told::default()).collect();
        let (hard, stop) = (deps.lifecycle.hard().clone(), self.task.stop.clone());
        loop {
            let (why, interruption) = tokio::select! {
                biased;
                () = stop.cancelled() => ("stopped by the owner", Interruption::Stop),
                () = hard.cancelled() => ("Mira was shut down", Interruption::Failure(shutting_down())),
                Some(n) = approvals.recv() => {
                    let tool = calls.get(n).map_or("", |(_, tool)| tool.as_str());
                    let detail = Some(format!("approved: {tool}"));
                    self.tell(&[TurnEvent::Status { stage: Stage::Tool, detail }]).await?;
                    continue;
                }
                ended = running.next() => {
                    let Some((n, ran)) = ended else { return Ok(told) };
                    let approval = waiting.get_mut(n).and_then(Option::take);
                    if let Some(told) = told.get_mut(n) {
                        *told = self.end_call(first + n, ran, approval).await?;
                    }
                    continue;
                }
            };
            // Nobody waits any more, and what only looks does not go on.
            drop(running);
            let unbegun = unbegun.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut out = Vec::new();
            self.turn.abort_calls(why, &unbegun, &mut out);
            // After a shutdown the owner can still answer.
            if interruption == Interruption::Stop {
                let left: Vec<ApprovalId> = waiting.into_iter().flatten().collect();
                self.close_approvals(&left).await;
            }
            self.tell(&out).await?;
            return Err(Box::new(self.turn.interrupt(interruption, Some(self.model()))));
        }
    }

    /// A call of the turn is over; what the model reads of it.
    async fn end_call(&mut self, n: usize, ran: Ran, approval: Option<ApprovalId>) -> Result<Told, Box<End>> {
        let Some(call) = self.turn.calls().get(n).map(|call| call.id) else {
            return Ok(Told::default());
        };
        let numbers = self.turn.take_sources(ran.sources());
        let Ran {
            outcome,
            told: output,
            pictures,
            ..
        } = ran.numbered(&numbers);
        self.task.deps.metrics.tool_called(outcome.status);
        if let Some(approval) = approval {
            approvals::finish(&self.task.deps, self.task.live.account, approval, &outcome).await;
        }
        let mut out = Vec::with_capacity(1);
        self.turn.end_call(call, outcome, &mut out);
        self.store_ended(n).await;
        self.tell(&out).await?;
        Ok(Told { output, pictures })
    }

    /// Ends the approvals of a turn that was stopped. One that was given already keeps what is told of its call.
    async fn close_approvals(&mut self, left: &[ApprovalId]) {
        let (deps, account) = (&self.task.deps, self.task.live.account);
        let now = deps.clock.now();
        for approval in deps.approvals.close(&deps.store, account, left, now).await {
            let call = self.turn.calls().iter().find(|call| call.id == approval.call.id);
            match call.and_then(|call| call.outcome.as_ref()) {
                Some(outcome) if approval.status == ApprovalStatus::Approved => {
                    approvals::finish(deps, account, approval.id, outcome).await;
                }
                Some(_) | None => approvals::announce(deps, ApprovalChange::Updated(&approval)),
            }
        }
    }

    /// Ends a turn none of whose calls has begun.
    pub(super) async fn abort(&mut self, why: &str, interruption: Interruption) -> Box<End> {
        let mut out = Vec::new();
        self.end_unfiled(why, &mut out);
        self.turn.abort_calls(why, &[], &mut out);
        if let Err(end) = self.tell(&out).await {
            return end;
        }
        Box::new(self.turn.interrupt(interruption, Some(self.model())))
    }

    pub(super) async fn cut_off(&mut self, failure: Failure) -> Box<End> {
        self.abort("the turn failed", Interruption::Failure(failure)).await
    }
}

impl Floor {
    fn begin(&self, call: ToolCallId) {
        let mut unbegun = self.unbegun.lock().unwrap_or_else(PoisonError::into_inner);
        unbegun.retain(|id| *id != call);
    }

    /// One call: waits for the owner where it must, then for a place, then runs.
    async fn run(self, n: usize, planned: Planned, wait: Option<Wait>) -> Ran {
        let Planned {
            asked,
            call,
            mut context,
            refused,
            ..
        } = planned;
        if let Some(ran) = refused {
            return ran;
        }
        let deps = self.deps.clone();
        if let Some(wait) = wait {
            let word = wait.word(&deps.store, context.account, deps.clock.as_ref()).await;
            if let Some(ran) = word.refusal() {
                return ran;
            }
            context.approved = true;
            // Where nobody hears it, the turn is over.
            self.approved.send(n).await.unwrap_or_default();
        }
        // Never closed; without a permit it would only run at once.
        let _permit = self.room.acquire().await.ok();
        let _turn = if toolbelt::takes_turns(&deps, &asked.name) {
            self.pen.acquire().await.ok()
        } else {
            None
        };
        self.begin(call.id);
        if call.effect != Effect::Write {
            return toolbelt::call(&deps, &context, &asked.name, &asked.arguments).await;
        }
        // What changes something is not dropped half-way, whatever becomes of the turn.
        let life = deps.lifecycle.clone();
        let work = async move { toolbelt::call(&deps, &context, &asked.name, &asked.arguments).await };
        let broken = |_| Ran::unsuccessful(CallStatus::Failed, format!("it was cut off; {UNCERTAIN}"));
        life.spawn(work).await.unwrap_or_else(broken)
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

/// Whether the model has to answer now.
fn is_enough(rounds: usize, calls: usize, worked: Duration) -> bool {
    rounds >= MOST_ROUNDS || calls >= MOST_CALLS || worked >= MOST_WORK
}

fn nonsense(detail: String) -> Failure {
    Failure {
        kind: FailureKind::ModelNonsense,
        detail,
        retryable: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cap_ends_it() {
        let little = Duration::from_mins(14);
        assert!(!is_enough(MOST_ROUNDS - 1, MOST_CALLS - 1, little));
        assert!(is_enough(MOST_ROUNDS, 1, little));
        assert!(is_enough(1, MOST_CALLS, little));
        assert!(is_enough(1, 1, MOST_WORK));
    }
}

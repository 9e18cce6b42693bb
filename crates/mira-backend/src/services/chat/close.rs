//! The end of a turn: stored first, then told. And what each failure means to the owner.

use super::TurnEnd;
use crate::services::{
    deps::{Deps, Scope},
    facts::{self, Lesson},
    hub::{actor::Refusal, live::Live},
    spending,
    summarization::Overflow,
};
use futures_util::FutureExt;
use mira_core::{
    chat::{Exposure, MemoryMode, MessageStatus, Mood, ReplyMeta, Salience},
    ids::{AccountId, MessageId, MoodId, TurnId},
    memory::{FactNote, Receipt},
    turn::{Draft, End, Failure, FailureKind, Outcome, TurnEvent, laws::Law},
};
use mira_llm::LlmError;
use mira_memory::{FinishOutcome, FinishTurn, MiraChange, NewReply, StoreError, TurnState};
use std::panic::AssertUnwindSafe;

/// What the end of a turn must know of its beginning.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// The overlay was asked for this turn only and does not become hers.
    pub keeps_persona: bool,
    /// How near strangers' words were in the prompt; nothing where the turn broke.
    pub exposure: Option<Exposure>,
    /// The owner's message.
    pub own: Option<MessageId>,
    /// The nudged mood the prompt told her of.
    pub told_nudge: Option<Mood>,
    /// What the reply was made of.
    pub receipt: Option<Receipt>,
    /// What it may teach.
    pub lesson: Option<Lesson>,
    /// What has left the prompt's window.
    pub overflow: Option<Overflow>,
}

/// Ends a turn that never reached the model.
pub async fn close(deps: &Deps, live: &Live, scope: &Scope<'_>, end: End) -> TurnEnd {
    close_with(deps, live, scope, end, Closing::default(), &mut Law::default()).await
}

pub(super) async fn close_with(
    deps: &Deps,
    live: &Live,
    scope: &Scope<'_>,
    end: End,
    mut closing: Closing,
    law: &mut Law,
) -> TurnEnd {
    let End {
        mut draft,
        mut failure,
        mut outcome,
        usage,
    } = end;
    let had_draft = draft.is_some();
    let (lesson, overflow) = (closing.lesson.take(), closing.overflow.take());
    if let Some(draft) = &mut draft
        && live.is_window_stale()
        && is_forgotten(deps, live.account, closing.own).await
    {
        forget_notes(&mut draft.meta);
    }
    let told = draft.as_ref().filter(|_| outcome == Outcome::Complete);
    let teaching = lesson.zip(told.and_then(Teaching::of));
    let mut finish = finish_turn(deps, scope.turn_id, draft, outcome, closing);
    finish.tokens = usage.map(spending::tokens);
    // Side by side, so that both are in one commit where nothing stands against it.
    let (finished, learnt) = tokio::join!(
        deps.store.finish_turn(live.account, finish),
        AssertUnwindSafe(learn(deps, live.account, teaching)).catch_unwind(),
    );
    if learnt.is_err() {
        // Its own words are in the log.
        tracing::error!(turn.id = %scope.turn_id, session.id = %live.id, "learning from a turn panicked");
    }
    let reply = match finished {
        Ok(FinishOutcome::Finished(reply)) => reply.map(Box::new),
        // The session was cleared or removed meanwhile: there is nothing to tell of.
        Ok(FinishOutcome::Gone) => None,
        Err(error) => {
            tracing::error!(%error, turn.id = %scope.turn_id, session.id = %live.id, "the end of a turn could not be stored");
            // The parts stored so far are put together at the next start.
            failure = Some(storage_failure(&error));
            outcome = if had_draft {
                Outcome::Interrupted
            } else {
                Outcome::Failed
            };
            None
        }
    };
    if let Some(usage) = reply.as_ref().and_then(|reply| reply.usage).or(usage) {
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
        (Some(failure), reply) => say(TurnEvent::Error {
            failure: failure.clone(),
            message: reply.clone(),
        }),
        (None, Some(reply)) => say(TurnEvent::Complete(reply.clone())),
        (None, None) => {}
    }
    say(TurnEvent::Done(outcome));
    deps.memories.wake();
    if let Some(overflow) = overflow.filter(|_| reply.is_some()) {
        let summarizer = deps.summarizer.clone();
        deps.lifecycle.spawn(summarizer.catch_up(deps.clone(), overflow));
    }
    TurnEnd {
        reply,
        failure,
        outcome,
    }
}

/// What of a reply may become facts.
struct Teaching {
    notes: Vec<FactNote>,
    salience: Option<Salience>,
    text: String,
}

impl Teaching {
    /// `None` where the reply wants nothing remembered.
    fn of(draft: &Draft) -> Option<Self> {
        (!draft.meta.remember.is_empty()).then(|| Self {
            notes: draft.meta.remember.clone(),
            salience: draft.meta.salience,
            text: draft.content.clone(),
        })
    }
}

/// Stores what the reply wants remembered. A failure costs the facts, never the reply.
async fn learn(deps: &Deps, account: AccountId, teaching: Option<(Lesson, Teaching)>) {
    let Some((lesson, Teaching { notes, salience, text })) = teaching else {
        return;
    };
    if !writes(deps, account, &lesson).await {
        return;
    }
    match facts::learn(&deps.memories, account, &lesson, &notes, &text, salience).await {
        Ok(learnt) => facts::announce(deps, &learnt.created, &learnt.superseded),
        Err(error) => tracing::error!(%error, session.id = ?lesson.session, "facts could not be stored"),
    }
}

/// Whether memory is still written where the lesson was told: the owner may have turned it off meanwhile.
async fn writes(deps: &Deps, account: AccountId, lesson: &Lesson) -> bool {
    let Some(session) = lesson.session.as_ref().filter(|_| !deps.memories.is_paused()) else {
        return false;
    };
    match deps.store.find_session(account, session).await {
        Ok(session) => session.is_some_and(|session| session.memory == MemoryMode::On),
        Err(error) => {
            tracing::error!(%error, session.id = %session, "facts could not be stored");
            false
        }
    }
}

/// Whether the message a turn answers was forgotten while it was answered.
async fn is_forgotten(deps: &Deps, account: AccountId, own: Option<MessageId>) -> bool {
    let Some(own) = own else { return false };
    match deps.store.find_message(account, own).await {
        Ok(message) => message.is_none_or(|message| message.status == MessageStatus::Forgotten),
        // Where it cannot be told, nothing is noted.
        Err(_) => true,
    }
}

/// Takes out of a reply's metadata what it notes about the owner's message.
fn forget_notes(meta: &mut ReplyMeta) {
    meta.mood_cause = None;
    meta.intent = None;
    meta.owner_mood = None;
    meta.tags.clear();
    meta.remember.clear();
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
        tool_calls: draft.calls,
        citations: draft.citations,
        exposure: closing.exposure,
    });
    let state = match outcome {
        Outcome::Complete => TurnState::Complete,
        Outcome::Stopped => TurnState::Stopped,
        Outcome::Interrupted => TurnState::Interrupted,
        Outcome::Failed => TurnState::Failed,
    };
    FinishTurn {
        turn_id,
        reply,
        state,
        tokens: None,
        mira,
        told_nudge: closing.told_nudge,
        receipt: closing.receipt,
        now: deps.clock.now(),
    }
}

/// What a reply falls back to when even the session cannot be read.
pub async fn fallback_meta(deps: &Deps, account: AccountId) -> ReplyMeta {
    let state = deps.store.find_state(account).await.ok().flatten();
    let (persona, mood, mood_cause) = match state {
        Some(state) => (state.persona, state.mood, state.mood_cause),
        None => (deps.settings.default_persona.clone(), Mood::first(), None),
    };
    ReplyMeta {
        persona,
        mood,
        mood_cause,
        intent: None,
        owner_mood: None,
        tags: Vec::new(),
        salience: None,
        remember: Vec::new(),
    }
}

/// The failure of a turn that the end of the process cut off.
pub fn shutting_down() -> Failure {
    let detail = "Mira was shut down before the reply was whole. What she had said is kept.".to_owned();
    Failure {
        kind: FailureKind::ShuttingDown,
        detail,
        retryable: true,
    }
}

pub(super) fn storage_failure(error: &StoreError) -> Failure {
    let detail = match error {
        StoreError::DiskFull(_) => "The disk is full: nothing new can be stored until there is room.",
        StoreError::ReadOnly(_) => "The database cannot be written: its disk or folder is read-only.",
        _ => "The database failed; Mira's log says why.",
    };
    Failure {
        kind: FailureKind::Storage,
        detail: detail.to_owned(),
        retryable: true,
    }
}

pub(super) fn failure_of_refusal(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::Store(error) => storage_failure(error),
        Refusal::BudgetExceeded { .. } => Failure {
            kind: FailureKind::BudgetExceeded,
            detail: refusal.to_string(),
            retryable: false,
        },
        other => Failure {
            kind: FailureKind::Internal,
            detail: other.to_string(),
            retryable: true,
        },
    }
}

/// What a failed model call means to the owner.
pub(super) fn failure_of(error: &LlmError) -> Failure {
    let kind = match error {
        LlmError::Auth { .. } | LlmError::BadKey => FailureKind::ModelAuth,
        LlmError::ModelNotFound { .. } => FailureKind::ModelNotFound,
        LlmError::RateLimited { .. } => FailureKind::RateLimited,
        LlmError::Quota => FailureKind::QuotaExceeded,
        LlmError::ContextTooLong { .. } => FailureKind::ContextTooLong,
        LlmError::Refused { .. } => FailureKind::Refused,
        LlmError::BadRequest { .. } | LlmError::Forbidden { .. } | LlmError::Unsendable { .. } => {
            FailureKind::ModelRejected
        }
        LlmError::Server { .. } | LlmError::Connect { .. } | LlmError::BadUrl { .. } | LlmError::Transport { .. } => {
            FailureKind::ModelUnavailable
        }
        LlmError::IdleTimeout { .. } => FailureKind::ModelTimeout,
        LlmError::CutOff => FailureKind::ModelCutOff,
        LlmError::Garbage { .. } | LlmError::Empty { .. } | LlmError::TooLarge { .. } => FailureKind::ModelNonsense,
    };
    Failure {
        kind,
        detail: error.told(),
        retryable: error.retryable(),
    }
}

//! One live session: its log, its actor's mailbox, and how many of its listeners want HTML.

use super::{
    actor::Command,
    log::{ActiveTurn, Audience, SessionLog},
};
use crate::services::deps::{Deps, Scope};
use mira_core::{
    ids::{AccountId, SessionId},
    turn::{Stage, TurnEvent},
};
use mira_memory::StoreError;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::mpsc;

/// Sequence numbers reserved at a time: one durable write for so many events.
pub const SEQ_BLOCK: u64 = 4096;
/// Fewer than this many left when a turn begins: the next block is reserved along with its first write.
pub const SEQ_LOW: u64 = 512;
/// Fewer than this many left in the middle of a turn: a write of its own reserves the next block. What is left is for
/// the events that end a turn when that write fails.
const SEQ_SPARE: u64 = 16;

/// A session that somebody listens or talks to.
#[derive(Debug)]
pub struct Live {
    /// Whose it is.
    pub account: AccountId,
    /// Its id.
    pub id: SessionId,
    /// Its events.
    pub log: SessionLog,
    pub(super) mailbox: Mutex<Option<mpsc::Sender<Command>>>,
    html_listeners: AtomicUsize,
    html_refresh: AtomicBool,
    removed: AtomicBool,
    window_stale: AtomicBool,
    last_used_s: Mutex<i64>,
}

/// Counts a listener that wants HTML for as long as it lives.
#[derive(Debug)]
pub struct HtmlListener(std::sync::Arc<Live>);

impl Drop for HtmlListener {
    fn drop(&mut self) {
        self.0.html_listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    pub(super) fn new(account: AccountId, id: SessionId, last_seq: u64, now_s: i64) -> Self {
        Self {
            account,
            id,
            log: SessionLog::new(last_seq, last_seq),
            mailbox: Mutex::new(None),
            html_listeners: AtomicUsize::new(0),
            html_refresh: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            window_stale: AtomicBool::new(false),
            last_used_s: Mutex::new(now_s),
        }
    }

    /// Marks that the session was removed: who still listens must not reach another session of the same name.
    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
        self.log.wake();
    }

    /// Whether the session was removed: nothing will be said here any more.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Marks that what the actor remembers of the conversation holds something forgotten, or no longer true.
    pub fn forget_window(&self) {
        self.window_stale.store(true, Ordering::Release);
    }

    /// Whether something said here was forgotten since the running turn began.
    pub fn is_window_stale(&self) -> bool {
        self.window_stale.load(Ordering::Acquire)
    }

    pub(super) fn take_window_stale(&self) -> bool {
        self.window_stale.swap(false, Ordering::AcqRel)
    }

    pub(super) fn touch(&self, now_s: i64) {
        *self.last_used_s.lock().unwrap_or_else(PoisonError::into_inner) = now_s;
    }

    pub(super) fn last_used_s(&self) -> i64 {
        *self.last_used_s.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a listener that wants HTML; what is being spoken is rendered whole for it with the next words.
    pub fn want_html(self: &std::sync::Arc<Self>) -> HtmlListener {
        self.html_listeners.fetch_add(1, Ordering::Relaxed);
        self.html_refresh.store(true, Ordering::Relaxed);
        HtmlListener(self.clone())
    }

    /// Whether anybody wants HTML.
    pub fn html_wanted(&self) -> bool {
        self.html_listeners.load(Ordering::Relaxed) > 0
    }

    /// Whether a new HTML listener has come since the last call.
    pub fn take_html_refresh(&self) -> bool {
        self.html_refresh.swap(false, Ordering::Relaxed)
    }

    /// Makes sure that the next events can be numbered.
    pub async fn reserve(&self, deps: &Deps) -> Result<(), StoreError> {
        if self.log.reserve_left() >= SEQ_SPARE {
            return Ok(());
        }
        let to = self.log.last_seq() + SEQ_BLOCK;
        deps.store.reserve_seq(self.account, &self.id, to).await?;
        self.log.reserved(to);
        Ok(())
    }

    /// Appends one event of a turn to the log. The caller has reserved its number.
    pub fn emit(&self, deps: &Deps, scope: &Scope<'_>, event: &TurnEvent) {
        let emptied = match event {
            TurnEvent::ToolResult(ended) if self.log.stays_empty(ended.id) => {
                let mut call = ended.clone();
                call.empty();
                Some(TurnEvent::ToolResult(call))
            }
            TurnEvent::Citation(citation) if self.log.has_emptied() => {
                let mut citation = citation.clone();
                citation.empty();
                Some(TurnEvent::Citation(citation))
            }
            _ => None,
        };
        let event = emptied.as_ref().unwrap_or(event);
        let encoded = (deps.encoder.turn)(scope, event);
        let appended = self.log.append(Some(scope.turn_id), &encoded, |active| match event {
            TurnEvent::Status {
                stage: Stage::Queued, ..
            }
            | TurnEvent::Message { .. }
            | TurnEvent::Sketch { .. } => {}
            TurnEvent::Status { .. } | TurnEvent::Recall { .. } | TurnEvent::Persona { .. } => {
                active.get_or_insert_with(|| ActiveTurn {
                    turn_id: scope.turn_id,
                    message_id: scope.reply_id,
                    content: String::new(),
                    calls: Vec::new(),
                    citations: Vec::new(),
                    approvals: Vec::new(),
                    emptied: Vec::new(),
                });
            }
            TurnEvent::ToolCall(call) => {
                if let Some(active) = active {
                    active.calls.push((**call).clone());
                }
            }
            TurnEvent::Approval(approval) => {
                if let Some(active) = active {
                    active.approvals.push((**approval).clone());
                }
            }
            TurnEvent::Citation(citation) => {
                if let Some(active) = active {
                    active.citations.push((**citation).clone());
                }
            }
            TurnEvent::ToolResult(ended) => {
                if let Some(active) = active.as_mut() {
                    active.approvals.retain(|approval| approval.call.id != ended.id);
                }
                let calls = active.iter_mut().flat_map(|active| &mut active.calls);
                for call in calls.filter(|call| call.id == ended.id) {
                    call.clone_from(ended);
                }
            }
            TurnEvent::Chunk(text) => {
                if let Some(active) = active {
                    active.content.push_str(text);
                }
            }
            TurnEvent::Complete(_) | TurnEvent::Error { .. } | TurnEvent::Done(_) => {
                if active.as_ref().is_some_and(|active| active.turn_id == scope.turn_id) {
                    *active = None;
                }
            }
        });
        if appended.is_none() {
            tracing::error!(session.id = %self.id, turn.id = %scope.turn_id, event = encoded.kind, "an event could not be numbered");
        }
    }

    /// Sends rendered blocks to those who want them.
    pub fn emit_html(&self, deps: &Deps, scope: &Scope<'_>, blocks: &[(usize, String)]) {
        for (block, html) in blocks {
            let frame = (deps.encoder.html)(scope, *block, html);
            self.log.send("html", Some(scope.turn_id), Audience::Html, frame);
        }
    }

    /// Whether a turn is being spoken.
    pub fn is_active(&self) -> bool {
        self.log.is_active()
    }
}

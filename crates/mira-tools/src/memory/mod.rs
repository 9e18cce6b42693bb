//! Her own tools over memory: `recall`, `remember`, `forget`.
//!
//! What they keep with the reply names memories by id alone, so that a forgotten text is in no record of a call.

mod forget;
mod recall;
mod remember;

pub use forget::Forget;
pub use recall::Recall;
pub use remember::Remember;

use crate::{CallContext, Doorway};
use jiff::tz::TimeZone;
use mira_core::{
    chat::{Role, one_line},
    ids::{MemoryId, ProjectId},
    memory::{Degraded, FactNote, Memory, MemoryKind, Recalled},
};
use serde_json::{Value, json};

/// The longest stretch of one memory a model is shown, in characters.
const SHOWN_CHARS: usize = 600;

/// What the tools need of memory.
pub trait MemoryDoor: Send + Sync + 'static {
    /// What answers a question, best first.
    fn recall<'a>(&'a self, context: &'a CallContext, lookup: Lookup) -> Doorway<'a, Found>;

    /// Keeps a fact, if it is one; `replaces` names the fact it makes untrue.
    fn remember<'a>(
        &'a self,
        context: &'a CallContext,
        note: FactNote,
        replaces: Option<MemoryId>,
    ) -> Doorway<'a, Kept>;

    /// Forgets, everywhere, what the owner's words plainly mean or what they have chosen since they were asked.
    fn forget<'a>(&'a self, context: &'a CallContext, ids: Vec<MemoryId>) -> Doorway<'a, Gone>;
}

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// A question, or words that would stand in the answer.
    pub question: String,
    /// At most so many memories.
    pub limit: usize,
    /// Of this project only.
    pub project: Option<ProjectId>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Best first.
    pub memories: Vec<Recalled>,
    /// Why the search was not whole.
    pub degraded: Option<Degraded>,
}

/// What became of a note.
#[derive(Debug, Clone)]
pub enum Kept {
    /// It is a fact now.
    Stored {
        /// The fact.
        fact: Box<Memory>,
        /// What it made untrue.
        superseded: Vec<MemoryId>,
    },
    /// It was known.
    Known(MemoryId),
    /// It is no fact to keep, for this reason.
    Rejected(String),
}

/// What was forgotten.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    /// These.
    pub forgotten: Vec<MemoryId>,
    /// There was nothing of these ids.
    pub unknown: Vec<MemoryId>,
    /// Messages that still say what a forgotten fact said.
    pub sources: Vec<Memory>,
    /// These are there still: it is not plain that the owner means them, and they have not been asked.
    pub unclear: Vec<Memory>,
    /// Whether replies that asked the owner which to forget are gone too, since they had their words.
    pub question: bool,
}

/// A memory as one line: id, date, whose it is, its text.
fn line(memory: &Memory, zone: &TimeZone) -> String {
    let who = match (memory.kind, memory.role) {
        (MemoryKind::Message, Some(Role::Assistant)) => "Mira",
        (MemoryKind::Message, _) => "owner",
        (MemoryKind::Summary, _) => "summary",
        (MemoryKind::Fact, _) => memory.about.as_deref().unwrap_or("owner"),
    };
    let kind = if memory.kind == MemoryKind::Fact {
        "fact about "
    } else {
        ""
    };
    let mut notes = String::new();
    if !memory.source.is_trusted() {
        notes.push_str(" (untrusted)");
    }
    if memory.superseded_by.is_some() {
        notes.push_str(" (no longer true)");
    }
    let day = memory.valid_from.to_zoned(zone.clone()).strftime("%-d %B %Y");
    let text = one_line(&memory.text, SHOWN_CHARS);
    format!("{} | {day} | {kind}{who}{notes} | {text}", memory.id)
}

/// A memory as a client finds it again: without its text.
fn reference(memory: &Memory) -> Value {
    json!({
        "id": memory.id.to_string(),
        "kind": memory.kind.as_str(),
        "date": memory.date.to_string(),
        "message_id": memory.message_id.map(|id| id.to_string()),
    })
}

fn ids(ids: &[MemoryId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

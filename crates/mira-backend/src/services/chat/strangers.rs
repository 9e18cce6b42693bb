//! What strangers have to do with a prompt: whether they speak in the turn itself, whether words of theirs stand anywhere
//! in what the model reads, and how the reply is marked for it.
//!
//! Law: what counts is what stands in the prompt that is sent. Strangers' words mark the reply; so does an account Mira
//! gave of them, once: a reply that only retells one leaves no mark on those made of it, or a page read once would mark
//! whatever is said after it. To the tools of a turn (`exposed`) every account counts.

use super::project;
use crate::services::summarization::Notes;
use mira_core::{
    chat::{Exposure, Message},
    ids::{AccountId, MemoryId},
    memory::{Memory, MemoryKind},
    prompt::ProjectNotes,
};
use mira_memory::Store;

/// What a prompt tells.
pub(super) struct Told<'a> {
    /// What of the branch is in the prompt, the owner's message with it.
    pub(super) window: &'a [Message],
    /// The memories that found room.
    pub(super) used: &'a [&'a Memory],
    /// The notes on the project.
    pub(super) project: Option<&'a ProjectNotes>,
    /// The notes on what lies before the window.
    pub(super) summaries: &'a Notes,
}

impl Told<'_> {
    fn marked(&self) -> impl Iterator<Item = &Memory> {
        self.used.iter().copied().filter(|memory| !memory.source.is_trusted())
    }

    /// Whether strangers speak in this turn: as facts learnt of them, or as an AGENTS.md. A reply that was made of their
    /// words, or a note on a stretch that showed any, is still her own account of it: what the owner says beside it stays
    /// the owner's.
    pub(super) fn untrusted(&self) -> bool {
        self.marked().any(|memory| memory.kind == MemoryKind::Fact) || self.project.is_some_and(project::has_strangers)
    }

    /// Whether words of theirs stand anywhere in it, in whatever account.
    pub(super) fn exposed(&self) -> bool {
        let shows = |message: &Message| message.shows_strangers() || message.exposure != Exposure::Clear;
        self.summaries.untrusted || self.marked().next().is_some() || self.window.iter().any(shows)
    }

    /// The mark of the reply, as far as the prompt tells.
    pub(super) async fn exposure(&self, store: &Store, account: AccountId) -> Exposure {
        if self.untrusted() || self.window.iter().any(Message::shows_strangers) {
            return Exposure::Direct;
        }
        let retold = self.summaries.retells
            || self.window.iter().any(Message::tells_of_strangers)
            || self.marked().any(|memory| memory.kind == MemoryKind::Summary);
        let marked = self.marked().map(|memory| memory.id).collect();
        if retold || has_direct(store, account, marked).await {
            return Exposure::Retold;
        }
        Exposure::Clear
    }
}

/// Whether one of these was made of strangers' own words. Where it cannot be told, it counts as if it were.
async fn has_direct(store: &Store, account: AccountId, marked: Vec<MemoryId>) -> bool {
    if marked.is_empty() {
        return false;
    }
    store.has_direct(account, &marked).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "where recalled replies come from could not be read");
        true
    })
}

//! What a turn needs to know before the model is asked: the session, Mira's state, the recent messages.

use crate::services::deps::Deps;
use mira_core::{
    chat::{Message, MiraState, Session},
    ids::{AccountId, MessageId, SessionId},
    prompt,
};
use mira_memory::{BranchFrom, StoreError};

/// A session and Mira's state at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// The session.
    pub session: Session,
    /// Her state.
    pub state: MiraState,
}

/// The recent end of a branch.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Messages, oldest first.
    pub messages: Vec<Message>,
    /// Messages of the branch that lie before the first of them.
    pub skipped: u64,
}

impl Window {
    /// The last message.
    pub fn head(&self) -> Option<MessageId> {
        self.messages.last().map(|message| message.id)
    }

    /// The window for one more message: moved on by whole blocks so that at least `least` remain.
    pub fn advance(&mut self, least: u64) {
        let length = self.skipped + self.messages.len() as u64;
        let start = prompt::window_start(length + 1, least).max(self.skipped);
        let drop = usize::try_from(start - self.skipped)
            .unwrap_or(usize::MAX)
            .min(self.messages.len());
        self.messages.drain(..drop);
        self.skipped += drop as u64;
    }
}

/// Reads the window that ends with `head` (nothing for an empty conversation).
pub async fn read_window(
    deps: &Deps,
    account: AccountId,
    session: &SessionId,
    head: Option<MessageId>,
) -> Result<Window, StoreError> {
    let Some(head) = head else { return Ok(Window::default()) };
    let least = deps.settings.history_messages;
    let limit = u32::try_from(least + prompt::BLOCK + 1).unwrap_or(u32::MAX);
    let branch = deps
        .store
        .branch(account, session, BranchFrom::At(head), limit, None)
        .await?;
    let skipped = branch.length.saturating_sub(branch.messages.len() as u64);
    let mut window = Window {
        messages: branch.messages,
        skipped,
    };
    window.advance(least);
    Ok(window)
}

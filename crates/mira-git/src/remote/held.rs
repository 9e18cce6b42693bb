//! The end of a clone: nobody else works with it from the look at what would be lost with it until it is gone.

use super::Remotes;
use crate::{
    error::GitError,
    open::open,
    recover,
    unpublished::{self, Unpublished},
};
use mira_core::ids::AttachmentId;
use std::sync::{Arc, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// A clone, there or not, that nothing of Mira's writes, fetches or pushes as long as this is kept. What its owner does in
/// it by hand is not kept out.
#[derive(Debug)]
pub struct Held {
    remotes: Remotes,
    id: AttachmentId,
    /// That of exchanges, and that of writers. They go with the work that is under way.
    turns: Arc<[OwnedSemaphorePermit; 2]>,
}

impl Remotes {
    /// Waits until nobody works with a clone, and keeps everybody out. An exchange under way has to be cancelled first.
    pub async fn hold(&self, id: AttachmentId) -> Result<Held, GitError> {
        // In the order in which a sync takes them.
        let exchanges = self.own_turn(id).await?;
        let writers = self.0.repos.hold(id).await?;
        Ok(Held {
            remotes: self.clone(),
            id,
            turns: Arc::new([exchanges, writers]),
        })
    }

    /// Removes the clone and its credentials, whatever it holds. An exchange under way has to be cancelled first.
    pub async fn detach(&self, id: AttachmentId) -> Result<(), GitError> {
        self.hold(id).await?.detach().await
    }
}

impl Held {
    /// What would be lost with the clone; nothing if there is none.
    pub async fn unpublished(&self) -> Result<Unpublished, GitError> {
        let repos = &self.remotes.0.repos;
        let dir = repos.folder(self.id);
        let found = repos.in_turn(Arc::clone(&self.turns), move |settings| {
            let opened = open(&dir, settings)?;
            recover::mend(&opened)?;
            unpublished::look(&opened)
        });
        unpublished::or_nothing(&repos.folder(self.id), found.await)
    }

    /// Removes the clone and its credentials.
    pub async fn detach(self) -> Result<(), GitError> {
        let Self { remotes, id, turns } = self;
        let inner = &remotes.0;
        inner.repos.remove_in(Arc::clone(&turns), id).await?;
        let secrets = inner.secrets.clone();
        inner.repos.in_turn(turns, move |_| secrets.remove(id)).await?;
        inner.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }
}

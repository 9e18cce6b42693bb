//! Copies of the owner's documents at the provider, so that its own tools find them: each is sent once, put into the
//! vector store of its project (or of the documents in none), and removed when its file goes. A store that is gone is
//! made anew. One worker, in the background; what it does is in the log.
//!
//! Invariants: what is sent is known before (a row says so); a failure that may pass is tried again later and later, one
//! that will not pass is noted and ends there.

use super::Inner;
use crate::lifecycle::Lifecycle;
use bytes::Bytes;
use mira_core::ids::{AccountId, ProjectId};
use mira_llm::{
    LlmError,
    provider_files::{MOST_UPLOAD_BYTES, Standing},
};
use mira_memory::{CopyState, ProviderCopy, StoreError};
use std::{io, time::Duration};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

/// So many documents at a time.
const BATCH: u32 = 20;
/// Between two looks at a copy that the provider makes ready: at first, and at most.
const LOOK_AFTER: Duration = Duration::from_millis(250);
const LOOK_LATEST: Duration = Duration::from_secs(8);
/// How often a copy that is not ready is looked at.
const MOST_LOOKS: u32 = 20;
/// After a failure that may pass: at first, and at most.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LATEST: Duration = Duration::from_mins(10);
/// How often the stores are asked for whether they are still there.
const CHECK_EVERY: Duration = Duration::from_mins(30);
/// Names a provider reads text files by.
const TEXT_ENDINGS: [&str; 14] = [
    "c", "cpp", "css", "csv", "go", "html", "java", "js", "json", "md", "py", "rb", "ts", "txt",
];

/// Why a round of work ended early.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] LlmError),
    #[error("a file could not be read: {0}")]
    Read(#[from] io::Error),
}

/// Whether a refusal is about this document and will not pass.
fn is_final(error: &LlmError) -> bool {
    matches!(
        error,
        LlmError::BadRequest { .. }
            | LlmError::TooLarge { .. }
            | LlmError::Unsendable { .. }
            | LlmError::ContextTooLong { .. }
    )
}

/// Works until the soft end.
pub(super) async fn run(inner: &Inner, account: AccountId, mut changes: Receiver<Bytes>, life: &Lifecycle) {
    let worker = Worker { inner, account };
    let mut failures = 0_u32;
    let mut check_due = Instant::now();
    loop {
        let round = async {
            if Instant::now() >= check_due {
                worker.check_stores().await?;
            }
            worker.work().await
        };
        let Some(outcome) = life.soft().run_until_cancelled(round).await else {
            return;
        };
        if Instant::now() >= check_due {
            check_due = Instant::now() + CHECK_EVERY;
        }
        let wake = match outcome {
            Ok(true) => continue,
            Ok(false) => {
                failures = 0;
                check_due
            }
            Err(error) => {
                let wait = (RETRY_FIRST * 2_u32.saturating_pow(failures.min(10))).min(RETRY_LATEST);
                failures += 1;
                tracing::warn!(%error, again_in_s = wait.as_secs(), "files could not be given to the provider");
                Instant::now() + wait
            }
        };
        let waiting = async {
            tokio::select! {
                () = sleep_until(wake) => {}
                () = changed(&mut changes), if failures == 0 => {}
            }
        };
        if life.soft().run_until_cancelled(waiting).await.is_none() {
            return;
        }
    }
}

/// Something about the account has changed; a closed channel never says so.
async fn changed(changes: &mut Receiver<Bytes>) {
    match changes.recv().await {
        Ok(_) | Err(RecvError::Lagged(_)) => {}
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

struct Worker<'a> {
    inner: &'a Inner,
    account: AccountId,
}

impl Worker<'_> {
    /// Some of what is to be done; true if there may be more.
    async fn work(&self) -> Result<bool, CopyError> {
        let Inner { store, provider, .. } = self.inner;
        for copy in store.list_provider_doomed(self.account, provider).await? {
            self.remove(&copy).await?;
        }
        let wanted = store.list_provider_wanted(self.account, provider, BATCH).await?;
        let more = wanted.len() >= BATCH as usize;
        for copy in wanted {
            self.give(copy).await?;
        }
        Ok(more)
    }

    /// Stores that are gone are made anew with what was in them.
    async fn check_stores(&self) -> Result<(), CopyError> {
        let Inner {
            store,
            provider,
            remote,
            clock,
            ..
        } = self.inner;
        for id in store.list_provider_stores(self.account, provider).await? {
            if remote.store_standing(&id).await? == Standing::Gone {
                tracing::info!(store = %id, "a vector store is gone at the provider; it is made anew");
                store
                    .forget_provider_store(self.account, provider, &id, clock.now())
                    .await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, copy: &ProviderCopy) -> Result<(), CopyError> {
        let Inner {
            store,
            provider,
            remote,
            ..
        } = self.inner;
        if let Some(id) = &copy.remote_id {
            remote.delete(id).await?;
        }
        let empty = store.delete_provider_copy(self.account, provider, copy).await?;
        if let Some(id) = copy.store_id.as_ref().filter(|_| empty) {
            remote.delete_store(id).await?;
        }
        tracing::info!(file.id = %copy.file_id, "a deleted file is deleted at the provider too");
        Ok(())
    }

    async fn put(&self, copy: &ProviderCopy, state: CopyState) -> Result<bool, CopyError> {
        let Inner {
            store, provider, clock, ..
        } = self.inner;
        Ok(store
            .put_provider_copy(self.account, provider, copy, state, clock.now())
            .await?)
    }

    /// One document, from its bytes to its being found.
    async fn give(&self, mut copy: ProviderCopy) -> Result<(), CopyError> {
        if !self.put(&copy, CopyState::Wanted).await? {
            return Ok(());
        }
        match self.give_on(&mut copy).await {
            Ok(()) => Ok(()),
            Err(CopyError::Provider(error)) if is_final(&error) => {
                tracing::warn!(%error, file.id = %copy.file_id, "the provider does not take this file");
                self.put(&copy, CopyState::Failed).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    async fn give_on(&self, copy: &mut ProviderCopy) -> Result<(), CopyError> {
        if copy.remote_id.is_none() && !self.send(copy).await? {
            return Ok(());
        }
        if !self.inner.config.enabled(mira_core::model::HostedKind::FileSearch) {
            // Code may read it; it is not to be searched.
            return self.put(copy, CopyState::Failed).await.map(drop);
        }
        let Some(remote_id) = copy.remote_id.clone() else {
            return Ok(());
        };
        let remote = &self.inner.remote;
        let store_id = if let Some(id) = copy.store_id.clone() {
            id
        } else {
            let id = self.store_of(copy.project_id).await?;
            match remote.add(&id, &remote_id).await {
                Ok(()) => {}
                Err(LlmError::BadRequest { status: 404, .. }) => {
                    // Either is gone: both are asked for anew when this comes up again.
                    remote.delete(&remote_id).await?;
                    copy.remote_id = None;
                    self.put(copy, CopyState::Wanted).await?;
                    return self.check_stores().await;
                }
                Err(error) => return Err(error.into()),
            }
            copy.store_id = Some(id.clone());
            self.put(copy, CopyState::Sent).await?;
            id
        };
        self.wait_ready(copy, &store_id, &remote_id).await
    }

    /// Sends the bytes; false if the file is gone, or cannot be sent at all.
    async fn send(&self, copy: &mut ProviderCopy) -> Result<bool, CopyError> {
        let opened = self.inner.files.open(self.account, copy.file_id).await;
        let opened = opened.map_err(|error| io::Error::other(error.to_string()))?;
        let Some((file, path)) = opened else { return Ok(false) };
        if file.size > MOST_UPLOAD_BYTES {
            tracing::warn!(file.id = %copy.file_id, size = file.size, "a file is too large for the provider's search");
            self.put(copy, CopyState::Failed).await?;
            return Ok(false);
        }
        let bytes = tokio::fs::read(path).await?;
        let name = remote_name(&file.name, &file.media_type);
        let remote = &self.inner.remote;
        copy.remote_id = Some(remote.upload(&name, &file.media_type, bytes.into()).await?);
        // Where the file went meanwhile, its row knows what is to be removed.
        self.put(copy, CopyState::Wanted).await
    }

    /// The store of a project's documents; made where there is none.
    async fn store_of(&self, project: Option<ProjectId>) -> Result<String, CopyError> {
        let Inner {
            store,
            provider,
            remote,
            ..
        } = self.inner;
        if let Some(id) = store.find_provider_store(self.account, provider, project).await? {
            return Ok(id);
        }
        let name = match project {
            Some(project) => format!("mira project {project}"),
            None => "mira".to_owned(),
        };
        let id = remote.create_store(&name).await?;
        tracing::info!(store = %id, "a vector store is made at the provider");
        Ok(id)
    }

    async fn wait_ready(&self, copy: &mut ProviderCopy, store: &str, remote_id: &str) -> Result<(), CopyError> {
        let mut wait = LOOK_AFTER;
        for _ in 0..MOST_LOOKS {
            match self.inner.remote.file_standing(store, remote_id).await? {
                Standing::Completed => {
                    self.put(copy, CopyState::Ready).await?;
                    tracing::info!(file.id = %copy.file_id, "a file can be searched at the provider");
                    return Ok(());
                }
                Standing::Failed(why) => {
                    tracing::warn!(file.id = %copy.file_id, %why, "the provider cannot search this file");
                    return self.put(copy, CopyState::Failed).await.map(drop);
                }
                Standing::Gone => {
                    copy.store_id = None;
                    self.put(copy, CopyState::Wanted).await?;
                    return self.check_stores().await;
                }
                Standing::InProgress => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_LATEST);
        }
        let why = "it is not ready after a long wait".to_owned();
        tracing::warn!(file.id = %copy.file_id, %why, "the provider cannot search this file");
        self.put(copy, CopyState::Failed).await.map(drop)
    }
}

/// A name the provider knows how to read: text without a known ending gets one.
fn remote_name(name: &str, media_type: &str) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let known = ending.is_some_and(|ending| TEXT_ENDINGS.contains(&ending.as_str()));
    if media_type.starts_with("text/") && !known {
        format!("{name}.txt")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_can_be_read() {
        for (name, media_type, expect) in [
            ("a.md", "text/markdown", "a.md"),
            ("main.rs", "text/x-rust", "main.rs.txt"),
            ("README", "text/plain", "README.txt"),
            ("b.PDF", "application/pdf", "b.PDF"),
        ] {
            assert_eq!(remote_name(name, media_type), expect);
        }
    }
}

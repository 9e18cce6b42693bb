//! Copies of the owner's documents at the provider, so that its own tools find them: each is sent once, put into the
//! vector store of its project (or of the documents in none), and removed when its file goes. What is gone there without
//! us (somebody removed it, it expired, an older database was put back) is given anew. One worker, in the background;
//! what it does is in the log, how many copies it cannot deal with in `/metrics`.
//!
//! Invariants: what is sent is known before (a row says so), and what may lie there unknown, because an answer never came,
//! is looked for before anything is sent again or forgotten; a failure that may pass is tried again later and later, one
//! that will not pass is noted and ends there; no copy holds up another. What no row knows of is somebody else's: that a
//! backup was put back here is no proof that the Mira it was made of is no more.

use super::Inner;
use crate::lifecycle::Lifecycle;
use bytes::Bytes;
use mira_core::{
    ids::{AccountId, FileId, ProjectId},
    model::HostedKind,
};
use mira_llm::{
    LlmError,
    provider_files::{GivenFile, MOST_UPLOAD_BYTES, Standing},
};
use mira_memory::{CopyState, ProviderCopy, SentAs, StoreError};
use std::{
    collections::{HashMap, HashSet},
    io,
    time::Duration,
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

/// So many documents at a time.
const BATCH: u32 = 20;
/// Between two looks at a copy that the provider makes ready: at first, and at most.
const LOOK_AFTER: Duration = Duration::from_millis(250);
const LOOK_LATEST: Duration = Duration::from_secs(8);
/// How often a copy that is not ready is looked at before others have their turn.
const MOST_LOOKS: u32 = 6;
/// After a failure that may pass: at first, and at most.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_LATEST: Duration = Duration::from_mins(10);
/// So many failures in a row are the provider's, not the copies'.
const MOST_IN_A_ROW: u32 = 3;
/// How often it is looked whether all that was given is still there; sooner where the model's server misses something.
const CHECK_EVERY: Duration = Duration::from_mins(30);
/// How far the provider's clock may lag behind ours, in seconds.
const CLOCKS_DIFFER: i64 = 3600;
/// Names a provider reads text files by.
const TEXT_ENDINGS: [&str; 14] = [
    "c", "cpp", "css", "csv", "go", "html", "java", "js", "json", "md", "py", "rb", "ts", "txt",
];

/// Why work on a copy ended early.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] LlmError),
    /// About this document, and it will not pass.
    #[error(transparent)]
    Refused(LlmError),
    #[error("it, or what it was in, is gone there; it is given anew")]
    Gone,
    #[error("the provider has not made it ready yet")]
    NotReady,
    #[error("a file could not be read: {0}")]
    Read(#[from] io::Error),
}

/// What an answer to a document that was offered means.
fn refused(error: LlmError) -> CopyError {
    match error {
        LlmError::BadRequest { .. }
        | LlmError::TooLarge { .. }
        | LlmError::Unsendable { .. }
        | LlmError::ContextTooLong { .. } => CopyError::Refused(error),
        error => CopyError::Provider(error),
    }
}

/// How long to wait after so many failures.
fn wait_after(failures: u32) -> Duration {
    (RETRY_FIRST * 2_u32.saturating_pow(failures.min(10))).min(RETRY_LATEST)
}

/// Works until the soft end.
pub(super) async fn run(inner: &Inner, account: AccountId, mut changes: Receiver<Bytes>, life: &Lifecycle) {
    let mut worker = Worker {
        inner,
        account,
        trouble: HashMap::new(),
    };
    if inner.config.enabled(HostedKind::FileSearch)
        && let Err(error) = inner
            .store
            .want_provider_stores(account, &inner.provider, inner.clock.now())
            .await
    {
        tracing::warn!(%error, "copies that were not to be searched before stay so");
    }
    let mut failures = 0_u32;
    let mut check_due = Instant::now();
    loop {
        let round = async {
            if Instant::now() >= check_due {
                check_due = Instant::now() + worker.check().await?;
            }
            worker.work().await
        };
        let Some(outcome) = life.soft().run_until_cancelled(round).await else {
            return;
        };
        let stuck = i64::try_from(worker.trouble.len()).unwrap_or(i64::MAX);
        inner.metrics.stuck_copies.set(stuck);
        let wake = match outcome {
            Ok(true) => continue,
            Ok(false) => {
                failures = 0;
                worker.next_due().map_or(check_due, |due| due.min(check_due))
            }
            Err(error) => {
                let wait = wait_after(failures);
                failures += 1;
                tracing::warn!(%error, again_in_s = wait.as_secs(), "files could not be given to the provider");
                Instant::now() + wait
            }
        };
        let waiting = async {
            tokio::select! {
                () = sleep_until(wake) => {}
                () = changed(&mut changes), if failures == 0 => {}
                () = inner.model.found_gone(), if failures == 0 => check_due = Instant::now(),
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

/// A copy that something goes wrong with.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    failures: u32,
    due: Instant,
}

/// What is to be done with a copy.
#[derive(Debug, Clone, Copy)]
enum Task {
    Remove,
    Give,
}

/// How a round goes.
#[derive(Debug, Default)]
struct Round {
    /// Whether anything was done.
    progress: bool,
    /// Failures of the provider without a success between them.
    in_a_row: u32,
    /// The copies there is something to do for.
    met: HashSet<FileId>,
}

struct Worker<'a> {
    inner: &'a Inner,
    account: AccountId,
    trouble: HashMap<FileId, Trouble>,
}

impl Worker<'_> {
    /// Some of what is to be done; true if there is more that can be done now.
    async fn work(&mut self) -> Result<bool, CopyError> {
        let Inner { store, provider, .. } = self.inner;
        let mut round = Round::default();
        for copy in store.list_provider_doomed(self.account, provider).await? {
            self.tend(copy, Task::Remove, &mut round).await?;
        }
        let mut more = false;
        if self.inner.config.wants_copies() {
            let wanted = store.list_provider_wanted(self.account, provider, BATCH).await?;
            more = wanted.len() >= BATCH as usize;
            for copy in wanted {
                self.tend(copy, Task::Give, &mut round).await?;
            }
        }
        // What is not heard of any more is over: its file went before anything was sent.
        let now = Instant::now();
        self.trouble
            .retain(|id, trouble| trouble.due > now || round.met.contains(id));
        Ok(more && round.progress)
    }

    /// When the first of the copies in trouble is tried again.
    fn next_due(&self) -> Option<Instant> {
        self.trouble.values().map(|trouble| trouble.due).min()
    }

    /// Does one thing. A failure of it leaves the others their turn; an `Err` ends the round.
    async fn tend(&mut self, copy: ProviderCopy, task: Task, round: &mut Round) -> Result<(), CopyError> {
        let id = copy.file_id;
        round.met.insert(id);
        let trouble = self.trouble.get(&id).copied();
        if trouble.is_some_and(|trouble| trouble.due > Instant::now()) {
            return Ok(());
        }
        let done = match task {
            Task::Remove => self.remove(&copy).await,
            Task::Give => self.give(copy).await,
        };
        let error = match done {
            Ok(()) => {
                self.trouble.remove(&id);
                (round.progress, round.in_a_row) = (true, 0);
                return Ok(());
            }
            Err(error @ CopyError::Store(_)) => return Err(error),
            Err(error) => error,
        };
        let failures = trouble.map_or(0, |trouble| trouble.failures);
        let wait = wait_after(failures);
        let trouble = Trouble {
            failures: failures + 1,
            due: Instant::now() + wait,
        };
        self.trouble.insert(id, trouble);
        let Inner {
            store, provider, clock, ..
        } = self.inner;
        store
            .touch_provider_copy(self.account, provider, id, clock.now())
            .await?;
        tracing::warn!(%error, file.id = %id, ?task, again_in_s = wait.as_secs(), "a copy at the provider is not as it should be");
        if matches!(error, CopyError::Provider(_)) {
            round.in_a_row += 1;
            if round.in_a_row >= MOST_IN_A_ROW {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Looks for what is gone at the provider; answers when to look again. Where it cannot be told now, the rest goes on.
    async fn check(&self) -> Result<Duration, StoreError> {
        let looked = async {
            self.check_files().await?;
            self.check_stores().await
        };
        match looked.await {
            Ok(()) => Ok(CHECK_EVERY),
            Err(CopyError::Store(error)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "whether all copies are still at the provider is not known");
                Ok(RETRY_LATEST)
            }
        }
    }

    /// Copies that are gone are given anew.
    async fn check_files(&self) -> Result<(), CopyError> {
        let Inner {
            store,
            provider,
            remote,
            ..
        } = self.inner;
        let copies = store.list_provider_copies(self.account, provider).await?;
        let since = |copy: &ProviderCopy| copy.sent.as_ref().map_or(0, |sent| sent.at.as_second() - CLOCKS_DIFFER);
        let Some(since) = copies.iter().map(since).min() else {
            return Ok(());
        };
        let there: HashSet<String> = match remote.given_since(since).await {
            Ok(given) => given.into_iter().map(|file| file.id).collect(),
            // It does not list its files: that one is not found there says nothing.
            Err(LlmError::BadRequest { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for mut copy in copies {
            let Some(id) = copy.remote_id.take_if(|id| !there.contains(id.as_str())) else {
                continue;
            };
            // A listing may be cut, or late.
            if !remote.has(&id).await? {
                tracing::info!(file.id = %copy.file_id, "a copy is gone at the provider; it is given anew");
                self.put(&mut copy, CopyState::Wanted).await?;
            }
        }
        Ok(())
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

    /// Removes a copy, then the store it was the last of, and only then what is known of either.
    async fn remove(&self, copy: &ProviderCopy) -> Result<(), CopyError> {
        let Inner {
            store,
            provider,
            remote,
            ..
        } = self.inner;
        match &copy.remote_id {
            Some(id) => remote.delete(id).await?,
            None => self.clear_unknown(copy).await?,
        }
        if let Some(id) = &copy.store_id
            && store.is_alone_in_provider_store(self.account, provider, copy).await?
        {
            remote.delete_store(id).await?;
        }
        store.delete_provider_copy(self.account, provider, copy.file_id).await?;
        tracing::info!(file.id = %copy.file_id, "a deleted file is deleted at the provider too");
        Ok(())
    }

    /// What lies at the provider because of a sending whose answer never came: of that name and size, since then, and
    /// nobody else's that we know of.
    async fn unknown(&self, copy: &ProviderCopy) -> Result<Vec<GivenFile>, CopyError> {
        let Inner {
            store,
            provider,
            remote,
            ..
        } = self.inner;
        let Some(SentAs { name, bytes, at }) = &copy.sent else {
            return Ok(Vec::new());
        };
        let given = match remote.given_since(at.as_second() - CLOCKS_DIFFER).await {
            Ok(given) => given,
            Err(error @ LlmError::BadRequest { .. }) => {
                tracing::warn!(%error, file.id = %copy.file_id, "the provider does not list its files: one may be there unknown");
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let mut unknown = Vec::new();
        for file in given
            .into_iter()
            .filter(|file| file.bytes == *bytes && file.is_called(name))
        {
            if !store.is_provider_copy(self.account, provider, &file.id).await? {
                unknown.push(file);
            }
        }
        Ok(unknown)
    }

    async fn clear_unknown(&self, copy: &ProviderCopy) -> Result<(), CopyError> {
        for file in self.unknown(copy).await? {
            self.inner.remote.delete(&file.id).await?;
            tracing::info!(file.id = %copy.file_id, "a copy whose sending was cut off is deleted at the provider");
        }
        Ok(())
    }

    async fn put(&self, copy: &mut ProviderCopy, state: CopyState) -> Result<bool, CopyError> {
        let Inner {
            store, provider, clock, ..
        } = self.inner;
        copy.state = state;
        Ok(store
            .put_provider_copy(self.account, provider, copy, clock.now())
            .await?)
    }

    /// One document, from its bytes to its being found.
    async fn give(&self, mut copy: ProviderCopy) -> Result<(), CopyError> {
        match self.give_on(&mut copy).await {
            Ok(()) => Ok(()),
            Err(CopyError::Refused(error)) => {
                tracing::warn!(%error, file.id = %copy.file_id, "the provider does not take this file");
                self.put(&mut copy, CopyState::Failed).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    async fn give_on(&self, copy: &mut ProviderCopy) -> Result<(), CopyError> {
        if copy.remote_id.is_none() && !self.send(copy).await? {
            return Ok(());
        }
        if !self.inner.config.enabled(HostedKind::FileSearch) {
            // Code may read it; it is not to be searched, until the owner wants it and Mira starts again.
            return self.put(copy, CopyState::Failed).await.map(drop);
        }
        let Some(remote_id) = copy.remote_id.clone() else {
            return Ok(());
        };
        let store = if let Some(id) = copy.store_id.clone() {
            id
        } else {
            let id = self.store_of(copy.project_id).await?;
            copy.store_id = Some(id.clone());
            // Known before anything is in it.
            if !self.put(copy, CopyState::Wanted).await? {
                return Ok(());
            }
            id
        };
        if copy.state == CopyState::Wanted {
            match self.inner.remote.add(&store, &remote_id).await {
                Ok(()) => {}
                Err(LlmError::BadRequest { status: 404, .. }) => {
                    // Either is gone: both are asked for anew when this comes up again.
                    self.inner.remote.delete(&remote_id).await?;
                    (copy.remote_id, copy.store_id) = (None, None);
                    self.put(copy, CopyState::Wanted).await?;
                    self.check_stores().await?;
                    return Err(CopyError::Gone);
                }
                Err(error) => return Err(refused(error)),
            }
            self.put(copy, CopyState::Sent).await?;
        }
        self.wait_ready(copy, &store, &remote_id).await
    }

    /// Sends the bytes, unless they are there already; false if the file is gone, or cannot be sent at all.
    async fn send(&self, copy: &mut ProviderCopy) -> Result<bool, CopyError> {
        let opened = self.inner.files.open(self.account, copy.file_id).await;
        let opened = opened.map_err(|error| io::Error::other(error.to_string()))?;
        let Some((file, path)) = opened else { return Ok(false) };
        if file.size > MOST_UPLOAD_BYTES {
            tracing::warn!(file.id = %copy.file_id, size = file.size, "a file is too large for the provider's search");
            self.put(copy, CopyState::Failed).await?;
            return Ok(false);
        }
        let mut unknown = self.unknown(copy).await?.into_iter();
        if let Some(found) = unknown.next() {
            tracing::info!(file.id = %copy.file_id, "a copy whose sending was cut off is found at the provider");
            copy.remote_id = Some(found.id);
            let stays = self.put(copy, CopyState::Wanted).await?;
            for twin in unknown {
                self.inner.remote.delete(&twin.id).await?;
            }
            return Ok(stays);
        }
        let bytes = match tokio::fs::read(path).await {
            Ok(bytes) => bytes,
            Err(error) => {
                // With a row of its own it stands behind the others next time.
                self.put(copy, CopyState::Wanted).await?;
                return Err(error.into());
            }
        };
        let name = remote_name(&file.name, &file.media_type);
        copy.sent = Some(SentAs {
            name: name.clone(),
            bytes: bytes.len() as u64,
            at: self.inner.clock.now(),
        });
        if !self.put(copy, CopyState::Wanted).await? {
            return Ok(false);
        }
        let remote = &self.inner.remote;
        let sent = remote.upload(&name, &file.media_type, bytes.into()).await;
        copy.remote_id = Some(sent.map_err(refused)?);
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
        let id = remote.create_store(&name).await.map_err(refused)?;
        tracing::info!(store = %id, "a vector store is made at the provider");
        Ok(id)
    }

    async fn wait_ready(&self, copy: &mut ProviderCopy, store: &str, remote_id: &str) -> Result<(), CopyError> {
        let mut wait = LOOK_AFTER;
        for _ in 0..MOST_LOOKS {
            let standing = self.inner.remote.file_standing(store, remote_id).await;
            match standing.map_err(refused)? {
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
                    self.check_stores().await?;
                    return Err(CopyError::Gone);
                }
                Standing::InProgress => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_LATEST);
        }
        Err(CopyError::NotReady)
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

//! What becomes of a reading that failed: what may pass (no process to be had, a disk that is full, bytes that are not
//! there) is tried again with growing waits and at every start, what will not (a damaged document) fails at once. A file
//! that is read anew, by a better reader, keeps the text it has until the new one is whole, and says nothing of failures.
//!
//! Invariant: a try is counted before it begins, so that a document which takes Mira herself down is not read forever.

use super::{FileChange, Files, extract::ExtractError};
use mira_core::{
    file::{FileStatus, StoredFile},
    retry::RetryPolicy,
};
use mira_docs::READER;
use mira_memory::{StoreError, WaitingFile};
use std::time::Duration;

/// How often a document is read before it counts as failed, and the waits between.
const POLICY: RetryPolicy = RetryPolicy {
    attempts: 5,
    base: Duration::from_secs(4),
    cap: Duration::from_mins(5),
    retry_after_cap: Duration::ZERO,
};

/// Why the text of a document was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It could not be read.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// It was read, and could not be stored.
    #[error("its text could not be stored: {0}")]
    Store(#[from] StoreError),
}

impl Unread {
    fn may_pass(&self) -> bool {
        match self {
            Self::Extract(error) => error.may_pass(),
            Self::Store(_) => true,
        }
    }
}

/// One try at a document, which `reading` is and which answers what is wrong with the text it stored, if anything. A new
/// document is found after it.
pub(super) async fn one(
    files: &Files,
    waiting: &WaitingFile,
    reading: impl Future<Output = Result<Option<String>, Unread>>,
) -> Result<(), StoreError> {
    let (store, account, id) = (files.store(), waiting.account, waiting.file.id);
    let clock = files.clock();
    let is_new = waiting.file.status == FileStatus::Processing;
    let changed = if waiting.tries >= POLICY.attempts {
        let error = format!("reading it was cut off {} times", waiting.tries);
        tracing::warn!(file.id = %id, error, "a file is given up");
        store.give_up_file(account, id, READER, error, clock.now()).await?
    } else {
        store.count_file_try(account, id).await?;
        match reading.await {
            Ok(note) if is_new => store.publish_file_text(account, id, READER, note, clock.now()).await?,
            Ok(note) => {
                store.stage_file_text(account, id, READER, note, clock.now()).await?;
                None
            }
            Err(error) => fail(files, waiting, &error).await?,
        }
    };
    if let Some(file) = changed.filter(|_| is_new) {
        files.tell(FileChange::Updated(&file));
    }
    Ok(())
}

async fn fail(files: &Files, waiting: &WaitingFile, error: &Unread) -> Result<Option<StoredFile>, StoreError> {
    let (store, account, id) = (files.store(), waiting.account, waiting.file.id);
    let (now, why) = (files.clock().now(), error.to_string());
    if let Some(wait) = wait_after(waiting.tries + 1, error.may_pass()) {
        tracing::warn!(%error, file.id = %id, wait_s = wait.as_secs(), "a file could not be read; it is tried again");
        store.put_off_file(account, id, why, now + wait, now).await
    } else {
        tracing::info!(%error, file.id = %id, "nothing new is read of a file");
        store.give_up_file(account, id, READER, why, now).await
    }
}

/// How long to wait after so many tries; `None` where there is to be no other.
fn wait_after(tries: u32, may_pass: bool) -> Option<Duration> {
    may_pass.then(|| POLICY.wait(None, tries, 1.0)).flatten()
}

/// Waits until there may be something to read.
pub(super) async fn rest(files: &Files) {
    // Where the store cannot say, whatever comes next wakes the reader.
    let due = files.store().next_file_retry().await.ok().flatten();
    match due {
        Some(at) => {
            let wait = Duration::try_from(at.duration_since(files.clock().now())).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = files.woken() => {}
            }
        }
        None => files.woken().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_five_times() {
        let check = |tries: u32, may_pass: bool, seconds: Option<u64>| {
            let wait = wait_after(tries, may_pass);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{tries} {may_pass}");
        };
        check(1, true, Some(4));
        check(2, true, Some(8));
        check(4, true, Some(32));
        check(5, true, None);
        check(1, false, None);
        let lasting = ExtractError::Document("it is damaged".to_owned());
        for (error, may_pass) in [
            (lasting, false),
            (ExtractError::Broke, false),
            (ExtractError::Slow, true),
            (ExtractError::Ended, true),
            (ExtractError::Io(std::io::ErrorKind::StorageFull.into()), true),
        ] {
            assert_eq!(error.may_pass(), may_pass, "{error}");
        }
    }
}

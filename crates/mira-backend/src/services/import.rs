//! Reading an export into the store: bytes from anywhere (a file, a request's body), cut into lines, stored in batches.
//! Beside live sessions every socket is told which sessions came and which changed.

use crate::services::{
    deps::{Change, ProjectChange, RepoChange},
    files::{FileChange, travel::Shelf},
    hub::Hub,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use mira_core::{
    chat::Session,
    file::StoredFile,
    ids::{AccountId, SessionId},
    project::Project,
};
use mira_memory::{FileBytes, FilePlace, ImportReport, Page, ProjectFilter, SessionFilter, Store, StoreError};
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    pin::pin,
};
use tokio::sync::mpsc;

/// The longest line: a message of the largest size with all it can carry, escaped.
const MAX_LINE_BYTES: usize = 32 * 1024 * 1024;
/// Lines read ahead of the store. Few, for a picture's line has megabytes.
const LINES_AHEAD: usize = 32;

/// Why an import ended early. Whatever was stored before stays, and repeating the import skips it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store refused a line, or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes stopped coming.
    #[error("the import broke off: {0}")]
    Source(String),
    /// A line is too long, or is not text.
    #[error("line {line} of the import is {reason}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Imports an export that arrives piece by piece.
pub async fn import<E: std::fmt::Display>(
    store: &Store,
    account: AccountId,
    files: &dyn FileBytes,
    bytes: impl Stream<Item = Result<Bytes, E>>,
    progress: impl FnMut(ImportReport) + Send,
) -> Result<ImportReport, ImportError> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let (fed, stored) = tokio::join!(feed(bytes, sender), store.import(account, files, receiver, progress));
    match (fed, stored) {
        // Where the source broke off, the store only saw a file without its last line.
        (Err(e), _) => Err(e),
        (Ok(()), stored) => Ok(stored?),
    }
}

/// The same beside live sessions, which are told of what changed, also where the import ended early.
pub async fn import_live<E: std::fmt::Display>(
    hub: &Hub,
    account: AccountId,
    bytes: impl Stream<Item = Result<Bytes, E>>,
) -> Result<ImportReport, ImportError> {
    let store = &hub.deps().store;
    let before = sessions(store, account).await?;
    let old_projects = ids(&projects(store, account).await?, |project| project.id);
    let old_repos = ids(&store.list_all_repos(account).await?, |repo| repo.id);
    let old_files = ids(&files(store, account).await?, |file| file.id);
    let own = &hub.deps().files;
    let imported = import(store, account, &Shelf::of(own), bytes, |_| {}).await;
    hub.deps().memories.wake();
    own.wake();
    for project in projects(store, account).await? {
        if !old_projects.contains(&project.id) {
            hub.announce_project(ProjectChange::Created(&project));
        }
    }
    for file in files(store, account).await? {
        if !old_files.contains(&file.id) {
            own.tell(FileChange::Created(&file));
        }
    }
    for repo in store.list_all_repos(account).await? {
        if !old_repos.contains(&repo.id) {
            hub.announce_repo(RepoChange::Created(&repo));
        }
    }
    let after = sessions(store, account).await?;
    for (id, session) in &after {
        match before.get(id) {
            None => hub.announce(Change::Created(session)),
            Some(old) if old == session => {}
            Some(old) if (old.head_id, old.message_count) == (session.head_id, session.message_count) => {
                hub.announce(Change::Updated(session));
            }
            // Its history is another one now: who resumes from before refetches.
            Some(_) => match hub.live(account, id).await? {
                Some(live) => hub.cleared(&live, session),
                None => hub.announce(Change::Updated(session)),
            },
        }
    }
    imported
}

fn ids<T, I: Eq + Hash>(items: &[T], id: impl Fn(&T) -> I) -> HashSet<I> {
    items.iter().map(id).collect()
}

/// All pages of a list, in its order. (As a function over an async closure its future would not be `Send` for every
/// lifetime.)
macro_rules! all {
    ($page:ident => $listed:expr) => {{
        let mut items = Vec::new();
        let mut $page = Page::first(Page::<()>::MAX);
        loop {
            let listed = $listed.await?;
            items.extend(listed.items);
            match listed.next {
                Some(cursor) => $page.cursor = Some(cursor),
                None => break items,
            }
        }
    }};
}

/// All sessions of an account.
async fn sessions(store: &Store, account: AccountId) -> Result<HashMap<SessionId, Session>, StoreError> {
    let listed = all!(page => store.list_sessions(account, SessionFilter::default(), page));
    Ok(listed
        .into_iter()
        .map(|session| (session.id.clone(), session))
        .collect())
}

/// All projects of an account.
async fn projects(store: &Store, account: AccountId) -> Result<Vec<Project>, StoreError> {
    Ok(all!(page => store.list_projects(account, ProjectFilter::default(), page)))
}

/// All files of an account.
pub async fn files(store: &Store, account: AccountId) -> Result<Vec<StoredFile>, StoreError> {
    Ok(all!(page => store.list_files(account, FilePlace::Anywhere, page)))
}

async fn feed<E: std::fmt::Display>(
    bytes: impl Stream<Item = Result<Bytes, E>>,
    lines: mpsc::Sender<String>,
) -> Result<(), ImportError> {
    let mut bytes = pin!(bytes);
    let mut rest = BytesMut::new();
    let mut line = 0;
    // Bytes of `rest` known to hold no line end.
    let mut searched = 0;
    while let Some(piece) = bytes.next().await {
        rest.extend_from_slice(&piece.map_err(|e| ImportError::Source(e.to_string()))?);
        while let Some(end) = rest
            .get(searched..)
            .and_then(|tail| tail.iter().position(|byte| *byte == b'\n'))
        {
            let mut whole = rest.split_to(searched + end + 1);
            whole.truncate(searched + end);
            searched = 0;
            if !send(&lines, &whole, &mut line).await? {
                return Ok(());
            }
        }
        searched = rest.len();
        if searched > MAX_LINE_BYTES {
            return Err(ImportError::Line {
                line: line + 1,
                reason: "too long",
            });
        }
    }
    if !rest.is_empty() {
        send(&lines, &rest, &mut line).await?;
    }
    Ok(())
}

/// Hands a line on; false where nobody listens any more.
async fn send(lines: &mpsc::Sender<String>, bytes: &[u8], line: &mut u64) -> Result<bool, ImportError> {
    *line += 1;
    let text = std::str::from_utf8(bytes).map_err(|_| ImportError::Line {
        line: *line,
        reason: "not UTF-8",
    })?;
    if text.trim().is_empty() {
        return Ok(true);
    }
    Ok(lines.send(text.to_owned()).await.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn lines(pieces: &[&[u8]]) -> Result<Vec<String>, String> {
        let (sender, mut receiver) = mpsc::channel(100);
        let pieces = pieces
            .iter()
            .map(|piece| Ok::<_, String>(Bytes::copy_from_slice(piece)));
        feed(stream::iter(pieces), sender).await.map_err(|e| e.to_string())?;
        let mut found = Vec::new();
        while let Some(line) = receiver.recv().await {
            found.push(line);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn any_split_gives_the_same_lines() {
        let text = "{\"a\":1}\n{\"é\":2}\n\n{\"c\":3}".as_bytes();
        let expect = Ok(vec![
            "{\"a\":1}".to_owned(),
            "{\"é\":2}".to_owned(),
            "{\"c\":3}".to_owned(),
        ]);
        for cut in 0..=text.len() {
            let (left, right) = text.split_at(cut);
            assert_eq!(lines(&[left, right]).await, expect, "cut at {cut}");
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&single).await, expect);
    }

    #[tokio::test]
    async fn what_is_not_text_is_named() {
        assert_eq!(
            lines(&[b"{}\n\xff\n"]).await,
            Err("line 2 of the import is not UTF-8".to_owned())
        );
    }
}

//! Tools the provider runs in the course of its answer: what they do is shown and kept like any call, what they make is
//! taken into Mira's own files before it expires, whether the reply points at it or not, and what the reply points at
//! becomes a citation.
//!
//! Invariants: a call begins durably before clients hear of it and has exactly one result; files are kept before the
//! result that names them is told, each once; what could not be kept is said, never left out in silence.

use super::{close::shutting_down, close::storage_failure, voice::Voice};
use crate::services::{deps::Deps, files::Made};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mira_core::{
    citation::Source,
    file::StoredFile,
    ids::{AccountId, FileId, MessageId, ProjectId, ToolCallId},
    model::{HostedEvent, HostedFile},
    tool::{CallOutcome, CallStatus, Effect, ToolCall},
    turn::{End, Failure, FailureKind, Interruption, Stage, TurnEvent},
};
use mira_llm::{LeftFile, MOST_FILE_BYTES};
use mira_tools::images::file_object;
use serde_json::Value;
use std::fmt::Write;

/// The most calls of the provider's own tools in one turn: it has a smaller limit for each of its answers.
const MOST_CALLS: usize = 96;
/// So many files are fetched at once.
const AT_ONCE: usize = 4;
/// The most files that one call left behind without naming them which are kept, and all of them together, in bytes.
const MOST_LEFT: usize = 16;
const MOST_LEFT_BYTES: u64 = 2 * MOST_FILE_BYTES as u64;

/// The calls of the provider's own tools in one turn.
#[derive(Debug, Default)]
pub(super) struct Hosted {
    /// Where what they make belongs.
    pub(super) project: Option<ProjectId>,
    /// The provider's names of the calls, and Mira's.
    calls: Vec<(String, ToolCallId)>,
    /// Files of containers that were kept.
    kept: Vec<Kept>,
}

/// A file of a container, as it was when it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    /// The container's id and the file's own.
    key: String,
    bytes: u64,
    id: FileId,
}

/// What tells files of containers apart; none for any other.
fn key_of(file: &HostedFile) -> Option<String> {
    match file {
        HostedFile::There { container, id, .. } => Some(format!("{container}/{id}")),
        HostedFile::Here { .. } | HostedFile::At { .. } | HostedFile::Given { .. } => None,
    }
}

/// Where what a call makes is kept.
#[derive(Debug, Clone, Copy)]
struct Shelf {
    account: AccountId,
    project: Option<ProjectId>,
    reply: MessageId,
}

impl Voice<'_> {
    /// Something of a tool the provider runs. An `Err` is the end of the turn.
    pub(super) async fn hosted(&mut self, event: HostedEvent) -> Result<(), Box<End>> {
        match event {
            HostedEvent::Begun { key, tool, arguments } => self.hosted_begun(key, tool, arguments).await,
            HostedEvent::Progress { key, detail } => {
                let Some(tool) = self.hosted_call(&key).map(|call| call.tool.clone()) else {
                    return Ok(());
                };
                self.hosted_status(Stage::Tool, Some(format!("{tool}: {detail}"))).await
            }
            HostedEvent::Ended {
                key,
                arguments,
                outcome,
                files,
                container,
            } => self.hosted_ended(&key, arguments, outcome, (files, container)).await,
            HostedEvent::Cited { source, file, place } => self.hosted_cited(source, file, place).await,
        }
    }

    async fn hosted_begun(&mut self, key: String, tool: String, arguments: String) -> Result<(), Box<End>> {
        let first = self.turn.calls().len();
        if first >= MOST_CALLS {
            let failure = Failure {
                kind: FailureKind::ModelNonsense,
                detail: format!("The model went on calling its own tools after {MOST_CALLS} calls."),
                retryable: true,
            };
            return Err(self.cut_off(failure).await);
        }
        let call = ToolCall {
            id: ToolCallId(self.task.deps.clock.new_uuid()),
            tool,
            arguments,
            effect: Effect::Read,
            outcome: None,
        };
        match self.store_begun(first, std::slice::from_ref(&call)).await {
            Ok(true) => {}
            // The conversation was removed meanwhile.
            Ok(false) => return Err(self.abort("the conversation is gone", Interruption::Stop).await),
            Err(error) => return Err(self.cut_off(storage_failure(&error)).await),
        }
        self.hosted.calls.push((key, call.id));
        let mut out = vec![TurnEvent::Status {
            stage: Stage::Tool,
            detail: Some(call.tool.clone()),
        }];
        self.turn.begin_call(call, &mut out);
        self.tell(&out).await
    }

    async fn hosted_ended(
        &mut self,
        key: &str,
        arguments: String,
        mut outcome: CallOutcome,
        (mut files, container): (Vec<HostedFile>, Option<String>),
    ) -> Result<(), Box<End>> {
        let Some(id) = self.hosted_call(key).map(|call| call.id) else {
            return Ok(());
        };
        let shelf = self.shelf();
        let deps = self.task.deps.clone();
        let known = self.hosted.kept.clone();
        let work = async {
            name_own_files(&deps, shelf.account, &mut outcome.data).await;
            if let Some(container) = container {
                files.extend(left_behind(&deps, container, &known, &mut outcome).await);
            }
            let kept = keep_all(&deps, shelf, &mut outcome, files).await;
            (outcome, kept)
        };
        let (outcome, kept) = self.unless_ended(work).await?;
        self.hosted
            .kept
            .retain(|old| !kept.iter().any(|new| new.key == old.key));
        self.hosted.kept.extend(kept);
        if !arguments.is_empty() {
            self.turn.set_arguments(id, arguments);
        }
        self.task.deps.metrics.tool_called(outcome.status);
        let mut out = Vec::with_capacity(2);
        self.turn.end_call(id, outcome, &mut out);
        if let Some(n) = self.turn.calls().iter().position(|call| call.id == id) {
            self.store_ended(n).await;
        }
        if self.turn.calls().iter().all(|call| call.outcome.is_some()) {
            out.push(TurnEvent::Status {
                stage: Stage::Thinking,
                detail: None,
            });
        }
        self.tell(&out).await
    }

    async fn hosted_cited(
        &mut self,
        mut source: Source,
        file: Option<HostedFile>,
        place: Option<(u32, u32)>,
    ) -> Result<(), Box<End>> {
        match file {
            Some(HostedFile::Given { id, .. }) => {
                let (deps, account) = (&self.task.deps, self.task.live.account);
                if let Some((id, name)) = deps.hosted.own_file(account, &id).await {
                    source.file_id = Some(id);
                    source.title = name;
                }
            }
            Some(file @ HostedFile::There { .. }) => source.file_id = self.keep_once(file).await?,
            Some(HostedFile::Here { .. } | HostedFile::At { .. }) | None => {}
        }
        let mut out = Vec::with_capacity(2);
        self.turn.cite(source, place, &mut out);
        self.tell(&out).await
    }

    /// A file of a container, kept when it is first pointed at.
    async fn keep_once(&mut self, file: HostedFile) -> Result<Option<FileId>, Box<End>> {
        let Some(key) = key_of(&file) else { return Ok(None) };
        if let Some(kept) = self.hosted.kept.iter().find(|kept| kept.key == key) {
            return Ok(Some(kept.id));
        }
        let (deps, shelf) = (self.task.deps.clone(), self.shelf());
        let work = async move { keep(&deps, shelf, &fetch(&deps, file).await?).await };
        let kept = self.unless_ended(work).await?;
        Ok(match kept {
            Ok(file) => {
                let (id, bytes) = (file.id, file.size);
                self.hosted.kept.push(Kept { key, bytes, id });
                Some(id)
            }
            Err(why) => {
                tracing::warn!(%why, turn.id = %self.task.turn_id, "a file the model made could not be kept");
                None
            }
        })
    }

    fn shelf(&self) -> Shelf {
        Shelf {
            account: self.task.live.account,
            project: self.hosted.project,
            reply: self.task.reply_id,
        }
    }

    /// An open call by the provider's name for it.
    fn hosted_call(&self, key: &str) -> Option<&ToolCall> {
        let (_, id) = self.hosted.calls.iter().rev().find(|(known, _)| known == key)?;
        let open = |call: &&ToolCall| call.id == *id && call.outcome.is_none();
        self.turn.calls().iter().find(open)
    }

    async fn hosted_status(&mut self, stage: Stage, detail: Option<String>) -> Result<(), Box<End>> {
        self.tell(&[TurnEvent::Status { stage, detail }]).await
    }

    /// Waits, but not beyond the end of the turn.
    async fn unless_ended<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Box<End>> {
        let hard = self.task.deps.lifecycle.hard().clone();
        let stop = self.task.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(self.abort("stopped by the owner", Interruption::Stop).await),
            () = hard.cancelled() => Err(self.abort("Mira was shut down", Interruption::Failure(shutting_down())).await),
            done = work => Ok(done),
        }
    }
}

/// What code left in its container that is not kept yet, as much as is taken; the outcome says what is not.
async fn left_behind(deps: &Deps, container: String, known: &[Kept], outcome: &mut CallOutcome) -> Vec<HostedFile> {
    let left = match deps.model.list_left(container).await {
        Ok(left) => left,
        Err(error) => {
            tracing::warn!(%error, "what code left with the provider could not be listed");
            note(
                outcome,
                format!("what the code left with the provider could not be listed: {error}"),
            );
            return Vec::new();
        }
    };
    // One that was written anew has another size, mostly; its name is the same.
    let is_known = |left: &LeftFile| {
        let key = key_of(&left.file);
        known
            .iter()
            .any(|kept| Some(&kept.key) == key.as_ref() && left.bytes.is_none_or(|bytes| bytes == kept.bytes))
    };
    let mut room = MOST_LEFT_BYTES;
    let mut taken = Vec::new();
    let mut passed_over = 0_usize;
    for left in left.into_iter().filter(|left| !is_known(left)) {
        let bytes = left.bytes.unwrap_or_default();
        if taken.len() >= MOST_LEFT || bytes > room.min(MOST_FILE_BYTES as u64) {
            passed_over += 1;
        } else {
            room -= bytes;
            taken.push(left.file);
        }
    }
    if passed_over > 0 {
        let text = format!("{passed_over} more files are left with the provider, which removes them soon");
        note(outcome, text);
    }
    taken
}

/// Adds a line to what is told of a call.
fn note(outcome: &mut CallOutcome, text: String) {
    // Writing to a string does not fail.
    write!(outcome.output, "\n({text})").unwrap_or_default();
    set(&mut outcome.data, "note", text.into());
}

/// Keeps what a call made, and says in its outcome what became of it. Answers what of containers was kept.
async fn keep_all(deps: &Deps, shelf: Shelf, outcome: &mut CallOutcome, files: Vec<HostedFile>) -> Vec<Kept> {
    if files.is_empty() {
        return Vec::new();
    }
    let mut keys = files.iter().map(key_of).collect::<Vec<_>>().into_iter();
    let mut fetched = stream::iter(files).map(|file| fetch(deps, file)).buffered(AT_ONCE);
    let mut made: Vec<StoredFile> = Vec::new();
    let mut kept = Vec::new();
    let mut lost = Vec::new();
    // Whether what the call answered with is all there; what only lies in its container is an extra.
    let mut whole = true;
    // A plot comes with the answer and lies in the container too: the same bytes are one file.
    let mut came_along: Vec<(Bytes, FileId)> = Vec::new();
    while let Some(file) = fetched.next().await {
        let key = keys.next().flatten();
        let twin = |bytes: &Bytes| came_along.iter().find(|(known, _)| known == bytes).map(|(_, id)| *id);
        let stored = match &file {
            Ok(file) => match twin(&file.bytes).filter(|_| key.is_some()) {
                Some(id) => Ok(id),
                None => keep(deps, shelf, file).await.map(|stored| {
                    let id = stored.id;
                    // Writing to a string does not fail.
                    write!(outcome.output, "\nmade {} (file {id})", stored.name).unwrap_or_default();
                    made.push(stored);
                    id
                }),
            },
            Err(why) => Err(why.clone()),
        };
        match (stored, file, key) {
            (Ok(id), Ok(file), Some(key)) => kept.push(Kept {
                key,
                bytes: file.bytes.len() as u64,
                id,
            }),
            (Ok(id), Ok(file), None) => came_along.push((file.bytes, id)),
            (Err(why), _, key) | (Ok(_), Err(why), key) => {
                whole &= key.is_some();
                lost.push(why);
            }
        }
    }
    let shown: Vec<Value> = made.iter().map(file_object).collect();
    if !lost.is_empty() {
        let why = lost.join("; ");
        tracing::warn!(%why, "files a provider's tool made could not be kept");
        write!(outcome.output, "\n({why})").unwrap_or_default();
        if shown.is_empty() && !whole {
            outcome.status = CallStatus::Failed;
        }
        set(&mut outcome.data, "error", why.into());
    }
    set(&mut outcome.data, "files", Value::Array(shown));
    kept
}

fn set(data: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = data {
        fields.insert(key.to_owned(), value);
    }
}

/// A file that is here.
struct Fetched {
    name: String,
    bytes: Bytes,
}

/// The bytes of a file; else why not, in words for the owner.
async fn fetch(deps: &Deps, file: HostedFile) -> Result<Fetched, String> {
    let (name, bytes) = match file {
        HostedFile::Here { name, bytes, .. } => (name, Ok(Bytes::from_owner(bytes))),
        HostedFile::There { ref name, .. } => {
            let name = name.clone();
            let fetched = deps.model.fetch_file(file).await;
            (name, fetched.map(|file| file.bytes).map_err(|error| error.to_string()))
        }
        HostedFile::At { url, name } => {
            let fetched = deps.hosted.images().fetch(&url).await;
            (name, fetched.map_err(|error| error.to_string()))
        }
        HostedFile::Given { name, .. } => (name, Err("it is the owner's own".to_owned())),
    };
    let bytes = bytes.map_err(|why| format!("{name} could not be fetched: {why}"))?;
    Ok(Fetched { name, bytes })
}

/// Takes a file into Mira's own; else why not, in words for the owner.
async fn keep(deps: &Deps, shelf: Shelf, Fetched { name, bytes }: &Fetched) -> Result<StoredFile, String> {
    let (project, reply) = (shelf.project, Some(shelf.reply));
    let made = Made::Bytes(bytes.clone());
    let kept = deps.files.keep_made(shelf.account, project, reply, name, made).await;
    kept.map_err(|error| format!("{name} could not be kept: {error}"))
}

/// Results that name a file by the provider's id name Mira's own instead.
async fn name_own_files(deps: &Deps, account: AccountId, data: &mut Value) {
    let Some(Value::Array(results)) = data.get_mut("results") else {
        return;
    };
    for result in results {
        let Value::Object(result) = result else { continue };
        let Some(Value::String(id)) = result.remove("provider_file_id") else {
            continue;
        };
        if let Some((id, name)) = deps.hosted.own_file(account, &id).await {
            result.insert("file_id".to_owned(), id.to_string().into());
            result.insert("name".to_owned(), name.into());
        }
    }
}

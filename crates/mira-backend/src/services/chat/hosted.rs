//! Tools the provider runs in the course of its answer: what they do is shown and kept like any call, what they make is
//! taken into Mira's own files before it expires, whether the reply points at it or not, and what the reply points at
//! becomes a citation.
//!
//! Files are taken in while the words after a call go on; its result comes when they are there.
//!
//! Invariants: a call begins durably before clients hear of it and has exactly one result, before the end of the turn;
//! files are kept before the result that names them is told, each once; what could not be kept is said, never left out in
//! silence.

use super::{close::shutting_down, close::storage_failure, voice::Next, voice::Voice};
use crate::services::{deps::Deps, files::Made, hosted::Shown};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use mira_core::{
    citation::Source,
    file::StoredFile,
    ids::{AccountId, FileId, MessageId, ProjectId, ToolCallId},
    model::{HostedEvent, HostedFile, ModelEvent},
    tool::{CallOutcome, CallStatus, Effect, ToolCall},
    turn::{End, Failure, FailureKind, Interruption, Stage, TurnEvent},
};
use mira_llm::{LeftFile, MOST_FILE_BYTES};
use mira_tools::images::file_object;
use serde_json::Value;
use std::{collections::VecDeque, fmt::Write, sync::Arc};

/// The most calls of the provider's own tools in one turn: it has a smaller limit for each of its answers.
const MOST_CALLS: usize = 96;
/// So many files are fetched at once.
const AT_ONCE: usize = 4;
/// The most files that one call left behind without naming them which are kept, and all of them together, in bytes.
const MOST_LEFT: usize = 16;
const MOST_LEFT_BYTES: u64 = 2 * MOST_FILE_BYTES as u64;

/// So many bytes of pictures that come within the answers of one turn are kept: they wait in memory for their turn.
const MOST_CAME_BYTES: usize = 2 * MOST_FILE_BYTES;

/// The calls of the provider's own tools in one turn.
#[derive(Default)]
pub(super) struct Hosted {
    /// Where what they make belongs.
    pub(super) project: Option<ProjectId>,
    /// The calls that are at work: the provider's names of them, and Mira's.
    calls: Vec<(String, ToolCallId)>,
    /// The call whose files are being taken in.
    pub(super) at_work: Option<Work>,
    /// Those after it: each must know what the one before it has kept.
    waiting: VecDeque<Ended>,
    /// What came of both, without their files: it holds where the turn ends before those are here.
    unfiled: Vec<(ToolCallId, CallOutcome)>,
    /// Files of containers that were kept.
    kept: Vec<Kept>,
    /// What came within the answers, in bytes.
    came: usize,
    /// The calls whose pictures can be looked at while they are drawn.
    shown: Vec<Shown>,
}

/// Files on their way in.
pub(super) type Work = BoxFuture<'static, TakenIn>;

/// A call that is over and whose files are here, as far as they could be had.
pub(super) struct TakenIn {
    id: ToolCallId,
    outcome: CallOutcome,
    kept: Vec<Kept>,
}

/// A call that is over.
struct Ended {
    id: ToolCallId,
    outcome: CallOutcome,
    files: Vec<HostedFile>,
    container: Option<String>,
}

impl Ended {
    /// Takes in what it made and left, beside what is `known`.
    async fn take_in(mut self, deps: Deps, shelf: Shelf, known: Vec<Kept>) -> TakenIn {
        name_own_files(&deps, shelf.account, &mut self.outcome.data).await;
        if let Some(container) = self.container {
            let left = left_behind(&deps, container, &known, &mut self.outcome).await;
            self.files.extend(left);
        }
        let kept = keep_all(&deps, shelf, &mut self.outcome, self.files).await;
        TakenIn {
            id: self.id,
            outcome: self.outcome,
            kept,
        }
    }
}

impl Hosted {
    /// Those of a call's files that the turn has room for; the outcome says what is not kept. What a container holds too
    /// is asked for there.
    fn within_room(
        &mut self,
        files: Vec<HostedFile>,
        in_container: bool,
        outcome: &mut CallOutcome,
    ) -> Vec<HostedFile> {
        let before = files.len();
        let mut fits = |file: &HostedFile| {
            let HostedFile::Here { bytes, .. } = file else {
                return true;
            };
            let came = self.came.saturating_add(bytes.len());
            let fits = came <= MOST_CAME_BYTES;
            if fits {
                self.came = came;
            }
            fits
        };
        let taken: Vec<HostedFile> = files.into_iter().filter(|file| fits(file)).collect();
        let left_out = before - taken.len();
        if left_out > 0 {
            let most = MOST_CAME_BYTES / (1024 * 1024);
            let why =
                format!("{left_out} of its pictures are not kept: those of one turn may have {most} MiB together");
            note(outcome, &why);
            if taken.is_empty() && !in_container {
                outcome.status = CallStatus::Failed;
                set(&mut outcome.data, "error", why.into());
            }
        }
        taken
    }

    /// Whether this has to wait until files are taken in: the end of the answer, and what may point at one of them.
    pub(super) fn holds_back(&self, event: &Next) -> bool {
        let waits = match event {
            None | Some(Err(_) | Ok(ModelEvent::Calls(_) | ModelEvent::Finished(_))) => true,
            Some(Ok(ModelEvent::Hosted(event))) => match event.as_ref() {
                HostedEvent::Cited { file, .. } => matches!(file, Some(HostedFile::There { .. })),
                HostedEvent::Begun { .. }
                | HostedEvent::Progress { .. }
                | HostedEvent::Sketched { .. }
                | HostedEvent::Ended { .. } => false,
            },
            Some(Ok(ModelEvent::Thinking | ModelEvent::Head(_) | ModelEvent::Text(_))) => false,
        };
        waits && self.at_work.is_some()
    }
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
            HostedEvent::Sketched { key, n, bytes } => self.hosted_sketched(&key, n, bytes).await,
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

    async fn hosted_sketched(&mut self, key: &str, n: u32, bytes: Arc<[u8]>) -> Result<(), Box<End>> {
        let Some((call, tool)) = self.hosted_call(key).map(|call| (call.id, call.tool.clone())) else {
            return Ok(());
        };
        // The one before it goes before it comes.
        self.hosted.shown.retain(|shown| shown.call != call);
        let sketches = self.task.deps.hosted.sketches();
        let shown = sketches.show(self.task.live.account, call, Bytes::from_owner(bytes));
        self.hosted.shown.push(shown);
        self.tell(&[TurnEvent::Sketch { call, tool, n }]).await
    }

    async fn hosted_ended(
        &mut self,
        key: &str,
        arguments: String,
        mut outcome: CallOutcome,
        (files, container): (Vec<HostedFile>, Option<String>),
    ) -> Result<(), Box<End>> {
        let Some(id) = self.hosted_call(key).map(|call| call.id) else {
            return Ok(());
        };
        self.hosted.calls.retain(|(known, _)| known != key);
        if !arguments.is_empty() {
            self.turn.set_arguments(id, arguments);
        }
        let files = self.hosted.within_room(files, container.is_some(), &mut outcome);
        let waits = container.is_some() || !files.is_empty();
        let ended = Ended {
            id,
            outcome,
            files,
            container,
        };
        if waits {
            self.hosted.unfiled.push((id, ended.outcome.clone()));
            self.hosted.waiting.push_back(ended);
            self.take_in_next();
        } else {
            let work = ended.take_in(self.task.deps.clone(), self.shelf(), Vec::new());
            let taken_in = self.unless_ended(work).await?;
            self.end_hosted(taken_in.id, taken_in.outcome).await?;
        }
        if self.hosted.calls.is_empty() {
            self.hosted_status(Stage::Thinking, None).await?;
        }
        Ok(())
    }

    fn take_in_next(&mut self) {
        if self.hosted.at_work.is_none()
            && let Some(ended) = self.hosted.waiting.pop_front()
        {
            let known = self.hosted.kept.clone();
            let work = ended.take_in(self.task.deps.clone(), self.shelf(), known);
            self.hosted.at_work = Some(work.boxed());
        }
    }

    /// The files of a call are here: it has its result. An `Err` is the end of the turn.
    pub(super) async fn taken_in(&mut self, TakenIn { id, outcome, kept }: TakenIn) -> Result<(), Box<End>> {
        self.hosted.at_work = None;
        self.hosted.unfiled.retain(|(known, _)| *known != id);
        self.hosted
            .kept
            .retain(|old| !kept.iter().any(|new| new.key == old.key));
        self.hosted.kept.extend(kept);
        self.take_in_next();
        self.end_hosted(id, outcome).await
    }

    /// Gives the calls whose files did not come in time what is known of them. What they read was read all the same.
    pub(super) fn end_unfiled(&mut self, why: &str, out: &mut Vec<TurnEvent>) {
        for (id, mut outcome) in std::mem::take(&mut self.hosted.unfiled) {
            note(&mut outcome, &format!("its files were not taken in: {why}"));
            self.turn.end_call(id, outcome, out);
        }
    }

    async fn end_hosted(&mut self, id: ToolCallId, outcome: CallOutcome) -> Result<(), Box<End>> {
        self.hosted.shown.retain(|shown| shown.call != id);
        self.task.deps.metrics.tool_called(outcome.status);
        let mut out = Vec::with_capacity(1);
        self.turn.end_call(id, outcome, &mut out);
        if let Some(n) = self.turn.calls().iter().position(|call| call.id == id) {
            self.store_ended(n).await;
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
                &format!("what the code left with the provider could not be listed: {error}"),
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
        // What does not tell its size may be of any.
        let bytes = left.bytes.unwrap_or(MOST_FILE_BYTES as u64);
        if taken.len() >= MOST_LEFT || bytes > room.min(MOST_FILE_BYTES as u64) {
            passed_over += 1;
        } else {
            room -= bytes;
            taken.push(left.file);
        }
    }
    if passed_over > 0 {
        let text = format!("{passed_over} more files are left with the provider, which removes them soon");
        note(outcome, &text);
    }
    taken
}

/// Adds a line to what is told of a call.
fn note(outcome: &mut CallOutcome, text: &str) {
    // Writing to a string does not fail.
    write!(outcome.output, "\n({text})").unwrap_or_default();
    let before = outcome.data.get("note").and_then(Value::as_str);
    let both = before.map_or_else(|| text.to_owned(), |before| format!("{before}; {text}"));
    set(&mut outcome.data, "note", both.into());
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
        let stored = match file {
            Ok(file) => {
                let stored = match twin(&file.bytes).filter(|_| key.is_some()) {
                    Some(id) => Ok(id),
                    None => keep(deps, shelf, &file).await.map(|stored| {
                        let id = stored.id;
                        // Writing to a string does not fail.
                        write!(outcome.output, "\nmade {} (file {id})", stored.name).unwrap_or_default();
                        made.push(stored);
                        id
                    }),
                };
                stored.map(|id| (id, file.bytes))
            }
            Err(why) => Err(why),
        };
        match (stored, key) {
            (Ok((id, bytes)), Some(key)) => kept.push(Kept {
                key,
                bytes: bytes.len() as u64,
                id,
            }),
            (Ok((id, bytes)), None) => came_along.push((bytes, id)),
            (Err(why), key) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn picture(mib: usize) -> HostedFile {
        HostedFile::Here {
            name: "picture.png".to_owned(),
            media_type: "image/png".to_owned(),
            bytes: vec![0; mib * 1024 * 1024].into(),
        }
    }

    fn drawn() -> CallOutcome {
        CallOutcome {
            status: CallStatus::Ok,
            output: "drew a picture".to_owned(),
            data: json!({}),
            untrusted: false,
        }
    }

    #[test]
    fn the_pictures_of_a_turn_have_room_for_so_much() {
        let mut hosted = Hosted::default();
        let mut check = |mib: &[usize], in_container: bool, kept: usize, status: CallStatus| {
            let mut outcome = drawn();
            let files: Vec<HostedFile> = mib.iter().map(|mib| picture(*mib)).collect();
            let count = files.len();
            let taken = hosted.within_room(files, in_container, &mut outcome);
            assert_eq!((taken.len(), outcome.status), (kept, status), "{outcome:?}");
            let said = outcome.output.contains("those of one turn may have 64 MiB together");
            assert_eq!(said, kept < count, "{outcome:?}");
            assert_eq!(outcome.data["error"].is_string(), status == CallStatus::Failed);
        };
        check(&[30], false, 1, CallStatus::Ok);
        check(&[30], false, 1, CallStatus::Ok);
        check(&[5], false, 0, CallStatus::Failed);
        check(&[5], true, 0, CallStatus::Ok);
        // What is small still has room.
        check(&[5, 4], false, 1, CallStatus::Ok);
        check(&[1], false, 0, CallStatus::Failed);
        check(&[], false, 0, CallStatus::Ok);
        // What is fetched one by one is not counted here.
        let at = HostedFile::At {
            url: "https://example.org/p.png".to_owned(),
            name: "p.png".to_owned(),
        };
        assert_eq!(hosted.within_room(vec![at], false, &mut drawn()).len(), 1);
    }
}

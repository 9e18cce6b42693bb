//! Server events as JSON frames: what a WebSocket sends and what an SSE stream carries as data.

use super::{
    error::Problem,
    failure,
    file_objects::FileObject,
    git_objects::{ProposalObject, RepoObject},
    http::memories::IndexObject,
    wire::{
        ApprovalObject, CitationObject, MemoryObject, MessageObject, RecalledObject, SessionObject, ToolResultObject,
    },
    work_objects::{ArtifactObject, ProjectObject},
};
use crate::services::{
    deps::{
        ApprovalChange, ArtifactChange, Change, Encoder, MemoryChange, ProjectChange, ProposalChange, RepoChange, Scope,
    },
    files::FileChange,
    hub::log::Encoded,
    memory::MemoryStatus,
};
use bytes::Bytes;
use mira_core::{
    citation::Citation,
    ids::SessionId,
    model::Head,
    turn::{Stage, TurnEvent},
};
use serde::Serialize;

/// The encoder the services are given.
pub const ENCODER: Encoder = Encoder {
    turn,
    html,
    persona,
    session,
    memory,
    index,
    project,
    artifact,
    git,
    proposal,
    approval: approval_state,
    typing,
};

/// A value as JSON; our own types always serialise.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}

fn push_json(out: &mut Vec<u8>, value: &str) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"\"\"");
    }
}

/// `{"type": ..., "session_id": ..., "seq": ` | `, ...}`: the number goes in between.
struct Builder {
    kind: &'static str,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Builder {
    fn new(kind: &'static str, session_id: &SessionId) -> Self {
        // Session ids need no escaping: [a-z0-9_-].
        let before = format!(r#"{{"type":"{kind}","session_id":"{session_id}","seq":"#).into_bytes();
        Self {
            kind,
            before,
            after: Vec::with_capacity(192),
        }
    }

    fn turn(mut self, scope: &Scope<'_>) -> Self {
        self.raw("turn_id", format!(r#""{}""#, scope.turn_id).as_bytes());
        self
    }

    fn message_id(mut self, scope: &Scope<'_>) -> Self {
        self.raw("message_id", format!(r#""{}""#, scope.reply_id).as_bytes());
        self
    }

    fn raw(&mut self, key: &str, value: &[u8]) {
        self.after.extend_from_slice(b",\"");
        self.after.extend_from_slice(key.as_bytes());
        self.after.extend_from_slice(b"\":");
        self.after.extend_from_slice(value);
    }

    fn text(mut self, key: &str, value: &str) -> Self {
        self.raw(key, b"");
        push_json(&mut self.after, value);
        self
    }

    fn value<T: Serialize>(mut self, key: &str, value: &T) -> Self {
        self.raw(key, &json(value));
        self
    }

    fn end(mut self) -> Encoded {
        self.after.push(b'}');
        Encoded {
            kind: self.kind,
            before: self.before,
            after: self.after,
        }
    }
}

fn turn(scope: &Scope<'_>, event: &TurnEvent) -> Encoded {
    let new = |kind| Builder::new(kind, scope.session_id).turn(scope);
    match event {
        TurnEvent::Message { message, client_id } => {
            let builder = new("message").text("message_id", &message.id.to_string());
            let builder = match client_id {
                Some(client_id) => builder.text("client_id", client_id.as_str()),
                None => builder,
            };
            builder.value("message", &MessageObject::of(message)).end()
        }
        TurnEvent::Status { stage, detail } => {
            let builder = new("status").text("stage", stage.as_str());
            match detail {
                Some(detail) => builder.text("detail", detail).end(),
                None => builder.end(),
            }
        }
        TurnEvent::Recall { memories, degraded } => {
            let memories: Vec<RecalledObject> = memories.iter().map(RecalledObject::of).collect();
            let builder = new("recall").value("memories", &memories);
            match degraded {
                Some(why) => builder.text("degraded", why.as_str()).end(),
                None => builder.end(),
            }
        }
        TurnEvent::Persona { head, pinned } => head_fields(new("persona").message_id(scope), head, *pinned),
        TurnEvent::Chunk(text) => {
            let builder = new("chunk").message_id(scope).text("content", text);
            builder.text("persona", scope.persona).text("mood", scope.mood).end()
        }
        TurnEvent::ToolCall(call) => new("tool_call")
            .message_id(scope)
            .text("tool_call_id", &call.id.to_string())
            .text("tool", &call.tool)
            .value("arguments", &call.shown_arguments())
            .text("effect", call.effect.as_str())
            .end(),
        TurnEvent::Sketch { call, tool, n } => new("status")
            .text("stage", Stage::Tool.as_str())
            .text("detail", &format!("{tool}: sketch {n}"))
            .text("tool_call_id", &call.to_string())
            .value("sketch", n)
            .end(),
        TurnEvent::Approval(approval) => new("approval")
            .message_id(scope)
            .text("approval_id", &approval.id.to_string())
            .text("tool_call_id", &approval.call.id.to_string())
            .text("tool", &approval.call.tool)
            .text("reason", approval.reason.sentence())
            .text("expires_at", &approval.expires_at.to_string())
            .end(),
        TurnEvent::Citation(citation) => citation_fields(new("citation").message_id(scope), citation),
        TurnEvent::ToolResult(call) => {
            let builder = new("tool_result").message_id(scope);
            match ToolResultObject::of(call) {
                Some(result) => builder
                    .text("tool_call_id", &result.tool_call_id)
                    .text("tool_type", &result.tool_type)
                    .text("status", result.status)
                    .value("data", &result.data)
                    .end(),
                None => builder.end(),
            }
        }
        TurnEvent::Complete(message) => new("complete")
            .message_id(scope)
            .value("message", &MessageObject::of(message))
            .end(),
        TurnEvent::Error { failure, message } => {
            let builder = new("error")
                .value("error", &failure::problem(failure))
                .value("retryable", &failure.retryable);
            match message {
                Some(message) => builder
                    .message_id(scope)
                    .value("message", &MessageObject::of(message))
                    .end(),
                None => builder.end(),
            }
        }
        TurnEvent::Done(outcome) => new("done").message_id(scope).text("outcome", outcome.as_str()).end(),
    }
}

/// The fields of a citation beside those of its event.
fn citation_fields(mut builder: Builder, citation: &Citation) -> Encoded {
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(CitationObject::of(citation)) {
        for (name, value) in &fields {
            builder = builder.value(name, value);
        }
    }
    builder.end()
}

fn head_fields(builder: Builder, head: &Head, pinned: bool) -> Encoded {
    let builder = builder
        .text("persona", head.persona.as_str())
        .text("mood", head.mood.as_str());
    let builder = match &head.mood_cause {
        Some(cause) => builder.text("mood_cause", cause),
        None => builder,
    };
    builder.value("pinned", &pinned).end()
}

fn persona(session_id: &SessionId, head: &Head, pinned: bool) -> Encoded {
    head_fields(Builder::new("persona", session_id), head, pinned)
}

fn html(scope: &Scope<'_>, block: usize, html: &str) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        session_id: &'a SessionId,
        turn_id: String,
        message_id: String,
        block: usize,
        html: &'a str,
    }
    let (turn_id, message_id) = (scope.turn_id.to_string(), scope.reply_id.to_string());
    json(&Frame {
        r#type: "html",
        session_id: scope.session_id,
        turn_id,
        message_id,
        block,
        html,
    })
    .into()
}

fn session(change: Change<'_>) -> Bytes {
    let (action, object) = match change {
        Change::Created(session) => ("created", json(&SessionObject::of(session))),
        Change::Updated(session) => ("updated", json(&SessionObject::of(session))),
        Change::Deleted(id) => ("deleted", format!(r#"{{"id":"{id}"}}"#).into_bytes()),
    };
    object_frame("session", action, &object)
}

fn memory(change: MemoryChange<'_>) -> Bytes {
    let (action, object) = match change {
        MemoryChange::Created(memory) => ("created", json(&MemoryObject::of(memory))),
        MemoryChange::Updated(memory) => ("updated", json(&MemoryObject::of(memory))),
        MemoryChange::Deleted(id, kind) => (
            "deleted",
            format!(r#"{{"id":"{id}","kind":"{}"}}"#, kind.as_str()).into_bytes(),
        ),
    };
    object_frame("memory", action, &object)
}

fn index(status: &MemoryStatus) -> Bytes {
    object_frame("index", "updated", &json(&IndexObject::of(status)))
}

fn project(change: ProjectChange<'_>) -> Bytes {
    let (action, object) = match change {
        ProjectChange::Created(project) => ("created", json(&ProjectObject::of(project))),
        ProjectChange::Updated(project) => ("updated", json(&ProjectObject::of(project))),
        ProjectChange::Deleted(id) => ("deleted", format!(r#"{{"id":"{id}"}}"#).into_bytes()),
    };
    object_frame("project", action, &object)
}

fn artifact(change: ArtifactChange<'_>) -> Bytes {
    let (action, object) = match change {
        ArtifactChange::Created(artifact) => ("created", json(&ArtifactObject::in_event(artifact))),
        ArtifactChange::Updated(artifact) => ("updated", json(&ArtifactObject::in_event(artifact))),
        ArtifactChange::Deleted(id, project) => (
            "deleted",
            format!(r#"{{"id":"{id}","project_id":"{project}"}}"#).into_bytes(),
        ),
    };
    object_frame("artifact", action, &object)
}

/// A change of a file, as a frame.
pub fn file(change: FileChange<'_>) -> Bytes {
    let (action, object) = match change {
        FileChange::Created(file) => ("created", json(&FileObject::of(file))),
        FileChange::Updated(file) => ("updated", json(&FileObject::of(file))),
        FileChange::Deleted(file) => (
            "deleted",
            json(&serde_json::json!({ "id": file.id, "project_id": file.project_id })),
        ),
    };
    object_frame("file", action, &object)
}

fn git(change: RepoChange<'_>) -> Bytes {
    let (action, object) = match change {
        RepoChange::Created(repo) => ("created", json(&RepoObject::of(repo))),
        RepoChange::Updated(repo) => ("updated", json(&RepoObject::of(repo))),
        RepoChange::Deleted(id, project) => (
            "deleted",
            format!(r#"{{"id":"{id}","project_id":"{project}"}}"#).into_bytes(),
        ),
    };
    object_frame("git", action, &object)
}

fn proposal(change: ProposalChange<'_>) -> Bytes {
    let (action, object) = match change {
        ProposalChange::Created(proposal) => ("created", json(&ProposalObject::of(proposal))),
        ProposalChange::Updated(proposal) => ("updated", json(&ProposalObject::of(proposal))),
    };
    object_frame("proposal", action, &object)
}

fn approval_state(change: ApprovalChange<'_>) -> Bytes {
    let (action, approval) = match change {
        ApprovalChange::Created(approval) => ("created", approval),
        ApprovalChange::Updated(approval) => ("updated", approval),
    };
    object_frame("approval_state", action, &json(&ApprovalObject::in_event(approval)))
}

fn object_frame(kind: &str, action: &str, object: &[u8]) -> Bytes {
    let mut frame = format!(r#"{{"type":"{kind}","action":"{action}","object":"#).into_bytes();
    frame.extend_from_slice(object);
    frame.push(b'}');
    frame.into()
}

fn typing(session_id: &SessionId, active: bool) -> Bytes {
    format!(r#"{{"type":"typing","session_id":"{session_id}","active":{active}}}"#).into()
}

/// An error that belongs to a frame, not to a turn.
#[derive(Debug, Serialize)]
pub struct ErrorFrame<'a> {
    /// Always `error`.
    pub r#type: &'static str,
    /// The problem.
    pub error: &'a Problem,
    /// Whether the same frame may work later.
    pub retryable: bool,
    /// The `client_id` of the refused message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<&'a str>,
}

/// An error frame for a problem.
pub fn error_frame(error: &Problem, client_id: Option<&str>) -> Bytes {
    let retryable = matches!(error.status, 408 | 429 | 500..);
    json(&ErrorFrame {
        r#type: "error",
        error,
        retryable,
        client_id,
    })
    .into()
}

/// One event of an SSE stream.
pub fn sse(kind: &str, seq: Option<u64>, frame: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(frame.len() + 48);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    if let Some(seq) = seq {
        out.extend_from_slice(format!("\nid: {seq}").as_bytes());
    }
    // Frames are one line: JSON escapes every line break.
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(frame);
    out.extend_from_slice(b"\n\n");
    out.into()
}

//! `/mcp`: Mira as an MCP server over streamable HTTP, the revisions 2025-03-26 to 2025-11-25 of the protocol. Each
//! message is a POST that is answered at once, as JSON; there are no sessions and no streams, because nothing that is
//! served here needs either. 2025-03-26 knows lists of messages, which are taken of who speaks it (or says of no other
//! revision that they do). Login, Host and Origin are judged before, as on every route.
//!
//! Errors of the protocol are JSON-RPC errors, as it demands; what is wrong with the request as such is a problem, as
//! everywhere.

use crate::{
    api::{
        error::{ApiError, Problem},
        extract::{RawJson, parse_json},
    },
    services::{
        auth::Identity,
        mcp::served::{Caller, ServedTool},
    },
    state::AppState,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header::ACCEPT},
    response::{IntoResponse, Response},
};
use mira_core::tool::{CallStatus, Effect};
use mira_tools::Ran;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json, value::RawValue};
use utoipa::ToSchema;

/// The revisions that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// The header that names the one a client speaks.
const VERSION_HEADER: &str = "mcp-protocol-version";

/// The one of them in which messages may come as a list.
const WITH_LISTS: &str = "2025-03-26";
/// The most messages of one list.
const MOST_AT_ONCE: usize = 50;

/// What a client may be told before it asks anything.
const INSTRUCTIONS: &str = "Mira is the owner's companion and keeps what they told her. `recall` and `search_history` find \
    it, `remember` asks her to keep a fact, projects and artifacts are what they work on together.";

const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

/// A message of JSON-RPC 2.0 from a client.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = McpMessage)]
pub struct Message {
    /// `2.0`.
    jsonrpc: String,
    /// A request's own id, text or number; a message without one is not answered.
    #[serde(default, deserialize_with = "named")]
    id: Option<Value>,
    /// What is asked for; answers have none.
    #[serde(default)]
    method: Option<String>,
    /// With what.
    #[serde(default)]
    params: Option<Map<String, Value>>,
}

/// One message or, in the revision 2025-03-26, a list of up to 50.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = McpMessages)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a body that is read in two ways")]
enum Messages {
    One(Message),
    Several(Vec<Message>),
}

/// An id that is there, if only as null: that one is a mistake, and no message without an id.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// An answer of JSON-RPC 2.0.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpAnswer)]
pub struct Answer {
    /// `2.0`.
    jsonrpc: &'static str,
    /// The request's.
    id: Value,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AnswerError>,
}

/// An error of JSON-RPC 2.0.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpError)]
pub struct AnswerError {
    /// Its kind.
    code: i64,
    /// In words.
    message: String,
}

/// What is answered: as much as was asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = McpAnswers)]
#[serde(untagged)]
pub enum Answers {
    /// To one message.
    One(Answer),
    /// To a list of them, in its order; messages that are not answered have no place in it.
    Several(Vec<Answer>),
}

type Outcome = Result<Value, AnswerError>;

/// Speaks MCP: `initialize`, `ping`, `tools/list`, `tools/call`.
#[utoipa::path(post, path = "/mcp", tag = "tools", request_body = Messages, responses(
    (status = 200, description = "The answer to a request, or those to a list of them", body = Answers),
    (status = 202, description = "Nothing of it is answered: it was taken"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn mcp(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    RawJson(body): RawJson,
) -> Result<Response, ApiError> {
    let answers = if body.trim_ascii_start().starts_with(b"[") {
        takes_json(&headers)?;
        takes_lists(&headers)?;
        let answers = answer_all(&state, &identity, list_of(&body)?).await;
        (!answers.is_empty()).then_some(Answers::Several(answers))
    } else {
        let message: Message = parse_json(&body)?;
        check(&message)?;
        takes_json(&headers)?;
        // Before it has been agreed on, there is no revision to speak.
        if message.method.as_deref() != Some("initialize") {
            speaks(&headers)?;
        }
        answer(&state, &identity, message).await.map(Answers::One)
    };
    Ok(match answers {
        Some(answers) => axum::Json(answers).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    })
}

fn check(message: &Message) -> Result<(), ApiError> {
    if message.jsonrpc != "2.0" {
        return Err(ApiError::field("jsonrpc", "must be 2.0"));
    }
    if message
        .id
        .as_ref()
        .is_some_and(|id| !(id.is_string() || id.is_number()))
    {
        return Err(ApiError::field("id", "must be a text or a number"));
    }
    Ok(())
}

fn list_of(body: &[u8]) -> Result<Vec<Box<RawValue>>, ApiError> {
    let list: Vec<Box<RawValue>> = serde_json::from_slice(body)
        .map_err(|error| ApiError::Malformed(format!("the body is not valid JSON: {error}")))?;
    if list.is_empty() || list.len() > MOST_AT_ONCE {
        return Err(ApiError::field(
            "",
            format!("a list must have 1 to {MOST_AT_ONCE} messages"),
        ));
    }
    Ok(list)
}

/// Answers a list, one message after the other: a client that must not wait for one sends them by themselves.
async fn answer_all(state: &AppState, identity: &Identity, list: Vec<Box<RawValue>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for text in list {
        let message = parse_json::<Message>(text.get().as_bytes());
        let answered = match message.and_then(|message| check(&message).map(|()| message)) {
            Ok(message) if message.method.as_deref() == Some("initialize") => {
                let why = "`initialize` must not stand in a list";
                Some(Answer::of(
                    message.id.unwrap_or_default(),
                    Err(error(INVALID_REQUEST, why)),
                ))
            }
            Ok(message) => answer(state, identity, message).await,
            Err(_) => Some(Answer::of(
                Value::Null,
                Err(error(INVALID_REQUEST, "this is no message")),
            )),
        };
        answers.extend(answered);
    }
    answers
}

/// Answers a message, if it is one that is answered.
async fn answer(state: &AppState, identity: &Identity, message: Message) -> Option<Answer> {
    let (id, method) = (message.id?, message.method?);
    let params = message.params.unwrap_or_default();
    let outcome = match method.as_str() {
        "initialize" => Ok(greeting(&params)),
        "ping" => Ok(json!({})),
        "tools/list" => list(state, &params),
        "tools/call" => call(state, identity, params).await,
        _ => Err(error(METHOD_NOT_FOUND, format!("there is no method {method:?} here"))),
    };
    Some(Answer::of(id, outcome))
}

impl Answer {
    fn of(id: Value, outcome: Outcome) -> Self {
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            jsonrpc: "2.0",
            id,
            result,
            error,
        }
    }
}

fn error(code: i64, message: impl Into<String>) -> AnswerError {
    AnswerError {
        code,
        message: message.into(),
    }
}

/// Whether the client takes what every answer is; one that does not say takes anything.
fn takes_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut said = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .peekable();
    let kinds = |value: &str| {
        let takes = |kind: &str| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            ["application/json", "application/*", "*/*"]
                .iter()
                .any(|it| kind.eq_ignore_ascii_case(it))
        };
        value.split(',').any(takes)
    };
    if said.peek().is_none() || said.any(kinds) {
        Ok(())
    } else {
        Err(ApiError::NotAcceptable("every answer is application/json"))
    }
}

/// Whether the client speaks a revision that is spoken here; one that names none speaks an old one.
fn speaks(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(named) = headers.get(VERSION_HEADER) else {
        return Ok(());
    };
    if VERSIONS.iter().any(|version| named == version) {
        return Ok(());
    }
    Err(ApiError::Malformed(format!(
        "{VERSION_HEADER}: this revision of the protocol is not spoken here, only {}",
        VERSIONS.join(", ")
    )))
}

/// Whether the client speaks the revision that has lists; one that names none may.
fn takes_lists(headers: &HeaderMap) -> Result<(), ApiError> {
    speaks(headers)?;
    if headers.get(VERSION_HEADER).is_none_or(|named| named == WITH_LISTS) {
        return Ok(());
    }
    Err(ApiError::Malformed(format!(
        "lists of messages are part of revision {WITH_LISTS} alone; in this one each is sent by itself"
    )))
}

fn greeting(params: &Map<String, Value>) -> Value {
    let asked = params.get("protocolVersion").and_then(Value::as_str);
    let [newest, ..] = VERSIONS;
    let version = VERSIONS
        .into_iter()
        .find(|version| asked == Some(version))
        .unwrap_or(newest);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": { "name": "mira", "title": "Mira", "version": env!("CARGO_PKG_VERSION") },
        "instructions": INSTRUCTIONS,
    })
}

/// All of it at once: there is no place to go on from.
fn list(state: &AppState, params: &Map<String, Value>) -> Outcome {
    if params.get("cursor").is_some_and(|cursor| !cursor.is_null()) {
        return Err(error(INVALID_PARAMS, "`cursor`: the list has one page"));
    }
    let tools: Vec<Value> = state.served().tools().iter().map(tool).collect();
    Ok(json!({ "tools": tools }))
}

fn tool(tool: &ServedTool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.schema,
        "annotations": {
            "readOnlyHint": tool.effect == Effect::Read,
            // Nothing is lost by a call: old versions stay.
            "destructiveHint": false,
            "openWorldHint": false,
        },
    })
}

async fn call(state: &AppState, identity: &Identity, mut params: Map<String, Value>) -> Outcome {
    let Some(Value::String(name)) = params.shift_remove("name") else {
        return Err(error(INVALID_PARAMS, "`name` is missing"));
    };
    let arguments = match params.shift_remove("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(error(INVALID_PARAMS, "`arguments` is no object")),
    };
    let served = state.served().clone();
    if served.effect(&name).is_none() {
        return Err(error(INVALID_PARAMS, format!("there is no tool {name:?}")));
    }
    let caller = Caller {
        account: identity.account,
        session: state.default_session().clone(),
        zone: state.config().chat.time_zone.clone(),
    };
    let clock = state.clock().clone();
    // A client that hangs up does not leave it half done.
    let work = async move { served.call(&*clock, caller, &name, &arguments).await };
    let broken = |_| Ran::unsuccessful(CallStatus::Failed, "Mira is being shut down");
    let ran = state.life().spawn(work).await.unwrap_or_else(broken);
    Ok(json!({
        "content": [{ "type": "text", "text": ran.told }],
        "isError": ran.outcome.status != CallStatus::Ok,
    }))
}

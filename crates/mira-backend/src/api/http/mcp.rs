//! `/mcp`: Mira as an MCP server over streamable HTTP, the revisions 2025-03-26 to 2025-11-25 of the protocol. Each
//! message is a POST that is answered at once, as JSON; there are no sessions and no streams, because nothing that is
//! served here needs either. Login, Host and Origin are judged before, as on every route.
//!
//! Errors of the protocol are JSON-RPC errors, as it demands; what is wrong with the request as such is a problem, as
//! everywhere.

use crate::{
    api::{
        error::{ApiError, Problem},
        extract::Json,
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
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The revisions that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// The header that names the one a client speaks.
const VERSION_HEADER: &str = "mcp-protocol-version";

/// What a client may be told before it asks anything.
const INSTRUCTIONS: &str = "Mira is the owner's companion and keeps what they told her. `recall` and `search_history` find \
    it, `remember` asks her to keep a fact, projects and artifacts are what they work on together.";

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

type Outcome = Result<Value, AnswerError>;

/// Speaks MCP: `initialize`, `ping`, `tools/list`, `tools/call`.
#[utoipa::path(post, path = "/mcp", tag = "tools", request_body = Message, responses(
    (status = 200, description = "The answer to a request", body = Answer),
    (status = 202, description = "A notification was taken"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn mcp(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    Json(message): Json<Message>,
) -> Result<Response, ApiError> {
    if message.jsonrpc != "2.0" {
        return Err(ApiError::field("jsonrpc", "must be 2.0"));
    }
    let Message { id, method, params, .. } = message;
    takes_json(&headers)?;
    // Before it has been agreed on, there is no revision to speak.
    if method.as_deref() != Some("initialize") {
        speaks(&headers)?;
    }
    if id.as_ref().is_some_and(|id| !(id.is_string() || id.is_number())) {
        return Err(ApiError::field("id", "must be a text or a number"));
    }
    let (Some(id), Some(method)) = (id, method) else {
        return Ok(StatusCode::ACCEPTED.into_response());
    };
    let params = params.unwrap_or_default();
    let outcome = match method.as_str() {
        "initialize" => Ok(greeting(&params)),
        "ping" => Ok(json!({})),
        "tools/list" => list(&state, &params),
        "tools/call" => call(&state, &identity, params).await,
        _ => Err(error(METHOD_NOT_FOUND, format!("there is no method {method:?} here"))),
    };
    let (result, error) = match outcome {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let answer = Answer {
        jsonrpc: "2.0",
        id,
        result,
        error,
    };
    Ok(axum::Json(answer).into_response())
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

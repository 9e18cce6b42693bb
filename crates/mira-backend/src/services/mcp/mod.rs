//! MCP on both sides: the tools of the owner's MCP servers as a turn may use them ([`McpTools`]), and what other programs
//! may ask of Mira ([`served`]). Connections are `mira-mcp`'s business, HTTP is `api`'s.
//!
//! What a server answers is a stranger's word, always: `untrusted`, whatever the owner thinks of the server. Whether it
//! says of a tool that it only reads counts where the owner trusts it, and nowhere else.

pub mod served;

use crate::{config::Config, lifecycle::Lifecycle};
use mira_core::tool::{CallStatus, Effect, ToolOffer, UNCERTAIN};
use mira_mcp::{Approval, Hooks, McpAnswer, McpError, McpServers, McpTool, Patience, ServerState, ServerStatus};
use mira_net::{Guard, GuardedClient};
use mira_tools::{CallContext, Ran};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_mins(2);
/// The most tools of servers a model is offered, all servers together: models take 128 in all, Mira's own among them.
const MOST_OFFERED: usize = 96;
/// The longest output a model is told, in characters.
const OUTPUT_CHARS: usize = 64 * 1024;
/// The longest stretch of it that clients are shown, in characters.
const SHOWN_CHARS: usize = 4000;
/// The largest structured answer that is kept, in bytes.
const STRUCTURED_BYTES: usize = 32 * 1024;
/// The most that is kept of an answer's pictures, in bytes of base64.
const IMAGE_BYTES: usize = 512 * 1024;

/// The tools of the owner's MCP servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct McpTools(McpServers);

/// A tool of a server as the owner is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpEntry {
    /// What a model calls it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub effect: Effect,
    /// Whether the owner's file lets it be used.
    pub enabled: bool,
    /// Why it cannot be called now, if it cannot.
    pub unavailable: Option<String>,
}

impl McpTools {
    /// The servers of the configuration, none of them started.
    pub fn new(config: &Config, life: &Lifecycle) -> Self {
        let guard = Guard::new(config.git.private_hosts.clone());
        let runner = life.clone();
        let hooks = Hooks {
            spawn: Arc::new(move |task| drop(runner.spawn(task))),
            stop: life.soft().clone(),
        };
        let mcp = &config.mcp;
        let (servers, environment) = (mcp.servers.clone(), mcp.environment.clone());
        let client = GuardedClient::new(guard);
        Self(McpServers::new(
            servers,
            client,
            environment,
            hooks,
            Patience::default(),
        ))
    }

    /// Starts the servers; returns at once. Called once, when nobody waits for the start any more.
    pub fn start(&self) {
        self.0.start();
    }

    /// What a model is offered now, in an order that stays the same.
    pub fn offers(&self) -> Vec<ToolOffer> {
        let tools = self.0.tools();
        let offer = |tool: McpTool| ToolOffer {
            name: tool.full_name,
            description: format!("(of the MCP server {:?}) {}", tool.server, tool.description).into(),
            parameters: tool.shape.parameters().to_string().into(),
        };
        tools.into_iter().take(MOST_OFFERED).map(offer).collect()
    }

    /// What a tool may do; none if no server has it.
    pub fn effect(&self, name: &str) -> Option<Effect> {
        let (tool, server) = self.0.find(name)?;
        Some(effect(&tool, &server))
    }

    /// Whether the owner wants to be asked before a call that reaches beyond Mira.
    pub fn asks(&self, name: &str) -> bool {
        let found = self.0.find(name);
        found.is_none_or(|(_, server)| server.approval == Approval::Outside)
    }

    /// Every tool there is, and every server that has none to show, with the reason.
    pub fn entries(&self) -> Vec<McpEntry> {
        let mut offered = 0;
        let mut entries = Vec::new();
        for server in self.0.states() {
            let down = down(&server.status);
            let enabled = server.status != ServerStatus::Disabled;
            for tool in server.tools.iter() {
                offered += usize::from(down.is_none());
                let crowded = || format!("models are offered at most {MOST_OFFERED} tools of MCP servers");
                let unavailable = down.clone().or_else(|| (offered > MOST_OFFERED).then(crowded));
                entries.push(McpEntry {
                    name: tool.full_name.to_string(),
                    description: tool.description.to_string(),
                    effect: effect(tool, &server),
                    enabled,
                    unavailable,
                });
            }
            let about = format!("A tool of the MCP server {:?}.", server.name);
            entries.extend(server.left_out.iter().map(|left| McpEntry {
                name: left.full_name.clone(),
                description: about.clone(),
                effect: Effect::Outside,
                enabled,
                unavailable: Some(left.reason.clone()),
            }));
            if server.tools.is_empty() && server.left_out.is_empty() {
                entries.push(McpEntry {
                    name: format!("mcp__{}", server.slug),
                    description: format!("The tools of the MCP server {:?}.", server.name),
                    effect: Effect::Outside,
                    enabled,
                    unavailable: Some(down.unwrap_or_else(|| "it has no tools".to_owned())),
                });
            }
        }
        entries
    }

    /// Makes one call. Never fails, ends in time; dropped before its end, it tells the server that nobody waits.
    pub async fn call(&self, _context: &CallContext, name: &str, arguments: &str) -> Ran {
        let Some((tool, _)) = self.0.find(name) else {
            return Ran::unsuccessful(CallStatus::Unavailable, format!("there is no tool called {name:?}"));
        };
        // Models write nothing at all where there is nothing to say.
        let written = if arguments.trim().is_empty() { "{}" } else { arguments };
        let unfolded = serde_json::from_str(written)
            .map_err(|error| error.to_string())
            .and_then(|written: Value| tool.shape.unfold(&tool.schema, written));
        let arguments = match unfolded {
            Ok(arguments) => arguments,
            Err(why) => return failed(&McpError::Arguments(why)),
        };
        match self.0.call(name, arguments, CALL_LIMIT).await {
            Ok(answer) => answered(&tool, answer),
            Err(error) => failed(&error),
        }
    }
}

fn effect(tool: &McpTool, server: &ServerState) -> Effect {
    if tool.read_only_hint && server.trusted {
        Effect::Read
    } else {
        Effect::Outside
    }
}

/// Why a server cannot be called, if it cannot.
fn down(status: &ServerStatus) -> Option<String> {
    match status {
        ServerStatus::Ready => None,
        ServerStatus::Disabled => Some("the server is switched off in the MCP configuration".to_owned()),
        ServerStatus::Connecting => Some("the server is being connected".to_owned()),
        ServerStatus::Failed(reason) => Some(reason.clone()),
    }
}

fn failed(error: &McpError) -> Ran {
    let status = match error {
        McpError::UnknownTool(_) | McpError::NotReady { .. } => CallStatus::Unavailable,
        McpError::Arguments(_)
        | McpError::Timeout { .. }
        | McpError::Refused { .. }
        | McpError::Nonsense { .. }
        | McpError::Broken { .. } => CallStatus::Failed,
    };
    let why = if error.is_uncertain() {
        format!("{error}; {UNCERTAIN}")
    } else {
        error.to_string()
    };
    let mut ran = Ran::unsuccessful(status, why);
    ran.outcome.untrusted = error.is_untrusted();
    ran
}

fn answered(tool: &McpTool, answer: McpAnswer) -> Ran {
    let status = if answer.is_error {
        CallStatus::Failed
    } else {
        CallStatus::Ok
    };
    let mut room = IMAGE_BYTES;
    let images: Vec<Value> = answer
        .images
        .iter()
        .map(|image| {
            let kept = image.base64.len() <= room;
            if kept {
                room -= image.base64.len();
            }
            json!({ "media_type": image.media_type, "data": kept.then_some(&image.base64) })
        })
        .collect();
    let structured = answer
        .structured
        .filter(|value| value.to_string().len() <= STRUCTURED_BYTES);
    let mut data = json!({
        "server": tool.server,
        "tool": tool.name,
        "text": cut(answer.text.clone(), SHOWN_CHARS, "…"),
        "structured": structured,
        "images": images,
    });
    if answer.is_error
        && let Value::Object(fields) = &mut data
    {
        fields.insert("error".to_owned(), json!(cut(answer.text.clone(), SHOWN_CHARS, "…")));
    }
    let output = cut(answer.text, OUTPUT_CHARS, "\n(cut: the output was longer)");
    let mut ran = Ran::unsuccessful(status, output);
    ran.outcome.data = data;
    ran.outcome.untrusted = true;
    if !answer.is_error {
        ran.told.clone_from(&ran.outcome.output);
    }
    ran
}

fn cut(mut text: String, chars: usize, mark: &str) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
        text.push_str(mark);
    }
    text
}

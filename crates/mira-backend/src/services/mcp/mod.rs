//! MCP on both sides: the tools of the owner's MCP servers as a turn may use them ([`McpTools`]), and what other programs
//! may ask of Mira ([`served`]). Connections are `mira-mcp`'s business, HTTP is `api`'s.
//!
//! What a server answers is a stranger's word, always: `untrusted`, whatever the owner thinks of the server. Whether it
//! says of a tool that it only reads counts where the owner trusts it, and nowhere else.

mod answers;
pub mod served;

use crate::{config::Config, lifecycle::Lifecycle, services::files::Files};
use mira_core::tool::{CallStatus, Effect, ToolOffer};
use mira_mcp::{Approval, Hooks, McpError, McpServers, McpTool, Patience, ServerState, ServerStatus};
use mira_net::{Guard, GuardedClient};
use mira_tools::{CallContext, Ran};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_mins(2);
/// The most tools of servers a model is offered, all servers together: models take 128 in all, Mira's own among them.
const MOST_OFFERED: usize = 96;

/// The tools of the owner's MCP servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct McpTools {
    servers: McpServers,
    /// Counts what becomes of them.
    news: watch::Receiver<u64>,
    /// What a model is offered, as it was made at that count.
    offers: Arc<Mutex<(u64, Arc<[ToolOffer]>)>>,
}

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
        let servers = McpServers::new(servers, client, environment, hooks, Patience::default());
        Self::of(servers)
    }

    fn of(servers: McpServers) -> Self {
        let mut news = servers.news();
        let count = *news.borrow_and_update();
        let offers = offers(&servers);
        Self {
            servers,
            news,
            offers: Arc::new(Mutex::new((count, offers))),
        }
    }

    /// Starts the servers; returns at once. Called once, when nobody waits for the start any more.
    pub fn start(&self) {
        self.servers.start();
    }

    /// What a model is offered now, in an order that stays the same: made once for each change of what servers list.
    pub fn offers(&self) -> Arc<[ToolOffer]> {
        // Before the list is looked at: what changes meanwhile counts as a change after it.
        let count = *self.news.borrow();
        let mut made = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        if made.0 != count {
            *made = (count, offers(&self.servers));
        }
        Arc::clone(&made.1)
    }

    /// What a tool may do; none if no server has it.
    pub fn effect(&self, name: &str) -> Option<Effect> {
        let (tool, server) = self.servers.find(name)?;
        Some(effect(&tool, &server))
    }

    /// Whether the owner wants to be asked before a call that reaches beyond Mira.
    pub fn asks(&self, name: &str) -> bool {
        let found = self.servers.find(name);
        found.is_none_or(|(_, server)| server.approval == Approval::Outside)
    }

    /// Every tool there is, and every server that has none to show, with the reason.
    pub fn entries(&self) -> Vec<McpEntry> {
        let mut offered = 0;
        let mut entries = Vec::new();
        for server in self.servers.states() {
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
    /// What it brings goes into `files`.
    pub async fn call(&self, files: &Files, context: &CallContext, name: &str, arguments: &str) -> Ran {
        let Some((tool, _)) = self.servers.find(name) else {
            return Ran::unsuccessful(CallStatus::Unavailable, format!("there is no tool called {name:?}"));
        };
        // Models write nothing at all where there is nothing to say.
        let written = if arguments.trim().is_empty() { "{}" } else { arguments };
        let unfolded = serde_json::from_str(written)
            .map_err(|error| error.to_string())
            .and_then(|written: Value| tool.shape.unfold(&tool.schema, written));
        let arguments = match unfolded {
            Ok(arguments) => arguments,
            Err(why) => return answers::failed(&McpError::Arguments(why)),
        };
        match self.servers.call(name, arguments, CALL_LIMIT).await {
            Ok(answer) => answers::answered(files, context, &tool, answer).await,
            Err(error) => answers::failed(&error),
        }
    }
}

fn offers(servers: &McpServers) -> Arc<[ToolOffer]> {
    let offer = |tool: McpTool| {
        let description = format!("(of the MCP server {:?}) {}", tool.server, tool.description);
        let parameters = tool.shape.parameters().to_string();
        ToolOffer::new(tool.full_name, description, parameters)
    };
    servers.tools().into_iter().take(MOST_OFFERED).map(offer).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn offers_are_made_once_for_each_change() {
        let hooks = Hooks {
            spawn: Arc::new(drop),
            stop: CancellationToken::new(),
        };
        let client = GuardedClient::new(Guard::new(Vec::new()));
        let tools = McpTools::of(McpServers::new(
            Vec::new(),
            client,
            Vec::new(),
            hooks,
            Patience::default(),
        ));
        let made: Arc<[ToolOffer]> = [ToolOffer::new("mcp__a__b", "", "{}")].into();
        let count = *tools.news.borrow();
        *tools.offers.lock().unwrap() = (count, Arc::clone(&made));
        assert!(Arc::ptr_eq(&tools.offers(), &made));
        // Something has become of a server since.
        *tools.offers.lock().unwrap() = (count.wrapping_sub(1), made);
        assert!(tools.offers().is_empty());
    }
}

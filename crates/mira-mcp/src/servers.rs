//! All servers: each has a task that keeps it connected, and a state that anybody can look at. A server that fails is
//! tried again, later and later; none waits for another.

use crate::{
    answer::McpAnswer,
    catalog::{Catalog, LeftOut, McpTool},
    config::{Approval, ServerSpec},
    connection::{self, Connection, Means},
    error::{LinkError, McpError},
    link::{Blame, Hooks, Patience},
    schema::check_arguments,
};
use mira_net::GuardedClient;
use rmcp::{Peer, RoleClient};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// A server that was connected for so long is tried again at once when it fails.
const STEADY: Duration = Duration::from_mins(1);
/// How often a changed list of tools is asked for at most.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStatus {
    /// The owner switched it off.
    Disabled,
    /// It is being connected for the first time.
    Connecting,
    /// It can be called.
    Ready,
    /// It cannot, for this reason; it is tried again.
    Failed(String),
}

/// A server and what it offers.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerState {
    /// Its name.
    pub name: String,
    /// The part of its tools' names that stands for it.
    pub slug: String,
    /// How it is.
    pub status: ServerStatus,
    /// When its calls wait for a click.
    pub approval: Approval,
    /// Whether what it says of its own tools is believed.
    pub trusted: bool,
    /// Its tools, as they were listed last.
    pub tools: Arc<[McpTool]>,
    /// Those that are not offered.
    pub left_out: Arc<[LeftOut]>,
}

/// The servers of the owner's file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct McpServers {
    servers: Arc<[Arc<Server>]>,
    means: Arc<Means>,
    news: watch::Sender<u64>,
}

struct Server {
    spec: ServerSpec,
    seen: Mutex<Seen>,
    /// Counts what became of all servers.
    news: watch::Sender<u64>,
}

/// What is known of a server.
struct Seen {
    status: ServerStatus,
    tools: Arc<[McpTool]>,
    left_out: Arc<[LeftOut]>,
    line: Option<Line>,
}

/// Who is asked, and who is to blame when nobody answers.
type Line = (Peer<RoleClient>, Blame);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}

impl McpServers {
    /// The servers, none of them started. `environment` is what every program gets of the process's own.
    pub fn new(
        specs: Vec<ServerSpec>,
        client: GuardedClient,
        environment: Vec<(String, String)>,
        hooks: Hooks,
        patience: Patience,
    ) -> Self {
        let news = watch::Sender::new(0);
        let server = |spec: ServerSpec| {
            let status = if spec.disabled {
                ServerStatus::Disabled
            } else {
                ServerStatus::Connecting
            };
            Arc::new(Server {
                seen: Mutex::new(Seen {
                    status,
                    tools: Arc::default(),
                    left_out: Arc::default(),
                    line: None,
                }),
                spec,
                news: news.clone(),
            })
        };
        Self {
            servers: specs.into_iter().map(server).collect(),
            means: Arc::new(Means {
                client,
                environment: environment.into(),
                hooks,
                patience,
            }),
            news,
        }
    }

    /// Starts them all; returns at once. Called once.
    pub fn start(&self) {
        for server in self.servers.iter().filter(|server| !server.spec.disabled) {
            let work = Arc::clone(server).keep_connected(Arc::clone(&self.means));
            (self.means.hooks.spawn)(Box::pin(work));
        }
    }

    /// Rings whenever a server is ready, has other tools, or fails.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The tools that can be called now, by server in the file's order, then by name.
    pub fn tools(&self) -> Vec<McpTool> {
        let ready = |server: &Arc<Server>| {
            let seen = server.seen();
            let tools = (seen.status == ServerStatus::Ready).then(|| Arc::clone(&seen.tools));
            tools.unwrap_or_default().to_vec()
        };
        self.servers.iter().flat_map(ready).collect()
    }

    /// All servers, in the file's order.
    pub fn states(&self) -> Vec<ServerState> {
        self.servers.iter().map(|server| server.state()).collect()
    }

    /// The tool of this name and the server it belongs to, whether it can be called now or not.
    pub fn find(&self, full_name: &str) -> Option<(McpTool, ServerState)> {
        self.servers.iter().find_map(|server| {
            let state = server.state();
            let tool = state.tools.iter().find(|tool| &*tool.full_name == full_name).cloned();
            tool.map(|tool| (tool, state))
        })
    }

    /// Calls a tool. Dropped before its end, it tells the server that nobody waits any more.
    pub async fn call(&self, full_name: &str, arguments: Value, limit: Duration) -> Result<McpAnswer, McpError> {
        let unknown = || McpError::UnknownTool(full_name.to_owned());
        let (server, tool, line) = self
            .servers
            .iter()
            .find_map(|server| server.reach(full_name))
            .ok_or_else(unknown)?;
        let (peer, blame) = line.map_err(|reason| McpError::NotReady {
            server: server.spec.name.clone(),
            reason,
        })?;
        check_arguments(&tool.schema, &arguments).map_err(McpError::Arguments)?;
        let Value::Object(arguments) = arguments else {
            return Err(McpError::Arguments("they are no object".to_owned()));
        };
        let around = (server.spec.name.as_str(), &self.means.hooks);
        connection::call((&peer, &blame), around, &tool.name, arguments, limit).await
    }
}

impl Server {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> ServerState {
        let seen = self.seen();
        ServerState {
            name: self.spec.name.clone(),
            slug: self.spec.slug.clone(),
            status: seen.status.clone(),
            approval: self.spec.approval,
            trusted: self.spec.trusted,
            tools: Arc::clone(&seen.tools),
            left_out: Arc::clone(&seen.left_out),
        }
    }

    /// A tool of this name, and who is asked, or why nobody can be.
    fn reach(self: &Arc<Self>, full_name: &str) -> Option<(Arc<Self>, McpTool, Result<Line, String>)> {
        let seen = self.seen();
        let tool = seen.tools.iter().find(|tool| &*tool.full_name == full_name)?.clone();
        let line = match (&seen.status, &seen.line) {
            (ServerStatus::Ready, Some(line)) => Ok(line.clone()),
            (ServerStatus::Failed(reason), _) => Err(reason.clone()),
            (ServerStatus::Disabled, _) => Err("it is switched off".to_owned()),
            (ServerStatus::Connecting | ServerStatus::Ready, _) => Err("it is being connected".to_owned()),
        };
        Some((Arc::clone(self), tool, line))
    }

    fn ready(&self, catalog: Catalog, line: Line) {
        let (tools, left_out) = (catalog.tools.len(), catalog.left_out.len());
        {
            let mut seen = self.seen();
            seen.tools = catalog.tools.into();
            seen.left_out = catalog.left_out.into();
            seen.line = Some(line);
            seen.status = ServerStatus::Ready;
        }
        tracing::info!(mcp.server = self.spec.name, tools, left_out, "an MCP server is ready");
        self.news.send_modify(|count| *count += 1);
    }

    fn failed(&self, reason: String) {
        let mut seen = self.seen();
        seen.line = None;
        let failed = ServerStatus::Failed(reason);
        let news = seen.status != failed;
        seen.status = failed;
        if let (true, ServerStatus::Failed(reason)) = (news, &seen.status) {
            tracing::warn!(
                mcp.server = self.spec.name,
                reason,
                "an MCP server failed; it is tried again"
            );
        }
        drop(seen);
        self.news.send_modify(|count| *count += 1);
    }

    /// Connects, again and again, until the process ends.
    async fn keep_connected(self: Arc<Self>, means: Arc<Means>) {
        let stop = means.hooks.stop.clone();
        let mut pause = means.patience.retry;
        while !stop.is_cancelled() {
            let begun = Instant::now();
            // Not dropped on the way: it ends by itself when the process does.
            let reason = match self.connected(&means).await {
                Ok(reason) => reason,
                Err(error) => error.to_string(),
            };
            if stop.is_cancelled() {
                return;
            }
            if begun.elapsed() >= STEADY + means.patience.greeting {
                pause = means.patience.retry;
            }
            self.failed(reason);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(means.patience.longest_retry);
        }
    }

    /// One connection from its beginning to its end; the reason of the end.
    async fn connected(&self, means: &Means) -> Result<String, LinkError> {
        let over = means.hooks.stop.child_token();
        let _over = over.clone().drop_guard();
        let mut connection = Connection::open(&self.spec, means, over.clone()).await?;
        let (peer, blame) = (connection.peer(), connection.blame());
        let listed = connection::list(&peer, &self.spec, means.patience.list).await;
        let catalog = match listed {
            Ok(catalog) => catalog,
            Err(error) => {
                over.cancel();
                return connection.ended().await.ok_or(error);
            }
        };
        self.ready(catalog, (peer.clone(), blame.clone()));
        let (_closed, none) = tokio::sync::mpsc::channel(1);
        let mut changes = std::mem::replace(&mut connection.changes, none);
        let ended = connection.ended();
        tokio::pin!(ended);
        loop {
            let changed = tokio::select! {
                reason = &mut ended => return reason.ok_or(LinkError::Closed),
                changed = changes.recv() => changed.is_some(),
            };
            if !changed {
                return ended.await.ok_or(LinkError::Closed);
            }
            let relisted = tokio::select! {
                reason = &mut ended => return reason.ok_or(LinkError::Closed),
                relisted = self.list_again(&peer, means) => relisted,
            };
            match relisted {
                Ok(catalog) => self.ready(catalog, (peer.clone(), blame.clone())),
                Err(error) => {
                    over.cancel();
                    return ended.await.ok_or(error);
                }
            }
        }
    }

    async fn list_again(&self, peer: &Peer<RoleClient>, means: &Means) -> Result<Catalog, LinkError> {
        // Many changes in a row are one.
        tokio::time::sleep(LIST_EVERY).await;
        connection::list(peer, &self.spec, means.patience.list).await
    }
}

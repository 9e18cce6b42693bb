//! Servers as a test starts them, and waiting for what becomes of them.

use mira_mcp::{Hooks, McpAnswer, McpPart, McpServers, Patience, ServerState, ServerStatus, parse_config};
use mira_net::{Guard, GuardedClient, HostPort};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Far beyond anything a healthy peer needs.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The scripts.
pub fn script(name: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/mcp")).join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Where the gate installs the Python SDK.
fn python_packages() -> String {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools/mcp-python");
    let found = place.canonicalize();
    let found = found.expect("the Python SDK of MCP is not installed: `cargo xtask test test` installs it");
    found.to_str().unwrap().to_owned()
}

/// What the programs of these tests get of the environment.
pub fn environment() -> Vec<(String, String)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests: peers are found where the test runner finds them"
    )]
    let variable = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
    ["PATH", "HOME"].into_iter().filter_map(variable).collect()
}

pub fn python(arguments: &[&str]) -> Value {
    let mut args = vec![script("server.py")];
    args.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    json!({ "command": "python3", "args": args, "env": { "PYTHONPATH": python_packages() } })
}

pub fn node(arguments: &[&str]) -> Value {
    let modules = PathBuf::from(script("server.mjs")).with_file_name("node_modules");
    assert!(
        modules.exists(),
        "the TypeScript SDK of MCP is not installed: `cargo xtask test test` installs it"
    );
    let mut args = vec![script("server.mjs")];
    args.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    json!({ "command": "node", "args": args })
}

pub fn fault(name: &str) -> Value {
    json!({ "command": "python3", "args": [script("faults.py"), name] })
}

/// The words of an answer.
pub fn text(answer: &McpAnswer) -> String {
    let words = answer.parts.iter().filter_map(|part| match part {
        McpPart::Text(text) => Some(text.as_str()),
        McpPart::File(_) => None,
    });
    words.collect::<Vec<_>>().join("\n")
}

/// A peer that listens at an address of its own.
pub struct Listening {
    pub url: String,
    pub child: Child,
}

/// Starts a program of a configuration that prints its address.
pub async fn listening(program: &Value) -> Listening {
    let mut command = Command::new(program["command"].as_str().unwrap());
    for argument in program["args"].as_array().unwrap() {
        command.arg(argument.as_str().unwrap());
    }
    for (name, value) in program["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap());
    }
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    Listening { url, child }
}

/// Servers at work.
pub struct Rig {
    pub servers: McpServers,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Rig {
    /// Starts the servers of `mcpServers`; loopback may be reached.
    pub fn start(servers: &Value) -> Self {
        Self::with(
            servers,
            Patience {
                retry: Duration::from_millis(20),
                longest_retry: Duration::from_millis(100),
                ..Patience::default()
            },
        )
    }

    pub fn with(servers: &Value, patience: Patience) -> Self {
        let specs = parse_config(&json!({ "mcpServers": servers }).to_string(), &|_| None).unwrap();
        let client = GuardedClient::new(Guard::new(HostPort::parse_list("127.0.0.1").unwrap()));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let runner = tasks.clone();
        let hooks = Hooks {
            spawn: Arc::new(move |task| drop(runner.spawn(task))),
            stop: stop.clone(),
        };
        let servers = McpServers::new(specs, client, environment(), hooks, patience);
        servers.start();
        Self { servers, stop, tasks }
    }

    /// Waits until the only server is as wanted.
    pub async fn until(&self, wanted: impl Fn(&ServerState) -> bool) -> ServerState {
        let mut news = self.servers.news();
        loop {
            let state = self.servers.states().remove(0);
            if wanted(&state) {
                return state;
            }
            let waited = timeout(LIMIT, news.changed()).await;
            waited.unwrap_or_else(|_| panic!("it stays {state:?}")).unwrap();
        }
    }

    pub async fn ready(&self) -> ServerState {
        self.until(|state| state.status == ServerStatus::Ready).await
    }

    /// Waits until it has failed, and why.
    pub async fn failed(&self) -> String {
        let state = self
            .until(|state| matches!(state.status, ServerStatus::Failed(_)))
            .await;
        match state.status {
            ServerStatus::Failed(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// The words of an answer, or of the error.
    pub async fn call(&self, name: &str, arguments: Value) -> String {
        match self.servers.call(name, arguments, LIMIT).await {
            Ok(answer) => text(&answer),
            Err(error) => format!("error: {error}"),
        }
    }

    /// Ends everything; all tasks end by themselves.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        timeout(LIMIT, self.tasks.wait()).await.expect("a task does not end");
    }
}

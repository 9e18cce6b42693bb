//! The real server process: started with a data directory of its own on a free port, waited for by its ready line,
//! killed when dropped. Or the same server at another time ([`Setup::start_ahead`]).

use super::ahead::Ahead;
use jiff::SignedDuration;

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, mpsc},
    time::{Duration, Instant},
};

/// Far beyond anything a healthy server needs; a test that waits this long has failed.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_mira-backend");

/// Lines a process has written so far.
#[derive(Default)]
pub struct Lines {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Lines {
    /// Collects from a pipe, in a thread of its own.
    fn collect(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                sink.lines.lock().unwrap().push(line);
                sink.more.notify_all();
            }
        });
        lines
    }

    /// Waits for a line that holds `part`.
    pub fn wait_for(&self, part: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line with {part:?} in {lines:#?}");
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

/// How a server (or a command) is to be started.
pub struct Setup {
    data: Arc<tempfile::TempDir>,
    envs: Vec<(String, String)>,
}

impl Setup {
    /// On a fresh data directory.
    pub fn new() -> Self {
        Self {
            data: Arc::new(tempfile::tempdir().unwrap()),
            envs: Vec::new(),
        }
    }

    /// With a variable set.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.envs.push((name.to_owned(), value.into()));
        self
    }

    /// Sets a variable of whatever is started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.envs.push((name.to_owned(), value.to_owned()));
    }

    /// The working directory; the data directory is `data` below it.
    pub fn dir(&self) -> &Path {
        self.data.path()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// All variables; of a name that is there twice the last counts.
    fn variables(&self) -> Vec<(&str, &str)> {
        let envs = self.envs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Proving the box takes the processor from whatever else is tested; who wants it says so.
        [("MIRA_PORT", "0"), ("ENABLE_CODE_INTERPRETER", "false")]
            .into_iter()
            .chain(envs)
            .collect()
    }

    /// A command in this environment, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.dir()).env_clear();
        command.env("MIRA_DATA_DIR", self.data_dir()).envs(self.variables());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output without the last line end.
    pub fn say(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&self) -> Server {
        self.start_command(self.command(&[]))
    }

    /// Starts the same server in this process, by a clock that is ahead: nothing but its time can be given to the real
    /// one. Its port is open at once.
    pub fn start_ahead(&self, by: SignedDuration) -> Server {
        let data_dir = self.data_dir();
        let mut variables = self.variables();
        variables.push(("MIRA_DATA_DIR", data_dir.to_str().unwrap()));
        let (ahead, address) = Ahead::start(&variables, by);
        Server {
            life: Life::Here(ahead),
            base: format!("http://{address}"),
            address,
            data: Arc::clone(&self.data),
            stderr: Arc::default(),
            stdout_rest: Arc::default(),
        }
    }

    /// The same through a shell that first does something to the process the server becomes.
    pub fn start_after(&self, shell: &str) -> Server {
        let direct = self.command(&[]);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{shell}; exec \"$0\""), BINARY]);
        command.current_dir(self.dir()).env_clear();
        command.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.start_command(command)
    }

    fn start_command(&self, mut command: Command) -> Server {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Lines::collect(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (told, ready) = mpsc::sync_channel(1);
        let rest = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&rest);
        std::thread::spawn(move || {
            let mut line = String::new();
            if stdout.read_line(&mut line).is_ok() && told.send(line).is_ok() {
                let mut text = String::new();
                if stdout.read_to_string(&mut text).is_ok() {
                    sink.lock().unwrap().push_str(&text);
                }
            }
        });
        let line = ready.recv_timeout(LIMIT).unwrap_or_default();
        let base = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
        let Some(base) = base else {
            child.kill().unwrap();
            panic!("no ready line but {line:?}; {:#?}", stderr.all());
        };
        let address = base.strip_prefix("http://").unwrap().parse().unwrap();
        Server {
            life: Life::Process(child),
            base,
            address,
            data: Arc::clone(&self.data),
            stderr,
            stdout_rest: rest,
        }
    }
}

/// What runs it.
enum Life {
    Process(Child),
    Here(Ahead),
}

/// A running server.
pub struct Server {
    life: Life,
    /// `http://HOST:PORT`.
    pub base: String,
    /// Where it listens.
    pub address: SocketAddr,
    data: Arc<tempfile::TempDir>,
    /// What it logs.
    pub stderr: Arc<Lines>,
    stdout_rest: Arc<Mutex<String>>,
}

impl Server {
    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The owner's token.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data.path().join("data/token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        match &self.life {
            Life::Process(child) => child.id(),
            Life::Here(_) => panic!("a server of this very process"),
        }
    }

    /// Sends a signal by name (`TERM`, `INT`, `KILL`).
    pub fn signal(&self, name: &str) {
        let signal = match name {
            "TERM" => rustix::process::Signal::TERM,
            "INT" => rustix::process::Signal::INT,
            "KILL" => rustix::process::Signal::KILL,
            other => panic!("{other}"),
        };
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> ExitStatus {
        let Life::Process(child) = &mut self.life else {
            panic!("a server of this very process");
        };
        let deadline = Instant::now() + LIMIT;
        let (told, ended) = mpsc::sync_channel::<()>(1);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                drop(told);
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the server does not end: {:#?}",
                self.stderr.all()
            );
            // Nothing is ever sent: this is only a pause between two looks at a process.
            assert!(ended.recv_timeout(Duration::from_millis(10)).is_err());
        }
    }

    /// What came on standard output after the ready line; only meaningful once the process has ended.
    pub fn stdout_rest(&self) -> String {
        self.stdout_rest.lock().unwrap().clone()
    }

    /// A client that follows nothing and keeps no cookies.
    pub fn client() -> reqwest::Client {
        // An error means that another test was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        builder.tls_certs_only([]).timeout(LIMIT).build().unwrap()
    }

    /// A GET with the owner's token.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        Self::client()
            .get(self.url(path))
            .bearer_auth(self.token())
            .send()
            .await
            .unwrap()
    }

    /// A POST of JSON with the owner's token.
    pub async fn post(&self, path: &str, body: serde_json::Value) -> reqwest::Response {
        let request = Self::client().post(self.url(path)).bearer_auth(self.token());
        request
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.life {
            Life::Process(child) => {
                // It may have ended already.
                child.kill().unwrap_or_default();
                child.wait().map(drop).unwrap_or_default();
            }
            Life::Here(ahead) => ahead.end(),
        }
    }
}

/// A body as JSON.
pub async fn json(response: reqwest::Response) -> serde_json::Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Checks that a response is a problem of this status and kind, with its request id, and answers it.
pub async fn problem(response: reqwest::Response, status: u16, slug: &str) -> serde_json::Value {
    assert_eq!(response.status().as_u16(), status, "{response:?}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = json(response).await;
    assert_eq!(body["type"], format!("urn:mira:problem:{slug}"));
    assert_eq!(body["status"], status);
    assert_eq!(body["instance"], id);
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    body
}

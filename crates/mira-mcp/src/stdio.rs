//! A server that is a program: one message a line over its standard input and output. It runs in a process group of its
//! own, with no more of the environment than it is given, and the whole group ends with the connection.

use crate::{
    config::Program,
    error::{LinkError, tame},
    lines::{Line, Lines},
    link::{Blame, Gauge, Heard, Hooks, Received, Sent, hear, too_large},
};
use rmcp::{RoleClient, transport::Transport};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{future::Future, process::Stdio as Pipe, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages that wait to be written: as many calls as run at once, and their cancellations.
const OUTBOX: usize = 64;
/// For a program to read a message it is sent.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// After so many lines that are no messages, what is talked to is no MCP server. A few are banners.
const MOST_NONSENSE: u32 = 100;
/// For a killed program to be gone.
const REAP_LIMIT: Duration = Duration::from_secs(2);

/// The longest line of a program's standard error that is logged, in bytes.
const LOGGED_BYTES: usize = 1024;
/// So many lines of it are logged in one [`LOG_PERIOD`].
const LOGGED_LINES: u32 = 20;
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// The connection to a program.
pub(crate) struct Stdio {
    group: Group,
    stdout: BufReader<ChildStdout>,
    lines: Lines,
    outbox: mpsc::Sender<Letter>,
    gauge: Gauge,
    nonsense: u32,
    blame: Blame,
    ending: Duration,
    _log: DropGuard,
}

/// A message on its way.
struct Letter {
    line: Vec<u8>,
    written: oneshot::Sender<Result<(), LinkError>>,
}

/// A child and all it started.
struct Group(Option<Child>);

impl Group {
    fn kill(&self) {
        let pid = self
            .0
            .as_ref()
            .and_then(Child::id)
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // An error means that all of them are gone. The child has not been waited for, so the number is still theirs.
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
        }
    }

    async fn end(&mut self) {
        self.kill();
        if let Some(mut child) = self.0.take() {
            // Whatever is left of it, the runtime waits for it when it is dropped.
            drop(timeout(REAP_LIMIT, child.wait()).await);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Stdio {
    /// Starts the program. `environment` is what every program gets.
    pub fn start(
        program: &Program,
        environment: &[(String, String)],
        server: &str,
        (hooks, blame, ending): (&Hooks, Blame, Duration),
    ) -> Result<Self, LinkError> {
        let mut command = Command::new(&program.command);
        command
            .args(&program.args)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .stderr(Pipe::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(cwd) = &program.cwd {
            command.current_dir(cwd);
        }
        let mut child = command.spawn().map_err(LinkError::Start)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let group = Group(Some(child));
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(LinkError::Closed);
        };
        let (outbox, letters) = mpsc::channel(OUTBOX);
        (hooks.spawn)(Box::pin(write(stdin, letters)));
        let ended = CancellationToken::new();
        let (log, server) = (ended.clone(), server.to_owned());
        (hooks.spawn)(Box::pin(async move {
            tokio::select! {
                () = log_lines(stderr, &server) => {}
                () = log.cancelled() => {}
            }
        }));
        Ok(Self {
            group,
            stdout: BufReader::new(stdout),
            lines: Lines::default(),
            outbox,
            gauge: Gauge::new(),
            nonsense: 0,
            blame,
            ending,
            _log: ended.drop_guard(),
        })
    }

    /// The next message. May be dropped at any await: what was read so far is kept.
    async fn next(&mut self) -> Result<Received, LinkError> {
        loop {
            let line = match self.lines.next(&mut self.stdout).await? {
                Line::Whole(line) => line,
                Line::TooLong(Some(id)) => {
                    self.gauge.count()?;
                    return Ok(too_large(id));
                }
                // Nobody waits for it: a log, or a question that is not answered anyway.
                Line::TooLong(None) => {
                    self.gauge.count()?;
                    continue;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.gauge.count()?;
            match hear(&line) {
                Heard::Message(message) => return Ok(*message),
                Heard::Unneeded => {}
                Heard::Nonsense => {
                    self.nonsense += 1;
                    if self.nonsense > MOST_NONSENSE {
                        return Err(LinkError::Nonsense);
                    }
                }
            }
        }
    }
}

impl Transport<RoleClient> for Stdio {
    type Error = LinkError;

    fn send(&mut self, message: Sent) -> impl Future<Output = Result<(), LinkError>> + Send + 'static {
        let outbox = self.outbox.clone();
        async move {
            let mut line = serde_json::to_vec(&message).map_err(|_| LinkError::Closed)?;
            line.push(b'\n');
            let (written, told) = oneshot::channel();
            outbox
                .send(Letter { line, written })
                .await
                .map_err(|_| LinkError::Ended)?;
            told.await.map_err(|_| LinkError::Ended)?
        }
    }

    async fn receive(&mut self) -> Option<Received> {
        let outbox = self.outbox.clone();
        let heard = tokio::select! {
            biased;
            heard = self.next() => heard,
            // The writer gave up.
            () = outbox.closed() => Err(LinkError::Deaf),
        };
        heard.map_err(|error| self.blame.set(&error)).ok()
    }

    /// Asks the program to end by closing its input, and ends what is left.
    async fn close(&mut self) -> Result<(), LinkError> {
        let (closed, _) = mpsc::channel(1);
        self.outbox = closed;
        let last = async { while self.lines.next(&mut self.stdout).await.is_ok() {} };
        // Whether it ended or not, it ends now.
        timeout(self.ending, last).await.unwrap_or_default();
        self.group.end().await;
        Ok(())
    }
}

/// Writes messages until nobody sends any more.
async fn write(mut stdin: ChildStdin, mut letters: mpsc::Receiver<Letter>) {
    while let Some(Letter { line, written }) = letters.recv().await {
        let writing = async {
            stdin.write_all(&line).await?;
            stdin.flush().await
        };
        let outcome = match timeout(WRITE_LIMIT, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(LinkError::Pipe(error)),
            Err(_) => Err(LinkError::Deaf),
        };
        let broken = outcome.is_err();
        // Nobody may wait any more.
        drop(written.send(outcome));
        if broken {
            return;
        }
    }
}

/// Logs what a program writes to its standard error, as far as it keeps within bounds.
async fn log_lines(stderr: impl AsyncRead + Unpin, server: &str) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    let (mut since, mut count) = (Instant::now(), 0_u32);
    loop {
        let Ok(ready) = reader.fill_buf().await else { return };
        if ready.is_empty() {
            return;
        }
        let mut parts = ready.splitn(2, |byte| *byte == b'\n');
        let taken = parts.next().unwrap_or_default();
        let whole = parts.next().is_some();
        let room = LOGGED_BYTES.saturating_sub(line.len());
        line.extend_from_slice(taken.get(..room.min(taken.len())).unwrap_or_default());
        let consumed = taken.len() + usize::from(whole);
        reader.consume(consumed);
        if !whole {
            continue;
        }
        let text = std::mem::take(&mut line);
        if since.elapsed() >= LOG_PERIOD {
            if count > LOGGED_LINES {
                tracing::info!(
                    mcp.server = server,
                    lines = count - LOGGED_LINES,
                    "more lines were left out"
                );
            }
            (since, count) = (Instant::now(), 0);
        }
        count = count.saturating_add(1);
        if count <= LOGGED_LINES {
            tracing::info!(mcp.server = server, "says: {}", tame(&String::from_utf8_lossy(&text)));
        }
    }
}

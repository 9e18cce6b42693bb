//! A server process under test: started with an empty environment, asked over a socket, ended with SIGTERM, and never
//! left behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{command, visible};

/// A debug build on a busy machine needs some seconds; a minute means it hangs.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The default grace is 10 s; nothing is going on, so this is plenty.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a single answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    /// The port it says it listens on.
    pub port: u16,
    child: Child,
    stdout: Receiver<String>,
    log: PathBuf,
}

impl Server {
    /// Starts in `dir` with this environment and a free port, and waits for the ready line.
    pub fn start(binary: &Path, dir: &Path, env: &[(&str, &str)]) -> Result<Self> {
        let log = dir.join("stderr.log");
        let mut child = Command::new(binary)
            .current_dir(dir)
            .env_clear()
            .env("MIRA_PORT", "0")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = lines(child.stdout.take().context("no stdout")?);
        let mut server = Self {
            port: 0,
            child,
            stdout,
            log,
        };
        let ready = server
            .stdout
            .recv_timeout(START_TIMEOUT)
            .map_err(|_| server.failure("it printed no ready line"))?;
        let port = ready
            .strip_prefix("listening on http://")
            .and_then(|address| address.rsplit_once(':')?.1.parse().ok());
        server.port = port.with_context(|| format!("not a ready line: {ready}"))?;
        Ok(server)
    }

    /// One request; the whole answer as text.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            self.port
        )?;
        let mut answer = String::new();
        socket
            .read_to_string(&mut answer)
            .map_err(|error| self.failure(&format!("{path}: {error}")))?;
        Ok(answer)
    }

    /// SIGTERM, then a clean end: exit code 0 and nothing more on stdout.
    pub fn stop(mut self) -> Result<()> {
        visible(command("kill").args(["-TERM", &self.child.id().to_string()]))?;
        match self.stdout.recv_timeout(STOP_TIMEOUT) {
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => bail!(self.failure("it did not end after SIGTERM")),
            Ok(line) => bail!("a second line on stdout: {line}"),
        }
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            self.failure(&format!("after SIGTERM it ended with {status}"))
        );
        Ok(())
    }

    fn failure(&self, says: &str) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        anyhow::anyhow!("mira-backend: {says}; its stderr:\n{log}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has already ended, which is what is wanted.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// The lines of a stream; the channel closes when the stream does.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    // One line is expected; a second one waits to be found.
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;

    /// Starts a shell script in place of the server and says how start and stop went.
    fn check(name: &str, script: &str, expect: &str) {
        let dir = repo::scratch(name).unwrap();
        let (text, program) = (dir.join("script"), dir.join("server"));
        fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Another process writes the program: a test that starts a child just now would hand it our open file, and
        // Linux starts no program that somebody may still write ("text file busy").
        visible(command("install").arg(&text).arg(&program)).unwrap();
        let outcome = Server::start(&program, &dir, &[("NAME", "value")]).and_then(|server| {
            assert_eq!(server.port, 4711);
            server.stop()
        });
        let says = outcome.map_or_else(|error| error.to_string(), |()| "well".to_owned());
        assert!(says.starts_with(expect), "{says}");
    }

    const READY: &str = "echo listening on http://127.0.0.1:4711";
    /// `sleep` and `kill` by their paths: the environment is empty.
    const WAIT: &str = "while :; do /bin/sleep 0.05; done";

    #[test]
    fn start_and_stop_tell_well_from_ill() {
        check("server-well", &format!("trap 'exit 0' TERM; {READY}; {WAIT}"), "well");
        check(
            "server-env",
            &format!("trap 'exit 0' TERM; [ $NAME$MIRA_PORT = value0 ] && {READY}; {WAIT}"),
            "well",
        );
        check(
            "server-dies",
            "echo no room >&2; exit 1",
            "mira-backend: it printed no ready line; its stderr:\nno room",
        );
        check("server-line", "echo hello", "not a ready line: hello");
        check(
            "server-code",
            &format!("trap 'exit 3' TERM; {READY}; {WAIT}"),
            "mira-backend: after SIGTERM it ended with exit status: 3",
        );
        check(
            "server-chat",
            &format!("trap 'echo bye; exit 0' TERM; {READY}; {WAIT}"),
            "a second line on stdout: bye",
        );
    }
}

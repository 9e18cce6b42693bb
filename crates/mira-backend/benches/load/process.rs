//! The server as a process: started, stopped, killed, and what `/proc` says of it.

use crate::{Outcome, sim};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The owner's token in every run.
pub const TOKEN: &str = "load-driver-owner-token-0123456789abcdef";
/// Ticks per second of the times in `/proc/PID/stat`; the kernel gives them so on every common machine.
const USER_HZ: f64 = 100.0;
/// How long the server may take to end when asked.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How a server is started.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Its data directory.
    pub data_dir: &'a Path,
    /// Where its model listens.
    pub model: SocketAddr,
    /// `full` or `normal`.
    pub durability: &'a str,
}

impl Setup<'_> {
    /// A command of the binary with this setup.
    pub fn command(&self, arguments: &[&str]) -> Outcome<Command> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mira-backend"));
        command
            .args(arguments)
            .env_clear()
            .env("MIRA_PORT", "0")
            .env("MIRA_DATA_DIR", self.data_dir)
            .env("MIRA_AUTH_TOKEN", TOKEN)
            .env("MIRA_DURABILITY", self.durability)
            .env("MIRA_LLM_API", "responses")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.model))
            .env("OPENAI_API_KEY", sim::KEY)
            .current_dir(self.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(self.data_dir.join("log"))?,
            );
        Ok(command)
    }
}

/// A running server.
pub struct Mira {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// From the start of the process to its ready line.
    pub ready_after: Duration,
}

impl Mira {
    /// Starts it and waits until it is ready.
    pub fn start(setup: &Setup<'_>) -> Outcome<Self> {
        Self::start_as(setup.command(&["serve"])?, setup)
    }

    /// Starts it by a command that was made of the setup, and changed.
    pub fn start_as(mut command: Command, setup: &Setup<'_>) -> Outcome<Self> {
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let ready_after = begun.elapsed();
        let addr = line
            .trim()
            .strip_prefix("listening on http://")
            .and_then(|addr| addr.parse().ok());
        if let Some(addr) = addr {
            return Ok(Self {
                child,
                addr,
                ready_after,
            });
        }
        drop(child.kill());
        child.wait()?;
        let log = fs::read_to_string(setup.data_dir.join("log")).unwrap_or_default();
        Err(format!("the server did not start:\n{log}").into())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits until it has.
    pub async fn stop(mut self) -> Outcome<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        let begun = Instant::now();
        while begun.elapsed() < STOP_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("the server ended with {status}").into())
                };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the server did not end when asked".into())
    }

    /// Ends it as a power cut of the process would.
    pub fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Mira {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processor time a process has used, all threads, system time included; exact to 10 ms.
pub fn cpu_ms(pid: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th fields after it.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat cannot be read")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap_or(0.0))
        .sum();
    Ok(ticks * 1e3 / USER_HZ)
}

/// Memory of a process that is resident, in KiB.
pub fn rss_kib(pid: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

//! ssh, by the `ssh` program with fixed arguments: no configuration of the machine's user, no forwarding, no other command
//! than git's two, host keys pinned in a file of ours. It connects to the address the guard has checked; the name serves
//! as the host key's alias. Ends with the exchange: a child that is not read any more is killed.

use super::{
    credentials::{Credentials, KEY, PASSPHRASE},
    exchange::Exchange,
    url::{Place, SshPlace},
};
use crate::error::{GitError, Missing};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use mira_net::Host;
use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// What ssh says is kept up to this size.
const SAID_BYTES: usize = 4096;
/// What of it an error shows.
const SHOWN_CHARS: usize = 200;
/// How long a child that has closed its output may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Where programs are found; the rest of the environment is not passed on.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin";

/// The transport of one connection.
pub(crate) struct SshTransport {
    exchange: Arc<Exchange>,
}

impl SshTransport {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }

    fn open(&self, service: &str) -> Result<Talk, GitError> {
        let exchange = &self.exchange;
        let Place::Ssh(place) = exchange.url.place() else {
            return Err(GitError::Unusable("this is no ssh address"));
        };
        let host = place.host();
        let target = exchange.wait(exchange.client.guard().resolve(&host, place.port))??;
        let address = target.addresses.first().ok_or(GitError::Broken)?;
        let mut command = Command::new("ssh");
        command
            .args(arguments(place, exchange)?)
            .arg("--")
            .arg(address.ip().to_string())
            .arg(format!("{service} {}", quoted(&place.path)))
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        lend_keys(&mut command, exchange)?;
        let _inside = exchange.runtime.enter();
        let mut child = command.spawn().map_err(GitError::io("starting ssh"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Talk {
            exchange: Arc::clone(exchange),
            child,
            input: input.ok_or(GitError::Broken)?,
            output: output.ok_or(GitError::Broken)?,
            heard: false,
        })
    }
}

/// Options that do not depend on the attachment.
const FIXED: &[&str] = &[
    "StrictHostKeyChecking=accept-new",
    "GlobalKnownHostsFile=/dev/null",
    "HashKnownHosts=no",
    "CheckHostIP=no",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ControlMaster=no",
    "ControlPath=none",
    "RequestTTY=no",
    "EscapeChar=none",
    "LogLevel=ERROR",
    "PreferredAuthentications=publickey",
    "NumberOfPasswordPrompts=1",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
];

fn arguments(place: &SshPlace, exchange: &Exchange) -> Result<Vec<String>, GitError> {
    let mut options: Vec<String> = FIXED.iter().map(|option| (*option).to_owned()).collect();
    options.push(format!("UserKnownHostsFile=\"{}\"", plain(&exchange.ssh.known_hosts)?));
    options.push(format!("HostKeyAlias={}", alias(place)));
    let mut arguments = ["-T", "-F", "none", "-p"].map(str::to_owned).to_vec();
    arguments.push(place.port.to_string());
    match &exchange.credentials {
        Credentials::SshKey { passphrase, .. } => {
            options.push("IdentitiesOnly=yes".to_owned());
            options.push("IdentityAgent=none".to_owned());
            arguments.push("-i".to_owned());
            arguments.push(plain(&exchange.ssh.secrets.join(KEY))?);
            // In batch mode ssh does not even ask the program that knows the passphrase.
            let batch = if passphrase.is_some() { "no" } else { "yes" };
            options.push(format!("BatchMode={batch}"));
        }
        Credentials::None => {
            options.push("IdentityFile=none".to_owned());
            options.push("BatchMode=yes".to_owned());
        }
        Credentials::Token { .. } | Credentials::Password { .. } => {
            return Err(GitError::Unusable(
                "an ssh address takes a key, not a token or password",
            ));
        }
    }
    if let Some(user) = &place.user {
        arguments.push("-l".to_owned());
        arguments.push(user.clone());
    }
    for option in options {
        arguments.push("-o".to_owned());
        arguments.push(option);
    }
    Ok(arguments)
}

/// The name under which the host's key is known; the port is part of it, as in ssh's own files.
fn alias(place: &SshPlace) -> String {
    let host = match &place.host {
        Host::Domain(name) => name.clone(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    if place.port == 22 {
        host
    } else {
        format!("[{host}]:{}", place.port)
    }
}

/// A path as ssh's options take it: `%` begins a placeholder there.
fn plain(path: &Path) -> Result<String, GitError> {
    let text = path.to_str().filter(|text| !text.contains(['"', '\n', '\\', '$']));
    let text = text.ok_or(GitError::Unusable("ssh cannot be told a path with such characters"))?;
    Ok(text.replace('%', "%%"))
}

/// Gives the child what it needs to prove who it is: the passphrase through a file, or the owner's agent.
fn lend_keys(command: &mut Command, exchange: &Exchange) -> Result<(), GitError> {
    match &exchange.credentials {
        Credentials::SshKey {
            passphrase: Some(_), ..
        } => {
            command
                .env("SSH_ASKPASS", askpass(&exchange.ssh.secrets)?)
                .env("SSH_ASKPASS_REQUIRE", "force")
                // Older versions ask the program only where they believe in a display.
                .env("DISPLAY", "none")
                .env("MIRA_PASSPHRASE", exchange.ssh.secrets.join(PASSPHRASE));
        }
        Credentials::None => {
            if let Some(agent) = &exchange.ssh.agent {
                command.env("SSH_AUTH_SOCK", agent);
            }
        }
        Credentials::SshKey { passphrase: None, .. } | Credentials::Token { .. } | Credentials::Password { .. } => {}
    }
    Ok(())
}

/// The program ssh asks for the passphrase: it prints the file that holds it, and contains no secret itself.
fn askpass(folder: &Path) -> Result<PathBuf, GitError> {
    let path = folder.join("askpass");
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o700)
        .open(&path)
        .and_then(|mut file| file.write_all(b"#!/bin/sh\nexec cat -- \"$MIRA_PASSPHRASE\"\n"));
    made.map_err(GitError::io("preparing ssh"))?;
    Ok(path)
}

/// For the shell at the other end.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

impl SmartSubtransport for SshTransport {
    fn action(&self, _: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let service = match action {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        match self.open(service) {
            Ok(talk) => Ok(Box::new(talk)),
            Err(error) => Err(git2::Error::from_str(&self.exchange.stop(error).to_string())),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// A running `ssh`.
struct Talk {
    exchange: Arc<Exchange>,
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// Whether anything came from the other side.
    heard: bool,
}

impl Talk {
    /// Why the child has nothing (more) to say.
    fn ended(&mut self) -> GitError {
        let host = self.exchange.url.host();
        let last_words = async {
            let mut said = Vec::new();
            if let Some(stderr) = &mut self.child.stderr {
                let mut stderr = stderr.take(SAID_BYTES as u64);
                let reading = stderr.read_to_end(&mut said);
                if !matches!(timeout(LAST_WORDS, reading).await, Ok(Ok(_))) {
                    tracing::debug!("ssh ends without a word");
                }
            }
            String::from_utf8_lossy(&said).into_owned()
        };
        match self.exchange.wait(last_words) {
            Ok(said) => judged(host, &said),
            Err(error) => error,
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, GitError> {
        let read = self.exchange.wait(self.output.read(buffer))?;
        let length = read.map_err(GitError::io("reading from ssh"))?;
        self.exchange.arrived(buffer.get(..length).unwrap_or_default())?;
        if length == 0 && !self.heard {
            return Err(self.ended());
        }
        self.heard = true;
        Ok(length)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GitError> {
        let wrote = self.exchange.wait(async {
            self.input.write_all(bytes).await?;
            self.input.flush().await
        })?;
        wrote.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => self.ended(),
            _ => GitError::io("writing to ssh")(error),
        })
    }
}

/// What ssh's or the remote's last words mean.
fn judged(host: String, said: &str) -> GitError {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
        return GitError::HostKey { host };
    }
    if has(&[
        "Permission denied",
        "Too many authentication failures",
        "no mutual signature",
    ]) {
        return GitError::Unauthorized { host, known: true };
    }
    if has(&[
        "does not appear to be a git repository",
        "epository not found",
        "could not be found",
        "does not exist",
    ]) {
        return GitError::NotFound(Missing::Remote);
    }
    let line: String = said
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("ssh ended without a word")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(SHOWN_CHARS)
        .collect();
    GitError::Unreachable { host, why: line }
}

impl Read for Talk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer).map_err(|error| self.exchange.stop(error))
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(|error| self.exchange.stop(error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_for_a_shell() {
        for path in ["/a/b.git", "a b", "it's", "$(id)", "`id`", "a!b", "~me/x", "';id;'"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(path))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
        }
    }

    #[test]
    fn last_words_are_understood() {
        let check = |said: &str, expect: fn(&GitError) -> bool| {
            let error = judged("h".to_owned(), said);
            assert!(expect(&error), "{said}: {error:?}");
        };
        check("git@h: Permission denied (publickey).\r\n", |e| {
            matches!(e, GitError::Unauthorized { .. })
        });
        check(
            "@@@\nWARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
            |e| matches!(e, GitError::HostKey { .. }),
        );
        check("fatal: '/x' does not appear to be a git repository", |e| {
            matches!(e, GitError::NotFound(Missing::Remote))
        });
        check(
            "ssh: connect to host 1.2.3.4 port 22: Connection refused\r\n\n",
            |e| matches!(e, GitError::Unreachable { why, .. } if why.ends_with("Connection refused")),
        );
        check("", |e| matches!(e, GitError::Unreachable { .. }));
    }
}

//! The text of documents, which strangers may have made to break whoever reads them: read by this program in a process of
//! its own ([`crate::cli`], `read-document`) that has limits on memory, time and files, writes nothing, and is killed
//! when it takes too long or nobody waits for it any more.

use bytes::Bytes;
use mira_docs::{Document, Heading, Kind, Part};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::{os::unix::process::ExitStatusExt, path::PathBuf, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    fs::File,
    io::{self, AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

/// The most of a document that is read, in bytes.
pub const MOST_INPUT: u64 = super::MOST_BYTES;
/// Says that a page is in UTF-8.
pub const HTML: char = '\u{feff}';
/// The longest answer.
const MOST_OUTPUT: u64 = 64 * 1024 * 1024;
/// How long one document may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// So many are read at once.
const AT_ONCE: usize = 2;
/// Signals of those outside.
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();
const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();
const SIGINT: i32 = rustix::process::Signal::INT.as_raw();
/// This program, whatever became of its file.
const PROGRAM: &str = "/proc/self/exe";

/// A document to read.
#[derive(Debug)]
pub enum Source {
    /// In memory.
    Bytes(Bytes),
    /// On disk.
    Path(PathBuf),
}

/// What is wanted of it.
#[derive(Debug, Clone)]
pub enum Mode {
    /// Its text.
    Read,
    /// What there is to read on a web page in UTF-8.
    Readable {
        /// The page's address.
        base: Option<Url>,
    },
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The document.
    #[error("{0}")]
    Document(String),
    /// It broke whoever read it, as it would again.
    #[error("reading it took too much memory or time, or broke the reader")]
    Broke,
    /// Somebody ended whoever read it: the system, for want of memory, or a person.
    #[error("reading it was cut off")]
    Ended,
    /// It took too long.
    #[error("reading it took longer than {} seconds", PATIENCE.as_secs())]
    Slow,
    /// No process could be started, or the file could not be read.
    #[error("it could not be read: {0}")]
    Io(#[from] io::Error),
}

impl ExtractError {
    /// Whether another try may do better.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Document(_) | Self::Broke => false,
            Self::Ended | Self::Slow | Self::Io(_) => true,
        }
    }
}

/// What the other process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The text.
    Read {
        /// The title the document gives itself.
        title: Option<String>,
        /// Its parts.
        parts: Vec<Piece>,
        /// Whether there was more.
        truncated: bool,
    },
    /// Why there is none.
    Failed(String),
}

/// Page, text, and where its headings begin and end and how deep they stand.
#[derive(Debug, Serialize, Deserialize)]
pub struct Piece(Option<u32>, String, Vec<(usize, usize, u8)>);

impl From<Part> for Piece {
    fn from(part: Part) -> Self {
        let headings = part.headings.into_iter();
        let headings = headings.map(|Heading { range, level }| (range.start, range.end, level));
        Self(part.page, part.text, headings.collect())
    }
}

impl From<Piece> for Part {
    fn from(Piece(page, text, headings): Piece) -> Self {
        let headings = headings.into_iter().map(|(start, end, level)| Heading {
            range: start..end,
            level,
        });
        Self {
            page,
            text,
            headings: headings.collect(),
        }
    }
}

/// Reads documents. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Extractor {
    room: Arc<Semaphore>,
}

impl Default for Extractor {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Extractor {
    /// The text of a document. Dropped before its end, the reading ends too.
    pub async fn extract(&self, kind: Kind, source: Source, mode: Mode) -> Result<Document, ExtractError> {
        // Never closed; without a permit it would only run at once.
        let _permit = self.room.acquire().await.ok();
        match timeout(PATIENCE, read(kind, source, mode)).await {
            Ok(read) => read,
            Err(_) => Err(ExtractError::Slow),
        }
    }
}

async fn read(kind: Kind, source: Source, mode: Mode) -> Result<Document, ExtractError> {
    let mut command = Command::new(PROGRAM);
    command.args(["read-document", "--kind", kind.as_str()]);
    if let Mode::Readable { base } = mode {
        command.arg("--readable");
        if let Some(base) = base {
            command.arg(format!("--base={base}"));
        }
    }
    let mut child = command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        // What ends Mira from a terminal is hers to pass on.
        .process_group(0)
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (given, heard) = tokio::join!(give(stdin, source), hear(stdout));
    let ended = child.wait().await?;
    // A reader that breaks stops listening, too; then what it broke of is the news.
    let answer = match given {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        Ok(()) | Err(_) => heard?,
    };
    match (ended.code(), ended.signal()) {
        (Some(0), _) => {}
        // It could not take its limits, hear or answer; or was killed, which no limit of its own does.
        (Some(1), _) | (_, Some(SIGKILL | SIGTERM | SIGINT)) => return Err(ExtractError::Ended),
        _ => return Err(ExtractError::Broke),
    }
    match serde_json::from_slice(&answer) {
        Ok(Answer::Read {
            title,
            parts,
            truncated,
        }) => Ok(Document {
            title,
            parts: parts.into_iter().map(Part::from).collect(),
            truncated,
        }),
        Ok(Answer::Failed(why)) => Err(ExtractError::Document(why)),
        Err(_) => Err(ExtractError::Broke),
    }
}

async fn give(stdin: Option<ChildStdin>, source: Source) -> io::Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    match source {
        Source::Bytes(bytes) => stdin.write_all(&bytes).await?,
        Source::Path(path) => {
            io::copy(&mut File::open(path).await?, &mut stdin).await?;
        }
    }
    stdin.shutdown().await
}

async fn hear(stdout: Option<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(MOST_OUTPUT).read_to_end(&mut answer).await?;
    }
    Ok(answer)
}

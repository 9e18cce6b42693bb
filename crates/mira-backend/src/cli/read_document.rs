//! `read-document`: the text of a document that may be hostile, read in a process of its own with limits on memory, time
//! and files. For Mira herself; see `services::files::extract`. Needs no configuration and writes no file.

use super::{CliError, say};
use crate::services::files::extract::{Answer, HTML, MOST_INPUT, Piece};
use clap::Args;
use mira_docs::{Kind, Limits};
use reqwest::Url;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    io::{self, Read},
    process::ExitCode,
};

/// What the process may take: memory, seconds of a processor, files it may write (none) and keep open. Over its seconds
/// it is told so by a signal of its own, a while before the system kills it.
const MOST: [(Resource, u64); 5] = [
    (Resource::As, 2 * 1024 * 1024 * 1024),
    (Resource::Cpu, 60),
    (Resource::Fsize, 0),
    (Resource::Core, 0),
    (Resource::Nofile, 16),
];

/// What has a text.
const KINDS: [Kind; 7] = [
    Kind::Text,
    Kind::Markdown,
    Kind::Html,
    Kind::Pdf,
    Kind::Docx,
    Kind::Csv,
    Kind::Code,
];

#[derive(Debug, Args)]
pub struct ReadDocument {
    /// What the bytes are
    #[arg(long)]
    kind: String,
    /// Only what there is to read on a web page; its links are made whole by this address
    #[arg(long)]
    readable: bool,
    /// The page's address
    #[arg(long)]
    base: Option<String>,
}

pub(super) fn run(args: &ReadDocument) -> Result<ExitCode, CliError> {
    for (resource, most) in MOST {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(if resource == Resource::Cpu { most + 5 } else { most }),
        };
        setrlimit(resource, limit).map_err(io::Error::from)?;
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(MOST_INPUT).read_to_end(&mut bytes)?;
    let answer = serde_json::to_string(&read(args, &bytes)).map_err(io::Error::from)?;
    say(&answer)?;
    Ok(ExitCode::SUCCESS)
}

fn read(args: &ReadDocument, bytes: &[u8]) -> Answer {
    let limits = Limits::default();
    let kind = KINDS.into_iter().find(|kind| kind.as_str() == args.kind);
    let read = match kind {
        Some(Kind::Html) if args.readable => {
            let base = args.base.as_deref().and_then(|base| Url::parse(base).ok());
            let html = String::from_utf8_lossy(bytes);
            Ok(mira_docs::readable(
                html.trim_start_matches(HTML),
                base.as_ref(),
                &limits,
            ))
        }
        Some(kind) => mira_docs::read(kind, bytes, &limits),
        None => Err(mira_docs::DocError::Unsupported),
    };
    match read {
        Ok(document) => Answer::Read {
            title: document.title,
            parts: document.parts.into_iter().map(Piece::from).collect(),
            truncated: document.truncated,
        },
        Err(error) => Answer::Failed(error.to_string()),
    }
}

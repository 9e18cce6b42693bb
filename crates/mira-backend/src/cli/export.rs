//! `export FILE`: the whole conversation as JSON lines, of one moment, beside a running server.

use super::{CliError, progress};
use crate::{config::Config, services::files::travel::Shelf};
use mira_core::{
    clock::{Clock, SystemClock},
    ids::AccountId,
};
use mira_memory::{ExportReport, Store};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::sync::mpsc;

/// Lines written behind the database. Few, for a picture's line has megabytes.
const LINES_AHEAD: usize = 32;
/// Lines between two signs of life.
const PROGRESS_EVERY: u64 = 10_000;

pub(super) async fn run(config: &Config, file: &Path) -> Result<ExitCode, CliError> {
    let failed = |source| CliError::File {
        path: file.to_owned(),
        source,
    };
    // First: where there is nothing to export, nothing is left behind.
    let store = Store::open_read_only(&config.database.path).await?;
    let target = Target::open(file).map_err(failed)?;
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let writing = tokio::task::spawn_blocking(move || target.write(receiver));
    let shelf = Shelf::alone(config);
    let exported = store.export(AccountId::OWNER, SystemClock.now(), &shelf, sender).await;
    let written = writing.await.map_err(|e| CliError::Plain(e.to_string()))?;
    store.close().await;
    // A disk that is full shows in the file; the store then only saw that nobody listens.
    let target = written.map_err(failed)?;
    let ExportReport {
        sessions,
        messages,
        moods,
        facts,
        projects,
        artifacts,
        versions: _,
        repos,
        proposals: _,
        files,
        files_left_out,
    } = match exported {
        Ok(report) => report,
        Err(e) => {
            target.discard().map_err(failed)?;
            return Err(e.into());
        }
    };
    target.keep().map_err(failed)?;
    if files_left_out > 0 {
        progress(&format!(
            "{files_left_out} files were left out: their bytes are missing or damaged; `doctor --bytes` names them"
        ));
    }
    progress(&format!(
        "exported {sessions} sessions, {messages} messages, {moods} moods, {facts} facts, {projects} projects, \
         {artifacts} artifacts, {files} files, {repos} repositories without their clones"
    ));
    Ok(ExitCode::SUCCESS)
}

/// Where the lines go: standard output, or a file that gets its name when it is whole.
enum Target {
    Stdout,
    File {
        file: File,
        partial: PathBuf,
        path: PathBuf,
    },
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        if path.try_exists()? {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "exists already and is not overwritten",
            ));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&partial)?;
        Ok(Self::File {
            file,
            partial,
            path: path.to_owned(),
        })
    }

    fn write(self, lines: mpsc::Receiver<String>) -> io::Result<Self> {
        let wrote = match &self {
            Self::Stdout => write_lines(io::stdout().lock(), lines),
            Self::File { file, .. } => write_lines(file, lines),
        };
        match wrote {
            Ok(()) => Ok(self),
            Err(e) => {
                self.discard()?;
                Err(e)
            }
        }
    }

    fn keep(self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File { file, partial, path } => {
                file.sync_all()?;
                std::fs::rename(partial, path)
            }
        }
    }

    fn discard(self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File { partial, .. } => std::fs::remove_file(partial),
        }
    }
}

fn write_lines(out: impl Write, mut lines: mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut count = 0_u64;
    while let Some(line) = lines.blocking_recv() {
        out.write_all(line.as_bytes())?;
        if !line.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        count += 1;
        if count.is_multiple_of(PROGRESS_EVERY) {
            progress(&format!("{count} lines"));
        }
    }
    out.flush()
}

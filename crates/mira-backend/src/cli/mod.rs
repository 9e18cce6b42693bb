//! The command line. One file per command.
//!
//! Standard output carries only what a command is asked for; everything else goes to standard error. Exit codes: 0 ok,
//! 1 failed, 2 usage, 64 bad configuration.

mod backup;
mod chat;
mod client;
mod doctor;
mod export;
mod forgotten;
mod import;
mod login_link;
mod migrate;
mod openapi;
mod read_document;
mod reindex;
mod restore;
mod serve;
mod token;

use crate::{
    config::{Config, ConfigError, LogFormat},
    datadir::DataDirError,
    services::auth::TokenError,
};
use clap::{Parser, Subcommand};
use mira_memory::StoreError;
use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};
use tracing_subscriber::EnvFilter;

/// The configuration is not valid (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;

/// Mira: a companion of your own.
#[derive(Debug, Parser)]
#[command(name = "mira-backend", version, propagate_version = true, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (what happens without a command)
    Serve,
    /// Work on the database's schema
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Write a consistent copy of the database, also beside a running server
    Backup {
        /// The file to write; must not exist
        file: PathBuf,
    },
    /// Put a backup in place of the database, also beside a running server; what was there is kept in the backups folder
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Write everything Mira knows as JSON lines, also beside a running server
    Export {
        /// The file to write; must not exist. `-` is standard output
        file: PathBuf,
    },
    /// Read an export into the database; what is there already stays as it is
    Import {
        /// The export
        file: PathBuf,
    },
    /// Check configuration, database, index, embeddings, model endpoint and security posture
    Doctor(doctor::DoctorArgs),
    /// Make the index anew from the database
    Reindex,
    /// Print the OpenAPI document
    Openapi,
    /// Print the owner's token, or replace it
    Token {
        #[command(subcommand)]
        command: Option<token::TokenCommand>,
    },
    /// Print a fresh one-time login link
    LoginLink,
    /// Talk to Mira in the terminal
    Chat(chat::ChatArgs),
    /// Read the text of a document, for Mira herself
    #[command(hide = true)]
    ReadDocument(read_document::ReadDocument),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] crate::ServeError),
    /// Listening.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        reason: String,
    },
    /// A file the owner named.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing a standard stream, or the runtime.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Anything else, said plainly.
    #[error("{0}")]
    Plain(String),
}

/// Runs the command line and answers with the process's exit code.
pub fn main() -> ExitCode {
    // Whatever Mira writes is the owner's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // `--help` and `--version` go to standard output with code 0, mistakes to standard error with code 2.
        Err(e) => {
            let code = e.exit_code();
            return if e.print().is_ok() && code == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    match run(cli.command.unwrap_or(Command::Serve)) {
        Ok(code) => code,
        Err(CliError::Config(e)) => {
            complain(&e);
            ExitCode::from(EXIT_CONFIG)
        }
        // Whoever reads the output has seen enough (`mira-backend token | head -0`).
        Err(CliError::Io(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            complain(&e);
            ExitCode::FAILURE
        }
    }
}

fn complain(error: &dyn std::error::Error) {
    // Nobody can be told that standard error is closed.
    writeln!(io::stderr(), "mira-backend: {error}").unwrap_or_default();
}

fn run(command: Command) -> Result<ExitCode, CliError> {
    if matches!(command, Command::Openapi) {
        return openapi::run();
    }
    if let Command::ReadDocument(args) = &command {
        return read_document::run(args);
    }
    if let Command::Doctor(args) = command {
        return runtime()?.block_on(doctor::run(Config::load(), args));
    }
    let config = Config::load()?;
    let quiet = !matches!(command, Command::Serve);
    init_log(&config, quiet)?;
    let runtime = runtime()?;
    match command {
        Command::Serve => runtime.block_on(serve::run(config)),
        Command::Migrate(what) => runtime.block_on(migrate::run(&config, &what)),
        Command::Backup { file } => runtime.block_on(backup::run(&config, &file)),
        Command::Restore { file } => runtime.block_on(restore::run(&config, &file)),
        Command::Export { file } => runtime.block_on(export::run(&config, &file)),
        Command::Reindex => runtime.block_on(reindex::run(&config)),
        Command::Import { file } => runtime.block_on(import::run(&config, &file)),
        Command::Token { command } => token::run(&config, command.as_ref()),
        Command::LoginLink => login_link::run(&config),
        Command::Chat(args) => runtime.block_on(chat::run(&config, args)),
        Command::Openapi | Command::Doctor(_) | Command::ReadDocument(_) => Ok(ExitCode::SUCCESS),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Logging to standard error. Commands other than `serve` only log what is wrong, unless `RUST_LOG` asks for more.
fn init_log(config: &Config, quiet: bool) -> Result<(), CliError> {
    let filter = if quiet && config.log_filter == "info" {
        "warn"
    } else {
        config.log_filter.as_str()
    };
    // The MCP library logs whole messages, and nobody's words belong into a log.
    let filter = if filter.contains("rmcp") {
        filter.to_owned()
    } else {
        format!("{filter},rmcp=off")
    };
    let filter = EnvFilter::try_new(filter).map_err(|e| CliError::Plain(format!("RUST_LOG: {e}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| QuietStderr)
        .with_target(false);
    let outcome = match config.log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
    outcome.map_err(|e| CliError::Plain(format!("logging: {e}")))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, reason, "panic");
    }));
    Ok(())
}

/// Standard error that never fails: a full disk or a closed pipe behind the log must not reach what is being logged.
struct QuietStderr;

impl Write for QuietStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(bytes).unwrap_or_default();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints what a command is asked for.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Says how a command is coming along.
fn progress(line: &str) {
    // Progress nobody can see is no reason to stop.
    writeln!(io::stderr(), "{line}").unwrap_or_default();
}

//! The load driver of docs/BENCHMARKS.md: `cargo bench -p mira-backend --bench load -- <scenario>... [--json FILE]`.
//!
//! Lives here: the command line and the list of scenarios. Each scenario starts the release server and the emulated
//! model as processes of their own (so that CPU and memory can be read of each), drives them over loopback, and prints
//! its figures beside a baseline taken in the same run. Nothing here asserts a speed. Invariants: every count and every
//! wait is bounded; whatever the driver starts ends with it, also when it is killed.

mod boxed;
mod client;
mod cpu;
mod files;
mod first_word;
mod idle;
mod machine;
mod memory;
mod process;
mod relay;
mod report;
mod sim;
mod start;
mod streams;
mod throughput;

use report::Report;
use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Whatever went wrong ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
load driver: cargo bench -p mira-backend --bench load -- SCENARIO... [--short] [--json FILE] [--documents DIR]

  first-word   time from the model's first byte of the reply to the client's first chunk; whole replies
  cpu          CPU time of the server per turn
  throughput   turns per second at 64 sessions, beside the disk's own rate
  idle         10,000 idle sockets: memory, and a turn beside them
  streams      1,000 replies at 20 chunks per second each
  start        starting on 100,000 messages, first chat, history, search
  memory       what memory adds to the first word at 10,000 and 100,000 messages
  box          the first word beside code that takes all the processor and memory it can get
  all          each of them
  files        documents of --documents taken up and searched, and whether the right page is found; not one of all

  --short      a tenth of the work, to see that it works
  --json FILE  the figures as JSON, too
  --documents DIR  what benches/load/files/fetch.sh got
";

const SCENARIOS: [&str; 8] = [
    "first-word",
    "cpu",
    "throughput",
    "idle",
    "streams",
    "start",
    "memory",
    "box",
];

/// The scenario that needs what is not in the tree.
const FILES: &str = "files";

/// What a scenario is given.
struct Bench {
    report: Report,
    /// Divides counts and times.
    share: usize,
    /// The folder of `files`.
    documents: Option<PathBuf>,
}

impl Bench {
    /// So many, or the share of it that a short run does.
    fn count(&self, full: usize) -> usize {
        (full / self.share).max(1)
    }
}

#[derive(Default)]
struct Arguments {
    scenarios: Vec<String>,
    json: Option<PathBuf>,
    documents: Option<PathBuf>,
    short: bool,
}

fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Arguments> {
    let mut parsed = Arguments::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Added by `cargo bench`.
            "--bench" => {}
            "--short" => parsed.short = true,
            "--json" => parsed.json = Some(arguments.next().ok_or("--json needs a file")?.into()),
            "--documents" => parsed.documents = Some(arguments.next().ok_or("--documents needs a folder")?.into()),
            FILES => parsed.scenarios.push(FILES.to_owned()),
            "all" => parsed.scenarios = SCENARIOS.map(str::to_owned).to_vec(),
            name if SCENARIOS.contains(&name) => parsed.scenarios.push(name.to_owned()),
            other => return Err(format!("unknown argument '{other}'\n\n{USAGE}").into()),
        }
    }
    Ok(parsed)
}

async fn run(bench: &mut Bench, scenario: &str) -> Outcome<()> {
    match scenario {
        "first-word" => first_word::run(bench).await,
        "cpu" => cpu::run(bench).await,
        "throughput" => throughput::run(bench).await,
        "idle" => idle::run(bench).await,
        "streams" => streams::run(bench).await,
        "start" => start::run(bench).await,
        "memory" => memory::run(bench).await,
        "box" => boxed::run(bench).await,
        FILES => files::run(bench).await,
        other => Err(format!("no scenario '{other}'").into()),
    }
}

fn drive(arguments: &Arguments) -> Outcome<()> {
    machine::raise_open_files();
    let mut bench = Bench {
        report: Report::begin(arguments.short)?,
        share: if arguments.short { 10 } else { 1 },
        documents: arguments.documents.clone(),
    };
    // One thread: the client must not take the processor from what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for scenario in &arguments.scenarios {
        runtime
            .block_on(run(&mut bench, scenario))
            .map_err(|error| format!("{scenario}: {error}"))?;
    }
    match &arguments.json {
        Some(path) => bench.report.write_json(path),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|argument| argument == sim::ARGUMENT) {
        return finish(sim::serve());
    }
    finish(parse(arguments).and_then(|arguments| {
        if arguments.scenarios.is_empty() {
            return Ok(io::stdout().write_all(USAGE.as_bytes())?);
        }
        drive(&arguments)
    }))
}

fn finish(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            writeln!(io::stderr(), "load: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

//! Python in a real box: bubblewrap with namespaces of its own, an empty environment, no network, a folder in memory that
//! ends with the run, limits, a filter of system calls, and one process that holds it together (`runner.py`). What a tool
//! makes of it is not known here.
//!
//! Invariants: no box without a proof (a [`PythonBox`] exists only after its self-test); no path of the data directory is
//! ever seen inside (files go in and out as bytes, through one socket); when a run has ended, by whatever end, no process
//! of it is left; what the box says is checked like anything a stranger says; no code of ours here is unsafe.

mod command;
mod filter;
mod live;
mod name;
mod proof;
mod run;
mod scratch;
mod settings;
mod watch;
mod wire;

pub use name::SafeName;
pub use proof::Unavailable;
pub use run::BoxError;
pub use settings::{BoxSettings, Limits};

use scratch::{RunFolder, Scratch};
use std::path::PathBuf;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Boxes that run at once: each may use a processor and the memory its limits say.
const AT_ONCE: usize = 2;

/// Code to be run.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Python.
    pub code: String,
    /// Files it finds in its folder. Names must differ.
    pub inputs: Vec<Input>,
}

/// A file that goes in.
#[derive(Debug, Clone)]
pub struct Input {
    /// What it is called inside.
    pub name: SafeName,
    /// Where its bytes are.
    pub path: PathBuf,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// What it printed; what is no UTF-8 is replaced.
    pub stdout: String,
    /// What it printed as errors.
    pub stderr: String,
    /// Whether it printed more than was kept.
    pub truncated: bool,
    /// New and changed files of its folder, oldest first. They are gone when this is dropped.
    pub files: Vec<MadeFile>,
    /// Files that were beyond the limits and are lost.
    pub left_out: u64,
    _scratch: RunFolder,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code; 0 is success, 1 an exception nobody caught.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It took too long.
    WallTime,
    /// It computed for too long.
    CpuTime,
    /// Its processes together took too much memory, or too many sockets.
    Memory,
    /// It made too many files.
    Files,
    /// It printed too much.
    Output,
}

/// A file that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFile {
    /// To be shown; never a path.
    pub name: String,
    /// Where its bytes are.
    pub path: PathBuf,
    /// How many.
    pub bytes: u64,
}

/// A box that has been proven.
#[derive(Debug)]
pub struct PythonBox {
    settings: BoxSettings,
    scratch: Scratch,
    launcher: live::Launcher,
    turns: Semaphore,
    fonts: std::sync::OnceLock<PathBuf>,
}

impl PythonBox {
    /// Proves the box; takes some tenths of a second. Runs that a crash left behind are cleared away. Must be called
    /// inside a runtime.
    pub async fn open(settings: BoxSettings) -> Result<Self, Unavailable> {
        proof::programs(&settings)?;
        let opened = Self {
            scratch: Scratch::open(&settings.scratch).map_err(Unavailable::Scratch)?,
            launcher: live::Launcher::start().map_err(Unavailable::Scratch)?,
            turns: Semaphore::new(AT_ONCE),
            fonts: std::sync::OnceLock::new(),
            settings,
        };
        proof::prove(&opened).await?;
        Ok(opened)
    }

    /// Runs the code. Waits for its turn; cancelled or dropped, everything of it ends at once.
    pub async fn run(&self, job: Job, cancel: CancellationToken) -> Result<Ended, BoxError> {
        let _turn = tokio::select! {
            turn = self.turns.acquire() => turn.map_err(|_closed| BoxError::Cancelled)?,
            () = cancel.cancelled() => return Err(BoxError::Cancelled),
        };
        run::run(self, job, &cancel).await
    }

    /// Lets matplotlib list the fonts once (a second of work that every plot would repeat otherwise). Nothing is lost
    /// where there is no matplotlib.
    pub async fn warm(&self) {
        proof::list_fonts(self).await;
    }
}

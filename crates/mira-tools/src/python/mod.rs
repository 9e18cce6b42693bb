//! Python in a box: `code_interpreter`. How the box is made is not known here, only what a run may end with.

mod code_interpreter;

pub use code_interpreter::CodeInterpreter;

use crate::{CallContext, Doorway};
use mira_core::ids::FileId;

/// What the tool needs of the box and of the owner's files.
pub trait PythonDoor: Send + Sync + 'static {
    /// Why nothing can be run, if nothing can.
    fn unavailable(&self) -> Option<String>;

    /// Runs the code with these files in its folder; files it makes are kept for the owner. Dropped, the run ends.
    fn run<'a>(&'a self, context: &'a CallContext, code: String, files: Vec<FileId>) -> Doorway<'a, Ended>;
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// What it printed.
    pub stdout: String,
    /// What it printed as errors; a traceback for instance.
    pub stderr: String,
    /// Files it made, kept by now.
    pub files: Vec<Made>,
    /// Files it made that were too many or too large.
    pub left_out: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself; 0 is success.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It took too long.
    WallTime,
    /// It computed for too long.
    CpuTime,
    /// It took too much memory.
    Memory,
    /// It made too many files.
    Files,
    /// It printed too much.
    Output,
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// As its bytes say.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
}

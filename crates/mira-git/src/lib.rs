//! Git repositories that never lose an edit, behind one door: [`Repos`]. libgit2 is known here and nowhere else.
//!
//! A clone is a folder with a work tree and `.git` inside, so that its owner can work in it by hand at the same time.
//! Paths are [`RepoPath`]s, which cannot leave it (`path`, `confine`); every change of what is checked out is one step that
//! a crash cannot break (`transition`, `journal`, `recover`), within bounds known before it begins (`compare`); reading never waits for writing (`repos`). Addresses,
//! credentials and everything else that leaves the machine is in [`remote`]. What clients see of all this is the backend's.

mod blame;
mod branches;
mod compare;
mod confine;
mod content;
mod diff;
mod error;
mod filter;
mod global;
mod journal;
mod log;
mod moves;
mod open;
mod path;
mod recover;
pub mod remote;
mod repos;
mod scan;
mod search;
mod settings;
mod status;
mod text;
mod transition;
mod tree;
mod unpublished;
mod write;

pub use blame::{Blame, BlameRange};
pub use branches::{Branch, Branches, SwitchMode, Switched};
pub use content::{Body, Content, MAX_AGENTS_MD, Standing};
pub use diff::{CommitDiff, DiffHunk, DiffLine, FileChange, FileDiff, LineKind, ParentDiff, diff_text};
pub use error::{Clash, GitError, Holder, Missing};
pub use log::{Commit, LogCursor, LogPage, LogQuery, MAX_LOG, Person};
pub use path::{BranchName, PathError, RefError, RepoPath, Revision};
pub use recover::Health;
pub use repos::Repos;
pub use search::{MAX_HITS, SearchHit, SearchResult};
pub use settings::{Author, GitSettings};
pub use status::{Change, Status, StatusEntry, Tracking};
pub use tree::{Tree, TreeEntry, TreeKind};
pub use unpublished::{MAX_CHANGED, MAX_UNPUSHED, Names, Unpublished};
pub use write::{Edit, WriteOptions, Written};

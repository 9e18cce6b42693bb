//! The code of the project's repositories: `list_files`, `read_file`, `search_files`, `write_file`, `git_log`,
//! `git_diff`. What stands in a repository may have been written by anybody: it is untrusted.

mod git_diff;
mod git_log;
mod list_files;
mod read_file;
mod search_files;
mod write_file;

pub use git_diff::GitDiff;
pub use git_log::GitLog;
pub use list_files::ListFiles;
pub use read_file::ReadFile;
pub use search_files::SearchFiles;
pub use write_file::WriteFile;

use crate::{CallContext, Doorway, Output};
use mira_core::ids::AttachmentId;
use serde_json::{Map, Value, json};

/// What the tools need of repositories. `repository` is what a model wrote: an id, or nothing where the project has only
/// one. All of it is about the conversation's project; a repository of another one is not there.
pub trait CodeDoor: Send + Sync + 'static {
    /// The repository that is meant; an error names those there are.
    fn choose<'a>(&'a self, context: &'a CallContext, repository: Option<String>) -> Doorway<'a, Repository>;

    /// One folder.
    fn list<'a>(&'a self, context: &'a CallContext, at: Place) -> Doorway<'a, Vec<Entry>>;

    /// A text file, as it is in the working folder now or at `reference`; nothing where there is none.
    fn read<'a>(&'a self, context: &'a CallContext, at: Place) -> Doorway<'a, Option<File>>;

    /// Lines that hold `query`.
    fn search<'a>(&'a self, context: &'a CallContext, at: Place, query: String, limit: usize) -> Doorway<'a, Vec<Hit>>;

    /// Writes a file, or proposes to.
    fn write<'a>(&'a self, context: &'a CallContext, at: Place, change: Change) -> Doorway<'a, Written>;

    /// Commits, newest first.
    fn log<'a>(&'a self, context: &'a CallContext, at: Place, limit: usize) -> Doorway<'a, Vec<Commit>>;

    /// What a commit changed, as a unified diff.
    fn diff<'a>(&'a self, context: &'a CallContext, at: Place, commit: String) -> Doorway<'a, String>;
}

/// An attached repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its id.
    pub id: AttachmentId,
    /// Where it came from, without credentials.
    pub url: String,
    /// The branch that is checked out.
    pub branch: String,
}

/// Where in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The repository.
    pub repository: AttachmentId,
    /// A path from its root, as the model wrote it; empty for the root.
    pub path: String,
    /// A branch, tag or commit; none for what is there now.
    pub reference: Option<String>,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path from the root.
    pub path: String,
    /// `file`, `dir`, `symlink` or `submodule`.
    pub kind: &'static str,
    /// Bytes of a file.
    pub size: Option<u64>,
}

/// A text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its text.
    pub text: String,
    /// The id of its content; a write names it, so that nothing is overwritten unseen.
    pub sha: Option<String>,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// What stands there.
    pub text: String,
}

/// A change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// All of its new text.
    pub content: String,
    /// Why, as a commit message.
    pub message: Option<String>,
    /// What was read; none for a file that must not exist yet.
    pub expected_sha: Option<String>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It waits for the owner.
    Proposed {
        /// The proposal.
        proposal: String,
    },
    /// It is a commit.
    Committed {
        /// The commit.
        commit: String,
    },
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: String,
    /// When, RFC 3339.
    pub date: String,
    /// Who.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
}

impl Place {
    fn new(repository: &Repository, path: Option<String>, reference: Option<String>) -> Self {
        Self {
            repository: repository.id,
            path: path
                .unwrap_or_default()
                .trim_start_matches("./")
                .trim_matches('/')
                .to_owned(),
            reference: reference.filter(|reference| !reference.trim().is_empty()),
        }
    }

    /// The place as a client finds it again, and what else there is to say.
    fn data(&self, more: Value) -> Value {
        let mut data = Map::new();
        data.insert("repository".to_owned(), json!(self.repository.to_string()));
        data.insert("path".to_owned(), json!(self.path));
        data.insert("ref".to_owned(), json!(self.reference));
        if let Value::Object(more) = more {
            data.extend(more);
        }
        Value::Object(data)
    }
}

/// What a repository says: anybody may have written it.
fn untrusted(text: String, kept: String, data: Value) -> Output {
    Output {
        text,
        kept: Some(kept),
        data,
        untrusted: true,
        sources: Vec::new(),
    }
}

/// An empty string means nothing where a model has to write something.
fn named(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

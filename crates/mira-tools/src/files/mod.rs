//! The owner's files: searched by meaning and by words (`file_search`), and read page by page (`read_document`).
//!
//! What stands in a file may have been written by anybody: it is untrusted, and can be pointed at.

mod file_search;
mod read_document;

pub use file_search::FileSearch;
pub use read_document::ReadDocument;

use crate::{CallContext, Doorway};
use mira_core::ids::FileId;

/// What the tools need of the files.
pub trait FilesDoor: Send + Sync + 'static {
    /// Why files cannot be searched, if they cannot.
    fn unavailable(&self) -> Option<String>;

    /// The places that answer a question, which may be worded in several ways, best first; only in these files, where any
    /// are named.
    fn search<'a>(
        &'a self,
        context: &'a CallContext,
        wordings: Vec<String>,
        files: Option<Vec<FileId>>,
        count: usize,
    ) -> Doorway<'a, Vec<Hit>>;

    /// A page of a file, from 1; of a file without pages there is one.
    fn page<'a>(&'a self, context: &'a CallContext, file: FileId, page: u32) -> Doorway<'a, Page>;
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: String,
    /// The page, from 1, where it has pages.
    pub page: Option<u32>,
    /// First and last line, from 1, where it has lines.
    pub lines: Option<(u32, u32)>,
    /// Title and the headings it stands below, the highest first; may be empty.
    pub heading: String,
    /// What stands there.
    pub text: String,
    /// How well it answers, 0 to 1.
    pub score: f64,
}

/// A page of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The file's name.
    pub name: String,
    /// Which page this is, from 1.
    pub page: u32,
    /// How many there are.
    pub pages: u32,
    /// Whether the document itself has pages.
    pub is_paged: bool,
    /// What stands there.
    pub text: String,
}

/// A text's beginning, on one line.
fn snippet(text: &str, chars: usize) -> String {
    mira_core::chat::one_line(text, chars)
}

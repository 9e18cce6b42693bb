//! The owner's files, and those Mira makes: uploads, plots, pictures.

use crate::{
    ids::{FileId, MessageId, ProjectId},
    project::Author,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a file's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// It waits to be read, or is being read. `error` says why an earlier try failed.
    Processing,
    /// It can be used; a document's text is found by search.
    Ready,
    /// Its text could not be read; the file itself is there. `error` says why.
    Failed,
}

impl FileStatus {
    /// The name on the wire and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A stored file. Its bytes lie in the data directory under their SHA-256; the name is only shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its id.
    pub id: FileId,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// One line, at most 255 bytes, never a path.
    pub name: String,
    /// As its bytes say, not its sender.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Where it stands.
    pub status: FileStatus,
    /// Why its text could not be read, not yet, or only in part.
    pub error: Option<String>,
    /// How many pages a document has.
    pub pages: Option<u32>,
    /// Who made it.
    pub author: Author,
    /// The message it came with, or the reply it was made for.
    pub message_id: Option<MessageId>,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl StoredFile {
    /// Whether a model that sees can be shown it.
    pub fn is_picture(&self) -> bool {
        matches!(
            &*self.media_type,
            "image/png" | "image/jpeg" | "image/webp" | "image/gif"
        )
    }
}

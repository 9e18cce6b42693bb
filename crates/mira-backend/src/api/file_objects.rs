//! The object of a file that clients see. Times are RFC 3339 in UTC.

use mira_core::{file::StoredFile, project::hex};
use serde::Serialize;
use utoipa::ToSchema;

/// A file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = File)]
pub struct FileObject {
    /// Its id.
    pub id: String,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// One line, for showing.
    pub name: String,
    /// As its bytes say.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// `processing` while a document waits to be read or is being read, `ready`, or `failed` where its text cannot be had.
    pub status: &'static str,
    /// Why its text cannot be had; while it is `processing`, why it could not be read so far.
    pub error: Option<String>,
    /// How many pages it has, where it has any.
    pub pages: Option<u32>,
    /// `owner` or `mira`.
    pub author: &'static str,
    /// The reply it was made for.
    pub message_id: Option<String>,
    /// When it was stored.
    pub created_at: String,
}

impl FileObject {
    /// The object of a file.
    pub fn of(file: &StoredFile) -> Self {
        Self {
            id: file.id.to_string(),
            project_id: file.project_id.map(|id| id.to_string()),
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            size: file.size,
            sha256: hex(&file.sha256),
            status: file.status.as_str(),
            error: file.error.clone(),
            pages: file.pages,
            author: file.author.as_str(),
            message_id: file.message_id.map(|id| id.to_string()),
            created_at: file.created_at.to_string(),
        }
    }
}

//! What was read of files: searching all of them, and their text page by page.

use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Path, Query},
    },
    services::{auth::Identity, files::search::Where},
    state::AppState,
};
use axum::extract::State;
use mira_core::{
    chat::one_line,
    ids::{FileId, ProjectId},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Places where the caller does not say how many.
const USUAL: u32 = 10;
/// The most places.
const MOST: u32 = 50;
/// The longest `q`, in characters.
const MAX_Q: usize = 1024;
/// The longest snippet, in characters.
const SNIPPET_CHARS: usize = 400;

/// What to look for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileSearchQuery {
    /// A question, or words that would stand in the answer; any text is a valid query.
    #[serde(default)]
    q: String,
    /// The files of this project, beside those in none.
    project_id: Option<String>,
    /// Only this file.
    file_id: Option<String>,
    /// At most so many, 1 to 50; 10 when absent.
    #[param(minimum = 1, maximum = 50, default = 10)]
    limit: Option<u32>,
}

/// A place in a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileHit {
    /// The file.
    pub file_id: String,
    /// Its name.
    pub name: String,
    /// The page, from 1, where it has pages.
    pub page: Option<u32>,
    /// First and last line, from 1, where it has lines.
    pub lines: Option<[u32; 2]>,
    /// Title and the headings it stands below, the highest first; may be empty.
    pub heading: String,
    /// The beginning of what stands there.
    pub snippet: String,
    /// How well it answers, 0 to 1.
    pub score: f64,
}

/// The places that answer best.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileHits {
    /// Best first.
    pub results: Vec<FileHit>,
    /// There is one page.
    pub next_cursor: Option<String>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageNumber {
    /// From 1; the first when absent.
    page: Option<u32>,
}

/// A page of a file's text.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileText {
    /// The file.
    pub file_id: String,
    /// Which page this is, from 1.
    pub page: u32,
    /// How many there are; one in a text without pages.
    pub pages: u32,
    /// What stands there.
    pub text: String,
}

/// Searches the text of files.
#[utoipa::path(get, path = "/api/files/search", tag = "files", params(FileSearchQuery), responses(
    (status = 200, description = "The places that answer best", body = FileHits),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn search(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<FileSearchQuery>,
) -> Result<axum::Json<FileHits>, ApiError> {
    let mut complaints = Complaints::default();
    let project: Option<ProjectId> = complaints.parse("project_id", query.project_id.as_deref());
    let file: Option<FileId> = complaints.parse("file_id", query.file_id.as_deref());
    let limit = query.limit.unwrap_or(USUAL).min(MOST);
    if limit == 0 {
        complaints.add("limit", format!("1 to {MOST}"));
    }
    complaints.done()?;
    let asked: String = query.q.chars().take(MAX_Q).collect();
    let deps = state.hub().deps();
    let place = Where {
        project,
        files: file.map(|id| vec![id]),
    };
    let fitting = if asked.trim().is_empty() {
        Vec::new()
    } else {
        let embedder = deps.memories.embedder();
        deps.files
            .search(identity.account, &*embedder, &[asked], place, limit as usize)
            .await?
    };
    let results = fitting.into_iter().map(|fitting| FileHit {
        file_id: fitting.found.file.to_string(),
        name: fitting.found.name,
        page: fitting.found.chunk.page,
        lines: fitting.found.chunk.lines.map(|(first, last)| [first, last]),
        heading: fitting.found.chunk.heading,
        snippet: one_line(&fitting.found.chunk.text, SNIPPET_CHARS),
        score: fitting.score,
    });
    Ok(axum::Json(FileHits {
        results: results.collect(),
        next_cursor: None,
    }))
}

/// A page of a file's text.
#[utoipa::path(get, path = "/api/files/{id}/text", tag = "files", params(("id" = String, Path), PageNumber), responses(
    (status = 200, description = "The text", body = FileText),
    (status = 409, description = "It is still being read, or has no text", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn text(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<PageNumber>,
) -> Result<axum::Json<FileText>, ApiError> {
    let id: FileId = id.parse().map_err(|_| ApiError::NotFound("file"))?;
    let file = state.store().find_file(identity.account, id).await?;
    let file = file.ok_or(ApiError::NotFound("file"))?;
    let page = query.page.unwrap_or(1);
    let (found, pages) = match page.checked_sub(1) {
        Some(n) => state.store().file_page(identity.account, id, n).await?,
        None => return Err(ApiError::field("page", "pages count from 1")),
    };
    match found {
        Some(found) => Ok(axum::Json(FileText {
            file_id: id.to_string(),
            page,
            pages,
            text: found.text,
        })),
        None if pages > 0 => Err(ApiError::NotFound("page")),
        None => Err(ApiError::Conflict(match file.error {
            Some(why) => format!("there is no text: {why}"),
            None => format!(
                "there is no text: the file is {} ({})",
                file.status.as_str(),
                file.media_type
            ),
        })),
    }
}

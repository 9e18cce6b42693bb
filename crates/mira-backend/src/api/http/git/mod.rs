//! `/api/projects/{id}/git`: repositories attached to a project. Attaching and syncing is in [`repos`], files in
//! [`files`], history and state in [`history`], what Mira proposes in [`proposals`].
//!
//! Law: text of a request becomes a path, a branch or a revision here, by the types of `mira-git`, or is a 422; nothing
//! further in takes text. An attachment of another project is not there.

pub mod files;
pub mod history;
pub mod objects;
pub mod proposals;
pub mod repos;

use crate::{
    api::{chat_body::Complaints, error::ApiError, http::projects::project_id},
    services::{
        auth::Identity,
        git::{RepoError, files::At},
    },
    state::AppState,
};
use axum::{
    Router,
    routing::{get, post},
};
use mira_git::{Clash, GitError, RepoPath, Revision};

/// The longest message of a commit, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The routes, below a project.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/attach", post(repos::attach))
        .route("/repos", get(repos::list_repos))
        .route(
            "/repos/{att}",
            get(repos::get_repo).patch(repos::patch_repo).delete(repos::detach),
        )
        .route("/repos/{att}/deletion", get(repos::get_deletion))
        .route("/repos/{att}/cancel", post(repos::cancel))
        .route("/sync/{att}", post(repos::sync))
        .route("/files/{att}/tree", get(files::get_tree))
        .route("/files/{att}/rename", post(files::rename))
        .route(
            "/files/{att}/content/{*path}",
            get(files::get_content)
                .post(files::create)
                .put(files::write)
                .delete(files::delete),
        )
        .route("/branches/{att}", get(history::list_branches))
        .route("/branch/{att}", post(history::switch))
        .route("/commits/{att}", get(history::list_commits))
        .route("/diff/{att}/{sha}", get(history::get_diff))
        .route("/status/{att}", get(history::get_status))
        .route("/blame/{att}/{*path}", get(history::get_blame))
        .route("/file-at-commit/{att}/{sha}/{*path}", get(history::get_file_at_commit))
        .route("/search/{att}", get(history::search))
        .route("/proposals", get(proposals::list_proposals))
        .route("/proposals/{proposal}", get(proposals::get_proposal))
        .route("/proposals/{proposal}/apply", post(proposals::apply))
        .route("/proposals/{proposal}/discard", post(proposals::discard))
}

/// What a path names; what is no id names nothing.
fn at(identity: &Identity, project: &str, attachment: &str) -> Result<At, ApiError> {
    Ok(At {
        account: identity.account,
        project: project_id(project)?,
        id: attachment.parse().map_err(|_| ApiError::NotFound("repository"))?,
    })
}

fn parse_path(field: &str, text: &str) -> Result<RepoPath, ApiError> {
    RepoPath::parse(text).map_err(|error| ApiError::field(field, error.to_string()))
}

/// A folder; empty is the root.
fn parse_folder(text: Option<&str>) -> Result<Option<RepoPath>, ApiError> {
    RepoPath::parse_folder(text.unwrap_or_default()).map_err(|error| ApiError::field("path", error.to_string()))
}

fn parse_ref(field: &str, text: Option<&str>) -> Result<Option<Revision>, ApiError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| Revision::parse(text).map_err(|error| ApiError::field(field, error.to_string())))
        .transpose()
}

/// Why nothing is read. What is there and no file is no conflict here: nothing was to be changed.
fn unread(error: RepoError) -> ApiError {
    match error {
        RepoError::Git(GitError::Conflict {
            why: Clash::NotAFile, ..
        }) => ApiError::NotFound("file"),
        error => error.into(),
    }
}

/// The message of a commit; blank is none.
fn check_message(text: Option<String>, complaints: &mut Complaints) -> Option<String> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    if text.len() > MAX_MESSAGE_BYTES {
        complaints.add("commit_message", format!("at most {MAX_MESSAGE_BYTES} bytes"));
    }
    if text.contains('\0') {
        complaints.add("commit_message", "must not hold NUL characters");
    }
    Some(text)
}

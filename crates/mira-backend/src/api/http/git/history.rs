//! Branches, history and state of a repository, and searching its files.

use super::{
    at,
    files::RefQuery,
    objects::{
        BlameObject, BranchesObject, CommitDiffObject, CommitsObject, ContentObject, SearchObject, StatusObject,
    },
    parse_folder, parse_path, parse_ref, unread,
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Json, Path, Query},
        git_objects::RepoObject,
        http::{parts::PartQuery, sessions::check_limit},
    },
    services::{auth::Identity, git::files},
    state::AppState,
};
use axum::extract::State;
use mira_git::{BranchName, LogQuery, Revision, SwitchMode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// The longest query, in characters.
const MAX_Q: usize = 1000;

/// The branch to check out.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SwitchBranch {
    /// Its short name. Where only the remote has it, a local one that follows it is made.
    branch_name: String,
    /// Whether it is to be made, at the commit that is checked out.
    #[serde(default)]
    create: bool,
}

/// Which commits.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CommitsQuery {
    /// From which branch, tag or commit on; what is checked out when absent.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Only those that changed this file or folder.
    path: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Which part of the work tree.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    /// Only this file or folder.
    path: Option<String>,
}

/// What is searched.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CodeSearchQuery {
    /// Letters of a line as they stand; capitals count only if there are some.
    q: String,
    /// At most so many lines, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// A revision a path names.
fn commit(text: &str) -> Result<Revision, ApiError> {
    Revision::parse(text).map_err(|error| ApiError::field("sha", error.to_string()))
}

fn whole(limit: Option<u32>) -> Result<usize, ApiError> {
    let mut complaints = Complaints::default();
    let limit = check_limit(limit, &mut complaints);
    complaints.done().map(|()| limit as usize)
}

/// Lists local and remote branches.
#[utoipa::path(get, path = "/api/projects/{id}/git/branches/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), PartQuery), responses(
    (status = 200, description = "The branches", body = BranchesObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_branches(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Query(part): Query<PartQuery>,
) -> Result<axum::Json<BranchesObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let mut found: BranchesObject = files::branches(state.hub(), at).await?.into();
    (found.branches, found.next_cursor) = part.of(found.branches)?;
    Ok(axum::Json(found))
}

/// Checks out a branch, perhaps a new one. Edits in no commit come along; where they are in the way, it is a 409 with the
/// paths and nothing is done.
#[utoipa::path(post, path = "/api/projects/{id}/git/branch/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), request_body = SwitchBranch, responses(
    (status = 200, description = "The repository as it is now", body = RepoObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn switch(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Json(body): Json<SwitchBranch>,
) -> Result<axum::Json<RepoObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let branch =
        BranchName::parse(&body.branch_name).map_err(|error| ApiError::field("branch_name", error.to_string()))?;
    let mode = if body.create {
        SwitchMode::Create
    } else {
        SwitchMode::Existing
    };
    let repo = files::switch(state.hub(), at, branch, mode).await?;
    Ok(axum::Json(RepoObject::of(&repo)))
}

/// Lists commits, newest first.
#[utoipa::path(get, path = "/api/projects/{id}/git/commits/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), CommitsQuery), responses(
    (status = 200, description = "A page of commits", body = CommitsObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_commits(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Query(query): Query<CommitsQuery>,
) -> Result<axum::Json<CommitsObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let mut complaints = Complaints::default();
    let cursor = complaints.parse("cursor", query.cursor.as_deref());
    let limit = check_limit(query.limit, &mut complaints) as usize;
    complaints.done()?;
    let wanted = LogQuery {
        revision: parse_ref("ref", query.reference.as_deref())?,
        path: parse_folder(query.path.as_deref())?,
        cursor,
        limit,
    };
    Ok(axum::Json(files::log(state.hub(), at, wanted).await?.into()))
}

/// What a commit changed, against each of its parents.
#[utoipa::path(get, path = "/api/projects/{id}/git/diff/{att}/{sha}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("sha" = String, Path)), responses(
    (status = 200, description = "The differences", body = CommitDiffObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_diff(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, sha)): Path<(String, String, String)>,
) -> Result<axum::Json<CommitDiffObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let diff = files::diff(state.hub(), at, commit(&sha)?).await?;
    Ok(axum::Json(diff.into()))
}

/// The state of the clone: what is staged, edited, untracked, and how the branch stands to its upstream.
#[utoipa::path(get, path = "/api/projects/{id}/git/status/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), StatusQuery, PartQuery), responses(
    (status = 200, description = "The state", body = StatusObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_status(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Query(query): Query<StatusQuery>,
    Query(part): Query<PartQuery>,
) -> Result<axum::Json<StatusObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_folder(query.path.as_deref())?;
    let mut status: StatusObject = files::status(state.hub(), at, path).await?.into();
    (status.entries, status.next_cursor) = part.of(status.entries)?;
    Ok(axum::Json(status))
}

/// Where the lines of a committed file come from.
#[utoipa::path(get, path = "/api/projects/{id}/git/blame/{att}/{path}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("path" = String, Path), RefQuery), responses(
    (status = 200, description = "Ranges of lines with their commits", body = BlameObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_blame(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, path)): Path<(String, String, String)>,
    Query(query): Query<RefQuery>,
) -> Result<axum::Json<BlameObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_path("path", &path)?;
    let revision = parse_ref("ref", query.reference.as_deref())?;
    let shown = path.as_str().to_owned();
    let blame = files::blame(state.hub(), at, path, revision).await.map_err(unread)?;
    Ok(axum::Json(BlameObject::of(blame, shown)))
}

/// A file as one commit has it.
#[utoipa::path(get, path = "/api/projects/{id}/git/file-at-commit/{att}/{sha}/{path}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("sha" = String, Path), ("path" = String, Path)), responses(
    (status = 200, description = "The file", body = ContentObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_file_at_commit(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, sha, path)): Path<(String, String, String, String)>,
) -> Result<axum::Json<ContentObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_path("path", &path)?;
    let content = files::read(state.hub(), at, path, Some(commit(&sha)?))
        .await
        .map_err(unread)?;
    Ok(axum::Json(ContentObject::of(content, Some(sha))))
}

/// Searches the text files that are checked out, line by line.
#[utoipa::path(get, path = "/api/projects/{id}/git/search/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), CodeSearchQuery), responses(
    (status = 200, description = "The lines found", body = SearchObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn search(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Query(query): Query<CodeSearchQuery>,
) -> Result<axum::Json<SearchObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    if query.q.is_empty() || query.q.chars().count() > MAX_Q {
        return Err(ApiError::field("q", format!("1 to {MAX_Q} characters")));
    }
    let limit = whole(query.limit)?;
    Ok(axum::Json(files::search(state.hub(), at, query.q, limit).await?.into()))
}

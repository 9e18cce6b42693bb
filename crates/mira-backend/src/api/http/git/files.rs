//! Files of a repository: read, and changed by one commit each.
//!
//! Law: no update is lost. Who changes a file may name the blob they have seen; another one by now is a 409, and so is an
//! edit made by hand that no commit has.

use super::{
    at, check_message,
    objects::{ContentObject, TreeObject, WrittenObject},
    parse_folder, parse_path, parse_ref, unread,
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{FileJson, Json, Path, Query},
        http::{created, parts::PartQuery},
    },
    services::{auth::Identity, git::files},
    state::AppState,
};
use axum::{extract::State, http::Uri, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use mira_git::{Edit, RepoPath, WriteOptions};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which folder, and when.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TreeQuery {
    /// The folder; the root when absent.
    path: Option<String>,
    /// A branch, tag or commit; what is checked out when absent.
    #[serde(rename = "ref")]
    reference: Option<String>,
}

/// When.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RefQuery {
    /// A branch, tag or commit.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// A file's new content.
#[derive(Debug, Deserialize, ToSchema)]
pub struct WriteFile {
    /// All of it.
    content: String,
    /// How `content` is written: `utf-8` (the usual) or `base64`.
    #[serde(default)]
    encoding: Option<String>,
    /// The commit's message; a line that says what was done when absent.
    #[serde(default)]
    commit_message: Option<String>,
    /// The blob the client has seen; if the file is another by now, nothing is done.
    #[serde(default)]
    expected_sha: Option<String>,
}

/// A file's new path.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RenameFile {
    /// Its path.
    from: String,
    /// Where it goes; nothing may be there.
    to: String,
    /// The commit's message.
    #[serde(default)]
    commit_message: Option<String>,
    /// The blob the client has seen.
    #[serde(default)]
    expected_sha: Option<String>,
}

/// What goes with a deletion.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// The blob the client has seen.
    expected_sha: Option<String>,
    /// The commit's message.
    commit_message: Option<String>,
}

fn check_options(message: Option<String>, expected_sha: Option<String>, complaints: &mut Complaints) -> WriteOptions {
    let expected_sha = expected_sha.filter(|sha| !sha.is_empty());
    let hex = |sha: &str| sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit());
    if expected_sha.as_deref().is_some_and(|sha| !hex(sha)) {
        complaints.add("expected_sha", "the 40 hex digits of a blob's sha");
    }
    WriteOptions {
        message: check_message(message, complaints),
        expected_sha: expected_sha.map(|sha| sha.to_ascii_lowercase()),
        author: None,
    }
}

impl WriteFile {
    fn check(self) -> Result<(Vec<u8>, WriteOptions), ApiError> {
        let mut complaints = Complaints::default();
        let options = check_options(self.commit_message, self.expected_sha, &mut complaints);
        let bytes = match self.encoding.as_deref() {
            None | Some("utf-8") => self.content.into_bytes(),
            Some("base64") => STANDARD.decode(self.content).unwrap_or_else(|_| {
                complaints.add("content", "is not base64");
                Vec::new()
            }),
            Some(_) => {
                complaints.add("encoding", "utf-8 or base64");
                Vec::new()
            }
        };
        complaints.done().map(|()| (bytes, options))
    }
}

/// Lists one folder.
#[utoipa::path(get, path = "/api/projects/{id}/git/files/{att}/tree", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), TreeQuery, PartQuery), responses(
    (status = 200, description = "The folder", body = TreeObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_tree(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Query(query): Query<TreeQuery>,
    Query(part): Query<PartQuery>,
) -> Result<axum::Json<TreeObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let folder = parse_folder(query.path.as_deref())?;
    let revision = parse_ref("ref", query.reference.as_deref())?;
    let mut tree: TreeObject = files::tree(state.hub(), at, folder, revision).await?.into();
    (tree.entries, tree.next_cursor) = part.of(tree.entries)?;
    Ok(axum::Json(tree))
}

/// Reads a file: what lies in the work tree, or what `ref` has.
#[utoipa::path(get, path = "/api/projects/{id}/git/files/{att}/content/{path}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("path" = String, Path), RefQuery), responses(
    (status = 200, description = "The file", body = ContentObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_content(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, path)): Path<(String, String, String)>,
    Query(query): Query<RefQuery>,
) -> Result<axum::Json<ContentObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_path("path", &path)?;
    let revision = parse_ref("ref", query.reference.as_deref())?;
    let reference = revision.as_ref().map(|revision| revision.as_str().to_owned());
    let content = files::read(state.hub(), at, path, revision).await.map_err(unread)?;
    Ok(axum::Json(ContentObject::of(content, reference)))
}

async fn commit(
    state: &AppState,
    at: files::At,
    edit: Edit,
    shown: &RepoPath,
    options: WriteOptions,
) -> Result<axum::Json<WrittenObject>, ApiError> {
    let written = files::commit(state.hub(), at, edit, options).await?;
    Ok(axum::Json(WrittenObject::of(written, shown.as_str().to_owned())))
}

/// Makes a file that is not there yet.
#[utoipa::path(post, path = "/api/projects/{id}/git/files/{att}/content/{path}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("path" = String, Path)), request_body = WriteFile, responses(
    (status = 201, description = "Its blob and commit", body = WrittenObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, path)): Path<(String, String, String)>,
    below: Uri,
    Json(body): FileJson<WriteFile>,
) -> Result<Response, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_path("path", &path)?;
    // As it was written, for it need not be encoded again then; what comes before it is not told here.
    let place = format!("/api/projects/{id}/git{}", below.path());
    let (bytes, options) = body.check()?;
    let edit = Edit::Create {
        path: path.clone(),
        bytes,
    };
    let written = commit(&state, at, edit, &path, options).await?;
    Ok(created(&state, &place, written))
}

/// Writes a file, there or not.
#[utoipa::path(put, path = "/api/projects/{id}/git/files/{att}/content/{path}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("path" = String, Path)), request_body = WriteFile, responses(
    (status = 200, description = "Its blob and commit", body = WrittenObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn write(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, path)): Path<(String, String, String)>,
    Json(body): FileJson<WriteFile>,
) -> Result<axum::Json<WrittenObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_path("path", &path)?;
    let (bytes, options) = body.check()?;
    let edit = Edit::Put {
        path: path.clone(),
        bytes,
    };
    commit(&state, at, edit, &path, options).await
}

/// Removes a file.
#[utoipa::path(delete, path = "/api/projects/{id}/git/files/{att}/content/{path}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), ("path" = String, Path), DeleteQuery), responses(
    (status = 200, description = "The commit", body = WrittenObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att, path)): Path<(String, String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Result<axum::Json<WrittenObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let path = parse_path("path", &path)?;
    let mut complaints = Complaints::default();
    let options = check_options(query.commit_message, query.expected_sha, &mut complaints);
    complaints.done()?;
    commit(&state, at, Edit::Delete { path: path.clone() }, &path, options).await
}

/// Gives a file another path.
#[utoipa::path(post, path = "/api/projects/{id}/git/files/{att}/rename", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), request_body = RenameFile, responses(
    (status = 200, description = "Its blob and commit", body = WrittenObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn rename(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Json(body): Json<RenameFile>,
) -> Result<axum::Json<WrittenObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let (from, to) = (parse_path("from", &body.from)?, parse_path("to", &body.to)?);
    let mut complaints = Complaints::default();
    let options = check_options(body.commit_message, body.expected_sha, &mut complaints);
    complaints.done()?;
    let edit = Edit::Rename { from, to: to.clone() };
    commit(&state, at, edit, &to, options).await
}

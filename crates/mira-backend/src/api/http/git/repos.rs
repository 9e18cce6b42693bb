//! Attaching, watching, syncing and detaching repositories.

use super::{at, check_message};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Json, OptionalJson, Path, Query},
        git_objects::{RepoObject, UnpublishedObject},
        http::{
            git::objects::SyncedObject,
            placed,
            projects::{DeleteQuery, found, project_id},
            sessions::{ListQuery, not_null},
        },
    },
    services::{
        auth::Identity,
        git::{
            self, RepoError,
            attach::{self, NewAttachment},
            sync::{self, SyncOptions},
            unpublished,
        },
    },
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use mira_core::repo::WriteMode;
use mira_git::{
    BranchName, GitError,
    remote::{Credentials, Secret},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest token, password or key, in bytes.
const MAX_SECRET_BYTES: usize = 32 * 1024;

/// How to get into a repository. It is kept in files of its own, and shown nowhere.
#[derive(Deserialize, ToSchema)]
#[schema(as = GitAuth)]
pub struct AuthBody {
    /// `none`, `token`, `password` or `ssh_key`; absent, the secret that is given says it.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// Of `token`.
    #[serde(default)]
    token: Option<String>,
    /// Of `password`; of `token`, where the host wants a certain one.
    #[serde(default)]
    username: Option<String>,
    /// Of `password`.
    #[serde(default)]
    password: Option<String>,
    /// Of `ssh_key`: in OpenSSH's or PEM form.
    #[serde(default)]
    private_key: Option<String>,
    /// What the key is locked with.
    #[serde(default)]
    passphrase: Option<String>,
}

/// A repository to attach.
#[derive(Deserialize, ToSchema)]
#[schema(as = AttachRepo)]
pub struct AttachBody {
    /// `https://host/path`, `ssh://user@host/path` or `user@host:path`, without credentials.
    repo_url: String,
    /// The branch to check out; the remote's own choice when absent.
    #[serde(default)]
    branch: Option<String>,
    /// How to get in; as anybody when absent.
    #[serde(default)]
    auth: Option<AuthBody>,
}

/// What to change of an attached repository.
#[derive(Default, Deserialize, ToSchema)]
pub struct PatchRepo {
    /// How to get in from now on, instead of what was kept.
    #[serde(default, deserialize_with = "not_null")]
    auth: Option<AuthBody>,
    /// What becomes of Mira's own changes: `propose` or `direct`.
    #[serde(default, deserialize_with = "not_null")]
    writes: Option<String>,
}

/// What to do beside fetching and merging.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct SyncRepo {
    /// Whether commits are pushed to the branch's own upstream.
    #[serde(default)]
    push: bool,
    /// The message of a merge commit, should one be needed.
    #[serde(default)]
    commit_message: Option<String>,
}

/// A page of repositories.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepoList {
    /// In the order they were attached in.
    pub repos: Vec<RepoObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// What is in a clone and nowhere else.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepoDeletion)]
pub struct DetachmentObject {
    /// The repository, if it holds any such thing; nothing is detached then without `force`.
    pub unpublished: Vec<UnpublishedObject>,
}

/// Which addresses a kind of credentials is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Any,
    Http,
    Ssh,
}

impl For {
    fn check(self, url: &str, complaints: &mut Complaints) {
        let fits = match self {
            Self::Any => true,
            Self::Http => url.starts_with("http"),
            Self::Ssh => !url.starts_with("http"),
        };
        if !fits {
            complaints.add(
                "auth.type",
                "is not for such an address: keys are for ssh, tokens and passwords for https",
            );
        }
    }
}

impl AuthBody {
    fn check(self, complaints: &mut Complaints) -> (Credentials, For) {
        let mut needed = |field: &str, value: Option<String>| {
            let value = value.unwrap_or_default();
            if value.is_empty() {
                complaints.add(&format!("auth.{field}"), "is needed");
            } else if value.len() > MAX_SECRET_BYTES {
                complaints.add(&format!("auth.{field}"), format!("at most {MAX_SECRET_BYTES} bytes"));
            }
            value
        };
        let kind = self.kind.as_deref().or_else(|| {
            let secrets = [
                ("token", &self.token),
                ("ssh_key", &self.private_key),
                ("password", &self.password),
            ];
            secrets
                .into_iter()
                .find_map(|(kind, secret)| secret.is_some().then_some(kind))
        });
        match kind.unwrap_or_default() {
            "none" => (Credentials::None, For::Any),
            "token" => {
                let token = Secret::new(needed("token", self.token).trim());
                let user = self.username.filter(|user| !user.is_empty());
                (Credentials::Token { token, user }, For::Http)
            }
            "password" => {
                let user = needed("username", self.username);
                let password = Secret::new(needed("password", self.password));
                (Credentials::Password { user, password }, For::Http)
            }
            "ssh_key" => {
                let private_key = Secret::new(needed("private_key", self.private_key));
                let passphrase = self.passphrase.filter(|text| !text.is_empty()).map(Secret::new);
                (
                    Credentials::SshKey {
                        private_key,
                        passphrase,
                    },
                    For::Ssh,
                )
            }
            _ => {
                complaints.add("auth.type", "none, token, password or ssh_key");
                (Credentials::None, For::Any)
            }
        }
    }
}

impl AttachBody {
    fn check(self, state: &AppState, project: &str) -> Result<NewAttachment, ApiError> {
        let mut complaints = Complaints::default();
        let url = state.hub().deps().git.parse_url(self.repo_url.trim());
        let url = url.map_err(|error| complaints.add("repo_url", error.to_string())).ok();
        let branch = self
            .branch
            .filter(|name| !name.is_empty())
            .map(|name| BranchName::parse(&name));
        let branch = branch.transpose().unwrap_or_else(|error| {
            complaints.add("branch", error.to_string());
            None
        });
        let (credentials, fit) = match self.auth {
            Some(auth) => auth.check(&mut complaints),
            None => (Credentials::None, For::Any),
        };
        if let Some(url) = &url {
            fit.check(url.as_str(), &mut complaints);
        }
        complaints.done()?;
        Ok(NewAttachment {
            project_id: project_id(project)?,
            // Without an address there was a complaint.
            url: url.ok_or(ApiError::Internal)?,
            branch,
            credentials,
        })
    }
}

/// Attaches a repository: cloning begins, and `git` events tell how far it is.
#[utoipa::path(post, path = "/api/projects/{id}/git/attach", tag = "git", params(("id" = String, Path)),
    request_body = AttachBody, responses(
    (status = 202, description = "The repository, being cloned", body = RepoObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn attach(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Json(body): Json<AttachBody>,
) -> Result<Response, ApiError> {
    found(&state, &identity, &id).await?;
    let new = body.check(&state, &id)?;
    let repo = attach::attach(state.hub(), identity.account, new).await?;
    let repo = repo.ok_or(ApiError::NotFound("project"))?;
    let place = format!("/api/projects/{}/git/repos/{}", repo.project_id, repo.id);
    let cloning = (StatusCode::ACCEPTED, axum::Json(RepoObject::of(&repo)));
    Ok(placed(&state, &place, cloning))
}

/// Lists the repositories of a project.
#[utoipa::path(get, path = "/api/projects/{id}/git/repos", tag = "git", params(("id" = String, Path), ListQuery), responses(
    (status = 200, description = "A page of repositories", body = RepoList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_repos(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<RepoList>, ApiError> {
    let project = found(&state, &identity, &id).await?;
    let listed = { state.store() }
        .list_repos(identity.account, project.id, query.page()?)
        .await?;
    Ok(axum::Json(RepoList {
        repos: listed.items.iter().map(RepoObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// One repository.
#[utoipa::path(get, path = "/api/projects/{id}/git/repos/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), responses(
    (status = 200, description = "The repository", body = RepoObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_repo(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
) -> Result<axum::Json<RepoObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let repo = git::find(state.hub(), at.account, at.project, at.id).await?;
    Ok(axum::Json(RepoObject::of(&repo)))
}

/// Says what becomes of Mira's own changes in a repository, or how to get into it from now on.
#[utoipa::path(patch, path = "/api/projects/{id}/git/repos/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), request_body = PatchRepo, responses(
    (status = 200, description = "The repository as it is now", body = RepoObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn patch_repo(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Json(body): Json<PatchRepo>,
) -> Result<axum::Json<RepoObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let mut repo = git::find(state.hub(), at.account, at.project, at.id).await?;
    let mut complaints = Complaints::default();
    let writes = body.writes.and_then(|name| {
        let known = WriteMode::parse(&name);
        if known.is_none() {
            complaints.add("writes", "propose or direct");
        }
        known
    });
    let credentials = body.auth.map(|auth| {
        let (credentials, fit) = auth.check(&mut complaints);
        fit.check(&repo.repo_url, &mut complaints);
        credentials
    });
    complaints.done()?;
    if let Some(credentials) = credentials {
        attach::set_credentials(state.hub(), at.account, at.project, at.id, credentials).await?;
    }
    if let Some(writes) = writes {
        repo = attach::set_writes(state.hub(), at.account, at.project, at.id, writes).await?;
    }
    Ok(axum::Json(RepoObject::of(&repo)))
}

/// What detaching a repository would lose: commits that were never pushed, edits that are in no commit.
#[utoipa::path(get, path = "/api/projects/{id}/git/repos/{att}/deletion", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), responses(
    (status = 200, description = "What is in the clone and nowhere else", body = DetachmentObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_deletion(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
) -> Result<axum::Json<DetachmentObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let unsaved = unpublished::find_unsaved(state.hub(), at.account, at.project, at.id).await?;
    Ok(axum::Json(DetachmentObject {
        unpublished: unsaved.iter().map(UnpublishedObject::of).collect(),
    }))
}

/// Detaches a repository: the clone with everything in it goes, its credentials and proposals too. The remote stays as it
/// is. Where the clone holds something that is nowhere else, nothing is detached without `force`.
#[utoipa::path(delete, path = "/api/projects/{id}/git/repos/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path), DeleteQuery), responses(
    (status = 204, description = "Detached"),
    (status = 409, description = "Something would be lost; `unpublished` tells what", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn detach(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let at = at(&identity, &id, &att)?;
    attach::detach(state.hub(), at.account, at.project, at.id, query.losses()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancels a clone or a sync. It ends soon after, and a `git` event tells so.
#[utoipa::path(post, path = "/api/projects/{id}/git/repos/{att}/cancel", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), responses(
    (status = 202, description = "The repository as it is at this moment", body = RepoObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
) -> Result<(StatusCode, axum::Json<RepoObject>), ApiError> {
    let at = at(&identity, &id, &att)?;
    let repo = attach::cancel(state.hub(), at.account, at.project, at.id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(RepoObject::of(&repo))))
}

/// Fetches from the remote and merges; pushes if asked to. A conflict is a 409 with the paths, and nothing has changed.
#[utoipa::path(post, path = "/api/projects/{id}/git/sync/{att}", tag = "git",
    params(("id" = String, Path), ("att" = String, Path)), request_body = Option<SyncRepo>, responses(
    (status = 200, description = "What was done", body = SyncedObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn sync(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, att)): Path<(String, String)>,
    OptionalJson(request): OptionalJson<SyncRepo>,
) -> Result<axum::Json<SyncedObject>, ApiError> {
    let at = at(&identity, &id, &att)?;
    let mut complaints = Complaints::default();
    let message = check_message(request.commit_message, &mut complaints);
    complaints.done()?;
    let options = SyncOptions {
        push: request.push,
        message,
    };
    match sync::sync(state.hub(), at.account, at.project, at.id, options).await {
        Ok(synced) => Ok(axum::Json(synced.into())),
        // Here it is the remote that was waited for, or that has too much.
        Err(RepoError::Git(error @ (GitError::Timeout(_) | GitError::TooLarge { .. }))) => {
            Err(ApiError::Remote(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

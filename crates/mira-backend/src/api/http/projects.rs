//! `/api/projects`: what belongs together.

use super::{
    created,
    sessions::{check_limit, not_null},
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Json, Path, Query},
        work_objects::{DeletionObject, ProjectObject, ProjectView},
    },
    services::{
        auth::Identity,
        git::unpublished::{self, Losses},
        projects::{self, ProjectFields},
    },
    state::AppState,
};
use axum::{extract::State, response::Response};
use mira_core::{
    approval::Asks,
    chat::one_line,
    ids::ProjectId,
    project::{Project, tidy_tags},
};
use mira_memory::{ArtifactCursor, Page, ProjectFilter, ProjectPatch, RepoCursor};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The longest `q`, in characters.
const MAX_Q: usize = 1024;

/// Which projects to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProjectsQuery {
    /// What name, description or tags hold; any text is a valid query.
    q: Option<String>,
    /// Only those with this tag.
    tag: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of projects.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectList {
    /// The last changed first.
    pub projects: Vec<ProjectObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// A whole project, to make one or to put in one's place.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PutProject {
    /// 1 to 200 characters.
    name: String,
    /// What it is about, at most 4000 characters.
    #[serde(default)]
    description: Option<String>,
    /// At most 20 of 40 characters each.
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// What she is told in every turn of it, at most 32 KiB.
    #[serde(default)]
    instructions: Option<String>,
    /// What she asks before: `outside` (calls that reach beyond Mira once she has read strangers' words; the default) or
    /// `writes` (whatever changes something, too).
    #[serde(default)]
    approvals: Option<String>,
}

/// What to change of a project.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PatchProject {
    /// 1 to 200 characters.
    #[serde(default, deserialize_with = "not_null")]
    name: Option<String>,
    /// What it is about.
    #[serde(default, deserialize_with = "not_null")]
    description: Option<String>,
    /// All of its tags.
    #[serde(default, deserialize_with = "not_null")]
    tags: Option<Vec<String>>,
    /// What she is told in every turn of it.
    #[serde(default, deserialize_with = "not_null")]
    instructions: Option<String>,
    /// What she asks before: `outside` or `writes`.
    #[serde(default, deserialize_with = "not_null")]
    approvals: Option<String>,
}

/// How sure whoever deletes is.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Delete also where commits that were never pushed or edits that are in no commit are lost.
    #[serde(default)]
    force: bool,
}

impl DeleteQuery {
    pub(super) fn losses(&self) -> Losses {
        if self.force { Losses::Accepted } else { Losses::Refused }
    }
}

fn no_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A name for showing: one line of 1 to `most` characters.
pub(super) fn check_name(name: &str, most: usize, complaints: &mut Complaints) -> String {
    if name.chars().count() > most {
        complaints.add("name", format!("at most {most} characters"));
    }
    let name = one_line(name, most);
    if name.is_empty() {
        complaints.add("name", "must not be empty");
    }
    name
}

fn check_description(text: &str, complaints: &mut Complaints) -> String {
    if text.chars().count() > Project::MAX_DESCRIPTION_CHARS {
        let most = Project::MAX_DESCRIPTION_CHARS;
        complaints.add("description", format!("at most {most} characters"));
    }
    no_nul(text)
}

fn check_tags(tags: &[String], complaints: &mut Complaints) -> Vec<String> {
    let tags = tidy_tags(tags.iter().map(String::as_str));
    if tags.len() > Project::MAX_TAGS {
        complaints.add("tags", format!("at most {}", Project::MAX_TAGS));
    }
    if tags.iter().any(|tag| tag.chars().count() > Project::MAX_TAG_CHARS) {
        complaints.add("tags", format!("each at most {} characters", Project::MAX_TAG_CHARS));
    }
    tags
}

fn check_instructions(text: &str, complaints: &mut Complaints) -> String {
    let text = no_nul(text);
    if text.len() > Project::MAX_INSTRUCTIONS_BYTES {
        let most = Project::MAX_INSTRUCTIONS_BYTES;
        complaints.add("instructions", format!("at most {most} bytes"));
    }
    text
}

fn check_asks(text: Option<&str>, complaints: &mut Complaints) -> Option<Asks> {
    let asks = Asks::parse(text?);
    if asks.is_none() {
        complaints.add("approvals", "outside or writes");
    }
    asks
}

impl PutProject {
    fn check(&self) -> Result<ProjectFields, ApiError> {
        let mut complaints = Complaints::default();
        let fields = ProjectFields {
            name: check_name(&self.name, Project::MAX_NAME_CHARS, &mut complaints),
            description: check_description(self.description.as_deref().unwrap_or_default(), &mut complaints),
            tags: check_tags(self.tags.as_deref().unwrap_or_default(), &mut complaints),
            instructions: check_instructions(self.instructions.as_deref().unwrap_or_default(), &mut complaints),
            approvals: check_asks(self.approvals.as_deref(), &mut complaints).unwrap_or_default(),
        };
        complaints.done().map(|()| fields)
    }
}

impl PatchProject {
    fn check(&self) -> Result<ProjectPatch, ApiError> {
        let mut complaints = Complaints::default();
        let name = self.name.as_deref();
        let patch = ProjectPatch {
            name: name.map(|name| check_name(name, Project::MAX_NAME_CHARS, &mut complaints)),
            description: { self.description.as_deref() }.map(|text| check_description(text, &mut complaints)),
            tags: self.tags.as_deref().map(|tags| check_tags(tags, &mut complaints)),
            instructions: { self.instructions.as_deref() }.map(|text| check_instructions(text, &mut complaints)),
            approvals: check_asks(self.approvals.as_deref(), &mut complaints),
        };
        complaints.done().map(|()| patch)
    }
}

/// The id a path names; what is no id names nothing.
pub(super) fn project_id(id: &str) -> Result<ProjectId, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound("project"))
}

pub(super) async fn found(state: &AppState, identity: &Identity, id: &str) -> Result<Project, ApiError> {
    let id = project_id(id)?;
    state
        .store()
        .find_project(identity.account, id)
        .await?
        .ok_or(ApiError::NotFound("project"))
}

/// Lists or searches the projects.
#[utoipa::path(get, path = "/api/projects", tag = "projects", params(ProjectsQuery), responses(
    (status = 200, description = "A page of projects", body = ProjectList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_projects(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<ProjectsQuery>,
) -> Result<axum::Json<ProjectList>, ApiError> {
    let mut complaints = Complaints::default();
    let limit = check_limit(query.limit, &mut complaints);
    let cursor = complaints.parse("cursor", query.cursor.as_deref());
    complaints.done()?;
    let q = query.q.map(|q| q.chars().take(MAX_Q).collect::<String>());
    let filter = ProjectFilter {
        q: q.filter(|q| !q.trim().is_empty()),
        tag: query.tag.map(|tag| tidy_tags([tag.as_str()]).pop().unwrap_or_default()),
    };
    let page = Page { limit, cursor };
    let listed = state.store().list_projects(identity.account, filter, page).await?;
    Ok(axum::Json(ProjectList {
        projects: listed.items.iter().map(ProjectObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// Makes a project.
#[utoipa::path(post, path = "/api/projects", tag = "projects", request_body = PutProject, responses(
    (status = 201, description = "The new project", body = ProjectObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create_project(
    State(state): State<AppState>,
    identity: Identity,
    Json(body): Json<PutProject>,
) -> Result<Response, ApiError> {
    let project = projects::create(state.hub(), identity.account, body.check()?).await?;
    let place = format!("/api/projects/{}", project.id);
    Ok(created(&state, &place, axum::Json(ProjectObject::of(&project))))
}

/// One project with what belongs to it.
#[utoipa::path(get, path = "/api/projects/{id}", tag = "projects", params(("id" = String, Path)), responses(
    (status = 200, description = "The project", body = ProjectView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_project(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<ProjectView>, ApiError> {
    let project = found(&state, &identity, &id).await?;
    let artifacts = { state.store() }
        .list_artifacts(
            identity.account,
            project.id,
            Page {
                limit: Page::<ArtifactCursor>::MAX,
                cursor: None,
            },
        )
        .await?;
    let repos = { state.store() }
        .list_repos(identity.account, project.id, Page::first(Page::<RepoCursor>::MAX))
        .await?;
    Ok(axum::Json(ProjectView::of(&project, &repos.items, &artifacts.items)))
}

async fn change(
    state: &AppState,
    identity: &Identity,
    id: &str,
    patch: ProjectPatch,
) -> Result<axum::Json<ProjectObject>, ApiError> {
    let project = projects::update(state.hub(), identity.account, project_id(id)?, patch).await?;
    let project = project.ok_or(ApiError::NotFound("project"))?;
    Ok(axum::Json(ProjectObject::of(&project)))
}

/// Puts another project in its place: what is left out becomes empty.
#[utoipa::path(put, path = "/api/projects/{id}", tag = "projects", params(("id" = String, Path)),
    request_body = PutProject, responses(
    (status = 200, description = "The project as it is now", body = ProjectObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn put_project(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Json(body): Json<PutProject>,
) -> Result<axum::Json<ProjectObject>, ApiError> {
    found(&state, &identity, &id).await?;
    let ProjectFields {
        name,
        description,
        tags,
        instructions,
        approvals,
    } = body.check()?;
    let patch = ProjectPatch {
        name: Some(name),
        description: Some(description),
        tags: Some(tags),
        instructions: Some(instructions),
        approvals: Some(approvals),
    };
    change(&state, &identity, &id, patch).await
}

/// Changes a project: what is left out stays.
#[utoipa::path(patch, path = "/api/projects/{id}", tag = "projects", params(("id" = String, Path)),
    request_body = PatchProject, responses(
    (status = 200, description = "The project as it is now", body = ProjectObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn patch_project(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Json(body): Json<PatchProject>,
) -> Result<axum::Json<ProjectObject>, ApiError> {
    found(&state, &identity, &id).await?;
    change(&state, &identity, &id, body.check()?).await
}

/// What deleting the project would take along, and what of it is nowhere else.
#[utoipa::path(get, path = "/api/projects/{id}/deletion", tag = "projects", params(("id" = String, Path)), responses(
    (status = 200, description = "What would go, and what would leave the project and stay", body = DeletionObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_deletion(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<DeletionObject>, ApiError> {
    let id = project_id(&id)?;
    let counts = state.store().count_project(identity.account, id).await?;
    let counts = counts.ok_or(ApiError::NotFound("project"))?;
    let unsaved = unpublished::of_project(state.hub(), identity.account, id).await?;
    Ok(axum::Json(DeletionObject::of(counts, &unsaved)))
}

/// Deletes a project with its artifacts. Sessions, what was said in them, and memories stay, outside of any project. Where
/// a repository holds something that is nowhere else, nothing is deleted without `force`.
#[utoipa::path(delete, path = "/api/projects/{id}", tag = "projects", params(("id" = String, Path), DeleteQuery), responses(
    (status = 200, description = "What went, and what left the project and stayed", body = DeletionObject),
    (status = 409, description = "Something would be lost; `unpublished` tells what", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_project(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<axum::Json<DeletionObject>, ApiError> {
    let counts = projects::delete(state.hub(), identity.account, project_id(&id)?, query.losses()).await?;
    let counts = counts.ok_or(ApiError::NotFound("project"))?;
    Ok(axum::Json(DeletionObject::of(counts, &[])))
}

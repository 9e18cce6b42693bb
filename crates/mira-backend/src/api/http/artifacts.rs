//! `/api/artifacts`: what is worked on in a project, its versions and their differences. Downloads and previews are in
//! [`super::artifact_views`].
//!
//! Law: no update is lost. Who puts a content names the tag of what they know; a stranger's change in between refuses it.

use super::{
    created,
    projects::{check_name, project_id},
    sessions::{ListQuery, not_null},
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{ArtifactJson, Json, Path, Query},
        work_objects::{ArtifactObject, DiffObject, VersionObject, etag},
        ws::message::present,
    },
    services::{
        artifacts::{self, ArtifactFields, ContentError, Maker, diff, parse_content},
        auth::Identity,
    },
    state::AppState,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mira_core::{
    chat::one_line,
    ids::{ArtifactId, ProjectId},
    project::{Artifact, ArtifactContent, ArtifactKind, ArtifactVersion},
};
use mira_memory::{ArtifactPatch, DeleteOutcome, Expected, VersionOutcome};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A new artifact.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateArtifact {
    /// The project it goes to.
    project_id: String,
    /// 1 to 200 characters, for showing only.
    name: String,
    /// `code`, `markdown`, `html`, `svg`, `note`, `image`, `log` or `json`.
    #[serde(rename = "type")]
    kind: String,
    /// Text of at most 2 MiB; a picture of at most 8 MiB as a data URL (`data:image/png;base64,...`).
    content: String,
    /// The language of code.
    #[serde(default)]
    language: Option<String>,
}

/// A new version.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PutArtifact {
    /// The whole content.
    content: String,
    /// Another name.
    #[serde(default, deserialize_with = "not_null")]
    name: Option<String>,
    /// Another language, or null.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
}

/// What to change beside the content.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PatchArtifact {
    /// Another name.
    #[serde(default, deserialize_with = "not_null")]
    name: Option<String>,
    /// Another language, or null.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
}

/// The version to go back to.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RestoreVersion {
    /// Its number.
    version: u32,
}

/// A page of artifacts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArtifactList {
    /// The last changed first, without contents.
    pub artifacts: Vec<ArtifactObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionList {
    /// The newest first, without contents.
    pub versions: Vec<VersionObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// Which versions to compare.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// The old one; the one before `to` when absent.
    from: Option<u32>,
    /// The new one; the newest when absent.
    to: Option<u32>,
}

// ---- tags ---------------------------------------------------------------------------------------------------------

/// The tags a header names; `None` without the header.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<&str>> {
    let mut named = None;
    for value in headers.get_all(name) {
        let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        named.get_or_insert_with(Vec::new).extend(tags);
    }
    named
}

/// What a request's `If-Match` says of an artifact as it was read: that the change is for this and nothing else, or for
/// whatever there is (`*`); `None` without the header. A weak tag matches nothing.
fn expected(headers: &HeaderMap, artifact: &Artifact) -> Result<Option<Expected>, ApiError> {
    let Some(tags) = tags(headers, header::IF_MATCH) else {
        return Ok(None);
    };
    if tags.contains(&"*") {
        return Ok(Some(Expected::Anything));
    }
    if tags.contains(&etag(artifact).as_str()) {
        return Ok(Some(Expected::exactly(artifact)));
    }
    Err(changed(artifact.version))
}

/// The refusal of a change that does not know the newest version.
fn changed(version: u32) -> ApiError {
    ApiError::PreconditionFailed(format!(
        "the artifact has changed meanwhile and is at version {version}: fetch it, and try again with its ETag"
    ))
}

/// Puts an artifact's tag on an answer. It may be kept, but must be asked for again each time.
fn tagged(mut response: Response, artifact: &Artifact) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&etag(artifact)) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn answer(artifact: &Artifact) -> Response {
    tagged(axum::Json(ArtifactObject::of(artifact)).into_response(), artifact)
}

// ---- fields -------------------------------------------------------------------------------------------------------

fn check_language(language: Option<&str>, complaints: &mut Complaints) -> Option<String> {
    let language = language?;
    if language.chars().count() > Artifact::MAX_LANGUAGE_CHARS {
        let most = Artifact::MAX_LANGUAGE_CHARS;
        complaints.add("language", format!("at most {most} characters"));
    }
    Some(one_line(language, Artifact::MAX_LANGUAGE_CHARS)).filter(|language| !language.is_empty())
}

fn check_patch(name: Option<&str>, language: Option<&Option<String>>, complaints: &mut Complaints) -> ArtifactPatch {
    ArtifactPatch {
        name: name.map(|name| check_name(name, Artifact::MAX_NAME_CHARS, complaints)),
        language: language.map(|language| check_language(language.as_deref(), complaints)),
    }
}

/// A content of this kind; one that is too large is told at once, anything else with the other complaints.
fn check_content(
    kind: ArtifactKind,
    content: String,
    complaints: &mut Complaints,
) -> Result<Option<ArtifactContent>, ApiError> {
    match parse_content(kind, content) {
        Ok(content) => Ok(Some(content)),
        Err(ContentError::TooLarge { limit }) => Err(ApiError::TooLarge { limit_bytes: limit }),
        Err(error @ (ContentError::Nul | ContentError::NotAPicture | ContentError::WrongFormat(_))) => {
            complaints.add("content", error.to_string());
            Ok(None)
        }
    }
}

/// The id a path names; what is no id names nothing.
pub(super) fn artifact_id(id: &str) -> Result<ArtifactId, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound("artifact"))
}

/// The artifact, without its content.
pub(super) async fn bare(state: &AppState, identity: &Identity, id: &str) -> Result<Artifact, ApiError> {
    state
        .store()
        .find_artifact_bare(identity.account, artifact_id(id)?)
        .await?
        .ok_or(ApiError::NotFound("artifact"))
}

/// What a change has come to.
fn outcome(outcome: VersionOutcome) -> Result<Response, ApiError> {
    match outcome {
        VersionOutcome::Added(artifact) | VersionOutcome::Renamed(artifact) | VersionOutcome::Unchanged(artifact) => {
            Ok(answer(&artifact))
        }
        VersionOutcome::Mismatch { version } => Err(changed(version)),
        VersionOutcome::WrongContent => Err(ApiError::field("content", "not of this artifact's type")),
        VersionOutcome::NoSuchVersion => Err(ApiError::field("version", "there is no such version")),
        VersionOutcome::NoSuchArtifact => Err(ApiError::NotFound("artifact")),
    }
}

// ---- artifacts ----------------------------------------------------------------------------------------------------

/// Makes an artifact.
#[utoipa::path(post, path = "/api/artifacts", tag = "artifacts", request_body = CreateArtifact, responses(
    (status = 201, description = "The new artifact", body = ArtifactObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn create_artifact(
    State(state): State<AppState>,
    identity: Identity,
    Json(body): ArtifactJson<CreateArtifact>,
) -> Result<Response, ApiError> {
    let mut complaints = Complaints::default();
    let project_id: Option<ProjectId> = complaints.parse("project_id", Some(&body.project_id));
    let name = check_name(&body.name, Artifact::MAX_NAME_CHARS, &mut complaints);
    let language = check_language(body.language.as_deref(), &mut complaints);
    let kind = ArtifactKind::parse(&body.kind);
    let content = if let Some(kind) = kind {
        check_content(kind, body.content, &mut complaints)?
    } else {
        let names: Vec<&str> = ArtifactKind::ALL.into_iter().map(ArtifactKind::as_str).collect();
        complaints.add("type", names.join(", "));
        None
    };
    complaints.done()?;
    let (Some(project_id), Some(kind), Some(content)) = (project_id, kind, content) else {
        return Err(ApiError::Internal);
    };
    let fields = ArtifactFields {
        project_id,
        name,
        kind,
        language,
        content,
    };
    let made = artifacts::create(state.hub(), identity.account, fields, Maker::OWNER).await?;
    let artifact = made.ok_or_else(|| ApiError::field("project_id", "there is no such project"))?;
    let place = format!("/api/artifacts/{}", artifact.id);
    Ok(created(&state, &place, answer(&artifact)))
}

/// One artifact with its newest content. `If-None-Match` with its tag is answered by 304.
#[utoipa::path(get, path = "/api/artifacts/{id}", tag = "artifacts", params(("id" = String, Path)), responses(
    (status = 200, description = "The artifact; its tag is in `ETag`", body = ArtifactObject),
    (status = 304, description = "It is what the client has"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_artifact(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let found = state.store().find_artifact(identity.account, artifact_id(&id)?).await?;
    let artifact = found.ok_or(ApiError::NotFound("artifact"))?;
    let tag = etag(&artifact);
    // Weakly: what a proxy has marked as weak is the same artifact.
    let known = tags(&headers, header::IF_NONE_MATCH).unwrap_or_default();
    if { known.iter() }.any(|known| *known == "*" || known.trim_start_matches("W/") == tag) {
        return Ok(tagged(StatusCode::NOT_MODIFIED.into_response(), &artifact));
    }
    Ok(answer(&artifact))
}

/// Stores a new version. `If-Match` names the tag of what the client knows; the same content makes no new version.
#[utoipa::path(put, path = "/api/artifacts/{id}", tag = "artifacts", params(
    ("id" = String, Path), ("If-Match" = String, Header, description = "The tag of the version this one follows")),
    request_body = PutArtifact, responses(
    (status = 200, description = "The artifact as it is now", body = ArtifactObject),
    (status = 412, description = "It has changed meanwhile", body = Problem, content_type = "application/problem+json"),
    (status = 428, description = "`If-Match` is missing", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn put_artifact(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): ArtifactJson<PutArtifact>,
) -> Result<Response, ApiError> {
    let old = bare(&state, &identity, &id).await?;
    let expected = expected(&headers, &old)?.ok_or(ApiError::PreconditionRequired(
        "send `If-Match` with the ETag of the artifact you have changed",
    ))?;
    let mut complaints = Complaints::default();
    let patch = check_patch(body.name.as_deref(), body.language.as_ref(), &mut complaints);
    let content = check_content(old.kind, body.content, &mut complaints)?;
    complaints.done()?;
    let content = content.ok_or(ApiError::Internal)?;
    let account = identity.account;
    outcome(artifacts::add_version(state.hub(), account, old.id, content, expected, patch, Maker::OWNER).await?)
}

/// Renames an artifact or says its language. The last to write wins, unless `If-Match` is sent.
#[utoipa::path(patch, path = "/api/artifacts/{id}", tag = "artifacts", params(("id" = String, Path)),
    request_body = PatchArtifact, responses(
    (status = 200, description = "The artifact as it is now", body = ArtifactObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn patch_artifact(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): Json<PatchArtifact>,
) -> Result<Response, ApiError> {
    let old = bare(&state, &identity, &id).await?;
    let expected = expected(&headers, &old)?.unwrap_or_default();
    let mut complaints = Complaints::default();
    let patch = check_patch(body.name.as_deref(), body.language.as_ref(), &mut complaints);
    complaints.done()?;
    outcome(artifacts::rename(state.hub(), identity.account, old.id, patch, expected).await?)
}

/// Deletes an artifact with all its versions; with `If-Match` only as the client knows it.
#[utoipa::path(delete, path = "/api/artifacts/{id}", tag = "artifacts", params(("id" = String, Path)), responses(
    (status = 204, description = "Deleted"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_artifact(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let old = bare(&state, &identity, &id).await?;
    let expected = expected(&headers, &old)?.unwrap_or_default();
    match artifacts::delete(state.hub(), identity.account, old.id, expected).await? {
        DeleteOutcome::Deleted(_) => Ok(StatusCode::NO_CONTENT),
        DeleteOutcome::Mismatch { version } => Err(changed(version)),
        DeleteOutcome::NoSuchArtifact => Err(ApiError::NotFound("artifact")),
    }
}

/// Lists the artifacts of a project.
#[utoipa::path(get, path = "/api/projects/{id}/artifacts", tag = "artifacts", params(("id" = String, Path), ListQuery),
    responses(
    (status = 200, description = "A page of artifacts, the last changed first", body = ArtifactList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_artifacts(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<ArtifactList>, ApiError> {
    let project = project_id(&id)?;
    let store = state.store();
    if store.find_project(identity.account, project).await?.is_none() {
        return Err(ApiError::NotFound("project"));
    }
    let listed = store.list_artifacts(identity.account, project, query.page()?).await?;
    Ok(axum::Json(ArtifactList {
        artifacts: listed.items.iter().map(ArtifactObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

// ---- versions -----------------------------------------------------------------------------------------------------

/// Lists the versions of an artifact.
#[utoipa::path(get, path = "/api/artifacts/{id}/versions", tag = "artifacts", params(("id" = String, Path), ListQuery),
    responses(
    (status = 200, description = "A page of versions, newest first", body = VersionList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_versions(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<VersionList>, ApiError> {
    let artifact = bare(&state, &identity, &id).await?;
    let listed = state
        .store()
        .list_versions(identity.account, artifact.id, query.page()?)
        .await?;
    Ok(axum::Json(VersionList {
        versions: listed.items.iter().map(VersionObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// One version of an artifact, with its content.
#[utoipa::path(get, path = "/api/artifacts/{id}/versions/{version}", tag = "artifacts",
    params(("id" = String, Path), ("version" = u32, Path)), responses(
    (status = 200, description = "The version", body = VersionObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_version(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, version)): Path<(String, u32)>,
) -> Result<axum::Json<VersionObject>, ApiError> {
    let found = state
        .store()
        .find_version(identity.account, artifact_id(&id)?, version)
        .await?;
    let version = found.ok_or(ApiError::NotFound("version"))?;
    Ok(axum::Json(VersionObject::of(&version)))
}

/// Makes an old version's content the newest, as a version of its own. `If-Match` is honoured where it is sent.
#[utoipa::path(post, path = "/api/artifacts/{id}/restore", tag = "artifacts", params(("id" = String, Path)),
    request_body = RestoreVersion, responses(
    (status = 200, description = "The artifact as it is now", body = ArtifactObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn restore_version(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): Json<RestoreVersion>,
) -> Result<Response, ApiError> {
    let old = bare(&state, &identity, &id).await?;
    let expected = expected(&headers, &old)?.unwrap_or_default();
    outcome(
        artifacts::restore(
            state.hub(),
            identity.account,
            old.id,
            body.version,
            expected,
            Maker::OWNER,
        )
        .await?,
    )
}

async fn version(
    state: &AppState,
    identity: &Identity,
    id: ArtifactId,
    (field, version): (&str, u32),
) -> Result<ArtifactVersion, ApiError> {
    let found = state.store().find_version(identity.account, id, version).await?;
    found.ok_or_else(|| ApiError::field(field, "there is no such version"))
}

/// What changed between two versions, line by line.
#[utoipa::path(get, path = "/api/artifacts/{id}/diff", tag = "artifacts", params(("id" = String, Path), DiffQuery),
    responses(
    (status = 200, description = "What changed", body = DiffObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn diff_versions(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Result<axum::Json<DiffObject>, ApiError> {
    let artifact = bare(&state, &identity, &id).await?;
    let to = query.to.unwrap_or(artifact.version);
    // The first version is compared with itself: nothing has changed.
    let from = query.from.unwrap_or_else(|| to.saturating_sub(1).max(1));
    let old = version(&state, &identity, artifact.id, ("from", from)).await?;
    let new = version(&state, &identity, artifact.id, ("to", to)).await?;
    let (Some(ArtifactContent::Text(old)), Some(ArtifactContent::Text(new))) = (old.content, new.content) else {
        return Ok(axum::Json(DiffObject::of(artifact.id.to_string(), (from, to), None)));
    };
    let work = state.life().spawn_blocking(move || {
        let diff = diff::lines(&old, &new);
        let unified = diff::unified(&diff, &format!("version {from}"), &format!("version {to}"));
        (diff, unified)
    });
    let diff = work.await.map_err(|error| ApiError::internal(&error))?;
    Ok(axum::Json(DiffObject::of(
        artifact.id.to_string(),
        (from, to),
        Some(diff),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&'static str], expect: Option<&[&str]>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_static(value));
        }
        assert_eq!(tags(&headers, header::IF_MATCH).as_deref(), expect, "{values:?}");
    }

    #[test]
    fn tags_of_a_header() {
        check(&[], None);
        check(&["\"1-a\""], Some(&["\"1-a\""]));
        check(&["\"1-a\", W/\"2\"", "*"], Some(&["\"1-a\"", "W/\"2\"", "*"]));
        check(&[""], Some(&[""]));
    }
}

//! Files: uploads (multipart, streamed to disk), lists, downloads.
//!
//! Invariants: what a sender says of a type counts for nothing; only the four formats of pictures every browser draws
//! safely are shown in place, all else is a download.

use super::{
    artifact_views::{Taken, label},
    created,
    projects::{found, project_id},
    sessions::check_limit,
};
use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Path, Query},
        file_objects::FileObject,
    },
    services::{
        auth::Identity,
        files::{FilesError, MOST_BYTES, Place},
    },
    state::AppState,
};
use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mira_core::{
    file::StoredFile,
    ids::{FileId, ProjectId},
    project::{Author, hex},
};
use mira_memory::{FilePlace, Page};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use utoipa::{IntoParams, ToSchema};

/// The most files of one request.
const MOST_FILES: usize = 20;
/// The largest request: every file at its largest, and what stands around them.
pub const MAX_UPLOAD_BYTES: usize = MOST_FILES * (100 * 1024 * 1024 + 4096);
// What the documentation says, too.
const _: () = assert!(MOST_BYTES == 100 * 1024 * 1024);
/// How long the next bytes may take.
const IDLE: Duration = Duration::from_secs(30);

impl From<FilesError> for ApiError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::TooLarge(most) => Self::TooLong(format!("a file may have at most {most} bytes")),
            FilesError::NoSuchProject => Self::NotFound("project"),
            FilesError::DiskFull => Self::StorageFull,
            FilesError::Io(error) => Self::internal(&error),
            FilesError::Store(error) => error.into(),
            FilesError::Ending => Self::busy("shutting down".to_owned()),
        }
    }
}

/// Which files to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilesQuery {
    /// Only those of this project; `none` for those in no project.
    project_id: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of files.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileList {
    /// The newest first.
    pub files: Vec<FileObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

/// What was uploaded in one request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Uploaded {
    /// The one file that was sent.
    One(Box<FileObject>),
    /// Several.
    Several {
        /// In the order of the request.
        files: Vec<FileObject>,
    },
}

/// A form with files in it, as `multipart/form-data`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body that is read as a stream")]
pub struct FileForm {
    /// A file; up to 20 of them.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

// ---- uploads ------------------------------------------------------------------------------------------------------

/// Stores files in no project. The owner's same bytes under the same name are one file; one that could not be read is
/// read again.
#[utoipa::path(post, path = "/api/files", tag = "files",
    request_body(content = FileForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "The file; `{\"files\": [...]}` where several were sent", body = Uploaded),
    (status = 200, description = "The same, where every one was there already", body = Uploaded),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn upload(State(state): State<AppState>, identity: Identity, request: Request) -> Result<Response, ApiError> {
    take(&state, &identity, None, request).await
}

/// Stores files in a project.
#[utoipa::path(post, path = "/api/projects/{id}/files", tag = "files", params(("id" = String, Path)),
    request_body(content = FileForm, content_type = "multipart/form-data"), responses(
    (status = 201, description = "The file; `{\"files\": [...]}` where several were sent", body = Uploaded),
    (status = 200, description = "The same, where every one was there already", body = Uploaded),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn upload_to_project(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let project = found(&state, &identity, &id).await?;
    take(&state, &identity, Some(project.id), request).await
}

async fn take(
    state: &AppState,
    identity: &Identity,
    project: Option<ProjectId>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| ApiError::UnsupportedMedia("multipart/form-data with a boundary"))?;
    let mut stored: Vec<(StoredFile, bool)> = Vec::new();
    while let Some(field) = in_time(form.next_field()).await? {
        let Some(name) = name_of(&field) else {
            skip(field).await?;
            continue;
        };
        if stored.len() == MOST_FILES {
            return Err(ApiError::field(
                "file",
                format!("at most {MOST_FILES} files in one request"),
            ));
        }
        stored.push(store(state, identity, project, &name, field).await?);
    }
    let is_new = stored.iter().any(|(_, new)| *new);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut files: Vec<FileObject> = stored.iter().map(|(file, _)| FileObject::of(file)).collect();
    match (files.len(), files.pop()) {
        (_, None) => Err(ApiError::field("file", "no file was sent: a part needs a filename")),
        (1, Some(file)) => {
            let place = format!("/api/files/{}", file.id);
            let object = axum::Json(Uploaded::One(Box::new(file)));
            Ok(if is_new {
                created(state, &place, object)
            } else {
                object.into_response()
            })
        }
        (_, Some(last)) => {
            files.push(last);
            Ok((status, axum::Json(Uploaded::Several { files })).into_response())
        }
    }
}

async fn store(
    state: &AppState,
    identity: &Identity,
    project: Option<ProjectId>,
    name: &str,
    mut field: Field<'_>,
) -> Result<(StoredFile, bool), ApiError> {
    let files = &state.hub().deps().files;
    let mut upload = files.begin(MOST_BYTES);
    while let Some(piece) = in_time(field.chunk()).await? {
        upload.write(piece).await?;
    }
    let staged = upload.finish().await?;
    let place = Place {
        project,
        author: Author::Owner,
        message: None,
    };
    Ok(files.keep(identity.account, place, name, staged).await?)
}

/// The name of a part that is a file: in the extended form where there is one (RFC 5987; some programs write no other, or
/// garble the plain one), else as browsers write it. Bytes that are no UTF-8 still make a name.
fn name_of(field: &Field<'_>) -> Option<String> {
    let head = field.headers().get(header::CONTENT_DISPOSITION)?;
    let head = String::from_utf8_lossy(head.as_bytes());
    let named = |wanted: &str| {
        let (_, value) = parameters(&head).into_iter().find(|(name, _)| name == wanted)?;
        Some(value)
    };
    let extended = named("filename*").and_then(|value| decoded(&value));
    extended
        .or_else(|| field.file_name().map(str::to_owned))
        .or_else(|| named("filename"))
        // What a form sends where nothing was chosen.
        .filter(|name| !name.is_empty())
}

/// The parameters of a `Content-Disposition`, their names in lower case.
fn parameters(head: &str) -> Vec<(String, String)> {
    let (mut found, mut part, mut quoted) = (Vec::new(), String::new(), false);
    let mut escaped = false;
    for c in head.chars().chain([';']) {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        if c != ';' || quoted {
            part.push(c);
            continue;
        }
        if let Some((name, value)) = part.split_once('=') {
            let value = value.trim().trim_matches('"').to_owned();
            found.push((name.trim().to_ascii_lowercase(), value));
        }
        part.clear();
    }
    found
}

/// `UTF-8'en'%C3%BC.txt`: what stands there; none in any other encoding.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, mut rest) = rest.split_once('\'')?;
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((plain, after)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let (hex, tail) = after.split_at_checked(2)?;
        let digits = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(hex, 16).ok().filter(|_| digits)?);
        rest = tail;
    }
    bytes.extend_from_slice(rest.as_bytes());
    charset
        .eq_ignore_ascii_case("utf-8")
        .then(|| String::from_utf8(bytes).ok())
        .flatten()
}

/// A part that is no file: read past, a little of it.
async fn skip(mut field: Field<'_>) -> Result<(), ApiError> {
    let mut left = 64 * 1024_usize;
    while let Some(piece) = in_time(field.chunk()).await? {
        left = left
            .checked_sub(piece.len())
            .ok_or_else(|| ApiError::field("", "a part without a filename is too large"))?;
    }
    Ok(())
}

async fn in_time<T>(
    next: impl Future<Output = Result<T, axum::extract::multipart::MultipartError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(IDLE, next).await {
        Err(_) => Err(ApiError::Timeout),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(ApiError::TooLarge {
            limit_bytes: MAX_UPLOAD_BYTES,
        }),
        Ok(Err(error)) => Err(ApiError::Malformed(format!(
            "the form cannot be read: {}",
            error.body_text()
        ))),
    }
}

// ---- lists and objects ----------------------------------------------------------------------------------------------

async fn list(
    state: &AppState,
    identity: &Identity,
    place: FilePlace,
    query: &FilesQuery,
) -> Result<FileList, ApiError> {
    let mut complaints = Complaints::default();
    let limit = check_limit(query.limit, &mut complaints);
    let cursor = complaints.parse("cursor", query.cursor.as_deref());
    complaints.done()?;
    let page = Page { limit, cursor };
    let listed = state.store().list_files(identity.account, place, page).await?;
    Ok(FileList {
        files: listed.items.iter().map(FileObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    })
}

/// Lists the files.
#[utoipa::path(get, path = "/api/files", tag = "files", params(FilesQuery), responses(
    (status = 200, description = "A page of files", body = FileList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_files(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<FilesQuery>,
) -> Result<axum::Json<FileList>, ApiError> {
    let place = match query.project_id.as_deref() {
        None => FilePlace::Anywhere,
        Some("none") => FilePlace::NoProject,
        Some(id) => {
            let id = id
                .parse()
                .map_err(|_| ApiError::field("project_id", "not a valid project id"))?;
            FilePlace::Project(id)
        }
    };
    list(&state, &identity, place, &query).await.map(axum::Json)
}

/// Lists the files of a project.
#[utoipa::path(get, path = "/api/projects/{id}/files", tag = "files", params(("id" = String, Path), FilesQuery),
    responses(
    (status = 200, description = "A page of files", body = FileList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_project_files(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<FilesQuery>,
) -> Result<axum::Json<FileList>, ApiError> {
    found(&state, &identity, &id).await?;
    let place = FilePlace::Project(project_id(&id)?);
    list(&state, &identity, place, &query).await.map(axum::Json)
}

fn file_id(id: &str) -> Result<FileId, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound("file"))
}

/// One file.
#[utoipa::path(get, path = "/api/files/{id}", tag = "files", params(("id" = String, Path)), responses(
    (status = 200, description = "The file", body = FileObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_file(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<FileObject>, ApiError> {
    let file = state.store().find_file(identity.account, file_id(&id)?).await?;
    let file = file.ok_or(ApiError::NotFound("file"))?;
    Ok(axum::Json(FileObject::of(&file)))
}

/// Reads a file again that could not be read, or not yet, and at once. One that was read stays as it is.
#[utoipa::path(post, path = "/api/files/{id}/retry", tag = "files", params(("id" = String, Path)), responses(
    (status = 200, description = "The file, `processing` where it is read again", body = FileObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn retry(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<FileObject>, ApiError> {
    let files = &state.hub().deps().files;
    let file = files.retry(identity.account, file_id(&id)?).await?;
    let file = file.ok_or(ApiError::NotFound("file"))?;
    Ok(axum::Json(FileObject::of(&file)))
}

/// Deletes a file, with what was read of it. Messages it was sent with stay.
#[utoipa::path(delete, path = "/api/files/{id}", tag = "files", params(("id" = String, Path)), responses(
    (status = 204, description = "It is gone"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_file(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let files = &state.hub().deps().files;
    match files.delete(identity.account, file_id(&id)?).await? {
        Some(_) => {
            crate::services::forget::wipe_later(state.hub());
            Ok(StatusCode::NO_CONTENT)
        }
        None => Err(ApiError::NotFound("file")),
    }
}

/// Whether a part is asked for that can be given: one range of bytes, and of the very file a client has begun with. Any
/// other wish gets the whole, as HTTP has it.
fn is_one_range(headers: &HeaderMap, tag: &str) -> bool {
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let is_one = range.is_some_and(|range| range.trim().starts_with("bytes=") && !range.contains(','));
    is_one && { headers.get_all(header::IF_RANGE).iter() }.all(|known| known == tag)
}

/// A file's bytes. Ranges are answered; pictures are shown in place, everything else is a download.
#[utoipa::path(get, path = "/api/files/{id}/content", tag = "files", params(("id" = String, Path)), responses(
    (status = 200, description = "The bytes", content((Vec<u8> = "application/octet-stream"))),
    (status = 206, description = "The bytes asked for", content((Vec<u8> = "application/octet-stream"))),
    (status = 304, description = "As the client knows it"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn content(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let files = &state.hub().deps().files;
    let (file, path) = files
        .open(identity.account, file_id(&id)?)
        .await?
        .ok_or(ApiError::NotFound("file"))?;
    let tag = format!("\"{}\"", hex(&file.sha256));
    let etag = HeaderValue::from_str(&tag).map_err(|error| ApiError::internal(&error))?;
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let is_known = known.filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    });
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let (mut parts, _) = request.into_parts();
    if !is_one_range(&parts.headers, &tag) {
        parts.headers.remove(header::RANGE);
    }
    let served = ServeFile::new(path)
        .oneshot(Request::from_parts(parts, Body::empty()))
        .await;
    let Ok(mut response) = served.map(|response| response.map(Body::new));
    if response.status() == StatusCode::NOT_FOUND {
        // It may have been deleted just now.
        state
            .store()
            .find_file(identity.account, file.id)
            .await?
            .ok_or(ApiError::NotFound("file"))?;
        tracing::error!(file.id = %file.id, "the bytes of a file are not on the disk");
        return Err(ApiError::Internal);
    }
    let taken = if file.is_picture() {
        Taken::InPlace
    } else {
        Taken::AsFile
    };
    let headers = response.headers_mut();
    label(headers, taken, &file.name, &file.media_type)?;
    headers.insert(header::ETAG, etag);
    // The bytes of an id never change, but the owner may delete them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.remove(header::LAST_MODIFIED);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_names_are_read() {
        let check = |value: &str, name: Option<&str>| assert_eq!(decoded(value).as_deref(), name, "{value}");
        check("UTF-8''%C3%BCber%20uns.txt", Some("über uns.txt"));
        check("utf-8'de'a.txt", Some("a.txt"));
        check("UTF-8''50%", None);
        check("UTF-8''%FF", None);
        check("UTF-8''%+1", None);
        check("iso-8859-1''a", None);
        check("a.txt", None);
        let parts = parameters("form-data; name=\"file\"; FileName=\"a;b \\\"c\\\".txt\"; filename*=UTF-8''x");
        let expect = [
            ("name", "file"),
            ("filename", "a;b \\\"c\\\".txt"),
            ("filename*", "UTF-8''x"),
        ];
        let expect = expect.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parts, expect);
        let parts = parameters(r#"form-data; filename="a\\"; filename*=UTF-8''x"#);
        assert_eq!(parts.len(), 2, "an escaped backslash escapes nothing: {parts:?}");
    }
}

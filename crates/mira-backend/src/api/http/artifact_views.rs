//! An artifact outside of JSON: the download (`raw`), and the boxed page (`preview`) behind a signed, short-lived link.
//!
//! Invariants: a download is an attachment of a media type from the table here; a page comes with a policy that makes its
//! origin opaque and lets nothing of it reach Mira, the network or the page that frames it; no cookie is looked at where
//! a link is signed.

use super::artifacts::{artifact_id, bare};
use crate::{
    api::{
        error::{ApiError, Problem},
        extract::{OptionalJson, Path, Query},
    },
    services::{
        artifacts::preview::{LINK_LIFETIME, LinkError, Previewed},
        auth::Identity,
    },
    state::AppState,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use mira_core::{
    ids::AccountId,
    project::{Artifact, ArtifactContent, ArtifactKind, ArtifactVersion, ImageFormat},
};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::{IntoParams, ToSchema};

/// Pages with scripts of their own. No network, no forms, no cookies, no storage: an origin nobody shares.
const SCRIPTED: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src \
    'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'self'";
/// Pages that are only looked at.
const STILL: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
    base-uri 'none'; frame-ancestors 'self'";
/// A download that somebody manages to open all the same.
const DOWNLOAD: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// A document that is sandboxed cannot also isolate itself: a browser may refuse it in a tab of its own (HTML, "create
/// navigation params by fetching"). The page's own policy cuts it off from a preview it opens.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const NO_OPENER_POLICY: HeaderValue = HeaderValue::from_static("unsafe-none");

/// How the pages made here look.
const STYLE: &str = include_str!("preview.css");

/// The longest name of a downloaded file, in bytes, its ending apart.
const MAX_FILE_NAME_BYTES: usize = 120;

/// Which version.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VersionQuery {
    /// The newest when absent.
    version: Option<u32>,
}

/// What a link to a preview says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// The version; the newest when absent (only without a signature).
    version: Option<u32>,
    /// When the link ends, in seconds since the Unix epoch.
    expires: Option<i64>,
    /// What opens the page without a login.
    signature: Option<String>,
}

/// Which version to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PreviewRequest {
    /// The newest when absent.
    #[serde(default)]
    version: Option<u32>,
}

/// A link that opens a preview without a login.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewLink {
    /// The link, a path of this server.
    pub url: String,
    /// When it ends.
    pub expires_at: String,
}

// ---- download -----------------------------------------------------------------------------------------------------

/// The media type of a content.
fn media_type(kind: ArtifactKind, content: &ArtifactContent) -> &'static str {
    match kind {
        ArtifactKind::Code | ArtifactKind::Note | ArtifactKind::Log => "text/plain; charset=utf-8",
        ArtifactKind::Markdown => "text/markdown; charset=utf-8",
        ArtifactKind::Html => "text/html; charset=utf-8",
        ArtifactKind::Svg => "image/svg+xml",
        ArtifactKind::Json => "application/json",
        ArtifactKind::Image => {
            ImageFormat::of(content.bytes()).map_or("application/octet-stream", ImageFormat::media_type)
        }
    }
}

/// The ending of a file's name where the artifact's has none.
fn extension(kind: ArtifactKind, content: &ArtifactContent) -> &'static str {
    match kind {
        ArtifactKind::Code | ArtifactKind::Note => "txt",
        ArtifactKind::Log => "log",
        ArtifactKind::Markdown => "md",
        ArtifactKind::Html => "html",
        ArtifactKind::Svg => "svg",
        ArtifactKind::Json => "json",
        ArtifactKind::Image => ImageFormat::of(content.bytes()).map_or("bin", ImageFormat::extension),
    }
}

/// Marks that turn the direction of what follows: they make one ending look like another.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

/// A name for showing as one for a file: no folder, nothing hidden, nothing a system takes for something else.
fn file_name(name: &str, extension: &str) -> String {
    let kept = name.chars().map(|c| match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' => '_',
        c if c.is_control() || turns_direction(c) => '_',
        c => c,
    });
    let mut safe = String::new();
    for c in kept {
        if safe.len() + c.len_utf8() > MAX_FILE_NAME_BYTES {
            break;
        }
        safe.push(c);
    }
    let safe = safe.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (stem, ending) = safe.rsplit_once('.').unwrap_or((safe, ""));
    let has_ending =
        !stem.is_empty() && (1..=10).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = safe.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let reserved = matches!(first.as_str(), "con" | "prn" | "aux" | "nul")
        || (first.len() == 4 && (first.starts_with("com") || first.starts_with("lpt")));
    let mut out = String::new();
    if reserved {
        out.push('_');
    }
    out.push_str(if safe.is_empty() { "artifact" } else { safe });
    if !has_ending {
        out.push('.');
        out.push_str(extension);
    }
    out
}

/// How a browser is to take bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken {
    /// Shown where they are.
    InPlace,
    /// Saved.
    AsFile,
}

/// What a browser is told of bytes that are somebody's file, whatever is in them.
pub(super) fn label(headers: &mut HeaderMap, taken: Taken, name: &str, media_type: &str) -> Result<(), ApiError> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| ApiError::internal(&error));
    headers.insert(header::CONTENT_TYPE, value(media_type)?);
    headers.insert(header::CONTENT_DISPOSITION, value(&disposition(taken, name))?);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOWNLOAD));
    Ok(())
}

/// `Content-Disposition` (RFC 6266): the name in ASCII for all, and as it is for those who read RFC 8187.
fn disposition(taken: Taken, name: &str) -> String {
    let how = match taken {
        Taken::InPlace => "inline",
        Taken::AsFile => "attachment",
    };
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii() && c != '"' && c != '\\' { c } else { '_' })
        .collect();
    let mut out = format!("{how}; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

fn content_of(version: ArtifactVersion) -> Result<ArtifactContent, ApiError> {
    version.content.ok_or(ApiError::Internal)
}

/// A version of what is shown, and its content.
async fn version_of(
    state: &AppState,
    account: AccountId,
    artifact: &Artifact,
    version: Option<u32>,
) -> Result<ArtifactVersion, ApiError> {
    state
        .store()
        .find_version(account, artifact.id, version.unwrap_or(artifact.version))
        .await?
        .ok_or(ApiError::NotFound("version"))
}

/// Downloads an artifact.
#[utoipa::path(get, path = "/api/artifacts/{id}/raw", tag = "artifacts", params(("id" = String, Path), VersionQuery),
    responses(
    (status = 200, description = "Its bytes, as an attachment", content(
        (String = "text/plain"), (String = "text/markdown"), (String = "text/html"), (String = "image/svg+xml"),
        (String = "application/json"), (String = "image/png"), (String = "image/jpeg"), (String = "image/gif"),
        (String = "image/webp"),
    )),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn raw(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, ApiError> {
    let artifact = bare(&state, &identity, &id).await?;
    let content = content_of(version_of(&state, identity.account, &artifact, query.version).await?)?;
    let name = file_name(&artifact.name, extension(artifact.kind, &content));
    let media_type = media_type(artifact.kind, &content);
    let mut response = page(DOWNLOAD, media_type, bytes_of(content));
    label(response.headers_mut(), Taken::AsFile, &name, media_type)?;
    Ok(response)
}

fn bytes_of(content: ArtifactContent) -> Vec<u8> {
    match content {
        ArtifactContent::Text(text) => text.into_bytes(),
        ArtifactContent::Image(bytes) => bytes,
    }
}

fn page(policy: &'static str, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(OPENER_POLICY, NO_OPENER_POLICY);
    response
}

// ---- links --------------------------------------------------------------------------------------------------------

/// A fresh link to a version, and when it ends.
fn sign(state: &AppState, account: AccountId, artifact: &Artifact, version: u32) -> (String, Timestamp) {
    let now = state.clock().now().as_second();
    let expires = now + LINK_LIFETIME.as_secs();
    let signature = state.previews().sign(Previewed {
        account,
        artifact: artifact.id,
        version,
        expires,
    });
    let prefix = state.sub_path();
    let id = artifact.id;
    let url = format!("{prefix}/api/artifacts/{id}/preview?version={version}&expires={expires}&signature={signature}");
    (url, Timestamp::from_second(expires).unwrap_or_default())
}

/// Makes a link that opens the preview of a version for ten minutes, without a login: for a frame.
#[utoipa::path(post, path = "/api/artifacts/{id}/preview-link", tag = "artifacts", params(("id" = String, Path)),
    request_body = Option<PreviewRequest>, responses(
    (status = 200, description = "The link", body = PreviewLink),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn preview_link(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<PreviewRequest>,
) -> Result<axum::Json<PreviewLink>, ApiError> {
    let artifact = bare(&state, &identity, &id).await?;
    let version = request.version.unwrap_or(artifact.version);
    let found = state
        .store()
        .find_version(identity.account, artifact.id, version)
        .await?;
    if found.is_none() {
        return Err(ApiError::field("version", "there is no such version"));
    }
    let (url, expires_at) = sign(&state, identity.account, &artifact, version);
    Ok(axum::Json(PreviewLink {
        url,
        expires_at: expires_at.to_string(),
    }))
}

fn refused(error: LinkError) -> ApiError {
    ApiError::Forbidden(match error {
        LinkError::Wrong => "this link was not made by Mira; ask for a fresh one",
        LinkError::Expired => "this link is too old; ask for a fresh one",
    })
}

/// Shows a version in a box: by a signed link, without any login. Without a signature a caller who is logged in is sent
/// to a fresh link.
#[utoipa::path(get, path = "/api/artifacts/{id}/preview", tag = "artifacts", params(("id" = String, Path), PreviewQuery),
    security(()), responses(
    (status = 200, description = "The page", content(
        (String = "text/html"), (String = "image/svg+xml"), (String = "image/png"), (String = "image/jpeg"),
        (String = "image/gif"), (String = "image/webp"),
    )),
    (status = 303, description = "To a fresh link"),
    (status = 403, description = "The link is too old, or not one of Mira's", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn preview(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Result<Response, ApiError> {
    let Some(signature) = query.signature else {
        let identity = state.auth().authenticate(&headers).await?;
        let artifact = bare(&state, &identity, &id).await?;
        let version = version_of(&state, identity.account, &artifact, query.version).await?;
        let (url, _) = sign(&state, identity.account, &artifact, version.version);
        let place = HeaderValue::from_str(&url).map_err(|error| ApiError::internal(&error))?;
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response());
    };
    let id = artifact_id(&id)?;
    let (Some(version), Some(expires)) = (query.version, query.expires) else {
        return Err(refused(LinkError::Wrong));
    };
    let now = state.clock().now();
    let link = state
        .previews()
        .open_link(id, version, expires, &signature, now)
        .map_err(refused)?;
    let artifact = state.store().find_artifact_bare(link.account, id).await?;
    let artifact = artifact.ok_or(ApiError::NotFound("artifact"))?;
    let content = content_of(version_of(&state, link.account, &artifact, Some(version)).await?)?;
    // Markdown and highlighting take their time.
    let work = state.life().spawn_blocking(move || show(&artifact, content));
    work.await.map_err(|error| ApiError::internal(&error))
}

// ---- pages --------------------------------------------------------------------------------------------------------

fn show(artifact: &Artifact, content: ArtifactContent) -> Response {
    let media_type = media_type(artifact.kind, &content);
    let policy = match artifact.kind {
        ArtifactKind::Html | ArtifactKind::Svg => SCRIPTED,
        ArtifactKind::Code
        | ArtifactKind::Markdown
        | ArtifactKind::Note
        | ArtifactKind::Image
        | ArtifactKind::Log
        | ArtifactKind::Json => STILL,
    };
    let text = match content {
        ArtifactContent::Text(text) => text,
        ArtifactContent::Image(bytes) => return page(policy, media_type, bytes),
    };
    let html = match artifact.kind {
        ArtifactKind::Html | ArtifactKind::Svg => return page(policy, media_type, text),
        ArtifactKind::Markdown => mira_render::render(&text),
        ArtifactKind::Code => mira_render::render(&fenced(&text, artifact.language.as_deref().unwrap_or_default())),
        ArtifactKind::Json => mira_render::render(&fenced(&text, "json")),
        ArtifactKind::Note | ArtifactKind::Log | ArtifactKind::Image => {
            format!("<pre>{}</pre>", escaped(&text))
        }
    };
    let title = escaped(&artifact.name);
    let whole = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n<body>{html}</body></html>\n"
    );
    page(policy, "text/html; charset=utf-8", whole)
}

/// A text as one block of code: the fence is longer than any in it.
fn fenced(text: &str, language: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    let language: String = { language.chars() }
        .filter(|c| c.is_ascii_alphanumeric() || "+#_-.".contains(*c))
        .collect();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expect: &str) {
        let found = file_name(name, "txt");
        assert_eq!(found, expect, "{name:?}");
        let header = disposition(Taken::AsFile, &found);
        assert!(HeaderValue::from_str(&header).is_ok(), "{header:?}");
    }

    #[test]
    fn names_of_files() {
        check("main.rs", "main.rs");
        check("A plan", "A plan.txt");
        check("", "artifact.txt");
        check("..", "artifact.txt");
        check("../../etc/passwd", "_.._etc_passwd.txt");
        check("/etc/passwd", "_etc_passwd.txt");
        check("C:\\boot.ini", "C__boot.ini");
        check(".bashrc", "bashrc.txt");
        check("a\r\nSet-Cookie: x", "a__Set-Cookie_ x.txt");
        check("a\";b=\"c", "a_;b=_c.txt");
        check("photo\u{202e}gpj.exe", "photo_gpj.exe");
        check("con", "_con.txt");
        check("LPT1.log", "_LPT1.log");
        check("größe.md", "größe.md");
        check(&"ä".repeat(200), &format!("{}.txt", "ä".repeat(60)));
        check("v1.2 of it", "v1.2 of it.txt");
    }

    #[test]
    fn names_in_headers() {
        assert_eq!(
            disposition(Taken::AsFile, "größe 1.md"),
            "attachment; filename=\"gr__e 1.md\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.md"
        );
        assert!(disposition(Taken::InPlace, "a.png").starts_with("inline; "));
    }

    #[test]
    fn code_never_leaves_its_block() {
        for text in [
            "a",
            "```\n# out\n```",
            "````` x",
            "</pre><script>alert(1)</script>",
            "~~~\n~~~",
        ] {
            let html = mira_render::render(&fenced(text, "rust`\n# out"));
            assert_eq!(html.matches("<pre").count(), 1, "{html}");
            assert!(!html.contains("<h1") && !html.contains("<script"), "{html}");
        }
    }
}

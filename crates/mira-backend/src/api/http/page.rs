//! The web client, embedded. Public: it holds nothing of the owner's; what it shows it asks the API for.

use crate::api::{error::ApiError, security::MissingSlash};
use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// The path it is served at.
    pub path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $media_type:literal),+ $(,)?) => {
        &[$(Asset {
            path: $path,
            media_type: $media_type,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../frontend", $path)),
        }),+]
    };
}

/// Every file below `frontend/`; a test keeps the list complete.
pub static ASSETS: &[Asset] = assets![
    "/css/base.css" "text/css; charset=utf-8",
    "/css/chat.css" "text/css; charset=utf-8",
    "/css/code.css" "text/css; charset=utf-8",
    "/css/files.css" "text/css; charset=utf-8",
    "/css/layout.css" "text/css; charset=utf-8",
    "/css/memory.css" "text/css; charset=utf-8",
    "/css/panels.css" "text/css; charset=utf-8",
    "/css/prose.css" "text/css; charset=utf-8",
    "/css/sidebar.css" "text/css; charset=utf-8",
    "/css/sources.css" "text/css; charset=utf-8",
    "/css/tools.css" "text/css; charset=utf-8",
    "/css/work.css" "text/css; charset=utf-8",
    "/icon.png" "image/png",
    "/icon.svg" "image/svg+xml",
    "/index.html" "text/html; charset=utf-8",
    "/js/api.js" "text/javascript; charset=utf-8",
    "/js/approvals.js" "text/javascript; charset=utf-8",
    "/js/chat.js" "text/javascript; charset=utf-8",
    "/js/dom.js" "text/javascript; charset=utf-8",
    "/js/events.js" "text/javascript; charset=utf-8",
    "/js/file-api.js" "text/javascript; charset=utf-8",
    "/js/file-state.js" "text/javascript; charset=utf-8",
    "/js/files.js" "text/javascript; charset=utf-8",
    "/js/main.js" "text/javascript; charset=utf-8",
    "/js/math.js" "text/javascript; charset=utf-8",
    "/js/memories.js" "text/javascript; charset=utf-8",
    "/js/memory-state.js" "text/javascript; charset=utf-8",
    "/js/paging.js" "text/javascript; charset=utf-8",
    "/js/passage.js" "text/javascript; charset=utf-8",
    "/js/plain.js" "text/javascript; charset=utf-8",
    "/js/recalls.js" "text/javascript; charset=utf-8",
    "/js/socket.js" "text/javascript; charset=utf-8",
    "/js/storage.js" "text/javascript; charset=utf-8",
    "/js/store.js" "text/javascript; charset=utf-8",
    "/js/theme-boot.js" "text/javascript; charset=utf-8",
    "/js/timeline.js" "text/javascript; charset=utf-8",
    "/js/tool-words.js" "text/javascript; charset=utf-8",
    "/js/transcript.js" "text/javascript; charset=utf-8",
    "/js/uploads.js" "text/javascript; charset=utf-8",
    "/js/views/abilities.js" "text/javascript; charset=utf-8",
    "/js/views/artifact-box.js" "text/javascript; charset=utf-8",
    "/js/views/artifact-versions.js" "text/javascript; charset=utf-8",
    "/js/views/artifact.js" "text/javascript; charset=utf-8",
    "/js/views/artifacts.js" "text/javascript; charset=utf-8",
    "/js/views/asks.js" "text/javascript; charset=utf-8",
    "/js/views/attach.js" "text/javascript; charset=utf-8",
    "/js/views/citations.js" "text/javascript; charset=utf-8",
    "/js/views/composer.js" "text/javascript; charset=utf-8",
    "/js/views/confirm.js" "text/javascript; charset=utf-8",
    "/js/views/conflict.js" "text/javascript; charset=utf-8",
    "/js/views/diff.js" "text/javascript; charset=utf-8",
    "/js/views/document.js" "text/javascript; charset=utf-8",
    "/js/views/file-chip.js" "text/javascript; charset=utf-8",
    "/js/views/files.js" "text/javascript; charset=utf-8",
    "/js/views/form.js" "text/javascript; charset=utf-8",
    "/js/views/formulas.js" "text/javascript; charset=utf-8",
    "/js/views/header.js" "text/javascript; charset=utf-8",
    "/js/views/keys.js" "text/javascript; charset=utf-8",
    "/js/views/lightbox.js" "text/javascript; charset=utf-8",
    "/js/views/lines.js" "text/javascript; charset=utf-8",
    "/js/views/login.js" "text/javascript; charset=utf-8",
    "/js/views/losses.js" "text/javascript; charset=utf-8",
    "/js/views/memory-card.js" "text/javascript; charset=utf-8",
    "/js/views/memory.js" "text/javascript; charset=utf-8",
    "/js/views/menu.js" "text/javascript; charset=utf-8",
    "/js/views/message.js" "text/javascript; charset=utf-8",
    "/js/views/notices.js" "text/javascript; charset=utf-8",
    "/js/views/pages.js" "text/javascript; charset=utf-8",
    "/js/views/panel.js" "text/javascript; charset=utf-8",
    "/js/views/projects.js" "text/javascript; charset=utf-8",
    "/js/views/proposals.js" "text/javascript; charset=utf-8",
    "/js/views/python.js" "text/javascript; charset=utf-8",
    "/js/views/recalled.js" "text/javascript; charset=utf-8",
    "/js/views/receipt.js" "text/javascript; charset=utf-8",
    "/js/views/reply.js" "text/javascript; charset=utf-8",
    "/js/views/repo-branches.js" "text/javascript; charset=utf-8",
    "/js/views/repo-file.js" "text/javascript; charset=utf-8",
    "/js/views/repo-files.js" "text/javascript; charset=utf-8",
    "/js/views/repo-history.js" "text/javascript; charset=utf-8",
    "/js/views/repo-search.js" "text/javascript; charset=utf-8",
    "/js/views/repo-status.js" "text/javascript; charset=utf-8",
    "/js/views/repo.js" "text/javascript; charset=utf-8",
    "/js/views/repos.js" "text/javascript; charset=utf-8",
    "/js/views/rich.js" "text/javascript; charset=utf-8",
    "/js/views/search.js" "text/javascript; charset=utf-8",
    "/js/views/shell.js" "text/javascript; charset=utf-8",
    "/js/views/sidebar.js" "text/javascript; charset=utf-8",
    "/js/views/tabs.js" "text/javascript; charset=utf-8",
    "/js/views/thread.js" "text/javascript; charset=utf-8",
    "/js/views/tool-body.js" "text/javascript; charset=utf-8",
    "/js/views/tool-results.js" "text/javascript; charset=utf-8",
    "/js/views/tools.js" "text/javascript; charset=utf-8",
    "/js/viewport.js" "text/javascript; charset=utf-8",
    "/js/work-api.js" "text/javascript; charset=utf-8",
    "/js/work-state.js" "text/javascript; charset=utf-8",
    "/js/work.js" "text/javascript; charset=utf-8",
    "/manifest.webmanifest" "application/manifest+json",
];

/// The files' tags, in the order of [`ASSETS`].
static ETAGS: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(|asset| etag_of(asset.bytes)).collect());

const INDEX: &str = "/index.html";

fn etag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)))
}

/// `GET /`: the page. Below a sub-path without its slash the browser is sent to the one with it, because the page's
/// links are relative.
pub async fn index(missing: Option<Extension<MissingSlash>>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(Extension(MissingSlash(to))) = missing {
        let location = HeaderValue::from_str(&to).map_err(|e| ApiError::internal(&e))?;
        return Ok((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response());
    }
    find(INDEX, &headers)
}

/// One of the page's files.
pub async fn asset(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    find(uri.path(), &headers)
}

fn find(path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let found = ASSETS.iter().zip(ETAGS.iter()).find(|(asset, _)| asset.path == path);
    let (asset, etag) = found.ok_or(ApiError::NotFound("page"))?;
    Ok(serve(asset, etag, headers))
}

fn serve(asset: &'static Asset, etag: &str, headers: &HeaderMap) -> Response {
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let known = known
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"));
    let unchanged = { known }.any(|tag| tag == etag || tag == "*");
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(Bytes::from_static(asset.bytes)));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
        response
    };
    let headers = response.headers_mut();
    // Asked again each time, answered by 304: an update shows at once, an unchanged file costs nothing.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    fn list(dir: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                list(&path, root, found);
            } else {
                found.insert(format!("/{}", path.strip_prefix(root).unwrap().display()));
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend");
        let mut found = BTreeSet::new();
        list(&root, &root, &mut found);
        let embedded: BTreeSet<_> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(embedded, found);
    }
}

//! Small calls beside the conversation that are repeated by the endpoint's policy: what lies in a provider's container,
//! and a file out of it. Not here: what the file is for.

use crate::{
    FetchedFile, LeftFile, MOST_FILE_BYTES, MOST_LEFT_FILES,
    call::Model,
    client::{Upstream, wait_before_next},
    endpoint::Endpoint,
    error::LlmError,
    wire,
};
use mira_core::{clock::random_share, model::HostedFile};
use reqwest::{Method, header::CONTENT_TYPE};
use serde::{Deserialize, de::DeserializeOwned};
use std::{future::Future, time::Duration};

/// How long a file may take, from the first byte to the last.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest id of a provider's, in bytes.
const ID_BYTES: usize = 128;

/// A file of a container.
pub(crate) async fn hosted_file(model: &Model, file: &HostedFile) -> Result<FetchedFile, LlmError> {
    let HostedFile::There { container, id, .. } = file else {
        let why = "only files of a container are fetched".to_owned();
        return Err(LlmError::Unsendable { why });
    };
    let path = format!("containers/{}/files/{}/content", segment(container)?, segment(id)?);
    repeated(&model.endpoint, || get(&model.upstream, &path)).await
}

async fn get(upstream: &Upstream, path: &str) -> Result<FetchedFile, LlmError> {
    let answer = upstream.send(Method::GET, path, None, "*/*", "", DEADLINE).await?;
    let media_type = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let media_type = media_type.unwrap_or_default().to_owned();
    let bytes = upstream.read_within(answer, MOST_FILE_BYTES, DEADLINE).await?;
    Ok(FetchedFile { bytes, media_type })
}

#[derive(Deserialize)]
struct Listing {
    data: Vec<Listed>,
}

/// A file of a container. Source: `ContainerFileResource` of the official OpenAPI document.
#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    bytes: Option<u64>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// What code left in a container.
pub(crate) async fn left_files(model: &Model, container: &str) -> Result<Vec<LeftFile>, LlmError> {
    let path = format!(
        "containers/{}/files?limit={MOST_LEFT_FILES}&order=desc",
        segment(container)?
    );
    let list = || async {
        let upstream = &model.upstream;
        let answer = upstream
            .send(Method::GET, &path, None, "application/json", "", DEADLINE)
            .await?;
        parse(&upstream.read_whole(answer, DEADLINE).await?)
    };
    let listing: Listing = repeated(&model.endpoint, list).await?;
    // What was given says so.
    let made = listing
        .data
        .into_iter()
        .filter(|file| file.source.as_deref() != Some("user"));
    Ok(made
        .take(MOST_LEFT_FILES)
        .map(|file| left_file(container, file))
        .collect())
}

fn left_file(container: &str, file: Listed) -> LeftFile {
    let name = file.path.as_deref().and_then(|path| path.rsplit('/').next());
    let name = name.filter(|name| !name.is_empty()).unwrap_or(&file.id);
    LeftFile {
        file: HostedFile::There {
            container: container.to_owned(),
            name: name.to_owned(),
            id: file.id,
        },
        bytes: file.bytes,
    }
}

/// An answer in JSON.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, LlmError> {
    serde_json::from_slice(bytes)
        .map_err(|error| LlmError::garbage(format!("an unexpected answer ({})", wire::place(&error))))
}

/// An id as a part of a path: a model's stream has named it, so it must not lead anywhere else.
pub(crate) fn segment(id: &str) -> Result<&str, LlmError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if id.is_empty() || id.len() > ID_BYTES || !id.chars().all(legal) {
        let why = "the provider's id for a file cannot be part of an address".to_owned();
        return Err(LlmError::Unsendable { why });
    }
    Ok(id)
}

/// Tries again where that may help.
pub(crate) async fn repeated<T, F>(endpoint: &Endpoint, mut attempt: impl FnMut() -> F) -> Result<T, LlmError>
where
    F: Future<Output = Result<T, LlmError>>,
{
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(wait) = wait_before_next(&endpoint.retry, &error, tried, random_share()) else {
            return Err(error);
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_their_place() {
        assert_eq!(segment("cfile_6a-B"), Ok("cfile_6a-B"));
        for bad in ["", "..", "a/b", "a?b", "a%2fb", "é", &"x".repeat(129)] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}

//! Small calls beside the conversation that are repeated by the endpoint's policy: a file out of a provider's container.
//! Not here: what the file is for.

use crate::{
    FetchedFile, MOST_FILE_BYTES,
    call::Model,
    client::{Upstream, wait_before_next},
    endpoint::Endpoint,
    error::LlmError,
};
use mira_core::{clock::random_share, model::HostedFile};
use reqwest::{Method, header::CONTENT_TYPE};
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

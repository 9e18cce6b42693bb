//! The models an endpoint offers: `GET /models`.

use crate::{client::Upstream, endpoint::Endpoint, error::LlmError};
use reqwest::Method;
use serde::Deserialize;
use std::time::Duration;

/// How long the list may take.
const DEADLINE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

/// The names of the models an endpoint offers, in its order.
///
/// # Errors
/// As for a call; nothing is repeated.
pub async fn list_models(endpoint: &Endpoint) -> Result<Vec<String>, LlmError> {
    list(&Upstream::new(endpoint)?, DEADLINE.min(endpoint.thinking_timeout)).await
}

pub(crate) async fn list(upstream: &Upstream, deadline: Duration) -> Result<Vec<String>, LlmError> {
    let response = upstream
        .send(Method::GET, "models", None, "application/json", "", deadline)
        .await?;
    let body = upstream.read_whole(response, deadline).await?;
    let list: List = serde_json::from_slice(&body).map_err(|error| {
        LlmError::garbage(format!(
            "no list of models at /models ({error}); is the base URL right?"
        ))
    })?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}

//! Tavily: `POST search` with the key as a bearer token. Source: its API reference.

use super::{WebError, ask, hits, key_header};
use crate::config::KeyedEngine;
use mira_net::{GuardedClient, StatusCode, header::HeaderValue};
use mira_tools::web::Hit;
use serde_json::json;

pub(super) async fn search(
    client: &GuardedClient,
    engine: &KeyedEngine,
    query: &str,
    count: usize,
) -> Result<Vec<Hit>, WebError> {
    let url = engine.url.join("search").map_err(|_| WebError::NoAddress)?;
    let body = json!({ "query": query, "max_results": count, "search_depth": "basic" }).to_string();
    let request = client
        .post(url, HeaderValue::from_static("application/json"), body)
        .authorization(key_header(&format!("Bearer {}", engine.key.expose()))?);
    let answer = ask(request, explain).await?;
    Ok(hits(&answer, "/results", "content", &["published_date"]))
}

fn explain(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        401 | 403 => Some("TAVILY_API_KEY is not a key it takes"),
        // Its own codes beside the usual one: the plan's and the pay-as-you-go limit.
        429 | 432 | 433 => Some("the key's limit is reached for now"),
        _ => None,
    }
}

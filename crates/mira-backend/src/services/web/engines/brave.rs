//! Brave's web search: `GET res/v1/web/search` with the key in `X-Subscription-Token`. Source: its API reference.

use super::{WebError, ask, hits, key_header};
use crate::config::KeyedEngine;
use mira_net::{GuardedClient, StatusCode, header::HeaderName};
use mira_tools::web::Hit;

const TOKEN: HeaderName = HeaderName::from_static("x-subscription-token");

pub(super) async fn search(
    client: &GuardedClient,
    engine: &KeyedEngine,
    query: &str,
    count: usize,
) -> Result<Vec<Hit>, WebError> {
    let url = engine.url.join("res/v1/web/search");
    let mut url = url.map_err(|_| WebError::NoAddress)?;
    url.query_pairs_mut()
        .append_pair("q", query)
        .append_pair("count", &count.to_string())
        .append_pair("text_decorations", "false")
        .append_pair("result_filter", "web");
    let request = client.get(url).header(TOKEN, key_header(engine.key.expose())?);
    let answer = ask(request, explain).await?;
    Ok(hits(&answer, "/web/results", "description", &["page_age", "age"]))
}

fn explain(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY => {
            Some("BRAVE_API_KEY is not a key it takes")
        }
        StatusCode::TOO_MANY_REQUESTS => Some("the key's limit is reached for now"),
        _ => None,
    }
}

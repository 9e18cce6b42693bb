//! `SearXNG`: `GET search?q=...&format=json`. Source: its documentation of the search API. The format has to be switched
//! on there; a server that has not answers 403.

use super::{WebError, ask, hits, list};
use mira_core::chat::one_line;
use mira_net::{GuardedClient, StatusCode, Url};
use mira_tools::web::Hit;
use serde_json::Value;

/// How many engines of a failed search are named.
const NAMED: usize = 5;

pub(super) async fn search(client: &GuardedClient, base: &Url, query: &str) -> Result<Vec<Hit>, WebError> {
    let mut url = base.join("search").map_err(|_| WebError::NoAddress)?;
    url.query_pairs_mut()
        .append_pair("q", query)
        .append_pair("format", "json");
    let answer = ask(client.get(url), explain).await?;
    let hits = hits(&answer, "/results", "content", &["publishedDate"]);
    let silent = list(&answer, "/unresponsive_engines");
    if hits.is_empty() && !silent.is_empty() {
        return Err(WebError::NoEngine(
            silent.iter().take(NAMED).map(named).collect::<Vec<_>>().join(", "),
        ));
    }
    Ok(hits)
}

fn explain(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::FORBIDDEN => {
            Some("it does not give JSON: add `json` to `search: formats:` in the settings.yml of that SearXNG")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Some("its limiter refuses Mira: let Mira's address pass there, or switch it off")
        }
        StatusCode::NOT_FOUND => Some("there is no SearXNG at that address"),
        _ => None,
    }
}

/// An engine that did not answer: a pair of its name and the reason.
fn named(engine: &Value) -> String {
    let part = |n: usize| engine.get(n).and_then(Value::as_str).unwrap_or_default();
    let line = format!("{} ({})", part(0), part(1));
    one_line(&line, 80)
}

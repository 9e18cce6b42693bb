//! Search engines: how each is asked and what its answer means. Which one is asked when another fails is decided one
//! level up.

mod brave;
mod searxng;
mod tavily;

use super::WebError;
use crate::config::{KeyedEngine, WebConfig};
use mira_core::chat::one_line;
use mira_net::{
    GuardedClient, Limits, Request, StatusCode, Url,
    header::{ACCEPT, HeaderValue},
};
use mira_tools::web::Hit;
use serde_json::Value;
use std::time::Duration;

/// What bounds one question to one engine.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(5),
    total: Duration::from_secs(12),
    body_bytes: 2 * 1024 * 1024,
    redirects: 3,
};
/// The longest title, in characters.
const TITLE_CHARS: usize = 200;
/// The longest snippet, in characters.
const SNIPPET_CHARS: usize = 700;
/// The longest address of a result, in bytes; longer ones carry more than an address.
const URL_BYTES: usize = 2048;
/// The longest date, in characters: an engine may write "2 weeks ago".
const DATE_CHARS: usize = 40;

/// A search engine.
#[derive(Debug, Clone)]
pub(super) enum Engine {
    /// The owner's own.
    Searxng(Url),
    /// Brave.
    Brave(KeyedEngine),
    /// Tavily.
    Tavily(KeyedEngine),
}

impl Engine {
    /// Those that are set, in the order they are asked.
    pub(super) fn configured(config: &WebConfig) -> Vec<Self> {
        let own = config.searxng.clone().map(Self::Searxng);
        let brave = config.brave.clone().map(Self::Brave);
        let tavily = config.tavily.clone().map(Self::Tavily);
        own.into_iter().chain(brave).chain(tavily).collect()
    }

    /// Its name, as clients see it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Searxng(_) => "searxng",
            Self::Brave(_) => "brave",
            Self::Tavily(_) => "tavily",
        }
    }

    /// Where it answers.
    pub(super) fn url(&self) -> &Url {
        match self {
            Self::Searxng(url) => url,
            Self::Brave(engine) | Self::Tavily(engine) => &engine.url,
        }
    }

    /// At most `count` results, best first.
    pub(super) async fn search(&self, client: &GuardedClient, query: &str, count: usize) -> Result<Vec<Hit>, WebError> {
        let mut hits = match self {
            Self::Searxng(url) => searxng::search(client, url, query).await,
            Self::Brave(engine) => brave::search(client, engine, query, count).await,
            Self::Tavily(engine) => tavily::search(client, engine, query, count).await,
        }?;
        hits.truncate(count);
        Ok(hits)
    }
}

/// Sends a question. The answer is JSON, or an error that names what `explain` knows of the status.
async fn ask(request: Request, explain: fn(StatusCode) -> Option<&'static str>) -> Result<Value, WebError> {
    let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = request.gzip().limits(LIMITS).send().await?;
    if !answer.status.is_success() {
        return Err(WebError::Status {
            status: answer.status,
            hint: explain(answer.status),
        });
    }
    let body = answer.body.bytes().await?;
    serde_json::from_slice(&body).map_err(|_| WebError::NotJson)
}

/// A header that carries a key; the configuration has checked that it fits into one.
fn key_header(text: &str) -> Result<HeaderValue, WebError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| WebError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// One item of an answer as a result; nothing where it has no usable address.
fn hit(item: &Value, snippet: &str, date: &[&str]) -> Option<Hit> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(plain);
    // As it is parsed, for what stands in it may be no address but lines of text.
    let url = Url::parse(item.get("url").and_then(Value::as_str)?).ok()?;
    let usable = url.as_str().len() <= URL_BYTES && matches!(url.scheme(), "http" | "https");
    if !usable {
        return None;
    }
    let url = String::from(url);
    let title = one_line(&text("title").unwrap_or_default(), TITLE_CHARS);
    Some(Hit {
        title: if title.is_empty() { url.clone() } else { title },
        url,
        snippet: one_line(&text(snippet).unwrap_or_default(), SNIPPET_CHARS),
        date: date.iter().find_map(|key| day(&text(key)?)),
    })
}

/// A date without its time of day; other words as they are.
fn day(text: &str) -> Option<String> {
    let line = one_line(text, DATE_CHARS);
    let (date, _) = line.split_once(['T', ' ']).unwrap_or((&line, ""));
    let shown = if date.parse::<jiff::civil::Date>().is_ok() {
        date.to_owned()
    } else {
        line
    };
    Some(shown).filter(|text| !text.is_empty())
}

/// The usable results under a path of keys.
fn hits(answer: &Value, pointer: &str, snippet: &str, date: &[&str]) -> Vec<Hit> {
    let items = list(answer, pointer).iter();
    items.filter_map(|item| hit(item, snippet, date)).collect()
}

/// The list under a path of keys; an empty one where there is none.
fn list<'a>(answer: &'a Value, pointer: &str) -> &'a [Value] {
    answer
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Without the tags and entities some engines leave in their texts.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        // A tag has a name; a lone "<" is a word like any other.
        let named = tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        if let Some((_, after)) = tag.split_once('>').filter(|_| named) {
            rest = after;
        } else {
            out.push('<');
            rest = tag;
        }
    }
    out.push_str(rest);
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2F;", "/"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        out = out.replace(entity, character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_plain() {
        let check = |text: &str, expect: &str| assert_eq!(plain(text), expect, "{text:?}");
        check("a <strong>bold</strong> word", "a bold word");
        check("1 &lt; 2 &amp;amp; &#39;x&#39;", "1 < 2 &amp; 'x'");
        check("if a < b and c > d", "if a < b and c > d");
        check("cut <stro", "cut <stro");
        check("", "");
    }

    #[test]
    fn dates_are_days_where_they_are_dates() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(day(text).as_deref(), expect, "{text:?}");
        check("2026-03-01T12:00:00Z", Some("2026-03-01"));
        check("2026-03-01 12:00:00", Some("2026-03-01"));
        check("2026-03-01", Some("2026-03-01"));
        check("2 weeks ago", Some("2 weeks ago"));
        check(" ", None);
    }

    #[test]
    fn results_without_a_usable_address_are_none() {
        for url in [
            json!("javascript:alert(1)"),
            json!("/x"),
            json!(null),
            json!(7),
            json!("data:text/html,x"),
        ] {
            assert_eq!(hit(&json!({ "url": url, "title": "T" }), "content", &[]), None);
        }
        let long = format!("https://example.org/{}", "x".repeat(3000));
        assert_eq!(hit(&json!({ "url": long }), "content", &[]), None);
        let bare = hit(
            &json!({ "url": "https://example.org/", "content": null }),
            "content",
            &[],
        )
        .unwrap();
        assert_eq!(
            (bare.title.as_str(), bare.snippet.as_str()),
            ("https://example.org/", "")
        );
        let lines = json!({ "url": " https://example.org/a\nb c", "title": "T" });
        assert_eq!(hit(&lines, "content", &[]).unwrap().url, "https://example.org/ab%20c");
    }
}

//! What of the configuration is about the web: whether it may be searched and read, and who searches.

use super::{
    Secret,
    env::Reader,
    types::{Invalid, parse_http_url},
};
use reqwest::Url;

/// Where Brave's search API answers.
const BRAVE_URL: &str = "https://api.search.brave.com/";
/// Where Tavily's search API answers.
const TAVILY_URL: &str = "https://api.tavily.com/";

/// The web.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Whether she may use it at all.
    pub enabled: bool,
    /// The owner's own `SearXNG`.
    pub searxng: Option<Url>,
    /// Brave's search API.
    pub brave: Option<KeyedEngine>,
    /// Tavily's search API.
    pub tavily: Option<KeyedEngine>,
}

/// A search engine that wants a key.
#[derive(Debug, Clone)]
pub struct KeyedEngine {
    /// Where it answers; the environment does not change it.
    pub url: Url,
    /// The key.
    pub key: Secret,
}

pub(super) fn read_web(reader: &mut Reader<'_>) -> WebConfig {
    WebConfig {
        enabled: reader.choice("ENABLE_WEB_SEARCH", true, &[("true", true), ("false", false)]),
        searxng: reader.optional("MIRA_SEARXNG_URL", parse_base),
        brave: keyed(reader, "BRAVE_API_KEY", BRAVE_URL),
        tavily: keyed(reader, "TAVILY_API_KEY", TAVILY_URL),
    }
}

fn keyed(reader: &mut Reader<'_>, name: &str, url: &str) -> Option<KeyedEngine> {
    let key = reader.secret(name)?;
    Some(KeyedEngine {
        url: Url::parse(url).ok()?,
        key,
    })
}

/// A base address: what is asked for lies below its path.
fn parse_base(text: &str) -> Result<Url, Invalid> {
    let mut url = parse_http_url(text)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

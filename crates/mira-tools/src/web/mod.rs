//! The web: `web_search` and `fetch_url`. Who searches and how a page is fetched and read is the backend's business;
//! here lives what a model is told of it. Whatever comes from the web was written by strangers: it is untrusted, and it
//! is citable.

mod fetch_url;
mod web_search;

pub use fetch_url::FetchUrl;
pub use web_search::WebSearch;

use crate::{CallContext, Doorway};
use std::sync::Arc;

/// What the tools need of the web.
pub trait WebDoor: Send + Sync + 'static {
    /// Why nothing can be searched here, if nothing can.
    fn search_unavailable(&self) -> Option<String>;

    /// Why nothing can be fetched here, if nothing can.
    fn fetch_unavailable(&self) -> Option<String>;

    /// What a search engine finds, best first.
    fn search<'a>(&'a self, context: &'a CallContext, query: String, count: usize) -> Doorway<'a, Found>;

    /// Whether the turn has met this address where it cannot have been made up to carry something out of the
    /// conversation: in the owner's own message, among search results, or word for word in a page. What is no address at
    /// all, or leads to a private place, counts as met: it is refused with its own reason.
    fn has_met(&self, context: &CallContext, address: &str) -> bool;

    /// A page as text. Within a turn the same address is fetched once.
    fn fetch<'a>(&'a self, context: &'a CallContext, address: String) -> Doorway<'a, Arc<Page>>;
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who searched.
    pub engine: &'static str,
    /// Best first.
    pub hits: Vec<Hit>,
}

/// A search result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The page's title.
    pub title: String,
    /// Where it is: http or https.
    pub url: String,
    /// What the engine shows of it.
    pub snippet: String,
    /// When it was published, as the engine says it.
    pub date: Option<String>,
}

/// Something fetched from the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where it was found in the end, redirects followed.
    pub url: String,
    /// What it calls itself.
    pub title: Option<String>,
    /// When it was published or changed, as it says itself.
    pub date: Option<String>,
    /// What it is, like `text/html`.
    pub media_type: String,
    /// Its bytes on the wire, decompressed.
    pub bytes: usize,
    /// What it says; nothing where it is no text.
    pub text: Option<String>,
    /// What a reader has to know beside the text, in whole sentences.
    pub notes: Vec<String>,
}

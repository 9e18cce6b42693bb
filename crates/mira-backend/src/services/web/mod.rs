//! The web as her tools reach it: asking search engines ([`engines`]), fetching pages ([`page`]), and which addresses a
//! turn may be led to by strangers' words ([`known`]).
//!
//! Invariants: every request goes through the guarded client, so no address that somebody else chose leads to a private
//! place; every answer has a cap; keys are in headers only and in no error; what a page says is read where it can hurt
//! nothing ([`Reader`]).

mod door;
mod engines;
mod known;
mod markup;
mod page;
#[cfg(test)]
mod tests;

pub use door::Door;

use crate::config::WebConfig;
use bytes::Bytes;
use engines::Engine;
use futures_util::future::BoxFuture;
use known::{Address, Known};
use mira_core::ids::TurnId;
use mira_docs::{Document, Kind};
use mira_net::{Guard, GuardedClient, HostPort, NetError, StatusCode, Url};
use mira_tools::{
    ToolError,
    web::{Found, Page},
};
use std::{fmt, sync::Arc};

/// Reads documents that strangers made, where nothing that is in them can hurt Mira. HTML comes in UTF-8 with a mark at
/// its beginning that says so.
pub trait Reader: Send + Sync + 'static {
    /// The text of a document; of a web page what there is to read on it, its links made whole by `base`.
    fn read(&self, kind: Kind, bytes: Bytes, base: Option<Url>) -> BoxFuture<'static, Result<Document, Unreadable>>;
}

/// Why a document has no text, in a sentence for the owner and the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Why something of the web could not be had. No variant shows a key or the path of an address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    /// The text is no address.
    #[error("that is no address of the web")]
    NoAddress,
    /// It leads to an address nobody would read.
    #[error("it leads to an address that is too long")]
    LongAddress,
    /// The guarded client.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The server refused.
    #[error("it answers {status}{}", .hint.map(|hint| format!(": {hint}")).unwrap_or_default())]
    Status {
        /// How it answered.
        status: StatusCode,
        /// What that means there.
        hint: Option<&'static str>,
    },
    /// The answer is not what was asked for.
    #[error("its answer is not JSON")]
    NotJson,
    /// A key that fits into no header.
    #[error("its key cannot be sent")]
    BadKey,
    /// A search engine that asks others, none of which answered.
    #[error("none of its engines answers: {0}")]
    NoEngine(String),
    /// A document without text.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl WebError {
    /// What a model is told.
    fn told(&self, about: &str) -> ToolError {
        let said = format!("{about}: {self}");
        match self {
            Self::NoAddress => ToolError::Arguments(said),
            Self::Net(error) if error.is_refusal() => ToolError::Denied(said),
            Self::Net(_)
            | Self::LongAddress
            | Self::Status { .. }
            | Self::NotJson
            | Self::BadKey
            | Self::NoEngine(_)
            | Self::Unreadable(_) => ToolError::Failed(said),
        }
    }
}

/// The web. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

struct Inner {
    enabled: bool,
    client: GuardedClient,
    engines: Vec<Engine>,
    known: Known,
    reader: Arc<dyn Reader>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("engines", &self.0.engines)
            .finish_non_exhaustive()
    }
}

impl Web {
    /// What the configuration says. Nothing is asked yet.
    pub fn new(config: &WebConfig, private_hosts: Vec<HostPort>, reader: Arc<dyn Reader>) -> Self {
        Self::through(GuardedClient::new(Guard::new(private_hosts)), config, reader)
    }

    fn through(client: GuardedClient, config: &WebConfig, reader: Arc<dyn Reader>) -> Self {
        Self(Arc::new(Inner {
            enabled: config.enabled,
            client,
            engines: Engine::configured(config),
            known: Known::default(),
            reader,
        }))
    }

    fn switched_off(&self) -> Option<String> {
        (!self.0.enabled).then(|| "the web is switched off: ENABLE_WEB_SEARCH=false".to_owned())
    }

    /// Why nothing can be searched, if nothing can.
    fn search_unavailable(&self) -> Option<String> {
        if let Some(off) = self.switched_off() {
            return Some(off);
        }
        if self.0.engines.is_empty() {
            return Some(
                "no search engine is set: MIRA_SEARXNG_URL, BRAVE_API_KEY or TAVILY_API_KEY names one".to_owned(),
            );
        }
        let guard = self.0.client.guard();
        let mut refused = Vec::new();
        for engine in &self.0.engines {
            match guard.check_url(engine.url()) {
                Ok(()) => return None,
                Err(error) => refused.push(format!("{}: {error}", engine.name())),
            }
        }
        Some(refused.join("; "))
    }

    /// The first engine's results that can be had; where one fails, the next is asked.
    async fn search(&self, turn: TurnId, query: &str, count: usize) -> Result<Found, ToolError> {
        let mut failed = Vec::new();
        for engine in &self.0.engines {
            match engine.search(&self.0.client, query, count).await {
                Ok(hits) => {
                    let urls = hits.iter().filter_map(|hit| Url::parse(&hit.url).ok());
                    self.0.known.learn(turn, urls.map(|url| Address::of(&url)));
                    return Ok(Found {
                        engine: engine.name(),
                        hits,
                    });
                }
                Err(error) => {
                    tracing::warn!(engine = engine.name(), %error, "a web search failed");
                    failed.push(format!("{}: {error}", engine.name()));
                }
            }
        }
        Err(ToolError::Failed(format!("the search failed ({})", failed.join("; "))))
    }

    /// An address as it is fetched: https where nothing else is listed.
    fn address(&self, text: &str) -> Result<Url, WebError> {
        let text = text.trim().trim_matches(['<', '>']);
        let parsed = match Url::parse(text) {
            // `example.org:8080/x` has no scheme, whatever it looks like.
            Ok(url) if !url.scheme().contains('.') && url.scheme() != "localhost" => Ok(url),
            _ if text.contains("://") => Err(WebError::NoAddress),
            _ => Url::parse(&format!("https://{text}")).map_err(|_| WebError::NoAddress),
        };
        let mut url = parsed?;
        url.set_fragment(None);
        let guard = self.0.client.guard();
        let listed = match (url.host(), url.port_or_known_default()) {
            (Some(host), Some(port)) => guard.lists(&host, port),
            _ => false,
        };
        if url.scheme() == "http" && !listed && url.set_scheme("https").is_err() {
            return Err(WebError::NoAddress);
        }
        guard.check_url(&url)?;
        Ok(url)
    }

    /// The owner's words in a turn: what they name may be gone to.
    pub fn hear(&self, turn: TurnId, words: &str) {
        self.0.known.learn(turn, known::named(words));
    }

    /// Whether the owner's words in this turn were heard.
    fn has_heard(&self, turn: TurnId) -> bool {
        self.0.known.knows(turn)
    }

    /// Whether the turn has met this address, in the owner's words or in what it read.
    fn knows(&self, turn: TurnId, address: &str) -> bool {
        let address = self.address(address).map(|url| Address::of(&url));
        // What is no address is refused with its own reason.
        address.map_or(true, |address| self.0.known.holds(turn, address))
    }

    /// A page, fetched once a turn.
    async fn fetch(&self, turn: TurnId, address: &str) -> Result<Arc<Page>, WebError> {
        let url = self.address(address)?;
        let asked = Address::of(&url);
        let slot = self.0.known.slot(turn, asked);
        let page = slot.get_or_try_init(|| self.fetch_now(url)).await?;
        let final_place = Url::parse(&page.url).ok().map(|url| Address::of(&url));
        let inside = page.text.as_deref().map(known::links).into_iter().flatten();
        let met = [asked].into_iter().chain(final_place).chain(inside);
        self.0.known.learn(turn, met);
        Ok(Arc::clone(page))
    }

    async fn fetch_now(&self, url: Url) -> Result<Arc<Page>, WebError> {
        page::fetch(&self.0.client, &*self.0.reader, url).await.map(Arc::new)
    }
}

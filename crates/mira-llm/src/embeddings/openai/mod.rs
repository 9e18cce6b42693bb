//! `POST /embeddings`, as OpenAI documents it and as the servers that speak it differ. Here live a request's repetition
//! and what is learned of the server. Not here: how texts become requests (`manner`) and answers vectors (`answer`).
//!
//! What is asked has no effect on the server, so unlike a reply it is repeated after any fault that may pass.

mod answer;
mod manner;

use super::{EmbedError, EmbedUsage, Embedder, Vector};
use crate::{
    client::{RetryPolicy, Transport, Upstream, wait_before_next},
    endpoint::{Api, Endpoint, Secret},
    error::LlmError,
    wire,
};
use answer::Answer;
use futures_util::{FutureExt, future::BoxFuture};
use manner::Manner;
use mira_core::clock::random_share;
use reqwest::Method;
use serde::Serialize;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An embedding model at an address.
#[derive(Debug, Clone)]
pub struct EmbeddingEndpoint {
    /// Base URL, by the rule of [`Endpoint::base_url`].
    pub base_url: String,
    /// The key, where the server wants one.
    pub api_key: Option<Secret>,
    /// The model's name there.
    pub model: String,
    /// The length of its vectors. Asked for where the server takes that; an answer of another length is an error.
    pub dimension: usize,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// When and how often a request is repeated.
    pub retry: RetryPolicy,
    /// The connections.
    pub transport: Transport,
}

impl EmbeddingEndpoint {
    /// Default of [`Self::timeout`]: a few hundred texts on a slow machine of one's own.
    pub const TIMEOUT: Duration = Duration::from_mins(1);
    /// Default of tries in all. What still fails is tried again by the indexer, later.
    pub const ATTEMPTS: u32 = 3;

    /// An endpoint without key and with the defaults.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>, dimension: usize) -> Self {
        Self {
            base_url: base_url.into(),
            api_key: None,
            model: model.into(),
            dimension,
            timeout: Self::TIMEOUT,
            retry: RetryPolicy {
                attempts: Self::ATTEMPTS,
                ..RetryPolicy::default()
            },
            transport: Transport::default(),
        }
    }
}

/// An embedder at an endpoint. Clones share what was learned of it.
#[derive(Clone)]
pub struct RemoteEmbedder(Arc<Shared>);

struct Shared {
    endpoint: EmbeddingEndpoint,
    upstream: Upstream,
    learned: Mutex<Manner>,
    requests: AtomicU64,
    tokens: AtomicU64,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

impl RemoteEmbedder {
    /// An embedder that has sent nothing yet.
    ///
    /// # Errors
    /// For a URL or key that cannot work, and where TLS cannot be set up.
    pub fn new(endpoint: EmbeddingEndpoint) -> Result<Self, EmbedError> {
        let upstream = Upstream::new(&Endpoint {
            api_key: endpoint.api_key.clone(),
            transport: endpoint.transport.clone(),
            ..Endpoint::new(&endpoint.base_url, Api::Chat, &endpoint.model)
        })?;
        Ok(Self(Arc::new(Shared {
            learned: Mutex::new(Manner::new(endpoint.dimension)),
            endpoint,
            upstream,
            requests: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        })))
    }
}

impl fmt::Debug for RemoteEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteEmbedder").field(&self.0.endpoint).finish()
    }
}

impl Embedder for RemoteEmbedder {
    fn model(&self) -> &str {
        &self.0.endpoint.model
    }

    fn dimension(&self) -> usize {
        self.0.endpoint.dimension
    }

    fn is_local(&self) -> bool {
        false
    }

    fn usage(&self) -> EmbedUsage {
        EmbedUsage {
            requests: self.0.requests.load(Ordering::Relaxed),
            tokens: self.0.tokens.load(Ordering::Relaxed),
        }
    }

    fn embed(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>> {
        let shared = Arc::clone(&self.0);
        async move { shared.embed(&texts).await }.boxed()
    }
}

impl Shared {
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vector>, EmbedError> {
        // Empty texts are refused, and there is nothing to say about white space.
        let said: Vec<&str> = texts
            .iter()
            .map(String::as_str)
            .filter(|text| !text.trim().is_empty())
            .collect();
        let mut vectors = self.embed_said(&said).await?.into_iter();
        let nothing: Vector = vec![0.0; self.endpoint.dimension].into();
        let vector = |text: &String| {
            if text.trim().is_empty() {
                Some(Arc::clone(&nothing))
            } else {
                vectors.next()
            }
        };
        Ok(texts.iter().map_while(vector).collect())
    }

    async fn embed_said(&self, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        let mut manner = self.manner();
        let mut vectors = Vec::with_capacity(texts.len());
        let mut tried = 0;
        while let Some(rest) = texts.get(vectors.len()..).filter(|rest| !rest.is_empty()) {
            let batch = manner.limits.batch(rest);
            tried += 1;
            match self.ask(&batch, &manner).await {
                Ok(some) => {
                    vectors.extend(some);
                    self.learn(&manner);
                    tried = 0;
                }
                Err(EmbedError::Endpoint(error)) => {
                    if let Some(other) = manner.after(&error, &batch) {
                        // The server is well, it only wants to be asked differently.
                        manner = other;
                        tried -= 1;
                    } else {
                        let wait = wait_before_next(&self.endpoint.retry, &error, tried, random_share());
                        tokio::time::sleep(wait.ok_or(error)?).await;
                    }
                }
                Err(other) => return Err(other),
            }
        }
        Ok(vectors)
    }

    async fn ask(&self, texts: &[&str], manner: &Manner) -> Result<Vec<Vector>, EmbedError> {
        let endpoint = &self.endpoint;
        let body = wire::encode(&Body {
            model: &endpoint.model,
            input: texts,
            encoding_format: manner.base64.then_some("base64"),
            dimensions: manner.dimensions.then_some(endpoint.dimension),
        })?;
        let (model, timeout) = (endpoint.model.as_str(), endpoint.timeout);
        let response = self
            .upstream
            .send(
                Method::POST,
                "embeddings",
                Some(body),
                "application/json",
                model,
                timeout,
            )
            .await?;
        let bytes = self.upstream.read_whole(response, timeout).await?;
        let answer = Answer::read(&bytes).map_err(|trouble| match trouble {
            wire::Trouble::Fault(fault) => self.upstream.classify(*fault, model),
            wire::Trouble::TooLarge(limit) => LlmError::TooLarge { limit },
            wire::Trouble::Garbage(why) => LlmError::garbage(format!("no embeddings ({why}); is the base URL right?")),
        })?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(answer.tokens, Ordering::Relaxed);
        let vectors = answer.in_order(texts.len())?;
        match vectors.iter().find(|vector| vector.len() != endpoint.dimension) {
            Some(odd) => Err(EmbedError::Dimension {
                model: endpoint.model.clone(),
                expected: endpoint.dimension,
                got: odd.len(),
            }),
            None => Ok(vectors),
        }
    }

    fn manner(&self) -> Manner {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what an accepted request has proved.
    fn learn(&self, manner: &Manner) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if *learned != *manner {
            tracing::info!(
                embeddings.dimensions = manner.dimensions,
                embeddings.base64 = manner.base64,
                embeddings.most_inputs = manner.limits.inputs,
                embeddings.most_tokens = manner.limits.tokens_each(),
                "the embeddings endpoint takes this"
            );
            learned.clone_from(manner);
        }
    }
}

//! Transport: one pooled keep-alive HTTP client per upstream, requests with deadlines, answers with caps, and which
//! failures may pass. What the bytes mean is decided elsewhere.

use crate::{
    endpoint::{Endpoint, Secret},
    error::{Fault, LlmError},
};
use bytes::Bytes;
pub use mira_core::retry::RetryPolicy;
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use std::{
    error::Error,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept: longer than a pause between two messages, shorter than most proxies keep it.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// How long a refusal's body may take; its status is already known.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest refusal read.
const REFUSAL_BYTES: usize = 64 * 1024;
/// The largest answer that is not a stream.
pub(crate) const WHOLE_BYTES: usize = 16 * 1024 * 1024;

/// The connections to an upstream. Clones share them; built when first used.
#[derive(Debug, Clone, Default)]
pub struct Transport(Arc<Clients>);

#[derive(Debug, Default)]
struct Clients {
    /// For `http://`: no certificates are loaded, which saves time at start and memory.
    plain: OnceLock<Client>,
    /// For `https://`, with the system's certificates.
    tls: OnceLock<Client>,
}

impl Transport {
    fn client(&self, url: &Url) -> Result<Client, LlmError> {
        let plain = url.scheme() == "http";
        let slot = if plain { &self.0.plain } else { &self.0.tls };
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        // An error means that the process has chosen its provider already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .no_proxy()
            .referer(false)
            // A redirect would carry the conversation to an address nobody configured.
            .redirect(redirect::Policy::none())
            // One place decides about repeating a call, see [`RetryPolicy`].
            .retry(reqwest::retry::never())
            .user_agent(concat!("mira/", env!("CARGO_PKG_VERSION")));
        let builder = if plain { builder.tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(|error| LlmError::Transport {
            why: root_cause(&error),
        })?;
        Ok(slot.get_or_init(|| client).clone())
    }
}

/// The wait before a call that failed with `error` is tried again, or none if it is not: after a rate limit, a server's
/// failure or a broken connection, and only as long as nothing of the answer was passed on.
pub(crate) fn wait_before_next(policy: &RetryPolicy, error: &LlmError, tried: u32, random: f64) -> Option<Duration> {
    policy
        .wait(error.retry_after(), tried, random)
        .filter(|_| error.is_transient())
}

/// One server: where it is and how to get in.
pub(crate) struct Upstream {
    client: Client,
    base: Url,
    auth: Option<HeaderValue>,
    secret: Option<Secret>,
    host: String,
}

impl Upstream {
    pub fn new(endpoint: &Endpoint) -> Result<Self, LlmError> {
        let base = endpoint.base()?;
        let secret = endpoint.api_key.clone().filter(|key| !key.expose().is_empty());
        let auth = match &secret {
            Some(key) => {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| LlmError::BadKey)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        Ok(Self {
            client: endpoint.transport.client(&base)?,
            base,
            auth,
            secret,
            host,
        })
    }

    /// The URL of `path`, which may carry a query, below the base URL.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("{}/{path}", self.base.path()));
        if query.is_some() {
            url.set_query(query);
        }
        url
    }

    /// Sends a request whose body, if it has one, is JSON, and waits at most `deadline` for the answer's head. A refusal
    /// comes back as its error.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        accept: &'static str,
        model: &str,
        deadline: Duration,
    ) -> Result<Response, LlmError> {
        let body = body.map(|body| (HeaderValue::from_static("application/json"), body));
        self.send_as(method, path, body, accept, model, deadline).await
    }

    /// The same with a body of any type.
    pub async fn send_as(
        &self,
        method: Method,
        path: &str,
        body: Option<(HeaderValue, Bytes)>,
        accept: &'static str,
        model: &str,
        deadline: Duration,
    ) -> Result<Response, LlmError> {
        let mut request = self
            .client
            .request(method, self.url(path))
            .header(ACCEPT, HeaderValue::from_static(accept));
        if let Some(auth) = &self.auth {
            request = request.header(AUTHORIZATION, auth.clone());
        }
        if let Some((kind, body)) = body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let response = match tokio::time::timeout(deadline, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Err(_) => return Err(LlmError::IdleTimeout { after: deadline }),
        };
        let status = response.status();
        if status.is_success() {
            Ok(response)
        } else {
            Err(self.refusal(status, response, model).await)
        }
    }

    async fn refusal(&self, status: StatusCode, response: Response, model: &str) -> LlmError {
        let retry_after = retry_after(response.headers());
        let location = status.is_redirection();
        // Without its body a refusal is still a refusal.
        let body = match tokio::time::timeout(REFUSAL_TIMEOUT, read_up_to(response, REFUSAL_BYTES)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let fault = Fault {
            retry_after,
            ..Fault::from_body(Some(status.as_u16()), &body)
        };
        let fault = if location {
            Fault {
                message: "it redirects elsewhere; is the base URL right?".to_owned(),
                ..fault
            }
        } else {
            fault
        };
        self.classify(fault, model)
    }

    /// What a fault means, without the key in its words.
    pub fn classify(&self, fault: Fault, model: &str) -> LlmError {
        fault.classify(model, &|text| self.scrub(text))
    }

    fn scrub(&self, text: &str) -> String {
        match &self.secret {
            Some(key) => text.replace(key.expose(), "[key]"),
            None => text.to_owned(),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> LlmError {
        LlmError::Connect {
            host: self.host.clone(),
            why: root_cause(error),
        }
    }

    /// Reads an answer that is not a stream.
    pub async fn read_whole(&self, response: Response, deadline: Duration) -> Result<Bytes, LlmError> {
        self.read_within(response, WHOLE_BYTES, deadline).await
    }

    /// The same with another cap, in bytes.
    pub async fn read_within(&self, response: Response, limit: usize, deadline: Duration) -> Result<Bytes, LlmError> {
        match tokio::time::timeout(deadline, read_up_to(response, limit.saturating_add(1))).await {
            Ok(Ok(body)) if body.len() > limit => Err(LlmError::TooLarge { limit }),
            Ok(Ok(body)) => Ok(body.into()),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(LlmError::IdleTimeout { after: deadline }),
        }
    }
}

/// At most `limit` bytes of a body; a longer one is cut.
async fn read_up_to(mut response: Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await? else { break };
        let room = limit - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Ok(body)
}

/// `retry-after-ms`, else `retry-after` in seconds. A date is not honoured: the policy's own wait takes its place.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |value: Option<&HeaderValue>| value?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number(headers.get("retry-after-ms"))
        .map(|ms| ms / 1_000.0)
        .or_else(|| number(headers.get(RETRY_AFTER)))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The innermost cause of an error: the outer ones repeat the URL and say nothing.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tried: u32, random: f64, expect_ms: Option<u64>) {
        let policy = RetryPolicy::default();
        assert_eq!(
            wait_before_next(&policy, &LlmError::CutOff, tried, random),
            expect_ms.map(Duration::from_millis),
            "{tried}"
        );
    }

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        check(1, 1.0, Some(500));
        check(2, 1.0, Some(1_000));
        check(2, 0.5, Some(500));
        check(3, 1.0, Some(2_000));
        check(3, 0.0, Some(0));
        check(4, 1.0, None);
        let many = RetryPolicy {
            attempts: 100,
            ..RetryPolicy::default()
        };
        assert_eq!(
            wait_before_next(&many, &LlmError::CutOff, 99, 1.0),
            Some(Duration::from_secs(8))
        );
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        let policy = RetryPolicy::default();
        let limited = |secs| LlmError::RateLimited {
            retry_after: Some(Duration::from_secs(secs)),
        };
        assert_eq!(
            wait_before_next(&policy, &limited(3), 1, 0.1),
            Some(Duration::from_secs(3))
        );
        assert_eq!(wait_before_next(&policy, &limited(31), 1, 0.1), None);
        assert_eq!(wait_before_next(&policy, &LlmError::Quota, 1, 1.0), None);
        assert_eq!(wait_before_next(&policy, &LlmError::Auth { status: 401 }, 1, 1.0), None);
    }
}

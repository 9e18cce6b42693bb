//! Requests to a Qdrant server: one pooled client, deadlines, caps, retries of writes, and errors in words an owner can
//! act on. What is asked is decided in [`super`].
//!
//! Nothing follows a redirect or a proxy, and the key is in no text: what a server says is passed on without it.

use super::wire::{Answer, Refusal};
use crate::index::IndexError;
use mira_core::{chat::one_line, clock::random_share, retry::RetryPolicy};
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde::de::DeserializeOwned;
use std::{error::Error, fmt, time::Duration};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an unused connection is kept: longer than a pause between two messages.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// The largest answer read. Ten thousand hits are half a megabyte.
const ANSWER_BYTES: usize = 8 << 20;
/// The most characters of a server's words that are passed on.
const WORDS: usize = 300;
/// Where Qdrant speaks gRPC, which a browser of REST mistakes for a broken server.
const GRPC_PORT: u16 = 6334;

/// A key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key; surrounding white space, which a key file ends with, is dropped. An empty one is none.
    pub fn new(key: impl AsRef<str>) -> Option<Self> {
        let key = key.as_ref().trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Why a try failed, and whether the next one may not.
#[derive(Debug)]
struct Failure {
    error: IndexError,
    passing: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    /// The wait before the next try after `tried` tries, or none if there is to be no other.
    fn wait(&self, policy: &RetryPolicy, tried: u32, random: f64) -> Option<Duration> {
        policy.wait(self.retry_after, tried, random).filter(|_| self.passing)
    }

    fn lasting(error: IndexError) -> Self {
        Self {
            error,
            passing: false,
            retry_after: None,
        }
    }

    fn passing(error: IndexError) -> Self {
        Self {
            passing: true,
            ..Self::lasting(error)
        }
    }
}

/// A request, which may be sent several times.
#[derive(Debug)]
pub(super) struct Call {
    pub method: Method,
    /// Path segments, not yet escaped.
    pub path: Vec<String>,
    /// Whether the answer waits until the change is visible.
    pub wait: bool,
    pub body: Option<Vec<u8>>,
    /// For the whole answer.
    pub timeout: Duration,
}

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    base: Url,
    key: Option<ApiKey>,
    header: Option<HeaderValue>,
    /// Where it is, for error texts.
    host: String,
    /// What our vectors have, to word a refusal.
    dimension: usize,
}

impl Server {
    pub(super) fn new(url: &str, key: Option<ApiKey>, dimension: usize) -> Result<Self, IndexError> {
        let base = base(url)?;
        let refused = |why: &str| IndexError::Refused(why.to_owned());
        let header = match &key {
            Some(ApiKey(key)) => {
                let mut value = HeaderValue::from_str(key)
                    .map_err(|_| refused("QDRANT_API_KEY holds characters that no header can carry"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        // An error means that the process has chosen its provider already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .no_proxy()
            .referer(false)
            // A redirect would carry memories to an address nobody configured.
            .redirect(redirect::Policy::none())
            // One place decides about repeating a call, see [`RetryPolicy`].
            .retry(reqwest::retry::never())
            .user_agent(concat!("mira/", env!("CARGO_PKG_VERSION")));
        // Without `https` no certificates are loaded, which saves time at start and memory.
        let builder = if base.scheme() == "http" {
            builder.tls_certs_only([])
        } else {
            builder
        };
        let client = builder
            .build()
            .map_err(|error| IndexError::Refused(format!("no HTTP client: {}", root_cause(&error))))?;
        Ok(Self {
            client,
            base,
            key,
            header,
            host,
            dimension,
        })
    }

    /// Sends a call as often as the policy says and reads the answer's `result`.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call, policy: &RetryPolicy) -> Result<T, IndexError> {
        let mut tried = 0;
        loop {
            let failure = match self.once(call).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            tried += 1;
            let Some(wait) = failure.wait(policy, tried, random_share()) else {
                return Err(failure.error);
            };
            tracing::debug!(error = %failure.error, tried, wait_ms = wait.as_millis(), "asking Qdrant again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        match tokio::time::timeout(call.timeout, self.exchange(call)).await {
            Ok(done) => done,
            Err(_) => Err(Failure::passing(IndexError::Unreachable(format!(
                "{} did not answer within {} ms",
                self.host,
                call.timeout.as_millis()
            )))),
        }
    }

    async fn exchange<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let mut request = self.client.request(call.method.clone(), self.url(call));
        if let Some(key) = &self.header {
            request = request.header("api-key", key.clone());
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = read_up_to(response, ANSWER_BYTES)
            .await
            .map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(Failure {
                retry_after,
                ..self.refusal(status, &body, call)
            });
        }
        serde_json::from_slice::<Answer<T>>(&body)
            .map(|answer| answer.result)
            .map_err(|error| Failure::lasting(IndexError::Garbage(format!("{}: {error}", self.host))))
    }

    fn url(&self, call: &Call) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&call.path);
        }
        if call.wait {
            url.set_query(Some("wait=true"));
        }
        url
    }

    /// What a status and its body mean.
    fn refusal(&self, status: StatusCode, body: &[u8], call: &Call) -> Failure {
        let said = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.status.error);
        let structured = said.is_ok();
        let said = self.scrub(&said.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned()));
        let collection = || call.path.get(1).cloned().unwrap_or_default();
        let coded = || format!("{} ({said})", status.as_u16());
        match status.as_u16() {
            // Recovery mode, or a disk that filled up: said with the same status as a wrong key.
            403 if structured && said.contains("Storage locked") => Failure::passing(IndexError::Busy(coded())),
            401 | 403 => Failure::lasting(IndexError::Denied),
            404 if structured && said.contains("doesn't exist") => Failure::lasting(IndexError::Missing(collection())),
            404 => Failure::lasting(IndexError::Garbage(format!(
                "404: {} does not know {}; is QDRANT_URL the address of Qdrant's REST port?",
                self.host,
                self.url(call).path()
            ))),
            400 | 422 => match dimension_in(&said) {
                Some(found) => Failure::lasting(IndexError::Dimension {
                    expected: self.dimension,
                    found,
                }),
                None => Failure::lasting(IndexError::Refused(said)),
            },
            // Out of room: no wait of a few seconds changes that.
            507 => Failure::lasting(IndexError::Busy(coded())),
            500..=599 if said.contains("No space left") => Failure::lasting(IndexError::Busy(coded())),
            408 | 502 | 504 => Failure::passing(IndexError::Unreachable(coded())),
            429 | 500..=599 => Failure::passing(IndexError::Busy(coded())),
            300..=399 => Failure::lasting(IndexError::Refused(
                "it redirects elsewhere; is QDRANT_URL right?".to_owned(),
            )),
            _ => Failure::lasting(IndexError::Refused(coded())),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = format!("{}: {}", self.host, root_cause(error));
        if self.base.port() == Some(GRPC_PORT) {
            why.push_str("; 6334 is Qdrant's gRPC port, QDRANT_URL names the REST port (6333)");
        }
        Failure::passing(IndexError::Unreachable(self.scrub(&why)))
    }

    /// A server's words in one line, cut, without the key.
    fn scrub(&self, text: &str) -> String {
        let text = match &self.key {
            Some(ApiKey(key)) => text.replace(key.as_str(), "[key]"),
            None => text.to_owned(),
        };
        one_line(&text, WORDS)
    }
}

/// The collection's dimension out of `Vector dimension error: expected dim: 3072, got 256`.
fn dimension_in(said: &str) -> Option<usize> {
    let (_, rest) = said.split_once("expected dim: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The address of a server, without a user in it: that would be shown wherever the address is.
fn base(text: &str) -> Result<Url, IndexError> {
    let bad = |why: &str| IndexError::Refused(format!("QDRANT_URL: {why}"));
    let mut url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "it must not contain a user name or password; a key belongs into QDRANT_API_KEY",
        ));
    }
    url.set_fragment(None);
    url.set_query(None);
    Ok(url)
}

/// A body up to `limit` bytes; a longer one is cut, and then no JSON.
async fn read_up_to(mut response: Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await? else { break };
        let room = limit - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Ok(body)
}

/// `retry-after` in seconds. A date is not honoured: the policy's own wait takes its place.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<f64>().ok()?;
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
    use crate::index::qdrant::QdrantConfig;

    fn server() -> Server {
        Server::new("http://127.0.0.1:6333/", ApiKey::new(" hunter2\n"), 256).unwrap()
    }

    fn call() -> Call {
        Call {
            method: Method::PUT,
            path: vec!["collections".into(), "mira memory/1".into(), "points".into()],
            wait: true,
            body: None,
            timeout: Duration::from_secs(1),
        }
    }

    fn check(status: u16, body: &str, expect: IndexError, passing: bool) {
        let got = server().refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes(), &call());
        assert_eq!((got.error, got.passing), (expect, passing), "{status} {body}");
    }

    fn error(text: &str) -> String {
        serde_json::json!({ "status": { "error": text }, "time": 0.0 }).to_string()
    }

    #[test]
    fn refusals_are_understood() {
        check(401, "Must provide an API key", IndexError::Denied, false);
        check(403, "Invalid API key or JWT", IndexError::Denied, false);
        check(
            403,
            &error("Storage locked: x"),
            IndexError::Busy("403 (Storage locked: x)".to_owned()),
            true,
        );
        check(
            404,
            &error("Not found: Collection `x` doesn't exist!"),
            IndexError::Missing("mira memory/1".to_owned()),
            false,
        );
        check(
            404,
            "<html>nginx",
            IndexError::Garbage(
                "404: 127.0.0.1:6333 does not know /collections/mira%20memory%2F1/points; is QDRANT_URL the address \
                 of Qdrant's REST port?"
                    .to_owned(),
            ),
            false,
        );
        check(
            400,
            &error("Wrong input: Vector dimension error: expected dim: 3072, got 256"),
            IndexError::Dimension {
                expected: 256,
                found: 3072,
            },
            false,
        );
        check(
            400,
            &error("Bad request: no, hunter2"),
            IndexError::Refused("Bad request: no, [key]".to_owned()),
            false,
        );
        check(
            500,
            &error("Service internal error: No space left on device: WAL"),
            IndexError::Busy("500 (Service internal error: No space left on device: WAL)".to_owned()),
            false,
        );
        check(507, &error("full"), IndexError::Busy("507 (full)".to_owned()), false);
        check(429, &error("slow"), IndexError::Busy("429 (slow)".to_owned()), true);
        check(503, "", IndexError::Busy("503 ()".to_owned()), true);
        check(502, "", IndexError::Unreachable("502 ()".to_owned()), true);
    }

    #[test]
    fn addresses() {
        let base = |text: &str| base(text).map(String::from).ok();
        assert_eq!(base(" http://h:6333 ").as_deref(), Some("http://h:6333/"));
        assert_eq!(base("https://h/q/?a=b#c").as_deref(), Some("https://h/q/"));
        for bad in ["", "h:6333", "ftp://h", "http://user:secret@h"] {
            assert_eq!(base(bad), None, "{bad}");
        }
        let said = super::base("http://user:secret@h").unwrap_err().to_string();
        assert!(!said.contains("secret"), "{said}");
        let below = Server::new("https://h/q/", None, 1).unwrap();
        assert_eq!(
            below.url(&call()).as_str(),
            "https://h/q/collections/mira%20memory%2F1/points?wait=true"
        );
    }

    #[test]
    fn the_key_is_never_shown() {
        assert!(!format!("{:?}", server()).contains("hunter2"));
        assert_eq!(ApiKey::new("  \n"), None);
    }

    #[test]
    fn only_what_passes_is_repeated() {
        let policy = QdrantConfig::RETRY;
        let busy = || Failure::passing(IndexError::Busy(String::new()));
        assert_eq!(busy().wait(&policy, 1, 1.0), Some(Duration::from_millis(200)));
        assert_eq!(busy().wait(&policy, 3, 0.5), Some(Duration::from_millis(400)));
        assert_eq!(busy().wait(&policy, 4, 1.0), None);
        assert_eq!(Failure::lasting(IndexError::Denied).wait(&policy, 1, 1.0), None);
        let asked = |secs| Failure {
            retry_after: Some(Duration::from_secs(secs)),
            ..busy()
        };
        assert_eq!(asked(3).wait(&policy, 1, 0.0), Some(Duration::from_secs(3)));
        assert_eq!(asked(60).wait(&policy, 1, 0.0), None);
        assert_eq!(busy().wait(&RetryPolicy::ONCE, 1, 1.0), None);
    }
}

//! Requests: hop by hop, each checked by the guard and sent to exactly the addresses that passed.
//!
//! A hop has a connection of its own. That costs a handshake per request, and buys that nothing is ever sent over a
//! connection that was checked for something else.

use crate::{
    body::{Body, Bounds},
    error::{NetError, Phase, root_cause},
    guard::{Guard, Target},
    tls,
};
use bytes::Bytes;
use futures_util::{Stream, TryStream, TryStreamExt};
use reqwest::{
    Client, Method, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
        HeaderValue, LOCATION, USER_AGENT,
    },
    redirect,
};
use std::{
    error::Error,
    fmt, io, iter,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

/// What goes along to another origin: nothing that could be a secret.
const HARMLESS: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, CONTENT_TYPE];

/// What bounds a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the name server, and again for the connection.
    pub connect: Duration,
    /// For the answer's head, counted from the last byte sent.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// For everything, redirects and body included.
    pub total: Duration,
    /// The largest body, in bytes after decompression.
    pub body_bytes: u64,
    /// How many redirects are followed.
    pub redirects: u8,
}

impl Default for Limits {
    /// For a web page: 10 s to an answer, a minute for all of it, 8 MiB, 5 redirects.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            total: Duration::from_mins(1),
            body_bytes: 8 * 1024 * 1024,
            redirects: 5,
        }
    }
}

/// The client. Cheap to clone; clones share the guard and the loaded certificates.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    guard: Guard,
    tls: Arc<OnceLock<rustls::ClientConfig>>,
}

impl GuardedClient {
    /// A client that goes where `guard` lets it.
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            tls: Arc::default(),
        }
    }

    /// The guard, for checks of other protocols.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// A GET.
    pub fn get(&self, url: Url) -> Request {
        Request::new(self.clone(), Method::GET, url, Payload::None)
    }

    /// A DELETE.
    pub fn delete(&self, url: Url) -> Request {
        Request::new(self.clone(), Method::DELETE, url, Payload::None)
    }

    /// A POST with a body that is at hand.
    pub fn post(&self, url: Url, content_type: HeaderValue, body: impl Into<Bytes>) -> Request {
        Request::new(self.clone(), Method::POST, url, Payload::Whole(body.into())).header(CONTENT_TYPE, content_type)
    }

    /// A POST whose body is made while it is sent. It cannot be repeated, so no redirect is followed that wants it.
    pub fn post_stream<S>(&self, url: Url, content_type: HeaderValue, body: S) -> Request
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let body = body.inspect_ok(move |piece| {
            counter.fetch_add(1 + piece.len() as u64, Ordering::Relaxed);
        });
        let payload = Payload::Stream {
            body: reqwest_body(body),
            sent,
        };
        Request::new(self.clone(), Method::POST, url, payload).header(CONTENT_TYPE, content_type)
    }

    /// The connection of one hop: it knows the addresses of one host and asks nobody for others.
    fn hop(&self, target: &Target, secure: bool, limits: &Limits) -> Result<Client, NetError> {
        // An error means that the process has chosen its provider already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .dns_resolver(Pinned(target.clone()))
            .user_agent(concat!("mira/", env!("CARGO_PKG_VERSION")));
        let builder = if secure {
            builder.tls_backend_preconfigured(self.tls()?)
        } else {
            builder.tls_certs_only([])
        };
        builder.build().map_err(|error| NetError::Tls {
            why: root_cause(&error),
        })
    }

    fn tls(&self) -> Result<rustls::ClientConfig, NetError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = tls::system()?;
        Ok(self.tls.get_or_init(|| config).clone())
    }
}

/// Answers with the checked addresses of the one host of a hop, and knows no other.
struct Pinned(Target);

impl reqwest::dns::Resolve for Pinned {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let answer = if name.as_str().eq_ignore_ascii_case(&self.0.host) {
            let addresses: Box<dyn Iterator<Item = SocketAddr> + Send> = Box::new(self.0.addresses.clone().into_iter());
            Ok(addresses)
        } else {
            let refused: Box<dyn Error + Send + Sync> = "a host that was not checked".into();
            Err(refused)
        };
        Box::pin(std::future::ready(answer))
    }
}

enum Payload {
    None,
    Whole(Bytes),
    Stream { body: reqwest::Body, sent: Arc<AtomicU64> },
}

fn reqwest_body<S>(stream: S) -> reqwest::Body
where
    S: TryStream<Ok = Bytes, Error = io::Error> + Send + 'static,
{
    reqwest::Body::wrap_stream(stream)
}

/// A request that has not been sent.
pub struct Request {
    client: GuardedClient,
    method: Method,
    url: Url,
    headers: HeaderMap,
    payload: Payload,
    gzip: bool,
    stays: bool,
    limits: Limits,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// An answer, whatever its status; redirects were followed.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Where it came from in the end.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

impl Request {
    fn new(client: GuardedClient, method: Method, url: Url, payload: Payload) -> Self {
        Self {
            client,
            method,
            url,
            headers: HeaderMap::new(),
            payload,
            gzip: false,
            stays: false,
            limits: Limits::default(),
        }
    }

    /// Sets a header. Only a few harmless ones go along when a redirect leaves the origin.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the credentials for the URL's own origin, the whole header value.
    #[must_use]
    pub fn authorization(self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.header(AUTHORIZATION, value)
    }

    /// Takes the answer compressed; the cap counts what comes out.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Follows a redirect only where the same request goes to the same origin.
    #[must_use]
    pub fn same_origin(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Sets what bounds the request.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sends it, follows redirects, and answers when the head of the last answer is there.
    pub async fn send(mut self) -> Result<Response, NetError> {
        let begun = Instant::now();
        let deadline = begun.checked_add(self.limits.total).unwrap_or(begun);
        if self.gzip {
            self.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut followed = 0;
        loop {
            let answer = self.hop(deadline).await?;
            let Some(next) = next_hop(&self.url, &answer)? else {
                return self.answered(answer, deadline);
            };
            if followed == self.limits.redirects {
                return Err(NetError::TooManyRedirects {
                    host: shown(&self.url),
                    limit: followed,
                });
            }
            followed += 1;
            self.follow(next, answer.status())?;
        }
    }

    /// One request to one checked place.
    async fn hop(&mut self, deadline: Instant) -> Result<reqwest::Response, NetError> {
        let host = shown(&self.url);
        let limits = self.limits;
        let late = |phase, after| NetError::Timeout {
            host: host.clone(),
            phase,
            after,
        };
        let looked_up = timeout(limits.connect, self.client.guard.target(&self.url));
        let target = timeout_at(deadline, looked_up)
            .await
            .map_err(|_| late(Phase::Whole, limits.total))?
            .map_err(|_| late(Phase::Resolving, limits.connect))??;
        let client = self.client.hop(&target, self.url.scheme() == "https", &limits)?;
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone());
        let mut sent = Arc::default();
        match std::mem::replace(&mut self.payload, Payload::None) {
            Payload::None => {}
            Payload::Whole(body) => {
                request = request.body(body.clone());
                self.payload = Payload::Whole(body);
            }
            Payload::Stream { body, sent: counter } => {
                request = request.body(body);
                sent = counter;
            }
        }
        let mut sending = pin!(request.send());
        // While a body is still being sent, the wait for an answer has not begun.
        loop {
            let now = Instant::now();
            let patience = now
                .checked_add(limits.connect.max(limits.first_byte))
                .unwrap_or(deadline)
                .min(deadline);
            let before = sent.load(Ordering::Relaxed);
            match timeout_at(patience, &mut sending).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => return Err(unreachable(host, &error, limits.connect)),
                Err(_) if Instant::now() >= deadline => return Err(late(Phase::Whole, limits.total)),
                Err(_) if sent.load(Ordering::Relaxed) == before => return Err(late(Phase::Answer, limits.first_byte)),
                Err(_) => {}
            }
        }
    }

    /// Makes this the request of the next hop.
    fn follow(&mut self, next: Url, status: StatusCode) -> Result<(), NetError> {
        let refused = |why| NetError::BadRedirect {
            host: shown(&self.url),
            why,
        };
        let stays = next.origin() == self.url.origin();
        let becomes_get = match status {
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => self.method != Method::GET && self.method != Method::HEAD,
        };
        if self.stays && !stays {
            return Err(refused("it leads to another origin"));
        }
        if self.stays && becomes_get {
            return Err(refused("it would turn what is sent into a question"));
        }
        if becomes_get {
            self.method = Method::GET;
            self.payload = Payload::None;
            self.headers.remove(CONTENT_TYPE);
        } else if self.method == Method::POST {
            if !stays {
                return Err(refused("it would carry what was sent to another origin"));
            }
            if !matches!(self.payload, Payload::Whole(_)) {
                return Err(refused("what was sent cannot be sent twice"));
            }
        }
        if !stays {
            let kept = HARMLESS.iter().filter_map(|name| {
                let value = self.headers.get(name)?;
                Some((name.clone(), value.clone()))
            });
            let asked = iter::once((ACCEPT_ENCODING, HeaderValue::from_static("gzip"))).filter(|_| self.gzip);
            self.headers = kept.chain(asked).collect();
        }
        self.url = next;
        Ok(())
    }

    fn answered(self, answer: reqwest::Response, deadline: Instant) -> Result<Response, NetError> {
        let host = shown(&self.url);
        let coding = answer.headers().get(CONTENT_ENCODING);
        let coding = coding.map(|coding| coding.as_bytes().to_ascii_lowercase());
        let gzip = match coding.as_deref() {
            Some(b"gzip" | b"x-gzip") if self.gzip => true,
            None | Some(b"" | b"identity") => false,
            Some(_) => {
                return Err(NetError::Broken {
                    host,
                    why: "it is compressed in a way nobody asked for".to_owned(),
                });
            }
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bounds = Bounds {
            bytes: self.limits.body_bytes,
            idle: self.limits.idle,
            deadline,
            total: self.limits.total,
        };
        Ok(Response {
            status,
            url: self.url,
            headers,
            body: Body::new(host, answer, gzip, &bounds)?,
        })
    }
}

/// Where an answer redirects to, or none if it does not.
fn next_hop(from: &Url, answer: &reqwest::Response) -> Result<Option<Url>, NetError> {
    let redirects = matches!(
        answer.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = answer.headers().get(LOCATION).filter(|_| redirects) else {
        return Ok(None);
    };
    let bad = |why| NetError::BadRedirect { host: shown(from), why };
    // Beyond what the standard allows, servers write other letters than English ones as they are.
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| bad("its address is not text"))?;
    let next = from.join(location).map_err(|_| bad("its address cannot be read"))?;
    Ok(Some(next))
}

/// Host and port, the part of a URL that may be shown.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or("an address without a host");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn unreachable(host: String, error: &reqwest::Error, connect: Duration) -> NetError {
    if error.is_timeout() {
        return NetError::Timeout {
            host,
            phase: Phase::Answer,
            after: connect,
        };
    }
    NetError::Unreachable {
        host,
        why: root_cause(error),
    }
}

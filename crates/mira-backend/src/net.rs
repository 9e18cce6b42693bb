//! The HTTP floor: accepting connections and the limits `axum::serve` does not have.
//!
//! Invariants: a connection that sends no whole head within [`HEAD_TIMEOUT`], also between two requests, is closed; at
//! most [`connection_limit`] connections are open; running out of descriptors neither ends nor spins the loop.

use crate::{
    api::security::{ConnInfo, MissingSlash},
    lifecycle::Lifecycle,
    services::metrics::Metrics,
};
use axum::{Router, body::Body, http::Uri};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::ServiceExt;

/// How long a head may take to arrive, the wait for it on a kept-alive connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers a request may have.
const MAX_HEADERS: usize = 100;
/// Bytes of a head; also the read buffer's ceiling.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Descriptors kept back for the database, the model and files.
const RESERVED_DESCRIPTORS: u64 = 256;
/// Never more connections than this, whatever the system allows.
const MOST_CONNECTIONS: u64 = 65_536;
/// Waits after a failed accept: first and longest.
const ACCEPT_BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What every connection shares.
#[derive(Clone)]
pub struct Floor {
    /// The routes.
    pub router: Router,
    /// The public sub-path, empty or `/mira`.
    pub prefix: Arc<str>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// How it ends.
    pub life: Lifecycle,
}

/// Raises the limit of open files as far as the system lets us, and answers how many connections may be open.
pub fn connection_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(e) => tracing::warn!(error = %e, "the limit of open files could not be raised"),
        }
    }
    let files = limit.current.unwrap_or(MOST_CONNECTIONS);
    let connections = files.saturating_sub(RESERVED_DESCRIPTORS).clamp(16, MOST_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Accepts until the soft token is set; connections go on until they are finished.
pub async fn accept(listener: TcpListener, floor: Floor, limit: usize) {
    let slots = Arc::new(Semaphore::new(limit));
    let soft = floor.life.soft().clone();
    let mut backoff = ACCEPT_BACKOFF.0;
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let Some((slot, accepted)) = soft.run_until_cancelled(next).await else {
            return;
        };
        let Ok(slot) = slot else { return };
        match accepted {
            Ok((stream, peer)) => {
                backoff = ACCEPT_BACKOFF.0;
                floor.life.spawn(serve_connection(stream, peer, floor.clone(), slot));
            }
            Err(e) if is_the_peers_fault(&e) => {}
            Err(e) => {
                floor.metrics.accept_errors.inc();
                tracing::warn!(error = %e, wait_ms = backoff.as_millis(), "a connection could not be accepted");
                drop(slot);
                if soft.run_until_cancelled(tokio::time::sleep(backoff)).await.is_none() {
                    return;
                }
                backoff = (backoff * 2).min(ACCEPT_BACKOFF.1);
            }
        }
    }
}

fn is_the_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, floor: Floor, slot: OwnedSemaphorePermit) {
    let Ok(local) = stream.local_addr() else { return };
    // Small frames must leave at once; a socket that refuses this works, only slower.
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY");
    }
    let (soft, hard) = (floor.life.soft().clone(), floor.life.hard().clone());
    floor.metrics.connections.inc();
    let stream = Slotted {
        stream,
        metrics: Arc::clone(&floor.metrics),
        _slot: slot,
    };
    let service = tower::service_fn(move |request: hyper::Request<Incoming>| {
        let (router, prefix) = (floor.router.clone(), Arc::clone(&floor.prefix));
        let mut request = below_prefix(request.map(Body::new), &prefix);
        request.extensions_mut().insert(ConnInfo { peer, local });
        router.oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            hard.run_until_cancelled(connection).await
        }
    };
    if let Some(Err(e)) = ended {
        // Clients that go away in the middle are everyday life.
        tracing::debug!(error = %e, "connection ended");
    }
}

/// A stream that keeps its place among those allowed until it is dropped: an upgraded one outlives its task.
struct Slotted {
    stream: TcpStream,
    metrics: Arc<Metrics>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Slotted {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl AsyncRead for Slotted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Slotted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Serves the same routes below the public sub-path and without it (a proxy may or may not strip it).
fn below_prefix(mut request: axum::http::Request<Body>, prefix: &str) -> axum::http::Request<Body> {
    if prefix.is_empty() {
        return request;
    }
    let uri = request.uri();
    let Some(rest) = uri.path().strip_prefix(prefix) else {
        return request;
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = match rest {
        "" => format!("/{query}"),
        rest if rest.starts_with('/') => format!("{rest}{query}"),
        _ => return request,
    };
    let missing_slash = rest.is_empty();
    let mut parts = uri.clone().into_parts();
    let Ok(path) = path.parse() else { return request };
    parts.path_and_query = Some(path);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
        if missing_slash {
            request
                .extensions_mut()
                .insert(MissingSlash(format!("{prefix}/{query}")));
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, uri: &str, expect: &str, redirect: Option<&str>) {
        let request = axum::http::Request::builder().uri(uri).body(Body::empty()).unwrap();
        let request = below_prefix(request, prefix);
        assert_eq!(request.uri().to_string(), expect, "{uri}");
        let found = request.extensions().get::<MissingSlash>().map(|slash| slash.0.clone());
        assert_eq!(found.as_deref(), redirect, "{uri}");
    }

    #[test]
    fn sub_paths() {
        check("", "/mira/health", "/mira/health", None);
        check("/mira", "/mira/health?x=1", "/health?x=1", None);
        check("/mira", "/health", "/health", None);
        check("/mira", "/mirage", "/mirage", None);
        check("/mira", "/mira/", "/", None);
        check("/mira", "/mira?x", "/?x", Some("/mira/?x"));
        check("/mira", "http://h/mira/a", "http://h/a", None);
    }
}

//! The edge every request passes, the unknown and the refused ones too: request id, who the peer really is, `Host` and
//! `Origin` rules, CORS for the origins the owner named, security headers, one log line, and the bodies of problems.
//!
//! Invariants: no route is reached under a `Host` Mira does not answer to; no state changes and no upgrade happens for
//! a foreign or `null` origin; every answer has the headers below and a request id.

use super::{
    error::{ApiError, PROBLEM_JSON, Problem, REQUEST_ID},
    leftover::lend,
};
use crate::{
    config::{AccessConfig, HostName, HostPort, Origin, Scheme},
    state::AppState,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::time::Instant;
use tracing::Instrument;

/// What the page may load and who may frame it: only what Mira serves herself.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
    data: blob:; connect-src 'self'; font-src 'self'; frame-src 'self'; manifest-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// On every answer that does not set its own.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

const CORS_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const CORS_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, if-match, if-none-match, last-event-id, mcp-protocol-version, range, x-request-id",
);
const CORS_EXPOSED: HeaderValue =
    HeaderValue::from_static("x-request-id, retry-after, etag, location, content-disposition, content-range");
const CORS_MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Both ends of the connection a request came by. The accept loop puts it into every request.
#[derive(Debug, Clone, Copy)]
pub struct ConnInfo {
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
}

/// Put into a request for the public sub-path without its slash: where the browser is to go.
#[derive(Debug, Clone)]
pub struct MissingSlash(pub String);

/// What the edge found out about a request; in the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The request's id, also in `x-request-id`, in the log and in problems.
    pub id: Arc<str>,
    /// Mira's own origin as this client sees it.
    pub seen_as: Origin,
    /// The client's address, through trusted proxies.
    pub client: IpAddr,
}

/// The edge as a layer around all routes.
pub async fn edge(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&state, request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let allowed_origin = cors_origin(&state.config().access, request.headers());
    let span = tracing::info_span!("request", request.id = %id);
    let (mut request, leftover) = lend(request);
    let mut response = match admit(&state, &mut request, &id) {
        Ok(Admitted::Through) => next.run(request).instrument(span.clone()).await,
        Ok(Admitted::Preflight) => answered(request, preflight()),
        Err(e) => answered(request, e.into_response()),
    };
    leftover.settle(&mut response).await;
    response = with_problem_body(response, &id);
    finish_headers(response.headers_mut(), &id, allowed_origin);
    let status = response.status().as_u16();
    state.metrics().count_request(status);
    tracing::info!(
        method = %method,
        route = route.as_deref().unwrap_or("-"),
        status,
        duration_ms = started.elapsed().as_secs_f64() * 1000.0,
        request.id = %id,
        "request"
    );
    response
}

/// The answer to a request that goes no further.
fn answered(request: Request, response: Response) -> Response {
    drop(request);
    response
}

enum Admitted {
    Through,
    Preflight,
}

/// The rules, in order: host, then origin.
fn admit(state: &AppState, request: &mut Request, id: &Arc<str>) -> Result<Admitted, ApiError> {
    let conn = request.extensions().get::<ConnInfo>().copied();
    let conn = conn.ok_or(ApiError::Internal)?;
    let access = &state.config().access;
    let seen_as = check_host(state, request, conn)?;
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let preflight =
        *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight || upgrade || !request.method().is_safe() {
        check_origin(access, request.headers(), &seen_as)?;
    }
    let client = client_address(access, request.headers(), conn.peer.ip());
    request.extensions_mut().insert(RequestInfo {
        id: Arc::clone(id),
        seen_as,
        client,
    });
    Ok(if preflight {
        Admitted::Preflight
    } else {
        Admitted::Through
    })
}

/// The `Host` this request names, if Mira answers to it, as her own origin.
fn check_host(state: &AppState, request: &Request, conn: ConnInfo) -> Result<Origin, ApiError> {
    let access = &state.config().access;
    let headers = request.headers();
    let trusted = is_trusted(access, conn.peer.ip());
    let forwarded = trusted.then(|| single(headers, &FORWARDED_HOST)).flatten();
    let named = match (forwarded, request.uri().authority()) {
        (Some(host), _) => host.split(',').next().unwrap_or_default().trim().to_owned(),
        (None, Some(authority)) => authority.as_str().to_owned(),
        (None, None) => direct_host(headers, request.version())?,
    };
    let place = HostPort::parse(&named).map_err(|e| ApiError::Misdirected(format!("Host {e}")))?;
    if !is_known(state, &place, conn.local.ip()) {
        let detail = format!(
            "Mira does not answer to the name {}; add it to MIRA_ALLOWED_HOSTS or set MIRA_PUBLIC_URL if it is hers",
            place.host
        );
        return Err(ApiError::Misdirected(detail));
    }
    let scheme = seen_scheme(access, headers, trusted, &place);
    Ok(Origin {
        scheme,
        port: place.port.unwrap_or(scheme.default_port()),
        host: place.host,
    })
}

fn direct_host(headers: &HeaderMap, version: Version) -> Result<String, ApiError> {
    match single(headers, &header::HOST) {
        Some(host) => Ok(host.to_owned()),
        None if version == Version::HTTP_10 && !headers.contains_key(header::HOST) => {
            Err(ApiError::Misdirected("the request names no Host".to_owned()))
        }
        None => Err(ApiError::Malformed(
            "a request needs exactly one readable Host header".to_owned(),
        )),
    }
}

fn is_known(state: &AppState, place: &HostPort, local: IpAddr) -> bool {
    let access = &state.config().access;
    // Addresses cannot be rebound by a name server. `0.0.0.0` is what the ready line shows when bound to everything.
    let own = |address: IpAddr| {
        HostName::parse(&address.to_canonical().to_string()).is_ok_and(|address| address == place.host)
    };
    place.host.is_loopback()
        || own(local)
        || own(state.address().ip())
        || access
            .public_url
            .as_ref()
            .is_some_and(|url| url.origin.host == place.host)
        || access.allowed_hosts.iter().any(|known| known.covers(place))
}

fn seen_scheme(access: &AccessConfig, headers: &HeaderMap, trusted: bool, place: &HostPort) -> Scheme {
    let forwarded = trusted.then(|| single(headers, &FORWARDED_PROTO)).flatten();
    if let Some(scheme) = forwarded.and_then(|text| Scheme::parse(text.split(',').next().unwrap_or_default().trim())) {
        return scheme;
    }
    let public = access.public_url.as_ref().map(|url| &url.origin);
    match public {
        Some(public) if public.host == place.host && place.port.is_none_or(|port| port == public.port) => public.scheme,
        Some(_) | None => Scheme::Http,
    }
}

/// A browser says where a request comes from; other clients say nothing and are fine.
fn check_origin(access: &AccessConfig, headers: &HeaderMap, seen_as: &Origin) -> Result<(), ApiError> {
    if headers.contains_key(header::ORIGIN) {
        let origin = single(headers, &header::ORIGIN).and_then(|text| Origin::parse(text).ok());
        let own = |origin: &Origin| {
            origin == seen_as
                || access.public_url.as_ref().is_some_and(|url| url.origin == *origin)
                || access.allowed_origins.contains(origin)
        };
        if origin.is_some_and(|origin| own(&origin)) {
            return Ok(());
        }
        return Err(ApiError::Forbidden(
            "this Origin may not do that; behind a proxy set MIRA_PUBLIC_URL, for another site MIRA_ALLOWED_ORIGINS",
        ));
    }
    match single(headers, &SEC_FETCH_SITE) {
        Some("cross-site") => Err(ApiError::Forbidden("a request from another site may not do that")),
        Some(_) | None => Ok(()),
    }
}

fn cors_origin(access: &AccessConfig, headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(header::ORIGIN)?;
    let origin = Origin::parse(value.to_str().ok()?).ok()?;
    access.allowed_origins.contains(&origin).then(|| value.clone())
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, CORS_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, CORS_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, CORS_MAX_AGE);
    response
}

fn is_trusted(access: &AccessConfig, peer: IpAddr) -> bool {
    access.trusted_proxies.iter().any(|range| range.contains(peer))
}

/// The nearest address in `X-Forwarded-For` that is no trusted proxy; the peer where it is none itself.
fn client_address(access: &AccessConfig, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    if !is_trusted(access, peer) {
        return peer;
    }
    let listed = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> = listed
        .flat_map(|value| value.split(','))
        .filter_map(|hop| hop.trim().parse().ok())
        .collect();
    hops.iter()
        .rev()
        .copied()
        .find(|hop| !is_trusted(access, *hop))
        .unwrap_or(peer)
}

/// A header that stands there exactly once, as text.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    first.to_str().ok()
}

/// The client's own id where it is harmless in a log, else a fresh one.
fn request_id(state: &AppState, headers: &HeaderMap) -> Arc<str> {
    let legal = |id: &&str| {
        (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    match single(headers, &REQUEST_ID).filter(legal) {
        Some(id) => id.into(),
        None => state.clock().new_uuid().as_hyphenated().to_string().into(),
    }
}

/// Writes the request id into a problem, and makes a problem of any error a library answered in its own words.
fn with_problem_body(mut response: Response, id: &Arc<str>) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let mut problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if response.headers().get(header::CONTENT_TYPE) == Some(&PROBLEM_JSON) => return response,
        None => library_error(status).problem(None),
    };
    problem.instance = Some(id.to_string());
    let (mut parts, _) = response.into_parts();
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    Response::from_parts(parts, Body::from(body))
}

fn library_error(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::NotFound("path"),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
        StatusCode::INTERNAL_SERVER_ERROR => ApiError::Internal,
        other => ApiError::Other(other),
    }
}

fn finish_headers(headers: &mut HeaderMap, id: &str, allowed_origin: Option<HeaderValue>) {
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(origin) = allowed_origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSED);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// What a handler that panicked answers; the panic itself is in the log by the panic hook.
pub fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    ApiError::Internal.into_response()
}

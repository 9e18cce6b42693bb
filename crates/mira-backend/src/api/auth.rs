//! The login layer: who may pass it, and the cookies that go out.

use super::{error::ApiError, security::RequestInfo};
use crate::{
    config::Scheme,
    services::auth::{AUTH_COOKIE, AuthError, LOGIN_LIFETIME},
    state::AppState,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => Self::Unauthorized(
                "log in first: send `Authorization: Bearer TOKEN` or log in on the page; `mira-backend token` prints \
                 the token",
            ),
            AuthError::Wrong => Self::Unauthorized("that is not the token; `mira-backend token` prints the right one"),
            AuthError::SpentCode => Self::Unauthorized(
                "this link is too old or was used already; `mira-backend login-link` prints a fresh one",
            ),
            AuthError::Ended => {
                Self::Unauthorized("this login has ended; log in again with the token that `mira-backend token` prints")
            }
            AuthError::Throttled(wait) => Self::TooMany {
                detail: "too many failed logins; wait a while".to_owned(),
                retry_after: wait,
            },
            AuthError::Store(e) => e.into(),
        }
    }
}

/// Lets through who is logged in and puts the [`crate::services::auth::Identity`] into the request. Around every route
/// that is not on the public list of [`super::router`].
pub async fn require_login(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let identity = state.auth().authenticate(request.headers()).await?;
    let secure = is_https(&request);
    let renewed = identity.renewed_cookie().map(|secret| login_cookie(secret, secure));
    request.extensions_mut().insert(identity);
    let mut response = next.run(request).await;
    // A handler's own cookie (logout) wins over the longer life.
    if let Some(cookie) = renewed
        && !response.headers().contains_key(header::SET_COOKIE)
    {
        set_cookie(&mut response, &cookie);
    }
    Ok(response)
}

/// Whether the client came over HTTPS.
pub fn is_https(request: &Request) -> bool {
    request
        .extensions()
        .get::<RequestInfo>()
        .is_some_and(|info| info.seen_as.scheme == Scheme::Https)
}

/// The cookie of a login.
pub fn login_cookie(secret: &str, secure: bool) -> String {
    cookie_text(AUTH_COOKIE, secret, LOGIN_LIFETIME.as_secs(), secure)
}

/// The cookie that removes a login from the browser.
pub fn ended_cookie(secure: bool) -> String {
    cookie_text(AUTH_COOKIE, "", 0, secure)
}

/// A cookie with the attributes all of Mira's cookies have.
pub fn cookie_text(name: &str, value: &str, max_age_seconds: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={max_age_seconds}{secure}")
}

/// Adds a cookie to a response.
pub fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

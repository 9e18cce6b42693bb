//! `/api/login`, `/api/logout`, `/api/logins`.

use super::sessions::ListQuery;
use crate::{
    api::{
        auth::{ended_cookie, login_cookie, set_cookie},
        error::{ApiError, Problem},
        extract::{Json, Path, Query},
        security::RequestInfo,
    },
    config::Scheme,
    services::auth::{AuthError, FreshLogin, Identity},
    state::AppState,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use mira_core::ids::LoginId;
use mira_memory::Login;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a login needs: the token, or the code of a one-time link.
#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
    /// What `mira-backend token` prints.
    #[serde(default)]
    token: Option<String>,
    /// What stands behind `#login=` in a one-time link; the token goes before.
    #[serde(default)]
    code: Option<String>,
}

/// A login that began; its secret is in the cookie only.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoginAnswer {
    /// The login's id, as in the list of logins.
    #[schema(value_type = String, format = "uuid")]
    pub id: LoginId,
}

/// One login.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoginObject {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: LoginId,
    /// Whether it is the one this request was made with.
    pub current: bool,
    /// What the browser called itself.
    pub user_agent: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    /// When it was last used, to the hour.
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: jiff::Timestamp,
    /// When it ends if it is not used again.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: jiff::Timestamp,
}

impl LoginObject {
    fn of(login: Login, identity: &Identity) -> Self {
        Self {
            current: identity.login_id == Some(login.id),
            id: login.id,
            user_agent: login.label,
            created_at: login.created_at,
            last_used_at: login.last_seen_at,
            expires_at: login.expires_at,
        }
    }
}

/// All logins that still count.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoginList {
    /// Newest first.
    pub logins: Vec<LoginObject>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Logs a browser in.
#[utoipa::path(post, path = "/api/login", tag = "login", security(()), request_body = LoginRequest, responses(
    (status = 200, description = "Logged in; the cookie `mira_auth` is set", body = LoginAnswer),
    (status = 401, description = "Wrong token, or a code that is wrong, too old or used", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Neither token nor code", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many failed logins", body = Problem, content_type = "application/problem+json"),
))]
pub async fn login(
    State(state): State<AppState>,
    Extension(info): Extension<RequestInfo>,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Response, ApiError> {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let outcome = match (request.token, request.code) {
        (Some(token), _) => state.auth().login_with_token(token.trim(), agent).await,
        (None, Some(code)) => state.auth().login_with_code(code.trim(), agent).await,
        (None, None) => return Err(ApiError::field("token", "send the token, or the code of a login link")),
    };
    let FreshLogin { id, secret } = outcome.inspect_err(|e| {
        if !matches!(e, AuthError::Store(_)) {
            state.metrics().login_failures.inc();
            tracing::warn!(client = %info.client, reason = %e, "login refused");
        }
    })?;
    tracing::info!(client = %info.client, login.id = %id, "login");
    let mut response = axum::Json(LoginAnswer { id }).into_response();
    set_cookie(
        &mut response,
        &login_cookie(&secret, info.seen_as.scheme == Scheme::Https),
    );
    Ok(response)
}

/// Ends the login this request was made with.
#[utoipa::path(post, path = "/api/logout", tag = "login", responses(
    (status = 204, description = "Logged out; the cookie is removed"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
))]
pub async fn logout(
    State(state): State<AppState>,
    Extension(info): Extension<RequestInfo>,
    identity: Identity,
) -> Result<Response, ApiError> {
    if let Some(id) = identity.login_id {
        state.auth().end_login(identity.account, id).await?;
    }
    Ok(goodbye(&info))
}

/// The answer that takes the login out of the browser.
fn goodbye(info: &RequestInfo) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &ended_cookie(info.seen_as.scheme == Scheme::Https));
    response
}

/// The id a path names; what is no id names nothing.
fn login_id(id: &str) -> Result<LoginId, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound("login"))
}

/// Lists the logins that still count.
#[utoipa::path(get, path = "/api/logins", tag = "login", params(ListQuery), responses(
    (status = 200, description = "The logins, newest first", body = LoginList),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_logins(
    State(state): State<AppState>,
    identity: Identity,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<LoginList>, ApiError> {
    let logins = { state.auth() }.list_logins(identity.account, query.page()?).await?;
    let objects = { logins.items.into_iter() }.map(|login| LoginObject::of(login, &identity));
    Ok(axum::Json(LoginList {
        logins: objects.collect(),
        next_cursor: logins.next.map(|id| id.to_string()),
    }))
}

/// Ends all logins, the one this request was made with too; their open sockets are closed. The token stays.
#[utoipa::path(delete, path = "/api/logins", tag = "login", responses(
    (status = 204, description = "Ended; the cookie is removed"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_logins(
    State(state): State<AppState>,
    Extension(info): Extension<RequestInfo>,
    identity: Identity,
) -> Result<Response, ApiError> {
    state.auth().end_logins(identity.account).await?;
    Ok(goodbye(&info))
}

/// One login that still counts.
#[utoipa::path(get, path = "/api/logins/{id}", tag = "login",
    params(("id" = String, Path, description = "The login")), responses(
    (status = 200, description = "The login", body = LoginObject),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such login", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_login(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<axum::Json<LoginObject>, ApiError> {
    let login = { state.auth() }.find_login(identity.account, login_id(&id)?).await?;
    let login = login.ok_or(ApiError::NotFound("login"))?;
    Ok(axum::Json(LoginObject::of(login, &identity)))
}

/// Ends one login; its open sockets are closed.
#[utoipa::path(delete, path = "/api/logins/{id}", tag = "login",
    params(("id" = String, Path, description = "The login")), responses(
    (status = 204, description = "Ended"),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such login", body = Problem, content_type = "application/problem+json"),
))]
pub async fn delete_login(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if state.auth().end_login(identity.account, login_id(&id)?).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound("login"))
    }
}

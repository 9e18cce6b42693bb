//! The OpenAPI document, made from the code. A handler is in it when its `#[utoipa::path]` is in the list below; a
//! test compares the list with the routes.

use super::{error::Problem, http};
use std::sync::LazyLock;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

/// The document's root.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Mira",
        description = "Mira's REST interface. The sockets and event streams are described in docs/PROTOCOL.md.",
        license(name = "MIT", identifier = "MIT")
    ),
    paths(
        http::health::health,
        http::health::ready,
        http::metrics::metrics,
        http::openapi::document,
        http::openapi::page,
        http::login::login,
        http::login::logout,
        http::login::list_logins,
        http::login::delete_login,
        http::admin::import,
        http::admin::restore,
        http::admin::last_restore,
        http::memories::reindex,
        http::memories::receipt,
        http::memories::list_memories,
        http::memories::create_memory,
        http::memories::get_memory,
        http::memories::patch_memory,
        http::memories::delete_memory,
        http::memories::get_state,
        http::memories::patch_state,
        http::chat::chat,
        http::chat::api_chat,
        http::chat::events,
        http::messages::history,
        http::messages::get_message,
        http::messages::search,
        http::messages::list_personas,
        http::messages::get_persona,
        http::sessions::list_sessions,
        http::sessions::create_session,
        http::sessions::get_session,
        http::sessions::patch_session,
        http::sessions::delete_session,
        http::sessions::stop,
        http::sessions::list_moods,
        http::sessions::put_persona,
    ),
    components(schemas(Problem, super::wire::UsageObject, super::wire::RecalledObject)),
    modifiers(&Login),
    security(("token" = []), ("cookie" = [])),
    tags(
        (name = "chat", description = "Saying something, and what was said"),
        (name = "sessions", description = "The conversations"),
        (name = "memory", description = "What she remembers, why it came up, and how to forget it"),
        (name = "personas", description = "The overlays"),
        (name = "login", description = "Who may come in"),
        (name = "operation", description = "Running Mira"),
    )
)]
struct ApiDoc;

struct Login;

impl Modify for Login {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The owner's token"));
        components.add_security_scheme("token", SecurityScheme::Http(token.build()));
        let cookie = ApiKeyValue::with_description(crate::services::auth::AUTH_COOKIE, "A browser's login");
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The document as a value.
pub fn document() -> serde_json::Value {
    serde_json::to_value(ApiDoc::openapi()).unwrap_or_default()
}

/// The document as text, the same bytes every time.
pub fn document_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = ApiDoc::openapi().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    });
    &TEXT
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Served, but not described by OpenAPI: the page, the second name of `/health`, the sockets.
    const UNDESCRIBED: [&str; 4] = ["/", "/api/health", "/ws/chat", "/api/ws/chat"];

    #[test]
    fn every_route_is_described() {
        let source = include_str!("mod.rs");
        let after_route = source.split(".route(").skip(1).map(str::trim_start);
        let routes: BTreeSet<_> = after_route
            .filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
            .filter(|path| !UNDESCRIBED.contains(path))
            .map(str::to_owned)
            .collect();
        let document = document();
        let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(described, routes);
    }
}

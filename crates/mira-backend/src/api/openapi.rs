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
        http::login::delete_logins,
        http::login::get_login,
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
        http::projects::list_projects,
        http::projects::create_project,
        http::projects::get_project,
        http::projects::put_project,
        http::projects::patch_project,
        http::projects::get_deletion,
        http::projects::delete_project,
        http::files::upload,
        http::files::upload_to_project,
        http::files::list_files,
        http::files::list_project_files,
        http::files::get_file,
        http::files::delete_file,
        http::files::retry,
        http::files::content,
        http::file_search::search,
        http::file_search::text,
        http::artifacts::create_artifact,
        http::artifacts::get_artifact,
        http::artifacts::put_artifact,
        http::artifacts::patch_artifact,
        http::artifacts::delete_artifact,
        http::artifacts::list_artifacts,
        http::artifacts::list_versions,
        http::artifacts::get_version,
        http::artifacts::restore_version,
        http::artifacts::diff_versions,
        http::artifact_views::raw,
        http::artifact_views::preview_link,
        http::artifact_views::preview,
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
        http::tools::list_tools,
        http::tools::sketch,
        http::approvals::list_approvals,
        http::approvals::get_approval,
        http::approvals::approve,
        http::approvals::deny,
        http::mcp::mcp,
        http::git::repos::attach,
        http::git::repos::list_repos,
        http::git::repos::get_repo,
        http::git::repos::patch_repo,
        http::git::repos::get_deletion,
        http::git::repos::detach,
        http::git::repos::cancel,
        http::git::repos::sync,
        http::git::files::get_tree,
        http::git::files::get_content,
        http::git::files::create,
        http::git::files::write,
        http::git::files::delete,
        http::git::files::rename,
        http::git::history::list_branches,
        http::git::history::switch,
        http::git::history::list_commits,
        http::git::history::get_diff,
        http::git::history::get_status,
        http::git::history::get_blame,
        http::git::history::get_file_at_commit,
        http::git::history::search,
        http::git::proposals::list_proposals,
        http::git::proposals::get_proposal,
        http::git::proposals::apply,
        http::git::proposals::discard,
    ),
    components(schemas(Problem, super::wire::UsageObject, super::wire::RecalledObject)),
    modifiers(&Login, &SecondNames),
    security(("token" = []), ("cookie" = [])),
    tags(
        (name = "chat", description = "Saying something, and what was said"),
        (name = "sessions", description = "The conversations"),
        (name = "memory", description = "What she remembers, why it came up, and how to forget it"),
        (name = "tools", description = "What she can do"),
        (name = "projects", description = "What belongs together"),
        (name = "artifacts", description = "What is worked on in a project, version by version"),
        (name = "git", description = "Repositories of a project: files, history, and what Mira proposes"),
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

/// Paths that answer under a second name too.
struct SecondNames;

impl Modify for SecondNames {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let second = |path: &str| match path.strip_prefix("/api/projects/{id}")? {
            rest if rest.is_empty() || rest.starts_with("/git/") => Some(format!("/api/project/{{id}}{rest}")),
            _ => None,
        };
        let paths = &mut document.paths.paths;
        let twice: Vec<_> = paths
            .iter()
            .filter_map(|(path, item)| Some((second(path)?, item.clone())))
            .collect();
        for (path, mut item) in twice {
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                // Each operation's id stands once.
                operation.operation_id = operation.operation_id.take().map(|id| format!("{id}_alias"));
            }
            paths.insert(path, item);
        }
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
        let routes_in = |source: &str, prefix: &str| -> Vec<String> {
            let after_route = source.split(".route(").skip(1).map(str::trim_start);
            after_route
                .filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
                // OpenAPI has no way to say that a parameter takes slashes.
                .map(|path| format!("{prefix}{}", path.replace("{*", "{")))
                .collect()
        };
        let git = include_str!("http/git/mod.rs");
        let routes: BTreeSet<String> = [
            routes_in(include_str!("mod.rs"), ""),
            routes_in(git, "/api/projects/{id}/git"),
            routes_in(git, "/api/project/{id}/git"),
        ]
        .into_iter()
        .flatten()
        .filter(|path| !UNDESCRIBED.contains(&path.as_str()))
        .collect();
        let document = document();
        let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(described, routes);
    }
}

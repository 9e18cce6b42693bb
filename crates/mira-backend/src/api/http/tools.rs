//! `GET /api/tools`: what she can do here, and what not and why.

use crate::{services::auth::Identity, state::AppState};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tool)]
pub struct ToolObject {
    /// Its name, as in `tool_call` events.
    pub name: String,
    /// What it is for, in the words a model is told.
    pub description: String,
    /// What it may do: `read`, `write` or `outside`.
    pub effect: &'static str,
    /// Whether the configuration lets it be used.
    pub enabled: bool,
    /// Whether it works here and now.
    pub available: bool,
    /// Why it does not, if it does not.
    pub reason: Option<String>,
}

/// All tools.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolList {
    /// In the order a model is told of them.
    pub tools: Vec<ToolObject>,
}

/// What she can do
#[utoipa::path(get, path = "/api/tools", tag = "tools", responses((status = 200, description = "All tools", body = ToolList)))]
pub async fn list_tools(State(state): State<AppState>, _identity: Identity) -> Json<ToolList> {
    let deps = state.hub().deps();
    let deaf = (!deps.model.takes_tools()).then(|| format!("the endpoint of {} takes no tools", deps.model.name()));
    let hosted = deps.hosted.standings();
    let switches = &state.config().hosted;
    let own = deps.tools.registry().entries().iter().map(|entry| {
        // What the provider runs itself needs nothing here.
        let standing = hosted
            .iter()
            .find(|standing| standing.kind.name() == &*entry.offer.name);
        let is_hosted = standing.is_some_and(|standing| standing.enabled && standing.unavailable.is_none());
        let reason = entry.unavailable().filter(|_| !is_hosted).or_else(|| deaf.clone());
        let enabled = match (standing, &*entry.offer.name) {
            (Some(standing), _) => standing.enabled,
            (None, "fetch_url") => switches.web_search,
            (None, "read_document") => switches.file_search,
            (None, _) => true,
        };
        ToolObject {
            name: entry.offer.name.to_string(),
            description: entry.offer.description.to_string(),
            effect: entry.effect.as_str(),
            enabled,
            available: reason.is_none(),
            reason,
        }
    });
    let of_servers = deps.mcp.entries().into_iter().map(|entry| {
        let reason = entry.unavailable.or_else(|| deaf.clone());
        ToolObject {
            name: entry.name,
            description: entry.description,
            effect: entry.effect.as_str(),
            enabled: entry.enabled,
            available: reason.is_none(),
            reason,
        }
    });
    Json(ToolList {
        tools: own.chain(of_servers).collect(),
    })
}

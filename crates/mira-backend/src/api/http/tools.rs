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
    let tools = deps
        .tools
        .registry()
        .entries()
        .iter()
        .map(|entry| {
            let reason = entry.unavailable().or_else(|| deaf.clone());
            ToolObject {
                name: entry.offer.name.to_string(),
                description: entry.offer.description.to_string(),
                effect: entry.effect.as_str(),
                enabled: true,
                available: reason.is_none(),
                reason,
            }
        })
        .collect();
    Json(ToolList { tools })
}

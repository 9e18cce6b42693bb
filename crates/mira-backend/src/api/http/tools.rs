//! `GET /api/tools`: what she can do here, and what not and why. `GET /api/sketches/{tool_call_id}`: a picture while it is
//! drawn.

use super::{
    artifact_views::{Taken, label},
    parts::PartQuery,
};
use crate::{
    api::{
        error::{ApiError, Problem},
        extract::{Path, Query},
    },
    services::{auth::Identity, hosted::Lack},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use mira_core::{ids::ToolCallId, tool::ToolOffer};
use mira_docs::Kind;
use serde::Serialize;
use std::collections::HashSet;
use utoipa::ToSchema;

/// Said of a tool whose schema the model's server does not take.
const REFUSED: &str = "the model's server has refused it as it is offered; Mira's log says how";

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
    /// Where the next part begins, for those who ask for parts.
    pub next_cursor: Option<String>,
}

/// What she can do
#[utoipa::path(get, path = "/api/tools", tag = "tools", params(PartQuery), responses(
    (status = 200, description = "All tools", body = ToolList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_tools(
    State(state): State<AppState>,
    _identity: Identity,
    Query(part): Query<PartQuery>,
) -> Result<Json<ToolList>, ApiError> {
    let deps = state.hub().deps();
    let deaf = (!deps.model.takes_tools()).then(|| format!("the endpoint of {} takes no tools", deps.model.name()));
    let hosted = deps.hosted.standings();
    let switches = &state.config().hosted;
    let refused = |offer: &ToolOffer| deps.model.refuses(offer).then(|| REFUSED.to_owned());
    let own = deps.tools.registry().entries().iter().map(|entry| {
        let standing = hosted
            .iter()
            .find(|standing| standing.kind.name() == &*entry.offer.name);
        // What the provider runs itself needs nothing here.
        let is_hosted = standing.is_some_and(|standing| standing.enabled && standing.lack.is_none());
        let lacks = || entry.unavailable().or_else(|| refused(&entry.offer));
        let reason = (!is_hosted).then(lacks).flatten().map(|why| match standing {
            Some(standing) if standing.lack == Some(Lack::Refused) => {
                format!("{why}; the model's endpoint has refused its own")
            }
            Some(_) | None => why,
        });
        let reason = reason.or_else(|| deaf.clone());
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
    let offers = deps.mcp.offers();
    let refused_names: HashSet<&str> = offers
        .iter()
        .filter(|offer| deps.model.refuses(offer))
        .map(|offer| &*offer.name)
        .collect();
    let of_servers = deps.mcp.entries().into_iter().map(|entry| {
        let is_refused = refused_names.contains(entry.name.as_str());
        let reason = entry.unavailable.or_else(|| deaf.clone());
        let reason = reason.or_else(|| is_refused.then(|| REFUSED.to_owned()));
        ToolObject {
            name: entry.name,
            description: entry.description,
            effect: entry.effect.as_str(),
            enabled: entry.enabled,
            available: reason.is_none(),
            reason,
        }
    });
    let (tools, next_cursor) = part.of(own.chain(of_servers).collect())?;
    Ok(Json(ToolList { tools, next_cursor }))
}

/// A picture while a call draws it
#[utoipa::path(get, path = "/api/sketches/{tool_call_id}", tag = "tools", params(("tool_call_id" = String, Path)), responses(
    (status = 200, description = "The newest sketch; there is none once the call is over", content(
        (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"),
    )),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn sketch(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let none = || ApiError::NotFound("sketch");
    let call: ToolCallId = id.parse().map_err(|_| none())?;
    let sketches = state.hub().deps().hosted.sketches();
    let bytes = sketches.find(identity.account, call).ok_or_else(none)?;
    let found = mira_docs::sniff("", &bytes);
    if found.kind != Kind::Image {
        return Err(none());
    }
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    label(headers, Taken::InPlace, "sketch", &found.media_type)?;
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

//! What Mira would change in repositories, for the owner to decide.

use crate::{
    api::{
        chat_body::Complaints,
        error::{ApiError, Problem},
        extract::{Path, Query},
        git_objects::ProposalObject,
        http::{
            projects::{found, project_id},
            sessions::ListQuery,
        },
    },
    services::{auth::Identity, git::proposals},
    state::AppState,
};
use axum::extract::State;
use mira_core::{
    ids::ProposalId,
    repo::{Proposal, ProposalState},
};
use mira_memory::ProposalFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which proposals.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProposalsQuery {
    /// Only those in this state: `open`, `applied`, `discarded` or `stale`.
    state: Option<String>,
    /// Only those of this repository.
    attachment_id: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of proposals.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProposalList {
    /// The newest first, without texts and diffs.
    pub proposals: Vec<ProposalObject>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

fn proposal_id(id: &str) -> Result<ProposalId, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound("proposal"))
}

/// A proposal with its text and what it changes.
async fn whole(state: &AppState, proposal: Proposal) -> Result<axum::Json<ProposalObject>, ApiError> {
    let diff = proposals::diff(state.hub(), &proposal).await?;
    Ok(axum::Json(ProposalObject::of(&proposal).with_texts(proposal, diff)))
}

/// Lists the proposals in a project.
#[utoipa::path(get, path = "/api/projects/{id}/git/proposals", tag = "git",
    params(("id" = String, Path), ProposalsQuery), responses(
    (status = 200, description = "A page of proposals", body = ProposalList),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list_proposals(
    State(state): State<AppState>,
    identity: Identity,
    Path(id): Path<String>,
    Query(query): Query<ProposalsQuery>,
) -> Result<axum::Json<ProposalList>, ApiError> {
    let project = found(&state, &identity, &id).await?;
    let page = ListQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = page.page()?;
    let mut complaints = Complaints::default();
    let wanted = query.state.as_deref().map(ProposalState::parse);
    if wanted == Some(None) {
        complaints.add("state", "open, applied, discarded or stale");
    }
    let filter = ProposalFilter {
        state: wanted.flatten(),
        repo_id: complaints.parse("attachment_id", query.attachment_id.as_deref()),
    };
    complaints.done()?;
    let listed = { state.store() }
        .list_proposals(identity.account, project.id, filter, page)
        .await?;
    Ok(axum::Json(ProposalList {
        proposals: listed.items.iter().map(ProposalObject::of).collect(),
        next_cursor: listed.next.map(|cursor| cursor.to_string()),
    }))
}

/// One proposal with its text and what it changes, line by line.
#[utoipa::path(get, path = "/api/projects/{id}/git/proposals/{proposal}", tag = "git",
    params(("id" = String, Path), ("proposal" = String, Path)), responses(
    (status = 200, description = "The proposal", body = ProposalObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get_proposal(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, proposal)): Path<(String, String)>,
) -> Result<axum::Json<ProposalObject>, ApiError> {
    let (project, proposal) = (project_id(&id)?, proposal_id(&proposal)?);
    let found = proposals::find(state.hub(), identity.account, project, proposal).await?;
    whole(&state, found).await
}

/// Makes a proposal a commit. If the file is another by now, it is a 409, and the proposal is stale. Applying what is
/// applied is answered the same.
#[utoipa::path(post, path = "/api/projects/{id}/git/proposals/{proposal}/apply", tag = "git",
    params(("id" = String, Path), ("proposal" = String, Path)), responses(
    (status = 200, description = "The proposal, applied", body = ProposalObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn apply(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, proposal)): Path<(String, String)>,
) -> Result<axum::Json<ProposalObject>, ApiError> {
    let (project, proposal) = (project_id(&id)?, proposal_id(&proposal)?);
    let applied = proposals::apply(state.hub(), identity.account, project, proposal).await?;
    whole(&state, applied).await
}

/// Puts a proposal away. Discarding what is discarded is answered the same; what is applied is a 409.
#[utoipa::path(post, path = "/api/projects/{id}/git/proposals/{proposal}/discard", tag = "git",
    params(("id" = String, Path), ("proposal" = String, Path)), responses(
    (status = 200, description = "The proposal, discarded", body = ProposalObject),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
pub async fn discard(
    State(state): State<AppState>,
    identity: Identity,
    Path((id, proposal)): Path<(String, String)>,
) -> Result<axum::Json<ProposalObject>, ApiError> {
    let (project, proposal) = (project_id(&id)?, proposal_id(&proposal)?);
    let discarded = proposals::discard(state.hub(), identity.account, project, proposal).await?;
    whole(&state, discarded).await
}

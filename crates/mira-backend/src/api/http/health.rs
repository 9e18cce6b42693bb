//! `GET /health`, `GET /api/health`, `GET /ready`: public, and free of anything private.

use crate::{
    api::error::{ApiError, Problem},
    services::health::{Condition, PartHealth},
    state::AppState,
};
use axum::{Json, extract::State};
use mira_core::ids::AccountId;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A database that takes longer than this to answer a trivial question is not ready.
const DATABASE_LIMIT: Duration = Duration::from_secs(2);

/// How a part is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComponentObject {
    /// `ok`, `degraded` or `unavailable`.
    pub status: &'static str,
    /// A line about it.
    pub detail: String,
}

/// The parts Mira leans on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Components {
    /// The database.
    pub database: ComponentObject,
    /// The vector index.
    pub vector_index: ComponentObject,
    /// The embedder.
    pub embeddings: ComponentObject,
    /// The language model.
    pub llm: ComponentObject,
}

/// How Mira is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HealthObject {
    /// `ok`, or `degraded` where one of the components is not.
    pub status: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// The configured model.
    pub model: String,
    /// Whether the model is the built-in rehearsal.
    pub rehearsal: bool,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Its parts.
    pub components: Components,
}

/// Whether new work is taken.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReadyObject {
    /// Always `ready`.
    pub status: &'static str,
}

impl From<PartHealth> for ComponentObject {
    fn from(part: PartHealth) -> Self {
        Self {
            status: part.condition.as_str(),
            detail: part.detail,
        }
    }
}

/// Answers while the process serves.
#[utoipa::path(get, path = "/health", tag = "operation", security(()), responses(
    (status = 200, description = "The process serves", body = HealthObject),
))]
pub async fn health(State(state): State<AppState>) -> Json<HealthObject> {
    let database = database_health(&state).await;
    let llm = state.model_health().get();
    let memories = &state.hub().deps().memories;
    let (mut vector_index, embeddings) = (memories.index_health(), memories.embeddings_health());
    let parts = [&database, &llm, &vector_index, &embeddings];
    let well = parts.iter().all(|part| part.condition == Condition::Ok);
    if let Ok(Ok(outbox)) = tokio::time::timeout(DATABASE_LIMIT, state.store().outbox_stats(AccountId::OWNER)).await {
        let waiting = outbox.documents + outbox.vectors + outbox.removals;
        if waiting > 0 {
            vector_index.detail = format!("{}; {waiting} memories wait to be indexed", vector_index.detail);
        }
    }
    Json(HealthObject {
        status: if well { Condition::Ok } else { Condition::Degraded }.as_str(),
        version: env!("CARGO_PKG_VERSION"),
        model: state.model().name(),
        rehearsal: state.is_rehearsal(),
        uptime_seconds: state.started().elapsed().as_secs(),
        components: Components {
            database: database.into(),
            vector_index: vector_index.into(),
            embeddings: embeddings.into(),
            llm: llm.into(),
        },
    })
}

/// Answers 200 while new work is taken.
#[utoipa::path(get, path = "/ready", tag = "operation", security(()), responses(
    (status = 200, description = "New work is taken", body = ReadyObject),
    (status = 503, description = "Draining, or the database does not answer", body = Problem, content_type = "application/problem+json"),
))]
pub async fn ready(State(state): State<AppState>) -> Result<Json<ReadyObject>, ApiError> {
    let retry_after = Duration::from_secs(5);
    if state.life().soft().is_cancelled() {
        return Err(ApiError::Unavailable {
            detail: "shutting down".to_owned(),
            retry_after,
        });
    }
    let database = database_health(&state).await;
    if database.condition == Condition::Ok {
        Ok(Json(ReadyObject { status: "ready" }))
    } else {
        Err(ApiError::Unavailable {
            detail: "the database does not answer".to_owned(),
            retry_after,
        })
    }
}

async fn database_health(state: &AppState) -> PartHealth {
    match tokio::time::timeout(DATABASE_LIMIT, state.store().find_state(AccountId::OWNER)).await {
        Ok(Ok(_)) => PartHealth {
            condition: Condition::Ok,
            detail: "SQLite answers".to_owned(),
        },
        Ok(Err(e)) => {
            tracing::warn!(error = %e, "the database does not answer");
            PartHealth {
                condition: Condition::Degraded,
                detail: "the database answers with an error".to_owned(),
            }
        }
        Err(_) => PartHealth {
            condition: Condition::Degraded,
            detail: "the database does not answer".to_owned(),
        },
    }
}

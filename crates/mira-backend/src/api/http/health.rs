//! `GET /health`, `GET /api/health`, `GET /ready`: public, and free of anything private.

use crate::{
    api::error::{ApiError, Problem},
    services::health::{Condition, PartHealth, disk_health},
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
    let (database, disk) = tokio::join!(database_health(&state), room_left(&state));
    let database = with_disk(database, &disk);
    let llm = state.model_health().get();
    let memories = &state.hub().deps().memories;
    let (mut vector_index, embeddings) = (memories.index_health(), memories.embeddings_health());
    let parts = [&database, &llm, &vector_index, &embeddings];
    let well = parts.iter().all(|part| part.condition == Condition::Ok);
    if let Ok(Ok(outbox)) = tokio::time::timeout(DATABASE_LIMIT, state.store().outbox_stats(AccountId::OWNER)).await {
        let (waiting, lag_s) = (outbox.depth(), outbox.lag(state.clock().now()).as_secs());
        if waiting > 0 {
            let detail = &vector_index.detail;
            vector_index.detail = format!("{detail}; {waiting} memories wait to be indexed, the oldest for {lag_s} s");
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

/// The disk's room. Where even that is not answered in time, the disk is as good as gone.
async fn room_left(state: &AppState) -> PartHealth {
    let asked = state.clone();
    let looking = state.life().spawn_blocking(move || disk_health(asked.config()));
    match tokio::time::timeout(DATABASE_LIMIT, looking).await {
        Ok(Ok(disk)) => disk,
        Ok(Err(_)) | Err(_) => PartHealth {
            condition: Condition::Degraded,
            detail: "its disk does not answer".to_owned(),
        },
    }
}

/// The database as it is with this room: one that answers is not well where nothing can be stored in it soon.
fn with_disk(database: PartHealth, disk: &PartHealth) -> PartHealth {
    if disk.condition == Condition::Ok {
        return database;
    }
    PartHealth {
        condition: match database.condition {
            Condition::Ok => disk.condition,
            Condition::Degraded | Condition::Unavailable => database.condition,
        },
        detail: format!("{}; {}", database.detail, disk.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_without_room_is_not_well() {
        let check = |database: Condition, disk: Condition, expect: (Condition, &str)| {
            let part = |condition, detail: &str| PartHealth {
                condition,
                detail: detail.to_owned(),
            };
            let both = with_disk(part(database, "it answers"), &part(disk, "it is full"));
            assert_eq!((both.condition, both.detail.as_str()), expect);
        };
        check(Condition::Ok, Condition::Ok, (Condition::Ok, "it answers"));
        check(
            Condition::Ok,
            Condition::Degraded,
            (Condition::Degraded, "it answers; it is full"),
        );
        check(
            Condition::Unavailable,
            Condition::Degraded,
            (Condition::Unavailable, "it answers; it is full"),
        );
    }
}

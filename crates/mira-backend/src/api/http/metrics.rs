//! `GET /metrics`.

use crate::{
    api::error::ApiError,
    services::{auth::Identity, metrics::Looked},
    state::AppState,
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use std::time::Duration;

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
    (status = 401, description = "Not logged in", body = crate::api::error::Problem, content_type = "application/problem+json"),
))]
pub async fn metrics(State(state): State<AppState>, identity: Identity) -> Result<Response, ApiError> {
    let stats = state.store().writer_stats();
    let outbox = state.store().outbox_stats(identity.account).await?;
    let lag = outbox
        .oldest_queued_at
        .and_then(|at| Duration::try_from(state.clock().now().duration_since(at)).ok());
    let looked = Looked {
        uptime: state.started().elapsed(),
        wal_bytes: wal_bytes(&state).await,
        commits: stats.commits,
        writes: stats.jobs,
        writes_waiting: stats.queued,
        outbox_depth: outbox.documents + outbox.vectors + outbox.removals,
        outbox_lag: lag.unwrap_or_default(),
    };
    let text = state.metrics().encode(looked);
    Ok((
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
        .into_response())
}

async fn wal_bytes(state: &AppState) -> u64 {
    let mut path = state.store().path().as_os_str().to_owned();
    path.push("-wal");
    // No log file means an empty log.
    tokio::fs::metadata(path).await.map_or(0, |file| file.len())
}

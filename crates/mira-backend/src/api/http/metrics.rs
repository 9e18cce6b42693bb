//! `GET /metrics`: OpenMetrics for those who take it, the older text format of Prometheus (0.0.4) for all others.

use crate::{
    api::error::ApiError,
    services::{auth::Identity, metrics::Looked},
    state::AppState,
};
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use mira_docs::READER;
use std::collections::HashSet;

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Figures for Prometheus: OpenMetrics where `Accept` names it, else the older text format.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses(
    (status = 200, description = "The figures", content(
        (String = "text/plain"), (String = "application/openmetrics-text"),
    )),
    (status = 401, description = "Not logged in", body = crate::api::error::Problem, content_type = "application/problem+json"),
))]
pub async fn metrics(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let stats = state.store().writer_stats();
    let outbox = state.store().outbox_stats(identity.account).await?;
    let looked = Looked {
        uptime: state.started().elapsed(),
        wal_bytes: wal_bytes(&state).await,
        commits: stats.commits,
        writes: stats.jobs,
        writes_waiting: stats.queued,
        files_to_renew: state.store().count_files_to_renew(READER).await?,
        outbox_depth: outbox.depth(),
        outbox_lag: outbox.lag(state.clock().now()),
        index_rebuilding: state.hub().deps().memories.is_rebuilding(),
    };
    let text = state.metrics().encode(looked);
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let takes_open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let (kind, text) = if takes_open {
        (OPEN, text)
    } else {
        (PLAIN, plain(&text))
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// OpenMetrics as the older format has it: a family of counters is called what its samples are called, and there are
/// neither units nor an end.
fn plain(open: &str) -> String {
    let counters: HashSet<&str> = { open.lines() }
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(open.len() + 1024);
    for line in open.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(mark), Some(name), Some(rest)) if counters.contains(name) => {
                out.extend(["# ", mark, " ", name, "_total ", rest]);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

async fn wal_bytes(state: &AppState) -> u64 {
    let mut path = state.store().path().as_os_str().to_owned();
    path.push("-wal");
    // No log file means an empty log.
    tokio::fs::metadata(path).await.map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format() {
        let open = "# HELP a Of a.\n# TYPE a counter\na_total{x=\"1 2\"} 3\n# HELP b_seconds Of b.\n# TYPE b_seconds gauge\n\
                    # UNIT b_seconds seconds\nb_seconds 0.5\n# EOF\n";
        let expect = "# HELP a_total Of a.\n# TYPE a_total counter\na_total{x=\"1 2\"} 3\n# HELP b_seconds Of b.\n\
                      # TYPE b_seconds gauge\nb_seconds 0.5\n";
        assert_eq!(plain(open), expect);
    }
}

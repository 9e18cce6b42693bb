//! What `/metrics` tells. Counters are bumped where the thing happens; gauges that can be looked up (memory, the
//! write-ahead log) are looked up when asked.

use mira_core::{chat::Usage, memory::Degraded, tool::CallStatus, turn::Outcome};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

/// How a turn ended, as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// How it ended.
    pub outcome: &'static str,
}

/// A class of HTTP status, as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabel {
    /// `2xx`, `4xx`, ...
    pub status: &'static str,
}

/// All of Mira's figures.
#[derive(Debug)]
pub struct Metrics {
    /// Turns that ended, by outcome.
    pub turns: Family<OutcomeLabel, Counter>,
    /// Turns that run now.
    pub turns_running: Gauge,
    /// Messages refused because a session's queue was full.
    pub queue_full: Counter,
    /// Turns that reached their first word.
    pub turns_speaking: Counter,
    /// From a turn's beginning to its end, in seconds.
    pub turn_seconds: Histogram,
    /// Tokens the model read.
    pub input_tokens: Counter,
    /// Tokens the model wrote.
    pub output_tokens: Counter,
    /// Calls to the model that failed.
    pub model_errors: Counter,
    /// Calls of tools, by how they ended.
    pub tool_calls: Family<OutcomeLabel, Counter>,
    /// Calls to the model beside the conversation: summaries.
    pub side_calls: Counter,
    /// How long a turn waited for memory, in seconds.
    pub recall_seconds: Histogram,
    /// Turns whose recall was not whole.
    pub recall_degraded: Counter,
    /// Requests answered, by class of status.
    pub http_requests: Family<StatusLabel, Counter>,
    /// Connections open now, upgraded ones included.
    pub connections: Gauge,
    /// WebSockets open now.
    pub sockets: Gauge,
    /// Event streams (SSE) open now.
    pub event_streams: Gauge,
    /// Clients sent away because they could not keep up.
    pub clients_dropped: Counter,
    /// Copies of files at the provider that something goes wrong with.
    pub stuck_copies: Gauge,
    /// Failed logins.
    pub login_failures: Counter,
    /// Failures to accept a connection (out of descriptors and the like).
    pub accept_errors: Counter,
}

/// Something that is counted for as long as it lives.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            turns: Family::default(),
            turns_running: Gauge::default(),
            queue_full: Counter::default(),
            turns_speaking: Counter::default(),
            // 10 ms to about 11 minutes.
            turn_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 17)),
            input_tokens: Counter::default(),
            output_tokens: Counter::default(),
            model_errors: Counter::default(),
            tool_calls: Family::default(),
            side_calls: Counter::default(),
            // 0.25 ms to about 4 seconds.
            recall_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 15)),
            recall_degraded: Counter::default(),
            http_requests: Family::default(),
            connections: Gauge::default(),
            sockets: Gauge::default(),
            event_streams: Gauge::default(),
            clients_dropped: Counter::default(),
            stuck_copies: Gauge::default(),
            login_failures: Counter::default(),
            accept_errors: Counter::default(),
        }
    }
}

/// What is looked up when the figures are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looked {
    /// Seconds since start.
    pub uptime: Duration,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Transactions the writer committed.
    pub commits: u64,
    /// Jobs the writer ran in them.
    pub writes: u64,
    /// Jobs waiting for the writer.
    pub writes_waiting: u64,
    /// Files whose text an older reader made.
    pub files_to_renew: u64,
    /// Memories waiting to be indexed.
    pub outbox_depth: u64,
    /// For how long the oldest of them has waited.
    pub outbox_lag: Duration,
    /// Whether another model's index is being filled.
    pub index_rebuilding: bool,
}

impl Metrics {
    /// Counts an answered request.
    pub fn count_request(&self, status: u16) {
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.http_requests.get_or_create(&StatusLabel { status }).inc();
    }

    /// A socket opened; it counts until the answer is dropped.
    pub fn socket_opened(self: &Arc<Self>) -> Open {
        self.sockets.inc();
        Open(self.sockets.clone())
    }

    /// An event stream opened; it counts until the answer is dropped.
    pub fn stream_opened(self: &Arc<Self>) -> Open {
        self.event_streams.inc();
        Open(self.event_streams.clone())
    }

    /// A client was sent away because it could not keep up.
    pub fn client_dropped(&self) {
        self.clients_dropped.inc();
    }

    /// Tokens of a reply.
    pub fn tokens(&self, usage: Usage) {
        self.input_tokens.inc_by(usage.input_tokens);
        self.output_tokens.inc_by(usage.output_tokens);
    }

    /// A turn began.
    pub fn turn_started(&self) {
        self.turns_running.inc();
    }

    /// A turn asked memory.
    pub fn recalled(&self, took: Duration, degraded: Option<Degraded>) {
        self.recall_seconds.observe(took.as_secs_f64());
        if degraded.is_some() {
            self.recall_degraded.inc();
        }
    }

    /// A turn said its first word.
    pub fn first_word(&self) {
        self.turns_speaking.inc();
    }

    /// A turn came to its end after so long.
    pub fn turn_ended(&self, took: Duration) {
        self.turns_running.dec();
        self.turn_seconds.observe(took.as_secs_f64());
    }

    /// How a turn ended.
    pub fn turn_outcome(&self, outcome: Outcome) {
        self.turns
            .get_or_create(&OutcomeLabel {
                outcome: outcome.as_str(),
            })
            .inc();
    }

    /// How a tool's call ended.
    pub fn tool_called(&self, status: CallStatus) {
        self.tool_calls
            .get_or_create(&OutcomeLabel {
                outcome: status.as_str(),
            })
            .inc();
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self, looked: Looked) -> String {
        let mut registry = Registry::with_prefix("mira");
        registry.register("turns", "Turns that ended", self.turns.clone());
        registry.register("turns_running", "Turns that run now", self.turns_running.clone());
        registry.register(
            "queue_full",
            "Messages refused because a queue was full",
            self.queue_full.clone(),
        );
        registry.register(
            "turns_speaking",
            "Turns that reached their first word",
            self.turns_speaking.clone(),
        );
        registry.register(
            "turn_seconds",
            "From a turn's beginning to its end",
            self.turn_seconds.clone(),
        );
        registry.register("input_tokens", "Tokens the model read", self.input_tokens.clone());
        registry.register("output_tokens", "Tokens the model wrote", self.output_tokens.clone());
        registry.register(
            "model_errors",
            "Calls to the model that failed",
            self.model_errors.clone(),
        );
        registry.register(
            "tool_calls",
            "Calls of tools, by how they ended",
            self.tool_calls.clone(),
        );
        registry.register(
            "side_calls",
            "Calls to the model beside the conversation",
            self.side_calls.clone(),
        );
        registry.register(
            "recall_seconds",
            "How long a turn waited for memory",
            self.recall_seconds.clone(),
        );
        registry.register(
            "recall_degraded",
            "Turns whose recall was not whole",
            self.recall_degraded.clone(),
        );
        registry.register("http_requests", "Requests answered", self.http_requests.clone());
        registry.register("connections", "Connections open now", self.connections.clone());
        registry.register("sockets", "WebSockets open now", self.sockets.clone());
        registry.register("event_streams", "Event streams open now", self.event_streams.clone());
        registry.register(
            "clients_dropped",
            "Clients that could not keep up",
            self.clients_dropped.clone(),
        );
        registry.register(
            "stuck_copies",
            "Copies of files at the provider that cannot be given or taken back now",
            self.stuck_copies.clone(),
        );
        registry.register("login_failures", "Failed logins", self.login_failures.clone());
        registry.register(
            "accept_errors",
            "Connections that could not be accepted",
            self.accept_errors.clone(),
        );
        register_looked(&mut registry, looked);
        let mut out = String::new();
        // Writing to a String cannot fail; half a text would be worse than none.
        if text::encode(&mut out, &registry).is_err() {
            String::new()
        } else {
            out
        }
    }
}

fn register_looked(registry: &mut Registry, looked: Looked) {
    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: f64| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    gauge(
        "uptime",
        "Time since start",
        Some(Unit::Seconds),
        looked.uptime.as_secs_f64(),
    );
    gauge(
        "wal",
        "Size of the write-ahead log",
        Some(Unit::Bytes),
        looked.wal_bytes as f64,
    );
    gauge(
        "resident_memory",
        "Memory in use (RSS)",
        Some(Unit::Bytes),
        resident_bytes().unwrap_or(0) as f64,
    );
    gauge(
        "writes_waiting",
        "Jobs waiting for the writer",
        None,
        looked.writes_waiting as f64,
    );
    gauge(
        "files_to_renew",
        "Files that an older version read and that wait to be read anew",
        None,
        looked.files_to_renew as f64,
    );
    gauge(
        "outbox_depth",
        "Memories waiting to be indexed",
        None,
        looked.outbox_depth as f64,
    );
    gauge(
        "outbox_lag",
        "How long the oldest memory has waited to be indexed",
        Some(Unit::Seconds),
        looked.outbox_lag.as_secs_f64(),
    );
    gauge(
        "index_rebuilding",
        "Whether another model's index is being filled while the old one answers",
        None,
        f64::from(u8::from(looked.index_rebuilding)),
    );
    let mut counter = |name: &str, help: &str, value: u64| {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    };
    counter("commits", "Transactions the writer committed", looked.commits);
    counter("writes", "Jobs the writer committed", looked.writes);
}

/// The resident set, from `/proc/self/status` (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim()
        .strip_suffix(" kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told() {
        let metrics = Metrics::default();
        metrics.turn_outcome(Outcome::Complete);
        metrics.turn_outcome(Outcome::Complete);
        metrics.count_request(404);
        let text = metrics.encode(Looked {
            wal_bytes: 4096,
            commits: 3,
            ..Looked::default()
        });
        for line in [
            "mira_turns_total{outcome=\"complete\"} 2",
            "mira_http_requests_total{status=\"4xx\"} 1",
            "mira_wal_bytes 4096.0",
            "mira_commits_total 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}

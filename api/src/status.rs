//! What this collector is.

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub started_at_ms: i64,
    pub now_ms: i64,
    /// `sqlite` or `postgres`.
    pub store: String,
    pub scrape_interval_s: f64,
    /// Finest step of the rollups.
    pub rollup_s: u64,
    /// Longest window that the store still covers.
    pub retention_s: u64,
    /// Backends that spans are sent on to.
    #[serde(default)]
    pub exporters: Vec<ExporterStatus>,
}

/// One backend that spans are sent on to. Counts begin with the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExporterStatus {
    /// `otlp` or `zipkin`.
    pub exporter: String,
    /// Without anything secret.
    pub destination: String,
    /// What waits in the database, from all collectors that share it.
    pub queued_spans: u64,
    pub queued_bytes: u64,
    /// Age of the oldest that waits.
    pub lag_s: f64,
    pub sent_spans: u64,
    /// Left out as the settings say.
    pub filtered_spans: u64,
    /// Will never arrive: refused by the backend, or the queue was full.
    pub dropped_spans: u64,
    /// Requests that failed since the last one that did not.
    pub failures_in_a_row: u64,
    pub last_error: Option<String>,
    pub last_success_ms: Option<i64>,
}

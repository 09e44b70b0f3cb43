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
}

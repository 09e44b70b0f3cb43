//! Traffic over time and the configuration changes in between: the line under the graph, and the charts of its panels.

use serde::{Deserialize, Serialize};

use crate::config::Action;

/// Answer of `GET /api/timeline`.
///
/// Parameters: `namespaces`, `duration`, `queryTime` as for the graph; optional `step` (seconds); optional `graphType`
/// with either `node=<id>` or `source=<id>&target=<id>` to follow one node (requests it answered; those it made when it
/// only calls) or one edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    pub from_ms: i64,
    pub to_ms: i64,
    pub step_s: u64,
    /// Oldest first, one per step, steps without traffic included.
    pub points: Vec<Point>,
    /// Oldest first.
    pub changes: Vec<Change>,
    /// Newest sample in the window; what lies behind it is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sample_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Start of the step.
    pub t_ms: i64,
    /// Requests per second.
    pub rate: f64,
    /// Failing requests per second: 5xx, no response, failing gRPC status.
    pub errors: f64,
    /// Milliseconds; absent without requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
}

/// A configuration object that was saved or deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub t_ms: i64,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub revision: u64,
    pub action: Action,
    pub author: String,
    pub message: String,
}

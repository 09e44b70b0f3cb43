//! Log lines as `GET /api/logs` answers them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Answer of `GET /api/logs`.
///
/// Parameters, all optional: `from` and `to` (Unix seconds or milliseconds; without them the last hour), `duration`,
/// `service`, `namespace`, `workload`, `direction` (`inbound`, `outbound`), `method`, `path` (a prefix), `code` (`404`,
/// `4xx`, `400-499`; `0` for no response), `flags` (a list, any of them), `severity` (OTLP's smallest number), `traceId`,
/// `requestId`, `text` (in any text of the line), `limit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogList {
    /// Newest first.
    pub lines: Vec<LogLine>,
    /// Older lines were not looked at, because the limit was reached or enough was read: ask again with `to` at this
    /// time. Absent when all of the time that was asked for was searched. Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched_from_ms: Option<i64>,
    /// Blocks of the store that could not be read; their lines are missing.
    #[serde(default)]
    pub corrupt_blocks: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Unix microseconds.
    pub time_us: i64,
    pub service: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub workload: String,
    /// OTLP's number; absent when not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub severity_text: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The fields of an access log, under the names of Istio's JSON access log where it has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub access: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// Of whoever wrote the line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, Value>,
}

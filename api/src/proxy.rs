//! The proxies that are connected, or were lately, and what configuration each of them runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/proxies`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyList {
    pub proxies: Vec<Proxy>,
    /// Version of the mesh configuration that is being handed out.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// `<type>~<ip>~<name>.<namespace>~<domain>`
    pub node_id: String,
    /// `sidecar` or `router`.
    pub node_type: String,
    pub name: String,
    pub namespace: String,
    pub workload: String,
    pub app: String,
    pub version: String,
    pub cluster: String,
    pub addresses: Vec<String>,
    pub connected: bool,
    pub connected_at_ms: i64,
    /// By short type name: `CDS`, `EDS`, `LDS`, `RDS`.
    pub types: BTreeMap<String, TypeSync>,
    /// Last refusal that has not been followed by an acceptance of the same type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    pub scrape: Option<Scrape>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TypeSync {
    pub sent_version: String,
    pub acked_version: String,
    pub sent_at_ms: i64,
    pub acked_at_ms: i64,
    pub state: SyncState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncState {
    #[default]
    Waiting,
    Synced,
    Refused,
}

/// The proxy as a scrape target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scrape {
    pub url: String,
    pub up: bool,
    pub last_at_ms: i64,
    pub duration_ms: f64,
    pub samples: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

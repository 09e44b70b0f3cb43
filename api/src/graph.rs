//! The service graph as Kiali's graph API shapes it, with additions of our own.
//!
//! Rates, percentages and times are strings, rounded as Kiali rounds them. `latency` and `lastSampleMs` are additions
//! that Kiali does not have; a client that does not know them ignores them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/namespaces/graph`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Graph {
    /// End of the window, Unix seconds.
    pub timestamp: i64,
    /// Length of the window, seconds.
    pub duration: u64,
    pub graph_type: GraphType,
    pub elements: Elements,
    /// Newest telemetry that any shown namespace has delivered by the end of the window; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sample_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GraphType {
    App,
    Service,
    VersionedApp,
    #[default]
    Workload,
}

impl GraphType {
    pub const ALL: [Self; 4] = [Self::App, Self::VersionedApp, Self::Workload, Self::Service];

    /// The word used in URLs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Service => "service",
            Self::VersionedApp => "versionedApp",
            Self::Workload => "workload",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Elements {
    pub nodes: Vec<NodeElement>,
    pub edges: Vec<EdgeElement>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeElement {
    pub data: Node,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeElement {
    pub data: Edge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeType {
    Aggregate,
    App,
    Box,
    Service,
    Unknown,
    Workload,
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxBy {
    App,
    Namespace,
    Cluster,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Stable hash of what the node is: the same workload has the same id in every answer.
    pub id: String,
    /// Id of the box around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    pub node_type: NodeType,
    pub cluster: String,
    pub namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Services through which the node was called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dest_services: Vec<ServiceRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<NodeTraffic>,
    /// `null` when the node has no traffic and no workload to judge.
    pub health_data: Option<HealthData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_box: Option<BoxBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_gateway: Option<GatewayInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "hasVS")]
    pub has_vs: Option<Hostnames>,
    #[serde(default, skip_serializing_if = "is_false", rename = "hasCB")]
    pub has_cb: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_fault_injection: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_mirroring: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_request_routing: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_request_timeout: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_traffic_shifting: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_dead: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_idle: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_inaccessible: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_injected: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_out_of_mesh: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_outside: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_root: bool,
    /// Labels of the workload, without `app` and `version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Addition: time of the requests that the node answered; of those it made when it only calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceRef {
    pub cluster: String,
    pub namespace: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hostnames {
    #[serde(default)]
    pub hostnames: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_info: Option<Hostnames>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_info: Option<Hostnames>,
}

/// Rates of one protocol at a node: keys such as `httpIn`, `httpIn5xx`, `httpOut`; values per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeTraffic {
    pub protocol: String,
    pub rates: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthData {
    pub requests: RequestHealth,
    /// Absent for services, which have no replicas of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_statuses: Vec<WorkloadStatus>,
    pub status: HealthSummary,
}

/// Requests per second by protocol and code: `{"http": {"200": 4.9}}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestHealth {
    pub inbound: BTreeMap<String, BTreeMap<String, f64>>,
    pub outbound: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(default)]
    pub health_annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    pub name: String,
    pub desired_replicas: u32,
    pub current_replicas: u32,
    pub available_replicas: u32,
    /// Proxies whose configuration is the newest; `-1` when no proxy is known.
    pub synced_proxies: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthSummary {
    pub status: Health,
    /// Share of failing requests, percent.
    pub error_ratio: f64,
    /// Requests per second.
    pub total_request_rate: f64,
}

/// From best to worst after `NA`, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    #[default]
    #[serde(rename = "NA")]
    Na,
    Healthy,
    #[serde(rename = "Not Ready")]
    NotReady,
    Degraded,
    Failure,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    pub id: String,
    pub source: String,
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_principal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_status: Option<Health>,
    /// Percent of the requests that were sent with mutual TLS; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "isMTLS")]
    pub is_mtls: Option<String>,
    /// Milliseconds, of the quantile that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_time: Option<String>,
    /// Bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<String>,
    pub traffic: EdgeTraffic,
    /// Addition: the quantiles of the same requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Addition: what the edge was counted from where it has no metrics: `logs`, `spans`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telemetry: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeTraffic {
    /// `http`, `grpc` or `tcp`.
    pub protocol: String,
    /// Keys such as `http`, `http5xx`, `httpPercentErr`, `httpPercentReq`; rates per second, percentages.
    pub rates: BTreeMap<String, String>,
    /// By response code; `-` when no response was sent.
    #[serde(default)]
    pub responses: BTreeMap<String, Responses>,
    /// Addition: requests inside the window (bytes for `tcp`), exact where `rates` are rounded.
    #[serde(default)]
    pub requests: u64,
}

/// Shares of one response code, in percent of all requests of the edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Responses {
    pub flags: BTreeMap<String, String>,
    pub hosts: BTreeMap<String, String>,
}

/// Milliseconds. Quantiles are interpolated inside the histogram's buckets, as Prometheus does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub avg: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

/// One row of `GET /api/namespaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub name: String,
    pub cluster: String,
    /// Workloads with a registered proxy, or with traffic that is still kept.
    pub workloads: u32,
    pub services: u32,
    /// Configuration objects.
    pub objects: u32,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

//! Reads Envoy's bootstrap file: who this node is, where its admin port is, how to reach the control plane.

mod document;

use std::net::SocketAddr;
use std::time::Duration;

use sidelight_mesh::identity::{IdentityError, NodeIdentity};
use thiserror::Error;

use crate::config::cluster::{Cluster, Discovery, LIMIT, Policy};
use crate::config::endpoint::{Endpoint, Locality};
use document::Document;

#[derive(Debug, Error)]
pub enum BootstrapError {
    #[error("cannot read the bootstrap: {0}")]
    Syntax(String),
    #[error("bootstrap: `{field}` {reason}")]
    Field { field: String, reason: String },
    #[error("bootstrap: `node`: {0}")]
    Node(#[from] IdentityError),
}

/// What the sidecar needs to know before it can ask anybody.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    pub node: Node,
    pub identity: NodeIdentity,
    pub admin: Option<SocketAddr>,
    /// Host (name or address) and port of the control plane; nothing when there is none.
    pub control_plane: Option<(String, u16)>,
    pub(crate) clusters: Vec<Cluster>,
    /// Envoy's keys that are there and not honoured, for one log line.
    pub ignored: Vec<String>,
    /// The document as JSON, for `/config_dump`.
    pub document: serde_json::Value,
}

/// The xDS node as written.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub id: String,
    pub cluster: String,
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub locality: Locality,
}

impl Bootstrap {
    /// Reads YAML or JSON; mistakes are told with line and column, or with the path of the field.
    pub fn from_yaml(text: &str) -> Result<Self, BootstrapError> {
        let syntax = |error: serde_saphyr::Error| BootstrapError::Syntax(error.to_string());
        let document: Document = serde_saphyr::from_str(text).map_err(syntax)?;
        let json: serde_json::Value = serde_saphyr::from_str(text).map_err(syntax)?;
        Self::new(document, json)
    }

    fn new(document: Document, json: serde_json::Value) -> Result<Self, BootstrapError> {
        let ignored = document.ignored();
        let admin = document
            .admin
            .and_then(|admin| admin.address)
            .map(|address| {
                let socket = &address.socket_address;
                let ip = socket.address.parse().map_err(|_| {
                    field("admin.address.socket_address.address", format!("`{}` is not an IP address", socket.address))
                })?;
                Ok::<_, BootstrapError>(SocketAddr::new(ip, socket.port_value))
            })
            .transpose()?;
        let mut clusters = Vec::new();
        for (index, cluster) in document.static_resources.clusters.iter().enumerate() {
            clusters.push(static_cluster(index, cluster)?);
        }
        let control_plane =
            document.dynamic_resources.ads_config.as_ref().map(|ads| control_plane(ads, &clusters)).transpose()?;
        let node = Node {
            id: document.node.id,
            cluster: document.node.cluster,
            metadata: document.node.metadata,
            locality: Locality {
                region: document.node.locality.region,
                zone: document.node.locality.zone,
                sub_zone: document.node.locality.sub_zone,
            },
        };
        let identity = NodeIdentity::from_node(&node.id, &node.cluster, &node.metadata)?
            .with_locality(&node.locality.region, &node.locality.zone);
        Ok(Self { identity, node, admin, control_plane, clusters, ignored, document: json })
    }
}

fn field(field: impl Into<String>, reason: impl Into<String>) -> BootstrapError {
    BootstrapError::Field { field: field.into(), reason: reason.into() }
}

fn control_plane(ads: &document::AdsConfig, clusters: &[Cluster]) -> Result<(String, u16), BootstrapError> {
    if !matches!(ads.api_type.as_deref(), None | Some("GRPC" | "DELTA_GRPC")) {
        return Err(field("dynamic_resources.ads_config.api_type", "must be GRPC"));
    }
    const SERVICES: &str = "dynamic_resources.ads_config.grpc_services";
    let service = ads.grpc_services.first().ok_or_else(|| field(SERVICES, "needs one entry with envoy_grpc.cluster_name"))?;
    let name = &service.envoy_grpc.cluster_name;
    let cluster = clusters
        .iter()
        .find(|cluster| &*cluster.name == name.as_str())
        .ok_or_else(|| field(SERVICES, format!("names the cluster `{name}`, which is not in static_resources.clusters")))?;
    let (Discovery::Static(endpoints) | Discovery::Dns(endpoints)) = &cluster.discovery else {
        return Err(field(SERVICES, format!("cluster `{name}` lists no endpoints")));
    };
    let endpoint = endpoints.first().ok_or_else(|| field(SERVICES, format!("cluster `{name}` lists no endpoints")))?;
    Ok((endpoint.host.clone(), endpoint.port))
}

fn static_cluster(index: usize, from: &document::StaticCluster) -> Result<Cluster, BootstrapError> {
    let path = |name: &str| format!("static_resources.clusters[{index}].{name}");
    let endpoints: Vec<_> = from
        .load_assignment
        .endpoints
        .iter()
        .flat_map(|group| &group.lb_endpoints)
        .map(|entry| Endpoint {
            host: entry.endpoint.address.socket_address.address.clone(),
            port: entry.endpoint.address.socket_address.port_value,
            weight: 1,
            healthy: true,
            priority: 0,
            hostname: entry.endpoint.hostname.clone(),
            locality: Locality::default(),
            workload: None,
        })
        .collect();
    let discovery = match from.kind.as_deref() {
        None | Some("STATIC") => {
            if let Some(bad) = endpoints.iter().find(|e| e.address().is_none()) {
                return Err(field(
                    path("load_assignment"),
                    format!("has `{}`, which is not an IP address; use type STRICT_DNS for names", bad.host),
                ));
            }
            Discovery::Static(endpoints)
        }
        Some("STRICT_DNS" | "LOGICAL_DNS") => Discovery::Dns(endpoints),
        Some(other) => {
            return Err(field(path("type"), format!("is `{other}`, expected STATIC, STRICT_DNS or LOGICAL_DNS")));
        }
    };
    Ok(Cluster {
        name: from.name.as_str().into(),
        alt_stat_name: String::new(),
        discovery,
        policy: Policy::RoundRobin,
        connect_timeout: match from.connect_timeout.as_deref() {
            None => Duration::from_secs(5),
            Some(text) => parse_duration(text).ok_or_else(|| field(path("connect_timeout"), "must look like `1.5s`"))?,
        },
        idle_timeout: Duration::from_secs(3600),
        connections_max: LIMIT,
        pending_max: LIMIT,
        requests_max: LIMIT,
        requests_per_connection_max: None,
        service: None,
        hide_identity: true,
    })
}

/// Protobuf's JSON form of a duration: seconds with up to nine decimals and an `s`.
fn parse_duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

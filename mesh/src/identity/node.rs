//! A proxy as xDS describes it: node id, service cluster and metadata.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::metadata::{embedded, labels_value, port, put, string_map, text};
use super::{
    CANONICAL_NAME, CANONICAL_REVISION, IdentityError, NodeType, PeerIdentity, WorkloadType, app_of, canonical_revision,
    canonical_service, version_of,
};

/// A named port of the instance, as in a pod's container ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodPort {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub container_port: u16,
    /// `TCP` or `UDP`; empty means TCP.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
}

/// Where the proxy itself listens. All of them differ where several workloads share one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyPorts {
    /// HTTP proxy for the application's calls (`SIDELIGHT_OUTBOUND_PORT`).
    pub outbound: u16,
    /// Merged metrics and probes (`SIDELIGHT_STATUS_PORT`).
    pub status: u16,
    /// Readiness (`ENVOY_STATUS_PORT`).
    pub readiness: u16,
    /// The proxy's own metrics (`ENVOY_PROMETHEUS_PORT`).
    pub prometheus: u16,
}

impl Default for ProxyPorts {
    fn default() -> Self {
        Self { outbound: 15001, status: 15020, readiness: 15021, prometheus: 15090 }
    }
}

/// One proxy and the workload behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeIdentity {
    /// `<type>~<ip>~<name>.<namespace>~<domain>`
    pub node_id: String,
    pub node_type: NodeType,
    /// From the node id; never one of the further addresses.
    pub ip: IpAddr,
    /// All addresses (`INSTANCE_IPS`), the one of the node id first.
    pub addresses: Vec<IpAddr>,
    /// DNS domain of the node id, normally `<namespace>.svc.cluster.local`.
    pub domain: String,
    /// `node.cluster`: the service name on spans, such as `productpage.bookinfo`.
    pub service_cluster: String,
    /// Instance, such as a pod's name.
    pub name: String,
    pub namespace: String,
    /// `WORKLOAD_NAME`, else the instance's name.
    pub workload: String,
    pub workload_type: WorkloadType,
    /// As written in `OWNER`; may be empty.
    pub owner: String,
    pub cluster_id: String,
    pub mesh_id: String,
    pub network: String,
    pub labels: BTreeMap<String, String>,
    pub canonical_service: String,
    pub canonical_revision: String,
    /// Empty without an app label.
    pub app: String,
    /// Empty without a version label.
    pub version: String,
    pub region: String,
    pub zone: String,
    /// Empty for a proxy that is not of Istio's make.
    pub istio_version: String,
    pub service_account: String,
    /// `REDIRECT`, `TPROXY` or `NONE`.
    pub interception_mode: String,
    pub pod_ports: Vec<PodPort>,
    pub ports: ProxyPorts,
    /// Inbound port to application address, where it is not `127.0.0.1:<port>`.
    pub app_endpoints: BTreeMap<u16, String>,
    /// Metadata keys that have no field here, kept as they came.
    pub extra: Map<String, Value>,
}

/// Cluster of a proxy that names none.
pub const DEFAULT_CLUSTER_ID: &str = "Kubernetes";
/// Mesh of a proxy that names none.
pub const DEFAULT_MESH_ID: &str = "cluster.local";

const KNOWN_KEYS: [&str; 21] = [
    "NAME",
    "NAMESPACE",
    "WORKLOAD_NAME",
    "OWNER",
    "LABELS",
    "CLUSTER_ID",
    "MESH_ID",
    "NETWORK",
    "ISTIO_VERSION",
    "INSTANCE_IPS",
    "INTERCEPTION_MODE",
    "SERVICE_ACCOUNT",
    "POD_PORTS",
    "ENVOY_STATUS_PORT",
    "ENVOY_PROMETHEUS_PORT",
    "REGION",
    "AVAILABILITY_ZONE",
    "SIDELIGHT_APP_ENDPOINTS",
    "SIDELIGHT_OUTBOUND_PORT",
    "SIDELIGHT_STATUS_PORT",
    "IDENTITY",
];

struct NodeId {
    node_type: NodeType,
    ip: IpAddr,
    name: String,
    namespace: String,
    domain: String,
}

impl NodeIdentity {
    /// Reads an xDS node. Absent metadata takes the defaults of the field; the id must be well-formed.
    pub fn from_node(id: &str, cluster: &str, metadata: &Map<String, Value>) -> Result<Self, IdentityError> {
        let parts = parse_id(id)?;
        let name = or(text(metadata, "NAME"), &parts.name);
        let namespace = or(text(metadata, "NAMESPACE"), &parts.namespace);
        let workload = or(text(metadata, "WORKLOAD_NAME"), &name);
        let labels = string_map(metadata, "LABELS");
        let owner = text(metadata, "OWNER");
        let app = app_of(&labels);
        Ok(Self {
            node_id: id.to_owned(),
            node_type: parts.node_type,
            ip: parts.ip,
            addresses: addresses(parts.ip, &text(metadata, "INSTANCE_IPS")),
            domain: parts.domain,
            service_cluster: service_cluster(cluster, [&app, &workload], &namespace),
            workload_type: WorkloadType::from_owner(&owner, &workload),
            canonical_service: canonical_service(&labels, &workload),
            canonical_revision: canonical_revision(&labels),
            version: version_of(&labels),
            app,
            name,
            namespace,
            workload,
            owner,
            labels,
            cluster_id: or(text(metadata, "CLUSTER_ID"), DEFAULT_CLUSTER_ID),
            mesh_id: or(text(metadata, "MESH_ID"), DEFAULT_MESH_ID),
            network: text(metadata, "NETWORK"),
            region: text(metadata, "REGION"),
            zone: text(metadata, "AVAILABILITY_ZONE"),
            istio_version: text(metadata, "ISTIO_VERSION"),
            service_account: text(metadata, "SERVICE_ACCOUNT"),
            interception_mode: or(text(metadata, "INTERCEPTION_MODE"), "REDIRECT"),
            pod_ports: embedded(metadata, "POD_PORTS", "a JSON list of `{name, containerPort, protocol}`")?,
            ports: proxy_ports(metadata)?,
            app_endpoints: app_endpoints(metadata)?,
            extra: metadata.iter().filter(|(k, _)| !KNOWN_KEYS.contains(&k.as_str())).map(own).collect(),
        })
    }

    /// Fills region and zone from the node's locality where the metadata named none.
    #[must_use]
    pub fn with_locality(mut self, region: &str, zone: &str) -> Self {
        self.region = or(self.region, region);
        self.zone = or(self.zone, zone);
        self
    }

    /// The metadata to send with an xDS node; numbers travel as strings, the canonical labels are filled in.
    #[must_use]
    pub fn to_metadata(&self) -> Map<String, Value> {
        let mut map = self.extra.clone();
        for (key, value) in self.text_fields() {
            put(&mut map, key, value);
        }
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        put(&mut map, "INSTANCE_IPS", &addresses.join(","));
        map.insert("LABELS".to_owned(), labels_value(&self.labels_with_canonical()));
        for (key, number) in [
            ("SIDELIGHT_OUTBOUND_PORT", self.ports.outbound),
            ("SIDELIGHT_STATUS_PORT", self.ports.status),
            ("ENVOY_STATUS_PORT", self.ports.readiness),
            ("ENVOY_PROMETHEUS_PORT", self.ports.prometheus),
        ] {
            put(&mut map, key, &number.to_string());
        }
        put_json(&mut map, "POD_PORTS", &self.pod_ports, self.pod_ports.is_empty());
        put_json(&mut map, "SIDELIGHT_APP_ENDPOINTS", &self.app_endpoints, self.app_endpoints.is_empty());
        map
    }

    /// What peers are told of this workload. Labels without a field of their own stay at home.
    #[must_use]
    pub fn to_peer(&self) -> PeerIdentity {
        PeerIdentity {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            workload: self.workload.clone(),
            workload_type: self.workload_type,
            cluster_id: self.cluster_id.clone(),
            identity: String::new(),
            canonical_service: self.canonical_service.clone(),
            canonical_revision: self.canonical_revision.clone(),
            app: self.app.clone(),
            version: self.version.clone(),
            region: self.region.clone(),
            zone: self.zone.clone(),
            labels: BTreeMap::new(),
        }
    }

    /// The struct that travels in `x-envoy-peer-metadata`.
    #[must_use]
    pub fn to_exchange(&self) -> Map<String, Value> {
        self.to_peer().to_exchange()
    }

    /// Where the application behind an inbound port listens.
    #[must_use]
    pub fn app_endpoint(&self, port: u16) -> String {
        self.app_endpoints.get(&port).cloned().unwrap_or_else(|| format!("127.0.0.1:{port}"))
    }

    /// Port number behind a name of `POD_PORTS`.
    #[must_use]
    pub fn pod_port(&self, name: &str) -> Option<u16> {
        self.pod_ports.iter().find(|p| p.name == name).map(|p| p.container_port)
    }

    fn text_fields(&self) -> [(&'static str, &str); 13] {
        [
            ("NAME", &self.name),
            ("NAMESPACE", &self.namespace),
            ("WORKLOAD_NAME", &self.workload),
            ("OWNER", &self.owner),
            ("CLUSTER_ID", &self.cluster_id),
            ("MESH_ID", &self.mesh_id),
            ("NETWORK", &self.network),
            ("ISTIO_VERSION", &self.istio_version),
            ("INTERCEPTION_MODE", &self.interception_mode),
            ("SERVICE_ACCOUNT", &self.service_account),
            ("REGION", &self.region),
            ("AVAILABILITY_ZONE", &self.zone),
            // Not ours to claim: a peer's identity comes from its certificate.
            ("IDENTITY", ""),
        ]
    }

    fn labels_with_canonical(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.entry(CANONICAL_NAME.to_owned()).or_insert_with(|| self.canonical_service.clone());
        labels.entry(CANONICAL_REVISION.to_owned()).or_insert_with(|| self.canonical_revision.clone());
        labels
    }
}

fn parse_id(id: &str) -> Result<NodeId, IdentityError> {
    let parts: Vec<&str> = id.split('~').collect();
    let [node_type, ip, instance, domain] = parts[..] else {
        return Err(IdentityError::Id(id.to_owned()));
    };
    let (name, namespace) = instance.rsplit_once('.').ok_or_else(|| IdentityError::Id(id.to_owned()))?;
    if name.is_empty() || namespace.is_empty() {
        return Err(IdentityError::Id(id.to_owned()));
    }
    Ok(NodeId {
        node_type: NodeType::parse(node_type)
            .ok_or_else(|| IdentityError::Type { id: id.to_owned(), found: node_type.to_owned() })?,
        ip: ip.parse().map_err(|_| IdentityError::Ip { id: id.to_owned(), found: ip.to_owned() })?,
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        domain: domain.to_owned(),
    })
}

fn addresses(first: IpAddr, list: &str) -> Vec<IpAddr> {
    let mut all = vec![first];
    for address in list.split(',').filter_map(|part| part.trim().parse().ok()) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

/// An explicit name wins unless it is Istio's placeholder; else app, else workload, with the namespace behind.
fn service_cluster(explicit: &str, candidates: [&str; 2], namespace: &str) -> String {
    if !explicit.is_empty() && explicit != "istio-proxy" {
        return explicit.to_owned();
    }
    let name = candidates.into_iter().find(|name| !name.is_empty()).unwrap_or("istio-proxy");
    format!("{name}.{namespace}")
}

fn proxy_ports(metadata: &Map<String, Value>) -> Result<ProxyPorts, IdentityError> {
    let standard = ProxyPorts::default();
    Ok(ProxyPorts {
        outbound: port(metadata, "SIDELIGHT_OUTBOUND_PORT", standard.outbound)?,
        status: port(metadata, "SIDELIGHT_STATUS_PORT", standard.status)?,
        readiness: port(metadata, "ENVOY_STATUS_PORT", standard.readiness)?,
        prometheus: port(metadata, "ENVOY_PROMETHEUS_PORT", standard.prometheus)?,
    })
}

fn app_endpoints(metadata: &Map<String, Value>) -> Result<BTreeMap<u16, String>, IdentityError> {
    embedded(metadata, "SIDELIGHT_APP_ENDPOINTS", "a JSON map from port to `address:port`")
}

fn put_json<T: Serialize>(map: &mut Map<String, Value>, key: &str, value: &T, empty: bool) {
    if let (false, Ok(text)) = (empty, serde_json::to_string(value)) {
        put(map, key, &text);
    }
}

fn or(value: String, fallback: &str) -> String {
    if value.is_empty() { fallback.to_owned() } else { value }
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

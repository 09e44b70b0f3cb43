//! The labels of Istio's standard metrics: their order, and which side's knowledge fills each.

use std::fmt::Write as _;
use std::sync::Arc;

use sidelight_mesh::identity::{NodeIdentity, NodeType, PeerIdentity};

use crate::flags::ResponseFlags;
use crate::peer::{Peer, PeerSource, next_number};

const UNKNOWN: &str = "unknown";
const LATEST: &str = "latest";
/// Route name of the virtual host that refuses unknown hosts.
const BLOCK_ALL: &str = "block_all";
/// Route name of the virtual host that passes unknown hosts through.
const ALLOW_ANY: &str = "allow_any";
const BLACK_HOLE: &str = "BlackHoleCluster";
const PASSTHROUGH: &str = "PassthroughCluster";
const SPECIAL_CLUSTERS: [&str; 5] =
    [BLACK_HOLE, PASSTHROUGH, "InboundPassthroughCluster", "InboundPassthroughClusterIpv4", "InboundPassthroughClusterIpv6"];

/// Which side of a call this proxy stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// Client side: OUTBOUND listeners and gateways.
    Source,
    /// Server side: INBOUND listeners.
    Destination,
}

impl Reporter {
    /// The value of the `reporter` label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Longest `Host` that stands in for a service: a DNS name and a port. A longer one counts as unknown.
const AUTHORITY_BYTES_MAX: usize = 253 + 6;

/// The service behind a cluster, from its `filter_metadata.istio.services[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceInfo {
    pub host: String,
    /// Empty: the first DNS label of `host` is used.
    pub name: String,
    /// Empty: not told.
    pub namespace: String,
}

/// An upstream cluster. Make one when the cluster arrives and share it: metric series are found by its number.
#[derive(Debug)]
pub struct ClusterInfo {
    number: u64,
    /// Whether the name is one of those that Istio gives meaning to.
    special: bool,
    pub name: Arc<str>,
    /// `alt_stat_name`, normally the name and a `;`.
    pub alt_stat_name: Option<Arc<str>>,
    pub service: Option<ServiceInfo>,
    /// Off where the cluster says `filter_metadata.istio.disable_mx`: peer headers are not sent then.
    pub exchange: bool,
}

impl ClusterInfo {
    /// A cluster without service metadata that takes part in metadata exchange.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        let special = SPECIAL_CLUSTERS.contains(&&*name);
        Self { number: next_number(), special, name, alt_stat_name: None, service: None, exchange: true }
    }

    /// Sets `alt_stat_name`; an empty one counts as none.
    #[must_use]
    pub fn with_alt_stat_name(mut self, name: &str) -> Self {
        self.alt_stat_name = (!name.is_empty()).then(|| Arc::from(name));
        self
    }

    /// Sets the service.
    #[must_use]
    pub fn with_service(mut self, service: ServiceInfo) -> Self {
        self.service = Some(service);
        self
    }

    /// Switches metadata exchange towards this cluster.
    #[must_use]
    pub fn with_exchange(mut self, exchange: bool) -> Self {
        self.exchange = exchange;
        self
    }
}

/// Principals of one TLS connection: first URI SANs of both certificates.
#[derive(Debug)]
pub struct TlsIdentity {
    number: u64,
    pub peer: Option<String>,
    pub local: Option<String>,
}

impl TlsIdentity {
    /// To be made once per connection and shared by its requests.
    #[must_use]
    pub fn new(peer: Option<String>, local: Option<String>) -> Arc<Self> {
        Arc::new(Self { number: next_number(), peer, local })
    }
}

/// The two route names that mean something to service labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum RouteKind {
    #[default]
    Named,
    BlockAll,
    AllowAny,
}

impl RouteKind {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            BLOCK_ALL => Self::BlockAll,
            ALLOW_ANY => Self::AllowAny,
            _ => Self::Named,
        }
    }
}

/// `request_protocol`, with the status that only gRPC has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rpc {
    Http,
    /// `None`: the status could not be determined.
    Grpc(Option<u16>),
}

/// Everything the labels of one request are made of.
#[derive(Clone, Copy)]
pub(crate) struct LabelSources<'a> {
    pub reporter: Reporter,
    pub node: &'a NodeIdentity,
    pub peer: Option<&'a Peer>,
    pub cluster: Option<&'a ClusterInfo>,
    /// Of the upstream connection on the client side, of the downstream one on the server side.
    pub tls: Option<&'a TlsIdentity>,
    pub route: RouteKind,
    pub authority: &'a str,
    pub code: u16,
    pub rpc: Rpc,
    pub flags: ResponseFlags,
}

/// Stands for a label set without holding its text; equal keys have equal labels.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LabelKey {
    peer: u64,
    cluster: u64,
    tls: u64,
    flags: ResponseFlags,
    rpc: Rpc,
    code: u16,
    route: RouteKind,
    reporter: Reporter,
}

impl LabelSources<'_> {
    /// `None` when the request's authority is part of the labels: that has no number.
    pub(crate) fn key(&self) -> Option<LabelKey> {
        if self.needs_authority() {
            return None;
        }
        Some(LabelKey {
            peer: self.peer.map_or(0, Peer::number),
            cluster: self.cluster.map_or(0, |c| c.number),
            tls: self.tls.map_or(0, |t| t.number),
            flags: self.flags,
            rpc: self.rpc,
            code: self.code,
            route: self.route,
            reporter: self.reporter,
        })
    }

    /// Writes all labels in Istio's order, without braces.
    pub(crate) fn render(&self, out: &mut String) {
        label(out, "reporter", self.reporter.as_str());
        match self.reporter {
            Reporter::Source => self.render_client(out),
            Reporter::Destination => self.render_server(out),
        }
        self.render_request(out);
    }

    /// The `Host` header stands in for the service on sidecar outbound listeners only.
    fn host_fallback(&self) -> bool {
        self.reporter == Reporter::Source && self.node.node_type == NodeType::Sidecar
    }

    fn needs_authority(&self) -> bool {
        let from_cluster = self.route == RouteKind::Named && self.cluster.is_some_and(|c| c.service.is_some() && !c.special);
        self.host_fallback() && !from_cluster
    }

    fn service(&self) -> Service<'_> {
        let mut service = Service::default();
        if self.host_fallback() && self.authority.len() <= AUTHORITY_BYTES_MAX {
            service.host = self.authority;
            service.name = self.authority;
        }
        match (self.route, self.cluster) {
            (RouteKind::BlockAll, _) => service.name = BLACK_HOLE,
            (RouteKind::AllowAny, _) => service.name = PASSTHROUGH,
            (RouteKind::Named, Some(cluster)) if cluster.special => service.name = &cluster.name,
            (RouteKind::Named, Some(ClusterInfo { service: Some(told), .. })) => {
                service = Service::of(told);
            }
            (RouteKind::Named, _) => {}
        }
        service
    }

    fn render_client(&self, out: &mut String) {
        let node = self.node;
        let service = self.service();
        let peer = PeerLabels::new(self.peer);
        let told = self.peer.map_or("", |p| p.identity.identity.as_str());
        let principal = or(self.tls_peer(), told);
        let namespace = or(namespace_of(principal), peer.namespace);
        // Own values get no `unknown`: what is empty stays empty.
        label(out, "source_workload", &node.workload);
        label(out, "source_canonical_service", &node.canonical_service);
        label(out, "source_canonical_revision", &node.canonical_revision);
        label(out, "source_workload_namespace", &node.namespace);
        label(out, "source_principal", or(self.tls_local(), UNKNOWN));
        label(out, "source_app", own_label(node, "app"));
        label(out, "source_version", own_label(node, "version"));
        label(out, "source_cluster", &node.cluster_id);
        label(out, "destination_workload", or(peer.workload, UNKNOWN));
        label(out, "destination_workload_namespace", or(namespace, UNKNOWN));
        label(out, "destination_principal", or(principal, UNKNOWN));
        label(out, "destination_app", or(peer.app, UNKNOWN));
        label(out, "destination_version", or(peer.version, UNKNOWN));
        label(out, "destination_service", or(service.host, UNKNOWN));
        label(out, "destination_canonical_service", or(peer.service, UNKNOWN));
        label(out, "destination_canonical_revision", or(peer.revision, LATEST));
        label(out, "destination_service_name", or(service.name, UNKNOWN));
        let service_namespace = or(or(service.namespace, namespace), UNKNOWN);
        label(out, "destination_service_namespace", service_namespace);
        label(out, "destination_cluster", or(peer.cluster, UNKNOWN));
    }

    fn render_server(&self, out: &mut String) {
        let node = self.node;
        let service = self.service();
        let peer = PeerLabels::new(self.peer);
        let principal = self.tls_peer();
        let namespace = or(namespace_of(principal), peer.namespace);
        label(out, "source_workload", or(peer.workload, UNKNOWN));
        label(out, "source_canonical_service", or(peer.service, UNKNOWN));
        label(out, "source_canonical_revision", or(peer.revision, LATEST));
        label(out, "source_workload_namespace", or(namespace, UNKNOWN));
        label(out, "source_principal", or(principal, UNKNOWN));
        label(out, "source_app", or(peer.app, UNKNOWN));
        label(out, "source_version", or(peer.version, UNKNOWN));
        label(out, "source_cluster", or(peer.cluster, UNKNOWN));
        label(out, "destination_workload", &node.workload);
        label(out, "destination_workload_namespace", &node.namespace);
        label(out, "destination_principal", or(self.tls_local(), UNKNOWN));
        label(out, "destination_app", own_label(node, "app"));
        label(out, "destination_version", own_label(node, "version"));
        label(out, "destination_service", or(service.host, &node.canonical_service));
        label(out, "destination_canonical_service", &node.canonical_service);
        label(out, "destination_canonical_revision", &node.canonical_revision);
        label(out, "destination_service_name", or(service.name, &node.canonical_service));
        label(out, "destination_service_namespace", &node.namespace);
        label(out, "destination_cluster", &node.cluster_id);
    }

    fn render_request(&self, out: &mut String) {
        let mut number = itoa::Buffer::new();
        let (protocol, status) = match self.rpc {
            Rpc::Http => ("http", None),
            Rpc::Grpc(status) => ("grpc", status),
        };
        label(out, "request_protocol", protocol);
        label(out, "response_code", number.format(self.code));
        label(out, "grpc_response_status", status.map_or("", |s| number.format(s)));
        // Writing into a String cannot fail.
        let _ = write!(out, ",response_flags=\"{}\"", self.flags);
        label(out, "connection_security_policy", self.security_policy());
    }

    fn security_policy(&self) -> &'static str {
        let mutual = !self.tls_peer().is_empty() && !self.tls_local().is_empty();
        match self.reporter {
            Reporter::Source => UNKNOWN,
            Reporter::Destination if mutual => "mutual_tls",
            Reporter::Destination => "none",
        }
    }

    fn tls_peer(&self) -> &str {
        self.tls.and_then(|t| t.peer.as_deref()).unwrap_or_default()
    }

    fn tls_local(&self) -> &str {
        self.tls.and_then(|t| t.local.as_deref()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Service<'a> {
    host: &'a str,
    name: &'a str,
    namespace: &'a str,
}

impl<'a> Service<'a> {
    fn of(told: &'a ServiceInfo) -> Self {
        let first_label = told.host.split('.').next().unwrap_or_default();
        Self { host: &told.host, name: or(&told.name, first_label), namespace: &told.namespace }
    }
}

/// What is known of the peer; empty where nothing is.
#[derive(Default)]
struct PeerLabels<'a> {
    workload: &'a str,
    namespace: &'a str,
    app: &'a str,
    version: &'a str,
    service: &'a str,
    revision: &'a str,
    cluster: &'a str,
}

impl<'a> PeerLabels<'a> {
    fn new(peer: Option<&'a Peer>) -> Self {
        let Some(Peer { identity, source, .. }) = peer else {
            return Self::default();
        };
        let PeerIdentity { workload, namespace, cluster_id, .. } = identity;
        let exchanged = *source == PeerSource::Exchange;
        Self {
            workload,
            namespace,
            app: if exchanged { &identity.app } else { "" },
            version: if exchanged { &identity.version } else { "" },
            service: &identity.canonical_service,
            revision: &identity.canonical_revision,
            cluster: cluster_id,
        }
    }
}

/// Own app and version come from these very labels, not from the `app.kubernetes.io` ones that peers are told.
fn own_label<'a>(node: &'a NodeIdentity, name: &str) -> &'a str {
    node.labels.get(name).map(String::as_str).unwrap_or_default()
}

/// The namespace in `…/ns/<namespace>/…`; it wins over what the peer's metadata says.
fn namespace_of(principal: &str) -> &str {
    let after = principal.split_once("/ns/").map(|(_, rest)| rest);
    after.and_then(|rest| rest.split_once('/')).map_or("", |(namespace, _)| namespace)
}

fn or<'a>(value: &'a str, fallback: &'a str) -> &'a str {
    if value.is_empty() { fallback } else { value }
}

/// Appends `name="value"`, with a comma before it unless it is the first.
pub(crate) fn label(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    escape(out, value);
    out.push('"');
}

fn escape(out: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return out.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests;

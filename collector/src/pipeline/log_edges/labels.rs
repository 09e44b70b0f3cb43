//! The labels of an edge by the rules of Istio's metrics, from what an access log tells.

use std::sync::Arc;

use super::LogProtocol;
use crate::pipeline::edge_rows::LABEL_BYTES_MAX;
use crate::store::EdgeLabels;

const UNKNOWN: &str = "unknown";
/// Clusters that stand for a place without a service.
const SPECIAL_CLUSTERS: [&str; 5] = [
    "BlackHoleCluster",
    "PassthroughCluster",
    "InboundPassthroughCluster",
    "InboundPassthroughClusterIpv4",
    "InboundPassthroughClusterIpv6",
];
/// Names that plain Envoys give to the cluster of their own application.
const LOCAL_CLUSTERS: [&str; 3] = ["local_app", "local_service", "local_application"];

/// On which side of its workload a proxy handled a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    /// Istio's clusters begin with the direction; plain ones have customary names for the application behind the proxy.
    #[must_use]
    pub fn of_cluster(cluster: &str) -> Option<Self> {
        if cluster.starts_with("inbound|") || cluster.starts_with("InboundPassthrough") || LOCAL_CLUSTERS.contains(&cluster) {
            Some(Self::Inbound)
        } else if cluster.starts_with("outbound|") || SPECIAL_CLUSTERS.contains(&cluster) {
            Some(Self::Outbound)
        } else {
            None
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

macro_rules! log_node {
    ($($name:ident),+) => {
        /// The workload of the proxy that wrote a log.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct LogNode { $(pub $name: Arc<str>),+ }

        impl LogNode {
            /// In the order of the fields.
            #[must_use]
            pub fn values(&self) -> [&str; [$(stringify!($name)),+].len()] {
                [$(&self.$name),+]
            }
        }
    };
}

log_node!(workload, namespace, service, revision, app, version, cluster);

/// What a log tells of one call; empty where it does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub node: &'a LogNode,
    pub is_inbound: bool,
    pub protocol: LogProtocol,
    /// 0 when no response was sent.
    pub code: u16,
    pub grpc_status: &'a str,
    pub flags: &'a str,
    pub cluster: &'a str,
    pub route: &'a str,
    pub authority: &'a str,
    /// Of the other side.
    pub workload: &'a str,
    pub namespace: &'a str,
    pub service: &'a str,
    pub revision: &'a str,
    pub peer_cluster: &'a str,
    pub peer_identity: &'a str,
    /// From certificates.
    pub peer_principal: &'a str,
    pub local_principal: &'a str,
}

/// The service that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    pub host: &'a str,
    pub name: &'a str,
    pub namespace: &'a str,
}

impl<'a> Host<'a> {
    /// Whether only the request's host tells where it went.
    pub fn needs_authority(cluster: &str, route: &str) -> bool {
        SPECIAL_CLUSTERS.contains(&plain(cluster)) || Self::is_special_route(route)
    }

    pub fn is_special_route(route: &str) -> bool {
        matches!(route, "block_all" | "allow_any")
    }

    /// Reads the name of a cluster: `outbound|9080|v2|reviews.bookinfo.svc.cluster.local`, or a plain one.
    fn of(told: &Told<'a>) -> Self {
        let cluster = plain(told.cluster);
        let special = match told.route {
            "block_all" => Some("BlackHoleCluster"),
            "allow_any" => Some("PassthroughCluster"),
            _ => SPECIAL_CLUSTERS.into_iter().find(|special| *special == cluster),
        };
        if let Some(name) = special {
            return Self { host: or_unknown(told.authority), name, namespace: UNKNOWN };
        }
        match cluster.split('|').collect::<Vec<_>>()[..] {
            [_, _, _, host] if !host.is_empty() => Self::of_host(host, told),
            _ if cluster.is_empty() => Self { host: UNKNOWN, name: UNKNOWN, namespace: UNKNOWN },
            // A plain cluster is a service beside the proxy.
            _ => Self { host: cluster, name: cluster, namespace: known_or(told.namespace, &told.node.namespace) },
        }
    }

    fn of_host(host: &'a str, told: &Told<'a>) -> Self {
        let mut parts = host.splitn(4, '.');
        let name = parts.next().unwrap_or(host);
        match (parts.next(), parts.next()) {
            (Some(namespace), Some("svc")) => Self { host, name, namespace },
            // A ServiceEntry's host is its whole name.
            _ => Self { host, name: host, namespace: or_unknown(told.namespace) },
        }
    }

    /// Of the proxy's own workload.
    fn own(told: &Told<'a>) -> Self {
        let own = Self::of(told);
        match told.cluster.split('|').nth(3) {
            Some(host) if !plain(host).is_empty() => Self { namespace: &told.node.namespace, ..own },
            _ if SPECIAL_CLUSTERS.contains(&own.name) => {
                Self { host: &told.node.service, name: own.name, namespace: &told.node.namespace }
            }
            _ => Self { host: &told.node.service, name: &told.node.service, namespace: &told.node.namespace },
        }
    }
}

/// Control planes give their clusters a second name that ends so.
fn plain(cluster: &str) -> &str {
    cluster.strip_suffix(';').unwrap_or(cluster)
}

fn or_unknown(text: &str) -> &str {
    known_or(text, UNKNOWN)
}

/// What is too long for a label counts as unknown.
fn known_or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() || text.len() > LABEL_BYTES_MAX { other } else { text }
}

/// All labels.
pub(super) fn labels(told: &Told<'_>) -> EdgeLabels {
    let mut labels = EdgeLabels { telemetry: "logs".into(), ..EdgeLabels::default() };
    let host = if told.is_inbound { Host::own(told) } else { Host::of(told) };
    labels.destination_service = known_or(host.host, UNKNOWN).into();
    labels.destination_service_name = known_or(host.name, UNKNOWN).into();
    labels.destination_service_namespace = known_or(host.namespace, UNKNOWN).into();
    if told.is_inbound {
        labels.reporter = "destination".into();
        own_as_destination(&mut labels, told.node);
        peer_as_source(&mut labels, told);
    } else {
        labels.reporter = "source".into();
        own_as_source(&mut labels, told.node);
        peer_as_destination(&mut labels, told);
    }
    security(&mut labels, told);
    let (protocol, code) = match told.protocol {
        LogProtocol::Http => ("http", told.code.to_string()),
        LogProtocol::Grpc => ("grpc", told.code.to_string()),
        LogProtocol::Tcp => ("tcp", String::new()),
    };
    labels.request_protocol = protocol.into();
    labels.response_code = code.into();
    labels.grpc_response_status = known_or(told.grpc_status, "").into();
    labels.response_flags = known_or(told.flags, "-").into();
    labels
}

fn own_as_source(labels: &mut EdgeLabels, node: &LogNode) {
    labels.source_workload = Arc::clone(&node.workload);
    labels.source_workload_namespace = Arc::clone(&node.namespace);
    labels.source_canonical_service = Arc::clone(&node.service);
    labels.source_canonical_revision = Arc::clone(&node.revision);
    labels.source_app = Arc::clone(&node.app);
    labels.source_version = Arc::clone(&node.version);
    labels.source_cluster = Arc::clone(&node.cluster);
}

fn own_as_destination(labels: &mut EdgeLabels, node: &LogNode) {
    labels.destination_workload = Arc::clone(&node.workload);
    labels.destination_workload_namespace = Arc::clone(&node.namespace);
    labels.destination_canonical_service = Arc::clone(&node.service);
    labels.destination_canonical_revision = Arc::clone(&node.revision);
    labels.destination_app = Arc::clone(&node.app);
    labels.destination_version = Arc::clone(&node.version);
    labels.destination_cluster = Arc::clone(&node.cluster);
}

fn peer_as_source(labels: &mut EdgeLabels, told: &Told<'_>) {
    let service = known_or(told.service, told.workload);
    labels.source_workload = or_unknown(told.workload).into();
    labels.source_workload_namespace = or_unknown(namespace_of(told)).into();
    labels.source_canonical_service = or_unknown(service).into();
    labels.source_canonical_revision = known_or(told.revision, "latest").into();
    labels.source_app = or_unknown(service).into();
    labels.source_version = or_unknown(told.revision).into();
    labels.source_cluster = or_unknown(told.peer_cluster).into();
}

fn peer_as_destination(labels: &mut EdgeLabels, told: &Told<'_>) {
    let service = known_or(told.service, told.workload);
    labels.destination_workload = or_unknown(told.workload).into();
    labels.destination_workload_namespace = or_unknown(namespace_of(told)).into();
    labels.destination_canonical_service = or_unknown(service).into();
    labels.destination_canonical_revision = known_or(told.revision, "latest").into();
    labels.destination_app = or_unknown(service).into();
    labels.destination_version = or_unknown(told.revision).into();
    labels.destination_cluster = or_unknown(told.peer_cluster).into();
}

/// The namespace of a certificate's name wins.
fn namespace_of<'a>(told: &Told<'a>) -> &'a str {
    let principal = if told.peer_principal.is_empty() { told.peer_identity } else { told.peer_principal };
    let named = principal.split_once("/ns/").and_then(|(_, rest)| rest.split('/').next());
    named.filter(|namespace| !namespace.is_empty()).unwrap_or(told.namespace)
}

/// Only the called side sees the caller's certificate.
fn security(labels: &mut EdgeLabels, told: &Told<'_>) {
    let (peer, local) = (told.peer_principal, told.local_principal);
    if told.is_inbound {
        labels.source_principal = or_unknown(peer).into();
        labels.destination_principal = or_unknown(local).into();
        let is_mutual = !peer.is_empty() && !local.is_empty();
        labels.connection_security_policy = if is_mutual { "mutual_tls" } else { "none" }.into();
    } else {
        labels.source_principal = UNKNOWN.into();
        labels.destination_principal = or_unknown(told.peer_identity).into();
        labels.connection_security_policy = UNKNOWN.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> LogNode {
        LogNode {
            workload: "productpage-v1".into(),
            namespace: "bookinfo".into(),
            service: "productpage".into(),
            revision: "v1".into(),
            app: "productpage".into(),
            version: "v1".into(),
            cluster: "Kubernetes".into(),
        }
    }

    fn told(node: &LogNode) -> Told<'_> {
        Told {
            node,
            is_inbound: false,
            protocol: LogProtocol::Http,
            code: 200,
            grpc_status: "",
            flags: "",
            cluster: "outbound|9080|v2|reviews.bookinfo.svc.cluster.local",
            route: "",
            authority: "",
            workload: "",
            namespace: "",
            service: "",
            revision: "",
            peer_cluster: "",
            peer_identity: "",
            peer_principal: "",
            local_principal: "",
        }
    }

    fn service(told: &Told<'_>) -> [String; 3] {
        let labels = labels(told);
        [&labels.destination_service, &labels.destination_service_name, &labels.destination_service_namespace]
            .map(ToString::to_string)
    }

    #[test]
    fn the_called_service_is_read_off_the_cluster() {
        let node = node();
        for (cluster, route, authority, expected) in [
            (
                "outbound|9080|v2|reviews.bookinfo.svc.cluster.local",
                "",
                "reviews:9080",
                ["reviews.bookinfo.svc.cluster.local", "reviews", "bookinfo"],
            ),
            ("outbound|9080||reviews.x.svc.cluster.local;", "", "", ["reviews.x.svc.cluster.local", "reviews", "x"]),
            ("outbound|443||api.example.com", "", "", ["api.example.com", "api.example.com", "unknown"]),
            ("web_backend", "", "shop.example", ["web_backend", "web_backend", "bookinfo"]),
            ("PassthroughCluster", "allow_any", "httpbin.org", ["httpbin.org", "PassthroughCluster", "unknown"]),
            ("", "block_all", "blocked.example.com", ["blocked.example.com", "BlackHoleCluster", "unknown"]),
            ("", "", "nowhere.example", ["unknown", "unknown", "unknown"]),
        ] {
            assert_eq!(service(&Told { cluster, route, authority, ..told(&node) }), expected, "{cluster}");
        }
    }

    #[test]
    fn a_caller_tells_of_itself_and_of_its_peer() {
        let node = node();
        let met = Told {
            workload: "reviews-v2",
            namespace: "bookinfo",
            service: "reviews",
            revision: "v2",
            peer_cluster: "east",
            peer_identity: "spiffe://cluster.local/ns/shop/sa/reviews",
            flags: "URX",
            code: 503,
            ..told(&node)
        };
        let labels = labels(&met);
        let pairs: Vec<String> =
            EdgeLabels::NAMES.iter().zip(labels.values()).map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            pairs.join(" "),
            "reporter=source source_workload=productpage-v1 source_canonical_service=productpage \
             source_canonical_revision=v1 source_workload_namespace=bookinfo source_principal=unknown source_app=productpage \
             source_version=v1 source_cluster=Kubernetes destination_workload=reviews-v2 \
             destination_workload_namespace=shop destination_principal=spiffe://cluster.local/ns/shop/sa/reviews \
             destination_app=reviews destination_version=v2 destination_service=reviews.bookinfo.svc.cluster.local \
             destination_canonical_service=reviews destination_canonical_revision=v2 destination_service_name=reviews \
             destination_service_namespace=bookinfo destination_cluster=east request_protocol=http response_code=503 \
             grpc_response_status= response_flags=URX connection_security_policy=unknown telemetry=logs"
        );
    }

    #[test]
    fn a_called_workload_tells_of_a_caller_it_may_not_know() {
        let node = node();
        let inbound = Told { is_inbound: true, cluster: "inbound|9080||", code: 0, ..told(&node) };
        let labels = labels(&inbound);
        assert_eq!((&*labels.reporter, &*labels.response_code, &*labels.response_flags), ("destination", "0", "-"));
        assert_eq!((&*labels.source_workload, &*labels.source_canonical_revision), ("unknown", "latest"));
        assert_eq!((&*labels.destination_workload, &*labels.destination_service), ("productpage-v1", "productpage"));
        assert_eq!(&*labels.connection_security_policy, "none");
        let mutual = Told { peer_principal: "spiffe://c/ns/a/sa/b", local_principal: "spiffe://c/ns/d/sa/e", ..inbound };
        let labels = super::labels(&mutual);
        assert_eq!((&*labels.connection_security_policy, &*labels.source_workload_namespace), ("mutual_tls", "a"));
    }

    #[test]
    fn a_label_that_is_too_long_is_unknown() {
        let node = node();
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        assert_eq!(service(&Told { cluster: &long, ..told(&node) }), ["unknown", "unknown", "bookinfo"].map(String::from));
    }

    #[test]
    fn directions_are_read_off_clusters() {
        for (cluster, expected) in [
            ("inbound|9080||", Some(Direction::Inbound)),
            ("InboundPassthroughCluster", Some(Direction::Inbound)),
            ("local_app", Some(Direction::Inbound)),
            ("outbound|80||x.y.svc.cluster.local", Some(Direction::Outbound)),
            ("PassthroughCluster", Some(Direction::Outbound)),
            ("web", None),
        ] {
            assert_eq!(Direction::of_cluster(cluster), expected, "{cluster}");
        }
    }
}

//! Who stands at one end of a call, and which node of the graph that is.

use sidelight_api::graph::{GraphType, NodeType};
use std::fmt::Write as _;

/// What Istio writes when it does not know.
pub const UNKNOWN: &str = "unknown";
/// Cluster of requests that no service of the mesh answers but the outside does.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// Cluster of requests that nobody answers.
pub const BLACK_HOLE: &str = "BlackHoleCluster";

/// One end of a call, in the words of the metrics; a field that does not apply is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer<'a> {
    pub cluster: &'a str,
    pub service_namespace: &'a str,
    pub service: &'a str,
    /// Of the workload.
    pub namespace: &'a str,
    pub workload: &'a str,
    pub app: &'a str,
    pub version: &'a str,
}

/// Id of a node, readable, and its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: String,
    pub kind: NodeType,
}

/// Neither empty nor unknown.
#[must_use]
pub fn known(word: &str) -> bool {
    !word.is_empty() && word != UNKNOWN
}

/// A version that tells versions apart: `latest` is what proxies say when there is none.
#[must_use]
pub fn known_version(word: &str) -> bool {
    known(word) && word != "latest"
}

impl<'a> Peer<'a> {
    /// A service as such, as the node in front of its workloads.
    #[must_use]
    pub fn of_service(cluster: &'a str, namespace: &'a str, service: &'a str) -> Self {
        Self { cluster, service_namespace: namespace, service, ..Self::default() }
    }

    /// The workload's namespace, else the service's.
    #[must_use]
    pub fn node_namespace(&self) -> &'a str {
        if known(self.namespace) { self.namespace } else { self.service_namespace }
    }

    /// The node that stands for this peer, following Kiali's order of preference; `None` when the peer names nothing that the
    /// graph could show.
    #[must_use]
    pub fn identify(&self, graph_type: GraphType) -> Option<Identity> {
        let (cluster, namespace) = (self.cluster, self.node_namespace());
        let node = |kind, id| Some(Identity { id, kind });
        let anonymous = self.workload == UNKNOWN && self.app == UNKNOWN;
        if anonymous && namespace == UNKNOWN && self.service.is_empty() {
            return node(NodeType::Unknown, format!("{cluster}_unknown_source"));
        }
        if anonymous && self.service == UNKNOWN {
            return node(NodeType::Service, format!("svc_{cluster}_{namespace}_unknown"));
        }
        let by_app = matches!(graph_type, GraphType::App | GraphType::VersionedApp);
        if by_app && known(self.app) {
            return node(NodeType::App, self.app_id(graph_type));
        }
        if known(self.workload) {
            return node(NodeType::Workload, format!("wl_{cluster}_{namespace}_{}", self.workload));
        }
        if known(self.service) {
            return node(NodeType::Service, format!("svc_{cluster}_{namespace}_{}", self.service));
        }
        None
    }

    fn app_id(&self, graph_type: GraphType) -> String {
        let (cluster, namespace) = (self.cluster, self.node_namespace());
        // The workload, not the label, tells versioned apps apart: labels are repeated by mistake, workload names cannot be.
        if graph_type == GraphType::VersionedApp {
            if known(self.workload) {
                return format!("vapp_{cluster}_{namespace}_{}", self.workload);
            }
            if known_version(self.version) {
                return format!("vapp_{cluster}_{namespace}_{}_{}", self.app, self.version);
            }
        }
        format!("app_{cluster}_{namespace}_{}", self.app)
    }
}

/// The form in which ids travel: stable, opaque, as Kiali makes them.
#[must_use]
pub fn hash(id: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(id.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Identity, Peer, hash};
    use sidelight_api::graph::{GraphType, NodeType};

    const REVIEWS: Peer<'_> = Peer {
        cluster: "c",
        service_namespace: "bookinfo",
        service: "reviews",
        namespace: "bookinfo",
        workload: "reviews-v2",
        app: "reviews",
        version: "v2",
    };

    fn check(peer: Peer<'_>, expected: [(GraphType, &str, NodeType); 4]) {
        for (graph_type, id, kind) in expected {
            assert_eq!(peer.identify(graph_type), Some(Identity { id: id.to_owned(), kind }), "{graph_type:?}");
        }
    }

    #[test]
    fn a_workload_in_the_four_graphs() {
        check(
            REVIEWS,
            [
                (GraphType::App, "app_c_bookinfo_reviews", NodeType::App),
                (GraphType::VersionedApp, "vapp_c_bookinfo_reviews-v2", NodeType::App),
                (GraphType::Workload, "wl_c_bookinfo_reviews-v2", NodeType::Workload),
                (GraphType::Service, "wl_c_bookinfo_reviews-v2", NodeType::Workload),
            ],
        );
    }

    #[test]
    fn a_workload_without_app_label_stays_a_workload() {
        let id = "wl_c_bookinfo_reviews-v2";
        check(Peer { app: "unknown", version: "unknown", ..REVIEWS }, GraphType::ALL.map(|t| (t, id, NodeType::Workload)));
    }

    #[test]
    fn an_app_without_workload_is_told_apart_by_its_version() {
        let peer = Peer { workload: "unknown", ..REVIEWS };
        assert_eq!(peer.identify(GraphType::VersionedApp).unwrap().id, "vapp_c_bookinfo_reviews_v2");
        let latest = Peer { version: "latest", ..peer };
        assert_eq!(latest.identify(GraphType::VersionedApp).unwrap().id, "app_c_bookinfo_reviews");
    }

    #[test]
    fn a_failed_request_ends_at_the_service() {
        let peer = Peer { namespace: "unknown", workload: "unknown", app: "unknown", version: "latest", ..REVIEWS };
        check(peer, GraphType::ALL.map(|t| (t, "svc_c_bookinfo_reviews", NodeType::Service)));
    }

    #[test]
    fn passthrough_is_a_service_of_no_namespace() {
        let peer = Peer {
            cluster: "unknown",
            service_namespace: "unknown",
            service: "PassthroughCluster",
            namespace: "unknown",
            workload: "unknown",
            app: "unknown",
            version: "latest",
        };
        assert_eq!(peer.identify(GraphType::App).unwrap().id, "svc_unknown_unknown_PassthroughCluster");
    }

    #[test]
    fn callers_without_a_proxy_are_one_node_per_cluster() {
        let source = Peer {
            cluster: "unknown",
            service_namespace: "unknown",
            namespace: "unknown",
            workload: "unknown",
            app: "unknown",
            version: "latest",
            ..Peer::default()
        };
        check(source, GraphType::ALL.map(|t| (t, "unknown_unknown_source", NodeType::Unknown)));
    }

    #[test]
    fn requests_to_nowhere_are_one_node_per_namespace() {
        let peer = Peer { service: "unknown", workload: "unknown", app: "unknown", ..REVIEWS };
        check(peer, GraphType::ALL.map(|t| (t, "svc_c_bookinfo_unknown", NodeType::Service)));
    }

    #[test]
    fn nothing_known_is_nothing_shown() {
        assert_eq!(Peer { cluster: "c", namespace: "ns", ..Peer::default() }.identify(GraphType::App), None);
        let app_only = Peer { cluster: "c", namespace: "ns", app: "a", ..Peer::default() };
        assert_eq!(app_only.identify(GraphType::Workload), None);
    }

    #[test]
    fn hashes_are_sha_256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

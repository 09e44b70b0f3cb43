//! Which value each label takes, for both reporters, as a list of differences from a plain call.

use super::*;
use crate::peer::Peer;
use crate::testing::{cluster, gateway, workload};

/// productpage-v1 calls reviews-v1 and both sides know all of each other.
struct Case {
    node: NodeIdentity,
    peer: Option<Arc<Peer>>,
    cluster: Option<Arc<ClusterInfo>>,
    tls: Option<Arc<TlsIdentity>>,
    route: &'static str,
    authority: &'static str,
    reporter: Reporter,
    rpc: Rpc,
}

fn client() -> Case {
    Case {
        node: workload("productpage", "v1"),
        peer: Some(Peer::from_exchange(workload("reviews", "v1").to_peer())),
        cluster: Some(cluster("reviews")),
        tls: None,
        route: "default",
        authority: "reviews:9080",
        reporter: Reporter::Source,
        rpc: Rpc::Http,
    }
}

fn server() -> Case {
    Case {
        node: workload("reviews", "v1"),
        peer: Some(Peer::from_exchange(workload("productpage", "v1").to_peer())),
        cluster: Some(Arc::new(ClusterInfo::new("inbound|9080||"))),
        reporter: Reporter::Destination,
        ..client()
    }
}

impl Case {
    fn render(&self) -> String {
        let sources = LabelSources {
            reporter: self.reporter,
            node: &self.node,
            peer: self.peer.as_deref(),
            cluster: self.cluster.as_deref(),
            tls: self.tls.as_deref(),
            route: RouteKind::of(self.route),
            authority: self.authority,
            code: 200,
            rpc: self.rpc,
            flags: ResponseFlags::default(),
        };
        let mut text = String::new();
        sources.render(&mut text);
        text
    }

    #[track_caller]
    fn expect(&self, expected: &[(&str, &str)]) {
        let text = self.render();
        for (name, value) in expected {
            let sample = format!("{name}=\"{value}\"");
            let found = format!(",{text},").contains(&format!(",{sample},"));
            assert!(found, "{sample} is not in\n{text}");
        }
    }
}

#[test]
fn the_client_side_has_istios_order_and_values() {
    let tls = TlsIdentity::new(
        Some("spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews".to_owned()),
        Some("spiffe://cluster.local/ns/bookinfo/sa/bookinfo-productpage".to_owned()),
    );
    let expected = r#"reporter="source",source_workload="productpage-v1",source_canonical_service="productpage",source_canonical_revision="v1",source_workload_namespace="bookinfo",source_principal="spiffe://cluster.local/ns/bookinfo/sa/bookinfo-productpage",source_app="productpage",source_version="v1",source_cluster="Kubernetes",destination_workload="reviews-v1",destination_workload_namespace="bookinfo",destination_principal="spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews",destination_app="reviews",destination_version="v1",destination_service="reviews.bookinfo.svc.cluster.local",destination_canonical_service="reviews",destination_canonical_revision="v1",destination_service_name="reviews",destination_service_namespace="bookinfo",destination_cluster="Kubernetes",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="unknown""#;
    assert_eq!(Case { tls: Some(tls), ..client() }.render(), expected);
}

#[test]
fn the_server_side_has_istios_order_and_values() {
    let expected = r#"reporter="destination",source_workload="productpage-v1",source_canonical_service="productpage",source_canonical_revision="v1",source_workload_namespace="bookinfo",source_principal="unknown",source_app="productpage",source_version="v1",source_cluster="Kubernetes",destination_workload="reviews-v1",destination_workload_namespace="bookinfo",destination_principal="unknown",destination_app="reviews",destination_version="v1",destination_service="reviews",destination_canonical_service="reviews",destination_canonical_revision="v1",destination_service_name="reviews",destination_service_namespace="bookinfo",destination_cluster="Kubernetes",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="none""#;
    assert_eq!(server().render(), expected);
}

#[test]
fn an_unknown_client_is_unknown_and_latest() {
    Case { peer: None, ..server() }.expect(&[
        ("source_workload", "unknown"),
        ("source_canonical_service", "unknown"),
        ("source_canonical_revision", "latest"),
        ("source_workload_namespace", "unknown"),
        ("source_principal", "unknown"),
        ("source_app", "unknown"),
        ("source_version", "unknown"),
        ("source_cluster", "unknown"),
        ("connection_security_policy", "none"),
    ]);
}

#[test]
fn an_endpoint_tells_neither_app_nor_version() {
    let endpoint = Peer::from_endpoint_metadata("reviews-v2;bookinfo;reviews;v2;Kubernetes");
    Case { peer: endpoint, ..client() }.expect(&[
        ("destination_workload", "reviews-v2"),
        ("destination_canonical_revision", "v2"),
        ("destination_app", "unknown"),
        ("destination_version", "unknown"),
        ("destination_cluster", "Kubernetes"),
    ]);
}

#[test]
fn own_values_stay_empty() {
    let mut node = workload("productpage", "v1");
    node.labels.clear();
    Case { node: node.clone(), ..client() }.expect(&[("source_app", ""), ("source_version", "")]);
    Case { node, ..server() }.expect(&[("destination_app", ""), ("destination_version", "")]);
}

#[test]
fn passthrough_keeps_the_host_as_the_service() {
    let passthrough = Case {
        peer: None,
        cluster: Some(Arc::new(ClusterInfo::new("PassthroughCluster"))),
        route: "allow_any",
        authority: "httpbin.org",
        ..client()
    };
    passthrough.expect(&[
        ("destination_service_name", "PassthroughCluster"),
        ("destination_service", "httpbin.org"),
        ("destination_workload", "unknown"),
        ("destination_service_namespace", "unknown"),
    ]);
}

#[test]
fn blackholed_requests_say_so() {
    let blocked = Case { peer: None, cluster: None, route: "block_all", authority: "x.example", ..client() };
    blocked.expect(&[("destination_service_name", "BlackHoleCluster"), ("destination_service", "x.example")]);
}

#[test]
fn a_request_without_route_is_named_after_its_host() {
    let lost = Case { peer: None, cluster: None, route: "", authority: "nowhere:80", ..client() };
    lost.expect(&[("destination_service_name", "nowhere:80"), ("destination_service", "nowhere:80")]);
    // Not at gateways.
    Case { node: gateway(), ..lost }.expect(&[("destination_service_name", "unknown"), ("destination_service", "unknown")]);
}

#[test]
fn inbound_passthrough_is_named_after_its_cluster() {
    let cluster = Some(Arc::new(ClusterInfo::new("InboundPassthroughCluster")));
    Case { cluster, ..server() }
        .expect(&[("destination_service_name", "InboundPassthroughCluster"), ("destination_service", "reviews")]);
}

#[test]
fn inbound_clusters_with_a_service_name_it() {
    Case { cluster: Some(cluster("reviews")), ..server() }.expect(&[
        ("destination_service", "reviews.bookinfo.svc.cluster.local"),
        ("destination_service_name", "reviews"),
        ("destination_service_namespace", "bookinfo"),
    ]);
}

#[test]
fn a_service_without_name_is_called_by_its_first_label() {
    let service = ServiceInfo { host: "ratings.prod.svc".to_owned(), ..ServiceInfo::default() };
    let cluster = ClusterInfo::new("outbound|80||ratings.prod.svc").with_service(service);
    Case { cluster: Some(Arc::new(cluster)), ..client() }.expect(&[
        ("destination_service_name", "ratings"),
        // Not told by the cluster: the peer's.
        ("destination_service_namespace", "bookinfo"),
    ]);
}

#[test]
fn the_namespace_of_a_principal_wins() {
    let tls = |peer: &str, local: Option<&str>| Some(TlsIdentity::new(Some(peer.to_owned()), local.map(str::to_owned)));
    let principal = "spiffe://cluster.local/ns/other/sa/x";
    Case { tls: tls(principal, Some("spiffe://l")), ..server() }.expect(&[
        ("source_workload_namespace", "other"),
        ("source_principal", principal),
        ("destination_principal", "spiffe://l"),
        ("connection_security_policy", "mutual_tls"),
    ]);
    Case { tls: tls(principal, None), ..server() }.expect(&[("connection_security_policy", "none")]);
    Case { tls: tls(principal, Some("spiffe://l")), ..client() }.expect(&[
        ("destination_workload_namespace", "other"),
        ("destination_service_namespace", "bookinfo"),
        ("source_principal", "spiffe://l"),
        ("connection_security_policy", "unknown"),
    ]);
}

#[test]
fn without_certificates_the_told_identity_is_the_principal() {
    let mut told = workload("reviews", "v1").to_peer();
    told.identity = "spiffe://cluster.local/ns/told/sa/r".to_owned();
    Case { peer: Some(Peer::from_exchange(told)), ..client() }
        .expect(&[("destination_principal", "spiffe://cluster.local/ns/told/sa/r"), ("destination_workload_namespace", "told")]);
}

#[test]
fn a_host_that_is_too_long_to_be_one_is_unknown() {
    let long: &str = "h".repeat(AUTHORITY_BYTES_MAX + 1).leak();
    Case { cluster: None, authority: long, ..client() }
        .expect(&[("destination_service", "unknown"), ("destination_service_name", "unknown")]);
}

#[test]
fn grpc_has_its_status() {
    Case { rpc: Rpc::Grpc(Some(14)), ..client() }.expect(&[("request_protocol", "grpc"), ("grpc_response_status", "14")]);
    Case { rpc: Rpc::Grpc(None), ..client() }.expect(&[("request_protocol", "grpc"), ("grpc_response_status", "")]);
}

#[test]
fn values_are_escaped() {
    let mut text = String::new();
    label(&mut text, "a", "1\\2\"3\n4");
    label(&mut text, "b", "");
    assert_eq!(text, "a=\"1\\\\2\\\"3\\n4\",b=\"\"");
}

//! Bootstraps as people write them, and the answers to their mistakes.

use super::*;

const GOOD: &str = r#"
node:
  id: sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local
  cluster: productpage.bookinfo
  metadata:
    NAME: productpage-v1-0
    NAMESPACE: bookinfo
    WORKLOAD_NAME: productpage-v1
    LABELS: {app: productpage, version: v1}
    SIDELIGHT_STATUS_PORT: "15020"
  locality: {region: r1, zone: z1}
admin:
  address: {socket_address: {address: 127.1.0.11, port_value: 15000}}
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds-grpc}}]
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: xds-grpc
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: xds-grpc
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 15010}}}
stats_config: {}
"#;

#[test]
fn a_whole_bootstrap() {
    let bootstrap = Bootstrap::from_yaml(GOOD).unwrap();
    assert_eq!(bootstrap.identity.workload, "productpage-v1");
    assert_eq!(bootstrap.identity.zone, "z1");
    assert_eq!(bootstrap.admin, Some("127.1.0.11:15000".parse().unwrap()));
    assert_eq!(bootstrap.control_plane, Some(("127.0.0.1".to_owned(), 15010)));
    assert_eq!(bootstrap.clusters[0].connect_timeout, Duration::from_secs(1));
    assert_eq!(bootstrap.ignored, ["stats_config"]);
    assert_eq!(bootstrap.document["node"]["metadata"]["NAMESPACE"], "bookinfo");
}

#[test]
fn json_is_read_by_the_same_door() {
    let json = Bootstrap::from_yaml(GOOD).unwrap().document.to_string();
    assert_eq!(Bootstrap::from_yaml(&json).unwrap().node.cluster, "productpage.bookinfo");
}

fn error(from: &str, to: &str) -> String {
    let broken = GOOD.replace(from, to);
    assert_ne!(broken, GOOD, "the test changes nothing");
    Bootstrap::from_yaml(&broken).unwrap_err().to_string()
}

#[test]
fn an_unknown_key_is_told_with_line_and_column() {
    let error = error("stats_config: {}", "sidelight: {}");
    assert!(error.contains("sidelight"), "{error}");
    assert!(error.contains("line 31") || error.contains("31:1"), "{error}");
}

#[test]
fn a_port_out_of_range_is_told_with_its_line() {
    let error = error("port_value: 15000", "port_value: 150000");
    assert!(error.contains("12"), "{error}");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    assert_eq!(
        error("cluster_name: xds-grpc}", "cluster_name: istiod}"),
        "bootstrap: `dynamic_resources.ads_config.grpc_services` names the cluster `istiod`, \
         which is not in static_resources.clusters"
    );
}

#[test]
fn a_malformed_node_id_is_refused() {
    let error = error("sidecar~127.1.0.11~productpage-v1-0.bookinfo~", "nonsense");
    assert!(error.starts_with("bootstrap: `node`: node id `nonsense"), "{error}");
}

#[test]
fn a_name_in_a_static_cluster_is_refused() {
    assert_eq!(
        error("{address: 127.0.0.1, port_value: 15010}", "{address: istiod, port_value: 15010}"),
        "bootstrap: `static_resources.clusters[0].load_assignment` has `istiod`, \
         which is not an IP address; use type STRICT_DNS for names"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = Bootstrap::from_yaml(&text);
    }

    #[test]
    fn a_cut_bootstrap_is_an_error_or_whole(at in 0usize..GOOD.len()) {
        if let Some(text) = GOOD.get(..at) {
            let _ = Bootstrap::from_yaml(text);
        }
    }
}

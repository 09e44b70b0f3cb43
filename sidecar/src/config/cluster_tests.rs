//! Clusters from literal protobufs.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::google::protobuf as pb;

use super::*;

fn with_type(kind: cluster::cluster::DiscoveryType) -> cluster::Cluster {
    cluster::Cluster {
        name: "outbound|9080||reviews.bookinfo.svc.cluster.local".into(),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(kind as i32)),
        ..Default::default()
    }
}

fn compile(from: &cluster::Cluster) -> Result<Cluster, ConfigError> {
    Cluster::compile(from, &mut Notes::default())
}

fn address(host: &str, port: u32) -> core::Address {
    core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: host.into(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port)),
            ..Default::default()
        })),
    }
}

fn assignment(host: &str, port: u32) -> endpoint::ClusterLoadAssignment {
    endpoint::ClusterLoadAssignment {
        endpoints: vec![endpoint::LocalityLbEndpoints {
            lb_endpoints: vec![endpoint::LbEndpoint {
                host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(endpoint::Endpoint {
                    address: Some(address(host, port)),
                    ..Default::default()
                })),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn an_eds_cluster_without_service_name_asks_for_its_own_name() {
    let compiled = compile(&with_type(cluster::cluster::DiscoveryType::Eds)).unwrap();
    assert_eq!(compiled.discovery, Discovery::Eds("outbound|9080||reviews.bookinfo.svc.cluster.local".into()));
    assert_eq!(compiled.connections_max, 1024);
    assert_eq!(compiled.connect_timeout, Duration::from_secs(5));
}

#[test]
fn istio_metadata_names_the_service() {
    let mut from = with_type(cluster::cluster::DiscoveryType::Eds);
    let istio = super::super::value::struct_from_json(
        serde_json::json!({"services": [{"host": "reviews.bookinfo.svc.cluster.local",
            "name": "reviews", "namespace": "bookinfo"}]})
        .as_object()
        .unwrap(),
    );
    from.metadata = Some(core::Metadata { filter_metadata: [("istio".to_owned(), istio)].into(), ..Default::default() });
    assert_eq!(
        compile(&from).unwrap().service,
        Some(Service {
            host: "reviews.bookinfo.svc.cluster.local".into(),
            name: Some("reviews".into()),
            namespace: Some("bookinfo".into()),
        })
    );
}

#[test]
fn a_static_cluster_takes_addresses_only() {
    let mut from = with_type(cluster::cluster::DiscoveryType::Static);
    from.load_assignment = Some(assignment("127.2.0.11", 9080));
    let Discovery::Static(endpoints) = compile(&from).unwrap().discovery else {
        panic!("not static");
    };
    assert_eq!(endpoints[0].address(), Some("127.2.0.11:9080".parse().unwrap()));

    from.load_assignment = Some(assignment("app.local", 9080));
    assert_eq!(
        compile(&from).unwrap_err().to_string(),
        "cluster `outbound|9080||reviews.bookinfo.svc.cluster.local`: `load_assignment`: \
         `app.local` is not an IP address; use type STRICT_DNS for names"
    );
}

#[test]
fn a_negative_connect_timeout_is_refused() {
    let mut from = with_type(cluster::cluster::DiscoveryType::Eds);
    from.connect_timeout = Some(pb::Duration { seconds: -1, nanos: 0 });
    assert!(compile(&from).is_err());
}

#[test]
fn other_balancers_become_round_robin_with_a_note() {
    let mut from = with_type(cluster::cluster::DiscoveryType::Eds);
    from.lb_policy = cluster::cluster::LbPolicy::Maglev as i32;
    let mut notes = Notes::default();
    let compiled = Cluster::compile(&from, &mut notes).unwrap();
    assert_eq!(compiled.policy, Policy::RoundRobin);
    assert_eq!(notes.into_inner(), ["lb_policy MAGLEV is served as ROUND_ROBIN"]);
}

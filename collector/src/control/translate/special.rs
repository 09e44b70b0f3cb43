//! Clusters that every proxy has, whatever services there are.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, LbPolicy};
use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints};
use envoy_types::pb::google::protobuf::Duration;

use crate::control::ControlSettings;
use crate::control::resources::ProxyResources;
use crate::control::wire::socket_address;

pub(super) const BLACK_HOLE: &str = "BlackHoleCluster";
pub(super) const PASSTHROUGH: &str = "PassthroughCluster";
pub(super) const ZIPKIN: &str = "zipkin";

const CONNECT_TIMEOUT: Duration = Duration { seconds: 10, nanos: 0 };

/// Port of a span receiver whose address names none.
const ZIPKIN_PORT: u16 = 9411;

pub(super) fn add(resources: &mut ProxyResources, settings: &ControlSettings) {
    resources.add_cluster(cluster(BLACK_HOLE, DiscoveryType::Static));
    resources
        .add_cluster(Cluster { lb_policy: LbPolicy::ClusterProvided.into(), ..cluster(PASSTHROUGH, DiscoveryType::OriginalDst) });
    resources.add_cluster(zipkin(&settings.zipkin));
}

fn zipkin(place: &str) -> Cluster {
    let (host, port) = split_host_port(place);
    let discovery = if is_ip(host) { DiscoveryType::Static } else { DiscoveryType::StrictDns };
    Cluster { load_assignment: Some(load_assignment(ZIPKIN, socket_address(host, port))), ..cluster(ZIPKIN, discovery) }
}

pub(super) fn cluster(name: &str, discovery: DiscoveryType) -> Cluster {
    Cluster {
        name: name.to_owned(),
        connect_timeout: Some(CONNECT_TIMEOUT),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
        ..Cluster::default()
    }
}

/// One address, inside the cluster itself.
pub(super) fn load_assignment(cluster_name: &str, address: Address) -> ClusterLoadAssignment {
    let endpoint = Endpoint { address: Some(address), ..Endpoint::default() };
    let lb_endpoint = LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..LbEndpoint::default() };
    ClusterLoadAssignment {
        cluster_name: cluster_name.to_owned(),
        endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![lb_endpoint], ..LocalityLbEndpoints::default() }],
        ..ClusterLoadAssignment::default()
    }
}

/// `host:port`, `[v6]:port` or a host alone.
pub(super) fn split_host_port(place: &str) -> (&str, u16) {
    let split = place.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = split.unwrap_or((place, ZIPKIN_PORT));
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

fn is_ip(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

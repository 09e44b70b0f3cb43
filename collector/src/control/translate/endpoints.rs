//! The addresses behind a cluster, with the workload that each belongs to.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::Locality;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints,
};
use sidelight_mesh::registry::Endpoint;

use crate::control::wire::{istio_metadata, socket_address, text_value, uint};

/// Grouped by region and zone, in the order of the workloads' node ids.
pub(super) fn load_assignment(cluster_name: &str, endpoints: &[Endpoint]) -> ClusterLoadAssignment {
    let mut places: BTreeMap<(&str, &str), Vec<LbEndpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        let identity = &endpoint.workload.identity;
        places.entry((&identity.region, &identity.zone)).or_default().push(lb_endpoint(endpoint));
    }
    ClusterLoadAssignment {
        cluster_name: cluster_name.to_owned(),
        endpoints: places.into_iter().map(|((region, zone), endpoints)| in_place(region, zone, endpoints)).collect(),
        ..ClusterLoadAssignment::default()
    }
}

fn in_place(region: &str, zone: &str, lb_endpoints: Vec<LbEndpoint>) -> LocalityLbEndpoints {
    let locality = Locality { region: region.to_owned(), zone: zone.to_owned(), ..Locality::default() };
    LocalityLbEndpoints {
        locality: (locality != Locality::default()).then_some(locality),
        load_balancing_weight: Some(uint(u32::try_from(lb_endpoints.len()).unwrap_or(u32::MAX))),
        lb_endpoints,
        ..LocalityLbEndpoints::default()
    }
}

fn lb_endpoint(endpoint: &Endpoint) -> LbEndpoint {
    let workload = endpoint.workload.identity.to_peer().to_endpoint_metadata();
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(EnvoyEndpoint {
            address: Some(socket_address(&endpoint.address.to_string(), endpoint.port)),
            ..EnvoyEndpoint::default()
        })),
        metadata: Some(istio_metadata(vec![("workload", text_value(&workload))])),
        load_balancing_weight: Some(uint(1)),
        ..LbEndpoint::default()
    }
}

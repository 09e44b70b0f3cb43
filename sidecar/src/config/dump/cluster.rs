//! Clusters and endpoints as JSON.

use envoy_types::pb::envoy::config::cluster::v3 as pb;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use serde_json::{Value, json};

use super::{Object, address, duration, metadata, number};

pub fn cluster(from: &pb::Cluster) -> Object {
    use pb::cluster::{ClusterDiscoveryType, DiscoveryType, LbPolicy};
    let kind = match &from.cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(kind)) => DiscoveryType::try_from(*kind).map_or("STATIC", |kind| kind.as_str_name()),
        _ => "STATIC",
    };
    let policy = LbPolicy::try_from(from.lb_policy).ok().filter(|_| from.lb_policy != 0).map(|policy| policy.as_str_name());
    let eds = from.eds_cluster_config.as_ref().map(|eds| {
        Object::default()
            .put("eds_config", json!({"ads": {}, "resource_api_version": "V3"}))
            .put("service_name", eds.service_name.as_str())
    });
    Object::default()
        .put("name", from.name.as_str())
        .put("alt_stat_name", from.alt_stat_name.as_str())
        // Also when it is the default, because tools print it.
        .put("type", kind)
        .put_some("eds_cluster_config", eds)
        .put_some("connect_timeout", duration(from.connect_timeout.as_ref()))
        .put_some("lb_policy", policy)
        .put_some("load_assignment", from.load_assignment.as_ref().map(assignment))
        .put_some("circuit_breakers", from.circuit_breakers.as_ref().map(circuit_breakers))
        .put_some("metadata", metadata(from.metadata.as_ref()))
}

fn circuit_breakers(from: &pb::CircuitBreakers) -> Object {
    Object::default().put_all("thresholds", &from.thresholds, |threshold| {
        Object::default()
            .put_some("max_connections", number(threshold.max_connections.as_ref()))
            .put_some("max_pending_requests", number(threshold.max_pending_requests.as_ref()))
            .put_some("max_requests", number(threshold.max_requests.as_ref()))
            .put_some("max_retries", number(threshold.max_retries.as_ref()))
            .put("track_remaining", threshold.track_remaining)
            .into()
    })
}

pub fn assignment(from: &endpoint::ClusterLoadAssignment) -> Object {
    Object::default().put("cluster_name", from.cluster_name.as_str()).put_all("endpoints", &from.endpoints, group)
}

fn group(from: &endpoint::LocalityLbEndpoints) -> Value {
    let locality = from.locality.as_ref().map(|locality| {
        Object::default()
            .put("region", locality.region.as_str())
            .put("zone", locality.zone.as_str())
            .put("sub_zone", locality.sub_zone.as_str())
    });
    Object::default()
        .put_some("locality", locality)
        .put_all("lb_endpoints", &from.lb_endpoints, host)
        .put_some("load_balancing_weight", number(from.load_balancing_weight.as_ref()))
        .put("priority", from.priority)
        .into()
}

fn host(from: &endpoint::LbEndpoint) -> Value {
    let endpoint = match &from.host_identifier {
        Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(endpoint)) => Some(
            Object::default().put_some("address", address(endpoint.address.as_ref())).put("hostname", endpoint.hostname.as_str()),
        ),
        _ => None,
    };
    let health = core::HealthStatus::try_from(from.health_status)
        .ok()
        .filter(|_| from.health_status != 0)
        .map(|status| status.as_str_name());
    Object::default()
        .put_some("endpoint", endpoint)
        .put_some("health_status", health)
        .put_some("metadata", metadata(from.metadata.as_ref()))
        .put_some("load_balancing_weight", number(from.load_balancing_weight.as_ref()))
        .into()
}

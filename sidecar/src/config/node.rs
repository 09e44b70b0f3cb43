//! This proxy as xDS introduces it to the control plane.

use envoy_types::pb::envoy::config::core::v3 as core;

use super::value::struct_from_json;
use crate::bootstrap::Node;

pub fn to_xds(node: &Node) -> core::Node {
    core::Node {
        id: node.id.clone(),
        cluster: node.cluster.clone(),
        metadata: Some(struct_from_json(&node.metadata)),
        locality: Some(core::Locality {
            region: node.locality.region.clone(),
            zone: node.locality.zone.clone(),
            sub_zone: node.locality.sub_zone.clone(),
        }),
        // What Istio and Envoy's own tools expect from whoever speaks xDS v3.
        user_agent_name: "envoy".to_owned(),
        ..Default::default()
    }
}

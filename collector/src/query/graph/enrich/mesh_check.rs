//! Marks workloads that have no sidecar: they are called or call, but nobody beside them has ever told of it.

use sidelight_api::graph::NodeType;

use super::Context;
use crate::query::graph::traffic::{Node, TrafficMap};

pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    for node in map.nodes.values_mut() {
        let has_workload = matches!(node.data.node_type, NodeType::App | NodeType::Workload);
        node.data.is_out_of_mesh = has_workload && !node.reported && !is_registered(node, context);
    }
}

fn is_registered(node: &Node, context: Context<'_>) -> bool {
    let namespace = &node.data.namespace;
    match (&node.data.workload, &node.data.app) {
        (Some(name), _) => context.mesh.workload(namespace, name).is_some(),
        (None, Some(app)) => context.mesh.workloads_of(namespace, app).next().is_some(),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests;

//! Marks nodes that lie outside the chosen namespaces, and those that lie nowhere.

use sidelight_api::graph::NodeType;

use super::Context;
use crate::query::graph::peer::known;
use crate::query::graph::traffic::TrafficMap;

pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    for node in map.nodes.values_mut() {
        let nowhere = match node.data.node_type {
            NodeType::Unknown => true,
            NodeType::Service => node.egress_cluster || !known(&node.data.namespace),
            _ => false,
        };
        node.data.is_inaccessible = nowhere;
        node.data.is_outside = !nowhere && !context.options.wants(&node.data.namespace);
    }
}

#[cfg(test)]
mod tests;

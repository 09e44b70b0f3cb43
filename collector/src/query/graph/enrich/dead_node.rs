//! Takes nodes off the graph that have no traffic and do not exist any more, and marks those that exist without a running
//! instance.

use std::collections::{BTreeSet, HashSet};

use sidelight_api::graph::NodeType;

use super::Context;
use crate::query::graph::traffic::{Id, Node, TrafficMap};

/// Repeats until nothing more falls away: a service goes when the last workload behind it has gone.
pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    loop {
        let doomed = doomed(map, context);
        if doomed.is_empty() {
            break;
        }
        map.remove(&doomed);
    }
    let busy = busy(map);
    for node in map.nodes.values_mut().filter(|node| !busy.contains(&node.id)) {
        let workload = node.data.workload.as_deref().and_then(|name| context.mesh.workload(&node.data.namespace, name));
        node.data.is_dead = workload.is_some_and(|workload| workload.connected == 0);
    }
}

fn doomed(map: &TrafficMap, context: Context<'_>) -> BTreeSet<Id> {
    let busy = busy(map);
    let calling: HashSet<&Id> = map.edges.keys().map(|key| &key.source).collect();
    let idle = map.nodes.values().filter(|node| !busy.contains(&node.id));
    idle.filter(|node| is_gone(node, calling.contains(&node.id), context)).map(|node| node.id.clone()).collect()
}

fn busy(map: &TrafficMap) -> HashSet<Id> {
    let with_traffic = map.edges.iter().filter(|(_, edge)| edge.tally.amount > 0);
    with_traffic.flat_map(|(key, _)| [key.source.clone(), key.target.clone()]).collect()
}

fn is_gone(node: &Node, calls: bool, context: Context<'_>) -> bool {
    match node.data.node_type {
        NodeType::Aggregate | NodeType::Box => false,
        NodeType::Service => !calls && !node.egress_cluster,
        NodeType::Unknown => true,
        // An app without a version has no one workload that could be missing.
        NodeType::App | NodeType::Workload => {
            node.data.workload.as_deref().is_some_and(|name| context.mesh.workload(&node.data.namespace, name).is_none())
        }
    }
}

#[cfg(test)]
mod tests;

//! Turns a workload graph with service nodes into a service graph: what a service's workloads call, the service calls.

use std::collections::{BTreeMap, BTreeSet};

use sidelight_api::graph::NodeType;

use super::traffic::{EdgeKey, Id, TrafficMap};

/// Keeps services, and of the rest only callers that no service stands for: where traffic comes from.
#[must_use]
pub fn to_service_graph(map: &TrafficMap) -> TrafficMap {
    let is_service = |id: &Id| map.nodes.get(id).is_some_and(|node| node.data.node_type == NodeType::Service);
    let mut behind: BTreeMap<&Id, BTreeSet<&Id>> = BTreeMap::new();
    for key in map.edges.keys().filter(|key| is_service(&key.source)) {
        behind.entry(&key.target).or_default().insert(&key.source);
    }
    let mut reduced = TrafficMap::default();
    for (key, edge) in map.edges.iter().filter(|(key, _)| is_service(&key.target)) {
        let callers = behind.get(&key.source);
        let itself = callers.is_none().then_some(&key.source);
        for caller in callers.into_iter().flatten().copied().chain(itself) {
            let key = EdgeKey { source: Id::clone(caller), target: Id::clone(&key.target), protocol: key.protocol };
            reduced.edges.entry(key).or_default().merge(edge);
        }
    }
    let ends: BTreeSet<&Id> = reduced.edges.keys().flat_map(|key| [&key.source, &key.target]).collect();
    let kept = map.nodes.iter().filter(|(id, _)| is_service(id) || ends.contains(id));
    reduced.nodes = kept.map(|(id, node)| (Id::clone(id), node.clone())).collect();
    reduced
}

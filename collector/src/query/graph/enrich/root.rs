//! Marks where traffic comes from: nodes that call and are never called.

use std::collections::HashSet;

use crate::query::graph::traffic::{Id, TrafficMap};

pub fn enrich(map: &mut TrafficMap) {
    let sources: HashSet<Id> = map.edges.keys().map(|key| key.source.clone()).collect();
    let targets: HashSet<Id> = map.edges.keys().map(|key| key.target.clone()).collect();
    for node in map.nodes.values_mut() {
        node.data.is_root = sources.contains(&node.id) && !targets.contains(&node.id);
    }
}

#[cfg(test)]
mod tests;

//! Puts the labels of workloads and services on their nodes, for finding and hiding by label.

use std::collections::BTreeMap;

use sidelight_api::graph::{Node, NodeType};

use super::Context;
use crate::query::graph::traffic::TrafficMap;

/// Labels that have fields of their own.
const LABELS_SHOWN_ELSEWHERE: [&str; 2] = ["app", "version"];

pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    for node in map.nodes.values_mut() {
        let mut labels = labels_of(&node.data, context);
        labels.retain(|name, _| !LABELS_SHOWN_ELSEWHERE.contains(&name.as_str()));
        node.data.labels = labels;
    }
}

fn labels_of(node: &Node, context: Context<'_>) -> BTreeMap<String, String> {
    let (mesh, namespace) = (context.mesh, &node.namespace);
    match (&node.workload, &node.service, &node.app) {
        (Some(workload), _, _) => mesh.workload(namespace, workload).map(|w| w.labels.clone()).unwrap_or_default(),
        (None, Some(service), _) => mesh.service(namespace, service).map(|s| s.labels.clone()).unwrap_or_default(),
        (None, None, Some(app)) if node.node_type == NodeType::App => shared_labels(context, namespace, app),
        _ => BTreeMap::new(),
    }
}

/// Labels that all workloads of an app carry alike.
fn shared_labels(context: Context<'_>, namespace: &str, app: &str) -> BTreeMap<String, String> {
    let mut workloads = context.mesh.workloads_of(namespace, app);
    let mut shared = workloads.next().map(|(_, facts)| facts.labels.clone()).unwrap_or_default();
    for (_, facts) in workloads {
        shared.retain(|name, value| facts.labels.get(name) == Some(value));
    }
    shared
}

#[cfg(test)]
mod tests;

//! Adds what exists in the chosen namespaces but took no part in the window's traffic.

use sidelight_api::graph::GraphType;

use super::Context;
use crate::query::graph::peer::Peer;
use crate::query::graph::traffic::TrafficMap;

pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    let options = context.options;
    if options.graph_type != GraphType::Service {
        for ((namespace, name), facts) in &context.mesh.workloads {
            let peer = Peer {
                cluster: &facts.cluster,
                namespace,
                workload: name,
                app: &facts.app,
                version: &facts.version,
                ..Peer::default()
            };
            add(map, &peer, context);
        }
    }
    if options.inject_services {
        let cluster = home_cluster(map, context);
        for (namespace, name) in context.mesh.services.keys() {
            add(map, &Peer::of_service(&cluster, namespace, name), context);
        }
    }
}

fn add(map: &mut TrafficMap, peer: &Peer<'_>, context: Context<'_>) {
    let graph_type = context.options.graph_type;
    if !context.options.wants(peer.node_namespace()) {
        return;
    }
    let Some(identity) = peer.identify(graph_type) else { return };
    if map.nodes.contains_key(identity.id.as_str()) {
        return;
    }
    let id = map.node(peer, &identity, graph_type);
    if let Some(node) = map.nodes.get_mut(&id) {
        node.data.is_idle = true;
    }
}

/// Services do not say in which cluster they are; the workloads beside them do.
fn home_cluster(map: &TrafficMap, context: Context<'_>) -> String {
    let registered = context.mesh.workloads.values().map(|workload| &workload.cluster);
    let seen = map.nodes.values().map(|node| &node.data.cluster);
    let known = |cluster: &&String| crate::query::graph::peer::known(cluster);
    registered.chain(seen).find(known).cloned().unwrap_or_else(|| crate::query::graph::peer::UNKNOWN.to_owned())
}

#[cfg(test)]
mod tests;

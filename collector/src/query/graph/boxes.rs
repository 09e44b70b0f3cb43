//! Draws boxes around nodes that belong together, inner ones first.

use std::collections::BTreeMap;

use sidelight_api::graph::{BoxBy, GraphType, Health, HealthData, Node, NodeType};

use super::options::{Boxes, GraphOptions};
use super::peer::{Peer, known};
use super::traffic::empty_data;

/// Puts members of each box under it and adds the boxes. A box has at least two members, and boxes of namespaces or clusters are
/// only drawn when there are several.
pub fn draw(nodes: &mut Vec<Node>, options: &GraphOptions) {
    let Boxes { app, namespace, cluster } = options.boxes;
    if app || matches!(options.graph_type, GraphType::App | GraphType::VersionedApp) {
        draw_by(nodes, BoxBy::App);
    }
    if namespace {
        draw_by(nodes, BoxBy::Namespace);
    }
    if cluster {
        draw_by(nodes, BoxBy::Cluster);
    }
}

fn draw_by(nodes: &mut Vec<Node>, by: BoxBy) {
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if let Some(id) = box_id(node, by) {
            members.entry(id).or_default().push(at);
        }
    }
    if by != BoxBy::App && members.len() < 2 {
        return;
    }
    for (id, members) in members.into_iter().filter(|(_, members)| members.len() > 1) {
        let drawn = box_of(&id, by, members.iter().map(|at| &nodes[*at]).collect());
        for at in members {
            nodes[at].parent = Some(drawn.id.clone());
        }
        nodes.push(drawn);
    }
}

fn box_id(node: &Node, by: BoxBy) -> Option<String> {
    let (cluster, namespace) = (&node.cluster, &node.namespace);
    match by {
        BoxBy::App => node.app.as_deref().filter(|app| known(app)).map(|app| format!("box_{cluster}_{namespace}_{app}")),
        BoxBy::Namespace => (node.parent.is_none() && known(namespace)).then(|| format!("box_{cluster}_{namespace}")),
        BoxBy::Cluster => (node.parent.is_none() && known(cluster)).then(|| format!("box_{cluster}")),
    }
}

fn box_of(id: &str, by: BoxBy, members: Vec<&Node>) -> Node {
    let first = members[0];
    let namespace = if by == BoxBy::Cluster { "" } else { &first.namespace };
    let peer = Peer { cluster: &first.cluster, namespace, ..Peer::default() };
    let mut drawn = empty_data(id, NodeType::Box, &peer);
    drawn.is_box = Some(by);
    drawn.namespace = namespace.to_owned();
    if by == BoxBy::App {
        drawn.app.clone_from(&first.app);
        drawn.is_out_of_mesh = members.iter().any(|node| node.is_out_of_mesh);
        drawn.is_inaccessible = members.iter().any(|node| node.is_inaccessible);
        drawn.is_outside = members.iter().any(|node| node.is_outside);
        drawn.health_data = app_health(&members);
    }
    drawn
}

/// All requests and workloads of the app's members; services in the box repeat the same requests and are left out.
fn app_health(members: &[&Node]) -> Option<HealthData> {
    let apps = members.iter().filter(|node| node.node_type != NodeType::Service);
    let parts: Vec<&HealthData> = apps.filter_map(|node| node.health_data.as_ref()).collect();
    let mut whole = (*parts.first()?).clone();
    for part in &parts[1..] {
        add_rates(&mut whole.requests.inbound, &part.requests.inbound);
        add_rates(&mut whole.requests.outbound, &part.requests.outbound);
        whole.workload_statuses.extend(part.workload_statuses.iter().cloned());
    }
    let failing: f64 = parts.iter().map(|part| part.status.error_ratio * part.status.total_request_rate).sum();
    let total: f64 = parts.iter().map(|part| part.status.total_request_rate).sum();
    whole.status.total_request_rate = total;
    whole.status.error_ratio = if total > 0.0 { failing / total } else { 0.0 };
    whole.status.status = parts.iter().map(|part| part.status.status).max().unwrap_or(Health::Na);
    Some(whole)
}

fn add_rates(sums: &mut BTreeMap<String, BTreeMap<String, f64>>, more: &BTreeMap<String, BTreeMap<String, f64>>) {
    for (protocol, codes) in more {
        let sums = sums.entry(protocol.clone()).or_default();
        for (code, rate) in codes {
            *sums.entry(code.clone()).or_default() += rate;
        }
    }
}

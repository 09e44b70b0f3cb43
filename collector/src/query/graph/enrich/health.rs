//! Colours nodes and edges: by the errors among their requests and by the instances of their workloads.

use std::collections::BTreeMap;

use sidelight_api::graph::{Health, HealthData, HealthSummary, NodeType, RequestHealth, WorkloadStatus};

use super::Context;
use crate::query::graph::call::Protocol;
use crate::query::graph::facts::WorkloadFacts;
use crate::query::graph::health;
use crate::query::graph::traffic::{Flow, Node, TrafficMap};
use crate::query::{rounding, window};
use crate::store::Window;

pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    for (key, edge) in &mut map.edges {
        let codes = edge.codes.iter().map(|(code, detail)| (code.clone(), detail.amount)).collect();
        edge.health = Some(health::of_codes(key.protocol, &codes)).filter(|health| *health != Health::Na);
    }
    let flows = map.flows();
    let nothing = BTreeMap::new();
    for node in map.nodes.values_mut() {
        let flow = flows.get(&node.id).unwrap_or(&nothing);
        node.data.health_data = judge(node, flow, context);
    }
}

/// Nothing to say of nodes without traffic and without a workload to count.
fn judge(node: &Node, flows: &BTreeMap<Protocol, Flow>, context: Context<'_>) -> Option<HealthData> {
    let is_service = node.data.node_type == NodeType::Service;
    if matches!(node.data.node_type, NodeType::Unknown | NodeType::Box) {
        return None;
    }
    let statuses = if is_service { Vec::new() } else { statuses(node, context) };
    let (requests, summary) = judge_requests(flows, !is_service, context.options.window);
    if statuses.is_empty() && summary.status == Health::Na {
        return None;
    }
    let worst = statuses.iter().map(health::of_workload).max().unwrap_or_default();
    let status = HealthSummary { status: worst.max(summary.status), ..summary };
    Some(HealthData { requests, workload_statuses: statuses, status })
}

/// A service is judged by what arrives; everyone else also by what they call.
fn judge_requests(flows: &BTreeMap<Protocol, Flow>, with_outbound: bool, over: Window) -> (RequestHealth, HealthSummary) {
    let mut requests = RequestHealth::default();
    let (mut status, mut total, mut failed) = (Health::Na, 0, 0);
    for (&protocol, flow) in flows.iter().filter(|(protocol, _)| **protocol != Protocol::Tcp) {
        let directions =
            [(&mut requests.inbound, &flow.inbound_codes, true), (&mut requests.outbound, &flow.outbound_codes, with_outbound)];
        for (rates, codes, counts) in directions {
            if !counts || codes.is_empty() {
                continue;
            }
            rates.insert(protocol.as_str().to_owned(), code_rates(codes, over));
            status = status.max(health::of_codes(protocol, codes));
            total += codes.values().sum::<u64>();
            failed += health::failing(protocol, codes);
        }
    }
    let summary = HealthSummary { status, error_ratio: rounding::share(failed, total), total_request_rate: rate(total, over) };
    (requests, summary)
}

fn code_rates(codes: &BTreeMap<String, u64>, over: Window) -> BTreeMap<String, f64> {
    codes.iter().map(|(code, amount)| (code.clone(), rate(*amount, over))).collect()
}

fn rate(amount: u64, over: Window) -> f64 {
    window::per_second(over, amount as f64)
}

fn statuses(node: &Node, context: Context<'_>) -> Vec<WorkloadStatus> {
    let (mesh, data) = (context.mesh, &node.data);
    match (&data.workload, &data.app) {
        (Some(name), _) => mesh.workload(&data.namespace, name).map(|facts| status(name, facts)).into_iter().collect(),
        (None, Some(app)) => mesh.workloads_of(&data.namespace, app).map(|(name, facts)| status(name, facts)).collect(),
        (None, None) => Vec::new(),
    }
}

fn status(name: &str, facts: &WorkloadFacts) -> WorkloadStatus {
    WorkloadStatus {
        name: name.to_owned(),
        desired_replicas: facts.instances,
        current_replicas: facts.instances,
        available_replicas: facts.connected,
        synced_proxies: facts.synced.map_or(-1, |synced| i32::try_from(synced).unwrap_or(i32::MAX)),
    }
}

#[cfg(test)]
mod tests;

//! Badges from the configuration: routing rules, circuit breakers, gateways.

use std::collections::BTreeSet;

use sidelight_api::graph::{GatewayInfo, Hostnames, NodeType};
use sidelight_mesh::config::labels_match;

use super::Context;
use crate::query::graph::facts::{GatewayKind, WorkloadFacts};
use crate::query::graph::traffic::{Node, TrafficMap};

pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    for node in map.nodes.values_mut() {
        if node.data.node_type == NodeType::Service {
            badge_service(node, context);
        }
        node.data.has_cb = breaks(node, context);
        node.data.is_gateway = gateway(node, context);
    }
}

/// The first VirtualService that routes to the service, and the app that the service belongs to.
fn badge_service(node: &mut Node, context: Context<'_>) {
    let data = &mut node.data;
    let Some(service) = data.service.as_deref() else { return };
    if !node.egress_cluster && data.app.is_none() {
        let facts = context.mesh.service(&data.namespace, service);
        data.app = facts.map(|facts| facts.app.clone()).filter(|app| !app.is_empty());
    }
    if data.is_outside {
        return;
    }
    let Some(route) = context.mesh.route_to(&data.namespace, service) else { return };
    data.has_vs = Some(Hostnames { hostnames: route.hosts.clone() });
    data.has_request_routing = route.routing;
    data.has_request_timeout = route.timeout;
    data.has_fault_injection = route.fault;
    data.has_traffic_shifting = route.shifting;
    data.has_mirroring = route.mirroring;
}

/// Rules are for services, so workloads without an app take no part: as Kiali has it.
fn breaks(node: &Node, context: Context<'_>) -> bool {
    let data = &node.data;
    if data.node_type == NodeType::Service {
        return data.service.as_deref().is_some_and(|service| context.mesh.breaks(&data.namespace, service, None));
    }
    if data.version.is_none() && data.node_type != NodeType::App {
        return false;
    }
    node.dest_services.iter().any(|to| context.mesh.breaks(&to.namespace, &to.name, data.version.as_deref()))
}

fn gateway(node: &Node, context: Context<'_>) -> Option<GatewayInfo> {
    let data = &node.data;
    let mut workloads: Vec<&WorkloadFacts> = match (&data.workload, &data.app) {
        (Some(name), _) => context.mesh.workload(&data.namespace, name).into_iter().collect(),
        (None, Some(app)) if data.node_type == NodeType::App => {
            context.mesh.workloads_of(&data.namespace, app).map(|(_, facts)| facts).collect()
        }
        _ => Vec::new(),
    };
    workloads.retain(|workload| workload.gateway.is_some());
    let kind = workloads.first()?.gateway?;
    let selects = |selector| workloads.iter().any(|workload| labels_match(selector, &workload.labels));
    let selected = context.mesh.gateways.iter().filter(|gateway| selects(&gateway.selector));
    let hostnames: BTreeSet<String> = selected.flat_map(|gateway| gateway.hosts.iter().cloned()).collect();
    let info = Some(Hostnames { hostnames: hostnames.into_iter().collect() });
    Some(match kind {
        GatewayKind::Ingress => GatewayInfo { ingress_info: info, egress_info: None },
        GatewayKind::Egress => GatewayInfo { ingress_info: None, egress_info: info },
    })
}

#[cfg(test)]
mod tests;

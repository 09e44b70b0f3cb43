//! The second step of building a graph: each enricher adds one kind of knowledge to nodes and edges.

pub mod dead_node;
pub mod health;
pub mod idle_node;
pub mod istio;
pub mod labeler;
pub mod mesh_check;
pub mod outsider;
pub mod response_time;
pub mod root;
pub mod security;
pub mod throughput;

use super::facts::MeshFacts;
use super::options::{Appender, GraphOptions};
use super::traffic::TrafficMap;

/// What every enricher may look at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub options: &'a GraphOptions,
    pub mesh: &'a MeshFacts,
    /// A graph of one node: what is idle elsewhere does not belong on it.
    pub focused: bool,
}

/// Runs what was asked for, in Kiali's order: what removes and adds nodes first, what judges them last.
pub fn all(map: &mut TrafficMap, context: Context<'_>) {
    let wants = |appender| context.options.appenders.has(appender);
    if wants(Appender::DeadNode) {
        dead_node::enrich(map, context);
    }
    if wants(Appender::ResponseTime) {
        response_time::enrich(map, context);
    }
    if wants(Appender::SecurityPolicy) {
        security::enrich(map);
    }
    if wants(Appender::Throughput) {
        throughput::enrich(map, context);
    }
    if wants(Appender::IdleNode) && !context.focused {
        idle_node::enrich(map, context);
    }
    if wants(Appender::MeshCheck) {
        mesh_check::enrich(map, context);
    }
    outsider::enrich(map, context);
    if wants(Appender::Istio) {
        istio::enrich(map, context);
    }
    if wants(Appender::Health) {
        health::enrich(map, context);
    }
    if wants(Appender::Labeler) {
        labeler::enrich(map, context);
    }
    root::enrich(map);
}

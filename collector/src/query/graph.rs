//! Builds the service graph from what the edges carried: traffic to nodes and edges first, then the enrichers.

pub mod boxes;
pub mod call;
pub mod enrich;
pub mod exchange;
pub mod facts;
#[cfg(test)]
pub mod fixture;
pub mod focus;
pub mod health;
pub mod options;
pub mod peer;
mod precedence;
pub mod reduce;
pub mod render;
pub mod skipped;
pub mod traffic;

#[cfg(test)]
mod tests;

use sidelight_api::graph::{Graph, GraphType};

use self::enrich::Context;
use self::exchange::Exchanges;
use self::facts::MeshFacts;
use self::focus::Focus;
use self::options::GraphOptions;
use self::traffic::TrafficMap;
use crate::store::EdgeTotals;

/// What a graph is made of.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What each edge carried inside the window; without requests when it is only known from before.
    pub edges: &'a [EdgeTotals],
    /// What came in behind the window. Of it only edges are shown that the window does not have, so that they appear at once.
    pub fresh: &'a [EdgeTotals],
    pub mesh: &'a MeshFacts,
    pub last_sample_ms: Option<i64>,
}

/// The graph of the chosen namespaces.
#[must_use]
pub fn build(input: Input<'_>, options: &GraphOptions) -> Graph {
    finish(exchanges(input, options), input, options, false)
}

/// The graph of one node and its direct neighbours. Namespaces that were asked for are not looked at.
#[must_use]
pub fn build_around(input: Input<'_>, options: &GraphOptions, focus: &Focus) -> Graph {
    let all = GraphOptions { namespaces: None, ..options.clone() };
    let mut exchanges = exchanges(input, &all);
    exchanges.calls.retain(|exchange| focus.touches(&exchange.call));
    let home = GraphOptions { namespaces: Some([focus.namespace.clone()].into()), ..all };
    finish(exchanges, input, &home, true)
}

fn exchanges<'a>(input: Input<'a>, options: &GraphOptions) -> Exchanges<'a> {
    let mut exchanges = exchange::count(input.edges, options);
    exchanges.add_new(exchange::count(input.fresh, options).calls);
    exchanges
}

fn finish(exchanges: Exchanges<'_>, input: Input<'_>, options: &GraphOptions, focused: bool) -> Graph {
    if !exchanges.skipped.is_empty() {
        skipped::count(&exchanges.skipped);
        tracing::debug!(skipped = ?exchanges.skipped, "rows that the graph does not draw");
    }
    let graph_type = options.graph_type;
    let mut map = TrafficMap::of(&exchanges.calls, graph_type, options.inject_services, options.include_idle_edges);
    if graph_type == GraphType::Service {
        map = reduce::to_service_graph(&map);
    }
    enrich::all(&mut map, Context { options, mesh: input.mesh, focused });
    Graph {
        timestamp: options.window.to_ms / 1000,
        duration: seconds(options),
        graph_type,
        elements: render::elements(map, options),
        last_sample_ms: input.last_sample_ms,
    }
}

fn seconds(options: &GraphOptions) -> u64 {
    options.window.seconds().max(0.0) as u64
}

//! Gives edges their bytes per second, of requests or of responses.

use std::collections::HashSet;

use sidelight_api::graph::NodeType;

use super::Context;
use crate::query::graph::call::Protocol;
use crate::query::graph::options::ThroughputType;
use crate::query::graph::traffic::{Id, TrafficMap};
use crate::query::{rounding, window};

/// HTTP only, and not on edges into service nodes.
pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    let services: HashSet<Id> =
        map.nodes.values().filter(|node| node.data.node_type == NodeType::Service).map(|node| node.id.clone()).collect();
    for (key, edge) in &mut map.edges {
        if key.protocol != Protocol::Http || services.contains(&key.target) {
            continue;
        }
        let bytes = match context.options.throughput {
            ThroughputType::Request => edge.tally.request_bytes,
            ThroughputType::Response => edge.tally.response_bytes,
        };
        let rate = window::per_second(context.options.window, bytes);
        edge.throughput = (rate > 0.0).then(|| rounding::whole(rate));
    }
}

#[cfg(test)]
mod tests;

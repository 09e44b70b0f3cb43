//! Gives edges the response time that was asked for.

use super::Context;
use crate::query::graph::options::ResponseTime;
use crate::query::graph::traffic::TrafficMap;
use crate::query::{latency, rounding};

/// Not on edges into a service that stands in front of its workloads: the time is that of the workload behind.
pub fn enrich(map: &mut TrafficMap, context: Context<'_>) {
    for edge in map.edges.values_mut().filter(|edge| !edge.into_injected) {
        let value = match context.options.response_time {
            ResponseTime::Average => latency::average(&edge.tally.duration),
            ResponseTime::Quantile(q) => edge.tally.duration.quantile(q),
        };
        edge.response_time = value.filter(|ms| *ms > 0.0).map(rounding::whole);
    }
}

#[cfg(test)]
mod tests;

//! Whatever the traffic, no request is lost and none is counted twice.

use std::collections::HashSet;

use proptest::prelude::*;
use sidelight_api::graph::{Graph, NodeType};

use crate::query::graph::fixture::{Fixture, from, from_outside, options};

const WORKLOADS: [&str; 6] = [
    "bookinfo/productpage-v1",
    "bookinfo/reviews-v1",
    "bookinfo/reviews-v2",
    "bookinfo/ratings-v1",
    "shop/cart-v1",
    "shop/stock",
];
const CODES: [(&str, &str); 5] = [("200", "-"), ("302", "-"), ("404", "-"), ("503", "UF"), ("0", "DC")];

/// One kind of requests: from (the last one is outside), to, code, how many.
type Kind = (usize, usize, usize, u64);

/// Some kinds, and who tells of the requests between each two ends.
fn traffic() -> impl Strategy<Value = (Vec<Kind>, Vec<u8>)> {
    let kind = (0..=WORKLOADS.len(), 0..WORKLOADS.len(), 0..CODES.len(), 1..100_000u64);
    let tellers = proptest::collection::vec(0..3u8, (WORKLOADS.len() + 1) * WORKLOADS.len());
    (proptest::collection::vec(kind, 0..40), tellers)
}

fn fixture((kinds, tellers): &(Vec<Kind>, Vec<u8>)) -> (Fixture, u64) {
    let (mut fixture, mut total) = (Fixture::default(), 0);
    let mut seen = HashSet::new();
    for &(source, target, code, times) in kinds {
        // Each kind once: two rows of one reporter with the same labels cannot come from a store.
        if !seen.insert((source, target, code)) {
            continue;
        }
        let calls = WORKLOADS.get(source).map_or_else(from_outside, |name| from(name)).to(WORKLOADS[target]).times(times);
        let calls = calls.answered(CODES[code].0).flags(CODES[code].1);
        let calls = match tellers[source * WORKLOADS.len() + target] {
            0 => calls.told_by_destination(),
            1 if source < WORKLOADS.len() => calls.told_by_source(),
            _ => calls,
        };
        fixture = fixture.and(calls);
        total += times;
    }
    (fixture, total)
}

/// Requests on the edges that end where nothing else follows.
fn arrived(graph: &Graph, at: impl Fn(NodeType) -> bool) -> u64 {
    let ends: HashSet<&str> =
        graph.elements.nodes.iter().filter(|node| at(node.data.node_type)).map(|node| node.data.id.as_str()).collect();
    let edges = graph.elements.edges.iter().filter(|edge| ends.contains(edge.data.target.as_str()));
    edges.map(|edge| edge.data.traffic.requests).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_arrives_once(traffic in traffic()) {
        let (fixture, total) = fixture(&traffic);
        for graph_type in ["app", "versionedApp", "workload"] {
            for inject in ["true", "false"] {
                let graph = fixture.graph(&options(&format!("graphType={graph_type}&injectServiceNodes={inject}")));
                prop_assert_eq!(arrived(&graph, |kind| kind != NodeType::Service), total, "{} {}", graph_type, inject);
                if inject == "true" {
                    prop_assert_eq!(arrived(&graph, |kind| kind == NodeType::Service), total, "{}", graph_type);
                }
            }
        }
        let graph = fixture.graph(&options("graphType=service"));
        prop_assert_eq!(arrived(&graph, |kind| kind == NodeType::Service), total);
    }

    #[test]
    fn shares_add_up(traffic in traffic()) {
        let (fixture, _) = fixture(&traffic);
        let graph = fixture.graph(&options("injectServiceNodes=true"));
        for node in &graph.elements.nodes {
            let out: f64 = graph.elements.edges.iter()
                .filter(|edge| edge.data.source == node.data.id)
                .filter_map(|edge| edge.data.traffic.rates.get("httpPercentReq")?.parse::<f64>().ok())
                .sum();
            prop_assert!(out.abs() < 1e-9 || (out - 100.0).abs() < 1.0, "{out}");
        }
        for edge in &graph.elements.edges {
            let shares: f64 = edge.data.traffic.responses.values()
                .flat_map(|responses| responses.flags.values())
                .filter_map(|share| share.parse::<f64>().ok())
                .sum();
            prop_assert!((shares - 100.0).abs() < 1.0, "{shares}");
        }
    }
}

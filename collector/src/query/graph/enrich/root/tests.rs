//! Where traffic comes from.

use crate::query::graph::fixture::{Fixture, bookinfo, from, node, options};

#[test]
fn only_callers_that_nobody_calls_are_roots() {
    for query in ["", "injectServiceNodes=true", "graphType=versionedApp", "graphType=service"] {
        let graph = bookinfo().graph(&options(query));
        let roots: Vec<_> =
            graph.elements.nodes.iter().filter(|n| n.data.is_root).filter_map(|n| n.data.workload.as_deref()).collect();
        assert_eq!(roots, ["istio-ingressgateway"], "{query}");
    }
}

#[test]
fn a_node_without_edges_is_no_root() {
    let graph = Fixture::default().workload("a/idle-v1", 1, 1).graph(&options(""));
    assert!(!node(&graph, "wl:idle-v1").is_root);
}

#[test]
fn a_ring_has_no_root() {
    let graph = Fixture::default().and(from("a/one-v1").to("a/two-v1")).and(from("a/two-v1").to("a/one-v1")).graph(&options(""));
    assert!(graph.elements.nodes.iter().all(|node| !node.data.is_root));
}

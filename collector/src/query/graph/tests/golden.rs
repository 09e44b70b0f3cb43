//! The JSON as a client reads it, letter for letter.

use crate::query::graph::fixture::{Fixture, from, options};

/// Two workloads, one error among them.
fn small() -> Fixture {
    Fixture::default()
        .and(from("bookinfo/productpage-v1").to("bookinfo/reviews-v2").times(57).took(20.0).bytes(57_000.0, 114_000.0))
        .and(from("bookinfo/productpage-v1").to("bookinfo/reviews-v2").times(3).took(20.0).answered("503").flags("-"))
}

fn check(query: &str, expected: &str) {
    let graph = small().graph(&options(query));
    let text = serde_json::to_string_pretty(&graph).unwrap();
    assert!(text.trim() == expected.trim(), "the answer was:\n{text}");
}

#[test]
fn a_workload_graph() {
    check("namespaces=bookinfo", include_str!("golden/workload.json"));
}

#[test]
fn a_versioned_app_graph_with_services() {
    let query = "graphType=versionedApp&injectServiceNodes=true&responseTime=avg&throughputType=request";
    check(query, include_str!("golden/versioned_app.json"));
}

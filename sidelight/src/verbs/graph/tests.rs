//! What the graph looks like as text and as DOT.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn graph() -> Graph {
    serde_json::from_value(json!({
        "timestamp": 1_000, "duration": 60, "graphType": "versionedApp", "lastSampleMs": 997_000,
        "elements": {
            "nodes": [
                {"data": {"id": "a", "nodeType": "app", "cluster": "Kubernetes", "namespace": "bookinfo", "app": "productpage", "version": "v1", "workload": "productpage-v1", "healthData": null}},
                {"data": {"id": "b", "nodeType": "app", "cluster": "Kubernetes", "namespace": "bookinfo", "app": "reviews", "version": "v2", "workload": "reviews-v2", "healthData": null}}
            ],
            "edges": [
                {"data": {"id": "e", "source": "a", "target": "b",
                    "traffic": {"protocol": "http", "rates": {"http": "6.70", "http5xx": "0.1", "httpPercentErr": "1.5"}, "responses": {}},
                    "latency": {"avg": 3.0, "p50": 2.0, "p95": 11.6, "p99": 20.0}}}
            ]
        }
    }))
    .unwrap()
}

#[test]
fn text_has_a_line_per_edge() {
    assert_eq!(
        text::render(&graph()),
        "versionedApp, last 60 s, newest sample 3 s before its end\n\
         FROM                         TO                     PROTOCOL  RATE/s  ERRORS %  P95 ms\n\
         productpage v1 (bookinfo)  →  reviews v2 (bookinfo)  http      6.70    1.5       12\n"
            .replace("FROM                         TO ", "FROM                          TO ")
    );
}

#[test]
fn dot_groups_by_namespace_and_marks_errors() {
    let dot = dot::render(&graph());
    assert!(dot.contains("subgraph cluster_0 {\n    label=\"bookinfo\";\n    \"a\" [label=\"productpage v1\", shape=box];"));
    assert!(dot.contains("\"a\" -> \"b\" [label=\"6.70/s\\np95 12 ms\\n1.5 % errors\", color=red];"));
}

#[test]
fn the_path_names_what_is_asked() {
    assert_eq!(
        path(&["bookinfo".into(), "istio-system".into()], GraphType::Workload, 60),
        "/api/namespaces/graph?namespaces=bookinfo,istio-system&graphType=workload&duration=60s&injectServiceNodes=false&responseTime=95"
    );
}

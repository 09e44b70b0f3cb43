//! Inside, outside, nowhere.

use crate::query::graph::fixture::{bookinfo, from, from_outside, node, options};

#[test]
fn nodes_of_other_namespaces_are_outside() {
    let graph = bookinfo().graph(&options("namespaces=bookinfo&appenders="));
    assert!(node(&graph, "wl:istio-ingressgateway").is_outside);
    assert!(!node(&graph, "wl:productpage-v1").is_outside);
}

#[test]
fn with_all_namespaces_nothing_is_outside() {
    let graph = bookinfo().graph(&options("appenders="));
    assert!(graph.elements.nodes.iter().all(|node| !node.data.is_outside && !node.data.is_inaccessible));
}

#[test]
fn what_lies_nowhere_is_not_accessible() {
    let page = "bookinfo/productpage-v1";
    let fixture = bookinfo()
        .and(from_outside().to(page))
        .and(from(page).to_passthrough("example.com"))
        .and(from(page).to_passthrough("gone.example").label("destination_service_name", "gone.example").answered("503"));
    let graph = fixture.graph(&options("namespaces=bookinfo&appenders="));
    for name in ["unknown", "svc:PassthroughCluster", "svc:gone.example"] {
        assert!(node(&graph, name).is_inaccessible && !node(&graph, name).is_outside, "{name}");
    }
}

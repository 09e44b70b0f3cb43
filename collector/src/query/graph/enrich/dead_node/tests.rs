//! What falls off the graph, and what stays as dead.

use crate::query::graph::fixture::{Fixture, bookinfo, find_node, from, from_outside, names, node, options};

const QUERY: &str = "includeIdleEdges=true&appenders=deadNode";

#[test]
fn a_workload_without_traffic_that_does_not_exist_is_removed() {
    let gone = from("bookinfo/productpage-v1").to("bookinfo/gone-v1").times(0);
    let graph = bookinfo().and(gone).graph(&options(QUERY));
    assert!(find_node(&graph, "wl:gone-v1").is_none());
    assert_eq!(graph.elements.edges.len(), 7, "its edge went with it");
}

#[test]
fn a_workload_that_exists_stays_and_is_dead_without_instances() {
    let fixture =
        Fixture::default().workload("a/one-v1", 1, 1).workload("a/two-v1", 1, 0).and(from("a/one-v1").to("a/two-v1").times(0));
    let graph = fixture.graph(&options(QUERY));
    assert_eq!(names(&graph), ["wl:one-v1", "wl:two-v1"]);
    assert!(!node(&graph, "wl:one-v1").is_dead && node(&graph, "wl:two-v1").is_dead);
}

#[test]
fn a_workload_with_traffic_is_alive_whatever_the_registry_says() {
    let fixture = Fixture::default().workload("a/two-v1", 1, 0).and(from("a/one-v1").to("a/two-v1").times(1));
    let graph = fixture.graph(&options(QUERY));
    assert!(!node(&graph, "wl:two-v1").is_dead);
    assert_eq!(names(&graph), ["wl:one-v1", "wl:two-v1"]);
}

#[test]
fn a_service_goes_when_the_last_workload_behind_it_has_gone() {
    let fixture = Fixture::default().workload("a/one-v1", 1, 1).and(from("a/one-v1").to("a/gone-v1").times(0));
    let graph = fixture.graph(&options(&format!("{QUERY}&injectServiceNodes=true")));
    assert_eq!(names(&graph), ["wl:one-v1"]);
}

#[test]
fn an_outside_caller_without_traffic_goes_and_an_egress_stays() {
    let fixture = Fixture::default()
        .workload("a/one-v1", 1, 1)
        .and(from_outside().to("a/one-v1").times(0))
        .and(from("a/one-v1").to_passthrough("example.com").times(0));
    assert_eq!(names(&fixture.graph(&options(QUERY))), ["svc:PassthroughCluster", "wl:one-v1"]);
}

#[test]
fn an_app_without_versions_has_no_workload_to_miss() {
    let fixture = Fixture::default().and(from("a/one-v1").to("a/two-v1").times(0));
    assert_eq!(names(&fixture.graph(&options(&format!("{QUERY}&graphType=app")))), ["app:one", "app:two"]);
}

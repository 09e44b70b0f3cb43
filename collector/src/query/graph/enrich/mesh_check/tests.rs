//! Who has no sidecar.

use crate::query::graph::fixture::{Fixture, from, from_outside, node, options};

#[test]
fn a_workload_that_nobody_beside_it_tells_of_is_out_of_mesh() {
    let fixture = Fixture::default()
        .and(from("a/one-v1").to("a/bare-v1").told_by_source())
        .and(from("a/one-v1").to("a/two-v1"))
        .and(from_outside().to("a/one-v1"));
    for query in ["appenders=meshCheck", "appenders=sidecarsCheck&graphType=versionedApp&injectServiceNodes=true"] {
        let graph = fixture.graph(&options(query));
        assert!(node(&graph, "wl:bare-v1").is_out_of_mesh);
        assert!(!node(&graph, "wl:one-v1").is_out_of_mesh && !node(&graph, "wl:two-v1").is_out_of_mesh);
        assert!(!node(&graph, "unknown").is_out_of_mesh);
    }
}

#[test]
fn a_registered_workload_is_in_the_mesh_even_when_it_is_silent() {
    let fixture = Fixture::default().workload("a/two-v1", 1, 1).and(from("a/one-v1").to("a/two-v1").told_by_source());
    assert!(!node(&fixture.graph(&options("")), "wl:two-v1").is_out_of_mesh);
    assert!(!node(&fixture.graph(&options("graphType=app")), "app:two").is_out_of_mesh);
}

#[test]
fn the_box_of_an_app_says_so_too() {
    let fixture = Fixture::default().and(from("a/one-v1").to("a/two-v1").told_by_source()).and(from("a/one-v1").to("a/two-v2"));
    let graph = fixture.graph(&options("graphType=versionedApp"));
    let drawn = graph.elements.nodes.iter().find(|node| node.data.is_box.is_some()).map(|node| node.data.is_out_of_mesh);
    assert_eq!(drawn, Some(true));
}

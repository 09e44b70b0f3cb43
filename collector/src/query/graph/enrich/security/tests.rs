//! How much came with mutual TLS, and from whom.

use crate::query::graph::fixture::{Fixture, bookinfo, edge, from, options};

const SOURCE: &str = "spiffe://cluster.local/ns/a/sa/one";
const DESTINATION: &str = "spiffe://cluster.local/ns/a/sa/two";

fn mixed() -> Fixture {
    Fixture::default()
        .and(from("a/one-v1").to("a/two-v1").times(75).mutual_tls(SOURCE, DESTINATION))
        .and(from("a/one-v1").to("a/two-v1").times(25).answered("404"))
        .and(from("a/one-v1").to("a/two-v1").times(100).answered("504").flags("UT").told_by_source())
}

#[test]
fn the_share_is_of_what_destinations_saw() {
    let graph = mixed().graph(&options(""));
    let edge = edge(&graph, "wl:one-v1", "wl:two-v1");
    assert_eq!(edge.is_mtls.as_deref(), Some("75"));
    assert_eq!((edge.source_principal.as_deref(), edge.dest_principal.as_deref()), (Some(SOURCE), Some(DESTINATION)));
}

#[test]
fn both_edges_around_a_service_node_show_it() {
    let graph = mixed().graph(&options("injectServiceNodes=true"));
    for (source, target) in [("wl:one-v1", "svc:two"), ("svc:two", "wl:two-v1")] {
        assert_eq!(edge(&graph, source, target).is_mtls.as_deref(), Some("75"), "{source}");
    }
}

#[test]
fn plain_traffic_shows_nothing() {
    let graph = bookinfo().graph(&options(""));
    assert!(graph.elements.edges.iter().all(|edge| edge.data.is_mtls.is_none() && edge.data.source_principal.is_none()));
}

#[test]
fn without_the_step_there_is_none() {
    let graph = mixed().graph(&options("appenders="));
    assert!(graph.elements.edges.iter().all(|edge| edge.data.is_mtls.is_none() && edge.data.dest_principal.is_none()));
}

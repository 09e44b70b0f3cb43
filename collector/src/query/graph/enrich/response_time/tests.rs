//! Which edges carry a response time, and which number it is.

use crate::query::graph::fixture::{Fixture, bookinfo, durations, edge, from, options};

const CALLER: &str = "a/one-v1";
const CALLEE: &str = "a/two-v1";

#[test]
fn the_number_that_was_asked_for() {
    let mut fixture = Fixture::default().and(from(CALLER).to(CALLEE).times(20));
    for row in &mut fixture.rows {
        row.totals.duration = durations(&[(7.0, 10), (20.0, 10)]);
    }
    for (query, time) in [("responseTime=avg", "14"), ("responseTime=50", "10"), ("", "24"), ("responseTime=99", "25")] {
        let graph = fixture.graph(&options(query));
        assert_eq!(edge(&graph, "wl:one-v1", "wl:two-v1").response_time.as_deref(), Some(time), "{query}");
    }
}

#[test]
fn with_service_nodes_the_time_is_behind_the_service() {
    let graph = bookinfo().graph(&options("injectServiceNodes=true"));
    assert_eq!(edge(&graph, "wl:productpage-v1", "svc:details").response_time, None);
    assert_eq!(edge(&graph, "svc:details", "wl:details-v1").response_time.as_deref(), Some("5"));
    assert!(edge(&graph, "wl:productpage-v1", "svc:details").latency.is_some(), "our own addition knows it anyway");
}

#[test]
fn a_failure_that_ended_at_the_service_has_its_time_there() {
    let fixture = Fixture::default().and(from(CALLER).to_service("a/two").times(4).answered("503").flags("UH").took(1.0));
    let graph = fixture.graph(&options("injectServiceNodes=true"));
    assert_eq!(edge(&graph, "wl:one-v1", "svc:two").response_time.as_deref(), Some("1"));
}

#[test]
fn the_destination_is_believed() {
    let fixture = Fixture::default()
        .and(from(CALLER).to(CALLEE).times(10).took(900.0).told_by_source())
        .and(from(CALLER).to(CALLEE).times(10).took(7.0).told_by_destination());
    let graph = fixture.graph(&options("responseTime=avg"));
    assert_eq!(edge(&graph, "wl:one-v1", "wl:two-v1").response_time.as_deref(), Some("7"));
}

#[test]
fn edges_that_become_one_have_one_time_of_all_requests() {
    let graph = bookinfo().graph(&options("graphType=app&responseTime=avg"));
    // Twenty requests of 7 ms and forty of 20 ms.
    assert_eq!(edge(&graph, "app:productpage", "app:reviews").response_time.as_deref(), Some("16"));
}

#[test]
fn without_the_step_there_is_none() {
    let graph = bookinfo().graph(&options("appenders="));
    assert!(graph.elements.edges.iter().all(|edge| edge.data.response_time.is_none()));
}

//! Bytes per second of requests or responses.

use crate::query::graph::fixture::{Fixture, edge, from, options};

fn fixture() -> Fixture {
    let call = || from("a/one-v1").to("a/two-v1").times(60);
    Fixture::default()
        .and(call().bytes(6_000.0, 60_000.0).told_by_source())
        .and(call().bytes(5_400.0, 54_000.0).told_by_destination())
        .and(call().grpc("0").bytes(600.0, 600.0))
}

#[test]
fn responses_are_read_at_the_destination_and_requests_at_the_source() {
    for (query, rate) in [("rateGrpc=none", "900"), ("rateGrpc=none&throughputType=request", "100")] {
        let graph = fixture().graph(&options(query));
        assert_eq!(edge(&graph, "wl:one-v1", "wl:two-v1").throughput.as_deref(), Some(rate), "{query}");
    }
}

#[test]
fn only_http_has_a_throughput() {
    let graph = fixture().graph(&options("rateHttp=none"));
    assert_eq!(edge(&graph, "wl:one-v1", "wl:two-v1").throughput, None);
}

#[test]
fn edges_into_services_have_none() {
    let graph = fixture().graph(&options("injectServiceNodes=true&rateGrpc=none"));
    assert_eq!(edge(&graph, "wl:one-v1", "svc:two").throughput, None);
    assert_eq!(edge(&graph, "svc:two", "wl:two-v1").throughput.as_deref(), Some("900"));
}

#[test]
fn no_bytes_are_no_throughput() {
    let graph = Fixture::default().and(from("a/one-v1").to("a/two-v1").times(60)).graph(&options(""));
    assert_eq!(edge(&graph, "wl:one-v1", "wl:two-v1").throughput, None);
}

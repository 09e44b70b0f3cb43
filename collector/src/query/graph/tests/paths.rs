//! Which nodes and edges a row of metrics becomes, and that two reporters make one count.

use crate::query::graph::fixture::{Fixture, bookinfo, edge, find_node, from, from_outside, names, node, options};
use crate::query::graph::{Input, build};

const PRODUCTPAGE: &str = "bookinfo/productpage-v1";
const REVIEWS: &str = "bookinfo/reviews-v2";

fn requests(fixture: &Fixture, query: &str) -> u64 {
    fixture.graph(&options(query)).elements.edges.iter().map(|edge| edge.data.traffic.requests).sum()
}

#[test]
fn two_reporters_count_once() {
    let both = Fixture::default().and(from(PRODUCTPAGE).to(REVIEWS).times(60));
    assert_eq!(both.rows.len(), 2);
    assert_eq!(requests(&both, ""), 60);
}

#[test]
fn the_destination_is_believed() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(60).told_by_source())
        .and(from(PRODUCTPAGE).to(REVIEWS).times(58).told_by_destination());
    assert_eq!(requests(&fixture, ""), 58);
}

#[test]
fn what_only_the_source_saw_counts_too() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(50))
        .and(from(PRODUCTPAGE).to_service("bookinfo/reviews").times(10).answered("503").flags("UH"));
    let graph = fixture.graph(&options(""));
    assert_eq!(names(&graph), ["svc:reviews", "wl:productpage-v1", "wl:reviews-v2"]);
    assert_eq!(edge(&graph, "wl:productpage-v1", "wl:reviews-v2").traffic.requests, 50);
    assert_eq!(edge(&graph, "wl:productpage-v1", "svc:reviews").traffic.requests, 10);
}

#[test]
fn a_destination_without_a_proxy_counts_by_its_source() {
    let fixture = Fixture::default().and(from(PRODUCTPAGE).to(REVIEWS).times(60).told_by_source());
    assert_eq!(requests(&fixture, ""), 60);
}

#[test]
fn a_request_that_ended_differently_for_both_counts_once() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(90).took(5.0))
        .and(from(PRODUCTPAGE).to(REVIEWS).times(10).answered("504").flags("UT").told_by_source())
        .and(from(PRODUCTPAGE).to(REVIEWS).times(10).answered("0").flags("DC").told_by_destination());
    let graph = fixture.graph(&options(""));
    let edge = edge(&graph, "wl:productpage-v1", "wl:reviews-v2");
    assert_eq!(edge.traffic.requests, 100);
    assert_eq!(edge.traffic.rates["httpPercentErr"], "10.0");
    assert_eq!(edge.traffic.responses.keys().collect::<Vec<_>>(), ["200", "504"]);
}

#[test]
fn an_answer_that_came_too_late_is_no_second_request() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(90).told_by_source())
        .and(from(PRODUCTPAGE).to(REVIEWS).times(10).answered("504").flags("UT").told_by_source())
        .and(from(PRODUCTPAGE).to(REVIEWS).times(100).told_by_destination());
    let graph = fixture.graph(&options(""));
    let edge = edge(&graph, "wl:productpage-v1", "wl:reviews-v2");
    assert_eq!(edge.traffic.requests, 100);
    assert_eq!(edge.traffic.responses["504"].flags["UT"], "10.0");
}

#[test]
fn retries_count_as_they_arrived() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(1).answered("503").flags("URX").told_by_source())
        .and(from(PRODUCTPAGE).to(REVIEWS).times(4).answered("503").told_by_destination());
    assert_eq!(requests(&fixture, ""), 4);
}

#[test]
fn what_came_in_behind_the_window_shows_as_new() {
    let settled = Fixture::default().and(from(PRODUCTPAGE).to(REVIEWS).times(60));
    let fresh =
        Fixture::default().and(from(PRODUCTPAGE).to(REVIEWS).times(7)).and(from(REVIEWS).to("bookinfo/ratings-v1").times(6));
    let input = Input { edges: &settled.rows, fresh: &fresh.rows, mesh: &settled.mesh, last_sample_ms: None };
    let graph = build(input, &options(""));
    assert_eq!(edge(&graph, "wl:productpage-v1", "wl:reviews-v2").traffic.requests, 60);
    assert_eq!(edge(&graph, "wl:reviews-v2", "wl:ratings-v1").traffic.rates["http"], "0.10");
}

#[test]
fn a_service_node_stands_between_caller_and_workload() {
    let graph = bookinfo().graph(&options("injectServiceNodes=true&namespaces=bookinfo"));
    assert_eq!(edge(&graph, "wl:productpage-v1", "svc:reviews").traffic.requests, 60);
    assert_eq!(edge(&graph, "svc:reviews", "wl:reviews-v3").traffic.requests, 20);
    assert!(node(&graph, "svc:reviews").is_injected);
    let services: Vec<_> = node(&graph, "wl:reviews-v3").dest_services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(services, ["reviews"]);
}

#[test]
fn failures_and_successes_meet_at_the_service_node() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(50))
        .and(from(PRODUCTPAGE).to_service("bookinfo/reviews").times(10).answered("503").flags("UH"));
    let graph = fixture.graph(&options("injectServiceNodes=true"));
    let into = edge(&graph, "wl:productpage-v1", "svc:reviews");
    assert_eq!(into.traffic.requests, 60);
    assert_eq!(into.traffic.rates["httpPercentErr"], "16.7");
    assert_eq!(into.traffic.responses["503"].flags["UH"], "16.7");
    assert_eq!(edge(&graph, "svc:reviews", "wl:reviews-v2").traffic.requests, 50);
}

#[test]
fn callers_without_a_proxy_are_one_unknown_node() {
    let fixture = Fixture::default().and(from_outside().to(PRODUCTPAGE).times(6));
    let graph = fixture.graph(&options(""));
    assert_eq!(names(&graph), ["unknown", "wl:productpage-v1"]);
    assert!(node(&graph, "unknown").is_root && node(&graph, "unknown").is_inaccessible);
}

#[test]
fn passthrough_traffic_ends_at_one_service_without_injection() {
    let fixture = Fixture::default().and(from(PRODUCTPAGE).to_passthrough("example.com").times(3));
    let graph = fixture.graph(&options("injectServiceNodes=true&graphType=versionedApp"));
    assert_eq!(names(&graph), ["svc:PassthroughCluster", "wl:productpage-v1"]);
    let passthrough = node(&graph, "svc:PassthroughCluster");
    assert!(passthrough.is_inaccessible && !passthrough.is_outside && !passthrough.is_injected);
    assert_eq!(
        edge(&graph, "wl:productpage-v1", "svc:PassthroughCluster").traffic.responses["200"].hosts["example.com"],
        "100.0"
    );
}

#[test]
fn protocols_are_edges_of_their_own() {
    let fixture = Fixture::default()
        .and(from(PRODUCTPAGE).to(REVIEWS).times(60))
        .and(from(PRODUCTPAGE).to(REVIEWS).times(30).grpc("0"))
        .and(from(PRODUCTPAGE).to(REVIEWS).tcp(600, 1200));
    let graph = fixture.graph(&options(""));
    let protocols: Vec<_> =
        graph.elements.edges.iter().map(|e| (e.data.traffic.protocol.as_str(), e.data.traffic.requests)).collect();
    assert_eq!(protocols, [("grpc", 30), ("http", 60), ("tcp", 600)]);
    assert_eq!(requests(&fixture, "rateTcp=received&rateHttp=none&rateGrpc=none"), 1200);
    assert_eq!(requests(&fixture, "rateTcp=total&rateHttp=none&rateGrpc=none"), 1800);
}

#[test]
fn idle_edges_are_drawn_when_asked_for() {
    let fixture = bookinfo()
        .workload(PRODUCTPAGE, 1, 1)
        .workload("bookinfo/old-v1", 1, 1)
        .and(from(PRODUCTPAGE).to("bookinfo/old-v1").times(0));
    let without = fixture.graph(&options("appenders=deadNode"));
    assert!(find_node(&without, "wl:old-v1").is_none());
    let with = fixture.graph(&options("appenders=deadNode&includeIdleEdges=true"));
    let idle = edge(&with, "wl:productpage-v1", "wl:old-v1");
    assert!(idle.traffic.rates.is_empty() && idle.traffic.requests == 0 && idle.health_status.is_none());
}

#[test]
fn namespaces_choose_what_arrived_left_or_failed_there() {
    let fixture = Fixture::default()
        .and(from("a/one-v1").to("b/two-v1").times(6))
        .and(from("b/two-v1").to("c/three-v1").times(12))
        .and(from("a/one-v1").to_service("b/two").times(18).answered("503").flags("UF"))
        .and(from("c/three-v1").to("c/four-v1").times(24));
    let graph = fixture.graph(&options("namespaces=b&appenders="));
    assert_eq!(names(&graph), ["svc:two", "wl:one-v1", "wl:three-v1", "wl:two-v1"]);
    let sum: u64 = graph.elements.edges.iter().map(|edge| edge.data.traffic.requests).sum();
    assert_eq!(sum, 36);
    let outside: Vec<_> = graph.elements.nodes.iter().filter(|n| n.data.is_outside).map(|n| n.data.namespace.as_str()).collect();
    assert_eq!(outside, ["a", "c"]);
}

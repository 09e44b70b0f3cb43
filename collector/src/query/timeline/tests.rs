//! Lines follow what the graph shows, request for request.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sidelight_api::graph::GraphType;

use super::{Follow, points, read_step_s, rows_of};
use crate::query::graph::fixture::{Fixture, WINDOW, bookinfo, durations, edge, from, node, options};
use crate::query::params::Params;
use crate::store::{SeriesAnswer, StepTotals, Totals, Window};

/// Requests that a line adds up over the whole window, and those of them that failed.
fn sums(fixture: &Fixture, query: &str, follow: &Follow) -> (u64, u64) {
    let groups = rows_of(&fixture.rows, &options(query), follow);
    let of = |wanted: u8| {
        fixture.rows.iter().filter(|row| groups(&row.labels) == Some(wanted)).map(|row| row.totals.requests).sum::<u64>()
    };
    (of(0) + of(1), of(1))
}

#[test]
fn everything_counts_each_request_once() {
    assert_eq!(sums(&bookinfo(), "", &Follow::Everything), (220, 0));
    assert_eq!(sums(&bookinfo(), "namespaces=istio-system", &Follow::Everything), (60, 0));
}

#[test]
fn a_line_of_a_node_is_what_it_answered_or_else_made() {
    for graph_type in GraphType::ALL {
        let query = format!("graphType={}&injectServiceNodes=true", graph_type.as_str());
        let graph = bookinfo().graph(&options(&query));
        for element in &graph.elements.nodes {
            let shown = &element.data;
            if shown.is_box.is_some() {
                continue;
            }
            let into: u64 =
                graph.elements.edges.iter().filter(|e| e.data.target == shown.id).map(|e| e.data.traffic.requests).sum();
            let out: u64 =
                graph.elements.edges.iter().filter(|e| e.data.source == shown.id).map(|e| e.data.traffic.requests).sum();
            let expected = if into > 0 { into } else { out };
            assert_eq!(sums(&bookinfo(), &query, &Follow::Node(shown.id.clone())).0, expected, "{graph_type:?} {shown:?}");
        }
    }
}

#[test]
fn a_line_of_an_edge_is_the_edge() {
    for graph_type in GraphType::ALL {
        for inject in ["true", "false"] {
            let query = format!("graphType={}&injectServiceNodes={inject}", graph_type.as_str());
            let graph = bookinfo().graph(&options(&query));
            for element in &graph.elements.edges {
                let follow = Follow::Edge { source: element.data.source.clone(), target: element.data.target.clone() };
                assert_eq!(sums(&bookinfo(), &query, &follow).0, element.data.traffic.requests, "{query} {:?}", element.data);
            }
        }
    }
}

#[test]
fn failures_are_told_apart() {
    let call = || from("a/one-v1").to("a/two-v1");
    let fixture = Fixture::default()
        .and(call().times(1).answered("200"))
        .and(call().times(2).answered("404"))
        .and(call().times(4).answered("503"))
        .and(call().times(8).answered("0").flags("DC"))
        .and(call().times(16).grpc("0"))
        .and(call().times(32).grpc("14"));
    assert_eq!(sums(&fixture, "", &Follow::Everything), (63, 44));
}

#[test]
fn an_id_that_nobody_has_gives_an_empty_line() {
    assert_eq!(sums(&bookinfo(), "", &Follow::Node("nothing".to_owned())), (0, 0));
}

#[test]
fn steps_without_traffic_are_there() {
    let totals = |requests, ms| Totals { requests, duration: durations(&[(ms, requests)]), ..Totals::default() };
    let series = SeriesAnswer {
        window: WINDOW,
        step_s: 20,
        points: vec![
            StepTotals { t_ms: WINDOW.from_ms, group: 0, totals: totals(40, 20.0) },
            StepTotals { t_ms: WINDOW.from_ms, group: 1, totals: totals(10, 20.0) },
            StepTotals { t_ms: WINDOW.from_ms + 40_000, group: 0, totals: totals(1, 3.0) },
        ],
    };
    let points = points(&series);
    let told: Vec<_> = points.iter().map(|p| ((p.t_ms - WINDOW.from_ms) / 1000, p.rate, p.errors, p.p95)).collect();
    assert_eq!(told, [(0, 2.5, 0.5, Some(24.25)), (20, 0.0, 0.0, None), (40, 0.05, 0.0, Some(4.8))]);
}

#[test]
fn parameters_are_checked() {
    let follow = |query: &str| Follow::read(&Params::parse(query)).map_err(|error| error.to_string());
    assert_eq!(follow(""), Ok(Follow::Everything));
    assert_eq!(follow("node=a"), Ok(Follow::Node("a".to_owned())));
    assert_eq!(follow("source=a&target=b"), Ok(Follow::Edge { source: "a".to_owned(), target: "b".to_owned() }));
    assert_eq!(follow("source=a").unwrap_err(), "parameter `target`: is missing: an edge has two ends");
    assert_eq!(follow("target=a").unwrap_err(), "parameter `source`: is missing: an edge has two ends");
    assert_eq!(follow("node=a&source=b").unwrap_err(), "parameter `node`: cannot be asked for together with an edge");

    let step = |query: &str, seconds: i64| {
        read_step_s(&Params::parse(query), Window { from_ms: 0, to_ms: seconds * 1000 }).map_err(|error| error.to_string())
    };
    assert_eq!(step("", 600), Ok(10));
    assert_eq!(step("", 3600), Ok(30));
    assert_eq!(step("step=15", 3600), Ok(20));
    assert_eq!(step("step=1m", 3600), Ok(60));
    assert!(step("step=10", 86_400).unwrap_err().starts_with("parameter `step`"));
}

#[test]
fn graph_and_line_agree_on_failures_at_the_service() {
    let fixture = Fixture::default()
        .and(from("a/one-v1").to("a/two-v1").times(5))
        .and(from("a/one-v1").to_service("a/two").times(3).answered("503").flags("UH"));
    let graph = fixture.graph(&options("injectServiceNodes=true"));
    let id = node(&graph, "svc:two").id.clone();
    assert_eq!(edge(&graph, "wl:one-v1", "svc:two").traffic.requests, 8);
    assert_eq!(sums(&fixture, "injectServiceNodes=true", &Follow::Node(id)), (8, 3));
    let groups = rows_of(&fixture.rows, &options(""), &Follow::Everything);
    assert_eq!(groups(&Arc::default()), None);
}

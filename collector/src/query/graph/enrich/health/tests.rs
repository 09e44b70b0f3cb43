//! Colours of edges, nodes and boxes.
#![allow(clippy::unwrap_used)]

use sidelight_api::graph::{BoxBy, Health, HealthData};

use crate::query::graph::fixture::{Fixture, bookinfo, edge, from, from_outside, node, options};

fn failing() -> Fixture {
    bookinfo().and(from("bookinfo/reviews-v2").to("bookinfo/ratings-v1").times(20).answered("503"))
}

fn status(data: &Option<HealthData>) -> Health {
    data.as_ref().map_or(Health::Na, |data| data.status.status)
}

#[test]
fn errors_colour_the_edge_and_both_its_ends() {
    let graph = failing().graph(&options(""));
    assert_eq!(edge(&graph, "wl:reviews-v2", "wl:ratings-v1").health_status, Some(Health::Failure));
    assert_eq!(edge(&graph, "wl:reviews-v3", "wl:ratings-v1").health_status, Some(Health::Healthy));
    for (name, expected) in
        [("wl:ratings-v1", Health::Failure), ("wl:reviews-v2", Health::Failure), ("wl:reviews-v3", Health::Healthy)]
    {
        assert_eq!(status(&node(&graph, name).health_data), expected, "{name}");
    }
    let ratings = node(&graph, "wl:ratings-v1").health_data.as_ref().unwrap();
    assert_eq!(ratings.requests.inbound["http"]["503"], 0.333);
    assert_eq!((ratings.status.error_ratio, ratings.status.total_request_rate), (33.333, 1.0));
    assert!(ratings.requests.outbound.is_empty());
}

#[test]
fn a_service_is_judged_by_what_arrives() {
    let graph = failing().graph(&options("injectServiceNodes=true"));
    let reviews = node(&graph, "svc:reviews").health_data.as_ref().unwrap();
    assert_eq!((reviews.status.status, reviews.requests.outbound.len()), (Health::Healthy, 0));
    assert!(reviews.workload_statuses.is_empty());
}

#[test]
fn missing_instances_count_for_workloads_apps_and_boxes() {
    let fixture = bookinfo().workload("bookinfo/reviews-v1", 2, 2).workload("bookinfo/reviews-v2", 2, 1);
    let graph = fixture.graph(&options(""));
    assert_eq!(status(&node(&graph, "wl:reviews-v1").health_data), Health::Healthy);
    assert_eq!(status(&node(&graph, "wl:reviews-v2").health_data), Health::Degraded);
    let apps = fixture.graph(&options("graphType=app"));
    let app = node(&apps, "app:reviews").health_data.as_ref().unwrap();
    assert_eq!((app.status.status, app.workload_statuses.len()), (Health::Degraded, 2));
    let boxed = fixture.graph(&options("graphType=versionedApp"));
    let drawn = boxed.elements.nodes.iter().find(|n| n.data.is_box == Some(BoxBy::App)).unwrap();
    assert_eq!(status(&drawn.data.health_data), Health::Degraded);
}

#[test]
fn idle_workloads_are_judged_and_strangers_are_not() {
    let fixture = Fixture::default().workload("a/idle-v1", 1, 0).and(from_outside().to("a/busy-v1"));
    let graph = fixture.graph(&options(""));
    assert_eq!(status(&node(&graph, "wl:idle-v1").health_data), Health::Failure);
    assert_eq!(node(&graph, "unknown").health_data, None);
}

#[test]
fn tcp_is_healthy_on_edges_and_says_nothing_of_nodes() {
    let graph = Fixture::default().and(from("a/one-v1").to("a/two-v1").tcp(100, 100)).graph(&options(""));
    assert_eq!(edge(&graph, "wl:one-v1", "wl:two-v1").health_status, Some(Health::Healthy));
    assert_eq!(node(&graph, "wl:two-v1").health_data, None);
}

#[test]
fn without_the_step_there_is_none() {
    let graph = failing().graph(&options("appenders="));
    assert!(graph.elements.nodes.iter().all(|node| node.data.health_data.is_none()));
    assert!(graph.elements.edges.iter().all(|edge| edge.data.health_status.is_none()));
}

//! The collector watches itself: its own requests are those of one more workload, and it says truthfully how it is.
#![allow(clippy::unwrap_used)]

mod support;

use http::StatusCode;
use sidelight_collector::Collector;
use sidelight_collector::own_requests::{NAMESPACE, WORKLOAD};
use support::place::Place;
use support::running::{eventually, get, settings, stored};

on_both!(own_requests_are_a_workload_in_the_graph);

async fn own_requests_are_a_workload_in_the_graph(place: &Place) {
    let collector = Collector::start(sidelight_collector::Settings { watch_itself: true, ..settings(place) }).await.unwrap();
    let dashboard = collector.addresses().dashboard;
    for _ in 0..7 {
        assert_eq!(get(dashboard, "/api/status").await.0, StatusCode::OK);
    }
    assert_eq!(get(collector.addresses().zipkin, "/api/v2/services").await.0, StatusCode::OK);
    eventually("the collector's requests are stored", async || stored(&collector, WORKLOAD).await >= 8).await;
    assert_eq!(stored(&collector, WORKLOAD).await, 8, "its own scrape is no request that counts");
    let edges = collector.store().known_edges().await.unwrap();
    let own = edges.iter().find(|edge| &*edge.destination_workload == WORKLOAD).unwrap();
    assert_eq!((&*own.destination_workload_namespace, &*own.reporter), (NAMESPACE, "destination"));
    let (status, text) = get(dashboard, "/stats/prometheus").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("istio_build"), "{text}");
    assert!(text.contains("istio_request_duration_milliseconds_bucket{"), "{text}");
    assert_eq!(get(dashboard, "/readyz").await, (StatusCode::OK, "ready\n".to_owned()));
    assert_eq!(get(dashboard, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_does_not_watch_itself_has_no_such_workload() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let (_, text) = get(collector.addresses().dashboard, "/stats/prometheus").await;
    assert!(!text.contains("istio_build"), "{text}");
    assert!(collector.scrapes().all().is_empty());
    collector.shutdown().await;
}

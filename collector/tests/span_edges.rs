//! A workload that tells nothing but spans is in the store's edges, each exchange once, whatever the order of its halves.
#![allow(clippy::unwrap_used)]

mod support;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sidelight_collector::Collector;
use sidelight_collector::store::Window;
use support::place::Place;
use support::running::{eventually, get, send, settings};

on_both!(halves_in_two_bodies_are_one_request, a_half_alone_is_counted_at_the_end, spans_draw_the_graph);

fn span(kind: &str, id: &str, parent: &str, service: &str) -> Value {
    let at_us = sidelight_collector::clock::now_ms() * 1000;
    let mut span = json!({"traceId": "abc", "id": id, "kind": kind, "name": "reviews.shop.svc.cluster.local:9080/*",
        "timestamp": at_us, "duration": 4000, "localEndpoint": {"serviceName": format!("{service}.shop")},
        "tags": {"node_id": format!("sidecar~10.0.0.1~{service}-v1-0.shop~shop.svc.cluster.local"),
            "http.status_code": "200", "istio.canonical_service": service, "istio.canonical_revision": "v1"}});
    if !parent.is_empty() {
        span["parentId"] = parent.into();
    }
    span
}

async fn post(collector: &Collector, spans: Value) {
    let sent = send(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), spans.to_string().into_bytes());
    assert_eq!(sent.await.0, StatusCode::ACCEPTED);
}

/// `reporter source -> destination: requests`
async fn edges(store: &dyn sidelight_collector::store::Store) -> Vec<String> {
    let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
    let told = store.edges(always, None).await.unwrap().edges.into_iter().map(|edge| {
        let l = &edge.labels;
        assert_eq!(&*l.telemetry, "spans");
        format!("{} {} -> {}: {}", l.reporter, l.source_workload, l.destination_workload, edge.totals.requests)
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

async fn halves_in_two_bodies_are_one_request(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let (client, server) = (span("CLIENT", "1", "", "page"), span("SERVER", "2", "1", "reviews"));
    post(&collector, json!([server])).await;
    assert!(edges(&**collector.store()).await.is_empty(), "it waits for its other half");
    post(&collector, json!([client])).await;
    let once = ["destination page-v1 -> reviews-v1: 1"];
    assert_eq!(edges(&**collector.store()).await, once);
    // The same bodies again, and both in another one.
    post(&collector, json!([server])).await;
    post(&collector, json!([client])).await;
    post(&collector, json!([client, server])).await;
    collector.shutdown().await;
    assert_eq!(edges(&*place.open().await).await, once);
}

async fn a_half_alone_is_counted_at_the_end(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    post(&collector, json!([span("CLIENT", "1", "", "page")])).await;
    collector.shutdown().await;
    assert_eq!(edges(&*place.open().await).await, ["source page-v1 -> unknown: 1"]);
}

async fn spans_draw_the_graph(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    post(&collector, json!([span("CLIENT", "1", "", "page"), span("SERVER", "2", "1", "reviews")])).await;
    let path = "/api/namespaces/graph?namespaces=shop&graphType=workload&duration=60s";
    eventually("the graph has both workloads", async || {
        let (status, body) = get(collector.addresses().dashboard, path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let graph: sidelight_api::graph::Graph = serde_json::from_str(&body).unwrap();
        let mut names: Vec<_> = graph.elements.nodes.iter().filter_map(|node| node.data.workload.clone()).collect();
        names.sort();
        names == ["page-v1", "reviews-v1"]
    })
    .await;
    collector.shutdown().await;
}

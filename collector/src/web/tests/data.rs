//! Graph, timeline and namespaces over the store.

use serde_json::Value;
use sidelight_api::graph::{Graph, Namespace};
use sidelight_api::status::Status;
use sidelight_api::timeline::Timeline;

use super::Server;
use crate::query::graph::fixture::{Fixture, WINDOW, bookinfo, edge, from, names, node};
use crate::web::HostPolicy;
use crate::web::auth::Auth;

fn at() -> String {
    format!("queryTime={}&duration=60s", WINDOW.to_ms / 1000)
}

#[tokio::test]
async fn a_graph_holds_what_the_store_holds() {
    let server = Server::telling(&bookinfo()).await;
    let path = format!("/api/namespaces/graph?{}&graphType=versionedApp&injectServiceNodes=true&namespaces=bookinfo", at());
    let answer = server.get(&path).await;
    let graph: Graph = answer.json();
    assert_eq!((graph.timestamp, graph.duration), (WINDOW.to_ms / 1000, 60));
    assert_eq!(graph.last_sample_ms, Some(WINDOW.from_ms + 30_000));
    assert_eq!(edge(&graph, "svc:reviews", "wl:reviews-v2").traffic.requests, 20);
    assert_eq!(edge(&graph, "svc:reviews", "wl:reviews-v2").traffic.rates["http"], "0.33");
    assert!(node(&graph, "wl:istio-ingressgateway").is_outside);
    assert_eq!(answer.json::<Value>()["graphType"], "versionedApp");
}

#[tokio::test]
async fn another_window_is_another_graph() {
    let server = Server::telling(&bookinfo()).await;
    let before: Graph =
        server.get(&format!("/api/namespaces/graph?queryTime={}&duration=60s", WINDOW.from_ms / 1000)).await.json();
    assert!(before.elements.nodes.is_empty());
    let idle: Graph = server
        .get(&format!("/api/namespaces/graph?queryTime={}&duration=60s&includeIdleEdges=true&appenders=", WINDOW.from_ms / 1000))
        .await
        .json();
    assert_eq!(idle.elements.edges.len(), 7);
    assert!(idle.elements.edges.iter().all(|edge| edge.data.traffic.requests == 0));
}

#[tokio::test]
async fn what_was_heard_just_now_is_shown_at_once() {
    let now_ms = crate::clock::now_ms();
    let server = Server::heard_at(Auth::open(), HostPolicy::Any, &bookinfo(), now_ms).await;
    let graph: Graph = server.get("/api/namespaces/graph?duration=60s").await.json();
    assert_eq!(edge(&graph, "wl:reviews-v2", "wl:ratings-v1").traffic.requests, 20);
    assert_eq!(graph.last_sample_ms, Some(now_ms));
    assert!(graph.timestamp * 1000 <= now_ms - 5_000, "the window itself ends with a step that all have told of");
}

#[tokio::test]
async fn nodes_have_graphs_of_their_own() {
    let server = Server::telling(&bookinfo()).await;
    for (path, shown) in [
        ("workloads/ratings-v1", vec!["wl:ratings-v1", "wl:reviews-v2", "wl:reviews-v3"]),
        ("services/details", vec!["wl:details-v1", "wl:productpage-v1"]),
        ("applications/details", vec!["wl:details-v1", "wl:productpage-v1"]),
        ("applications/reviews/versions/v1", vec!["wl:productpage-v1", "wl:reviews-v1"]),
    ] {
        let graph: Graph = server.get(&format!("/api/namespaces/bookinfo/{path}/graph?{}", at())).await.json();
        assert_eq!(names(&graph), shown, "{path}");
    }
}

#[tokio::test]
async fn a_timeline_has_points_and_changes() {
    let server = Server::telling(&bookinfo()).await;
    let timeline: Timeline = server.get(&format!("/api/timeline?{}", at())).await.json();
    assert_eq!((timeline.from_ms, timeline.to_ms, timeline.step_s), (WINDOW.from_ms, WINDOW.to_ms, 10));
    let rates: Vec<f64> = timeline.points.iter().map(|point| point.rate).collect();
    assert_eq!(rates, [0.0, 0.0, 0.0, 22.0, 0.0, 0.0]);
    assert_eq!(timeline.changes.len(), 1);
    assert_eq!((timeline.changes[0].name.as_str(), timeline.changes[0].author.as_str()), ("reviews", "ann"));
    assert_eq!(timeline.last_sample_ms, Some(WINDOW.from_ms + 30_000));
}

#[tokio::test]
async fn a_timeline_follows_an_edge_of_the_graph() {
    let failing = bookinfo().and(from("bookinfo/reviews-v2").to("bookinfo/ratings-v1").times(5).took(3.0).answered("503"));
    let server = Server::telling(&failing).await;
    let query = format!("{}&graphType=app", at());
    let graph: Graph = server.get(&format!("/api/namespaces/graph?{query}")).await.json();
    let shown = edge(&graph, "app:reviews", "app:ratings");
    let path = format!("/api/timeline?{query}&step=10&source={}&target={}", shown.source, shown.target);
    let timeline: Timeline = server.get(&path).await.json();
    let told: Vec<_> = timeline.points.iter().map(|point| (point.rate, point.errors, point.p95)).collect();
    let quiet = (0.0, 0.0, None);
    assert_eq!(told, [quiet, quiet, quiet, (4.5, 0.5, Some(4.8)), quiet, quiet]);
}

#[tokio::test]
async fn namespaces_are_listed() {
    let fixture = bookinfo().workload("shop/cart-v1", 1, 1);
    let rows: Vec<Namespace> = Server::telling(&fixture).await.get("/api/namespaces").await.json();
    let told: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.cluster.as_str(), row.workloads)).collect();
    assert_eq!(told, [("bookinfo", "c", 6), ("istio-system", "c", 1), ("shop", "c", 1)]);
}

#[tokio::test]
async fn status_tells_the_store_and_the_step() {
    let status: Status = Server::telling(&Fixture::default()).await.get("/api/status").await.json();
    assert_eq!((status.store.as_str(), status.rollup_s, status.retention_s, status.started_at_ms), ("sqlite", 10, 3600, 1));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn probes_answer() {
    let server = Server::telling(&Fixture::default()).await;
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    assert_eq!(server.get("/readyz").await.text(), "ready\n");
}

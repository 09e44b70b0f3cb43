//! The walkthrough's scenarios, each under its id, end to end: real services, real proxies, the collector's own answers.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use support::{Mesh, NAMESPACE, eventually, free_port, mesh};

/// Calls through front-tomcat's proxy that reached one workload, as the caller counted them.
async fn reached(mesh: &Mesh, workload: &str) -> u64 {
    mesh.requests_total(&[("reporter", "source"), ("destination_workload", workload)]).await
}

/// Five standard deviations around the expected count: wrong once in millions of runs.
fn assert_binomial(found: u64, calls: u64, share: f64) {
    let expected = calls as f64 * share;
    let deviation = (calls as f64 * share * (1.0 - share)).sqrt();
    assert!((found as f64 - expected).abs() <= 5.0 * deviation, "{found} of {calls}, expected about {expected}");
}

fn weights(host: &str, weights: &[(&str, u32)]) -> String {
    let mut routes = String::new();
    for (subset, weight) in weights {
        routes.push_str(&format!("        - destination: {{host: {host}, subset: {subset}}}\n          weight: {weight}\n"));
    }
    virtual_service(host, &format!("    - route:\n{routes}"))
}

fn virtual_service(host: &str, http: &str) -> String {
    let namespace = if host == "reviews" { "bookinfo" } else { NAMESPACE };
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {host}, namespace: {namespace}}}\n\
         spec:\n  hosts: [{host}]\n  http:\n{http}"
    )
}

fn subsets(host: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {host}, namespace: {NAMESPACE}}}\n\
         spec:\n  host: {host}\n  subsets:\n    - {{name: v1, labels: {{version: v1}}}}\n    - {{name: v2, labels: {{version: v2}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_a_call_is_seen_on_both_sides_and_in_the_graph() {
    let mesh = mesh().client("front-tomcat").service("bill-service", "v1", 9999).start().await;
    let report = mesh.calls("front-tomcat", "http://bill-service:9999/get", 20).await;
    assert_eq!(report.by_status, [(200, 20)].into());
    assert_eq!(mesh.log_lines("front-tomcat-v1", "\"GET /get HTTP/1.1\" 200", 20).await, 20);
    assert_eq!(mesh.log_lines("bill-service-v1", "\"GET /get HTTP/1.1\" 200", 20).await, 20);
    assert_eq!(mesh.settled_edge("front-tomcat-v1", "bill-service-v1", 20).await, 20);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2a_without_rules_traffic_splits_over_the_endpoints() {
    let calls = 1_000;
    let mesh =
        mesh().client("front-tomcat").service("bill-service", "v1", 9999).service("bill-service", "v2", 9999).start().await;
    let report = mesh.calls("front-tomcat", "http://bill-service:9999/get", calls).await;
    assert_eq!(report.by_status, [(200, calls)].into());
    let (v1, v2) = (reached(&mesh, "bill-service-v1").await, reached(&mesh, "bill-service-v2").await);
    assert_eq!(v1 + v2, calls);
    assert_binomial(v1, calls, 0.5);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2b_weights_hold_whatever_the_replica_counts() {
    let calls = 2_000;
    let mesh = mesh()
        .client("front-tomcat")
        .service("bill-service", "v1", 9999)
        .replicas("bill-service", "v2", 9999, 3)
        .objects(&subsets("bill-service"))
        .objects(&weights("bill-service", &[("v1", 90), ("v2", 10)]))
        .start()
        .await;
    let report = mesh.calls("front-tomcat", "http://bill-service:9999/get", calls).await;
    assert_eq!(report.by_status, [(200, calls)].into());
    let (v1, v2) = (reached(&mesh, "bill-service-v1").await, reached(&mesh, "bill-service-v2").await);
    assert_eq!(v1 + v2, calls);
    assert_binomial(v1, calls, 0.9);

    assert_eq!(mesh.settled_edge("front-tomcat-v1", "bill-service-v1", v1).await, v1);
    assert_eq!(mesh.settled_edge("front-tomcat-v1", "bill-service-v2", v2).await, v2);
    let graph = mesh.graph("versionedApp").await;
    let apps = graph.elements.nodes.iter().map(|node| &node.data).filter(|node| node.app.as_deref() == Some("bill-service"));
    let versions: BTreeSet<&str> = apps.filter_map(|node| node.version.as_deref()).collect();
    assert_eq!(versions, BTreeSet::from(["v1", "v2"]));
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4a_a_page_draws_the_whole_graph_and_one_trace() {
    let mesh = mesh().bookinfo(free_port()).start().await;
    let trace_id = "463ac35c9f6413ad48485a3953bb6124";
    let context = [("x-b3-traceid", trace_id), ("x-b3-spanid", "a2fb4a1d1a96d312"), ("x-b3-sampled", "1")];
    let report = mesh.requests("/productpage", &[], 100).await;
    assert_eq!(report.by_status, [(200, 100)].into());
    let edges = eventually("the graph has every edge", async || {
        let edges = sidelight::demo::ready::workload_edges(&mesh.graph("workload").await);
        (edges.len() >= 7).then_some(edges)
    })
    .await;
    let expected = sidelight::demo::ready::EDGES.map(|(from, to)| (from.to_owned(), to.to_owned()));
    assert_eq!(edges, BTreeSet::from(expected));

    // To v3, so that the page needs every service.
    mesh.apply(&weights("reviews", &[("v3", 100)])).await;
    assert_eq!(mesh.requests("/productpage", &context, 1).await.by_status, [(200, 1)].into());
    let spans = eventually("the trace is complete", async || {
        let spans = mesh.trace(trace_id).await;
        // A client and a server span per call; the gateway has one for both.
        (spans.len() >= 8).then_some(spans)
    })
    .await;
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let all =
        ["istio-ingressgateway.istio-system", "productpage.bookinfo", "details.bookinfo", "reviews.bookinfo", "ratings.bookinfo"];
    assert_eq!(services, BTreeSet::from(all));
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).chain(["a2fb4a1d1a96d312"]).collect();
    let orphans: Vec<_> = spans.iter().filter(|span| !ids.contains(span.parent_id.as_str())).collect();
    assert!(orphans.is_empty(), "{orphans:?}");
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4b_all_to_v3_then_90_10_0() {
    let mesh = mesh().bookinfo(free_port()).start().await;
    let versions = ["reviews-v1", "reviews-v2", "reviews-v3"];
    let mut before = [0; 3];
    mesh.apply(&weights("reviews", &[("v3", 100)])).await;
    assert_eq!(mesh.requests("/productpage", &[], 300).await.by_status, [(200, 300)].into());
    assert_eq!(since(&mesh, versions, &mut before).await, [0, 0, 300]);

    let calls = 2_000;
    mesh.apply(&weights("reviews", &[("v1", 90), ("v2", 10), ("v3", 0)])).await;
    assert_eq!(mesh.requests("/productpage", &[], calls).await.by_status, [(200, calls)].into());
    let [v1, v2, v3] = since(&mesh, versions, &mut before).await;
    assert_eq!((v1 + v2, v3), (calls, 0));
    assert_binomial(v1, calls, 0.9);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4f_luffy_gets_v2_and_others_v3() {
    let mesh = mesh().bookinfo(free_port()).start().await;
    let versions = ["reviews-v1", "reviews-v2", "reviews-v3"];
    let mut before = [0; 3];
    mesh.apply(&virtual_service(
        "reviews",
        "    - match: [{headers: {end-user: {exact: luffy}}}]\n      route: [{destination: {host: reviews, subset: v2}}]\n\
         \x20   - route: [{destination: {host: reviews, subset: v3}}]\n",
    ))
    .await;
    let luffy = [("cookie", "session=luffy")];
    assert_eq!(mesh.requests("/productpage", &luffy, 50).await.by_status, [(200, 50)].into());
    assert_eq!(since(&mesh, versions, &mut before).await, [0, 50, 0]);
    assert_eq!(mesh.requests("/productpage", &[("cookie", "session=zoro")], 30).await.by_status, [(200, 30)].into());
    assert_eq!(mesh.requests("/productpage", &[], 20).await.by_status, [(200, 20)].into());
    assert_eq!(since(&mesh, versions, &mut before).await, [0, 0, 50]);
    mesh.stop().await;
}

/// Calls of each workload since the last time.
async fn since(mesh: &Mesh, workloads: [&str; 3], before: &mut [u64; 3]) -> [u64; 3] {
    let mut now = [0; 3];
    for (count, workload) in now.iter_mut().zip(workloads) {
        *count = reached(mesh, workload).await;
    }
    let difference = std::array::from_fn(|index| now[index] - before[index]);
    *before = now;
    difference
}

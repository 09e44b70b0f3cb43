//! One call through two sidecars: what both count, log and report must be exact.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{any, post};
use parking_lot::Mutex;

use crate::support::ads::Ads;
use crate::support::mesh::{Config, Proxy, node_id, outbound_config};
use crate::support::resources::{self as res, *};
use crate::support::{app, eventually};

const FQDN: &str = "reviews.bookinfo.svc.cluster.local";
const OUT: &str = "outbound|9080||reviews.bookinfo.svc.cluster.local";

struct Pair {
    _ads: Ads,
    client: Proxy,
    server: Proxy,
    server_address: SocketAddr,
    app: SocketAddr,
    spans: Arc<Mutex<Vec<serde_json::Value>>>,
}

/// productpage-v1 calls reviews-v2, a sidecar beside each, an application behind the second.
async fn pair(application: SocketAddr) -> Pair {
    let ads = Ads::start().await;
    let (zipkin, spans) = zipkin().await;
    let node = node_id("sidecar", "reviews-v2");
    let mut route = to("inbound|9080||");
    route.decorator = decorator();
    let vhost = host("inbound|http|9080", &["*"], vec![route]);
    let inbound_manager = with_routes(with_zipkin(manager(), "zipkin"), res::routes("inbound|9080||", vec![vhost]));
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        clusters: vec![inbound(9080, FQDN, application), fixed("zipkin", zipkin)],
        listeners: vec![listener("inbound", any, INBOUND, &inbound_manager)],
        ..Default::default()
    }
    .push(&ads, &node, "1");
    let server = Proxy::start(&ads, node).await;
    server.sidecar.ready().await;
    let server_address = server.listener("inbound");

    let node = node_id("sidecar", "productpage-v1");
    let mut route = to(OUT);
    route.decorator = decorator();
    let table = res::routes("http_proxy", vec![host("reviews", &["reviews:9080"], vec![route])]);
    let workload = Some("reviews-v2;bookinfo;reviews;v2;Kubernetes");
    let mut config =
        outbound_config(vec![eds(OUT), fixed("zipkin", zipkin)], vec![named_assignment(OUT, &[server_address], workload)], table);
    let outbound_manager = with_rds(with_zipkin(manager(), "zipkin"), "http_proxy");
    config.listeners = vec![listener("outbound", any, OUTBOUND, &outbound_manager)];
    config.push(&ads, &node, "1");
    let client = Proxy::start(&ads, node).await;
    client.sidecar.ready().await;
    Pair { _ads: ads, client, server, server_address, app: application, spans }
}

fn decorator() -> Option<envoy_types::pb::envoy::config::route::v3::Decorator> {
    Some(envoy_types::pb::envoy::config::route::v3::Decorator { operation: format!("{FQDN}:9080/*"), ..Default::default() })
}

/// A collector that keeps what it is sent.
async fn zipkin() -> (SocketAddr, Arc<Mutex<Vec<serde_json::Value>>>) {
    let spans: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let kept = spans.clone();
    let take = move |axum::Json(batch): axum::Json<Vec<serde_json::Value>>| {
        kept.lock().extend(batch);
        async { axum::http::StatusCode::ACCEPTED }
    };
    let address = app::serve(Router::new().route("/api/v2/spans", post(take))).await;
    (address, spans)
}

#[tokio::test]
async fn both_reporters_count_every_request_with_every_label() {
    let pair = pair(app::named("six by").await).await;
    let mut client = pair.client.client().await;
    for _ in 0..25 {
        assert_eq!(client.get("http://reviews:9080/ok").await.status, 200);
    }
    let both = r#"source_workload="productpage-v1",source_canonical_service="productpage",source_canonical_revision="v1",source_workload_namespace="bookinfo",source_principal="unknown",source_app="productpage",source_version="v1",source_cluster="Kubernetes",destination_workload="reviews-v2",destination_workload_namespace="bookinfo",destination_principal="unknown",destination_app="reviews",destination_version="v2",destination_service="reviews.bookinfo.svc.cluster.local",destination_canonical_service="reviews",destination_canonical_revision="v2",destination_service_name="reviews",destination_service_namespace="bookinfo",destination_cluster="Kubernetes",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-""#;
    let source = format!(r#"istio_requests_total{{reporter="source",{both},connection_security_policy="unknown"}} 25"#);
    let destination = format!(r#"istio_requests_total{{reporter="destination",{both},connection_security_policy="none"}} 25"#);
    let page = pair.client.metrics().await;
    assert!(page.lines().any(|line| line == source), "{page}");
    let page = pair.server.metrics().await;
    assert!(page.lines().any(|line| line == destination), "{page}");
    for proxy in [&pair.client, &pair.server] {
        for family in ["istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"] {
            let count = proxy.metric(&format!("{family}_count"), &[]).await;
            assert_eq!(count, Some(25.0), "{family}");
        }
        assert_eq!(proxy.log.lines().len(), 25);
    }
    // Two families of one name would be refused by every parser.
    let mut types: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all);
}

#[tokio::test]
async fn both_sides_log_istios_line() {
    let pair = pair(app::named("six by").await).await;
    let answer = pair.client.client().await.get_with("http://reviews:9080/ok?q=1", &[("user-agent", "lab-client/1.0")]).await;
    assert!(!answer.headers.contains_key("x-envoy-peer-metadata"));
    assert!(!answer.headers.contains_key("x-envoy-peer-metadata-id"));
    assert!(!answer.headers.contains_key("x-envoy-decorator-operation"));
    let (near, far) = (pair.client.log_line(0).await, pair.server.log_line(0).await);
    let id = near.split('"').nth(9).unwrap().to_owned();
    assert_eq!(id.len(), 36, "{near}");
    let outbound = pair.client.listener("outbound");
    let fields = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let (n, f) = (fields(&near), fields(&far));
    let server = pair.server_address;
    let app = pair.app;
    // Times and ports of clients vary.
    assert_eq!(
        near,
        format!(
            "\"GET /ok?q=1 HTTP/1.1\" 200 - via_upstream - \"-\" 0 6 {} {} \"-\" \"lab-client/1.0\" \"{id}\" \
             \"reviews:9080\" \"{server}\" {OUT} {} {outbound} {} - default",
            n[10], n[11], n[18], n[20]
        )
    );
    assert_eq!(
        far,
        format!(
            "\"GET /ok?q=1 HTTP/1.1\" 200 - via_upstream - \"-\" 0 6 {} {} \"-\" \"lab-client/1.0\" \"{id}\" \
             \"reviews:9080\" \"{app}\" inbound|9080|| {} {server} {} - default",
            f[10], f[11], f[18], f[20]
        )
    );
    // The server sees the client proxy's own socket.
    assert_eq!(n[18], f[20]);
}

#[tokio::test]
async fn both_spans_join_one_trace_and_the_application_gets_its_context() {
    let pair = pair(app::echo().await).await;
    let seen = pair.client.client().await.get("http://reviews:9080/ok").await.json();
    eventually("two spans", || pair.spans.lock().len() == 2).await;
    let spans = pair.spans.lock().clone();
    let of = |kind: &str| spans.iter().find(|span| span["kind"] == kind).unwrap();
    let (client, server) = (of("CLIENT"), of("SERVER"));
    assert_eq!(client["traceId"], server["traceId"]);
    assert_eq!(server["parentId"], client["id"]);
    assert!(client.get("parentId").is_none());
    assert_eq!(client["name"], "reviews.bookinfo.svc.cluster.local:9080/*");
    assert_eq!(client["localEndpoint"]["serviceName"], "productpage.bookinfo");
    assert_eq!(server["localEndpoint"]["serviceName"], "reviews.bookinfo");
    assert_eq!(client["tags"]["upstream_cluster"], OUT);
    let headers = &seen["headers"];
    assert_eq!(headers["x-b3-traceid"], client["traceId"]);
    assert_eq!(headers["x-b3-spanid"], server["id"]);
    assert_eq!(headers["x-b3-parentspanid"], client["id"]);
    assert_eq!(headers["x-b3-sampled"], "1");
    assert_eq!(client["tags"]["guid:x-request-id"], headers["x-request-id"]);
    for private in ["x-envoy-peer-metadata", "x-envoy-peer-metadata-id", "x-envoy-decorator-operation"] {
        assert!(headers.get(private).is_none(), "{private} reached the application");
    }
}

#[tokio::test]
async fn a_failing_application_is_counted_alike_on_both_sides() {
    let failing =
        app::serve(Router::new().fallback(any(|| async { (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "broken") }))).await;
    let pair = pair(failing).await;
    let mut client = pair.client.client().await;
    for _ in 0..3 {
        assert_eq!(client.post("http://reviews:9080/", "abc").await.status, 500);
    }
    for proxy in [&pair.client, &pair.server] {
        let count = proxy.metric("istio_requests_total", &["response_code=\"500\"", "response_flags=\"-\""]).await;
        assert_eq!(count, Some(3.0));
        let line = proxy.log_line(0).await;
        assert!(line.starts_with("\"POST / HTTP/1.1\" 500 - via_upstream - \"-\" 3 6 "), "{line}");
    }
}

#[tokio::test]
async fn a_client_without_a_sidecar_is_unknown() {
    let pair = pair(app::named("x").await).await;
    let answer = crate::support::client::get(pair.server_address, "/direct").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("x-envoy-peer-metadata-id"));
    let count = pair
        .server
        .metric(
            "istio_requests_total",
            &[
                "reporter=\"destination\"",
                "source_workload=\"unknown\"",
                "source_canonical_revision=\"latest\"",
                "destination_workload=\"reviews-v2\"",
            ],
        )
        .await;
    assert_eq!(count, Some(1.0));
}

#[tokio::test]
async fn a_shutdown_lets_the_request_in_flight_finish() {
    let slow = app::serve(Router::new().fallback(any(|| async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        "late"
    })))
    .await;
    let pair = pair(slow).await;
    let mut client = pair.client.client().await;
    let call = tokio::spawn(async move { client.get("http://reviews:9080/").await });
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let active = ("envoy_http_downstream_rq_active", &["http_conn_manager_prefix=\"outbound\""]);
    while pair.client.metric(active.0, active.1).await != Some(1.0) {
        assert!(tokio::time::Instant::now() < deadline, "the call never arrives");
    }
    let log = pair.client.log.clone();
    pair.client.sidecar.shutdown().await;
    assert_eq!(call.await.unwrap().text(), "late");
    assert_eq!(log.lines().len(), 1);
}

//! A real Envoy, started with the bootstraps that we ship, sends its spans and its access log through the doors.

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use serde_json::Value;
use sidelight_api::graph::Graph;
use sidelight_api::logs::LogList;
use sidelight_collector::Collector;
use sidelight_collector::store::Window;
use tokio::net::TcpListener;

use crate::support::envoy::Envoy;
use crate::support::place::Place;
use crate::support::running::{accounted, counts, eventually, get, settings, stored};

const REQUESTS: u64 = 12;

/// The shipped bootstrap with free ports instead of those in the file.
fn bootstrap(name: &str, edit: fn(String) -> String, application: SocketAddr, door: SocketAddr) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/envoy").join(name);
    let mut text = edit(std::fs::read_to_string(&shipped).unwrap());
    for (port, address) in [("8081", application), ("4317", door), ("9411", door)] {
        for host in ["127.0.0.1", "collector.example"] {
            let shipped = format!("{{ address: {host}, port_value: {port} }}");
            text = text.replace(&shipped, &format!("{{ address: 127.0.0.1, port_value: {} }}", address.port()));
        }
    }
    text = text.replace("address: 0.0.0.0, port_value: 8080", "address: 127.0.0.1, port_value: 0");
    text.replace("port_value: 15000", "port_value: 0")
}

/// Where its one listener is, once it is there.
async fn inbound(envoy: &Envoy) -> SocketAddr {
    let found = std::cell::Cell::new(None);
    let found = &found;
    eventually("Envoy listens", async || {
        let Some(address) = envoy.admin() else { return false };
        let (_, body) = get(address, "/listeners?format=json").await;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let socket = &body["listener_statuses"][0]["local_address"]["socket_address"];
        found.set(socket["port_value"].as_u64().map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16))));
        found.get().is_some()
    })
    .await;
    found.get().unwrap()
}

/// An Envoy before an application that was asked so many times.
async fn asked(name: &str, edit: fn(String) -> String, door: SocketAddr) -> Envoy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let application = listener.local_addr().unwrap();
    let router = Router::new().fallback(|| async { "the application" });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let envoy = Envoy::start(&bootstrap(name, edit, application, door)).await;
    let inbound = inbound(&envoy).await;
    for _ in 0..REQUESTS {
        assert_eq!(get(inbound, "/cart").await.1, "the application");
    }
    envoy
}

/// The Envoy is a workload of the graph, counted from what it told.
async fn is_drawn(collector: &Collector, telemetry: &str) {
    let path = "/api/namespaces/graph?namespaces=shop&graphType=workload&duration=600s";
    eventually("the graph shows the Envoy", async || {
        let (_, graph) = get(collector.addresses().dashboard, path).await;
        graph.contains(r#""workload":"checkout"#) && graph.contains(telemetry)
    })
    .await;
}

async fn spans_arrive(bootstrap: &str, door: &str, place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let addresses = collector.addresses();
    let target = if door == "zipkin" { addresses.zipkin } else { addresses.otlp_grpc.unwrap() };
    let envoy = asked(bootstrap, |shipped| shipped, target).await;
    // Envoy sends what is left after five seconds.
    eventually("all spans are stored", async || {
        counts(&collector, door, "spans").await.is_some_and(|counts| counts.stored == REQUESTS)
    })
    .await;
    assert_eq!(accounted(&collector, door, "spans").await, (REQUESTS, REQUESTS, Vec::new()));
    let (_, services) = get(addresses.zipkin, "/api/v2/services").await;
    assert_eq!(services, r#"["checkout.shop"]"#);
    let (_, traces) = get(addresses.zipkin, "/api/v2/traces?serviceName=checkout.shop&limit=100").await;
    let traces: Vec<Vec<Value>> = serde_json::from_str(&traces).unwrap();
    assert_eq!(traces.len() as u64, REQUESTS);
    let tags = &traces[0][0]["tags"];
    assert_eq!((&tags["http.status_code"], &tags["component"]), (&"200".into(), &"proxy".into()));
    is_drawn(&collector, r#""telemetry":["spans"]"#).await;
    drop(envoy);
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_spans_arrive_over_otlp() {
    spans_arrive("plain-otlp.yaml", "otlp-grpc", &Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_spans_arrive_over_zipkin() {
    spans_arrive("plain-zipkin.yaml", "zipkin", &Place::sqlite()).await;
}

async fn lines_arrive(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let envoy = asked("plain-als.yaml", |shipped| shipped, collector.addresses().otlp_grpc.unwrap()).await;
    // Envoy sends what it has once a second.
    eventually("all lines are stored", async || {
        counts(&collector, "als", "logs").await.is_some_and(|counts| counts.stored == REQUESTS)
    })
    .await;
    assert_eq!(accounted(&collector, "als", "logs").await, (REQUESTS, REQUESTS, Vec::new()));
    assert_eq!(stored(&collector, "checkout-v1").await, REQUESTS);

    let dashboard = collector.addresses().dashboard;
    let find =
        async |query: &str| -> LogList { serde_json::from_str(&get(dashboard, &format!("/api/logs?{query}")).await.1).unwrap() };
    let found = find("workload=checkout-v1&namespace=shop&direction=inbound&method=GET&path=/cart&code=200").await;
    assert_eq!((found.lines.len() as u64, found.searched_from_ms, found.corrupt_blocks), (REQUESTS, None, 0));
    let line = &found.lines[0];
    assert_eq!((&*line.service, &*line.workload, &*line.namespace), ("checkout.shop", "checkout-v1", "shop"));
    let named = ["protocol", "response_code_details", "response_flags", "upstream_cluster", "bytes_sent", "access_log_type"];
    let told = ["HTTP/1.1", "via_upstream", "-", "inbound|8080||", "15", "DownstreamEnd"];
    let texts = named.map(|name| line.access[name].to_string().trim_matches('"').to_owned());
    assert_eq!(texts, told);
    let request_id = line.access["request_id"].as_str().unwrap();
    assert_eq!(find(&format!("requestId={request_id}")).await.lines, std::slice::from_ref(line));
    assert_eq!(find("workload=checkout-v1&code=5xx").await.lines, []);

    let (_, body) = get(dashboard, "/api/namespaces/graph?namespaces=shop&graphType=workload&duration=600s").await;
    let graph: Graph = serde_json::from_str(&body).unwrap();
    let nodes: Vec<_> = graph.elements.nodes.iter().filter_map(|node| node.data.workload.as_deref()).collect();
    assert!(nodes.contains(&"checkout-v1"), "{body}");
    let told: Vec<_> = graph.elements.edges.iter().map(|edge| edge.data.telemetry.clone()).collect();
    assert_eq!(told, [["logs"]], "{body}");
    drop(envoy);
    collector.shutdown().await;
}

/// The same proxy for connections: what is between the listener's filters and the clusters is another.
fn of_connections(shipped: String) -> String {
    let (before, rest) = shipped.split_once("        - filters:\n").unwrap();
    let (_, clusters) = rest.split_once("  clusters:\n").unwrap();
    let filters = r#"
            - name: envoy.filters.network.tcp_proxy
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
                stat_prefix: inbound_8080
                cluster: inbound|8080||
                access_log:
                  - name: envoy.access_loggers.tcp_grpc
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig
                      common_config:
                        log_name: tcp_envoy_accesslog
                        transport_api_version: V3
                        grpc_service:
                          envoy_grpc: { cluster_name: sidelight-grpc }
"#;
    format!("{before}        - filters:{filters}  clusters:\n{clusters}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_log_of_connections_counts_them() {
    let collector = Collector::start(settings(&Place::sqlite())).await.unwrap();
    let envoy = asked("plain-als.yaml", of_connections, collector.addresses().otlp_grpc.unwrap()).await;
    eventually("all connections are stored", async || {
        counts(&collector, "als", "logs").await.is_some_and(|counts| counts.stored == REQUESTS)
    })
    .await;
    let (_, body) = get(collector.addresses().dashboard, "/api/logs?workload=checkout-v1&direction=inbound").await;
    let found: LogList = serde_json::from_str(&body).unwrap();
    assert_eq!(found.lines.len() as u64, REQUESTS);
    assert!(found.lines.iter().all(|line| line.access["access_log_type"] == "TcpConnectionEnd"), "{body}");
    let bytes = |name: &str| found.lines.iter().map(|line| line.access[name].as_u64().unwrap()).sum::<u64>();
    let answer = collector.store().edges(Window { from_ms: 0, to_ms: 4_000_000_000_000 }, None).await.unwrap();
    let [edge] = &answer.edges[..] else { panic!("{:?}", answer.edges) };
    assert_eq!((&*edge.labels.destination_workload, &*edge.labels.request_protocol), ("checkout-v1", "tcp"));
    let totals = &edge.totals;
    assert_eq!((totals.requests, totals.tcp_opened, totals.tcp_closed), (0, REQUESTS, REQUESTS));
    assert_eq!((totals.tcp_received_bytes, totals.tcp_sent_bytes), (bytes("bytes_received"), bytes("bytes_sent")));
    assert!(totals.tcp_sent_bytes >= REQUESTS * "the application".len() as u64);
    drop(envoy);
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_access_log_draws_its_workload() {
    lines_arrive(&Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_access_log_draws_its_workload_on_postgres() {
    lines_arrive(&Place::postgres().await).await;
}

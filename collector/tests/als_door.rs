//! Access logs through Envoy's service: kept, found again, drawn as edges, and counted whatever becomes of them.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, ConnectionProperties, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties, TcpAccessLogEntry,
};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, Identifier, LogEntries, TcpAccessLogEntries,
};
use envoy_types::pb::google::protobuf::{Duration, Timestamp, UInt32Value};
use http::{HeaderMap, StatusCode};
use sidelight_api::logs::LogList;
use sidelight_collector::Collector;
use sidelight_collector::store::{Edge, Totals, Window, WriteBatch};
use support::place::Place;
use support::running::{accounted, counts, eventually, get, send, settings};
use tonic::{Code, Status};

on_both!(
    entries_are_kept_found_and_drawn,
    many_streams_lose_nothing,
    a_stream_without_an_identifier_is_refused,
    bad_messages_are_refused_and_harm_nobody,
    a_restart_keeps_what_was_answered,
    lines_over_http_are_judged_one_by_one,
    counters_without_end_hold_nobody_up,
);

fn identifier(cluster: &str) -> Option<Identifier> {
    let node = Node { id: "host-7".to_owned(), cluster: cluster.to_owned(), ..Node::default() };
    Some(Identifier { node: Some(node), log_name: "access".to_owned() })
}

fn now() -> Option<Timestamp> {
    let now_ms = sidelight_collector::clock::now_ms();
    Some(Timestamp { seconds: now_ms / 1000, nanos: (now_ms % 1000 * 1_000_000) as i32 })
}

fn common(cluster: &str, access_log_type: i32) -> Option<AccessLogCommon> {
    Some(AccessLogCommon {
        start_time: now(),
        duration: Some(Duration { seconds: 0, nanos: 7_000_000 }),
        upstream_cluster: cluster.to_owned(),
        access_log_type,
        ..AccessLogCommon::default()
    })
}

fn http_entry(path: &str, code: u32) -> HttpAccessLogEntry {
    HttpAccessLogEntry {
        common_properties: common("web", 6),
        request: Some(HttpRequestProperties {
            request_method: 1,
            authority: "shop.example".to_owned(),
            path: path.to_owned(),
            ..HttpRequestProperties::default()
        }),
        response: Some(HttpResponseProperties {
            response_code: Some(UInt32Value { value: code }),
            ..HttpResponseProperties::default()
        }),
        ..HttpAccessLogEntry::default()
    }
}

fn http(identifier: Option<Identifier>, log_entry: Vec<HttpAccessLogEntry>) -> StreamAccessLogsMessage {
    StreamAccessLogsMessage { identifier, log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry })) }
}

fn tcp(identifier: Option<Identifier>, log_entry: Vec<TcpAccessLogEntry>) -> StreamAccessLogsMessage {
    StreamAccessLogsMessage { identifier, log_entries: Some(LogEntries::TcpLogs(TcpAccessLogEntries { log_entry })) }
}

/// Sends a stream and waits for the answer, which comes when all of it is stored.
async fn stream(collector: &Collector, messages: Vec<StreamAccessLogsMessage>) -> Result<(), Status> {
    let address = collector.addresses().otlp_grpc.unwrap();
    let mut client = AccessLogServiceClient::connect(format!("http://{address}")).await.unwrap();
    client.stream_access_logs(tokio_stream::iter(messages)).await.map(drop)
}

async fn logs(collector: &Collector, query: &str) -> LogList {
    let (status, body) = get(collector.addresses().dashboard, &format!("/api/logs?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn drawn(collector: &Collector) -> Vec<String> {
    let answer = collector.store().edges(Window { from_ms: 0, to_ms: 4_000_000_000_000 }, None).await.unwrap();
    let mut edges: Vec<String> = answer
        .edges
        .iter()
        .map(|edge| {
            let (labels, totals) = (&edge.labels, &edge.totals);
            format!(
                "{} {}/{} -> {} {} {}: {} requests, {} ms, {}+{} bytes, {} connections",
                labels.telemetry,
                labels.source_workload_namespace,
                labels.source_workload,
                labels.destination_service_name,
                labels.request_protocol,
                labels.response_code,
                totals.requests,
                totals.duration.sum,
                totals.tcp_received_bytes,
                totals.tcp_sent_bytes,
                totals.tcp_closed,
            )
        })
        .collect();
    edges.sort();
    edges
}

async fn entries_are_kept_found_and_drawn(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let mut intermediate = http_entry("/stream", 200);
    intermediate.common_properties.as_mut().unwrap().access_log_type = 5;
    let messages = vec![
        http(identifier("front"), vec![http_entry("/a?x=1", 200), http_entry("/a", 503), intermediate]),
        http(None, vec![http_entry("/b", 200)]),
    ];
    stream(&collector, messages).await.unwrap();
    let connection = TcpAccessLogEntry {
        common_properties: common("postgres", 3),
        connection_properties: Some(ConnectionProperties { received_bytes: 11, sent_bytes: 22 }),
    };
    stream(&collector, vec![tcp(identifier("front"), vec![connection])]).await.unwrap();

    assert_eq!(accounted(&collector, "als", "logs").await, (5, 5, vec![]));
    let paths = async |query: &str| -> Vec<String> {
        let list = logs(&collector, query).await;
        assert_eq!((list.corrupt_blocks, list.searched_from_ms), (0, None));
        let path = |line: &sidelight_api::logs::LogLine| line.access.get("path").map(|path| path.as_str().unwrap().to_owned());
        let mut paths: Vec<String> = list.lines.iter().map(|line| path(line).unwrap_or_default()).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths("workload=front&namespace=default").await, ["", "/a", "/a?x=1", "/b", "/stream"]);
    assert_eq!(paths("path=/a&code=2xx").await, ["/a?x=1"]);
    assert_eq!(paths("code=500-599").await, ["/a"]);
    assert_eq!(paths("method=GET&text=%2FSTREAM").await, ["/stream"]);
    assert_eq!(paths("workload=other").await, [""; 0]);
    assert_eq!(paths("text=postgres").await, [""]);
    let one = logs(&collector, "text=%3Fx%3D").await.lines.remove(0);
    assert_eq!((&*one.service, &*one.workload, &*one.namespace), ("front", "front", "default"));
    assert_eq!(one.access["response_code"], 200);
    assert_eq!(
        drawn(&collector).await,
        [
            "logs default/front -> postgres tcp : 0 requests, 0 ms, 11+22 bytes, 1 connections",
            "logs default/front -> web http 200: 2 requests, 14 ms, 0+0 bytes, 0 connections",
            "logs default/front -> web http 503: 1 requests, 7 ms, 0+0 bytes, 0 connections",
        ]
    );
    let (_, graph) = get(collector.addresses().dashboard, "/api/namespaces/graph?namespaces=default").await;
    assert!(graph.contains(r#""workload":"front""#) && graph.contains(r#""telemetry":["logs"]"#), "{graph}");
    assert_eq!(get(collector.addresses().dashboard, "/api/logs?code=many").await.0, StatusCode::BAD_REQUEST);
    collector.shutdown().await;
}

async fn many_streams_lose_nothing(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let entries = || (0..50).map(|n| http_entry(&format!("/{n}"), 200)).collect::<Vec<_>>();
    let messages = |stream: usize| {
        (0..20).map(|n| http((n == 0).then(|| identifier(&format!("proxy-{stream}")).unwrap()), entries())).collect::<Vec<_>>()
    };
    let sent = (0..8).map(|n| stream(&collector, messages(n)));
    for result in futures_util::future::join_all(sent).await {
        result.unwrap();
    }
    assert_eq!(accounted(&collector, "als", "logs").await, (8_000, 8_000, vec![]));
    let list = logs(&collector, "workload=proxy-3&limit=1000").await;
    assert_eq!(list.lines.len(), 1_000);
    let requests: u64 = {
        let answer = collector.store().edges(Window { from_ms: 0, to_ms: 4_000_000_000_000 }, None).await.unwrap();
        answer.edges.iter().map(|edge| edge.totals.requests).sum()
    };
    assert_eq!(requests, 8_000);
    collector.shutdown().await;
}

async fn a_stream_without_an_identifier_is_refused(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let refused = stream(&collector, vec![http(None, vec![http_entry("/a", 200); 3])]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "the first message of a stream must have an identifier");
    stream(&collector, vec![http(identifier("front"), vec![http_entry("/a", 200)])]).await.unwrap();
    assert_eq!(accounted(&collector, "als", "logs").await, (4, 1, vec![("no_identifier".to_owned(), 3)]));
    collector.shutdown().await;
}

/// One gRPC message as it travels.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

async fn bad_messages_are_refused_and_harm_nobody(place: &Place) {
    use prost::Message;
    let collector = Collector::start(settings(place)).await.unwrap();
    let address = collector.addresses().otlp_grpc.unwrap();
    let path = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
    let raw = async |body: Vec<u8>| {
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(true)
            .build_http::<http_body_util::Full<bytes::Bytes>>();
        let request = http::Request::post(format!("http://{address}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let response = client.request(request.body(body.into()).unwrap()).await.unwrap();
        let status = |headers: &HeaderMap| headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
        let early = status(response.headers());
        let collected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
        early.or_else(|| collected.trailers().and_then(status)).unwrap()
    };
    let good = http(identifier("front"), vec![http_entry("/a", 200)]).encode_to_vec();
    // No protobuf; a message that is cut inside; half a gRPC message; one that is too large.
    assert_eq!(raw(framed(&[0xff; 20])).await, "3");
    assert_eq!(raw(framed(&good[..good.len() - 5])).await, "3");
    assert_eq!(raw(framed(&good)[..30].to_vec()).await, "13");
    let mut too_large = vec![0];
    too_large.extend((5u32 << 20).to_be_bytes());
    assert_eq!(raw(too_large).await, "11");
    // A whole message before the bad one is kept.
    let mut mixed = framed(&good);
    mixed.extend(framed(&[0xff; 20]));
    assert_eq!(raw(mixed).await, "3");
    // Entries of nobody: the identifier is no message.
    let mut nobody = vec![0x0a, 1, 0xff];
    nobody.extend(http(None, vec![http_entry("/a", 200); 3]).encode_to_vec());
    assert_eq!(raw(framed(&nobody)).await, "3");
    // An entry that is no entry, a path without end, an authority that is no text.
    let mut odd = http(identifier("front"), vec![http_entry(&"/x".repeat(100_000), 200)]).encode_to_vec();
    odd.extend([0x12, 4, 0x0a, 2, 0xff, 0xff]);
    assert_eq!(raw(framed(&odd)).await, "0");
    let refused = vec![("body_too_large".to_owned(), 1), ("broken_off".to_owned(), 1), ("undecodable".to_owned(), 7)];
    assert_eq!(accounted(&collector, "als", "logs").await, (11, 2, refused));
    let long = logs(&collector, "path=/x/x").await;
    assert_eq!(long.lines[0].access["path"].as_str().unwrap().len(), 16 * 1024);
    // On the port for gRPC, a page of a browser is told so.
    assert_eq!(send(address, "POST", path, HeaderMap::new(), Vec::new()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    collector.shutdown().await;
}

async fn counters_without_end_hold_nobody_up(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let connection = |bytes| TcpAccessLogEntry {
        common_properties: common("postgres", 3),
        connection_properties: Some(ConnectionProperties { received_bytes: bytes, sent_bytes: bytes }),
    };
    for bytes in [u64::MAX, u64::MAX, 1 << 62, 7] {
        stream(&collector, vec![tcp(identifier("front"), vec![connection(bytes); 5])]).await.unwrap();
    }
    assert_eq!(accounted(&collector, "als", "logs").await, (20, 20, vec![]));
    assert_eq!(drawn(&collector).await, ["logs default/front -> postgres tcp : 0 requests, 0 ms, 35+35 bytes, 20 connections"]);
    // Where a sum is at its end nevertheless, Postgres refuses the lines; nobody waits for them.
    let answer = collector.store().edges(Window { from_ms: 0, to_ms: 4_000_000_000_000 }, None).await.unwrap();
    let edge = Arc::new(Edge::new(Arc::clone(&answer.edges[0].labels), Arc::clone(&answer.edges[0].totals.duration.bounds)));
    let end = Totals { tcp_sent_bytes: i64::MAX as u64 - 70, ..Totals::default() };
    let now_s = sidelight_collector::clock::now_ms() / 1000;
    let added = [now_s, now_s + 3600].map(|t_s| (t_s / 10 * 10, Arc::clone(&edge), end.clone())).to_vec();
    collector.store().write(&WriteBatch { added, ..WriteBatch::default() }).await.unwrap();
    for _ in 0..4 {
        stream(&collector, vec![tcp(identifier("front"), vec![connection(40)])]).await.unwrap();
    }
    stream(&collector, vec![http(identifier("front"), vec![http_entry("/after", 200)])]).await.unwrap();
    assert_eq!(logs(&collector, "path=/after").await.lines.len(), 1);
    let refused = if matches!(place, Place::Postgres(_)) { vec![("unavailable".to_owned(), 4)] } else { vec![] };
    eventually("the refused lines are counted", async || counts(&collector, "als", "logs").await.unwrap().received == 25).await;
    assert_eq!(accounted(&collector, "als", "logs").await.2, refused);
    collector.shutdown().await;
}

async fn a_restart_keeps_what_was_answered(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    stream(&collector, vec![http(identifier("front"), vec![http_entry("/kept", 200)])]).await.unwrap();
    // As if it were killed.
    drop(collector);
    let collector = Collector::start(settings(place)).await.unwrap();
    assert_eq!(logs(&collector, "path=/kept").await.lines.len(), 1);
    collector.shutdown().await;
}

async fn lines_over_http_are_judged_one_by_one(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let door = collector.addresses().otlp_http.unwrap();
    let post = async |body: &str| {
        send(door, "POST", "/v1/access-logs?namespace=shop&workload=cart-v1", HeaderMap::new(), body.as_bytes().to_vec()).await
    };
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    let text = format!(
        r#"[{now}] "GET /text HTTP/1.1" 503 UF,URX details - "refused" 1 2 3 - "-" "agent" "-" "h" "10.0.0.1:80" outbound|80||a.b.svc.cluster.local - - - - r"#
    );
    let json = format!(r#"{{"start_time":"{now}","path":"/json","response_code":"200","duration":4}}"#);
    let body = format!("{text}\nnothing\n\n{json}\r\n{}\n", json.replace(&now, "1970-01-01T00:00:00Z"));
    let answer = serde_json::json!({"received": 4, "refused": 2,
        "bad": [{"line": 2, "reason": "bad_line"}, {"line": 5, "reason": "too_old"}]});
    let (status, told) = post(&body).await;
    assert_eq!((status, serde_json::from_str::<serde_json::Value>(&told).unwrap()), (StatusCode::OK, answer));
    // The same again is a retry.
    assert_eq!(post(&body).await.0, StatusCode::OK);
    assert_eq!(post("nothing").await.0, StatusCode::BAD_REQUEST);
    let refused = vec![("bad_line".to_owned(), 3), ("duplicate".to_owned(), 2), ("too_old".to_owned(), 2)];
    assert_eq!(accounted(&collector, "access-logs", "logs").await, (9, 2, refused));
    let found = logs(&collector, "workload=cart-v1&namespace=shop&flags=URX&direction=outbound").await;
    assert_eq!((found.lines.len(), &found.lines[0].access["path"]), (1, &serde_json::json!("/text")));
    assert_eq!(logs(&collector, "workload=cart-v1").await.lines.len(), 2);
    collector.shutdown().await;
}

//! Whole exchanges: two proxies in a row, local replies, clients that go away.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use sidelight_mesh::identity::NodeIdentity;

use super::*;
use crate::access_log::{AccessLog, Format, LogSink, LogTarget, MemoryLog};
use crate::export::{ZipkinExporter, ZipkinSettings};
use crate::peer::{PEER_METADATA, PEER_METADATA_ID};
use crate::settings::{TelemetrySettings, TracingSettings};
use crate::testing::{address, cluster, gateway, get, headers, workload};

/// A proxy with Istio's log format into memory and, inside a runtime, tracing of everything.
fn proxy(identity: NodeIdentity, traced: bool) -> (Telemetry, MemoryLog) {
    let telemetry = Telemetry::new(identity, TelemetrySettings::default());
    let log = MemoryLog::default();
    let sink = LogSink::open(LogTarget::Memory(log.clone()), telemetry.families()).unwrap();
    let tracing = traced.then(|| {
        let exporter = ZipkinExporter::start(ZipkinSettings::default(), None, telemetry.identity(), telemetry.families());
        TracingSettings { random_percent: 100.0, ..TracingSettings::new(exporter) }
    });
    telemetry.set_settings(TelemetrySettings {
        access_log: Some(AccessLog::new(Format::istio(), sink)),
        tracing,
        replace_request_id: None,
    });
    (telemetry, log)
}

fn named(name: &str) -> Option<Arc<str>> {
    Some(name.into())
}

#[track_caller]
fn expect_metric(telemetry: &Telemetry, wanted: &[(&str, &str)], count: u64) {
    let text = telemetry.render_metrics("filter=istio_requests_total");
    let fits = |line: &&str| wanted.iter().all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")));
    let lines: Vec<_> = text.lines().filter(|l| l.starts_with("istio_")).filter(fits).collect();
    assert_eq!(lines.len(), 1, "{wanted:?} in\n{text}");
    assert!(lines[0].ends_with(&format!(" {count}")), "{}", lines[0]);
}

#[tokio::test]
async fn two_proxies_learn_of_each_other_and_share_a_trace() {
    let (client, client_log) = proxy(workload("productpage", "v1"), true);
    let (server, server_log) = proxy(workload("reviews", "v1"), true);
    let mut wire = headers(&[("user-agent", "lab-client/1.0")]);

    let sent = wire.clone();
    let mut out = client.start(Reporter::Source, &get("/ok", "reviews:9080", &sent));
    out.set_route(named("default"), named("reviews.bookinfo.svc.cluster.local:9080/*"));
    out.set_cluster(cluster("reviews"));
    out.set_upstream("127.0.0.1:21001".parse().unwrap(), None);
    out.inject(&mut wire);
    out.upstream_connected(address("127.0.0.1:37230"), None);
    assert!(wire.contains_key(PEER_METADATA) && wire.contains_key(PEER_METADATA_ID));
    assert_eq!(wire[DECORATOR], "reviews.bookinfo.svc.cluster.local:9080/*");

    let arrived = wire.clone();
    let mut inbound = server.start(Reporter::Destination, &get("/ok", "reviews:9080", &arrived));
    inbound.set_route(named("default"), named("own name"));
    inbound.set_cluster(Arc::new(ClusterInfo::new("inbound|9080||")));
    inbound.set_upstream("127.0.0.1:18080".parse().unwrap(), None);
    inbound.inject(&mut wire);
    inbound.upstream_connected(address("127.0.0.1:40768"), None);
    for hidden in [PEER_METADATA, PEER_METADATA_ID, DECORATOR] {
        assert!(!wire.contains_key(hidden));
    }
    let (c, s) = (*out.trace().unwrap(), *inbound.trace().unwrap());
    assert_eq!((s.trace_id, s.parent_id), (c.trace_id, Some(c.span_id)));
    assert_eq!(inbound.request_id(), out.request_id());
    assert_eq!(inbound.request_id().as_bytes()[14], b'9');

    let mut answer = HeaderMap::new();
    inbound.upstream_response(StatusCode::OK, &mut answer);
    assert!(!answer.contains_key(DECORATOR), "the client named the operation");
    let body = inbound.finish_with(Full::new(Bytes::from_static(b"hello\n")));
    let bytes = body.collect().await.unwrap().to_bytes();
    out.upstream_response(StatusCode::OK, &mut answer);
    assert!(!answer.contains_key(PEER_METADATA));
    let id = out.request_id().to_str().unwrap().to_owned();
    out.finish_with(Full::new(bytes)).collect().await.unwrap();

    let both = [
        ("source_workload", "productpage-v1"),
        ("source_app", "productpage"),
        ("destination_workload", "reviews-v1"),
        ("destination_version", "v1"),
        ("response_code", "200"),
    ];
    expect_metric(&client, &both, 1);
    expect_metric(&server, &both, 1);
    let line = &client_log.lines()[0];
    let tail = format!(
        "\"GET /ok HTTP/1.1\" 200 - via_upstream - \"-\" 0 6 0 0 \"-\" \"lab-client/1.0\" \"{id}\" \"reviews:9080\" \
         \"127.0.0.1:21001\" outbound|9080||reviews.bookinfo.svc.cluster.local 127.0.0.1:37230 127.0.0.1:20001 \
         127.0.0.1:42116 - default"
    );
    assert!(line.ends_with(&tail), "{line}\n{tail}");
    assert!(server_log.lines()[0].contains(" \"127.0.0.1:18080\" inbound|9080|| 127.0.0.1:40768 "));
}

#[test]
fn plain_clients_never_see_peer_metadata() {
    let (server, _) = proxy(workload("reviews", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = server.start(Reporter::Destination, &get("/", "reviews", &none));
    let mut answer = HeaderMap::new();
    exchange.upstream_response(StatusCode::OK, &mut answer);
    assert!(!answer.contains_key(PEER_METADATA) && !answer.contains_key(PEER_METADATA_ID));
    exchange.finish(Outcome::Complete);
    expect_metric(&server, &[("source_workload", "unknown"), ("source_canonical_revision", "latest")], 1);
}

#[tokio::test]
async fn a_server_tells_its_operation_to_a_client_without_one() {
    let (client, _) = proxy(workload("productpage", "v1"), true);
    let (server, _) = proxy(workload("reviews", "v1"), true);
    let none = HeaderMap::new();
    let mut inbound = server.start(Reporter::Destination, &get("/", "reviews", &none));
    inbound.set_route(named("default"), named("reviews:9080/*"));
    let mut answer = HeaderMap::new();
    inbound.inject(&mut HeaderMap::new());
    inbound.upstream_response(StatusCode::OK, &mut answer);
    assert_eq!(answer[DECORATOR], "reviews:9080/*");
    let mut out = client.start(Reporter::Source, &get("/", "reviews", &none));
    out.upstream_response(StatusCode::OK, &mut answer);
    assert_eq!(out.record().operation.as_deref(), Some("reviews:9080/*"));
    assert!(!answer.contains_key(DECORATOR));
}

#[test]
fn a_dropped_exchange_is_a_client_that_left() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "reviews:9080", &none));
    exchange.set_cluster(cluster("reviews"));
    drop(exchange);
    expect_metric(&telemetry, &[("response_code", "0"), ("response_flags", "DC")], 1);
    let line = &log.lines()[0];
    assert!(line.contains("\"GET / HTTP/1.1\" 0 DC downstream_remote_disconnect - \"-\" 0 0 0 - "), "{line}");
}

#[test]
fn a_dropped_body_keeps_the_code() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "reviews:9080", &none));
    exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
    drop(exchange.finish_with(Full::new(Bytes::from_static(b"never read"))));
    expect_metric(&telemetry, &[("response_code", "200"), ("response_flags", "DC")], 1);
    assert!(log.lines()[0].contains(" 200 DC downstream_remote_disconnect - \"-\" 0 0 0 0 "), "{}", log.lines()[0]);
}

#[test]
fn responses_without_body_finish_at_once() {
    let (telemetry, _) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut head = get("/", "reviews:9080", &none);
    head.method = "HEAD";
    for (head, status) in [(head, 200), (get("/", "reviews:9080", &none), 304)] {
        let mut exchange = telemetry.start(Reporter::Source, &head);
        exchange.upstream_response(StatusCode::from_u16(status).unwrap(), &mut HeaderMap::new());
        drop(exchange.finish_with(Full::new(Bytes::from_static(b"not sent"))));
        expect_metric(&telemetry, &[("response_code", &status.to_string()), ("response_flags", "-")], 1);
    }
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "reviews:9080", &none));
    exchange.upstream_response(StatusCode::CREATED, &mut HeaderMap::new());
    drop(exchange.finish_with(Empty::<Bytes>::new()));
    expect_metric(&telemetry, &[("response_code", "201"), ("response_flags", "-")], 1);
}

#[test]
fn local_replies_have_flags_and_details() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/x", "nowhere.example", &none));
    exchange.flag(ResponseFlag::NoRouteFound);
    exchange.details("route_not_found");
    exchange.local_response(StatusCode::NOT_FOUND, &mut HeaderMap::new());
    let id = exchange.request_id().to_str().unwrap().to_owned();
    exchange.finish(Outcome::Complete);
    let expected = format!(
        "\"GET /x HTTP/1.1\" 404 NR route_not_found - \"-\" 0 0 0 - \"-\" \"-\" \"{id}\" \"nowhere.example\" \"-\" - - \
         127.0.0.1:20001 127.0.0.1:42116 - -"
    );
    assert!(log.lines()[0].ends_with(&expected), "{}", log.lines()[0]);
    expect_metric(&telemetry, &[("response_code", "404"), ("response_flags", "NR")], 1);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_a_protocol_error() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "reviews:9080", &none));
    exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
    let frames = [Ok(http_body::Frame::data(Bytes::from_static(b"abc"))), Err("cut")];
    let body = exchange.finish_with(StreamBody::new(futures_util::stream::iter(frames)));
    assert_eq!(body.collect().await.unwrap_err(), "cut");
    let expected = " 200 UPE upstream_reset_after_response_started{protocol_error} - \"-\" 0 3 ";
    assert!(log.lines()[0].contains(expected), "{}", log.lines()[0]);
}

#[tokio::test]
async fn grpc_trailers_give_the_status() {
    let (telemetry, _) = proxy(workload("productpage", "v1"), false);
    let sent = headers(&[("content-type", "application/grpc")]);
    let mut exchange = telemetry.start(Reporter::Source, &get("/lab.Echo/Fail", "reviews:9080", &sent));
    exchange.set_cluster(cluster("reviews"));
    exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
    let trailers = headers(&[("grpc-status", "14"), ("grpc-message", "gone")]);
    let body = Full::new(Bytes::from_static(b"x")).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    exchange.finish_with(Box::pin(body)).collect().await.unwrap();
    expect_metric(&telemetry, &[("request_protocol", "grpc"), ("grpc_response_status", "14")], 1);
}

#[test]
fn bodies_and_heads_are_counted_as_bytes() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let sent = headers(&[("host", "reviews")]);
    let mut head = get("/a", "reviews", &sent);
    head.method = "POST";
    let mut exchange = telemetry.start(Reporter::Source, &head);
    let body = exchange.count_request(Full::new(Bytes::from_static(b"12345")));
    drain(body);
    exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
    drain(exchange.finish_with(Full::new(Bytes::from_static(b"123"))));
    assert!(log.lines()[0].contains(" via_upstream - \"-\" 5 3 "), "{}", log.lines()[0]);
    let text = telemetry.render_metrics("filter=istio_re.*_bytes");
    // POST /a HTTP/1.1 (18), host: reviews (15), the empty line (2), and the body.
    assert!(text.contains("istio_request_bytes_sum") && text.contains("\"} 40\n"), "{text}");
    // HTTP/1.1 200 OK (17), x-envoy-upstream-service-time: 0 (34), the empty line (2), and the body.
    assert!(text.contains("\"} 56\n"), "{text}");
}

#[test]
fn what_a_retry_sends_again_was_received_once() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "reviews:9080", &none));
    for _ in 0..2 {
        exchange.set_upstream("127.0.0.1:19".parse().unwrap(), None);
        drain(exchange.count_request(Full::new(Bytes::from_static(b"12345"))));
        exchange.upstream_failed("delayed_connect_error: Connection refused");
    }
    exchange.set_upstream("127.0.0.1:20".parse().unwrap(), None);
    exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
    exchange.finish(Outcome::Complete);
    assert!(log.lines()[0].contains(" via_upstream - \"-\" 5 0 "), "{}", log.lines()[0]);
}

#[test]
fn tunnels_add_their_bytes_by_hand() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "reviews:9080", &none));
    exchange.upstream_response(StatusCode::SWITCHING_PROTOCOLS, &mut HeaderMap::new());
    drain(ExchangeBody::detached(Full::new(Bytes::new())));
    exchange.add_bytes(7, 9);
    exchange.finish(Outcome::Complete);
    assert!(log.lines()[0].contains(" 101 - via_upstream - \"-\" 7 9 "), "{}", log.lines()[0]);
}

/// Drives a body that is always ready.
fn drain<B: Body + Unpin>(mut body: B) {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Some(_)) = std::pin::Pin::new(&mut body).poll_frame(&mut cx) {}
}

#[test]
fn gateways_replace_request_ids_and_sidecars_keep_them() {
    let sent = headers(&[("x-request-id", "from-outside")]);
    for (identity, kept) in [(gateway(), false), (workload("productpage", "v1"), true)] {
        let (telemetry, _) = proxy(identity, false);
        let exchange = telemetry.start(Reporter::Source, &get("/", "a", &sent));
        assert_eq!(exchange.request_id() == "from-outside", kept);
    }
}

#[test]
fn clusters_may_be_kept_out_of_the_exchange() {
    let (telemetry, _) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/", "a", &none));
    exchange.set_cluster(Arc::new(ClusterInfo::new("outbound|80||a").with_exchange(false)));
    let mut wire = headers(&[("x-envoy-peer-metadata", "forged")]);
    exchange.inject(&mut wire);
    assert!(!wire.contains_key(PEER_METADATA));
}

#[test]
fn rewritten_paths_are_logged_as_they_arrived() {
    let (telemetry, log) = proxy(workload("productpage", "v1"), false);
    let none = HeaderMap::new();
    let mut exchange = telemetry.start(Reporter::Source, &get("/rate/1", "a", &none));
    exchange.set_rewritten_path("/ratings/1");
    exchange.finish(Outcome::Complete);
    assert!(log.lines()[0].contains("\"GET /rate/1 HTTP/1.1\""), "{}", log.lines()[0]);
}

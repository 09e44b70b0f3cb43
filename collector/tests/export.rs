//! Spans that leave the collector: by every protocol, through failures and kills, and exactly counted.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sidelight_api::status::{ExporterStatus, Status};
use sidelight_collector::export::{ClientSettings, Destination, ExportSettings};
use sidelight_collector::{Collector, Settings};
use support::backend::{Answer, Backend, Body, Certificate};
use support::place::Place;
use support::running::{eventually, get, send, settings};
use tonic_types::{ErrorDetails, StatusExt};

on_both!(spans_wait_for_a_backend_through_kills, a_backend_that_is_slow_or_strict_is_obeyed);

const TRACE: &str = "ab8e2714957101074c7005224e6fd502";

fn id(number: usize) -> String {
    format!("{:016x}", 0x4c70_0522_0000_0000_u64 + number as u64)
}

fn client(destination: Destination) -> ClientSettings {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("shop"));
    ClientSettings { destination, headers, roots: None, gzip: true }
}

/// Requests of two spans, sent at once.
fn with(place: &Place, change: impl FnOnce(&mut ExportSettings)) -> Settings {
    let mut settings = settings(place);
    settings.export.batch_spans = 2;
    settings.export.batch_delay = Duration::from_millis(20);
    change(&mut settings.export);
    settings
}

async fn post(collector: &Collector, numbers: std::ops::Range<usize>) {
    let at_us = sidelight_collector::clock::now_ms() * 1000;
    let span = |n| {
        let service = if n % 2 == 0 { "reviews" } else { "details" };
        json!({"traceId": TRACE, "id": id(n), "kind": "SERVER", "name": "GET /", "timestamp": at_us, "duration": 4085,
            "localEndpoint": {"serviceName": service, "ipv4": "192.0.2.2"}, "tags": {"http.status_code": "200"}})
    };
    let spans: Vec<Value> = numbers.map(span).collect();
    let body = Value::from(spans).to_string().into_bytes();
    let answer = send(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), body).await;
    assert_eq!(answer.0, StatusCode::ACCEPTED, "{}", answer.1);
}

async fn report(dashboard: SocketAddr) -> ExporterStatus {
    let status: Status = serde_json::from_str(&get(dashboard, "/api/status").await.1).unwrap();
    status.exporters.into_iter().next().unwrap()
}

async fn arrived(backend: &Backend, numbers: std::ops::Range<usize>) {
    let mut expected: Vec<String> = numbers.map(id).collect();
    expected.sort();
    eventually("the spans arrive", async || {
        let mut taken = backend.taken();
        taken.sort();
        taken == expected
    })
    .await;
}

/// Waits until so many spans have left the queue, one way or the other.
async fn settled(collector: &Collector, spans: u64) -> ExporterStatus {
    let dashboard = collector.addresses().dashboard;
    eventually("the queue is empty", async || {
        let report = report(dashboard).await;
        report.sent_spans + report.filtered_spans + report.dropped_spans == spans && report.queued_spans == 0
    })
    .await;
    report(dashboard).await
}

async fn all_arrive(backend: &Backend, client: ClientSettings) {
    let place = Place::sqlite();
    let collector = Collector::start(with(&place, |export| match client.destination.protocol {
        sidelight_collector::export::Protocol::ZipkinJson => export.zipkin = Some(client),
        _ => export.otlp = Some(client),
    }))
    .await
    .unwrap();
    post(&collector, 0..5).await;
    arrived(backend, 0..5).await;
    let report = settled(&collector, 5).await;
    assert_eq!((report.sent_spans, report.filtered_spans, report.dropped_spans), (5, 0, 0));
    assert!(report.last_success_ms.is_some() && report.last_error.is_none(), "{report:?}");
    collector.shutdown().await;
    for seen in backend.seen() {
        assert_eq!(seen.headers["x-tenant"], "shop");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_over_grpc() {
    let backend = Backend::start().await;
    all_arrive(&backend, client(Destination::otlp(&backend.url()).unwrap())).await;
    let seen = backend.seen();
    assert_eq!(seen.iter().map(|seen| seen.headers["grpc-encoding"].to_str().unwrap()).collect::<Vec<_>>(), ["gzip"; 3]);
    let Body::Otlp(first) = &seen[0].body else { panic!("{seen:?}") };
    assert_eq!(first.resource_spans.len(), 2, "two services");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_over_http() {
    let backend = Backend::start().await;
    all_arrive(&backend, client(Destination::otlp(&format!("{}/v1/traces", backend.url())).unwrap())).await;
    assert_eq!(backend.seen()[0].headers["content-type"], "application/x-protobuf");
    assert_eq!(backend.seen()[0].headers["content-encoding"], "gzip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zipkin_json_as_it_came_in() {
    let backend = Backend::start().await;
    let plain = ClientSettings { gzip: false, ..client(Destination::zipkin(&backend.url()).unwrap()) };
    all_arrive(&backend, plain).await;
    let seen = backend.seen();
    assert!(!seen[0].headers.contains_key("content-encoding"));
    let Body::Zipkin(spans) = &seen[0].body else { panic!("{seen:?}") };
    let expected = json!({"traceId": TRACE, "id": id(0), "kind": "SERVER", "name": "GET /",
        "timestamp": spans[0]["timestamp"], "duration": 4085,
        "localEndpoint": {"serviceName": "reviews", "ipv4": "192.0.2.2"}, "tags": {"http.status_code": "200"}});
    assert_eq!(spans[0], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_to_whom_the_authority_vouches_for() {
    let certificate = Certificate::new();
    for scheme in ["grpcs", "https"] {
        let backend = Backend::start_tls(&certificate).await;
        let path = if scheme == "https" { "/v1/traces" } else { "" };
        let destination = Destination::otlp(&format!("{scheme}://{}{path}", backend.address)).unwrap();
        let trusting = ClientSettings { roots: Some(certificate.authority.clone()), ..client(destination.clone()) };
        all_arrive(&backend, trusting).await;

        let place = Place::sqlite();
        let collector = Collector::start(with(&place, |export| export.otlp = Some(client(destination)))).await.unwrap();
        post(&collector, 10..11).await;
        let dashboard = collector.addresses().dashboard;
        eventually("the certificate is refused", async || {
            let report = report(dashboard).await;
            report.failures_in_a_row > 0 && report.queued_spans == 1
        })
        .await;
        let report = report(dashboard).await;
        assert!(report.last_error.as_deref().unwrap().contains("certificate"), "{report:?}");
        assert_eq!(backend.taken().len(), 5);
        collector.shutdown().await;
    }
}

/// An address on which nobody listens, until somebody does.
async fn silent_address() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn spans_wait_for_a_backend_through_kills(place: &Place) {
    let address = silent_address().await;
    let export = |export: &mut ExportSettings| {
        export.otlp = Some(client(Destination::otlp(&format!("http://{address}")).unwrap()));
        export.batch_spans = 3;
    };
    let place_of_killed = with(place, export);
    // A runtime that is dropped takes everything with it in the middle of what it did.
    let killed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let collector = Collector::start(place_of_killed).await.unwrap();
            post(&collector, 0..4).await;
            let dashboard = collector.addresses().dashboard;
            eventually("a failure", async || report(dashboard).await.failures_in_a_row > 0).await;
        });
        runtime.shutdown_background();
    });
    tokio::task::spawn_blocking(|| killed.join().unwrap()).await.unwrap();

    let (_, queue) = place.open_with_queue().await;
    assert_eq!(queue.queue_state("otlp").await.unwrap().items, 4);
    // In Postgres the dead one's lease would have to end first.
    queue.take_over().await.unwrap();
    let collector = Collector::start(with(place, export)).await.unwrap();
    post(&collector, 4..9).await;
    let backend = Backend::start_at(address).await;
    arrived(&backend, 0..9).await;
    let report = settled(&collector, 9).await;
    assert_eq!((report.sent_spans, report.dropped_spans, report.queued_bytes), (9, 0, 0));
    collector.shutdown().await;
}

async fn a_backend_that_is_slow_or_strict_is_obeyed(place: &Place) {
    let backend = Backend::start().await;
    let destination = Destination::otlp(&backend.url()).unwrap();
    let collector = Collector::start(with(place, |export| export.otlp = Some(client(destination)))).await.unwrap();
    let wait = Duration::from_secs(1);
    let details = ErrorDetails::with_retry_info(Some(wait));
    backend.answer_next(Answer::Grpc(tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "slow", details)));
    post(&collector, 0..2).await;
    arrived(&backend, 0..2).await;
    let seen = backend.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at - seen[0].at >= wait, "{:?}", seen[1].at - seen[0].at);

    backend.answer_next(Answer::Partial(1));
    backend.answer_next(Answer::Grpc(tonic::Status::invalid_argument("no such tenant")));
    post(&collector, 2..6).await;
    let report = settled(&collector, 6).await;
    assert_eq!((report.sent_spans, report.dropped_spans, report.failures_in_a_row), (3, 3, 0));
    assert_eq!(report.last_error.as_deref(), Some("gRPC status InvalidArgument: no such tenant"));
    let metrics = get(collector.addresses().dashboard, "/metrics").await.1;
    for line in [
        "sidelight_export_spans_total{exporter=\"otlp\",outcome=\"sent\"} 3",
        "sidelight_export_spans_total{exporter=\"otlp\",outcome=\"dropped:partial_success\"} 1",
        "sidelight_export_spans_total{exporter=\"otlp\",outcome=\"dropped:refused\"} 2",
        "sidelight_export_requests_total{exporter=\"otlp\",outcome=\"delivered\"} 2",
        "sidelight_export_requests_total{exporter=\"otlp\",outcome=\"failed\"} 1",
        "sidelight_export_requests_total{exporter=\"otlp\",outcome=\"refused\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_says_when_to_come_back() {
    let backend = Backend::start().await;
    let destination = Destination::zipkin(&backend.url()).unwrap();
    let place = Place::sqlite();
    let collector = Collector::start(with(&place, |export| export.zipkin = Some(client(destination)))).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("2"));
    backend.answer_next(Answer::Http(StatusCode::SERVICE_UNAVAILABLE, headers));
    let started = Instant::now();
    post(&collector, 0..1).await;
    arrived(&backend, 0..1).await;
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_leave_out_and_count() {
    let backend = Backend::start().await;
    let place = Place::sqlite();
    let destination = Destination::otlp(&backend.url()).unwrap();
    let collector = Collector::start(with(&place, |export| {
        export.otlp = Some(client(destination));
        export.filter.services = ["reviews".to_owned()].into();
    }))
    .await
    .unwrap();
    post(&collector, 0..5).await;
    let report = settled(&collector, 5).await;
    assert_eq!((report.sent_spans, report.filtered_spans, report.dropped_spans), (3, 2, 0));
    assert_eq!(backend.taken(), [id(0), id(2), id(4)]);
    collector.shutdown().await;
}

//! A real Jaeger as the backend that spans are exported to: every span arrives as it was, and is found by what it says.
//! Our own answers to Jaeger's clients are compared with its.
//!
//! Built only with the feature `peers`: `cargo xtask test --peers` builds Jaeger and names it in `SIDELIGHT_JAEGER`.
#![allow(clippy::unwrap_used)]

#[path = "jaeger/answers.rs"]
mod answers;
#[path = "jaeger/api.rs"]
mod api;
#[path = "jaeger/expected.rs"]
mod expected;
#[path = "jaeger/generated.rs"]
mod generated;
#[path = "jaeger/process.rs"]
mod process;
mod support;

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use sidelight_collector::Collector;
use sidelight_collector::export::{ClientSettings, Destination, ExportSettings};
use sidelight_collector::store::{Span, WriteBatch};
use support::place::Place;
use support::running::{eventually, settings};

use self::process::Jaeger;

/// Traces that are sent by each way.
const TRACES: u64 = 200;

fn client(destination: Result<Destination, String>) -> ClientSettings {
    ClientSettings { destination: destination.unwrap(), headers: HeaderMap::new(), roots: None, gzip: true }
}

async fn collector(place: &Place, change: impl FnOnce(&mut ExportSettings)) -> Collector {
    let mut settings = settings(place);
    settings.export.batch_spans = 100;
    settings.export.batch_delay = Duration::from_millis(50);
    change(&mut settings.export);
    Collector::start(settings).await.unwrap()
}

/// Sends traces into the collector and waits until Jaeger has every span of them.
async fn send(collector: &Collector, jaeger: &Jaeger, traces: &[Vec<Span>]) {
    for spans in traces.chunks(10) {
        let spans = spans.concat();
        collector.store().write(&WriteBatch { spans: vec![("otlp", spans)], ..WriteBatch::default() }).await.unwrap();
    }
    for spans in traces {
        let id = expected::trace_id(&spans[0]);
        eventually("Jaeger has the trace", async || {
            jaeger.trace(&id).await.is_some_and(|trace| trace["spans"].as_array().unwrap().len() == spans.len())
        })
        .await;
    }
}

async fn compare(jaeger: &Jaeger, traces: &[Vec<Span>]) -> usize {
    let mut compared = 0;
    for spans in traces {
        let trace = jaeger.trace(&expected::trace_id(&spans[0])).await.unwrap();
        let mut found = expected::normalised(&trace);
        for span in spans {
            let id = expected::span_id(span);
            let found = found.remove(&id).unwrap_or_else(|| panic!("{id} is missing in {trace}"));
            assert_eq!(found, expected::span(span));
            compared += 1;
        }
        assert!(found.is_empty(), "spans that nobody sent: {found:?}");
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_span_arrives_by_grpc_and_by_http() {
    let jaeger = Jaeger::start().await;
    for (seed, url) in [(1, format!("http://{}", jaeger.otlp_grpc)), (2, format!("http://{}/v1/traces", jaeger.otlp_http))] {
        let place = Place::sqlite();
        let collector = collector(&place, |export| export.otlp = Some(client(Destination::otlp(&url)))).await;
        let traces = generated::traces(seed, TRACES);
        send(&collector, &jaeger, &traces).await;
        let compared = compare(&jaeger, &traces).await;
        let spans: usize = traces.iter().map(Vec::len).sum();
        assert_eq!(compared, spans);
        println!("{url}: {} traces, {compared} spans are the same in Jaeger", traces.len());
        collector.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_find_what_was_sent() {
    let jaeger = Jaeger::start().await;
    let place = Place::sqlite();
    let url = format!("http://{}", jaeger.otlp_grpc);
    let collector = collector(&place, |export| export.otlp = Some(client(Destination::otlp(&url)))).await;
    let traces = generated::traces(3, TRACES);
    send(&collector, &jaeger, &traces).await;
    let services = expected::services(&traces);
    assert_eq!(jaeger.services().await, services);
    for service in &services {
        assert_eq!(jaeger.operations(service).await, expected::operations(&traces, service), "{service}");
        let of_service = expected::traces_with(&traces, |span| &**span.service() == service);
        assert_eq!(jaeger.search(&[("service", service)]).await, of_service, "{service}");
    }
    let service = services[0].as_str();
    let operation = expected::operations(&traces, service)[0].clone();
    let by_operation = |span: &Span| &**span.service() == service && span.name == operation;
    let found = jaeger.search(&[("service", service), ("operation", &operation)]).await;
    assert_eq!(found, expected::traces_with(&traces, by_operation));
    for (tags, matches) in [
        (json!({"error": "true"}), (|span: &Span| span.is_error) as fn(&Span) -> bool),
        (json!({"http.status_code": "503"}), |span| expected::says(span, "http.status_code", "503")),
        (json!({"span.kind": "client"}), |span| expected::kind(span) == Some("client")),
    ] {
        let found = jaeger.search(&[("service", service), ("tags", &tags.to_string())]).await;
        let expected = expected::traces_with(&traces, |span| &**span.service() == service && matches(span));
        assert!(!expected.is_empty(), "{tags}");
        assert_eq!(found, expected, "{tags}");
    }
    println!("{} services, {} operations and tags are found in Jaeger", services.len(), traces.len());
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_of_envoys_arrives_as_zipkin_json() {
    let jaeger = Jaeger::start().await;
    let place = Place::sqlite();
    let destination = Destination::zipkin(&format!("http://{}", jaeger.zipkin));
    let collector = collector(&place, |export| export.zipkin = Some(client(destination))).await;
    let at_us = sidelight_collector::clock::now_ms() * 1000;
    let trace = "ab8e2714957101074c7005224e6fd502";
    let spans = json!([
        {"traceId": trace, "id": "4c7005224e6fd502", "kind": "CLIENT", "name": "reviews:9080/*", "timestamp": at_us, "duration": 6190,
         "localEndpoint": {"serviceName": "productpage.bookinfo", "ipv4": "192.0.2.2"},
         "annotations": [{"timestamp": at_us + 6190, "value": "cr"}],
         "tags": {"component": "proxy", "http.status_code": "200", "upstream_cluster": "outbound|9080||reviews"}},
        {"traceId": trace, "id": "ae0b44695368b649", "parentId": "4c7005224e6fd502", "kind": "SERVER", "name": "reviews:9080/*",
         "timestamp": at_us + 920, "duration": 4085, "localEndpoint": {"serviceName": "reviews.bookinfo"},
         "tags": {"http.status_code": "503", "error": "true"}}
    ]);
    let body = spans.to_string().into_bytes();
    let answer = support::running::send(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), body).await;
    assert_eq!(answer.0, 202);
    eventually("Jaeger has the trace", async || {
        jaeger.trace(trace).await.is_some_and(|t| t["spans"].as_array().unwrap().len() == 2)
    })
    .await;
    let trace = jaeger.trace(trace).await.unwrap();
    let found = expected::normalised(&trace);
    let client = &found["4c7005224e6fd502"];
    assert_eq!(
        (&client["service"], &client["startTime"], &client["duration"]),
        (&json!("productpage.bookinfo"), &json!(at_us), &json!(6190))
    );
    assert_eq!(client["tags"]["upstream_cluster"], json!(["string", "outbound|9080||reviews"]));
    assert_eq!(client["tags"]["span.kind"], json!(["string", "client"]));
    let server = &found["ae0b44695368b649"];
    assert_eq!(server["references"], json!([["CHILD_OF", "ab8e2714957101074c7005224e6fd502", "4c7005224e6fd502"]]));
    assert_eq!(server["tags"]["error"], Value::from(vec![json!("bool"), json!(true)]));
    collector.shutdown().await;
}

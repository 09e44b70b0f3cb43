//! Traces as the dashboard reads them: searched, summarised, in order, and complete once the late ones are in.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sidelight_api::trace::{Trace, TraceList, TraceOddity};
use sidelight_collector::Collector;
use sidelight_collector::settings::AuthSettings;
use sidelight_collector::web::auth::Token;
use support::place::Place;
use support::running::{get, send, settings};

on_both!(a_trace_is_found_and_told, a_late_span_completes_its_trace, searches_are_narrowed, reading_needs_the_login);

const TRACE: &str = "00000000000000000000000000000abc";

fn span(id: &str, parent: &str, service: &str, at_us: i64, duration_us: i64) -> Value {
    let mut span = json!({"traceId": TRACE, "id": id, "kind": "SERVER", "name": format!("{service}/*"), "timestamp": at_us,
        "duration": duration_us, "localEndpoint": {"serviceName": service}, "tags": {"by": service}});
    if !parent.is_empty() {
        span["parentId"] = parent.into();
    }
    span
}

fn now_us() -> i64 {
    sidelight_collector::clock::now_ms() * 1000
}

async fn post(collector: &Collector, spans: &Value) {
    let (status, body) =
        send(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), spans.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
}

async fn read<T: serde::de::DeserializeOwned>(address: SocketAddr, path: &str) -> T {
    let (status, body) = get(address, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn a_trace_is_found_and_told(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let dashboard = collector.addresses().dashboard;
    let at = now_us() - 1_000_000;
    let mut failing = span("3", "2", "ratings", at + 30_000, 40_000);
    failing["tags"]["error"] = "true".into();
    post(&collector, &json!([span("2", "1", "reviews", at + 10_000, 80_000), failing, span("1", "", "page", at, 100_000)])).await;

    let list: TraceList = read(dashboard, "/api/traces?service=page").await;
    assert_eq!((list.traces.len(), list.is_cut), (1, false));
    let summary = &list.traces[0];
    assert_eq!((summary.trace_id.as_str(), summary.start_us, summary.duration_us), (TRACE, at, 100_000));
    assert_eq!((summary.root.service.as_str(), summary.root.name.as_str()), ("page", "page/*"));
    assert_eq!((summary.spans, summary.errors), (3, 1));
    let services: Vec<_> = summary.services.iter().map(|s| (s.service.as_str(), s.errors, s.critical_us)).collect();
    assert_eq!(services, [("page", 0, 20_000), ("reviews", 0, 40_000), ("ratings", 1, 40_000)]);

    let trace: Trace = read(dashboard, "/api/traces/abc").await;
    assert_eq!(trace.summary, *summary);
    let order: Vec<_> = trace.spans.iter().map(|span| (span.service.as_str(), span.depth, span.parent)).collect();
    assert_eq!(order, [("page", 0, None), ("reviews", 1, Some(0)), ("ratings", 2, Some(1))]);
    let path: Vec<_> = trace.critical_path.iter().map(|part| (part.span, part.from_us - at, part.to_us - at)).collect();
    let expected = [(0, 0, 10_000), (1, 10_000, 30_000), (2, 30_000, 70_000), (1, 70_000, 90_000), (0, 90_000, 100_000)];
    assert_eq!(path, expected);
    assert!(trace.spans[2].tags.iter().any(|tag| tag.key == "by" && tag.value == "ratings"));

    assert_eq!(get(dashboard, "/api/traces/def").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(dashboard, "/api/traces/xyz").await.0, StatusCode::BAD_REQUEST);
    collector.shutdown().await;
}

async fn a_late_span_completes_its_trace(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let dashboard = collector.addresses().dashboard;
    let at = now_us() - 1_000_000;
    post(&collector, &json!([span("2", "1", "reviews", at + 10, 80)])).await;
    let early: Trace = read(dashboard, "/api/traces/abc").await;
    assert_eq!(early.summary.oddities, [TraceOddity::MissingRoot, TraceOddity::MissingParent]);
    assert_eq!(early.summary.root.service, "reviews");
    post(&collector, &json!([span("1", "", "page", at, 100)])).await;
    let late: Trace = read(dashboard, "/api/traces/abc").await;
    assert_eq!((late.summary.oddities.as_slice(), late.summary.root.service.as_str()), (&[][..], "page"));
    collector.shutdown().await;
}

async fn searches_are_narrowed(place: &Place) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let at = now_us() - 1_000_000;
    for (number, duration_us, error) in [(1, 500, "false"), (2, 5_000, "true"), (3, 50_000, "false")] {
        let mut one = span("1", "", "page", at + number, duration_us);
        one["traceId"] = format!("{number:032x}").into();
        one["tags"] = json!({"number": number.to_string()});
        if error == "true" {
            one["tags"]["error"] = error.into();
        }
        post(&collector, &json!([one])).await;
    }
    let searches = [
        ("", vec![3, 2, 1]),
        ("errors=true", vec![2]),
        ("minDuration=1ms", vec![3, 2]),
        ("minDuration=1ms&maxDuration=10ms", vec![2]),
        ("tags=number%3D3", vec![3]),
        ("service=nobody", vec![]),
        ("operation=page%2F*&limit=2", vec![3, 2]),
        ("duration=1h&queryTime=1600000000", vec![]),
    ];
    for (search, expected) in searches {
        let list: TraceList = read(collector.addresses().dashboard, &format!("/api/traces?{search}")).await;
        let found: Vec<u64> = list.traces.iter().map(|trace| trace.trace_id.parse().unwrap()).collect();
        assert_eq!(found, expected, "{search}");
    }
    let (status, body) = get(collector.addresses().dashboard, "/api/traces?limit=many").await;
    assert_eq!((status, body.contains("parameter `limit`")), (StatusCode::BAD_REQUEST, true), "{body}");
    collector.shutdown().await;
}

async fn reading_needs_the_login(place: &Place) {
    let locked = sidelight_collector::Settings {
        auth: AuthSettings::Token(Token::new("a-token-of-the-tests-0123456789")),
        ..settings(place)
    };
    let collector = Collector::start(locked).await.unwrap();
    for path in ["/api/traces", "/api/traces/abc"] {
        assert_eq!(get(collector.addresses().dashboard, path).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    collector.shutdown().await;
}

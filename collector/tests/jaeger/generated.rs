//! Traces with everything that a span of OTLP can say.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sidelight_collector::clock::now_ms;
use sidelight_collector::store::{AttributeValue, Attributes, Resource, Scope, Span, SpanEvent, SpanKind, SpanLink};

const SERVICES: [&str; 5] = ["productpage.bookinfo", "reviews.bookinfo", "details.bookinfo", "ratings.bookinfo", "päivä/✓ shop"];
const OPERATIONS: [&str; 4] = ["reviews.bookinfo.svc.cluster.local:9080/*", "GET /productpage", "egress", "SELECT ⟨books⟩"];

/// The same ones for the same seed, but for the time.
pub fn traces(seed: u64, count: u64) -> Vec<Vec<Span>> {
    let mut random = StdRng::seed_from_u64(seed);
    let resources: Vec<Arc<Resource>> = SERVICES.iter().map(|service| Arc::new(resource(service))).collect();
    let scope = Arc::new(Scope { name: "envoy".into(), version: "1.40".into(), ..Scope::default() });
    (0..count).map(|number| trace(&mut random, number, &resources, &scope)).collect()
}

fn resource(service: &str) -> Resource {
    let attributes = vec![
        ("service.name".into(), AttributeValue::text(service)),
        ("k8s.pod.name".into(), AttributeValue::text("pod-1")),
        ("process.pid".into(), AttributeValue::Int(4711)),
        ("canary".into(), AttributeValue::Bool(true)),
    ];
    Resource { service: service.into(), attributes, ..Resource::default() }
}

fn trace(random: &mut StdRng, number: u64, resources: &[Arc<Resource>], scope: &Arc<Scope>) -> Vec<Span> {
    let mut trace_id: [u8; 16] = random.random();
    if number % 3 == 0 {
        // As of a 64-bit tracer.
        trace_id[..8].fill(0);
    }
    let start_ns = (now_ms() - 60_000) * 1_000_000 + random.random_range(0..1_000_000_000);
    let mut spans: Vec<Span> = Vec::new();
    for _ in 0..random.random_range(1..12) {
        let parent = (!spans.is_empty()).then(|| spans[random.random_range(0..spans.len())].id);
        let is_error = random.random_bool(0.2);
        spans.push(Span {
            trace_id,
            id: random.random(),
            parent_id: parent,
            kind: SpanKind::from_number(random.random_range(1..=5)),
            resource: Arc::clone(&resources[random.random_range(0..resources.len())]),
            scope: Arc::clone(scope),
            name: OPERATIONS[random.random_range(0..OPERATIONS.len())].to_owned(),
            start_ns: start_ns + random.random_range(0..1_000_000_000),
            duration_ns: random.random_range(0..5_000_000_000),
            is_error,
            is_ok: !is_error && random.random_bool(0.3),
            status_message: if is_error { "upstream gave up".to_owned() } else { String::new() },
            trace_state: if random.random_bool(0.2) { "vendor=x".to_owned() } else { String::new() },
            attributes: attributes(random),
            events: events(random, start_ns),
            links: links(random),
            ..Span::default()
        });
    }
    spans
}

fn attributes(random: &mut StdRng) -> Attributes {
    let mut attributes: Attributes = vec![
        ("http.status_code".into(), AttributeValue::text(["200", "404", "503"][random.random_range(0..3)])),
        ("retry.count".into(), AttributeValue::Int(random.random_range(-5..1_000_000))),
        ("big".into(), AttributeValue::Int(i64::MAX - random.random_range(0..9))),
        ("cached".into(), AttributeValue::Bool(random.random())),
        ("share".into(), AttributeValue::Double(random.random_range(0..1000) as f64 / 8.0 + 0.125)),
        ("raw".into(), AttributeValue::Bytes((0..random.random_range(1..20)).map(|_| random.random()).collect())),
        ("unicode".into(), AttributeValue::text("straße ☂ \"quoted\" \n line")),
        ("empty".into(), AttributeValue::text("")),
    ];
    if random.random_bool(0.5) {
        let json = r#"{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"7"},{"boolValue":true}]}}"#;
        attributes.push(("list".into(), AttributeValue::Json(json.into())));
        let json = r#"{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}"#;
        attributes.push(("map".into(), AttributeValue::Json(json.into())));
    }
    attributes
}

fn events(random: &mut StdRng, start_ns: i64) -> Vec<SpanEvent> {
    (0..random.random_range(0..4))
        .map(|number| SpanEvent {
            at_ns: start_ns + random.random_range(0..1_000_000_000),
            name: if number == 0 { "exception".into() } else { "last_upstream_rx_byte_received".into() },
            attributes: vec![
                ("exception.type".into(), AttributeValue::text("io.Timeout")),
                ("attempt".into(), AttributeValue::Int(number)),
            ],
        })
        .collect()
}

fn links(random: &mut StdRng) -> Vec<SpanLink> {
    (0..random.random_range(0..3))
        .map(|_| SpanLink { trace_id: random.random(), span_id: random.random(), ..SpanLink::default() })
        .collect()
}

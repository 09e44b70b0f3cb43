//! Spans come back as they were: sent to a door as bytes, stored, read, and passed on to a second collector.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use prost::Message;
use sidelight_collector::clock::now_ms;
use sidelight_collector::export::{ClientSettings, Destination, ExportSettings, otlp};
use sidelight_collector::ingest::zipkin::ZipkinSpan;
use sidelight_collector::store::{
    AttributeValue, Attributes, Endpoint, Resource, Scope, Span, SpanEvent, SpanKind, SpanLink, Store,
};
use sidelight_collector::{Collector, Settings};
use support::place::Place;
use support::running::{accounted, counts, eventually, send, settings};

on_both!(
    spans_of_otlp_come_back_equal,
    spans_of_zipkin_come_back_equal,
    a_second_collector_has_the_same_spans_by_otlp,
    a_second_collector_has_the_same_spans_by_zipkin,
);

/// Requests of one run.
const CASES: u32 = 48;
/// Spans of one request at most.
const SPANS_MAX: usize = 24;
/// Those that Zipkin has words for.
const KINDS: [SpanKind; 5] = [SpanKind::Unspecified, SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer];
/// The next trace.
static TRACES: AtomicU64 = AtomicU64::new(1);

/// What an `AnyValue` of OTLP can hold, lists in lists included.
fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "\\PC{0,20}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        proptest::num::f64::NORMAL.prop_map(|number| Some(Value::DoubleValue(number))),
        prop::collection::vec(any::<u8>(), 0..10).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 4, |inner| prop_oneof![list(inner.clone()), map(inner)])
}

fn list(inner: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = AnyValue> {
    prop::collection::vec(inner, 0..4).prop_map(|values| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) })
}

fn map(inner: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = AnyValue> {
    let pair = ("[a-z]{0,6}", inner).prop_map(|(key, value)| KeyValue { key, value: Some(value), ..KeyValue::default() });
    prop::collection::vec(pair, 0..4).prop_map(|values| AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) })
}

/// Everything that an attribute of OTLP can be.
fn value() -> impl Strategy<Value = AttributeValue> {
    let json = |value: AnyValue| AttributeValue::Json(serde_json::to_string(&value).unwrap().into());
    prop_oneof![
        "\\PC{0,60}".prop_map(|text| AttributeValue::text(&text)),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        proptest::num::f64::NORMAL.prop_map(AttributeValue::Double),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(AttributeValue::Bytes),
        prop_oneof![list(any_value()), map(any_value()), Just(AnyValue::default())].prop_map(json),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec(("[a-z][a-z._]{0,20}".prop_map(Arc::from), value()), 0..8)
}

/// A time within the last minute.
fn start_ns() -> impl Strategy<Value = i64> {
    (0i64..60_000_000_000).prop_map(|ago_ns| now_ms() * 1_000_000 - ago_ns)
}

fn event() -> impl Strategy<Value = SpanEvent> {
    (0..i64::MAX, "\\PC{0,30}", attributes()).prop_map(|(at_ns, name, attributes)| SpanEvent {
        at_ns,
        name: name.into(),
        attributes,
    })
}

fn link() -> impl Strategy<Value = SpanLink> {
    ((1..=u128::MAX), (1..=u64::MAX), "[a-z=,]{0,12}", attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, flags)| SpanLink {
            trace_id: trace_id.to_be_bytes(),
            span_id: span_id.to_be_bytes(),
            trace_state: trace_state.into(),
            attributes,
            flags,
        },
    )
}

prop_compose! {
    fn resource()(service in "[a-zé☂]{1,12}", others in attributes(), schema_url in "[a-z:/]{0,12}") -> Resource {
        let named = (Arc::from("service.name"), AttributeValue::text(&service));
        let others = others.into_iter().filter(|(name, _)| &**name != "service.name");
        let attributes = [named].into_iter().chain(others).collect();
        Resource { service: service.into(), attributes, schema_url: schema_url.into() }
    }
}

prop_compose! {
    fn scope()(
        name in "[a-z]{0,8}", version in "[0-9.]{0,6}", attributes in attributes(), schema_url in "[a-z:/]{0,12}",
    ) -> Scope {
        Scope { name: name.into(), version: version.into(), attributes, schema_url: schema_url.into() }
    }
}

prop_compose! {
    fn span_of_otlp()(
        kind in 0i64..=5,
        (resource, scope) in (resource(), scope()),
        (name, message, trace_state) in ("\\PC{0,40}", "\\PC{0,30}", "[a-z=,]{0,20}"),
        (start_ns, duration_ns, flags) in (start_ns(), 0i64..10_000_000_000, any::<u32>()),
        (is_error, is_ok) in prop_oneof![Just((true, false)), Just((false, true)), Just((false, false))],
        attributes in attributes(),
        events in prop::collection::vec(event(), 0..4),
        links in prop::collection::vec(link(), 0..3),
    ) -> Span {
        Span {
            kind: SpanKind::from_number(kind), resource: Arc::new(resource), scope: Arc::new(scope), name,
            status_message: message, trace_state, start_ns, duration_ns, flags, is_error, is_ok, attributes, events, links,
            ..Span::default()
        }
    }
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ip = prop_oneof![
        Just(None),
        any::<u32>().prop_map(|bits| Some(IpAddr::V4(Ipv4Addr::from(bits)))),
        any::<u128>().prop_map(|bits| Some(IpAddr::V6(Ipv6Addr::from(bits)))),
    ];
    let service = "[a-z.é]{0,12}".prop_map(Arc::from);
    (service, ip, any::<u16>()).prop_map(|(service, ip, port)| Endpoint { service, ip, port })
}

/// By name, as Zipkin has tags; some say that the span failed.
fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop_oneof![8 => "[a-z][a-z._]{0,16}", 1 => Just("error".to_owned())];
    let value = prop_oneof![8 => "\\PC{0,40}", 1 => Just("false".to_owned())];
    prop::collection::btree_map(name, value, 0..8)
}

prop_compose! {
    fn span_of_zipkin()(
        kind in prop::sample::select(KINDS.to_vec()),
        (local, remote) in (endpoint(), prop::option::of(endpoint())),
        name in "\\PC{0,40}",
        (start_ns, duration_us) in (start_ns(), 0i64..10_000_000),
        (shared, debug) in any::<(bool, bool)>(),
        tags in tags(),
        annotations in prop::collection::vec((0i64..2_000_000_000_000_000, "\\PC{0,30}"), 0..4),
    ) -> Span {
        let event = |(at_us, name): (i64, String)| SpanEvent { at_ns: at_us * 1000, name: name.into(), ..SpanEvent::default() };
        Span {
            kind, name, shared, debug,
            resource: Arc::new(Resource { service: local.service.clone(), ..Resource::default() }),
            local,
            remote: remote.filter(|remote| *remote != Endpoint::default()),
            start_ns: start_ns / 1000 * 1000,
            duration_ns: duration_us * 1000,
            is_error: tags.get("error").is_some_and(|value| value != "false"),
            attributes: tags.into_iter().map(|(name, value)| (name.into(), AttributeValue::text(&value))).collect(),
            events: annotations.into_iter().map(event).collect(),
            ..Span::default()
        }
    }
}

/// One to three traces, in which each span has an id of its own and maybe a parent.
fn traces(span: impl Strategy<Value = Span>) -> impl Strategy<Value = Vec<Span>> {
    let placed = (span, 0usize..3, prop::option::of(1u64..=SPANS_MAX as u64));
    (prop::collection::vec(placed, 1..=SPANS_MAX), any::<bool>()).prop_map(|(spans, is_short)| {
        // Never the same twice: what is made smaller is sent again.
        let first = TRACES.fetch_add(3, Ordering::Relaxed);
        let numbered = spans.into_iter().enumerate().map(|(index, (mut span, trace, parent))| {
            span.trace_id[8..].copy_from_slice(&(first + trace as u64).to_be_bytes());
            span.trace_id[0] = if is_short { 0 } else { 0xab };
            span.id = (index as u64 + 1).to_be_bytes();
            span.parent_id = parent.map(u64::to_be_bytes).filter(|parent| *parent != span.id);
            span
        });
        numbered.collect()
    })
}

async fn post(door: SocketAddr, path: &str, media: &'static str, body: Vec<u8>) -> (StatusCode, String) {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(media))]);
    send(door, "POST", path, headers, body).await
}

async fn send_otlp(collector: &Collector, spans: &[Span]) {
    let body = otlp::request(spans.to_vec()).encode_to_vec();
    let door = collector.addresses().otlp_http.unwrap();
    // An empty answer: nothing was refused.
    assert_eq!(post(door, "/v1/traces", "application/x-protobuf", body).await, (StatusCode::OK, String::new()));
}

async fn send_zipkin(collector: &Collector, spans: &[Span]) {
    let spans: Vec<ZipkinSpan> = spans.iter().cloned().map(ZipkinSpan::from).collect();
    let body = serde_json::to_vec(&spans).unwrap();
    let (status, text) = post(collector.addresses().zipkin, "/api/v2/spans", "application/json", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
}

/// What the store has of the traces of some spans, by id.
async fn read(store: &dyn Store, spans: &[Span]) -> Vec<Span> {
    let ids: BTreeSet<[u8; 16]> = spans.iter().map(|span| span.trace_id).collect();
    let mut found = Vec::new();
    for id in ids {
        found.extend(store.trace(id).await.unwrap());
    }
    by_id(found)
}

fn by_id(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.trace_id, span.id));
    spans
}

/// Sends many requests and compares each with what is read; what fails is made small.
async fn all_come_back(place: &Place, span: impl Strategy<Value = Span>, door: &str, send: impl AsyncFn(&Collector, &[Span])) {
    let collector = Collector::start(settings(place)).await.unwrap();
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let (runtime, sent) = (tokio::runtime::Handle::current(), std::cell::Cell::new(0));
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&traces(span), |spans| {
            let found = runtime.block_on(async {
                send(&collector, &spans).await;
                read(&**collector.store(), &spans).await
            });
            sent.set(sent.get() + spans.len() as u64);
            prop_assert_eq!(found, by_id(spans));
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(accounted(&collector, door, "spans").await, (sent.get(), sent.get(), Vec::new()));
    collector.shutdown().await;
}

async fn spans_of_otlp_come_back_equal(place: &Place) {
    all_come_back(place, span_of_otlp(), "otlp-http", send_otlp).await;
}

async fn spans_of_zipkin_come_back_equal(place: &Place) {
    all_come_back(place, span_of_zipkin(), "zipkin", send_zipkin).await;
}

/// The same ones in every run.
fn sample(span: impl Strategy<Value = Span>) -> Vec<Vec<Span>> {
    let (mut runner, traces) = (TestRunner::deterministic(), traces(span));
    (0..20).map(|_| traces.new_tree(&mut runner).unwrap().current()).collect()
}

fn client(destination: Result<Destination, String>) -> Option<ClientSettings> {
    Some(ClientSettings { destination: destination.unwrap(), headers: HeaderMap::new(), roots: None, gzip: true })
}

/// What a collector sends on is at the other one what it is at this one.
async fn the_other_has_the_same(
    place: &Place,
    requests: &[Vec<Span>],
    door: &str,
    send: impl AsyncFn(&Collector, &[Span]),
    export: impl Fn(&Collector) -> ExportSettings,
) {
    let other = Place::sqlite();
    let second = Collector::start(settings(&other)).await.unwrap();
    let first = Collector::start(Settings { export: export(&second), ..settings(place) }).await.unwrap();
    for spans in requests {
        send(&first, spans).await;
    }
    let total = requests.iter().map(Vec::len).sum::<usize>() as u64;
    eventually("all spans are at the second", async || {
        counts(&second, door, "spans").await.is_some_and(|counts| counts.stored >= total)
    })
    .await;
    assert_eq!(accounted(&second, door, "spans").await, (total, total, Vec::new()));
    for spans in requests {
        let expected = by_id(spans.clone());
        assert_eq!(read(&**first.store(), spans).await, expected);
        assert_eq!(read(&**second.store(), spans).await, expected);
    }
    first.shutdown().await;
    second.shutdown().await;
}

fn quick() -> ExportSettings {
    ExportSettings { batch_spans: 50, batch_delay: Duration::from_millis(20), ..ExportSettings::default() }
}

async fn a_second_collector_has_the_same_spans_by_otlp(place: &Place) {
    let requests = sample(span_of_otlp());
    let (by_grpc, by_http) = requests.split_at(10);
    the_other_has_the_same(place, by_grpc, "otlp-grpc", send_otlp, |second| ExportSettings {
        otlp: client(Destination::otlp(&format!("http://{}", second.addresses().otlp_grpc.unwrap()))),
        ..quick()
    })
    .await;
    the_other_has_the_same(place, by_http, "otlp-http", send_otlp, |second| ExportSettings {
        otlp: client(Destination::otlp(&format!("http://{}/v1/traces", second.addresses().otlp_http.unwrap()))),
        ..quick()
    })
    .await;
}

async fn a_second_collector_has_the_same_spans_by_zipkin(place: &Place) {
    let requests = sample(span_of_zipkin());
    the_other_has_the_same(place, &requests, "zipkin", send_zipkin, |second| ExportSettings {
        zipkin: client(Destination::zipkin(&format!("http://{}/api/v2/spans", second.addresses().zipkin))),
        ..quick()
    })
    .await;
}

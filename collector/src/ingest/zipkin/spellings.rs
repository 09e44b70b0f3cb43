//! Tests: the same span in every spelling, and what is refused or mended in each.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::draft::Judge;
use super::json::{self, V2};
use super::model::ZipkinSpan;
use super::proto;
use super::v1::V1;
use crate::ingest::door::{Judged, Reason, Refusal, Times};
use crate::ingest::intern::Interner;
use crate::store::{AttributeValue, Span, SpanKind};

const NOW_US: i64 = 1_795_416_100_321_000;

fn read(decode: impl FnOnce(&mut Judge<'_>) -> Result<Judged<Span>, Refusal>) -> Judged<Span> {
    let mut interner = Interner::default();
    let mut judge = Judge::new(&mut interner, Times::new(NOW_US / 1000, Duration::from_secs(1000)), 50);
    let mut judged = decode(&mut judge).unwrap();
    judged.cut = judge.cut;
    judged
}

fn v2(spans: &Value) -> Judged<Span> {
    let body = spans.to_string();
    read(|judge| json::decode::<V2>(body.as_bytes(), judge))
}

fn v1(spans: &Value) -> Judged<Span> {
    let body = spans.to_string();
    read(|judge| json::decode::<V1>(body.as_bytes(), judge))
}

/// A span that Envoy sent.
fn envoys() -> Value {
    json!({"traceId":"ab8e2714957101074c7005224e6fd502","id":"4c7005224e6fd502","kind":"CLIENT",
        "name":"reviews.bookinfo.svc.cluster.local:9080/*","timestamp":NOW_US,"duration":6190,
        "localEndpoint":{"serviceName":"productpage.bookinfo","ipv4":"192.0.2.2","port":0},
        "annotations":[{"timestamp":NOW_US + 5,"value":"cr"}],
        "tags":{"component":"proxy","http.status_code":"200","upstream_cluster":"outbound|9080||reviews.bookinfo.svc.cluster.local"}})
}

fn with(field: &str, value: Value) -> Result<Span, Reason> {
    let mut span = envoys();
    span[field] = value;
    let mut judged = v2(&json!([span, envoys()]));
    assert!(judged.items.len() + judged.refused.len() == 2, "the other span is taken");
    match judged.refused.keys().next() {
        Some(reason) => Err(reason),
        None => Ok(judged.items.remove(0)),
    }
}

#[test]
fn a_span_of_envoy_comes_back_as_it_was() {
    let judged = v2(&json!([envoys()]));
    let span = &judged.items[0];
    assert_eq!(span.trace_id, *b"\xab\x8e\x27\x14\x95\x71\x01\x07\x4c\x70\x05\x22\x4e\x6f\xd5\x02");
    assert_eq!((span.kind, &**span.service(), span.is_error), (SpanKind::Client, "productpage.bookinfo", false));
    let mut expected = envoys();
    expected["localEndpoint"] = json!({"serviceName":"productpage.bookinfo","ipv4":"192.0.2.2"});
    assert_eq!(serde_json::to_value(ZipkinSpan::from(span.clone())).unwrap(), expected);
}

#[test]
fn what_makes_no_sense_is_refused_by_reason() {
    assert_eq!(with("traceId", json!("0")).unwrap_err(), "bad_trace_id");
    assert_eq!(with("traceId", json!(7)).unwrap_err(), "bad_span");
    assert_eq!(with("id", json!("no")).unwrap_err(), "bad_span_id");
    assert_eq!(with("parentId", json!("no")).unwrap_err(), "bad_parent_id");
    assert_eq!(with("kind", json!("OTHER")).unwrap_err(), "bad_kind");
    assert_eq!(with("duration", json!(-1)).unwrap_err(), "bad_duration");
    assert_eq!(with("duration", json!(i64::MAX)).unwrap_err(), "bad_duration");
    assert_eq!(with("duration", json!("long")).unwrap_err(), "bad_span");
    assert_eq!(with("timestamp", json!(NOW_US - 1_000_000_001)).unwrap_err(), "too_old");
    assert_eq!(with("timestamp", json!(NOW_US + 3_600_000_001_i64)).unwrap_err(), "in_future");
    assert_eq!(with("tags", json!({"a": {"b": 1}})).unwrap_err(), "bad_span");
    let many: serde_json::Map<String, Value> = (0..257).map(|n| (n.to_string(), json!("x"))).collect();
    assert_eq!(with("tags", many.into()).unwrap_err(), "too_large");
    assert_eq!(v2(&json!([7, envoys()])).message(), "1 refused (1 bad_span)");
}

#[test]
fn spans_beyond_the_limit_are_counted_and_not_kept() {
    let judged = v2(&Value::Array(vec![envoys(); 60]));
    assert_eq!((judged.items.len(), judged.received()), (50, 60));
    let judged = v2(&Value::Array([vec![json!(7)], vec![envoys(); 60]].concat()));
    assert_eq!((judged.items.len(), judged.reasons().as_str()), (50, "1 bad_span, 10 too_many_items"));
    assert_eq!(protobuf(vec![proto_span(); 60]).received(), 60);
}

#[test]
fn what_is_missing_or_odd_is_mended() {
    let judged = v2(&json!([{"traceId":"1","id":"2","parentId":"2","name":null}]));
    let span = &judged.items[0];
    assert_eq!((span.start_us(), span.duration_us(), span.parent_id, &**span.service()), (NOW_US, 0, None, ""));
    assert!(with("tags", json!({"error": true})).unwrap().is_error);
    assert!(!with("tags", json!({"error": "false"})).unwrap().is_error);
    let numbers = with("tags", json!({"a": 1, "b": 2.0, "c": -3, "d": false, "e": "q\"\n"})).unwrap();
    let values: Vec<String> = numbers.attributes.iter().map(|(_, value)| value.to_string()).collect();
    assert_eq!(values, ["1", "2.0", "-3", "false", "q\"\n"]);
    let long = with("tags", json!({"sql": "x".repeat(20_000)})).unwrap();
    assert_eq!(long.attribute("sql"), Some(&AttributeValue::text(&"x".repeat(16_384))));
    assert_eq!(with("name", json!("x".repeat(513))).unwrap().name.len(), 512);
    let odd = with("localEndpoint", json!({"serviceName": "a", "ipv4": "nowhere", "ipv6": "::1", "port": 70_000})).unwrap();
    assert_eq!((odd.local.ip, odd.local.port), (Some("::1".parse().unwrap()), 0));
}

#[test]
fn spans_of_one_service_share_what_says_so() {
    let judged = v2(&json!([envoys(), envoys()]));
    assert!(Arc::ptr_eq(&judged.items[0].resource, &judged.items[1].resource));
}

fn endpoint(service: &str) -> Value {
    json!({"serviceName": service, "ipv4": "192.0.2.1", "port": 80})
}

/// A call that both sides told in one span, as v1 has it.
fn both_sides() -> Value {
    let (front, back) = (endpoint("front"), endpoint("back"));
    let at =
        |offset: i64, value: &str, endpoint: &Value| json!({"timestamp": NOW_US + offset, "value": value, "endpoint": endpoint});
    json!({"traceId": "1", "id": "2", "name": "get", "timestamp": NOW_US, "duration": 100, "annotations": [
        at(0, "cs", &front), at(20, "sr", &back), at(50, "looked up", &back), at(80, "ss", &back), at(100, "cr", &front)
    ], "binaryAnnotations": [
        {"key": "http.path", "value": "/", "endpoint": front}, {"key": "rows", "value": 7, "endpoint": back},
        {"key": "sa", "value": true, "endpoint": endpoint("db")}, {"key": "ca", "value": true, "endpoint": endpoint("browser")}
    ]})
}

#[test]
fn a_v1_span_of_both_sides_becomes_two() {
    let judged = v1(&json!([both_sides()]));
    let told = |span: &Span| (span.kind, span.shared, span.start_us() - NOW_US, span.duration_us(), span.service().to_string());
    assert_eq!(told(&judged.items[0]), (SpanKind::Client, false, 0, 100, "front".to_owned()));
    assert_eq!(told(&judged.items[1]), (SpanKind::Server, true, 20, 60, "back".to_owned()));
    let remote = |span: &Span| span.remote.as_ref().map(|remote| remote.service.to_string());
    assert_eq!((remote(&judged.items[0]), remote(&judged.items[1])), (Some("db".to_owned()), Some("browser".to_owned())));
    assert_eq!(judged.items[0].attributes, [("http.path".into(), AttributeValue::text("/"))]);
    assert_eq!(judged.items[1].attributes, [("rows".into(), AttributeValue::text("7"))]);
    assert_eq!((judged.items[0].events.len(), &*judged.items[1].events[0].name), (0, "looked up"));
}

#[test]
fn a_v1_span_of_one_side_keeps_its_times() {
    let mut server = both_sides();
    server["annotations"]
        .as_array_mut()
        .unwrap()
        .retain(|annotation| ["sr", "ss"].contains(&annotation["value"].as_str().unwrap()));
    let span = |span: &Value| v1(&json!([span])).items.remove(0);
    let own = span(&server);
    assert_eq!((own.kind, own.shared, own.start_us() - NOW_US, own.duration_us()), (SpanKind::Server, false, 0, 100));
    // Without times of its own it answers a client's span.
    server.as_object_mut().unwrap().retain(|key, _| !["timestamp", "duration"].contains(&key.as_str()));
    let answering = span(&server);
    assert_eq!((answering.shared, answering.start_us() - NOW_US, answering.duration_us()), (true, 20, 60));
}

#[test]
fn a_v1_consumer_begins_on_the_wire_and_ends_with_its_message() {
    let at = |offset: i64, value: &str| json!({"timestamp": NOW_US + offset, "value": value, "endpoint": endpoint("back")});
    let read = |annotations: Value| v1(&json!([{"traceId": "1", "id": "2", "annotations": annotations}])).items.remove(0);
    let told = |span: &Span| (span.kind, span.start_us() - NOW_US, span.duration_us());
    assert_eq!(told(&read(json!([at(-30, "wr"), at(-10, "mr")]))), (SpanKind::Consumer, -30, 20));
    assert_eq!(told(&read(json!([at(-10, "mr")]))), (SpanKind::Consumer, -10, 0));
    assert_eq!(told(&read(json!([at(-30, "ms"), at(-10, "ws")]))), (SpanKind::Producer, -30, 20));
}

#[test]
fn a_v1_span_of_no_side_is_local_work() {
    let local = json!({"traceId": "1", "id": "2", "name": "compute", "timestamp": NOW_US, "duration": 5,
        "binaryAnnotations": [{"key": "lc", "value": "", "endpoint": endpoint("back")}, {"key": "x", "value": "y", "endpoint": endpoint("back")}]});
    let judged = v1(&json!([local, {"traceId": "1", "id": "3"}, {"traceId": "1"}, [1]]));
    let span = &judged.items[0];
    assert_eq!((span.kind, &**span.service(), span.attributes.len()), (SpanKind::Unspecified, "back", 1));
    assert_eq!((judged.items.len(), judged.message().as_str()), (2, "2 refused (1 bad_span, 1 bad_span_id)"));
}

#[derive(Clone, PartialEq, Message)]
struct ListOfSpans {
    #[prost(message, repeated, tag = "1")]
    spans: Vec<ProtoSpan>,
}

/// As in `zipkin.proto3`.
#[derive(Clone, PartialEq, Message)]
struct ProtoSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    parent_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    id: Vec<u8>,
    #[prost(int32, tag = "4")]
    kind: i32,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(fixed64, tag = "6")]
    timestamp: u64,
    #[prost(uint64, tag = "7")]
    duration: u64,
    #[prost(message, optional, tag = "8")]
    local_endpoint: Option<ProtoEndpoint>,
    #[prost(message, optional, tag = "9")]
    remote_endpoint: Option<ProtoEndpoint>,
    #[prost(message, repeated, tag = "10")]
    annotations: Vec<ProtoAnnotation>,
    #[prost(map = "string, string", tag = "11")]
    tags: std::collections::HashMap<String, String>,
    #[prost(bool, tag = "12")]
    debug: bool,
    #[prost(bool, tag = "13")]
    shared: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoEndpoint {
    #[prost(string, tag = "1")]
    service_name: String,
    #[prost(bytes = "vec", tag = "2")]
    ipv4: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    ipv6: Vec<u8>,
    #[prost(int32, tag = "4")]
    port: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoAnnotation {
    #[prost(fixed64, tag = "1")]
    timestamp: u64,
    #[prost(string, tag = "2")]
    value: String,
}

fn proto_span() -> ProtoSpan {
    ProtoSpan {
        trace_id: vec![0xab, 0x8e, 0x27, 0x14, 0x95, 0x71, 0x01, 0x07, 0x4c, 0x70, 0x05, 0x22, 0x4e, 0x6f, 0xd5, 0x02],
        id: vec![0x4c, 0x70, 0x05, 0x22, 0x4e, 0x6f, 0xd5, 0x02],
        kind: 1,
        name: "reviews.bookinfo.svc.cluster.local:9080/*".to_owned(),
        timestamp: NOW_US as u64,
        duration: 6190,
        local_endpoint: Some(ProtoEndpoint {
            service_name: "productpage.bookinfo".to_owned(),
            ipv4: vec![192, 0, 2, 2],
            ..ProtoEndpoint::default()
        }),
        annotations: vec![ProtoAnnotation { timestamp: NOW_US as u64 + 5, value: "cr".to_owned() }],
        tags: [("component".to_owned(), "proxy".to_owned())].into(),
        ..ProtoSpan::default()
    }
}

fn protobuf(spans: Vec<ProtoSpan>) -> Judged<Span> {
    let body = ListOfSpans { spans }.encode_to_vec();
    read(|judge| proto::decode(&body, judge))
}

#[test]
fn protobuf_says_what_json_says() {
    let mut spoken = envoys();
    spoken["tags"] = json!({"component": "proxy"});
    assert_eq!(protobuf(vec![proto_span()]), v2(&json!([spoken])));
    let short = ProtoSpan { trace_id: vec![1; 8], shared: true, debug: true, ..proto_span() };
    let read = protobuf(vec![short]).items.remove(0);
    assert_eq!((read.trace_id, read.shared, read.debug), ([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], true, true));
}

#[test]
fn bad_protobuf_spans_are_refused_by_reason() {
    let bad = [
        ProtoSpan { trace_id: vec![1; 9], ..proto_span() },
        ProtoSpan { id: vec![0; 8], ..proto_span() },
        ProtoSpan { kind: 9, ..proto_span() },
        ProtoSpan { timestamp: u64::MAX, ..proto_span() },
        ProtoSpan { parent_id: vec![1], ..proto_span() },
    ];
    let judged = protobuf(bad.into());
    assert_eq!(judged.reasons(), "1 bad_kind, 1 bad_parent_id, 1 bad_span_id, 1 bad_trace_id, 1 in_future");
    let mut interner = Interner::default();
    let mut judge = Judge::new(&mut interner, Times::new(NOW_US / 1000, Duration::from_secs(1)), 50);
    assert_eq!(proto::decode(&[0x0a, 0x05, 1], &mut judge).unwrap_err().reason, "undecodable");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ -~]{0,80}", number in any::<i64>()) {
        for field in ["traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "tags", "annotations"] {
            let _ = with(field, json!(text));
            let _ = with(field, json!(number));
            let mut span = both_sides();
            span[field] = json!(text);
            let _ = v1(&json!([span]));
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let decode = |bytes: &[u8]| {
            let mut interner = Interner::default();
            let mut judge = Judge::new(&mut interner, Times::new(NOW_US / 1000, Duration::from_secs(1)), 50);
            let _ = proto::decode(bytes, &mut judge);
            let _ = json::decode::<V2>(bytes, &mut judge);
            let _ = json::decode::<V1>(bytes, &mut judge);
        };
        decode(&bytes);
        bytes = ListOfSpans { spans: vec![proto_span()] }.encode_to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        decode(&bytes);
    }
}

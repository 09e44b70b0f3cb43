//! Spans as other programs write them, and the generated types as the judge of how they are read.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Sent, Status};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::ingest::door::Reason;
use crate::store::{AttributeValue, Attributes, Resource, Scope};

const NOW_MS: i64 = 1_795_416_100_321;
const START_NS: u64 = 1_795_416_100_000_000_123;

fn times() -> Times {
    Times::new(NOW_MS, Duration::from_secs(3600))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn sent() -> Sent {
    Sent {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        parent_span_id: vec![9; 8],
        trace_state: "vendor=1".to_owned(),
        flags: 0x301,
        name: "GET /cart".to_owned(),
        kind: 3,
        start_time_unix_nano: START_NS,
        end_time_unix_nano: START_NS + 5_000_007,
        attributes: vec![text("http.method", "GET"), attribute("retries", Value::IntValue(-2))],
        events: vec![Event {
            time_unix_nano: START_NS + 1,
            name: "exception".to_owned(),
            attributes: vec![attribute("escaped", Value::BoolValue(true))],
            dropped_attributes_count: 1,
        }],
        links: vec![Link {
            trace_id: vec![7; 16],
            span_id: vec![8; 8],
            trace_state: "a=b".to_owned(),
            attributes: vec![attribute("share", Value::DoubleValue(0.5))],
            dropped_attributes_count: 0,
            flags: 1,
        }],
        status: Some(Status { message: "broken".to_owned(), code: 2 }),
        ..Sent::default()
    }
}

fn export(spans: Vec<Sent>) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "shop".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![text("build", "release")],
        dropped_attributes_count: 0,
    };
    let resource = v1::Resource { attributes: vec![text("service.name", "cart"), text("zone", "z1")], ..v1::Resource::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: "https://scope".to_owned() }],
            schema_url: "https://resource".to_owned(),
        }],
    }
}

fn read(spans: Vec<Sent>) -> Judged<Span> {
    decode(&export(spans).encode_to_vec(), times(), &mut Interner::default(), 50).unwrap()
}

fn refusal(change: impl FnOnce(&mut Sent)) -> Reason {
    let mut span = sent();
    change(&mut span);
    let judged = read(vec![sent(), span]);
    assert_eq!(judged.items.len(), 1, "the other span is taken");
    judged.refused.keys().next().unwrap()
}

#[test]
fn a_span_is_read_whole() {
    let judged = read(vec![sent()]);
    let span = &judged.items[0];
    assert_eq!(span.trace_id, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    assert_eq!((span.id, span.parent_id), ([1, 2, 3, 4, 5, 6, 7, 8], Some([9; 8])));
    assert_eq!((span.kind, span.flags), (SpanKind::Client, 0x301));
    assert_eq!((span.name.as_str(), span.trace_state.as_str()), ("GET /cart", "vendor=1"));
    assert_eq!((span.start_ns, span.duration_ns), (1_795_416_100_000_000_123, 5_000_007));
    assert_eq!((span.is_error, span.is_ok, span.status_message.as_str()), (true, false, "broken"));
    assert_eq!((&**span.service(), &*span.resource.schema_url), ("cart", "https://resource"));
    assert_eq!(span.resource.attributes.len(), 2);
    assert_eq!((&*span.scope.name, &*span.scope.version, &*span.scope.schema_url), ("shop", "1.2", "https://scope"));
    assert_eq!(span.scope.attributes, [(Arc::from("build"), AttributeValue::text("release"))]);
    assert_eq!(span.attribute("http.method"), Some(&AttributeValue::text("GET")));
    assert_eq!(span.attribute("retries"), Some(&AttributeValue::Int(-2)));
    assert_eq!((span.events[0].at_ns, &*span.events[0].name), (1_795_416_100_000_000_124, "exception"));
    assert_eq!(span.events[0].attributes, [(Arc::from("escaped"), AttributeValue::Bool(true))]);
    assert_eq!((span.links[0].trace_id, span.links[0].span_id, span.links[0].flags), ([7; 16], [8; 8], 1));
    assert_eq!(span.links[0].attributes, [(Arc::from("share"), AttributeValue::Double(0.5))]);
}

#[test]
fn what_makes_no_sense_is_refused_by_reason() {
    assert_eq!(refusal(|span| span.trace_id = vec![0; 16]), "bad_trace_id");
    assert_eq!(refusal(|span| span.trace_id = vec![1; 8]), "bad_trace_id");
    assert_eq!(refusal(|span| span.span_id.clear()), "bad_span_id");
    assert_eq!(refusal(|span| span.parent_span_id = vec![1; 7]), "bad_parent_id");
    assert_eq!(refusal(|span| span.start_time_unix_nano = 0), "too_old");
    assert_eq!(refusal(|span| span.start_time_unix_nano = 4_102_444_800_000_000_000), "in_future");
    assert_eq!(refusal(|span| span.start_time_unix_nano = u64::MAX), "in_future");
    assert_eq!(refusal(|span| span.end_time_unix_nano = START_NS - 1), "bad_duration");
    assert_eq!(refusal(|span| span.links[0].span_id = vec![1]), "bad_link");
    assert_eq!(refusal(|span| span.attributes = vec![text("a", "b"); 257]), "too_large");
    assert_eq!(refusal(|span| span.events = vec![Event::default(); 257]), "too_large");
    assert_eq!(refusal(|span| span.attributes.push(text("huge", &"x".repeat(10_000_000)))), "too_large");
}

#[test]
fn what_can_be_mended_is() {
    let change = |change: fn(&mut Sent)| {
        let mut span = sent();
        change(&mut span);
        read(vec![span])
    };
    assert_eq!(change(|span| span.parent_span_id = span.span_id.clone()).items[0].parent_id, None);
    assert_eq!(change(|span| span.parent_span_id = vec![0; 8]).items[0].parent_id, None);
    assert_eq!(change(|span| span.end_time_unix_nano = 0).items[0].duration_ns, 0);
    let cut = change(|span| span.attributes = vec![text("sql", &"x".repeat(20_000)), text(&"k".repeat(600), "v")]);
    assert_eq!(cut.items[0].attribute("sql"), Some(&AttributeValue::text(&"x".repeat(16_384))));
    assert_eq!((cut.items[0].attributes[1].0.len(), cut.cut), (512, 2));
}

#[test]
fn lists_and_missing_values_are_kept_as_json() {
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::StringValue("a".to_owned())) }] };
    let mut span = sent();
    span.attributes = vec![
        attribute("list", Value::ArrayValue(list)),
        KeyValue { key: "none".to_owned(), value: None, ..KeyValue::default() },
        attribute("bytes", Value::BytesValue(vec![1, 2])),
    ];
    let judged = read(vec![span]);
    let values: Vec<_> = judged.items[0].attributes.iter().map(|(_, value)| value.clone()).collect();
    let list = r#"{"arrayValue":{"values":[{"stringValue":"a"}]}}"#;
    let expected = [AttributeValue::Json(list.into()), AttributeValue::Json("{}".into()), AttributeValue::Bytes(vec![1, 2])];
    assert_eq!(values, expected);
}

#[test]
fn invalid_utf8_harms_its_span_alone() {
    let mut bytes = export(vec![sent(), sent()]).encode_to_vec();
    let at = bytes.windows(9).position(|window| window == b"GET /cart").unwrap();
    bytes[at] = 0xff;
    let judged = decode(&bytes, times(), &mut Interner::default(), 50).unwrap();
    assert_eq!((judged.items.len(), judged.message().as_str()), (1, "1 refused (1 bad_utf8)"));
    // In what spans share it harms all of them.
    let at = bytes.windows(4).position(|window| window == b"cart").unwrap();
    bytes[at] = 0xff;
    let judged = decode(&bytes, times(), &mut Interner::default(), 50).unwrap();
    assert_eq!((judged.items.len(), judged.refused["bad_utf8"]), (0, 2));
}

#[test]
fn a_resource_without_a_name_has_one_all_the_same() {
    let mut export = export(vec![sent()]);
    export.resource_spans[0].resource = None;
    let judged = decode(&export.encode_to_vec(), times(), &mut Interner::default(), 50).unwrap();
    assert_eq!(&**judged.items[0].service(), "unknown_service");
}

#[test]
fn a_message_cut_anywhere_is_no_message_or_a_shorter_one() {
    let bytes = export(vec![sent(); 3]).encode_to_vec();
    for length in 1..bytes.len() {
        assert!(decode(&bytes[..length], times(), &mut Interner::default(), 50).is_err(), "cut at {length}");
    }
    assert_eq!(decode(&[], times(), &mut Interner::default(), 50), Ok(Judged::up_to(50)));
}

/// The same span by way of the generated types.
fn by_generated_types(resource: &ResourceSpans, scope: &ScopeSpans, sent: &Sent) -> Span {
    let attributes = |attributes: &[KeyValue]| -> Attributes {
        let value = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.clone()) {
            Some(Value::StringValue(text)) => AttributeValue::Text(text.into()),
            Some(Value::BoolValue(flag)) => AttributeValue::Bool(flag),
            Some(Value::IntValue(number)) => AttributeValue::Int(number),
            Some(Value::DoubleValue(number)) => AttributeValue::Double(number),
            Some(Value::BytesValue(bytes)) => AttributeValue::Bytes(bytes),
            None => AttributeValue::Json("{}".into()),
            other => panic!("not made here: {other:?}"),
        };
        attributes.iter().map(|attribute| (attribute.key.as_str().into(), value(&attribute.value))).collect()
    };
    let told = resource.resource.as_ref().unwrap();
    let status = sent.status.clone().unwrap_or_default();
    let parent: Option<[u8; 8]> = sent.parent_span_id.as_slice().try_into().ok();
    Span {
        trace_id: sent.trace_id.as_slice().try_into().unwrap(),
        id: sent.span_id.as_slice().try_into().unwrap(),
        parent_id: parent.filter(|parent| *parent != [0; 8] && *parent != *sent.span_id),
        kind: SpanKind::from_number(i64::from(sent.kind)),
        resource: Arc::new(Resource {
            service: "cart".into(),
            attributes: attributes(&told.attributes),
            schema_url: resource.schema_url.as_str().into(),
        }),
        scope: Arc::new(Scope {
            name: "shop".into(),
            version: "1.2".into(),
            attributes: attributes(&scope.scope.as_ref().unwrap().attributes),
            schema_url: scope.schema_url.as_str().into(),
        }),
        name: sent.name.clone(),
        start_ns: sent.start_time_unix_nano as i64,
        duration_ns: (sent.end_time_unix_nano - sent.start_time_unix_nano) as i64,
        is_error: status.code == 2,
        is_ok: status.code == 1,
        status_message: status.message,
        trace_state: sent.trace_state.clone(),
        flags: sent.flags,
        attributes: attributes(&sent.attributes),
        ..Span::default()
    }
}

fn any_attribute() -> impl Strategy<Value = KeyValue> {
    let value = prop_oneof![
        "\\PC{0,120}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        proptest::num::f64::NORMAL.prop_map(Value::DoubleValue),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::BytesValue),
    ];
    ("[a-z.]{0,40}", proptest::option::of(value)).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    })
}

prop_compose! {
    fn any_span()(
        ids in (1_u128.., 1_u64.., any::<u64>()),
        name in "\\PC{0,60}",
        state in "[a-z=,]{0,60}",
        numbers in (0..9_i32, any::<u32>(), 0..4_i32, 0..1_000_000_000_000_u64),
        attributes in proptest::collection::vec(any_attribute(), 0..20),
        status in "\\PC{0,20}",
    ) -> Sent {
        Sent {
            trace_id: ids.0.to_be_bytes().to_vec(),
            span_id: ids.1.to_be_bytes().to_vec(),
            parent_span_id: if ids.2 % 3 == 0 { Vec::new() } else { ids.2.to_be_bytes().to_vec() },
            trace_state: state,
            flags: numbers.1,
            name,
            kind: numbers.0,
            start_time_unix_nano: START_NS,
            end_time_unix_nano: START_NS + numbers.3,
            attributes,
            status: Some(Status { message: status, code: numbers.2 }),
            ..Sent::default()
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_is_what_the_generated_types_say(spans in proptest::collection::vec(any_span(), 0..6)) {
        let export = export(spans);
        let resource = &export.resource_spans[0];
        let scope = &resource.scope_spans[0];
        let expected: Vec<Span> = scope.spans.iter().map(|span| by_generated_types(resource, scope, span)).collect();
        let judged = decode(&export.encode_to_vec(), times(), &mut Interner::default(), 50).unwrap();
        prop_assert_eq!(judged.items, expected);
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let _ = decode(&bytes, times(), &mut Interner::default(), 50);
        bytes = export(vec![sent()]).encode_to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = decode(&bytes, times(), &mut Interner::default(), 50);
    }
}

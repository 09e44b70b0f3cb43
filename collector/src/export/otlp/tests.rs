use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

use super::*;
use crate::store::{SpanEvent, SpanKind, SpanLink};

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn string(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

#[test]
fn a_span_of_otlp_goes_out_as_it_came() {
    let json =
        r#"{"arrayValue":{"values":[{"stringValue":"a"},{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"7"}}]}}]}}"#;
    let resource = Resource {
        service: "reviews".into(),
        attributes: vec![("service.name".into(), AttributeValue::text("reviews")), ("pid".into(), AttributeValue::Int(-1))],
        schema_url: "https://opentelemetry.io/schemas/1.30.0".into(),
    };
    let scope = Scope { name: "envoy".into(), version: "1.40".into(), ..Scope::default() };
    let span = Span {
        trace_id: [1; 16],
        id: [2; 8],
        parent_id: Some([3; 8]),
        kind: SpanKind::Server,
        resource: Arc::new(resource),
        scope: Arc::new(scope),
        name: "GET /".to_owned(),
        start_ns: 1_000_000_001,
        duration_ns: 7,
        is_error: true,
        status_message: "broken".to_owned(),
        trace_state: "a=b".to_owned(),
        flags: 0x301,
        attributes: vec![
            ("text".into(), AttributeValue::text("x")),
            ("flag".into(), AttributeValue::Bool(true)),
            ("share".into(), AttributeValue::Double(0.5)),
            ("raw".into(), AttributeValue::Bytes(vec![0, 255])),
            ("list".into(), AttributeValue::Json(json.into())),
        ],
        events: vec![SpanEvent { at_ns: 5, name: "e".into(), attributes: vec![("n".into(), AttributeValue::Int(1))] }],
        links: vec![SpanLink { trace_id: [4; 16], span_id: [5; 8], trace_state: "c=d".into(), attributes: Vec::new(), flags: 1 }],
        ..Span::default()
    };
    let map = KeyValueList { values: vec![key_value("k", Value::IntValue(7))] };
    let values = [string("a"), Value::KvlistValue(map)].map(|value| AnyValue { value: Some(value) });
    let expected = WireSpan {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![3; 8],
        trace_state: "a=b".to_owned(),
        flags: 0x301,
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_000_000_001,
        end_time_unix_nano: 1_000_000_008,
        attributes: vec![
            key_value("text", string("x")),
            key_value("flag", Value::BoolValue(true)),
            key_value("share", Value::DoubleValue(0.5)),
            key_value("raw", Value::BytesValue(vec![0, 255])),
            key_value("list", Value::ArrayValue(ArrayValue { values: values.to_vec() })),
        ],
        events: vec![Event {
            time_unix_nano: 5,
            name: "e".to_owned(),
            attributes: vec![key_value("n", Value::IntValue(1))],
            dropped_attributes_count: 0,
        }],
        links: vec![Link {
            trace_id: vec![4; 16],
            span_id: vec![5; 8],
            trace_state: "c=d".to_owned(),
            flags: 1,
            ..Link::default()
        }],
        status: Some(Status { message: "broken".to_owned(), code: 2 }),
        ..WireSpan::default()
    };
    let request = request(vec![span]);
    let resource = &request.resource_spans[0];
    assert_eq!(resource.schema_url, "https://opentelemetry.io/schemas/1.30.0");
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    assert_eq!(*attributes, [key_value("service.name", string("reviews")), key_value("pid", Value::IntValue(-1))]);
    let scope = resource.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("envoy", "1.40"));
    assert_eq!(resource.scope_spans[0].spans, [expected]);
}

#[test]
fn what_zipkin_says_in_its_own_way_is_mapped() {
    let local = Endpoint { service: "reviews".into(), ip: Some([192, 0, 2, 2].into()), port: 9080 };
    let remote = Endpoint { service: "mysql".into(), ip: Some([192, 0, 2, 3].into()), port: 3306 };
    let resource = Arc::new(Resource { service: "reviews".into(), ..Resource::default() });
    let span = Span { trace_id: [1; 16], id: [2; 8], resource, local, remote: Some(remote), shared: true, ..Span::default() };
    let request = request(vec![span.clone(), span.clone(), Span { local: Endpoint::default(), ..span }]);
    assert_eq!(request.resource_spans.len(), 2, "an address is the resource's in OTLP");
    let told = &request.resource_spans[0];
    let expected = [
        key_value("service.name", string("reviews")),
        key_value("net.host.ip", string("192.0.2.2")),
        key_value("net.host.port", Value::IntValue(9080)),
    ];
    assert_eq!(told.resource.as_ref().unwrap().attributes, expected);
    let [first, second] = told.scope_spans[0].spans.as_slice() else { panic!("{told:?}") };
    let expected = [
        key_value("net.peer.name", string("mysql")),
        key_value("net.peer.ip", string("192.0.2.3")),
        key_value("net.peer.port", Value::IntValue(3306)),
    ];
    assert_eq!(first.attributes, expected);
    assert_eq!(first.parent_span_id, [2; 8], "the server's half is a child of the client's");
    assert_ne!(first.span_id, [2; 8]);
    assert_eq!(first.span_id, second.span_id, "always the same one");
    assert_eq!(first.status, None);
}

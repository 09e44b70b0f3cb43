//! What Jaeger says of a span, by its own documented mapping, in an order that does not depend on it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sidelight_collector::store::{AttributeValue, Attributes, Span, SpanKind};

/// Beyond it JavaScript's numbers are not exact, and Jaeger writes a text.
const EXACT_MAX: i64 = (1 << 53) - 1;

pub fn trace_id(span: &Span) -> String {
    let hex = hex(&span.trace_id);
    hex.strip_prefix("0000000000000000").map_or(hex.clone(), str::to_owned)
}

pub fn span_id(span: &Span) -> String {
    hex(&span.id)
}

pub fn kind(span: &Span) -> Option<&'static str> {
    match span.kind {
        SpanKind::Unspecified => None,
        SpanKind::Internal => Some("internal"),
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    }
}

pub fn says(span: &Span, key: &str, text: &str) -> bool {
    span.attribute(key) == Some(&AttributeValue::text(text))
}

pub fn services(traces: &[Vec<Span>]) -> Vec<String> {
    let services: BTreeSet<String> = traces.iter().flatten().map(|span| span.service().to_string()).collect();
    services.into_iter().collect()
}

pub fn operations(traces: &[Vec<Span>], service: &str) -> Vec<String> {
    let spans = traces.iter().flatten().filter(|span| &**span.service() == service);
    let operations: BTreeSet<String> = spans.map(|span| span.name.clone()).collect();
    operations.into_iter().collect()
}

pub fn traces_with(traces: &[Vec<Span>], matches: impl Fn(&Span) -> bool) -> BTreeSet<String> {
    traces.iter().filter(|spans| spans.iter().any(&matches)).map(|spans| trace_id(&spans[0])).collect()
}

/// One span in the form of [`normalised`].
pub fn span(span: &Span) -> Value {
    let mut references = Vec::new();
    if let Some(parent) = span.parent_id {
        references.push(json!(["CHILD_OF", trace_id(span), hex(&parent)]));
    }
    for link in &span.links {
        let linked = Span { trace_id: link.trace_id, ..Span::default() };
        references.push(json!(["FOLLOWS_FROM", trace_id(&linked), hex(&link.span_id)]));
    }
    let mut logs: Vec<Value> = span
        .events
        .iter()
        .map(|event| {
            let mut fields = tags(&event.attributes);
            fields.insert("event".to_owned(), json!(["string", *event.name]));
            json!([event.at_ns / 1000, fields])
        })
        .collect();
    logs.sort_by_key(Value::to_string);
    let mut process = tags(&span.resource.attributes);
    process.remove("service.name");
    json!({
        "service": **span.service(), "process": process, "operationName": span.name, "references": references,
        "startTime": span.start_ns / 1000, "duration": span.duration_ns / 1000, "tags": span_tags(span), "logs": logs,
    })
}

fn span_tags(span: &Span) -> Map<String, Value> {
    let mut tags = tags(&span.attributes);
    let mut add = |key: &str, value: &str| tags.insert(key.to_owned(), json!(["string", value]));
    if let Some(kind) = kind(span) {
        add("span.kind", kind);
    }
    if !span.scope.name.is_empty() {
        add("otel.scope.name", &span.scope.name);
        add("otel.scope.version", &span.scope.version);
    }
    if span.is_error || span.is_ok {
        add("otel.status_code", if span.is_error { "ERROR" } else { "OK" });
    }
    if !span.status_message.is_empty() {
        add("otel.status_description", &span.status_message);
    }
    if !span.trace_state.is_empty() {
        add("w3c.tracestate", &span.trace_state);
    }
    if span.is_error {
        tags.insert("error".to_owned(), json!(["bool", true]));
    }
    tags
}

fn tags(attributes: &Attributes) -> Map<String, Value> {
    attributes.iter().map(|(key, value)| (key.to_string(), tag(value))).collect()
}

fn tag(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Text(text) => json!(["string", **text]),
        AttributeValue::Bool(flag) => json!(["bool", flag]),
        AttributeValue::Int(number) if number.abs() > EXACT_MAX => json!(["int64", number.to_string()]),
        AttributeValue::Int(number) => json!(["int64", number]),
        AttributeValue::Double(number) => json!(["float64", number]),
        AttributeValue::Bytes(bytes) => json!(["binary", STANDARD.encode(bytes)]),
        // Jaeger keeps lists and maps as plain JSON in a text.
        AttributeValue::Json(json) if json.contains("arrayValue") => json!(["string", r#"["a",7,true]"#]),
        AttributeValue::Json(_) => json!(["string", r#"{"k":"v"}"#]),
    }
}

/// The spans of a trace as Jaeger answers it, by id.
pub fn normalised(trace: &Value) -> BTreeMap<String, Value> {
    let spans = trace["spans"].as_array().unwrap();
    spans.iter().map(|span| (span["spanID"].as_str().unwrap().to_owned(), normal(span, &trace["processes"]))).collect()
}

fn normal(span: &Value, processes: &Value) -> Value {
    let process = &processes[span["processID"].as_str().unwrap()];
    let references: Vec<Value> = list(&span["references"])
        .map(|reference| json!([reference["refType"], reference["traceID"], reference["spanID"]]))
        .collect();
    let mut logs: Vec<Value> = list(&span["logs"]).map(|log| json!([log["timestamp"], fields(&log["fields"])])).collect();
    logs.sort_by_key(Value::to_string);
    json!({
        "service": process["serviceName"], "process": fields(&process["tags"]), "operationName": span["operationName"],
        "references": references, "startTime": span["startTime"], "duration": span["duration"],
        "tags": fields(&span["tags"]), "logs": logs,
    })
}

fn fields(tags: &Value) -> Map<String, Value> {
    // The name of the format that the span came in is Jaeger's own.
    let told = list(tags).filter(|tag| tag["key"] != "internal.span.format");
    told.map(|tag| {
        // 67.0 is written as 67.
        let value = if tag["type"] == "float64" { json!(tag["value"].as_f64()) } else { tag["value"].clone() };
        (tag["key"].as_str().unwrap().to_owned(), json!([tag["type"], value]))
    })
    .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

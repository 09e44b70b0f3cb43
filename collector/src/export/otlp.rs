//! Our spans as OTLP's: what came as OTLP goes out as it came, what came from Zipkin is mapped.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan, Status};

use crate::store::{AttributeValue, Attributes, Endpoint, Resource, Scope, Span};

const SERVICE_NAME: &str = "service.name";

/// What spans of one `ResourceSpans` share: the resource, and of Zipkin the address that a resource has in OTLP.
type ResourceKey = (*const Resource, Endpoint);

/// One request with these spans, grouped by resource and scope in the order in which those first appear.
#[must_use]
pub fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut resources: Vec<ResourceSpans> = Vec::new();
    let mut resource_indexes: HashMap<ResourceKey, usize> = HashMap::new();
    let mut scope_indexes: HashMap<(usize, *const Scope), usize> = HashMap::new();
    // Held to the end, so that no address in the keys is used twice.
    let mut held: Vec<(Arc<Resource>, Arc<Scope>)> = Vec::new();
    for span in spans {
        let key = (Arc::as_ptr(&span.resource), span.local.clone());
        let at = *resource_indexes.entry(key).or_insert_with(|| {
            resources.push(resource(&span));
            resources.len() - 1
        });
        let scopes = &mut resources[at].scope_spans;
        let scope_at = *scope_indexes.entry((at, Arc::as_ptr(&span.scope))).or_insert_with(|| {
            held.push((Arc::clone(&span.resource), Arc::clone(&span.scope)));
            scopes.push(scope(&span.scope));
            scopes.len() - 1
        });
        scopes[scope_at].spans.push(wire_span(span));
    }
    ExportTraceServiceRequest { resource_spans: resources }
}

fn resource(span: &Span) -> ResourceSpans {
    let Span { resource, local, .. } = span;
    let mut attributes = key_values(&resource.attributes);
    // OTLP's own resources say all they have to; an endpoint is Zipkin's.
    if !local.service.is_empty() {
        add(&mut attributes, SERVICE_NAME, text(&local.service));
    }
    if let Some(ip) = local.ip {
        add(&mut attributes, "net.host.ip", text(&ip.to_string()));
    }
    if local.port != 0 {
        add(&mut attributes, "net.host.port", Value::IntValue(local.port.into()));
    }
    ResourceSpans {
        resource: Some(WireResource { attributes, ..WireResource::default() }),
        scope_spans: Vec::new(),
        schema_url: resource.schema_url.as_ref().to_owned(),
    }
}

fn scope(scope: &Scope) -> ScopeSpans {
    ScopeSpans {
        scope: Some(InstrumentationScope {
            name: scope.name.as_ref().to_owned(),
            version: scope.version.as_ref().to_owned(),
            attributes: key_values(&scope.attributes),
            dropped_attributes_count: 0,
        }),
        spans: Vec::new(),
        schema_url: scope.schema_url.as_ref().to_owned(),
    }
}

fn wire_span(span: Span) -> WireSpan {
    let (id, parent_id) = ids(&span);
    let mut attributes = key_values(&span.attributes);
    if let Some(remote) = &span.remote {
        remote_attributes(&mut attributes, remote);
    }
    let events = span.events.iter().map(|event| Event {
        time_unix_nano: nanos(event.at_ns),
        name: event.name.as_ref().to_owned(),
        attributes: key_values(&event.attributes),
        dropped_attributes_count: 0,
    });
    let links = span.links.iter().map(|link| Link {
        trace_id: link.trace_id.to_vec(),
        span_id: link.span_id.to_vec(),
        trace_state: link.trace_state.as_ref().to_owned(),
        attributes: key_values(&link.attributes),
        dropped_attributes_count: 0,
        flags: link.flags,
    });
    WireSpan {
        trace_id: span.trace_id.to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent_id.map_or_else(Vec::new, Vec::from),
        events: events.collect(),
        links: links.collect(),
        attributes,
        kind: span.kind as i32,
        start_time_unix_nano: nanos(span.start_ns),
        end_time_unix_nano: nanos(span.start_ns.saturating_add(span.duration_ns)),
        status: status(&span),
        flags: span.flags,
        trace_state: span.trace_state,
        name: span.name,
        ..WireSpan::default()
    }
}

/// OTLP knows no two spans of one id: the server's half of a shared span becomes a child of the client's, under an id that
/// follows from the old one, so that a span that is sent twice is the same span.
fn ids(span: &Span) -> ([u8; 8], Option<[u8; 8]>) {
    if !span.shared {
        return (span.id, span.parent_id);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&span.trace_id).update(&span.id).update(b"shared");
    let mut id = [0; 8];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    (id, Some(span.id))
}

fn status(span: &Span) -> Option<Status> {
    let code = match (span.is_error, span.is_ok) {
        (true, _) => StatusCode::Error,
        (false, true) => StatusCode::Ok,
        (false, false) if span.status_message.is_empty() => return None,
        (false, false) => StatusCode::Unset,
    };
    Some(Status { message: span.status_message.clone(), code: code as i32 })
}

fn remote_attributes(attributes: &mut Vec<KeyValue>, remote: &Endpoint) {
    if !remote.service.is_empty() {
        add(attributes, "net.peer.name", text(&remote.service));
    }
    if let Some(ip) = remote.ip {
        add(attributes, "net.peer.ip", text(&ip.to_string()));
    }
    if remote.port != 0 {
        add(attributes, "net.peer.port", Value::IntValue(remote.port.into()));
    }
}

/// What a span says itself is not overwritten.
fn add(attributes: &mut Vec<KeyValue>, key: &str, value: Value) {
    if attributes.iter().all(|known| known.key != key) {
        attributes.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() });
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| KeyValue { key: key.as_ref().to_owned(), value: Some(any_value(value)), ..KeyValue::default() })
        .collect()
}

fn any_value(value: &AttributeValue) -> AnyValue {
    let value = match value {
        AttributeValue::Text(value) => text(value),
        AttributeValue::Bool(value) => Value::BoolValue(*value),
        AttributeValue::Int(value) => Value::IntValue(*value),
        AttributeValue::Double(value) => Value::DoubleValue(*value),
        AttributeValue::Bytes(value) => Value::BytesValue(value.clone()),
        // Only our own door writes it; a text that is none after all is still worth its letters.
        AttributeValue::Json(json) => match serde_json::from_str::<AnyValue>(json) {
            Ok(value) => return value,
            Err(_) => text(json),
        },
    };
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn nanos(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

#[cfg(test)]
mod tests;

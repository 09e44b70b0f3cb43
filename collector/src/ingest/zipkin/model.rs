//! Zipkin's span as the door gives it out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::store::{AttributeValue, Endpoint, Span, SpanEvent, SpanKind};

/// As on the wire.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZipkinSpan {
    pub trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_endpoint: Option<ZipkinEndpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_endpoint: Option<ZipkinEndpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<ZipkinAnnotation>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZipkinEndpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ZipkinAnnotation {
    pub timestamp: i64,
    pub value: String,
}

impl From<Span> for ZipkinSpan {
    fn from(span: Span) -> Self {
        // Zipkin gives back ids as short as they were sent.
        let trace_id = if span.trace_id[..8] == [0; 8] { hex(&span.trace_id[8..]) } else { hex(&span.trace_id) };
        let local = local_endpoint(&span);
        let annotation =
            |event: SpanEvent| ZipkinAnnotation { timestamp: event.at_ns.div_euclid(1000), value: event.name.to_string() };
        let annotations: Vec<_> = span.events.into_iter().map(annotation).collect();
        let text = |(name, value): (Arc<str>, AttributeValue)| (name.to_string(), Value::String(value.to_string()));
        let (start_us, duration_us) = (span.start_ns.div_euclid(1000), span.duration_ns / 1000);
        let mut tags: BTreeMap<_, _> = span.attributes.into_iter().map(text).collect();
        if span.is_error {
            // OTLP tells it by the status.
            tags.entry("error".to_owned()).or_insert(Value::String(span.status_message));
        }
        Self {
            trace_id,
            parent_id: span.parent_id.map(|id| hex(&id)),
            id: hex(&span.id),
            kind: kind_word(span.kind).map(str::to_owned),
            name: Some(span.name).filter(|name| !name.is_empty()),
            timestamp: Some(start_us),
            duration: Some(duration_us).filter(|duration| *duration > 0),
            local_endpoint: Some(wire_endpoint(local)).filter(|local| *local != ZipkinEndpoint::default()),
            remote_endpoint: span.remote.map(wire_endpoint),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            tags: Some(tags).filter(|tags| !tags.is_empty()),
            debug: span.debug.then_some(true),
            shared: span.shared.then_some(true),
        }
    }
}

/// OTLP's spans name their service in the resource only.
fn local_endpoint(span: &Span) -> Endpoint {
    let mut local = span.local.clone();
    if local.service.is_empty() {
        local.service = Arc::clone(span.service());
    }
    local
}

fn kind_word(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Unspecified | SpanKind::Internal => None,
        SpanKind::Client => Some("CLIENT"),
        SpanKind::Server => Some("SERVER"),
        SpanKind::Producer => Some("PRODUCER"),
        SpanKind::Consumer => Some("CONSUMER"),
    }
}

fn wire_endpoint(endpoint: Endpoint) -> ZipkinEndpoint {
    let (ipv4, ipv6) = match endpoint.ip {
        Some(ip @ IpAddr::V4(_)) => (Some(ip.to_string()), None),
        Some(ip @ IpAddr::V6(_)) => (None, Some(ip.to_string())),
        None => (None, None),
    };
    ZipkinEndpoint {
        service_name: Some(endpoint.service.to_string()).filter(|name| !name.is_empty()),
        ipv4,
        ipv6,
        port: Some(i64::from(endpoint.port)).filter(|port| *port != 0),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

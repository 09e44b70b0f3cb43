//! Bodies of spans, as Zipkin's JSON and as OTLP.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status};
use prost::Message;
use serde_json::json;

use super::mesh::{MadeSpan, SPANS_PER_TRACE, trace};
use super::random::Random;
use super::template::{Marked, Template};

/// Spans that are made before any is sent again with other ids: more than a block of the store holds.
const SPANS_MADE: u64 = 32_768;
/// Traces whose spans arrive mixed: each body holds the spans of few services, as each proxy sends its own.
const TRACES_MIXED: u64 = 512;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    ZipkinJson,
    Otlp,
}

/// Bodies of `batch` spans each.
pub fn templates(encoding: Encoding, batch: usize, base_us: u64) -> Vec<Template> {
    let mut random = Random::new(42);
    let mut templates = Vec::new();
    for _ in 0..SPANS_MADE / (TRACES_MIXED * SPANS_PER_TRACE) {
        let mut spans: Vec<MadeSpan> = (0..TRACES_MIXED).flat_map(|number| trace(&mut random, base_us + number * 150)).collect();
        spans.sort_by_key(|span| (span.pod.service, span.pod.number));
        for part in spans.chunks(batch) {
            let body = match encoding {
                Encoding::ZipkinJson => zipkin(part),
                Encoding::Otlp => otlp(part),
            };
            templates.push(Template::new(body, part.len() as u64, &marked(part)));
        }
    }
    templates
}

fn marked(spans: &[MadeSpan]) -> Marked {
    let mut marked = Marked::default();
    for span in spans {
        let (high, low) = span.trace_id.split_at(8);
        for half in [high, low] {
            marked.id(half.try_into().unwrap_or_default());
        }
        marked.id(span.id);
        if let Some(parent_id) = span.parent_id {
            marked.id(parent_id);
        }
        marked.time_us(span.start_us);
        marked.time_us(span.start_us + span.duration_us);
        for (name, value) in &span.tags {
            if *name == "guid:x-request-id" {
                marked.uuid(value);
            }
        }
    }
    marked
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn zipkin(spans: &[MadeSpan]) -> Vec<u8> {
    let spans: Vec<_> = spans
        .iter()
        .map(|span| {
            let end = if span.is_server { "ss" } else { "cr" };
            let tags: BTreeMap<_, _> = span.tags.iter().map(|(name, value)| (*name, value)).collect();
            let mut json = json!({
                "traceId": hex(&span.trace_id),
                "id": hex(&span.id),
                "kind": if span.is_server { "SERVER" } else { "CLIENT" },
                "name": span.name,
                "timestamp": span.start_us,
                "duration": span.duration_us,
                "localEndpoint": {"serviceName": format!("{}.shop", span.pod.service), "ipv4": span.pod.ip(), "port": 0},
                "annotations": [{"timestamp": span.start_us + span.duration_us, "value": end}],
                "tags": tags,
            });
            if let Some(parent_id) = &span.parent_id {
                json["parentId"] = hex(parent_id).into();
            }
            json
        })
        .collect();
    serde_json::Value::from(spans).to_string().into_bytes()
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn otlp(spans: &[MadeSpan]) -> Vec<u8> {
    let resource_spans = spans.chunk_by(|a, b| a.pod.service == b.pod.service && a.pod.number == b.pod.number).map(|of_pod| {
        let attributes = vec![
            text("service.name", &format!("{}.shop", of_pod[0].pod.service)),
            text("telemetry.sdk.language", "cpp"),
            text("telemetry.sdk.name", "envoy"),
            text("telemetry.sdk.version", "7b8baff1758f0a584dcc3cb657b5032000bcb3d7/1.36.0/Clean/RELEASE/BoringSSL"),
        ];
        let scope = InstrumentationScope {
            name: "envoy".to_owned(),
            version: "7b8baff1758f0a584dcc3cb657b5032000bcb3d7/1.36.0/Clean/RELEASE/BoringSSL".to_owned(),
            ..InstrumentationScope::default()
        };
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: of_pod.iter().map(otlp_span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}

fn otlp_span(made: &MadeSpan) -> Span {
    let kind = if made.is_server { span::SpanKind::Server } else { span::SpanKind::Client };
    Span {
        trace_id: made.trace_id.to_vec(),
        span_id: made.id.to_vec(),
        parent_span_id: made.parent_id.map(Vec::from).unwrap_or_default(),
        name: made.name.clone(),
        kind: kind as i32,
        start_time_unix_nano: made.start_us * 1000,
        end_time_unix_nano: (made.start_us + made.duration_us) * 1000,
        attributes: made.tags.iter().map(|(name, value)| text(name, value)).collect(),
        status: made.is_error.then(|| Status { code: status::StatusCode::Error as i32, ..Status::default() }),
        flags: 0x101,
        ..Span::default()
    }
}

//! Our spans as Jaeger's model, by way of OTLP: the mapping is the one that Jaeger's own receiver has.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as WireSpan, Status};

use super::model::{JaegerSpan, JaegerTrace, Log, Process, RefType, Reference, Tag, TagValue};
use super::shared;
use crate::export::otlp;
use crate::store::Span;

const SERVICE_NAME: &str = "service.name";
/// Of the event's name among the fields of a log.
const EVENT: &str = "event";
/// Says of a link that it is a parent.
const REF_TYPE: &str = "opentracing.ref_type";
/// The flag of W3C's trace flags that says that a trace is sampled.
const SAMPLED: u32 = 1;
/// Attributes of spans that belong to the process that made them.
const OF_PROCESS: [&str; 5] = [
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
];
/// Tags that old clients send as the number of an address.
const ADDRESSES: [&str; 2] = ["ip", "peer.ipv4"];

/// The spans of one trace. `raw` leaves them as they are stored; otherwise the halves of shared spans are taken apart, and
/// tags are sorted and put where Jaeger's interface expects them.
#[must_use]
pub fn trace(spans: Vec<Span>, raw: bool) -> JaegerTrace {
    let trace_id = spans.first().map_or([0; 16], |span| span.trace_id);
    let spans = if raw { shared::as_stored(spans) } else { shared::apart(spans) };
    let mut builder = Builder { raw, ..Builder::default() };
    each_span(otlp::request(spans), |process, scope, wire| builder.push(process, scope, wire));
    builder.finish(trace_id)
}

/// Traces that somebody has as OTLP and wants to see, in the order in which they come; nothing is stored or adjusted.
#[must_use]
pub fn traces_of(request: ExportTraceServiceRequest) -> Vec<JaegerTrace> {
    let mut order = Vec::new();
    let mut builders: HashMap<[u8; 16], Builder> = HashMap::new();
    each_span(request, |process, scope, wire| {
        let trace_id = id(&wire.trace_id);
        let builder = builders.entry(trace_id).or_insert_with(|| {
            order.push(trace_id);
            Builder { raw: true, ..Builder::default() }
        });
        builder.push(process, scope, wire);
    });
    order.into_iter().filter_map(|trace_id| Some(builders.remove(&trace_id)?.finish(trace_id))).collect()
}

/// Hands over each span with its process and the tags of its scope.
fn each_span(request: ExportTraceServiceRequest, mut take: impl FnMut(&Process, &[Tag], WireSpan)) {
    for of_resource in request.resource_spans {
        let process = process(of_resource.resource.unwrap_or_default());
        for of_scope in of_resource.scope_spans {
            let scope = scope_tags(of_scope.scope.as_ref());
            for wire in of_scope.spans {
                take(&process, &scope, wire);
            }
        }
    }
}

#[derive(Default)]
struct Builder {
    raw: bool,
    spans: Vec<JaegerSpan>,
    processes: Vec<Process>,
    /// Places of processes by what they say.
    places: HashMap<String, usize>,
}

impl Builder {
    fn finish(mut self, trace_id: [u8; 16]) -> JaegerTrace {
        self.spans.sort_by_key(|span| (span.start_ns, span.id));
        in_order_of_use(JaegerTrace { trace_id, spans: self.spans, processes: self.processes, warnings: Vec::new() })
    }

    fn push(&mut self, process: &Process, scope: &[Tag], wire: WireSpan) {
        let mut span = span(scope, wire);
        if self.raw {
            span.process = self.place(process.clone());
        } else {
            let mut process = process.clone();
            adjust(&mut span, &mut process);
            span.process = self.place(process);
        }
        self.spans.push(span);
    }

    fn place(&mut self, process: Process) -> usize {
        let said = format!("{process:?}");
        *self.places.entry(said).or_insert_with(|| {
            self.processes.push(process);
            self.processes.len() - 1
        })
    }
}

/// Processes are numbered in the order in which spans name them.
fn in_order_of_use(mut trace: JaegerTrace) -> JaegerTrace {
    let mut new_places: HashMap<usize, usize> = HashMap::new();
    let mut processes = Vec::with_capacity(trace.processes.len());
    for span in &mut trace.spans {
        let old = span.process;
        span.process = *new_places.entry(old).or_insert_with(|| {
            processes.push(std::mem::take(&mut trace.processes[old]));
            processes.len() - 1
        });
    }
    JaegerTrace { processes, ..trace }
}

fn process(resource: Resource) -> Process {
    let (names, others): (Vec<_>, Vec<_>) = resource.attributes.into_iter().partition(|known| known.key == SERVICE_NAME);
    let service = names.into_iter().next_back().map(|name| match tag_value(name.value) {
        TagValue::Text(text) => text,
        _ => String::new(),
    });
    Process { service: service.unwrap_or_default(), tags: tags(others) }
}

fn scope_tags(scope: Option<&InstrumentationScope>) -> Vec<Tag> {
    let Some(scope) = scope else { return Vec::new() };
    let told = [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)];
    told.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| Tag::text(key, text)).collect()
}

fn span(scope: &[Tag], wire: WireSpan) -> JaegerSpan {
    let start_ns = nanos(wire.start_time_unix_nano);
    let trace_id = id(&wire.trace_id);
    JaegerSpan {
        trace_id,
        id: id(&wire.span_id),
        flags: wire.flags & SAMPLED,
        references: references(trace_id, &wire.parent_span_id, wire.links),
        start_ns,
        duration_ns: nanos(wire.end_time_unix_nano).saturating_sub(start_ns),
        tags: span_tags(scope, wire.attributes, wire.kind, wire.status, wire.trace_state),
        logs: wire.events.into_iter().map(log).collect(),
        operation: wire.name,
        process: 0,
        warnings: Vec::new(),
    }
}

fn span_tags(scope: &[Tag], attributes: Vec<KeyValue>, kind: i32, status: Option<Status>, trace_state: String) -> Vec<Tag> {
    let mut all = scope.to_vec();
    all.extend(tags(attributes));
    if let Some(word) = kind_word(kind) {
        all.push(Tag::text("span.kind", word));
    }
    let status = status.unwrap_or_default();
    match StatusCode::try_from(status.code) {
        Ok(StatusCode::Error) => {
            all.push(Tag::text("otel.status_code", "ERROR"));
            // A tag of its own name says it already.
            all.retain(|tag| tag.key != "error");
            all.push(Tag { key: "error".to_owned(), value: TagValue::Bool(true) });
        }
        Ok(StatusCode::Ok) => all.push(Tag::text("otel.status_code", "OK")),
        Ok(StatusCode::Unset) | Err(_) => {}
    }
    if !status.message.is_empty() {
        all.push(Tag::text("otel.status_description", status.message));
    }
    if !trace_state.is_empty() {
        all.push(Tag::text("w3c.tracestate", trace_state));
    }
    all
}

/// Jaeger's word for a kind of OTLP's number; `None` where it is not told.
#[must_use]
pub fn kind_word(kind: i32) -> Option<&'static str> {
    match SpanKind::try_from(kind).ok()? {
        SpanKind::Unspecified => None,
        SpanKind::Internal => Some("internal"),
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
    }
}

/// The parent first; a link to the parent says what kind of parent it is.
fn references(trace_id: [u8; 16], parent: &[u8], links: Vec<Link>) -> Vec<Reference> {
    let parent = (!parent.is_empty()).then(|| id::<8>(parent)).filter(|parent| *parent != [0; 8]);
    let mut references: Vec<Reference> =
        parent.map(|span_id| Reference { ref_type: RefType::ChildOf, trace_id, span_id }).into_iter().collect();
    for link in links {
        let reference = Reference { ref_type: ref_type(&link), trace_id: id(&link.trace_id), span_id: id(&link.span_id) };
        let is_parent = parent.is_some() && reference.trace_id == trace_id && Some(reference.span_id) == parent;
        match references.first_mut() {
            Some(first) if is_parent => first.ref_type = reference.ref_type,
            _ => references.push(reference),
        }
    }
    references
}

fn ref_type(link: &Link) -> RefType {
    let told = link.attributes.iter().find(|attribute| attribute.key == REF_TYPE).and_then(|told| told.value.as_ref());
    match told.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) if text == "child_of" => RefType::ChildOf,
        _ => RefType::FollowsFrom,
    }
}

fn log(event: Event) -> Log {
    let is_named = event.attributes.iter().any(|attribute| attribute.key == EVENT);
    let name = (!event.name.is_empty() && !is_named).then(|| Tag::text(EVENT, event.name));
    Log { at_ns: nanos(event.time_unix_nano), fields: name.into_iter().chain(tags(event.attributes)).collect() }
}

/// What Jaeger does to a span before it shows it.
fn adjust(span: &mut JaegerSpan, process: &mut Process) {
    let (moved, kept): (Vec<Tag>, Vec<Tag>) =
        std::mem::take(&mut span.tags).into_iter().partition(|tag| OF_PROCESS.contains(&tag.key.as_str()));
    span.tags = kept;
    process.tags.extend(moved);
    for tag in span.tags.iter_mut().chain(&mut process.tags) {
        address(tag);
    }
    sort(&mut span.tags);
    sort(&mut process.tags);
    for log in &mut span.logs {
        let event = log.fields.iter().position(|field| field.key == EVENT && matches!(field.value, TagValue::Text(_)));
        if let Some(place) = event {
            log.fields.swap(0, place);
        }
        sort(&mut log.fields[usize::from(event.is_some())..]);
    }
    span.references.retain(|reference| reference.trace_id != [0; 16]);
    let own = |reference: &Reference| reference.trace_id == span.trace_id;
    let parent = span.references.iter().position(|known| own(known) && known.ref_type == RefType::ChildOf);
    if let Some(place) = parent.or_else(|| span.references.iter().position(own)) {
        span.references.swap(0, place);
    }
}

/// An address that came as a number is shown as one.
fn address(tag: &mut Tag) {
    let number = match tag.value {
        TagValue::Int(number) => number as u32,
        TagValue::Float(number) => number as u32,
        _ => return,
    };
    if ADDRESSES.contains(&tag.key.as_str()) {
        tag.value = TagValue::Text(std::net::Ipv4Addr::from(number).to_string());
    }
}

fn sort(tags: &mut [Tag]) {
    tags.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| format!("{:?}", a.value).cmp(&format!("{:?}", b.value))));
}

fn tags(attributes: Vec<KeyValue>) -> Vec<Tag> {
    attributes.into_iter().map(|attribute| Tag { key: attribute.key, value: tag_value(attribute.value) }).collect()
}

fn tag_value(value: Option<AnyValue>) -> TagValue {
    match value.and_then(|value| value.value) {
        Some(Value::BoolValue(flag)) => TagValue::Bool(flag),
        Some(Value::IntValue(number)) => TagValue::Int(number),
        Some(Value::DoubleValue(number)) => TagValue::Float(number),
        Some(Value::BytesValue(bytes)) => TagValue::Binary(bytes),
        Some(Value::StringValue(text)) => TagValue::Text(text),
        None => TagValue::Text(String::new()),
        // Lists and maps are plain JSON in a text.
        Some(value) => TagValue::Text(super::json::plain(value).to_string()),
    }
}

/// As many bytes as there are; ids that are too short cannot come from the store.
fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn nanos(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{AttributeValue, Resource as StoredResource, SpanEvent, SpanKind as Kind, SpanLink};

    fn stored(id: u8, service: &str) -> Span {
        let attributes = vec![("service.name".into(), AttributeValue::text(service)), ("pod".into(), AttributeValue::text("a"))];
        let resource = StoredResource { service: service.into(), attributes, ..StoredResource::default() };
        Span { trace_id: [7; 16], id: [id; 8], resource: Arc::new(resource), kind: Kind::Server, ..Span::default() }
    }

    #[test]
    fn tags_are_sorted_and_put_where_they_belong() {
        let span = Span {
            attributes: vec![
                ("z".into(), AttributeValue::Int(1)),
                ("telemetry.sdk.name".into(), AttributeValue::text("otel")),
                ("peer.ipv4".into(), AttributeValue::Int(0x7f00_0001)),
                ("error".into(), AttributeValue::text("true")),
            ],
            is_error: true,
            status_message: "no".to_owned(),
            events: vec![SpanEvent {
                at_ns: 5_000,
                name: "retry".into(),
                attributes: vec![("b".into(), AttributeValue::Bool(true)), ("a".into(), AttributeValue::Double(0.5))],
            }],
            ..stored(1, "cart")
        };
        let trace = trace(vec![span], false);
        let told = |tags: &[Tag]| -> Vec<String> { tags.iter().map(|tag| format!("{}={:?}", tag.key, tag.value)).collect() };
        assert_eq!(
            told(&trace.spans[0].tags),
            [
                "error=Bool(true)",
                "otel.status_code=Text(\"ERROR\")",
                "otel.status_description=Text(\"no\")",
                "peer.ipv4=Text(\"127.0.0.1\")",
                "span.kind=Text(\"server\")",
                "z=Int(1)",
            ]
        );
        assert_eq!(trace.processes[0].service, "cart");
        assert_eq!(told(&trace.processes[0].tags), ["pod=Text(\"a\")", "telemetry.sdk.name=Text(\"otel\")"]);
        assert_eq!(told(&trace.spans[0].logs[0].fields), ["event=Text(\"retry\")", "a=Float(0.5)", "b=Bool(true)"]);
    }

    #[test]
    fn a_parent_comes_before_links_and_processes_are_shared() {
        let links = vec![
            SpanLink { trace_id: [8; 16], span_id: [1; 8], ..SpanLink::default() },
            SpanLink { span_id: [1; 8], ..SpanLink::default() },
        ];
        let child = Span { parent_id: Some([1; 8]), start_ns: 10, links, ..stored(2, "cart") };
        let other = Span { start_ns: 5, ..stored(3, "shop") };
        let trace = trace(vec![stored(1, "cart"), child, other], false);
        let places: Vec<_> = trace.spans.iter().map(|span| (span.id[0], span.process)).collect();
        assert_eq!(places, [(1, 0), (3, 1), (2, 0)]);
        let references = &trace.spans[2].references;
        let expected = [
            Reference { ref_type: RefType::ChildOf, trace_id: [7; 16], span_id: [1; 8] },
            Reference { ref_type: RefType::FollowsFrom, trace_id: [8; 16], span_id: [1; 8] },
        ];
        assert_eq!(references, &expected);
    }
}

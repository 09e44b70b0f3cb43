//! Zipkin v1 JSON: spans of the time when one of them could hold both sides of a call.
//!
//! What a side did is told by annotations: `cs` and `cr` when the client sent and received, `sr` and `ss` when the server
//! did, `ms` and `ws` when a producer began and ended, `wr` and `mr` when a consumer did. They become the kind, start and
//! duration of one v2 span for each side.

use serde::Deserialize;

use super::draft::{Draft, DraftEndpoint, Judge, parse_id, parse_parent};
use super::json::{JsonEndpoint, Spelling, TagValue, Text, text};
use crate::ingest::door::Judged;
use crate::store::{Span, SpanKind};

pub struct V1;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct V1Span<'a> {
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    parent_id: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    timestamp: Option<i64>,
    duration: Option<i64>,
    #[serde(borrow)]
    annotations: Option<Vec<Annotation<'a>>>,
    #[serde(borrow)]
    binary_annotations: Option<Vec<BinaryAnnotation<'a>>>,
    debug: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Annotation<'a> {
    timestamp: i64,
    #[serde(borrow)]
    value: Text<'a>,
    #[serde(borrow, default)]
    endpoint: Option<JsonEndpoint<'a>>,
}

#[derive(Debug, Deserialize)]
struct BinaryAnnotation<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    value: TagValue<'a>,
    #[serde(borrow, default)]
    endpoint: Option<JsonEndpoint<'a>>,
}

/// Names of the annotations that tell when a side began and ended, and of the address of the other side.
struct Side {
    kind: SpanKind,
    begin: &'static str,
    end: &'static str,
    remote: &'static str,
}

const SIDES: [Side; 4] = [
    Side { kind: SpanKind::Client, begin: "cs", end: "cr", remote: "sa" },
    Side { kind: SpanKind::Server, begin: "sr", end: "ss", remote: "ca" },
    Side { kind: SpanKind::Producer, begin: "ms", end: "ws", remote: "ma" },
    Side { kind: SpanKind::Consumer, begin: "wr", end: "mr", remote: "ma" },
];

/// Tag of the component that did the work; its endpoint is where.
const LOCAL_COMPONENT: &str = "lc";

/// One v2 span out of a v1 span.
struct Half<'a> {
    kind: SpanKind,
    shared: bool,
    start_us: Option<i64>,
    duration_us: i64,
    local: DraftEndpoint<'a>,
    remote: Option<DraftEndpoint<'a>>,
}

impl Spelling for V1 {
    type Span<'a> = V1Span<'a>;

    fn judge(span: &V1Span<'_>, judge: &mut Judge<'_>, judged: &mut Judged<Span>) {
        let halves = span.halves();
        for (place, half) in halves.iter().enumerate() {
            let draft = Draft {
                trace_id: parse_id(text(&span.trace_id)),
                id: parse_id(text(&span.id)),
                parent_id: parse_parent(text(&span.parent_id)),
                kind: Ok(half.kind),
                name: text(&span.name),
                start_us: half.start_us,
                duration_us: half.duration_us,
                local: half.local,
                remote: half.remote,
                debug: span.debug.unwrap_or(false),
                shared: half.shared,
            };
            let mine = |endpoint: &Option<JsonEndpoint<'_>>| owner(&halves, endpoint.as_ref()) == place;
            let annotations = span.annotations.iter().flatten().filter(|annotation| !is_core(annotation.value.as_str()));
            let annotations = annotations.filter(|annotation| mine(&annotation.endpoint));
            let tags = span.binary_annotations.iter().flatten().filter(|tag| is_tag(tag) && mine(&tag.endpoint));
            judged.push(judge.span(
                draft,
                annotations.map(|annotation| (annotation.timestamp, annotation.value.as_str())),
                tags.map(|tag| (tag.key.as_str(), tag.value.as_str())),
            ));
        }
    }
}

impl<'a> V1Span<'a> {
    /// At least one.
    fn halves(&self) -> Vec<Half<'_>> {
        let told: Vec<&Side> = SIDES.iter().filter(|side| self.at(side.begin).or(self.at(side.end)).is_some()).collect();
        if told.is_empty() {
            return vec![self.without_sides()];
        }
        let has_client = told[0].kind == SpanKind::Client;
        told.iter().map(|side| self.half(side, has_client)).collect()
    }

    fn half(&self, side: &Side, has_client: bool) -> Half<'_> {
        let (begin, end) = (self.at(side.begin), self.at(side.end));
        let measured = begin.zip(end).map_or(0, |(begin, end)| end.timestamp.saturating_sub(begin.timestamp));
        // The span's own times are those of whoever began it.
        let is_own = side.kind == SpanKind::Client || !has_client;
        let start_us = self.timestamp.filter(|at_us| is_own && *at_us != 0);
        let place = begin.and_then(|at| at.endpoint.as_ref()).or(end.and_then(|at| at.endpoint.as_ref()));
        Half {
            kind: side.kind,
            // A server that did not begin the span left its times out.
            shared: side.kind == SpanKind::Server && start_us.is_none(),
            // What is told of the end alone is nearer than now.
            start_us: start_us.or(begin.or(end).map(|at| at.timestamp)),
            duration_us: self.duration.filter(|_| is_own).unwrap_or(measured),
            local: place.map(JsonEndpoint::draft).unwrap_or_default(),
            remote: self.address(side.remote),
        }
    }

    /// Work of one component, or a span that tells nearly nothing.
    fn without_sides(&self) -> Half<'_> {
        let tags = self.binary_annotations.iter().flatten();
        let place = tags.filter(|tag| is_tag(tag)).find_map(|tag| tag.endpoint.as_ref());
        let place = place.or(self.annotations.iter().flatten().find_map(|annotation| annotation.endpoint.as_ref()));
        let first = self.annotations.iter().flatten().map(|annotation| annotation.timestamp).min();
        Half {
            kind: SpanKind::Unspecified,
            shared: false,
            start_us: self.timestamp.or(first),
            duration_us: self.duration.unwrap_or(0),
            local: place.map(JsonEndpoint::draft).unwrap_or_default(),
            remote: ["sa", "ca", "ma"].into_iter().find_map(|name| self.address(name)),
        }
    }

    fn at(&self, name: &str) -> Option<&Annotation<'a>> {
        self.annotations.iter().flatten().find(|annotation| annotation.value.as_str() == name)
    }

    fn address(&self, name: &str) -> Option<DraftEndpoint<'_>> {
        let tag = self.binary_annotations.iter().flatten().find(|tag| tag.key.as_str() == name && !is_tag(tag))?;
        tag.endpoint.as_ref().map(JsonEndpoint::draft)
    }
}

/// Which half an entry belongs to: the one of its service, or the first.
fn owner(halves: &[Half<'_>], endpoint: Option<&JsonEndpoint<'_>>) -> usize {
    let service = endpoint.map(|endpoint| endpoint.draft().service).unwrap_or_default();
    let named = halves.iter().position(|half| !service.is_empty() && half.local.service == service);
    named.unwrap_or(0)
}

fn is_core(value: &str) -> bool {
    SIDES.iter().any(|side| side.begin == value || side.end == value)
}

/// Whether a binary annotation says something, rather than where something is.
fn is_tag(annotation: &BinaryAnnotation<'_>) -> bool {
    let (key, value) = (annotation.key.as_str(), annotation.value.as_str());
    let is_address = SIDES.iter().any(|side| side.remote == key) && matches!(value, "true" | "1" | "\u{1}");
    let is_place = is_address || (key == LOCAL_COMPONENT && value.is_empty());
    !is_place
}

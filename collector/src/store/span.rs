//! A span as the collector keeps it, whichever door it came through.

use std::fmt::Display;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// As in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanKind {
    #[default]
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

impl SpanKind {
    /// OTLP's number; what is not known is unspecified.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }
}

/// One side of an exchange, as Zipkin tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    #[serde(rename = "s", default, skip_serializing_if = "is_empty")]
    pub service: Arc<str>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<std::net::IpAddr>,
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub port: u16,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AttributeValue {
    Text(Arc<str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    /// An array or a list of key and value: the JSON text of OTLP's `AnyValue`.
    Json(Arc<str>),
}

/// In the order in which they were sent.
pub type Attributes = Vec<(Arc<str>, AttributeValue)>;

/// Who made spans; shared by all spans of a batch that name it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Name of the service that the spans belong to.
    pub service: Arc<str>,
    /// All attributes, `service.name` included if it was sent as one.
    pub attributes: Attributes,
    /// Empty when not told.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub schema_url: Arc<str>,
}

/// Which library made spans; empty for Zipkin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub attributes: Attributes,
    /// Empty when not told.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub schema_url: Arc<str>,
}

/// Something that happened while a span ran; Zipkin's annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanEvent {
    /// Nanoseconds since 1970.
    pub at_ns: i64,
    pub name: Arc<str>,
    pub attributes: Attributes,
}

/// A span of another trace that has to do with this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanLink {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: Arc<str>,
    pub attributes: Attributes,
    /// As in OTLP.
    #[serde(default)]
    pub flags: u32,
}

/// One operation of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    pub trace_id: [u8; 16],
    pub id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub kind: SpanKind,
    /// The half of a client's span that the server reported.
    pub shared: bool,
    pub debug: bool,
    pub resource: Arc<Resource>,
    pub scope: Arc<Scope>,
    pub name: String,
    /// Nanoseconds since 1970.
    pub start_ns: i64,
    pub duration_ns: i64,
    /// The operation failed.
    pub is_error: bool,
    /// Somebody decided that it did not fail: OTLP's status OK, which is more than none.
    pub is_ok: bool,
    pub status_message: String,
    /// As in the header `tracestate`.
    pub trace_state: String,
    /// As in OTLP: the trace flags of W3C and whether the parent is remote.
    pub flags: u32,
    /// Empty for OTLP, whose resource says it.
    pub local: Endpoint,
    pub remote: Option<Endpoint>,
    pub attributes: Attributes,
    pub events: Vec<SpanEvent>,
    pub links: Vec<SpanLink>,
}

impl Span {
    /// Name of the service that the span belongs to.
    #[must_use]
    pub fn service(&self) -> &Arc<str> {
        &self.resource.service
    }

    /// Microseconds since 1970, rounded down.
    #[must_use]
    pub fn start_us(&self) -> i64 {
        self.start_ns.div_euclid(1000)
    }

    #[must_use]
    pub fn duration_us(&self) -> i64 {
        self.duration_ns / 1000
    }

    /// What makes two copies of one span the same; in this order they are stored.
    pub(super) fn key(&self) -> impl Ord + PartialEq + '_ {
        (self.trace_id, self.start_ns, self.id, self.kind, self.shared, &**self.service())
    }

    /// The last value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.iter().rev().find(|(known, _)| &**known == name).map(|(_, value)| value)
    }
}

impl Span {
    /// About what it takes in memory; what spans share is not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let events =
            self.events.iter().map(|event| size_of::<SpanEvent>() + event.name.len() + attribute_bytes(&event.attributes));
        let links = self.links.iter().map(|link| size_of::<SpanLink>() + attribute_bytes(&link.attributes));
        let texts = self.name.len() + self.status_message.len() + self.trace_state.len();
        size_of::<Self>() + texts + attribute_bytes(&self.attributes) + events.sum::<usize>() + links.sum::<usize>()
    }
}

fn attribute_bytes(attributes: &Attributes) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) | AttributeValue::Json(text) => text.len(),
        AttributeValue::Bytes(bytes) => bytes.len(),
        AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_) => 0,
    };
    attributes.len() * size_of::<(Arc<str>, AttributeValue)>() + attributes.iter().map(|(_, v)| value(v)).sum::<usize>()
}

impl AttributeValue {
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// As people write it and search for it; bytes as base64, which is what OTLP's JSON does.
impl Display for AttributeValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use base64::Engine;
        match self {
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Bool(flag) => flag.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Double(number) => number.fmt(f),
            Self::Bytes(bytes) => f.write_str(&base64::engine::general_purpose::STANDARD.encode(bytes)),
        }
    }
}

/// What of a span is not a column.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    parent_id: Option<[u8; 8]>,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    debug: bool,
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(rename = "l", default)]
    local: Endpoint,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    remote: Option<Endpoint>,
    /// Written by the first version: microseconds and texts.
    #[serde(rename = "a", default, skip_serializing)]
    annotations: Vec<(i64, Arc<str>)>,
    #[serde(rename = "t", default, skip_serializing)]
    tags: Vec<(Arc<str>, Arc<str>)>,
    #[serde(rename = "ns", default)]
    start_and_duration_ns: Option<(i64, i64)>,
    #[serde(rename = "rs", default)]
    resource: Option<Arc<Resource>>,
    #[serde(rename = "sc", default)]
    scope: Arc<Scope>,
    #[serde(rename = "sm", default, skip_serializing_if = "String::is_empty")]
    status_message: String,
    #[serde(rename = "ok", default)]
    is_ok: bool,
    #[serde(rename = "fl", default)]
    flags: u32,
    #[serde(rename = "ts", default, skip_serializing_if = "String::is_empty")]
    trace_state: String,
    #[serde(rename = "at", default)]
    attributes: Attributes,
    #[serde(rename = "ev", default)]
    events: Vec<SpanEvent>,
    #[serde(rename = "ln", default)]
    links: Vec<SpanLink>,
}

impl Span {
    pub(super) fn body(&self) -> Vec<u8> {
        let body = Body {
            parent_id: self.parent_id,
            debug: self.debug,
            name: self.name.clone(),
            local: self.local.clone(),
            remote: self.remote.clone(),
            annotations: Vec::new(),
            tags: Vec::new(),
            start_and_duration_ns: Some((self.start_ns, self.duration_ns)),
            resource: Some(self.resource.clone()),
            scope: self.scope.clone(),
            status_message: self.status_message.clone(),
            trace_state: self.trace_state.clone(),
            is_ok: self.is_ok,
            flags: self.flags,
            attributes: self.attributes.clone(),
            events: self.events.clone(),
            links: self.links.clone(),
        };
        serde_json::to_vec(&body).expect("a body has only strings and numbers")
    }

    /// Fills what the body holds; a body that cannot be read leaves it empty.
    pub(super) fn set_body(&mut self, bytes: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Body>(bytes) else { return };
        self.parent_id = body.parent_id;
        self.debug = body.debug;
        self.name = body.name;
        self.local = body.local;
        self.remote = body.remote;
        if let Some((start_ns, duration_ns)) = body.start_and_duration_ns {
            (self.start_ns, self.duration_ns) = (start_ns, duration_ns);
        }
        if let Some(resource) = body.resource {
            self.resource = resource;
        }
        self.scope = body.scope;
        self.status_message = body.status_message;
        self.trace_state = body.trace_state;
        self.is_ok = body.is_ok;
        self.flags = body.flags;
        self.attributes = body.tags.into_iter().map(|(name, value)| (name, AttributeValue::Text(value))).collect();
        self.attributes.extend(body.attributes);
        let event =
            |(at_us, name): (i64, Arc<str>)| SpanEvent { at_ns: at_us.saturating_mul(1000), name, attributes: Vec::new() };
        self.events = body.annotations.into_iter().map(event).collect();
        self.events.extend(body.events);
        self.links = body.links;
    }

    /// The column `kind`.
    pub(super) fn kind_number(&self) -> i64 {
        self.kind as i64 + if self.shared { SHARED } else { 0 }
    }

    pub(super) fn set_kind(&mut self, number: i64) {
        self.kind = SpanKind::from_number(number & !SHARED);
        self.shared = number & SHARED != 0;
    }
}

const SHARED: i64 = 8;

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(port: &u16) -> bool {
    *port == 0
}

fn is_empty(text: &str) -> bool {
    text.is_empty()
}

/// What traces are looked for. Every condition must hold, all but the time in one span.
#[derive(Clone, Debug, Default)]
pub struct TraceQuery {
    pub service: Option<String>,
    pub remote_service: Option<String>,
    pub name: Option<String>,
    pub duration_us_min: Option<i64>,
    pub duration_us_max: Option<i64>,
    /// Tags that a span must have, by name and value; without a value, a tag's name or an annotation's text.
    pub annotations: Vec<(String, Option<String>)>,
    /// In the name, a text of an attribute or an event, or the message of the status; upper and lower case are the same.
    pub text: Option<String>,
    /// Whether it failed.
    pub is_error: Option<bool>,
    /// Of the start of a span.
    pub from_us: i64,
    pub to_us: i64,
    /// Traces, newest first.
    pub limit: usize,
}

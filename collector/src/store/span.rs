//! A span as the collector keeps it, whichever door it came through.

use std::fmt::Display;
use std::sync::Arc;

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

/// What a service does: a name that its spans have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    pub name: String,
    /// `None` where spans do not tell it.
    pub kind: Option<SpanKind>,
}

/// One side of an exchange, as Zipkin tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub service: Arc<str>,
    pub ip: Option<std::net::IpAddr>,
    pub port: u16,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Name of the service that the spans belong to.
    pub service: Arc<str>,
    /// All attributes, `service.name` included if it was sent as one.
    pub attributes: Attributes,
    /// Empty when not told.
    pub schema_url: Arc<str>,
}

/// Which library made spans; empty for Zipkin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub attributes: Attributes,
    /// Empty when not told.
    pub schema_url: Arc<str>,
}

/// Something that happened while a span ran; Zipkin's annotation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEvent {
    /// Nanoseconds since 1970.
    pub at_ns: i64,
    pub name: Arc<str>,
    pub attributes: Attributes,
}

/// A span of another trace that has to do with this one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanLink {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: Arc<str>,
    pub attributes: Attributes,
    /// As in OTLP.
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
    /// One of which nothing else is known yet. Unlike the default it makes no resource and no scope to throw them away.
    #[must_use]
    pub fn of(resource: Arc<Resource>, scope: Arc<Scope>) -> Self {
        Self {
            trace_id: [0; 16],
            id: [0; 8],
            parent_id: None,
            kind: SpanKind::default(),
            shared: false,
            debug: false,
            resource,
            scope,
            name: String::new(),
            start_ns: 0,
            duration_ns: 0,
            is_error: false,
            is_ok: false,
            status_message: String::new(),
            trace_state: String::new(),
            flags: 0,
            local: Endpoint::default(),
            remote: None,
            attributes: Attributes::new(),
            events: Vec::new(),
            links: Vec::new(),
        }
    }

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

//! A span as the collector keeps it, whichever door it came through.

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
    pub(super) fn from_number(number: i64) -> Self {
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

/// One side of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<std::net::IpAddr>,
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub port: u16,
}

/// One operation of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub trace_id: [u8; 16],
    pub id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub kind: SpanKind,
    /// The half of a client's span that the server reported.
    pub shared: bool,
    pub debug: bool,
    /// Name of the service that the span belongs to.
    pub service: String,
    pub name: String,
    /// Microseconds since 1970.
    pub start_us: i64,
    pub duration_us: i64,
    /// The operation failed.
    pub is_error: bool,
    pub local: Endpoint,
    pub remote: Option<Endpoint>,
    /// Microseconds since 1970, and what happened then.
    pub annotations: Vec<(i64, String)>,
    pub tags: Vec<(String, String)>,
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
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<(i64, String)>,
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<(String, String)>,
}

impl Span {
    pub(super) fn body(&self) -> Vec<u8> {
        let body = Body {
            parent_id: self.parent_id,
            debug: self.debug,
            name: self.name.clone(),
            local: self.local.clone(),
            remote: self.remote.clone(),
            annotations: self.annotations.clone(),
            tags: self.tags.clone(),
        };
        serde_json::to_vec(&body).expect("a body has only strings and numbers")
    }

    /// Fills what the body holds; a body that cannot be read leaves it empty.
    pub(super) fn set_body(&mut self, bytes: &[u8]) {
        if let Ok(body) = serde_json::from_slice::<Body>(bytes) {
            self.parent_id = body.parent_id;
            self.debug = body.debug;
            self.name = body.name;
            self.local = body.local;
            self.remote = body.remote;
            self.annotations = body.annotations;
            self.tags = body.tags;
        }
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
    /// Of the start of a span.
    pub from_us: i64,
    pub to_us: i64,
    /// Traces, newest first.
    pub limit: usize,
}

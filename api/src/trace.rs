//! Traces: one summary each for the list, and the whole of one with its critical path.
//!
//! Times whose names end in `_us` are microseconds, of the Unix epoch where they name an instant. They are those of the
//! adjusted clocks: [`TraceSpan::skew_us`] tells by how much a span was moved.

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/traces`.
///
/// Parameters, all optional: `service`, `operation`, `tags` (`key=value` or `key`, several joined by ` and `),
/// `minDuration`, `maxDuration` (of one span: `1.5ms`, `200us`, `2s`, or microseconds), `errors` (only traces with a
/// failed span), `duration` and `queryTime` as for the graph, `limit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceList {
    /// Newest first.
    pub traces: Vec<TraceSummary>,
    /// As many as were asked for: there may be more.
    pub is_cut: bool,
}

/// What a trace is about, in one line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceSummary {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    pub start_us: i64,
    /// From the first start to the last end.
    pub duration_us: i64,
    /// The span that everything hangs from; of several the earliest. When it has not come in, the earliest of those
    /// whose parent is missing.
    pub root: TraceRoot,
    pub spans: u64,
    pub errors: u64,
    /// In the order in which they first appear.
    pub services: Vec<TraceService>,
    /// What was odd about its spans; empty for a trace in good order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<TraceOddity>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceRoot {
    pub span_id: String,
    pub service: String,
    pub name: String,
    pub duration_us: i64,
    pub is_error: bool,
}

/// One service's part in a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceService {
    pub service: String,
    pub spans: u64,
    pub errors: u64,
    /// Its own part of the critical path; the parts of all services add up to the root's duration.
    pub critical_us: i64,
}

/// The closed list of what can be odd about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceOddity {
    /// No span without a parent has come in (yet).
    MissingRoot,
    /// More than one span has no parent.
    SeveralRoots,
    /// A span names a parent that has not come in (yet).
    MissingParent,
    /// Spans are each other's ancestors, or one is its own parent.
    Cycle,
    /// Several spans have the same id and are not the two sides of one exchange.
    DuplicateId,
    /// The clock of a service was moved, since its spans lay outside of their callers'.
    ClockSkew,
    /// A span ended after the root did.
    OutlivesRoot,
    /// The trace has more spans than one answer carries.
    Cut,
}

/// Answer of `GET /api/traces/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub summary: TraceSummary,
    /// Every span before its children, siblings by their start.
    pub spans: Vec<TraceSpan>,
    /// Oldest first, without gaps from the root's start to its end: whose own time it was.
    pub critical_path: Vec<TraceSegment>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceSpan {
    /// 16 hexadecimal digits. The two sides of an exchange may share one.
    pub span_id: String,
    /// As its reporter said, whether that parent has come in or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Index into [`Trace::spans`] of the span it hangs from; absent for roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// Steps below its root.
    pub depth: u64,
    pub service: String,
    pub name: String,
    /// `client`, `server`, `producer`, `consumer`, `internal`, `unspecified`.
    pub kind: String,
    pub start_us: i64,
    pub duration_us: i64,
    /// Added to the time that its reporter's clock said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skew_us: i64,
    /// Its own part of the critical path.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub critical_us: i64,
    pub is_error: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_message: String,
    /// `host:port` or the service on the other side, as far as it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remote: String,
    pub tags: Vec<TraceTag>,
    /// Of the process that reported it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<TraceTag>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<TraceEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TraceLink>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceTag {
    pub key: String,
    /// As text; lists and maps as JSON.
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceEvent {
    pub at_us: i64,
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TraceTag>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLink {
    pub trace_id: String,
    pub span_id: String,
}

/// A stretch of the critical path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceSegment {
    /// Index into [`Trace::spans`].
    pub span: usize,
    pub from_us: i64,
    pub to_us: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(number: &i64) -> bool {
    *number == 0
}

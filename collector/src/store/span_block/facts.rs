//! What a span says of itself beside its attributes, under the names that Jaeger and OpenTelemetry give it as a tag.

use super::super::span::SpanKind;
use super::decode::SpanColumns;
use super::summary::Summary;

/// A condition on something that is no attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<'q> {
    Kind(SpanKind),
    Failed(bool),
    /// Somebody decided that it did not fail.
    Ok,
    Message(&'q str),
    ScopeName(&'q str),
    ScopeVersion(&'q str),
    TraceState(&'q str),
}

impl<'q> Fact<'q> {
    /// `None` where the name says nothing of a span itself, or the value cannot be.
    pub fn of(name: &str, value: Option<&'q str>) -> Option<Self> {
        match (name, value) {
            ("error", None | Some("true")) | ("otel.status_code", Some("ERROR")) => Some(Self::Failed(true)),
            ("error", Some("false")) => Some(Self::Failed(false)),
            ("otel.status_code", Some("OK")) => Some(Self::Ok),
            ("otel.status_description", Some(text)) => Some(Self::Message(text)),
            ("otel.scope.name", Some(text)) => Some(Self::ScopeName(text)),
            ("otel.scope.version", Some(text)) => Some(Self::ScopeVersion(text)),
            ("w3c.tracestate", Some(text)) => Some(Self::TraceState(text)),
            ("span.kind", Some(word)) => kind(word).map(Self::Kind),
            _ => None,
        }
    }

    /// Summaries tell of failures only.
    pub fn may_be_in(self, summary: &Summary<'_>) -> bool {
        match self {
            Self::Failed(true) => summary.has_error,
            Self::Failed(false) | Self::Ok => summary.has_success,
            _ => true,
        }
    }

    pub fn is_in(self, columns: &SpanColumns<'_>, row: usize) -> bool {
        match self {
            Self::Kind(kind) => columns.kind(row) == kind,
            Self::Failed(wanted) => columns.is_error(row) == wanted,
            Self::Ok => columns.is_ok(row),
            Self::Message(text) => columns.messages.text(row) == Ok(text),
            Self::ScopeName(text) => columns.scope(row).is_some_and(|scope| *scope.name == *text),
            Self::ScopeVersion(text) => columns.scope(row).is_some_and(|scope| *scope.version == *text),
            Self::TraceState(text) => columns.trace_states.text(row) == Ok(text),
        }
    }
}

fn kind(word: &str) -> Option<SpanKind> {
    match word {
        "internal" => Some(SpanKind::Internal),
        "server" => Some(SpanKind::Server),
        "client" => Some(SpanKind::Client),
        "producer" => Some(SpanKind::Producer),
        "consumer" => Some(SpanKind::Consumer),
        _ => None,
    }
}

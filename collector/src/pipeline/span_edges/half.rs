//! What one span tells of an exchange.

use std::sync::Arc;

use super::side::{Side, Sides};
use crate::store::{AttributeValue, Span, SpanKind};

/// Seconds of the smallest step of rollups.
const STEP_S: i64 = 10;
/// Longest texts that become labels.
const LABEL_BYTES_MAX: usize = 1_024;

/// Names an exchange: its trace and the span of the side that called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    /// The span is of the side that answered, since several hang from one caller.
    is_own: bool,
}

impl Key {
    pub fn own(self, half: &Half) -> Self {
        Self { span_id: half.id, is_own: true, ..self }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Half {
    pub is_server: bool,
    /// Nobody called it, as far as it knows.
    pub is_root: bool,
    pub id: [u8; 8],
    pub side: Arc<Side>,
    /// The host that was called, or the service on the other side; empty where it is not told.
    pub host: Arc<str>,
    /// Start of the ten-second step in which it ended.
    pub step_s: i64,
    pub duration_ns: i64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub result: Outcome,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outcome {
    pub is_grpc: bool,
    /// 0 when no response was sent.
    pub code: u16,
    pub grpc_status: Arc<str>,
    pub flags: Arc<str>,
}

impl Half {
    /// `None` for spans that are no side of an exchange.
    pub fn of(span: &Span, sides: &mut Sides) -> Option<(Key, Self)> {
        let is_server = match span.kind {
            SpanKind::Client => false,
            SpanKind::Server => true,
            SpanKind::Unspecified | SpanKind::Internal | SpanKind::Producer | SpanKind::Consumer => return None,
        };
        let calling = match (is_server, span.shared, span.parent_id) {
            (false, _, _) | (true, true, _) | (true, false, None) => span.id,
            (true, false, Some(parent_id)) => parent_id,
        };
        let end_s = span.start_ns.saturating_add(span.duration_ns.max(0)).div_euclid(1_000_000_000);
        let half = Self {
            is_server,
            is_root: span.parent_id.is_none() && !span.shared,
            id: span.id,
            side: sides.of(span),
            host: host(span),
            step_s: end_s.div_euclid(STEP_S) * STEP_S,
            duration_ns: span.duration_ns.max(0),
            request_bytes: number(span, &["request_size", "http.request.body.size"]).unwrap_or(0),
            response_bytes: number(span, &["response_size", "http.response.body.size"]).unwrap_or(0),
            result: Outcome::of(span),
        };
        Some((Key { trace_id: span.trace_id, span_id: calling, is_own: false }, half))
    }

    pub fn duration_ms(&self) -> f64 {
        self.duration_ns as f64 / 1e6
    }
}

impl Outcome {
    fn of(span: &Span) -> Self {
        let grpc_status = ["grpc.status_code", "rpc.grpc.status_code"].into_iter().find_map(|name| span.attribute(name));
        let is_grpc = grpc_status.is_some() || span.attribute("grpc.path").is_some() || is_text(span, "rpc.system", "grpc");
        let code = number(span, &["http.status_code", "http.response.status_code"]).and_then(|code| u16::try_from(code).ok());
        // What is no HTTP at all: the status says whether it failed.
        let code = code.unwrap_or(if span.is_error { 500 } else { 200 });
        let flags = text(span, "response_flags").filter(|flags| !flags.is_empty()).map_or_else(|| "-".into(), Arc::clone);
        let grpc_status = grpc_status.map(|status| status.to_string().into()).unwrap_or_default();
        Self { is_grpc, code, grpc_status, flags }
    }
}

pub(super) fn text<'a>(span: &'a Span, name: &str) -> Option<&'a Arc<str>> {
    span.attribute(name).and_then(short)
}

pub(super) fn short(value: &AttributeValue) -> Option<&Arc<str>> {
    match value {
        AttributeValue::Text(text) if text.len() <= LABEL_BYTES_MAX => Some(text),
        _ => None,
    }
}

fn is_text(span: &Span, name: &str, value: &str) -> bool {
    text(span, name).is_some_and(|text| **text == *value)
}

fn number(span: &Span, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| match span.attribute(name)? {
        AttributeValue::Int(number) => u64::try_from(*number).ok(),
        AttributeValue::Text(text) => text.parse().ok(),
        _ => None,
    })
}

/// Envoy names the cluster, `outbound|9080||reviews.bookinfo.svc.cluster.local`; libraries name the service or its host.
fn host(span: &Span) -> Arc<str> {
    if let Some(cluster) = text(span, "upstream_cluster") {
        let cluster = cluster.strip_suffix(';').unwrap_or(cluster);
        if let Some(host) = cluster.split('|').nth(3).filter(|host| !host.is_empty()) {
            return host.into();
        }
        // A plain Envoy's cluster is named after the service behind it; that of its own application says nothing.
        if span.kind == SpanKind::Client && !cluster.contains('|') && !cluster.is_empty() {
            return cluster.into();
        }
    }
    // The decorator of a route: `reviews.bookinfo.svc.cluster.local:9080/*`.
    if let Some((host, _)) = span.name.split_once(':')
        && host.contains(".svc.")
        && host.len() <= LABEL_BYTES_MAX
    {
        return host.into();
    }
    if span.kind != SpanKind::Client {
        return Arc::default();
    }
    let remote = span.remote.as_ref().map(|remote| &remote.service).filter(|service| !service.is_empty());
    let told = ["peer.service", "server.address", "net.peer.name"].into_iter().find_map(|name| text(span, name));
    remote.or(told).map(Arc::clone).unwrap_or_default()
}

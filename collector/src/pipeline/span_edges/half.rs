//! What one span tells of an exchange.

use std::sync::Arc;

use super::side::{Side, Sides};
use super::tags::{Tag, Tags, is_short};
use crate::ingest::intern::Interner;
use crate::store::{Span, SpanKind};

/// Seconds of the smallest step of rollups.
const STEP_S: i64 = 10;
/// Where none are told.
const NO_FLAGS: &str = "-";

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
    /// Name of the service as its spans tell it, and of the one at the other end if they tell it.
    pub service: Arc<str>,
    pub remote: Arc<str>,
    pub is_error: bool,
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
    pub fn of(span: &Span, sides: &mut Sides, names: &mut Interner) -> Option<(Key, Self)> {
        let is_server = match span.kind {
            SpanKind::Client => false,
            SpanKind::Server => true,
            SpanKind::Unspecified | SpanKind::Internal | SpanKind::Producer | SpanKind::Consumer => return None,
        };
        let calling = match (is_server, span.shared, span.parent_id) {
            (false, _, _) | (true, true, _) | (true, false, None) => span.id,
            (true, false, Some(parent_id)) => parent_id,
        };
        let tags = Tags::of(&span.attributes);
        let end_s = span.start_ns.saturating_add(span.duration_ns.max(0)).div_euclid(1_000_000_000);
        let half = Self {
            is_server,
            is_root: span.parent_id.is_none() && !span.shared,
            id: span.id,
            side: sides.of(span, &tags),
            service: Arc::clone(span.service()),
            remote: remote(span, &tags),
            is_error: span.is_error,
            host: host(span, &tags, names),
            step_s: end_s.div_euclid(STEP_S) * STEP_S,
            duration_ns: span.duration_ns.max(0),
            request_bytes: tags.number(&[Tag::RequestSize, Tag::RequestBodySize]).unwrap_or(0),
            response_bytes: tags.number(&[Tag::ResponseSize, Tag::ResponseBodySize]).unwrap_or(0),
            result: Outcome::of(span, &tags, names),
        };
        Some((Key { trace_id: span.trace_id, span_id: calling, is_own: false }, half))
    }

    pub fn duration_ms(&self) -> f64 {
        self.duration_ns as f64 / 1e6
    }
}

impl Outcome {
    fn of(span: &Span, tags: &Tags<'_>, names: &mut Interner) -> Self {
        let grpc_status = [Tag::GrpcStatus, Tag::RpcGrpcStatus].into_iter().find_map(|tag| tags.value(tag));
        let is_grpc = grpc_status.is_some()
            || tags.value(Tag::GrpcPath).is_some()
            || tags.text(Tag::RpcSystem).is_some_and(|system| **system == *"grpc");
        let code = tags.number(&[Tag::HttpStatus, Tag::HttpResponseStatus]).and_then(|code| u16::try_from(code).ok());
        // What is no HTTP at all: the status says whether it failed.
        let code = code.unwrap_or(if span.is_error { 500 } else { 200 });
        let flags = tags.text(Tag::ResponseFlags).filter(|flags| !flags.is_empty());
        let flags = flags.map_or_else(|| names.share(NO_FLAGS), Arc::clone);
        let grpc_status = grpc_status.map(|status| status.to_string().into()).unwrap_or_default();
        Self { is_grpc, code, grpc_status, flags }
    }
}

/// Envoy names the cluster, `outbound|9080||reviews.bookinfo.svc.cluster.local`; libraries name the service or its host.
fn host(span: &Span, tags: &Tags<'_>, names: &mut Interner) -> Arc<str> {
    if let Some(cluster) = tags.text(Tag::UpstreamCluster) {
        let cluster = cluster.strip_suffix(';').unwrap_or(cluster);
        if let Some(host) = cluster.split('|').nth(3).filter(|host| !host.is_empty()) {
            return names.share(host);
        }
        // A plain Envoy's cluster is named after the service behind it; that of its own application says nothing.
        if span.kind == SpanKind::Client && !cluster.contains('|') && !cluster.is_empty() {
            return names.share(cluster);
        }
    }
    // The decorator of a route: `reviews.bookinfo.svc.cluster.local:9080/*`.
    if let Some((host, _)) = span.name.split_once(':')
        && host.contains(".svc.")
        && is_short(host)
    {
        return names.share(host);
    }
    if span.kind != SpanKind::Client {
        return Arc::default();
    }
    let remote = remote(span, tags);
    if !remote.is_empty() {
        return remote;
    }
    [Tag::ServerAddress, Tag::PeerName].into_iter().find_map(|tag| tags.text(tag)).map(Arc::clone).unwrap_or_default()
}

/// The service at the other end; empty where it is not told.
fn remote(span: &Span, tags: &Tags<'_>) -> Arc<str> {
    let remote = span.remote.as_ref().map(|remote| &remote.service).filter(|service| !service.is_empty());
    remote.or_else(|| tags.text(Tag::PeerService)).map(Arc::clone).unwrap_or_default()
}

//! Turns a finished request into a span with exactly the tags that Envoy gives it.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, header};

use crate::context::TraceContext;
use crate::labels::Reporter;
use crate::record::Record;
use crate::request_id::{X_CLIENT_TRACE_ID, X_REQUEST_ID};

const DOWNSTREAM_CLUSTER: HeaderName = HeaderName::from_static("x-envoy-downstream-service-cluster");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Request headers that become tags.
pub(crate) const REQUEST_HEADERS: [HeaderName; 4] = [header::USER_AGENT, header::CONTENT_TYPE, DOWNSTREAM_CLUSTER, GRPC_TIMEOUT];

/// gRPC statuses that make a span an error.
const GRPC_FAILURES: [u16; 7] = [2, 4, 8, 12, 13, 14, 15];

/// Which role the proxy has in the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Client,
    Server,
}

/// A tag; most values are constants or short.
pub type Tag = (&'static str, Cow<'static, str>);

/// One finished span. What is the same for all spans of a proxy is added by the exporter.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    pub context: TraceContext,
    pub kind: SpanKind,
    pub name: String,
    /// Microseconds since 1970.
    pub timestamp_us: u64,
    pub duration_us: u64,
    pub tags: Vec<Tag>,
    /// Whether `node_id` and `zone` belong to it; spans of upstream attempts have neither.
    pub whole_request: bool,
}

/// The span of the whole request.
#[must_use]
pub fn request_span(record: &Record, context: TraceContext, kind: SpanKind, max_path_tag_length: usize) -> SpanRecord {
    let mut tags: Vec<Tag> = vec![("component", "proxy".into())];
    push_request_tags(record, max_path_tag_length, &mut tags);
    push_size_tags(record, &mut tags);
    push_cluster_tags(record, &mut tags);
    push_grpc_tags(record, &mut tags);
    push_outcome_tags(record, &mut tags);
    SpanRecord {
        context,
        kind,
        name: record.operation.as_deref().unwrap_or(&record.authority).to_owned(),
        timestamp_us: timestamp_us(record, Duration::ZERO),
        duration_us: micros(record.times.end),
        tags,
        whole_request: true,
    }
}

/// The span of the upstream attempt; `None` when no attempt was made.
#[must_use]
pub fn upstream_span(record: &Record, context: TraceContext) -> Option<SpanRecord> {
    let cluster = record.cluster.as_ref()?;
    let start = record.times.upstream_start?;
    let mut tags: Vec<Tag> = vec![("component", "proxy".into())];
    push_cluster_tags(record, &mut tags);
    if let Some(host) = record.upstream_host {
        tags.push(("upstream_address", host.to_string().into()));
        tags.push(("peer.address", host.to_string().into()));
    }
    tags.push(("http.protocol", record.protocol.as_str().into()));
    push_outcome_tags(record, &mut tags);
    Some(SpanRecord {
        context,
        kind: SpanKind::Client,
        name: format!("router {} egress", cluster.name),
        timestamp_us: timestamp_us(record, start),
        duration_us: micros(record.times.end.saturating_sub(start)),
        tags,
        whole_request: false,
    })
}

/// The role a listener's direction gives to the span of the whole request.
#[must_use]
pub fn kind_of(reporter: Reporter, spawns_upstream_span: bool) -> SpanKind {
    match reporter {
        Reporter::Source if !spawns_upstream_span => SpanKind::Client,
        Reporter::Source | Reporter::Destination => SpanKind::Server,
    }
}

fn push_request_tags(record: &Record, max_path_tag_length: usize, tags: &mut Vec<Tag>) {
    let headers = &record.request_headers;
    let header = |name: HeaderName| headers.text(&name).filter(|text| !text.is_empty());
    if let Some(id) = header(X_REQUEST_ID) {
        tags.push(("guid:x-request-id", owned(id)));
    }
    if let Some(id) = header(X_CLIENT_TRACE_ID) {
        tags.push(("guid:x-client-trace-id", owned(id)));
    }
    tags.push(("http.url", url(record, max_path_tag_length).into()));
    tags.push(("http.method", owned(&record.method)));
    tags.push(("http.protocol", record.protocol.as_str().into()));
    tags.push(("user_agent", owned(header(header::USER_AGENT).unwrap_or("-"))));
    tags.push(("downstream_cluster", owned(header(DOWNSTREAM_CLUSTER).unwrap_or("-"))));
    if let Some(peer) = record.downstream.direct_remote.or(record.downstream.remote) {
        tags.push(("peer.address", peer.ip().to_string().into()));
    }
}

fn push_size_tags(record: &Record, tags: &mut Vec<Tag>) {
    tags.push(("request_size", record.bytes_received.to_string().into()));
    tags.push(("response_size", record.bytes_sent.to_string().into()));
}

fn push_cluster_tags(record: &Record, tags: &mut Vec<Tag>) {
    if let (Some(cluster), Some(stat_name)) = (&record.cluster, record.cluster_stat_name()) {
        tags.push(("upstream_cluster", owned(&cluster.name)));
        tags.push(("upstream_cluster.name", owned(stat_name)));
    }
}

fn push_grpc_tags(record: &Record, tags: &mut Vec<Tag>) {
    if !record.grpc {
        return;
    }
    tags.push(("grpc.path", owned(&record.path)));
    tags.push(("grpc.authority", owned(&record.authority)));
    for (tag, name) in [("grpc.content_type", &header::CONTENT_TYPE), ("grpc.timeout", &GRPC_TIMEOUT)] {
        if let Some(value) = record.request_headers.text(name) {
            tags.push((tag, owned(value)));
        }
    }
    if let Some(status) = record.grpc_status {
        tags.push(("grpc.status_code", status.to_string().into()));
    }
    if let Some(message) = &record.grpc_message {
        tags.push(("grpc.message", owned(message)));
    }
}

fn push_outcome_tags(record: &Record, tags: &mut Vec<Tag>) {
    tags.push(("http.status_code", record.code.to_string().into()));
    tags.push(("response_flags", record.flags.to_string().into()));
    let grpc_failed = record.grpc && record.grpc_status.is_some_and(|s| GRPC_FAILURES.contains(&s));
    if record.code == 0 || record.code >= 500 || grpc_failed {
        tags.push(("error", "true".into()));
    }
}

fn url(record: &Record, max_path_tag_length: usize) -> String {
    let path = &*record.path;
    let end = path.char_indices().nth(max_path_tag_length).map_or(path.len(), |(at, _)| at);
    format!("{}://{}{}", record.scheme, record.authority, &path[..end])
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

fn timestamp_us(record: &Record, after: Duration) -> u64 {
    micros(record.started.duration_since(UNIX_EPOCH).unwrap_or_default() + after)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

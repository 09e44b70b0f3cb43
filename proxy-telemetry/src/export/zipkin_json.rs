//! Spans as Zipkin v2 JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use sidelight_mesh::identity::NodeIdentity;

use crate::spans::{SpanKind, SpanRecord};

/// What all spans of one proxy have in common.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    service_name: String,
    ip: IpAddr,
    node_id: String,
    zone: String,
    istio: [(&'static str, String); 5],
}

impl Proxy {
    pub(super) fn new(identity: &NodeIdentity) -> Self {
        let or = |value: &str, fallback: &str| {
            if value.is_empty() { fallback.to_owned() } else { value.to_owned() }
        };
        Self {
            service_name: identity.service_cluster.clone(),
            ip: identity.ip,
            node_id: identity.node_id.clone(),
            zone: identity.zone.clone(),
            istio: [
                ("istio.canonical_service", or(&identity.canonical_service, "unknown")),
                ("istio.canonical_revision", or(&identity.canonical_revision, "latest")),
                ("istio.mesh_id", or(&identity.mesh_id, "unknown")),
                ("istio.namespace", or(&identity.namespace, "default")),
                ("istio.cluster_id", or(&identity.cluster_id, "unknown")),
            ],
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    id: String,
    kind: &'static str,
    name: &'a str,
    timestamp: u64,
    duration: u64,
    local_endpoint: Endpoint<'a>,
    annotations: [Annotation; 1],
    tags: BTreeMap<&'static str, Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    service_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<IpAddr>,
    port: u16,
}

#[derive(Serialize)]
struct Annotation {
    timestamp: u64,
    value: &'static str,
}

/// A JSON array of spans.
pub(super) fn encode(proxy: &Proxy, spans: &[SpanRecord]) -> serde_json::Result<Vec<u8>> {
    let spans: Vec<_> = spans.iter().map(|span| proxy.span(span)).collect();
    serde_json::to_vec(&spans)
}

impl Proxy {
    fn span<'a>(&'a self, span: &'a SpanRecord) -> Span<'a> {
        let (kind, end) = match span.kind {
            SpanKind::Client => ("CLIENT", "cr"),
            SpanKind::Server => ("SERVER", "ss"),
        };
        Span {
            trace_id: span.context.trace_id.to_string(),
            parent_id: span.context.parent_id.map(|id| format!("{id:016x}")),
            id: format!("{:016x}", span.context.span_id),
            kind,
            name: &span.name,
            timestamp: span.timestamp_us,
            duration: span.duration_us,
            local_endpoint: self.endpoint(),
            annotations: [Annotation { timestamp: span.timestamp_us + span.duration_us, value: end }],
            tags: self.tags(span),
        }
    }

    fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            service_name: &self.service_name,
            ipv4: Some(self.ip).filter(IpAddr::is_ipv4),
            ipv6: Some(self.ip).filter(IpAddr::is_ipv6),
            port: 0,
        }
    }

    fn tags<'a>(&'a self, span: &'a SpanRecord) -> BTreeMap<&'static str, Cow<'a, str>> {
        let own = [("node_id", &self.node_id), ("zone", &self.zone)];
        let own = own.into_iter().filter(|_| span.whole_request);
        let istio = self.istio.iter().map(|(name, value)| (*name, value));
        let shared = own.chain(istio).map(|(name, value)| (name, Cow::Borrowed(value.as_str())));
        let told = span.tags.iter().map(|(name, value)| (*name, Cow::Borrowed(&**value)));
        // Zipkin never carries empty values.
        shared.chain(told).filter(|(_, value)| !value.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests;

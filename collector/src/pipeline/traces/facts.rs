//! What the assembly has to know of a span, within bounds that its sums cannot leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::store::{AttributeValue, Span, SpanKind};

/// Latest start, in the year 2116; sums with durations stay within 64 bits.
pub(super) const START_NS_MAX: i64 = i64::MAX / 2;
/// Longest duration: 36 years.
const DURATION_NS_MAX: i64 = i64::MAX / 8;

#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub kind: SpanKind,
    /// Zipkin: the half of a client's span that the server reported, under the client's id.
    pub shared: bool,
    pub service: &'a str,
    /// Spans of one host have one clock.
    pub host: Host<'a>,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub is_error: bool,
}

/// Whose clock it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Address(IpAddr),
    /// A name of the process or of its host; the service where nothing else is told.
    Name(&'a str),
}

/// Attributes that name a process or its host, the most exact first; Envoy tells its node id with each span.
const HOST_ATTRIBUTES: [&str; 4] = ["service.instance.id", "k8s.pod.name", "host.name", "node_id"];

impl<'a> Facts<'a> {
    pub(super) fn of(span: &'a Span) -> Self {
        Self {
            id: span.id,
            parent_id: span.parent_id,
            kind: span.kind,
            shared: span.shared,
            service: span.service(),
            host: host(span),
            start_ns: span.start_ns.clamp(0, START_NS_MAX),
            duration_ns: span.duration_ns.clamp(0, DURATION_NS_MAX),
            is_error: span.is_error,
        }
    }

    pub(super) fn end_ns(&self) -> i64 {
        self.start_ns + self.duration_ns
    }

    /// The side that answered.
    pub(super) fn is_server(&self) -> bool {
        self.shared || self.kind == SpanKind::Server
    }
}

fn host(span: &Span) -> Host<'_> {
    // Every host has this address.
    let is_shared = |ip: IpAddr| ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
    if let Some(ip) = span.local.ip.filter(|ip| !is_shared(*ip)) {
        return Host::Address(ip);
    }
    let told = |name: &str| {
        let all = span.resource.attributes.iter().chain(&span.attributes);
        all.rev().find_map(|(known, value)| match value {
            AttributeValue::Text(text) if **known == *name && !text.is_empty() => Some(&**text),
            _ => None,
        })
    };
    Host::Name(HOST_ATTRIBUTES.into_iter().find_map(told).unwrap_or(span.service()))
}

//! What is known of one request at its end: the source of the log line, the span and the labels.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;

use crate::flags::ResponseFlags;
use crate::labels::{ClusterInfo, Reporter, RouteKind, TlsIdentity};
use crate::peer::Peer;

/// HTTP version of the downstream request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    #[default]
    Http11,
    Http2,
    Http3,
}

impl Protocol {
    /// The name in logs and spans.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http3 => "HTTP/3",
        }
    }
}

impl From<Version> for Protocol {
    fn from(version: Version) -> Self {
        match version {
            Version::HTTP_09 | Version::HTTP_10 => Self::Http10,
            Version::HTTP_2 => Self::Http2,
            Version::HTTP_3 => Self::Http3,
            _ => Self::Http11,
        }
    }
}

/// Addresses of the downstream connection.
#[derive(Clone, Debug, Default)]
pub struct Downstream {
    /// Where the request arrived; the original destination when it was redirected.
    pub local: Option<SocketAddr>,
    /// The client after `x-forwarded-for` was evaluated; port 0 when it comes from there.
    pub remote: Option<SocketAddr>,
    /// The peer of the connection itself.
    pub direct_remote: Option<SocketAddr>,
    /// SNI.
    pub server_name: Option<Arc<str>>,
    /// Principals of a TLS connection.
    pub tls: Option<Arc<TlsIdentity>>,
}

/// A request as it arrived, before any header was changed. Empty texts count as absent.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    pub method: &'a str,
    /// Path with query.
    pub path: &'a str,
    pub authority: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    pub protocol: Protocol,
    pub headers: &'a HeaderMap,
    pub downstream: Downstream,
    /// Whether the sender is one of our own; since Envoy 1.33 nobody is unless configured so.
    pub internal: bool,
}

/// Copies of the headers that logs and spans want; the values share their bytes with the message.
#[derive(Clone, Debug, Default)]
pub struct Captured(SmallVec<[(HeaderName, HeaderValue); 8]>);

impl Captured {
    /// Takes the first value of each wanted header.
    #[must_use]
    pub fn of(headers: &HeaderMap, wanted: &[HeaderName]) -> Self {
        let value = |name| Some((HeaderName::clone(name), headers.get(name)?.clone()));
        Self(wanted.iter().filter_map(value).collect())
    }

    /// The value of a header, if it was wanted and there.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_bytes())
    }

    /// The value as text; bytes that are no UTF-8 count as absent.
    #[must_use]
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub(crate) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.retain(|(n, _)| *n != name);
        self.0.push((name, value));
    }
}

/// Moments of one request, counted from its first byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// The last byte of the request was received.
    pub request_end: Option<Duration>,
    /// The request went to the upstream.
    pub upstream_start: Option<Duration>,
    /// The first byte of the upstream's response came.
    pub upstream_first: Option<Duration>,
    /// The last byte of the response was handed downstream.
    pub end: Duration,
}

/// One finished request.
#[derive(Clone, Debug)]
pub struct Record {
    pub reporter: Reporter,
    pub started: SystemTime,
    pub times: Times,
    pub method: Box<str>,
    /// As it arrived.
    pub path: Box<str>,
    /// As it was sent on, when it was rewritten.
    pub rewritten_path: Option<Box<str>>,
    pub authority: Box<str>,
    pub scheme: Box<str>,
    pub protocol: Protocol,
    pub request_headers: Captured,
    pub response_headers: Captured,
    /// 0 when no response was started.
    pub code: u16,
    pub grpc: bool,
    pub grpc_status: Option<u16>,
    pub grpc_message: Option<Box<str>>,
    pub details: Option<Cow<'static, str>>,
    pub termination_details: Option<Cow<'static, str>>,
    pub flags: ResponseFlags,
    pub route_name: Option<Arc<str>>,
    pub(crate) route_kind: RouteKind,
    /// Span name that the route's decorator gives.
    pub operation: Option<Arc<str>>,
    pub cluster: Option<Arc<ClusterInfo>>,
    /// The last host that was chosen, even if it could not be connected.
    pub upstream_host: Option<SocketAddr>,
    /// Whether the chosen host was connected.
    pub upstream_connected: bool,
    pub upstream_local: Option<SocketAddr>,
    pub upstream_failure: Option<Cow<'static, str>>,
    pub upstream_tls: Option<Arc<TlsIdentity>>,
    pub attempts: u32,
    pub downstream: Downstream,
    /// The other side, as it described itself.
    pub peer: Option<Arc<Peer>>,
    /// The chosen endpoint, as the control plane described it.
    pub endpoint: Option<Arc<Peer>>,
    /// Body bytes received from the downstream.
    pub bytes_received: u64,
    /// Body bytes sent to the downstream.
    pub bytes_sent: u64,
    pub request_head_bytes: u64,
    pub response_head_bytes: u64,
    /// Text of the trace id, when there is one.
    pub trace_id: Option<crate::context::TraceId>,
}

/// Bytes of the headers of a message as HTTP/1.1 writes them, with the empty line behind them.
pub(crate) fn header_bytes(headers: &HeaderMap) -> u64 {
    const SEPARATORS: usize = ": \r\n".len();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + SEPARATORS).sum();
    (bytes + "\r\n".len()) as u64
}

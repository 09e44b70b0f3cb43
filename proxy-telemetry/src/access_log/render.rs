//! What each operator prints of a request, and `-` where there is nothing.

use std::io::Write as _;
use std::net::SocketAddr;

use super::operator::{AddressPart, Endpoint, Field, Operator, Simple, Wanted};
use crate::record::Record;

const UNSET: &[u8] = b"-";

impl Operator {
    pub(super) fn render(&self, record: &Record, out: &mut Vec<u8>) {
        match self {
            Self::StartTime(format) => format.render(record.started, out),
            Self::Request { header, max } => {
                put(out, header.find(|field| request_field(record, field)), *max);
            }
            Self::Response { header, max } => response_field(record, header, *max, out),
            Self::Details { keep_spaces: true } => put_text(out, record.details.as_deref()),
            Self::Details { keep_spaces: false } => put_token(out, record.details.as_deref()),
            Self::Address { of, part } => put_address(out, of.of(record), *part),
            Self::Simple(simple) => simple.render(record, out),
        }
    }
}

impl Wanted {
    fn find<'a>(&self, value: impl Fn(&Field) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        value(&self.first).or_else(|| self.otherwise.as_ref().and_then(value))
    }
}

fn request_field<'a>(record: &'a Record, field: &Field) -> Option<&'a [u8]> {
    let text = match field {
        Field::Method => &*record.method,
        Field::Path => record.rewritten_path.as_deref().unwrap_or(&record.path),
        Field::Authority => &*record.authority,
        Field::Scheme => &*record.scheme,
        Field::Status => "",
        Field::Header(name) => match record.request_headers.get(name) {
            None if name == "x-envoy-original-path" && record.rewritten_path.is_some() => &record.path,
            value => return value,
        },
    };
    (!text.is_empty()).then_some(text.as_bytes())
}

fn response_field(record: &Record, wanted: &Wanted, max: Option<usize>, out: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    let status = number.format(record.code);
    let value = wanted.find(|field| match field {
        Field::Status if record.code > 0 => Some(status.as_bytes()),
        Field::Header(name) => record.response_headers.get(name),
        _ => None,
    });
    put(out, value, max);
}

impl Endpoint {
    fn of(self, record: &Record) -> Option<SocketAddr> {
        match self {
            Self::UpstreamHost => record.upstream_host,
            Self::UpstreamRemote => record.upstream_host.filter(|_| record.upstream_connected),
            Self::UpstreamLocal => record.upstream_local,
            Self::DownstreamLocal => record.downstream.local,
            Self::DownstreamRemote => record.downstream.remote,
            Self::DownstreamDirectRemote => record.downstream.direct_remote,
        }
    }
}

impl Simple {
    fn render(self, record: &Record, out: &mut Vec<u8>) {
        let times = &record.times;
        match self {
            Self::Protocol => put_text(out, Some(record.protocol.as_str())),
            Self::ResponseCode => put_number(out, Some(record.code.into())),
            Self::TerminationDetails => put_text(out, record.termination_details.as_deref()),
            // Writing into a vector cannot fail.
            Self::Flags => _ = write!(out, "{}", record.flags),
            Self::LongFlags => put_text(out, Some(&record.flags.to_long_string())),
            Self::UpstreamFailure => put_token(out, record.upstream_failure.as_deref()),
            Self::BytesReceived => put_number(out, Some(record.bytes_received)),
            Self::BytesSent => put_number(out, Some(record.bytes_sent)),
            Self::RequestHeadersBytes => put_number(out, Some(record.request_head_bytes)),
            Self::ResponseHeadersBytes => put_number(out, Some(record.response_head_bytes)),
            Self::WireBytesReceived => {
                put_number(out, Some(record.request_head_bytes + record.bytes_received));
            }
            Self::WireBytesSent => {
                put_number(out, Some(record.response_head_bytes + record.bytes_sent));
            }
            Self::Duration => put_millis(out, Some(times.end)),
            Self::RequestDuration => put_millis(out, times.request_end),
            Self::ResponseDuration => put_millis(out, times.upstream_first),
            Self::ResponseTxDuration => {
                put_millis(out, times.upstream_first.map(|first| times.end.saturating_sub(first)));
            }
            Self::Attempts => put_number(out, Some(record.attempts.into())),
            Self::Cluster => put_text(out, record.cluster_stat_name()),
            Self::ClusterRaw => put_text(out, record.cluster.as_ref().map(|c| &*c.name)),
            Self::ServerName => put_text(out, record.downstream.server_name.as_deref()),
            Self::RouteName => put_text(out, record.route_name.as_deref()),
            Self::GrpcStatusNumber => {
                put_number(out, record.grpc_status.filter(|_| record.grpc).map(u64::from));
            }
            Self::TraceId => match record.trace_id {
                Some(id) => _ = write!(out, "{id}"),
                None => put_text(out, None),
            },
            Self::LogType => put_text(out, Some("DownstreamEnd")),
        }
    }
}

impl Record {
    /// The cluster under its alternate stat name, if it has one.
    #[must_use]
    pub fn cluster_stat_name(&self) -> Option<&str> {
        let cluster = self.cluster.as_ref()?;
        Some(cluster.alt_stat_name.as_deref().unwrap_or(&cluster.name))
    }
}

fn put(out: &mut Vec<u8>, value: Option<&[u8]>, max: Option<usize>) {
    let value = value.unwrap_or(UNSET);
    out.extend_from_slice(&value[..max.unwrap_or(usize::MAX).min(value.len())]);
}

fn put_text(out: &mut Vec<u8>, value: Option<&str>) {
    put(out, value.filter(|text| !text.is_empty()).map(str::as_bytes), None);
}

/// White space becomes `_`, so that a line splits at its spaces.
fn put_token(out: &mut Vec<u8>, value: Option<&str>) {
    let start = out.len();
    put_text(out, value);
    for byte in &mut out[start..] {
        if byte.is_ascii_whitespace() {
            *byte = b'_';
        }
    }
}

fn put_number(out: &mut Vec<u8>, value: Option<u64>) {
    let mut number = itoa::Buffer::new();
    put_text(out, value.map(|n| number.format(n)));
}

fn put_millis(out: &mut Vec<u8>, value: Option<std::time::Duration>) {
    put_number(out, value.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)));
}

fn put_address(out: &mut Vec<u8>, address: Option<SocketAddr>, part: AddressPart) {
    let Some(address) = address else {
        return put_text(out, None);
    };
    // Writing into a vector cannot fail.
    let _ = match part {
        AddressPart::Both => write!(out, "{address}"),
        AddressPart::WithoutPort => write!(out, "{}", address.ip()),
        AddressPart::Port => write!(out, "{}", address.port()),
    };
}

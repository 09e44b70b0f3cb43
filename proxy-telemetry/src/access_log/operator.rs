//! The operators of access log formats: which exist, and what arguments each takes.

use http::HeaderName;

use super::FormatError;
use super::time::TimeFormat;

/// What stands between two percent signs.
#[derive(Clone, Debug)]
pub(super) enum Operator {
    StartTime(TimeFormat),
    Request { header: Wanted, max: Option<usize> },
    Response { header: Wanted, max: Option<usize> },
    Details { keep_spaces: bool },
    Address { of: Endpoint, part: AddressPart },
    Simple(Simple),
}

/// A header, and another one when the first is absent.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub first: Field,
    pub otherwise: Option<Field>,
}

#[derive(Clone, Debug)]
pub(super) enum Field {
    Method,
    Path,
    Authority,
    Scheme,
    Status,
    Header(HeaderName),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    UpstreamHost,
    UpstreamRemote,
    UpstreamLocal,
    DownstreamLocal,
    DownstreamRemote,
    DownstreamDirectRemote,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AddressPart {
    Both,
    WithoutPort,
    Port,
}

/// Operators without arguments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Simple {
    Protocol,
    ResponseCode,
    TerminationDetails,
    Flags,
    LongFlags,
    UpstreamFailure,
    BytesReceived,
    BytesSent,
    RequestHeadersBytes,
    ResponseHeadersBytes,
    WireBytesReceived,
    WireBytesSent,
    Duration,
    RequestDuration,
    ResponseDuration,
    ResponseTxDuration,
    Attempts,
    Cluster,
    ClusterRaw,
    ServerName,
    RouteName,
    GrpcStatusNumber,
    TraceId,
    LogType,
}

const SIMPLE: [(&str, Simple); 25] = [
    ("PROTOCOL", Simple::Protocol),
    ("RESPONSE_CODE", Simple::ResponseCode),
    ("CONNECTION_TERMINATION_DETAILS", Simple::TerminationDetails),
    ("RESPONSE_FLAGS", Simple::Flags),
    ("RESPONSE_FLAGS_LONG", Simple::LongFlags),
    ("UPSTREAM_TRANSPORT_FAILURE_REASON", Simple::UpstreamFailure),
    ("BYTES_RECEIVED", Simple::BytesReceived),
    ("BYTES_SENT", Simple::BytesSent),
    ("REQUEST_HEADERS_BYTES", Simple::RequestHeadersBytes),
    ("RESPONSE_HEADERS_BYTES", Simple::ResponseHeadersBytes),
    ("DOWNSTREAM_WIRE_BYTES_RECEIVED", Simple::WireBytesReceived),
    ("DOWNSTREAM_WIRE_BYTES_SENT", Simple::WireBytesSent),
    ("DURATION", Simple::Duration),
    ("REQUEST_DURATION", Simple::RequestDuration),
    ("RESPONSE_DURATION", Simple::ResponseDuration),
    ("RESPONSE_TX_DURATION", Simple::ResponseTxDuration),
    ("UPSTREAM_REQUEST_ATTEMPT_COUNT", Simple::Attempts),
    ("UPSTREAM_CLUSTER", Simple::Cluster),
    ("UPSTREAM_CLUSTER_RAW", Simple::ClusterRaw),
    ("REQUESTED_SERVER_NAME", Simple::ServerName),
    ("ROUTE_NAME", Simple::RouteName),
    ("GRPC_STATUS_NUMBER", Simple::GrpcStatusNumber),
    ("GRPC_STATUS(NUMBER)", Simple::GrpcStatusNumber),
    ("TRACE_ID", Simple::TraceId),
    ("ACCESS_LOG_TYPE", Simple::LogType),
];

const ADDRESSES: [(&str, Endpoint); 6] = [
    ("UPSTREAM_HOST", Endpoint::UpstreamHost),
    ("UPSTREAM_REMOTE_ADDRESS", Endpoint::UpstreamRemote),
    ("UPSTREAM_LOCAL_ADDRESS", Endpoint::UpstreamLocal),
    ("DOWNSTREAM_LOCAL_ADDRESS", Endpoint::DownstreamLocal),
    ("DOWNSTREAM_REMOTE_ADDRESS", Endpoint::DownstreamRemote),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Endpoint::DownstreamDirectRemote),
];

impl Operator {
    /// Reads what stands between two percent signs.
    pub(super) fn parse(text: &str) -> Result<Self, FormatError> {
        if let Some((_, simple)) = SIMPLE.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Simple(*simple));
        }
        if let Some(address) = address(text) {
            return Ok(address);
        }
        let call = Call::split(text)?;
        match call.name {
            "START_TIME" => call.start_time(),
            "REQ" | "REQUEST_HEADER" => {
                let (header, max) = call.header()?;
                Ok(Self::Request { header, max })
            }
            "RESP" | "RESPONSE_HEADER" => {
                let (header, max) = call.header()?;
                Ok(Self::Response { header, max })
            }
            "RESPONSE_CODE_DETAILS" => call.details(),
            known if SIMPLE.iter().any(|(name, _)| *name == known) || address(known).is_some() => {
                Err(call.refuse("takes neither arguments nor a length"))
            }
            _ => Err(FormatError::UnknownOperator(text.to_owned())),
        }
    }

    pub(super) fn request_headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Request { header, .. } => header.names(),
            _ => Vec::new(),
        }
    }

    pub(super) fn response_headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Response { header, .. } => header.names(),
            _ => Vec::new(),
        }
    }
}

impl Wanted {
    fn names(&self) -> Vec<HeaderName> {
        let fields = std::iter::once(&self.first).chain(&self.otherwise);
        fields
            .filter_map(|field| match field {
                Field::Header(name) => Some(name.clone()),
                _ => None,
            })
            .collect()
    }
}

fn address(text: &str) -> Option<Operator> {
    let (name, part) = if let Some(name) = text.strip_suffix("_WITHOUT_PORT") {
        (name, AddressPart::WithoutPort)
    } else if let Some(name) = text.strip_suffix("_PORT") {
        (name, AddressPart::Port)
    } else {
        (text, AddressPart::Both)
    };
    let (_, of) = ADDRESSES.iter().find(|(known, _)| *known == name)?;
    Some(Operator::Address { of: *of, part })
}

/// `NAME(ARGUMENTS):LENGTH`, taken apart.
struct Call<'a> {
    text: &'a str,
    name: &'a str,
    arguments: Option<&'a str>,
    length: Option<usize>,
}

impl<'a> Call<'a> {
    fn split(text: &'a str) -> Result<Self, FormatError> {
        let name_end = text.find(['(', ':']).unwrap_or(text.len());
        let mut call = Self { text, name: &text[..name_end], arguments: None, length: None };
        let mut rest = &text[name_end..];
        if let Some(inner) = rest.strip_prefix('(') {
            let close = inner.rfind(')').ok_or_else(|| call.refuse("has a `(` that nothing closes"))?;
            call.arguments = Some(&inner[..close]);
            rest = &inner[close + 1..];
        }
        if let Some(digits) = rest.strip_prefix(':') {
            let length = digits.parse().map_err(|_| call.refuse("has a length that is no number"))?;
            call.length = Some(length);
        } else if !rest.is_empty() {
            return Err(call.refuse("has something behind its arguments"));
        }
        Ok(call)
    }

    fn refuse(&self, problem: &'static str) -> FormatError {
        FormatError::Arguments { operator: self.text.to_owned(), problem }
    }

    fn start_time(&self) -> Result<Operator, FormatError> {
        if self.length.is_some() {
            return Err(self.refuse("takes no length"));
        }
        TimeFormat::parse(self.arguments.unwrap_or_default())
            .map(Operator::StartTime)
            .ok_or_else(|| self.refuse("has a time format that is not known"))
    }

    fn details(&self) -> Result<Operator, FormatError> {
        match (self.arguments, self.length) {
            (None, None) => Ok(Operator::Details { keep_spaces: false }),
            (Some("ALLOW_WHITESPACES"), None) => Ok(Operator::Details { keep_spaces: true }),
            _ => Err(self.refuse("takes no argument but `ALLOW_WHITESPACES`")),
        }
    }

    fn header(&self) -> Result<(Wanted, Option<usize>), FormatError> {
        let arguments = self.arguments.ok_or_else(|| self.refuse("needs the name of a header"))?;
        let mut names = arguments.split('?').map(|name| self.field(name));
        let first = names.next().ok_or_else(|| self.refuse("needs the name of a header"))??;
        let otherwise = names.next().transpose()?;
        if names.next().is_some() {
            return Err(self.refuse("takes at most two headers"));
        }
        Ok((Wanted { first, otherwise }, self.length))
    }

    fn field(&self, name: &str) -> Result<Field, FormatError> {
        Ok(match name.to_ascii_lowercase().as_str() {
            ":method" => Field::Method,
            ":path" => Field::Path,
            ":authority" => Field::Authority,
            ":scheme" => Field::Scheme,
            ":status" => Field::Status,
            other => {
                let name = HeaderName::from_bytes(other.as_bytes());
                Field::Header(name.map_err(|_| self.refuse("has a header name that is not legal"))?)
            }
        })
    }
}

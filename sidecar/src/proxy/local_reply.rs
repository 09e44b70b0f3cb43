//! Answers that the proxy gives by itself, byte for byte as Envoy gives them.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use sidelight_telemetry::ResponseFlag;

use crate::upstream::connections::ConnectError;

/// An answer without an upstream, and what logs and metrics say of it.
#[derive(Debug, Default)]
pub struct LocalReply {
    pub status: StatusCode,
    pub body: Bytes,
    pub flag: Option<ResponseFlag>,
    pub details: Cow<'static, str>,
    pub transport_failure: Option<String>,
    pub location: Option<HeaderValue>,
    pub overloaded: bool,
    /// The connection cannot be used any further.
    pub close: bool,
    /// Nobody is there to read it: the exchange counts as abandoned.
    pub abandoned: bool,
}

/// Why an upstream gave no complete answer, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    Terminated,
    Protocol,
    Overflow,
}

impl Reset {
    fn token(self) -> &'static str {
        match self {
            Self::Terminated => "connection_termination",
            Self::Protocol => "protocol_error",
            Self::Overflow => "overflow",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Terminated => "connection termination",
            Self::Protocol => "protocol error",
            Self::Overflow => "overflow",
        }
    }

    pub fn flag(self) -> ResponseFlag {
        match self {
            Self::Terminated => ResponseFlag::UpstreamConnectionTermination,
            Self::Protocol => ResponseFlag::UpstreamProtocolError,
            Self::Overflow => ResponseFlag::UpstreamOverflow,
        }
    }
}

fn reply(status: StatusCode, body: &'static str, flag: ResponseFlag, details: &'static str) -> LocalReply {
    LocalReply {
        status,
        body: Bytes::from_static(body.as_bytes()),
        flag: Some(flag),
        details: details.into(),
        ..LocalReply::default()
    }
}

fn plain(status: StatusCode, details: &'static str) -> LocalReply {
    LocalReply { status, details: details.into(), ..LocalReply::default() }
}

pub fn no_route() -> LocalReply {
    let flag = ResponseFlag::NoRouteFound;
    reply(StatusCode::NOT_FOUND, "", flag, "route_not_found")
}

pub fn no_cluster(status: StatusCode) -> LocalReply {
    reply(status, "", ResponseFlag::NoClusterFound, "cluster_not_found")
}

pub fn no_healthy_upstream() -> LocalReply {
    reply(StatusCode::SERVICE_UNAVAILABLE, "no healthy upstream", ResponseFlag::NoHealthyUpstream, "no_healthy_upstream")
}

pub fn name_not_resolved() -> LocalReply {
    reply(StatusCode::SERVICE_UNAVAILABLE, "DNS resolution failure", ResponseFlag::DnsResolutionFailed, "dns_resolution_failure")
}

/// The client points at what only this host may reach.
pub fn destination_refused() -> LocalReply {
    plain(StatusCode::FORBIDDEN, "destination_refused")
}

pub fn response_timeout() -> LocalReply {
    reply(StatusCode::GATEWAY_TIMEOUT, "upstream request timeout", ResponseFlag::UpstreamRequestTimeout, "response_timeout")
}

pub fn per_try_timeout() -> LocalReply {
    LocalReply { details: "upstream_per_try_timeout".into(), ..response_timeout() }
}

pub fn fault_abort(status: StatusCode) -> LocalReply {
    let flag = ResponseFlag::FaultInjected;
    reply(status, "fault filter abort", flag, "fault_filter_abort")
}

/// The client broke off while it sent its body.
pub fn client_gone() -> LocalReply {
    LocalReply { close: true, abandoned: true, ..plain(StatusCode::BAD_REQUEST, "downstream_remote_disconnect") }
}

pub fn missing_host() -> LocalReply {
    plain(StatusCode::BAD_REQUEST, "missing_host_header")
}

pub fn bad_path() -> LocalReply {
    plain(StatusCode::BAD_REQUEST, "path_normalization_failed")
}

pub fn upgrade_failed() -> LocalReply {
    plain(StatusCode::FORBIDDEN, "upgrade_failed")
}

pub fn low_version() -> LocalReply {
    LocalReply {
        close: true,
        ..reply(StatusCode::UPGRADE_REQUIRED, "Upgrade Required", ResponseFlag::DownstreamProtocolError, "low_version")
    }
}

pub fn direct(status: StatusCode, body: Bytes) -> LocalReply {
    LocalReply { body, ..plain(status, "direct_response") }
}

pub fn redirect(status: StatusCode, location: HeaderValue) -> LocalReply {
    LocalReply { location: Some(location), ..plain(status, "direct_response") }
}

pub fn connect_failed(error: &ConnectError, retried: bool) -> LocalReply {
    let (token, words) = match error {
        ConnectError::Timeout => ("connection_timeout", "connection timeout"),
        ConnectError::Failed(_) => ("remote_connection_failure", "remote connection failure"),
    };
    let transport = error.transport_reason();
    let details = match &transport {
        Some(reason) => format!("{token}|{reason}"),
        None => token.to_owned(),
    };
    LocalReply {
        transport_failure: transport,
        flag: Some(ResponseFlag::UpstreamConnectionFailure),
        ..before_start(StatusCode::SERVICE_UNAVAILABLE, &details, words, retried)
    }
}

pub fn reset(reset: Reset, retried: bool) -> LocalReply {
    let status = match reset {
        Reset::Protocol => StatusCode::BAD_GATEWAY,
        Reset::Terminated | Reset::Overflow => StatusCode::SERVICE_UNAVAILABLE,
    };
    LocalReply {
        flag: Some(reset.flag()),
        overloaded: reset == Reset::Overflow,
        ..before_start(status, reset.token(), reset.words(), retried)
    }
}

fn before_start(status: StatusCode, token: &str, words: &str, retried: bool) -> LocalReply {
    let latest = match retried {
        true => "retried and the latest reset reason",
        false => "reset reason",
    };
    LocalReply {
        status,
        body: format!("upstream connect error or disconnect/reset before headers. {latest}: {words}").into(),
        // Details are one token: blanks become underscores.
        details: format!("upstream_reset_before_response_started{{{token}}}").replace(' ', "_").into(),
        ..LocalReply::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> ConnectError {
        ConnectError::Failed(std::io::Error::from_raw_os_error(111))
    }

    fn text(reply: &LocalReply) -> &str {
        std::str::from_utf8(&reply.body).unwrap_or_default()
    }

    #[test]
    fn a_refused_connection() {
        let reply = connect_failed(&refused(), false);
        assert_eq!(
            text(&reply),
            "upstream connect error or disconnect/reset before headers. \
             reset reason: remote connection failure"
        );
        assert_eq!(
            reply.details,
            "upstream_reset_before_response_started\
             {remote_connection_failure|delayed_connect_error:_Connection_refused}"
        );
        let retried = connect_failed(&refused(), true);
        assert_eq!(
            text(&retried),
            "upstream connect error or disconnect/reset before headers. \
             retried and the latest reset reason: remote connection failure"
        );
    }

    #[test]
    fn bodies_have_the_lengths_that_envoy_logs() {
        // BYTES_SENT of the lines observed at a real Envoy.
        assert_eq!(connect_failed(&refused(), false).body.len(), 98);
        assert_eq!(connect_failed(&refused(), true).body.len(), 121);
        assert_eq!(connect_failed(&ConnectError::Timeout, false).body.len(), 91);
        assert_eq!(no_healthy_upstream().body.len(), 19);
        assert_eq!(reset(Reset::Overflow, false).body.len(), 81);
        assert_eq!(reset(Reset::Terminated, false).body.len(), 95);
        assert_eq!(reset(Reset::Protocol, false).body.len(), 87);
        assert_eq!(response_timeout().body.len(), 24);
        assert_eq!(fault_abort(StatusCode::IM_A_TEAPOT).body.len(), 18);
        assert_eq!(low_version().body.len(), 16);
    }

    #[test]
    fn an_open_circuit_breaker_tells_the_client() {
        let reply = reset(Reset::Overflow, false);
        assert!(reply.overloaded);
        assert_eq!(reply.details, "upstream_reset_before_response_started{overflow}");
    }
}

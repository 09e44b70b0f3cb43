//! Failures and delays that a proxy makes up.

use envoy_types::pb::envoy::extensions::filters::common::fault::v3::{FaultDelay, fault_delay::FaultDelaySecifier};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault, fault_abort::ErrorType};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::Any;
use sidelight_mesh::config::{Fault, FaultAbort as AbortSettings, FaultDelay as DelaySettings, Percent};

use crate::control::wire::{any, duration, hundredths, millionths};

/// Names of gRPC's status codes, in the order of their numbers.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Configuration of the route's fault filter; `None` when nothing is to be done.
pub(super) fn fault(fault: &Fault) -> Option<Any> {
    let delay = fault.delay.as_ref().and_then(delay);
    let abort = fault.abort.as_ref().and_then(abort);
    (delay.is_some() || abort.is_some()).then(|| any(HttpFault { delay, abort, ..HttpFault::default() }))
}

fn delay(settings: &DelaySettings) -> Option<FaultDelay> {
    Some(FaultDelay {
        percentage: Some(share(settings.percentage, settings.percent)),
        fault_delay_secifier: Some(FaultDelaySecifier::FixedDelay(duration(settings.fixed_delay?.0))),
    })
}

fn abort(settings: &AbortSettings) -> Option<FaultAbort> {
    let error_type = match (settings.http_status, settings.grpc_status.as_deref()) {
        (Some(status), _) => ErrorType::HttpStatus(u32::from(status)),
        (None, Some(status)) => ErrorType::GrpcStatus(grpc_status(status)?),
        (None, None) => return None,
    };
    Some(FaultAbort { percentage: Some(share(settings.percentage, None)), error_type: Some(error_type), ..FaultAbort::default() })
}

/// Nothing given means all requests.
fn share(percentage: Option<Percent>, old_form: Option<u32>) -> FractionalPercent {
    match (percentage, old_form) {
        (Some(percentage), _) => millionths(percentage.value),
        (None, Some(percent)) => hundredths(percent.min(100)),
        (None, None) => hundredths(100),
    }
}

/// By name or by number.
fn grpc_status(status: &str) -> Option<u32> {
    let by_name = GRPC_STATUSES.iter().position(|name| name.eq_ignore_ascii_case(status));
    by_name.and_then(|number| u32::try_from(number).ok()).or_else(|| status.parse().ok())
}

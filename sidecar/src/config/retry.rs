//! When and how often a request may be tried again.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3 as route;

use super::value::{At, optional_duration};
use super::{ConfigError, Notes};

/// Envoy's default first pause between two attempts.
const BACK_OFF_BASE: Duration = Duration::from_millis(25);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    pub retries_max: u32,
    pub per_try_timeout: Option<Duration>,
    pub back_off_base: Duration,
    pub back_off_max: Duration,
    on: On,
    status_codes: Vec<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct On {
    connect_failure: bool,
    reset: bool,
    reset_unsent: bool,
    server_error: bool,
    gateway_error: bool,
    conflict: bool,
    listed_status: bool,
}

impl RetryPolicy {
    pub fn compile(object: &str, from: &route::RetryPolicy, notes: &mut Notes) -> Result<Self, ConfigError> {
        let at = |field| At { object, field };
        let mut on = On::default();
        for token in from.retry_on.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            match token {
                "connect-failure" => on.connect_failure = true,
                "reset" => on.reset = true,
                "reset-before-request" => on.reset_unsent = true,
                "5xx" => on.server_error = true,
                "gateway-error" => on.gateway_error = true,
                "retriable-4xx" => on.conflict = true,
                "retriable-status-codes" => on.listed_status = true,
                // No HTTP/2 and no gRPC upstream yet: these can never occur.
                "refused-stream"
                | "cancelled"
                | "unavailable"
                | "deadline-exceeded"
                | "internal"
                | "resource-exhausted"
                | "http3-post-connect-failure" => {}
                other => notes.add(format!("retry condition `{other}` is not honoured")),
            }
        }
        let back_off = from.retry_back_off.as_ref();
        let base = optional_duration(at("retry_back_off.base_interval"), back_off.and_then(|b| b.base_interval.as_ref()))?
            .unwrap_or(BACK_OFF_BASE);
        let max = optional_duration(at("retry_back_off.max_interval"), back_off.and_then(|b| b.max_interval.as_ref()))?
            .unwrap_or(base * 10);
        Ok(Self {
            retries_max: from.num_retries.as_ref().map_or(1, |number| number.value),
            per_try_timeout: optional_duration(at("per_try_timeout"), from.per_try_timeout.as_ref())?
                .filter(|timeout| !timeout.is_zero()),
            back_off_base: base,
            back_off_max: max.max(base),
            on,
            status_codes: from.retriable_status_codes.iter().filter_map(|code| u16::try_from(*code).ok()).collect(),
        })
    }

    pub fn on_connect_failure(&self) -> bool {
        self.on.connect_failure || self.on.server_error || self.on.gateway_error || self.on.reset || self.on.reset_unsent
    }

    /// `unsent`: not a byte of the request has gone out.
    pub fn on_reset(&self, unsent: bool) -> bool {
        self.on.reset || self.on.server_error || self.on.gateway_error || (unsent && self.on.reset_unsent)
    }

    pub fn on_status(&self, status: u16) -> bool {
        (self.on.server_error && status >= 500)
            || (self.on.gateway_error && matches!(status, 502..=504))
            || (self.on.conflict && status == 409)
            || (self.on.listed_status && self.status_codes.contains(&status))
    }

    /// A timed-out attempt counts as a gateway error.
    pub fn on_timeout(&self) -> bool {
        self.on.server_error || self.on.gateway_error
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy(retry_on: &str, codes: &[u32]) -> RetryPolicy {
        let from = route::RetryPolicy { retry_on: retry_on.into(), retriable_status_codes: codes.to_vec(), ..Default::default() };
        RetryPolicy::compile("route", &from, &mut Notes::default()).unwrap()
    }

    #[test]
    fn istios_default_policy_retries_connects_but_not_a_plain_503() {
        let default = policy("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", &[]);
        assert!(default.on_connect_failure());
        assert!(!default.on_status(503));
        assert!(!default.on_reset(true));
    }

    #[test]
    fn what_an_application_may_have_seen_is_not_sent_again_before_request() {
        let inbound = policy("reset-before-request", &[]);
        assert!(inbound.on_reset(true));
        assert!(!inbound.on_reset(false));
    }

    #[test]
    fn conditions_on_status() {
        assert!(policy("5xx", &[]).on_status(500));
        assert!(!policy("gateway-error", &[]).on_status(500));
        assert!(policy("gateway-error", &[]).on_status(503));
        assert!(policy("retriable-4xx", &[]).on_status(409));
        assert!(policy(",retriable-status-codes", &[418]).on_status(418));
    }
}

//! When a request is sent once more.

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{
    RetryBackOff, RetryHostPredicate, RetryPriority, retry_host_predicate, retry_priority,
};
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use sidelight_mesh::config::Retries;

use crate::control::wire::{any, duration, uint};

/// What is retried when nobody says otherwise: nothing that the application has seen.
const DEFAULT_CONDITIONS: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
const DEFAULT_ATTEMPTS: u32 = 2;

/// How often another endpoint is looked for when the chosen one was tried already.
const HOST_ATTEMPTS: i64 = 5;

const STATUS_CODES: &str = "retriable-status-codes";

pub(super) fn default_policy(hashed: bool) -> RetryPolicy {
    RetryPolicy {
        retry_on: DEFAULT_CONDITIONS.to_owned(),
        num_retries: Some(uint(DEFAULT_ATTEMPTS)),
        host_selection_retry_max_attempts: HOST_ATTEMPTS,
        // With a hash there is only one right endpoint.
        retry_host_predicate: if hashed { Vec::new() } else { vec![not_the_same_again()] },
        ..RetryPolicy::default()
    }
}

/// `None` when retries are turned off.
pub(super) fn retry_policy(retries: &Retries, hashed: bool) -> Option<RetryPolicy> {
    let attempts = u32::try_from(retries.attempts).ok().filter(|attempts| *attempts > 0)?;
    let mut policy = RetryPolicy {
        num_retries: Some(uint(attempts)),
        per_try_timeout: retries.per_try_timeout.map(|d| duration(d.0)),
        retry_back_off: retries.backoff.map(|d| RetryBackOff { base_interval: Some(duration(d.0)), max_interval: None }),
        ..default_policy(hashed)
    };
    if !retries.retry_on.is_empty() {
        (policy.retry_on, policy.retriable_status_codes) = conditions(&retries.retry_on);
    }
    match retries.retry_ignore_previous_hosts {
        Some(true) => policy.retry_host_predicate = vec![not_the_same_again()],
        Some(false) => policy.retry_host_predicate = Vec::new(),
        None => {}
    }
    if retries.retry_remote_localities == Some(true) {
        policy.retry_priority = Some(other_priorities());
    }
    Some(policy)
}

/// Status codes among the conditions go to a list of their own.
fn conditions(retry_on: &str) -> (String, Vec<u32>) {
    let mut words = Vec::new();
    let mut codes = Vec::new();
    for part in retry_on.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<u32>() {
            Ok(code) if (100..600).contains(&code) => codes.push(code),
            _ => words.push(part),
        }
    }
    let mut joined = words.join(",");
    if !codes.is_empty() && !joined.contains(STATUS_CODES) {
        joined = format!("{joined},{STATUS_CODES}");
    }
    (joined, codes)
}

fn not_the_same_again() -> RetryHostPredicate {
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(any(PreviousHostsPredicate {}))),
    }
}

fn other_priorities() -> RetryPriority {
    RetryPriority {
        name: "envoy.retry_priorities.previous_priorities".to_owned(),
        config_type: Some(retry_priority::ConfigType::TypedConfig(any(PreviousPrioritiesConfig { update_frequency: 2 }))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_taken_out_of_the_conditions() {
        let check = |text: &str, words: &str, codes: &[u32]| assert_eq!(conditions(text), (words.to_owned(), codes.to_vec()));
        check("5xx,reset", "5xx,reset", &[]);
        check("503", ",retriable-status-codes", &[503]);
        check("5xx, 503 ,, 409", "5xx,retriable-status-codes", &[503, 409]);
        check("retriable-status-codes,503", "retriable-status-codes", &[503]);
        check("1000", "1000", &[]);
    }

    #[test]
    fn no_attempts_turn_retries_off() {
        assert_eq!(retry_policy(&Retries { attempts: 0, ..Retries::default() }, false), None);
        assert_eq!(retry_policy(&Retries { attempts: -1, ..Retries::default() }, false), None);
    }
}

//! Judges traffic and workloads: how many errors are too many, how many instances too few.

use std::collections::BTreeMap;

use sidelight_api::graph::{Health, WorkloadStatus};

use super::call::Protocol;

/// From which share of a code class on, in percent, traffic is worth a warning or a failure.
struct Tolerance {
    matches: fn(Protocol, &str) -> bool,
    degraded: f64,
    failure: f64,
}

/// Kiali's defaults. A limit of zero means any error.
const TOLERANCES: [Tolerance; 4] = [
    Tolerance { matches: |p, code| p == Protocol::Http && is_class(code, '5'), degraded: 0.0, failure: 10.0 },
    Tolerance { matches: |p, code| p == Protocol::Http && is_class(code, '4'), degraded: 10.0, failure: 20.0 },
    Tolerance { matches: |p, code| p == Protocol::Grpc && is_grpc_error(code), degraded: 0.0, failure: 10.0 },
    Tolerance { matches: |p, code| p != Protocol::Tcp && code == "-", degraded: 0.0, failure: 10.0 },
];

/// Worst judgement over the tolerances; `Na` without traffic.
#[must_use]
pub fn of_codes(protocol: Protocol, codes: &BTreeMap<String, u64>) -> Health {
    let total: u64 = codes.values().sum();
    if total == 0 {
        return Health::Na;
    }
    let judge = |tolerance: &Tolerance| {
        let matching: u64 = codes.iter().filter(|(code, _)| (tolerance.matches)(protocol, code)).map(|(_, n)| n).sum();
        let ratio = matching as f64 / total as f64 * 100.0;
        match ratio {
            r if r <= 0.0 => Health::Healthy,
            r if r >= tolerance.failure => Health::Failure,
            r if r >= tolerance.degraded => Health::Degraded,
            _ => Health::Healthy,
        }
    };
    TOLERANCES.iter().map(judge).max().unwrap_or(Health::Healthy)
}

/// Requests that failed by any of the tolerances' classes.
#[must_use]
pub fn failing(protocol: Protocol, codes: &BTreeMap<String, u64>) -> u64 {
    let failed = |code: &str| TOLERANCES.iter().any(|tolerance| (tolerance.matches)(protocol, code));
    codes.iter().filter(|(code, _)| failed(code)).map(|(_, n)| n).sum()
}

/// Judges a workload by its instances.
#[must_use]
pub fn of_workload(status: &WorkloadStatus) -> Health {
    let (desired, current, available) = (status.desired_replicas, status.current_replicas, status.available_replicas);
    let unsynced = u32::try_from(status.synced_proxies).is_ok_and(|synced| synced < desired);
    match () {
        () if desired == 0 => Health::NotReady,
        () if available == 0 => Health::Failure,
        () if current > 0 && available < desired => Health::Degraded,
        () if available == desired && desired != current => Health::Failure,
        () if unsynced => Health::Degraded,
        () if desired == current && current == available => Health::Healthy,
        () => Health::Degraded,
    }
}

fn is_class(code: &str, class: char) -> bool {
    code.len() == 3 && code.starts_with(class) && code.bytes().all(|b| b.is_ascii_digit())
}

/// Statuses 1 to 16.
fn is_grpc_error(code: &str) -> bool {
    code.len() <= 2 && code.parse::<u8>().is_ok_and(|status| (1..=16).contains(&status))
}

#[cfg(test)]
mod tests {
    use super::{failing, of_codes, of_workload};
    use crate::query::graph::call::Protocol;
    use sidelight_api::graph::{Health, WorkloadStatus};
    use std::collections::BTreeMap;

    fn codes(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counts.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
    }

    #[test]
    fn default_tolerances() {
        for (protocol, counts, expected) in [
            (Protocol::Http, &[][..], Health::Na),
            (Protocol::Http, &[("200", 100)], Health::Healthy),
            (Protocol::Http, &[("200", 9999), ("500", 1)], Health::Degraded),
            (Protocol::Http, &[("200", 90), ("500", 10)], Health::Failure),
            (Protocol::Http, &[("200", 91), ("404", 9)], Health::Healthy),
            (Protocol::Http, &[("200", 90), ("404", 10)], Health::Degraded),
            (Protocol::Http, &[("200", 80), ("404", 20)], Health::Failure),
            (Protocol::Http, &[("200", 99), ("-", 1)], Health::Degraded),
            (Protocol::Http, &[("302", 50)], Health::Healthy),
            (Protocol::Grpc, &[("0", 99), ("14", 1)], Health::Degraded),
            (Protocol::Grpc, &[("0", 1), ("16", 1)], Health::Failure),
            (Protocol::Grpc, &[("0", 99), ("17", 1)], Health::Healthy),
            (Protocol::Grpc, &[("0", 90), ("-", 10)], Health::Failure),
            (Protocol::Tcp, &[("-", 10)], Health::Healthy),
        ] {
            assert_eq!(of_codes(protocol, &codes(counts)), expected, "{protocol:?} {counts:?}");
        }
    }

    #[test]
    fn failing_requests_are_those_of_the_classes() {
        let counts = codes(&[("200", 5), ("302", 1), ("404", 2), ("503", 3), ("-", 4)]);
        assert_eq!(failing(Protocol::Http, &counts), 9);
        assert_eq!(failing(Protocol::Tcp, &counts), 0);
    }

    #[test]
    fn workloads_are_judged_by_their_instances() {
        for (desired, current, available, synced, expected) in [
            (0, 0, 0, -1, Health::NotReady),
            (1, 1, 1, 1, Health::Healthy),
            (1, 1, 1, -1, Health::Healthy),
            (2, 2, 1, 1, Health::Degraded),
            (2, 2, 0, 0, Health::Failure),
            (2, 3, 2, 2, Health::Failure),
            (2, 2, 2, 1, Health::Degraded),
        ] {
            let status = WorkloadStatus {
                name: String::new(),
                desired_replicas: desired,
                current_replicas: current,
                available_replicas: available,
                synced_proxies: synced,
            };
            assert_eq!(of_workload(&status), expected, "{status:?}");
        }
    }
}

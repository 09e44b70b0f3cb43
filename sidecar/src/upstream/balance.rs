//! Chooses one host of a set: round robin, random, or the less busy of two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;

use super::cluster::Host;
use crate::config::cluster::Policy;

/// The hosts of a cluster at one moment, with what choosing needs worked out in advance.
#[derive(Debug, Default)]
pub struct HostSet {
    /// Every host, also those that get no traffic now.
    pub all: Vec<Arc<Host>>,
    /// Healthy hosts of the best priority that has any.
    ready: Vec<Arc<Host>>,
    /// Running sums of the weights of `ready`; empty when all weigh the same.
    sums: Vec<u64>,
}

impl HostSet {
    pub fn new(all: Vec<Arc<Host>>) -> Self {
        let best = all.iter().filter(|host| host.endpoint.healthy).map(|host| host.endpoint.priority).min();
        let ready: Vec<_> =
            all.iter().filter(|host| host.endpoint.healthy && Some(host.endpoint.priority) == best).cloned().collect();
        let even = ready.windows(2).all(|pair| pair[0].endpoint.weight == pair[1].endpoint.weight);
        let mut sum = 0;
        let sums = match even {
            true => Vec::new(),
            false => ready
                .iter()
                .map(|host| {
                    sum += u64::from(host.endpoint.weight);
                    sum
                })
                .collect(),
        };
        Self { all, ready, sums }
    }

    pub fn healthy_len(&self) -> usize {
        self.ready.len()
    }

    /// `next` is the cluster's own turn counter; `avoid` is the host of the failed attempt.
    pub fn pick(&self, policy: Policy, next: &AtomicUsize, avoid: Option<&Arc<Host>>) -> Option<Arc<Host>> {
        let mut host = self.pick_any(policy, next)?;
        if let Some(avoid) = avoid
            && self.ready.len() > 1
            && Arc::ptr_eq(host, avoid)
        {
            // One more turn is enough: the set has at least two hosts.
            let at = self.ready.iter().position(|h| Arc::ptr_eq(h, avoid))?;
            host = &self.ready[(at + 1) % self.ready.len()];
        }
        Some(host.clone())
    }

    fn pick_any(&self, policy: Policy, next: &AtomicUsize) -> Option<&Arc<Host>> {
        match self.ready.as_slice() {
            [] => None,
            [only] => Some(only),
            many => Some(match policy {
                Policy::LeastRequest => {
                    let (a, b) = (self.random(), self.random());
                    match a.load() <= b.load() {
                        true => a,
                        false => b,
                    }
                }
                Policy::Random => self.random(),
                Policy::RoundRobin if self.sums.is_empty() => &many[next.fetch_add(1, Ordering::Relaxed) % many.len()],
                Policy::RoundRobin => self.by_turn(next),
            }),
        }
    }

    fn random(&self) -> &Arc<Host> {
        let mut rng = rand::rng();
        match self.sums.last() {
            None => &self.ready[rng.random_range(0..self.ready.len())],
            Some(total) => self.at(rng.random_range(0..*total)),
        }
    }

    /// Weighted turns: strides by the golden ratio, so that a heavy host's turns are spread and the shares stay exact.
    fn by_turn(&self, next: &AtomicUsize) -> &Arc<Host> {
        let total = self.sums.last().copied().unwrap_or(1);
        let turn = next.fetch_add(1, Ordering::Relaxed) as u64;
        self.at((turn % total) * stride(total) % total)
    }

    fn at(&self, point: u64) -> &Arc<Host> {
        let index = self.sums.partition_point(|sum| *sum <= point);
        &self.ready[index.min(self.ready.len() - 1)]
    }
}

/// A number without a common divisor with the total: multiples of it visit every point once.
fn stride(total: u64) -> u64 {
    let wanted = (total as f64 * 0.618) as u64;
    (wanted.max(1)..).find(|n| gcd(*n, total) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::endpoint::{Endpoint, Locality};

    fn host(port: u16, weight: u32, priority: u32, healthy: bool) -> Arc<Host> {
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port,
            weight,
            healthy,
            priority,
            hostname: String::new(),
            locality: Locality::default(),
            workload: None,
        };
        let address = ([127, 0, 0, 1], port).into();
        Arc::new(Host::new(address, endpoint, None))
    }

    fn counts(set: &HostSet, policy: Policy, picks: usize) -> Vec<(u16, usize)> {
        let next = AtomicUsize::new(0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..picks {
            if let Some(host) = set.pick(policy, &next, None) {
                *counts.entry(host.address.port()).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    #[test]
    fn round_robin_takes_turns() {
        let set = HostSet::new(vec![host(1, 1, 0, true), host(2, 1, 0, true)]);
        assert_eq!(counts(&set, Policy::RoundRobin, 10), [(1, 5), (2, 5)]);
    }

    #[test]
    fn weighted_turns_give_exact_shares() {
        let set = HostSet::new(vec![host(1, 3, 0, true), host(2, 1, 0, true)]);
        assert_eq!(counts(&set, Policy::RoundRobin, 400), [(1, 300), (2, 100)]);
    }

    #[test]
    fn unhealthy_hosts_and_lower_priorities_get_nothing() {
        let set = HostSet::new(vec![host(1, 1, 0, false), host(2, 1, 1, true), host(3, 1, 2, true)]);
        assert_eq!(counts(&set, Policy::RoundRobin, 10), [(2, 10)]);
        assert_eq!(set.healthy_len(), 1);
        assert!(HostSet::default().pick(Policy::Random, &AtomicUsize::new(0), None).is_none());
    }

    #[test]
    fn least_request_prefers_the_idle_host() {
        let set = HostSet::new(vec![host(1, 1, 0, true), host(2, 1, 0, true)]);
        for _ in 0..5 {
            set.all[0].connections.stats.rq_active.inc();
        }
        let counts = counts(&set, Policy::LeastRequest, 1000);
        // Only when both draws hit the busy host does it win: one in four.
        let busy = counts.iter().find(|(port, _)| *port == 1).map_or(0, |c| c.1);
        assert!((150..350).contains(&busy), "{counts:?}");
    }

    #[test]
    fn random_stays_within_binomial_bounds() {
        let set = HostSet::new(vec![host(1, 9, 0, true), host(2, 1, 0, true)]);
        let counts = counts(&set, Policy::Random, 2000);
        // 200 expected, standard deviation 13.4: five of them.
        assert!((133..=267).contains(&counts[1].1), "{counts:?}");
    }

    #[test]
    fn a_retry_goes_elsewhere_when_it_can() {
        let set = HostSet::new(vec![host(1, 1, 0, true), host(2, 1, 0, true)]);
        let next = AtomicUsize::new(0);
        for _ in 0..10 {
            let picked = set.pick(Policy::RoundRobin, &next, Some(&set.all[0]));
            assert_eq!(picked.map(|h| h.address.port()), Some(2));
        }
    }
}

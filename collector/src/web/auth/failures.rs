//! Counts wrong tokens per address, so that guessing is slow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens that an address may send within [`FAILURE_WINDOW`].
pub const FAILURES_MAX: u32 = 10;
/// After this the count starts anew.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; beyond this the one that has been quiet longest is forgotten.
pub const ADDRESSES_MAX: usize = 4096;

#[derive(Default)]
pub struct Failures {
    /// Since when, and how many.
    counts: HashMap<IpAddr, (Instant, u32)>,
}

impl Failures {
    pub fn is_blocked(&self, address: IpAddr, now: Instant) -> bool {
        self.counts.get(&address).is_some_and(|(since, count)| *count >= FAILURES_MAX && is_recent(*since, now))
    }

    pub fn count(&mut self, address: IpAddr, now: Instant) {
        if self.counts.len() >= ADDRESSES_MAX && !self.counts.contains_key(&address) {
            self.make_room(now);
        }
        let (since, count) = self.counts.entry(address).or_insert((now, 0));
        if !is_recent(*since, now) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }

    fn make_room(&mut self, now: Instant) {
        self.counts.retain(|_, (since, _)| is_recent(*since, now));
        if self.counts.len() >= ADDRESSES_MAX
            && let Some(oldest) = self.counts.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address)
        {
            self.counts.remove(&oldest);
        }
    }
}

fn is_recent(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < FAILURE_WINDOW
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES_MAX, FAILURE_WINDOW, FAILURES_MAX, Failures};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Instant;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn an_address_is_blocked_after_too_many_and_for_a_while() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for _ in 0..FAILURES_MAX {
            assert!(!failures.is_blocked(address(1), now));
            failures.count(address(1), now);
        }
        assert!(failures.is_blocked(address(1), now));
        assert!(!failures.is_blocked(address(2), now));
        assert!(!failures.is_blocked(address(1), now + FAILURE_WINDOW));
    }

    #[test]
    fn the_table_stays_small() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..u32::try_from(ADDRESSES_MAX).expect("small") + 100 {
            failures.count(address(number), now);
        }
        assert_eq!(failures.counts.len(), ADDRESSES_MAX);
    }
}

//! What the rules have counted: roots of this hour, and how much of its rate each service has used. It is stored with the
//! verdicts, so that a restart or another judge goes on where the last one was.

use std::collections::BTreeMap;

use crate::store::span_block::{hash_name, wire};
use wire::{Reader, put, put_signed};

/// Roots of one hour that are told apart; those beyond are not rare: somebody puts ids into the names of operations.
pub(super) const ROOTS_MAX: usize = 10_000;
/// Services and rules that have a rate of their own; those beyond share one.
pub(super) const RATES_MAX: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;
const VERSION: u8 = 1;
/// Of hashes; they are stored.
const SEED: u64 = 0x726f_6f74;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Hours since 1970 of what follows.
    hour: i64,
    /// By hash of service and operation: traces that were decided on.
    roots: BTreeMap<u64, u64>,
    /// By hash of rule and service.
    rates: BTreeMap<u64, Rate>,
}

/// A bucket of tokens: one is a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    tokens: f64,
    at_ms: i64,
}

impl Counted {
    /// Counts a trace of a root; how many there were before in its hour, or `None` when that is not known.
    pub fn see(&mut self, (service, operation): (&str, &str), arrived_ms: i64) -> Option<u64> {
        let hour = arrived_ms.div_euclid(HOUR_MS);
        if hour > self.hour {
            self.hour = hour;
            self.roots.clear();
        }
        let root = hash_name(hash_name(SEED, service.as_bytes()), operation.as_bytes());
        if self.roots.len() >= ROOTS_MAX && !self.roots.contains_key(&root) {
            return None;
        }
        let count = self.roots.entry(root).or_default();
        *count += 1;
        Some(*count - 1)
    }

    /// Takes one of the traces that a rule keeps of a service; false when there is none left.
    pub fn take(&mut self, rule: &str, service: &str, per_second: f64, at_ms: i64) -> bool {
        let most = per_second.max(1.0);
        let mut name = hash_name(hash_name(SEED, rule.as_bytes()), service.as_bytes());
        if self.rates.len() >= RATES_MAX && !self.rates.contains_key(&name) {
            name = hash_name(SEED, rule.as_bytes());
        }
        let rate = self.rates.entry(name).or_insert(Rate { tokens: most, at_ms });
        let passed_s = at_ms.saturating_sub(rate.at_ms).max(0) as f64 / 1000.0;
        rate.tokens = (rate.tokens + passed_s * per_second).min(most);
        rate.at_ms = rate.at_ms.max(at_ms);
        let is_left = rate.tokens >= 1.0;
        if is_left {
            rate.tokens -= 1.0;
        }
        is_left
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_signed(&mut out, self.hour);
        put(&mut out, self.roots.len() as u64);
        for (root, count) in &self.roots {
            out.extend_from_slice(&root.to_le_bytes());
            put(&mut out, *count);
        }
        put(&mut out, self.rates.len() as u64);
        for (name, rate) in &self.rates {
            out.extend_from_slice(&name.to_le_bytes());
            out.extend_from_slice(&rate.tokens.to_le_bytes());
            put_signed(&mut out, rate.at_ms);
        }
        out
    }

    /// Nothing was counted when it cannot be read: then a little more is kept.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        (reader.byte().ok()? == VERSION).then_some(())?;
        let mut counted = Self { hour: reader.signed().ok()?, ..Self::default() };
        for _ in 0..reader.size().ok()?.min(ROOTS_MAX) {
            let root = u64::from_le_bytes(reader.array().ok()?);
            counted.roots.insert(root, reader.number().ok()?);
        }
        // One more: what those beyond share.
        for _ in 0..reader.size().ok()?.min(2 * RATES_MAX) {
            let name = u64::from_le_bytes(reader.array().ok()?);
            let tokens = f64::from_le_bytes(reader.array().ok()?);
            counted.rates.insert(name, Rate { tokens, at_ms: reader.signed().ok()? });
        }
        Some(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_counted_by_the_hour() {
        let mut counted = Counted::default();
        let see = |counted: &mut Counted, operation: &str, at_ms| counted.see(("shop", operation), at_ms);
        assert_eq!([1, 2, 3].map(|at_ms| see(&mut counted, "GET /", at_ms)), [Some(0), Some(1), Some(2)]);
        assert_eq!(see(&mut counted, "PUT /", 3), Some(0));
        assert_eq!(see(&mut counted, "GET /", HOUR_MS), Some(0));
        // A straggler of the hour before counts in this one.
        assert_eq!(see(&mut counted, "GET /", HOUR_MS - 1), Some(1));
        for number in 0..ROOTS_MAX {
            see(&mut counted, &number.to_string(), HOUR_MS);
        }
        assert_eq!((see(&mut counted, "more", HOUR_MS), see(&mut counted, "GET /", HOUR_MS)), (None, Some(2)));
    }

    #[test]
    fn a_rate_is_kept_over_a_restart() {
        let mut counted = Counted::default();
        let take = |counted: &mut Counted, service: &str, at_ms| counted.take("rate", service, 2.0, at_ms);
        assert_eq!([0, 0, 0].map(|at_ms| take(&mut counted, "a", at_ms)), [true, true, false]);
        assert!(take(&mut counted, "b", 0));
        let mut counted = Counted::decode(&counted.encode());
        assert_eq!([100, 499, 500, 900].map(|at_ms| take(&mut counted, "a", at_ms)), [false, false, true, false]);
        // What is not used for long does not pile up.
        assert_eq!([90_000; 4].map(|at_ms| take(&mut counted, "a", at_ms)), [true, true, false, false]);
        assert_eq!([0, 9_999, 10_000].map(|at_ms| counted.take("slowly", "a", 0.1, at_ms)), [true, false, true]);
    }

    #[test]
    fn what_was_counted_comes_back() {
        let mut counted = Counted::default();
        counted.see(("a", "b"), 7 * HOUR_MS);
        counted.take("rate", "a", 0.5, 123);
        assert_eq!(Counted::decode(&counted.encode()), counted);
        let bytes = counted.encode();
        assert!((0..bytes.len()).all(|length| Counted::decode(&bytes[..length]) == Counted::default()));
    }
}

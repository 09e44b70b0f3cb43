//! Between which times telemetry may have happened.

use std::time::Duration;

use super::Reason;

/// How far something may lie in the future: clocks differ.
const FUTURE_NS_MAX: i64 = 3600 * 1_000_000_000;

/// Bounds in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub now_ns: i64,
    pub oldest_ns: i64,
    newest_ns: i64,
}

impl Times {
    /// What is older than it is kept would be dropped at once.
    #[must_use]
    pub fn new(now_ms: i64, kept: Duration) -> Self {
        let now_ns = now_ms.saturating_mul(1_000_000);
        let kept_ns = i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX);
        Self { now_ns, oldest_ns: now_ns.saturating_sub(kept_ns), newest_ns: now_ns.saturating_add(FUTURE_NS_MAX) }
    }

    /// # Errors
    /// When it lies outside.
    pub fn check(&self, at_ns: i64) -> Result<(), Reason> {
        match at_ns {
            at_ns if at_ns < self.oldest_ns => Err("too_old"),
            at_ns if at_ns > self.newest_ns => Err("in_future"),
            _ => Ok(()),
        }
    }
}

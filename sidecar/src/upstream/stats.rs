//! What one cluster and one host have counted; kept by name across configuration updates.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A number that only grows, or goes up and down; readers accept a value that is a moment old.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub fn inc(&self) {
        self.add(1);
    }

    /// Saturates: a gauge must not wrap should a decrement ever come twice.
    pub fn dec(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(1)));
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct ClusterStats {
    pub cx_total: Count,
    pub cx_active: Count,
    pub cx_connect_fail: Count,
    pub cx_connect_timeout: Count,
    pub cx_overflow: Count,
    pub cx_none_healthy: Count,
    pub cx_idle_timeout: Count,
    pub rq_total: Count,
    pub rq_active: Count,
    pub rq_completed: Count,
    pub rq_timeout: Count,
    pub rq_per_try_timeout: Count,
    pub rq_pending_total: Count,
    pub rq_pending_active: Count,
    pub rq_pending_overflow: Count,
    pub rq_cancelled: Count,
    pub rq_rx_reset: Count,
    pub rq_retry: Count,
    pub rq_retry_success: Count,
    pub rq_retry_limit_exceeded: Count,
    pub codes: CodeCounts,
}

#[derive(Debug, Default)]
pub struct HostStats {
    pub cx_total: Count,
    pub cx_active: Count,
    pub cx_connect_fail: Count,
    pub rq_total: Count,
    pub rq_active: Count,
    pub rq_success: Count,
    pub rq_error: Count,
    pub rq_timeout: Count,
}

/// Answers by status code. Codes from 100 to 599; others cannot pass hyper or are not HTTP's.
#[derive(Debug)]
pub struct CodeCounts {
    /// The common ones have their own counter, so that counting takes no lock.
    common: [(u16, Count); COMMON.len()],
    rare: Mutex<Vec<(u16, u64)>>,
}

const COMMON: [u16; 12] = [200, 201, 204, 206, 301, 302, 304, 400, 404, 500, 503, 504];

impl Default for CodeCounts {
    fn default() -> Self {
        Self { common: COMMON.map(|code| (code, Count::default())), rare: Mutex::default() }
    }
}

impl CodeCounts {
    pub fn record(&self, code: u16) {
        if let Some((_, count)) = self.common.iter().find(|(common, _)| *common == code) {
            return count.inc();
        }
        let mut rare = self.rare.lock();
        match rare.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None if (100..600).contains(&code) => rare.push((code, 1)),
            None => {}
        }
    }

    /// Codes that occurred, ascending.
    pub fn list(&self) -> Vec<(u16, u64)> {
        let mut all: Vec<_> = self
            .common
            .iter()
            .map(|(code, count)| (*code, count.get()))
            .filter(|(_, count)| *count > 0)
            .chain(self.rare.lock().iter().copied())
            .collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_common_and_rare_are_listed_in_order() {
        let codes = CodeCounts::default();
        for code in [503, 418, 200, 200, 418, 999] {
            codes.record(code);
        }
        assert_eq!(codes.list(), [(200, 2), (418, 2), (503, 1)]);
    }

    #[test]
    fn a_gauge_does_not_wrap() {
        let gauge = Count::default();
        gauge.dec();
        assert_eq!(gauge.get(), 0);
    }
}

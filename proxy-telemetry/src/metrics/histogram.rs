//! A histogram of whole numbers with Envoy's buckets.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds as they are printed; `+Inf` comes after them.
pub const BOUNDS: [&str; 19] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000", "300000",
    "600000", "1800000", "3600000",
];

/// The same bounds for whole numbers: 0.5 holds nothing but 0.
const LIMITS: [u64; 19] =
    [0, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000];

/// Counts per bucket, not cumulative, and the sum of all values.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; LIMITS.len() + 1],
    sum: AtomicU64,
}

/// What a histogram held at one moment; the count is that of the `+Inf` bucket, so both always agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Cumulative, one per bound and one for `+Inf`.
    pub cumulative: [u64; LIMITS.len() + 1],
    pub sum: u64,
}

impl Histogram {
    /// Counts one value.
    pub fn record(&self, value: u64) {
        let bucket = LIMITS.partition_point(|limit| *limit < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Reads all buckets.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut cumulative = [0; LIMITS.len() + 1];
        let mut total = 0;
        for (out, bucket) in cumulative.iter_mut().zip(&self.buckets) {
            total += bucket.load(Ordering::Relaxed);
            *out = total;
        }
        Snapshot { cumulative, sum: self.sum.load(Ordering::Relaxed) }
    }
}

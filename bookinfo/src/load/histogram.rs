//! Latencies in a fixed number of buckets, each at most 1/32 wider than its lower edge.

/// Buckets per doubling.
const STEPS: u64 = 32;
/// Covers every `u64`.
const BUCKETS: usize = 60 * STEPS as usize;

/// Counts of microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum_us: u128,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, sum_us: 0, max_us: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.sum_us += u128::from(micros);
        self.max_us = self.max_us.max(micros);
    }

    /// Upper edge of the bucket in which the quantile lies, never above the maximum; 0 without records.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        let rank = (quantile * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(index).min(self.max_us);
            }
        }
        self.max_us
    }

    #[must_use]
    pub fn mean_us(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.sum_us as f64 / self.total as f64 }
    }

    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.max_us
    }
}

/// Values below 32 have a bucket each; then 32 buckets per doubling.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEPS.ilog2();
    (u64::from(shift + 1) * STEPS + ((value >> shift) - STEPS)) as usize
}

fn upper_edge(index: usize) -> u64 {
    let (row, step) = (index as u64 / STEPS, index as u64 % STEPS);
    if row == 0 { step } else { ((STEPS + step + 1) << (row - 1)) - 1 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_gapless_and_narrow() {
        let mut last = bucket(0);
        for value in 1..1_000_000_u64 {
            let index = bucket(value);
            assert!(index == last || index == last + 1, "{value}");
            assert!(upper_edge(index) >= value && upper_edge(index) - value <= value / 32, "{value}");
            last = index;
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_a_hundred_values() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|ms| histogram.record(ms * 1_000));
        assert!((50_000..=51_600).contains(&histogram.quantile_us(0.50)));
        assert!((99_000..=100_000).contains(&histogram.quantile_us(0.99)));
        assert_eq!(histogram.quantile_us(1.0), 100_000);
        assert_eq!(histogram.mean_us(), 50_500.0);
        assert_eq!(Histogram::default().quantile_us(0.5), 0);
    }
}

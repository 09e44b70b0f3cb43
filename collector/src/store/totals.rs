//! What an edge carried in a span of time.

use std::sync::Arc;

use super::EdgeLabels;

/// A span of time, `from_ms` included, `to_ms` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Window {
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.to_ms - self.from_ms).max(0) as f64 / 1000.0
    }
}

/// Requests by how long they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds of the buckets, ascending, without `+Inf`.
    pub bounds: Arc<[f64]>,
    /// Requests per bucket (not cumulative); one more than `bounds`, the last is `+Inf`.
    pub counts: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bounds: Arc::from([]), counts: vec![0], sum: 0.0 }
    }
}

impl Histogram {
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another histogram. With other bounds only the bounds that both have remain, at which both counts are exact.
    pub fn add(&mut self, other: &Self) {
        if other.count() == 0 && other.sum == 0.0 {
            return;
        }
        if self.count() == 0 && self.sum == 0.0 {
            *self = other.clone();
            return;
        }
        if self.bounds != other.bounds {
            let common: Arc<[f64]> = self.bounds.iter().copied().filter(|b| other.bounds.contains(b)).collect();
            self.counts = self.counts_at(&common);
            for (mine, theirs) in self.counts.iter_mut().zip(other.counts_at(&common)) {
                *mine += theirs;
            }
            self.bounds = common;
        } else {
            for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
                *mine += theirs;
            }
        }
        self.sum += other.sum;
    }

    /// The value below which the share `q` (0 to 1) of the requests lies, interpolated inside its bucket as Prometheus
    /// does; `None` without requests. A quantile in the `+Inf` bucket is the highest bound.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count as f64;
        let mut below = 0u64;
        for (index, &inside) in self.counts.iter().enumerate() {
            let upto = below + inside;
            if upto as f64 >= rank && (inside > 0 || index + 1 == self.counts.len()) {
                return Some(self.interpolate(index, rank - below as f64, inside as f64));
            }
            below = upto;
        }
        self.bounds.last().copied()
    }

    fn interpolate(&self, bucket: usize, rank: f64, inside: f64) -> f64 {
        let Some(&upper) = self.bounds.get(bucket) else {
            return self.bounds.last().copied().unwrap_or(0.0);
        };
        let lower = if bucket == 0 { 0.0 } else { self.bounds[bucket - 1] };
        lower + (upper - lower) * (rank / inside).clamp(0.0, 1.0)
    }

    fn counts_at(&self, bounds: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for (index, &count) in self.counts.iter().enumerate() {
            let place = match self.bounds.get(index) {
                Some(bound) => bounds.partition_point(|b| b < bound),
                None => bounds.len(),
            };
            counts[place] += count;
        }
        counts
    }
}

/// Everything that is counted for an edge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub requests: u64,
    /// Milliseconds.
    pub duration: Histogram,
    pub request_bytes: f64,
    pub response_bytes: f64,
    /// gRPC messages; on edges of their own, without protocol, code and flags.
    pub request_messages: u64,
    pub response_messages: u64,
    /// TCP; on edges of their own, without codes.
    pub tcp_sent_bytes: u64,
    pub tcp_received_bytes: u64,
    pub tcp_opened: u64,
    pub tcp_closed: u64,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.duration.add(&other.duration);
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.request_messages += other.request_messages;
        self.response_messages += other.response_messages;
        self.tcp_sent_bytes += other.tcp_sent_bytes;
        self.tcp_received_bytes += other.tcp_received_bytes;
        self.tcp_opened += other.tcp_opened;
        self.tcp_closed += other.tcp_closed;
    }
}

/// One edge and what it carried.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeTotals {
    pub labels: Arc<EdgeLabels>,
    pub totals: Totals,
}

/// Edges with traffic in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeAnswer {
    /// The window that the totals really cover: the one asked for, rounded outwards to the finest step still kept.
    /// Rates divide by its length.
    pub window: Window,
    pub edges: Vec<EdgeTotals>,
}

/// One step of a series, of one group of edges.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTotals {
    /// Start of the step.
    pub t_ms: i64,
    /// What the caller's classifier said of the edges summed here.
    pub group: u8,
    pub totals: Totals,
}

/// Traffic over time, oldest first; steps without traffic are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAnswer {
    pub window: Window,
    /// The step asked for, or the finest that is kept for the window when that is longer.
    pub step_s: u64,
    pub points: Vec<StepTotals>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(bounds: &[f64], counts: &[u64]) -> Histogram {
        Histogram { bounds: bounds.into(), counts: counts.to_vec(), sum: 0.0 }
    }

    #[test]
    fn quantiles_interpolate_inside_the_bucket() {
        let durations = histogram(&[1.0, 5.0, 10.0], &[10, 10, 0, 0]);
        assert_eq!(durations.quantile(0.25), Some(0.5));
        assert_eq!(durations.quantile(0.75), Some(3.0));
        assert_eq!(durations.quantile(1.0), Some(5.0));
        assert_eq!(histogram(&[1.0], &[0, 0]).quantile(0.5), None);
        assert_eq!(histogram(&[1.0, 5.0], &[0, 0, 4]).quantile(0.5), Some(5.0));
    }

    #[test]
    fn histograms_with_other_bounds_meet_at_their_common_bounds() {
        let mut sum = histogram(&[1.0, 5.0, 10.0], &[1, 2, 3, 4]);
        sum.add(&histogram(&[5.0, 20.0], &[10, 20, 30]));
        assert_eq!(sum.bounds.as_ref(), [5.0]);
        assert_eq!(sum.counts, [13, 57]);
    }
}

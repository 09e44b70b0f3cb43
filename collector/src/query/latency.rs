//! Reads averages and quantiles off latency histograms.

use sidelight_api::graph::Latency;

use super::rounding::thousandths;
use crate::store::Histogram;

/// Mean of all values in milliseconds; nothing when the histogram is empty.
#[must_use]
pub fn average(histogram: &Histogram) -> Option<f64> {
    match histogram.count() {
        0 => None,
        count => Some(histogram.sum / count as f64),
    }
}

/// The four numbers that travel with an edge or a node.
#[must_use]
pub fn latency(histogram: &Histogram) -> Option<Latency> {
    Some(Latency {
        avg: thousandths(average(histogram)?),
        p50: thousandths(histogram.quantile(0.5)?),
        p95: thousandths(histogram.quantile(0.95)?),
        p99: thousandths(histogram.quantile(0.99)?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{average, latency};
    use crate::query::graph::fixture::durations;
    use crate::store::Histogram;
    use sidelight_api::graph::Latency;

    #[test]
    fn quantiles_are_those_of_prometheus() {
        // Ten requests in (5,10] and ten in (10,25]: what `histogram_quantile` answers for the same buckets.
        let histogram = durations(&[(7.0, 10), (20.0, 10)]);
        assert_eq!(latency(&histogram), Some(Latency { avg: 13.5, p50: 10.0, p95: 23.5, p99: 24.7 }));
    }

    #[test]
    fn a_rank_in_the_open_bucket_gives_the_last_finite_bound() {
        let histogram = durations(&[(1.0, 1), (4_000_000.0, 2)]);
        assert!((latency(&histogram).unwrap().p95 - 3_600_000.0).abs() < 1e-9);
    }

    #[test]
    fn the_first_bucket_starts_at_zero() {
        assert!((latency(&durations(&[(0.2, 2)])).unwrap().p50 - 0.25).abs() < 1e-9);
    }

    #[test]
    fn an_empty_histogram_says_nothing() {
        assert_eq!(average(&Histogram::default()), None);
        assert_eq!(latency(&Histogram::default()), None);
    }
}

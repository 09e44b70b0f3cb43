//! What the load client counted, as numbers and as text.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;

/// The client's own counts; `sent` is always `answered` plus the errors once the run is over.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadReport {
    /// Requests begun.
    pub sent: u64,
    /// Whole answers, whatever their status.
    pub answered: u64,
    pub by_status: BTreeMap<u16, u64>,
    /// Requests without a whole answer, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Requests that the pace asked for and that were left out because the client was behind.
    pub skipped: u64,
    pub body_bytes: u64,
    pub elapsed_s: f64,
    /// Answers per second.
    pub rate: f64,
    pub latency_ms: LatencyMs,
}

/// From the moment that the pace had set to the last byte, so that waiting for a slow callee counts as slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencyMs {
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// Filled while the client runs.
#[derive(Default)]
pub(super) struct Tally {
    pub report: LoadReport,
    histogram: Histogram,
}

impl Tally {
    pub fn answer(&mut self, status: u16, bytes: usize, latency: Duration) {
        self.report.answered += 1;
        *self.report.by_status.entry(status).or_default() += 1;
        self.report.body_bytes += bytes as u64;
        self.histogram.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn error(&mut self, kind: &str) {
        *self.report.errors.entry(kind.to_owned()).or_default() += 1;
    }

    pub fn report(&self, elapsed: Duration) -> LoadReport {
        let quantile = |q| ms(self.histogram.quantile_us(q) as f64);
        let elapsed_s = elapsed.as_secs_f64();
        LoadReport {
            elapsed_s,
            rate: if elapsed_s > 0.0 { self.report.answered as f64 / elapsed_s } else { 0.0 },
            latency_ms: LatencyMs {
                mean: ms(self.histogram.mean_us()),
                p50: quantile(0.50),
                p95: quantile(0.95),
                p99: quantile(0.99),
                max: ms(self.histogram.max_us() as f64),
            },
            ..self.report.clone()
        }
    }
}

fn ms(micros: f64) -> f64 {
    micros.round() / 1_000.0
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} answered in {:.1} s ({:.1}/s)", self.sent, self.answered, self.elapsed_s, self.rate)?;
        for (status, count) in &self.by_status {
            write!(f, ", {status}: {count}")?;
        }
        for (kind, count) in &self.errors {
            write!(f, ", {kind}: {count}")?;
        }
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        let LatencyMs { p50, p95, p99, max, .. } = self.latency_ms;
        write!(f, "; ms p50 {p50:.1} p95 {p95:.1} p99 {p99:.1} max {max:.1}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_names_every_count() {
        let mut tally = Tally::default();
        tally.report.sent = 3;
        tally.answer(200, 10, Duration::from_millis(5));
        tally.answer(503, 0, Duration::from_millis(5));
        tally.error("connect");
        let text = tally.report(Duration::from_secs(1)).to_string();
        assert_eq!(text, "3 sent, 2 answered in 1.0 s (2.0/s), 200: 1, 503: 1, connect: 1; ms p50 5.0 p95 5.0 p99 5.0 max 5.0");
    }
}

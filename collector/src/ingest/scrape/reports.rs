//! What a scrape tells of itself: whether the target answered, how long it took, how much there was.

use std::sync::Arc;
use std::time::Duration;

use super::naming::Naming;
use crate::store::sample::index::Series;

/// Metrics of the scrape itself, named as Prometheus names them.
const NAMES: [&str; 5] =
    ["up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"];

/// The series of these metrics of one target.
#[derive(Clone, Debug)]
pub struct Reports([Option<Arc<Series>>; 5]);

/// One scrape's values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub is_up: bool,
    pub took: Duration,
    pub scraped: u64,
    pub kept: u64,
    pub added: u64,
}

impl Reports {
    #[must_use]
    pub fn new(naming: &Naming) -> Self {
        Self(NAMES.map(|name| naming.own(name)))
    }

    pub fn series(&self) -> impl Iterator<Item = &Arc<Series>> {
        self.0.iter().flatten()
    }

    /// These values and those of samples, by the id of their series. Where a target tells one of these itself, it is not
    /// asked.
    pub fn among(&self, report: &Report, samples: Vec<(i64, f64)>) -> Vec<(i64, f64)> {
        let mut all: Vec<(i64, f64)> = self.values(report).chain(samples).collect();
        all.sort_by_key(|(id, _)| *id);
        all.dedup_by_key(|(id, _)| *id);
        all
    }

    fn values(&self, report: &Report) -> impl Iterator<Item = (i64, f64)> {
        // To the microsecond: what is finer is noise, and costs most of the bytes.
        let took_s = report.took.as_micros() as f64 / 1e6;
        let numbers = [report.scraped, report.kept, report.added].map(|number| number as f64);
        let values = [f64::from(u8::from(report.is_up)), took_s, numbers[0], numbers[1], numbers[2]];
        self.0.iter().zip(values).filter_map(|(series, value)| Some((series.as_ref()?.id, value)))
    }
}

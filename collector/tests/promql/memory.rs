//! Series in memory, as a source of samples.

use async_trait::async_trait;
use sidelight_collector::query::promql::{QueryError, Select, Source};
use sidelight_collector::store::sample::{Labels, SeriesSamples};

pub struct Memory(pub Vec<SeriesSamples>);

#[async_trait]
impl Source for Memory {
    async fn select(&self, select: &Select, samples_max: usize) -> Result<Vec<SeriesSamples>, QueryError> {
        let fits = |labels: &Labels| {
            let value = |name: &str| labels.iter().find(|(known, _)| **known == *name).map_or("", |(_, value)| value);
            select.matchers.iter().all(|matcher| matcher.matches(value(&matcher.name)))
        };
        let within = |series: &SeriesSamples| {
            let samples = series.samples.iter().filter(|s| (select.from_ms..=select.to_ms).contains(&s.t_ms));
            SeriesSamples { labels: series.labels.clone(), samples: samples.copied().collect() }
        };
        let found = self.0.iter().filter(|series| fits(&series.labels)).map(within);
        let found: Vec<_> = found.filter(|series| !series.samples.is_empty()).collect();
        let count: usize = found.iter().map(|series| series.samples.len()).sum();
        if count > samples_max { Err(QueryError::TooManySamples(samples_max)) } else { Ok(found) }
    }
}

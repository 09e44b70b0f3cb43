//! What `stats` adds to an answer: times, and how many samples were read.

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::query::promql::{QueryError, Select, Source};
use crate::store::SeriesSamples;

/// Counts what goes through.
pub(super) struct Counted<'a> {
    source: &'a dyn Source,
    read: Mutex<Read>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    samples: usize,
    took: Duration,
}

impl<'a> Counted<'a> {
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, read: Mutex::default() }
    }

    pub fn read(&self) -> Read {
        *self.read.lock()
    }
}

#[async_trait]
impl Source for Counted<'_> {
    async fn select(&self, select: &Select, samples_max: usize) -> Result<Vec<SeriesSamples>, QueryError> {
        let started = std::time::Instant::now();
        let found = self.source.select(select, samples_max).await?;
        let mut read = self.read.lock();
        read.samples += found.iter().map(|series| series.samples.len()).sum::<usize>();
        read.took += started.elapsed();
        Ok(found)
    }
}

/// In the shape of Prometheus. Each sample is counted once, as it is read once; Prometheus counts it for each step.
pub(super) fn stats(read: Read, waited: Duration, took: Duration) -> Value {
    let evaluated = took.saturating_sub(waited);
    json!({
        "timings": {
            "evalTotalTime": evaluated.as_secs_f64(),
            "resultSortTime": 0.0,
            "queryPreparationTime": read.took.as_secs_f64(),
            "innerEvalTime": evaluated.saturating_sub(read.took).as_secs_f64(),
            "execQueueTime": waited.as_secs_f64(),
            "execTotalTime": took.as_secs_f64(),
        },
        "samples": {"totalQueryableSamples": read.samples, "peakSamples": read.samples},
    })
}

//! What is exported, where to, and what is wrong with that.

use std::time::Duration;

use super::client::ClientSettings;
use super::filter::SpanFilter;

/// Spans in one request.
pub const BATCH_SPANS_MAX: usize = 10_000;
/// Longest time that spans wait for company.
pub const BATCH_DELAY_MAX: Duration = Duration::from_secs(60);
/// Smallest queue: one block of spans has to fit.
pub const QUEUE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Off by default.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    pub otlp: Option<ClientSettings>,
    pub zipkin: Option<ClientSettings>,
    pub filter: SpanFilter,
    /// Spans of one request.
    pub batch_spans: usize,
    /// How long spans wait for company.
    pub batch_delay: Duration,
    /// Bytes that wait for one backend; beyond them the oldest are dropped.
    pub queue_bytes: u64,
}

impl Default for ExportSettings {
    fn default() -> Self {
        Self {
            otlp: None,
            zipkin: None,
            filter: SpanFilter::default(),
            batch_spans: 1000,
            batch_delay: Duration::from_secs(1),
            queue_bytes: 1024 * 1024 * 1024,
        }
    }
}

impl ExportSettings {
    /// The exporters by the names that their queues, metrics and reports have.
    pub(crate) fn exporters(&self) -> Vec<(&'static str, &ClientSettings)> {
        let named = [("otlp", &self.otlp), ("zipkin", &self.zipkin)];
        named.into_iter().filter_map(|(name, client)| Some((name, client.as_ref()?))).collect()
    }

    pub(crate) fn check(&self, mistakes: &mut Vec<String>) {
        let percent = self.filter.sampling_percent;
        if !(0.0..=100.0).contains(&percent) {
            mistakes.push(format!("the sampling of the export is {percent} percent; it lies between 0 and 100"));
        }
        if !(1..=BATCH_SPANS_MAX).contains(&self.batch_spans) {
            mistakes.push(format!("a batch of the export has {} spans; it has 1 to {BATCH_SPANS_MAX}", self.batch_spans));
        }
        if self.batch_delay > BATCH_DELAY_MAX {
            mistakes.push(format!("a batch of the export waits {:?}; the longest is {BATCH_DELAY_MAX:?}", self.batch_delay));
        }
        if self.queue_bytes < QUEUE_BYTES_MIN {
            mistakes.push(format!("the queue of the export has {} bytes; the smallest is {QUEUE_BYTES_MIN}", self.queue_bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told() {
        let mut mistakes = Vec::new();
        ExportSettings::default().check(&mut mistakes);
        assert_eq!(mistakes, [""; 0]);
        let filter = SpanFilter { sampling_percent: 101.0, ..SpanFilter::default() };
        let bad =
            ExportSettings { filter, batch_spans: 0, batch_delay: Duration::from_secs(61), queue_bytes: 1, ..Default::default() };
        bad.check(&mut mistakes);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert_eq!(mistakes[1], "a batch of the export has 0 spans; it has 1 to 10000");
    }
}

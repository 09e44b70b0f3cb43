//! What the exporters count of themselves.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::store::QueueState;

/// Seconds; from a backend beside us to the time-out.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Exporter {
    exporter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    exporter: String,
    outcome: String,
}

#[derive(Clone, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// Counters that all clones share.
#[derive(Clone, Debug)]
pub struct ExportMetrics {
    spans: Family<Outcome, Counter>,
    requests: Family<Outcome, Counter>,
    request_seconds: Family<Exporter, Histogram, Buckets>,
    queue_spans: Family<Exporter, Gauge>,
    queue_bytes: Family<Exporter, Gauge>,
    lag_seconds: Family<Exporter, Gauge<f64, AtomicU64>>,
}

impl Default for ExportMetrics {
    fn default() -> Self {
        Self {
            spans: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Buckets),
            queue_spans: Family::default(),
            queue_bytes: Family::default(),
            lag_seconds: Family::default(),
        }
    }
}

impl ExportMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("export_spans", "Spans that left the queue of an exporter, by what became of them", self.spans.clone());
        registry.register("export_requests", "Requests to backends by outcome", self.requests.clone());
        registry.register_with_unit(
            "export_request_duration",
            "Time of one request to a backend",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("export_queue_spans", "Spans that wait for a backend", self.queue_spans.clone());
        registry.register_with_unit("export_queue", "Bytes that wait for a backend", Unit::Bytes, self.queue_bytes.clone());
        registry.register_with_unit(
            "export_lag",
            "Age of the oldest span that waits for a backend",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
    }

    pub(super) fn spans(&self, exporter: &str, outcome: &str, count: u64) {
        if count > 0 {
            self.spans.get_or_create(&labels(exporter, outcome)).inc_by(count);
        }
    }

    pub(super) fn requested(&self, exporter: &str, outcome: &str, took: Duration) {
        self.requests.get_or_create(&labels(exporter, outcome)).inc();
        self.request_seconds.get_or_create(&Exporter { exporter: exporter.to_owned() }).observe(took.as_secs_f64());
    }

    pub(super) fn queue(&self, exporter: &str, state: &QueueState, lag: Duration) {
        let label = Exporter { exporter: exporter.to_owned() };
        self.queue_spans.get_or_create(&label).set(i64::try_from(state.items).unwrap_or(i64::MAX));
        self.queue_bytes.get_or_create(&label).set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
        self.lag_seconds.get_or_create(&label).set(lag.as_secs_f64());
    }
}

fn labels(exporter: &str, outcome: &str) -> Outcome {
    Outcome { exporter: exporter.to_owned(), outcome: outcome.to_owned() }
}

//! What an exporter tells of itself: to the metrics, to the status page, and to the log in few lines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sidelight_api::status::ExporterStatus;
use tracing::{info, warn};

use super::metrics::ExportMetrics;
use crate::clock::now_ms;
use crate::store::QueueState;

/// Time between two lines about spans that were dropped.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Of one exporter. Clones are one.
#[derive(Clone)]
pub struct Report {
    metrics: ExportMetrics,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    status: ExporterStatus,
    is_failing: bool,
    /// Dropped and not yet told.
    untold: u64,
    told_at: Option<Instant>,
}

impl Report {
    #[must_use]
    pub fn new(exporter: &str, destination: String, metrics: ExportMetrics) -> Self {
        let status = ExporterStatus { exporter: exporter.to_owned(), destination, ..ExporterStatus::default() };
        let shared = Shared { status, is_failing: false, untold: 0, told_at: None };
        Self { metrics, shared: Arc::new(Mutex::new(shared)) }
    }

    #[must_use]
    pub fn status(&self) -> ExporterStatus {
        self.shared.lock().status.clone()
    }

    pub(super) fn queue(&self, state: &QueueState) {
        let mut shared = self.shared.lock();
        let status = &mut shared.status;
        (status.queued_spans, status.queued_bytes) = (state.items, state.bytes);
        status.lag_s = state.oldest_ms.map_or(0.0, |oldest_ms| (now_ms() - oldest_ms).max(0) as f64 / 1000.0);
        self.metrics.queue(&status.exporter, state, Duration::from_secs_f64(status.lag_s));
    }

    pub(super) fn delivered(&self, spans: u64, took: Duration) {
        let mut shared = self.shared.lock();
        let status = &mut shared.status;
        status.sent_spans += spans;
        status.failures_in_a_row = 0;
        status.last_success_ms = Some(now_ms());
        self.metrics.spans(&status.exporter, "sent", spans);
        self.metrics.requested(&status.exporter, "delivered", took);
        if std::mem::take(&mut shared.is_failing) {
            info!(exporter = shared.status.exporter, "the backend takes spans again");
        }
    }

    /// The request will be sent again.
    pub(super) fn failed(&self, error: &str, took: Duration) {
        let mut shared = self.shared.lock();
        let status = &mut shared.status;
        status.failures_in_a_row += 1;
        status.last_error = Some(error.to_owned());
        self.metrics.requested(&status.exporter, "failed", took);
        if !std::mem::replace(&mut shared.is_failing, true) {
            warn!(exporter = shared.status.exporter, error, "a backend does not take spans; they wait in the queue");
        }
    }

    /// The backend will never take the request.
    pub(super) fn refused(&self, error: &str, took: Duration) {
        let mut shared = self.shared.lock();
        shared.status.last_error = Some(error.to_owned());
        self.metrics.requested(&shared.status.exporter, "refused", took);
    }

    pub(super) fn filtered(&self, spans: u64) {
        let mut shared = self.shared.lock();
        shared.status.filtered_spans += spans;
        self.metrics.spans(&shared.status.exporter, "filtered", spans);
    }

    /// Counts spans of traces that tail sampling leaves out.
    pub(super) fn judged_out(&self, spans: u64) {
        let mut shared = self.shared.lock();
        shared.status.filtered_spans += spans;
        self.metrics.spans(&shared.status.exporter, "judged_out", spans);
    }

    /// Counts spans that will never arrive; tells it at once, then at most once a minute.
    pub fn dropped(&self, reason: &'static str, spans: u64, detail: &str) {
        if spans == 0 {
            return;
        }
        let mut shared = self.shared.lock();
        shared.status.dropped_spans += spans;
        self.metrics.spans(&shared.status.exporter, &format!("dropped:{reason}"), spans);
        shared.untold += spans;
        if shared.told_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            shared.told_at = Some(Instant::now());
            let spans = std::mem::take(&mut shared.untold);
            warn!(exporter = shared.status.exporter, spans, reason, detail, "spans were dropped on their way to a backend");
        }
    }
}

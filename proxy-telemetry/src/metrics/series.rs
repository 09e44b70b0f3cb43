//! One label set: the counter and the three histograms that a request adds to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Histogram, Sample};

/// Counter and histograms of one label set, with the label text made once.
#[derive(Debug)]
pub struct Series {
    labels: Box<str>,
    requests: AtomicU64,
    retired: AtomicBool,
    pub(crate) duration_ms: Histogram,
    pub(crate) request_bytes: Histogram,
    pub(crate) response_bytes: Histogram,
}

impl Series {
    pub(crate) fn new(labels: Box<str>) -> Self {
        Self {
            labels,
            requests: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            duration_ms: Histogram::default(),
            request_bytes: Histogram::default(),
            response_bytes: Histogram::default(),
        }
    }

    /// The labels in Istio's order, without braces.
    #[must_use]
    pub fn labels(&self) -> &str {
        &self.labels
    }

    /// Requests counted so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Adds a request. `false` when the series is being given up: the caller must look whether it still is listed,
    /// else the request would be lost.
    pub(crate) fn record(&self, sample: Sample) -> bool {
        self.duration_ms.record(sample.duration_ms);
        self.request_bytes.record(sample.request_bytes);
        self.response_bytes.record(sample.response_bytes);
        // Last, and ordered against `retire`: whoever retires either sees this request or is seen by it.
        self.requests.fetch_add(1, Ordering::SeqCst);
        !self.retired.load(Ordering::SeqCst)
    }

    /// Gives the series up if it still holds exactly `seen` requests.
    pub(crate) fn retire(&self, seen: u64) -> bool {
        self.retired.store(true, Ordering::SeqCst);
        let idle = self.requests() == seen;
        if !idle {
            self.retired.store(false, Ordering::SeqCst);
        }
        idle
    }
}

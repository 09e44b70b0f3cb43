//! The shared table of series beneath the threads' own memories: bounded, and forgetful of what is idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};

use super::{Sample, Series, hot};
use crate::labels::{LabelSources, label};
use crate::peer::next_number;

/// Series a proxy keeps by default; about 2 KiB each.
pub const SERIES_MAX: usize = 5_000;
/// How long a series stays without a request by default. A scraper that comes once an hour still sees every count.
pub const SERIES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// Least time between two searches for idle series.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Bounds of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Label sets kept; requests of further ones are counted in one series labelled `overflow="true"`.
    pub series_max: usize,
    /// Idle time after which a label set is given up.
    pub idle: Duration,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self { series_max: SERIES_MAX, idle: SERIES_IDLE }
    }
}

/// All label sets of Istio's standard metrics.
pub struct Registry {
    number: u64,
    settings: RegistrySettings,
    series: RwLock<AHashMap<Box<str>, Arc<Series>>>,
    overflow: Series,
    overflowed: AtomicU64,
    sweep: Mutex<Sweep>,
}

struct Sweep {
    last: Instant,
    /// Requests a series held, and since when it holds no more than that.
    seen: AHashMap<Box<str>, (u64, Instant)>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(settings: RegistrySettings) -> Self {
        let mut overflow = String::new();
        label(&mut overflow, "overflow", "true");
        Self {
            number: next_number(),
            settings,
            series: RwLock::default(),
            overflow: Series::new(overflow.into()),
            overflowed: AtomicU64::new(0),
            sweep: Mutex::new(Sweep { last: Instant::now(), seen: AHashMap::new() }),
        }
    }

    /// Counts one request. Takes no lock and allocates nothing once this thread knows the label set.
    pub(crate) fn record(&self, sources: &LabelSources<'_>, sample: Sample) {
        let find = || self.find(sources);
        let counted = match sources.key() {
            Some(key) => hot::with_series(self.number, key, find, |s| self.add(s, sample)),
            None => find().map(|series| self.add(&series, sample)),
        };
        let counted = match counted {
            // Given up between the look-up and the count; the shared table has, or makes, a new one.
            Some(false) => find().map(|series| self.add(&series, sample)),
            other => other,
        };
        if counted != Some(true) {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            self.overflow.record(sample);
        }
    }

    /// Requests that found the registry full.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// All series, by their labels.
    pub(crate) fn all(&self) -> Vec<Arc<Series>> {
        let mut all: Vec<_> = self.series.read().values().cloned().collect();
        all.sort_unstable_by(|a, b| a.labels().cmp(b.labels()));
        all
    }

    pub(crate) fn overflow(&self) -> Option<&Series> {
        (self.overflow.requests() > 0).then_some(&self.overflow)
    }

    /// Gives up series that have been idle for too long; called by whoever renders, and cheap when nothing is due.
    pub(crate) fn expire(&self, now: Instant) {
        let mut sweep = self.sweep.lock();
        if now.saturating_duration_since(sweep.last) < SWEEP_EVERY {
            return;
        }
        sweep.last = now;
        let mut series = self.series.write();
        let before = series.len();
        series.retain(|labels, series| {
            let idle = sweep.idle_at(labels, series.requests(), now, self.settings.idle);
            !idle.is_some_and(|seen| series.retire(seen))
        });
        sweep.seen.retain(|labels, _| series.contains_key(labels));
        if series.len() < before {
            hot::forget();
        }
    }

    /// `false` when the series was given up meanwhile and the request must be counted elsewhere.
    fn add(&self, series: &Arc<Series>, sample: Sample) -> bool {
        series.record(sample) || self.lists(series)
    }

    fn lists(&self, series: &Arc<Series>) -> bool {
        // Waits for a sweep in progress, so the answer is final.
        let all = self.series.read();
        all.get(series.labels()).is_some_and(|s| Arc::ptr_eq(s, series))
    }

    fn find(&self, sources: &LabelSources<'_>) -> Option<Arc<Series>> {
        hot::with_text(|text| {
            sources.render(text);
            self.find_or_add(text)
        })
    }

    fn find_or_add(&self, labels: &str) -> Option<Arc<Series>> {
        if let Some(series) = self.series.read().get(labels) {
            return Some(Arc::clone(series));
        }
        let mut all = self.series.write();
        if let Some(series) = all.get(labels) {
            return Some(Arc::clone(series));
        }
        if all.len() >= self.settings.series_max {
            return None;
        }
        let series = Arc::new(Series::new(labels.into()));
        all.insert(labels.into(), Arc::clone(&series));
        Some(series)
    }
}

impl Sweep {
    /// The requests of a series that has been idle for long enough.
    fn idle_at(&mut self, labels: &str, requests: u64, now: Instant, idle: Duration) -> Option<u64> {
        match self.seen.get_mut(labels) {
            Some((seen, since)) if *seen == requests => (now.saturating_duration_since(*since) >= idle).then_some(requests),
            Some(entry) => {
                *entry = (requests, now);
                None
            }
            None => {
                self.seen.insert(labels.into(), (requests, now));
                None
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Threads must not keep the series of a registry that is gone.
        hot::forget();
    }
}

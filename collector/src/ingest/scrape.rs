//! Scrapes proxies: who, when, and what becomes of the answers.

mod fetch;
mod files;
mod scheduler;
mod task;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use sidelight_api::proxy::Scrape;

pub use files::{FileTargetsError, parse_targets, watch_file};
pub use scheduler::{Scheduler, TARGETS_MAX};
pub use task::EDGES_MAX;

/// Somebody to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeTarget {
    /// Names the target for as long as it lives: the node id of a proxy, the URL of a configured target.
    pub key: Arc<str>,
    pub url: String,
    /// Namespace of the workload; empty when not known.
    pub namespace: Arc<str>,
    /// False while a registered proxy is away; it is scraped as long as it answers.
    pub connected: bool,
    /// `None` for configured targets.
    pub registered_at_ms: Option<i64>,
}

/// How scraping is done.
#[derive(Clone, Copy, Debug)]
pub struct ScrapeSettings {
    pub interval: Duration,
    pub timeout: Duration,
}

impl ScrapeSettings {
    /// A scrape has to end before the next one begins, but a busy proxy needs a second.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval, timeout: interval.clamp(Duration::from_secs(1), Duration::from_secs(10)) }
    }
}

/// How the last scrape of each target went.
#[derive(Clone, Default)]
pub struct ScrapeStatuses(Arc<DashMap<Arc<str>, Scrape>>);

impl ScrapeStatuses {
    /// By the key of the target.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Scrape> {
        self.0.get(key).map(|status| status.clone())
    }

    /// All targets, by key.
    #[must_use]
    pub fn all(&self) -> Vec<(Arc<str>, Scrape)> {
        let mut all: Vec<_> = self.0.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn set(&self, key: &Arc<str>, status: Scrape) {
        self.0.insert(key.clone(), status);
    }

    fn forget(&self, key: &str) {
        self.0.remove(key);
    }
}

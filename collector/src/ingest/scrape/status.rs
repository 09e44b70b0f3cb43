//! How the last scrape of each target went, for whoever asks.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::RwLock;
use sidelight_api::proxy::Scrape;

use super::labels::LabelSet;
use super::target::ScrapeTarget;
use crate::store::Metadata;

/// A target and what became of it.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    pub target: ScrapeTarget,
    /// `None` until it was scraped for the first time.
    pub scrape: Option<Scrape>,
    /// What it said of its metrics when it was scraped last.
    pub metadata: Arc<[Metadata]>,
}

/// Targets of one pool that relabelling dropped.
#[derive(Clone, Debug, Default)]
pub struct DroppedTargets {
    pub pool: Arc<str>,
    /// The first of them, as they were discovered.
    pub shown: Vec<Arc<LabelSet>>,
    pub total: usize,
}

/// Of all targets of this collector; cheap to clone.
#[derive(Clone, Default)]
pub struct ScrapeStatuses(Arc<Inner>);

#[derive(Default)]
struct Inner {
    targets: DashMap<Arc<str>, TargetStatus>,
    /// Keys of the targets by the node ids of registered proxies.
    nodes: DashMap<Arc<str>, Arc<str>>,
    dropped: RwLock<Vec<DroppedTargets>>,
}

impl ScrapeStatuses {
    /// By the key of the target, or by the node id of a registered proxy.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Scrape> {
        let named = self.0.nodes.get(key).map(|key| key.clone());
        let key = named.as_deref().unwrap_or(key);
        self.0.targets.get(key).and_then(|status| status.scrape.clone())
    }

    /// All targets that were scraped, by key.
    #[must_use]
    pub fn all(&self) -> Vec<(Arc<str>, Scrape)> {
        self.targets().into_iter().filter_map(|status| Some((status.target.key.clone(), status.scrape?))).collect()
    }

    /// Whether there is a target of some kind.
    pub(super) fn any(&self, is_it: impl Fn(&ScrapeTarget) -> bool) -> bool {
        self.0.targets.iter().any(|entry| is_it(&entry.value().target))
    }

    /// All targets, by key.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStatus> {
        let mut all: Vec<_> = self.0.targets.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| a.target.key.cmp(&b.target.key));
        all
    }

    #[must_use]
    pub fn dropped(&self) -> Vec<DroppedTargets> {
        self.0.dropped.read().clone()
    }

    pub(super) fn set_dropped(&self, dropped: Vec<DroppedTargets>) {
        *self.0.dropped.write() = dropped;
    }

    /// The target as it is known now; how it was scraped so far stays.
    pub(super) fn follow(&self, target: &ScrapeTarget) {
        if let Some(node) = &target.node_id {
            self.0.nodes.insert(node.clone(), target.key.clone());
        }
        match self.0.targets.get_mut(&target.key) {
            Some(mut status) => status.target = target.clone(),
            None => {
                self.0
                    .targets
                    .insert(target.key.clone(), TargetStatus { target: target.clone(), scrape: None, metadata: Arc::default() });
            }
        }
    }

    pub(super) fn set(&self, key: &str, scrape: Scrape) {
        if let Some(mut status) = self.0.targets.get_mut(key) {
            status.scrape = Some(scrape);
        }
    }

    pub(super) fn set_metadata(&self, key: &str, metadata: &Arc<[Metadata]>) {
        if let Some(mut status) = self.0.targets.get_mut(key) {
            status.metadata = metadata.clone();
        }
    }

    pub(super) fn retain(&self, keep: impl Fn(&Arc<str>) -> bool) {
        self.0.targets.retain(|key, _| keep(key));
        self.0.nodes.retain(|_, key| keep(key));
    }

    pub(super) fn forget(&self, key: &str) {
        self.0.targets.remove(key);
        self.0.nodes.retain(|_, named| &**named != key);
    }
}

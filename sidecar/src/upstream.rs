//! Where requests can be sent: the live clusters, found by name without a lock.

pub mod balance;
pub mod cluster;
pub mod connections;
pub mod dns;
pub mod stats;

use std::sync::Arc;

use ahash::AHashMap;
use arc_swap::ArcSwap;

pub use cluster::{Host, LiveCluster};

/// The clusters of this moment; readers keep the map they loaded.
#[derive(Debug, Default)]
pub struct Upstreams {
    clusters: ArcSwap<ClusterMap>,
    changed: tokio::sync::Notify,
    pub resolver: dns::Resolver,
}

pub type ClusterMap = AHashMap<Arc<str>, Arc<LiveCluster>>;

impl Upstreams {
    pub fn find(&self, name: &str) -> Option<Arc<LiveCluster>> {
        self.clusters.load().get(name).cloned()
    }

    pub fn all(&self) -> Arc<ClusterMap> {
        self.clusters.load_full()
    }

    pub fn replace(&self, clusters: ClusterMap) {
        self.clusters.store(Arc::new(clusters));
        self.changed.notify_one();
    }

    /// Returns after the next replacement.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        for cluster in self.all().values() {
            cluster.sweep();
        }
    }
}

//! Drops what is too old, now and then, and edges that nothing tells of any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Moment;
use crate::ingest::scrape::EDGES_MAX;
use crate::own_metrics::OwnMetrics;
use crate::store::{Family, Retention, RetentionClock, Store, StoreError};

/// How often slices are looked for that are too old.
const INTERVAL: Duration = Duration::from_secs(600);
/// With a dictionary that is half full, unused edges are looked for this often, and not only when hours were dropped.
const EDGES_INTERVAL: Duration = Duration::from_secs(24 * 3600);

struct Forgetting {
    store: Arc<dyn Store>,
    retention: Retention,
    metrics: Arc<OwnMetrics>,
    /// `None` until the store has been asked.
    clock: Option<RetentionClock>,
    edges_at: Option<Instant>,
}

pub(super) async fn run(store: Arc<dyn Store>, retention: Retention, metrics: Arc<OwnMetrics>, stop: CancellationToken) {
    let mut forgetting = Forgetting { store, retention, metrics, clock: None, edges_at: None };
    loop {
        if let Err(error) = forgetting.once(Moment::now()).await {
            warn!(error = &error as &dyn std::error::Error, "failed to drop what is too old");
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

impl Forgetting {
    async fn once(&mut self, now: Moment) -> Result<(), StoreError> {
        let time = self.store.time().await?;
        let clock = self.clock.get_or_insert_with(|| RetentionClock::new(time, now));
        let was_doubted = clock.is_doubted();
        let believed_ms = clock.advance(time, now);
        if clock.is_doubted() && !was_doubted {
            let ahead_s = (now.wall_ms - believed_ms) / 1000;
            warn!(ahead_s, "the clock is far ahead of what the store has seen; nothing is dropped on its word for six hours");
        }
        let slices = self.store.drop_old(&self.retention, believed_ms).await?;
        self.store.believe(believed_ms).await?;
        if !slices.is_empty() {
            self.metrics.dropped_slices(slices.len());
            info!(slices = slices.len(), "dropped what is older than it has to be kept");
        }
        let is_full = self.store.edge_count() > EDGES_MAX / 2 && self.edges_at.is_none_or(|at| at.elapsed() >= EDGES_INTERVAL);
        if is_full || slices.iter().any(|slice| slice.family == Family::Hour) {
            self.edges_at = Some(Instant::now());
            let edges = self.store.forget_edges(believed_ms).await?;
            info!(edges, "forgot edges that nothing tells of any more");
        }
        Ok(())
    }
}

//! Merges small blocks while the collector runs, and keeps each signal below its bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock::now_ms;
use crate::own_metrics::OwnMetrics;
use crate::store::{Compact, Retention, Store, StoreError};

/// How long to wait when there was nothing to merge.
const INTERVAL: Duration = Duration::from_secs(5);
/// Between two merges: the writer gets in, and readers of an old state can end.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the bytes of blocks are looked at.
const SIZE_INTERVAL: Duration = Duration::from_secs(60);

pub(super) async fn run(
    store: Arc<dyn Store>,
    how: [Arc<dyn Compact>; 4],
    retention: Retention,
    metrics: Arc<OwnMetrics>,
    stop: CancellationToken,
) {
    let mut sized_at = Instant::now();
    loop {
        let pause = if merge_each(&*store, &how, &metrics).await { PAUSE } else { INTERVAL };
        if sized_at.elapsed() >= SIZE_INTERVAL {
            sized_at = Instant::now();
            if let Err(error) = shrink(&*store, &retention, &metrics).await {
                warn!(error = &error as &dyn std::error::Error, "failed to keep blocks below their bytes");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// One merge of each family, whatever becomes of the others; whether there was any.
async fn merge_each(store: &dyn Store, how: &[Arc<dyn Compact>], metrics: &OwnMetrics) -> bool {
    let mut is_any = false;
    for how in how {
        let table = how.family().name();
        match store.merge_blocks(how, now_ms()).await {
            Ok(merged) => {
                metrics.merged_blocks(table, merged.unwrap_or_default());
                is_any |= merged.is_some();
            }
            // The writer tells of it.
            Err(error) if error.is_outage() => {}
            Err(error) => warn!(error = &error as &dyn std::error::Error, table, "failed to merge blocks"),
        }
    }
    metrics.corrupt_blocks(store.corrupt_blocks());
    is_any
}

async fn shrink(store: &dyn Store, retention: &Retention, metrics: &OwnMetrics) -> Result<(), StoreError> {
    for (family, bytes) in store.block_bytes().await? {
        metrics.block_bytes(family.name(), bytes);
    }
    metrics.dropped_slices(store.shrink_blocks(retention).await?.len());
    Ok(())
}

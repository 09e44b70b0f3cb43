//! Scrapes one target: fetches, compares with the last time, and waits until the difference is stored.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use sidelight_api::proxy::Scrape;
use tracing::{debug, info, warn};

use super::client::FetchError;
use super::fetch::fetch;
use super::leases::Fence;
use super::schedule::ScrapeClock;
use super::{ScrapeStatuses, ScrapeTarget};
use crate::clock::Moment;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::{
    Basis, Comparison, Knowledge, Observation, Room, TargetState, WriteError, WriterHandle, compare, lacks_the_proxy,
};
use crate::store::{Counts, Store, StoreError, TARGETS_KEPT};

/// Edges that the dictionary takes; beyond this, new ones are refused and counted.
pub const EDGES_MAX: usize = 200_000;

/// What all scrapes share.
pub struct Shared {
    pub store: Arc<dyn Store>,
    pub writer: WriterHandle,
    pub metrics: Arc<OwnMetrics>,
    pub statuses: ScrapeStatuses,
    pub clock: ScrapeClock,
    /// Closed while the others may take this collector for gone.
    pub fence: Fence,
    pub store_created_at_ms: i64,
    pub collector_started_at_ms: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("failed to read what is known of the target")]
    Load(#[source] StoreError),
    #[error("failed to store the scrape")]
    Write(#[source] WriteError),
    #[error("failed to read the scrape")]
    Read(#[from] tokio::task::JoinError),
    #[error("the answer lacks the proxy's own metrics; its counters stay as they were last seen")]
    Incomplete,
    #[error("another collector scraped the target at the same time")]
    Conflict,
}

impl ScrapeError {
    /// Whether the database is away.
    fn is_outage(&self) -> bool {
        match self {
            Self::Load(error) => error.is_outage(),
            Self::Write(WriteError::Store(error)) => error.is_outage(),
            _ => false,
        }
    }
}

/// One target and what is known of its counters.
pub struct TargetTask {
    pub target: ScrapeTarget,
    /// `None` until it was read from the store, and again after something went wrong with it.
    state: Option<Option<TargetState>>,
}

impl TargetTask {
    pub fn new(target: ScrapeTarget) -> Self {
        Self { target, state: None }
    }

    /// Scrapes once for a moment and tells how it went; false when the target did not answer.
    pub async fn scrape(&mut self, shared: &Shared, at: Moment) -> bool {
        let started = Instant::now();
        let result = self.scrape_once(shared, at).await;
        let took = started.elapsed();
        shared.metrics.scraped(if result.is_ok() { "stored" } else { "failed" }, took);
        shared.metrics.edges(shared.store.edge_count());
        let was_up = shared.statuses.get(&self.target.key).is_none_or(|status| status.up);
        let status = Scrape {
            url: self.target.url.clone(),
            up: !matches!(result, Err(ScrapeError::Fetch(_))),
            last_at_ms: at.wall_ms,
            duration_ms: took.as_secs_f64() * 1000.0,
            samples: *result.as_ref().unwrap_or(&0),
            error: result.as_ref().err().map(chain),
        };
        self.log(&result, was_up);
        let is_up = status.up;
        shared.statuses.set(&self.target.key, status);
        is_up
    }

    async fn scrape_once(&mut self, shared: &Shared, at: Moment) -> Result<u64, ScrapeError> {
        let text = fetch(&self.target).await?.text;
        let last = self.load(shared).await?;
        let knowledge = Knowledge {
            known_since_ms: known_since_ms(shared.store_created_at_ms, at.wall_ms),
            registered_at_ms: self.target.registered_at_ms,
            collector_started_at_ms: shared.collector_started_at_ms,
        };
        let new_edges = EDGES_MAX.saturating_sub(shared.store.edge_count());
        // A busy Envoy tells megabytes: reading them would hold up everybody else on this thread.
        let store = Arc::clone(&shared.store);
        let (mut comparison, counts) =
            tokio::task::spawn_blocking(move || read_and_compare(&text, last, &*store, new_edges, at, knowledge)).await??;
        let received = counts.total("scrape", "samples", "received");
        if comparison.basis != Basis::Last {
            info!(target = %self.target.key, basis = ?comparison.basis, "counters begin");
        }
        comparison.batch.target = self.target.key.clone();
        comparison.batch.namespace = self.target.namespace.clone();
        comparison.batch.counts = counts;
        // The state is gone until the answer is there: when it is not known what was stored, it is read again.
        match shared.writer.scrape(comparison.batch).await.map_err(ScrapeError::Write)? {
            Some(version) => {
                self.state = Some(Some(TargetState { version, ..comparison.next }));
                Ok(received)
            }
            None => Err(ScrapeError::Conflict),
        }
    }

    async fn load(&mut self, shared: &Shared) -> Result<Option<TargetState>, ScrapeError> {
        if let Some(known) = self.state.take() {
            return Ok(known);
        }
        let (key, former) = (&self.target.key, &self.target.former_keys);
        shared.store.adopt_target(key, former).await.map_err(ScrapeError::Load)?;
        let stored = shared.store.target(key).await.map_err(ScrapeError::Load)?;
        Ok(stored.map(TargetState::from))
    }

    fn log(&self, result: &Result<u64, ScrapeError>, was_up: bool) {
        match result {
            Ok(samples) => debug!(target = %self.target.key, samples, "scraped"),
            Err(error @ ScrapeError::Fetch(_)) if was_up && self.target.connected => {
                warn!(target = %self.target.key, url = %self.target.url, error = chain(error), "the target does not answer");
            }
            Err(ScrapeError::Fetch(_)) => {}
            // The writer tells of it, once and not for each target: nothing is lost, the counters go on counting.
            Err(error) if error.is_outage() => debug!(target = %self.target.key, error = chain(error), "the scrape waits"),
            Err(error) => warn!(target = %self.target.key, error = chain(error), "the scrape was not stored"),
        }
    }
}

fn read_and_compare(
    text: &str,
    last: Option<TargetState>,
    store: &dyn Store,
    new_edges: usize,
    at: Moment,
    knowledge: Knowledge,
) -> Result<(Comparison, Counts), ScrapeError> {
    // A pod that starts anew is a new target with the edges of the one before it.
    let is_known = |edge: &_| last.as_ref().is_some_and(|last| last.series.contains_key(edge)) || store.knows_edge(edge);
    let seen = Observation::read(text, Room { is_known: &is_known, new_edges });
    if lacks_the_proxy(last.as_ref(), &seen) {
        return Err(ScrapeError::Incomplete);
    }
    let counts = counts(&seen, text.len());
    Ok((compare(last.as_ref(), seen, at, knowledge), counts))
}

/// Since when every target that was ever scraped is still remembered.
fn known_since_ms(store_created_at_ms: i64, now_ms: i64) -> i64 {
    let kept_ms = i64::try_from(TARGETS_KEPT.as_millis()).unwrap_or(i64::MAX);
    store_created_at_ms.max(now_ms.saturating_sub(kept_ms))
}

fn counts(seen: &Observation, bytes: usize) -> Counts {
    let mut counts = Counts::default();
    counts.add("scrape", "samples", "received", seen.received);
    counts.add("scrape", "samples", "stored", seen.taken());
    counts.add("scrape", "samples", "bytes", bytes as u64);
    for (reason, count) in &seen.refused {
        counts.refuse("scrape", "samples", reason.as_str(), *count);
    }
    counts
}

/// The error and its causes in one line.
fn chain(error: &ScrapeError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

//! Keeps one task per target, spread over the interval, and sees to it that a target's last counts are not lost.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::fetch::Fetcher;
use super::task::{Shared, TargetTask};
use super::{ScrapeSettings, ScrapeStatuses, ScrapeTarget};
use crate::clock::now_ms;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::WriterHandle;
use crate::store::{Store, StoreError};

/// Targets of one collector.
pub const TARGETS_MAX: usize = 5_000;
/// Scrapes that run at the same time; each holds one body.
const SCRAPES_MAX: usize = 64;
/// Time for the last scrape of a target that leaves; it may be gone already.
const LAST_SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);
/// A target that was just found is scraped within this time.
const FIRST_SCRAPE_WITHIN_MS: u64 = 250;

/// Scrapes the targets of all its sources until it is stopped.
pub struct Scheduler {
    shared: Arc<Shared>,
    settings: ScrapeSettings,
    slots: Arc<Semaphore>,
    running: HashMap<Arc<str>, Running>,
}

struct Running {
    target: watch::Sender<ScrapeTarget>,
    task: JoinHandle<()>,
}

impl Scheduler {
    pub async fn new(
        settings: ScrapeSettings,
        store: Arc<dyn Store>,
        writer: WriterHandle,
        metrics: Arc<OwnMetrics>,
        statuses: ScrapeStatuses,
    ) -> Result<Self, StoreError> {
        let store_created_at_ms = store.created_at_ms().await?;
        let shared = Arc::new(Shared {
            store,
            writer,
            metrics,
            statuses,
            fetcher: Fetcher::new(settings.timeout),
            store_created_at_ms,
            collector_started_at_ms: now_ms(),
        });
        Ok(Self { shared, settings, slots: Arc::new(Semaphore::new(SCRAPES_MAX)), running: HashMap::new() })
    }

    /// Follows the sources until `stop`, then scrapes every target one last time and returns when that is stored.
    pub async fn run(mut self, mut sources: Vec<watch::Receiver<Arc<[ScrapeTarget]>>>, stop: CancellationToken) {
        loop {
            self.follow(&mut sources);
            if stop.run_until_cancelled(changed(&mut sources)).await.is_none() {
                break;
            }
        }
        let tasks: Vec<JoinHandle<()>> = self.running.drain().map(|(_, running)| running.task).collect();
        // Dropping the senders tells the tasks to end.
        for task in tasks {
            let _ = task.await;
        }
    }

    fn follow(&mut self, sources: &mut [watch::Receiver<Arc<[ScrapeTarget]>>]) {
        let mut wanted: HashMap<Arc<str>, ScrapeTarget> = HashMap::new();
        let mut refused = 0;
        for source in sources {
            for target in source.borrow_and_update().iter() {
                if wanted.len() < TARGETS_MAX {
                    wanted.entry(target.key.clone()).or_insert_with(|| target.clone());
                } else {
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            warn!(refused, TARGETS_MAX, "too many targets to scrape");
            self.shared.metrics.refused_targets(refused);
        }
        self.running.retain(|key, running| wanted.contains_key(key) && !running.task.is_finished());
        for (key, target) in wanted {
            match self.running.get(&key) {
                Some(running) => {
                    running.target.send_if_modified(|known| {
                        let is_new = *known != target;
                        *known = target;
                        is_new
                    });
                }
                None => {
                    let running = self.start(target);
                    self.running.insert(key, running);
                }
            }
        }
        self.shared.metrics.targets(self.running.len());
    }

    fn start(&self, target: ScrapeTarget) -> Running {
        let (sender, receiver) = watch::channel(target);
        let task = follow_target(self.shared.clone(), self.settings, self.slots.clone(), receiver);
        Running { target: sender, task: tokio::spawn(task) }
    }
}

/// Waits until one of the sources has news. A source that has ended keeps its last targets.
async fn changed(sources: &mut [watch::Receiver<Arc<[ScrapeTarget]>>]) {
    let waiting = sources.iter_mut().map(|source| {
        Box::pin(async move {
            if source.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    let waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        std::future::pending::<()>().await;
    }
    futures_util::future::select_all(waiting).await;
}

/// Scrapes one target until its sender is gone, and then once more.
async fn follow_target(
    shared: Arc<Shared>,
    settings: ScrapeSettings,
    slots: Arc<Semaphore>,
    mut targets: watch::Receiver<ScrapeTarget>,
) {
    let mut task = TargetTask::new(targets.borrow_and_update().clone());
    let mut next = Instant::now() + first_delay(&task.target.key, settings.interval);
    let mut answers = true;
    loop {
        // One that is away and silent is left alone until it comes back.
        let is_awake = answers || task.target.connected;
        tokio::select! {
            () = tokio::time::sleep_until(next), if is_awake => {
                answers = scrape(&mut task, &shared, &slots).await;
                next = (next + settings.interval).max(Instant::now());
            }
            news = targets.changed() => {
                if news.is_err() {
                    break;
                }
                task.target = targets.borrow_and_update().clone();
                // It came, went or moved: what it counted so far is fetched at once.
                next = Instant::now();
            }
        }
    }
    let _ = tokio::time::timeout(LAST_SCRAPE_TIMEOUT, scrape(&mut task, &shared, &slots)).await;
    shared.statuses.forget(&task.target.key);
}

async fn scrape(task: &mut TargetTask, shared: &Shared, slots: &Semaphore) -> bool {
    // The semaphore is never closed.
    let _slot = slots.acquire().await;
    task.scrape(shared).await
}

/// The same target has the same phase, so that the load is spread and the gaps between scrapes are even.
fn first_delay(key: &str, interval: Duration) -> Duration {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    let within_ms = FIRST_SCRAPE_WITHIN_MS.min(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)).max(1);
    Duration::from_millis(hash % within_ms)
}

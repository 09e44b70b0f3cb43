//! Keeps one task per target, each at its own phase of the interval, and sees to it that a target's last counts are not lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::discovery::Discovery;
use super::leases::{Fence, Leases, Owned, Wish};
use super::report::described;
use super::schedule::{Schedule, ScrapeClock};
use super::status::{DroppedTargets, ScrapeStatuses};
use super::target::ScrapeTarget;
use super::task::{Shared, TargetTask};
use super::wanted::Wanted;
use crate::clock::{Moment, steady_ms};
use crate::forward::Forwarder;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::WriterHandle;
use crate::store::{Store, StoreError};

/// Targets of one collector.
pub const TARGETS_MAX: usize = 5_000;
/// Scrapes that run at the same time. Most of them wait for somebody: targets that never answer must not keep the others
/// waiting.
const SCRAPES_MAX: usize = 1_024;
/// Answers that are read and stored at the same time; each is held as a whole.
const BODIES_MAX: usize = 64;
/// Time for the last scrape of a target that leaves; it may be gone already.
const LAST_SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where targets come from.
pub type Sources = Vec<watch::Receiver<Arc<Discovery>>>;

/// Scrapes the targets of all its sources until it is stopped.
pub struct Scheduler {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    wanted: Wanted,
    /// `None` where nobody else scrapes for this database.
    leases: Option<Leases>,
    running: HashMap<Arc<str>, Running>,
    /// Tasks that scrape a last time.
    leaving: HashMap<Arc<str>, JoinHandle<()>>,
}

struct Running {
    target: watch::Sender<ScrapeTarget>,
    /// Told when another collector has taken over: there is no last scrape then.
    moved: CancellationToken,
    task: JoinHandle<()>,
}

impl Scheduler {
    pub async fn new(
        clock: ScrapeClock,
        store: Arc<dyn Store>,
        writer: WriterHandle,
        metrics: Arc<OwnMetrics>,
        statuses: ScrapeStatuses,
        leases: Option<Leases>,
        forwarder: Option<Forwarder>,
    ) -> Result<Self, StoreError> {
        let store_created_at_ms = store.created_at_ms().await?;
        let collector_started_at_ms = clock.now_ms();
        let fence = leases.as_ref().map_or_else(Fence::open, Leases::fence);
        let shared = Arc::new(Shared {
            store,
            writer,
            metrics,
            statuses,
            clock,
            fence,
            forwarder,
            bodies: Semaphore::new(BODIES_MAX),
            store_created_at_ms,
            collector_started_at_ms,
        });
        Ok(Self {
            shared,
            slots: Arc::new(Semaphore::new(SCRAPES_MAX)),
            wanted: Wanted::default(),
            leases,
            running: HashMap::new(),
            leaving: HashMap::new(),
        })
    }

    /// Follows the sources until `stop`, then scrapes every target one last time and returns when that is stored.
    pub async fn run(mut self, mut sources: Sources, stop: CancellationToken) {
        let mut owned = self.leases.as_ref().map(Leases::owned);
        loop {
            self.follow(&mut sources);
            let mine = owned.as_mut().map(|owned| owned.borrow_and_update().clone());
            self.run_wanted(mine.as_deref());
            tokio::select! {
                () = stop.cancelled() => break,
                () = changed(&mut sources) => {}
                () = owner_changed(owned.as_mut()) => {}
            }
        }
        let tasks: Vec<JoinHandle<()>> = self.running.drain().map(|(_, running)| running.task).collect();
        // Dropping the senders tells the tasks to end.
        for task in tasks.into_iter().chain(self.leaving.drain().map(|(_, task)| task)) {
            let _ = task.await;
        }
        if let Some(leases) = self.leases {
            leases.leave().await;
        }
    }

    fn follow(&mut self, sources: &mut Sources) {
        let found: Vec<Arc<Discovery>> = sources.iter_mut().map(|source| source.borrow_and_update().clone()).collect();
        let refused = self.wanted.follow(&found);
        if refused > 0 {
            warn!(refused, TARGETS_MAX, "too many targets to scrape");
            self.shared.metrics.refused_targets(refused);
        }
        self.shared.statuses.set_dropped(dropped(&found));
        if let Some(leases) = &self.leases {
            leases.want(self.wanted.targets().map(|target| (target.key.clone(), wish(target))).collect());
        }
    }

    /// Runs a task for each target that is wanted and, where targets are shared, this collector's.
    fn run_wanted(&mut self, owned: Option<&Owned>) {
        self.leaving.retain(|_, task| !task.is_finished());
        self.stop_others(owned);
        let wanted: Vec<ScrapeTarget> = self.wanted.targets().cloned().collect();
        for target in wanted {
            self.shared.statuses.follow(&target);
            let is_mine = owned.is_none_or(|owned| owned.contains(&target.key));
            match self.running.get(&target.key) {
                Some(running) => {
                    running.target.send_if_modified(|known| {
                        let is_new = *known != target;
                        *known = target;
                        is_new
                    });
                }
                None if is_mine => {
                    let key = target.key.clone();
                    let running = self.start(target);
                    self.running.insert(key, running);
                }
                None => {}
            }
        }
        self.shared.metrics.targets(self.running.len());
    }

    fn stop_others(&mut self, owned: Option<&Owned>) {
        let wanted = &self.wanted;
        let is_mine = |key: &Arc<str>| owned.is_none_or(|owned| owned.contains(key));
        let gone = self.running.extract_if(|key, running| {
            let has_moved = wanted.contains(key) && !is_mine(key);
            if has_moved {
                running.moved.cancel();
            }
            has_moved || !wanted.contains(key) || running.task.is_finished()
        });
        for (key, running) in gone {
            self.leaving.insert(key, running.task);
        }
        // Those that were never this collector's have no task that forgets them.
        let running = &self.running;
        let leaving = &self.leaving;
        self.shared.statuses.retain(|key| wanted.contains(key) || running.contains_key(key) || leaving.contains_key(key));
    }

    /// A target that comes back while its last scrape still runs waits for the end of it.
    fn start(&mut self, target: ScrapeTarget) -> Running {
        let before = self.leaving.remove(&target.key);
        let (sender, receiver) = watch::channel(target);
        let (shared, slots, moved) = (self.shared.clone(), self.slots.clone(), CancellationToken::new());
        let has_moved = moved.clone();
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            follow_target(shared, slots, receiver, has_moved).await;
        });
        Running { target: sender, moved, task }
    }
}

fn wish(target: &ScrapeTarget) -> Wish {
    Wish { interval: target.interval, is_own: target.node_id.is_some(), described: described(target).into() }
}

async fn owner_changed(owned: Option<&mut watch::Receiver<Arc<Owned>>>) {
    let has_news = match owned {
        Some(owned) => owned.changed().await.is_ok(),
        None => false,
    };
    if !has_news {
        std::future::pending::<()>().await;
    }
}

fn dropped(found: &[Arc<Discovery>]) -> Vec<DroppedTargets> {
    let all = found.iter().filter(|discovery| discovery.dropped_total > 0);
    all.map(|discovery| DroppedTargets {
        pool: discovery.pool.clone(),
        shown: discovery.dropped.clone(),
        total: discovery.dropped_total,
    })
    .collect()
}

/// Waits until one of the sources has news. A source that has ended keeps its last targets.
async fn changed(sources: &mut Sources) {
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

/// Scrapes one target until its sender is gone, and then once more, unless it has moved to another collector.
async fn follow_target(
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    mut targets: watch::Receiver<ScrapeTarget>,
    moved: CancellationToken,
) {
    let mut task = TargetTask::new(targets.borrow_and_update().clone());
    shared.statuses.follow(&task.target);
    let mut schedule = Schedule::new(&task.target.key, task.target.interval);
    let mut next_ms = schedule.first_after(shared.clock.now_ms());
    let mut answers = true;
    loop {
        // One that is away and silent is left alone until it comes back.
        let is_awake = answers || task.target.connected;
        tokio::select! {
            biased;
            () = moved.cancelled() => return,
            () = until(&shared.clock, next_ms), if is_awake => {
                tokio::select! {
                    is_up = scrape(&mut task, &shared, &slots, schedule, next_ms) => answers = is_up,
                    // It has been long enough.
                    () = overdue(targets.clone()) => {
                        if !moved.is_cancelled() {
                            shared.statuses.forget(&task.target.key);
                        }
                        return;
                    }
                }
                next_ms = schedule.after(shared.clock.now_ms().max(next_ms));
            }
            news = targets.changed() => {
                if news.is_err() {
                    break;
                }
                task.target = targets.borrow_and_update().clone();
                schedule = Schedule::new(&task.target.key, task.target.interval);
                // It came, went or moved: what it counted so far is fetched at once.
                next_ms = shared.clock.now_ms();
            }
        }
    }
    let now_ms = shared.clock.now_ms();
    let _ = tokio::time::timeout(LAST_SCRAPE_TIMEOUT, scrape(&mut task, &shared, &slots, schedule, now_ms)).await;
    shared.statuses.forget(&task.target.key);
}

/// Waits until the target's sender is gone, and for as long as a last scrape may take.
async fn overdue(mut targets: watch::Receiver<ScrapeTarget>) {
    let _ = targets.wait_for(|_| false).await;
    tokio::time::sleep(LAST_SCRAPE_TIMEOUT).await;
}

/// Waits by the clock that dates scrapes.
async fn until(clock: &ScrapeClock, at_ms: i64) {
    let wait_ms = u64::try_from(at_ms - clock.now_ms()).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}

async fn scrape(task: &mut TargetTask, shared: &Shared, slots: &Semaphore, schedule: Schedule, planned_ms: i64) -> bool {
    // The semaphore is never closed.
    let _slot = slots.acquire().await;
    if !shared.fence.is_open() {
        // The others may have taken over; the database will tell.
        return true;
    }
    let wall_ms = schedule.snapped(planned_ms, shared.clock.now_ms());
    task.scrape(shared, Moment { wall_ms, steady_ms: steady_ms() }).await
}

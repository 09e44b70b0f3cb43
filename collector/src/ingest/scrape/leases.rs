//! Which targets are this collector's, where several share a database: each target has one owner at a time, a collector
//! that is killed loses its targets within an interval, and clocks need not agree.
//!
//! Ownership only sees to it that nobody scrapes in vain; that nothing is counted twice is the work of the target's version
//! in the database, which a scrape must find unchanged.

mod decide;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::schedule::ScrapeClock;
use crate::own_metrics::OwnMetrics;
use crate::store::{LeaseChanges, Store};
use decide::Decider;
pub use decide::Wish;

/// A lease holds for half an interval of the most frequent target, and is renewed three times meanwhile: a target whose
/// owner is killed just before he would have scraped it is scraped again within two intervals. Not for intervals below
/// three seconds: a database takes a moment.
const LEASE_MIN: Duration = Duration::from_millis(1_500);
const LEASE_MAX: Duration = Duration::from_secs(30);
const ROUND_MIN: Duration = Duration::from_millis(200);
const ROUND_MAX: Duration = Duration::from_secs(5);
/// News of targets are gathered for this long before a round is made for them.
const GATHER: Duration = Duration::from_millis(20);

/// What this collector would scrape, by key.
pub type Wishes = HashMap<Arc<str>, Wish>;
/// Keys of its targets.
pub type Owned = HashSet<Arc<str>>;

/// Takes part in the sharing of targets.
pub struct Leases {
    wishes: watch::Sender<Arc<Wishes>>,
    owned: watch::Receiver<Arc<Owned>>,
    /// What is wanted whatever the targets are.
    standing: Wishes,
    fence: Fence,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Until when what is owned is owned for certain.
#[derive(Clone, Default)]
pub struct Fence(Option<Arc<Mutex<Option<Instant>>>>);

impl Fence {
    /// Always open: there is nobody to share with.
    #[must_use]
    pub fn open() -> Self {
        Self(None)
    }

    fn closed() -> Self {
        Self(Some(Arc::default()))
    }

    /// False once the others may take this collector for gone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|until| until.lock().is_some_and(|until| Instant::now() < until))
    }

    fn extend(&self, until: Instant) {
        if let Some(fence) = &self.0 {
            *fence.lock() = Some(until);
        }
    }
}

impl Leases {
    /// Joins the other collectors; nothing is owned before the first round.
    #[must_use]
    pub fn join(collector_id: Arc<str>, store: Arc<dyn Store>, clock: ScrapeClock, metrics: Arc<OwnMetrics>) -> Self {
        let (wishes, wished) = watch::channel(Arc::default());
        let (owning, owned) = watch::channel(Arc::default());
        let (fence, stop) = (Fence::closed(), CancellationToken::new());
        let rounds = Rounds {
            decider: Decider::new(collector_id.clone()),
            collector_id,
            store,
            clock,
            metrics,
            wished,
            owning,
            fence: fence.clone(),
        };
        let task = tokio::spawn(rounds.run(stop.clone()));
        Self { wishes, owned, standing: Wishes::new(), fence, stop, task }
    }

    /// Also shares something that is no target, and of which there is one.
    #[must_use]
    pub fn also(mut self, key: Arc<str>, wish: Wish) -> Self {
        self.standing.insert(key, wish);
        self.want(Wishes::new());
        self
    }

    pub fn want(&self, mut wishes: Wishes) {
        wishes.extend(self.standing.iter().map(|(key, wish)| (key.clone(), wish.clone())));
        self.wishes.send_if_modified(|known| {
            let is_new = **known != wishes;
            *known = Arc::new(wishes);
            is_new
        });
    }

    #[must_use]
    pub fn owned(&self) -> watch::Receiver<Arc<Owned>> {
        self.owned.clone()
    }

    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Leaves in order: the others may take over at once.
    pub async fn leave(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            warn!(%error, "the sharing of targets ended in a panic");
        }
    }
}

struct Rounds {
    collector_id: Arc<str>,
    decider: Decider,
    store: Arc<dyn Store>,
    clock: ScrapeClock,
    metrics: Arc<OwnMetrics>,
    wished: watch::Receiver<Arc<Wishes>>,
    owning: watch::Sender<Arc<Owned>>,
    fence: Fence,
}

impl Rounds {
    async fn run(mut self, stop: CancellationToken) {
        let mut was_good = true;
        loop {
            let wishes = self.wished.borrow_and_update().clone();
            let (lease, pause) = times(&wishes);
            let result = self.round(&wishes, lease).await;
            self.metrics.lease_round(result.is_ok());
            if let Err(error) = &result
                && was_good
            {
                warn!(error = error as &dyn std::error::Error, "cannot renew the leases of targets");
            } else if result.is_ok() && !was_good {
                info!("leases of targets are renewed again");
            }
            was_good = result.is_ok();
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                Ok(()) = self.wished.changed() => tokio::time::sleep(GATHER).await,
            }
        }
        if let Err(error) = self.store.leave(&self.collector_id).await {
            warn!(error = &error as &dyn std::error::Error, "the other collectors will notice late that this one is gone");
        }
    }

    async fn round(&mut self, wishes: &Arc<Wishes>, lease: Duration) -> Result<(), crate::store::StoreError> {
        let started = Instant::now();
        let (decider, mut owned) = (&mut self.decider, Owned::new());
        let view = {
            let mut decide = |view: &_| -> LeaseChanges {
                let decision = decider.decide(view, wishes);
                owned = decision.owned;
                decision.changes
            };
            self.store.lease_round(&self.collector_id, lease, &mut decide).await?
        };
        let read_ms = self.clock.machine_ms() - i64::try_from(view.read_at.elapsed().as_millis()).unwrap_or(0);
        self.clock.follow(view.database_ms, read_ms);
        self.metrics.collectors(view.alive.len());
        // The lease began in the database after `started`, so it ends there after this.
        self.fence.extend(started + lease);
        self.owning.send_if_modified(|known| {
            let is_new = **known != owned;
            *known = Arc::new(owned);
            is_new
        });
        Ok(())
    }
}

/// How long a lease holds, and the time between two rounds.
fn times(wishes: &Wishes) -> (Duration, Duration) {
    let shortest = wishes.values().map(|wish| wish.interval).min().unwrap_or(LEASE_MAX);
    ((shortest / 2).clamp(LEASE_MIN, LEASE_MAX), (shortest * 3 / 20).clamp(ROUND_MIN, ROUND_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_move_within_two_intervals_of_their_last_scrape() {
        for seconds in [3, 5, 15, 60, 3600] {
            let interval = Duration::from_secs(seconds);
            let wish = Wish { interval, is_own: false, described: "".into() };
            let (lease, round) = times(&HashMap::from([("key".into(), wish)]));
            // The owner dies just before he would have scraped, having just renewed his lease; whoever is to take over has
            // just made a round when it ends, and scrapes what is new to it within a quarter of a second.
            let gap = interval + lease + round + GATHER + Duration::from_millis(250);
            assert!(gap <= 2 * interval, "{gap:?} of {interval:?}");
            assert!(3 * round <= lease, "a lease of {lease:?} is renewed every {round:?}");
        }
    }
}

//! When groups are evaluated, by whom, and what is published of it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::alert::{Alert, millis};
use super::engine::{Engine, GroupState};
use super::group::Group;
use super::notify::{Notice, Notifier, RESEND};
use crate::clock::now_ms;
use crate::ingest::scrape::{Fence, Owned};

/// Whether this collector evaluates the rules, where several share a database.
#[derive(Clone)]
pub struct Ownership {
    key: Arc<str>,
    owned: Option<watch::Receiver<Arc<Owned>>>,
    fence: Fence,
}

impl Ownership {
    /// There is nobody to share with.
    #[must_use]
    pub fn alone() -> Self {
        Self { key: Arc::from(""), owned: None, fence: Fence::open() }
    }

    #[must_use]
    pub fn shared(key: Arc<str>, owned: watch::Receiver<Arc<Owned>>, fence: Fence) -> Self {
        Self { key, owned: Some(owned), fence }
    }

    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.owned.as_ref().is_none_or(|owned| owned.borrow().contains(&self.key)) && self.fence.is_open()
    }
}

/// A group as it is told of.
pub struct Published {
    pub group: Arc<Group>,
    pub interval: Duration,
    status: Mutex<GroupStatus>,
}

#[derive(Clone, Debug, Default)]
pub struct GroupStatus {
    pub evaluated_at_ms: Option<i64>,
    pub took: Duration,
    pub rules: Vec<RuleStatus>,
}

#[derive(Clone, Debug, Default)]
pub struct RuleStatus {
    pub evaluated_at_ms: Option<i64>,
    pub took: Duration,
    pub error: Option<String>,
    pub alerts: Vec<Alert>,
}

impl Published {
    #[must_use]
    pub fn new(group: Arc<Group>, interval: Duration) -> Self {
        let rules = group.rules.iter().map(|_| RuleStatus::default()).collect();
        Self { group, interval, status: Mutex::new(GroupStatus { rules, ..GroupStatus::default() }) }
    }

    #[must_use]
    pub fn status(&self) -> GroupStatus {
        self.status.lock().clone()
    }

    fn publish(&self, state: &GroupState) {
        let rules = state.rules.iter().map(|rule| RuleStatus {
            evaluated_at_ms: rule.evaluated_at_ms,
            took: rule.took,
            error: rule.error.clone(),
            alerts: rule.alerts.active(),
        });
        *self.status.lock() = GroupStatus { evaluated_at_ms: state.evaluated_at_ms, took: state.took, rules: rules.collect() };
    }
}

/// Names of alerts that more than one rule has.
pub type Shared = Arc<std::collections::HashSet<String>>;

/// Evaluates one group again and again.
pub struct Runner {
    pub engine: Engine,
    pub notifier: Notifier,
    pub ownership: Ownership,
    /// Groups that are evaluated at the same time.
    pub slots: Arc<Semaphore>,
    pub published: Arc<Published>,
    pub shared_names: Shared,
    /// Of this group: what runs goes to its end.
    pub stop: CancellationToken,
    /// Of the collector: what runs is left.
    pub ending: CancellationToken,
}

impl Runner {
    /// Until it is stopped; then what it knows, for whoever goes on.
    pub async fn run(self, mut state: GroupState) -> GroupState {
        self.published.publish(&state);
        let interval_ms = millis(self.published.interval).max(1);
        let offset_ms = offset(&self.published.group.key(), interval_ms);
        let mut at_ms = slot(now_ms(), interval_ms, offset_ms) + interval_ms;
        loop {
            let wait = Duration::from_millis(u64::try_from(at_ms - now_ms()).unwrap_or(0));
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return state;
            }
            if now_ms() < at_ms {
                // The clock was set back.
                at_ms = at_ms.min(slot(now_ms(), interval_ms, offset_ms) + interval_ms);
                continue;
            }
            let late_ms = slot(now_ms(), interval_ms, offset_ms) - at_ms;
            self.engine.metrics.missed(u64::try_from(late_ms / interval_ms).unwrap_or(0));
            at_ms += late_ms.max(0);
            if self.ownership.is_ours() {
                if self.ending.run_until_cancelled(self.once(&mut state, at_ms)).await.is_none() {
                    return state;
                }
            } else if state.is_restored {
                // Whoever has it now knows better; if it comes back, the store says what became of it.
                state = GroupState::new(Arc::clone(&state.group));
                self.published.publish(&state);
            }
            at_ms += interval_ms;
        }
    }

    async fn once(&self, state: &mut GroupState, at_ms: i64) {
        let Ok(_slot) = self.slots.acquire().await else { return };
        self.engine.evaluate(state, at_ms, &|name| !self.shared_names.contains(name)).await;
        self.published.publish(state);
        let interval = self.published.interval;
        for (rule, state) in state.group.rules.iter().zip(&mut state.rules) {
            let due = state.alerts.due(at_ms, millis(RESEND));
            let external_url = &self.engine.external_url;
            let notices: Vec<Notice> =
                due.iter().map(|alert| Notice::new(alert, &rule.expression, external_url, at_ms, interval)).collect();
            self.notifier.tell(&notices);
        }
    }
}

/// Groups of one interval are spread over it, each always at the same place.
fn offset(key: &str, interval_ms: i64) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..8]);
    i64::from_le_bytes(bytes).rem_euclid(interval_ms)
}

/// The last time not after `now_ms` at which a group is evaluated.
fn slot(now_ms: i64, interval_ms: i64, offset_ms: i64) -> i64 {
    let since = now_ms - offset_ms;
    since - since.rem_euclid(interval_ms) + offset_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_their_places_in_the_interval() {
        assert_eq!(slot(100_000, 15_000, 4_000), 94_000);
        assert_eq!(slot(94_000, 15_000, 4_000), 94_000);
        assert_eq!(slot(93_999, 15_000, 4_000), 79_000);
        let places: Vec<i64> = (0..100).map(|number| offset(&format!("r.yml;{number}"), 60_000)).collect();
        assert!(places.iter().all(|place| (0..60_000).contains(place)));
        assert_eq!(offset("r.yml;1", 60_000), places[1]);
        assert!(places.iter().filter(|place| **place < 30_000).count() > 25);
    }
}

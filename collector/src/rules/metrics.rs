//! What rules count of themselves.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::own_metrics::Outcome;

/// Seconds; from one series to a question that takes its whole interval.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    /// `alertmanager` or `webhook`.
    receiver: &'static str,
    outcome: &'static str,
}

/// Counters that all clones share.
#[derive(Clone, Debug)]
pub struct RuleMetrics {
    evaluations: Family<Outcome, Counter>,
    evaluation_seconds: Histogram,
    missed: Counter,
    groups: Gauge,
    loaded: Gauge,
    notifications: Family<Sent, Counter>,
    waiting: Gauge,
}

impl Default for RuleMetrics {
    fn default() -> Self {
        Self {
            evaluations: Family::default(),
            evaluation_seconds: Histogram::new(BUCKETS),
            missed: Counter::default(),
            groups: Gauge::default(),
            loaded: Gauge::default(),
            notifications: Family::default(),
            waiting: Gauge::default(),
        }
    }
}

impl RuleMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("rule_evaluations", "Evaluations of rules by outcome", self.evaluations.clone());
        registry.register_with_unit(
            "rule_group_duration",
            "Time of one evaluation of a group of rules",
            Unit::Seconds,
            self.evaluation_seconds.clone(),
        );
        registry.register("rule_group_iterations_missed", "Evaluations of groups that came too late", self.missed.clone());
        registry.register("rule_groups", "Groups of rules that are loaded", self.groups.clone());
        registry.register("rule_files_good", "1 when the rule files were good as they were last read", self.loaded.clone());
        registry.register("alert_notifications", "Alerts that were told of by receiver and outcome", self.notifications.clone());
        registry.register("alert_notifications_waiting", "Alerts that wait to be told of", self.waiting.clone());
    }

    pub(super) fn evaluated(&self, outcome: &'static str) {
        self.evaluations.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn group_took(&self, took: Duration) {
        self.evaluation_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn missed(&self, iterations: u64) {
        self.missed.inc_by(iterations);
    }

    pub(super) fn loaded(&self, groups: usize) {
        self.groups.set(i64::try_from(groups).unwrap_or(i64::MAX));
        self.loaded.set(1);
    }

    pub(super) fn not_loaded(&self) {
        self.loaded.set(0);
    }

    pub(super) fn notified(&self, receiver: &'static str, outcome: &'static str, alerts: usize) {
        if alerts > 0 {
            self.notifications.get_or_create(&Sent { receiver, outcome }).inc_by(alerts as u64);
        }
    }

    pub(super) fn waiting(&self, change: i64) {
        self.waiting.inc_by(change);
    }
}

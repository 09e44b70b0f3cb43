//! The alerts of one rule: when they wait, fire and end, exactly as in Prometheus.

use std::collections::HashMap;
use std::sync::Arc;

use super::group::{Alerting, Rule};
use crate::query::promql;
use crate::store::Labels;
use crate::store::sample::NAME;

/// How long an alert is remembered after its end, so that whoever was away learns of it.
const RESOLVED_KEPT_MS: i64 = 15 * 60 * 1000;
/// Since when alerts are restored: longer outages begin anew.
pub const OUTAGE_MS: i64 = 3_600_000;
/// An alert that would fire right after a restart waits for this long, if it waits so long at all.
const GRACE_MS: i64 = 600_000;

pub const ALERTS: &str = "ALERTS";
pub const FOR_STATE: &str = "ALERTS_FOR_STATE";
pub const ALERT_NAME: &str = "alertname";
pub const ALERT_STATE: &str = "alertstate";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Inactive,
    Pending,
    Firing,
}

impl State {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// With its name.
    pub labels: Labels,
    pub annotations: Arc<[(String, String)]>,
    pub state: State,
    pub value: f64,
    pub active_at_ms: i64,
    pub fired_at_ms: i64,
    pub resolved_at_ms: Option<i64>,
    pub kept_since_ms: Option<i64>,
    pub sent_at_ms: Option<i64>,
}

/// An element of the rule's answer.
#[derive(Clone, Debug)]
pub struct Found {
    pub labels: Labels,
    pub annotations: Arc<[(String, String)]>,
    pub value: f64,
}

/// What the store says of an alert before this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub active_at_ms: i64,
    pub was_firing: bool,
    /// Its last sample.
    pub seen_at_ms: i64,
}

/// A series that tells of an alert.
pub type Told = (Labels, f64);

#[derive(Clone, Debug, Default)]
pub struct Alerts {
    active: HashMap<Labels, Alert>,
    /// Until the first evaluation.
    before: HashMap<Labels, Before>,
}

impl Alerts {
    /// Takes up what was before; `is_alone` when no other rule has alerts of this name.
    pub fn restore(&mut self, before: HashMap<Labels, Before>, is_alone: bool) {
        for (labels, before) in before.iter().filter(|(_, before)| is_alone && before.was_firing) {
            // If it does not hold any more, whoever was told of it has to be told of its end.
            self.active.insert(
                labels.clone(),
                Alert {
                    labels: labels.clone(),
                    annotations: Arc::from([]),
                    state: State::Firing,
                    value: 1.0,
                    active_at_ms: before.active_at_ms,
                    fired_at_ms: before.active_at_ms,
                    resolved_at_ms: None,
                    kept_since_ms: None,
                    sent_at_ms: None,
                },
            );
        }
        self.before = before;
    }

    pub fn all(&self) -> impl Iterator<Item = &Alert> {
        self.active.values()
    }

    /// Those that are told of as active, the oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<Alert> {
        let mut active: Vec<Alert> = self.active.values().filter(|alert| alert.state != State::Inactive).cloned().collect();
        active.sort_by(|a, b| a.active_at_ms.cmp(&b.active_at_ms).then_with(|| a.labels.cmp(&b.labels)));
        active
    }

    /// Takes up the rule's answer at a time; the series that tell of it.
    ///
    /// # Errors
    /// When there are more active alerts than the limit, which then are all forgotten.
    pub fn follow(&mut self, rule: &Alerting, found: Vec<Found>, at_ms: i64, limit: usize) -> Result<Vec<Told>, String> {
        let mut holds = std::collections::HashSet::with_capacity(found.len());
        for one in found {
            holds.insert(one.labels.clone());
            self.take(rule, one, at_ms);
        }
        self.before.clear();
        let (hold_ms, keep_ms) = (millis(rule.hold), millis(rule.keep_firing));
        let (mut told, mut count) = (Vec::new(), 0);
        self.active.retain(|labels, alert| {
            if !holds.contains(labels) {
                let is_over = alert.resolved_at_ms.is_some_and(|resolved_ms| at_ms - resolved_ms > RESOLVED_KEPT_MS);
                if !alert.keeps_firing(at_ms, keep_ms) {
                    let is_forgotten = alert.state == State::Pending || is_over;
                    if alert.state != State::Inactive {
                        (alert.state, alert.resolved_at_ms) = (State::Inactive, Some(at_ms));
                    }
                    return !is_forgotten;
                }
            } else {
                alert.kept_since_ms = None;
            }
            count += 1;
            if alert.state == State::Pending && at_ms - alert.active_at_ms >= hold_ms {
                (alert.state, alert.fired_at_ms) = (State::Firing, at_ms);
            }
            told.extend(alert.series());
            true
        });
        if limit > 0 && count > limit {
            self.active.clear();
            return Err(format!("exceeded limit of {limit} with {count} alerts"));
        }
        Ok(told)
    }

    fn take(&mut self, rule: &Alerting, found: Found, at_ms: i64) {
        if let Some(known) = self.active.get_mut(&found.labels).filter(|known| known.state != State::Inactive) {
            (known.value, known.annotations) = (found.value, found.annotations);
            return;
        }
        let before = self.before.get(&found.labels);
        let was_firing = before.is_some_and(|before| before.was_firing);
        let alert = Alert {
            labels: found.labels.clone(),
            annotations: found.annotations,
            state: if was_firing { State::Firing } else { State::Pending },
            value: found.value,
            active_at_ms: before.map_or(at_ms, |before| before.resumed(at_ms, millis(rule.hold))),
            fired_at_ms: before.map_or(0, |before| before.active_at_ms),
            resolved_at_ms: None,
            kept_since_ms: None,
            sent_at_ms: None,
        };
        self.active.insert(found.labels, alert);
    }

    /// Those of which has to be told now; they count as told.
    pub fn due(&mut self, at_ms: i64, resend_ms: i64) -> Vec<Alert> {
        let mut due = Vec::new();
        for alert in self.active.values_mut().filter(|alert| alert.is_due(at_ms, resend_ms)) {
            due.push(alert.clone());
            alert.sent_at_ms = Some(at_ms);
        }
        due.sort_by(|a, b| a.labels.cmp(&b.labels));
        due
    }
}

impl Before {
    /// Since when it counts as active: the time that nobody looked does not count, and what was about to fire waits for
    /// its samples to come back first.
    fn resumed(&self, at_ms: i64, hold_ms: i64) -> i64 {
        let left_ms = hold_ms - (self.seen_at_ms - self.active_at_ms);
        if self.was_firing || left_ms <= 0 {
            self.active_at_ms
        } else if left_ms < GRACE_MS && hold_ms >= GRACE_MS {
            at_ms + GRACE_MS - hold_ms
        } else {
            self.active_at_ms + (at_ms - self.seen_at_ms)
        }
    }
}

impl Alert {
    fn keeps_firing(&mut self, at_ms: i64, keep_ms: i64) -> bool {
        if self.state != State::Firing || keep_ms == 0 {
            return false;
        }
        at_ms - *self.kept_since_ms.get_or_insert(at_ms) < keep_ms
    }

    fn is_due(&self, at_ms: i64, resend_ms: i64) -> bool {
        match (self.state, self.sent_at_ms) {
            (State::Pending, _) => false,
            // What ended before it fired was never told of.
            (_, None) => self.state == State::Firing || self.fired_at_ms > 0,
            (_, Some(sent_ms)) => {
                self.resolved_at_ms.is_some_and(|resolved_ms| resolved_ms > sent_ms) || sent_ms + resend_ms < at_ms
            }
        }
    }

    fn series(&self) -> [Told; 2] {
        let state = promql::with_label(&promql::with_label(&self.labels, NAME, ALERTS), ALERT_STATE, self.state.name());
        let since = promql::with_label(&self.labels, NAME, FOR_STATE);
        [(state, 1.0), (since, self.active_at_ms.div_euclid(1000) as f64)]
    }
}

/// Labels and annotations of an element of the answer are checked: two alerts may not have the same.
pub(super) fn distinct(found: &[Found]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(found.len());
    found.iter().all(|one| seen.insert(&one.labels))
}

/// Whether the alerts of a series can be this rule's: its labels that nothing fills in say so.
pub(super) fn is_of(rule: &Rule, labels: &Labels) -> bool {
    let value = |name: &str| labels.iter().find(|(known, _)| **known == *name).map_or("", |(_, value)| &**value);
    value(ALERT_NAME) == rule.name
        && rule.labels.iter().all(|(name, template, text)| !template.is_plain() || value(name) == text.as_str())
}

pub(super) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn labels(instance: &str) -> Labels {
        [(ALERT_NAME, "Bad"), ("instance", instance)].map(|(name, value)| (name.into(), value.into())).into()
    }

    fn found(instances: &[&str]) -> Vec<Found> {
        instances.iter().map(|one| Found { labels: labels(one), annotations: Arc::from([]), value: 2.0 }).collect()
    }

    fn states(told: &[Told]) -> Vec<String> {
        let of =
            |labels: &Labels, name: &str| labels.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.to_string());
        let mut states: Vec<String> = told
            .iter()
            .filter_map(|(labels, _)| Some(format!("{} {}", of(labels, "instance")?, of(labels, ALERT_STATE)?)))
            .collect();
        states.sort();
        states
    }

    fn rule(hold_s: u64, keep_s: u64) -> Alerting {
        Alerting { hold: Duration::from_secs(hold_s), keep_firing: Duration::from_secs(keep_s), annotations: Vec::new() }
    }

    #[test]
    fn alerts_wait_fire_and_end() {
        let (rule, mut alerts) = (rule(20, 0), Alerts::default());
        let mut at = |t_ms, instances: &[&str]| states(&alerts.follow(&rule, found(instances), t_ms, 0).unwrap());
        assert_eq!(at(0, &["a"]), ["a pending"]);
        assert_eq!(at(10_000, &["a", "b"]), ["a pending", "b pending"]);
        assert_eq!(at(20_000, &["a"]), ["a firing"]);
        assert!(at(30_000, &[]).is_empty());
        assert_eq!(at(40_000, &["a"]), ["a pending"]);
    }

    #[test]
    fn firing_ones_are_kept_for_a_while() {
        let (rule, mut alerts) = (rule(0, 20), Alerts::default());
        let mut at = |t_ms, instances: &[&str]| states(&alerts.follow(&rule, found(instances), t_ms, 0).unwrap());
        assert_eq!(at(0, &["a"]), ["a firing"]);
        assert_eq!(at(10_000, &[]), ["a firing"]);
        assert_eq!(at(20_000, &["a"]), ["a firing"]);
        assert_eq!(at(30_000, &[]), ["a firing"]);
        assert!(at(50_000, &[]).is_empty());
    }

    #[test]
    fn the_limit_forgets_all() {
        let (rule, mut alerts) = (rule(0, 0), Alerts::default());
        let error = alerts.follow(&rule, found(&["a", "b"]), 0, 1).unwrap_err();
        assert_eq!((error.as_str(), alerts.active().len()), ("exceeded limit of 1 with 2 alerts", 0));
    }

    #[test]
    fn told_once_again_after_a_while_and_at_the_end() {
        let (rule, mut alerts) = (rule(0, 0), Alerts::default());
        let mut due = |t_ms, instances: &[&str]| -> Vec<(State, Option<i64>)> {
            alerts.follow(&rule, found(instances), t_ms, 0).unwrap();
            alerts.due(t_ms, 60_000).iter().map(|alert| (alert.state, alert.resolved_at_ms)).collect()
        };
        assert_eq!(due(1_000, &["a"]), [(State::Firing, None)]);
        assert_eq!(due(30_000, &["a"]), []);
        assert_eq!(due(62_000, &["a"]), [(State::Firing, None)]);
        assert_eq!(due(70_000, &[]), [(State::Inactive, Some(70_000))]);
        assert_eq!(due(80_000, &[]), []);
        assert_eq!(due(1_000_000, &[]), []);
    }

    #[test]
    fn what_was_goes_on_after_a_restart() {
        let before = |was_firing| Before { active_at_ms: 100_000, was_firing, seen_at_ms: 160_000 };
        let mut alerts = Alerts::default();
        alerts.restore(
            HashMap::from([(labels("a"), before(true)), (labels("b"), before(false)), (labels("c"), before(true))]),
            true,
        );
        let told = alerts.follow(&rule(120, 0), found(&["a", "b"]), 200_000, 0).unwrap();
        assert_eq!(states(&told), ["a firing", "b pending"]);
        // The 40 seconds that nobody looked do not count.
        let active: Vec<i64> = alerts.active().iter().map(|alert| alert.active_at_ms).collect();
        assert_eq!(active, [100_000, 140_000]);
        let due: Vec<State> = alerts.due(200_000, 60_000).iter().map(|alert| alert.state).collect();
        assert_eq!(due, [State::Firing, State::Inactive]);
        // Ten seconds before it would fire it waits for another ten minutes, where it waits so long anyway.
        let soon = Before { active_at_ms: 0, was_firing: false, seen_at_ms: 890_000 };
        assert_eq!(soon.resumed(1_000_000, 900_000), 1_000_000 + 600_000 - 900_000);
    }
}

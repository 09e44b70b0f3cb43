//! Evaluates the rules of a group at one time, one after the other: each sees what those before it recorded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alert::{ALERT_NAME, ALERT_STATE, ALERTS, Alerts, Before, FOR_STATE, Found, OUTAGE_MS, Told, distinct, is_of, millis};
use super::group::{Group, Kind, Rule};
use super::metrics::RuleMetrics;
use super::template::{Facts, Template, Value};
use crate::forward::Forwarder;
use crate::pipeline::{Intake, SamplePush, SampleRequest, WriteError};
use crate::query::promql::{self, Answer, Limits, QueryError, Source, Stored, Times};
use crate::store::sample::matcher::Matcher;
use crate::store::sample::{NAME, is_stale, stale};
use crate::store::{Delivery, Labels, Sample, SampleQuery, Store, StoreError};

/// How results are counted in `GET /api/ingest`.
pub const DOOR: &str = "rules";
/// Series that one rule may make.
const RESULTS_MAX: usize = 100_000;
/// Samples that one rule may read.
const SAMPLES_MAX: usize = 5_000_000;
/// Samples that are read to restore the alerts of one name.
const RESTORED_SAMPLES_MAX: usize = 1_000_000;
/// Longest time of one rule.
const TIME_MAX: Duration = Duration::from_secs(60);
const SAME_LABELS: &str = "vector contains metrics with the same labelset after applying";

#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{0}")]
    Result(String),
    #[error("the results were not stored: {0}")]
    Write(#[from] WriteError),
    #[error("the store did not answer: {0}")]
    Store(#[from] StoreError),
    #[error("the evaluation ended early")]
    Ended,
}

/// What evaluates rules. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub store: Arc<dyn Store>,
    pub intake: Intake,
    /// Where results are sent on to, as samples of scrapes are.
    pub forwarder: Option<Forwarder>,
    /// Under which we are known to whoever is told of alerts.
    pub external_url: Arc<str>,
    pub metrics: RuleMetrics,
}

/// A group and what became of its rules.
#[derive(Clone, Debug)]
pub struct GroupState {
    pub group: Arc<Group>,
    pub rules: Vec<RuleState>,
    /// False until alerts are taken up that were active before.
    pub is_restored: bool,
    pub evaluated_at_ms: Option<i64>,
    pub took: Duration,
    /// Series of rules that are no more; their end is told with the next evaluation.
    pub gone: Vec<Labels>,
}

#[derive(Clone, Debug, Default)]
pub struct RuleState {
    pub alerts: Alerts,
    /// Of the last evaluation.
    pub series: HashSet<Labels>,
    pub evaluated_at_ms: Option<i64>,
    pub took: Duration,
    pub error: Option<String>,
}

impl GroupState {
    #[must_use]
    pub fn new(group: Arc<Group>) -> Self {
        let rules = group.rules.iter().map(|_| RuleState::default()).collect();
        Self { group, rules, is_restored: false, evaluated_at_ms: None, took: Duration::ZERO, gone: Vec::new() }
    }

    /// As the group is now written; rules that go on keep their alerts and series.
    #[must_use]
    pub fn changed(mut self, group: Arc<Group>) -> Self {
        let mut next = Self { is_restored: self.is_restored, gone: std::mem::take(&mut self.gone), ..Self::new(group) };
        let mut old: Vec<(&Rule, Option<RuleState>)> = self.group.rules.iter().zip(self.rules.into_iter().map(Some)).collect();
        for (rule, state) in next.group.rules.iter().zip(&mut next.rules) {
            let known = old.iter_mut().find(|(known, state)| state.is_some() && rule.continues(known));
            if let Some(found) = known.and_then(|(_, state)| state.take()) {
                *state = found;
            }
        }
        let left = old.into_iter().filter_map(|(_, state)| state).flat_map(|state| state.series);
        next.gone.extend(left);
        next
    }

    /// All series that there were.
    fn series(&self) -> impl Iterator<Item = &Labels> {
        self.rules.iter().flat_map(|rule| &rule.series).chain(&self.gone)
    }
}

impl Engine {
    /// Evaluates a group at a time in Unix milliseconds; `alone` says whether only one rule has alerts of a name.
    pub async fn evaluate(&self, state: &mut GroupState, at_ms: i64, alone: &(dyn Fn(&str) -> bool + Sync)) {
        let (started, group) = (Instant::now(), Arc::clone(&state.group));
        let ts_ms = at_ms - millis(group.query_offset);
        if !state.is_restored {
            match self.restore(state, at_ms, alone).await {
                Ok(()) => state.is_restored = true,
                Err(error) => tracing::warn!(group = group.name, %error, "alerts are not restored yet"),
            }
        }
        self.end_gone(state, ts_ms).await;
        for (place, (rule, state)) in group.rules.iter().zip(&mut state.rules).enumerate() {
            let started = Instant::now();
            let result = self.rule(&group, place, rule, state, at_ms).await;
            (state.took, state.evaluated_at_ms) = (started.elapsed(), Some(at_ms));
            self.metrics.evaluated(if result.is_ok() { "done" } else { "failed" });
            if let Err(error) = &result
                && state.error.is_none()
            {
                tracing::warn!(group = group.name, rule = rule.name, %error, "a rule cannot be evaluated");
            }
            state.error = result.err().map(|error| error.to_string());
        }
        (state.took, state.evaluated_at_ms) = (started.elapsed(), Some(at_ms));
        self.metrics.group_took(state.took);
    }

    async fn rule(&self, group: &Group, place: usize, rule: &Rule, state: &mut RuleState, at_ms: i64) -> Result<(), RuleError> {
        let ts_ms = at_ms - millis(group.query_offset);
        let answer = self.ask(&rule.expression, ts_ms).await?;
        let results = match &rule.kind {
            Kind::Recording => recorded(rule, answer, group.limit)?,
            Kind::Alerting(alerting) => {
                let found = self.found(rule, answer, ts_ms).await?;
                if !distinct(&found) {
                    return Err(RuleError::Result(format!("{SAME_LABELS} alert labels")));
                }
                state.alerts.follow(alerting, found, at_ms, group.limit).map_err(RuleError::Result)?
            }
        };
        let now: HashSet<Labels> = results.iter().map(|(labels, _)| labels.clone()).collect();
        if now.len() != results.len() {
            return Err(RuleError::Result(format!("{SAME_LABELS} rule labels")));
        }
        let ended = state.series.iter().filter(|labels| !now.contains(*labels)).map(|labels| (labels.clone(), stale()));
        let samples: Vec<Told> = results.into_iter().chain(ended).collect();
        self.write(&format!("{};{place}", group.key()), samples, ts_ms).await?;
        state.series = now;
        Ok(())
    }

    async fn ask(&self, expression: &str, ts_ms: i64) -> Result<Vec<(Labels, f64)>, RuleError> {
        let mut limits = Limits::until(Instant::now().checked_add(TIME_MAX));
        limits.samples_max = SAMPLES_MAX;
        let source: &dyn Source = &Stored(Arc::clone(&self.store));
        let asked = promql::query(source, expression, Times::at(ts_ms), &limits);
        let answer = tokio::time::timeout(TIME_MAX, asked).await.map_err(|_| QueryError::Timeout)??;
        let found = match answer {
            Answer::Vector(vector) => vector.into_iter().map(|(labels, sample)| (labels, sample.value)).collect(),
            Answer::Scalar(sample) => vec![(Labels::from([]), sample.value)],
            Answer::Text { .. } | Answer::Matrix(_) => {
                return Err(RuleError::Result("rule result is not a vector or scalar".to_owned()));
            }
        };
        Ok(found)
    }

    /// Fills the templates in, beside the tasks that wait for sockets: a template may ask questions.
    async fn found(&self, rule: &Rule, answer: Vec<(Labels, f64)>, ts_ms: i64) -> Result<Vec<Found>, RuleError> {
        let (engine, rule, runtime) = (self.clone(), rule.clone(), tokio::runtime::Handle::current());
        let filling = tokio::task::spawn_blocking(move || {
            let query = |text: &str| {
                let answer = runtime.block_on(engine.ask(text, ts_ms)).map_err(|error| error.to_string())?;
                let pairs = |labels: &Labels| {
                    labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>()
                };
                let samples = answer.iter().map(|(labels, value)| {
                    let pairs = pairs(labels);
                    Value::sample(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())), *value)
                });
                Ok(Value::List(samples.collect()))
            };
            let fill = |(labels, value): &(Labels, f64)| {
                let pairs = labels.iter().map(|(name, value)| (name.to_string(), Value::text(&**value)));
                let facts = Facts {
                    labels: Value::map(pairs),
                    value: *value,
                    external_url: &engine.external_url,
                    now_s: ts_ms as f64 / 1000.0,
                    query: &query,
                };
                filled(&rule, labels, *value, &facts)
            };
            answer.iter().map(fill).collect()
        });
        filling.await.map_err(|_| RuleError::Ended)
    }

    /// Stores samples of one time, once however often they come: another collector may evaluate the same.
    async fn write(&self, what: &str, samples: Vec<Told>, ts_ms: i64) -> Result<(), RuleError> {
        if samples.is_empty() {
            return Ok(());
        }
        if samples.len() > 2 * RESULTS_MAX {
            return Err(RuleError::Result(format!("a rule may make {RESULTS_MAX} series; this one makes {}", samples.len())));
        }
        let index = self.store.series_index().await?;
        let mut push = SamplePush::up_to(samples.len(), index, Arc::new(|_| Ok(())));
        let mut body = format!("{what};{ts_ms}");
        for (labels, value) in &samples {
            let pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            push.add(&pairs, [Sample { t_ms: ts_ms, value: *value }]);
            body.push(if is_stale(*value) { '-' } else { '+' });
        }
        let taken = self.forwarder.as_ref().map(|forwarder| (forwarder, push.taken()));
        let request = SampleRequest {
            door: DOOR,
            push,
            bytes: samples.len() * size_of::<Sample>(),
            delivery: Delivery::new(DOOR, body.as_bytes()),
        };
        let (answer, _) = self.intake.samples(request).await?;
        if let Some((forwarder, taken)) = taken {
            forwarder.offer(taken);
        }
        if let Some((reason, count)) = answer.refused.iter().next() {
            return Err(RuleError::Result(format!("{count} of its series were refused: {reason}")));
        }
        Ok(())
    }

    async fn end_gone(&self, state: &mut GroupState, ts_ms: i64) {
        let ended: Vec<Told> = state.gone.iter().map(|labels| (labels.clone(), stale())).collect();
        match self.write(&state.group.key(), ended, ts_ms).await {
            Ok(()) => state.gone.clear(),
            Err(error) => tracing::warn!(group = state.group.name, %error, "the end of series is not told yet"),
        }
    }

    /// Tells the end of all series of a group that is no more.
    pub async fn end(&self, state: &GroupState, ts_ms: i64) {
        let ended: Vec<Told> = state.series().map(|labels| (labels.clone(), stale())).collect();
        if let Err(error) = self.write(&state.group.key(), ended, ts_ms).await {
            tracing::warn!(group = state.group.name, %error, "the end of series is not told");
        }
    }

    /// Alerts that were active when rules were evaluated last, and the series that told of them.
    async fn restore(&self, state: &mut GroupState, at_ms: i64, alone: &(dyn Fn(&str) -> bool + Sync)) -> Result<(), StoreError> {
        for (rule, state) in state.group.rules.iter().zip(&mut state.rules) {
            if rule.alerting().is_none() {
                continue;
            }
            let firing = self.newest(ALERTS, &rule.name, at_ms).await?;
            let firing = firing.into_iter().filter(|(labels, _)| promql::label(labels, ALERT_STATE) == "firing");
            let firing: HashMap<Labels, Sample> = firing
                .map(|(labels, sample)| (promql::with_label(&promql::with_label(&labels, NAME, ""), ALERT_STATE, ""), sample))
                .collect();
            let mut before = HashMap::new();
            for (labels, since) in self.newest(FOR_STATE, &rule.name, at_ms).await? {
                let alert = promql::with_label(&labels, NAME, "");
                if !is_of(rule, &alert) {
                    continue;
                }
                let was_firing = firing.get(&alert).is_some_and(|sample| sample.t_ms == since.t_ms);
                let active_at_ms = (since.value * 1000.0) as i64;
                before.insert(alert.clone(), Before { active_at_ms, was_firing, seen_at_ms: since.t_ms });
                let active = if was_firing { "firing" } else { "pending" };
                state.series.insert(promql::with_label(&promql::with_label(&alert, NAME, ALERTS), ALERT_STATE, active));
                state.series.insert(labels);
            }
            state.alerts.restore(before, alone(&rule.name));
        }
        Ok(())
    }

    /// The newest sample of each series of alerts of one name, unless it ended.
    async fn newest(&self, metric: &str, alert: &str, at_ms: i64) -> Result<Vec<(Labels, Sample)>, StoreError> {
        let matchers = vec![Matcher::equal(NAME, metric), Matcher::equal(ALERT_NAME, alert)];
        let query = SampleQuery { samples_max: RESTORED_SAMPLES_MAX, ..SampleQuery::new(matchers, at_ms - OUTAGE_MS, at_ms) };
        let series = self.store.select(&query).await?;
        let newest = series.into_iter().filter_map(|series| Some((series.labels, *series.samples.last()?)));
        Ok(newest.filter(|(_, sample)| !is_stale(sample.value)).collect())
    }
}

fn recorded(rule: &Rule, answer: Vec<(Labels, f64)>, limit: usize) -> Result<Vec<Told>, RuleError> {
    if limit > 0 && answer.len() > limit {
        return Err(RuleError::Result(format!("exceeded limit of {limit} with {} series", answer.len())));
    }
    let named = |labels: &Labels| {
        let labels = promql::with_label(labels, NAME, &rule.name);
        rule.labels.iter().fold(labels, |labels, (name, _, text)| promql::with_label(&labels, name, text))
    };
    Ok(answer.into_iter().map(|(labels, value)| (named(&labels), value)).collect())
}

fn filled(rule: &Rule, labels: &Labels, value: f64, facts: &Facts<'_>) -> Found {
    let fill = |template: &Template| {
        template.render(facts).unwrap_or_else(|error| {
            tracing::warn!(rule = rule.name, %error, "a template cannot be filled in");
            format!("<error expanding template: {error}>")
        })
    };
    let own = promql::with_label(labels, NAME, "");
    let labelled = rule.labels.iter().fold(own, |labels, (name, template, _)| promql::with_label(&labels, name, &fill(template)));
    let annotations = rule.alerting().map_or(&[][..], |alerting| alerting.annotations.as_slice());
    Found {
        labels: promql::with_label(&labelled, ALERT_NAME, &rule.name),
        annotations: annotations.iter().map(|(name, template, _)| (name.clone(), fill(template))).collect(),
        value,
    }
}

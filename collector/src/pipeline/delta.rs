//! Compares what a scrape saw with what the last stored scrape of the same target saw.
//!
//! Invariant: the sum of everything added equals the counters, over resets, restarts of the proxy, restarts of the
//! collector and gaps. What was counted before anybody watched (the baseline) is the only thing left out.
//!
//! A process that tells its age alone (Envoy) is known by it: the age must have grown by the time that passed. Time that
//! passed is measured by the steady clock, because the wall's may be set meanwhile, here or at the proxy.

use std::collections::HashMap;
use std::sync::Arc;

use super::observation::{Observation, Series};
use super::spread::{difference, is_nothing, spread};
use crate::clock::Moment;
use crate::store::{Edge, EdgeLabels, ScrapeBatch, StoredTarget, Totals};

/// A process up to this age is taken as new when it is first seen, even if it started before the store did.
const YOUNG_S: f64 = 90.0;
/// A proxy's uptime may be this stale: Envoy renews it every five seconds, and a scrape takes a while.
const UPTIME_SLACK_S: f64 = 10.0;
/// Both clocks measure the same time, unless one was set or slept; rounding and slewing stay below this.
const CLOCKS_AGREE_S: f64 = 1.0;

/// What the last stored scrape saw.
#[derive(Clone, Debug, Default)]
pub struct TargetState {
    pub version: i64,
    pub scraped_at_ms: i64,
    /// The same moment on the steady clock of this process; `None` when another one scraped.
    pub steady_ms: Option<i64>,
    pub uptime_s: Option<f64>,
    pub started_at_s: Option<f64>,
    pub series: Series,
}

impl From<StoredTarget> for TargetState {
    fn from(stored: StoredTarget) -> Self {
        Self {
            version: stored.version,
            scraped_at_ms: stored.scraped_at_ms,
            steady_ms: None,
            uptime_s: stored.uptime_s,
            started_at_s: stored.started_at_s,
            series: stored.counters.into_iter().map(|(edge, totals)| (edge.labels.clone(), (edge, totals))).collect(),
        }
    }
}

/// What tells whether the first sight of a target is the whole of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knowledge {
    /// Since when every target is remembered: whatever started later and is not known was never counted by anyone.
    pub known_since_ms: i64,
    /// When the target registered with this collector; `None` for one that was configured.
    pub registered_at_ms: Option<i64>,
    pub collector_started_at_ms: i64,
    /// Whether somebody else scraped it so far, and pushed what it told.
    pub is_pushed: bool,
}

/// What the counters of a scrape are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// Counted before anybody watched.
    Baseline,
    /// A process that nobody has seen before, with its start if it is known.
    Zero { since_ms: Option<i64> },
    /// The same process as last time.
    Last,
}

/// The change to store, and the state once it is stored.
#[derive(Debug)]
pub struct Comparison {
    pub basis: Basis,
    /// Target and namespace are left to the caller.
    pub batch: ScrapeBatch,
    pub next: TargetState,
}

/// Whether an answer lacks the proxy's own part, as a merged endpoint's may: it would look as if every series had
/// gone, and the next whole answer as if all of them began anew.
#[must_use]
pub fn lacks_the_proxy(last: Option<&TargetState>, seen: &Observation) -> bool {
    let Some(last) = last else { return false };
    let had_age = last.uptime_s.is_some() || last.started_at_s.is_some();
    let has_age = seen.uptime_s.is_some() || seen.started_at_s.is_some();
    !has_age && (had_age || (seen.series.is_empty() && !last.series.is_empty()))
}

/// Compares; takes no notice of time but what it is told.
#[must_use]
pub fn compare(last: Option<&TargetState>, seen: Observation, at: Moment, knowledge: Knowledge) -> Comparison {
    let scraped_at_ms = at.wall_ms;
    let basis = match last {
        None => first_sight(&seen, scraped_at_ms, knowledge),
        Some(last) if is_restarted(last, &seen, at) => {
            let since_ms = started_at_ms(&seen, scraped_at_ms).unwrap_or(i64::MIN).max(last.scraped_at_ms);
            Basis::Zero { since_ms: Some(since_ms) }
        }
        Some(_) => Basis::Last,
    };
    let known = last.map(|last| &last.series);
    let mut batch = ScrapeBatch {
        version: last.map_or(0, |last| last.version),
        scraped_at_ms,
        uptime_s: seen.uptime_s,
        started_at_s: seen.started_at_s,
        ..ScrapeBatch::default()
    };
    let since_ms = match basis {
        Basis::Baseline => None,
        Basis::Zero { since_ms } => since_ms,
        Basis::Last => last.map(|last| last.scraped_at_ms),
    };
    for (labels, (edge, now)) in &seen.series {
        let before = known.and_then(|known| known.get(labels));
        let added = match basis {
            Basis::Baseline => Totals::default(),
            Basis::Zero { .. } => now.clone(),
            Basis::Last => added_since(now, before.map(|(_, totals)| totals)),
        };
        if !is_nothing(&added) {
            let parts = spread(&added, since_ms, scraped_at_ms);
            batch.added.extend(parts.into_iter().map(|(step_s, part)| (step_s, edge.clone(), part)));
        }
        if before.is_none_or(|(known, totals)| known.hash() != edge.hash() || totals != now) {
            batch.counters.push((edge.clone(), now.clone()));
        }
    }
    batch.gone = gone(known, &seen);
    let next = TargetState {
        version: batch.version + 1,
        scraped_at_ms,
        steady_ms: Some(at.steady_ms),
        uptime_s: seen.uptime_s,
        started_at_s: seen.started_at_s,
        series: seen.series,
    };
    Comparison { basis, batch, next }
}

fn first_sight(seen: &Observation, scraped_at_ms: i64, knowledge: Knowledge) -> Basis {
    let Some(started_at_ms) = started_at_ms(seen, scraped_at_ms) else {
        // Without an age, a proxy that came to us is taken as new, and one that was there all along is not.
        let is_new = knowledge.registered_at_ms.is_some_and(|at_ms| at_ms >= knowledge.collector_started_at_ms);
        let is_new = is_new && !knowledge.is_pushed;
        return if is_new { Basis::Zero { since_ms: knowledge.registered_at_ms } } else { Basis::Baseline };
    };
    let age_s = (scraped_at_ms - started_at_ms) as f64 / 1000.0;
    if !knowledge.is_pushed && (age_s <= YOUNG_S || started_at_ms >= knowledge.known_since_ms) {
        Basis::Zero { since_ms: Some(started_at_ms) }
    } else {
        Basis::Baseline
    }
}

fn started_at_ms(seen: &Observation, scraped_at_ms: i64) -> Option<i64> {
    let by_age = || seen.uptime_s.map(|uptime_s| scraped_at_ms - (uptime_s * 1000.0) as i64);
    seen.started_at_s.map(|at_s| (at_s * 1000.0) as i64).or_else(by_age)
}

/// Whether another process answers than last time.
fn is_restarted(last: &TargetState, seen: &Observation, at: Moment) -> bool {
    if let (Some(before), Some(now)) = (last.started_at_s, seen.started_at_s) {
        return (before - now).abs() > 1e-3;
    }
    if let (Some(before), Some(now)) = (last.uptime_s, seen.uptime_s) {
        return !has_grown(before, now, last, at);
    }
    // Without an age one counter that went back tells of all.
    let went_back = |(labels, (_, now)): (&Arc<EdgeLabels>, &(Arc<Edge>, Totals))| {
        last.series.get(labels).is_some_and(|(_, before)| is_reset(now, before))
    };
    seen.series.iter().any(went_back)
}

/// Whether an age is that of the process that told the age before.
fn has_grown(before_s: f64, now_s: f64, last: &TargetState, at: Moment) -> bool {
    let wall_s = (at.wall_ms - last.scraped_at_ms) as f64 / 1000.0;
    // After a restart of the collector the wall's clock is all there is.
    let steady_s = last.steady_ms.map_or(wall_s, |steady_ms| (at.steady_ms - steady_ms) as f64 / 1000.0);
    if (wall_s - steady_s).abs() <= CLOCKS_AGREE_S {
        return now_s >= before_s && now_s + UPTIME_SLACK_S >= before_s + steady_s;
    }
    // A clock was set, or the machine slept. Envoy takes its age from the clock of its own machine: it grew by the one
    // time or by the other, and that of a new process by neither.
    [wall_s, steady_s].iter().any(|elapsed_s| (now_s - before_s - elapsed_s).abs() <= UPTIME_SLACK_S)
}

/// A proxy may also forget single series, which then begin anew.
fn added_since(now: &Totals, before: Option<&Totals>) -> Totals {
    match before {
        Some(before) if !is_reset(now, before) => difference(now, before),
        _ => now.clone(),
    }
}

fn is_reset(now: &Totals, before: &Totals) -> bool {
    let same_bounds = now.duration.bounds == before.duration.bounds;
    let buckets = now.duration.counts.iter().zip(&before.duration.counts);
    now.requests < before.requests
        || now.request_messages < before.request_messages
        || now.response_messages < before.response_messages
        || now.tcp_sent_bytes < before.tcp_sent_bytes
        || now.tcp_received_bytes < before.tcp_received_bytes
        || now.tcp_opened < before.tcp_opened
        || now.tcp_closed < before.tcp_closed
        || (same_bounds && { buckets }.any(|(now, before)| now < before))
}

/// Edges of the last scrape that are not there any more, or that are counted by other bounds now.
fn gone(known: Option<&Series>, seen: &Observation) -> Vec<Arc<Edge>> {
    let is_there = |edge: &Edge| seen.series.get(&edge.labels).is_some_and(|(now, _)| now.hash() == edge.hash());
    known.into_iter().flat_map(HashMap::values).filter(|(edge, _)| !is_there(edge)).map(|(edge, _)| edge.clone()).collect()
}

#[cfg(test)]
mod tests;

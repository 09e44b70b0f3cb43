//! The rules, in order: the first one that holds for a trace decides.

use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use super::counted::Counted;
use crate::export::is_sampled;
use crate::store::{Span, SpanWatch, TraceFacts, TraceId, Verdict};

/// Name of what decides when no rule does.
pub(super) const DEFAULT: &str = "default";

/// What a rule looks at beside its condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Keeps every trace with such a span.
    Always,
    /// Keeps none of them.
    Never,
    /// Keeps traces with a span that failed: the condition says what that is.
    Error,
    /// Keeps traces that took longer. Where a span is named, its duration is part of the condition and this is below zero.
    Slow { longer_than_us: i64 },
    /// Keeps the first so many traces of a root service and operation in every hour.
    Rare { per_hour: u64 },
    /// Keeps so many traces of a root service in a second.
    Rate { per_second: f64 },
    /// Keeps this share of the traces, the same ones as the exporters' sampling.
    Share { percent: f64 },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: Arc<str>,
    pub kind: Kind,
    pub condition: Condition,
    /// Of the condition; `None` where every span meets it.
    pub met: Option<u64>,
}

/// A file of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How long a trace has to be quiet.
    pub decide_after: Duration,
    /// How long after its first span it is decided at the latest.
    pub decide_latest: Duration,
    pub rules: Vec<Rule>,
    pub keeps_by_default: bool,
    /// Names of the conditions, and which rule each belongs to.
    conditions: Vec<u64>,
    places: Vec<usize>,
}

impl Rules {
    #[must_use]
    pub fn new(decide_after: Duration, decide_latest: Duration, rules: Vec<Rule>, keeps_by_default: bool) -> Self {
        let places: Vec<usize> =
            rules.iter().enumerate().filter(|(_, rule)| rule.met.is_some()).map(|(place, _)| place).collect();
        let conditions = places.iter().filter_map(|place| rules[*place].met).collect();
        Self { decide_after, decide_latest, rules, keeps_by_default, conditions, places }
    }

    /// Decides on a trace that was not decided on before, and counts it. Traces come in the order in which they became due.
    pub(super) fn decide(&self, id: &TraceId, facts: &TraceFacts, due_ms: i64, counted: &mut Counted) -> Verdict {
        let root = (&*facts.root.service, &*facts.root.operation);
        let seen =
            self.rules.iter().any(|rule| matches!(rule.kind, Kind::Rare { .. })).then(|| counted.see(root, facts.arrived_ms));
        for rule in &self.rules {
            if rule.met.is_some_and(|name| facts.met.binary_search(&name).is_err()) {
                continue;
            }
            let holds = match rule.kind {
                Kind::Always | Kind::Never | Kind::Error => true,
                Kind::Slow { longer_than_us } => facts.end_us.saturating_sub(facts.first_us) > longer_than_us,
                Kind::Rare { per_hour } => seen.flatten().is_some_and(|before| before < per_hour),
                Kind::Rate { per_second } => counted.take(&rule.name, root.0, per_second, due_ms),
                Kind::Share { percent } => is_sampled(id, percent),
            };
            if holds {
                return Verdict { is_kept: rule.kind != Kind::Never, rule: Arc::clone(&rule.name) };
            }
        }
        Verdict { is_kept: self.keeps_by_default, rule: DEFAULT.into() }
    }
}

impl SpanWatch for Rules {
    fn conditions(&self) -> &[u64] {
        &self.conditions
    }

    fn met(&self, span: &Span) -> u64 {
        let bit = |(bit, place): (usize, &usize)| u64::from(self.rules[*place].condition.is_met(span)) << bit;
        self.places.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
    }
}

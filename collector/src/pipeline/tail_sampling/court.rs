//! What the judge knows and decides, without a database: facts come in, rulings go out, and nothing has changed before a
//! ruling is durable. All of it can be read again from the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::counted::Counted;
use super::rules::Rules;
use crate::store::span_block::hash_name;
use crate::store::{FactsRow, Judged, Sentence, TraceFacts, TraceId, Verdict};

/// Traces that wait for their verdict; beyond them the oldest are decided on before their time.
const WAITING_MAX: usize = 300_000;
/// Verdicts that are remembered for late spans, twice: the older half is forgotten as a whole.
const GENERATION: usize = 450_000;
/// Different verdicts that are remembered.
const VERDICTS_MAX: usize = 256;
/// Names of services and operations that are held once; with more, they are gathered anew.
const NAMES_MAX: usize = 20_000;
const SEED: u64 = 0x6c61_7465;

/// Verdicts of late, so that late spans follow them.
#[derive(Default)]
pub struct Recent {
    fresh: HashMap<u64, u8>,
    old: HashMap<u64, u8>,
    verdicts: Vec<Verdict>,
}

impl Recent {
    /// How many are worth reading when the judge takes his place.
    pub const WORTH: usize = GENERATION;

    fn key(id: &TraceId) -> u64 {
        hash_name(SEED, id)
    }

    pub fn get(&self, id: &TraceId) -> Option<&Verdict> {
        let key = Self::key(id);
        let place = self.fresh.get(&key).or_else(|| self.old.get(&key))?;
        self.verdicts.get(usize::from(*place))
    }

    pub fn add(&mut self, id: &TraceId, verdict: &Verdict) {
        let known = self.verdicts.iter().position(|known| known == verdict);
        if known.is_none() && self.verdicts.len() >= VERDICTS_MAX {
            // The rules were changed hundreds of times.
            *self = Self::default();
        }
        let place = known.unwrap_or_else(|| {
            self.verdicts.push(verdict.clone());
            self.verdicts.len() - 1
        });
        if self.fresh.len() >= GENERATION {
            self.old = std::mem::take(&mut self.fresh);
        }
        self.fresh.insert(Self::key(id), place as u8);
    }
}

/// A row of facts that was read.
struct Row {
    arrived_ms: i64,
    is_carried: bool,
}

/// What is decided at one time.
#[derive(Debug, Default, PartialEq)]
pub struct Ruling {
    pub judged: Vec<Judged>,
    /// Rows of facts that are not needed any more.
    pub done: Vec<i64>,
    pub carried: Vec<(TraceId, TraceFacts)>,
    pub counted: Counted,
    /// Traces by their verdict, without the late ones.
    pub traces: BTreeMap<Verdict, u64>,
    /// Traces whose spans follow the verdict that was given before.
    pub late: u64,
    /// Traces that were decided on before their time.
    pub early: u64,
}

pub struct Court {
    rules: Arc<Rules>,
    traces: HashMap<TraceId, TraceFacts>,
    rows: HashMap<i64, Row>,
    recent: Recent,
    counted: Counted,
    names: HashSet<Arc<str>>,
    waiting_max: usize,
}

impl Court {
    /// Goes on where the last judge was.
    #[must_use]
    pub fn new(rules: Arc<Rules>, counted: &[u8], verdicts: &[(TraceId, Verdict)]) -> Self {
        let mut recent = Recent::default();
        // Newest first.
        verdicts.iter().rev().for_each(|(id, verdict)| recent.add(id, verdict));
        Self {
            rules,
            traces: HashMap::new(),
            rows: HashMap::new(),
            recent,
            counted: Counted::decode(counted),
            names: HashSet::new(),
            waiting_max: WAITING_MAX,
        }
    }

    /// With room for fewer traces.
    #[cfg(test)]
    #[must_use]
    pub fn with_room(self, waiting_max: usize) -> Self {
        Self { waiting_max, ..self }
    }

    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// Rows that need not be read again.
    #[must_use]
    pub fn known(&self) -> HashSet<i64> {
        self.rows.keys().copied().collect()
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        self.traces.len()
    }

    #[must_use]
    pub fn is_waiting(&self, id: &TraceId) -> bool {
        self.traces.contains_key(id)
    }

    pub fn learn(&mut self, rows: Vec<FactsRow>) {
        for row in rows {
            self.rows.insert(row.facts_id, Row { arrived_ms: row.arrived_ms, is_carried: row.is_carried });
            for (id, mut facts) in row.traces {
                facts.root.service = self.name(facts.root.service);
                facts.root.operation = self.name(facts.root.operation);
                match self.traces.get_mut(&id) {
                    Some(known) => known.merge(facts),
                    None => {
                        self.traces.insert(id, facts);
                    }
                }
            }
        }
    }

    fn name(&mut self, name: Arc<str>) -> Arc<str> {
        if let Some(known) = self.names.get(&name) {
            return Arc::clone(known);
        }
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(Arc::clone(&name));
        name
    }

    /// Rows that are not in the database any more.
    pub fn forget_rows(&mut self, there: &HashSet<i64>) {
        self.rows.retain(|id, _| there.contains(id));
    }

    /// Decides on what is due; `None` when nothing is.
    #[must_use]
    pub fn rule(&self, now_ms: i64) -> Option<Ruling> {
        let quiet_ms = now_ms.saturating_sub(millis(self.rules.decide_after));
        let mut ruling = Ruling { counted: self.counted.clone(), ..Ruling::default() };
        let due = self.due(now_ms, quiet_ms, &mut ruling.early);
        let is_done = |row: &Row| row.is_carried || row.arrived_ms <= quiet_ms;
        if due.is_empty() && !self.rows.values().any(|row| !row.is_carried && is_done(row)) {
            return None;
        }
        ruling.done = self.rows.iter().filter(|(_, row)| is_done(row)).map(|(id, _)| *id).collect();
        ruling.done.sort_unstable();
        let is_due: HashSet<TraceId> = due.iter().map(|(_, id)| *id).collect();
        let stays = |id: &i64| self.rows.get(id).is_some_and(|row| !is_done(row));
        let is_carried = |facts: &TraceFacts| facts.arrived_ms <= quiet_ms || !stays(&facts.origin_id);
        let carried = self.traces.iter().filter(|(id, facts)| !is_due.contains(*id) && is_carried(facts));
        ruling.carried = carried.map(|(id, facts)| (*id, facts.clone())).collect();
        ruling.carried.sort_unstable_by_key(|(id, facts)| (facts.origin_id, *id));
        for (due_ms, id) in due {
            if let Some(facts) = self.traces.get(&id) {
                self.judge(id, facts, due_ms, &mut ruling);
            }
        }
        Some(ruling)
    }

    fn judge(&self, id: TraceId, facts: &TraceFacts, due_ms: i64, ruling: &mut Ruling) {
        let verdict = match self.recent.get(&id) {
            Some(verdict) => {
                ruling.late += 1;
                verdict.clone()
            }
            None => {
                let verdict = self.rules.decide(&id, facts, due_ms, &mut ruling.counted);
                *ruling.traces.entry(verdict.clone()).or_default() += 1;
                verdict
            }
        };
        ruling.judged.push(Judged { trace_id: id, first_us: facts.first_us, last_us: facts.last_us, verdict });
    }

    /// In the order in which they became due, so that rates do not depend on how often the judge looks.
    fn due(&self, now_ms: i64, quiet_ms: i64, early: &mut u64) -> Vec<(i64, TraceId)> {
        let oldest_ms = now_ms.saturating_sub(millis(self.rules.decide_latest));
        let due_ms = |facts: &TraceFacts| {
            let quiet = facts.quiet_since_ms.saturating_add(millis(self.rules.decide_after));
            quiet.min(facts.arrived_ms.saturating_add(millis(self.rules.decide_latest)))
        };
        let is_due = |facts: &TraceFacts| facts.quiet_since_ms <= quiet_ms || facts.arrived_ms <= oldest_ms;
        let mut due: Vec<(i64, TraceId)> =
            self.traces.iter().filter(|(_, facts)| is_due(facts)).map(|(id, facts)| (due_ms(facts), *id)).collect();
        let too_many = (self.traces.len() - due.len()).saturating_sub(self.waiting_max);
        if too_many > 0 {
            let mut rest: Vec<(i64, TraceId)> =
                self.traces.iter().filter(|(_, facts)| !is_due(facts)).map(|(id, facts)| (facts.arrived_ms, *id)).collect();
            rest.sort_unstable();
            due.extend(rest.into_iter().take(too_many).map(|(_, id)| (now_ms, id)));
            *early = too_many as u64;
        }
        due.sort_unstable();
        due
    }

    /// What a ruling changes in the store.
    #[must_use]
    pub fn sentence(&self, holder: i64, ruling: &Ruling) -> Sentence {
        let state = (ruling.counted != self.counted).then(|| ruling.counted.encode());
        let Ruling { judged, done, carried, .. } = ruling;
        Sentence { holder, judged: judged.clone(), done: done.clone(), carried: carried.clone(), state }
    }

    /// The ruling is durable.
    pub fn pronounced(&mut self, ruling: &Ruling) {
        for judged in &ruling.judged {
            self.traces.remove(&judged.trace_id);
            self.recent.add(&judged.trace_id, &judged.verdict);
        }
        for id in &ruling.done {
            self.rows.remove(id);
        }
        self.counted = ruling.counted.clone();
    }
}

pub(super) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

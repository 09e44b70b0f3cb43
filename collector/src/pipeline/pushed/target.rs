//! One target whose counters are pushed: how old its process is, since when it is watched, and what its edges add.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::SIGNAL;
use super::counters::{Begin, Counters, Judge, Late};
use crate::pipeline::edge_rows::Part;
use crate::pipeline::observation::SERIES_PER_TARGET_MAX;
use crate::store::sample::bytes::{Damaged, Reader, put_signed};
use crate::store::{Advance, Advanced, Counts, EdgeLabels, PushedTarget, StateKey};

/// Under this key stands what is known of the target itself.
const TARGET: StateKey = [0; 16];
/// A process up to this age is taken as new when it is first seen, even if it started before the store did.
const YOUNG_MS: i64 = 90_000;
/// Envoy renews its age every five seconds, and a scrape takes a while.
const UPTIME_SLACK_MS: i64 = 10_000;
/// Samples of the first scrape may be so far apart.
const FIRST_MS: i64 = 100;
/// States are written anew at least so often, so that what is told but never grows is not forgotten.
const RENEWED_MS: i64 = 24 * 3_600_000;

/// What a process says of its age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Age {
    /// Seconds.
    Uptime(f64),
    /// When it started, in Unix milliseconds.
    Start(f64),
}

/// A sample of a counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub t_ms: i64,
    pub part: Part,
    /// Of a bucket.
    pub bound: f64,
    pub value: f64,
    /// When the counter began, if that is told with it.
    pub since_ms: Option<i64>,
}

/// Samples of the counters that have the same labels.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub labels: Arc<EdgeLabels>,
    pub told: Vec<Told>,
}

/// What one target pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub namespace: Arc<str>,
    pub ages: Vec<(i64, Age)>,
    pub blocks: BTreeMap<StateKey, Block>,
    /// Its counters come from scrapes of our own.
    pub is_scraped: bool,
    /// It is too early to know whom we scrape.
    pub is_starting: bool,
    pub known_since_ms: i64,
}

/// What is remembered of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Watched {
    /// The first and the newest sample of an edge; 0 while there is none.
    first_ms: i64,
    newest_ms: i64,
    /// By what it told last, and when that was.
    started_ms: Option<i64>,
    age_at_ms: i64,
    /// Whether it tells its start, which is exact.
    tells_start: bool,
    /// The last sample of the process before, and the first of this one; 0 when there was none before.
    ended_ms: i64,
    began_ms: i64,
    was_scraped: bool,
}

impl Watched {
    fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte()?;
        let mut times = [0; 6];
        for time in &mut times {
            *time = reader.signed()?;
        }
        let [first_ms, newest_ms, started_ms, age_at_ms, ended_ms, began_ms] = times;
        Ok(Self {
            first_ms,
            newest_ms,
            started_ms: Some(started_ms).filter(|_| flags & 1 != 0),
            age_at_ms,
            tells_start: flags & 2 != 0,
            ended_ms,
            began_ms,
            was_scraped: flags & 4 != 0,
        })
    }

    fn write(&self) -> Vec<u8> {
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let mut out = Vec::with_capacity(48);
        out.push(flag(self.started_ms.is_some(), 1) | flag(self.tells_start, 2) | flag(self.was_scraped, 4));
        let started_ms = self.started_ms.unwrap_or(0);
        for time in [self.first_ms, self.newest_ms, started_ms, self.age_at_ms, self.ended_ms, self.began_ms] {
            put_signed(&mut out, time);
        }
        out
    }

    /// Notices another process behind the same name.
    fn see(&mut self, t_ms: i64, age: Age) {
        let (started_ms, tells_start) = match age {
            Age::Uptime(s) => (t_ms.saturating_sub((s * 1000.0) as i64), false),
            Age::Start(ms) => (ms as i64, true),
        };
        if t_ms < self.age_at_ms || (self.tells_start && !tells_start) {
            return;
        }
        let is_another = match self.started_ms {
            Some(before_ms) if tells_start => self.tells_start && (before_ms - started_ms).abs() > 1,
            // By the ages alone, as far as that goes: the clock of whoever scraped may be set meanwhile.
            Some(before_ms) => {
                let (age_ms, age_before_ms) = (t_ms - started_ms, self.age_at_ms - before_ms);
                age_ms < age_before_ms || age_ms + UPTIME_SLACK_MS < t_ms - self.age_at_ms
            }
            None => false,
        };
        if is_another {
            (self.ended_ms, self.began_ms) = (self.age_at_ms, t_ms);
        }
        (self.started_ms, self.tells_start, self.age_at_ms) = (Some(started_ms), tells_start, t_ms);
    }

    /// When the process began, if a counter was last told by the one before.
    fn restarted(&self, last_ms: i64, t_ms: i64) -> Option<i64> {
        let is_another = self.began_ms > 0 && last_ms <= self.ended_ms && t_ms >= self.began_ms;
        self.started_ms.filter(|_| is_another)
    }
}

impl Target {
    fn items(&self) -> u64 {
        self.blocks.values().map(|block| block.told.len() as u64).sum()
    }

    fn times(&self) -> impl Iterator<Item = i64> + Clone {
        self.blocks.values().flat_map(|block| &block.told).map(|told| told.t_ms)
    }

    pub fn finish(self, key: Arc<str>, door: &'static str) -> Option<PushedTarget> {
        let times = self.times().chain(self.ages.iter().map(|(t_ms, _)| *t_ms));
        let (oldest_ms, newest_ms) = times.clone().min().zip(times.max())?;
        Some(PushedTarget {
            target: key,
            namespace: self.namespace.clone(),
            oldest_ms,
            newest_ms,
            keys: [TARGET].into_iter().chain(self.blocks.keys().copied()).collect(),
            door,
            signal: SIGNAL,
            items: self.items(),
            advance: Arc::new(Push { target: self, door }),
        })
    }
}

/// What one request says of a target.
struct Push {
    target: Target,
    door: &'static str,
}

impl Advance for Push {
    fn advance(&self, known: &HashMap<StateKey, Vec<u8>>, mut held: usize) -> Advanced {
        let target = &self.target;
        // One that cannot be read is begun anew.
        let before = known.get(&TARGET).and_then(|bytes| Watched::read(bytes).ok()).unwrap_or_default();
        let mut advanced = Advanced::default();
        if before.was_scraped && !target.is_scraped && target.is_starting {
            // Nothing moves on, so nothing is lost if it is not scraped any more.
            advanced.counts.refuse(self.door, SIGNAL, "scraped", target.items());
            return advanced;
        }
        let watched = self.watch(before);
        let judge = Judging { watched: &watched, before: &before, known_since_ms: target.known_since_ms };
        for (key, block) in &target.blocks {
            let state = known.get(key);
            if state.is_none() && held > SERIES_PER_TARGET_MAX {
                advanced.counts.refuse(self.door, SIGNAL, "series_limit", block.told.len() as u64);
                continue;
            }
            held += usize::from(state.is_none());
            let mut counters = state.and_then(|bytes| Counters::read(bytes).ok()).unwrap_or_default();
            let written_ms = counters.newest_ms();
            let taken = counters.take(&block.told, &block.labels, &judge);
            self.note(&mut advanced.counts, block.told.len() as u64, taken.late, taken.duplicate);
            if !target.is_scraped {
                advanced.added.extend(taken.added);
            }
            if taken.is_changed || counters.newest_ms() - written_ms > RENEWED_MS {
                advanced.states.push((*key, counters.write()));
            }
        }
        if watched != before {
            advanced.states.push((TARGET, watched.write()));
        }
        advanced
    }
}

impl Push {
    fn watch(&self, before: Watched) -> Watched {
        let (target, mut watched) = (&self.target, before);
        let mut ages = target.ages.clone();
        ages.sort_by_key(|(t_ms, _)| *t_ms);
        ages.into_iter().for_each(|(t_ms, age)| watched.see(t_ms, age));
        if let Some((oldest_ms, newest_ms)) = target.times().min().zip(target.times().max()) {
            watched.first_ms = if before.first_ms == 0 { oldest_ms } else { before.first_ms };
            watched.newest_ms = before.newest_ms.max(newest_ms);
        }
        watched.was_scraped = target.is_scraped;
        watched
    }

    fn note(&self, counts: &mut Counts, all: u64, late: u64, duplicate: u64) {
        counts.refuse(self.door, SIGNAL, "late", late);
        counts.refuse(self.door, SIGNAL, "duplicate", duplicate);
        let taken = all - late - duplicate;
        match self.target.is_scraped {
            true => counts.refuse(self.door, SIGNAL, "scraped", taken),
            false => counts.add(self.door, SIGNAL, "stored", taken),
        }
    }
}

struct Judging<'a> {
    watched: &'a Watched,
    /// As it was before this request.
    before: &'a Watched,
    known_since_ms: i64,
}

impl Judge for Judging<'_> {
    fn first(&self, told: &Told) -> Begin {
        let looked_at = [self.before.newest_ms, self.watched.first_ms];
        let last_ms = looked_at.into_iter().find(|at_ms| *at_ms > 0 && *at_ms + FIRST_MS < told.t_ms);
        let started_ms = told.since_ms.or(self.watched.started_ms).filter(|at_ms| *at_ms <= told.t_ms);
        if let Some(started_ms) = started_ms
            && (told.t_ms - started_ms <= YOUNG_MS || started_ms >= self.known_since_ms)
        {
            return Begin::Zero { since_ms: last_ms.map_or(started_ms, |last_ms| last_ms.max(started_ms)) };
        }
        // Where it was not when the target was last looked at, it has begun since.
        last_ms.map_or(Begin::Baseline, |since_ms| Begin::Zero { since_ms })
    }

    fn again(&self, last_ms: i64, told: &Told) -> Result<Option<i64>, Late> {
        if told.t_ms <= last_ms {
            return Err(if told.t_ms == last_ms { Late::Duplicate } else { Late::Late });
        }
        let own = told.since_ms.filter(|since_ms| last_ms < *since_ms && *since_ms < told.t_ms);
        Ok(own.or_else(|| self.watched.restarted(last_ms, told.t_ms).map(|started_ms| started_ms.max(last_ms))))
    }
}

//! Counters that have the same labels, as they were last told, and what they add to an edge when they are told again.

use std::sync::Arc;

use super::target::Told;
use crate::pipeline::edge_rows::{ISTIO_BOUNDS, Part, histogram};
use crate::pipeline::spread::{difference, is_nothing, spread};
use crate::store::sample::bytes::{Damaged, Reader, put, put_signed};
use crate::store::{Edge, EdgeLabels, Histogram, PushedTarget, Totals};

/// A bucket that was not told for so long is gone.
const GONE_MS: i64 = 300_000;
/// Counters of one set of labels: all parts, and more buckets than any histogram of Istio has.
const COUNTERS_MAX: usize = 256;

/// From what a counter counts that nobody has seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Counted before anybody watched.
    Baseline,
    Zero {
        since_ms: i64,
    },
}

/// Why a sample says nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Duplicate,
    Late,
}

/// What is known of the process that counts.
pub(super) trait Judge {
    /// Of a counter that is told for the first time.
    fn first(&self, told: &Told) -> Begin;

    /// When the counter began anew since it was last told, if it did.
    fn again(&self, last_ms: i64, told: &Told) -> Result<Option<i64>, Late>;
}

#[derive(Clone, Debug, PartialEq)]
struct Counter {
    part: Part,
    bound: f64,
    t_ms: i64,
    value: f64,
    /// Of a bucket: what of it has been counted; `None` before the first time.
    counted: Option<u64>,
}

/// The counters of one set of labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counters {
    all: Vec<Counter>,
    /// When the buckets were last counted, which is when all of them told of one time; 0 before the first time.
    counted_ms: i64,
    /// Since when all that the buckets tell is new: another process counts.
    anew_ms: Option<i64>,
}

/// What samples came to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub added: Vec<(i64, Arc<Edge>, Totals)>,
    pub late: u64,
    pub duplicate: u64,
    /// By more than the times of counters that agree about them.
    pub is_changed: bool,
}

/// What was added, and since when.
type Added = Option<(Totals, i64)>;

impl Counters {
    pub fn newest_ms(&self) -> i64 {
        self.all.iter().map(|counter| counter.t_ms).max().unwrap_or(0)
    }

    /// Takes samples in the order of their times: a histogram is counted when all of its buckets have told of one time.
    pub fn take(&mut self, told: &[Told], labels: &Arc<EdgeLabels>, judge: &impl Judge) -> Taken {
        let mut told = told.to_vec();
        told.sort_by_key(|told| told.t_ms);
        let mut taken = Taken { is_changed: !self.agree(), ..Taken::default() };
        for of_time in told.chunk_by(|a, b| a.t_ms == b.t_ms) {
            let mut added: Vec<(Totals, i64)> = Vec::new();
            for told in of_time {
                match self.one(told, judge, &mut taken) {
                    Ok(part) => added.extend(part),
                    Err(Late::Duplicate) => taken.duplicate += 1,
                    Err(Late::Late) => taken.late += 1,
                }
            }
            added.extend(of_time.first().and_then(|told| self.durations(told, judge)));
            let t_ms = of_time.first().map_or(0, |told| told.t_ms);
            self.lay(added, t_ms, labels, &mut taken);
        }
        taken.is_changed |= !self.agree();
        let newest_ms = self.buckets().map(|bucket| bucket.t_ms).max().unwrap_or(0);
        self.all.retain(|counter| counter.part != Part::Bucket || counter.t_ms > newest_ms - GONE_MS);
        taken
    }

    /// Onto the steps of the edge.
    fn lay(&self, added: Vec<(Totals, i64)>, t_ms: i64, labels: &Arc<EdgeLabels>, taken: &mut Taken) {
        let none = self.none();
        let edge = Arc::new(Edge::new(labels.clone(), none.bounds.clone()));
        for (mut totals, since_ms) in added.into_iter().filter(|(totals, _)| !is_nothing(totals)) {
            if totals.duration.bounds != none.bounds {
                totals.duration = Histogram { sum: totals.duration.sum, ..fitted(&totals.duration, none.clone()) };
            }
            let since_ms = since_ms.max(t_ms - PushedTarget::SPREAD_MAX_MS);
            let parts = spread(&totals, Some(since_ms), t_ms).into_iter();
            taken.added.extend(parts.map(|(step_s, part)| (step_s, edge.clone(), part)));
        }
    }

    /// What one sample adds; buckets wait for each other.
    fn one(&mut self, told: &Told, judge: &impl Judge, taken: &mut Taken) -> Result<Added, Late> {
        let is_it = |counter: &&mut Counter| counter.part == told.part && counter.bound == told.bound;
        let Some(counter) = self.all.iter_mut().find(is_it) else { return self.first(told, judge, taken) };
        let anew_ms = judge.again(counter.t_ms, told)?;
        let (last, last_ms) = (counter.value, counter.t_ms);
        (counter.value, counter.t_ms) = (told.value, told.t_ms);
        taken.is_changed |= last != told.value;
        let anew_ms = anew_ms.or((told.value < last).then_some(last_ms));
        Ok(match (told.part, anew_ms) {
            (Part::Bucket, None) => None,
            (Part::Bucket, anew_ms) => {
                self.anew_ms = self.anew_ms.or(anew_ms);
                None
            }
            (part, Some(since_ms)) => Some((alone(part, told.value), since_ms)),
            (part, None) => Some((difference(&alone(part, told.value), &alone(part, last)), last_ms)),
        })
    }

    fn first(&mut self, told: &Told, judge: &impl Judge, taken: &mut Taken) -> Result<Added, Late> {
        if self.all.len() >= COUNTERS_MAX {
            return Err(Late::Late);
        }
        taken.is_changed = true;
        // A bucket of a time that is counted already was counted with the next larger one.
        let counted = Some(told.value as u64).filter(|_| told.t_ms <= self.counted_ms);
        let Told { part, bound, t_ms, value, .. } = *told;
        self.all.push(Counter { part, bound, t_ms, value, counted });
        Ok(match judge.first(told) {
            Begin::Zero { since_ms } if part != Part::Bucket => Some((alone(part, value), since_ms)),
            Begin::Zero { .. } | Begin::Baseline => None,
        })
    }

    fn buckets(&self) -> impl Iterator<Item = &Counter> + Clone {
        self.all.iter().filter(|counter| counter.part == Part::Bucket)
    }

    /// Whether all buckets have told of one time.
    fn agree(&self) -> bool {
        let mut times = self.buckets().map(|bucket| bucket.t_ms);
        times.next().is_none_or(|first| times.all(|t_ms| t_ms == first))
    }

    /// No durations, by the bounds of the edge.
    fn none(&self) -> Histogram {
        let counted = self.buckets().filter(|_| self.counted_ms > 0);
        let mut buckets: Vec<(f64, u64)> = counted.map(|bucket| (bucket.bound, 0)).collect();
        if buckets.is_empty() {
            buckets = ISTIO_BOUNDS.iter().map(|bound| (*bound, 0)).collect();
        }
        histogram(&mut buckets, 0.0)
    }

    /// What all buckets together add at a time; nothing while some have not told of it.
    fn durations(&mut self, told: &Told, judge: &impl Judge) -> Added {
        let there = || self.buckets().filter(|bucket| bucket.t_ms > told.t_ms - GONE_MS);
        let is_whole = there().any(|bucket| bucket.bound == f64::INFINITY);
        if !is_whole || told.t_ms <= self.counted_ms || !there().all(|bucket| bucket.t_ms == told.t_ms) {
            return None;
        }
        let added = self.grown(told, judge);
        (self.counted_ms, self.anew_ms) = (told.t_ms, None);
        for bucket in self.all.iter_mut().filter(|counter| counter.part == Part::Bucket) {
            bucket.counted = Some(bucket.value as u64);
        }
        added
    }

    /// What the buckets of one time tell that has not been counted.
    fn grown(&self, told: &Told, judge: &impl Judge) -> Added {
        let there = || self.buckets().filter(|bucket| bucket.t_ms == told.t_ms);
        let now = |bucket: &Counter| (bucket.bound, bucket.value as u64);
        let all = || whole(there().map(now).collect());
        match (self.counted_ms, self.anew_ms) {
            (0, _) => match judge.first(told) {
                Begin::Baseline => None,
                Begin::Zero { since_ms } => Some((all(), since_ms)),
            },
            (_, Some(since_ms)) => Some((all(), since_ms)),
            (counted_ms, None) => {
                // At the bounds that both times have, both counts are exact.
                let both = || there().filter_map(|bucket| Some((bucket, bucket.counted?)));
                let before = whole(both().map(|(bucket, counted)| (bucket.bound, counted)).collect());
                let after = whole(both().map(|(bucket, _)| now(bucket)).collect());
                Some((difference(&after, &before), counted_ms))
            }
        }
    }

    pub fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut reader = Reader::new(bytes);
        let (counted_ms, is_anew) = (reader.signed()?, reader.byte()? != 0);
        let anew_ms = if is_anew { Some(reader.signed()?) } else { None };
        let (mut all, mut t_ms) = (Vec::new(), 0);
        while !reader.is_empty() {
            let tag = reader.byte()?;
            let part = *Part::ALL.get(usize::from(tag & TAG_PART)).ok_or(Damaged("it has no such counter"))?;
            t_ms += reader.signed()?;
            let bound = if part == Part::Bucket { f64::from_bits(reader.number()?.swap_bytes()) } else { 0.0 };
            let number = reader.number()?;
            let value = if tag & TAG_REAL != 0 { f64::from_bits(number.swap_bytes()) } else { number as f64 };
            let counted = match tag & (TAG_COUNTED | TAG_WAITS) {
                TAG_COUNTED => Some(value as u64),
                TAG_WAITS => Some(reader.number()?),
                _ => None,
            };
            all.push(Counter { part, bound, t_ms, value, counted });
        }
        Ok(Self { all, counted_ms, anew_ms })
    }

    /// Floats stand with their last bytes first, which are zeros mostly.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.all.len() * 8);
        put_signed(&mut out, self.counted_ms);
        out.push(u8::from(self.anew_ms.is_some()));
        if let Some(anew_ms) = self.anew_ms {
            put_signed(&mut out, anew_ms);
        }
        let mut last_ms = 0;
        for counter in &self.all {
            let part = Part::ALL.iter().position(|part| *part == counter.part).unwrap_or(0);
            let is_real = counter.value.fract() != 0.0;
            let waits = counter.counted.filter(|counted| *counted != counter.value as u64);
            let counted = match (counter.counted, waits) {
                (None, _) => 0,
                (Some(_), None) => TAG_COUNTED,
                (Some(_), Some(_)) => TAG_WAITS,
            };
            out.push(part as u8 | if is_real { TAG_REAL } else { 0 } | counted);
            put_signed(&mut out, counter.t_ms - last_ms);
            last_ms = counter.t_ms;
            if counter.part == Part::Bucket {
                put(&mut out, counter.bound.to_bits().swap_bytes());
            }
            put(&mut out, if is_real { counter.value.to_bits().swap_bytes() } else { counter.value as u64 });
            if let Some(counted) = waits {
                put(&mut out, counted);
            }
        }
        out
    }
}

/// The part, by its place among all.
const TAG_PART: u8 = 0x0f;
/// The value is no whole number.
const TAG_REAL: u8 = 0x10;
/// All of a bucket has been counted.
const TAG_COUNTED: u8 = 0x20;
/// Some of it has; how much follows.
const TAG_WAITS: u8 = 0x40;

/// One counter of an edge.
fn alone(part: Part, value: f64) -> Totals {
    let mut totals = Totals::default();
    part.add(&mut totals, value);
    totals
}

fn whole(mut buckets: Vec<(f64, u64)>) -> Totals {
    Totals { duration: histogram(&mut buckets, 0.0), ..Totals::default() }
}

/// Counts at other bounds; those in between go to the next larger one.
fn fitted(durations: &Histogram, mut into: Histogram) -> Histogram {
    for (place, count) in durations.counts.iter().enumerate() {
        let bound = durations.bounds.get(place);
        let at = bound.map_or(into.bounds.len(), |bound| into.bounds.partition_point(|known| known < bound));
        if let Some(sum) = into.counts.get_mut(at) {
            *sum += count;
        }
    }
    into
}

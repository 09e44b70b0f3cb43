//! Reads the scrapes of one target. A series that was in the last one costs a comparison of its text and a number: the
//! lines of a page follow each other as they did, and differ from each other in little.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::naming::{LimitError, Naming, Place, SampleRefusal};
use crate::ingest::exposition::{BadLine, Format, Line, Tail, is_whole, labels, lines, sample, tail};
use crate::pipeline::{EdgeRows, Observation, Refusal, Role, Room};
use crate::store::exemplar::labels_text;
use crate::store::sample::index::Series;
use crate::store::{Exemplar, Metadata};

/// Series that one target may have, unless its job allows fewer.
pub const SERIES_PER_SCRAPE_MAX: usize = 250_000;
/// A sample's own time may lie so far ahead, and …
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;
/// … so far behind the scrape.
const BEHIND_MAX_MS: i64 = 24 * 3600 * 1000;
/// After so many scrapes it is told again what is said of metrics.
const DESCRIBED_SCRAPES: u32 = 100;
/// Exemplars of one scrape.
const EXEMPLARS_MAX: usize = 10_000;
/// No entry.
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("the answer breaks off before its end")]
    CutOff,
    #[error(transparent)]
    Limit(#[from] LimitError),
}

/// What is remembered of a series between two scrapes.
struct Entry {
    /// Bytes that its text shares with the line of the entry before it, and those that follow.
    shared: u32,
    suffix: Box<[u8]>,
    /// Whose line that was.
    before: u32,
    /// The line that followed last time.
    next: u32,
    /// The first and the last scrape that had it.
    born: u32,
    scrape: u32,
    hash: u128,
    id: i64,
    place: Place,
    role: Result<Role, Refusal>,
    /// Of the last exemplar.
    exemplar: u64,
    /// The newest time that a sample told itself; series that tell times get no mark when they end.
    own_ms: Option<i64>,
}

impl Entry {
    fn length(&self) -> usize {
        self.shared as usize + self.suffix.len()
    }
}

/// What one scrape told.
#[derive(Debug, Default)]
pub struct Page {
    pub observation: Observation,
    /// Samples of the time of the scrape by the id of their series, the ends of series included; each has one.
    pub values: Vec<(i64, f64)>,
    /// Samples of their own times, by the id of their series and by time.
    pub timed: Vec<(Arc<Series>, i64, f64)>,
    /// Those that the last scrape did not have.
    pub exemplars: Vec<Exemplar>,
    pub exemplars_refused: u64,
    /// What is said of metrics, if it is not what was said last.
    pub metadata: Option<Arc<[Metadata]>>,
    /// Lines that should be samples.
    pub received: u64,
    /// Samples that are kept.
    pub kept: u64,
    pub refused: BTreeMap<SampleRefusal, u64>,
    /// Series that the last scrape did not have.
    pub added: u64,
    /// With new ones among them, or with marks: the dictionary has to be asked what is to be written.
    pub series_changed: bool,
}

impl Page {
    fn refuse(&mut self, reason: SampleRefusal) {
        *self.refused.entry(reason).or_default() += 1;
    }

    fn exemplar(&mut self, series: &Arc<Series>, told: crate::ingest::exposition::Exemplar<'_>, at_ms: i64) {
        let t_ms = told.t_ms.unwrap_or(at_ms);
        let is_near = t_ms <= at_ms + AHEAD_MAX_MS && t_ms >= at_ms - BEHIND_MAX_MS;
        let pairs: Option<Vec<_>> = labels(told.labels).map(Result::ok).collect();
        let pairs = pairs.filter(|_| is_near && self.exemplars.len() < EXEMPLARS_MAX);
        let text = pairs.and_then(|pairs| labels_text(pairs.iter().map(|(name, value)| (*name, &**value))).ok());
        match text {
            Some(labels) => {
                let one = Exemplar { series: series.clone(), t_ms, value: told.value, labels };
                self.exemplars.push(one);
            }
            None => self.exemplars_refused += 1,
        }
    }

    /// By series and time. Two texts may be one series: of its samples of one time the first counts.
    fn in_order(&mut self) {
        let before = self.values.len() + self.timed.len();
        self.values.sort_by_key(|(id, _)| *id);
        self.values.dedup_by_key(|(id, _)| *id);
        self.timed.sort_by_key(|(series, t_ms, _)| (series.id, *t_ms));
        self.timed.dedup_by_key(|(series, t_ms, _)| (series.id, *t_ms));
        let duplicates = (before - self.values.len() - self.timed.len()) as u64;
        if duplicates > 0 {
            self.kept -= duplicates;
            *self.refused.entry(SampleRefusal::Duplicate).or_default() += duplicates;
        }
    }

    /// Samples that could be read.
    #[must_use]
    pub fn scraped(&self) -> u64 {
        self.received - self.refused.get(&SampleRefusal::BadLine).copied().unwrap_or(0)
    }
}

/// Remembers the series of one target.
#[derive(Default)]
pub struct PageReader {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_hash: HashMap<u128, u32>,
    first: u32,
    scrape: u32,
    /// The last scrape that is durable.
    stored: u32,
    edges: EdgeRows,
    /// Series whose ends are not stored yet.
    ended: Vec<Arc<Series>>,
    /// What is said of metrics, and of which page that is.
    metadata: Arc<[Metadata]>,
    described: u64,
    described_at: u32,
    hashers: [ahash::RandomState; 2],
}

impl PageReader {
    /// Reads a scrape of a time.
    pub fn read(&mut self, text: &str, format: Format, at_ms: i64, naming: &Naming, room: Room<'_>) -> Result<Page, PageError> {
        if !is_whole(text, format) {
            return Err(PageError::CutOff);
        }
        self.begin();
        let mut page = Page { values: Vec::with_capacity(self.by_hash.len() + 16), ..Page::default() };
        let (mut last, mut last_line) = (NONE, "");
        let mut described = 0;
        for line in lines(text) {
            let line = match line {
                Line::Sample(line) => line,
                Line::Meta(meta) => {
                    described = self.hashers[0].hash_one((described, meta));
                    continue;
                }
                Line::End => break,
            };
            page.received += 1;
            let next = if last == NONE { self.first } else { self.entry(last).map_or(NONE, |entry| entry.next) };
            let known = self.known(next, last, line, last_line, format);
            let found = match known {
                Some(tail) => Ok((next, tail)),
                None => self.find(line, last_line, last, format, naming, room, &mut page)?,
            };
            match found {
                Ok((NONE, _)) => {}
                Ok((place, tail)) => {
                    self.take(place, tail, at_ms, naming, &mut page);
                    (last, last_line) = (place, line);
                }
                Err(BadLine) => page.refuse(SampleRefusal::BadLine),
            }
            if let Some(max) = naming.job.limits.samples.filter(|max| page.kept > *max as u64) {
                return Err(LimitError::Samples(max).into());
            }
        }
        self.describe(text, described, &mut page);
        self.end_series();
        page.series_changed |= !self.ended.is_empty();
        self.finish(&mut page);
        Ok(page)
    }

    /// Reads what is said of metrics when it has changed, and now and then, for the store to see that it is still said.
    fn describe(&mut self, text: &str, described: u64, page: &mut Page) {
        if described == 0 || (described == self.described && self.scrape - self.described_at < DESCRIBED_SCRAPES) {
            return;
        }
        self.metadata = super::metadata::read(text);
        (self.described, self.described_at) = (described, self.scrape);
        page.metadata = Some(self.metadata.clone());
    }

    /// All series that are in the last scrape, and those whose ends are not stored.
    pub fn series(&self) -> impl Iterator<Item = &Arc<Series>> {
        let kept = self.entries.iter().flatten().filter_map(|entry| match &entry.place {
            Place::Kept(series) => Some(series),
            Place::Dropped | Place::Refused(_) => None,
        });
        kept.chain(&self.ended)
    }

    /// The target does not answer: all of its series end. Returns their ids.
    pub fn end_all(&mut self) -> Vec<i64> {
        self.begin();
        self.end_series();
        let mut ids: Vec<i64> = self.ended.iter().map(|series| series.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The last page is durable.
    pub fn stored(&mut self) {
        self.ended.clear();
        self.stored = self.scrape;
    }

    fn begin(&mut self) {
        if self.scrape == 0 {
            self.first = NONE;
        }
        self.scrape += 1;
        if self.edges.are_stale() && self.scrape > 2 {
            // Roles point at rows: both begin anew.
            self.edges = EdgeRows::default();
            self.entries.iter_mut().flatten().for_each(|entry| entry.role = Err(Refusal::EdgeLimit));
        }
        self.edges.begin();
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(place as usize).and_then(Option::as_ref)
    }

    /// What follows the series, if the line is of this entry.
    fn known<'t>(&self, place: u32, last: u32, line: &'t str, last_line: &str, format: Format) -> Option<Tail<'t>> {
        // Behind another line than when it was last read, it shares something else.
        let entry = self.entry(place).filter(|entry| entry.before == last)?;
        let (bytes, last, shared) = (line.as_bytes(), last_line.as_bytes(), entry.shared as usize);
        let rest = bytes.get(entry.length()..)?;
        let is_it = rest.first().is_some_and(|byte| [b' ', b'\t'].contains(byte))
            && bytes[shared..entry.length()] == *entry.suffix
            && last.get(..shared)? == &bytes[..shared];
        // A role that was refused for want of room may have some by now, and a bad value may be followed by a good one.
        let is_settled = !matches!(entry.role, Err(Refusal::EdgeLimit | Refusal::SeriesLimit | Refusal::BadValue))
            && !matches!(entry.place, Place::Refused(SampleRefusal::SeriesLimit));
        if is_it && is_settled { tail(line.get(entry.length()..)?, format).ok() } else { None }
    }

    /// Reads the whole line, and finds or makes its entry.
    #[allow(clippy::too_many_arguments)]
    fn find<'t>(
        &mut self,
        line: &'t str,
        last_line: &str,
        last: u32,
        format: Format,
        naming: &Naming,
        room: Room<'_>,
        page: &mut Page,
    ) -> Result<Result<(u32, Tail<'t>), BadLine>, PageError> {
        let sample = match sample(line, format) {
            Ok(sample) => sample,
            Err(bad) => return Ok(Err(bad)),
        };
        let hash = self.hash(sample.series);
        let place = match self.by_hash.get(&hash) {
            Some(place) => *place,
            None => {
                let place = if self.by_hash.len() >= SERIES_PER_SCRAPE_MAX {
                    Place::Refused(SampleRefusal::SampleLimit)
                } else {
                    naming.place(sample.name, sample.labels)?
                };
                if matches!(place, Place::Refused(SampleRefusal::BadLine)) {
                    return Ok(Err(BadLine));
                }
                if matches!(place, Place::Refused(SampleRefusal::SampleLimit)) {
                    // Not remembered: it is what the limit is for.
                    page.refuse(SampleRefusal::SampleLimit);
                    return Ok(Ok((NONE, Tail { value: 0.0, t_ms: None, exemplar: None })));
                }
                page.series_changed = true;
                page.added += u64::from(matches!(place, Place::Kept(_)));
                self.add(hash, place)
            }
        };
        let role = Role::of(&sample, &mut self.edges, room);
        let again = match self.entry(place).map(|entry| &entry.place) {
            Some(Place::Refused(SampleRefusal::SeriesLimit)) => Some(naming.place(sample.name, sample.labels)?),
            _ => None,
        };
        if let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) {
            if let Some(again) = again {
                page.series_changed = true;
                entry.id = id_of(&again);
                entry.place = again;
            }
            entry.role = role;
            let bytes = sample.series.as_bytes();
            let shared = bytes.iter().zip(last_line.as_bytes()).take_while(|(a, b)| a == b).count();
            entry.shared = shared as u32;
            entry.suffix = bytes[shared..].into();
            entry.before = last;
        }
        match self.entries.get_mut(last as usize).and_then(Option::as_mut) {
            Some(before) => before.next = place,
            None => self.first = place,
        }
        Ok(Ok((place, Tail { value: sample.value, t_ms: sample.t_ms, exemplar: sample.exemplar })))
    }

    /// Of the text; keys that nobody knows, so that nobody can make two texts the same.
    fn hash(&self, series: &str) -> u128 {
        let [one, two] = &self.hashers;
        u128::from(one.hash_one(series)) << 64 | u128::from(two.hash_one(series))
    }

    fn add(&mut self, hash: u128, place: Place) -> u32 {
        let entry = Some(Entry {
            shared: 0,
            suffix: Box::default(),
            before: NONE,
            next: NONE,
            born: self.scrape,
            scrape: 0,
            hash,
            id: id_of(&place),
            place,
            role: Ok(Role::None),
            exemplar: 0,
            own_ms: None,
        });
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.by_hash.insert(hash, place);
        place
    }

    fn take(&mut self, place: u32, tail: Tail<'_>, at_ms: i64, naming: &Naming, page: &mut Page) {
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if entry.scrape == self.scrape {
            page.refuse(SampleRefusal::Duplicate);
            return;
        }
        entry.scrape = self.scrape;
        if let (Some(exemplar), Place::Kept(series)) = (tail.exemplar, &entry.place) {
            // An exemplar without a time is of the scrape that has it first.
            let told = (exemplar.labels, exemplar.value.to_bits(), exemplar.t_ms);
            let hash = self.hashers[1].hash_one(told);
            if hash != std::mem::replace(&mut entry.exemplar, hash) {
                page.exemplar(series, exemplar, at_ms);
            }
        }
        page.observation.take(entry.role, tail.value, &mut self.edges);
        match &entry.place {
            Place::Dropped => page.refuse(SampleRefusal::Dropped),
            Place::Refused(reason) => page.refuse(*reason),
            Place::Kept(series) => match tail.t_ms.filter(|_| naming.job.honor_timestamps) {
                None => {
                    page.values.push((entry.id, tail.value));
                    page.kept += 1;
                }
                Some(t_ms) if t_ms > at_ms + AHEAD_MAX_MS || t_ms < at_ms - BEHIND_MAX_MS => {
                    entry.own_ms = Some(t_ms);
                    page.refuse(SampleRefusal::BadTime);
                }
                Some(t_ms) if entry.own_ms == Some(t_ms) => page.refuse(SampleRefusal::Duplicate),
                Some(t_ms) => {
                    entry.own_ms = Some(t_ms);
                    page.timed.push((series.clone(), t_ms, tail.value));
                    page.kept += 1;
                }
            },
        }
    }

    /// Forgets what this scrape does not have.
    fn end_series(&mut self) {
        for place in 0..self.entries.len() {
            let is_gone = |entry: &mut Entry| entry.scrape != self.scrape;
            let Some(entry) = self.entries[place].take_if(is_gone) else { continue };
            self.by_hash.remove(&entry.hash);
            self.free.push(place as u32);
            // What was never stored has no end.
            if let (Place::Kept(series), None, true) = (entry.place, entry.own_ms, entry.born <= self.stored) {
                self.ended.push(series);
            }
        }
    }

    fn finish(&mut self, page: &mut Page) {
        page.observation.series = self.edges.finish();
        page.in_order();
        if !self.ended.is_empty() {
            // A series that is told under another text has not ended.
            let values = &page.values;
            self.ended.retain(|series| values.binary_search_by_key(&series.id, |(id, _)| *id).is_err());
            let ends = self.ended.iter().map(|series| (series.id, crate::store::sample::stale()));
            page.values.extend(ends);
            page.values.sort_by_key(|(id, _)| *id);
            page.values.dedup_by_key(|(id, _)| *id);
        }
    }
}

fn id_of(place: &Place) -> i64 {
    match place {
        Place::Kept(series) => series.id,
        Place::Dropped | Place::Refused(_) => 0,
    }
}

#[cfg(test)]
mod tests;

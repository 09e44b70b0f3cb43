//! The dictionary of series in memory: labels as pairs that are shared, and for each pair the series that have it.
//!
//! Ids are given here, from a range that no other process has, and become durable with the first samples of their
//! series. So two collectors may give two ids to one set of labels; readers put such series together.

mod cardinality;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::RwLock;

use super::bytes::{Damaged, Reader, put, put_signed};
use super::matcher::Matcher;
use super::{Labels, NAME};
pub use cardinality::Cardinality;

/// Series that the dictionary takes; beyond this, new ones are refused and counted. Each takes about 400 bytes of memory.
pub const SERIES_MAX: usize = 1_000_000;
/// How much longer than its newest sample a series is kept, so that it is written anew only once a day.
const KEPT_AHEAD_S: i64 = 24 * 3600;
/// Labels of one series in the database; what claims to have more is damaged.
const STORED_LABELS_MAX: usize = 10_000;

/// A series and where it belongs.
#[derive(Debug)]
pub struct Series {
    pub id: i64,
    /// Series that are scraped or sent together.
    pub group: i64,
    /// Symbols of its pairs, by their names.
    pairs: Box<[u32]>,
    /// Until when the database keeps it, in Unix seconds; 0 while it does not know it.
    kept_until_s: AtomicI64,
}

struct Pair {
    id: i64,
    name: Arc<str>,
    value: Arc<str>,
    kept_until_s: AtomicI64,
    /// Places of the series that have it.
    series: Vec<u32>,
}

/// There is no room for another series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What has to be written so that samples of series can be read again.
#[derive(Clone, Debug, Default)]
pub struct SeriesRows {
    pub kept_until_s: i64,
    /// Id, name and value.
    pub pairs: Vec<(i64, Arc<str>, Arc<str>)>,
    /// With the encoded ids of its pairs.
    pub series: Vec<(Arc<Series>, Vec<u8>)>,
}

impl SeriesRows {
    /// Rows to write.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.pairs.len() + self.series.len()
    }

    /// About what they take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pairs.len() * 40 + self.series.iter().map(|(_, blob)| blob.len() + 40).sum::<usize>()
    }
}

/// A pair as the database has it.
pub struct StoredPair {
    pub id: i64,
    pub name: String,
    pub value: String,
    pub kept_until_s: i64,
}

/// A series as the database has it.
pub struct StoredSeries {
    pub id: i64,
    pub group: i64,
    pub pairs: Vec<u8>,
    pub kept_until_s: i64,
}

/// All series that are kept.
pub struct SeriesIndex {
    inner: RwLock<Inner>,
    max: usize,
}

#[derive(Default)]
struct Inner {
    next_id: i64,
    pairs: Vec<Option<Pair>>,
    free_pairs: Vec<u32>,
    by_name: HashMap<Arc<str>, HashMap<Arc<str>, u32>>,
    pair_ids: HashMap<i64, u32>,
    series: Vec<Option<Arc<Series>>>,
    free_series: Vec<u32>,
    by_hash: HashMap<u64, u32>,
    /// Those whose hash another one has.
    same_hash: Vec<u32>,
    series_ids: HashMap<i64, u32>,
    hasher: ahash::RandomState,
}

impl SeriesIndex {
    /// `first_id` begins a range of ids that nobody else gives.
    #[must_use]
    pub fn new(first_id: i64, max: usize) -> Self {
        Self { inner: RwLock::new(Inner { next_id: first_id, ..Inner::default() }), max }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().series_ids.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series with these labels, which are sorted by name and not empty; a new one if there is none.
    pub fn resolve(&self, group: i64, labels: &[(&str, &str)]) -> Result<Arc<Series>, Full> {
        debug_assert!(labels.is_sorted_by_key(|(name, _)| *name));
        {
            let inner = self.inner.read();
            if let Some(symbols) = inner.symbols(labels)
                && let Some(known) = inner.find(group, &symbols)
            {
                return Ok(known);
            }
        }
        let mut inner = self.inner.write();
        if inner.series_ids.len() >= self.max {
            return Err(Full);
        }
        let symbols: Box<[u32]> = labels.iter().map(|(name, value)| inner.pair(name, value)).collect();
        // Somebody else may have been faster.
        if let Some(known) = inner.find(group, &symbols) {
            return Ok(known);
        }
        let id = inner.new_id();
        Ok(inner.add(Series { id, group, pairs: symbols, kept_until_s: AtomicI64::new(0) }))
    }

    #[must_use]
    pub fn get(&self, id: i64) -> Option<Arc<Series>> {
        let inner = self.inner.read();
        inner.series_ids.get(&id).and_then(|place| inner.series[*place as usize].clone())
    }

    #[must_use]
    pub fn labels(&self, series: &Series) -> Labels {
        let inner = self.inner.read();
        inner.pairs_of(series).map(|pair| (pair.name.clone(), pair.value.clone())).collect()
    }

    /// The name of each series' metric; empty for those that are not known.
    #[must_use]
    pub fn names(&self, ids: impl Iterator<Item = i64>) -> Vec<Arc<str>> {
        let inner = self.inner.read();
        let name = |id: i64| {
            let series = inner.series[*inner.series_ids.get(&id)? as usize].as_ref()?;
            inner.pairs_of(series).find(|pair| &*pair.name == NAME).map(|pair| pair.value.clone())
        };
        let none: Arc<str> = Arc::from("");
        ids.map(|id| name(id).unwrap_or_else(|| none.clone())).collect()
    }

    /// What has to be written with samples up to a time, so that their series are kept as long as they are.
    #[must_use]
    pub fn rows<'a>(&self, series: impl Iterator<Item = &'a Arc<Series>>, until_s: i64) -> SeriesRows {
        let mut rows = SeriesRows { kept_until_s: until_s + KEPT_AHEAD_S, ..SeriesRows::default() };
        let due: Vec<&Arc<Series>> = series.filter(|series| !series.is_kept_until(until_s)).collect();
        if due.is_empty() {
            return rows;
        }
        let inner = self.inner.read();
        let mut symbols = HashSet::new();
        for series in due {
            let (mut encoded, mut last) = (Vec::with_capacity(series.pairs.len() * 2 + 8), 0i64);
            for (pair, symbol) in inner.pairs_of(series).zip(&series.pairs) {
                put_signed(&mut encoded, pair.id.wrapping_sub(last));
                last = pair.id;
                if pair.kept_until_s.load(Ordering::Relaxed) < rows.kept_until_s && symbols.insert(*symbol) {
                    rows.pairs.push((pair.id, pair.name.clone(), pair.value.clone()));
                }
            }
            let mut blob = Vec::with_capacity(encoded.len() + 2);
            put(&mut blob, series.pairs.len() as u64);
            blob.extend_from_slice(&encoded);
            rows.series.push((series.clone(), blob));
        }
        // Two writers lock the same rows in the same order.
        rows.pairs.sort_unstable_by_key(|(id, _, _)| *id);
        rows.series.sort_unstable_by_key(|(series, _)| series.id);
        rows
    }

    /// The rows are durable.
    pub fn committed(&self, rows: &SeriesRows) {
        let inner = self.inner.read();
        for (id, _, _) in &rows.pairs {
            if let Some(pair) = inner.pair_ids.get(id).and_then(|symbol| inner.pairs[*symbol as usize].as_ref()) {
                pair.kept_until_s.fetch_max(rows.kept_until_s, Ordering::Relaxed);
            }
        }
        for (series, _) in &rows.series {
            series.kept_until_s.fetch_max(rows.kept_until_s, Ordering::Relaxed);
        }
    }

    /// Adds what the database has; what is known already stays. Series that cannot be read are left out and counted.
    pub fn load(&self, pairs: Vec<StoredPair>, series: Vec<StoredSeries>) -> usize {
        let mut inner = self.inner.write();
        for pair in pairs {
            inner.load_pair(pair);
        }
        let mut unreadable = 0;
        for stored in series {
            if let Some(known) = inner.series_ids.get(&stored.id).and_then(|place| inner.series[*place as usize].as_ref()) {
                known.kept_until_s.fetch_max(stored.kept_until_s, Ordering::Relaxed);
                continue;
            }
            match inner.stored_symbols(&stored.pairs) {
                Ok(pairs) => {
                    let kept_until_s = AtomicI64::new(stored.kept_until_s);
                    inner.add(Series { id: stored.id, group: stored.group, pairs, kept_until_s });
                }
                Err(_) => unreadable += 1,
            }
        }
        unreadable
    }

    /// Ids of the series that [`Self::forget`] would forget.
    #[must_use]
    pub fn over(&self, before_s: i64) -> Vec<i64> {
        let inner = self.inner.read();
        inner.series.iter().flatten().filter(|series| is_over(series, before_s)).map(|series| series.id).collect()
    }

    /// The database keeps a series that long.
    pub fn keep(&self, id: i64, until_s: i64) {
        let inner = self.inner.read();
        let place = inner.series_ids.get(&id);
        if let Some(series) = place.and_then(|place| inner.series[*place as usize].as_ref()) {
            series.kept_until_s.fetch_max(until_s, Ordering::Relaxed);
        }
    }

    /// Forgets series that nobody uses and that are kept no longer.
    pub fn forget(&self, before_s: i64) -> usize {
        let mut inner = self.inner.write();
        inner.forget(before_s)
    }

    /// Series that all matchers want, in no particular order.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> Vec<Arc<Series>> {
        let inner = self.inner.read();
        let wanted: Vec<Wanted> = matchers.iter().map(|matcher| Wanted::new(&inner, matcher)).collect();
        // The matcher with the fewest series says which are looked at; one that an absent label satisfies cannot.
        let fewest = wanted.iter().filter(|wanted| !wanted.without).min_by_key(|wanted| wanted.series);
        let fits = |series: &&Arc<Series>| wanted.iter().all(|wanted| wanted.fits(series));
        let at = |place: &u32| inner.series[*place as usize].as_ref();
        match fewest {
            Some(fewest) => {
                let chosen = fewest.pairs.iter().filter(|(_, fits)| **fits);
                let pairs = chosen.filter_map(|(symbol, _)| inner.pairs[*symbol as usize].as_ref());
                pairs.flat_map(|pair| pair.series.iter().filter_map(at)).filter(fits).cloned().collect()
            }
            None => inner.series.iter().flatten().filter(fits).cloned().collect(),
        }
    }

    /// Names of all labels.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        let inner = self.inner.read();
        let used = inner.by_name.iter().filter(|(_, values)| !values.is_empty());
        let mut names: Vec<String> = used.map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// Values of a label.
    #[must_use]
    pub fn label_values(&self, name: &str) -> Vec<String> {
        let inner = self.inner.read();
        let values = inner.by_name.get(name).into_iter().flat_map(HashMap::keys);
        let mut values: Vec<String> = values.map(|value| value.to_string()).collect();
        values.sort_unstable();
        values
    }
}

impl Series {
    /// Whether the database keeps the series at least as long as samples before that time.
    #[must_use]
    pub fn is_kept_until(&self, until_s: i64) -> bool {
        self.kept_until_s.load(Ordering::Relaxed) >= until_s
    }
}

/// Nobody uses it, and it is kept no longer.
fn is_over(series: &Arc<Series>, before_s: i64) -> bool {
    Arc::strong_count(series) == 1 && series.kept_until_s.load(Ordering::Relaxed) <= before_s
}

/// What a matcher says of each pair with the name of its label.
struct Wanted {
    pairs: HashMap<u32, bool>,
    /// Whether series without the label are wanted.
    without: bool,
    /// Series that are wanted at most.
    series: usize,
}

impl Wanted {
    fn new(inner: &Inner, matcher: &Matcher) -> Self {
        let values = inner.by_name.get(&*matcher.name);
        let values = values.into_iter().flatten();
        let pairs: HashMap<u32, bool> = values.map(|(value, symbol)| (*symbol, matcher.matches(value))).collect();
        let chosen = pairs.iter().filter(|(_, fits)| **fits);
        let series = chosen.filter_map(|(symbol, _)| inner.pairs[*symbol as usize].as_ref()).map(|pair| pair.series.len());
        Self { series: series.sum(), without: matcher.matches(""), pairs }
    }

    fn fits(&self, series: &Series) -> bool {
        series.pairs.iter().find_map(|symbol| self.pairs.get(symbol).copied()).unwrap_or(self.without)
    }
}

impl Inner {
    fn symbols(&self, labels: &[(&str, &str)]) -> Option<Box<[u32]>> {
        labels.iter().map(|(name, value)| self.by_name.get(*name)?.get(*value).copied()).collect()
    }

    fn find(&self, group: i64, symbols: &[u32]) -> Option<Arc<Series>> {
        let is_it = |place: &&u32| {
            let series = self.series[**place as usize].as_ref();
            series.is_some_and(|series| series.group == group && *series.pairs == *symbols)
        };
        let first = self.by_hash.get(&self.hash(group, symbols))?;
        let place = Some(first).filter(is_it).or_else(|| self.same_hash.iter().find(is_it))?;
        self.series[*place as usize].clone()
    }

    fn hash(&self, group: i64, symbols: &[u32]) -> u64 {
        self.hasher.hash_one((group, symbols))
    }

    fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    fn pair(&mut self, name: &str, value: &str) -> u32 {
        if let Some(symbol) = self.by_name.get(name).and_then(|values| values.get(value)) {
            return *symbol;
        }
        let id = self.new_id();
        self.add_pair(id, name, value, 0)
    }

    fn add_pair(&mut self, id: i64, name: &str, value: &str, kept_until_s: i64) -> u32 {
        let name: Arc<str> = self.by_name.get_key_value(name).map_or_else(|| Arc::from(name), |(name, _)| name.clone());
        let value: Arc<str> = Arc::from(value);
        let kept_until_s = AtomicI64::new(kept_until_s);
        let pair = Some(Pair { id, name: name.clone(), value: value.clone(), kept_until_s, series: Vec::new() });
        let symbol = match self.free_pairs.pop() {
            Some(symbol) => {
                self.pairs[symbol as usize] = pair;
                symbol
            }
            None => {
                self.pairs.push(pair);
                (self.pairs.len() - 1) as u32
            }
        };
        self.by_name.entry(name).or_default().insert(value, symbol);
        self.pair_ids.insert(id, symbol);
        symbol
    }

    fn load_pair(&mut self, stored: StoredPair) {
        let known = self.pair_ids.get(&stored.id).copied();
        let symbol = known.or_else(|| self.by_name.get(&*stored.name).and_then(|values| values.get(&*stored.value)).copied());
        match symbol {
            // Under another id, which another collector gave: series of either are the same here.
            Some(symbol) => {
                self.pair_ids.insert(stored.id, symbol);
                if let Some(pair) = self.pairs[symbol as usize].as_ref().filter(|pair| pair.id == stored.id) {
                    pair.kept_until_s.fetch_max(stored.kept_until_s, Ordering::Relaxed);
                }
            }
            None => {
                self.add_pair(stored.id, &stored.name, &stored.value, stored.kept_until_s);
            }
        }
    }

    fn stored_symbols(&self, blob: &[u8]) -> Result<Box<[u32]>, Damaged> {
        let mut reader = Reader::new(blob);
        let count = reader.count(STORED_LABELS_MAX)?;
        let mut id = 0i64;
        (0..count)
            .map(|_| {
                id = id.wrapping_add(reader.signed()?);
                self.pair_ids.get(&id).copied().ok_or(Damaged("a label is missing"))
            })
            .collect()
    }

    fn add(&mut self, series: Series) -> Arc<Series> {
        let series = Arc::new(series);
        let place = match self.free_series.pop() {
            Some(place) => {
                self.series[place as usize] = Some(series.clone());
                place
            }
            None => {
                self.series.push(Some(series.clone()));
                (self.series.len() - 1) as u32
            }
        };
        for symbol in &series.pairs {
            if let Some(pair) = self.pairs[*symbol as usize].as_mut() {
                pair.series.push(place);
            }
        }
        let hash = self.hash(series.group, &series.pairs);
        match self.by_hash.entry(hash) {
            Entry::Vacant(free) => {
                free.insert(place);
            }
            Entry::Occupied(_) => self.same_hash.push(place),
        }
        self.series_ids.insert(series.id, place);
        series
    }

    fn pairs_of<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = &'a Pair> {
        series.pairs.iter().filter_map(|symbol| self.pairs[*symbol as usize].as_ref())
    }

    fn forget(&mut self, before_s: i64) -> usize {
        let mut gone: HashSet<u32> = HashSet::new();
        let mut touched: HashSet<u32> = HashSet::new();
        for place in 0..self.series.len() {
            if let Some(series) = self.series[place].take_if(|series| is_over(series, before_s)) {
                gone.insert(place as u32);
                touched.extend(&series.pairs);
                self.series_ids.remove(&series.id);
            }
        }
        if gone.is_empty() {
            return 0;
        }
        self.by_hash.retain(|_, place| !gone.contains(place));
        self.same_hash.retain(|place| !gone.contains(place));
        self.free_series.extend(&gone);
        let mut unused = HashSet::new();
        for symbol in touched {
            let Some(pair) = self.pairs[symbol as usize].as_mut() else { continue };
            pair.series.retain(|place| !gone.contains(place));
            if pair.series.is_empty() && pair.kept_until_s.load(Ordering::Relaxed) <= before_s {
                unused.insert(symbol);
            }
        }
        self.pair_ids.retain(|_, symbol| !unused.contains(symbol));
        for symbol in unused {
            let Some(pair) = self.pairs[symbol as usize].take() else { continue };
            if let Some(values) = self.by_name.get_mut(&pair.name) {
                values.remove(&pair.value);
            }
            self.free_pairs.push(symbol);
        }
        self.by_name.retain(|_, values| !values.is_empty());
        gone.len()
    }
}

#[cfg(test)]
mod tests;

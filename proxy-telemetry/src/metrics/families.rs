//! Metric families of the proxy itself: counters and gauges with labels, made when first named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::labels::label;

/// Samples all families may have together; a further one works but is not shown, and is counted.
pub const SAMPLES_MAX: usize = 10_000;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Counter,
    Gauge,
}

/// Only goes up. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to the counter.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down. Cheap to clone; all clones are one gauge.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<GaugeState>);

#[derive(Debug, Default)]
struct GaugeState {
    value: AtomicI64,
    touched: AtomicBool,
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.value.store(value, Ordering::Relaxed);
        self.0.touched.store(true, Ordering::Relaxed);
    }

    /// Adds to the value; negative numbers take away.
    pub fn add(&self, n: i64) {
        self.0.value.fetch_add(n, Ordering::Relaxed);
        self.0.touched.store(true, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.value.load(Ordering::Relaxed)
    }
}

type Compute = Arc<dyn Fn() -> i64 + Send + Sync>;

#[derive(Clone)]
enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Computed(Compute),
}

/// One sample at the moment of reading.
pub(crate) struct Reading {
    pub labels: Box<str>,
    pub value: Value,
    /// Whether it was ever counted or set, which `?usedonly` asks for.
    pub used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
}

/// Families by kind and name. Cheap to clone; all clones are one registry.
#[derive(Clone, Default)]
pub struct Families(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    families: BTreeMap<(Kind, String), BTreeMap<Box<str>, Cell>>,
    samples: usize,
    refused: u64,
}

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Families").field("samples", &self.0.lock().samples).finish()
    }
}

impl Families {
    /// The counter of a name and labels, made when it is new. Keep the handle: this takes a lock.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        match self.cell(Kind::Counter, name, labels, || Cell::Counter(Counter::default())) {
            Cell::Counter(counter) => counter,
            Cell::Gauge(_) | Cell::Computed(_) => Counter::default(),
        }
    }

    /// The gauge of a name and labels, made when it is new. Keep the handle: this takes a lock.
    #[must_use]
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.cell(Kind::Gauge, name, labels, || Cell::Gauge(Gauge::default())) {
            Cell::Gauge(gauge) => gauge,
            Cell::Counter(_) | Cell::Computed(_) => Gauge::default(),
        }
    }

    /// A gauge that is computed whenever somebody reads it, such as an uptime. Replaces an earlier one.
    pub fn gauge_fn(&self, name: &str, labels: &[(&str, &str)], compute: impl Fn() -> i64 + Send + Sync + 'static) {
        self.remove(Kind::Gauge, name, labels);
        self.cell(Kind::Gauge, name, labels, || Cell::Computed(Arc::new(compute)));
    }

    /// Takes a sample out, for instance with the cluster it speaks of.
    pub fn remove(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) {
        let mut table = self.0.lock();
        let key = (kind, name.to_owned());
        let Some(samples) = table.families.get_mut(&key) else {
            return;
        };
        let gone = samples.remove(render(labels).as_str()).is_some();
        if samples.is_empty() {
            table.families.remove(&key);
        }
        table.samples -= usize::from(gone);
    }

    /// Samples that found the table full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.lock().refused
    }

    /// Every family of a kind, by name, with its samples by label text.
    pub(crate) fn read(&self, kind: Kind) -> Vec<(String, Vec<Reading>)> {
        let cells: Vec<_> = {
            let table = self.0.lock();
            let families = table.families.iter().filter(|((k, _), _)| *k == kind);
            families.map(|((_, name), samples)| (name.clone(), samples.clone())).collect()
        };
        // Computed gauges run here, without the lock, so they may name families themselves.
        let read = |(labels, cell): (Box<str>, Cell)| cell.read(labels);
        cells.into_iter().map(|(name, c)| (name, c.into_iter().map(read).collect())).collect()
    }

    fn cell(&self, kind: Kind, name: &str, labels: &[(&str, &str)], make: impl FnOnce() -> Cell) -> Cell {
        let text = render(labels).into_boxed_str();
        let mut table = self.0.lock();
        let Table { families, samples, refused } = &mut *table;
        let key = (kind, name.to_owned());
        if let Some(cell) = families.get(&key).and_then(|family| family.get(&text)) {
            return cell.clone();
        }
        let cell = make();
        if *samples < SAMPLES_MAX {
            families.entry(key).or_default().insert(text, cell.clone());
            *samples += 1;
        } else {
            *refused += 1;
        }
        cell
    }
}

impl Cell {
    fn read(self, labels: Box<str>) -> Reading {
        let (value, used) = match self {
            Self::Counter(counter) => (Value::Unsigned(counter.get()), counter.get() > 0),
            Self::Gauge(gauge) => (Value::Signed(gauge.get()), gauge.0.touched.load(Ordering::Relaxed)),
            Self::Computed(compute) => (Value::Signed(compute()), true),
        };
        Reading { labels, value, used }
    }
}

fn render(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        label(&mut text, name, value);
    }
    text
}

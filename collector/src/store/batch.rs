//! What is written to the store in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::schema::BUCKETS_MAX;
use super::{EdgeLabels, Span, Totals};

/// An edge as the dictionary knows it: labels, and the bounds that its histograms are counted by.
#[derive(Debug, PartialEq)]
pub struct Edge {
    pub labels: Arc<EdgeLabels>,
    pub bounds: Arc<[f64]>,
    hash: [u8; 16],
}

impl Edge {
    /// `bounds` ascending, at most [`BUCKETS_MAX`] - 1 of them; what lies beyond is counted as `+Inf`.
    #[must_use]
    pub fn new(labels: Arc<EdgeLabels>, bounds: Arc<[f64]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for value in labels.values() {
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value.as_bytes());
        }
        for bound in bounds.iter() {
            hasher.update(&bound.to_le_bytes());
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        debug_assert!(bounds.len() < BUCKETS_MAX);
        Self { labels, bounds, hash }
    }

    /// Names the edge in the database.
    #[must_use]
    pub fn hash(&self) -> &[u8; 16] {
        &self.hash
    }
}

/// What one scrape of one target changes.
#[derive(Clone, Debug, Default)]
pub struct ScrapeBatch {
    /// Names the target for as long as it lives.
    pub target: Arc<str>,
    /// The namespace that its workload belongs to; empty when not known.
    pub namespace: Arc<str>,
    /// The version that the differences were taken from; 0 for a target that is new.
    pub version: i64,
    pub scraped_at_ms: i64,
    pub uptime_s: Option<f64>,
    pub started_at_s: Option<f64>,
    /// Counters that changed.
    pub counters: Vec<(Arc<Edge>, Totals)>,
    /// Series that the target no longer shows.
    pub gone: Vec<Arc<Edge>>,
    /// What was added, by the start of the ten-second step that it belongs to.
    pub added: Vec<(i64, Arc<Edge>, Totals)>,
    /// Counted when the scrape is stored.
    pub counts: Counts,
}

/// Adds to `GET /api/ingest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<(&'static str, &'static str, String), u64>);

impl Counts {
    pub fn add(&mut self, door: &'static str, signal: &'static str, outcome: &str, count: u64) {
        if count > 0 {
            *self.0.entry((door, signal, outcome.to_owned())).or_default() += count;
        }
    }

    /// Counts what was refused; reasons come from a closed set.
    pub fn refuse(&mut self, door: &'static str, signal: &'static str, reason: &str, count: u64) {
        self.add(door, signal, &format!("refused:{reason}"), count);
    }

    /// What was added so far.
    #[must_use]
    pub fn total(&self, door: &'static str, signal: &'static str, outcome: &str) -> u64 {
        self.0.get(&(door, signal, outcome.to_owned())).copied().unwrap_or(0)
    }

    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(key.clone()).or_default() += count;
        }
    }
}

/// One transaction. What spans are stored, and which of them were there already, the store counts by itself.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub scrapes: Vec<ScrapeBatch>,
    /// By the door they came through.
    pub spans: Vec<(&'static str, Vec<Span>)>,
    pub counts: Counts,
}

/// What became of a batch; all of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// In the order of the batch: the target's new version, or `None` when another collector had been there first and
    /// nothing of the scrape was stored.
    pub scrapes: Vec<Option<i64>>,
    pub spans_stored: u64,
    pub spans_duplicate: u64,
    /// All that was counted, spans included.
    pub counts: Counts,
}

/// What the store remembers of a target.
#[derive(Clone, Debug, Default)]
pub struct StoredTarget {
    pub version: i64,
    pub scraped_at_ms: i64,
    pub uptime_s: Option<f64>,
    pub started_at_s: Option<f64>,
    pub counters: Vec<(Arc<Edge>, Totals)>,
}

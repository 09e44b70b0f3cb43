//! What is written to the store in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exemplar::{Exemplar, ExemplarWrite};
use super::metadata::{Metadata, MetadataWrite};
use super::pushed::PushedTarget;
use super::sample::index::SeriesRows;
use super::schema::BUCKETS_MAX;
use super::{EdgeLabels, EncodedBlock, LinkStep, Span, Totals};

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
        // Without telemetry the edge has the name that it had before there was such a label.
        let last = labels.values().len() - usize::from(labels.telemetry.is_empty());
        for value in &labels.values()[..last] {
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
    /// All samples of the scrape.
    pub samples: SampleWrite,
    /// Counted when the scrape is stored.
    pub counts: Counts,
}

/// Encoded samples, and what the dictionary has to know of their series.
#[derive(Clone, Debug, Default)]
pub struct SampleWrite {
    pub series: SeriesRows,
    pub blocks: Vec<EncodedBlock>,
    pub exemplars: Vec<Exemplar>,
    /// What the target says of its metrics, if it says something new.
    pub metadata: Arc<[Metadata]>,
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

/// Names a request, so that it is stored once however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Delivery {
    pub id: [u8; 16],
}

impl Delivery {
    /// Of a body as it is after decompression: a client may compress it anew.
    #[must_use]
    pub fn new(door: &str, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(door.len() as u64).to_le_bytes());
        hasher.update(door.as_bytes());
        hasher.update(body);
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self { id }
    }
}

/// A block that came through a door; its items are counted as stored when it is.
#[derive(Clone, Debug)]
pub struct BlockWrite {
    pub door: &'static str,
    pub signal: &'static str,
    pub block: EncodedBlock,
}

/// What one request asks to be written. The store counts by itself what of spans and blocks is stored, and what is
/// refused because the request is a retry.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub scrapes: Vec<ScrapeBatch>,
    /// By the door they came through.
    pub spans: Vec<(&'static str, Vec<Span>)>,
    pub blocks: Vec<BlockWrite>,
    /// Samples that are counted already.
    pub samples: Vec<SampleWrite>,
    /// What the dictionary has to know of the series of blocks of samples.
    pub series: Vec<SeriesRows>,
    /// Traffic that no target's counters told, by the start of the ten-second step that it belongs to.
    pub added: Vec<(i64, Arc<Edge>, Totals)>,
    pub exemplars: Vec<ExemplarWrite>,
    pub metadata: Vec<MetadataWrite>,
    /// Counters that somebody else scraped.
    pub pushed: Vec<PushedTarget>,
    /// Calls between services that spans told of.
    pub links: Vec<LinkStep>,
    /// When it was stored already, nothing of the batch is but its counts.
    pub delivery: Option<Delivery>,
    pub counts: Counts,
}

impl WriteBatch {
    /// Series, steps of edges, spans and blocks.
    #[must_use]
    pub fn rows(&self) -> usize {
        let steps: usize = self.scrapes.iter().map(|scrape| scrape.added.len() + scrape.counters.len()).sum();
        let spans: usize = self.spans.iter().map(|(_, spans)| spans.len()).sum();
        let samples = self.scrapes.iter().map(|scrape| &scrape.samples).chain(&self.samples);
        let scraped: usize = samples.map(|samples| samples.blocks.len() + samples.series.rows()).sum();
        let series: usize = self.series.iter().map(SeriesRows::rows).sum();
        let states: usize = self.pushed.iter().map(|pushed| pushed.keys.len()).sum();
        steps
            + spans
            + self.blocks.len()
            + self.added.len()
            + self.links.len()
            + scraped
            + series
            + states
            + self.exemplar_count()
    }

    fn exemplar_count(&self) -> usize {
        let scraped = self.scrapes.iter().map(|scrape| &scrape.samples).chain(&self.samples);
        let pushed: usize = self.exemplars.iter().map(|write| write.exemplars.len()).sum();
        pushed + scraped.map(|samples| samples.exemplars.len()).sum::<usize>()
    }

    /// About what it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let steps: usize = self.scrapes.iter().map(|scrape| scrape.added.len() + scrape.counters.len()).sum();
        let spans = self.spans.iter().flat_map(|(_, spans)| spans).map(Span::bytes);
        let samples = self.scrapes.iter().map(|scrape| &scrape.samples).chain(&self.samples);
        let scraped = samples.clone().flat_map(|samples| &samples.blocks);
        let blocks = self.blocks.iter().map(|write| &write.block).chain(scraped).map(EncodedBlock::bytes);
        let rows = samples.map(|samples| &samples.series).chain(&self.series).map(SeriesRows::bytes);
        let blocks = blocks.chain(rows);
        let states: usize = self.pushed.iter().map(|pushed| pushed.keys.len()).sum();
        (steps + self.added.len() + self.links.len() + states + self.exemplar_count()) * STEP_BYTES
            + spans.sum::<usize>()
            + blocks.sum::<usize>()
    }
}

/// Of an edge's totals, with the counts of its buckets.
const STEP_BYTES: usize = 350;

/// What became of a batch; all of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// In the order of the batch: the target's new version, or `None` when another collector had been there first and
    /// nothing of the scrape was stored.
    pub scrapes: Vec<Option<i64>>,
    /// The batch was stored before, when it was sent the first time.
    pub is_repeated: bool,
    pub spans_stored: u64,
    pub spans_duplicate: u64,
    /// All that was counted, spans and blocks included.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_metrics_keep_their_hash() {
        let labels = EdgeLabels { reporter: "source".into(), response_code: "200".into(), ..EdgeLabels::default() };
        let edge = Edge::new(Arc::new(labels.clone()), Arc::from([1.0, 5.0]));
        // As the version before the label `telemetry` wrote it.
        assert_eq!(edge.hash(), &[138, 123, 213, 210, 247, 108, 157, 64, 50, 205, 132, 130, 17, 251, 242, 43]);
        let of_logs = Edge::new(Arc::new(EdgeLabels { telemetry: "logs".into(), ..labels }), Arc::from([1.0, 5.0]));
        assert_ne!(of_logs.hash(), edge.hash());
    }

    #[test]
    fn a_delivery_is_of_its_door_and_body() {
        assert_eq!(Delivery::new("otlp", b"x"), Delivery::new("otlp", b"x"));
        assert_ne!(Delivery::new("otlp", b"x"), Delivery::new("otlp", b"y"));
        assert_ne!(Delivery::new("otlp", b"x"), Delivery::new("otl", b"px"));
    }
}

//! What the collector tells of itself at `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::control::ControlMetrics;
use crate::export::ExportMetrics;
use crate::ingest::door::DoorMetrics;
use crate::pipeline::tail_sampling::SamplingMetrics;
use crate::query::graph::skipped;
use crate::rules::RuleMetrics;
use crate::store::{Counts, Merged};

/// Seconds; from a commit on a fast disk to one that a person notices.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Table {
    table: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorOutcome {
    door: &'static str,
    signal: &'static str,
    outcome: String,
}

/// Counters of this process; what survives a restart is at `/api/ingest`.
pub struct OwnMetrics {
    registry: Registry,
    ingest: Family<DoorOutcome, Counter>,
    scrapes: Family<Outcome, Counter>,
    scrape_seconds: Histogram,
    targets: Gauge,
    targets_refused: Counter,
    lease_rounds: Family<Outcome, Counter>,
    collectors: Gauge,
    writes: Family<Outcome, Counter>,
    write_seconds: Histogram,
    /// 0 between two transactions.
    writing_since_ms: AtomicI64,
    rows: Counter,
    store_out: Gauge,
    edges: Gauge,
    slices_dropped: Counter,
    blocks_merged: Family<Table, Counter>,
    blocks_corrupt: Gauge,
    block_bytes: Family<Table, Gauge>,
    forwarded: Family<Outcome, Counter>,
    forward_waiting: Gauge,
    started_at: Gauge<f64, AtomicU64>,
    control: ControlMetrics,
    doors: DoorMetrics,
    export: ExportMetrics,
    sampling: SamplingMetrics,
    rules: RuleMetrics,
}

impl Default for OwnMetrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sidelight"),
            ingest: Family::default(),
            scrapes: Family::default(),
            scrape_seconds: Histogram::new(BUCKETS),
            targets: Gauge::default(),
            targets_refused: Counter::default(),
            lease_rounds: Family::default(),
            collectors: Gauge::default(),
            writes: Family::default(),
            write_seconds: Histogram::new(BUCKETS),
            writing_since_ms: AtomicI64::new(0),
            rows: Counter::default(),
            store_out: Gauge::default(),
            edges: Gauge::default(),
            slices_dropped: Counter::default(),
            blocks_merged: Family::default(),
            blocks_corrupt: Gauge::default(),
            block_bytes: Family::default(),
            forwarded: Family::default(),
            forward_waiting: Gauge::default(),
            started_at: Gauge::default(),
            control: ControlMetrics::default(),
            doors: DoorMetrics::default(),
            export: ExportMetrics::default(),
            sampling: SamplingMetrics::default(),
            rules: RuleMetrics::default(),
        };
        metrics.register();
        metrics.started_at.set(crate::clock::now_ms() as f64 / 1000.0);
        metrics
    }
}

impl OwnMetrics {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "ingest_items",
            "Samples, spans, logs and bytes by door and by what became of them",
            self.ingest.clone(),
        );
        registry.register("scrapes", "Scrapes of proxies by outcome", self.scrapes.clone());
        registry.register_with_unit(
            "scrape_duration",
            "Time of one scrape, reading and comparing included",
            Unit::Seconds,
            self.scrape_seconds.clone(),
        );
        registry.register("scrape_targets", "Proxies that are scraped", self.targets.clone());
        registry.register("scrape_targets_refused", "Proxies beyond the limit", self.targets_refused.clone());
        registry.register("lease_rounds", "Rounds of sharing targets by outcome", self.lease_rounds.clone());
        registry.register("collectors", "Collectors that share the targets of this database", self.collectors.clone());
        registry.register("store_writes", "Transactions of the writer by outcome", self.writes.clone());
        registry.register_with_unit(
            "store_write_duration",
            "Time of one transaction of the writer",
            Unit::Seconds,
            self.write_seconds.clone(),
        );
        registry.register("store_rows", "Series, steps of edges and spans handed to the store", self.rows.clone());
        registry.register("store_outage", "1 while the database is away, full or read-only", self.store_out.clone());
        registry.register("store_edges", "Edges in the dictionary", self.edges.clone());
        registry.register("store_slices_dropped", "Time slices dropped by retention", self.slices_dropped.clone());
        registry.register("graph_rows_skipped", "Rows that graphs did not draw, by reason", skipped::rows());
        registry.register("store_blocks_merged", "Small blocks that went into larger ones", self.blocks_merged.clone());
        registry.register("store_blocks_corrupt", "Times that a block could not be read", self.blocks_corrupt.clone());
        registry.register("store_block_bytes", "Bytes of the blocks of a signal", self.block_bytes.clone());
        self.control.register(registry);
        self.doors.register(registry);
        self.export.register(registry);
        self.sampling.register(registry);
        self.rules.register(registry);
        registry.register("remote_write_samples", "Samples that are sent on by outcome", self.forwarded.clone());
        registry.register("remote_write_waiting_samples", "Samples that wait to be sent on", self.forward_waiting.clone());
        registry.register_with_unit("start_time", "When this process started", Unit::Seconds, self.started_at.clone());
    }

    /// Those that the control plane counts by itself.
    #[must_use]
    pub fn control(&self) -> ControlMetrics {
        self.control.clone()
    }

    /// Those that the doors count by themselves.
    #[must_use]
    pub fn doors(&self) -> DoorMetrics {
        self.doors.clone()
    }

    /// Those that the exporters count by themselves.
    #[must_use]
    pub fn export(&self) -> ExportMetrics {
        self.export.clone()
    }

    /// Those that the judge of traces counts by itself.
    #[must_use]
    pub fn sampling(&self) -> SamplingMetrics {
        self.sampling.clone()
    }

    /// Those that rules count by themselves.
    #[must_use]
    pub fn rules(&self) -> RuleMetrics {
        self.rules.clone()
    }

    /// OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    pub fn scraped(&self, outcome: &'static str, took: Duration) {
        self.scrapes.get_or_create(&Outcome { outcome }).inc();
        self.scrape_seconds.observe(took.as_secs_f64());
    }

    pub fn targets(&self, count: usize) {
        self.targets.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn refused_targets(&self, count: u64) {
        self.targets_refused.inc_by(count);
    }

    pub fn lease_round(&self, is_ok: bool) {
        self.lease_rounds.get_or_create(&Outcome { outcome: if is_ok { "renewed" } else { "failed" } }).inc();
    }

    pub fn collectors(&self, count: usize) {
        self.collectors.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A transaction of the writer begins.
    pub fn writes(&self) {
        self.writing_since_ms.store(crate::clock::now_ms(), Ordering::Relaxed);
    }

    /// How long the transaction that the writer is in has taken so far; nothing between two.
    #[must_use]
    pub fn writing_for(&self) -> Duration {
        match self.writing_since_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since_ms => Duration::from_millis(u64::try_from(crate::clock::now_ms() - since_ms).unwrap_or(0)),
        }
    }

    pub fn wrote(&self, took: Duration, is_ok: bool, rows: usize) {
        self.writing_since_ms.store(0, Ordering::Relaxed);
        self.writes.get_or_create(&Outcome { outcome: if is_ok { "stored" } else { "failed" } }).inc();
        self.write_seconds.observe(took.as_secs_f64());
        self.rows.inc_by(rows as u64);
    }

    pub fn store_is_out(&self, is_out: bool) {
        self.store_out.set(i64::from(is_out));
    }

    pub fn counted(&self, counts: &Counts) {
        for ((door, signal, outcome), count) in &counts.0 {
            self.ingest.get_or_create(&DoorOutcome { door, signal, outcome: outcome.clone() }).inc_by(*count);
        }
    }

    pub fn edges(&self, count: usize) {
        self.edges.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn merged_blocks(&self, table: &'static str, merged: Merged) {
        self.blocks_merged.get_or_create(&Table { table }).inc_by(merged.from as u64);
    }

    /// Since the start of the process.
    pub fn corrupt_blocks(&self, count: u64) {
        self.blocks_corrupt.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn block_bytes(&self, table: &'static str, bytes: u64) {
        self.block_bytes.get_or_create(&Table { table }).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub fn forwarded(&self, outcome: &'static str, count: usize) {
        if count > 0 {
            self.forwarded.get_or_create(&Outcome { outcome }).inc_by(count as u64);
        }
    }

    pub fn forward_waiting(&self, count: usize) {
        self.forward_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub fn dropped_slices(&self, count: usize) {
        self.slices_dropped.inc_by(count as u64);
    }
}

#[cfg(test)]
mod tests;

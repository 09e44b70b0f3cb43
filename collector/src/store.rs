//! What the collector keeps, behind one interface with two databases: SQLite (embedded) and Postgres (shared).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub mod admin;
mod adopt;
mod archive;
mod batch;
mod block;
mod block_compact;
mod block_read;
mod block_write;
mod bulk;
mod caches;
mod compression;
mod counters;
mod database;
mod dictionary;
mod edge;
pub mod exemplar;
mod export_queue;
mod forget_edges;
mod leases;
mod links;
pub mod log;
mod log_search;
mod metadata;
mod migration;
mod outage;
mod outcome;
mod plan;
mod postgres;
mod pushed;
mod read;
mod retention;
mod retention_clock;
mod retention_size;
pub mod revisions;
pub mod sample;
mod schema;
mod series;
mod span;
pub mod span_block;
mod span_read;
mod span_rows;
mod span_search;
mod span_write;
mod sqlite;
mod tail;
mod totals;
mod write;

pub use archive::{ArchiveLimits, Archived};
pub use batch::{BlockWrite, Counts, Delivery, Edge, SampleWrite, ScrapeBatch, StoredTarget, WriteBatch, WriteReport};
pub use block::{
    BlockHead, Compact, CorruptBlock, EncodedBlock, LEVEL_CORRUPT, LEVEL_DENSE, LEVEL_MERGED, LEVEL_SIFTED, LEVEL_WRITTEN,
    StoredBlock,
};
pub use block_compact::{Merged, compacts};
pub use block_read::Order;
pub use edge::{EdgeFilter, EdgeLabels, in_namespaces};
pub use exemplar::{Exemplar, ExemplarQuery, ExemplarWrite, SeriesExemplars};
pub use export_queue::{Claim, ExportQueue, QueueState, QueuedBlock};
pub use leases::{Decide, LeaseChanges, LeaseView, LeasedTarget};
pub use links::{LINK_STEP_S, LinkStep, ServiceLink};
pub use log_search::{LOG_LINES_MAX, LogCompact};
pub use metadata::{HELP_BYTES_MAX, METADATA_MAX, Metadata, MetadataWrite};
pub use postgres::{CONNECTIONS_DEFAULT, CONNECTIONS_MAX, CONNECTIONS_MIN, PgStore};
pub use pushed::{Advance, Advanced, PushedTarget, StateKey};
pub use retention::{DELIVERIES_KEPT, Retention, TARGETS_KEPT};
pub use retention_clock::{RetentionClock, StoreTime};
pub use sample::index::SeriesIndex;
pub use sample::matcher::Matcher;
pub use sample::read::SampleQuery;
pub use sample::{Labels, Sample, SeriesSamples};
pub use schema::{BUCKETS_MAX, Family, Slice};
pub use span::{
    AttributeValue, Attributes, Endpoint, Operation, Resource, Scope, Span, SpanEvent, SpanKind, SpanLink, TraceQuery,
};
pub use span_read::TRACE_SPANS_MAX;
pub use span_search::FoundTraces;
pub use sqlite::SqliteStore;
pub use tail::{
    Bench, CONDITIONS_MAX, FactsRow, IsWaiting, Judged, Root, Sentence, Sieve, Sifted, SpanWatch, SpansOut, TraceFacts, TraceId,
    TraceSampling, Verdict, VerdictCompact, encode_verdicts,
};
pub use totals::{EdgeAnswer, EdgeTotals, Histogram, SeriesAnswer, StepTotals, Totals, Window};

/// Puts edges into groups that a series sums; `None` leaves an edge out.
pub type EdgeGroups = Arc<dyn Fn(&EdgeLabels) -> Option<u8> + Send + Sync>;

/// A database that keeps what the mesh told.
///
/// Both implementations pass the same tests. All answers are of committed data. Windows are cut at the steps that are
/// kept (10 s, then 1 min, then 1 h as the past grows longer), and every answer says which window it really covers.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// Edges with traffic in the window and what they carried, in no particular order; all edges without a filter.
    async fn edges(&self, window: Window, filter: Option<EdgeFilter>) -> Result<EdgeAnswer, StoreError>;

    /// Traffic per step and group, oldest first. The step is rounded up to one that is kept.
    async fn edge_series(&self, window: Window, step_s: u64, groups: EdgeGroups) -> Result<SeriesAnswer, StoreError>;

    /// When a proxy of one of the namespaces (of any, when the list is empty) was last heard, not later than
    /// `before_ms`; `None` when never.
    async fn last_sample_ms(&self, namespaces: &[String], before_ms: i64) -> Result<Option<i64>, StoreError>;

    /// Namespaces that edges or scraped proxies name, sorted, without `unknown` and the empty one.
    async fn namespaces(&self) -> Result<Vec<String>, StoreError>;

    /// Labels of all edges that are kept, with or without traffic.
    async fn known_edges(&self) -> Result<Vec<Arc<EdgeLabels>>, StoreError>;

    /// Makes batches durable in one transaction, all of them or nothing, and reports on each. When the answer is an error
    /// they may still have been stored (a connection can break after the commit): read [`Store::target`] before the next
    /// scrape is compared.
    async fn write_group(&self, group: Arc<Vec<WriteBatch>>) -> Result<Vec<WriteReport>, StoreError>;

    /// One batch as a group of its own.
    async fn write(&self, batch: &WriteBatch) -> Result<WriteReport, StoreError> {
        let reports = self.write_group(Arc::new(vec![batch.clone()])).await?;
        Ok(reports.into_iter().next().unwrap_or_default())
    }

    /// What is remembered of a target; `None` when it was never scraped.
    async fn target(&self, key: &str) -> Result<Option<StoredTarget>, StoreError>;

    /// Gives a target the state that was kept under one of its former keys: of all of them, and of its own, the newest
    /// is kept.
    async fn adopt_target(&self, key: &str, former: &[Arc<str>]) -> Result<(), StoreError>;

    /// Whether somebody pushed counters of a target whose key begins with one of these texts.
    async fn is_pushed(&self, beginnings: &[String]) -> Result<bool, StoreError>;

    /// Writes next to nothing, to see whether the database takes writes again.
    async fn probe(&self) -> Result<(), StoreError>;

    /// False since a write failed because the database is away, full or read-only, until one succeeds.
    fn takes_writes(&self) -> bool;

    /// One round of sharing the targets among the collectors of this database: the collector is there for another `lease`,
    /// and what it decides by the view happens with it, or none of it.
    async fn lease_round(&self, me: &str, lease: Duration, decide: &mut Decide<'_>) -> Result<LeaseView, StoreError>;

    /// Leaves all targets of a collector to the others.
    async fn leave(&self, me: &str) -> Result<(), StoreError>;

    /// Targets of all collectors of this database, as their owners describe them.
    async fn leased_targets(&self) -> Result<Vec<LeasedTarget>, StoreError>;

    /// Edges in the dictionary.
    fn edge_count(&self) -> usize;

    /// When this store came into being: a process that is younger was never scraped by anyone else.
    async fn created_at_ms(&self) -> Result<i64, StoreError>;

    /// `(door, signal, outcome, total)` of everything that came in since then.
    async fn ingest_counts(&self) -> Result<Vec<(String, String, String, u64)>, StoreError>;

    /// Services that have spans, sorted.
    async fn services(&self) -> Result<Vec<String>, StoreError>;

    /// Names of a service's spans, sorted.
    async fn span_names(&self, service: &str) -> Result<Vec<String>, StoreError>;

    /// Operations of a service by their names, each once per kind of its spans.
    async fn operations(&self, service: &str) -> Result<Vec<Operation>, StoreError>;

    /// Services at the other end of a service's spans, as those name them, sorted.
    async fn remote_services(&self, service: &str) -> Result<Vec<String>, StoreError>;

    /// Calls between services in the steps that touch the window, by their names.
    async fn service_links(&self, window: Window) -> Result<Vec<ServiceLink>, StoreError>;

    /// Keeps a trace, with the spans that it has now, beyond the retention.
    async fn archive(&self, trace_id: [u8; 16], limits: ArchiveLimits, now_ms: i64) -> Result<Archived, StoreError>;

    /// All spans of a trace by their start, archived or not; empty when it is not known.
    async fn trace(&self, trace_id: [u8; 16]) -> Result<Vec<Span>, StoreError>;

    /// Traces with a span that matches, newest first.
    async fn find_traces(&self, query: &TraceQuery) -> Result<FoundTraces, StoreError>;

    /// Log lines that match, newest first.
    async fn find_logs(&self, query: &log::LogQuery) -> Result<log::LogAnswer, StoreError>;

    /// The dictionary of series, into which writers of samples put theirs.
    async fn series_index(&self) -> Result<Arc<SeriesIndex>, StoreError>;

    /// Samples of the series that all matchers want, by their labels; series without any are left out.
    async fn select(&self, query: &SampleQuery) -> Result<Vec<SeriesSamples>, StoreError>;

    /// Labels of the series that all matchers want and that may have samples since a time, sorted.
    async fn metric_series(&self, matchers: &[Matcher], from_ms: i64) -> Result<Vec<Labels>, StoreError>;

    /// Names of the labels of such series, sorted.
    async fn label_names(&self, matchers: &[Matcher], from_ms: i64) -> Result<Vec<String>, StoreError>;

    /// Values of one label of such series, sorted.
    async fn label_values(&self, name: &str, matchers: &[Matcher], from_ms: i64) -> Result<Vec<String>, StoreError>;

    /// What was said of one metric or of all, by their names.
    async fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, StoreError>;

    /// Exemplars by the labels of their series and by time; series without any are left out.
    async fn exemplars(&self, query: &ExemplarQuery) -> Result<Vec<SeriesExemplars>, StoreError>;

    /// Heads of the blocks with items in a span of time (microseconds), at most `limit`.
    async fn blocks(&self, family: Family, span_us: Range<i64>, order: Order, limit: usize)
    -> Result<Vec<BlockHead>, StoreError>;

    /// The data of a block; empty when it was merged or dropped since its head was read.
    async fn block_data(&self, head: &BlockHead) -> Result<Vec<u8>, StoreError>;

    /// Times that a block could not be read since this process started.
    fn corrupt_blocks(&self) -> u64;

    /// Merges some small blocks of a family, if any are worth it; `None` when there is nothing to do.
    async fn merge_blocks(&self, how: &Arc<dyn Compact>, now_ms: i64) -> Result<Option<Merged>, StoreError>;

    /// Drops what of the blocks is beyond the bytes that they may have, and returns the slices that went.
    async fn shrink_blocks(&self, retention: &Retention) -> Result<Vec<Slice>, StoreError>;

    /// Bytes of the blocks of each signal, as retention counts them.
    async fn block_bytes(&self) -> Result<Vec<(Family, u64)>, StoreError>;

    /// Drops the slices that are older than they have to be kept, and returns them.
    async fn drop_old(&self, retention: &Retention, now_ms: i64) -> Result<Vec<Slice>, StoreError>;

    /// Forgets edges that neither a kept rollup nor a target names any more, and returns how many. It reads all rollups
    /// of an hour; call it rarely.
    async fn forget_edges(&self, now_ms: i64) -> Result<u64, StoreError>;

    /// Whether the dictionary has an edge with these labels, as far as this process knows.
    fn knows_edge(&self, labels: &EdgeLabels) -> bool;

    /// What the store says about time, for [`RetentionClock`].
    async fn time(&self) -> Result<StoreTime, StoreError>;

    /// Remembers the time by which was dropped.
    async fn believe(&self, believed_ms: i64) -> Result<(), StoreError>;

    /// Waits for what is running and closes the connections.
    async fn close(&self);
}

#[async_trait]
impl<D: database::Database> Store for D {
    fn kind(&self) -> &'static str {
        match D::DIALECT {
            schema::Dialect::Sqlite => "sqlite",
            schema::Dialect::Postgres => "postgres",
        }
    }

    async fn edges(&self, window: Window, filter: Option<EdgeFilter>) -> Result<EdgeAnswer, StoreError> {
        read::edges(self, window, filter).await
    }

    async fn edge_series(&self, window: Window, step_s: u64, groups: EdgeGroups) -> Result<SeriesAnswer, StoreError> {
        series::series(self, window, step_s, groups).await
    }

    async fn last_sample_ms(&self, namespaces: &[String], before_ms: i64) -> Result<Option<i64>, StoreError> {
        read::last_sample_ms(self, namespaces, before_ms).await
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        dictionary::namespaces(self).await
    }

    async fn known_edges(&self) -> Result<Vec<Arc<EdgeLabels>>, StoreError> {
        dictionary::known_edges(self).await
    }

    async fn write_group(&self, group: Arc<Vec<WriteBatch>>) -> Result<Vec<WriteReport>, StoreError> {
        let result = write::write(self, &group).await;
        self.caches().wrote(result.as_ref().err());
        result
    }

    async fn target(&self, key: &str) -> Result<Option<StoredTarget>, StoreError> {
        read::target(self, key).await
    }

    async fn adopt_target(&self, key: &str, former: &[Arc<str>]) -> Result<(), StoreError> {
        adopt::adopt(self, key, former).await
    }

    async fn is_pushed(&self, beginnings: &[String]) -> Result<bool, StoreError> {
        pushed::is_pushed(self, beginnings).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let result = write::probe(self).await;
        self.caches().wrote(result.as_ref().err());
        result
    }

    fn takes_writes(&self) -> bool {
        self.caches().takes_writes()
    }

    async fn lease_round(&self, me: &str, lease: Duration, decide: &mut Decide<'_>) -> Result<LeaseView, StoreError> {
        leases::round(self, me, lease, decide).await
    }

    async fn leave(&self, me: &str) -> Result<(), StoreError> {
        leases::leave(self, me).await
    }

    async fn leased_targets(&self) -> Result<Vec<LeasedTarget>, StoreError> {
        leases::targets(self).await
    }

    fn edge_count(&self) -> usize {
        self.caches().edge_count()
    }

    async fn created_at_ms(&self) -> Result<i64, StoreError> {
        read::created_at_ms(self).await
    }

    async fn ingest_counts(&self) -> Result<Vec<(String, String, String, u64)>, StoreError> {
        read::ingest_counts(self).await
    }

    async fn services(&self) -> Result<Vec<String>, StoreError> {
        span_read::services(self).await
    }

    async fn span_names(&self, service: &str) -> Result<Vec<String>, StoreError> {
        span_read::span_names(self, service).await
    }

    async fn operations(&self, service: &str) -> Result<Vec<Operation>, StoreError> {
        span_read::operations(self, service).await
    }

    async fn remote_services(&self, service: &str) -> Result<Vec<String>, StoreError> {
        span_read::remote_services(self, service).await
    }

    async fn service_links(&self, window: Window) -> Result<Vec<ServiceLink>, StoreError> {
        links::read(self, window).await
    }

    async fn archive(&self, trace_id: [u8; 16], limits: ArchiveLimits, now_ms: i64) -> Result<Archived, StoreError> {
        archive::archive(self, trace_id, limits, now_ms).await
    }

    async fn trace(&self, trace_id: [u8; 16]) -> Result<Vec<Span>, StoreError> {
        span_read::trace(self, trace_id).await
    }

    async fn find_traces(&self, query: &TraceQuery) -> Result<FoundTraces, StoreError> {
        span_search::find(self, query).await
    }

    async fn find_logs(&self, query: &log::LogQuery) -> Result<log::LogAnswer, StoreError> {
        log_search::find(self, query).await
    }

    async fn blocks(
        &self,
        family: Family,
        span_us: Range<i64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<BlockHead>, StoreError> {
        block_read::heads(self, family, span_us, order, limit).await
    }

    async fn block_data(&self, head: &BlockHead) -> Result<Vec<u8>, StoreError> {
        block_read::data(self, head).await
    }

    async fn series_index(&self) -> Result<Arc<SeriesIndex>, StoreError> {
        sample::dictionary::index(self).await
    }

    async fn select(&self, query: &SampleQuery) -> Result<Vec<SeriesSamples>, StoreError> {
        sample::read::select(self, query).await
    }

    async fn metric_series(&self, matchers: &[Matcher], from_ms: i64) -> Result<Vec<Labels>, StoreError> {
        sample::read::series(self, matchers, from_ms).await
    }

    async fn label_names(&self, matchers: &[Matcher], from_ms: i64) -> Result<Vec<String>, StoreError> {
        sample::read::label_names(self, matchers, from_ms).await
    }

    async fn label_values(&self, name: &str, matchers: &[Matcher], from_ms: i64) -> Result<Vec<String>, StoreError> {
        sample::read::label_values(self, name, matchers, from_ms).await
    }

    async fn metadata(&self, metric: Option<&str>) -> Result<Vec<Metadata>, StoreError> {
        metadata::read(self, metric).await
    }

    async fn exemplars(&self, query: &ExemplarQuery) -> Result<Vec<SeriesExemplars>, StoreError> {
        exemplar::read(self, query).await
    }

    fn corrupt_blocks(&self) -> u64 {
        self.caches().corrupt_blocks()
    }

    async fn merge_blocks(&self, how: &Arc<dyn Compact>, now_ms: i64) -> Result<Option<Merged>, StoreError> {
        block_compact::once(self, how, now_ms).await
    }

    async fn shrink_blocks(&self, retention: &Retention) -> Result<Vec<Slice>, StoreError> {
        retention_size::shrink(self, retention).await
    }

    async fn block_bytes(&self) -> Result<Vec<(Family, u64)>, StoreError> {
        retention_size::block_bytes(self).await
    }

    async fn drop_old(&self, retention: &Retention, now_ms: i64) -> Result<Vec<Slice>, StoreError> {
        retention::drop_old(self, retention, now_ms).await
    }

    async fn forget_edges(&self, now_ms: i64) -> Result<u64, StoreError> {
        forget_edges::forget_edges(self, now_ms).await
    }

    fn knows_edge(&self, labels: &EdgeLabels) -> bool {
        self.caches().knows(labels)
    }

    async fn time(&self) -> Result<StoreTime, StoreError> {
        read::time(self).await
    }

    async fn believe(&self, believed_ms: i64) -> Result<(), StoreError> {
        retention::believe(self, believed_ms).await
    }

    async fn close(&self) {
        self.close_pools().await;
    }
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to compress a block")]
    Compress(#[from] std::io::Error),
    #[error("a task of the store ended early")]
    Task(#[from] tokio::task::JoinError),
    #[error("failed to open the database {place}")]
    Open {
        place: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("failed to bring the database {place} to this version's schema")]
    Migrate {
        place: String,
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    #[error("the answer has more than {0} samples; ask for fewer series or a shorter time")]
    TooManySamples(usize),
    #[error(
        "the database {place} was written by a newer version of this program (schema {version} is not known here); \
         use that version, or a backup from before it"
    )]
    Newer { place: String, version: i64 },
    #[error(
        "the database {place} has an older schema (without {version}); start a collector of this version on it once, which \
         brings it up"
    )]
    Older { place: String, version: i64 },
    #[error("the database {place} is none of Sidelight's")]
    Foreign { place: String },
    #[error("the database refused a query")]
    Query(#[from] sqlx::Error),
    #[error("the database broke off while it committed, and what became of the batch is not known")]
    Unknown {
        #[source]
        source: Box<StoreError>,
    },
    #[error("the database has not answered within {} s", limit.as_secs())]
    Silent { limit: std::time::Duration },
}

//! Scrapes one target: fetches, compares with the last time, and waits until the difference and the samples are stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use sidelight_api::proxy::Scrape;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use super::client::{Answer, FetchError};
use super::fetch::fetch;
use super::leases::Fence;
use super::naming::Naming;
use super::page::{Page, PageError, PageReader};
use super::reports::{Report, Reports};
use super::schedule::ScrapeClock;
use super::{ScrapeStatuses, ScrapeTarget};
use crate::causes::with_causes;
use crate::clock::Moment;
use crate::forward::Forwarder;
use crate::ingest::exposition::Format;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::{
    Basis, Comparison, Knowledge, Room, TargetState, WriteError, WriterHandle, compare, lacks_the_proxy, pushed_key,
};
use crate::store::exemplar;
use crate::store::sample::compact::{columns, row};
use crate::store::sample::index::Series;
use crate::store::{Counts, EncodedBlock, Family, Sample, SampleWrite, Store, StoreError, TARGETS_KEPT, WriteBatch};

/// Edges that the dictionary takes; beyond this, new ones are refused and counted.
pub const EDGES_MAX: usize = 200_000;

/// What all scrapes share.
pub struct Shared {
    pub store: Arc<dyn Store>,
    pub writer: WriterHandle,
    pub metrics: Arc<OwnMetrics>,
    pub statuses: ScrapeStatuses,
    pub clock: ScrapeClock,
    /// Closed while the others may take this collector for gone.
    pub fence: Fence,
    /// Where samples are sent on.
    pub forwarder: Option<Forwarder>,
    /// Slots for answers that are held.
    pub bodies: Semaphore,
    pub store_created_at_ms: i64,
    pub collector_started_at_ms: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("failed to read what is known of the target")]
    Load(#[source] StoreError),
    #[error("failed to store the scrape")]
    Write(#[source] WriteError),
    #[error("failed to read the scrape")]
    Read(#[from] tokio::task::JoinError),
    #[error("the answer was not taken")]
    Page(#[from] PageError),
    #[error("the answer lacks the proxy's own metrics; its counters stay as they were last seen")]
    Incomplete,
    #[error("another collector scraped the target at the same time")]
    Conflict,
}

impl ScrapeError {
    /// Whether the database is away.
    fn is_outage(&self) -> bool {
        match self {
            Self::Load(error) => error.is_outage(),
            Self::Write(WriteError::Store(error)) => error.is_outage(),
            _ => false,
        }
    }
}

/// One target and what is known of its counters and series.
pub struct TargetTask {
    pub target: ScrapeTarget,
    /// `None` until it was read from the store, and again after something went wrong with it.
    state: Option<Option<TargetState>>,
    reader: PageReader,
    /// How its series are named, and those of the scrape itself.
    naming: Option<(Naming, Reports)>,
    /// The slice for whose samples the dictionary keeps all series.
    kept_slice_s: Option<i64>,
    /// Whether somebody else scraped it before we did.
    is_pushed: bool,
}

/// What reading a page made of it.
struct Read {
    reader: PageReader,
    page: Page,
    comparison: Option<Comparison>,
    bytes: usize,
}

impl TargetTask {
    pub fn new(target: ScrapeTarget) -> Self {
        Self { target, state: None, reader: PageReader::default(), naming: None, kept_slice_s: None, is_pushed: false }
    }

    /// Scrapes once for a moment and tells how it went; false when the target did not answer.
    pub async fn scrape(&mut self, shared: &Shared, at: Moment) -> bool {
        let started = Instant::now();
        let result = self.scrape_once(shared, at).await;
        let took = started.elapsed();
        shared.metrics.scraped(if result.is_ok() { "stored" } else { "failed" }, took);
        shared.metrics.edges(shared.store.edge_count());
        let was_up = shared.statuses.get(&self.target.key).is_none_or(|status| status.up);
        let status = Scrape {
            url: self.target.url.clone(),
            up: !matches!(result, Err(ScrapeError::Fetch(_) | ScrapeError::Page(_))),
            last_at_ms: at.wall_ms,
            duration_ms: took.as_secs_f64() * 1000.0,
            samples: *result.as_ref().unwrap_or(&0),
            error: result.as_ref().err().map(|error| with_causes(error)),
        };
        self.log(&result, was_up);
        let is_up = status.up;
        shared.statuses.set(&self.target.key, status);
        is_up
    }

    async fn scrape_once(&mut self, shared: &Shared, at: Moment) -> Result<u64, ScrapeError> {
        let started = Instant::now();
        let (naming, reports) = self.naming(shared).await?;
        let (answer, _body) = match fetch(&self.target, &shared.bodies).await {
            Ok(fetched) => fetched,
            Err(error) => {
                self.failed(shared, at, &naming, &reports, started).await;
                return Err(error.into());
            }
        };
        let last = self.load(shared).await?;
        let read = match self.read(shared, at, &naming, answer, last).await {
            Err(error @ ScrapeError::Page(_)) => {
                self.failed(shared, at, &naming, &reports, started).await;
                return Err(error);
            }
            read => read?,
        };
        self.reader = read.reader;
        let mut page = read.page;
        let report = Report { is_up: true, took: started.elapsed(), scraped: page.scraped(), kept: page.kept, added: page.added };
        let received = page.received;
        let slice_s = Family::SampleBlock.slice_at(at.wall_ms.div_euclid(1000)).from_s;
        let values = reports.among(&report, std::mem::take(&mut page.values));
        let series = self.rows(&naming, &reports, slice_s, page.series_changed);
        let forward = shared.forwarder.as_ref().map(|to| (to, together(at.wall_ms, &values, &page.timed)));
        let told = page.metadata.take().unwrap_or_default();
        if !told.is_empty() {
            shared.statuses.set_metadata(&self.target.key, &told);
        }
        let blocks = blocks(&naming, at.wall_ms, &values, &page.timed);
        let exemplars = std::mem::take(&mut page.exemplars);
        let samples = SampleWrite { series, blocks, exemplars, metadata: told };
        let left_out = match &read.comparison {
            Some(_) => None,
            None if self.target.is_counted => Some("incomplete"),
            None => Some("counted_elsewhere"),
        };
        let counts = counts(&page, read.bytes, &samples.blocks, left_out);
        let Some(mut comparison) = read.comparison else {
            // The samples are as good as any.
            self.store_apart(shared, samples, counts, slice_s).await?;
            if self.target.is_counted {
                return Err(ScrapeError::Incomplete);
            }
            if let Some((forwarder, samples)) = forward {
                forwarder.offer(samples);
            }
            return Ok(received);
        };
        if comparison.basis != Basis::Last {
            info!(target = %self.target.key, basis = ?comparison.basis, "counters begin");
        }
        comparison.batch.target = self.target.key.clone();
        comparison.batch.namespace = self.target.namespace.clone();
        comparison.batch.counts = counts;
        comparison.batch.samples = samples;
        self.kept_slice_s = None;
        // The state is gone until the answer is there: when it is not known what was stored, it is read again.
        match shared.writer.scrape(comparison.batch).await.map_err(ScrapeError::Write)? {
            Some(version) => {
                self.state = Some(Some(TargetState { version, ..comparison.next }));
                self.kept_slice_s = Some(slice_s);
                self.reader.stored();
                if let Some((forwarder, samples)) = forward {
                    forwarder.offer(samples);
                }
                Ok(received)
            }
            None => Err(ScrapeError::Conflict),
        }
    }

    /// How series are named; anew when the target has other labels now, under which the series of the old ones end.
    async fn naming(&mut self, shared: &Shared) -> Result<(Naming, Reports), ScrapeError> {
        if let Some((naming, reports)) = &self.naming
            && naming.labels == self.target.labels
            && Arc::ptr_eq(&naming.job, &self.target.job)
        {
            return Ok((naming.clone(), reports.clone()));
        }
        if self.naming.is_some() {
            self.reader.end_all();
        }
        let naming = Naming {
            index: shared.store.series_index().await.map_err(ScrapeError::Load)?,
            group: Naming::group_of(&self.target.key),
            labels: self.target.labels.clone(),
            job: self.target.job.clone(),
        };
        let reports = Reports::new(&naming);
        self.naming = Some((naming.clone(), reports.clone()));
        self.kept_slice_s = None;
        Ok((naming, reports))
    }

    /// A busy Envoy tells megabytes: reading them would hold up everybody else on this thread.
    async fn read(
        &mut self,
        shared: &Shared,
        at: Moment,
        naming: &Naming,
        answer: Answer,
        last: Option<TargetState>,
    ) -> Result<Read, ScrapeError> {
        let knowledge = Knowledge {
            known_since_ms: known_since_ms(shared.store_created_at_ms, at.wall_ms),
            registered_at_ms: self.target.registered_at_ms,
            collector_started_at_ms: shared.collector_started_at_ms,
            is_pushed: self.is_pushed,
        };
        let is_counted = self.target.is_counted;
        let new_edges = EDGES_MAX.saturating_sub(shared.store.edge_count());
        let (store, naming, mut reader) = (Arc::clone(&shared.store), naming.clone(), std::mem::take(&mut self.reader));
        let reading = tokio::task::spawn_blocking(move || {
            // A pod that starts anew is a new target with the edges of the one before it.
            let is_known = |edge: &_| last.as_ref().is_some_and(|last| last.series.contains_key(edge)) || store.knows_edge(edge);
            let room = Room { is_known: &is_known, new_edges };
            let format = Format::of(&answer.content_type);
            let page = reader.read(&answer.text, format, at.wall_ms, &naming, room);
            let result = page.map(|mut page| {
                let seen = std::mem::take(&mut page.observation);
                page.observation.received = seen.received;
                page.observation.refused.clone_from(&seen.refused);
                let is_whole = !lacks_the_proxy(last.as_ref(), &seen);
                let comparison = (is_whole && is_counted).then(|| compare(last.as_ref(), seen, at, knowledge));
                (page, comparison)
            });
            (reader, result, answer.text.len(), last)
        });
        let (reader, result, bytes, last) = reading.await?;
        match result {
            Ok((page, comparison)) => {
                if comparison.is_none() {
                    self.state = Some(last);
                }
                Ok(Read { reader, page, comparison, bytes })
            }
            Err(error) => {
                (self.reader, self.state) = (reader, Some(last));
                Err(error.into())
            }
        }
    }

    /// Stores that the target did not answer as it should, and that its series have ended.
    async fn failed(&mut self, shared: &Shared, at: Moment, naming: &Naming, reports: &Reports, started: Instant) {
        let slice_s = Family::SampleBlock.slice_at(at.wall_ms.div_euclid(1000)).from_s;
        let ended = self.reader.end_all();
        let ends = ended.iter().map(|id| (*id, crate::store::sample::stale())).collect();
        let values = reports.among(&Report { took: started.elapsed(), ..Report::default() }, ends);
        let series = self.rows(naming, reports, slice_s, !ended.is_empty());
        let forward = shared.forwarder.as_ref().map(|to| (to, together(at.wall_ms, &values, &[])));
        let samples = SampleWrite { series, blocks: blocks(naming, at.wall_ms, &values, &[]), ..SampleWrite::default() };
        let mut counts = Counts::default();
        counts.add("scrape", REPORTS, "received", items(&samples.blocks));
        counts.add("scrape", REPORTS, "stored", items(&samples.blocks));
        let stored = self.store_apart(shared, samples, counts, slice_s).await;
        if let (Ok(()), Some((forwarder, samples))) = (&stored, forward) {
            forwarder.offer(samples);
        }
        if let Err(error) = stored {
            debug!(target = %self.target.key, error = with_causes(&error), "the failure of a scrape was not stored");
        }
    }

    /// Stores samples without what they say of edges.
    async fn store_apart(
        &mut self,
        shared: &Shared,
        samples: SampleWrite,
        counts: Counts,
        slice_s: i64,
    ) -> Result<(), ScrapeError> {
        self.kept_slice_s = None;
        let batch = WriteBatch { samples: vec![samples], counts, ..WriteBatch::default() };
        shared.writer.wait(batch).await.map_err(ScrapeError::Write)?;
        self.kept_slice_s = Some(slice_s);
        self.reader.stored();
        Ok(())
    }

    /// What the dictionary has to know of the series: all of them in each slice, and those that are new.
    fn rows(
        &self,
        naming: &Naming,
        reports: &Reports,
        slice_s: i64,
        is_changed: bool,
    ) -> crate::store::sample::index::SeriesRows {
        if !is_changed && self.kept_slice_s == Some(slice_s) {
            return crate::store::sample::index::SeriesRows::default();
        }
        let until_s = slice_s + Family::SampleBlock.slice_s();
        naming.index.rows(self.reader.series().chain(reports.series()), until_s)
    }

    async fn load(&mut self, shared: &Shared) -> Result<Option<TargetState>, ScrapeError> {
        if let Some(known) = self.state.take() {
            return Ok(known);
        }
        if !self.target.is_counted {
            return Ok(None);
        }
        let (key, former) = (&self.target.key, &self.target.former_keys);
        shared.store.adopt_target(key, former).await.map_err(ScrapeError::Load)?;
        let stored = shared.store.target(key).await.map_err(ScrapeError::Load)?;
        if stored.is_none() {
            let keys: Vec<String> = super::scraped::names(&self.target).map(|name| pushed_key(&name)).collect();
            self.is_pushed = shared.store.is_pushed(&keys).await.map_err(ScrapeError::Load)?;
        }
        Ok(stored.map(TargetState::from))
    }

    fn log(&self, result: &Result<u64, ScrapeError>, was_up: bool) {
        match result {
            Ok(samples) => debug!(target = %self.target.key, samples, "scraped"),
            Err(error @ ScrapeError::Fetch(_)) if was_up && self.target.connected => {
                let (target, url) = (&*self.target.key, &*self.target.url);
                warn!(target, url, error = with_causes(error), "the target does not answer");
            }
            Err(ScrapeError::Fetch(_)) => {}
            // The writer tells of it, once and not for each target: nothing is lost, the counters go on counting.
            Err(error) if error.is_outage() => debug!(target = %self.target.key, error = with_causes(error), "the scrape waits"),
            Err(error) => warn!(target = %self.target.key, error = with_causes(error), "the scrape was not stored"),
        }
    }
}

/// Since when every target that was ever scraped is still remembered.
fn known_since_ms(store_created_at_ms: i64, now_ms: i64) -> i64 {
    let kept_ms = i64::try_from(TARGETS_KEPT.as_millis()).unwrap_or(i64::MAX);
    store_created_at_ms.max(now_ms.saturating_sub(kept_ms))
}

/// The signal of what is said of scrapes, and of the ends of series: nobody sent them.
const REPORTS: &str = "report_samples";

/// `left_out`: why the samples say nothing of edges.
fn counts(page: &Page, bytes: usize, blocks: &[EncodedBlock], left_out: Option<&str>) -> Counts {
    let mut counts = Counts::default();
    counts.add("scrape", "samples", "received", page.received);
    counts.add("scrape", "samples", "stored", page.kept);
    counts.add("scrape", "samples", "bytes", bytes as u64);
    for (reason, count) in &page.refused {
        counts.refuse("scrape", "samples", reason.as_str(), *count);
    }
    counts.add("scrape", exemplar::SIGNAL, "received", page.exemplars_refused);
    counts.refuse("scrape", exemplar::SIGNAL, "not_taken", page.exemplars_refused);
    let reports = items(blocks).saturating_sub(page.kept);
    counts.add("scrape", REPORTS, "received", reports);
    counts.add("scrape", REPORTS, "stored", reports);
    // What of the samples became traffic of edges.
    let seen = &page.observation;
    counts.add("scrape", "edge_samples", "received", seen.received);
    match left_out {
        None => counts.add("scrape", "edge_samples", "stored", seen.taken()),
        Some(reason) => counts.refuse("scrape", "edge_samples", reason, seen.taken()),
    }
    for (reason, count) in &seen.refused {
        counts.refuse("scrape", "edge_samples", reason.as_str(), *count);
    }
    counts
}

/// Series, time and value of all samples.
fn together(at_ms: i64, values: &[(i64, f64)], timed: &[(Arc<Series>, i64, f64)]) -> Vec<(i64, i64, f64)> {
    let timed = timed.iter().map(|(series, t_ms, value)| (series.id, *t_ms, *value));
    values.iter().map(|(id, value)| (*id, at_ms, *value)).chain(timed).collect()
}

fn items(blocks: &[EncodedBlock]) -> u64 {
    blocks.iter().map(|block| u64::from(block.items)).sum()
}

/// One block of the time of the scrape, and one per slice of samples with times of their own.
fn blocks(naming: &Naming, at_ms: i64, values: &[(i64, f64)], timed: &[(Arc<Series>, i64, f64)]) -> Vec<EncodedBlock> {
    let mut blocks = vec![row(at_ms, naming.group, values)];
    let mut slices: BTreeMap<i64, BTreeMap<i64, Vec<Sample>>> = BTreeMap::new();
    for (series, t_ms, value) in timed {
        let slice_s = Family::SampleBlock.slice_at(t_ms.div_euclid(1000)).from_s;
        let samples = slices.entry(slice_s).or_default().entry(series.id).or_default();
        samples.push(Sample { t_ms: *t_ms, value: *value });
    }
    blocks.extend(slices.into_iter().map(|(slice_s, series)| columns(slice_s, naming.group, series.into_iter())));
    blocks
}

//! The one task that writes: it gathers what waits into one transaction, so that one sync to disk serves many batches.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::own_metrics::OwnMetrics;
use crate::store::{Counts, ScrapeBatch, Span, Store, StoreError, WriteBatch, WriteReport};

/// Batches that wait for the writer; beyond this a door answers "busy" and a scrape waits.
pub const QUEUE_MAX: usize = 512;
/// Batches that go into one transaction.
const GROUP_MAX: usize = 128;
/// Spans and steps of edges that go into one transaction, unless a single batch has more.
const GROUP_ROWS_MAX: usize = 20_000;

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("too many batches wait to be written")]
    Busy,
    #[error("the collector is shutting down")]
    Closed,
    #[error("the database did not take the batch")]
    Store(#[source] Arc<StoreError>),
}

/// What a door hands over; answered once it is durable.
struct Request {
    batch: WriteBatch,
    done: oneshot::Sender<Result<WriteReport, Arc<StoreError>>>,
}

/// Hands batches to the writer.
#[derive(Clone)]
pub struct WriterHandle {
    requests: mpsc::Sender<Request>,
}

/// Owns the writing side of a store.
pub struct Writer {
    store: Arc<dyn Store>,
    requests: mpsc::Receiver<Request>,
    metrics: Arc<OwnMetrics>,
}

impl WriterHandle {
    /// Stores spans of one door, or refuses at once when too much is waiting. The counts are stored with them.
    pub async fn spans(&self, door: &'static str, spans: Vec<Span>, counts: Counts) -> Result<WriteReport, WriteError> {
        let spans = if spans.is_empty() { Vec::new() } else { vec![(door, spans)] };
        let (request, done) = request(WriteBatch { spans, counts, ..WriteBatch::default() });
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Closed,
        })?;
        answer(done).await
    }

    /// Stores a scrape, waiting for its turn; the new version, or `None` when another collector was first.
    pub async fn scrape(&self, scrape: ScrapeBatch) -> Result<Option<i64>, WriteError> {
        let (request, done) = request(WriteBatch { scrapes: vec![scrape], ..WriteBatch::default() });
        self.requests.send(request).await.map_err(|_| WriteError::Closed)?;
        Ok(answer(done).await?.scrapes.first().copied().flatten())
    }

    /// Stores counts alone, waiting for their turn.
    pub async fn counts(&self, counts: Counts) -> Result<(), WriteError> {
        let (request, done) = request(WriteBatch { counts, ..WriteBatch::default() });
        self.requests.send(request).await.map_err(|_| WriteError::Closed)?;
        answer(done).await.map(drop)
    }
}

fn request(batch: WriteBatch) -> (Request, oneshot::Receiver<Result<WriteReport, Arc<StoreError>>>) {
    let (done, answer) = oneshot::channel();
    (Request { batch, done }, answer)
}

async fn answer(done: oneshot::Receiver<Result<WriteReport, Arc<StoreError>>>) -> Result<WriteReport, WriteError> {
    done.await.map_err(|_| WriteError::Closed)?.map_err(WriteError::Store)
}

impl Writer {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<OwnMetrics>) -> (Self, WriterHandle) {
        let (sender, requests) = mpsc::channel(QUEUE_MAX);
        (Self { store, requests, metrics }, WriterHandle { requests: sender })
    }

    /// Writes until `stop`, or until every handle is gone, and then what still waits.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                // The closed queue gives what is in it and takes nothing more.
                () = stop.cancelled(), if !self.requests.is_closed() => {
                    self.requests.close();
                    continue;
                }
                first = self.requests.recv() => first,
            };
            let Some(first) = first else { return };
            let mut rows = rows(&first.batch);
            let mut group = vec![first];
            while group.len() < GROUP_MAX && rows < GROUP_ROWS_MAX {
                let Ok(next) = self.requests.try_recv() else { break };
                rows += self::rows(&next.batch);
                group.push(next);
            }
            self.write_group(group).await;
        }
    }

    async fn write_group(&self, group: Vec<Request>) {
        if group.len() == 1 {
            for request in group {
                let result = self.write(&request.batch).await;
                // Whoever waited may have given up; the batch is stored all the same.
                let _ = request.done.send(result.map_err(Arc::new));
            }
            return;
        }
        let batch = merge(group.iter().map(|request| &request.batch));
        match self.write(&batch).await {
            Ok(report) => answer_group(group, report),
            // One bad batch must not take the others with it.
            Err(error) => {
                warn!(%error, batches = group.len(), "a group of batches was not stored; trying each alone");
                for request in group {
                    let result = self.write(&request.batch).await;
                    let _ = request.done.send(result.map_err(Arc::new));
                }
            }
        }
    }

    async fn write(&self, batch: &WriteBatch) -> Result<WriteReport, StoreError> {
        let started = Instant::now();
        let result = self.store.write(batch).await;
        self.metrics.wrote(started.elapsed(), result.is_ok(), rows(batch));
        if let Ok(report) = &result {
            self.metrics.counted(&report.counts);
        }
        result
    }
}

fn rows(batch: &WriteBatch) -> usize {
    let steps: usize = batch.scrapes.iter().map(|scrape| scrape.added.len() + scrape.counters.len()).sum();
    steps + batch.spans.iter().map(|(_, spans)| spans.len()).sum::<usize>()
}

fn merge<'a>(batches: impl Iterator<Item = &'a WriteBatch>) -> WriteBatch {
    let mut merged = WriteBatch::default();
    for batch in batches {
        merged.scrapes.extend(batch.scrapes.iter().cloned());
        for (door, spans) in &batch.spans {
            match merged.spans.iter_mut().find(|(known, _)| known == door) {
                Some((_, all)) => all.extend(spans.iter().cloned()),
                None => merged.spans.push((door, spans.clone())),
            }
        }
        merged.counts.merge(&batch.counts);
    }
    merged
}

/// Scrapes are answered one by one; of spans the doors only need to know that they are stored.
fn answer_group(group: Vec<Request>, report: WriteReport) {
    let mut scrapes = report.scrapes.into_iter();
    for request in group {
        let mine = scrapes.by_ref().take(request.batch.scrapes.len()).collect();
        let spans = request.batch.spans.iter().map(|(_, spans)| spans.len() as u64).sum();
        let _ = request.done.send(Ok(WriteReport { scrapes: mine, spans_stored: spans, ..WriteReport::default() }));
    }
}

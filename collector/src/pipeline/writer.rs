//! The one task that writes: it gathers what waits into one transaction, so that one sync to disk serves many batches.

mod outage;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::outage::{Outage, Past};

use crate::own_metrics::OwnMetrics;
use crate::store::{Counts, ScrapeBatch, Store, StoreError, WriteBatch, WriteReport};

/// Batches that wait for the writer; beyond this a door answers "busy" and a scrape waits.
pub const QUEUE_MAX: usize = 512;
/// Bytes in memory of what waits for the writer; beyond this a door answers "busy", unless nothing else waits.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Batches that go into one transaction.
const GROUP_MAX: usize = 128;
/// Spans, blocks, series and steps of edges that go into one transaction, unless a single batch has more.
const GROUP_ROWS_MAX: usize = 20_000;
/// Bytes in memory of what goes into one transaction, unless a single batch has more.
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a group is tried again before it is answered with an error: a restart of the database, or a failover.
const RETRY_TIME_MAX: Duration = Duration::from_secs(4);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("too much waits to be written")]
    Busy,
    #[error("the collector is shutting down")]
    Closed,
    #[error("the batch could not be made into a block")]
    Encode(#[source] std::io::Error),
    #[error("the database did not take the batch")]
    Store(#[source] Arc<StoreError>),
}

type Answer = Result<WriteReport, Arc<StoreError>>;

/// Whoever handed over a batch.
type Waiter = oneshot::Sender<Answer>;

/// What a door hands over; answered once it is durable.
struct Request {
    batch: WriteBatch,
    done: Waiter,
    rows: usize,
    /// Given back when the writer has taken it.
    waiting: Waiting,
}

/// Bytes of one request in the queue.
struct Waiting {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Hands batches to the writer.
#[derive(Clone)]
pub struct WriterHandle {
    requests: mpsc::Sender<Request>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Owns the writing side of a store.
pub struct Writer {
    store: Arc<dyn Store>,
    requests: mpsc::Receiver<Request>,
    metrics: Arc<OwnMetrics>,
    outage: Option<Outage>,
    past: Past,
}

impl WriterHandle {
    /// Stores a batch, or refuses at once when too much is waiting.
    pub async fn deliver(&self, batch: WriteBatch) -> Result<WriteReport, WriteError> {
        let (request, done) = self.request(batch);
        let before = self.waiting_bytes.load(Ordering::Relaxed) - request.waiting.bytes;
        if before > 0 && before + request.waiting.bytes > QUEUE_BYTES_MAX {
            return Err(WriteError::Busy);
        }
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Closed,
        })?;
        answer(done).await
    }

    /// Stores a scrape, waiting for its turn; the new version, or `None` when another collector was first.
    pub async fn scrape(&self, scrape: ScrapeBatch) -> Result<Option<i64>, WriteError> {
        let report = self.wait(WriteBatch { scrapes: vec![scrape], ..WriteBatch::default() }).await?;
        Ok(report.scrapes.first().copied().flatten())
    }

    /// Stores counts alone, waiting for their turn.
    pub async fn counts(&self, counts: Counts) -> Result<(), WriteError> {
        self.wait(WriteBatch { counts, ..WriteBatch::default() }).await.map(drop)
    }

    /// Stores a batch, waiting for its turn.
    pub async fn wait(&self, batch: WriteBatch) -> Result<WriteReport, WriteError> {
        let (request, done) = self.request(batch);
        self.requests.send(request).await.map_err(|_| WriteError::Closed)?;
        answer(done).await
    }

    /// Batches that wait now.
    #[cfg(test)]
    pub fn queued(&self) -> usize {
        self.requests.max_capacity() - self.requests.capacity()
    }

    /// Counts the bytes as waiting.
    fn request(&self, batch: WriteBatch) -> (Request, oneshot::Receiver<Answer>) {
        let (done, answer) = oneshot::channel();
        let waiting = Waiting { bytes: batch.bytes(), all: Arc::clone(&self.waiting_bytes) };
        self.waiting_bytes.fetch_add(waiting.bytes, Ordering::Relaxed);
        (Request { rows: batch.rows(), batch, done, waiting }, answer)
    }
}

async fn answer(done: oneshot::Receiver<Answer>) -> Result<WriteReport, WriteError> {
    done.await.map_err(|_| WriteError::Closed)?.map_err(WriteError::Store)
}

/// Batches of one transaction, and who waits for each.
#[derive(Default)]
struct Group {
    batches: Vec<WriteBatch>,
    waiters: Vec<Waiter>,
    rows: usize,
    bytes: usize,
}

impl Group {
    fn is_full(&self) -> bool {
        self.batches.len() >= GROUP_MAX || self.rows >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX
    }

    fn add(&mut self, request: Request) {
        self.rows += request.rows;
        self.bytes += request.waiting.bytes;
        self.batches.push(request.batch);
        self.waiters.push(request.done);
    }
}

impl Writer {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<OwnMetrics>) -> (Self, WriterHandle) {
        let (sender, requests) = mpsc::channel(QUEUE_MAX);
        (
            Self { store, requests, metrics, outage: None, past: Past::default() },
            WriterHandle { requests: sender, waiting_bytes: Arc::default() },
        )
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
                () = Outage::next_try(self.outage.as_ref()) => {
                    self.try_again().await;
                    continue;
                }
                first = self.requests.recv() => first,
            };
            let Some(first) = first else { return };
            let mut group = Group::default();
            group.add(first);
            while !group.is_full() {
                let Ok(next) = self.requests.try_recv() else { break };
                group.add(next);
            }
            self.write_group(group).await;
        }
    }

    async fn write_group(&mut self, group: Group) {
        if let Some(outage) = &mut self.outage {
            // Nobody waits for a database that is away: whoever sent this keeps it, and tries again.
            return outage.refuse(group.waiters);
        }
        let batches = Arc::new(group.batches);
        match self.write_patiently(&batches, group.rows).await {
            // Whoever waited may have given up; the batch is stored all the same.
            Ok(reports) => group.waiters.into_iter().zip(reports).for_each(|(waiter, report)| drop(waiter.send(Ok(report)))),
            Err(error) if error.is_outage() => {
                self.metrics.store_is_out(true);
                self.outage.insert(Outage::begin(Arc::new(error), &mut self.past)).refuse(group.waiters);
            }
            Err(error) if batches.len() == 1 => {
                let error = Arc::new(error);
                group.waiters.into_iter().for_each(|waiter| drop(waiter.send(Err(Arc::clone(&error)))));
            }
            // One bad batch must not take the others with it.
            Err(error) => {
                warn!(%error, batches = batches.len(), "a group of batches was not stored; trying each alone");
                let batches = Arc::try_unwrap(batches).unwrap_or_else(|shared| Vec::clone(&shared));
                for (batch, waiter) in batches.into_iter().zip(group.waiters) {
                    let rows = batch.rows();
                    let result = self.write(Arc::new(vec![batch]), rows).await;
                    drop(waiter.send(result.map(|reports| reports.into_iter().next().unwrap_or_default()).map_err(Arc::new)));
                }
            }
        }
    }

    /// Waits out a database that restarts: most of those who sent something have no second try.
    async fn write_patiently(&self, batches: &Arc<Vec<WriteBatch>>, rows: usize) -> Result<Vec<WriteReport>, StoreError> {
        let began = Instant::now();
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            match self.write(Arc::clone(batches), rows).await {
                // What may have been stored is not sent again from here: the next try could not tell.
                Err(error @ StoreError::Unknown { .. }) => return Err(error),
                // Soon after an outage the next one is no surprise, and nobody waits for its end.
                Err(error) if error.is_outage() && self.past.is_quiet() && began.elapsed() + pause < RETRY_TIME_MAX => {
                    debug!(%error, "not stored; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                result => return result,
            }
        }
    }

    async fn try_again(&mut self) {
        let result = self.store.probe().await;
        let Some(outage) = &mut self.outage else { return };
        match result {
            Ok(()) => {
                outage.end(&mut self.past);
                self.metrics.store_is_out(false);
                self.outage = None;
            }
            Err(error) => outage.go_on(error, &mut self.past),
        }
    }

    async fn write(&self, group: Arc<Vec<WriteBatch>>, rows: usize) -> Result<Vec<WriteReport>, StoreError> {
        let started = Instant::now();
        self.metrics.writes();
        let result = self.store.write_group(group).await;
        self.metrics.wrote(started.elapsed(), result.is_ok(), rows);
        for report in result.iter().flatten() {
            self.metrics.counted(&report.counts);
        }
        result
    }
}

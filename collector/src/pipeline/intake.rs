//! The one way from a door to the writer: hands over, counts exactly, and says what may be tried again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::pushed::{EdgePush, PushedEdges};
use super::span_edges::{Planned, SpanEdges};
use super::{WriteError, WriterHandle};
use crate::store::log::{LEVEL_QUICK, LogBlockBuilder, LogRecord};
use crate::store::{BlockWrite, Counts, Delivery, EncodedBlock, Span, Store, WriteBatch, WriteReport};

/// How often counts without a batch are written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for them when somebody asks what came in.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

const SPANS: &str = "spans";
const LOGS: &str = "logs";

/// The spans of one request, judged and counted by the door that they came through.
pub struct SpanRequest {
    pub door: &'static str,
    pub spans: Vec<Span>,
    pub counts: Counts,
    pub delivery: Delivery,
}

/// The log records of one request.
pub struct LogRequest {
    pub door: &'static str,
    pub records: Vec<LogRecord>,
    pub counts: Counts,
    pub delivery: Delivery,
}

/// Cheap to clone; all clones share the counts that wait.
#[derive(Clone)]
pub struct Intake {
    writer: WriterHandle,
    /// Refusals that are not written yet; they go with the next batch.
    unwritten: Arc<Mutex<Counts>>,
    /// `None`: spans make no edges.
    edges: Option<Arc<SpanEdges>>,
    /// `None`: pushed counters make no edges.
    pushed: Option<Arc<PushedEdges>>,
}

impl Intake {
    #[must_use]
    pub fn new(writer: WriterHandle) -> Self {
        Self { writer, unwritten: Arc::default(), edges: None, pushed: None }
    }

    /// With edges of the graph from spans, as far as the store's dictionary has room.
    #[must_use]
    pub fn with_edges(self, store: Arc<dyn Store>) -> Self {
        Self { edges: Some(Arc::new(SpanEdges::new(Box::new(move || store.edge_count())))), ..self }
    }

    /// With edges of the graph from counters that somebody else scraped.
    #[must_use]
    pub fn with_pushed_edges(self, pushed: PushedEdges) -> Self {
        Self { pushed: Some(Arc::new(pushed)), ..self }
    }

    /// What the edges of one request are read by.
    #[must_use]
    pub fn edge_push(&self) -> Option<EdgePush> {
        self.pushed.as_ref().map(PushedEdges::begin)
    }

    /// Adds to `GET /api/ingest`, soon.
    pub fn note(&self, counts: &Counts) {
        self.unwritten.lock().merge(counts);
    }

    /// Stores the spans of one request, once however often it is sent. `counts` has what the request received and
    /// refused; it is written in the same transaction as the spans, or, when they are refused as a whole, with that.
    ///
    /// # Errors
    /// When nothing was stored, as far as is known; the sender may try again.
    pub async fn spans(&self, request: SpanRequest) -> Result<WriteReport, WriteError> {
        let this = self.clone();
        to_the_end(async move { this.store_spans(request).await }).await
    }

    async fn store_spans(&self, request: SpanRequest) -> Result<WriteReport, WriteError> {
        let SpanRequest { door, spans, mut counts, delivery } = request;
        let items = spans.len() as u64;
        let delivery = Some(delivery).filter(|_| items > 0);
        let mut planned = self.edges.as_ref().map(|edges| edges.plan(&spans)).unwrap_or_default();
        let spans = if items == 0 { Vec::new() } else { vec![(door, spans)] };
        let (added, links) = (std::mem::take(&mut planned.added), std::mem::take(&mut planned.links));
        for (reason, lost) in [("edge_limit", planned.without_edge), ("link_limit", planned.without_link)] {
            counts.add(door, "edges", "received", lost);
            counts.refuse(door, "edges", reason, lost);
        }
        let batch = WriteBatch { spans, counts, added, links, delivery, ..WriteBatch::default() };
        let result = self.deliver(door, SPANS, items, batch).await;
        if !result.as_ref().is_ok_and(|report| !report.is_repeated) {
            self.undo(planned);
        }
        result
    }

    fn undo(&self, planned: Planned) {
        if let Some(edges) = &self.edges {
            edges.undo(planned);
        }
    }

    /// Counts exchanges of which one half has not come; `everything` at the end.
    async fn expire_edges(&self, everything: bool) {
        let Some(edges) = &self.edges else { return };
        let mut planned = edges.expire(everything);
        let (added, links) = (std::mem::take(&mut planned.added), std::mem::take(&mut planned.links));
        if added.is_empty() && links.is_empty() {
            return;
        }
        let written = self.writer.deliver(WriteBatch { added, links, ..WriteBatch::default() }).await;
        if written.is_err() {
            edges.undo(planned);
        }
    }

    /// Stores the log records of one request, once however often it is sent; counted as spans are.
    ///
    /// # Errors
    /// As [`Self::spans`].
    pub async fn logs(&self, request: LogRequest) -> Result<WriteReport, WriteError> {
        let this = self.clone();
        to_the_end(async move { this.store_logs(request).await }).await
    }

    async fn store_logs(&self, request: LogRequest) -> Result<WriteReport, WriteError> {
        let LogRequest { door, records, mut counts, delivery } = request;
        let items = records.len() as u64;
        if items == 0 {
            return self.deliver(door, LOGS, 0, WriteBatch { counts, ..WriteBatch::default() }).await;
        }
        let made = tokio::task::spawn_blocking(move || log_blocks(&records)).await.map_err(std::io::Error::other);
        let blocks = match made.and_then(|made| made) {
            Ok(blocks) => blocks,
            Err(error) => {
                counts.refuse(door, LOGS, "uncompressed", items);
                self.note(&counts);
                return Err(WriteError::Encode(error));
            }
        };
        let blocks = blocks.into_iter().map(|block| BlockWrite { door, signal: LOGS, block }).collect();
        let batch = WriteBatch { blocks, counts, delivery: Some(delivery), ..WriteBatch::default() };
        self.deliver(door, LOGS, items, batch).await
    }

    /// Hands a batch over, within [`to_the_end`]. When it is refused as a whole, its counts are kept, and its items
    /// counted as refused.
    pub(super) async fn deliver(
        &self,
        door: &'static str,
        signal: &'static str,
        items: u64,
        mut batch: WriteBatch,
    ) -> Result<WriteReport, WriteError> {
        let waiting = std::mem::take(&mut *self.unwritten.lock());
        let counts = batch.counts.clone();
        batch.counts.merge(&waiting);
        let result = self.writer.deliver(batch).await;
        if let Err(error) = &result {
            let mut unwritten = self.unwritten.lock();
            unwritten.merge(&waiting);
            unwritten.merge(&counts);
            unwritten.refuse(door, signal, reason(error), items);
        }
        result
    }

    /// Writes the counts that wait, unless the writer is behind.
    pub async fn flush(&self) {
        let waiting = std::mem::take(&mut *self.unwritten.lock());
        if waiting.0.is_empty() {
            return;
        }
        let this = self.clone();
        // Nobody waits long, but what is refused after that waits for the next time all the same.
        let writing = tokio::spawn(async move {
            if this.writer.counts(waiting.clone()).await.is_err() {
                this.note(&waiting);
            }
        });
        let _ = tokio::time::timeout(FLUSH_WAIT, writing).await;
    }

    /// Writes counts now and then, and what is left at the end.
    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(FLUSH_INTERVAL)).await.is_some() {
            self.flush().await;
            self.expire_edges(false).await;
        }
        self.expire_edges(true).await;
        self.flush().await;
    }
}

/// In a task of its own: a client that hangs up before the answer must not take the counts with it, nor what is undone
/// when nothing was stored.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, WriteError>> + Send + 'static,
) -> Result<T, WriteError> {
    tokio::spawn(work).await.unwrap_or(Err(WriteError::Closed))
}

/// Blocks of the records of one request.
fn log_blocks(records: &[LogRecord]) -> std::io::Result<Vec<EncodedBlock>> {
    let mut blocks = Vec::new();
    let mut builder = LogBlockBuilder::new();
    for record in records {
        builder.push(record);
        if builder.is_full() {
            blocks.extend(builder.finish(LEVEL_QUICK)?);
            builder = LogBlockBuilder::new();
        }
    }
    if !builder.is_empty() {
        blocks.extend(builder.finish(LEVEL_QUICK)?);
    }
    Ok(blocks.into_iter().map(Into::into).collect())
}

/// The word of `GET /api/ingest`.
pub(super) fn reason(error: &WriteError) -> &'static str {
    match error {
        WriteError::Busy => "busy",
        WriteError::Closed | WriteError::Store(_) => "unavailable",
        WriteError::Encode(_) => "uncompressed",
    }
}

#[cfg(test)]
mod tests;

//! The one way from a door to the writer: hands over, counts exactly, and says what may be tried again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{WriteError, WriterHandle};
use crate::store::{Counts, Span, WriteReport};

/// How often counts without a batch are written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for them when somebody asks what came in.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// Cheap to clone; all clones share the counts that wait.
#[derive(Clone)]
pub struct Intake {
    writer: WriterHandle,
    /// Refusals that are not written yet; they go with the next batch.
    unwritten: Arc<Mutex<Counts>>,
}

impl Intake {
    #[must_use]
    pub fn new(writer: WriterHandle) -> Self {
        Self { writer, unwritten: Arc::default() }
    }

    /// Adds to `GET /api/ingest`, soon.
    pub fn note(&self, counts: &Counts) {
        self.unwritten.lock().merge(counts);
    }

    /// Stores the spans of one request. `counts` has what the request received and refused; it is written in the same
    /// transaction as the spans, or, when they are refused as a whole, with that refusal.
    ///
    /// # Errors
    /// When nothing was stored; the sender may try again.
    pub async fn spans(&self, door: &'static str, spans: Vec<Span>, counts: Counts) -> Result<WriteReport, WriteError> {
        let items = spans.len() as u64;
        let waiting = std::mem::take(&mut *self.unwritten.lock());
        let mut all = counts.clone();
        all.merge(&waiting);
        let result = self.writer.spans(door, spans, all).await;
        if let Err(error) = &result {
            let mut unwritten = self.unwritten.lock();
            unwritten.merge(&waiting);
            unwritten.merge(&counts);
            unwritten.refuse(door, "spans", reason(error), items);
        }
        result
    }

    /// Writes the counts that wait, unless the writer is behind.
    pub async fn flush(&self) {
        let waiting = std::mem::take(&mut *self.unwritten.lock());
        if waiting.0.is_empty() {
            return;
        }
        let written = tokio::time::timeout(FLUSH_WAIT, self.writer.counts(waiting.clone())).await;
        // After a time-out they are in the writer's queue.
        if let Ok(Err(_)) = written {
            self.note(&waiting);
        }
    }

    /// Writes counts now and then, and what is left at the end.
    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(FLUSH_INTERVAL)).await.is_some() {
            self.flush().await;
        }
        self.flush().await;
    }
}

/// The word of `GET /api/ingest`.
fn reason(error: &WriteError) -> &'static str {
    match error {
        WriteError::Busy => "busy",
        WriteError::Closed | WriteError::Store(_) => "unavailable",
    }
}

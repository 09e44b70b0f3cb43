//! What becomes of requests whose clients hang up, and of those for which the writer has no room.

use futures_util::FutureExt;

use super::*;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::Writer;
use crate::pipeline::writer::QUEUE_BYTES_MAX;
use crate::store::{AttributeValue, SpanKind, SqliteStore};

const DOOR: &str = "test";

struct Place {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    intake: Intake,
    writer: Writer,
}

impl Place {
    /// With a writer that does not run yet.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("x.db")).await.unwrap());
        let (writer, handle) = Writer::new(Arc::clone(&store), OwnMetrics::new());
        let intake = Intake::new(handle).with_edges(Arc::clone(&store));
        Self { _folder: folder, store, intake, writer }
    }
}

fn received(signal: &'static str) -> Counts {
    let mut counts = Counts::default();
    counts.add(DOOR, signal, "received", 1);
    counts
}

fn request(id: u8, text: &Arc<str>) -> SpanRequest {
    let span = Span {
        trace_id: [id; 16],
        id: [id; 8],
        kind: SpanKind::Client,
        start_ns: crate::clock::now_ms() * 1_000_000,
        attributes: vec![("text".into(), AttributeValue::Text(Arc::clone(text)))],
        ..Span::default()
    };
    SpanRequest { door: DOOR, spans: vec![span], counts: received(SPANS), delivery: Delivery::new(DOOR, &[id]) }
}

/// Fails after a while, which is long enough for a busy machine.
async fn until(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}

#[tokio::test]
async fn spans_whose_client_hung_up_and_that_were_not_stored_make_no_edge() {
    let Place { intake, writer, .. } = Place::new().await;
    assert!(intake.spans(request(1, &"".into())).now_or_never().is_none(), "it waits for the writer");
    let edges = Arc::clone(intake.edges.as_ref().unwrap());
    drop(writer);
    until(async || intake.unwritten.lock().total(DOOR, SPANS, "refused:unavailable") == 1).await;
    assert_eq!(intake.unwritten.lock().total(DOOR, SPANS, "received"), 1);
    // Counting and undoing are one step without a pause, on this one thread.
    assert_eq!(edges.expire(true).added.len(), 0);
}

#[tokio::test]
async fn log_records_whose_client_hung_up_are_counted() {
    let Place { _folder, store, intake, writer } = Place::new().await;
    let records = vec![LogRecord { time_ns: crate::clock::now_ms() * 1_000_000, ..LogRecord::default() }];
    let request = LogRequest { door: DOOR, records, counts: received(LOGS), delivery: Delivery::new(DOOR, b"logs") };
    assert!(intake.logs(request).now_or_never().is_none(), "the block is made elsewhere");
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    let counted = |outcome: &str| (DOOR.to_owned(), LOGS.to_owned(), outcome.to_owned(), 1);
    let expected = [counted("received"), counted("stored")];
    until(async || {
        let counts = store.ingest_counts().await.unwrap();
        expected.iter().all(|count| counts.contains(count))
    })
    .await;
    stop.cancel();
    writing.await.unwrap();
}

#[tokio::test]
async fn a_writer_that_is_behind_takes_so_many_bytes_and_the_rest_is_busy_and_counted() {
    let Place { _folder, store, intake, writer } = Place::new().await;
    // One text in memory, which counts for every span that has it.
    let text: Arc<str> = "x".repeat(QUEUE_BYTES_MAX / 8).into();
    let mut waiting = Vec::new();
    for id in 1..=7 {
        let (intake, request) = (intake.clone(), request(id, &text));
        waiting.push(tokio::spawn(async move { intake.spans(request).await }));
    }
    until(async || intake.writer.queued() == 7).await;
    assert!(matches!(intake.spans(request(8, &text)).await, Err(WriteError::Busy)), "the eighth is one too many");
    let small = tokio::spawn({
        let (intake, request) = (intake.clone(), request(9, &"".into()));
        async move { intake.spans(request).await }
    });
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    for task in waiting.into_iter().chain([small]) {
        assert_eq!(task.await.unwrap().unwrap().spans_stored, 1);
    }
    assert_eq!(intake.spans(request(8, &text)).await.unwrap().spans_stored, 1, "tried again");
    stop.cancel();
    writing.await.unwrap();
    let counts = store.ingest_counts().await.unwrap();
    for (outcome, total) in [("received", 10), ("stored", 9), ("refused:busy", 1)] {
        assert!(counts.contains(&(DOOR.to_owned(), SPANS.to_owned(), outcome.to_owned(), total)), "{counts:?}");
    }
}

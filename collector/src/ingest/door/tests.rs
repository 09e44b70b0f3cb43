//! A door's limits, and counts that add up whatever a client does.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::Writer;
use crate::store::{SqliteStore, Store};

struct Place {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    door: Door,
    stop: CancellationToken,
}

impl Place {
    async fn with(limits: DoorLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("x.db")).await.unwrap());
        let metrics = OwnMetrics::new();
        let (writer, handle) = Writer::new(Arc::clone(&store), Arc::clone(&metrics));
        let stop = CancellationToken::new();
        tokio::spawn(writer.run(stop.clone()));
        let door = Door::new("otlp-http", limits, Intake::new(handle), metrics.doors());
        Self { _folder: folder, store, door, stop }
    }

    async fn counts(&self) -> Vec<(String, u64)> {
        self.door.intake().flush().await;
        let mut counts: Vec<_> =
            self.store.ingest_counts().await.unwrap().into_iter().map(|(_, _, outcome, total)| (outcome, total)).collect();
        counts.sort();
        counts
    }
}

fn body(bytes: &[u8]) -> axum::body::Body {
    axum::body::Body::from(Bytes::copy_from_slice(bytes))
}

#[tokio::test]
async fn a_full_door_is_busy_and_an_abandoned_request_counts() {
    let place = Place::with(DoorLimits { in_flight: 1, ..DoorLimits::default() }).await;
    let first = place.door.attempt("spans").unwrap();
    let refusal = place.door.attempt("spans").err().unwrap();
    assert_eq!((refusal.reason, refusal.retry_after_s()), ("busy", Some(1)));
    drop(first);
    let mut second = place.door.attempt("spans").unwrap();
    second.settle();
    drop(second);
    let counts = place.counts().await;
    let expected = [("received", 2), ("refused:broken_off", 1), ("refused:busy", 1)];
    assert_eq!(counts, expected.map(|(outcome, total)| (outcome.to_owned(), total)));
    place.stop.cancel();
}

#[tokio::test]
async fn bodies_share_a_budget() {
    let limits = DoorLimits { body_bytes: 600, decoded_bytes: 1000, bytes_in_flight: 1000, ..DoorLimits::default() };
    let place = Place::with(limits).await;
    let mut first = place.door.attempt("spans").unwrap();
    assert_eq!(first.read(Encoding::Identity, body(&[7; 600])).await.unwrap().bytes, [7_u8; 600].as_slice());
    let mut second = place.door.attempt("spans").unwrap();
    assert_eq!(second.read(Encoding::Identity, body(&[7; 601])).await.unwrap_err().reason, "body_too_large");
    let mut third = place.door.attempt("spans").unwrap();
    assert_eq!(third.read(Encoding::Identity, body(&[7; 401])).await.unwrap_err().reason, "busy");
    // What a body unpacks to counts, not what it was.
    let packed = zstd::encode_all([0; 500].as_slice(), 1).unwrap();
    let mut fourth = place.door.attempt("spans").unwrap();
    assert_eq!(fourth.read(Encoding::Zstd, body(&packed)).await.unwrap_err().reason, "busy");
    drop(first);
    let read = fourth.read(Encoding::Zstd, body(&packed)).await.unwrap();
    assert_eq!((read.bytes.len(), read.sent), (500, packed.len()));
    for attempt in [&mut second, &mut third, &mut fourth] {
        attempt.settle();
    }
}

#[tokio::test]
async fn what_is_computed_for_a_client_that_hung_up_keeps_its_place_until_it_ends() {
    let place = Place::with(DoorLimits { in_flight: 1, bytes_in_flight: 1000, ..DoorLimits::default() }).await;
    let mut attempt = place.door.attempt("spans").unwrap();
    attempt.read(Encoding::Identity, body(&[7; 600])).await.unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let computing = async move { attempt.elsewhere(move || ended.recv()).await.map(drop) };
    assert!(computing.now_or_never().is_none(), "it waits, and then the client hangs up");
    assert_eq!((place.door.places(), place.door.inner.budget.left()), (0, 400));
    assert_eq!(place.door.attempt("spans").err().unwrap().reason, "busy");
    drop(end);
    let ending = async {
        while place.door.places() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ending).await.unwrap();
    assert_eq!(place.door.inner.budget.left(), 1000);
}

#[tokio::test]
async fn items_have_a_limit_and_a_rate() {
    let place = Place::with(DoorLimits { items: 10, rate: NonZeroU32::new(15), ..DoorLimits::default() }).await;
    let admit = |items| place.door.attempt("spans").unwrap().admit(items).map(|mut attempt| attempt.settle());
    assert_eq!(admit(11).unwrap_err().http_status().as_u16(), 413);
    assert_eq!((admit(10), admit(10)), (Ok(()), Ok(())));
    let refusal = admit(1).unwrap_err();
    assert_eq!((refusal.reason, refusal.http_status().as_u16()), ("rate_limited", 429));
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let place = Place::with(DoorLimits::default()).await;
    let pieces = ["spa", "", "ns and ", "spans"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    let mut attempt = place.door.attempt("spans").unwrap();
    let body = axum::body::Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(attempt.read(Encoding::Identity, body).await.unwrap().bytes, "spans and spans");
    attempt.settle();
}

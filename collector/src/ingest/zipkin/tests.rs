//! The door when its writer is behind.

use axum::body::Body;
use axum::http::Request;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::clock::now_ms;
use crate::ingest::door::DoorLimits;
use crate::own_metrics::OwnMetrics;
use crate::pipeline::{Intake, Writer};
use crate::store::SqliteStore;

fn post(number: usize) -> Request<Body> {
    let at_us = now_ms() * 1000;
    let span = format!(r#"[{{"traceId":"{number:x}","id":"1","timestamp":{at_us}}}]"#);
    Request::post("/api/v2/spans").body(Body::from(span)).unwrap()
}

#[tokio::test]
async fn a_door_whose_writer_is_behind_says_so_and_takes_what_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("x.db")).await.unwrap());
    let (writer, handle) = Writer::new(Arc::clone(&store), OwnMetrics::new());
    let limits = DoorLimits::zipkin();
    let places = limits.in_flight;
    let door = Door::new("zipkin", limits, Intake::new(handle), OwnMetrics::new().doors());
    let door = ZipkinDoor::new(Arc::clone(&store), door, DoorSecurity::default(), Duration::from_secs(3600));
    let waiting: Vec<_> = (1..=places).map(|number| tokio::spawn(door.writes().oneshot(post(number)))).collect();
    while door.door.places() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = door.writes().oneshot(post(1)).await.unwrap();
    assert_eq!((refused.status(), refused.headers()["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..]));

    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::ACCEPTED);
    }
    // The refusal is counted with the next batch.
    assert_eq!(door.writes().oneshot(post(1000)).await.unwrap().status(), StatusCode::ACCEPTED);
    stop.cancel();
    writing.await.unwrap();
    let count = |outcome: &str, total: u64| ("zipkin".to_owned(), "spans".to_owned(), outcome.to_owned(), total);
    let counts = store.ingest_counts().await.unwrap();
    let taken = places as u64 + 1;
    assert!(counts.contains(&count("received", taken + 1)), "{counts:?}");
    assert!(counts.contains(&count("stored", taken)), "{counts:?}");
    assert!(counts.contains(&count("refused:busy", 1)), "{counts:?}");

    // After the stop nothing is taken any more.
    let late = door.writes().oneshot(post(1001)).await.unwrap();
    assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
}

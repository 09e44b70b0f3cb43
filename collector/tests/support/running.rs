//! A whole collector on free ports.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sidelight_collector::settings::Database;
use sidelight_collector::store::Window;
use sidelight_collector::{Collector, Settings};

use super::place::Place;

/// Settings of a test: ports of its own, quick scrapes.
pub fn settings(place: &Place) -> Settings {
    let database = match place {
        Place::Sqlite(folder) => Database::Sqlite(folder.path().join("sidelight.db")),
        Place::Postgres(url) => Database::Postgres(url.clone()),
    };
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Settings {
        listen: free,
        zipkin: free,
        xds: free,
        otlp_grpc: Some(free),
        otlp_http: Some(free),
        scrape_interval: Duration::from_millis(100),
        ..Settings::new(database)
    }
}

/// Requests to a workload that the store holds, of all time.
pub async fn stored(collector: &Collector, workload: &str) -> u64 {
    let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
    let answer = collector.store().edges(always, None).await.unwrap();
    let mine = answer.edges.iter().filter(|edge| &*edge.labels.destination_workload == workload);
    mine.map(|edge| {
        assert_eq!(edge.totals.requests, edge.totals.duration.count(), "durations of all requests");
        edge.totals.requests
    })
    .sum()
}

/// Waits until the store holds as many requests to a workload, and never more.
pub async fn until_stored(collector: &Collector, workload: &str, requests: u64) {
    eventually(&format!("{requests} requests to {workload}"), || async {
        let stored = stored(collector, workload).await;
        assert!(stored <= requests, "{stored} of {requests} requests to {workload}");
        stored == requests
    })
    .await;
}

/// Waits until a condition holds, and fails after a while with its name.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}

pub async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    send(address, "GET", path, HeaderMap::new(), Vec::new()).await
}

/// What came in through one door with one signal, as `GET /api/ingest` tells it; nothing when nothing did.
pub async fn counts(collector: &Collector, door: &str, signal: &str) -> Option<sidelight_api::ingest::Door> {
    let (status, body) = get(collector.addresses().dashboard, "/api/ingest").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let report: sidelight_api::ingest::IngestReport = serde_json::from_str(&body).unwrap();
    report.doors.into_iter().find(|known| known.door == door && known.signal == signal)
}

/// `(received, stored, refused by reason)`, and that nothing was lost in between.
pub async fn accounted(collector: &Collector, door: &str, signal: &str) -> (u64, u64, Vec<(String, u64)>) {
    let counts = counts(collector, door, signal).await.expect("something came in");
    let refused: u64 = counts.refused.values().sum();
    assert_eq!(counts.received, counts.stored + refused, "{counts:?}");
    (counts.received, counts.stored, counts.refused.into_iter().collect())
}

pub async fn send(address: SocketAddr, method: &str, path: &str, headers: HeaderMap, body: Vec<u8>) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    request.headers_mut().unwrap().extend(headers);
    let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

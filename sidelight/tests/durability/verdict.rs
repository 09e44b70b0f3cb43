//! Compares what the clients know with what the store has.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use sidelight_collector::store::{PgStore, SqliteStore, Store, Window};
use sqlx::Connection as _;

use crate::client::{Batch, get, get_json};
use crate::collector::Place;
use crate::proxy::Proxy;

/// Every acknowledged span once, every other batch whole or not at all; returns the number of spans that are there.
pub async fn check_spans(address: Ipv4Addr, batches: &[Batch]) -> u64 {
    let mut found = 0;
    for batch in batches {
        let path = format!("/api/v2/trace/{}", batch.trace_id());
        let (status, body) = get(address, &path).await.unwrap_or_else(|| panic!("no answer to {path}"));
        let spans: Vec<Value> = match status {
            StatusCode::NOT_FOUND => Vec::new(),
            _ => serde_json::from_slice(&body).unwrap(),
        };
        let ids: BTreeSet<String> = spans.iter().map(|span| span["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), spans.len(), "{batch:?} has a span twice");
        if batch.acknowledged || !spans.is_empty() {
            let expected: BTreeSet<String> = (0..batch.spans).map(|index| batch.span_id(index)).collect();
            assert_eq!(ids, expected, "{batch:?}");
        }
        found += spans.len() as u64;
    }
    found
}

/// Per door what came in is what was stored and what was refused; of spans, as many were stored as there are.
pub async fn check_counts(address: Ipv4Addr, spans: u64) {
    let report = get_json(address, "/api/ingest").await;
    let doors = report["doors"].as_array().unwrap();
    for door in doors {
        let refused: u64 = door["refused"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(door["received"].as_u64().unwrap(), door["stored"].as_u64().unwrap() + refused, "{door}");
    }
    let of_spans = doors.iter().filter(|door| door["signal"] == "spans");
    let stored: u64 = of_spans.map(|door| door["stored"].as_u64().unwrap()).sum();
    assert_eq!(stored, spans, "spans counted as stored, and spans that are there: {report}");
}

/// Waits until the rollups have what the proxies have counted, and never more.
pub async fn until_counted(place: &Place, proxies: &[Proxy]) {
    let store: Arc<dyn Store> = match place.database.strip_prefix("sqlite:") {
        Some(path) => Arc::new(SqliteStore::open(Path::new(path)).await.unwrap()),
        None => Arc::new(PgStore::connect(&place.database).await.unwrap()),
    };
    for proxy in proxies {
        let mut stored = 0;
        for _ in 0..1200 {
            let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
            let edges = store.edges(always, None).await.unwrap().edges;
            let mine = edges.iter().filter(|edge| *edge.labels.destination_workload == proxy.workload);
            stored = mine.map(|edge| edge.totals.requests).sum();
            assert!(stored <= proxy.counted(), "{stored} of {} requests to {}", proxy.counted(), proxy.workload);
            if stored == proxy.counted() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(stored, proxy.counted(), "requests to {}", proxy.workload);
    }
    store.close().await;
}

/// SQLite's own check of the whole file.
pub async fn check_file(path: &Path) {
    let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await.unwrap();
    assert_eq!(said, ["ok"]);
    connection.close().await.unwrap();
}

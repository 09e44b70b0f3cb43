//! Databases that earlier versions left behind: they are brought up, and answer as before.
//!
//! `databases/` has what each released schema looked like with real rows in it, and what the program of that time answered.
//! Whoever releases a schema adds both.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sidelight_collector::settings::Database;
use sidelight_collector::store::admin::Admin;
use sidelight_collector::store::{PgStore, Retention, SqliteStore, Store as _, StoreError, Window};
use sidelight_collector::{Collector, Settings};
use sqlx::Connection as _;
use support::place::Place;
use support::running::{get, settings};

on_both!(what_0002_left_is_answered_as_before, a_migration_that_fails_changes_nothing, counters_of_0002_go_on,);

const SQLITE: (&str, &str) = (include_str!("databases/sqlite_0002.sql"), include_str!("databases/sqlite_0002.answers.json"));
const POSTGRES: (&str, &str) =
    (include_str!("databases/postgres_0002.sql"), include_str!("databases/postgres_0002.answers.json"));
const TARGET: &str = "http://127.77.200.1:9199/stats/prometheus";

fn file(place: &Place) -> Option<std::path::PathBuf> {
    match place {
        Place::Sqlite(folder) => Some(folder.path().join("sidelight.db")),
        Place::Postgres(_) => None,
    }
}

/// Runs statements without the store.
async fn execute(place: &Place, sql: &'static str) {
    match place {
        Place::Sqlite(folder) => {
            let url = format!("sqlite:{}?mode=rwc", folder.path().join("sidelight.db").display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Place::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// Makes the old database, and returns what it answered.
async fn old(place: &Place) -> BTreeMap<String, Value> {
    let (sql, answers) = if file(place).is_some() { SQLITE } else { POSTGRES };
    execute(place, sql).await;
    serde_json::from_str(answers).unwrap()
}

/// Kept for as long as anybody may run this test.
fn for_ever() -> Retention {
    let ever = Duration::from_secs(100 * 365 * 24 * 3600);
    let mut retention = Retention::default();
    (retention.fine, retention.minutes, retention.hours, retention.spans) = (ever, ever, ever, ever);
    retention
}

async fn what_0002_left_is_answered_as_before(place: &Place) {
    let answers = old(place).await;
    // A second start finds everything done.
    for _ in 0..2 {
        let settings = Settings { retention: for_ever(), ..settings(place) };
        let collector = Collector::start(settings).await.unwrap();
        for (path, before) in &answers {
            let (status, body) = get(collector.addresses().dashboard, path).await;
            assert_eq!(status, 200, "{path}: {body}");
            let now: Value = serde_json::from_str(&body).unwrap();
            if path == "/api/ingest" {
                let doors = before["doors"].as_array().unwrap();
                assert!(doors.iter().all(|door| now["doors"].as_array().unwrap().contains(door)), "{now}");
            } else {
                assert_eq!(now, *before, "{path}");
            }
        }
        let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
        let mut edges = collector.store().edges(always, None).await.unwrap().edges;
        edges.sort_by(|a, b| a.labels.cmp(&b.labels));
        let told: Vec<_> = edges
            .iter()
            .map(|edge| (&*edge.labels.destination_workload, &*edge.labels.response_code, edge.totals.clone()))
            .map(|(workload, code, totals)| (workload, code, totals.requests, totals.duration.counts, totals.duration.sum))
            .collect();
        assert_eq!(told, [("ratings-v1", "503", 3, vec![2, 1, 0], 6.0), ("reviews-v1", "200", 12, vec![2, 10, 0], 24.0)]);
        assert_eq!(&*edges[0].totals.duration.bounds, [1.0, 5.0]);
        collector.shutdown().await;
    }
    let database = match place {
        Place::Sqlite(folder) => Database::Sqlite(folder.path().join("sidelight.db")),
        Place::Postgres(url) => Database::Postgres(url.clone()),
    };
    let admin = Admin::look(&database).await.unwrap();
    assert_eq!(admin.check().await.unwrap().findings, []);
    admin.close().await;
}

async fn counters_of_0002_go_on(place: &Place) {
    old(place).await;
    let store = place.open().await;
    let target = store.target(TARGET).await.unwrap().unwrap();
    assert_eq!((target.version, target.started_at_s), (9, None));
    let mut counters: Vec<_> = target
        .counters
        .iter()
        .map(|(edge, totals)| (edge.labels.destination_workload.to_string(), totals.requests, totals.duration.counts.clone()))
        .collect();
    counters.sort();
    assert_eq!(counters, [("ratings-v1".to_owned(), 3, vec![2, 1, 0]), ("reviews-v1".to_owned(), 12, vec![2, 10, 0])]);
    // Edges keep their names: the same labels are not a second edge.
    let known = store.edge_count();
    let scrape = sidelight_collector::store::ScrapeBatch {
        target: TARGET.into(),
        version: 9,
        scraped_at_ms: target.scraped_at_ms + 15_000,
        counters: target.counters.clone(),
        ..Default::default()
    };
    let report = store.write(&sidelight_collector::store::WriteBatch { scrapes: vec![scrape], ..Default::default() }).await;
    assert_eq!((report.unwrap().scrapes, store.edge_count(), known), (vec![Some(10)], 2, 2));
    store.close().await;
}

async fn open(place: &Place) -> Result<(), StoreError> {
    match place {
        Place::Sqlite(folder) => SqliteStore::open(Path::new(&folder.path().join("sidelight.db"))).await?.close().await,
        Place::Postgres(url) => PgStore::connect(url).await?.close().await,
    }
    Ok(())
}

/// The last statement of 0006 finds its column there already.
async fn a_migration_that_fails_changes_nothing(place: &Place) {
    old(place).await;
    execute(place, "ALTER TABLE store_info ADD COLUMN believed_ms BIGINT NOT NULL DEFAULT 0").await;
    for _ in 0..2 {
        assert!(matches!(open(place).await, Err(StoreError::Migrate { .. })));
    }
    // What its first statements did is gone: they can be done by hand.
    execute(place, "ALTER TABLE store_info ADD COLUMN edge_generation BIGINT; ALTER TABLE edge ADD COLUMN retired BIGINT").await;
    let undo = "ALTER TABLE store_info DROP COLUMN edge_generation; ALTER TABLE edge DROP COLUMN retired; \
                ALTER TABLE store_info DROP COLUMN believed_ms";
    execute(place, undo).await;
    open(place).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.target(TARGET).await.unwrap().unwrap().counters.len(), 2);
    store.close().await;
}

//! A database of the first version, which wrote a row per span: opened by this one, it has the same spans in blocks.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;

use sidelight_collector::store::{
    AttributeValue, Endpoint, Family, Order, Resource, Span, SpanEvent, SpanKind, SqliteStore, Store, TraceQuery,
};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use support::place::Place;

const T: i64 = 1_795_413_600;
/// More than one transaction of the conversion takes.
const SPANS: i64 = 7_003;

on_both!(rows_become_blocks, a_conversion_that_was_cut_off_goes_on);

/// The migrations of the first version.
async fn first_version(backend: &str) -> Migrator {
    let folder = tempfile::tempdir().unwrap();
    for name in ["0001_telemetry.sql", "0002_configuration.sql"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(backend).join(name);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    Migrator::new(folder.path()).await.unwrap()
}

/// As the first version made the slice of `T` and of the hour behind it, and filled them.
fn statements(blob: fn(&[u8]) -> String, is_sqlite: bool) -> Vec<String> {
    let mut all = Vec::new();
    for slice in [T, T + 3600] {
        let table = format!("span_{slice}");
        if is_sqlite {
            all.push(format!(
                "CREATE TABLE {table} (trace_id BLOB NOT NULL, span_id BLOB NOT NULL, kind INTEGER NOT NULL, \
                 service_id INTEGER NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL, \
                 operation_id INTEGER NOT NULL, is_error INTEGER NOT NULL, body BLOB NOT NULL, \
                 UNIQUE (trace_id, span_id, kind, service_id, start_us))"
            ));
            all.push(format!("CREATE INDEX {table}_by_service ON {table} (service_id, start_us)"));
        } else {
            let (from, to) = (slice * 1_000_000, (slice + 3600) * 1_000_000);
            all.push(format!("CREATE TABLE {table} (LIKE span INCLUDING ALL)"));
            all.push(format!("ALTER TABLE span ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to})"));
        }
        all.push(format!("INSERT INTO slice (family, from_s, to_s) VALUES ('span', {slice}, {})", slice + 3600));
    }
    let overriding = if is_sqlite { "" } else { "OVERRIDING SYSTEM VALUE" };
    all.push(format!("INSERT INTO service (service_id, name, kept_until_s) {overriding} VALUES (1, 'cart', {})", T + 7200));
    all.push(format!(
        "INSERT INTO operation (operation_id, service_id, name, kept_until_s) {overriding} VALUES (1, 1, 'GET /', {})",
        T + 7200
    ));
    let values: Vec<String> = (0..SPANS)
        .map(|number| {
            let ids = number.to_be_bytes();
            let body = br#"{"p":[1,2,3,4,5,6,7,8],"d":true,"n":"GET /","l":{"s":"cart","a":"192.0.2.2"},"r":{"s":"shop","p":80},"a":[[1795413600000007,"cr"]],"t":[["error","503"]]}"#;
            let trace = blob(&[ids, ids].concat());
            format!("({trace}, {}, 10, 1, {}, 250, 1, 1, {})", blob(&ids), T * 1_000_000 + number, blob(body))
        })
        .collect();
    let columns = "(trace_id, span_id, kind, service_id, start_us, duration_us, operation_id, is_error, body)";
    for values in values.chunks(500) {
        all.push(format!("INSERT INTO span_{T} {columns} VALUES {}", values.join(", ")));
    }
    // A body that cannot be read.
    all.push(format!(
        "INSERT INTO span_{} {columns} VALUES ({}, {}, 3, 1, {}, 1, 1, 0, {})",
        T + 3600,
        blob(&[7; 16]),
        blob(&[7; 8]),
        (T + 3600) * 1_000_000,
        blob(b"{")
    ));
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn sqlite(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
}

/// Makes the old database.
async fn make(place: &Place) {
    match place {
        Place::Sqlite(folder) => {
            let pool = sqlite(&folder.path().join("sidelight.db")).await;
            first_version("sqlite").await.run(&pool).await.unwrap();
            for sql in statements(|bytes| format!("x'{}'", hex(bytes)), true) {
                sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
            }
            pool.close().await;
        }
        Place::Postgres(url) => {
            let pool = PgPool::connect(url).await.unwrap();
            first_version("postgres").await.run(&pool).await.unwrap();
            for sql in statements(|bytes| format!("'\\x{}'::bytea", hex(bytes)), false) {
                sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
            }
            pool.close().await;
        }
    }
}

fn expected(number: i64) -> Span {
    let ids = number.to_be_bytes();
    Span {
        trace_id: [ids, ids].concat().try_into().unwrap(),
        id: ids,
        parent_id: Some([1, 2, 3, 4, 5, 6, 7, 8]),
        kind: SpanKind::Server,
        shared: true,
        debug: true,
        resource: Arc::new(Resource { service: "cart".into(), ..Resource::default() }),
        name: "GET /".into(),
        start_ns: (T * 1_000_000 + number) * 1000,
        duration_ns: 250_000,
        is_error: true,
        local: Endpoint { service: "cart".into(), ip: Some("192.0.2.2".parse().unwrap()), port: 0 },
        remote: Some(Endpoint { service: "shop".into(), ip: None, port: 80 }),
        attributes: vec![("error".into(), AttributeValue::text("503"))],
        events: vec![SpanEvent { at_ns: 1_795_413_600_000_007_000, name: "cr".into(), attributes: Vec::new() }],
        ..Span::default()
    }
}

async fn check(store: &dyn Store) {
    let heads = store.blocks(Family::SpanBlock, 0..i64::MAX, Order::OldestFirst, 100).await.unwrap();
    assert_eq!(heads.iter().map(|head| i64::from(head.items)).sum::<i64>(), SPANS + 1);
    for number in [0, 4_999, 5_000, SPANS - 1] {
        let span = expected(number);
        assert_eq!(store.trace(span.trace_id).await.unwrap(), [span]);
    }
    let unread = &store.trace([7; 16]).await.unwrap()[0];
    assert_eq!((unread.kind, &**unread.service(), unread.name.as_str()), (SpanKind::Client, "cart", ""));
    let query = TraceQuery { service: Some("cart".into()), to_us: i64::MAX, limit: 2, ..TraceQuery::default() };
    let found = store.find_traces(&query).await.unwrap().traces;
    assert_eq!(found, [vec![unread.clone()], vec![expected(SPANS - 1)]]);
    assert_eq!(store.span_names("cart").await.unwrap(), ["GET /"]);
}

/// Names of what is left of the old tables.
async fn old_tables(place: &Place) -> Vec<String> {
    match place {
        Place::Sqlite(folder) => {
            let pool = sqlite(&folder.path().join("sidelight.db")).await;
            let sql = "SELECT name FROM sqlite_master WHERE name LIKE 'span_1%' \
                       UNION ALL SELECT family FROM slice WHERE family = 'span'";
            sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap()
        }
        Place::Postgres(url) => {
            let pool = PgPool::connect(url).await.unwrap();
            let sql = "SELECT tablename::text FROM pg_tables WHERE tablename LIKE 'span_1%' OR tablename = 'span' \
                       UNION ALL SELECT family FROM slice WHERE family = 'span'";
            sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap()
        }
    }
}

async fn rows_become_blocks(place: &Place) {
    make(place).await;
    let store = place.open().await;
    check(&*store).await;
    assert_eq!(old_tables(place).await, Vec::<String>::new());
    // Once.
    check(&*place.open().await).await;
}

async fn a_conversion_that_was_cut_off_goes_on(place: &Place) {
    make(place).await;
    // Two open it at once; the one is dropped as soon as the other has begun.
    let (first, second) = match place {
        Place::Sqlite(folder) => {
            let path = folder.path().join("sidelight.db");
            let cut_off = tokio::time::timeout(std::time::Duration::from_millis(40), SqliteStore::open(&path)).await;
            (cut_off.is_ok(), place.open().await)
        }
        Place::Postgres(_) => {
            let (first, second) = tokio::join!(place.open(), place.open());
            check(&*first).await;
            (true, second)
        }
    };
    check(&*second).await;
    assert_eq!(old_tables(place).await, Vec::<String>::new(), "first was done: {first}");
}

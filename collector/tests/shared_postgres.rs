//! One Postgres for several collectors: pools, PgBouncer, a dictionary that nobody misses a part of, and Citus' keys.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sidelight_collector::settings::Database;
use sidelight_collector::store::{Edge, EdgeLabels, PgStore, Store, Totals, WriteBatch};
use sidelight_collector::{Collector, Settings};
use sqlx::{Connection, Row};
use support::place::Place;
use support::proxy::CountingProxy;
use support::running::{eventually, send, settings, stored};

fn url(place: &Place) -> &str {
    match place {
        Place::Postgres(url) => url,
        Place::Sqlite(_) => panic!("no Postgres"),
    }
}

fn edges(from: usize, count: usize) -> WriteBatch {
    let added = (from..from + count).map(|number| {
        let mut labels = EdgeLabels::default();
        labels.set("source_workload", format!("w{number}").into());
        // Bounds of its own for each: a shared row of bounds would make them take turns by itself.
        let bound = if number < 100_000 { 1.0 } else { 2.0 };
        let edge = Arc::new(Edge::new(Arc::new(labels), Arc::from([bound])));
        (1_800_000_000, edge, Totals { requests: 1, ..Totals::default() })
    });
    WriteBatch { added: added.collect(), ..WriteBatch::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_collector_misses_edges_of_another() {
    let place = Place::postgres().await;
    let (one, two, reader) = (place.open().await, place.open().await, place.open().await);
    let is_over = Arc::new(AtomicBool::new(false));
    // Looks all the time, so that it sees ids while lower ones are still being written.
    let looking = tokio::spawn({
        let (is_over, reader) = (is_over.clone(), reader.clone());
        async move {
            while !is_over.load(Ordering::Relaxed) {
                reader.known_edges().await.unwrap();
            }
        }
    });
    let write = |store: Arc<dyn Store>, first: usize, batches: usize, size: usize| async move {
        for batch in 0..batches {
            store.write(&edges(first + batch * size, size)).await.unwrap();
        }
    };
    // While the one still writes many the other has long written a few with higher ids.
    tokio::join!(write(one.clone(), 0, 2, 1_200), write(two.clone(), 100_000, 60, 5));
    is_over.store(true, Ordering::Relaxed);
    looking.await.unwrap();
    for store in [&reader, &one, &two] {
        assert_eq!(store.known_edges().await.unwrap().len(), 2 * 1_200 + 60 * 5);
    }
}

/// PgBouncer before the test's Postgres, with a server for each transaction and fewer of them than clients.
struct PgBouncer {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PgBouncer {
    /// Debian's package `pgbouncer`.
    async fn start(database: &str) -> Self {
        let (base, query) = database.split_once('?').expect("the test's own server, at a socket");
        let socket = query.split('&').find_map(|pair| pair.strip_prefix("host=")).expect("a socket");
        let name = base.rsplit_once('/').unwrap().1;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgbouncer.ini");
        let ini = format!(
            "[databases]\n* = host={socket} user=sidelight\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=any\npool_mode=transaction\ndefault_pool_size=4\nmax_client_conn=100\n\
             ignore_startup_parameters=extra_float_digits\nlogfile={}\n",
            folder.path().join("log").display()
        );
        std::fs::write(&path, ini).unwrap();
        support::postgres::give_to_postgres(folder.path());
        let child = support::postgres::as_postgres("/usr/sbin/pgbouncer".as_ref())
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("install Debian's package `pgbouncer`");
        let url = format!("postgres://sidelight@127.0.0.1:{port}/{name}?statement-cache-capacity=0");
        let bouncer = Self { child, url, folder };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return bouncer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("PgBouncer does not listen: {}", std::fs::read_to_string(bouncer.folder.path().join("log")).unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collectors_work_behind_pgbouncer() {
    let place = Place::postgres().await;
    let bouncer = PgBouncer::start(url(&place)).await;
    let proxies = [CountingProxy::start(0).await, CountingProxy::start(0).await, CountingProxy::start(0).await];
    let scrape_urls: Vec<String> = proxies.iter().map(CountingProxy::url).collect();
    let behind =
        || Settings { database: Database::Postgres(bouncer.url.clone()), scrape_urls: scrape_urls.clone(), ..settings(&place) };
    // Both bring the schema to its version at once, through the pooler.
    let (one, two) = tokio::join!(Collector::start(behind()), Collector::start(behind()));
    let (one, two) = (one.unwrap(), two.unwrap());
    for round in 1..=20 {
        proxies.iter().for_each(|proxy| proxy.count("cart", 2));
        eventually("all requests are stored", || async {
            let (one, two) = (stored(&one, "cart").await, stored(&two, "cart").await);
            assert!(one <= 6 * round && two <= 6 * round, "{one} and {two} of {}", 6 * round);
            one == 6 * round && two == 6 * round
        })
        .await;
    }
    for (number, collector) in [&one, &two].into_iter().enumerate() {
        let yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r{number}, namespace: n}}\nspec: {{host: r}}\n"
        );
        let headers = [("content-type", "application/json")];
        let headers = headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let (address, body) = (collector.addresses().dashboard, serde_json::json!({ "yaml": yaml }).to_string());
        let (status, text) = send(address, "POST", "/api/config/apply", headers, body.into_bytes()).await;
        assert!(status.is_success(), "{status} {text}");
    }
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_is_as_small_as_it_is_told() {
    let place = Place::postgres().await;
    let proxy = CountingProxy::start(0).await;
    let small = Settings { database_pool: 3, scrape_urls: vec![proxy.url()], ..settings(&place) };
    let collector = Collector::start(small).await.unwrap();
    proxy.count("cart", 4);
    eventually("all requests are stored", || async { stored(&collector, "cart").await == 4 }).await;
    let reads = (0..40).map(|_| collector.store().known_edges());
    futures_util::future::try_join_all(reads).await.unwrap();
    let mut watcher = sqlx::PgConnection::connect(url(&place)).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let connections: i64 = sqlx::query_scalar(sql).fetch_one(&mut watcher).await.unwrap();
    assert!((1..=3).contains(&connections), "{connections} connections");
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_citus_script_knows_every_table_and_its_keys() {
    let place = Place::postgres().await;
    let store = PgStore::connect(url(&place)).await.unwrap();
    let script = include_str!("../../deploy/citus/distribute.sql");
    let (mut distributed, mut everywhere, mut local) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for line in script.lines() {
        let words: Vec<&str> = line.split('\'').collect();
        if line.starts_with("SELECT create_distributed_table(") {
            assert!(distributed.insert(words[1].to_owned(), words[3].to_owned()).is_none(), "{line}");
        } else if line.starts_with("SELECT create_reference_table(") {
            assert!(everywhere.insert(words[1].to_owned()), "{line}");
        } else if let Some(text) = line.strip_prefix("-- On the coordinator, because of its trigger: ") {
            local.extend(
                ["config_revision", "_sqlx_migrations"].iter().filter(|table| text.contains(**table)).map(|t| (*t).to_owned()),
            );
        }
    }
    // Partitions go with their parents.
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE n.nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    let listed: BTreeSet<String> = distributed.keys().cloned().chain(everywhere).chain(local).collect();
    assert_eq!(tables.into_iter().collect::<BTreeSet<_>>(), listed);
    let keys = sqlx::query(
        "SELECT t.relname::text, i.relname::text, array_agg(a.attname::text) FROM pg_index x \
         JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(x.indkey) WHERE x.indisunique GROUP BY 1, 2",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    let mut checked = BTreeSet::new();
    for row in keys {
        let (table, index, columns): (String, String, Vec<String>) = (row.get(0), row.get(1), row.get(2));
        if let Some(key) = distributed.get(&table) {
            assert!(columns.contains(key), "`{index}` of `{table}` lacks `{key}`");
            checked.insert(table);
        }
    }
    assert_eq!(checked, distributed.keys().cloned().collect(), "each distributed table has a key");
}

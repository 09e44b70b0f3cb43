//! The tools around a database: what they copy is all there is, what they check they find.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sidelight_api::config::ObjectKey;
use sidelight_collector::settings::Database;
use sidelight_collector::store::admin::{Admin, AdminError, CheckReport};
use sidelight_collector::store::log::{LEVEL_QUICK, LogBlockBuilder, LogRecord};
use sidelight_collector::store::revisions::{Change, Expect, NewRevision, RevisionStore};
use sidelight_collector::store::{
    Advance, Advanced, ArchiveLimits, Archived, BlockWrite, Counts, Delivery, Edge, EdgeLabels, EncodedBlock, Endpoint, Exemplar,
    ExemplarWrite, ExportQueue, Family, Histogram, Judged, LINK_STEP_S, LeaseChanges, LinkStep, Metadata, MetadataWrite, Order,
    PgStore, PushedTarget, Resource, Retention, ScrapeBatch, Span, SpanWatch, SqliteStore, StateKey, Store, Totals, Verdict,
    Window, WriteBatch, encode_verdicts,
};
use sidelight_collector::store::{sample, span_block};
use support::place::Place;
use support::postgres;

const T: i64 = 1_795_413_600;

on_both!(
    a_copy_of_everything_goes_to_either_kind,
    ids_go_on_after_a_copy,
    a_backup_is_one_state_while_others_write,
    nothing_is_overwritten,
    a_sound_database_has_no_findings,
    damage_is_found,
    statistics_count_everything,
    compacting_merges_every_signal,
    a_database_of_another_version_is_refused,
);

fn database(place: &Place) -> Database {
    match place {
        Place::Sqlite(folder) => Database::Sqlite(folder.path().join("sidelight.db")),
        Place::Postgres(url) => Database::Postgres(url.clone()),
    }
}

async fn revisions(place: &Place) -> Arc<dyn RevisionStore> {
    match database(place) {
        Database::Sqlite(path) => Arc::new(SqliteStore::open(&path).await.unwrap()),
        Database::Postgres(url) => Arc::new(PgStore::connect(&url).await.unwrap()),
    }
}

fn edge(number: usize) -> Arc<Edge> {
    let labels = EdgeLabels {
        reporter: "destination".into(),
        destination_workload: format!("w-{number}").into(),
        response_code: "200".into(),
        ..EdgeLabels::default()
    };
    Arc::new(Edge::new(Arc::new(labels), Arc::from([1.0, 2.5])))
}

fn totals(requests: u64) -> Totals {
    let duration = Histogram { bounds: Arc::from([1.0, 2.5]), counts: vec![requests, 0, 0], sum: requests as f64 / 3.0 };
    Totals { requests, duration, request_bytes: 0.1 * requests as f64, ..Totals::default() }
}

fn scrape(target: &str, at_s: i64, edges: usize) -> WriteBatch {
    let mut counts = Counts::default();
    counts.add("scrape", "samples", "received", 3);
    counts.add("scrape", "samples", "stored", 2);
    counts.refuse("scrape", "samples", "unused", 1);
    let scrape = ScrapeBatch {
        target: target.into(),
        namespace: "bookinfo".into(),
        scraped_at_ms: at_s * 1000,
        uptime_s: Some(12.5),
        counters: (0..edges).map(|number| (edge(number), totals(5))).collect(),
        added: (0..edges).map(|number| (at_s - at_s % 10, edge(number), totals(number as u64 + 1))).collect(),
        counts,
        ..ScrapeBatch::default()
    };
    WriteBatch { scrapes: vec![scrape], ..WriteBatch::default() }
}

/// Rules without any condition.
struct Nothing;

impl SpanWatch for Nothing {
    fn conditions(&self) -> &[u64] {
        &[]
    }

    fn met(&self, _: &Span) -> u64 {
        0
    }
}

/// A block as its signal writes it.
fn block(family: Family, at_s: i64, items: u32) -> BlockWrite {
    let at_ns = |item: u32| at_s * 1_000_000_000 + i64::from(item) * 1_000;
    let slice_s = family.slice_at(at_s).from_s;
    let (from_us, to_us) = (at_s * 1_000_000, at_s * 1_000_000 + i64::from(items));
    let of = |summary, data| EncodedBlock { family, slice_s, shard: 1, from_us, to_us, items, summary, data };
    let block = match family {
        Family::SpanBlock => {
            let span =
                |item| Span { trace_id: [1; 16], id: u64::from(item).to_be_bytes(), start_ns: at_ns(item), ..Span::default() };
            let spans: Vec<Span> = (1..=items).map(span).collect();
            span_block::encode(spans.iter()).unwrap().remove(0).0
        }
        Family::LogBlock => {
            let mut builder = LogBlockBuilder::new();
            (1..=items).for_each(|item| builder.push(&LogRecord { time_ns: at_ns(item), ..LogRecord::default() }));
            let finished = builder.finish(LEVEL_QUICK).unwrap().remove(0);
            of(finished.summary, finished.data)
        }
        Family::VerdictBlock => {
            let judged = |item: u32| {
                let mut trace_id = [0; 16];
                trace_id[..8].copy_from_slice(&at_s.to_be_bytes());
                trace_id[8..12].copy_from_slice(&item.to_be_bytes());
                Judged {
                    trace_id,
                    first_us: from_us,
                    last_us: to_us,
                    verdict: Verdict { is_kept: item == 1, rule: "errors".into() },
                }
            };
            encode_verdicts(&(1..=items).map(judged).collect::<Vec<_>>()).remove(0)
        }
        _ => {
            let samples: Vec<(i64, f64)> = (1..=i64::from(items)).map(|series| (series, 0.5)).collect();
            let ids = samples.iter().map(|sample| sample.0).collect();
            of(sample::block::summary(ids), sample::block::encode_row(at_s * 1000, &samples))
        }
    };
    BlockWrite { door: "test", signal: "items", block }
}

/// The series of the sample blocks.
async fn fill_dictionary(place: &Place) {
    let labels = if matches!(place, Place::Sqlite(_)) { "x'00'" } else { "decode('00', 'hex')" };
    for series in 1..=4 {
        let sql = format!(
            "INSERT INTO metric_series (series_id, group_id, labels, kept_until_s) VALUES ({series}, 1, {labels}, 4000000000) \
             ON CONFLICT DO NOTHING"
        );
        damage(place, &sql).await;
    }
}

/// All tables but those of slices. Whoever adds one fills it in [`fill`], so that it is copied here.
const TABLES: [&str; 26] = [
    "archived_trace",
    "collector",
    "config_revision",
    "delivery",
    "dropped",
    "edge",
    "exemplar",
    "export_queue",
    "ingest_count",
    "label_pair",
    "layout",
    "metric_metadata",
    "metric_series",
    "operation",
    "pushed_state",
    "remote_service",
    "series",
    "service",
    "service_link",
    "slice",
    "store_info",
    "store_sequence",
    "target",
    "target_lease",
    "trace_facts",
    "trace_judge",
];

/// Something in every table, over several slices.
async fn fill(place: &Place) {
    let (store, queue, sampling) = place.open_to_sample().await;
    sampling.watch_spans(Some(Arc::new(Nothing)));
    sampling.take_bench(7, Duration::from_secs(10)).await.unwrap();
    store.write(&scrape("one", T, 1_200)).await.unwrap();
    store.write(&scrape("two", T + 90_000, 3)).await.unwrap();
    let blocks = Family::BLOCKS.into_iter().flat_map(|family| [block(family, T, 3), block(family, T + 7_300, 4)]);
    let blocks: Vec<BlockWrite> = blocks.collect();
    let mut counts = Counts::default();
    counts.add("test", "items", "received", blocks.iter().map(|write| u64::from(write.block.items)).sum());
    let delivery = Some(Delivery { id: [9; 16] });
    store.write(&WriteBatch { blocks, counts, delivery, ..WriteBatch::default() }).await.unwrap();
    fill_the_rest(&*store, &*queue).await;
    fill_pushed(&*store).await;
    fill_traces(&*store).await;
    store.close().await;
    fill_dictionary(place).await;
    let key = ObjectKey { kind: "VirtualService".into(), namespace: "bookinfo".into(), name: "reviews".into() };
    revisions(place).await.append(vec![revision(&key, "# ä\nspec: {}\n")]).await.unwrap();
}

/// Names, a queued span, a series, a leased target, and a slice that was dropped.
async fn fill_the_rest(store: &dyn Store, queue: &dyn ExportQueue) {
    queue.queue_for(vec!["otlp"]);
    let resource = Arc::new(Resource { service: "cart".into(), ..Resource::default() });
    let span =
        Span { trace_id: [2; 16], id: [2; 8], resource, name: "GET /".into(), start_ns: T * 1_000_000_000, ..Span::default() };
    let index = store.series_index().await.unwrap();
    let series = vec![index.rows([index.resolve(1, &[("__name__", "up")]).unwrap()].iter(), T)];
    let old = block(Family::LogBlock, T - 30 * 86_400, 1);
    let mut counts = Counts::default();
    counts.add("zipkin", "spans", "received", 1);
    counts.add("test", "items", "received", 1);
    let batch = WriteBatch { spans: vec![("zipkin", vec![span])], blocks: vec![old], series, counts, ..WriteBatch::default() };
    store.write(&batch).await.unwrap();
    assert_eq!(store.drop_old(&Retention::default(), T * 1000).await.unwrap(), [Family::LogBlock.slice_at(T - 30 * 86_400)]);
    let claimed = vec![("one".into(), "{}".to_owned())];
    let mut claim = |_: &_| LeaseChanges { claimed: claimed.clone(), ..LeaseChanges::default() };
    store.lease_round("nami", Duration::from_secs(10), &mut claim).await.unwrap();
}

struct Remember;

impl Advance for Remember {
    fn advance(&self, _known: &HashMap<StateKey, Vec<u8>>, _held: usize) -> Advanced {
        Advanced { states: vec![([3; 16], vec![1, 2, 3])], ..Advanced::default() }
    }
}

/// A call to a service that tells nothing itself, and its trace in the archive.
async fn fill_traces(store: &dyn Store) {
    let remote = Endpoint { service: "mysql".into(), ..Endpoint::default() };
    let span = Span {
        trace_id: [7; 16],
        id: [7; 8],
        start_ns: T * 1_000_000_000,
        resource: Arc::new(Resource { service: "ratings".into(), ..Resource::default() }),
        remote: Some(remote),
        ..Span::default()
    };
    let link = LinkStep { t_s: T - T % LINK_STEP_S, parent: "ratings".into(), child: "mysql".into(), calls: 3, errors: 1 };
    let mut counts = Counts::default();
    counts.add("test", "spans", "received", 1);
    let batch = WriteBatch { spans: vec![("test", vec![span])], links: vec![link], counts, ..WriteBatch::default() };
    store.write(&batch).await.unwrap();
    let archived = store.archive([7; 16], ArchiveLimits::default(), T * 1000).await.unwrap();
    assert_eq!(archived, Archived::Kept(1));
}

/// What is remembered of a counter that is pushed, what is said of a metric, and an exemplar.
async fn fill_pushed(store: &dyn Store) {
    let pushed = PushedTarget {
        target: "push:a#1".into(),
        namespace: "shop".into(),
        // What it may add lies within the hour before, in slices that are there.
        oldest_ms: (T + 3_600) * 1000,
        newest_ms: (T + 3_600) * 1000,
        keys: vec![[3; 16]],
        advance: Arc::new(Remember),
        door: "test",
        signal: "edge_samples",
        items: 0,
    };
    let index = store.series_index().await.unwrap();
    let series = index.resolve(1, &[("__name__", "up")]).unwrap();
    let exemplar = Exemplar { series, t_ms: T * 1000, value: 1.5, labels: "{\"trace_id\":\"ä\"}".to_owned() };
    let mut counts = Counts::default();
    counts.add("test", "exemplars", "received", 1);
    let batch = WriteBatch {
        pushed: vec![pushed],
        exemplars: vec![ExemplarWrite { door: "test", exemplars: vec![exemplar] }],
        metadata: vec![MetadataWrite { door: "test", told: [Metadata::new("up", "gauge", "Is it?", "")].into() }],
        counts,
        ..WriteBatch::default()
    };
    store.write(&batch).await.unwrap();
}

fn revision(key: &ObjectKey, yaml: &str) -> NewRevision {
    NewRevision {
        key: key.clone(),
        change: Change::Save { yaml: yaml.to_owned() },
        expect: Expect::Anything,
        author: "nami".to_owned(),
        message: String::new(),
        created_at_ms: T * 1000,
    }
}

async fn copy(from: &Database, to: &Database) -> Result<u64, AdminError> {
    let admin = Admin::look(from).await?;
    let result = admin.copy_to(to, &mut |_, _| {}).await;
    admin.close().await;
    Ok(result?.rows)
}

/// Names and rows of all tables.
async fn contents(database: &Database) -> Vec<(String, u64, Option<u64>)> {
    let admin = Admin::look(database).await.unwrap();
    let stats = admin.stats().await.unwrap();
    admin.close().await;
    stats.tables.into_iter().map(|table| (table.name, table.rows, table.items)).collect()
}

async fn check(database: &Database) -> CheckReport {
    let admin = Admin::look(database).await.unwrap();
    let report = admin.check().await.unwrap();
    admin.close().await;
    report
}

fn sorted(mut contents: Vec<(String, u64, Option<u64>)>) -> Vec<(String, u64, Option<u64>)> {
    contents.sort();
    contents
}

async fn a_copy_of_everything_goes_to_either_kind(place: &Place) {
    fill(place).await;
    let source = database(place);
    let folder = tempfile::tempdir().unwrap();
    let file = Database::Sqlite(folder.path().join("copy.db"));
    let server = Database::Postgres(postgres::database().await);
    let again = Database::Sqlite(folder.path().join("again.db"));
    let rows = copy(&source, &file).await.unwrap();
    assert!(rows > 1_200 * 4, "{rows}");
    assert_eq!(copy(&file, &server).await.unwrap(), rows);
    assert_eq!(copy(&server, &again).await.unwrap(), rows);
    let expected = sorted(contents(&source).await);
    let is_slice = |name: &str| Family::ALL.iter().any(|family| name.starts_with(&format!("{}_", family.name())));
    let others: Vec<&str> = expected.iter().map(|table| table.0.as_str()).filter(|name| !is_slice(name)).collect();
    assert_eq!(others, TABLES);
    let empty: Vec<&str> = expected.iter().filter(|table| table.1 == 0).map(|table| table.0.as_str()).collect();
    assert_eq!(empty, [""; 0]);
    for copy in [&file, &server, &again] {
        assert_eq!(sorted(contents(copy).await), expected);
        assert_eq!(check(copy).await.findings, []);
    }
    let Database::Sqlite(path) = &again else { panic!("a file") };
    let store = SqliteStore::open(path).await.unwrap();
    let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
    let answer = store.edges(always, None).await.unwrap();
    let sum: u64 = answer.edges.iter().map(|edge| edge.totals.requests).sum();
    assert_eq!((answer.edges.len(), sum), (1_200, (1..=1_200).sum::<u64>() + 6));
    let first = answer.edges.iter().find(|edge| &*edge.labels.destination_workload == "w-999").unwrap();
    assert_eq!(first.totals, totals(1_000));
    let heads = RevisionStore::current(&store).await.unwrap();
    assert_eq!((heads.len(), heads[0].yaml.as_str()), (1, "# ä\nspec: {}\n"));
    store.close().await;
}

async fn ids_go_on_after_a_copy(place: &Place) {
    fill(place).await;
    let target = Place::postgres().await;
    copy(&database(place), &database(&target)).await.unwrap();
    let store = target.open().await;
    store.write(&scrape("three", T, 1_201)).await.unwrap();
    let mut counts = Counts::default();
    counts.add("test", "items", "received", 1);
    let more = WriteBatch { blocks: vec![block(Family::LogBlock, T, 1)], counts, ..WriteBatch::default() };
    store.write(&more).await.unwrap();
    assert_eq!(store.edge_count(), 1_201);
    let key = ObjectKey { kind: "VirtualService".into(), namespace: "bookinfo".into(), name: "reviews".into() };
    let written = revisions(&target).await.append(vec![revision(&key, "spec: {}\n")]).await.unwrap();
    assert_eq!((written[0].revision, written[0].sequence), (2, 2));
    store.close().await;
    assert_eq!(check(&database(&target)).await.findings, []);
}

async fn a_backup_is_one_state_while_others_write(place: &Place) {
    fill(place).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let store = place.open().await;
    let writing = Arc::clone(&store);
    let writer = tokio::spawn(async move {
        for number in 0.. {
            if writing.write(&scrape(&format!("while-{number}"), T + number, 40)).await.is_err() {
                return;
            }
        }
    });
    let admin = Admin::look(&database(place)).await.unwrap();
    admin.backup(&file, &mut |_, _| {}).await.unwrap();
    admin.close().await;
    writer.abort();
    let _ = writer.await;
    store.close().await;
    assert_eq!(names_in(folder.path()), ["backup.db"]);
    let backup = Database::Sqlite(file);
    assert_eq!(check(&backup).await.findings, []);
    // And back, into either kind.
    let restored = Database::Sqlite(folder.path().join("restored.db"));
    copy(&backup, &restored).await.unwrap();
    let server = Database::Postgres(postgres::database().await);
    copy(&backup, &server).await.unwrap();
    assert_eq!(sorted(contents(&restored).await), sorted(contents(&backup).await));
    assert_eq!(sorted(contents(&server).await), sorted(contents(&backup).await));
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn nothing_is_overwritten(place: &Place) {
    fill(place).await;
    let other = Place::postgres().await;
    fill(&other).await;
    let before = contents(&database(&other)).await;
    assert!(matches!(copy(&database(place), &database(&other)).await, Err(AdminError::NotEmpty { .. })));
    assert_eq!(contents(&database(&other)).await, before);
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("there.db");
    std::fs::write(&file, "mine").unwrap();
    assert!(matches!(copy(&database(place), &Database::Sqlite(file.clone())).await, Err(AdminError::Exists { .. })));
    let admin = Admin::look(&database(place)).await.unwrap();
    assert!(matches!(admin.backup(&file, &mut |_, _| {}).await, Err(AdminError::Exists { .. })));
    assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), names_in(folder.path()).len()), ("mine", 1));
    let missing = Database::Sqlite(folder.path().join("missing.db"));
    assert!(matches!(Admin::look(&missing).await, Err(AdminError::Missing { .. })));
    // A collector that uses an empty database: nothing is put under it.
    let used = Place::postgres().await;
    let collector = used.open().await;
    let refused = copy(&database(place), &database(&used)).await;
    assert!(matches!(refused, Err(AdminError::InUse { .. })), "{refused:?}");
    collector.close().await;
}

async fn a_sound_database_has_no_findings(place: &Place) {
    place.open().await.close().await;
    let empty = check(&database(place)).await;
    assert_eq!((empty.rows, empty.findings), (1, vec![]));
    fill(place).await;
    let report = check(&database(place)).await;
    assert_eq!(report.findings, []);
    assert_eq!((report.blocks, report.items), (10, 30));
    assert!(report.rows > 1_200 * 4);
}

/// Runs statements on the database itself.
async fn damage(place: &Place, sql: &str) {
    match database(place) {
        Database::Sqlite(path) => {
            let store = SqliteStore::open(&path).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(store.pool()).await.unwrap();
            store.close().await;
        }
        Database::Postgres(url) => {
            let store = PgStore::connect(&url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(store.pool()).await.unwrap();
            store.close().await;
        }
    }
}

async fn damage_is_found(place: &Place) {
    fill(place).await;
    let ten = Family::TenSeconds.slice_at(T).from_s;
    let minute = Family::Minute.slice_at(T).from_s;
    damage(place, &format!("UPDATE rollup_10s_{ten} SET requests = requests + 1 WHERE edge_id = 7")).await;
    damage(place, &format!("DELETE FROM rollup_1m_{minute} WHERE edge_id = 8")).await;
    damage(place, "DELETE FROM edge WHERE edge_id = 3").await;
    damage(place, "UPDATE ingest_count SET total = total + 1 WHERE outcome = 'received' AND door = 'scrape'").await;
    damage(place, &format!("DELETE FROM slice WHERE family = 'log_block' AND from_s = {T}")).await;
    damage(place, "DELETE FROM metric_series WHERE series_id = 2").await;
    damage(place, &format!("UPDATE span_block_{T} SET items = 9")).await;
    let (later, data) = (T + 7_200, if matches!(place, Place::Sqlite(_)) { "x'0102'" } else { "decode('0102', 'hex')" });
    damage(place, &format!("UPDATE log_block_{later} SET data = {data}")).await;
    damage(place, "INSERT INTO slice (family, from_s, to_s) VALUES ('span_block', 0, 3600)").await;
    let findings = check(&database(place)).await.findings;
    let told: Vec<String> = findings.iter().map(|finding| format!("{}: {}", finding.place, finding.what)).collect();
    let expected = [
        "span_block_0: is listed as a slice, but there is no such table".to_owned(),
        format!("log_block_{T}: is the table of a slice that is not listed"),
        "series: 1 values of edge_id are not in edge".to_owned(),
        format!("rollup_10s_{ten}: 1 values of edge_id are not in edge"),
        "ingest_count: scrape: 7 samples received, 6 stored or refused".to_owned(),
        format!("rollup_1m: step {T} of edge 7 is not the sum of its steps in rollup_10s"),
        format!("rollup_1m: step {T} of edge 8 is not the sum of its steps in rollup_10s"),
        format!("rollup_1h: step {T} of edge 8 is not the sum of its steps in rollup_1m"),
    ];
    assert!(told.iter().any(|line| line.starts_with(&format!("span_block_{T}: block ")) && line.ends_with("has 3 items, not 9")));
    assert!(
        told.iter().any(|line| line.starts_with(&format!("log_block_{later}: block ")) && line.contains("cannot be decoded"))
    );
    let series = format!("sample_block_{T}: samples of 1 series that are not in metric_series");
    assert!(told.contains(&series), "{}", told.join("\n"));
    for line in &expected {
        assert!(told.contains(line), "{line}\nis not in\n{}", told.join("\n"));
    }
}

async fn statistics_count_everything(place: &Place) {
    fill(place).await;
    let admin = Admin::look(&database(place)).await.unwrap();
    let stats = admin.stats().await.unwrap();
    admin.close().await;
    assert!(stats.tables.iter().all(|table| table.bytes > 0), "{stats:?}");
    assert!(stats.bytes > 100_000 && stats.bytes >= stats.tables.iter().map(|table| table.bytes).sum());
    let families = stats.by_family();
    let logs = families.iter().find(|family| family.0 == "log_block").unwrap();
    assert_eq!((logs.1, logs.2, logs.3), (2, 2, 7));
    let admin = Admin::open(&database(place)).await.unwrap();
    let compacted = admin.compact().await.unwrap();
    assert!(compacted.left_out.is_none() && compacted.bytes_after > 0, "{compacted:?}");
    assert_eq!(check(&database(place)).await.findings, []);
}

async fn compacting_merges_every_signal(place: &Place) {
    let store = place.open().await;
    // So many that they do not wait for the end of their slice.
    let blocks = Family::BLOCKS.into_iter().flat_map(|family| (0..70).map(move |n| block(family, T + n, 2)));
    store.write(&WriteBatch { blocks: blocks.collect(), ..WriteBatch::default() }).await.unwrap();
    let admin = Admin::open(&database(place)).await.unwrap();
    assert_eq!(admin.compact().await.unwrap().merged_blocks, 4 * 70);
    admin.close().await;
    for family in Family::BLOCKS {
        let heads = store.blocks(family, 0..i64::MAX, Order::OldestFirst, 100).await.unwrap();
        // Verdicts are merged by the minute.
        let expected = if family == Family::VerdictBlock { vec![120, 20] } else { vec![140] };
        assert_eq!(heads.iter().map(|head| head.items).collect::<Vec<_>>(), expected, "{}", family.name());
    }
    store.close().await;
}

async fn a_database_of_another_version_is_refused(place: &Place) {
    fill(place).await;
    damage(place, "DELETE FROM _sqlx_migrations WHERE version = 6").await;
    let older = Admin::look(&database(place)).await.err().unwrap().to_string();
    assert!(older.contains("has an older schema (without 6)"), "{older}");
    let place = &Place::sqlite();
    fill(place).await;
    damage(
        place,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', TRUE, x'00', 0)",
    )
    .await;
    let newer = Admin::look(&database(place)).await.err().unwrap().to_string();
    assert!(newer.contains("newer version of this program (schema 9999"), "{newer}");
    let Database::Sqlite(path) = database(place) else { panic!("a file") };
    let refused = SqliteStore::open(&path).await.err().unwrap().to_string();
    assert!(refused.contains("newer version of this program (schema 9999"), "{refused}");
}

#[tokio::test]
async fn compacting_beside_a_collector_leaves_the_file_alone() {
    let place = Place::sqlite();
    fill(&place).await;
    let collector = place.open().await;
    collector.write(&scrape("beside", T, 1)).await.unwrap();
    let admin = Admin::open(&database(&place)).await.unwrap();
    let compacted = admin.compact().await.unwrap();
    assert!(compacted.left_out.is_some());
    collector.write(&scrape("behind", T, 1)).await.unwrap();
    collector.close().await;
}

#[tokio::test]
async fn a_page_that_was_overwritten_is_found() {
    let place = Place::sqlite();
    fill(&place).await;
    let Database::Sqlite(path) = database(&place) else { panic!("a file") };
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let admin = Admin::look(&Database::Sqlite(path)).await.unwrap();
    let found = match admin.check().await {
        Ok(report) => !report.findings.is_empty(),
        Err(error) => format!("{error:?}").contains("malformed"),
    };
    assert!(found);
}

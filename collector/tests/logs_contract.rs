//! The contract of `Store` for log lines, the same tests on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sidelight_collector::store::log::{LEVEL_QUICK, LogBlockBuilder, LogQuery, LogRecord, NumberField, TextField};
use sidelight_collector::store::{
    AttributeValue, BlockWrite, Compact, EncodedBlock, Family, LogCompact, Resource, Retention, Store, StoredBlock, WriteBatch,
};
use support::place::Place;

/// The start of a slice of logs, Unix seconds.
const T: i64 = 1_795_413_600;

on_both!(lines_are_found_newest_first, a_limit_says_how_far_it_came, a_damaged_block_is_skipped, old_lines_are_dropped,);

fn at(seconds: i64) -> i64 {
    (T + seconds) * 1_000_000_000
}

fn line(seconds: i64, workload: &str, code: u64) -> LogRecord {
    let attributes = vec![("workload.name".into(), AttributeValue::text(workload))];
    let mut record = LogRecord {
        time_ns: at(seconds),
        resource: Arc::new(Resource { service: "shop".into(), attributes, ..Resource::default() }),
        ..LogRecord::default()
    };
    record.access.texts.push((TextField::Path, format!("/{seconds}").into()));
    record.access.numbers.push((NumberField::ResponseCode, code));
    record
}

fn blocks(lines: &[LogRecord]) -> Vec<EncodedBlock> {
    let mut builder = LogBlockBuilder::new();
    lines.iter().for_each(|line| builder.push(line));
    builder.finish(LEVEL_QUICK).unwrap().into_iter().map(Into::into).collect()
}

async fn write(store: &Arc<dyn Store>, blocks: Vec<EncodedBlock>) {
    let blocks = blocks.into_iter().map(|block| BlockWrite { door: "als", signal: "logs", block }).collect();
    store.write(&WriteBatch { blocks, ..WriteBatch::default() }).await.unwrap();
}

fn query() -> LogQuery {
    LogQuery { from_ns: at(-7200), to_ns: at(7200), limit: 100, ..LogQuery::default() }
}

async fn paths(store: &Arc<dyn Store>, query: LogQuery) -> Vec<String> {
    let answer = store.find_logs(&query).await.unwrap();
    answer.records.iter().map(|record| record.access.text(TextField::Path).to_owned()).collect()
}

async fn lines_are_found_newest_first(place: &Place) {
    let store = place.open().await;
    assert_eq!(paths(&store, query()).await, [""; 0]);
    // Blocks that overlap, in two slices.
    write(&store, blocks(&[line(10, "a", 200), line(30, "b", 503), line(3700, "a", 200)])).await;
    write(&store, blocks(&[line(20, "a", 404), line(-10, "a", 200)])).await;
    let word = |word: &str| Some(word.to_owned());
    assert_eq!(paths(&store, query()).await, ["/3700", "/30", "/20", "/10", "/-10"]);
    assert_eq!(paths(&store, LogQuery { limit: 2, ..query() }).await, ["/3700", "/30"]);
    assert_eq!(paths(&store, LogQuery { from_ns: at(10), to_ns: at(30), ..query() }).await, ["/20", "/10"]);
    assert_eq!(paths(&store, LogQuery { workload: word("b"), ..query() }).await, ["/30"]);
    assert_eq!(paths(&store, LogQuery { service: word("shop"), code: Some((400, 599)), ..query() }).await, ["/30", "/20"]);
    assert_eq!(paths(&store, LogQuery { path_prefix: word("/3"), ..query() }).await, ["/3700", "/30"]);
    assert_eq!(paths(&store, LogQuery { text: word("/1"), ..query() }).await, ["/10"]);
    assert_eq!(paths(&store, LogQuery { service: word("cart"), ..query() }).await, [""; 0]);
    let counts = store.ingest_counts().await.unwrap();
    assert_eq!(counts, [("als".to_owned(), "logs".to_owned(), "stored".to_owned(), 5)]);
    store.close().await;
}

async fn a_limit_says_how_far_it_came(place: &Place) {
    let store = place.open().await;
    for seconds in 0..6 {
        write(&store, blocks(&[line(seconds * 10, "a", 200), line(seconds * 10 + 5, "a", 200)])).await;
    }
    let answer = store.find_logs(&LogQuery { limit: 3, ..query() }).await.unwrap();
    assert_eq!((answer.records.len(), answer.searched_from_ns), (3, Some(at(45))));
    // The rest, page by page.
    let mut pages = vec![3];
    let mut to_ns = answer.searched_from_ns;
    while let Some(before_ns) = to_ns {
        let answer = store.find_logs(&LogQuery { limit: 4, to_ns: before_ns, ..query() }).await.unwrap();
        pages.push(answer.records.len());
        to_ns = answer.searched_from_ns;
    }
    assert_eq!(pages, [3, 4, 4, 1]);
    store.close().await;
}

async fn a_damaged_block_is_skipped(place: &Place) {
    let store = place.open().await;
    let mut damaged = blocks(&[line(10, "a", 200)]);
    let middle = damaged[0].data.len() / 2;
    damaged[0].data.truncate(middle);
    write(&store, damaged.clone()).await;
    write(&store, blocks(&[line(5, "a", 200)])).await;
    let answer = store.find_logs(&query()).await.unwrap();
    assert_eq!((answer.records.len(), answer.corrupt_blocks), (1, 1));
    let stored = |block: EncodedBlock| StoredBlock { block_id: 1, level: 0, block };
    let good = stored(blocks(&[line(5, "a", 200)]).remove(0));
    assert_eq!(LogCompact.merge(&[good.clone(), stored(damaged.remove(0))]).unwrap_err().0, 1);
    // Merged, good ones are one.
    let merged = LogCompact.merge(&[good.clone(), stored(blocks(&[line(6, "b", 404)]).remove(0))]).unwrap();
    assert_eq!((merged.len(), merged[0].items, merged[0].slice_s, merged[0].family), (1, 2, T, Family::LogBlock));
    store.close().await;
}

async fn old_lines_are_dropped(place: &Place) {
    let store = place.open().await;
    write(&store, blocks(&[line(10, "a", 200), line(3700, "a", 200)])).await;
    let retention = Retention { logs: Duration::from_secs(3600), ..Retention::default() };
    store.drop_old(&retention, (T + 7200) * 1000).await.unwrap();
    assert_eq!(paths(&store, query()).await, ["/3700"]);
    store.close().await;
}

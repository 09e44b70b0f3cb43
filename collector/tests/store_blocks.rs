//! Merges of blocks and their retention by size, the same tests on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sidelight_collector::store::span_block::SpanCompact;
use sidelight_collector::store::{
    AttributeValue, BlockHead, BlockWrite, Compact, EncodedBlock, Family, LEVEL_CORRUPT, LEVEL_DENSE, LEVEL_MERGED,
    LEVEL_WRITTEN, Order, Resource, Retention, Span, Store, TRACE_SPANS_MAX, TraceQuery, WriteBatch,
};
use support::place::Place;

/// A round hour.
const T: i64 = 1_795_413_600;

on_both!(
    small_blocks_become_dense,
    few_blocks_wait_for_the_end_of_their_slice,
    what_fills_a_block_is_written_dense,
    a_merge_that_is_cut_off_loses_nothing,
    a_corrupt_block_is_set_aside,
    blocks_stay_below_their_bytes,
    a_trace_that_has_everything_is_cut,
);

fn span(trace: u32, id: u8, start_s: i64) -> Span {
    let mut trace_id = [0; 16];
    trace_id[..4].copy_from_slice(&trace.to_be_bytes());
    Span {
        trace_id,
        id: [id; 8],
        resource: Arc::new(Resource { service: "cart".into(), ..Resource::default() }),
        name: "GET /".into(),
        start_ns: start_s * 1_000_000_000 + i64::from(id),
        duration_ns: 1000,
        attributes: vec![("number".into(), AttributeValue::Int(i64::from(trace)))],
        ..Span::default()
    }
}

fn batch(spans: Vec<Span>) -> WriteBatch {
    WriteBatch { spans: vec![("zipkin", spans)], ..WriteBatch::default() }
}

/// Batch `n` has a span of each of ten traces.
async fn write(store: &dyn Store, batches: std::ops::Range<u8>) {
    for n in batches {
        store.write(&batch((0..10).map(|trace| span(trace, n, T + i64::from(n))).collect())).await.unwrap();
    }
}

fn spans() -> Arc<dyn Compact> {
    Arc::new(SpanCompact)
}

async fn heads(store: &dyn Store) -> Vec<BlockHead> {
    store.blocks(Family::SpanBlock, 0..i64::MAX, Order::OldestFirst, 10_000).await.unwrap()
}

/// Merges until nothing is left to do; how often.
async fn merge_all(store: &dyn Store, now_s: i64) -> usize {
    let mut merges = 0;
    while store.merge_blocks(&spans(), now_s * 1000).await.unwrap().is_some() {
        merges += 1;
        assert!(merges < 1000, "merges do not end");
    }
    merges
}

async fn check(store: &dyn Store, spans_each: u8) {
    for trace in 0..10 {
        let expected: Vec<Span> = (0..spans_each).map(|n| span(trace, n, T + i64::from(n))).collect();
        assert_eq!(store.trace(expected[0].trace_id).await.unwrap(), expected);
    }
    let annotations = vec![("number".to_owned(), Some("7".to_owned()))];
    let query = TraceQuery { annotations, to_us: i64::MAX, limit: 20, ..TraceQuery::default() };
    let found = store.find_traces(&query).await.unwrap();
    assert_eq!((found.is_cut, found.traces.len(), found.traces[0].len()), (false, 1, usize::from(spans_each)));
}

async fn small_blocks_become_dense(place: &Place) {
    let store = place.open().await;
    // The last ten batches twice, as two collectors might store them.
    write(&*store, 0..100).await;
    write(&*store, 90..100).await;
    let before = heads(&*store).await;
    assert_eq!((before.len(), before[0].level, before[0].items), (110, LEVEL_WRITTEN, 10));
    assert_eq!(merge_all(&*store, T + 200).await, 1);
    let after = heads(&*store).await;
    assert_eq!((after.len(), after[0].level, after[0].items), (1, LEVEL_MERGED, 1000));
    assert_eq!((after[0].from_us, after[0].to_us), (T * 1_000_000, (T + 99) * 1_000_000));
    check(&*store, 100).await;
    // At the end of the slice the rest joins, and then it is left alone.
    write(&*store, 100..103).await;
    assert_eq!(merge_all(&*store, T + 3600 + 301).await, 1);
    let after = heads(&*store).await;
    assert_eq!((after.len(), after[0].level, after[0].items), (1, LEVEL_DENSE, 1030));
    check(&*place.open().await, 103).await;
    // What comes even later is looked at again.
    write(&*store, 103..105).await;
    assert_eq!(merge_all(&*store, T + 7200).await, 1);
    assert_eq!(heads(&*store).await.iter().map(|head| head.items).sum::<u32>(), 1050);
    check(&*store, 105).await;
}

async fn few_blocks_wait_for_the_end_of_their_slice(place: &Place) {
    let store = place.open().await;
    write(&*store, 0..63).await;
    assert_eq!(merge_all(&*store, T + 3600 + 299).await, 0);
    assert_eq!(merge_all(&*store, T + 3600 + 301).await, 1);
    assert_eq!(heads(&*store).await.len(), 1);
    // Many spans in few blocks do not.
    let many = |n: u32| batch((0..3000).map(|trace| span(n * 3000 + trace, 1, T + 7200)).collect());
    store.write(&many(0)).await.unwrap();
    store.write(&many(1)).await.unwrap();
    assert_eq!(merge_all(&*store, T + 7200).await, 0);
    store.write(&many(2)).await.unwrap();
    assert_eq!(merge_all(&*store, T + 7200).await, 1);
    let items: Vec<(u8, u32)> = heads(&*store).await[1..].iter().map(|head| (head.level, head.items)).collect();
    assert_eq!(items, [(LEVEL_DENSE, 8192), (LEVEL_MERGED, 808)]);
}

async fn what_fills_a_block_is_written_dense(place: &Place) {
    let store = place.open().await;
    // Each trace has two spans that come apart, in the wrong order.
    let halves = |id: u8| (0..4500).rev().map(move |trace| span(trace, id, T + i64::from(id)));
    store.write(&batch(halves(2).chain(halves(1)).collect())).await.unwrap();
    let levels = |mut heads: Vec<BlockHead>| -> Vec<(u8, u32)> {
        heads.sort_by_key(|head| std::cmp::Reverse(head.items));
        heads.iter().map(|head| (head.level, head.items)).collect()
    };
    assert_eq!(levels(heads(&*store).await), [(LEVEL_DENSE, 8192), (LEVEL_WRITTEN, 808)]);
    for trace in [0, 7, 4095, 4096, 4499] {
        let expected = vec![span(trace, 1, T + 1), span(trace, 2, T + 2)];
        assert_eq!(store.trace(expected[0].trace_id).await.unwrap(), expected);
    }
    // Only what is small is merged.
    write(&*store, 10..20).await;
    assert_eq!(merge_all(&*store, T + 3600 + 301).await, 1);
    assert_eq!(levels(heads(&*store).await), [(LEVEL_DENSE, 8192), (LEVEL_DENSE, 908)]);
}

async fn a_merge_that_is_cut_off_loses_nothing(place: &Place) {
    let store = place.open().await;
    write(&*store, 0..40).await;
    for attempt in 0..30 {
        let cut_off = Duration::from_micros(500 * attempt);
        let _ = tokio::time::timeout(cut_off, store.merge_blocks(&spans(), (T + 7200) * 1000)).await;
        check(&*store, 40).await;
    }
    // Two collectors at once.
    let other = place.open().await;
    write(&*store, 40..80).await;
    let now_ms = (T + 7200) * 1000;
    let how = spans();
    let (one, two) = tokio::join!(store.merge_blocks(&how, now_ms), other.merge_blocks(&how, now_ms));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    check(&*store, 80).await;
    assert_eq!(heads(&*store).await.iter().map(|head| head.items).sum::<u32>(), 800);
}

async fn a_corrupt_block_is_set_aside(place: &Place) {
    let store = place.open().await;
    write(&*store, 0..5).await;
    let good = heads(&*store).await.remove(0);
    let block = EncodedBlock {
        family: Family::SpanBlock,
        slice_s: T,
        shard: 0,
        from_us: T * 1_000_000,
        to_us: T * 1_000_000,
        items: 3,
        summary: good.summary,
        data: vec![1, 2, 3],
    };
    let blocks = vec![BlockWrite { door: "zipkin", signal: "spans", block }];
    store.write(&WriteBatch { blocks, ..WriteBatch::default() }).await.unwrap();
    write(&*store, 5..10).await;
    // Once to find it, once for the others.
    assert_eq!(merge_all(&*store, T + 7200).await, 2);
    assert_eq!(store.corrupt_blocks(), 1);
    let mut after: Vec<(u8, u32)> = heads(&*store).await.iter().map(|head| (head.level, head.items)).collect();
    after.sort_unstable();
    assert_eq!(after, [(LEVEL_DENSE, 100), (LEVEL_CORRUPT, 3)]);
    check(&*store, 10).await;
}

async fn a_trace_that_has_everything_is_cut(place: &Place) {
    let store = place.open().await;
    for n in 0..4i64 {
        let spans = (0..8_000).map(|number: i64| {
            let id = (n * 8_000 + number).to_be_bytes();
            Span { id, ..span(1, 0, T + n) }
        });
        store.write(&batch(spans.collect())).await.unwrap();
    }
    let trace = store.trace(span(1, 0, T).trace_id).await.unwrap();
    assert_eq!(trace.len(), TRACE_SPANS_MAX);
    let query = TraceQuery { to_us: i64::MAX, limit: 5, ..TraceQuery::default() };
    let found = store.find_traces(&query).await.unwrap();
    assert_eq!((found.traces.len(), found.traces[0].len()), (1, TRACE_SPANS_MAX));
}

fn heavy(from_s: i64, bytes: usize) -> WriteBatch {
    let block = EncodedBlock {
        family: Family::LogBlock,
        slice_s: Family::LogBlock.slice_at(from_s).from_s,
        shard: 0,
        from_us: from_s * 1_000_000,
        to_us: from_s * 1_000_000,
        items: 1,
        summary: Vec::new(),
        data: vec![7; bytes],
    };
    let blocks = vec![BlockWrite { door: "als", signal: "logs", block }];
    WriteBatch { blocks, ..WriteBatch::default() }
}

async fn blocks_stay_below_their_bytes(place: &Place) {
    let store = place.open().await;
    write(&*store, 0..3).await;
    let all = Duration::from_secs(1 << 40);
    let times = Retention { spans: all, logs: all, ..Retention::default() };
    let retention = Retention { logs_bytes: Some(1_000_000), ..times };
    for hour in 0..10 {
        store.write(&heavy(T + hour * 3600, 300_000)).await.unwrap();
    }
    let dropped = store.drop_old(&retention, T * 1000).await.unwrap();
    assert_eq!(dropped, (0..7).map(|hour| Family::LogBlock.slice_at(T + hour * 3600)).collect::<Vec<_>>());
    assert_eq!(store.block_bytes().await.unwrap()[1], (Family::LogBlock, 3 * 300_150));
    // One slice alone: its oldest blocks go.
    for n in 1..=40 {
        store.write(&heavy(T + 9 * 3600 + n, 100_000)).await.unwrap();
    }
    let dropped = store.shrink_blocks(&retention).await.unwrap();
    assert_eq!(dropped.len(), 2);
    let left = store.blocks(Family::LogBlock, 0..i64::MAX, Order::OldestFirst, 100).await.unwrap();
    let starts: Vec<i64> = left.iter().map(|head| head.from_us / 1_000_000 - T - 9 * 3600).collect();
    assert_eq!(starts, (32..=40).collect::<Vec<_>>());
    assert!(store.shrink_blocks(&retention).await.unwrap().is_empty());
    // Spans have no limit.
    check(&*store, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_does_not_outgrow_what_is_kept() {
    let place = Place::sqlite();
    let Place::Sqlite(folder) = &place else { unreachable!() };
    let path = folder.path().join("sidelight.db");
    let store = place.open().await;
    let all = Duration::from_secs(1 << 40);
    let retention = Retention { logs: all, logs_bytes: Some(10_000_000), ..Retention::default() };
    for hour in 0..60 {
        store.write(&heavy(T + hour * 3600, 2_000_000)).await.unwrap();
        store.drop_old(&retention, T * 1000).await.unwrap();
    }
    store.close().await;
    let kept = std::fs::metadata(&path).unwrap().len();
    assert!(kept < 20_000_000, "{kept} bytes for 10 MB");
    // With less to keep the file becomes smaller.
    let store = place.open().await;
    store.drop_old(&Retention { logs_bytes: Some(1), ..retention }, T * 1000).await.unwrap();
    store.close().await;
    let left = std::fs::metadata(&path).unwrap().len();
    assert!(left < kept / 4, "{left} of {kept} bytes are left");
}

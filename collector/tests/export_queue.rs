//! The queue in front of exporters, on both databases: nothing is lost, nothing is given to two at once, and it is bounded.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use sidelight_collector::clock::now_ms;
use sidelight_collector::store::{Claim, ExportQueue, Resource, Span, Store, WriteBatch, span_block};
use support::place::Place;

on_both!(
    what_is_stored_is_queued_with_it,
    two_collectors_never_hold_the_same,
    few_spans_wait_for_company,
    the_oldest_go_when_there_are_too_many,
    what_nobody_sends_expires,
    a_killed_holder_is_followed_by_another
);

const LATER: i64 = i64::MAX / 2;

fn claim(holder: i64, items: u64) -> Claim {
    Claim { exporter: "otlp", holder, now_ms: now_ms(), until_ms: now_ms() + 60_000, items, overdue_before_ms: LATER }
}

/// Stores `count` spans, in a block of their own, whose ids begin with `block`.
async fn store_spans(store: &Arc<dyn Store>, block: u8, count: u8) {
    let resource = Arc::new(Resource { service: "reviews".into(), ..Resource::default() });
    let span = |n| Span {
        trace_id: [block; 16],
        id: [block, n, 1, 1, 1, 1, 1, 1],
        resource: Arc::clone(&resource),
        name: "GET /".to_owned(),
        start_ns: now_ms() * 1_000_000,
        duration_ns: 5_000_000,
        ..Span::default()
    };
    let spans = (0..count).map(span).collect();
    store.write(&WriteBatch { spans: vec![("otlp", spans)], ..WriteBatch::default() }).await.unwrap();
}

async fn queued(queue: &Arc<dyn ExportQueue>) -> (u64, u64) {
    let state = queue.queue_state("otlp").await.unwrap();
    (state.blocks, state.items)
}

async fn what_is_stored_is_queued_with_it(place: &Place) {
    let (store, queue) = place.open_with_queue().await;
    store_spans(&store, 1, 3).await;
    assert_eq!(queued(&queue).await, (0, 0), "nobody exports");
    queue.queue_for(vec!["otlp", "zipkin"]);
    store_spans(&store, 2, 3).await;
    assert_eq!(queued(&queue).await, (1, 3));
    assert_eq!(queue.queue_state("zipkin").await.unwrap().items, 3);
    // As after a kill: the store is opened again without having been closed.
    let (store, queue) = place.open_with_queue().await;
    let blocks = queue.claim(&claim(7, 100)).await.unwrap();
    assert_eq!(blocks.len(), 1);
    let spans = span_block::decode(&blocks[0].data).unwrap();
    let stored = store.trace([2; 16]).await.unwrap();
    assert_eq!((spans.len(), spans == stored), (3, true), "{spans:?} {stored:?}");
    queue.done(&[blocks[0].id]).await.unwrap();
    assert_eq!(queued(&queue).await, (0, 0));
    assert_eq!(queue.queue_state("zipkin").await.unwrap().items, 3, "each exporter has its own");
}

async fn two_collectors_never_hold_the_same(place: &Place) {
    let (store, queue) = place.open_with_queue().await;
    queue.queue_for(vec!["otlp"]);
    for block in 1..=20 {
        store_spans(&store, block, 2).await;
    }
    let collector = |holder: i64| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut mine: Vec<i64> = Vec::new();
            loop {
                let blocks = queue.claim(&claim(holder, 4)).await.unwrap();
                let ids: Vec<i64> = blocks.iter().map(|block| block.id).collect();
                mine.extend(&ids);
                // Another one may have been quicker every time: done only when there is nothing left.
                if ids.is_empty() && queue.queue_state("otlp").await.unwrap().blocks == 0 {
                    return mine;
                }
                queue.done(&ids).await.unwrap();
            }
        })
    };
    let (first, second) = (collector(1), collector(2));
    let mut all = first.await.unwrap();
    all.extend(second.await.unwrap());
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((count, all.len()), (20, 20));
}

async fn few_spans_wait_for_company(place: &Place) {
    let (store, queue) = place.open_with_queue().await;
    queue.queue_for(vec!["otlp"]);
    store_spans(&store, 1, 3).await;
    let patient = |items| Claim { overdue_before_ms: now_ms() - 60_000, ..claim(1, items) };
    assert_eq!(queue.claim(&patient(5)).await.unwrap(), []);
    store_spans(&store, 2, 3).await;
    store_spans(&store, 3, 3).await;
    let blocks = queue.claim(&patient(5)).await.unwrap();
    assert_eq!(blocks.iter().map(|block| block.items).collect::<Vec<_>>(), [3, 3]);
    assert!(blocks[0].id < blocks[1].id, "oldest first");
    queue.release(1, &[blocks[0].id]).await.unwrap();
    let again = queue.claim(&claim(2, 1)).await.unwrap();
    assert_eq!(again.iter().map(|block| block.id).collect::<Vec<_>>(), [blocks[0].id]);
}

async fn the_oldest_go_when_there_are_too_many(place: &Place) {
    let (store, queue) = place.open_with_queue().await;
    queue.queue_for(vec!["otlp"]);
    for block in 1..=10 {
        store_spans(&store, block, 10).await;
    }
    let held = queue.claim(&claim(1, 10)).await.unwrap();
    let bytes = queue.queue_state("otlp").await.unwrap().bytes;
    assert_eq!(queue.trim_to("otlp", bytes, now_ms()).await.unwrap(), 0);
    let dropped = queue.trim_to("otlp", bytes / 2, now_ms()).await.unwrap();
    let state = queue.queue_state("otlp").await.unwrap();
    assert_eq!(dropped + state.items, 100, "every span is either there or counted");
    assert!(state.bytes <= bytes / 2, "{state:?}");
    assert!((40..=50).contains(&state.items), "{state:?}");
    assert_eq!(queue.renew(1, &[held[0].id], now_ms() + 60_000).await.unwrap(), 1, "what is being sent stays");
    let newest = queue.claim(&claim(2, 1000)).await.unwrap();
    assert_eq!(span_block::decode(&newest.last().unwrap().data).unwrap()[0].trace_id, [10; 16]);
}

async fn what_nobody_sends_expires(place: &Place) {
    let (store, queue) = place.open_with_queue().await;
    queue.queue_for(vec!["otlp", "zipkin"]);
    store_spans(&store, 1, 4).await;
    assert_eq!(queue.expire(now_ms() - 60_000, now_ms()).await.unwrap(), []);
    let mut expired = queue.expire(LATER, now_ms()).await.unwrap();
    expired.sort();
    assert_eq!(expired, [("otlp".to_owned(), 4), ("zipkin".to_owned(), 4)]);
    assert_eq!(queued(&queue).await, (0, 0));
}

async fn a_killed_holder_is_followed_by_another(place: &Place) {
    let (store, queue) = place.open_with_queue().await;
    queue.queue_for(vec!["otlp"]);
    store_spans(&store, 1, 4).await;
    let blocks = queue.claim(&claim(1, 1)).await.unwrap();
    assert_eq!(queue.claim(&claim(2, 1)).await.unwrap(), []);
    let after_the_lease = Claim { now_ms: now_ms() + 61_000, until_ms: now_ms() + 120_000, ..claim(2, 1) };
    assert_eq!(queue.claim(&after_the_lease).await.unwrap(), blocks);
    assert_eq!(queue.renew(1, &[blocks[0].id], LATER).await.unwrap(), 0, "the first learns that it is too late");
    queue.take_over().await.unwrap();
    assert_eq!(queue.claim(&claim(3, 1)).await.unwrap(), blocks);
}

//! The contract of `Store`, the same tests on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sidelight_collector::store::{
    AttributeValue, Counts, Edge, EdgeLabels, Family, Histogram, Resource, Retention, SampleWrite, ScrapeBatch, Span, SpanEvent,
    SpanKind, Store, Totals, TraceQuery, WriteBatch, in_namespaces,
};
use sidelight_collector::store::{BlockHead, BlockWrite, DELIVERIES_KEPT, Delivery, EncodedBlock, LEVEL_WRITTEN, Order, Window};
use support::place::Place;

/// A round hour, so that the steps below are easy to read.
const T: i64 = 1_795_413_600;
const BOUNDS: [f64; 3] = [1.0, 5.0, 10.0];

on_both!(
    an_empty_store_answers_nothing,
    rollups_add_up_in_every_window,
    a_second_writer_of_the_same_scrape_stores_nothing,
    everything_survives_a_restart,
    filters_choose_edges,
    series_have_steps_and_groups,
    retention_drops_slices_and_coarser_steps_answer,
    a_gone_series_is_forgotten,
    unused_edges_are_forgotten,
    an_edge_that_is_forgotten_while_it_is_written_is_there,
    spans_are_read_once,
    names_of_spans_are_bounded,
    a_search_stops_at_the_newest,
    a_corrupt_block_is_skipped,
    traces_are_found,
    counts_are_exact,
    many_rows_are_written_at_once,
    a_retried_request_is_stored_once,
    any_number_of_requests_is_forgotten,
    a_slice_that_another_collector_dropped_is_made_again,
    blocks_are_written_and_found,
    edges_of_logs_and_spans_are_their_own,
);

fn edge(namespace: &str, destination: &str, code: &str) -> Arc<Edge> {
    let labels = EdgeLabels {
        reporter: "source".into(),
        source_workload: "productpage-v1".into(),
        source_workload_namespace: namespace.into(),
        destination_workload: destination.into(),
        destination_workload_namespace: namespace.into(),
        response_code: code.into(),
        ..EdgeLabels::default()
    };
    Arc::new(Edge::new(Arc::new(labels), Arc::from(BOUNDS)))
}

fn totals(requests: u64) -> Totals {
    Totals {
        requests,
        duration: Histogram { bounds: Arc::from(BOUNDS), counts: vec![requests, 0, 0, 0], sum: requests as f64 / 2.0 },
        request_bytes: 10.0 * requests as f64,
        response_bytes: 0.0,
        ..Totals::default()
    }
}

fn scrape(version: i64, at_s: i64, edge: &Arc<Edge>, counter: u64, added: u64) -> ScrapeBatch {
    ScrapeBatch {
        target: "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local".into(),
        namespace: "bookinfo".into(),
        version,
        scraped_at_ms: at_s * 1000,
        uptime_s: Some((at_s - T) as f64),
        started_at_s: None,
        counters: vec![(edge.clone(), totals(counter))],
        gone: Vec::new(),
        added: vec![(at_s - at_s % 10, edge.clone(), totals(added))],
        samples: SampleWrite::default(),
        counts: Counts::default(),
    }
}

fn one(scrape: ScrapeBatch) -> WriteBatch {
    WriteBatch { scrapes: vec![scrape], ..WriteBatch::default() }
}

fn window(from_s: i64, to_s: i64) -> Window {
    Window { from_ms: from_s * 1000, to_ms: to_s * 1000 }
}

async fn an_empty_store_answers_nothing(place: &Place) {
    let store = place.open().await;
    assert!(store.edges(window(T, T + 3600), None).await.unwrap().edges.is_empty());
    assert_eq!(store.last_sample_ms(&[], i64::MAX).await.unwrap(), None);
    assert!(store.namespaces().await.unwrap().is_empty());
    assert!(store.target("nobody").await.unwrap().is_none());
    assert!(store.services().await.unwrap().is_empty());
    assert!(store.trace([1; 16]).await.unwrap().is_empty());
    assert!(store.ingest_counts().await.unwrap().is_empty());
    assert!(store.created_at_ms().await.unwrap() > 1_700_000_000_000);
}

async fn rollups_add_up_in_every_window(place: &Place) {
    let store = place.open().await;
    let edge = edge("bookinfo", "reviews-v1", "200");
    // One request in the first ten seconds, two in the next, and so on, for three hours and ten minutes.
    let mut counter = 0;
    for (version, number) in (1..=1140u64).enumerate() {
        counter += number;
        let at_s = T + (number as i64 - 1) * 10 + 5;
        let batch = one(scrape(i64::try_from(version).unwrap(), at_s, &edge, counter, number));
        assert_eq!(store.write(&batch).await.unwrap().scrapes, [Some(version as i64 + 1)]);
    }
    let sum = |from: i64, to: i64| (from..to).map(|step| step as u64 + 1).sum::<u64>();
    for (from, to) in [(0, 1140), (0, 6), (5, 7), (359, 721), (360, 720), (100, 1100), (1139, 1140)] {
        let answer = store.edges(window(T + from * 10, T + to * 10), None).await.unwrap();
        assert_eq!(answer.window, window(T + from * 10, T + to * 10));
        assert_eq!(answer.edges.len(), 1);
        assert_eq!(answer.edges[0].totals, totals(sum(from, to)), "steps {from} to {to}");
        assert_eq!(answer.edges[0].labels, edge.labels);
    }
}

async fn a_second_writer_of_the_same_scrape_stores_nothing(place: &Place) {
    let store = place.open().await;
    let edge = edge("bookinfo", "reviews-v1", "200");
    assert_eq!(store.write(&one(scrape(0, T, &edge, 5, 5))).await.unwrap().scrapes, [Some(1)]);
    assert_eq!(store.write(&one(scrape(0, T + 1, &edge, 5, 5))).await.unwrap().scrapes, [None]);
    assert_eq!(store.write(&one(scrape(1, T + 2, &edge, 7, 2))).await.unwrap().scrapes, [Some(2)]);
    assert_eq!(store.write(&one(scrape(1, T + 2, &edge, 7, 2))).await.unwrap().scrapes, [None]);
    assert_eq!(store.edges(window(T, T + 60), None).await.unwrap().edges[0].totals.requests, 7);
}

async fn everything_survives_a_restart(place: &Place) {
    let edge = edge("bookinfo", "reviews-v1", "200");
    let key = "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local";
    let created = {
        let store = place.open().await;
        store.write(&one(scrape(0, T + 3, &edge, 5, 5))).await.unwrap();
        // Dropped without closing, as when the process is killed.
        store.created_at_ms().await.unwrap()
    };
    let store = place.open().await;
    let target = store.target(key).await.unwrap().unwrap();
    assert_eq!((target.version, target.scraped_at_ms, target.uptime_s), (1, (T + 3) * 1000, Some(3.0)));
    assert_eq!(target.counters, [(edge.clone(), totals(5))]);
    assert_eq!(store.edges(window(T, T + 60), None).await.unwrap().edges[0].totals, totals(5));
    assert_eq!(store.last_sample_ms(&["bookinfo".into()], i64::MAX).await.unwrap(), Some((T + 3) * 1000));
    assert_eq!(store.last_sample_ms(&["other".into()], i64::MAX).await.unwrap(), None);
    // Before the scrape there was nothing; a window that ends within its step holds a part of it.
    assert_eq!(store.last_sample_ms(&[], T * 1000).await.unwrap(), None);
    assert_eq!(store.last_sample_ms(&["bookinfo".into()], (T + 2) * 1000).await.unwrap(), Some((T + 2) * 1000));
    assert_eq!(store.created_at_ms().await.unwrap(), created);
    assert_eq!(store.edge_count(), 1);
    store.close().await;
}

async fn filters_choose_edges(place: &Place) {
    let store = place.open().await;
    let (here, there) = (edge("bookinfo", "reviews-v1", "200"), edge("shop", "cart", "503"));
    let mut batch = scrape(0, T, &here, 5, 5);
    batch.added.push((T, there.clone(), totals(2)));
    store.write(&one(batch)).await.unwrap();
    let answer = store.edges(window(T, T + 10), Some(in_namespaces(&["shop".into()]))).await.unwrap();
    assert_eq!(answer.edges.len(), 1);
    assert_eq!((&*answer.edges[0].labels.response_code, answer.edges[0].totals.requests), ("503", 2));
    assert!(store.edges(window(T, T + 10), Some(in_namespaces(&["x".into()]))).await.unwrap().edges.is_empty());
    // Told by a target of another namespace, as configured targets do that name none.
    assert_eq!(store.last_sample_ms(&["shop".into()], (T + 60) * 1000).await.unwrap(), Some((T + 10) * 1000));
    assert_eq!(store.namespaces().await.unwrap(), ["bookinfo", "shop"]);
    assert_eq!(store.known_edges().await.unwrap().len(), 2);
}

async fn series_have_steps_and_groups(place: &Place) {
    let store = place.open().await;
    let (good, bad) = (edge("bookinfo", "reviews-v1", "200"), edge("bookinfo", "reviews-v1", "500"));
    let mut batch = scrape(0, T + 130, &good, 5, 5);
    batch.added.extend([(T, good.clone(), totals(1)), (T + 50, good.clone(), totals(2)), (T + 60, bad, totals(3))]);
    store.write(&one(batch)).await.unwrap();
    let by_code = Arc::new(|labels: &EdgeLabels| Some(u8::from(labels.response_code.starts_with('5'))));
    let answer = store.edge_series(window(T, T + 180), 60, by_code).await.unwrap();
    assert_eq!((answer.step_s, answer.window), (60, window(T, T + 180)));
    let points: Vec<(i64, u8, u64)> =
        answer.points.iter().map(|point| (point.t_ms / 1000 - T, point.group, point.totals.requests)).collect();
    assert_eq!(points, [(0, 0, 3), (60, 1, 3), (120, 0, 5)]);
    let only_bad = Arc::new(|labels: &EdgeLabels| labels.response_code.starts_with('5').then_some(7));
    let answer = store.edge_series(window(T, T + 180), 20, only_bad).await.unwrap();
    assert_eq!(answer.points.len(), 1);
    assert_eq!((answer.points[0].t_ms, answer.points[0].group), ((T + 60) * 1000, 7));
}

async fn retention_drops_slices_and_coarser_steps_answer(place: &Place) {
    let store = place.open().await;
    let edge = edge("bookinfo", "reviews-v1", "200");
    for (version, at_s) in [T + 15, T + 75, T + 7215].into_iter().enumerate() {
        store.write(&one(scrape(version as i64, at_s, &edge, 1 + version as u64, 1))).await.unwrap();
    }
    let retention = Retention { fine: Duration::from_secs(3600), ..Retention::default() };
    let dropped = store.drop_old(&retention, (T + 10_800) * 1000).await.unwrap();
    assert_eq!(dropped, [Family::TenSeconds.slice_at(T)]);
    assert!(store.drop_old(&retention, (T + 10_800) * 1000).await.unwrap().is_empty());
    let answer = store.edges(window(T + 10, T + 20), None).await.unwrap();
    assert_eq!((answer.window, answer.edges[0].totals.requests), (window(T, T + 60), 1));
    let answer = store.edges(window(T + 10, T + 7220), None).await.unwrap();
    assert_eq!((answer.window, answer.edges[0].totals.requests), (window(T, T + 7220), 3));
    // A late write makes its slice anew.
    store.write(&one(scrape(3, T + 7230, &edge, 4, 1))).await.unwrap();
    let mut late = scrape(4, T + 7240, &edge, 5, 0);
    late.added = vec![(T, edge.clone(), totals(1))];
    store.write(&one(late)).await.unwrap();
    assert_eq!(store.edges(window(T, T + 60), None).await.unwrap().edges[0].totals.requests, 2);
}

/// Far behind everything that is written here.
const LATER_MS: i64 = (T + 60 * 86_400) * 1000;

/// Drops all rollups and targets, and what then is named by nothing.
async fn forget_everything(store: &dyn Store) -> u64 {
    let short = Duration::from_secs(3600);
    let mut retention = Retention::default();
    (retention.fine, retention.minutes, retention.hours) = (short, short, short);
    store.drop_old(&retention, LATER_MS).await.unwrap();
    store.forget_edges(4_000_000_000_000).await.unwrap()
}

async fn unused_edges_are_forgotten(place: &Place) {
    let (store, other) = (place.open().await, place.open().await);
    let (a, b) = (edge("bookinfo", "reviews-v1", "200"), edge("bookinfo", "reviews-v2", "200"));
    store.write(&one(scrape(0, T, &a, 5, 5))).await.unwrap();
    store.write(&one(scrape(1, T + 15, &b, 5, 5))).await.unwrap();
    assert_eq!(other.known_edges().await.unwrap().len(), 2);
    assert_eq!(store.forget_edges(4_000_000_000_000).await.unwrap(), 0, "both are in rollups");
    assert_eq!(forget_everything(&*store).await, 2);
    assert_eq!((store.known_edges().await.unwrap().len(), store.edge_count()), (0, 0));
    assert!(!store.knows_edge(&a.labels));
    // The other collector still holds the ids in memory, and needs one of them.
    assert!(other.knows_edge(&a.labels));
    other.write(&one(scrape(0, T, &a, 7, 7))).await.unwrap();
    let answer = store.edges(window(T, T + 10), None).await.unwrap();
    assert_eq!((answer.edges.len(), answer.edges[0].totals.requests), (1, 7));
    assert_eq!(answer.edges[0].labels, a.labels);
    assert_eq!(other.known_edges().await.unwrap(), std::slice::from_ref(&a.labels));
    assert_eq!((other.edge_count(), other.knows_edge(&b.labels)), (1, false));
}

async fn an_edge_that_is_forgotten_while_it_is_written_is_there(place: &Place) {
    let (store, other) = (place.open().await, place.open().await);
    let edges: Vec<Arc<Edge>> = (0..12).map(|number| edge("bookinfo", &format!("w-{number}"), "200")).collect();
    for (version, edge) in edges.iter().enumerate() {
        assert_eq!(store.write(&one(scrape(0, T, edge, 1, 1))).await.unwrap().scrapes, [Some(1)]);
        other.known_edges().await.unwrap();
        // Its series goes with the target, its rollups with the slices; then both at once.
        let (forgotten, written) = tokio::join!(forget_everything(&*store), async {
            tokio::time::sleep(Duration::from_millis(version as u64)).await;
            let mut again = scrape(0, T, edge, 1, 1);
            again.target = format!("target-{version}").into();
            again.scraped_at_ms = LATER_MS;
            again.added[0].0 = LATER_MS / 1000;
            other.write(&one(again)).await.unwrap()
        });
        assert!(forgotten <= 1);
        assert_eq!(written.scrapes, [Some(1)]);
        let answer = store.edges(window(LATER_MS / 1000, LATER_MS / 1000 + 10), None).await.unwrap();
        assert_eq!(answer.edges.len(), version + 1, "after edge {version}");
        assert_eq!(store.target(&format!("target-{version}")).await.unwrap().unwrap().counters.len(), 1);
    }
}

async fn a_gone_series_is_forgotten(place: &Place) {
    let store = place.open().await;
    let edge = edge("bookinfo", "reviews-v1", "200");
    let first = scrape(0, T, &edge, 5, 5);
    let key = first.target.clone();
    store.write(&one(first)).await.unwrap();
    let gone = ScrapeBatch { counters: vec![], added: vec![], gone: vec![edge.clone()], ..scrape(1, T + 10, &edge, 0, 0) };
    store.write(&one(gone)).await.unwrap();
    assert!(store.target(&key).await.unwrap().unwrap().counters.is_empty());
    assert_eq!(store.edges(window(T, T + 60), None).await.unwrap().edges[0].totals.requests, 5);
}

fn span(trace: u8, id: u8, service: &str, start_s: i64) -> Span {
    Span {
        trace_id: [trace; 16],
        id: [id; 8],
        parent_id: (id > 1).then(|| [id - 1; 8]),
        kind: if id.is_multiple_of(2) { SpanKind::Server } else { SpanKind::Client },
        resource: Arc::new(Resource { service: service.into(), ..Resource::default() }),
        name: format!("{service}:9080/*"),
        start_ns: start_s * 1_000_000_000 + i64::from(id) * 1000,
        duration_ns: i64::from(id) * 1_000_000,
        attributes: vec![("http.status_code".into(), AttributeValue::text("200"))],
        events: vec![SpanEvent { at_ns: start_s * 1_000_000_000, name: "cr".into(), attributes: Vec::new() }],
        ..Span::default()
    }
}

async fn spans_are_read_once(place: &Place) {
    let store = place.open().await;
    let spans = vec![span(1, 1, "productpage.bookinfo", T), span(1, 2, "reviews.bookinfo", T)];
    let batch = WriteBatch { spans: vec![("zipkin", spans.clone())], ..WriteBatch::default() };
    let report = store.write(&batch).await.unwrap();
    assert_eq!((report.spans_stored, report.spans_duplicate), (2, 0));
    // The same spans in another request, which the door cannot tell from new ones.
    let mut again = spans.clone();
    again.push(span(1, 3, "reviews.bookinfo", T));
    again.push(span(1, 3, "reviews.bookinfo", T));
    let report = store.write(&WriteBatch { spans: vec![("zipkin", again)], ..WriteBatch::default() }).await.unwrap();
    assert_eq!((report.spans_stored, report.spans_duplicate), (4, 0));
    let trace = store.trace([1; 16]).await.unwrap();
    assert_eq!(trace, [spans[0].clone(), spans[1].clone(), span(1, 3, "reviews.bookinfo", T)]);
    let query = TraceQuery { to_us: i64::MAX, limit: 10, ..TraceQuery::default() };
    assert_eq!(store.find_traces(&query).await.unwrap().traces, [trace]);
    assert_eq!(store.ingest_counts().await.unwrap(), [("zipkin".into(), "spans".into(), "stored".into(), 6)]);
}

async fn traces_are_found(place: &Place) {
    let store = place.open().await;
    let mut failed = span(3, 2, "reviews.bookinfo", T + 7200);
    failed.attributes.push(("error".into(), AttributeValue::text("503")));
    failed.is_error = true;
    failed.shared = true;
    let spans = vec![
        span(1, 1, "productpage.bookinfo", T),
        span(1, 2, "reviews.bookinfo", T),
        span(2, 1, "productpage.bookinfo", T + 3599),
        span(2, 9, "ratings.bookinfo", T + 3600),
        failed.clone(),
    ];
    store.write(&WriteBatch { spans: vec![("zipkin", spans)], ..WriteBatch::default() }).await.unwrap();
    assert_eq!(store.services().await.unwrap(), ["productpage.bookinfo", "ratings.bookinfo", "reviews.bookinfo"]);
    assert_eq!(store.span_names("ratings.bookinfo").await.unwrap(), ["ratings.bookinfo:9080/*"]);
    let all = TraceQuery { from_us: T * 1_000_000, to_us: (T + 8000) * 1_000_000, limit: 10, ..TraceQuery::default() };
    let found = async |query: TraceQuery| -> Vec<u8> {
        store.find_traces(&query).await.unwrap().traces.iter().map(|trace| trace[0].trace_id[0]).collect()
    };
    assert_eq!(found(all.clone()).await, [3, 2, 1]);
    assert_eq!(found(TraceQuery { limit: 2, ..all.clone() }).await, [3, 2]);
    assert_eq!(found(TraceQuery { service: Some("reviews.bookinfo".into()), ..all.clone() }).await, [3, 1]);
    assert_eq!(found(TraceQuery { service: Some("nobody".into()), ..all.clone() }).await, [0u8; 0]);
    assert_eq!(found(TraceQuery { duration_us_min: Some(9000), ..all.clone() }).await, [2]);
    assert_eq!(found(TraceQuery { name: Some("ratings.bookinfo:9080/*".into()), ..all.clone() }).await, [2]);
    assert_eq!(found(TraceQuery { annotations: vec![("error".into(), None)], ..all.clone() }).await, [3]);
    assert_eq!(found(TraceQuery { annotations: vec![("cr".into(), None)], ..all.clone() }).await, [3, 2, 1]);
    assert_eq!(found(TraceQuery { is_error: Some(true), ..all.clone() }).await, [3]);
    assert_eq!(found(TraceQuery { is_error: Some(false), ..all.clone() }).await, [2, 1]);
    assert_eq!(found(TraceQuery { text: Some("RATINGS.book".into()), ..all.clone() }).await, [2]);
    assert_eq!(found(TraceQuery { text: Some("503".into()), ..all.clone() }).await, [3]);
    assert_eq!(found(TraceQuery { to_us: (T + 3600) * 1_000_000, ..all.clone() }).await, [2, 1]);
    assert_eq!(found(TraceQuery { from_us: (T + 3599) * 1_000_000, ..all.clone() }).await, [3, 2]);
    let status = vec![("http.status_code".to_owned(), Some("500".to_owned()))];
    assert_eq!(found(TraceQuery { annotations: status, ..all.clone() }).await, [0u8; 0]);
    // The part of a trace that lies in another slice belongs to it.
    let late = TraceQuery { service: Some("ratings.bookinfo".into()), ..all };
    assert_eq!(store.find_traces(&late).await.unwrap().traces[0].len(), 2);
    assert_eq!(store.trace([3; 16]).await.unwrap(), [failed]);
}

async fn names_of_spans_are_bounded(place: &Place) {
    let store = place.open().await;
    let named = |number: u32| Span { name: format!("GET /{number:05}"), ..span(1, 1, "cart", T) };
    let batch = |spans: Vec<Span>| WriteBatch { spans: vec![("zipkin", spans)], ..WriteBatch::default() };
    store.write(&batch((0..1500).map(named).collect())).await.unwrap();
    let names = store.span_names("cart").await.unwrap();
    assert_eq!((names.len(), names[999].as_str()), (1000, "GET /00999"));
    // Those that are not listed are found all the same, and other services still have room.
    let other = Span { name: "GET /".into(), ..span(2, 1, "shop", T) };
    place.open().await.write(&batch(vec![named(2000), other])).await.unwrap();
    assert_eq!(store.span_names("shop").await.unwrap(), ["GET /"]);
    assert_eq!(store.span_names("cart").await.unwrap().len(), 1000);
    let query = TraceQuery { name: Some("GET /02000".into()), to_us: i64::MAX, limit: 1, ..TraceQuery::default() };
    assert_eq!(store.find_traces(&query).await.unwrap().traces.len(), 1);
}

async fn a_search_stops_at_the_newest(place: &Place) {
    let store = place.open().await;
    // Each trace twice: a block of its own, and once more in a block with all others.
    let traces: Vec<Span> = (0..40).map(|n| span(n, 1, "cart", T + i64::from(n) * 300)).collect();
    for span in &traces {
        store.write(&WriteBatch { spans: vec![("zipkin", vec![span.clone()])], ..WriteBatch::default() }).await.unwrap();
    }
    let again = traces.iter().map(|span| Span { id: [9; 8], ..span.clone() }).collect();
    store.write(&WriteBatch { spans: vec![("zipkin", again)], ..WriteBatch::default() }).await.unwrap();
    let query = TraceQuery { service: Some("cart".into()), to_us: i64::MAX, limit: 7, ..TraceQuery::default() };
    let found = store.find_traces(&query).await.unwrap();
    assert!(!found.is_cut);
    let ids: Vec<(u8, usize)> = found.traces.iter().map(|trace| (trace[0].trace_id[0], trace.len())).collect();
    assert_eq!(ids, [(39, 2), (38, 2), (37, 2), (36, 2), (35, 2), (34, 2), (33, 2)]);
}

async fn a_corrupt_block_is_skipped(place: &Place) {
    let store = place.open().await;
    store.write(&WriteBatch { spans: vec![("zipkin", vec![span(1, 1, "cart", T)])], ..WriteBatch::default() }).await.unwrap();
    let good = store.blocks(Family::SpanBlock, 0..i64::MAX, Order::NewestFirst, 10).await.unwrap().remove(0);
    // Its summary promises the same trace, and its data is something else.
    let bad = EncodedBlock { summary: good.summary.clone(), ..block(Family::SpanBlock, T, T + 10, 1) };
    let no_summary = EncodedBlock { summary: vec![0, 255], ..bad.clone() };
    store.write(&blocks("zipkin", vec![bad, no_summary])).await.unwrap();
    assert_eq!(store.corrupt_blocks(), 0);
    assert_eq!(store.trace([1; 16]).await.unwrap(), [span(1, 1, "cart", T)]);
    assert_eq!(store.corrupt_blocks(), 1);
    let query = TraceQuery { to_us: i64::MAX, limit: 10, ..TraceQuery::default() };
    assert_eq!(store.find_traces(&query).await.unwrap().traces, [[span(1, 1, "cart", T)]]);
    assert!(store.corrupt_blocks() >= 3, "{}", store.corrupt_blocks());
}

async fn counts_are_exact(place: &Place) {
    let mut counts = Counts::default();
    counts.add("scrape", "samples", "received", 40);
    counts.refuse("scrape", "samples", "unused", 30);
    counts.add("scrape", "samples", "stored", 10);
    counts.add("scrape", "samples", "bytes", 0);
    for _ in 0..3 {
        let store = place.open().await;
        store.write(&WriteBatch { counts: counts.clone(), ..WriteBatch::default() }).await.unwrap();
    }
    let expected = [("received", 120), ("refused:unused", 90), ("stored", 30)]
        .map(|(outcome, total)| ("scrape".to_owned(), "samples".to_owned(), outcome.to_owned(), total));
    assert_eq!(place.open().await.ingest_counts().await.unwrap(), expected);
}

async fn many_rows_are_written_at_once(place: &Place) {
    let store = place.open().await;
    let edges: Vec<Arc<Edge>> = (0..1626).map(|number| edge("bookinfo", &format!("w-{number}"), "200")).collect();
    let batch = ScrapeBatch {
        counters: edges.iter().map(|edge| (edge.clone(), totals(1))).collect(),
        added: edges.iter().map(|edge| (T, edge.clone(), totals(1))).collect(),
        ..scrape(0, T, &edges[0], 0, 0)
    };
    let key = batch.target.clone();
    store.write(&one(batch)).await.unwrap();
    assert_eq!(store.edges(window(T, T + 10), None).await.unwrap().edges.len(), 1626);
    assert_eq!(store.target(&key).await.unwrap().unwrap().counters.len(), 1626);
}

fn block(family: Family, from_s: i64, to_s: i64, items: u32) -> EncodedBlock {
    let mut summary = vec![0; 16];
    summary.extend([9; 16]);
    summary.extend(b"summary");
    EncodedBlock {
        family,
        slice_s: family.slice_at(from_s).from_s,
        shard: 7,
        from_us: from_s * 1_000_000,
        to_us: to_s * 1_000_000,
        items,
        summary,
        data: vec![1, 2, 3],
    }
}

fn blocks(door: &'static str, blocks: Vec<EncodedBlock>) -> WriteBatch {
    let blocks = blocks.into_iter().map(|block| BlockWrite { door, signal: "logs", block }).collect();
    WriteBatch { blocks, ..WriteBatch::default() }
}

async fn a_retried_request_is_stored_once(place: &Place) {
    let store = place.open().await;
    let request = |body: &[u8], trace: u8| {
        let mut batch = blocks("als", vec![block(Family::LogBlock, T, T + 1, 3)]);
        batch.spans = vec![("otlp", vec![span(trace, 1, "productpage.bookinfo", T)])];
        batch.added = vec![(T, edge("bookinfo", "reviews-v1", "200"), totals(2))];
        batch.delivery = Some(Delivery::new("otlp", body));
        batch.counts.add("otlp", "spans", "received", 1);
        batch
    };
    assert!(!store.write(&request(b"one", 1)).await.unwrap().is_repeated);
    // Twice in one group, once stored before, and once new.
    let group = vec![request(b"two", 2), request(b"one", 1), request(b"two", 2), request(b"three", 3)];
    let reports = store.write_group(Arc::new(group)).await.unwrap();
    let repeated: Vec<bool> = reports.iter().map(|report| report.is_repeated).collect();
    assert_eq!(repeated, [false, true, true, false]);
    assert_eq!((reports[1].spans_stored, reports[1].spans_duplicate), (0, 1));
    assert_eq!(reports[1].counts.total("als", "logs", "refused:duplicate"), 3);
    assert_eq!(reports[3].counts.total("als", "logs", "stored"), 3);
    let expected = [("als", "logs", "refused:duplicate", 6), ("als", "logs", "stored", 9), ("otlp", "spans", "received", 5)];
    let mut expected = expected.to_vec();
    expected.extend([("otlp", "spans", "refused:duplicate", 2), ("otlp", "spans", "stored", 3)]);
    let counts = store.ingest_counts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|(door, signal, outcome, n)| (&**door, &**signal, &**outcome, *n)).collect();
    assert_eq!(counts, expected);
    assert_eq!(store.edges(window(T, T + 10), None).await.unwrap().edges[0].totals.requests, 6);
    assert_eq!(store.blocks(Family::LogBlock, 0..i64::MAX, Order::NewestFirst, 100).await.unwrap().len(), 3);
    // Retention forgets the request, and then it is a new one.
    let later_ms = sidelight_collector::clock::now_ms() + DELIVERIES_KEPT.as_millis() as i64 + 1000;
    let retention = Retention { logs: Duration::from_secs(1 << 40), spans: Duration::from_secs(1 << 40), ..Retention::default() };
    store.drop_old(&retention, later_ms).await.unwrap();
    assert!(!store.write(&request(b"one", 1)).await.unwrap().is_repeated);
}

async fn any_number_of_requests_is_forgotten(place: &Place) {
    let store = place.open().await;
    let request = |number: u32| {
        let delivery = Some(Delivery::new("otlp", &number.to_le_bytes()));
        WriteBatch { delivery, ..WriteBatch::default() }
    };
    // More than one transaction forgets.
    store.write_group(Arc::new((0..12_000).map(request).collect())).await.unwrap();
    assert!(store.write(&request(11_999)).await.unwrap().is_repeated);
    let later_ms = sidelight_collector::clock::now_ms() + DELIVERIES_KEPT.as_millis() as i64 + 1000;
    store.drop_old(&Retention::default(), later_ms).await.unwrap();
    let reports = store.write_group(Arc::new((0..12_000).map(request).collect())).await.unwrap();
    assert_eq!(reports.iter().filter(|report| report.is_repeated).count(), 0);
}

async fn a_slice_that_another_collector_dropped_is_made_again(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    let batch = |id: u8| WriteBatch { spans: vec![("zipkin", vec![span(1, id, "cart", T)])], ..WriteBatch::default() };
    one.write(&batch(1)).await.unwrap();
    other.write(&batch(2)).await.unwrap();
    let dropped = one.drop_old(&Retention::default(), (T + 30 * 86_400) * 1000).await.unwrap();
    assert_eq!(dropped, [Family::SpanBlock.slice_at(T)]);
    // Late, and not to be lost before its time.
    other.write(&batch(3)).await.unwrap();
    assert_eq!(one.trace([1; 16]).await.unwrap(), [span(1, 3, "cart", T)]);
}

async fn blocks_are_written_and_found(place: &Place) {
    let store = place.open().await;
    let written: Vec<EncodedBlock> = (0..600).map(|n| block(Family::LogBlock, T + n * 10, T + n * 10 + 5, 1)).collect();
    store.write(&blocks("als", written.clone())).await.unwrap();
    store.write(&blocks("als", vec![block(Family::SampleBlock, T, T + 1, 1)])).await.unwrap();
    let found = store.blocks(Family::LogBlock, 0..i64::MAX, Order::NewestFirst, 1000).await.unwrap();
    let starts: Vec<i64> = found.iter().map(|head| head.from_us).collect();
    assert_eq!(starts, written.iter().rev().map(|block| block.from_us).collect::<Vec<_>>());
    let head = &found[0];
    assert_eq!((head.level, head.items, head.shard, head.bytes), (LEVEL_WRITTEN, 1, 7, 3));
    assert_eq!((&head.summary, store.block_data(head).await.unwrap()), (&written[0].summary, vec![1, 2, 3]));
    // Both ends of the span of time, over the border of a slice.
    let span_us = (T + 3595) * 1_000_000..(T + 3610) * 1_000_000;
    let found = store.blocks(Family::LogBlock, span_us.clone(), Order::OldestFirst, 1000).await.unwrap();
    let starts: Vec<i64> = found.iter().map(|head| head.from_us / 1_000_000 - T).collect();
    assert_eq!(starts, [3590, 3600]);
    assert_eq!(store.blocks(Family::LogBlock, span_us, Order::NewestFirst, 1).await.unwrap()[0].from_us, (T + 3600) * 1_000_000);
    assert_eq!(store.blocks(Family::SampleBlock, 0..i64::MAX, Order::NewestFirst, 10).await.unwrap().len(), 1);
    // A slice that is dropped takes its blocks with it.
    let retention = Retention { logs: Duration::from_secs(3600), ..Retention::default() };
    let dropped = store.drop_old(&retention, (T + 7200) * 1000).await.unwrap();
    assert_eq!(dropped, [Family::LogBlock.slice_at(T)]);
    assert_eq!(store.blocks(Family::LogBlock, 0..i64::MAX, Order::NewestFirst, 1000).await.unwrap().len(), 240);
    let gone = BlockHead { slice_s: T, ..head.clone() };
    assert_eq!(store.block_data(&gone).await.unwrap(), Vec::<u8>::new());
}

async fn edges_of_logs_and_spans_are_their_own(place: &Place) {
    let of = |telemetry: &str| {
        let labels =
            EdgeLabels { telemetry: telemetry.into(), ..EdgeLabels::clone(&edge("bookinfo", "reviews-v1", "200").labels) };
        Arc::new(Edge::new(Arc::new(labels), Arc::from(BOUNDS)))
    };
    let store = place.open().await;
    let added = vec![(T, of(""), totals(1)), (T, of("logs"), totals(2)), (T, of("spans"), totals(4))];
    store.write(&WriteBatch { added, ..WriteBatch::default() }).await.unwrap();
    let more = WriteBatch { added: vec![(T + 10, of("logs"), totals(8))], ..WriteBatch::default() };
    place.open().await.write(&more).await.unwrap();
    let answer = place.open().await.edges(window(T, T + 20), None).await.unwrap();
    let mut edges: Vec<(&str, u64)> = answer.edges.iter().map(|edge| (&*edge.labels.telemetry, edge.totals.requests)).collect();
    edges.sort_unstable();
    assert_eq!(edges, [("", 1), ("logs", 10), ("spans", 4)]);
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |backend: &str| {
        let folder = format!("{}/../migrations/{backend}", env!("CARGO_MANIFEST_DIR"));
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

//! Tail sampling on both databases: verdicts are durable, late spans follow them, blocks lose what was judged out, exporters
//! send exactly what was kept, and the graph counts everything.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sidelight_collector::clock::now_ms;
use sidelight_collector::export::{ClientSettings, Destination};
use sidelight_collector::pipeline::tail_sampling::{Judge, SamplingMetrics};
use sidelight_collector::store::{
    Claim, ExportQueue, Family, LEVEL_SIFTED, Order, Resource, Span, Store, TraceQuery, TraceSampling, WriteBatch, compacts,
    span_block,
};
use sidelight_collector::{Collector, Settings};
use support::backend::Backend;
use support::place::Place;
use support::running::{counts, eventually, get, send, settings};

on_both!(
    what_is_judged_out_is_hidden_and_then_gone,
    late_spans_follow_the_verdict,
    a_restart_judges_what_waits,
    without_a_verdict_everything_is_kept,
    exporters_wait_for_verdicts,
    a_collector_samples_and_its_graph_stays_exact,
);

/// A round hour, two of them ago: its slice is closed, and its verdicts are still kept.
fn t_s() -> i64 {
    (now_ms() / 1000 - 5_400) / 3_600 * 3_600
}

const AT_ONCE: &str = "decide_after: 0s\nrules: [{name: errors, kind: error}]\n";
const LATER: &str = "decide_after: 10m\ndecide_latest: 20m\nrules: [{name: errors, kind: error}]\n";

struct Opened {
    store: Arc<dyn Store>,
    queue: Arc<dyn ExportQueue>,
    sampling: Arc<dyn TraceSampling>,
    folder: tempfile::TempDir,
}

impl Opened {
    async fn new(place: &Place) -> Self {
        let (store, queue, sampling) = place.open_to_sample().await;
        Self { store, queue, sampling, folder: tempfile::tempdir().unwrap() }
    }

    fn rules(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("rules.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn judge(&self, text: &str) -> Judge {
        Judge::new(self.rules(text), Arc::clone(&self.sampling), SamplingMetrics::default()).unwrap()
    }

    async fn write(&self, spans: Vec<Span>) {
        self.store.write(&WriteBatch { spans: vec![("otlp", spans)], ..WriteBatch::default() }).await.unwrap();
    }

    /// Merges until nothing is left to do.
    async fn merge(&self) {
        for how in &compacts(&*self.store).await.unwrap() {
            while self.store.merge_blocks(how, now_ms()).await.unwrap().is_some() {}
        }
    }

    /// Ids of the traces that a list shows.
    async fn listed(&self) -> Vec<u8> {
        let query = TraceQuery { to_us: i64::MAX, limit: 100, ..TraceQuery::default() };
        let found = self.store.find_traces(&query).await.unwrap();
        let mut ids: Vec<u8> = found.traces.iter().map(|spans| spans[0].trace_id[0]).collect();
        ids.sort_unstable();
        ids
    }

    async fn spans_of(&self, trace: u8) -> usize {
        self.store.trace([trace; 16]).await.unwrap().len()
    }

    /// Spans in blocks, and how many blocks were sifted.
    async fn at_rest(&self) -> (u32, usize) {
        let heads = self.store.blocks(Family::SpanBlock, 0..i64::MAX, Order::OldestFirst, 1_000).await.unwrap();
        (heads.iter().map(|head| head.items).sum(), heads.iter().filter(|head| head.level == LEVEL_SIFTED).count())
    }

    /// Of the door that counts what was sifted.
    async fn sifted(&self) -> BTreeMap<String, u64> {
        let counts = self.store.ingest_counts().await.unwrap();
        counts.into_iter().filter(|row| row.0 == "tail_sampling").map(|row| (row.2, row.3)).collect()
    }
}

fn span(trace: u8, id: u8, start_s: i64, is_error: bool) -> Span {
    Span {
        trace_id: [trace; 16],
        id: [id; 8],
        parent_id: (id > 1).then_some([1; 8]),
        resource: Arc::new(Resource { service: "shop".into(), ..Resource::default() }),
        name: "GET /".to_owned(),
        start_ns: start_s * 1_000_000_000,
        duration_ns: 5_000_000,
        is_error,
        ..Span::default()
    }
}

/// Ten traces of two spans each, which come in two batches; the odd ones fail in their second span.
async fn ten_traces(opened: &Opened) {
    for id in 1..=2 {
        let t_s = t_s();
        opened.write((0..10).map(|trace| span(trace, id, t_s + i64::from(trace), id == 2 && trace % 2 == 1)).collect()).await;
    }
}

const ODD: [u8; 5] = [1, 3, 5, 7, 9];
const ALL: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

async fn what_is_judged_out_is_hidden_and_then_gone(place: &Place) {
    let opened = Opened::new(place).await;
    let mut judge = opened.judge(AT_ONCE);
    ten_traces(&opened).await;
    assert_eq!(opened.listed().await, ALL, "what is not judged yet is shown");
    judge.round().await.unwrap();
    assert_eq!(opened.listed().await, ODD);
    assert_eq!((opened.spans_of(1).await, opened.spans_of(2).await), (2, 0));
    assert_eq!(opened.at_rest().await, (20, 0), "hidden, not gone");
    opened.merge().await;
    judge.round().await.unwrap();
    assert_eq!(opened.at_rest().await, (10, 1));
    assert_eq!((opened.listed().await, opened.spans_of(1).await), (ODD.to_vec(), 2));
    let expected = [("received", 20), ("refused:default", 10), ("stored", 10)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(opened.sifted().await, BTreeMap::from(expected));
    // There is nothing more to do, and nothing is counted twice.
    judge.round().await.unwrap();
    assert_eq!((opened.at_rest().await, opened.sifted().await["received"]), ((10, 1), 20));
    // The names of services are those of all spans.
    assert_eq!(opened.store.services().await.unwrap(), ["shop"]);
}

async fn late_spans_follow_the_verdict(place: &Place) {
    let opened = Opened::new(place).await;
    let mut judge = opened.judge(AT_ONCE);
    ten_traces(&opened).await;
    judge.round().await.unwrap();
    opened.merge().await;
    judge.round().await.unwrap();
    // Late by an hour of spans' time, one in the next slice; by themselves the verdicts would be the other way round.
    let t_s = t_s();
    opened
        .write(vec![
            span(1, 3, t_s + 30, false),
            span(2, 3, t_s + 30, true),
            span(3, 3, t_s + 3_601, false),
            span(4, 3, t_s + 3_601, true),
        ])
        .await;
    // Another judge, which has to read what the first one decided.
    judge.leave().await.unwrap();
    let mut judge = opened.judge(AT_ONCE);
    judge.round().await.unwrap();
    assert_eq!(opened.listed().await, ODD);
    assert_eq!((opened.spans_of(1).await, opened.spans_of(2).await), (3, 0));
    assert_eq!((opened.spans_of(3).await, opened.spans_of(4).await), (3, 0));
    opened.merge().await;
    judge.round().await.unwrap();
    assert_eq!((opened.spans_of(1).await, opened.spans_of(2).await), (3, 0));
    let counted = opened.sifted().await;
    assert_eq!(counted["received"], counted["stored"] + counted["refused:default"]);
}

async fn a_restart_judges_what_waits(place: &Place) {
    let opened = Opened::new(place).await;
    let mut judge = opened.judge(LATER);
    ten_traces(&opened).await;
    judge.round().await.unwrap();
    assert_eq!(opened.listed().await, ALL);
    // As after a kill: neither the judge nor the store had time to end.
    let again = Opened::new(place).await;
    let mut judge = again.judge(AT_ONCE);
    if matches!(place, Place::Postgres(_)) {
        judge.round().await.unwrap();
        assert_eq!(again.listed().await, ALL, "the first judge still holds his place");
        let judge = tokio::sync::Mutex::new(judge);
        eventually("the lease of the first judge ends", async || {
            judge.lock().await.round().await.unwrap();
            again.listed().await == ODD
        })
        .await;
        return;
    }
    judge.round().await.unwrap();
    assert_eq!(again.listed().await, ODD);
}

async fn without_a_verdict_everything_is_kept(place: &Place) {
    let opened = Opened::new(place).await;
    // Before sampling was turned on.
    ten_traces(&opened).await;
    opened.merge().await;
    let mut judge = opened.judge(AT_ONCE);
    judge.round().await.unwrap();
    assert_eq!((opened.listed().await, opened.at_rest().await), (ALL.to_vec(), (20, 1)));
    assert_eq!(opened.sifted().await["stored"], 20);
    // What was judged out stays hidden when sampling is turned off.
    opened.write(vec![span(20, 1, t_s() + 50, false)]).await;
    judge.round().await.unwrap();
    opened.sampling.watch_spans(None);
    opened.write(vec![span(21, 1, t_s() + 50, false)]).await;
    let listed = opened.listed().await;
    assert_eq!((listed.len(), listed.contains(&20), listed.contains(&21)), (11, false, true));
}

async fn exporters_wait_for_verdicts(place: &Place) {
    let opened = Opened::new(place).await;
    opened.queue.queue_for(vec!["otlp"]);
    opened.write(vec![span(30, 1, t_s(), false)]).await;
    let mut judge = opened.judge(LATER);
    ten_traces(&opened).await;
    let claim = |holder: i64| Claim {
        exporter: "otlp",
        holder,
        now_ms: now_ms(),
        until_ms: now_ms() + 60_000,
        items: 1_000,
        overdue_before_ms: i64::MAX / 2,
    };
    judge.round().await.unwrap();
    let blocks = opened.queue.claim(&claim(1)).await.unwrap();
    assert_eq!(blocks.len(), 1, "only what came in before rules were there");
    assert!(!blocks[0].is_judged);
    judge.leave().await.unwrap();
    let mut judge = opened.judge(AT_ONCE);
    judge.round().await.unwrap();
    assert_eq!(opened.listed().await.len(), 6);
    let blocks = opened.queue.claim(&claim(1)).await.unwrap();
    assert!(blocks.len() == 2 && blocks.iter().all(|block| block.is_judged), "{blocks:?}");
    let spans: Vec<_> = blocks
        .iter()
        .flat_map(|block| span_block::decode(&block.data).unwrap())
        .map(|span| (span.trace_id, span.start_us()))
        .collect();
    let mut out: Vec<u8> = opened.queue.judged_out(&spans).await.unwrap().iter().map(|id| id[0]).collect();
    out.sort_unstable();
    assert_eq!(out, [0, 2, 4, 6, 8]);
}

/// Three exchanges between two services, each a trace of its own.
async fn post(collector: &Collector, trace: u64, is_error: bool) {
    let at_us = t_s() * 1_000_000 + i64::try_from(trace).unwrap() * 1_000;
    let trace_id = format!("{:032x}", 0xab00 + trace);
    let endpoint = |service: &str, ip: &str| json!({"serviceName": service, "ipv4": ip});
    let status = if is_error { "503" } else { "200" };
    let mut tags = json!({"http.status_code": status});
    if is_error {
        tags["error"] = "503".into();
    }
    let spans = json!([
        {"traceId": trace_id, "id": "0000000000000001", "kind": "CLIENT", "name": "GET /", "timestamp": at_us, "duration": 900,
         "localEndpoint": endpoint("page", "192.0.2.1"), "tags": {"http.status_code": status}},
        {"traceId": trace_id, "id": "0000000000000001", "shared": true, "kind": "SERVER", "name": "GET /",
         "timestamp": at_us + 10, "duration": 800, "localEndpoint": endpoint("reviews", "192.0.2.2"), "tags": tags},
    ]);
    let answer =
        send(collector.addresses().zipkin, "POST", "/api/v2/spans", HeaderMap::new(), spans.to_string().into_bytes()).await;
    assert_eq!(answer.0, StatusCode::ACCEPTED, "{}", answer.1);
}

async fn requests_in_the_graph(collector: &Collector) -> u64 {
    let window = sidelight_collector::store::Window { from_ms: 0, to_ms: now_ms() + 60_000 };
    let answer = collector.store().edges(window, None).await.unwrap();
    answer.edges.iter().map(|edge| edge.totals.requests).sum()
}

async fn a_collector_samples_and_its_graph_stays_exact(place: &Place) {
    let backend = Backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, "decide_after: 200ms\nrules: [{name: errors, kind: error}]\n").unwrap();
    let mut settings = Settings { tail_sampling: Some(rules.clone()), ..settings(place) };
    settings.export.batch_delay = std::time::Duration::from_millis(20);
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("shop"));
    let destination = Destination::zipkin(&backend.url()).unwrap();
    settings.export.zipkin = Some(ClientSettings { destination, headers, roots: None, gzip: false });
    let collector = Collector::start(settings).await.unwrap();
    for trace in 0..20 {
        post(&collector, trace, trace % 4 == 0).await;
    }
    assert_eq!(requests_in_the_graph(&collector).await, 20);
    eventually("the blocks were sifted", async || {
        counts(&collector, "tail_sampling", "spans").await.is_some_and(|door| door.received == 40)
    })
    .await;
    let door = counts(&collector, "tail_sampling", "spans").await.unwrap();
    assert_eq!((door.stored, door.refused), (10, BTreeMap::from([("default".to_owned(), 30)])));
    let zipkin = counts(&collector, "zipkin", "spans").await.unwrap();
    assert_eq!((zipkin.received, zipkin.stored, zipkin.refused.len()), (40, 40, 0));
    assert_eq!(requests_in_the_graph(&collector).await, 20, "sampling takes nothing from the graph");
    eventually("the kept spans are sent", async || backend.taken().len() == 10).await;
    let dashboard = collector.addresses().dashboard;
    let status: Value = serde_json::from_str(&get(dashboard, "/api/status").await.1).unwrap();
    let exporter = &status["exporters"][0];
    assert_eq!((&exporter["sent_spans"], &exporter["filtered_spans"]), (&json!(10), &json!(30)));
    // The rules are read again when they change.
    std::fs::write(&rules, "decide_after: 100ms\nrules: [{name: all, kind: share, percent: 100}]\n").unwrap();
    eventually("the new rules keep a trace", async || {
        let metrics = get(dashboard, "/metrics").await.1;
        metrics.contains("sidelight_tail_sampling_reloads_total{outcome=\"changed\"} 1")
    })
    .await;
    post(&collector, 101, false).await;
    eventually("it is sent", async || backend.taken().len() == 12).await;
    let metrics = get(dashboard, "/metrics").await.1;
    for line in [
        "sidelight_tail_sampling_traces_total{verdict=\"kept\",rule=\"errors\"} 5",
        "sidelight_tail_sampling_traces_total{verdict=\"out\",rule=\"default\"} 15",
        "sidelight_tail_sampling_traces_total{verdict=\"kept\",rule=\"all\"} 1",
        "sidelight_tail_sampling_spans_total{outcome=\"out:default\"} 30",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    collector.shutdown().await;
}

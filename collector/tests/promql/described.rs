//! Metadata and exemplars: a real Prometheus and we scrape one target, and have the same answers.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use sidelight_collector::{Collector, Settings};

use crate::on_both;
use crate::prometheus::{data, escaped};
use crate::support::place::Place;
use crate::support::prometheus::Prometheus;
use crate::support::running::{accounted, eventually, get as ask_for, settings};

on_both!(what_targets_say_is_told_as_by_prometheus);

/// A target that speaks OpenMetrics; exemplars are of a time.
async fn target(at_ms: i64) -> SocketAddr {
    let at = |ms: i64| format!("{}.{:03}", (at_ms + ms) / 1000, (at_ms + ms) % 1000);
    let text = format!(
        "# HELP shop_orders Orders \\\\ of\\na shop.\n# TYPE shop_orders counter\n\
         shop_orders_total{{path=\"/a\"}} 17 # {{trace_id=\"abc\"}} 1 {}\nshop_orders_total{{path=\"/b\"}} 3\n\
         # TYPE lag_seconds histogram\n# UNIT lag_seconds seconds\n# HELP lag_seconds How late.\n\
         lag_seconds_bucket{{le=\"0.5\"}} 2 # {{trace_id=\"one\",span_id=\"s1\"}} 0.25 {}\n\
         lag_seconds_bucket{{le=\"+Inf\"}} 4 # {{}} 1e-9 {}\nlag_seconds_sum 3.5\nlag_seconds_count 4\n\
         # TYPE plain unknown\nplain 1.5\n# EOF\n",
        at(0),
        at(20),
        at(1000),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let answer = move || async move { ([("content-type", kind)], text) };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(answer))).await });
    address
}

const QUESTIONS: [(&str, &[(&str, &str)]); 12] = [
    ("metadata", &[]),
    ("metadata", &[("metric", "lag_seconds")]),
    ("metadata", &[("metric", "nothing")]),
    ("metadata", &[("limit", "0")]),
    ("metadata", &[("limit", "x")]),
    ("targets/metadata", &[("metric", "shop_orders")]),
    ("targets/metadata", &[("match_target", "{job=\"shop\"}"), ("metric", "plain")]),
    ("targets/metadata", &[("match_target", "{job=\"other\"}")]),
    ("targets/metadata", &[("metric", "nothing")]),
    ("query_exemplars", &[("query", "rate(shop_orders_total[5m]) + histogram_quantile(0.9, lag_seconds_bucket)")]),
    ("query_exemplars", &[("query", "shop_orders_total{path=\"/b\"}")]),
    ("query_exemplars", &[("query", "shop_orders_total{path="), ("start", "0")]),
];

/// Data, or the kind of the error.
async fn answer(address: SocketAddr, path: &str, question: (&str, &[(&str, &str)])) -> Result<Value, String> {
    let parameters: Vec<String> = question.1.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let (_, text) = ask_for(address, &format!("{path}/{}?{}", question.0, parameters.join("&"))).await;
    let answer = data(&text);
    answer.map_err(|error| error.split(':').next().unwrap_or_default().to_owned())
}

async fn what_targets_say_is_told_as_by_prometheus(place: &Place) {
    let at_ms = sidelight_collector::clock::now_ms() - 5_000;
    let target = target(at_ms).await;
    let jobs =
        format!("scrape_configs: [{{job_name: shop, scrape_interval: 1s, static_configs: [{{targets: ['{target}']}}]}}]\n");
    let folder = tempfile::tempdir().unwrap();
    let scrape_config = folder.path().join("prometheus.yml");
    std::fs::write(&scrape_config, &jobs).unwrap();
    let ours = Collector::start(Settings { scrape_config: Some(scrape_config), ..settings(place) }).await.unwrap();
    let other = Place::sqlite();
    let sent = Collector::start(settings(&other)).await.unwrap();
    let prometheus = Prometheus::start(&format!(
        "{jobs}remote_write: [{{url: 'http://{}/api/v1/write', send_exemplars: true, metadata_config: {{send_interval: 1s}}, \
         queue_config: {{batch_send_deadline: 100ms}}}}]\n",
        sent.addresses().dashboard
    ))
    .await;
    let (theirs, ours_at, sent_at) = (prometheus.address, ours.addresses().dashboard, sent.addresses().dashboard);
    let all = ("query_exemplars", &[("query", "{__name__=~\".+\"}")][..]);
    let has = async |address, path: &str, question| {
        answer(address, path, question).await.is_ok_and(|data| data.as_array().map_or(0, Vec::len) == 3)
    };
    eventually("exemplars of Prometheus", || has(theirs, "/api/v1", all)).await;
    eventually("ours", || has(ours_at, "/prometheus/api/v1", all)).await;
    eventually("those that are sent", || has(sent_at, "/prometheus/api/v1", all)).await;
    let told = async |address, path: &str| {
        let data = answer(address, path, ("metadata", &[])).await;
        data.is_ok_and(|data| data.get("shop_orders").is_some())
    };
    eventually("metadata that is sent", || told(sent_at, "/prometheus/api/v1")).await;
    for question in QUESTIONS.into_iter().chain([all]) {
        let expected = answer(theirs, "/api/v1", question).await;
        assert_eq!(answer(ours_at, "/prometheus/api/v1", question).await, expected, "{question:?}");
        // Whom it does not scrape it knows nothing of.
        if question.0 != "targets/metadata" {
            assert_eq!(answer(sent_at, "/prometheus/api/v1", question).await, expected, "{question:?}");
        }
    }
    // Told at each scrape, stored once.
    assert_eq!(accounted(&ours, "scrape", "exemplars").await, (3, 3, Vec::new()));
    assert_eq!(accounted(&ours, "scrape", "metadata").await.1, 3);
    ours.shutdown().await;
    sent.shutdown().await;
}

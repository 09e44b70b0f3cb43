//! A real Prometheus that sends to us, and one that scrapes us.

use http::StatusCode;
use sidelight_collector::settings::ForwardUrl;
use sidelight_collector::store::sample::is_stale;
use sidelight_collector::{Collector, Settings};

use crate::support::place::Place;
use crate::support::prometheus::{Prometheus, free_address};
use crate::support::proxy::CountingProxy;
use crate::support::running::{eventually, get, settings};
use crate::{label, select};

async fn sends_to_us(proxy: &CountingProxy, collector: &Collector) -> Prometheus {
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: proxies, metrics_path: /stats/prometheus, \
         static_configs: [{{targets: ['{}']}}]}}]\nremote_write: [{{url: 'http://{}/api/v1/write', \
         queue_config: {{batch_send_deadline: 100ms}}}}]\n",
        proxy.address,
        collector.addresses().dashboard
    );
    Prometheus::start(&config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_writes_to_us() {
    let place = Place::sqlite();
    let collector = Collector::start(settings(&place)).await.unwrap();
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let _prometheus = sends_to_us(&proxy, &collector).await;
    let store = collector.store();
    let last = async |selector: &str| select(store, selector).await.first().map(|series| series.samples.last().unwrap().value);
    eventually("the samples", || async { last("istio_requests_total").await == Some(7.0) }).await;
    proxy.count("cart", 3);
    eventually("the next ones", || async { last("istio_requests_total").await == Some(10.0) }).await;
    let up = select(store, "up").await;
    assert_eq!((up.len(), label(&up[0], "job"), label(&up[0], "instance")), (1, "proxies", &*proxy.address.to_string()));
    let buckets = select(store, "istio_request_duration_milliseconds_bucket").await;
    assert_eq!(buckets.len(), 3);
    proxy.stop();
    eventually("the end of the series", || async { last("istio_requests_total").await.is_some_and(is_stale) }).await;
    eventually("down", || async { last("up").await == Some(0.0) }).await;
    let report: sidelight_api::ingest::IngestReport =
        serde_json::from_str(&get(collector.addresses().dashboard, "/api/ingest").await.1).unwrap();
    let door = report.doors.iter().find(|door| door.door == "remote-write").unwrap();
    assert_eq!((door.received, door.refused.len()), (door.stored, 0), "{:?}", door.refused);
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_us() {
    let place = Place::sqlite();
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let collector = Collector::start(Settings { scrape_urls: vec![proxy.url()], ..settings(&place) }).await.unwrap();
    eventually("a scrape", || async { !select(collector.store(), "istio_requests_total").await.is_empty() }).await;
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n\
         - {{job_name: federate, honor_labels: true, metrics_path: /federate, \
            params: {{'match[]': ['{{__name__=~\"istio_.*\"}}', up]}}, static_configs: [{{targets: ['{0}']}}]}}\n\
         - {{job_name: own, static_configs: [{{targets: ['{0}']}}]}}\n",
        collector.addresses().dashboard
    );
    let prometheus = Prometheus::start(&config).await;
    eventually("both pages are scraped", || async {
        let up = prometheus.query("up%7Bjob%3D~%22federate%7Cown%22%7D").await;
        up.len() == 2 && up.iter().all(|(_, value)| value == "1")
    })
    .await;
    eventually("our samples", || async { prometheus.query("istio_requests_total").await.len() == 1 }).await;
    let (labels, value) = prometheus.query("istio_requests_total").await.remove(0);
    assert_eq!((labels["instance"].as_str(), value.as_str()), (Some(&*proxy.address.to_string()), "7"));
    assert_eq!(labels["destination_workload"], "cart");
    assert_eq!(prometheus.query("istio_request_duration_milliseconds_bucket").await.len(), 3);
    assert_eq!(prometheus.query("sidelight_start_time_seconds").await.len(), 1);
    let (status, text) = get(collector.addresses().dashboard, "/federate").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_write_to_a_real_prometheus_that_was_away() {
    let place = Place::sqlite();
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let address = free_address();
    let remote_write = Some(ForwardUrl(format!("http://{address}/api/v1/write")));
    let collector =
        Collector::start(Settings { scrape_urls: vec![proxy.url()], remote_write, ..settings(&place) }).await.unwrap();
    eventually("some scrapes", || async {
        select(collector.store(), "istio_requests_total").await.first().is_some_and(|series| series.samples.len() > 2)
    })
    .await;
    let first_ms = select(collector.store(), "istio_requests_total").await[0].samples[0].t_ms;
    let prometheus = Prometheus::start_at("global: {}\n", address).await;
    proxy.count("cart", 3);
    eventually("our samples", || async {
        prometheus.query("istio_requests_total").await.first().is_some_and(|(_, value)| value == "10")
    })
    .await;
    let (labels, _) = prometheus.query("istio_requests_total").await.remove(0);
    assert_eq!(
        (labels["instance"].as_str(), labels["destination_workload"].as_str()),
        (Some(&*proxy.address.to_string()), Some("cart"))
    );
    assert_eq!(prometheus.query("up").await.len(), 1);
    // Also those of the time when it was away. By the millisecond: the first two scrapes may be close together.
    let oldest = prometheus.query("min_over_time(timestamp(istio_requests_total)%5B5m%3A1ms%5D)*1000").await;
    let oldest_ms: f64 = oldest[0].1.parse().unwrap();
    assert!((oldest_ms - first_ms as f64).abs() < 1.0, "{oldest_ms} {first_ms}");
    let (_, metrics) = get(collector.addresses().dashboard, "/metrics").await;
    assert!(metrics.contains("sidelight_remote_write_samples_total{outcome=\"sent\"}"), "{metrics}");
    assert!(!metrics.contains("outcome=\"dropped\"") && !metrics.contains("outcome=\"refused\""), "{metrics}");
    proxy.stop();
    eventually("down", || async { prometheus.query("up").await.first().is_some_and(|(_, value)| value == "0") }).await;
    // The series has ended there too.
    assert!(prometheus.query("istio_requests_total").await.is_empty());
    collector.shutdown().await;
}

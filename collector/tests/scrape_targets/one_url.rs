//! Jobs that name one URL: as many targets as in a real Prometheus, and traffic that is counted once.

use std::collections::BTreeMap;

use serde_json::Value;
use sidelight_collector::store::SampleQuery;
use sidelight_collector::store::sample::matcher::parse_selector;
use sidelight_collector::{Collector, Settings};

use crate::on_both;
use crate::support::place::Place;
use crate::support::prometheus::Prometheus;
use crate::support::proxy::CountingProxy;
use crate::support::running::{eventually, get, settings, stored, until_stored};

on_both!(jobs_with_one_url_are_as_many_targets_as_in_prometheus);

/// Labels of a series, and its last value.
type Series = BTreeMap<BTreeMap<String, String>, f64>;

async fn ours(collector: &Collector, name: &str) -> Series {
    let query = SampleQuery::new(parse_selector(name).unwrap(), 0, 4_000_000_000_000);
    let found = collector.store().select(&query).await.unwrap();
    let series = found.iter().map(|series| {
        let labels = series.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        (labels, series.samples.last().unwrap().value)
    });
    series.collect()
}

async fn theirs(prometheus: &Prometheus, name: &str) -> Series {
    let found = prometheus.query(name).await;
    found.into_iter().map(|(labels, value)| (serde_json::from_value(labels).unwrap(), value.parse().unwrap())).collect()
}

async fn jobs_with_one_url_are_as_many_targets_as_in_prometheus(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let address = proxy.address;
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n\
         - {{job_name: first, metrics_path: /stats/prometheus, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: second, metrics_path: /stats/prometheus, static_configs: [{{targets: ['{address}', '{address}']}}, \
            {{targets: ['{address}'], labels: {{zone: b}}}}]}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, &config).unwrap();
    let prometheus = Prometheus::start(&config).await;
    let collector = Collector::start(Settings { scrape_config: Some(file), ..settings(place) }).await.unwrap();

    let expected: [(&str, Option<&str>); 3] = [("first", None), ("second", None), ("second", Some("b"))];
    let named = |series: &Series| -> Vec<(String, Option<String>)> {
        let mut named: Vec<_> = series.keys().map(|labels| (labels["job"].clone(), labels.get("zone").cloned())).collect();
        named.sort();
        named
    };
    let expected: Vec<_> = expected.map(|(job, zone)| (job.to_owned(), zone.map(str::to_owned))).into();
    for name in ["up", "istio_requests_total"] {
        eventually("three series at both", async || {
            let (ours, theirs) = (ours(&collector, name).await, theirs(&prometheus, name).await);
            ours == theirs && named(&ours) == expected
        })
        .await;
    }
    proxy.count("cart", 5);
    eventually("each target sees more", async || {
        let series = ours(&collector, "istio_requests_total").await;
        series.len() == 3 && series.values().all(|value| *value == 12.0)
    })
    .await;
    until_stored(&collector, "cart", 12).await;

    let (_, text) = get(collector.addresses().dashboard, "/api/targets").await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let targets = answer["data"]["activeTargets"].as_array().unwrap();
    let pools: Vec<_> = targets.iter().map(|target| target["scrapePool"].as_str().unwrap()).collect();
    assert_eq!(pools, ["first", "second", "second"]);
    let url = proxy.url();
    assert!(targets.iter().all(|target| target["scrapeUrl"] == *url && target["health"] == "up"), "{text}");
    // The last scrapes of all three count nothing twice either.
    proxy.count("cart", 3);
    collector.shutdown().await;
    let collector = Collector::start(settings(place)).await.unwrap();
    assert_eq!(stored(&collector, "cart").await, 15);
    collector.shutdown().await;
}

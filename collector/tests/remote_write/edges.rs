//! Istio's metrics that a real Prometheus scraped and sends to us make the edges that scraping the same proxies makes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use sidelight_collector::store::{EdgeLabels, Totals, Window};
use sidelight_collector::{Collector, Settings};

use crate::on_both;
use crate::support::place::Place;
use crate::support::prometheus::{Prometheus, free_address};
use crate::support::proxy::CountingProxy;
use crate::support::running::{accounted, eventually, settings};

async fn sends_to(address: SocketAddr, proxy: &CountingProxy) -> Prometheus {
    // A scrape comes in several requests.
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{prometheus_replica: a}}}}\nscrape_configs: [{{job_name: proxies, \
         metrics_path: /stats/prometheus, static_configs: [{{targets: ['{}']}}]}}]\nremote_write: [{{url: \
         'http://{address}/api/v1/write', queue_config: {{batch_send_deadline: 100ms, max_shards: 1, max_samples_per_send: 6, \
         capacity: 100, min_backoff: 30ms, max_backoff: 200ms}}}}]\n",
        proxy.address,
    );
    Prometheus::start(&config).await
}

/// Everything that was ever counted, by edge.
async fn counted(collector: &Collector) -> BTreeMap<Arc<EdgeLabels>, Totals> {
    let always = Window { from_ms: 0, to_ms: 4_000_000_000_000 };
    let mut all: BTreeMap<Arc<EdgeLabels>, Totals> = BTreeMap::new();
    for edge in collector.store().edges(always, None).await.unwrap().edges {
        all.entry(edge.labels).or_default().add(&edge.totals);
    }
    all
}

fn requests(counted: &BTreeMap<Arc<EdgeLabels>, Totals>) -> Vec<(&str, u64)> {
    counted.iter().map(|(labels, totals)| (&*labels.destination_workload, totals.requests)).collect()
}

/// Waits until both have counted these requests, and for the rest of the numbers to be the same.
async fn agree(direct: &Collector, pushed: &Collector, expected: &[(&str, u64)]) {
    let both = async || (counted(direct).await, counted(pushed).await);
    let agree = |scraped: &BTreeMap<_, Totals>, told: &BTreeMap<_, Totals>| requests(scraped) == expected && scraped == told;
    for _ in 0..1_200 {
        let (scraped, told) = both().await;
        if agree(&scraped, &told) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let (scraped, told) = both().await;
    assert_eq!(told, scraped, "expected {expected:?}");
}

async fn pushed_counters_make_the_edges_of_a_scrape(place: &Place) {
    let address = free_address();
    let settings = || Settings { listen: address, ..settings(place) };
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    proxy.count("till", 2);
    let alone = Place::sqlite();
    let direct = Settings { scrape_urls: vec![proxy.url()], ..crate::support::running::settings(&alone) };
    let direct = Collector::start(direct).await.unwrap();
    let pushed = Collector::start(settings()).await.unwrap();
    let _prometheus = sends_to(address, &proxy).await;
    agree(&direct, &pushed, &[("cart", 7), ("till", 2)]).await;
    proxy.count("cart", 3);
    proxy.count("shop", 4);
    agree(&direct, &pushed, &[("cart", 10), ("shop", 4), ("till", 2)]).await;

    // The collector is away; Prometheus keeps what it has and sends it again.
    pushed.shutdown().await;
    proxy.count("cart", 5);
    let pushed = Collector::start(settings()).await.unwrap();
    proxy.count("till", 1);
    agree(&direct, &pushed, &[("cart", 15), ("shop", 4), ("till", 3)]).await;

    // Another process counts from zero, and has counted more than the one before when it is scraped.
    proxy.restart();
    proxy.count("cart", 20);
    proxy.count("till", 1);
    agree(&direct, &pushed, &[("cart", 35), ("shop", 4), ("till", 4)]).await;
    let (_, stored, refused) = accounted(&pushed, "remote-write", "edge_samples").await;
    assert!(stored > 0 && refused.is_empty(), "{refused:?}");
    let (_, _, refused) = accounted(&pushed, "remote-write", "samples").await;
    assert_eq!(refused, []);
    direct.shutdown().await;
    pushed.shutdown().await;
}

async fn what_is_scraped_as_well_is_counted_once(place: &Place) {
    let address = free_address();
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    // First it is pushed alone.
    let pushed = Settings { listen: address, ..settings(place) };
    let collector = Collector::start(pushed.clone()).await.unwrap();
    let _prometheus = sends_to(address, &proxy).await;
    eventually("what is pushed", || async { requests(&counted(&collector).await) == [("cart", 7)] }).await;
    collector.shutdown().await;
    // Then it is scraped too, which begins where it is.
    let collector = Collector::start(Settings { scrape_urls: vec![proxy.url()], ..pushed }).await.unwrap();
    let refused = async |reason: &str| {
        let counts = crate::support::running::counts(&collector, "remote-write", "edge_samples").await;
        counts.and_then(|counts| counts.refused.get(reason).copied()).unwrap_or(0)
    };
    eventually("what is pushed is left out", || async { refused("scraped").await > 0 }).await;
    eventually("a scrape", || async { proxy.scrapes() > 3 }).await;
    proxy.count("cart", 3);
    eventually("what is scraped", || async { requests(&counted(&collector).await) == [("cart", 10)] }).await;
    let before = refused("scraped").await;
    eventually("Prometheus sends it too", || async { refused("scraped").await > before + 20 }).await;
    assert_eq!(requests(&counted(&collector).await), [("cart", 10)]);
    collector.shutdown().await;
}

on_both!(pushed_counters_make_the_edges_of_a_scrape, what_is_scraped_as_well_is_counted_once);

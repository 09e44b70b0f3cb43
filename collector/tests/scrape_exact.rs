//! What the store holds is what the proxies counted, whatever happens to either.
#![allow(clippy::unwrap_used)]

mod support;

use sidelight_collector::{Collector, Settings};
use support::place::Place;
use support::proxy::CountingProxy;
use support::running::{eventually, get, settings, stored, until_stored};

on_both!(
    counts_survive_restarts_of_the_proxy,
    counts_survive_a_killed_collector,
    the_last_scrape_is_at_the_end,
    an_old_process_is_a_baseline,
    a_silent_target_is_down_and_comes_back,
);

async fn start(place: &Place, proxies: &[&CountingProxy]) -> Collector {
    let scrape_urls = proxies.iter().map(|proxy| proxy.url()).collect();
    Collector::start(Settings { scrape_urls, ..settings(place) }).await.unwrap()
}

async fn counts_survive_restarts_of_the_proxy(place: &Place) {
    let (one, two) = (CountingProxy::start(0).await, CountingProxy::start(0).await);
    one.count("cart", 7);
    let collector = start(place, &[&one, &two]).await;
    until_stored(&collector, "cart", 7).await;
    two.count("cart", 5);
    until_stored(&collector, "cart", 12).await;
    one.restart();
    one.count("cart", 3);
    until_stored(&collector, "cart", 15).await;
    one.count("stock", 1_000_000);
    until_stored(&collector, "stock", 1_000_000).await;
    assert_eq!(stored(&collector, "cart").await, 15);
    collector.shutdown().await;
}

async fn counts_survive_a_killed_collector(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    {
        // A runtime of its own, which ends without any farewell.
        let (urls, settings) = (vec![proxy.url()], settings(place));
        let killed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let collector = Collector::start(Settings { scrape_urls: urls, ..settings }).await.unwrap();
                until_stored(&collector, "cart", 7).await;
            });
            runtime.shutdown_background();
        });
        tokio::task::spawn_blocking(move || killed.join().unwrap()).await.unwrap();
    }
    proxy.count("cart", 4);
    let collector = start(place, &[&proxy]).await;
    until_stored(&collector, "cart", 11).await;
    collector.shutdown().await;
    // And once more, while no collector runs: the process is another one now.
    proxy.restart();
    proxy.count("cart", 20);
    let collector = start(place, &[&proxy]).await;
    until_stored(&collector, "cart", 31).await;
    collector.shutdown().await;
}

async fn the_last_scrape_is_at_the_end(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    let rare = Settings { scrape_interval: std::time::Duration::from_secs(3600), ..settings(place) };
    let collector = Collector::start(Settings { scrape_urls: vec![proxy.url()], ..rare }).await.unwrap();
    eventually("the first scrape", || async { proxy.scrapes() == 1 }).await;
    eventually("its end", || async { !collector.scrapes().all().is_empty() }).await;
    proxy.count("cart", 9);
    collector.shutdown().await;
    assert_eq!(proxy.scrapes(), 2);
    let collector = Collector::start(settings(place)).await.unwrap();
    assert_eq!(stored(&collector, "cart").await, 9);
    collector.shutdown().await;
}

async fn an_old_process_is_a_baseline(place: &Place) {
    let proxy = CountingProxy::start(100_000).await;
    proxy.count("cart", 1_000);
    let collector = start(place, &[&proxy]).await;
    eventually("a scrape", || async { collector.scrapes().all().iter().any(|(_, scrape)| scrape.up) }).await;
    proxy.count("cart", 2);
    proxy.count("stock", 3);
    until_stored(&collector, "stock", 3).await;
    assert_eq!(stored(&collector, "cart").await, 2);
    let report: sidelight_api::ingest::IngestReport =
        serde_json::from_str(&get(collector.addresses().dashboard, "/api/ingest").await.1).unwrap();
    for signal in ["samples", "edge_samples", "report_samples"] {
        let door = report.doors.iter().find(|door| door.door == "scrape" && door.signal == signal).unwrap();
        assert_eq!(door.received, door.stored + door.refused.values().sum::<u64>(), "{signal}");
        assert_eq!(door.bytes > 0, signal == "samples");
    }
    let (_, metrics) = get(collector.addresses().dashboard, "/metrics").await;
    assert!(metrics.contains("sidelight_scrapes_total{outcome=\"stored\"}"), "{metrics}");
    collector.shutdown().await;
}

async fn a_silent_target_is_down_and_comes_back(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 1);
    let collector = start(place, &[&proxy]).await;
    until_stored(&collector, "cart", 1).await;
    proxy.stop();
    let status = || collector.scrapes().get(&proxy.url());
    eventually("the target is down", || async { status().is_some_and(|status| !status.up) }).await;
    let error = status().unwrap().error.unwrap();
    assert!(error.starts_with("no answer"), "{error}");
    collector.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_collectors_on_one_database_count_once() {
    let place = Place::postgres().await;
    let proxy = CountingProxy::start(0).await;
    let (one, two) = (start(&place, &[&proxy]).await, start(&place, &[&proxy]).await);
    let mut counted = 0;
    for round in 1..=10 {
        proxy.count("cart", round);
        counted += round;
        until_stored(&one, "cart", counted).await;
        until_stored(&two, "cart", counted).await;
    }
    one.shutdown().await;
    proxy.count("cart", 1);
    until_stored(&two, "cart", counted + 1).await;
    two.shutdown().await;
}

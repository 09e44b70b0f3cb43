//! A scrape stores every sample of its page, what it tells of itself, and where series end.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use sidelight_collector::store::sample::is_stale;
use sidelight_collector::store::sample::matcher::parse_selector;
use sidelight_collector::store::{SampleQuery, SeriesSamples, Store};
use sidelight_collector::{Collector, Settings};
use support::place::Place;
use support::proxy::CountingProxy;
use support::running::{eventually, settings};

on_both!(every_sample_is_stored, a_silent_target_ends_its_series, samples_go_on_after_a_restart);

async fn start(place: &Place, proxy: &CountingProxy) -> Collector {
    Collector::start(Settings { scrape_urls: vec![proxy.url()], ..settings(place) }).await.unwrap()
}

async fn select(store: &Arc<dyn Store>, selector: &str) -> Vec<SeriesSamples> {
    store.select(&SampleQuery::new(parse_selector(selector).unwrap(), 0, 4_000_000_000_000)).await.unwrap()
}

async fn last(store: &Arc<dyn Store>, selector: &str) -> Option<f64> {
    select(store, selector).await.first().and_then(|series| series.samples.last().map(|sample| sample.value))
}

fn label<'a>(series: &'a SeriesSamples, name: &str) -> &'a str {
    series.labels.iter().find(|(of, _)| &**of == name).map_or("", |(_, value)| value)
}

async fn every_sample_is_stored(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let collector = start(place, &proxy).await;
    let store = collector.store();
    eventually("a scrape", || async { last(store, "istio_requests_total").await == Some(7.0) }).await;
    proxy.count("cart", 5);
    eventually("the next", || async { last(store, "istio_requests_total").await == Some(12.0) }).await;
    let requests = select(store, "istio_requests_total").await;
    assert_eq!(requests.len(), 1);
    assert_eq!(label(&requests[0], "destination_workload"), "cart");
    assert_eq!(label(&requests[0], "instance"), proxy.address.to_string());
    assert!(!label(&requests[0], "job").is_empty());
    let buckets = select(store, "istio_request_duration_milliseconds_bucket{le=~\"1|.Inf\"}").await;
    assert_eq!(buckets.len(), 2);
    // Six of the edge, and two of the proxy.
    for (name, value) in [("up", 1.0), ("scrape_samples_scraped", 8.0), ("scrape_samples_post_metric_relabeling", 8.0)] {
        let series = select(store, name).await;
        assert_eq!(series.len(), 1, "{name}");
        assert!(series[0].samples.iter().all(|sample| sample.value == value), "{name}: {:?}", series[0].samples);
    }
    let added = select(store, "scrape_series_added").await;
    assert_eq!((added[0].samples[0].value, added[0].samples[1].value), (8.0, 0.0));
    let took = last(store, "scrape_duration_seconds").await.unwrap();
    assert!(took > 0.0 && took < 10.0, "{took}");
    let times: Vec<i64> = requests[0].samples.iter().map(|sample| sample.t_ms).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    collector.shutdown().await;
}

async fn a_silent_target_ends_its_series(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let collector = start(place, &proxy).await;
    let store = collector.store();
    eventually("a scrape", || async { last(store, "up").await == Some(1.0) }).await;
    proxy.stop();
    eventually("down", || async { last(store, "up").await == Some(0.0) }).await;
    for series in select(store, "{__name__=~\"istio_.*|envoy_.*\"}").await {
        let marks = series.samples.iter().filter(|sample| is_stale(sample.value)).count();
        assert_eq!((marks, is_stale(series.samples.last().unwrap().value)), (1, true), "{:?}", series.labels);
    }
    assert_eq!(last(store, "scrape_samples_scraped").await, Some(0.0));
    collector.shutdown().await;
}

async fn samples_go_on_after_a_restart(place: &Place) {
    let proxy = CountingProxy::start(0).await;
    proxy.count("cart", 7);
    let collector = start(place, &proxy).await;
    eventually("a scrape", || async { last(collector.store(), "istio_requests_total").await == Some(7.0) }).await;
    collector.shutdown().await;
    proxy.count("cart", 1);
    proxy.count("stock", 2);
    let collector = start(place, &proxy).await;
    let store = collector.store();
    eventually("a scrape", || async { last(store, "istio_requests_total{destination_workload=\"stock\"}").await == Some(2.0) })
        .await;
    let requests = select(store, "istio_requests_total").await;
    assert_eq!(requests.len(), 2);
    let cart: Vec<f64> = requests[0].samples.iter().map(|sample| sample.value).collect();
    assert_eq!((cart.first(), cart.last()), (Some(&7.0), Some(&8.0)));
    collector.shutdown().await;
}

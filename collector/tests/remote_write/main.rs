//! Remote write and federation: the rules of the protocol, and a real Prometheus at the other end.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod edges;
mod peer;
mod protocol;

use std::sync::Arc;

use sidelight_collector::store::sample::matcher::parse_selector;
use sidelight_collector::store::{SampleQuery, SeriesSamples, Store};

/// All samples of the series that a selector names.
pub async fn select(store: &Arc<dyn Store>, selector: &str) -> Vec<SeriesSamples> {
    store.select(&SampleQuery::new(parse_selector(selector).unwrap(), 0, 4_000_000_000_000)).await.unwrap()
}

pub fn label<'a>(series: &'a SeriesSamples, name: &str) -> &'a str {
    series.labels.iter().find(|(of, _)| &**of == name).map_or("", |(_, value)| value)
}

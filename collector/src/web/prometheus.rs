//! The query API of Prometheus, at `/prometheus/api/v1`: Grafana, Kiali and promtool are pointed there.
//!
//! Shapes, statuses and error types are those of Prometheus' HTTP API v1 (contract §8.1). Queries may come as GET or as a
//! posted form.

mod answer;
mod params;
mod problem;
mod query;
mod series;
mod status;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use tokio::sync::Semaphore;

use crate::store::Store;

/// Queries that run at the same time, as in Prometheus; each has a thread.
const QUERIES_MAX: usize = 20;
/// Longest time of one query, as in Prometheus.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// A query that takes longer is told in the log.
const SLOW: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Clone)]
struct Api {
    store: Arc<dyn Store>,
    slots: Arc<Semaphore>,
    scrape_interval: Duration,
    keeps: Duration,
    started_at_ms: i64,
}

/// Intervals are told to whoever asks for the configuration; `keeps` is how long samples are.
pub fn routes(store: Arc<dyn Store>, scrape_interval: Duration, keeps: Duration) -> Router {
    let started_at_ms = crate::clock::now_ms();
    let api = Api { store, slots: Arc::new(Semaphore::new(QUERIES_MAX)), scrape_interval, keeps, started_at_ms };
    let v1 = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/format_query", get(query::format).post(query::format))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::names).post(series::names))
        .route("/label/{name}/values", get(series::values))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/buildinfo", get(status::build))
        .fallback(any(problem::no_such_endpoint))
        .with_state(api);
    Router::new().nest("/prometheus/api/v1", v1)
}

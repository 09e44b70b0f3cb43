//! The query API of Prometheus, at `/prometheus/api/v1` and on a port of its own: Grafana, Kiali, promtool and other
//! Prometheus are pointed there.
//!
//! Shapes, statuses and error types are those of Prometheus' HTTP API v1 (contract §8.1). Queries may come as GET or as a
//! posted form.

mod answer;
mod chunks;
mod described;
mod params;
mod problem;
mod query;
mod read;
mod rules;
mod series;
mod stats;
mod status;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;

use crate::ingest::scrape::report::TargetsPage;
use crate::rules::LoadedRules;
use crate::store::Store;

/// Queries that run at the same time, as in Prometheus; each has a thread.
const QUERIES_MAX: usize = 20;
/// Longest time of one query, as in Prometheus.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// A query that takes longer is told in the log.
const SLOW: Duration = Duration::from_secs(5);

/// What the API answers from.
#[derive(Clone)]
pub struct PrometheusParts {
    pub store: Arc<dyn Store>,
    pub targets: TargetsPage,
    pub rules: LoadedRules,
    /// Where alerts are told.
    pub alertmanagers: Vec<String>,
    pub rule_files: Vec<String>,
    pub scrape_interval: Duration,
    pub evaluation_interval: Duration,
    /// How long samples are kept.
    pub keeps: Duration,
}

/// What the handlers share.
#[derive(Clone)]
struct Api {
    store: Arc<dyn Store>,
    parts: Arc<PrometheusParts>,
    slots: Arc<Semaphore>,
    started_at_ms: i64,
}

/// The API, wherever it is served.
#[derive(Clone)]
pub struct Prometheus(Api);

impl Prometheus {
    #[must_use]
    pub fn new(parts: PrometheusParts) -> Self {
        let slots = Arc::new(Semaphore::new(QUERIES_MAX));
        let store = Arc::clone(&parts.store);
        Self(Api { store, parts: Arc::new(parts), slots, started_at_ms: crate::clock::now_ms() })
    }

    /// On the dashboard's port.
    pub fn routes(&self) -> Router {
        Router::new().nest("/prometheus", self.reads().merge(health()))
    }

    /// On a port of its own: what anybody may ask, and what takes a login.
    pub fn port(&self) -> (Router, Router) {
        (health(), self.reads())
    }

    fn reads(&self) -> Router {
        let v1 = Router::new()
            .route("/query", get(query::instant).post(query::instant))
            .route("/query_range", get(query::range).post(query::range))
            .route("/format_query", get(query::format).post(query::format))
            .route("/parse_query", get(query::parse).post(query::parse))
            .route("/series", get(series::series).post(series::series))
            .route("/labels", get(series::names).post(series::names))
            .route("/label/{name}/values", get(series::values))
            .route("/read", post(read::read))
            .route("/metadata", get(described::metadata))
            .route("/targets/metadata", get(described::of_targets))
            .route("/query_exemplars", get(described::exemplars).post(described::exemplars))
            .route("/targets", get(targets::targets))
            .route("/rules", get(rules::rules))
            .route("/alerts", get(rules::alerts))
            .route("/alertmanagers", get(rules::alertmanagers))
            .route("/status/config", get(status::config))
            .route("/status/flags", get(status::flags))
            .route("/status/runtimeinfo", get(status::runtime))
            .route("/status/buildinfo", get(status::build))
            .route("/status/tsdb", get(status::tsdb))
            .route("/status/walreplay", get(status::walreplay))
            // A fallback would be lost, since this is nested twice.
            .route("/{*rest}", any(problem::no_such_endpoint))
            .with_state(self.0.clone());
        Router::new().nest("/api/v1", v1).merge(super::federate::routes(Arc::clone(&self.0.store)))
    }
}

/// What load balancers, and Grafana's provisioning, ask first.
fn health() -> Router {
    Router::new()
        .route("/-/healthy", get(async || "Prometheus Server is Healthy.\n"))
        .route("/-/ready", get(async || "Prometheus Server is Ready.\n"))
}

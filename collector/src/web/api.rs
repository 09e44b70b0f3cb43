//! The JSON API's routes over the store, and the handlers that need no file of their own.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::{any, get};
use axum::{Json, Router};
use sidelight_api::status::Status;

use super::error::{Refusal, no_such_route};
use super::parts::Shared;
use super::{graph, logs, namespaces, timeline, traces};
use crate::clock;
use crate::export::Report;
use crate::query::window::STEP_MS;

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/namespaces", get(namespaces::list))
        .route("/api/namespaces/graph", get(graph::of_namespaces))
        .route("/api/namespaces/{namespace}/workloads/{name}/graph", get(graph::of_workload))
        .route("/api/namespaces/{namespace}/services/{name}/graph", get(graph::of_service))
        .route("/api/namespaces/{namespace}/applications/{name}/graph", get(graph::of_app))
        .route("/api/namespaces/{namespace}/applications/{name}/versions/{version}/graph", get(graph::of_app_version))
        .route("/api/timeline", get(timeline::of_traffic))
        .route("/api/logs", get(logs::find))
        .route("/api/traces", get(traces::list))
        .route("/api/traces/{id}", get(traces::one))
        .route("/api/status", get(status))
        .route("/api", any(unknown))
        .route("/api/{*rest}", any(unknown))
}

async fn unknown(uri: Uri) -> Refusal {
    no_such_route(&uri)
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at_ms: shared.status.started_at_ms,
        now_ms: clock::now_ms(),
        store: shared.store.kind().to_owned(),
        scrape_interval_s: shared.status.scrape_interval_s,
        rollup_s: u64::try_from(STEP_MS / 1000).unwrap_or_default(),
        retention_s: shared.status.retention_s,
        exporters: shared.exporters.iter().map(Report::status).collect(),
    })
}

//! Answers the machines that ask whether the collector lives and can work; they need no login.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::own_metrics::OwnMetrics;
use crate::store::Store;

/// Time that the store has to show that it answers.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// A transaction that takes longer is not slow but stuck: behind a lock, or a disk that does not answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

type Asked = (Arc<dyn Store>, Arc<OwnMetrics>);

pub fn routes(store: Arc<dyn Store>, metrics: Arc<OwnMetrics>) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state((store, metrics))
}

/// Ready while the store answers and takes writes: without it nothing can be taken in or shown.
async fn ready(State((store, metrics)): State<Asked>) -> (StatusCode, &'static str) {
    if !store.takes_writes() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store takes no writes\n");
    }
    if metrics.writing_for() > WRITE_TIMEOUT {
        return (StatusCode::SERVICE_UNAVAILABLE, "the writer is stuck\n");
    }
    match tokio::time::timeout(STORE_TIMEOUT, store.last_sample_ms(&[], i64::MAX)).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready\n"),
        Ok(Err(error)) => {
            tracing::debug!(%error, "not ready: the store refuses");
            (StatusCode::SERVICE_UNAVAILABLE, "the store refuses\n")
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}

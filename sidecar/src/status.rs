//! The ports that probes and scrapers use: merged metrics and health (15020), readiness (15021), own metrics (15090).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::admin::metrics_page;
use crate::readiness;
use crate::shared::Shared;

/// 15020
pub fn merged(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/stats/prometheus", get(metrics))
        .route("/metrics", get(metrics))
        .route("/healthz/ready", get(ready))
        .route("/quitquitquit", post(quit))
        .with_state(shared)
}

/// 15021
pub fn readiness(shared: Arc<Shared>) -> Router {
    Router::new().route("/healthz/ready", get(ready)).with_state(shared)
}

/// 15090
pub fn prometheus(shared: Arc<Shared>) -> Router {
    Router::new().route("/stats/prometheus", get(metrics)).with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    metrics_page(&shared, query.as_deref().unwrap_or_default())
}

async fn ready(State(shared): State<Arc<Shared>>) -> StatusCode {
    match shared.readiness.state() {
        readiness::State::Live => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn quit(State(shared): State<Arc<Shared>>, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Response {
    if !peer.ip().is_loopback() {
        return (StatusCode::FORBIDDEN, "Only requests from localhost are allowed").into_response();
    }
    shared.quit.cancel();
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))], "OK").into_response()
}

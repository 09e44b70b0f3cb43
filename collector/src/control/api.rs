//! The control plane's part of the JSON API.

mod body;
mod config;
mod proxies;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use super::Inner;

/// Bytes of one request's body.
pub const BODY_BYTES_MAX: usize = 1 << 20;

type Control = axum::extract::State<Arc<Inner>>;

pub(super) fn router(inner: Arc<Inner>) -> Router {
    let object = get(config::detail).put(config::save).delete(config::delete);
    Router::new()
        .route("/api/config", get(config::list))
        .route("/api/config/apply", post(config::apply))
        .route("/api/config/validate", post(config::validate))
        .route("/api/config/{kind}/{namespace}/{name}", object)
        .route("/api/config/{kind}/{namespace}/{name}/history", get(config::history))
        .route("/api/config/{kind}/{namespace}/{name}/revisions/{revision}", get(config::revision))
        .route("/api/config/{kind}/{namespace}/{name}/rollback", post(config::roll_back))
        .route("/api/proxies", get(proxies::list))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(inner)
}

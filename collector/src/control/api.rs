//! The control plane's part of the JSON API.

mod proxies;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::Inner;

type Control = axum::extract::State<Arc<Inner>>;

pub(super) fn router(inner: Arc<Inner>) -> Router {
    Router::new().route("/api/proxies", get(proxies::list)).with_state(inner)
}

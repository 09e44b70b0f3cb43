//! What every service has in common: serving until told to stop, bounded bodies, and errors as JSON.

use axum::Json;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body::Body};
use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest request body that a service reads.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Serves until `shutdown`, then lets the requests in flight finish.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let router = router.layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// `/health` and the answer for paths that do not exist.
pub(crate) fn basics(health: &'static str) -> Router {
    Router::new()
        .route("/health", get(move || async move { Json(json!({ "status": health })) }))
        .fallback(|| async { error(StatusCode::NOT_FOUND, "no such page") })
}

pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

/// Passes on JSON that another service made.
pub(crate) fn raw_json(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(http::header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// The id in a path.
pub(crate) fn product_id(text: &str) -> Result<u64, NotANumber> {
    text.parse().map_err(|_| NotANumber)
}

/// A product's id that is none.
pub(crate) struct NotANumber;

impl IntoResponse for NotANumber {
    fn into_response(self) -> Response {
        error(StatusCode::BAD_REQUEST, "please provide numeric product ID")
    }
}

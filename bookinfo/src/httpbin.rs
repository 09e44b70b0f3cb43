//! The echo service: says what it was asked, and answers with the status, delay or bytes that were ordered.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use rand::RngCore;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server;

/// Longest delay that can be ordered, seconds.
const DELAY_SECONDS_MAX: f64 = 10.0;
/// Most bytes that can be ordered.
const BYTES_MAX: usize = 100 * 1024;

/// Serves until `shutdown`.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    server::serve(listener, router(), shutdown).await
}

/// Its routes, for serving in another way.
pub fn router() -> Router {
    server::basics("httpbin is healthy")
        .route("/get", get(anything))
        .route("/post", post(anything))
        .route("/anything", any(anything))
        .route("/anything/{*rest}", any(anything))
        .route("/headers", get(|headers: HeaderMap| async move { Json(json!({ "headers": header_map(&headers) })) }))
        .route("/status/{code}", any(status))
        .route("/delay/{seconds}", any(delay))
        .route("/bytes/{count}", get(bytes))
}

async fn anything(method: Method, uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Json<Value> {
    Json(echo(&method, &uri, query.as_deref(), &headers, &body))
}

async fn status(Path(code): Path<String>) -> Response {
    let code = code.parse::<u16>().ok().filter(|code| (200..600).contains(code));
    match code.and_then(|code| StatusCode::from_u16(code).ok()) {
        Some(status) => status.into_response(),
        None => server::error(StatusCode::BAD_REQUEST, "a status is a number from 200 to 599"),
    }
}

async fn delay(Path(seconds): Path<String>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let Ok(seconds) = seconds.parse::<f64>() else {
        return server::error(StatusCode::BAD_REQUEST, "a delay is a number of seconds");
    };
    let seconds = if seconds.is_finite() { seconds.clamp(0.0, DELAY_SECONDS_MAX) } else { 0.0 };
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    Json(echo(&method, &uri, uri.query(), &headers, &Bytes::new())).into_response()
}

async fn bytes(Path(count): Path<String>) -> Response {
    let Ok(count) = count.parse::<usize>() else {
        return server::error(StatusCode::BAD_REQUEST, "how many bytes is a number");
    };
    let mut body = vec![0; count.min(BYTES_MAX)];
    rand::rng().fill_bytes(&mut body);
    ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response()
}

fn echo(method: &Method, uri: &Uri, query: Option<&str>, headers: &HeaderMap, body: &Bytes) -> Value {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path_and_query = uri.path_and_query().map_or("/", |whole| whole.as_str());
    let text = String::from_utf8_lossy(body);
    json!({
        "method": method.as_str(),
        "url": format!("http://{host}{path_and_query}"),
        "path": uri.path(),
        "args": arguments(query.unwrap_or_default()),
        "headers": header_map(headers),
        "json": serde_json::from_slice::<Value>(body).ok(),
        "data": text,
    })
}

fn arguments(query: &str) -> BTreeMap<&str, &str> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
}

/// Repeated headers joined as HTTP allows.
fn header_map(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let join = |name: &header::HeaderName| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(",")
    };
    headers.keys().map(|name| (name.as_str(), join(name))).collect()
}

//! What every answer carries and how long it may take.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sidelight_api::error::ErrorKind;
use tracing::Instrument;

use super::error::Refusal;

/// Time for one answer; beyond this the client gets "busy" and the work is dropped.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a request id that a client may bring.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// Marks a request that brings spans of a collector itself.
pub const OWN_TRACES: &str = "x-sidelight-own-traces";

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Code only from here, and WebAssembly; styles may be inline because the editor and the charts write their own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Gives each request an id, its own or a new one, that the answer and the log lines repeat.
pub async fn request_id(mut request: Request, next: Next) -> Response {
    let brought = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id)).cloned();
    let id = brought.unwrap_or_else(new_request_id);
    request.headers_mut().insert(REQUEST_ID.clone(), id.clone());
    let span = span(&request, &id);
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

/// The span of a request, which our own traces show. A request that brings such traces has none, as the traces of taking
/// them in would be the next to bring.
fn span(request: &Request, id: &HeaderValue) -> tracing::Span {
    if request.headers().contains_key(OWN_TRACES) {
        return tracing::Span::none();
    }
    tracing::info_span!(
        "http",
        otel.name = format!("{} {}", request.method(), request.uri().path()),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        http.response.status_code = tracing::field::Empty,
        request_id = id.to_str().unwrap_or_default(),
    )
}

/// Tells browsers what pages of ours may do.
pub async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Answers of the API are of the moment and may be secret; files say themselves how long they hold.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Gives up on answers that take too long.
pub async fn time_limit(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = ANSWER_TIMEOUT.as_secs();
            Refusal::new(ErrorKind::Unavailable, format!("no answer within {seconds} seconds; ask for less")).into_response()
        }
    }
}

fn is_sane(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    !bytes.is_empty() && bytes.len() <= REQUEST_ID_CHARS_MAX && bytes.iter().all(u8::is_ascii_graphic)
}

fn new_request_id() -> HeaderValue {
    let id = uuid::Uuid::new_v4().to_string();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}

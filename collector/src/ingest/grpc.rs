//! The port for gRPC: OTLP and Envoy's access logs, with what every gRPC server answers.

pub mod unary;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::post;
use prost::Message;
use tower_http::catch_panic::CatchPanicLayer;

use super::door::Refusal;
use crate::store::Store;

/// Puts the services of the port together. `services` are guarded and counted by themselves.
pub fn port(services: Router, store: Arc<dyn Store>) -> Router {
    services
        .route("/grpc.health.v1.Health/Check", post(move |request: Request| health(Arc::clone(&store), request)))
        .fallback(no_such_method)
        .layer(CatchPanicLayer::custom(panicked))
}

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Message)]
struct HealthRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Message)]
struct HealthResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;

/// Bytes of a request for health: the name of a service.
const HEALTH_BYTES_MAX: usize = 4096;

/// Whether the store answers; the same for all services of the port.
async fn health(store: Arc<dyn Store>, request: Request) -> Response {
    match unary::read_small(request, HEALTH_BYTES_MAX).await {
        Ok(bytes) if HealthRequest::decode(&*bytes).is_ok() => {
            let status = if store.created_at_ms().await.is_ok() { SERVING } else { NOT_SERVING };
            unary::answer(&HealthResponse { status }.encode_to_vec())
        }
        Ok(_) => unary::refuse(Refusal::undecodable("expected a HealthCheckRequest")),
        Err(refusal) => unary::refuse(refusal),
    }
}

/// gRPC answers unknown methods itself; whatever else comes to this port is told what it is for.
async fn no_such_method(headers: HeaderMap) -> Response {
    if is_grpc(&headers) {
        return unary::refuse(Refusal::unimplemented("there is no such method on this port"));
    }
    unary::not_grpc()
}

pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

// The signature is tower-http's.
#[allow(clippy::needless_pass_by_value)]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(message, "a gRPC handler panicked");
    unary::refuse(Refusal::internal("something went wrong inside; the log knows what"))
}

/// For guards: how this port says no.
pub fn refuse(request: &Request, refusal: Refusal) -> Response {
    if is_grpc(request.headers()) { unary::refuse(refusal) } else { unary::not_grpc() }
}

//! Applications behind sidecars: small axum servers on a port of their own.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::any;
use serde_json::{Value, json};

pub async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers its name to everything.
pub async fn named(name: &'static str) -> SocketAddr {
    serve(Router::new().fallback(any(move || async move { name }))).await
}

/// Answers what it received: method, path, headers, body.
pub async fn echo() -> SocketAddr {
    serve(Router::new().fallback(any(echo_handler))).await
}

async fn echo_handler(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let headers: serde_json::Map<String, Value> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    axum::Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "headers": headers,
        "body_bytes": body.len(),
    }))
}

/// An address where nobody listens.
pub fn nowhere() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

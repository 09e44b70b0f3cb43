//! Refusals have one form, and every answer its headers.

use sidelight_api::error::ErrorKind;

use super::Server;
use crate::web::BODY_BYTES_MAX;

#[tokio::test]
async fn every_refusal_is_the_envelope() {
    let server = Server::open().await;
    for (method, path, status, kind, message) in [
        ("GET", "/api/nothing", 404, ErrorKind::NotFound, "there is no `/api/nothing` here"),
        ("GET", "/api", 404, ErrorKind::NotFound, "there is no `/api` here"),
        ("GET", "/missing.js", 404, ErrorKind::NotFound, "there is no `/missing.js` here"),
        ("POST", "/api/namespaces/graph", 405, ErrorKind::MethodNotAllowed, "`/api/namespaces/graph` does not answer to POST"),
        ("DELETE", "/api/login", 405, ErrorKind::MethodNotAllowed, "`/api/login` does not answer to DELETE"),
        ("PUT", "/api/echo", 405, ErrorKind::MethodNotAllowed, "`/api/echo` does not answer to PUT"),
        ("POST", "/graph", 405, ErrorKind::MethodNotAllowed, "`/graph` does not answer to POST"),
        (
            "GET",
            "/api/namespaces/graph?duration=soon",
            400,
            ErrorKind::BadRequest,
            "parameter `duration`: `soon` is not a duration such as 600s, 10m or 1h",
        ),
        ("GET", "/api/timeline?source=a", 400, ErrorKind::BadRequest, "parameter `target`: is missing: an edge has two ends"),
        ("GET", "/api/panic", 500, ErrorKind::Internal, "something went wrong inside; the log knows what"),
    ] {
        let answer = server.send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        let error = answer.error();
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = Server::open().await;
    let body = "x".repeat(BODY_BYTES_MAX + 1);
    assert_eq!(server.send("POST", "/api/echo", &[], &body).await.status, 413);
    assert_eq!(server.send("POST", "/api/echo", &[], "small").await.text(), "small");
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let server = Server::open().await;
    for path in ["/", "/api/status", "/api/nothing", "/healthz", "/api/panic", "/x.js"] {
        let answer = server.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval';") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_sane() {
    let server = Server::open().await;
    let answer = server.send("GET", "/healthz", &["x-request-id: my-own-id"], "").await;
    assert_eq!(answer.header("x-request-id"), "my-own-id");
    let long = format!("x-request-id: {}", "a".repeat(129));
    assert_eq!(server.send("GET", "/healthz", &[&long], "").await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn answers_of_the_api_are_compressed_and_not_kept() {
    let server = Server::open().await;
    let answer = server.send("GET", "/api/namespaces/graph", &["accept-encoding: gzip"], "").await;
    assert_eq!((answer.header("content-encoding"), answer.header("cache-control")), ("gzip", "no-store"));
}

//! The small print of HTTP/1.1: what has no body, what is chunked, what asks first, what is too much.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::ads::Ads;
use crate::support::app;
use crate::support::mesh::Proxy;
use crate::support::resources::{self as res, *};

async fn proxy(application: SocketAddr, normalize: bool) -> (Ads, Proxy) {
    let ads = Ads::start().await;
    let node = crate::support::mesh::node_id("sidecar", "productpage-v1");
    let mut manager = with_rds(manager(), "http_proxy");
    manager.normalize_path = Some(envoy_types::pb::google::protobuf::BoolValue { value: normalize });
    crate::support::mesh::Config {
        clusters: vec![fixed("svc", application)],
        listeners: vec![listener("outbound", "127.0.0.1:0".parse().unwrap(), OUTBOUND, &manager)],
        routes: vec![res::routes(
            "http_proxy",
            vec![host("svc", &["svc"], vec![at_prefix(direct("secret", 403, "no"), "/secret"), slow_at("/slow"), to("svc")])],
        )],
        ..Default::default()
    }
    .push(&ads, &node, "1");
    let proxy = Proxy::start(&ads, node).await;
    proxy.sidecar.ready().await;
    (ads, proxy)
}

fn slow_at(prefix: &str) -> Route {
    let mut action = action("svc");
    action.timeout = Some(seconds(0.2));
    at_prefix(route_with("slow", action), prefix)
}

/// Sends these bytes and reads everything until the proxy hangs up.
async fn raw(proxy: &Proxy, bytes: &str) -> String {
    let mut stream = TcpStream::connect(proxy.listener("outbound")).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn head_and_204_have_no_body_and_keep_their_headers() {
    let router =
        Router::new().route("/page", get(|| async { "twelve bytes" })).route("/none", get(|| async { StatusCode::NO_CONTENT }));
    let (_ads, proxy) = proxy(app::serve(router).await, false).await;
    let answer = raw(&proxy, "HEAD /page HTTP/1.1\r\nhost: svc\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-length: 12\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = raw(&proxy, "GET /none HTTP/1.1\r\nhost: svc\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    for n in 0..2 {
        let line = proxy.log_line(n).await;
        assert!(line.contains(" via_upstream - \"-\" 0 0 "), "{line}");
    }
}

#[tokio::test]
async fn a_chunked_request_that_asks_first_is_passed_on_whole() {
    let (_ads, proxy) = proxy(app::echo().await, false).await;
    let answer = raw(
        &proxy,
        "POST / HTTP/1.1\r\nhost: svc\r\nconnection: close\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"body_bytes\":5"), "{answer}");
    assert!(!answer.contains("\"expect\""), "{answer}");
    let line = proxy.log_line(0).await;
    assert!(line.starts_with("\"POST / HTTP/1.1\" 200 - via_upstream - \"-\" 5 "), "{line}");
}

const CHUNKED_GET: &str = "host: svc\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

#[tokio::test]
async fn a_get_with_a_chunked_body_keeps_it() {
    let (_ads, proxy) = proxy(app::echo().await, false).await;
    let answer = raw(&proxy, &format!("GET / HTTP/1.1\r\n{CHUNKED_GET}")).await;
    assert!(answer.contains("\"body_bytes\":5"), "{answer}");
    assert!(answer.contains("\"transfer-encoding\":\"chunked\""), "{answer}");
    let line = proxy.log_line(0).await;
    assert!(line.starts_with("\"GET / HTTP/1.1\" 200 - via_upstream - \"-\" 5 "), "{line}");
}

#[tokio::test]
async fn a_get_with_a_chunked_body_is_waited_for_no_longer_than_others() {
    let router = Router::new().fallback(any(std::future::pending::<()>));
    let (_ads, proxy) = proxy(app::serve(router).await, false).await;
    let answer = raw(&proxy, &format!("GET /slow HTTP/1.1\r\n{CHUNKED_GET}")).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

#[tokio::test]
async fn a_length_beside_chunks_goes_no_further() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = upstream.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let (_ads, proxy) = proxy(address, false).await;
    let answer = raw(&proxy, "GET / HTTP/1.1\r\nhost: svc\r\nconnection: close\r\n\r\n").await;
    assert!(!answer.contains("content-length"), "{answer}");
    assert!(answer.contains("\r\n\r\n5\r\nhello\r\n0\r\n"), "{answer}");
}

#[tokio::test]
async fn two_requests_in_one_packet_get_two_answers_in_order() {
    let router = Router::new().fallback(any(|uri: axum::http::Uri| async move { uri.path().to_owned() }));
    let (_ads, proxy) = proxy(app::serve(router).await, false).await;
    let answer =
        raw(&proxy, "GET /one HTTP/1.1\r\nhost: svc\r\n\r\nGET /two HTTP/1.1\r\nhost: svc\r\nconnection: close\r\n\r\n").await;
    let (one, two) = (answer.find("/one").unwrap(), answer.find("/two").unwrap());
    assert!(one < two, "{answer}");
}

#[tokio::test]
async fn too_many_and_malformed_headers_are_refused_and_counted() {
    let (_ads, proxy) = proxy(app::echo().await, false).await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let answer = raw(&proxy, &format!("GET / HTTP/1.1\r\nhost: svc\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = raw(&proxy, "GET / HTTP/1.1\r\nhost svc\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let counted = proxy.metric("envoy_http_downstream_cx_protocol_error", &[]).await;
    assert_eq!(counted, Some(2.0));
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let (_ads, proxy) = proxy(app::echo().await, false).await;
    let answer = raw(&proxy, "GET /x HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 400 - missing_host_header - \"-\" 0 0 "), "{line}");
}

#[tokio::test]
async fn a_route_cannot_be_dodged_with_dots() {
    let (_ads, proxy) = proxy(app::echo().await, true).await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("http://svc/open/../secret/x").await.status, 403);
    assert_eq!(client.get("http://svc/%2e%2e/secret").await.status, 400);
    assert_eq!(client.get("http://svc/a/./b?q=..").await.json()["path"], "/a/b?q=..");
    let line = proxy.log_line(1).await;
    assert!(line.contains(" 400 - path_normalization_failed "), "{line}");
}

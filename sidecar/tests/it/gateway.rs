//! A sidecar as ingress gateway: plain requests from outside, addresses and ids as an edge proxy treats them.

use crate::support::ads::Ads;
use crate::support::app;
use crate::support::client::get;
use crate::support::mesh::{Config, Proxy, node_id};
use crate::support::resources::{self as res, *};

const PRODUCTPAGE: &str = "outbound|9080||productpage.bookinfo.svc.cluster.local";

async fn gateway(routes: Vec<Route>) -> (Ads, Proxy) {
    let echo = app::echo().await;
    let ads = Ads::start().await;
    let node = node_id("router", "istio-ingressgateway");
    let mut manager = with_rds(manager(), "http.8080");
    manager.use_remote_address = Some(envoy_types::pb::google::protobuf::BoolValue { value: true });
    Config {
        clusters: vec![eds(PRODUCTPAGE)],
        endpoints: vec![named_assignment(PRODUCTPAGE, &[echo], None)],
        listeners: vec![listener("gateway", "127.0.0.1:0".parse().unwrap(), OUTBOUND, &manager)],
        routes: vec![res::routes("http.8080", vec![host("all", &["bookinfo.com", "bookinfo.com:8080"], routes)])],
    }
    .push(&ads, &node, "1");
    let proxy = Proxy::start(&ads, node).await;
    proxy.sidecar.ready().await;
    (ads, proxy)
}

#[tokio::test]
async fn the_clients_address_is_appended_and_its_request_id_replaced() {
    let (_ads, proxy) = gateway(vec![to(PRODUCTPAGE)]).await;
    let id = "343a860d-c001-92fc-98fa-bd3412029667";
    let mut client = crate::support::client::Client::connect(proxy.listener("gateway")).await;
    let answer = client
        .get_with(
            "/productpage",
            &[
                ("host", "bookinfo.com"),
                ("x-forwarded-for", "9.9.9.9"),
                ("x-forwarded-proto", "https"),
                ("connection", "x-forwarded-for, x-forwarded-proto, x-request-id"),
                ("x-envoy-force-trace", "1"),
                ("x-envoy-original-path", "/elsewhere"),
                ("x-envoy-internal", "true"),
                ("x-envoy-external-address", "9.9.9.9"),
                ("x-envoy-downstream-service-cluster", "productpage"),
                ("x-envoy-downstream-service-node", "sidecar"),
                ("x-request-id", id),
            ],
        )
        .await;
    let headers = &answer.json()["headers"];
    assert_eq!(headers["x-forwarded-for"], "9.9.9.9,127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    let control = headers.as_object().unwrap().keys().filter(|name| name.starts_with("x-envoy-"));
    let control: Vec<_> = control.filter(|name| !name.contains("peer-metadata")).collect();
    assert_eq!(control, [] as [&str; 0]);
    assert_ne!(headers["x-request-id"], id);
    let line = proxy.log_line(0).await;
    assert!(line.contains("\"9.9.9.9,127.0.0.1\""), "{line}");
    let counted = proxy
        .metric(
            "istio_requests_total",
            &["reporter=\"source\"", "source_workload=\"istio-ingressgateway\"", "destination_service_name=\"productpage\""],
        )
        .await;
    assert_eq!(counted, Some(1.0));
}

#[tokio::test]
async fn other_hosts_are_not_found() {
    let (_ads, proxy) = gateway(vec![to(PRODUCTPAGE)]).await;
    let answer = get(proxy.listener("gateway"), "/").await;
    assert_eq!(answer.status, 404);
    let line = proxy.log_line(0).await;
    assert!(line.starts_with("\"GET / HTTP/1.1\" 404 NR route_not_found "), "{line}");
}

#[tokio::test]
async fn redirects_and_direct_answers_need_no_upstream() {
    use envoy_types::pb::envoy::config::route::v3::{RedirectAction, route::Action};
    let mut elsewhere = at_prefix(direct("redir", 200, ""), "/old");
    elsewhere.action =
        Some(Action::Redirect(RedirectAction { host_redirect: "new.example".into(), response_code: 1, ..Default::default() }));
    let (_ads, proxy) = gateway(vec![elsewhere, direct("direct", 503, "maintenance")]).await;
    let mut client = crate::support::client::Client::connect(proxy.listener("gateway")).await;
    let host = &[("host", "bookinfo.com")];
    let moved = client.get_with("/old/x?q=1", host).await;
    assert_eq!(moved.status, 302);
    assert_eq!(moved.headers["location"], "http://new.example/old/x?q=1");
    let answer = client.get_with("/", host).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (503, "maintenance"));
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 302 - direct_response - \"-\" 0 0 "), "{line}");
    assert!(line.ends_with(" - redir"), "{line}");
    let line = proxy.log_line(1).await;
    assert!(line.contains(" 503 - direct_response - \"-\" 0 11 "), "{line}");
}

#[tokio::test]
async fn connect_gets_no_tunnel() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_ads, proxy) = gateway(vec![to(PRODUCTPAGE)]).await;
    let mut stream = tokio::net::TcpStream::connect(proxy.listener("gateway")).await.unwrap();
    let ask = "CONNECT bookinfo.com:8080 HTTP/1.1\r\nhost: bookinfo.com:8080\r\nconnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 403 - upgrade_failed "), "{line}");
}

#[tokio::test]
async fn http_1_0_is_sent_away() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_ads, proxy) = gateway(vec![to(PRODUCTPAGE)]).await;
    let mut stream = tokio::net::TcpStream::connect(proxy.listener("gateway")).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\nhost: bookinfo.com\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(" 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nUpgrade Required"), "{answer}");
}

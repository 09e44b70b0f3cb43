//! Where requests go, and what comes back when they cannot go there.

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};

use crate::support::ads::Ads;
use crate::support::app;
use crate::support::mesh::Proxy;
use crate::support::resources::{self as res, *};

const REVIEWS: &str = "outbound|9080||reviews.bookinfo.svc.cluster.local";
const V1: &str = "outbound|9080|v1|reviews.bookinfo.svc.cluster.local";
const V2: &str = "outbound|9080|v2|reviews.bookinfo.svc.cluster.local";

/// A sidecar that sends `reviews:9080` by these routes to these applications.
async fn proxy(to: &[(&str, &[std::net::SocketAddr])], routes: Vec<Route>) -> (Ads, Proxy) {
    let ads = Ads::start().await;
    let clusters = to.iter().map(|(name, _)| eds(name)).collect();
    let endpoints = to.iter().map(|(name, hosts)| named_assignment(name, hosts, None)).collect();
    let table = res::routes("http_proxy", vec![host("reviews.bookinfo:9080", &["reviews:9080"], routes)]);
    let proxy = Proxy::outbound(&ads, clusters, endpoints, table).await;
    (ads, proxy)
}

#[tokio::test]
async fn the_authority_of_the_absolute_form_decides() {
    let echo = app::echo().await;
    let (_ads, proxy) = proxy(&[(REVIEWS, &[echo])], vec![to(REVIEWS)]).await;
    let mut client = proxy.client().await;
    let answer = client
        .get_with(
            "http://reviews:9080/reviews/0?x=1",
            &[
                ("host", "elsewhere"),
                ("connection", "keep-alive, x-drop"),
                ("x-drop", "1"),
                ("x-keep", "1"),
                ("proxy-connection", "keep-alive"),
            ],
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["server"], "istio-envoy");
    assert!(answer.headers.contains_key("x-envoy-upstream-service-time"));
    assert!(answer.headers.contains_key("date"));
    let seen = answer.json();
    assert_eq!(seen["path"], "/reviews/0?x=1");
    assert_eq!(seen["headers"]["host"], "reviews:9080");
    assert_eq!(seen["headers"]["x-keep"], "1");
    assert_eq!(seen["headers"]["x-forwarded-proto"], "http");
    assert!(seen["headers"]["x-request-id"].as_str().unwrap().len() == 36);
    for gone in ["x-drop", "proxy-connection", "connection", "x-forwarded-for"] {
        assert!(seen["headers"].get(gone).is_none(), "{gone}");
    }
    assert_eq!(seen["headers"]["x-envoy-peer-metadata-id"], proxy.node.as_str());
}

#[tokio::test]
async fn weights_hold_within_binomial_bounds() {
    let (one, two) = (app::named("v1").await, app::named("v2").await);
    let (_ads, proxy) = proxy(&[(V1, &[one]), (V2, &[two])], vec![weighted(&[(V1, 90), (V2, 10)])]).await;
    let mut client = proxy.client().await;
    let mut second = 0;
    for _ in 0..2000 {
        second += usize::from(client.get("http://reviews:9080/").await.text() == "v2");
    }
    // 200 expected, standard deviation 13.4: five of them.
    assert!((133..=267).contains(&second), "{second} of 2000");
    let total = proxy.metric("istio_requests_total", &["reporter=\"source\""]).await;
    assert_eq!(total, Some(2000.0), "both subsets are one service");
}

#[tokio::test]
async fn a_header_sends_luffy_to_v2() {
    let (one, two) = (app::named("v1").await, app::named("v2").await);
    let (_ads, proxy) = proxy(&[(V1, &[one]), (V2, &[two])], vec![when_header(to(V2), "end-user", "luffy"), to(V1)]).await;
    let mut client = proxy.client().await;
    let url = "http://reviews:9080/";
    assert_eq!(client.get(url).await.text(), "v1");
    let luffy = client.get_with(url, &[("end-user", "luffy")]).await;
    assert_eq!(luffy.text(), "v2");
}

#[tokio::test]
async fn a_slow_upstream_is_answered_for_after_the_timeout() {
    let slow = app::serve(Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_secs(30)).await;
    })))
    .await;
    let mut action = action(REVIEWS);
    action.timeout = Some(seconds(0.2));
    let (_ads, proxy) = proxy(&[(REVIEWS, &[slow])], vec![route_with("default", action)]).await;
    let started = Instant::now();
    let answer = proxy.client().await.get("http://reviews:9080/slow").await;
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(answer.status, 504);
    assert_eq!(answer.text(), "upstream request timeout");
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert!(!answer.headers.contains_key("x-envoy-upstream-service-time"));
    let line = proxy.log_line(0).await;
    assert!(line.starts_with(r#""GET /slow HTTP/1.1" 504 UT response_timeout - "-" 0 24 "#), "{line}");
    let counted = proxy.metric("istio_requests_total", &["response_code=\"504\"", "response_flags=\"UT\""]).await;
    assert_eq!(counted, Some(1.0));
}

#[tokio::test]
async fn no_route_no_cluster_no_host_no_connection() {
    let ads = Ads::start().await;
    let table = res::routes(
        "http_proxy",
        vec![
            host("nc", &["nc"], vec![to("missing")]),
            host("uh", &["uh"], vec![to("empty")]),
            host("uf", &["uf"], vec![to("refused")]),
        ],
    );
    let nowhere = app::nowhere();
    let proxy = Proxy::outbound(
        &ads,
        vec![eds("empty"), eds("refused")],
        vec![named_assignment("empty", &[], None), named_assignment("refused", &[nowhere], None)],
        table,
    )
    .await;
    let mut client = proxy.client().await;
    let cases = [
        ("http://nowhere.example/x", 404, "", "404 NR route_not_found - \"-\" 0 0 ".to_owned()),
        ("http://nc/", 503, "", "503 NC cluster_not_found - \"-\" 0 0 ".to_owned()),
        ("http://uh/", 503, "no healthy upstream", "503 UH no_healthy_upstream - \"-\" 0 19 ".to_owned()),
        (
            "http://uf/",
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
            "503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused} \
             - \"delayed_connect_error:_Connection_refused\" 0 98 "
                .to_owned(),
        ),
    ];
    for (n, (url, status, body, logged)) in cases.into_iter().enumerate() {
        let answer = client.get(url).await;
        assert_eq!(answer.status, status, "{url}");
        assert_eq!(answer.text(), body, "{url}");
        assert_eq!(answer.headers["server"], "istio-envoy");
        let line = proxy.log_line(n).await;
        assert!(line.contains(&logged), "{line}\nlacks\n{logged}");
    }
    // The chosen host is logged although it could not be reached, the cluster as soon as it was chosen.
    let lines = proxy.log.lines();
    assert!(lines[0].contains("\"nowhere.example\" \"-\" - - 127.0.0.1:"), "{}", lines[0]);
    assert!(lines[1].contains("\"nc\" \"-\" - - "), "{}", lines[1]);
    assert!(lines[2].contains("\"uh\" \"-\" empty - "), "{}", lines[2]);
    assert!(lines[3].contains(&format!("\"uf\" \"{nowhere}\" refused - ")), "{}", lines[3]);
}

#[tokio::test]
async fn a_closed_connection_is_uc_and_bad_http_is_upe() {
    let closing = raw_server(b"").await;
    let babbling = raw_server(b"this is not http\r\n\r\n").await;
    let (_ads, proxy) =
        proxy(&[(V1, &[closing]), (V2, &[babbling])], vec![at_prefix(to(V1), "/uc"), at_prefix(to(V2), "/upe")]).await;
    let mut client = proxy.client().await;
    let uc = client.get("http://reviews:9080/uc").await;
    assert_eq!(uc.status, 503);
    assert_eq!(uc.text(), "upstream connect error or disconnect/reset before headers. reset reason: connection termination");
    let upe = client.get("http://reviews:9080/upe").await;
    assert_eq!(upe.status, 502);
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 503 UC upstream_reset_before_response_started{connection_termination} "), "{line}");
    let line = proxy.log_line(1).await;
    assert!(line.contains(" 502 UPE upstream_reset_before_response_started{protocol_error} "), "{line}");
}

#[tokio::test]
async fn an_answer_that_begins_and_never_ends_times_out_in_the_log() {
    let endless = app::serve(Router::new().fallback(any(|| async {
        let body =
            tokio_stream::StreamExt::chain(tokio_stream::once(Ok::<_, std::convert::Infallible>("abc")), tokio_stream::pending());
        axum::body::Body::from_stream(body)
    })))
    .await;
    let mut action = action(REVIEWS);
    action.timeout = Some(seconds(0.2));
    let (_ads, proxy) = proxy(&[(REVIEWS, &[endless])], vec![route_with("default", action)]).await;
    let call = crate::support::client::request(http::Method::GET, "http://reviews:9080/", &[], bytes::Bytes::new());
    assert!(proxy.client().await.send(call).await.is_err(), "the answer must not look complete");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 200 UT response_timeout - \"-\" 0 3 "), "{line}");
}

#[tokio::test]
async fn an_upstream_that_cuts_its_answer_is_upe() {
    let cutting = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let (_ads, proxy) = proxy(&[(REVIEWS, &[cutting])], vec![to(REVIEWS)]).await;
    let call = crate::support::client::request(http::Method::GET, "http://reviews:9080/", &[], bytes::Bytes::new());
    assert!(proxy.client().await.send(call).await.is_err());
    let line = proxy.log_line(0).await;
    let expected = " 200 UPE upstream_reset_after_response_started{protocol_error} - \"-\" 0 3 ";
    assert!(line.contains(expected), "{line}");
}

/// Reads a request, says these bytes, and hangs up.
async fn raw_server(says: &'static [u8]) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(says).await;
        }
    });
    address
}

#[tokio::test]
async fn retries_are_made_as_often_as_allowed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let calls = Arc::new(AtomicU32::new(0));
    let counter = calls.clone();
    let failing = app::serve(Router::new().fallback(any(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        async { StatusCode::BAD_GATEWAY }
    })))
    .await;
    let mut with_retries = action(REVIEWS);
    with_retries.retry_policy = Some(retry("5xx", 3));
    let (_ads, proxy) = proxy(&[(REVIEWS, &[failing])], vec![route_with("default", with_retries)]).await;
    let answer = proxy.client().await.get("http://reviews:9080/status/502").await;
    assert_eq!(answer.status, 502);
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 502 URX via_upstream "), "{line}");
    let retried = proxy.metric("envoy_cluster_upstream_rq_retry", &[]).await;
    assert_eq!(retried, Some(3.0));
}

#[tokio::test]
async fn a_retry_after_a_refused_connection_takes_the_body_along() {
    let (nowhere, echo) = (app::nowhere(), app::echo().await);
    let mut with_retries = action(REVIEWS);
    with_retries.retry_policy = Some(retry("connect-failure", 5));
    let (_ads, proxy) = proxy(&[(REVIEWS, &[nowhere, echo])], vec![route_with("default", with_retries)]).await;
    let mut client = proxy.client().await;
    for _ in 0..6 {
        let answer = client.post("http://reviews:9080/", "hello").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["body_bytes"], 5);
    }
}

#[tokio::test]
async fn rewrites_show_the_new_path_to_the_service_and_the_old_one_in_the_log() {
    let echo = app::echo().await;
    let mut rewriting = action(REVIEWS);
    rewriting.prefix_rewrite = "/ratings".into();
    let (_ads, proxy) = proxy(&[(REVIEWS, &[echo])], vec![at_prefix(route_with("default", rewriting), "/rate")]).await;
    let answer = proxy.client().await.get("http://reviews:9080/rate/7?a=b").await;
    let seen = answer.json();
    assert_eq!(seen["path"], "/ratings/7?a=b");
    assert_eq!(seen["headers"]["x-envoy-original-path"], "/rate/7?a=b");
    let line = proxy.log_line(0).await;
    assert!(line.starts_with("\"GET /rate/7?a=b HTTP/1.1\" 200 - via_upstream "), "{line}");
}

#[tokio::test]
async fn unknown_hosts_pass_through_and_blocked_ones_do_not() {
    let echo = app::echo().await;
    let ads = Ads::start().await;
    let table = res::routes(
        "http_proxy",
        vec![host("blocked", &["blocked.example.com"], vec![direct("block_all", 502, "")]), allow_any()],
    );
    let proxy = Proxy::outbound(&ads, vec![passthrough()], vec![], table).await;
    let mut client = proxy.client().await;
    let url = format!("http://localhost:{}/", echo.port());
    assert_eq!(client.get(&url).await.status, 200);
    let passed = proxy.metric("istio_requests_total", &["destination_service_name=\"PassthroughCluster\""]).await;
    assert_eq!(passed, Some(1.0));
    let blocked = client.get("http://blocked.example.com/").await;
    assert_eq!(blocked.status, 502);
    let line = proxy.log_line(1).await;
    assert!(line.contains(" 502 - direct_response - \"-\" 0 0 "), "{line}");
    assert!(line.ends_with(" - block_all"), "{line}");
    let black_hole =
        proxy.metric("istio_requests_total", &["destination_service_name=\"BlackHoleCluster\"", "response_code=\"502\""]).await;
    assert_eq!(black_hole, Some(1.0));
    let unresolved = client.get("http://no-such-host.invalid/").await;
    assert_eq!(unresolved.status, 503);
    let line = proxy.log_line(2).await;
    assert!(line.contains(" 503 DF dns_resolution_failure "), "{line}");
    // A request for the proxy itself must not come round again.
    let own = format!("http://{}/", proxy.listener("outbound"));
    assert_eq!(client.get(&own).await.status, 503);
}

#[tokio::test]
async fn bodies_stream_both_ways_and_connections_are_reused() {
    let echo = app::serve(
        Router::new()
            .route("/", any(|body: axum::body::Body| async { axum::response::Response::new(body) }))
            .route("/plain", get(|| async { "x" })),
    )
    .await;
    let (_ads, proxy) = proxy(&[(REVIEWS, &[echo])], vec![to(REVIEWS)]).await;
    let mut client = proxy.client().await;
    let megabytes = vec![7; 5 << 20];
    let answer = client.post("http://reviews:9080/", megabytes.clone()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == megabytes);
    for _ in 0..20 {
        assert_eq!(client.get("http://reviews:9080/plain").await.text(), "x");
    }
    let opened = proxy.metric("envoy_cluster_upstream_cx_total", &[]).await;
    assert!(opened <= Some(2.0), "{opened:?} connections for 21 requests");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" via_upstream - \"-\" 5242880 5242880 "), "{line}");
}

#[tokio::test]
async fn faults_delay_and_abort() {
    let app = app::named("v1").await;
    let mut route = to(REVIEWS);
    route.typed_per_filter_config = fault(0.05, 418);
    let (_ads, proxy) = proxy(&[(REVIEWS, &[app])], vec![route]).await;
    let answer = proxy.client().await.get("http://reviews:9080/").await;
    assert_eq!(answer.status, 418);
    assert_eq!(answer.text(), "fault filter abort");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 418 DI,FI fault_filter_abort - \"-\" 0 18 "), "{line}");
    assert!(line.contains(&format!("\"-\" {REVIEWS} - ")), "{line}");
}

fn fault(delay: f64, abort: u32) -> std::collections::HashMap<String, envoy_types::pb::google::protobuf::Any> {
    use envoy_types::pb::envoy::extensions::filters::common::fault::v3 as common;
    use envoy_types::pb::envoy::extensions::filters::http::fault::v3 as fault;
    use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
    use prost::Message;
    let all = Some(FractionalPercent { numerator: 100, denominator: 0 });
    let message = fault::HttpFault {
        delay: Some(common::FaultDelay {
            percentage: all,
            fault_delay_secifier: Some(common::fault_delay::FaultDelaySecifier::FixedDelay(seconds(delay))),
        }),
        abort: Some(fault::FaultAbort {
            percentage: all,
            error_type: Some(fault::fault_abort::ErrorType::HttpStatus(abort)),
            ..Default::default()
        }),
        ..Default::default()
    };
    let any = envoy_types::pb::google::protobuf::Any {
        type_url: "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault".into(),
        value: message.encode_to_vec(),
    };
    [("envoy.filters.http.fault".to_owned(), any)].into()
}

#[tokio::test]
async fn a_client_that_leaves_early_is_dc() {
    let slow = app::serve(Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_secs(30)).await;
    })))
    .await;
    let (_ads, proxy) = proxy(&[(REVIEWS, &[slow])], vec![to(REVIEWS)]).await;
    let mut client = proxy.client().await;
    let call = client.get("http://reviews:9080/");
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    drop(client);
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 0 DC downstream_remote_disconnect "), "{line}");
    let counted = proxy.metric("istio_requests_total", &["response_code=\"0\"", "response_flags=\"DC\""]).await;
    assert_eq!(counted, Some(1.0));
}

#[tokio::test]
async fn an_open_circuit_breaker_overflows() {
    let slow = app::serve(Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "done"
    })))
    .await;
    let ads = Ads::start().await;
    let mut cluster = eds(REVIEWS);
    cluster.circuit_breakers = Some(breakers(1, 1));
    let table = res::routes("http_proxy", vec![host("r", &["reviews:9080"], vec![to(REVIEWS)])]);
    let endpoints = vec![named_assignment(REVIEWS, &[slow], None)];
    let proxy = Proxy::outbound(&ads, vec![cluster], endpoints, table).await;
    let mut calls = Vec::new();
    for _ in 0..5 {
        let mut client = proxy.client().await;
        calls.push(tokio::spawn(async move { client.get("http://reviews:9080/").await }));
    }
    let mut overflowed = 0;
    for call in calls {
        let answer = call.await.unwrap();
        if answer.status == 503 {
            overflowed += 1;
            assert_eq!(answer.headers["x-envoy-overloaded"], "true");
            assert_eq!(answer.text(), "upstream connect error or disconnect/reset before headers. reset reason: overflow");
        }
    }
    assert_eq!(overflowed, 3, "one in flight and one waiting are allowed");
    let overflow = proxy.metric("envoy_cluster_upstream_rq_pending_overflow", &[]).await;
    assert_eq!(overflow, Some(3.0));
}

fn breakers(connections: u32, pending: u32) -> envoy_types::pb::envoy::config::cluster::v3::CircuitBreakers {
    use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
    use envoy_types::pb::google::protobuf::UInt32Value;
    envoy_types::pb::envoy::config::cluster::v3::CircuitBreakers {
        thresholds: vec![Thresholds {
            max_connections: Some(UInt32Value { value: connections }),
            max_pending_requests: Some(UInt32Value { value: pending }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

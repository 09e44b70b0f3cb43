//! How the sidecar talks to its control plane, and what a change does to traffic.

use crate::support::ads::{Ads, CDS, EDS, LDS, RDS};
use crate::support::mesh::{Proxy, node_id, outbound_config};
use crate::support::resources::{self as res, *};
use crate::support::{app, eventually};

fn one_service(cluster: &str) -> RouteConfiguration {
    res::routes("http_proxy", vec![host("svc", &["svc"], vec![to(cluster)])])
}

#[tokio::test]
async fn the_first_stream_asks_in_envoys_order_and_acknowledges() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;
    ads.wait_for(&proxy.node, RDS, "1", false).await;
    let requests = ads.requests(&proxy.node);
    assert_eq!(requests[0].type_url, CDS);
    let node = requests[0].node.as_ref().unwrap();
    assert_eq!(node.id, proxy.node);
    assert_eq!(node.cluster, "productpage.bookinfo");
    assert_eq!(node.user_agent_name, "envoy");
    assert!(node.metadata.as_ref().unwrap().fields.contains_key("LABELS"));
    assert!(requests[1..].iter().all(|request| request.node.is_none()));
    let first = |kind: &str| requests.iter().position(|r| r.type_url == kind).unwrap();
    assert!(first(CDS) < first(EDS) && first(EDS) < first(LDS) && first(LDS) < first(RDS));
    assert_eq!(requests[first(EDS)].resource_names, ["a"]);
    assert_eq!(requests[first(RDS)].resource_names, ["http_proxy"]);
    assert!(requests[first(LDS)].resource_names.is_empty());
    for kind in [CDS, EDS, LDS, RDS] {
        assert_eq!(requests[first(kind)].version_info, "");
        ads.wait_for(&proxy.node, kind, "1", false).await;
    }
}

#[tokio::test]
async fn a_bad_update_is_refused_and_the_good_one_stays() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;

    let mut broken = eds("a");
    broken.connect_timeout = Some(seconds(-1.0));
    ads.set(&proxy.node, CDS, "bad-2", vec![named_cluster(broken)]);
    ads.wait_for(&proxy.node, CDS, "1", true).await;
    let requests = ads.requests(&proxy.node);
    let refusal = requests.iter().find(|r| r.error_detail.is_some()).unwrap();
    let error = refusal.error_detail.as_ref().unwrap();
    assert_eq!(error.code, 13);
    assert_eq!(error.message, "cluster `a`: `connect_timeout`: a duration must not be negative");
    assert_eq!(proxy.client().await.get("http://svc/").await.text(), "a");
    assert_eq!(proxy.metric("envoy_cluster_manager_cds_update_rejected", &[]).await, Some(1.0));

    ads.set(&proxy.node, CDS, "3", vec![named_cluster(eds("a"))]);
    ads.wait_for(&proxy.node, CDS, "3", false).await;
}

#[tokio::test]
async fn a_route_change_moves_an_open_connection() {
    let (one, two) = (app::named("one").await, app::named("two").await);
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("one", &[one], None), named_assignment("two", &[two], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("one"), eds("two")], endpoints, one_service("one")).await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("http://svc/").await.text(), "one");
    ads.set(&proxy.node, RDS, "2", vec![named_routes(one_service("two"))]);
    ads.wait_for(&proxy.node, RDS, "2", false).await;
    // The same connection: hyper would fail here had it been closed.
    assert_eq!(client.get("http://svc/").await.text(), "two");
    let connections = proxy.metric("envoy_listener_downstream_cx_total", &[]).await;
    assert_eq!(connections, Some(1.0));
}

#[tokio::test]
async fn a_listener_change_keeps_its_connections() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("http://svc/").await.headers["server"], "istio-envoy");
    let mut manager = with_rds(manager(), "http_proxy");
    manager.server_name = "renamed".into();
    let any = "127.0.0.1:0".parse().unwrap();
    let before = proxy.listener("outbound");
    ads.set(&proxy.node, LDS, "2", vec![listener("outbound", any, OUTBOUND, &manager)]);
    ads.wait_for(&proxy.node, LDS, "2", false).await;
    assert_eq!(client.get("http://svc/").await.headers["server"], "renamed");
    assert_eq!(proxy.listener("outbound"), before);
}

#[tokio::test]
async fn traffic_does_not_stop_while_routes_and_clusters_are_swapped() {
    let (one, two) = (app::named("one").await, app::named("two").await);
    let ads = Ads::start().await;
    let endpoints = |name: &str, to| vec![named_assignment(name, &[to], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("one")], endpoints("one", one), one_service("one")).await;
    let mut client = proxy.client().await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let load = tokio::spawn(async move {
        let mut calls = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(client.get("http://svc/").await.status, 200);
            calls += 1;
        }
        (calls, client.get("http://svc/").await.text().to_owned())
    });
    for version in 2..8 {
        let (name, to) = if version % 2 == 0 { ("two", two) } else { ("one", one) };
        // The old cluster disappears in the same update in which the route moves.
        outbound_config(vec![eds(name)], endpoints(name, to), one_service(name)).push(&ads, &proxy.node, &version.to_string());
        ads.wait_for(&proxy.node, RDS, &version.to_string(), false).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (calls, last) = load.await.unwrap();
    assert!(calls > 0);
    assert_eq!(last, "one");
    let errors = proxy.log.lines().iter().filter(|line| !line.contains(" 200 - ")).count();
    assert_eq!(errors, 0);
}

#[tokio::test]
async fn a_removed_cluster_is_gone_for_good_after_a_moment() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;
    let mut client = proxy.client().await;
    ads.set(&proxy.node, CDS, "2", vec![]);
    ads.wait_for(&proxy.node, CDS, "2", false).await;
    assert_eq!(client.get("http://svc/").await.status, 200, "still named by a route");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while client.get("http://svc/").await.status != 503 {
        assert!(tokio::time::Instant::now() < deadline, "the cluster never goes away");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_listener_waits_for_its_routes_and_routes_for_their_endpoints() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let node = node_id("sidecar", "productpage-v1");
    let whole = outbound_config(vec![eds("a")], vec![], one_service("a"));
    ads.set(&node, CDS, "1", whole.clusters.into_iter().map(named_cluster).collect());
    ads.set(&node, LDS, "1", whole.listeners);
    let proxy = Proxy::start(&ads, node.clone()).await;
    ads.wait_for(&node, LDS, "1", false).await;
    assert!(proxy.sidecar.addresses().listeners.is_empty());
    let dump = proxy.admin("/config_dump").await.json();
    assert_eq!(dump["configs"][1]["dynamic_warming_clusters"][0]["cluster"]["name"], "a");
    assert!(dump["configs"][1]["dynamic_active_clusters"].as_array().unwrap().is_empty());
    assert_eq!(dump["configs"][2]["dynamic_listeners"][0]["warming_state"]["listener"]["name"], "outbound");
    ads.set(&node, RDS, "1", vec![named_routes(one_service("a"))]);
    ads.wait_for(&node, RDS, "1", false).await;
    assert!(proxy.sidecar.addresses().listeners.is_empty(), "no endpoints yet");
    let ready = crate::support::client::get(proxy.sidecar.addresses().readiness, "/healthz/ready");
    assert_eq!(ready.await.status, 503);
    ads.set(&node, EDS, "1", vec![named_assignment("a", &[app], None)]);
    proxy.sidecar.ready().await;
    assert_eq!(proxy.client().await.get("http://svc/").await.text(), "a");
    let ready = crate::support::client::get(proxy.sidecar.addresses().readiness, "/healthz/ready");
    assert_eq!(ready.await.status, 200);
}

#[tokio::test]
async fn configuration_survives_the_control_plane() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;
    let mut client = proxy.client().await;
    ads.stop();
    eventually("the stream is gone", || std::net::TcpStream::connect(ads.address).is_err()).await;
    for _ in 0..10 {
        assert_eq!(client.get("http://svc/").await.text(), "a");
    }
    let before = ads.requests(&proxy.node).len();
    ads.restart().await;
    eventually("all four types are asked for again", || ads.requests(&proxy.node).len() >= before + 4).await;
    let again = ads.requests(&proxy.node);
    assert!(again[before].node.is_some(), "a new stream says who it is");
    let kinds: Vec<_> = again[before..before + 4].iter().map(|r| r.type_url.as_str()).collect();
    assert_eq!(kinds, [CDS, EDS, LDS, RDS]);
    for request in &again[before..before + 4] {
        assert_eq!(request.version_info, "1", "the last good version");
        assert_eq!(request.response_nonce, "", "nonces belong to a stream");
    }
    assert_eq!(client.get("http://svc/").await.text(), "a");
}

#[tokio::test]
async fn a_taken_port_is_a_reason_to_refuse() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;
    let manager = with_rds(manager(), "http_proxy");
    let any = "127.0.0.1:0".parse().unwrap();
    let taken = listener("taken", app, OUTBOUND, &manager);
    ads.set(&proxy.node, LDS, "2", vec![listener("outbound", any, OUTBOUND, &manager), taken]);
    ads.wait_for(&proxy.node, LDS, "1", true).await;
    let requests = ads.requests(&proxy.node);
    let refusal = requests.iter().find_map(|r| r.error_detail.as_ref()).unwrap();
    assert!(refusal.message.starts_with(&format!("listener `taken`: `address`: cannot bind {app}: ")), "{}", refusal.message);
    assert_eq!(proxy.client().await.get("http://svc/").await.text(), "a");
}

#[tokio::test]
async fn a_listener_that_is_no_longer_bound_closes() {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let endpoints = vec![named_assignment("a", &[app], None)];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, one_service("a")).await;
    let address = proxy.listener("outbound");
    let manager = with_rds(manager(), "http_proxy");
    ads.set(&proxy.node, LDS, "2", vec![unbound(listener("outbound", "127.0.0.1:0".parse().unwrap(), OUTBOUND, &manager))]);
    ads.wait_for(&proxy.node, LDS, "2", false).await;
    eventually("nobody listens", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(proxy.sidecar.addresses().listeners.is_empty());
}

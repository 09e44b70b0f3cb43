//! What the admin and status ports answer.

use http::Method;

use crate::support::ads::Ads;
use crate::support::app;
use crate::support::client::{Client, get, request};
use crate::support::mesh::Proxy;
use crate::support::resources::{self as res, *};

async fn proxy() -> (Ads, Proxy, std::net::SocketAddr) {
    let app = app::named("a").await;
    let ads = Ads::start().await;
    let table = res::routes("http_proxy", vec![host("svc", &["svc"], vec![to("a")])]);
    let endpoints = vec![named_assignment("a", &[app], Some("a-v1;bookinfo;a;v1;Kubernetes"))];
    let proxy = Proxy::outbound(&ads, vec![eds("a")], endpoints, table).await;
    assert_eq!(proxy.client().await.get("http://svc/").await.status, 200);
    (ads, proxy, app)
}

#[tokio::test]
async fn ready_and_server_info() {
    let (_ads, proxy, _) = proxy().await;
    let ready = proxy.admin("/ready").await;
    assert_eq!((ready.status.as_u16(), ready.text()), (200, "LIVE\n"));
    let info = proxy.admin("/server_info").await.json();
    assert_eq!(info["state"], "LIVE");
    assert_eq!(info["node"]["id"], proxy.node.as_str());
    assert_eq!(info["node"]["metadata"]["WORKLOAD_NAME"], "productpage-v1");
}

#[tokio::test]
async fn the_config_dump_has_envoys_sections_in_order() {
    let (_ads, proxy, app) = proxy().await;
    let dump = proxy.admin("/config_dump?include_eds").await.json();
    let sections = dump["configs"].as_array().unwrap();
    let kinds: Vec<_> = sections.iter().map(|section| section["@type"].as_str().unwrap().rsplit('.').next().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "BootstrapConfigDump",
            "ClustersConfigDump",
            "EndpointsConfigDump",
            "ListenersConfigDump",
            "ScopedRoutesConfigDump",
            "RoutesConfigDump",
            "SecretsConfigDump"
        ]
    );
    let cluster = &sections[1]["dynamic_active_clusters"][0];
    assert_eq!(cluster["version_info"], "1");
    assert_eq!(cluster["cluster"]["name"], "a");
    assert_eq!(cluster["cluster"]["type"], "EDS");
    assert_eq!(cluster["cluster"]["connect_timeout"], "1s");
    assert_eq!(sections[1]["static_clusters"][0]["cluster"]["name"], "xds-grpc");
    let endpoint = &sections[2]["dynamic_endpoint_configs"][0]["endpoint_config"];
    let host = &endpoint["endpoints"][0]["lb_endpoints"][0];
    assert_eq!(host["endpoint"]["address"]["socket_address"]["port_value"], app.port());
    assert_eq!(host["metadata"]["filter_metadata"]["istio"]["workload"], "a-v1;bookinfo;a;v1;Kubernetes");
    let listener = &sections[3]["dynamic_listeners"][0]["active_state"]["listener"];
    assert_eq!(listener["name"], "outbound");
    assert_eq!(listener["traffic_direction"], "OUTBOUND");
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(manager["rds"]["route_config_name"], "http_proxy");
    let routes = &sections[5]["dynamic_route_configs"][0]["route_config"];
    assert_eq!(routes["virtual_hosts"][0]["domains"][0], "svc");
    assert_eq!(routes["virtual_hosts"][0]["routes"][0]["match"]["prefix"], "/");
    assert_eq!(routes["virtual_hosts"][0]["routes"][0]["route"]["cluster"], "a");

    let masked = proxy.admin("/config_dump?mask=dynamic_route_configs,static_route_configs").await.json();
    assert_eq!(masked["configs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn clusters_listeners_and_stats() {
    let (_ads, proxy, app) = proxy().await;
    let text = proxy.admin("/clusters").await;
    for line in [
        "a::observability_name::a;".to_owned(),
        "a::added_via_api::true".to_owned(),
        format!("a::{app}::rq_total::1"),
        format!("a::{app}::health_flags::healthy"),
        format!("a::{app}::weight::1"),
    ] {
        assert!(text.text().lines().any(|l| l == line), "{line}\n{}", text.text());
    }
    let json = proxy.admin("/clusters?format=json").await.json();
    let hosts = &json["cluster_statuses"][0]["host_statuses"];
    assert_eq!(hosts[0]["address"]["socket_address"]["port_value"], app.port());
    assert_eq!(hosts[0]["health_status"]["eds_health_status"], "HEALTHY");

    let listeners = proxy.admin("/listeners").await;
    assert_eq!(listeners.text(), format!("outbound::{}\n", proxy.listener("outbound")));
    let filter =
        "/stats?usedonly&filter=%5E(cluster_manager%5C.cds%7Clistener_manager%5C.lds)%5C.(update_success%7Cupdate_rejected)%24";
    assert_eq!(
        proxy.admin(filter).await.text(),
        "cluster_manager.cds.update_success: 1\nlistener_manager.lds.update_success: 1\n"
    );
    assert_eq!(proxy.admin("/stats?filter=(").await.status, 400);
    let page = proxy.admin("/stats/prometheus").await;
    assert_eq!(page.headers["content-type"], "text/plain; charset=UTF-8");
    assert!(page.text().contains("envoy_server_live{} 1\n"));
    assert!(page.text().contains("envoy_cluster_upstream_rq{cluster_name=\"a\",response_code=\"200\"} 1\n"));
    assert!(page.text().contains("istio_build{component=\"proxy\",tag=\"1.30.0\"} 1\n"));
}

#[tokio::test]
async fn every_metrics_port_answers_and_probes_too() {
    let (_ads, proxy, _) = proxy().await;
    let at = proxy.sidecar.addresses();
    for address in [at.status, at.prometheus, at.admin.unwrap()] {
        let page = get(address, "/stats/prometheus").await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("istio_requests_total{"));
    }
    for address in [at.status, at.readiness] {
        let ready = get(address, "/healthz/ready").await;
        assert_eq!((ready.status.as_u16(), ready.text()), (200, ""));
    }
    assert_eq!(get(at.readiness, "/stats/prometheus").await.status, 404);
}

#[tokio::test]
async fn changes_need_a_post() {
    let (_ads, proxy, _) = proxy().await;
    assert_eq!(proxy.admin("/quitquitquit").await.status, 405);
    let at = proxy.sidecar.addresses();
    assert_eq!(get(at.status, "/quitquitquit").await.status, 405);
    let mut client = Client::connect(at.admin.unwrap()).await;
    let post = request(Method::POST, "/quitquitquit", &[("host", "x")], bytes::Bytes::new());
    assert_eq!(client.send(post).await.unwrap().text(), "OK\n");
    proxy.sidecar.quit_requested().await;
    proxy.sidecar.shutdown().await;
    assert!(tokio::net::TcpStream::connect(at.status).await.is_err());
}

/// Exit code 3 is promtool's taste in names, which Envoy's and Istio's do not share; 1 is text that it cannot read.
#[tokio::test]
async fn promtool_reads_the_whole_page() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let (_ads, proxy, _) = proxy().await;
    let page = proxy.metrics().await;
    let verdict = tokio::task::spawn_blocking(move || {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("install Debian's package `prometheus`, which brings promtool");
        promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        promtool.wait_with_output().unwrap()
    });
    let verdict = verdict.await.unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(matches!(verdict.status.code(), Some(0 | 3)), "{said}");
    assert!(!said.contains("parsing error"), "{said}");
}

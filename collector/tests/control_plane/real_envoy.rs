//! A real Envoy as the judge: it takes what it is given, routes by it, and never sees what was refused.

mod process;
#[path = "../support/envoy.rs"]
mod support;
mod upstream;

use std::collections::BTreeMap;

use axum::http::Method;
use sidelight_api::proxy::{Proxy as Listed, SyncState};

use self::process::Envoy;
use self::upstream::{SpanCounter, Upstream, get, ip};
use crate::mesh::{BOOKINFO, Mesh, eventually, settings};
use crate::proxy::{Proxy, sidecar};

/// Requests whose destinations are counted.
const REQUESTS: u32 = 2_000;

/// Five standard deviations of a binomial with a tenth of [`REQUESTS`]: one run in a million lies outside.
const TENTH: std::ops::RangeInclusive<u32> = 133..=267;

fn split(v1: u32, v2: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: reviews, namespace: bookinfo}}\nspec:\n  \
         hosts: [reviews]\n  http:\n    - route:\n        - {{destination: {{host: reviews, subset: v1}}, weight: {v1}}}\n        \
         - {{destination: {{host: reviews, subset: v2}}, weight: {v2}}}\n"
    )
}

/// What `GET /api/proxies` says of one node, once all types are in step.
async fn synced(mesh: &Mesh, node_id: &str) -> Listed {
    eventually("Envoy has accepted everything", async || {
        let list = mesh.proxies().await;
        let proxy = list.proxies.into_iter().find(|proxy| proxy.node_id == node_id)?;
        assert_eq!(proxy.last_error, None);
        let synced = proxy.types.values().all(|t| t.state == SyncState::Synced && t.sent_version == t.acked_version);
        (proxy.types.len() == 4 && synced).then_some(proxy)
    })
    .await
}

fn versions(proxy: &Listed) -> BTreeMap<String, String> {
    proxy.types.iter().map(|(kind, sync)| (kind.clone(), sync.acked_version.clone())).collect()
}

async fn answers(envoy: &Envoy, requests: u32) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    let mut connection = envoy.outbound().await;
    for _ in 0..requests {
        let (status, body) = get(&mut connection, "http://reviews:9080/reviews/0", &[]).await;
        assert_eq!(status, 200, "{body}");
        *counts.entry(body).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_follows_weights_and_never_sees_a_bad_object() {
    let spans = SpanCounter::start().await;
    let zipkin = spans.address.to_string();
    let mesh = Mesh::with(sidelight_collector::control::ControlSettings { zipkin, ..settings() }).await;
    mesh.apply(BOOKINFO).await;
    let _one = Upstream::start("3.21", "v1").await;
    let _two = Upstream::start("3.22", "v2").await;
    for (version, host) in [("v1", "3.21"), ("v2", "3.22")] {
        let mut proxy = Proxy::start(mesh.xds, sidecar("reviews", version, &ip(host))).await;
        proxy.until_complete().await;
        tokio::spawn(proxy.follow());
    }
    mesh.apply(&split(90, 10)).await;

    let envoy = Envoy::sidecar(&ip("3.11"), mesh.xds).await;
    let _app = Upstream::start("4.11", "the application").await;
    synced(&mesh, &envoy.node_id).await;
    let counts = answers(&envoy, REQUESTS).await;
    assert_eq!(counts.values().sum::<u32>(), REQUESTS);
    assert!(TENTH.contains(&counts["v2"]), "{counts:?}");

    // What comes in goes to the application.
    let mut inbound = upstream::connect(&format!("{}:9080", ip("3.11"))).await;
    assert_eq!(get(&mut inbound, "/anything", &[]).await, (200, "the application".to_owned()));
    eventually("spans arrive", async || (spans.count() > 0).then_some(())).await;

    let before = versions(&synced(&mesh, &envoy.node_id).await);
    let bad = serde_json::json!({"yaml": split(0, 100).replace("subset: v2", "subset: nowhere")});
    let (status, body) = mesh.call(Method::POST, "/api/config/apply", Some(&bad)).await;
    assert_eq!(status, 422, "{body}");
    assert_eq!(versions(&synced(&mesh, &envoy.node_id).await), before);
    assert!(TENTH.contains(&answers(&envoy, REQUESTS).await["v2"]));

    mesh.apply(&split(0, 100)).await;
    eventually("the edit has moved the traffic", async || {
        (answers(&envoy, 20).await == BTreeMap::from([("v2".to_owned(), 20)])).then_some(())
    })
    .await;
    let after = versions(&synced(&mesh, &envoy.node_id).await);
    assert_eq!((&after["CDS"], &after["LDS"], &after["EDS"]), (&before["CDS"], &before["LDS"], &before["EDS"]));
    assert_ne!(after["RDS"], before["RDS"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_routes_its_hosts_and_answers_404_to_the_rest() {
    let mesh = Mesh::bookinfo().await;
    let _page = Upstream::start("5.11", "productpage").await;
    let mut proxy = Proxy::start(mesh.xds, sidecar("productpage", "v1", &ip("5.11"))).await;
    proxy.until_complete().await;
    tokio::spawn(proxy.follow());
    let envoy = Envoy::gateway(&ip("5.1"), mesh.xds).await;
    synced(&mesh, &envoy.node_id).await;
    let mut connection =
        eventually("the gateway listens", async || upstream::try_connect(&format!("{}:8080", ip("5.1"))).await).await;
    assert_eq!(get(&mut connection, "/productpage", &[]).await, (200, "productpage".to_owned()));
    assert_eq!(get(&mut connection, "/nothing", &[]).await.0, 404);
}

/// Every field that is translated, in objects that pass the checks: Envoy must accept all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_is_acceptable_to_envoy() {
    let mesh = Mesh::bookinfo().await;
    let _one = Upstream::start("6.21", "v1").await;
    for (version, host) in [("v1", "6.21"), ("v2", "6.22"), ("v3", "6.23")] {
        let mut proxy = Proxy::start(mesh.xds, sidecar("reviews", version, &ip(host))).await;
        proxy.until_complete().await;
        tokio::spawn(proxy.follow());
    }
    let envoy = Envoy::sidecar(&ip("6.11"), mesh.xds).await;
    let before = versions(&synced(&mesh, &envoy.node_id).await);
    mesh.apply(include_str!("every_field.yaml")).await;
    let after = eventually("Envoy runs the new routes and clusters", async || {
        let now = versions(&synced(&mesh, &envoy.node_id).await);
        (now["RDS"] != before["RDS"] && now["CDS"] != before["CDS"]).then_some(now)
    })
    .await;
    assert_eq!(after["LDS"], before["LDS"]);
    let mut connection = envoy.outbound().await;
    let ask = async |connection: &mut _, path: &str, headers: &[(&str, &str)]| {
        get(connection, &format!("http://reviews:9080{path}"), headers).await
    };
    assert_eq!(ask(&mut connection, "/teapot", &[]).await, (418, "short and stout".to_owned()));
    assert_eq!(ask(&mut connection, "/moved", &[]).await.0, 308);
    assert_eq!(ask(&mut connection, "/broken", &[]).await.0, 555);
    assert_eq!(ask(&mut connection, "/people", &[("end-user", "luffy")]).await, (200, "v1".to_owned()));
}

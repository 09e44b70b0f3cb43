//! Scenes from answers as the collector writes them.

#![allow(clippy::unwrap_used)]

use super::*;

const ANSWER: &str = r#"{
  "timestamp": 1790000000, "duration": 60, "graphType": "versionedApp",
  "elements": {
    "nodes": [
      {"data": {"id": "bn", "nodeType": "box", "cluster": "c", "namespace": "bookinfo", "isBox": "namespace", "healthData": null}},
      {"data": {"id": "ba", "parent": "bn", "nodeType": "box", "cluster": "c", "namespace": "bookinfo", "app": "reviews", "isBox": "app", "healthData": null}},
      {"data": {"id": "gw", "nodeType": "app", "cluster": "c", "namespace": "istio-system", "app": "istio-ingressgateway", "version": "latest",
        "traffic": [{"protocol": "http", "rates": {"httpOut": "8.00"}}], "healthData": null, "isRoot": true, "isGateway": {"ingressInfo": {"hostnames": ["*"]}}}},
      {"data": {"id": "pp", "parent": "bn", "nodeType": "app", "cluster": "c", "namespace": "bookinfo", "app": "productpage", "version": "v1", "workload": "productpage-v1",
        "traffic": [{"protocol": "http", "rates": {"httpIn": "8.00", "httpIn5xx": "2.00", "httpOut": "8.00"}}],
        "healthData": {"requests": {"inbound": {}, "outbound": {}}, "status": {"status": "Failure", "errorRatio": 25, "totalRequestRate": 8}},
        "latency": {"avg": 20, "p50": 12, "p95": 58, "p99": 90}}},
      {"data": {"id": "r1", "parent": "ba", "nodeType": "app", "cluster": "c", "namespace": "bookinfo", "app": "reviews", "version": "v1",
        "traffic": [{"protocol": "http", "rates": {"httpIn": "8.00"}}], "healthData": null}},
      {"data": {"id": "db", "parent": "bn", "nodeType": "app", "cluster": "c", "namespace": "bookinfo", "app": "mongodb", "traffic": [{"protocol": "tcp", "rates": {"tcpIn": "3100.00"}}], "healthData": null}},
      {"data": {"id": "idle", "parent": "bn", "nodeType": "service", "cluster": "c", "namespace": "bookinfo", "service": "legacy", "isIdle": true, "healthData": null}}
    ],
    "edges": [
      {"data": {"id": "e1", "source": "gw", "target": "pp", "healthStatus": "Failure", "isMTLS": "100", "latency": {"avg": 20, "p50": 12, "p95": 61, "p99": 90},
        "traffic": {"protocol": "http", "rates": {"http": "8.00", "http5xx": "2.00", "httpPercentErr": "25.0", "httpPercentReq": "100.0"}, "responses": {}}}},
      {"data": {"id": "e2", "source": "pp", "target": "r1", "healthStatus": "Healthy", "traffic": {"protocol": "http", "rates": {"http": "8.00"}, "responses": {}}}},
      {"data": {"id": "e3", "source": "r1", "target": "db", "traffic": {"protocol": "tcp", "rates": {"tcp": "3100.00"}, "responses": {}}}},
      {"data": {"id": "e4", "source": "pp", "target": "gone", "traffic": {"protocol": "http", "rates": {"http": "1.00"}, "responses": {}}}}
    ]
  },
  "lastSampleMs": 1789999997000
}"#;

fn scene(change: impl FnOnce(&mut View)) -> Scene {
    let mut view = View::default();
    change(&mut view);
    Scene::of(&serde_json::from_str(ANSWER).unwrap(), &view)
}

#[test]
fn cards_carry_the_numbers_of_their_traffic() {
    let scene = scene(|_| {});
    let productpage = scene.card("pp").unwrap();
    assert_eq!(
        (productpage.name.as_str(), productpage.version.as_deref(), productpage.handle.as_str()),
        ("productpage", Some("v1"), "productpage/v1")
    );
    assert_eq!(
        (productpage.rate, productpage.errors, productpage.p95_ms, productpage.tone),
        (8.0, 25.0, Some(58.0), Tone::Failing)
    );
    assert_eq!(scene.card("db").unwrap().bytes, 3100.0);
}

#[test]
fn a_node_that_only_calls_shows_what_it_calls() {
    let scene = scene(|_| {});
    let gateway = scene.card("gw").unwrap();
    assert_eq!((gateway.kind, gateway.rate, gateway.errors), (Kind::Gateway, 8.0, 25.0));
    assert_eq!((gateway.version.as_deref(), gateway.handle.as_str()), (None, "istio-ingressgateway"));
}

#[test]
fn idle_nodes_show_on_demand_and_edges_need_both_ends() {
    assert_eq!(scene(|_| {}).cards.len(), 4);
    let with_idle = scene(|view| view.idle = true);
    assert_eq!((with_idle.cards.len(), with_idle.links.len()), (5, 3));
    assert_eq!(with_idle.card("idle").unwrap().handle, "svc:legacy");
}

#[test]
fn boxes_nest_and_take_the_worst_of_their_members() {
    let shown = scene(|_| {});
    assert_eq!(
        shown.groups.iter().map(|g| (g.label.as_str(), g.parent, g.members, g.tone)).collect::<Vec<_>>(),
        [("bookinfo", None, 3, Tone::Failing), ("reviews", Some(0), 1, Tone::Healthy)]
    );
    let without = scene(|view| view.app_boxes = false);
    assert_eq!(without.card("r1").unwrap().parent, Some(0), "goes into the next box around");
}

#[test]
fn links_know_their_number_and_their_lock() {
    let scene = scene(|_| {});
    let link = scene.link("e1").unwrap();
    assert_eq!(
        (link.rate, link.errors, link.share, link.p95_ms, link.mtls, link.tcp),
        (8.0, 25.0, 100.0, Some(61.0), 100.0, false)
    );
    assert!(scene.link("e3").unwrap().tcp);
}

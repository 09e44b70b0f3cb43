//! Badges, from configuration objects to nodes.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sidelight_mesh::config::{
    ConfigObject, DestinationRule, Gateway, MeshConfig, MeshSettings, Metadata, Object, Places, ServiceSpec, Spec, VirtualService,
};

use crate::query::graph::facts::GatewayKind;
use crate::query::graph::fixture::{Fixture, bookinfo, facts, node, options};

/// Objects of the namespace `bookinfo`: name, then the spec as JSON.
fn configured(objects: &[(&str, Spec)]) -> Fixture {
    let mut config = MeshConfig::new(MeshSettings::default());
    for (age, (name, spec)) in objects.iter().enumerate() {
        let metadata = Metadata { name: (*name).to_owned(), namespace: "bookinfo".to_owned(), ..Metadata::default() };
        config.insert(ConfigObject {
            object: Object { api_version: String::new(), metadata, spec: spec.clone() },
            text: Arc::from(""),
            places: Places::default(),
            created_at_ms: i64::try_from(age).unwrap(),
        });
    }
    Fixture { mesh: facts(&config), ..bookinfo() }
}

fn virtual_service(json: &str) -> Spec {
    Spec::VirtualService(serde_json::from_str::<VirtualService>(json).unwrap())
}

fn destination_rule(json: &str) -> Spec {
    Spec::DestinationRule(serde_json::from_str::<DestinationRule>(json).unwrap())
}

const SPLIT: &str = r#"{"hosts": ["reviews"], "http": [
    {"timeout": "1s", "fault": {"abort": {"httpStatus": 500}}, "mirror": {"host": "reviews", "subset": "v3"},
     "route": [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
               {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10}]}]}"#;

#[test]
fn a_service_shows_the_rule_that_routes_to_it() {
    let plain = r#"{"hosts": ["*"], "gateways": ["g"], "http": [{"route": [{"destination": {"host": "productpage"}}]}]}"#;
    let fixture = configured(&[("bookinfo", virtual_service(plain)), ("reviews", virtual_service(SPLIT))]);
    let graph = fixture.graph(&options("injectServiceNodes=true"));
    let reviews = node(&graph, "svc:reviews");
    assert_eq!(reviews.has_vs.as_ref().unwrap().hostnames, ["reviews"]);
    assert!(reviews.has_request_routing && reviews.has_request_timeout && reviews.has_fault_injection);
    assert!(reviews.has_traffic_shifting && reviews.has_mirroring);
    let page = node(&graph, "svc:productpage");
    assert_eq!(page.has_vs.as_ref().unwrap().hostnames, ["*"]);
    assert!(page.has_request_routing && !page.has_traffic_shifting && !page.has_request_timeout);
    assert!(!page.has_fault_injection && !page.has_mirroring);
    assert_eq!(node(&graph, "svc:details").has_vs, None);
    assert_eq!(node(&graph, "wl:reviews-v1").has_vs, None);
}

#[test]
fn of_two_rules_the_older_one_is_shown() {
    let older = r#"{"hosts": ["old"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]}"#;
    let fixture = configured(&[("z", virtual_service(older)), ("a", virtual_service(SPLIT))]);
    let graph = fixture.graph(&options("injectServiceNodes=true"));
    assert_eq!(node(&graph, "svc:reviews").has_vs.as_ref().unwrap().hostnames, ["old"]);
}

#[test]
fn services_outside_the_chosen_namespaces_show_no_rule() {
    let fixture = configured(&[("reviews", virtual_service(SPLIT))]);
    let graph = fixture.graph(&options("injectServiceNodes=true&namespaces=istio-system"));
    assert_eq!(node(&graph, "svc:productpage").has_vs, None);
}

#[test]
fn a_breaker_of_the_whole_service_marks_service_app_and_versions() {
    let rule = r#"{"host": "reviews", "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 1}}}"#;
    let fixture = configured(&[("reviews", destination_rule(rule))]);
    let graph = fixture.graph(&options("injectServiceNodes=true"));
    for (name, has) in [
        ("svc:reviews", true),
        ("wl:reviews-v1", true),
        ("wl:reviews-v2", true),
        ("svc:details", false),
        ("wl:details-v1", false),
    ] {
        assert_eq!(node(&graph, name).has_cb, has, "{name}");
    }
    assert!(node(&fixture.graph(&options("graphType=app")), "app:reviews").has_cb);
}

#[test]
fn a_breaker_of_a_subset_marks_its_version() {
    let rule = r#"{"host": "reviews.bookinfo.svc.cluster.local", "subsets": [{"name": "v1", "labels": {"version": "v1"}},
        {"name": "v2", "labels": {"version": "v2"}, "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1}}}}]}"#;
    let graph =
        configured(&[("reviews", destination_rule(rule))]).graph(&options("injectServiceNodes=true&graphType=versionedApp"));
    for (name, has) in [("svc:reviews", true), ("wl:reviews-v1", false), ("wl:reviews-v2", true)] {
        assert_eq!(node(&graph, name).has_cb, has, "{name}");
    }
}

#[test]
fn a_rule_without_breaker_marks_nothing() {
    let rule = r#"{"host": "reviews", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}"#;
    let graph = configured(&[("reviews", destination_rule(rule))]).graph(&options("injectServiceNodes=true"));
    assert!(graph.elements.nodes.iter().all(|node| !node.data.has_cb));
}

#[test]
fn a_gateway_shows_the_hosts_it_serves() {
    let gateway = |json: &str| Spec::Gateway(serde_json::from_str::<Gateway>(json).unwrap());
    let served =
        r#"{"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": 80}, "hosts": ["b.com", "a.com"]}]}"#;
    let other = r#"{"selector": {"istio": "other"}, "servers": [{"port": {"number": 80}, "hosts": ["c.com"]}]}"#;
    let mut fixture =
        configured(&[("g", gateway(served)), ("h", gateway(other))]).workload("istio-system/istio-ingressgateway", 1, 1);
    for workload in fixture.mesh.workloads.values_mut() {
        workload.labels.insert("istio".to_owned(), "ingressgateway".to_owned());
        workload.gateway = Some(GatewayKind::Ingress);
    }
    for (query, name) in [("", "wl:istio-ingressgateway"), ("graphType=app", "app:istio-ingressgateway")] {
        let graph = fixture.graph(&options(query));
        let info = node(&graph, name).is_gateway.as_ref().unwrap();
        assert_eq!(info.ingress_info.as_ref().unwrap().hostnames, ["a.com", "b.com"]);
        assert_eq!(info.egress_info, None);
    }
    assert_eq!(node(&fixture.graph(&options("")), "wl:productpage-v1").is_gateway, None);
}

#[test]
fn a_service_belongs_to_the_app_that_it_selects() {
    let spec: ServiceSpec = serde_json::from_str(r#"{"selector": {"app": "reviews"}, "ports": []}"#).unwrap();
    let graph = configured(&[("reviews", Spec::Service(spec))]).graph(&options("injectServiceNodes=true&graphType=versionedApp"));
    assert_eq!(node(&graph, "svc:reviews").app.as_deref(), Some("reviews"));
    assert_eq!(node(&graph, "svc:reviews").parent, node(&graph, "wl:reviews-v1").parent);
}

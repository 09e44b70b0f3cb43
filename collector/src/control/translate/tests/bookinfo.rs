//! Bookinfo as a sidecar and the gateway see it.

use super::fixture::{bookinfo_workloads, gateway, given, header, service, settings, subsets, view, virtual_service, workload};
use super::render;
use crate::control::resources::{Kind, version_of};
use crate::control::translate::translate;

fn mesh() -> String {
    let services: String = ["productpage", "details", "reviews", "ratings"].iter().map(|name| service(name)).collect();
    let gateway = header("Gateway", "bookinfo-gateway")
        + "spec:\n  selector: {istio: ingressgateway}\n  servers:\n    \
           - {port: {number: 8080, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: [\"*\"]}\n---\n";
    let ingress = header("VirtualService", "bookinfo")
        + "spec:\n  hosts: [\"*\"]\n  gateways: [bookinfo-gateway]\n  http:\n    \
           - match: [{uri: {exact: /productpage}}, {uri: {prefix: /static}}]\n      \
             route: [{destination: {host: productpage, port: {number: 9080}}}]\n---\n";
    let split = "    - route:\n        - {destination: {host: reviews, subset: v1}, weight: 50}\n        \
                 - {destination: {host: reviews, subset: v3}, weight: 50}";
    services + &subsets("reviews", &["v1", "v3"]) + &gateway + &ingress + &virtual_service("reviews", split)
}

#[test]
fn a_sidecar_is_given_this() {
    let given = given(&mesh(), &workload("reviews", "v1", "127.1.0.13"));
    insta::assert_snapshot!(render::everything(&given));
}

#[test]
fn the_gateway_is_given_this() {
    insta::assert_snapshot!(render::everything(&given(&mesh(), &gateway())));
}

#[test]
fn a_gateway_without_virtual_services_answers_404() {
    let only_gateway = header("Gateway", "g")
        + "spec:\n  selector: {istio: ingressgateway}\n  servers:\n    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example.com]}\n";
    let given = given(&only_gateway, &gateway());
    assert_eq!(render::virtual_host(&given.virtual_host("blackhole:80")), "host blackhole:80 [*]\n");
    assert_eq!(given.listeners()[0].name, "127.1.0.1_80");
}

#[test]
fn a_proxy_in_a_network_listens_for_its_application_alone() {
    let names = |ip| {
        let given = given(&mesh(), &workload("reviews", "v1", ip));
        given.listeners().into_iter().map(|listener| listener.name).collect::<Vec<_>>()
    };
    assert_eq!(names("127.1.0.13"), ["127.1.0.13_15001", "127.1.0.13_9080"]);
    assert_eq!(names("10.1.2.3"), ["10.1.2.3_9080", "127.0.0.1_15001"]);
    assert_eq!(names("fd00::3"), ["::1_15001", "fd00::3_9080"]);
}

/// Hash maps inside the messages must not make equal things look different.
#[test]
fn the_same_mesh_gives_the_same_versions() {
    let versions = || {
        let resources = translate(&view(&mesh(), bookinfo_workloads()), &workload("reviews", "v1", "127.1.0.13"), &settings());
        Kind::ALL.map(|kind| version_of(resources.set(kind).iter()))
    };
    let first = versions();
    for _ in 0..50 {
        assert_eq!(versions(), first);
    }
}

/// A translation must not become slower than the mesh grows: every look-up goes through an index.
#[test]
fn a_large_mesh_is_translated() {
    let yaml: String = (0..400)
        .map(|number| {
            let name = format!("service-{number}");
            let http = format!("    - route: [{{destination: {{host: {name}, subset: v1}}}}]");
            service(&name) + &subsets(&name, &["v1"]) + &virtual_service(&name, &http)
        })
        .collect();
    let view = view(&yaml, bookinfo_workloads());
    let resources = translate(&view, &workload("client", "v1", "127.1.0.20"), &settings());
    assert_eq!(resources.set(Kind::Endpoints).len(), 800);
}

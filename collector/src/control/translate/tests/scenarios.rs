//! The walkthrough's scenarios as they reach a proxy; `e2e` and the mesh tests see them with traffic.

use super::fixture::{given, given_with, header, subsets, virtual_service, workload};
use super::render;

fn lines(given: &super::fixture::Given, service: &str) -> Vec<String> {
    given.routes(service).iter().map(render::route).collect()
}

const V1: &str = "outbound|9080|v1|reviews.bookinfo.svc.cluster.local";
const V2: &str = "outbound|9080|v2|reviews.bookinfo.svc.cluster.local";
const V3: &str = "outbound|9080|v3|reviews.bookinfo.svc.cluster.local";

#[test]
fn s2b_ninety_to_ten_whatever_the_replicas() {
    let bill = "apiVersion: v1\nkind: Service\nmetadata: {name: bill-service, namespace: bookinfo}\nspec:\n  \
                selector: {app: bill-service}\n  ports: [{name: http, port: 9999, targetPort: 80}]\n---\n";
    let split = "    - route:\n        - {destination: {host: bill-service, subset: v1}, weight: 90}\n        \
                 - {destination: {host: bill-service, subset: v2}, weight: 10}";
    let yaml = format!("{bill}{}{}", subsets("bill-service", &["v1", "v2"]), virtual_service("bill-service", split));
    let mut workloads = vec![workload("bill-service", "v1", "127.1.0.21")];
    workloads.extend((22..25).map(|n| workload("bill-service", "v2", &format!("127.1.0.{n}"))));
    for (number, instance) in workloads.iter_mut().enumerate() {
        instance.node_id = instance.node_id.replace("-0.bookinfo", &format!("-{number}.bookinfo"));
    }
    let view = super::fixture::view(&yaml, workloads);
    let caller = workload("front-tomcat", "v1", "127.1.0.20");
    let given = super::fixture::Given(crate::control::translate::translate(&view, &caller, &super::fixture::settings()));
    let host = given.virtual_host("bill-service.bookinfo.svc.cluster.local:9999");
    assert_eq!(
        render::virtual_host(&host),
        "host bill-service.bookinfo.svc.cluster.local:9999 [bill-service.bookinfo.svc.cluster.local:9999 \
         bill-service.bookinfo.svc.cluster.local.:9999 bill-service:9999 bill-service.bookinfo.svc:9999 \
         bill-service.bookinfo:9999]\n  \
         -: prefix / -> outbound|9999|v1|bill-service.bookinfo.svc.cluster.local x90, \
         outbound|9999|v2|bill-service.bookinfo.svc.cluster.local x10 \"bill-service:9999/*\"\n"
    );
    let counts: Vec<(String, usize)> = given
        .endpoints()
        .iter()
        .map(|load| (load.cluster_name.clone(), load.endpoints.iter().map(|e| e.lb_endpoints.len()).sum()))
        .collect();
    let host = "bill-service.bookinfo.svc.cluster.local";
    assert_eq!(
        counts,
        [(format!("outbound|9999|v1|{host}"), 1), (format!("outbound|9999|v2|{host}"), 3), (format!("outbound|9999||{host}"), 4)]
    );
}

#[test]
fn s4b_all_to_v3_then_90_10_0() {
    let all = virtual_service("reviews", "    - route: [{destination: {host: reviews, subset: v3}}]");
    assert_eq!(
        lines(&given_with(&all), "reviews"),
        [format!("-: prefix / -> {V3} \"reviews.bookinfo.svc.cluster.local:9080/*\"")]
    );
    let split = "    - route:\n        - {destination: {host: reviews, subset: v1}, weight: 90}\n        \
                 - {destination: {host: reviews, subset: v2}, weight: 10}\n        \
                 - {destination: {host: reviews, subset: v3}, weight: 0}";
    assert_eq!(
        lines(&given_with(&virtual_service("reviews", split)), "reviews"),
        [format!("-: prefix / -> {V1} x90, {V2} x10 \"reviews:9080/*\"")]
    );
}

#[test]
fn s4f_luffy_gets_v2_others_v3() {
    let http = "    - match: [{headers: {end-user: {exact: luffy}}}]\n      \
                route: [{destination: {host: reviews, subset: v2}}]\n    \
                - route: [{destination: {host: reviews, subset: v3}}]";
    let operation = "\"reviews.bookinfo.svc.cluster.local:9080/*\"";
    assert_eq!(
        lines(&given_with(&virtual_service("reviews", http)), "reviews"),
        [format!("-: prefix / end-user = luffy -> {V2} {operation}"), format!("-: prefix / -> {V3} {operation}")]
    );
}

/// S3a: the gateway follows its own rules, and in-mesh calls do not follow those.
#[test]
fn rules_of_a_gateway_are_not_those_of_the_mesh() {
    let yaml = header("VirtualService", "reviews")
        + "spec:\n  hosts: [reviews]\n  gateways: [some-gateway]\n  http:\n    \
           - route: [{destination: {host: reviews, subset: v1}}]\n";
    let all = "outbound|9080||reviews.bookinfo.svc.cluster.local";
    assert_eq!(
        lines(&given_with(&yaml), "reviews"),
        [format!("default: prefix / -> {all} \"reviews.bookinfo.svc.cluster.local:9080/*\"")]
    );
    let elsewhere = given(&yaml, &workload("productpage", "v1", "127.1.0.11"));
    assert_eq!(
        render::virtual_host(&elsewhere.virtual_host("allow_any")),
        "host allow_any [*]\n  allow_any: prefix / -> PassthroughCluster\n"
    );
}

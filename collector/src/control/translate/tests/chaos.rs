//! Whatever is stored, and whoever connects: the translation answers, and the same each time.

use proptest::collection::vec;
use proptest::prelude::*;
use sidelight_mesh::config::{MeshConfig, MeshSettings, parse_documents};
use sidelight_mesh::identity::NodeIdentity;

use super::fixture::{bookinfo_workloads, gateway, header, service, settings, subsets, workload};
use crate::control::MeshView;
use crate::control::translate::translate;

/// Words of the right kind and of the wrong one.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("reviews".to_owned()),
        Just("ratings.bookinfo.svc.cluster.local".to_owned()),
        Just("*".to_owned()),
        Just("*.example.com".to_owned()),
        Just("v1".to_owned()),
        "[a-z.*~|/:-]{0,12}",
    ]
}

fn quoted() -> impl Strategy<Value = String> {
    word().prop_map(|word| format!("{word:?}"))
}

fn destination() -> impl Strategy<Value = String> {
    (quoted(), quoted(), 0u32..70_000, -5i32..200).prop_map(|(host, subset, port, weight)| {
        format!("{{destination: {{host: {host}, subset: {subset}, port: {{number: {port}}}}}, weight: {weight}}}")
    })
}

fn http_rule() -> impl Strategy<Value = String> {
    let condition = (quoted(), quoted(), 0u32..70_000).prop_map(|(a, b, port)| {
        format!("{{uri: {{regex: {a}}}, headers: {{{b}: {{exact: {a}}}}}, port: {port}, ignoreUriCase: true}}")
    });
    let extra = prop_oneof![
        Just(String::new()),
        Just("fault: {delay: {fixedDelay: 99h, percentage: {value: -3}}}, ".to_owned()),
        Just("retries: {attempts: -7, retryOn: \",,503,x\"}, timeout: 0s, ".to_owned()),
        Just("redirect: {redirectCode: 999, derivePort: FROM_REQUEST_PORT}, ".to_owned()),
        Just("directResponse: {status: 0, body: {bytes: \"!\"}}, ".to_owned()),
        Just("mirror: {host: x}, mirrorPercentage: {value: 1e300}, ".to_owned()),
        Just("rewrite: {uriRegexRewrite: {match: \"(\", rewrite: \"\\\\9\"}}, ".to_owned()),
        Just("headers: {request: {set: {\":\": x, \"\": y}, remove: [\"\"]}}, ".to_owned()),
        Just("delegate: {name: a}, ".to_owned()),
    ];
    (vec(condition, 0..3), vec(destination(), 0..4), extra).prop_map(|(matches, routes, extra)| {
        format!("{{{extra}match: [{}], route: [{}]}}", matches.join(", "), routes.join(", "))
    })
}

fn object() -> impl Strategy<Value = String> {
    let virtual_service =
        (vec(quoted(), 0..3), vec(quoted(), 0..2), vec(http_rule(), 0..4), "[a-c]").prop_map(|(hosts, gateways, http, name)| {
            let (hosts, gateways, http) = (hosts.join(", "), gateways.join(", "), http.join(", "));
            format!(
                "{}spec: {{hosts: [{hosts}], gateways: [{gateways}], http: [{http}]}}\n---\n",
                header("VirtualService", &name)
            )
        });
    let gateway = (vec(quoted(), 0..3), 0u32..70_000, quoted()).prop_map(|(hosts, port, bind)| {
        let hosts = hosts.join(", ");
        format!(
            "{}spec: {{servers: [{{port: {{number: {port}, name: http, protocol: http}}, bind: {bind}, hosts: [{hosts}]}}]}}\n---\n",
            header("Gateway", "g")
        )
    });
    let rule = (quoted(), quoted()).prop_map(|(host, subset)| {
        format!(
            "{}spec: {{host: {host}, trafficPolicy: {{outlierDetection: {{maxEjectionPercent: -1, minHealthPercent: 900}}, \
             connectionPool: {{tcp: {{maxConnections: -1}}}}, loadBalancer: {{consistentHash: {{}}}}}}, \
             subsets: [{{name: {subset}}}, {{name: {subset}}}]}}\n---\n",
            header("DestinationRule", "r")
        )
    });
    prop_oneof![virtual_service, gateway, rule]
}

fn nodes() -> Vec<NodeIdentity> {
    vec![workload("productpage", "v1", "127.1.0.11"), gateway()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_mesh_can_be_translated(objects in vec(object(), 0..5)) {
        let yaml = format!("{}{}{}", service("reviews"), subsets("reviews", &["v1"]), objects.concat());
        let mut config = MeshConfig::new(MeshSettings::default());
        // Unchecked on purpose: what a check would refuse may be in the store from another version.
        for (age, object) in (0..).zip(parse_documents(&yaml, "bookinfo").objects) {
            config.insert(object.into_config(age));
        }
        let view = MeshView::new(1, std::sync::Arc::new(config), bookinfo_workloads().into_iter());
        for node in nodes() {
            let first = translate(&view, &node, &settings());
            prop_assert_eq!(first, translate(&view, &node, &settings()));
        }
    }

    #[test]
    fn any_text_can_be_stored(text in ".{0,200}") {
        for object in parse_documents(&text, "bookinfo").objects {
            let mut config = MeshConfig::new(MeshSettings::default());
            config.insert(object.into_config(0));
            let view = MeshView::new(1, std::sync::Arc::new(config), bookinfo_workloads().into_iter());
            for node in nodes() {
                translate(&view, &node, &settings());
            }
        }
    }
}

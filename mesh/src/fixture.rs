//! Bookinfo, as the tests know it: its objects, and a proxy for each workload.

#![allow(clippy::unwrap_used)]

use serde_json::{Map, json};

use crate::config::{MeshConfig, MeshSettings, parse_documents};
use crate::identity::NodeIdentity;
use crate::registry::Registry;

pub const BOOKINFO: &str = include_str!("../testdata/bookinfo.yaml");

pub fn workload(ip: &str, name: &str, labels: serde_json::Value) -> NodeIdentity {
    let (node_type, namespace) = if name.starts_with("istio-") { ("router", "istio-system") } else { ("sidecar", "bookinfo") };
    let id = format!("{node_type}~{ip}~{name}-0.{namespace}~{namespace}.svc.cluster.local");
    let metadata = json!({
        "WORKLOAD_NAME": name,
        "LABELS": labels,
        "POD_PORTS": r#"[{"name":"http","containerPort":9080,"protocol":"TCP"}]"#,
    });
    NodeIdentity::from_node(&id, "", &metadata.as_object().cloned().unwrap_or_else(Map::new)).unwrap()
}

pub fn workloads() -> Vec<NodeIdentity> {
    let mut all = vec![workload("127.1.0.1", "istio-ingressgateway", json!({"istio": "ingressgateway"}))];
    let names = ["productpage-v1", "details-v1", "reviews-v1", "reviews-v2", "reviews-v3", "ratings-v1"];
    for (index, name) in names.into_iter().enumerate() {
        let (app, version) = name.split_once('-').unwrap();
        all.push(workload(&format!("127.1.0.{}", index + 11), name, json!({"app": app, "version": version})));
    }
    all
}

pub fn bookinfo() -> (MeshConfig, Registry) {
    let mut config = MeshConfig::new(MeshSettings::default());
    let parsed = parse_documents(BOOKINFO, "default");
    assert_eq!(parsed.findings, []);
    for (age, object) in (0..).zip(parsed.objects) {
        config.insert(object.into_config(age));
    }
    let registry = Registry::new(&config, workloads());
    (config, registry)
}

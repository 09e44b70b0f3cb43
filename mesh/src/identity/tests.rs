//! Node ids, metadata and the exchanged struct, with literal values.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const ID: &str = "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local";

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn productpage() -> Map<String, Value> {
    map(json!({
        "NAME": "productpage-v1-0",
        "NAMESPACE": "bookinfo",
        "WORKLOAD_NAME": "productpage-v1",
        "OWNER": "kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/productpage-v1",
        "LABELS": {"app": "productpage", "version": "v1"},
        "INSTANCE_IPS": "127.1.0.11,::1",
        "INTERCEPTION_MODE": "NONE",
        "POD_PORTS": "[{\"name\":\"http\",\"containerPort\":9080,\"protocol\":\"TCP\"}]",
        "ENVOY_STATUS_PORT": 15021.0,
        "SIDELIGHT_OUTBOUND_PORT": "16001",
        "SIDELIGHT_APP_ENDPOINTS": "{\"9080\":\"127.2.0.11:9080\"}",
        "PROXY_CONFIG": {"concurrency": 2}
    }))
}

#[test]
fn full_metadata_is_read() {
    let node = NodeIdentity::from_node(ID, "", &productpage()).unwrap();
    assert_eq!(node.node_type, NodeType::Sidecar);
    assert_eq!(node.ip.to_string(), "127.1.0.11");
    assert_eq!(node.addresses.len(), 2);
    assert_eq!(node.service_cluster, "productpage.bookinfo");
    assert_eq!(node.workload_type, WorkloadType::Deployment);
    assert_eq!((node.app.as_str(), node.version.as_str()), ("productpage", "v1"));
    assert_eq!((node.canonical_service.as_str(), node.canonical_revision.as_str()), ("productpage", "v1"));
    assert_eq!((node.cluster_id.as_str(), node.mesh_id.as_str()), ("Kubernetes", "cluster.local"));
    assert_eq!(node.ports, ProxyPorts { outbound: 16001, status: 15020, readiness: 15021, prometheus: 15090 });
    assert_eq!(node.pod_port("http"), Some(9080));
    assert_eq!(node.app_endpoint(9080), "127.2.0.11:9080");
    assert_eq!(node.app_endpoint(9090), "127.0.0.1:9090");
    assert_eq!(node.extra, map(json!({"PROXY_CONFIG": {"concurrency": 2}})));
}

#[test]
fn the_id_alone_is_enough() {
    let node = NodeIdentity::from_node(ID, "istio-proxy", &Map::new()).unwrap();
    assert_eq!((node.name.as_str(), node.namespace.as_str()), ("productpage-v1-0", "bookinfo"));
    assert_eq!(node.workload, "productpage-v1-0");
    assert_eq!(node.service_cluster, "productpage-v1-0.bookinfo");
    assert_eq!((node.canonical_service.as_str(), node.canonical_revision.as_str()), ("productpage-v1-0", "latest"));
    assert_eq!(node.interception_mode, "REDIRECT");
}

#[test]
fn metadata_survives_the_wire() {
    let node = NodeIdentity::from_node(ID, "productpage.bookinfo", &productpage()).unwrap();
    let sent = node.to_metadata();
    assert_eq!(sent["LABELS"]["service.istio.io/canonical-name"], "productpage");
    assert_eq!(sent["ENVOY_STATUS_PORT"], "15021");
    let mut received = NodeIdentity::from_node(ID, "productpage.bookinfo", &sent).unwrap();
    received.labels.retain(|name, _| !name.starts_with("service.istio.io/"));
    assert_eq!(received, node);
}

#[test]
fn broken_ids_and_metadata_are_refused() {
    let refuse = |id: &str, metadata: Value| NodeIdentity::from_node(id, "", &map(metadata)).unwrap_err().to_string();
    assert_eq!(
        refuse("sidecar~1.2.3.4~a.b", json!({})),
        "node id `sidecar~1.2.3.4~a.b` is not `<type>~<ip>~<name>.<namespace>~<domain>`"
    );
    assert_eq!(refuse("sidecar~x~a.b~d", json!({})), "node id `sidecar~x~a.b~d` has `x` where an IP address belongs");
    assert_eq!(
        refuse("ztunnel~1.2.3.4~a.b~d", json!({})),
        "node id `ztunnel~1.2.3.4~a.b~d` has type `ztunnel`, expected `sidecar` or `router`"
    );
    assert_eq!(
        refuse(ID, json!({"SIDELIGHT_STATUS_PORT": "high"})),
        "node metadata `SIDELIGHT_STATUS_PORT` is `high`, expected a port number"
    );
    assert_eq!(
        refuse(ID, json!({"POD_PORTS": "nine"})),
        "node metadata `POD_PORTS` is `\"nine\"`, expected a JSON list of `{name, containerPort, protocol}`"
    );
}

#[test]
fn the_exchanged_struct_has_istios_shape() {
    let node = NodeIdentity::from_node(ID, "", &productpage()).unwrap();
    let exchanged = node.to_exchange();
    assert_eq!(
        Value::Object(exchanged.clone()),
        json!({
            "NAME": "productpage-v1-0",
            "NAMESPACE": "bookinfo",
            "WORKLOAD_NAME": "productpage-v1",
            "CLUSTER_ID": "Kubernetes",
            "OWNER": "kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/productpage-v1",
            "LABELS": {
                "app": "productpage",
                "version": "v1",
                "service.istio.io/canonical-name": "productpage",
                "service.istio.io/canonical-revision": "v1"
            }
        })
    );
    assert_eq!(PeerIdentity::from_exchange(&exchanged), node.to_peer());
}

#[test]
fn an_empty_peer_is_an_empty_labels_struct() {
    assert_eq!(Value::Object(PeerIdentity::default().to_exchange()), json!({"LABELS": {}}));
    assert_eq!(PeerIdentity::from_exchange(&Map::new()), PeerIdentity::default());
}

#[test]
fn endpoint_metadata_has_five_fields() {
    let node = NodeIdentity::from_node(ID, "", &productpage()).unwrap();
    assert_eq!(node.to_peer().to_endpoint_metadata(), "productpage-v1;bookinfo;productpage;v1;Kubernetes");
    let peer = PeerIdentity::from_endpoint_metadata("w;ns;svc;;c1").unwrap();
    assert_eq!(peer.canonical_revision, "latest");
    assert_eq!(peer.to_endpoint_metadata(), "w;ns;svc;;c1");
    assert_eq!(PeerIdentity::from_endpoint_metadata("w;ns;svc;v1"), None);
}

#[test]
fn app_kubernetes_io_labels_win() {
    let labels = [("app.kubernetes.io/name", "a"), ("app", "b"), ("version", "v2"), ("app.kubernetes.io/version", "")];
    let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(app_of(&labels), "a");
    assert_eq!(version_of(&labels), "v2");
    assert_eq!(canonical_service(&labels, "w"), "a");
    assert_eq!(canonical_revision(&labels), "v2");
}

#[test]
fn owners_tell_the_type() {
    let owner = |kind: &str| format!("kubernetes://apis/apps/v1/namespaces/n/{kind}/w");
    assert_eq!(WorkloadType::from_owner(&owner("cronjobs"), "w"), WorkloadType::CronJob);
    assert_eq!(WorkloadType::from_owner(&owner("replicasets"), "w"), WorkloadType::Unknown);
    assert_eq!(WorkloadType::from_owner("", ""), WorkloadType::Unknown);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!({"app": 1, "version": "v1", "x": null})),
        Just(json!([1, "a"])),
    ]
}

proptest! {
    #[test]
    fn no_metadata_makes_it_panic(
        id in "(sidecar|router|x)?~?(1.2.3.4|::1)?~?[a-z.]{0,9}~?[a-z.]{0,9}",
        values in prop::collection::vec((prop::sample::select(vec![
            "NAME", "LABELS", "OWNER", "POD_PORTS", "SIDELIGHT_APP_ENDPOINTS", "INSTANCE_IPS", "ENVOY_STATUS_PORT", "other",
        ]), any_value()), 0..8),
    ) {
        let metadata: Map<String, Value> = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let _ = PeerIdentity::from_exchange(&metadata);
        if let Ok(node) = NodeIdentity::from_node(&id, "", &metadata) {
            // What is sent can be read again and means the same.
            let again = NodeIdentity::from_node(&id, &node.service_cluster, &node.to_metadata()).unwrap();
            prop_assert_eq!(again.to_peer(), node.to_peer());
        }
    }
}

#[test]
fn values_of_a_peer_that_are_too_long_count_as_unknown() {
    let long = "w".repeat(PEER_VALUE_BYTES_MAX + 1);
    let sent = serde_json::json!({
        "WORKLOAD_NAME": long,
        "NAMESPACE": "bookinfo",
        "LABELS": {"app": long, "version": "v1", "note": long},
    });
    let peer = PeerIdentity::from_exchange(sent.as_object().unwrap());
    assert_eq!((peer.workload.as_str(), peer.app.as_str()), ("", ""));
    assert_eq!((peer.namespace.as_str(), peer.version.as_str()), ("bookinfo", "v1"));
    assert!(peer.labels.is_empty());
}

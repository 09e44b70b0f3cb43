//! A workload's bootstrap file: Envoy's format, everything else comes over ADS.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use sidelight_mesh::identity::{CANONICAL_NAME, CANONICAL_REVISION};

use super::layout::Workload;

/// Release of Istio whose behaviour the demo's proxies have.
const ISTIO_VERSION: &str = "1.27.0";

/// JSON, which is YAML too; `xds` is where the collector serves ADS.
#[must_use]
pub fn bootstrap(workload: &Workload, xds: SocketAddr) -> Value {
    json!({
        "node": {
            "id": node_id(workload),
            "cluster": format!("{}.{}", workload.role.app, workload.role.namespace),
            "metadata": metadata(workload),
        },
        "admin": { "address": socket_address(SocketAddr::new(workload.ip, workload.admin_port)) },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
            },
            "cds_config": { "ads": {}, "resource_api_version": "V3" },
            "lds_config": { "ads": {}, "resource_api_version": "V3" },
        },
        "static_resources": { "clusters": [xds_cluster(xds)] },
    })
}

#[must_use]
pub fn node_id(workload: &Workload) -> String {
    let (instance, namespace) = (workload.instance(), &workload.role.namespace);
    let node_type = workload.role.node_type.as_str();
    format!("{node_type}~{}~{instance}.{namespace}~{namespace}.svc.cluster.local", workload.ip)
}

/// Numbers travel as strings, as Istio sends them.
fn metadata(workload: &Workload) -> Map<String, Value> {
    let role = &workload.role;
    let mut labels = Map::from_iter([
        ("app".to_owned(), json!(role.app)),
        ("version".to_owned(), json!(role.version)),
        (CANONICAL_NAME.to_owned(), json!(role.app)),
        (CANONICAL_REVISION.to_owned(), json!(role.version)),
    ]);
    labels.extend(role.labels.iter().map(|(name, value)| (name.clone(), json!(value))));
    let mut metadata = Map::from_iter(
        [
            ("NAME", json!(workload.instance())),
            ("NAMESPACE", json!(role.namespace)),
            ("WORKLOAD_NAME", json!(role.workload)),
            ("OWNER", json!(format!("kubernetes://apis/apps/v1/namespaces/{}/deployments/{}", role.namespace, role.workload))),
            ("LABELS", Value::Object(labels)),
            ("CLUSTER_ID", json!("Kubernetes")),
            ("MESH_ID", json!("cluster.local")),
            ("ISTIO_VERSION", json!(ISTIO_VERSION)),
            ("INSTANCE_IPS", json!(workload.ip.to_string())),
            ("INTERCEPTION_MODE", json!("NONE")),
            ("SERVICE_ACCOUNT", json!(role.service_account)),
            ("ENVOY_STATUS_PORT", json!(workload.ports.readiness.to_string())),
            ("ENVOY_PROMETHEUS_PORT", json!(workload.ports.prometheus.to_string())),
            ("SIDELIGHT_OUTBOUND_PORT", json!(workload.ports.outbound.to_string())),
            ("SIDELIGHT_STATUS_PORT", json!(workload.ports.status.to_string())),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if let Some(inbound) = &workload.inbound {
        let ports = json!([{ "name": inbound.name, "containerPort": inbound.port, "protocol": "TCP" }]);
        let endpoints = json!({ inbound.port.to_string(): inbound.app.to_string() });
        metadata.insert("POD_PORTS".to_owned(), json!(ports.to_string()));
        metadata.insert("SIDELIGHT_APP_ENDPOINTS".to_owned(), json!(endpoints.to_string()));
    }
    metadata
}

fn xds_cluster(xds: SocketAddr) -> Value {
    let endpoint = json!({ "endpoint": { "address": socket_address(xds) } });
    json!({
        "name": "xds-grpc",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
        "load_assignment": { "cluster_name": "xds-grpc", "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

fn socket_address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use sidelight_mesh::identity::NodeIdentity;

    use super::*;
    use crate::demo::layout::{Network, bookinfo};

    #[test]
    fn the_mesh_reads_the_identity_that_was_meant() {
        let network = Network { base: Ipv4Addr::new(127, 1, 0, 0), offset: 0, shared: false };
        let productpage = &bookinfo(&network)[1];
        let file = bootstrap(productpage, "127.0.0.1:15010".parse().unwrap());
        let node = &file["node"];
        let metadata = node["metadata"].as_object().unwrap();
        let identity =
            NodeIdentity::from_node(node["id"].as_str().unwrap(), node["cluster"].as_str().unwrap(), metadata).unwrap();
        assert_eq!(identity.node_id, "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local");
        assert_eq!((identity.workload.as_str(), identity.canonical_service.as_str()), ("productpage-v1", "productpage"));
        assert_eq!((identity.app.as_str(), identity.version.as_str()), ("productpage", "v1"));
        assert_eq!(identity.pod_ports[0].container_port, 9080);
        assert_eq!(identity.app_endpoints[&9080], "127.2.0.11:9080");
        assert_eq!(identity.ports, productpage.ports);
    }
}

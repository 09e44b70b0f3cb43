//! A mesh of objects and workloads, and the translation for one of them.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use prost::Message;
use serde_json::json;
use sidelight_mesh::config::{MeshConfig, MeshSettings, parse_documents};
use sidelight_mesh::identity::NodeIdentity;

use super::super::translate;
use crate::control::resources::{Kind, ProxyResources};
use crate::control::{ControlSettings, MeshView};

/// One service of Bookinfo, on port 9080.
pub fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: bookinfo}}\nspec:\n  \
         selector: {{app: {name}}}\n  ports: [{{name: http, port: 9080, targetPort: http}}]\n---\n"
    )
}

/// Versions of a service as subsets.
pub fn subsets(name: &str, versions: &[&str]) -> String {
    let list: String = versions.iter().map(|v| format!("    - {{name: {v}, labels: {{version: {v}}}}}\n")).collect();
    format!("{}spec:\n  host: {name}\n  subsets:\n{list}---\n", header("DestinationRule", name))
}

/// A VirtualService of a service, with this below `http:`.
pub fn virtual_service(name: &str, http: &str) -> String {
    format!("{}spec:\n  hosts: [{name}]\n  http:\n{http}\n---\n", header("VirtualService", name))
}

pub fn header(kind: &str, name: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: bookinfo}}\n")
}

pub fn workload(app: &str, version: &str, ip: &str) -> NodeIdentity {
    let id = format!("sidecar~{ip}~{app}-{version}-0.bookinfo~bookinfo.svc.cluster.local");
    let metadata = json!({
        "WORKLOAD_NAME": format!("{app}-{version}"),
        "LABELS": {"app": app, "version": version},
        "ISTIO_VERSION": "1.27.0",
        "INTERCEPTION_MODE": "NONE",
        "POD_PORTS": r#"[{"name":"http","containerPort":9080,"protocol":"TCP"}]"#,
        "SIDELIGHT_APP_ENDPOINTS": format!("{{\"9080\":\"{}:9080\"}}", ip.replace("127.1.", "127.2.")),
    });
    NodeIdentity::from_node(&id, "", metadata.as_object().unwrap()).unwrap()
}

pub fn gateway() -> NodeIdentity {
    let metadata =
        json!({"WORKLOAD_NAME": "istio-ingressgateway", "LABELS": {"istio": "ingressgateway"}, "ISTIO_VERSION": "1.27.0"});
    let id = "router~127.1.0.1~istio-ingressgateway-0.istio-system~istio-system.svc.cluster.local";
    NodeIdentity::from_node(id, "", metadata.as_object().unwrap()).unwrap()
}

pub fn bookinfo_workloads() -> Vec<NodeIdentity> {
    let apps = [
        ("productpage", "v1", "127.1.0.11"),
        ("details", "v1", "127.1.0.12"),
        ("reviews", "v1", "127.1.0.13"),
        ("reviews", "v2", "127.1.0.14"),
        ("reviews", "v3", "127.1.0.15"),
        ("ratings", "v1", "127.1.0.16"),
    ];
    apps.iter().map(|(app, version, ip)| workload(app, version, ip)).collect()
}

pub fn view(yaml: &str, workloads: Vec<NodeIdentity>) -> MeshView {
    let parsed = parse_documents(yaml, "bookinfo");
    assert_eq!(parsed.findings, [], "{yaml}");
    let mut config = MeshConfig::new(MeshSettings::default());
    for (age, object) in (0..).zip(parsed.objects) {
        config.insert(object.into_config(age));
    }
    MeshView::new(1, Arc::new(config), workloads.into_iter())
}

pub fn settings() -> ControlSettings {
    ControlSettings { trace_sampling_percent: 100.0, ..ControlSettings::new("127.0.0.1:9411".to_owned()) }
}

/// What one proxy is given.
pub struct Given(pub ProxyResources);

pub fn given(yaml: &str, node: &NodeIdentity) -> Given {
    Given(translate(&view(yaml, bookinfo_workloads()), node, &settings()))
}

/// What productpage is given in a mesh of its service, reviews with three subsets, and ratings, and of this.
pub fn given_with(yaml: &str) -> Given {
    let mesh = format!("{}{}{}{yaml}", service("reviews"), service("ratings"), subsets("reviews", &["v1", "v2", "v3"]));
    given(&mesh, &workload("productpage", "v1", "127.1.0.11"))
}

impl Given {
    fn decode<T: Message + Default>(&self, kind: Kind) -> Vec<T> {
        self.0.set(kind).values().map(|resource| T::decode(&resource.any.value[..]).unwrap()).collect()
    }

    pub fn clusters(&self) -> Vec<Cluster> {
        self.decode(Kind::Clusters)
    }

    pub fn cluster(&self, name: &str) -> Cluster {
        let found = self.clusters().into_iter().find(|cluster| cluster.name == name);
        found.unwrap_or_else(|| panic!("no cluster {name}"))
    }

    pub fn endpoints(&self) -> Vec<ClusterLoadAssignment> {
        self.decode(Kind::Endpoints)
    }

    pub fn listeners(&self) -> Vec<Listener> {
        self.decode(Kind::Listeners)
    }

    pub fn route_configurations(&self) -> Vec<RouteConfiguration> {
        self.decode(Kind::Routes)
    }

    pub fn virtual_host(&self, name: &str) -> VirtualHost {
        let all = self.route_configurations();
        let found = all.into_iter().flat_map(|config| config.virtual_hosts).find(|host| host.name == name);
        found.unwrap_or_else(|| panic!("no virtual host {name}"))
    }

    /// Routes of a service of Bookinfo.
    pub fn routes(&self, service: &str) -> Vec<Route> {
        self.virtual_host(&format!("{service}.bookinfo.svc.cluster.local:9080")).routes
    }
}

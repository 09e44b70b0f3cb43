//! One sidecar of a test: its bootstrap, its configuration, its log, its ports.

use std::net::SocketAddr;

use sidelight_sidecar::{AccessLogSink, Bootstrap, Sidecar, SidecarOptions};
use sidelight_telemetry::access_log::MemoryLog;

use super::ads::{Ads, CDS, EDS, LDS, RDS};
use super::client::{Client, get};
use super::eventually;
use super::resources::{self as res, Named, RouteConfiguration};

pub struct Proxy {
    pub sidecar: Sidecar,
    pub node: String,
    pub log: MemoryLog,
}

/// Everything that a control plane tells one node, under one version.
#[derive(Default)]
pub struct Config {
    pub clusters: Vec<res::Cluster>,
    pub endpoints: Vec<Named>,
    pub listeners: Vec<Named>,
    pub routes: Vec<RouteConfiguration>,
}

impl Config {
    pub fn push(self, ads: &Ads, node: &str, version: &str) {
        let clusters = self.clusters.into_iter().map(res::named_cluster).collect();
        ads.set(node, CDS, version, clusters);
        ads.set(node, EDS, version, self.endpoints);
        ads.set(node, LDS, version, self.listeners);
        let routes = self.routes.into_iter().map(res::named_routes).collect();
        ads.set(node, RDS, version, routes);
    }
}

/// A node id from a workload's name, such as `productpage-v1`.
pub fn node_id(kind: &str, workload: &str) -> String {
    format!("{kind}~127.0.0.1~{workload}-0.bookinfo~bookinfo.svc.cluster.local")
}

/// A bootstrap of a workload named `<app>-<version>`; every port is given by the system.
pub fn bootstrap(node: &str, ads: SocketAddr) -> Bootstrap {
    let instance = node.split('~').nth(2).unwrap();
    let workload = instance.split('.').next().unwrap().strip_suffix("-0").unwrap();
    let (app, version) = workload.rsplit_once('-').unwrap();
    Bootstrap::from_yaml(&format!(
        r#"
node:
  id: {node}
  cluster: {app}.bookinfo
  metadata:
    NAME: {workload}-0
    NAMESPACE: bookinfo
    WORKLOAD_NAME: {workload}
    OWNER: kubernetes://apis/apps/v1/namespaces/bookinfo/deployments/{workload}
    CLUSTER_ID: Kubernetes
    MESH_ID: cluster.local
    ISTIO_VERSION: "1.30.0"
    LABELS: {{app: {app}, version: {version}, service.istio.io/canonical-name: {app}, service.istio.io/canonical-revision: {version}}}
    SIDELIGHT_STATUS_PORT: "0"
    ENVOY_STATUS_PORT: "0"
    ENVOY_PROMETHEUS_PORT: "0"
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
dynamic_resources:
  ads_config:
    api_type: GRPC
    grpc_services: [{{envoy_grpc: {{cluster_name: xds-grpc}}}}]
static_resources:
  clusters:
  - name: xds-grpc
    type: STATIC
    load_assignment:
      cluster_name: xds-grpc
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: {ip}, port_value: {port}}}}}}}}}]}}]
"#,
        ip = ads.ip(),
        port = ads.port(),
    ))
    .unwrap()
}

impl Proxy {
    /// Starts without waiting for its configuration.
    pub async fn start(ads: &Ads, node: String) -> Self {
        let log = MemoryLog::default();
        let options = SidecarOptions { access_log: Some(AccessLogSink::Memory(log.clone())), ..Default::default() };
        let sidecar = Sidecar::start_with(bootstrap(&node, ads.address), options).await.unwrap();
        Self { sidecar, node, log }
    }

    /// A sidecar of `productpage-v1` with one outbound listener.
    pub async fn outbound(ads: &Ads, clusters: Vec<res::Cluster>, endpoints: Vec<Named>, routes: RouteConfiguration) -> Self {
        let node = node_id("sidecar", "productpage-v1");
        outbound_config(clusters, endpoints, routes).push(ads, &node, "1");
        let proxy = Self::start(ads, node).await;
        proxy.sidecar.ready().await;
        proxy
    }

    pub fn listener(&self, name: &str) -> SocketAddr {
        let addresses = self.sidecar.addresses();
        let found = addresses.listeners.iter().find(|(of, _)| of == name);
        found.unwrap_or_else(|| panic!("no listener {name} in {addresses:?}")).1
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.listener("outbound")).await
    }

    pub async fn metrics(&self) -> String {
        let answer = get(self.sidecar.addresses().status, "/stats/prometheus").await;
        answer.text().to_owned()
    }

    /// The value of the only sample whose line begins with the name and holds all these texts.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let page = self.metrics().await;
        let mut found = page
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")))
            .filter(|line| labels.iter().all(|label| line.contains(label)));
        let line = found.next()?;
        assert!(found.next().is_none(), "several samples of {name} {labels:?}");
        Some(line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    /// The n-th log line, counted from 0, without its time.
    pub async fn log_line(&self, n: usize) -> String {
        eventually("a log line", || self.log.lines().len() > n).await;
        let line = self.log.lines()[n].clone();
        line.split_once("] ").unwrap().1.to_owned()
    }

    pub async fn admin(&self, path: &str) -> super::client::Answer {
        get(self.sidecar.addresses().admin.unwrap(), path).await
    }
}

pub fn outbound_config(clusters: Vec<res::Cluster>, endpoints: Vec<Named>, routes: RouteConfiguration) -> Config {
    let manager = res::with_rds(res::with_connect(res::manager()), &routes.name);
    Config {
        clusters,
        endpoints,
        listeners: vec![res::listener("outbound", "127.0.0.1:0".parse().unwrap(), res::OUTBOUND, &manager)],
        routes: vec![routes],
    }
}

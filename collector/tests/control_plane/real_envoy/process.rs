//! A real Envoy that is told everything over ADS.

use std::net::SocketAddr;

use hyper::client::conn::http1::SendRequest;

use super::support;
use super::upstream::{Empty, try_connect};
use crate::mesh::eventually;

pub struct Envoy {
    pub node_id: String,
    ip: String,
    _process: support::Envoy,
}

impl Envoy {
    /// A sidecar whose application listens one network further (`3.11` and `4.11`).
    pub async fn sidecar(ip: &str, xds: SocketAddr) -> Self {
        let mut numbers: Vec<u8> = ip.split('.').map(|part| part.parse().unwrap()).collect();
        numbers[2] += 1;
        let app: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let metadata = format!(
            r#"LABELS: {{app: client, version: v1}}
    POD_PORTS: '[{{"name":"http","containerPort":9080,"protocol":"TCP"}}]'
    SIDELIGHT_APP_ENDPOINTS: '{{"9080":"{}:9080"}}'
    INTERCEPTION_MODE: NONE"#,
            app.join(".")
        );
        Self::start("sidecar", "bookinfo", ip, xds, &metadata).await
    }

    pub async fn gateway(ip: &str, xds: SocketAddr) -> Self {
        Self::start("router", "istio-system", ip, xds, "LABELS: {istio: ingressgateway}").await
    }

    async fn start(node_type: &str, namespace: &str, ip: &str, xds: SocketAddr, metadata: &str) -> Self {
        let node_id = format!("{node_type}~{ip}~envoy-0.{namespace}~{namespace}.svc.cluster.local");
        let process = support::Envoy::start(&bootstrap_text(&node_id, ip, xds, metadata)).await;
        Self { node_id, ip: ip.to_owned(), _process: process }
    }

    /// A connection to the HTTP proxy for the application's calls.
    pub async fn outbound(&self) -> SendRequest<Empty> {
        let place = format!("{}:15001", self.ip);
        eventually("Envoy listens for the application", async || try_connect(&place).await).await
    }
}

fn bootstrap_text(node_id: &str, ip: &str, xds: SocketAddr, metadata: &str) -> String {
    format!(
        r#"
node:
  id: {node_id}
  cluster: client.bookinfo
  metadata:
    {metadata}
admin:
  address: {{socket_address: {{address: {ip}, port_value: 15000}}}}
dynamic_resources:
  ads_config:
    api_type: GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services: [{{envoy_grpc: {{cluster_name: xds-grpc}}}}]
  cds_config: {{resource_api_version: V3, ads: {{}}, initial_fetch_timeout: 0s}}
  lds_config: {{resource_api_version: V3, ads: {{}}, initial_fetch_timeout: 0s}}
static_resources:
  clusters:
    - name: xds-grpc
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{http2_protocol_options: {{}}}}
      load_assignment:
        cluster_name: xds-grpc
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address: {{socket_address: {{address: {}, port_value: {}}}}}
"#,
        xds.ip(),
        xds.port()
    )
}

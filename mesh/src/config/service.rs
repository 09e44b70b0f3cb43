//! Kubernetes Service: a name, ports, and the workloads behind it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::PortOrName;

/// `spec` of a Service. Fields of Kubernetes that mean nothing here are accepted and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawServiceSpec")]
pub struct ServiceSpec {
    pub selector: BTreeMap<String, String>,
    pub ports: Vec<ServicePort>,
    /// `None` for a headless service.
    pub cluster_ip: String,
    pub service_type: String,
    pub external_name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Says the protocol up to the first `-`, as in `http-web`.
    pub name: String,
    /// `TCP` when empty.
    pub protocol: String,
    pub port: u16,
    /// Absent: the same as `port`.
    pub target_port: Option<PortOrName>,
    pub app_protocol: String,
    pub node_port: Option<u16>,
}

/// What a port carries, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Http,
    Http2,
    Grpc,
    Https,
    Tls,
    Tcp,
    Udp,
    /// Not said: proxies find out.
    Auto,
}

impl Protocol {
    /// Protocols whose requests are routed one by one. An undeclared port is treated as HTTP by an explicit proxy.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc | Self::Auto)
    }

    /// Reads the word of an `appProtocol`, or the front of a port's name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "http2" | "kubernetes.io/h2c" => Some(Self::Http2),
            "grpc" | "grpc-web" => Some(Self::Grpc),
            "https" => Some(Self::Https),
            "tls" => Some(Self::Tls),
            "tcp" | "mongo" | "redis" | "mysql" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            _ => None,
        }
    }
}

impl ServicePort {
    /// `appProtocol` first, then the port's name, else undeclared.
    #[must_use]
    pub fn protocol_kind(&self) -> Protocol {
        if self.protocol == "UDP" {
            return Protocol::Udp;
        }
        let by_name = || {
            let front = self.name.split('-').next().unwrap_or_default();
            Protocol::parse(&self.name).or_else(|| Protocol::parse(front))
        };
        Protocol::parse(&self.app_protocol).or_else(by_name).unwrap_or(Protocol::Auto)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, rename = "ServiceSpec")]
struct RawServiceSpec {
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
    #[serde(rename = "clusterIP")]
    cluster_ip: String,
    r#type: String,
    external_name: String,
    #[serde(rename = "clusterIPs")]
    _cluster_ips: IgnoredAny,
    #[serde(rename = "externalIPs")]
    _external_ips: IgnoredAny,
    #[serde(rename = "externalTrafficPolicy")]
    _external_traffic_policy: IgnoredAny,
    #[serde(rename = "internalTrafficPolicy")]
    _internal_traffic_policy: IgnoredAny,
    #[serde(rename = "allocateLoadBalancerNodePorts")]
    _allocate_load_balancer_node_ports: IgnoredAny,
    #[serde(rename = "healthCheckNodePort")]
    _health_check_node_port: IgnoredAny,
    #[serde(rename = "ipFamilies")]
    _ip_families: IgnoredAny,
    #[serde(rename = "ipFamilyPolicy")]
    _ip_family_policy: IgnoredAny,
    #[serde(rename = "loadBalancerClass")]
    _load_balancer_class: IgnoredAny,
    #[serde(rename = "loadBalancerIP")]
    _load_balancer_ip: IgnoredAny,
    #[serde(rename = "loadBalancerSourceRanges")]
    _load_balancer_source_ranges: IgnoredAny,
    #[serde(rename = "publishNotReadyAddresses")]
    _publish_not_ready_addresses: IgnoredAny,
    #[serde(rename = "sessionAffinity")]
    _session_affinity: IgnoredAny,
    #[serde(rename = "sessionAffinityConfig")]
    _session_affinity_config: IgnoredAny,
    #[serde(rename = "trafficDistribution")]
    _traffic_distribution: IgnoredAny,
}

impl From<RawServiceSpec> for ServiceSpec {
    fn from(raw: RawServiceSpec) -> Self {
        Self {
            selector: raw.selector,
            ports: raw.ports,
            cluster_ip: raw.cluster_ip,
            service_type: raw.r#type,
            external_name: raw.external_name,
        }
    }
}

//! The part of Envoy's bootstrap schema that is read; Envoy's other keys are known by name and ignored aloud.

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
// The keys without `pub` are there to be known: what is in neither list is a mistake of the writer.
#[allow(dead_code)]
pub struct Document {
    pub node: Node,
    pub admin: Option<Admin>,
    #[serde(default)]
    pub dynamic_resources: DynamicResources,
    #[serde(default)]
    pub static_resources: StaticResources,
    cluster_manager: Option<IgnoredAny>,
    hds_config: Option<IgnoredAny>,
    flags_path: Option<IgnoredAny>,
    stats_sinks: Option<IgnoredAny>,
    stats_config: Option<IgnoredAny>,
    stats_flush_interval: Option<IgnoredAny>,
    watchdogs: Option<IgnoredAny>,
    tracing: Option<IgnoredAny>,
    layered_runtime: Option<IgnoredAny>,
    overload_manager: Option<IgnoredAny>,
    bootstrap_extensions: Option<IgnoredAny>,
    header_prefix: Option<IgnoredAny>,
    enable_dispatcher_stats: Option<IgnoredAny>,
    default_config_source: Option<IgnoredAny>,
    typed_dns_resolver_config: Option<IgnoredAny>,
    application_log_config: Option<IgnoredAny>,
    default_regex_engine: Option<IgnoredAny>,
    inline_headers: Option<IgnoredAny>,
    deferred_stat_options: Option<IgnoredAny>,
    xds_delegate_extension: Option<IgnoredAny>,
    xds_config_tracker_extension: Option<IgnoredAny>,
    certificate_provider_instances: Option<IgnoredAny>,
    fatal_actions: Option<IgnoredAny>,
    stats_server_version_override: Option<IgnoredAny>,
    use_tcp_for_dns_lookups: Option<IgnoredAny>,
    default_socket_interface: Option<IgnoredAny>,
    node_context_params: Option<IgnoredAny>,
    perf_tracing_file_path: Option<IgnoredAny>,
    grpc_async_client_manager_config: Option<IgnoredAny>,
    memory_allocator_manager: Option<IgnoredAny>,
}

impl Document {
    /// Keys that were given and have no effect here.
    pub fn ignored(&self) -> Vec<String> {
        let keys = [
            ("cluster_manager", &self.cluster_manager),
            ("hds_config", &self.hds_config),
            ("stats_sinks", &self.stats_sinks),
            ("stats_config", &self.stats_config),
            ("tracing", &self.tracing),
            ("layered_runtime", &self.layered_runtime),
            ("overload_manager", &self.overload_manager),
            ("bootstrap_extensions", &self.bootstrap_extensions),
            ("static_resources.listeners", &self.static_resources.listeners),
            ("static_resources.secrets", &self.static_resources.secrets),
        ];
        keys.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| (*key).to_owned()).collect()
    }
}

#[derive(Deserialize)]
pub struct Node {
    pub id: String,
    #[serde(default)]
    pub cluster: String,
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub locality: Locality,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Locality {
    pub region: String,
    pub zone: String,
    pub sub_zone: String,
}

#[derive(Deserialize)]
pub struct Admin {
    pub address: Option<Address>,
}

#[derive(Deserialize)]
pub struct Address {
    pub socket_address: SocketAddress,
}

#[derive(Deserialize)]
pub struct SocketAddress {
    pub address: String,
    pub port_value: u16,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
// Listeners and clusters always come over ADS, whatever these two say.
#[allow(dead_code)]
pub struct DynamicResources {
    lds_config: Option<IgnoredAny>,
    cds_config: Option<IgnoredAny>,
    pub ads_config: Option<AdsConfig>,
    lds_resources_locator: Option<IgnoredAny>,
    cds_resources_locator: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub struct AdsConfig {
    pub api_type: Option<String>,
    #[serde(default)]
    pub grpc_services: Vec<GrpcService>,
}

#[derive(Deserialize)]
pub struct GrpcService {
    pub envoy_grpc: EnvoyGrpc,
}

#[derive(Deserialize)]
pub struct EnvoyGrpc {
    pub cluster_name: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticResources {
    pub clusters: Vec<StaticCluster>,
    listeners: Option<IgnoredAny>,
    secrets: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub struct StaticCluster {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub connect_timeout: Option<String>,
    #[serde(default)]
    pub load_assignment: LoadAssignment,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LoadAssignment {
    pub endpoints: Vec<EndpointGroup>,
}

#[derive(Deserialize)]
pub struct EndpointGroup {
    #[serde(default)]
    pub lb_endpoints: Vec<LbEndpoint>,
}

#[derive(Deserialize)]
pub struct LbEndpoint {
    pub endpoint: StaticEndpoint,
}

#[derive(Deserialize)]
pub struct StaticEndpoint {
    pub address: Address,
    #[serde(default)]
    pub hostname: String,
}

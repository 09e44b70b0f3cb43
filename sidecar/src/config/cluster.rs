//! Clusters: how their endpoints are found, balanced and connected to.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream;
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message;

use super::endpoint::{Assignment, Endpoint};
use super::value::{At, field, flag, metadata, optional_duration, text};
use super::{ConfigError, Notes};

/// Envoy's default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Envoy's default for idle upstream connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Envoy's default circuit breaker: connections, pending requests.
pub const LIMIT: u32 = 1024;
/// The key of the HTTP options in `typed_extension_protocol_options`.
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub name: Arc<str>,
    /// What statistics call it; Istio's ends in `;`.
    pub alt_stat_name: String,
    pub discovery: Discovery,
    pub policy: Policy,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    pub connections_max: u32,
    pub pending_max: u32,
    pub requests_max: u32,
    pub requests_per_connection_max: Option<u32>,
    /// `filter_metadata.istio.services[0]`
    pub service: Option<Service>,
    /// `filter_metadata.istio.disable_mx`: send no peer metadata there.
    pub hide_identity: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// By this name over EDS.
    Eds(String),
    Static(Vec<Endpoint>),
    Dns(Vec<Endpoint>),
    /// Where the caller wanted to go; in explicit mode the request's authority.
    OriginalDestination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    RoundRobin,
    LeastRequest,
    Random,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub host: String,
    pub name: Option<String>,
    pub namespace: Option<String>,
}

impl Cluster {
    pub fn compile(from: &cluster::Cluster, notes: &mut Notes) -> Result<Self, ConfigError> {
        let object = format!("cluster `{}`", from.name);
        let at = |field| At { object: &object, field };
        if from.name.is_empty() {
            return Err(at("name").error("must not be empty"));
        }
        note_unsupported(from, notes);
        let http = http_options(at("typed_extension_protocol_options"), from, notes)?;
        let istio = metadata(from.metadata.as_ref(), "istio");
        let thresholds = from.circuit_breakers.as_ref().and_then(|breakers| breakers.thresholds.iter().find(|t| t.priority == 0));
        let limit = |read: fn(&cluster::circuit_breakers::Thresholds) -> Option<u32>| thresholds.and_then(read).unwrap_or(LIMIT);
        Ok(Self {
            name: from.name.as_str().into(),
            alt_stat_name: from.alt_stat_name.clone(),
            discovery: discovery(&object, from, notes)?,
            policy: policy(from, notes),
            connect_timeout: optional_duration(at("connect_timeout"), from.connect_timeout.as_ref())?.unwrap_or(CONNECT_TIMEOUT),
            idle_timeout: http.idle_timeout.unwrap_or(IDLE_TIMEOUT),
            connections_max: limit(|t| Some(t.max_connections.as_ref()?.value)),
            pending_max: limit(|t| Some(t.max_pending_requests.as_ref()?.value)),
            requests_max: limit(|t| Some(t.max_requests.as_ref()?.value)),
            requests_per_connection_max: http.requests_per_connection_max,
            service: istio.and_then(service),
            hide_identity: istio.is_some_and(|block| flag(block, "disable_mx")),
        })
    }
}

fn discovery(object: &str, from: &cluster::Cluster, notes: &mut Notes) -> Result<Discovery, ConfigError> {
    use cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
    let at = |field| At { object, field };
    let kind = match from.cluster_discovery_type.as_ref() {
        Some(ClusterDiscoveryType::Type(kind)) => {
            DiscoveryType::try_from(*kind).map_err(|_| at("type").error(format!("unknown value {kind}")))?
        }
        Some(ClusterDiscoveryType::ClusterType(custom)) => {
            notes.add(format!("cluster type `{}` is not honoured: it has no hosts", custom.name));
            return Ok(Discovery::Static(Vec::new()));
        }
        None => DiscoveryType::Static,
    };
    let mut listed = || -> Result<Vec<Endpoint>, ConfigError> {
        let Some(assignment) = from.load_assignment.as_ref() else {
            return Ok(Vec::new());
        };
        let mut assignment = assignment.clone();
        if assignment.cluster_name.is_empty() {
            assignment.cluster_name.clone_from(&from.name);
        }
        Ok(Assignment::compile(&assignment, notes)?.endpoints)
    };
    Ok(match kind {
        DiscoveryType::Eds => Discovery::Eds(
            from.eds_cluster_config
                .as_ref()
                .map(|eds| eds.service_name.clone())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| from.name.clone()),
        ),
        DiscoveryType::Static => {
            let endpoints = listed()?;
            if let Some(name) = endpoints.iter().find(|e| e.address().is_none()) {
                return Err(
                    at("load_assignment").error(format!("`{}` is not an IP address; use type STRICT_DNS for names", name.host))
                );
            }
            Discovery::Static(endpoints)
        }
        DiscoveryType::StrictDns | DiscoveryType::LogicalDns => Discovery::Dns(listed()?),
        DiscoveryType::OriginalDst => Discovery::OriginalDestination,
    })
}

fn policy(from: &cluster::Cluster, notes: &mut Notes) -> Policy {
    use cluster::cluster::LbPolicy;
    match LbPolicy::try_from(from.lb_policy) {
        Ok(LbPolicy::RoundRobin | LbPolicy::ClusterProvided) => Policy::RoundRobin,
        Ok(LbPolicy::LeastRequest) => Policy::LeastRequest,
        Ok(LbPolicy::Random) => Policy::Random,
        other => {
            let name = other.map_or("unknown", |policy| policy.as_str_name());
            notes.add(format!("lb_policy {name} is served as ROUND_ROBIN"));
            Policy::RoundRobin
        }
    }
}

fn service(istio: &envoy_types::pb::google::protobuf::Struct) -> Option<Service> {
    let Kind::ListValue(services) = field(istio, "services")? else {
        return None;
    };
    let Kind::StructValue(first) = services.values.first()?.kind.as_ref()? else {
        return None;
    };
    Some(Service {
        host: text(first, "host")?.to_owned(),
        name: text(first, "name").map(str::to_owned),
        namespace: text(first, "namespace").map(str::to_owned),
    })
}

#[derive(Default)]
struct HttpOptions {
    idle_timeout: Option<Duration>,
    requests_per_connection_max: Option<u32>,
}

fn http_options(at: At<'_>, from: &cluster::Cluster, notes: &mut Notes) -> Result<HttpOptions, ConfigError> {
    let Some(any) = from.typed_extension_protocol_options.get(HTTP_OPTIONS) else {
        return Ok(HttpOptions::default());
    };
    let options = upstream::HttpProtocolOptions::decode(any.value.as_slice())
        .map_err(|error| at.error(format!("cannot be decoded: {error}")))?;
    use upstream::http_protocol_options::UpstreamProtocolOptions as Protocol;
    if let Some(Protocol::ExplicitHttpConfig(explicit)) = &options.upstream_protocol_options
        && matches!(
            explicit.protocol_config,
            Some(upstream::http_protocol_options::explicit_http_config::ProtocolConfig::Http2ProtocolOptions(_))
        )
    {
        notes.add("HTTP/2 towards upstreams is not honoured: HTTP/1.1 is spoken");
    }
    let Some(common) = options.common_http_protocol_options.as_ref() else {
        return Ok(HttpOptions::default());
    };
    Ok(HttpOptions {
        idle_timeout: optional_duration(at, common.idle_timeout.as_ref())?.filter(|timeout| !timeout.is_zero()),
        requests_per_connection_max: common.max_requests_per_connection.as_ref().map(|max| max.value).filter(|max| *max > 0),
    })
}

fn note_unsupported(from: &cluster::Cluster, notes: &mut Notes) {
    let unsupported = [
        (
            from.transport_socket.is_some() || !from.transport_socket_matches.is_empty(),
            "transport sockets (TLS) of clusters are not honoured: plain TCP is spoken",
        ),
        (from.outlier_detection.is_some(), "outlier detection is not honoured"),
        (!from.health_checks.is_empty(), "active health checks are not honoured"),
        (from.lb_subset_config.is_some(), "lb_subset_config is not honoured"),
    ];
    for (present, note) in unsupported {
        if present {
            notes.add(note);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "cluster_tests.rs"]
mod tests;

//! Endpoints of a cluster, as EDS or the cluster itself lists them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;

use super::value::{At, host_and_port, metadata, text};
use super::{ConfigError, Notes};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// An address, or a name for clusters resolved by DNS.
    pub host: String,
    pub port: u16,
    pub weight: u32,
    /// What EDS says; we do no health checks of our own yet.
    pub healthy: bool,
    /// Lower is preferred.
    pub priority: u32,
    pub hostname: String,
    pub locality: Locality,
    /// `<workload>;<namespace>;<canonical service>;<canonical revision>;<cluster id>`
    pub workload: Option<Arc<str>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    pub region: String,
    pub zone: String,
    pub sub_zone: String,
}

/// Endpoints under the name that EDS asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    pub endpoints: Vec<Endpoint>,
}

impl Endpoint {
    /// A plain endpoint at an address.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
            weight: 1,
            healthy: true,
            priority: 0,
            hostname: String::new(),
            locality: Locality::default(),
            workload: None,
        }
    }

    pub fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }
}

impl Assignment {
    pub fn compile(from: &endpoint::ClusterLoadAssignment, notes: &mut Notes) -> Result<Self, ConfigError> {
        let object = format!("endpoints of `{}`", from.cluster_name);
        if from.cluster_name.is_empty() {
            return Err(ConfigError::new(object, "cluster_name", "must not be empty"));
        }
        let mut endpoints = Vec::new();
        for group in &from.endpoints {
            for (index, entry) in group.lb_endpoints.iter().enumerate() {
                let field = format!("endpoints.lb_endpoints[{index}]");
                let at = At { object: &object, field: &field };
                endpoints.extend(compile_endpoint(at, group, entry, notes)?);
            }
        }
        Ok(Self { name: from.cluster_name.clone(), endpoints })
    }
}

fn compile_endpoint(
    at: At<'_>,
    group: &endpoint::LocalityLbEndpoints,
    entry: &endpoint::LbEndpoint,
    notes: &mut Notes,
) -> Result<Option<Endpoint>, ConfigError> {
    let from = match &entry.host_identifier {
        Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(from)) if !is_foreign(from) => from,
        Some(_) => {
            notes.add("endpoints on pipes, inside the proxy or by name are left out");
            return Ok(None);
        }
        None => return Err(at.error("an endpoint with an address is needed")),
    };
    let (host, port) = host_and_port(at, from.address.as_ref())?;
    let weight = entry.load_balancing_weight.as_ref().map_or(1, |w| w.value);
    if weight == 0 {
        return Err(at.error("load_balancing_weight must be at least 1"));
    }
    let locality = group.locality.as_ref();
    Ok(Some(Endpoint {
        host,
        port,
        weight,
        healthy: matches!(
            core::HealthStatus::try_from(entry.health_status),
            Ok(core::HealthStatus::Unknown | core::HealthStatus::Healthy | core::HealthStatus::Degraded)
        ),
        priority: group.priority,
        hostname: from.hostname.clone(),
        locality: locality.map_or_else(Locality::default, |l| Locality {
            region: l.region.clone(),
            zone: l.zone.clone(),
            sub_zone: l.sub_zone.clone(),
        }),
        workload: metadata(entry.metadata.as_ref(), "istio").and_then(|block| text(block, "workload")).map(Arc::from),
    }))
}

/// Reached otherwise than over TCP.
fn is_foreign(from: &endpoint::Endpoint) -> bool {
    let address = from.address.as_ref().and_then(|address| address.address.as_ref());
    matches!(address, Some(core::address::Address::Pipe(_) | core::address::Address::EnvoyInternalAddress(_)))
}

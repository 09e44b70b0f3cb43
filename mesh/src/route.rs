//! Which rules hold for one proxy: visibility, age, gateways, and the policy of one cluster.

mod delegate;
mod gateway;
mod policy;
mod virtual_services;

use std::collections::BTreeMap;

pub use delegate::http_routes;
pub use gateway::{GatewayRef, gateway_hosts, gateways_for};
pub use policy::{EffectivePolicy, EffectiveRule, RuleIndex, rule_for};
pub use virtual_services::VirtualServiceIndex;

use crate::config::{ConfigObject, HttpMatch, MeshConfig, VirtualService, labels_match};
use crate::identity::NodeIdentity;

/// The gateway name that stands for all sidecars.
pub const MESH_GATEWAY: &str = "mesh";

/// The proxy for which rules are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    pub namespace: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a NodeIdentity> for Viewer<'a> {
    fn from(identity: &'a NodeIdentity) -> Self {
        Self { namespace: &identity.namespace, labels: &identity.labels }
    }
}

/// Whether an object of `namespace` with this `exportTo` is seen from another namespace. An empty list means everywhere.
#[must_use]
pub fn is_exported(export_to: &[String], namespace: &str, viewer_namespace: &str) -> bool {
    export_to.is_empty()
        || export_to.iter().any(|entry| match entry.as_str() {
            "*" => true,
            "." => namespace == viewer_namespace,
            other => other == viewer_namespace,
        })
}

/// The VirtualService that sidecars of a namespace follow when they call a host. Rules are not merged: the most
/// specific host wins, then the one with the narrower `exportTo`, then the older. For many look-ups make one
/// [`VirtualServiceIndex`].
#[must_use]
pub fn virtual_service_for<'a>(
    config: &'a MeshConfig,
    host: &str,
    viewer_namespace: &str,
) -> Option<(&'a ConfigObject, &'a VirtualService)> {
    VirtualServiceIndex::new(config, viewer_namespace).get(host)
}

/// Whether sidecars follow it.
#[must_use]
pub fn is_bound_to_mesh(spec: &VirtualService) -> bool {
    spec.gateways.is_empty() || spec.gateways.iter().any(|gateway| gateway == MESH_GATEWAY)
}

/// For whom routes are made.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub viewer: Viewer<'a>,
    /// Service port for sidecars, server port for gateways.
    pub port: u16,
    /// The gateway whose routes are made; `None` for sidecars.
    pub gateway: Option<GatewayRef<'a>>,
}

impl Scope<'_> {
    /// Whether a match of a VirtualService of `namespace` concerns this proxy and port at all.
    #[must_use]
    pub fn admits(&self, condition: &HttpMatch, namespace: &str) -> bool {
        let gateway_fits = || {
            condition.gateways.is_empty()
                || condition.gateways.iter().any(|name| match &self.gateway {
                    Some(gateway) => gateway.is_meant_by(name, namespace),
                    None => name == MESH_GATEWAY,
                })
        };
        condition.port.is_none_or(|port| port == self.port)
            && labels_match(&condition.source_labels, self.viewer.labels)
            && (condition.source_namespace.is_empty() || condition.source_namespace == self.viewer.namespace)
            && gateway_fits()
    }
}

#[cfg(test)]
mod tests;

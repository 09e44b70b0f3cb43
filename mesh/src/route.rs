//! Which rules hold for one proxy: visibility, age, gateways, and the policy of one cluster.

mod delegate;
mod gateway;
mod policy;

use std::collections::BTreeMap;

pub use delegate::http_routes;
pub use gateway::{GatewayRef, gateway_hosts, gateways_for};
pub use policy::{EffectivePolicy, EffectiveRule, RuleIndex, rule_for};

use crate::config::{ConfigObject, HttpMatch, MeshConfig, VirtualService, labels_match};
use crate::hosts;
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
/// specific host wins, then the one with the narrower `exportTo`, then the older.
#[must_use]
pub fn virtual_service_for<'a>(
    config: &'a MeshConfig,
    host: &str,
    viewer_namespace: &str,
) -> Option<(&'a ConfigObject, &'a VirtualService)> {
    let mut best: Option<(String, u8, (&ConfigObject, &VirtualService))> = None;
    for (object, spec) in config.virtual_services() {
        let namespace = &object.object.metadata.namespace;
        if !is_bound_to_mesh(spec) || !is_exported(&spec.export_to, namespace, viewer_namespace) {
            continue;
        }
        let Some(pattern) = best_host(spec, namespace, &config.settings.domain, host) else {
            continue;
        };
        let reach = reach(spec, namespace, viewer_namespace);
        let better = best
            .as_ref()
            .is_none_or(|(other, other_reach, _)| hosts::by_specificity(&pattern, other).then(reach.cmp(other_reach)).is_lt());
        if better {
            best = Some((pattern, reach, (object, spec)));
        }
    }
    best.map(|(_, _, found)| found)
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

/// Of a VirtualService's hosts, the most specific that covers `host`, in full form.
fn best_host(spec: &VirtualService, namespace: &str, domain: &str, host: &str) -> Option<String> {
    let full = spec.hosts.iter().map(|pattern| hosts::resolve(pattern, namespace, domain));
    full.filter(|pattern| hosts::matches(pattern, host)).min_by(|a, b| hosts::by_specificity(a, b))
}

/// 0: private to the viewer's namespace; 1: exported to it by name; 2: public.
fn reach(spec: &VirtualService, namespace: &str, viewer_namespace: &str) -> u8 {
    match spec.export_to.iter().map(String::as_str).find(|entry| *entry != "*") {
        _ if spec.export_to.is_empty() || spec.export_to.iter().any(|entry| entry == "*") => 2,
        Some(_) if namespace == viewer_namespace => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;

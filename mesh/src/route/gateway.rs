//! Which Gateways a gateway's proxy serves, and which VirtualServices stand behind each host.

use std::collections::BTreeMap;

use super::is_exported;
use crate::config::{ConfigObject, Gateway, MeshConfig, Server, VirtualService, labels_match};
use crate::hosts;
use crate::identity::{NodeIdentity, NodeType};

/// Names one Gateway object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayRef<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

impl<'a> GatewayRef<'a> {
    /// Reads `<namespace>/<name>`, `<name>` (the referring object's own namespace), or the old
    /// `<name>.<namespace>.svc.<domain>`. The flag tells whether the form is the old one.
    #[must_use]
    pub fn parse(text: &'a str, own_namespace: &'a str) -> (Self, bool) {
        if let Some((namespace, name)) = text.split_once('/') {
            return (Self { namespace, name }, false);
        }
        let mut parts = text.splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(namespace), Some(rest)) if rest.starts_with("svc.") => (Self { namespace, name }, true),
            _ => (Self { namespace: own_namespace, name: text }, false),
        }
    }

    /// Whether a name in an object of `own_namespace` means this gateway.
    #[must_use]
    pub fn is_meant_by(&self, text: &str, own_namespace: &str) -> bool {
        GatewayRef::parse(text, own_namespace).0 == *self
    }
}

impl<'a> From<&'a ConfigObject> for GatewayRef<'a> {
    fn from(object: &'a ConfigObject) -> Self {
        let metadata = &object.object.metadata;
        Self { namespace: &metadata.namespace, name: &metadata.name }
    }
}

/// Gateways that a proxy serves, oldest first. Sidecars serve none.
#[must_use]
pub fn gateways_for<'a>(config: &'a MeshConfig, proxy: &NodeIdentity) -> Vec<(&'a ConfigObject, &'a Gateway)> {
    if proxy.node_type != NodeType::Router {
        return Vec::new();
    }
    let mut gateways = config.gateways();
    gateways.retain(|(_, gateway)| labels_match(&gateway.selector, &proxy.labels));
    gateways
}

/// Hosts that a server answers for, each with its VirtualServices in the order in which their rules are tried: oldest
/// first. A host of the server without a VirtualService is not listed.
#[must_use]
pub fn gateway_hosts<'a>(
    config: &'a MeshConfig,
    gateway: GatewayRef<'_>,
    server: &Server,
) -> BTreeMap<String, Vec<(&'a ConfigObject, &'a VirtualService)>> {
    let mut found: BTreeMap<String, Vec<(&ConfigObject, &VirtualService)>> = BTreeMap::new();
    for (object, spec) in config.virtual_services() {
        let namespace = &object.object.metadata.namespace;
        let bound = spec.gateways.iter().any(|name| gateway.is_meant_by(name, namespace));
        if !bound || !is_exported(&spec.export_to, namespace, gateway.namespace) {
            continue;
        }
        for host in &spec.hosts {
            let host = hosts::resolve(host, namespace, &config.settings.domain);
            for shared in server.hosts.iter().filter_map(|allowed| intersect(allowed, gateway.namespace, &host, namespace)) {
                let behind = found.entry(shared).or_default();
                if !behind.iter().any(|(other, _)| std::ptr::eq(*other, object)) {
                    behind.push((object, spec));
                }
            }
        }
    }
    found
}

/// The narrower of a server's host (`host` or `namespace/host`) and a VirtualService's, if they meet.
pub(crate) fn intersect(allowed: &str, gateway_namespace: &str, host: &str, namespace: &str) -> Option<String> {
    let allowed = match allowed.split_once('/') {
        Some(("*", allowed)) => allowed,
        Some((".", allowed)) if namespace == gateway_namespace => allowed,
        Some((only, allowed)) if only == namespace => allowed,
        Some(_) => return None,
        None => allowed,
    };
    if hosts::matches(allowed, host) { Some(host.to_owned()) } else { hosts::matches(host, allowed).then(|| allowed.to_owned()) }
}

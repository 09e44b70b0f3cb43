//! The whole mesh, indexed once for the checks of all its objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::config::{ConfigObject, DestinationRule, Gateway, MeshConfig, OutboundPolicy, VirtualService};
use crate::hosts;
use crate::registry::{Registry, Service};
use crate::route::{EffectiveRule, GatewayRef, MESH_GATEWAY, RuleIndex, Viewer, is_exported};

pub(super) struct Mesh<'a> {
    pub config: &'a MeshConfig,
    pub registry: &'a Registry,
    pub gateways: Vec<(&'a ConfigObject, &'a Gateway)>,
    pub virtual_services: Vec<(&'a ConfigObject, &'a VirtualService)>,
    pub rules: Vec<(&'a ConfigObject, &'a DestinationRule)>,
    /// VirtualServices by full host, oldest first.
    by_host: HashMap<String, Vec<(&'a ConfigObject, &'a VirtualService)>>,
    index: RuleIndex<'a>,
    /// Full host and subset of every destination of a VirtualService.
    used_subsets: HashSet<(String, &'a str)>,
    /// Namespaces that have any object, service or workload.
    pub namespaces: BTreeSet<&'a str>,
}

impl<'a> Mesh<'a> {
    pub fn new(config: &'a MeshConfig, registry: &'a Registry) -> Self {
        let virtual_services = config.virtual_services();
        let mut by_host: HashMap<String, Vec<_>> = HashMap::new();
        for (object, spec) in &virtual_services {
            let full = spec.hosts.iter().map(|host| full_host(host, object, config));
            for host in full.collect::<BTreeSet<_>>() {
                by_host.entry(host).or_default().push((*object, *spec));
            }
        }
        let mut used_subsets = HashSet::new();
        for (object, spec) in &virtual_services {
            let named = spec.destinations().filter(|destination| !destination.subset.is_empty());
            used_subsets.extend(named.map(|d| (full_host(&d.host, object, config), d.subset.as_str())));
        }
        let mut namespaces = registry.namespaces();
        namespaces.extend(config.iter().map(|(key, _)| key.namespace.as_str()));
        Self {
            config,
            registry,
            gateways: config.gateways(),
            virtual_services,
            rules: config.destination_rules(),
            by_host,
            index: RuleIndex::new(config),
            used_subsets,
            namespaces,
        }
    }

    /// Whether any VirtualService sends requests to a subset.
    pub fn is_used(&self, fqdn: &str, subset: &'a str) -> bool {
        self.used_subsets.contains(&(fqdn.to_owned(), subset))
    }

    pub fn domain(&self) -> &'a str {
        &self.config.settings.domain
    }

    /// Full form of a host named in an object.
    pub fn full_host(&self, host: &str, object: &ConfigObject) -> String {
        full_host(host, object, self.config)
    }

    pub fn service(&self, fqdn: &str) -> Option<&'a Service> {
        self.registry.service(fqdn).map(|service| &**service)
    }

    pub fn virtual_services_of(&self, full_host: &str) -> &[(&'a ConfigObject, &'a VirtualService)] {
        self.by_host.get(full_host).map_or(&[], Vec::as_slice)
    }

    pub fn gateway(&self, reference: GatewayRef<'_>) -> Option<(&'a ConfigObject, &'a Gateway)> {
        self.gateways.iter().find(|(object, _)| GatewayRef::from(*object) == reference).copied()
    }

    /// The rule that clients of a namespace follow.
    pub fn rule_for(&self, fqdn: &str, namespace: &str) -> EffectiveRule<'a> {
        self.index.rule_for(fqdn, Viewer { namespace, labels: &BTreeMap::new() })
    }

    /// Every rule that covers a host and is seen from a namespace, whether or not another one hides it.
    pub fn rules_covering(
        &self,
        fqdn: &str,
        viewer_namespace: &str,
    ) -> impl Iterator<Item = (&'a ConfigObject, &'a DestinationRule)> {
        self.rules.iter().copied().filter(move |(object, rule)| {
            is_exported(&rule.export_to, &object.object.metadata.namespace, viewer_namespace)
                && hosts::matches(&self.full_host(&rule.host, object), fqdn)
        })
    }

    /// How a missing host is to be judged: one that looks like the mesh's own, or any when nothing else may be called.
    pub fn must_exist(&self, full_host: &str) -> bool {
        self.config.settings.outbound == OutboundPolicy::RegistryOnly || self.is_internal(full_host)
    }

    fn is_internal(&self, full_host: &str) -> bool {
        hosts::split_fqdn(full_host, self.domain()).is_some() || self.completed(full_host).is_some()
    }

    /// Full name of a service that was written as `name.namespace` or `name.namespace.svc`.
    pub fn completed(&self, host: &str) -> Option<String> {
        let mut parts = host.split('.');
        let (name, namespace) = (parts.next()?, parts.next()?);
        let rest: Vec<_> = parts.collect();
        let fqdn = hosts::service_fqdn(name, namespace, self.domain());
        (matches!(rest[..], [] | ["svc"]) && self.service(&fqdn).is_some()).then_some(fqdn)
    }

    /// Names by which an object of a namespace can call the services of the mesh.
    pub fn host_names(&self, namespace: &str) -> Vec<String> {
        let services = self.registry.services();
        let names = services.map(|s| if s.namespace == namespace { s.name.clone() } else { s.fqdn.clone() });
        names.chain(self.registry.services().map(|s| s.fqdn.clone())).collect()
    }
}

fn full_host(host: &str, object: &ConfigObject, config: &MeshConfig) -> String {
    hosts::resolve(host, &object.object.metadata.namespace, &config.settings.domain)
}

/// Gateways of a VirtualService as comparable names: `mesh`, or `<namespace>/<name>`.
pub(super) fn gateway_names(object: &ConfigObject, spec: &VirtualService) -> BTreeSet<String> {
    if spec.gateways.is_empty() {
        return BTreeSet::from([MESH_GATEWAY.to_owned()]);
    }
    let namespace = &object.object.metadata.namespace;
    let names = spec.gateways.iter().map(|name| match name.as_str() {
        MESH_GATEWAY => MESH_GATEWAY.to_owned(),
        name => {
            let (reference, _) = GatewayRef::parse(name, namespace);
            format!("{}/{}", reference.namespace, reference.name)
        }
    });
    names.collect()
}

//! What an object's text points at, and whether it is there.

use std::collections::BTreeMap;

use sidelight_api::config::Reference;
use sidelight_mesh::config::{ConfigObject, Destination, HttpRoute, Kind, MeshConfig, ObjectKey, Spec, VirtualService};
use sidelight_mesh::hosts;
use sidelight_mesh::registry::Registry;
use sidelight_mesh::route::{GatewayRef, MESH_GATEWAY, Viewer, rule_for};

/// References of one object that are listed; the rest is left out.
const REFERENCES_MAX: usize = 500;

/// Each once, in the order of the text.
pub(super) fn references(config: &MeshConfig, registry: &Registry, object: &ConfigObject) -> Vec<Reference> {
    let finder = Finder { config, registry, object };
    let mut all = match &object.object.spec {
        Spec::VirtualService(spec) => finder.of_virtual_service(spec),
        Spec::DestinationRule(spec) => {
            let mut all = vec![finder.service(&spec.host)];
            all.extend(spec.subsets.iter().map(|subset| finder.subset(&spec.host, &subset.name, Some(&subset.labels))));
            all
        }
        Spec::Gateway(spec) => {
            let workloads = Registry::count_workloads(registry.gateways(&spec.selector));
            vec![finder.workloads(&spec.selector, workloads)]
        }
        Spec::Service(spec) => {
            let service = registry.service(&finder.full(&object.object.metadata.name));
            let none = BTreeMap::new();
            let workloads = service.map_or(0, |service| Registry::count_workloads(registry.instances(service, &none)));
            vec![finder.workloads(&spec.selector, workloads)]
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|r| seen.insert((r.kind.clone(), r.namespace.clone(), r.name.clone())));
    all.truncate(REFERENCES_MAX);
    all
}

struct Finder<'a> {
    config: &'a MeshConfig,
    registry: &'a Registry,
    object: &'a ConfigObject,
}

impl Finder<'_> {
    fn namespace(&self) -> &str {
        &self.object.object.metadata.namespace
    }

    fn full(&self, host: &str) -> String {
        hosts::resolve(host, self.namespace(), &self.config.settings.domain)
    }

    fn of_virtual_service(&self, spec: &VirtualService) -> Vec<Reference> {
        let listed = spec.gateways.iter().chain(spec.http.iter().flat_map(|r| r.matches.iter().flat_map(|m| &m.gateways)));
        let mut all: Vec<Reference> = listed.filter(|name| *name != MESH_GATEWAY).map(|name| self.gateway(name)).collect();
        for http in &spec.http {
            for destination in destinations(http) {
                all.push(self.service(&destination.host));
                if !destination.subset.is_empty() {
                    all.push(self.subset(&destination.host, &destination.subset, None));
                }
            }
            if let Some(delegate) = &http.delegate {
                let namespace = if delegate.namespace.is_empty() { self.namespace() } else { &delegate.namespace };
                all.push(self.object(Kind::VirtualService, "virtualService", namespace, &delegate.name));
            }
        }
        all
    }

    fn gateway(&self, text: &str) -> Reference {
        let (gateway, _) = GatewayRef::parse(text, self.namespace());
        self.object(Kind::Gateway, "gateway", gateway.namespace, gateway.name)
    }

    fn object(&self, kind: Kind, word: &str, namespace: &str, name: &str) -> Reference {
        let key = ObjectKey { kind, namespace: namespace.to_owned(), name: name.to_owned() };
        reference(word, name, namespace, self.config.get(&key).is_some())
    }

    /// Services of the mesh by their name and namespace, others by their host.
    fn service(&self, host: &str) -> Reference {
        let full = self.full(host);
        let exists = self.registry.service(&full).is_some();
        match hosts::split_fqdn(&full, &self.config.settings.domain) {
            Some((name, namespace)) => reference("service", name, namespace, exists),
            None => reference("service", &full, self.namespace(), exists),
        }
    }

    /// Written as `<host>/<subset>`. Without labels at hand, those of the rule that a client of this namespace follows.
    fn subset(&self, host: &str, name: &str, labels: Option<&BTreeMap<String, String>>) -> Reference {
        let full = self.full(host);
        let no_labels = BTreeMap::new();
        let viewer = Viewer { namespace: self.namespace(), labels: &no_labels };
        let rule = rule_for(self.config, &full, viewer);
        let found = labels.or_else(|| rule.subset(name).map(|subset| &subset.labels));
        let count = |labels| {
            let service = self.registry.service(&full);
            service.map_or(0, |service| Registry::count_workloads(self.registry.instances(service, labels)))
        };
        Reference {
            workloads: found.map(count),
            ..reference("subset", &format!("{host}/{name}"), self.namespace(), found.is_some())
        }
    }

    fn workloads(&self, selector: &BTreeMap<String, String>, workloads: u32) -> Reference {
        let written: Vec<String> = selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Reference { workloads: Some(workloads), ..reference("workload", &written.join(","), self.namespace(), workloads > 0) }
    }
}

fn destinations(http: &HttpRoute) -> impl Iterator<Item = &Destination> {
    let mirrors = http.mirror.iter().chain(http.mirrors.iter().map(|mirror| &mirror.destination));
    http.route.iter().map(|route| &route.destination).chain(mirrors)
}

fn reference(kind: &str, name: &str, namespace: &str, exists: bool) -> Reference {
    Reference { kind: kind.to_owned(), name: name.to_owned(), namespace: namespace.to_owned(), exists, workloads: None }
}

//! What an object points at, and whether it is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{ConfigObject, Destination, Kind, MeshConfig, ObjectKey, Spec, VirtualService, labels_match};
use crate::hosts;
use crate::registry::Registry;
use crate::route::{GatewayRef, MESH_GATEWAY, Viewer, rule_for};

/// Something that an object's text points at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `gateway`, `service`, `destinationRule`, `subset`, `virtualService`, `workload`.
    pub kind: &'static str,
    /// A subset is named `<host>/<subset>`.
    pub name: String,
    pub namespace: String,
    pub exists: bool,
    /// For services, subsets and selectors: how many workloads match.
    pub workloads: Option<u32>,
}

/// Everything that an object names, and the rules that apply to the same hosts; each once, sorted by kind and name.
#[must_use]
pub fn references(object: &ConfigObject, config: &MeshConfig, registry: &Registry) -> Vec<Reference> {
    let mut finder = Finder { object, config, registry, found: BTreeSet::new() };
    match &object.object.spec {
        Spec::VirtualService(spec) => finder.virtual_service(spec),
        Spec::DestinationRule(spec) => {
            let fqdn = finder.resolve(&spec.host);
            finder.service(&fqdn);
            for subset in &spec.subsets {
                finder.subset(&fqdn, &subset.name);
            }
            finder.virtual_services_of(&fqdn);
        }
        Spec::Gateway(spec) => {
            for workload in registry.workloads().iter().filter(|w| labels_match(&spec.selector, &w.identity.labels)) {
                finder.workload(&workload.identity.workload, &workload.identity.namespace);
            }
            finder.virtual_services_behind();
        }
        Spec::Service(_) => {
            let metadata = &object.object.metadata;
            let fqdn = hosts::service_fqdn(&metadata.name, &metadata.namespace, &config.settings.domain);
            finder.rules_of(&fqdn);
            finder.virtual_services_of(&fqdn);
            finder.workloads_of(&fqdn);
        }
    }
    finder.found.into_iter().collect()
}

struct Finder<'a> {
    object: &'a ConfigObject,
    config: &'a MeshConfig,
    registry: &'a Registry,
    found: BTreeSet<Reference>,
}

impl Finder<'_> {
    fn resolve(&self, host: &str) -> String {
        hosts::resolve(host, &self.object.object.metadata.namespace, &self.config.settings.domain)
    }

    fn add(&mut self, kind: &'static str, name: &str, namespace: &str, exists: bool, workloads: Option<u32>) {
        self.found.insert(Reference { kind, name: name.to_owned(), namespace: namespace.to_owned(), exists, workloads });
    }

    fn virtual_service(&mut self, spec: &VirtualService) {
        let own = self.object.object.metadata.namespace.clone();
        for name in spec.gateways.iter().filter(|name| *name != MESH_GATEWAY) {
            let (gateway, _) = GatewayRef::parse(name, &own);
            let exists = self.has(Kind::Gateway, gateway.namespace, gateway.name);
            self.add("gateway", gateway.name, gateway.namespace, exists, None);
        }
        for rule in &spec.http {
            if let Some(delegate) = &rule.delegate {
                let namespace = if delegate.namespace.is_empty() { &own } else { &delegate.namespace };
                let exists = self.has(Kind::VirtualService, namespace, &delegate.name);
                self.add("virtualService", &delegate.name, namespace, exists, None);
            }
        }
        spec.destinations().for_each(|destination| self.destination(destination));
    }

    fn destination(&mut self, destination: &Destination) {
        let fqdn = self.resolve(&destination.host);
        self.service(&fqdn);
        if !destination.subset.is_empty() {
            self.subset(&fqdn, &destination.subset);
            self.rules_of(&fqdn);
        }
    }

    fn service(&mut self, fqdn: &str) {
        let (name, namespace) = hosts::split_fqdn(fqdn, &self.config.settings.domain).unwrap_or((fqdn, ""));
        let service = self.registry.service(fqdn);
        let workloads = service.map(|service| Registry::count_workloads(self.registry.instances(service, &NO_LABELS)));
        self.add("service", name, namespace, service.is_some(), workloads);
    }

    fn subset(&mut self, fqdn: &str, subset: &str) {
        let viewer = self.viewer();
        let rule = rule_for(self.config, fqdn, viewer);
        let (name, namespace) = hosts::split_fqdn(fqdn, &self.config.settings.domain).unwrap_or((fqdn, ""));
        let defined = rule.subset(subset);
        let workloads = defined.and_then(|subset| {
            let service = self.registry.service(fqdn)?;
            Some(Registry::count_workloads(self.registry.instances(service, &subset.labels)))
        });
        self.add("subset", &format!("{name}/{subset}"), namespace, defined.is_some(), workloads);
    }

    fn rules_of(&mut self, fqdn: &str) {
        let viewer = self.viewer();
        for rule in rule_for(self.config, fqdn, viewer).objects {
            let metadata = &rule.object.metadata;
            self.add("destinationRule", &metadata.name, &metadata.namespace, true, None);
        }
    }

    fn workloads_of(&mut self, fqdn: &str) {
        let Some(service) = self.registry.service(fqdn) else {
            return;
        };
        for workload in self.registry.instances(service, &NO_LABELS) {
            self.workload(&workload.identity.workload, &workload.identity.namespace);
        }
    }

    fn workload(&mut self, name: &str, namespace: &str) {
        self.add("workload", name, namespace, true, None);
    }

    /// VirtualServices whose hosts cover a service, or that send requests to it.
    fn virtual_services_of(&mut self, fqdn: &str) {
        let domain = &self.config.settings.domain;
        for (object, spec) in self.config.virtual_services() {
            let metadata = &object.object.metadata;
            let full = |host: &str| hosts::resolve(host, &metadata.namespace, domain);
            let covers = spec.hosts.iter().any(|host| host != "*" && hosts::matches(&full(host), fqdn));
            let leads = spec.destinations().any(|destination| full(&destination.host) == fqdn);
            if covers || leads {
                self.add("virtualService", &metadata.name, &metadata.namespace, true, None);
            }
        }
    }

    /// VirtualServices that name this gateway.
    fn virtual_services_behind(&mut self) {
        let gateway = GatewayRef::from(self.object);
        for (object, spec) in self.config.virtual_services() {
            let metadata = &object.object.metadata;
            if spec.gateways.iter().any(|name| gateway.is_meant_by(name, &metadata.namespace)) {
                self.add("virtualService", &metadata.name, &metadata.namespace, true, None);
            }
        }
    }

    /// A client in the object's own namespace.
    fn viewer(&self) -> Viewer<'_> {
        Viewer { namespace: &self.object.object.metadata.namespace, labels: &NO_LABELS }
    }

    fn has(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.config.get(&ObjectKey { kind, namespace: namespace.to_owned(), name: name.to_owned() }).is_some()
    }
}

/// Selects every workload of a service.
static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::parse_documents;
    use crate::fixture::bookinfo;

    fn shown(object: &ConfigObject, config: &MeshConfig, registry: &Registry) -> String {
        let lines = references(object, config, registry).into_iter().map(|r| {
            let exists = if r.exists { "" } else { " missing" };
            let workloads = r.workloads.map(|count| format!(" {count} workloads")).unwrap_or_default();
            format!("{} {}/{}{exists}{workloads}\n", r.kind, r.namespace, r.name)
        });
        lines.collect()
    }

    fn of(kind: Kind, name: &str) -> String {
        let (config, registry) = bookinfo();
        let key = ObjectKey { kind, namespace: "bookinfo".into(), name: name.into() };
        shown(config.get(&key).unwrap(), &config, &registry)
    }

    #[test]
    fn every_kind_has_its_references() {
        insta::assert_snapshot!(of(Kind::VirtualService, "reviews"), @r#"
        destinationRule bookinfo/reviews
        service bookinfo/reviews 3 workloads
        subset bookinfo/reviews/v1 1 workloads
        subset bookinfo/reviews/v2 1 workloads
        subset bookinfo/reviews/v3 1 workloads
    "#);
        insta::assert_snapshot!(of(Kind::VirtualService, "bookinfo"), @r#"
        gateway bookinfo/bookinfo-gateway
        service bookinfo/productpage 1 workloads
    "#);
        insta::assert_snapshot!(of(Kind::DestinationRule, "reviews"), @r#"
        service bookinfo/reviews 3 workloads
        subset bookinfo/reviews/v1 1 workloads
        subset bookinfo/reviews/v2 1 workloads
        subset bookinfo/reviews/v3 1 workloads
        virtualService bookinfo/reviews
    "#);
        insta::assert_snapshot!(of(Kind::Gateway, "bookinfo-gateway"), @r#"
        virtualService bookinfo/bookinfo
        workload istio-system/istio-ingressgateway
    "#);
        insta::assert_snapshot!(of(Kind::Service, "reviews"), @r#"
        destinationRule bookinfo/reviews
        virtualService bookinfo/reviews
        workload bookinfo/reviews-v1
        workload bookinfo/reviews-v2
        workload bookinfo/reviews-v3
    "#);
    }

    #[test]
    fn what_is_missing_is_listed_too() {
        let (config, registry) = bookinfo();
        let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {hosts: [x], gateways: [mesh, a/b], http: [{route: [{destination: {host: reviews, subset: v4}}, {destination: {host: example.com}}]}, {delegate: {name: d}}]}";
        let object = parse_documents(text, "bookinfo").objects.remove(0).into_config(0);
        insta::assert_snapshot!(shown(&object, &config, &registry), @r#"
        destinationRule bookinfo/reviews
        gateway a/b missing
        service /example.com missing
        service bookinfo/reviews 3 workloads
        subset bookinfo/reviews/v4 missing
        virtualService bookinfo/d missing
    "#);
    }
}

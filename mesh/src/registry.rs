//! What exists in the mesh: services by full name, and the workloads that answer for them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{MeshConfig, PortOrName, ServicePort, labels_match};
use crate::hosts;
use crate::identity::{NodeIdentity, NodeType};

/// A service that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub namespace: String,
    /// `<name>.<namespace>.svc.<domain>`
    pub fqdn: String,
    /// Labels of its workloads; empty selects none.
    pub selector: BTreeMap<String, String>,
    pub ports: Vec<ServicePort>,
    /// Without an address of its own.
    pub headless: bool,
    pub created_at_ms: i64,
}

impl Service {
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.port == number)
    }

    /// The port of a destination that names none: the only one, else the listener's.
    #[must_use]
    pub fn destination_port(&self, asked: Option<u16>, listener: u16) -> u16 {
        asked.unwrap_or(match &self.ports[..] {
            [only] => only.port,
            _ => listener,
        })
    }
}

/// One address of a service: an instance of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub address: IpAddr,
    /// The target port at that instance.
    pub port: u16,
    pub workload: Arc<Workload>,
}

/// One running instance with its proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    pub identity: NodeIdentity,
}

/// Everything that exists. Built anew when a service or a workload comes or goes; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// `cluster.local`
    pub domain: String,
    services: BTreeMap<String, Arc<Service>>,
    workloads: Vec<Arc<Workload>>,
}

impl Registry {
    /// The services of a configuration, and the instances that have registered.
    #[must_use]
    pub fn new(config: &MeshConfig, workloads: impl IntoIterator<Item = NodeIdentity>) -> Self {
        let domain = config.settings.domain.clone();
        let services = config.services().into_iter().map(|(object, spec)| {
            let metadata = &object.object.metadata;
            let fqdn = hosts::service_fqdn(&metadata.name, &metadata.namespace, &domain);
            let service = Service {
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                fqdn: fqdn.clone(),
                selector: spec.selector.clone(),
                ports: spec.ports.clone(),
                headless: spec.cluster_ip == "None",
                created_at_ms: object.created_at_ms,
            };
            (fqdn, Arc::new(service))
        });
        let services = services.collect();
        let mut workloads: Vec<_> = workloads.into_iter().map(|identity| Arc::new(Workload { identity })).collect();
        workloads.sort_by(|a, b| a.identity.node_id.cmp(&b.identity.node_id));
        Self { domain, services, workloads }
    }

    /// The same workloads with the services of another configuration.
    #[must_use]
    pub fn with_services_of(&self, config: &MeshConfig) -> Self {
        Self { workloads: self.workloads.clone(), ..Self::new(config, []) }
    }

    /// By full name.
    #[must_use]
    pub fn service(&self, fqdn: &str) -> Option<&Arc<Service>> {
        self.services.get(fqdn)
    }

    /// Sorted by full name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// Sorted by node id.
    #[must_use]
    pub fn workloads(&self) -> &[Arc<Workload>] {
        &self.workloads
    }

    /// Namespaces that have a service or a workload.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let services = self.services.values().map(|s| s.namespace.as_str());
        services.chain(self.workloads.iter().map(|w| w.identity.namespace.as_str())).collect()
    }

    /// Services that select an instance.
    pub fn services_of<'a>(&'a self, identity: &'a NodeIdentity) -> impl Iterator<Item = &'a Arc<Service>> {
        self.services.values().filter(move |service| selects(service, identity))
    }

    /// Instances behind a service; with labels, only those of a subset.
    pub fn instances<'a>(
        &'a self,
        service: &'a Service,
        subset: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a Arc<Workload>> {
        let selected = self.workloads.iter().filter(move |w| selects(service, &w.identity));
        selected.filter(move |w| labels_match(subset, &w.identity.labels))
    }

    /// Addresses behind a port of a service; with labels, only those of a subset. An instance that has no such target
    /// port is left out.
    #[must_use]
    pub fn endpoints(&self, service: &Service, port: &ServicePort, subset: &BTreeMap<String, String>) -> Vec<Endpoint> {
        let instances = self.instances(service, subset);
        let with_port = instances.filter_map(|workload| {
            let address = workload.identity.ip;
            Some(Endpoint { address, port: target_port(port, &workload.identity)?, workload: Arc::clone(workload) })
        });
        with_port.collect()
    }

    /// Gateways' instances that carry all labels of a selector, in every namespace.
    pub fn gateways<'a>(&'a self, selector: &'a BTreeMap<String, String>) -> impl Iterator<Item = &'a Arc<Workload>> {
        let routers = self.workloads.iter().filter(|w| w.identity.node_type == NodeType::Router);
        routers.filter(move |w| labels_match(selector, &w.identity.labels))
    }

    /// How many workloads (not instances) are among some instances.
    pub fn count_workloads<'a>(instances: impl Iterator<Item = &'a Arc<Workload>>) -> u32 {
        let names: BTreeSet<_> = instances.map(|w| (&w.identity.namespace, &w.identity.workload)).collect();
        u32::try_from(names.len()).unwrap_or(u32::MAX)
    }
}

/// Port at an instance to which a service port leads.
#[must_use]
pub fn target_port(port: &ServicePort, identity: &NodeIdentity) -> Option<u16> {
    match &port.target_port {
        None => Some(port.port),
        Some(PortOrName::Number(number)) => Some(*number),
        Some(PortOrName::Name(name)) => identity.pod_port(name),
    }
}

fn selects(service: &Service, identity: &NodeIdentity) -> bool {
    !service.selector.is_empty() && service.namespace == identity.namespace && labels_match(&service.selector, &identity.labels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::fixture::bookinfo;

    fn labels(name: &str, value: &str) -> BTreeMap<String, String> {
        [(name.to_owned(), value.to_owned())].into()
    }

    /// `address:port workload` of each endpoint.
    fn endpoints(host: &str, subset: &BTreeMap<String, String>) -> Vec<String> {
        let (_, registry) = bookinfo();
        let service = registry.service(host).unwrap();
        let endpoints = registry.endpoints(service, &service.ports[0], subset);
        endpoints.iter().map(|e| format!("{}:{} {}", e.address, e.port, e.workload.identity.workload)).collect()
    }

    #[test]
    fn endpoints_are_the_workloads_with_the_selectors_labels() {
        let none = BTreeMap::new();
        assert_eq!(
            endpoints("reviews.bookinfo.svc.cluster.local", &none),
            ["127.1.0.13:9080 reviews-v1", "127.1.0.14:9080 reviews-v2", "127.1.0.15:9080 reviews-v3"]
        );
        assert_eq!(endpoints("reviews.bookinfo.svc.cluster.local", &labels("version", "v2")), ["127.1.0.14:9080 reviews-v2"]);
        // Its target port is a name.
        assert_eq!(endpoints("productpage.bookinfo.svc.cluster.local", &none), ["127.1.0.11:9080 productpage-v1"]);
        assert_eq!(endpoints("productpage.bookinfo.svc.cluster.local", &labels("version", "v2")), Vec::<String>::new());
    }

    #[test]
    fn instances_without_the_named_port_are_no_endpoints() {
        let (_, registry) = bookinfo();
        let service = registry.service("reviews.bookinfo.svc.cluster.local").unwrap();
        let port = ServicePort { port: 80, target_port: Some(PortOrName::Name("admin".into())), ..ServicePort::default() };
        assert_eq!(registry.endpoints(service, &port, &BTreeMap::new()), []);
        let port = ServicePort { port: 80, target_port: Some(PortOrName::Number(8000)), ..ServicePort::default() };
        assert_eq!(registry.endpoints(service, &port, &labels("version", "v1"))[0].port, 8000);
    }

    #[test]
    fn what_belongs_together_is_found() {
        let (config, registry) = bookinfo();
        let gateways: Vec<_> = registry.gateways(&config.gateways()[0].1.selector).collect();
        assert_eq!(gateways[0].identity.workload, "istio-ingressgateway");
        assert_eq!(Registry::count_workloads(gateways.into_iter()), 1);
        let reviews = registry.workloads().iter().find(|w| w.identity.workload == "reviews-v1").unwrap();
        let services: Vec<_> = registry.services_of(&reviews.identity).map(|service| service.name.as_str()).collect();
        assert_eq!(services, ["reviews"]);
        assert_eq!(registry.namespaces().into_iter().collect::<Vec<_>>(), ["bookinfo", "istio-system"]);
    }

    #[test]
    fn a_destination_without_port_takes_the_only_one() {
        let (_, registry) = bookinfo();
        let mut service = Service::clone(registry.service("reviews.bookinfo.svc.cluster.local").unwrap());
        assert_eq!(service.destination_port(None, 80), 9080);
        service.ports.push(ServicePort { port: 9090, ..ServicePort::default() });
        assert_eq!(service.destination_port(None, 80), 80);
        assert_eq!(service.destination_port(Some(9090), 80), 9090);
    }
}

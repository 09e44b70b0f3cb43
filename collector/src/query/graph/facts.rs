//! What the graph needs to know of the mesh beside its traffic: who exists, and what is configured for whom.

use std::collections::{BTreeMap, BTreeSet};

use sidelight_mesh::config::{DestinationRule, MeshConfig, TrafficPolicy, VirtualService};
use sidelight_mesh::hosts;
use sidelight_mesh::identity::{NodeIdentity, NodeType};

/// A picture of the mesh, reduced to what nodes are decorated with.
#[derive(Clone, Debug, Default)]
pub struct MeshFacts {
    /// By namespace and name.
    pub workloads: BTreeMap<(String, String), WorkloadFacts>,
    /// By namespace and name.
    pub services: BTreeMap<(String, String), ServiceFacts>,
    /// Oldest first: of two for one service, the older one counts.
    pub routes: Vec<RouteFacts>,
    pub breakers: Vec<BreakerFacts>,
    pub gateways: Vec<GatewayFacts>,
    /// Objects by namespace.
    pub objects: BTreeMap<String, u32>,
}

/// One registered proxy, as the control plane sees it.
#[derive(Clone, Debug)]
pub struct Instance<'a> {
    pub identity: &'a NodeIdentity,
    pub connected: bool,
    /// Runs the newest configuration; `None` when nobody knows.
    pub synced: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadFacts {
    pub cluster: String,
    pub app: String,
    pub version: String,
    /// Labels that all instances share.
    pub labels: BTreeMap<String, String>,
    pub gateway: Option<GatewayKind>,
    pub instances: u32,
    pub connected: u32,
    /// Instances with the newest configuration; `None` when nobody knows.
    pub synced: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayKind {
    Ingress,
    Egress,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    pub app: String,
    pub labels: BTreeMap<String, String>,
}

/// What a VirtualService does for the services it routes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFacts {
    pub hosts: Vec<String>,
    /// Namespace and name of each destination.
    pub destinations: BTreeSet<(String, String)>,
    pub routing: bool,
    pub timeout: bool,
    pub fault: bool,
    pub shifting: bool,
    pub mirroring: bool,
}

/// A DestinationRule that can break circuits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakerFacts {
    /// Namespace and name.
    pub service: (String, String),
    /// For all of the service's workloads.
    pub everywhere: bool,
    /// For those of these versions.
    pub versions: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayFacts {
    pub selector: BTreeMap<String, String>,
    pub hosts: Vec<String>,
}

impl MeshFacts {
    /// Reads configuration and registry.
    #[must_use]
    pub fn new<'a>(config: &MeshConfig, instances: impl IntoIterator<Item = Instance<'a>>) -> Self {
        let domain = &config.settings.domain;
        let mut facts = Self::default();
        for instance in instances {
            facts.add_instance(&instance);
        }
        for (object, spec) in config.services() {
            let metadata = &object.object.metadata;
            let app = metadata.labels.get("app").or_else(|| spec.selector.get("app"));
            let service = ServiceFacts { app: app.cloned().unwrap_or_default(), labels: metadata.labels.clone() };
            facts.services.insert((metadata.namespace.clone(), metadata.name.clone()), service);
        }
        for (object, spec) in config.virtual_services() {
            facts.routes.push(RouteFacts::new(spec, &object.object.metadata.namespace, domain));
        }
        for (object, spec) in config.destination_rules() {
            facts.breakers.extend(BreakerFacts::new(spec, &object.object.metadata.namespace, domain));
        }
        for (_, spec) in config.gateways() {
            let hosts = spec.servers.iter().flat_map(|server| server.hosts.iter().cloned()).collect();
            facts.gateways.push(GatewayFacts { selector: spec.selector.clone(), hosts });
        }
        for (key, _) in config.iter() {
            *facts.objects.entry(key.namespace.clone()).or_default() += 1;
        }
        facts
    }

    fn add_instance(&mut self, instance: &Instance<'_>) {
        let identity = instance.identity;
        let key = (identity.namespace.clone(), identity.workload.clone());
        let workload = self.workloads.entry(key).or_insert_with(|| WorkloadFacts {
            cluster: identity.cluster_id.clone(),
            app: identity.canonical_service.clone(),
            version: identity.canonical_revision.clone(),
            labels: identity.labels.clone(),
            gateway: gateway_kind(identity),
            synced: Some(0),
            ..WorkloadFacts::default()
        });
        workload.labels.retain(|name, value| identity.labels.get(name) == Some(value));
        workload.instances += 1;
        workload.connected += u32::from(instance.connected);
        workload.synced = workload.synced.zip(instance.synced).map(|(sum, synced)| sum + u32::from(synced));
    }

    #[must_use]
    pub fn workload(&self, namespace: &str, name: &str) -> Option<&WorkloadFacts> {
        self.workloads.get(&(namespace.to_owned(), name.to_owned()))
    }

    #[must_use]
    pub fn service(&self, namespace: &str, name: &str) -> Option<&ServiceFacts> {
        self.services.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The workloads of an app, by name.
    pub fn workloads_of<'a>(&'a self, namespace: &'a str, app: &'a str) -> impl Iterator<Item = (&'a str, &'a WorkloadFacts)> {
        let all = self.workloads.iter().filter(move |((ns, _), facts)| ns == namespace && facts.app == app);
        all.map(|((_, name), facts)| (name.as_str(), facts))
    }

    /// The first VirtualService that routes to a service.
    #[must_use]
    pub fn route_to(&self, namespace: &str, service: &str) -> Option<&RouteFacts> {
        let key = (namespace.to_owned(), service.to_owned());
        self.routes.iter().find(|route| route.destinations.contains(&key))
    }

    /// Whether circuits towards a service can break: for the service as a whole, or, with a version, for its workloads.
    #[must_use]
    pub fn breaks(&self, namespace: &str, service: &str, version: Option<&str>) -> bool {
        let rules = self.breakers.iter().filter(|rule| rule.service.0 == namespace && rule.service.1 == service);
        rules
            .into_iter()
            .any(|rule| rule.everywhere || version.map_or(!rule.versions.is_empty(), |version| rule.versions.contains(version)))
    }
}

impl RouteFacts {
    fn new(spec: &VirtualService, namespace: &str, domain: &str) -> Self {
        let http = spec.http.iter().flat_map(|route| route.route.iter().map(|to| &to.destination));
        let tcp = spec.tcp.iter().flat_map(|route| route.route.iter().map(|to| &to.destination));
        let tls = spec.tls.iter().flat_map(|route| route.route.iter().map(|to| &to.destination));
        let all = http.chain(tcp).chain(tls);
        Self {
            hosts: spec.hosts.clone(),
            destinations: all.map(|to| service_of(&to.host, namespace, domain)).collect(),
            routing: spec.http.iter().any(|route| !route.route.is_empty())
                || spec.tcp.iter().any(|route| !route.route.is_empty())
                || spec.tls.iter().any(|route| !route.route.is_empty()),
            timeout: spec.http.iter().any(|route| route.timeout.is_some()),
            fault: spec.http.iter().any(|route| route.fault.is_some()),
            // Several destinations mean a split even while one of them has all the weight.
            shifting: spec.http.iter().any(|route| route.route.len() > 1),
            mirroring: spec.http.iter().any(|route| route.mirror.is_some() || !route.mirrors.is_empty()),
        }
    }
}

impl BreakerFacts {
    fn new(spec: &DestinationRule, namespace: &str, domain: &str) -> Option<Self> {
        let everywhere = spec.traffic_policy.as_ref().is_some_and(breaks);
        let subsets = spec.subsets.iter().filter(|subset| subset.traffic_policy.as_ref().is_some_and(breaks));
        let versions: BTreeSet<String> = subsets.filter_map(|subset| subset.labels.get("version").cloned()).collect();
        let service = service_of(&spec.host, namespace, domain);
        (everywhere || !versions.is_empty()).then_some(Self { service, everywhere, versions })
    }
}

fn breaks(policy: &TrafficPolicy) -> bool {
    policy.connection_pool.is_some() || policy.outlier_detection.is_some()
}

/// Gateways say so by their kind of proxy; whether inwards or outwards, by the labels of Istio's installation.
fn gateway_kind(identity: &NodeIdentity) -> Option<GatewayKind> {
    let label = |name: &str| identity.labels.get(name).map(String::as_str);
    let egress = label("operator.istio.io/component") == Some("EgressGateways") || label("istio") == Some("egressgateway");
    let named = egress || label("operator.istio.io/component") == Some("IngressGateways");
    let is_gateway = identity.node_type == NodeType::Router || named;
    is_gateway.then_some(if egress { GatewayKind::Egress } else { GatewayKind::Ingress })
}

/// Namespace and name of the service that a host means in an object of `namespace`; hosts outside the mesh have no namespace.
fn service_of(host: &str, namespace: &str, domain: &str) -> (String, String) {
    let full = hosts::resolve(host, namespace, domain);
    if let Some((name, namespace)) = hosts::split_fqdn(&full, domain) {
        return (namespace.to_owned(), name.to_owned());
    }
    match host.split('.').collect::<Vec<_>>()[..] {
        [name, namespace] | [name, namespace, "svc"] => (namespace.to_owned(), name.to_owned()),
        _ => (String::new(), host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::service_of;

    #[test]
    fn hosts_mean_services() {
        for (host, namespace, name) in [
            ("reviews", "bookinfo", "reviews"),
            ("reviews.other", "other", "reviews"),
            ("reviews.other.svc", "other", "reviews"),
            ("reviews.other.svc.cluster.local", "other", "reviews"),
            ("www.example.com", "", "www.example.com"),
            ("*.example.com", "", "*.example.com"),
        ] {
            assert_eq!(service_of(host, "bookinfo", "cluster.local"), (namespace.to_owned(), name.to_owned()), "{host}");
        }
    }
}

//! What a sidecar sends: an HTTP proxy for its application, with a virtual host for each service port.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{DirectResponseAction, Route, RouteAction, RouteConfiguration, VirtualHost};
use envoy_types::pb::google::protobuf::Duration;
use sidelight_mesh::config::OutboundPolicy;
use sidelight_mesh::hosts;
use sidelight_mesh::identity::NodeIdentity;
use sidelight_mesh::registry::Service;
use sidelight_mesh::route::{Scope, is_bound_to_mesh, is_exported};

use super::Scene;
use super::actions::timed_action;
use super::connection_manager::{Routes, Side, http_filter};
use super::listener::listener;
use super::matches::any_path;
use super::routes::{Found, default_route, virtual_service_routes};
use super::special::PASSTHROUGH;
use crate::control::resources::ProxyResources;
use crate::control::wire::{flag, uint};

/// Name of the route configuration of an explicit proxy.
const HTTP_PROXY: &str = "http_proxy";

/// Bytes of a response that a route may carry itself.
pub(super) const DIRECT_RESPONSE_BYTES_MAX: u32 = 1 << 20;

/// The port whose virtual hosts also answer for hosts that are no services.
const OUTSIDE_PORT: u16 = 80;

pub(super) fn add(resources: &mut ProxyResources, scene: &Scene) {
    let node = scene.node;
    let (host, port) = (proxy_ip(node.ip).to_string(), node.ports.outbound);
    let filter = http_filter(Side::Outbound, format!("outbound_{host}_{port}"), Routes::Named(HTTP_PROXY.to_owned()), scene);
    resources.add_listener(listener(&host, port, TrafficDirection::Outbound, filter));
    resources.add_routes(route_configuration(scene));
}

/// An explicit proxy is for the application beside it alone: on an address of the network, it would be anybody's.
fn proxy_ip(node: IpAddr) -> IpAddr {
    match node {
        own if own.is_loopback() => own,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

fn route_configuration(scene: &Scene) -> RouteConfiguration {
    let mut claimed = BTreeSet::new();
    let mut virtual_hosts = service_hosts(scene);
    virtual_hosts.extend(outside_hosts(scene));
    virtual_hosts.retain_mut(|host| {
        host.domains.retain(|domain| claimed.insert(domain.to_ascii_lowercase()));
        !host.domains.is_empty()
    });
    virtual_hosts.sort_by(|a, b| a.name.cmp(&b.name));
    virtual_hosts.push(catch_all(scene.config().settings.outbound));
    RouteConfiguration {
        name: HTTP_PROXY.to_owned(),
        virtual_hosts,
        validate_clusters: Some(flag(false)),
        max_direct_response_body_size_bytes: Some(uint(DIRECT_RESPONSE_BYTES_MAX)),
        ..RouteConfiguration::default()
    }
}

fn service_hosts(scene: &Scene) -> Vec<VirtualHost> {
    let (node, domain) = (scene.node, scene.domain());
    let mut all = Vec::new();
    for service in scene.registry().services() {
        let chosen = scene.virtual_services.get(&service.fqdn);
        for port in service.ports.iter().filter(|port| port.protocol_kind().is_http()) {
            let domains = hosts::domains_with_port(&service.fqdn, port.port, &node.namespace, domain);
            let routes = routes_for(scene, service, port.port, chosen);
            all.push(virtual_host(format!("{}:{}", service.fqdn, port.port), domains, routes));
        }
    }
    all
}

fn routes_for(scene: &Scene, service: &Service, port: u16, chosen: Option<Found>) -> Vec<Route> {
    let routes = chosen.map(|found| virtual_service_routes(scene, found, scope(scene.node, port))).unwrap_or_default();
    // A VirtualService that has nothing to say about this port leaves it alone.
    if routes.is_empty() { vec![default_route(scene, service, port)] } else { routes }
}

fn scope(node: &NodeIdentity, port: u16) -> Scope<'_> {
    Scope { viewer: node.into(), port, gateway: None }
}

/// Hosts of VirtualServices that are no services of the mesh.
fn outside_hosts(scene: &Scene) -> Vec<VirtualHost> {
    let (node, domain) = (scene.node, scene.domain());
    let mut all = Vec::new();
    for (object, spec) in scene.config().virtual_services() {
        let namespace = &object.object.metadata.namespace;
        if !is_bound_to_mesh(spec) || !is_exported(&spec.export_to, namespace, &node.namespace) {
            continue;
        }
        let resolved = spec.hosts.iter().map(|host| hosts::resolve(host, namespace, domain));
        for host in resolved.filter(|host| is_outside(scene, host)) {
            let routes = virtual_service_routes(scene, (object, spec), scope(node, OUTSIDE_PORT));
            if !routes.is_empty() {
                all.push(virtual_host(format!("{host}:{OUTSIDE_PORT}"), outside_domains(&host), routes));
            }
        }
    }
    all
}

/// The domain `*` belongs to the catch-all.
fn outside_domains(host: &str) -> Vec<String> {
    if host == "*" { Vec::new() } else { vec![host.to_owned(), format!("{host}:{OUTSIDE_PORT}")] }
}

fn is_outside(scene: &Scene, host: &str) -> bool {
    if !host.starts_with('*') {
        return scene.registry().service(&host.to_ascii_lowercase()).is_none();
    }
    !scene.registry().services().any(|service| hosts::matches(host, &service.fqdn))
}

fn virtual_host(name: String, domains: Vec<String>, routes: Vec<Route>) -> VirtualHost {
    VirtualHost { name, domains, routes, include_request_attempt_count: true, ..VirtualHost::default() }
}

/// For hosts that nobody registered.
fn catch_all(policy: OutboundPolicy) -> VirtualHost {
    let (name, action) = match policy {
        OutboundPolicy::AllowAny => (
            "allow_any",
            Action::Route(RouteAction {
                cluster_specifier: Some(ClusterSpecifier::Cluster(PASSTHROUGH.to_owned())),
                ..timed_action(Duration::default())
            }),
        ),
        OutboundPolicy::RegistryOnly => {
            ("block_all", Action::DirectResponse(DirectResponseAction { status: 502, ..DirectResponseAction::default() }))
        }
    };
    let route = Route { name: name.to_owned(), r#match: Some(any_path()), action: Some(action), ..Route::default() };
    virtual_host(name.to_owned(), vec!["*".to_owned()], vec![route])
}

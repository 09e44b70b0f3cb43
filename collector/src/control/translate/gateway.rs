//! A gateway's listeners and routes: one listener for each port of its Gateway objects.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::route::v3::virtual_host::TlsRequirementType;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use sidelight_mesh::config::Server;
use sidelight_mesh::identity::NodeIdentity;
use sidelight_mesh::route::{GatewayRef, Scope, gateway_hosts, gateways_for};

use super::Scene;
use super::connection_manager::{Routes, Side, http_filter};
use super::listener::listener;
use super::outbound::DIRECT_RESPONSE_BYTES_MAX;
use super::routes::virtual_service_routes;
use crate::control::resources::ProxyResources;
use crate::control::wire::{flag, uint};

/// A server of a Gateway object that this proxy serves.
struct Served<'a> {
    gateway: GatewayRef<'a>,
    server: &'a Server,
}

/// One virtual host in the making.
#[derive(Default)]
struct Host {
    routes: Vec<Route>,
    https_redirect: bool,
}

pub(super) fn add(resources: &mut ProxyResources, scene: &Scene) {
    for ((bind, port), servers) in served(scene) {
        let host = if bind.is_empty() { default_bind(scene.node) } else { bind.to_owned() };
        let name = if bind.is_empty() { format!("http.{port}") } else { format!("http.{port}.{bind}") };
        let stat_prefix = format!("outbound_{host}_{port}");
        let filter = http_filter(Side::Gateway, stat_prefix, Routes::Named(name.clone()), scene);
        resources.add_listener(listener(&host, port, TrafficDirection::Outbound, filter));
        resources.add_routes(route_configuration(scene, name, port, &servers));
    }
}

/// By bind address and port; of all gateways that select this proxy, the oldest first.
fn served<'a>(scene: &Scene<'a>) -> BTreeMap<(&'a str, u16), Vec<Served<'a>>> {
    let mut ports: BTreeMap<(&str, u16), Vec<Served>> = BTreeMap::new();
    for (object, spec) in gateways_for(scene.config(), scene.node) {
        for server in spec.servers.iter().filter(|server| is_plain_http(server)) {
            let served = Served { gateway: object.into(), server };
            ports.entry((&server.bind, server.port.number)).or_default().push(served);
        }
    }
    ports
}

/// Servers that terminate TLS need certificates, which are not handed out yet.
fn is_plain_http(server: &Server) -> bool {
    let http = matches!(server.port.protocol.to_ascii_uppercase().as_str(), "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB");
    http && server.port.number != 0
}

/// Where all workloads share one machine, each has a loopback address of its own, and stays on it.
fn default_bind(node: &NodeIdentity) -> String {
    if node.ip.is_loopback() { node.ip.to_string() } else { "0.0.0.0".to_owned() }
}

fn route_configuration(scene: &Scene, name: String, port: u16, servers: &[Served]) -> RouteConfiguration {
    let mut all: BTreeMap<String, Host> = BTreeMap::new();
    for served in servers {
        add_hosts(&mut all, scene, port, served);
    }
    let mut virtual_hosts: Vec<VirtualHost> = all.into_iter().map(|(host, made)| virtual_host(&host, port, made)).collect();
    // The catch-all is last, as people expect it; by name it would be first.
    virtual_hosts.sort_by_key(|host| host.domains.iter().any(|domain| domain == "*"));
    if virtual_hosts.is_empty() {
        // Without routes every request is answered with 404.
        virtual_hosts.push(VirtualHost {
            name: format!("blackhole:{port}"),
            domains: vec!["*".to_owned()],
            ..VirtualHost::default()
        });
    }
    RouteConfiguration {
        name,
        virtual_hosts,
        validate_clusters: Some(flag(false)),
        max_direct_response_body_size_bytes: Some(uint(DIRECT_RESPONSE_BYTES_MAX)),
        ignore_port_in_host_matching: true,
        ..RouteConfiguration::default()
    }
}

/// Hosts of the server that are also hosts of a VirtualService behind the gateway, each in the narrower form.
fn add_hosts(all: &mut BTreeMap<String, Host>, scene: &Scene, port: u16, served: &Served) {
    let redirect = served.server.tls.as_ref().is_some_and(|tls| tls.https_redirect);
    let scope = Scope { viewer: scene.node.into(), port, gateway: Some(served.gateway) };
    for (host, behind) in gateway_hosts(scene.config(), served.gateway, served.server) {
        let made = all.entry(host.to_ascii_lowercase()).or_default();
        made.https_redirect |= redirect;
        for found in behind {
            made.routes.extend(virtual_service_routes(scene, found, scope));
        }
    }
}

fn virtual_host(host: &str, port: u16, made: Host) -> VirtualHost {
    let require_tls = if made.https_redirect { TlsRequirementType::All } else { TlsRequirementType::None };
    VirtualHost {
        name: format!("{host}:{port}"),
        domains: vec![host.to_owned()],
        routes: made.routes,
        require_tls: require_tls.into(),
        include_request_attempt_count: true,
        ..VirtualHost::default()
    }
}

//! What a sidecar receives: one listener and one cluster for each port of its application.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Decorator, RetryPolicy, Route, RouteAction, RouteConfiguration, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::google::protobuf::Duration;
use sidelight_mesh::config::{Protocol, ServicePort};
use sidelight_mesh::identity::NodeIdentity;
use sidelight_mesh::registry::{Registry, Service, target_port};

use super::actions::timed_action;
use super::connection_manager::{Routes, Side, access_log, http_filter, network_filter};
use super::listener::listener;
use super::matches::any_path;
use super::metadata::services_metadata;
use super::protocol::explicit_http2;
use super::{Scene, special};
use crate::control::resources::ProxyResources;
use crate::control::wire::{any, flag, socket_address, uint};

/// A port of the application, with the service that leads to it, if any does.
type Port<'a> = Option<(&'a Service, &'a ServicePort)>;

pub(super) fn add(resources: &mut ProxyResources, scene: &Scene) {
    let node = scene.node;
    let host = node.ip.to_string();
    for (number, port) in ports(scene.registry(), node) {
        let protocol = port.map_or(Protocol::Auto, |(_, port)| port.protocol_kind());
        resources.add_cluster(cluster(number, port, protocol, node));
        let filter = if protocol.is_http() {
            let stat_prefix = format!("inbound_{host}_{number}");
            http_filter(Side::Inbound, stat_prefix, Routes::Inline(Box::new(routes(number, port, protocol))), scene)
        } else {
            tcp_filter(number)
        };
        resources.add_listener(listener(&host, number, TrafficDirection::Inbound, filter));
    }
}

/// What the instance declares, and what services send to it undeclared.
fn ports<'a>(registry: &'a Registry, node: &'a NodeIdentity) -> BTreeMap<u16, Port<'a>> {
    let declared = node.pod_ports.iter().filter(|port| port.protocol != "UDP");
    let mut ports: BTreeMap<u16, Port> = declared.map(|port| (port.container_port, None)).collect();
    let mut services: Vec<&Service> = registry.services_of(node).map(AsRef::as_ref).collect();
    services.sort_by_key(|service| (service.created_at_ms, service.fqdn.as_str()));
    for service in services {
        for port in service.ports.iter().filter(|port| port.protocol_kind() != Protocol::Udp) {
            if let Some(target) = target_port(port, node) {
                // The oldest service that leads to a port gives it its name.
                ports.entry(target).or_default().get_or_insert((service, port));
            }
        }
    }
    ports
}

fn cluster(number: u16, port: Port, protocol: Protocol, node: &NodeIdentity) -> Cluster {
    let name = cluster_name(number);
    let endpoint = node.app_endpoint(number);
    let (host, app_port) = special::split_host_port(&endpoint);
    Cluster {
        load_assignment: Some(special::load_assignment(&name, socket_address(host, app_port))),
        metadata: port.map(|(service, _)| services_metadata(service, None)),
        typed_extension_protocol_options: explicit_http2(protocol),
        ..special::cluster(&name, DiscoveryType::Static)
    }
}

fn cluster_name(port: u16) -> String {
    format!("inbound|{port}||")
}

fn routes(number: u16, port: Port, protocol: Protocol) -> RouteConfiguration {
    let operation = match port {
        Some((service, port)) => format!("{}:{}/*", service.fqdn, port.port),
        None => format!(":{number}/*"),
    };
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster_name(number))),
        retry_policy: (protocol != Protocol::Grpc).then(retry_policy),
        ..timed_action(Duration::default())
    };
    let route = Route {
        name: "default".to_owned(),
        r#match: Some(any_path()),
        decorator: Some(Decorator { operation, propagate: None }),
        action: Some(Action::Route(action)),
        ..Route::default()
    };
    let host = VirtualHost {
        name: format!("inbound|http|{}", port.map_or(number, |(_, port)| port.port)),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: cluster_name(number),
        virtual_hosts: vec![host],
        validate_clusters: Some(flag(false)),
        ..RouteConfiguration::default()
    }
}

/// The application has not seen the request: it closed the connection in the moment of its reuse.
fn retry_policy() -> RetryPolicy {
    RetryPolicy { retry_on: "reset-before-request".to_owned(), num_retries: Some(uint(2)), ..RetryPolicy::default() }
}

fn tcp_filter(number: u16) -> Filter {
    let name = cluster_name(number);
    let proxy = TcpProxy {
        stat_prefix: name.clone(),
        access_log: vec![access_log()],
        cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster(name)),
        ..TcpProxy::default()
    };
    network_filter("envoy.filters.network.tcp_proxy", any(proxy))
}

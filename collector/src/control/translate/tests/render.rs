//! Writes resources as short lines that a person can check.

use std::fmt::Write;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, LbPolicy};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, Metadata, TrafficDirection};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::listener::v3::{Listener, filter};
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, RouteMatch, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use prost::Message;

use super::fixture::Given;

pub fn everything(given: &Given) -> String {
    let mut text = String::new();
    for cluster in given.clusters() {
        writeln!(text, "{}", self::cluster(&cluster)).unwrap();
    }
    for load in given.endpoints() {
        writeln!(text, "endpoints {} {}", load.cluster_name, endpoints(&load)).unwrap();
    }
    for listener in given.listeners() {
        text.push_str(&self::listener(&listener));
    }
    for config in given.route_configurations() {
        text.push_str(&route_configuration(&config));
    }
    text
}

fn cluster(cluster: &Cluster) -> String {
    let discovery = match cluster.cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(number)) => DiscoveryType::try_from(number).unwrap().as_str_name(),
        _ => "?",
    };
    let policy = LbPolicy::try_from(cluster.lb_policy).unwrap().as_str_name();
    let mut line = format!("cluster {} {discovery} {policy}", cluster.name);
    if let Some(load) = &cluster.load_assignment {
        write!(line, " {}", endpoints(load)).unwrap();
    }
    if !cluster.alt_stat_name.is_empty() {
        write!(line, " stat={}", cluster.alt_stat_name).unwrap();
    }
    write!(line, "{}", metadata(cluster.metadata.as_ref())).unwrap();
    line
}

pub fn endpoints(load: &ClusterLoadAssignment) -> String {
    let all = load.endpoints.iter().flat_map(|place| &place.lb_endpoints);
    let each = all.map(|endpoint| {
        let Some(HostIdentifier::Endpoint(host)) = &endpoint.host_identifier else { panic!("a named endpoint") };
        format!("{}{}", address(host.address.as_ref()), metadata(endpoint.metadata.as_ref()))
    });
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

fn address(address: Option<&Address>) -> String {
    let Some(AddressKind::SocketAddress(socket)) = address.and_then(|a| a.address.as_ref()) else { return "?".to_owned() };
    match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => format!("{}:{port}", socket.address),
        _ => socket.address.clone(),
    }
}

pub fn metadata(metadata: Option<&Metadata>) -> String {
    let istio = metadata.and_then(|m| m.filter_metadata.get("istio"));
    istio.map(|fields| format!(" {}", structure(fields))).unwrap_or_default()
}

fn structure(fields: &Struct) -> String {
    let mut sorted: Vec<_> = fields.fields.iter().collect();
    sorted.sort_by_key(|(name, _)| name.as_str());
    let each = sorted.iter().map(|(name, value)| format!("{name}={}", self::value(value)));
    format!("{{{}}}", each.collect::<Vec<_>>().join(" "))
}

fn value(value: &Value) -> String {
    match value.kind.as_ref().unwrap() {
        ValueKind::StringValue(text) => text.clone(),
        ValueKind::StructValue(fields) => structure(fields),
        ValueKind::ListValue(list) => list.values.iter().map(self::value).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}

fn listener(listener: &Listener) -> String {
    let direction = TrafficDirection::try_from(listener.traffic_direction).unwrap().as_str_name();
    let mut text = format!("listener {} {direction} {}\n", listener.name, address(listener.address.as_ref()));
    for filter in listener.filter_chains.iter().flat_map(|chain| &chain.filters) {
        let Some(filter::ConfigType::TypedConfig(any)) = &filter.config_type else { panic!("a filter without a configuration") };
        if !any.type_url.ends_with("HttpConnectionManager") {
            writeln!(text, "  {}", filter.name).unwrap();
            continue;
        }
        let manager = HttpConnectionManager::decode(&any.value[..]).unwrap();
        let filters: Vec<&str> = manager.http_filters.iter().map(|filter| filter.name.as_str()).collect();
        writeln!(text, "  http {} [{}]", manager.stat_prefix, filters.join(" ")).unwrap();
        let upgrades: Vec<&str> = manager.upgrade_configs.iter().map(|upgrade| upgrade.upgrade_type.as_str()).collect();
        writeln!(text, "  upgrades [{}]", upgrades.join(" ")).unwrap();
        match &manager.route_specifier {
            Some(RouteSpecifier::Rds(rds)) => writeln!(text, "  rds {}", rds.route_config_name).unwrap(),
            Some(RouteSpecifier::RouteConfig(config)) => text.push_str(&indent(&route_configuration(config))),
            other => panic!("{other:?}"),
        }
    }
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn route_configuration(config: &RouteConfiguration) -> String {
    let hosts: String = config.virtual_hosts.iter().map(virtual_host).collect();
    format!("routes {}\n{}", config.name, indent(&hosts))
}

pub fn virtual_host(host: &VirtualHost) -> String {
    let routes: String = host.routes.iter().map(|r| route(r) + "\n").collect();
    format!("host {} [{}]\n{}", host.name, host.domains.join(" "), indent(&routes))
}

pub fn route(route: &Route) -> String {
    let decorator = route.decorator.as_ref().map(|d| format!(" \"{}\"", d.operation)).unwrap_or_default();
    let name = if route.name.is_empty() { "-" } else { &route.name };
    format!("{name}: {} -> {}{decorator}", condition(route.r#match.as_ref().unwrap()), action(route.action.as_ref().unwrap()))
}

pub fn condition(condition: &RouteMatch) -> String {
    let mut text = match condition.path_specifier.as_ref().unwrap() {
        PathSpecifier::Prefix(prefix) => format!("prefix {prefix}"),
        PathSpecifier::Path(path) => format!("path {path}"),
        PathSpecifier::SafeRegex(regex) => format!("regex {}", regex.regex),
        other => format!("{other:?}"),
    };
    for header in &condition.headers {
        let not = if header.invert_match { "not " } else { "" };
        let test = match header.header_match_specifier.as_ref().unwrap() {
            HeaderMatchSpecifier::PresentMatch(true) => "present".to_owned(),
            HeaderMatchSpecifier::StringMatch(matcher) => pattern(matcher.match_pattern.as_ref().unwrap()),
            other => format!("{other:?}"),
        };
        write!(text, " {not}{} {test}", header.name).unwrap();
    }
    text
}

fn pattern(pattern: &MatchPattern) -> String {
    match pattern {
        MatchPattern::Exact(text) => format!("= {text}"),
        MatchPattern::Prefix(text) => format!("^ {text}"),
        MatchPattern::SafeRegex(regex) => format!("~ {}", regex.regex),
        other => format!("{other:?}"),
    }
}

pub fn action(action: &Action) -> String {
    match action {
        Action::Route(action) => match action.cluster_specifier.as_ref().unwrap() {
            ClusterSpecifier::Cluster(name) => name.clone(),
            ClusterSpecifier::WeightedClusters(all) => {
                let each = all.clusters.iter().map(|c| format!("{} x{}", c.name, c.weight.unwrap().value));
                each.collect::<Vec<_>>().join(", ")
            }
            other => format!("{other:?}"),
        },
        Action::DirectResponse(response) => format!("answer {}", response.status),
        Action::Redirect(redirect) => format!("redirect {redirect:?}"),
        other => format!("{other:?}"),
    }
}

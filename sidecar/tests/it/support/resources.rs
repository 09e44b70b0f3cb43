//! Literal xDS resources, as a control plane writes them.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::config::trace::v3 as trace;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::google::protobuf as pb;
use prost::Message;
use sidelight_telemetry::access_log::ISTIO_TEXT;

use super::ads::{CDS, EDS, LDS, RDS};

pub use cluster::Cluster;
pub use http::HttpConnectionManager;
pub use route::{Route, RouteConfiguration, VirtualHost};

pub type Named = (String, pb::Any);

fn any(type_url: &str, message: &impl Message) -> pb::Any {
    pb::Any { type_url: type_url.into(), value: message.encode_to_vec() }
}

pub fn address(of: SocketAddr) -> core::Address {
    core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: of.ip().to_string(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(of.port().into())),
            ..Default::default()
        })),
    }
}

fn string(text: &str) -> pb::Value {
    pb::Value { kind: Some(pb::value::Kind::StringValue(text.into())) }
}

fn structure(fields: &[(&str, pb::Value)]) -> pb::Struct {
    pb::Struct { fields: fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect() }
}

fn istio(block: pb::Struct) -> Option<core::Metadata> {
    Some(core::Metadata { filter_metadata: [("istio".to_owned(), block)].into(), ..Default::default() })
}

pub fn of_type(name: &str, kind: cluster::cluster::DiscoveryType) -> Cluster {
    Cluster {
        name: name.into(),
        alt_stat_name: format!("{name};"),
        connect_timeout: Some(seconds(1.0)),
        cluster_discovery_type: Some(cluster::cluster::ClusterDiscoveryType::Type(kind as i32)),
        ..Default::default()
    }
}

/// `outbound|port|subset|host`, with the service it belongs to.
pub fn eds(name: &str) -> Cluster {
    let mut cluster = of_type(name, cluster::cluster::DiscoveryType::Eds);
    cluster.eds_cluster_config = Some(cluster::cluster::EdsClusterConfig { service_name: name.into(), ..Default::default() });
    if let Some(host) = name.split('|').nth(3) {
        let mut labels = host.split('.');
        let service = structure(&[
            ("host", string(host)),
            ("name", string(labels.next().unwrap())),
            ("namespace", string(labels.next().unwrap_or("default"))),
        ]);
        let list = pb::Value {
            kind: Some(pb::value::Kind::ListValue(pb::ListValue {
                values: vec![pb::Value { kind: Some(pb::value::Kind::StructValue(service)) }],
            })),
        };
        cluster.metadata = istio(structure(&[("services", list)]));
    }
    cluster
}

pub fn fixed(name: &str, to: SocketAddr) -> Cluster {
    let mut cluster = of_type(name, cluster::cluster::DiscoveryType::Static);
    cluster.load_assignment = Some(load_assignment(name, &[to], None));
    cluster
}

/// An inbound cluster tells its service in the same metadata.
pub fn inbound(port: u16, host: &str, to: SocketAddr) -> Cluster {
    let mut cluster = fixed(&format!("inbound|{port}||"), to);
    cluster.metadata = eds(&format!("outbound|{port}||{host}")).metadata;
    cluster
}

pub fn passthrough() -> Cluster {
    let kind = cluster::cluster::DiscoveryType::OriginalDst;
    let mut cluster = of_type("PassthroughCluster", kind);
    cluster.lb_policy = cluster::cluster::LbPolicy::ClusterProvided as i32;
    cluster
}

pub fn load_assignment(name: &str, to: &[SocketAddr], workload: Option<&str>) -> endpoint::ClusterLoadAssignment {
    let hosts = to
        .iter()
        .map(|host| endpoint::LbEndpoint {
            host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(endpoint::Endpoint {
                address: Some(address(*host)),
                ..Default::default()
            })),
            metadata: workload.and_then(|text| istio(structure(&[("workload", string(text))]))),
            ..Default::default()
        })
        .collect();
    endpoint::ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: vec![endpoint::LocalityLbEndpoints { lb_endpoints: hosts, ..Default::default() }],
        ..Default::default()
    }
}

pub fn named_cluster(cluster: Cluster) -> Named {
    (cluster.name.clone(), any(CDS, &cluster))
}

pub fn named_assignment(name: &str, to: &[SocketAddr], workload: Option<&str>) -> Named {
    (name.to_owned(), any(EDS, &load_assignment(name, to, workload)))
}

pub fn named_routes(routes: RouteConfiguration) -> Named {
    (routes.name.clone(), any(RDS, &routes))
}

pub fn seconds(value: f64) -> pb::Duration {
    pb::Duration { seconds: value.trunc() as i64, nanos: (value.fract() * 1e9) as i32 }
}

pub fn routes(name: &str, hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration { name: name.into(), virtual_hosts: hosts, ..Default::default() }
}

pub fn host(name: &str, domains: &[&str], routes: Vec<Route>) -> VirtualHost {
    VirtualHost { name: name.into(), domains: domains.iter().map(|d| (*d).to_owned()).collect(), routes, ..Default::default() }
}

fn prefix(prefix: &str) -> Option<route::RouteMatch> {
    Some(route::RouteMatch {
        path_specifier: Some(route::route_match::PathSpecifier::Prefix(prefix.into())),
        ..Default::default()
    })
}

pub fn route_with(name: &str, action: route::RouteAction) -> Route {
    Route { name: name.into(), r#match: prefix("/"), action: Some(route::route::Action::Route(action)), ..Default::default() }
}

pub fn action(cluster: &str) -> route::RouteAction {
    route::RouteAction {
        cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(cluster.into())),
        timeout: Some(seconds(0.0)),
        ..Default::default()
    }
}

pub fn to(cluster: &str) -> Route {
    route_with("default", action(cluster))
}

pub fn at_prefix(mut route: Route, of: &str) -> Route {
    route.r#match = prefix(of);
    route
}

pub fn when_header(mut route: Route, name: &str, value: &str) -> Route {
    let header = route::HeaderMatcher {
        name: name.into(),
        header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::ExactMatch(value.into())),
        ..Default::default()
    };
    route.r#match.as_mut().unwrap().headers.push(header);
    route
}

pub fn weighted(clusters: &[(&str, u32)]) -> Route {
    let clusters = clusters
        .iter()
        .map(|(name, weight)| route::weighted_cluster::ClusterWeight {
            name: (*name).into(),
            weight: Some(pb::UInt32Value { value: *weight }),
            ..Default::default()
        })
        .collect();
    let mut action = action("");
    action.cluster_specifier =
        Some(route::route_action::ClusterSpecifier::WeightedClusters(route::WeightedCluster { clusters, ..Default::default() }));
    route_with("split", action)
}

pub fn direct(name: &str, status: u32, body: &str) -> Route {
    let body = (!body.is_empty()).then(|| core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(body.into())),
        ..Default::default()
    });
    Route {
        name: name.into(),
        r#match: prefix("/"),
        action: Some(route::route::Action::DirectResponse(route::DirectResponseAction { status, body, ..Default::default() })),
        ..Default::default()
    }
}

pub fn retry(on: &str, retries: u32) -> route::RetryPolicy {
    route::RetryPolicy {
        retry_on: on.into(),
        num_retries: Some(pb::UInt32Value { value: retries }),
        retry_back_off: Some(route::retry_policy::RetryBackOff { base_interval: Some(seconds(0.001)), max_interval: None }),
        ..Default::default()
    }
}

/// The last virtual host of an explicit proxy.
pub fn allow_any() -> VirtualHost {
    let route = route_with("allow_any", action("PassthroughCluster"));
    host("allow_any", &["*"], vec![route])
}

/// A connection manager as our control plane writes it.
pub fn manager() -> HttpConnectionManager {
    let log = file::FileAccessLog {
        path: "/dev/stdout".into(),
        access_log_format: Some(file::file_access_log::AccessLogFormat::LogFormat(core::SubstitutionFormatString {
            format: Some(core::substitution_format_string::Format::TextFormat(ISTIO_TEXT.into())),
            ..Default::default()
        })),
    };
    HttpConnectionManager {
        server_name: "istio-envoy".into(),
        access_log: vec![accesslog::AccessLog {
            name: "envoy.access_loggers.file".into(),
            config_type: Some(accesslog::access_log::ConfigType::TypedConfig(any(
                "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                &log,
            ))),
            ..Default::default()
        }],
        upgrade_configs: vec![http::http_connection_manager::UpgradeConfig {
            upgrade_type: "websocket".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// As our control plane writes it for an application's own proxy.
pub fn with_connect(mut manager: HttpConnectionManager) -> HttpConnectionManager {
    manager
        .upgrade_configs
        .push(http::http_connection_manager::UpgradeConfig { upgrade_type: "CONNECT".into(), ..Default::default() });
    manager
}

pub fn with_rds(mut manager: HttpConnectionManager, name: &str) -> HttpConnectionManager {
    manager.route_specifier = Some(http::http_connection_manager::RouteSpecifier::Rds(http::Rds {
        route_config_name: name.into(),
        ..Default::default()
    }));
    manager
}

pub fn with_routes(mut manager: HttpConnectionManager, routes: RouteConfiguration) -> HttpConnectionManager {
    manager.route_specifier = Some(http::http_connection_manager::RouteSpecifier::RouteConfig(routes));
    manager
}

/// Every request is traced, spans go to this cluster.
pub fn with_zipkin(mut manager: HttpConnectionManager, cluster: &str) -> HttpConnectionManager {
    let zipkin = trace::ZipkinConfig {
        collector_cluster: cluster.into(),
        collector_endpoint: "/api/v2/spans".into(),
        trace_id_128bit: true,
        shared_span_context: Some(pb::BoolValue { value: false }),
        ..Default::default()
    };
    manager.tracing = Some(http::http_connection_manager::Tracing {
        provider: Some(trace::tracing::Http {
            name: "envoy.tracers.zipkin".into(),
            config_type: Some(trace::tracing::http::ConfigType::TypedConfig(any(
                "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
                &zipkin,
            ))),
        }),
        ..Default::default()
    });
    manager
}

pub const INBOUND: i32 = 1;
pub const OUTBOUND: i32 = 2;

pub fn listener(name: &str, at: SocketAddr, direction: i32, manager: &HttpConnectionManager) -> Named {
    let mut manager = manager.clone();
    manager.stat_prefix = format!("{name};");
    let manager =
        any("type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", &manager);
    listener_with(name, at, direction, manager)
}

/// The same listener without a socket.
pub fn unbound((name, config): Named) -> Named {
    let mut listener = listener::Listener::decode(config.value.as_slice()).unwrap();
    listener.bind_to_port = Some(pb::BoolValue { value: false });
    (name, any(LDS, &listener))
}

/// A listener that copies bytes to a cluster.
pub fn tcp_listener(name: &str, at: SocketAddr, cluster: &str) -> Named {
    let proxy = tcp::TcpProxy {
        stat_prefix: name.into(),
        cluster_specifier: Some(tcp::tcp_proxy::ClusterSpecifier::Cluster(cluster.into())),
        ..Default::default()
    };
    let proxy = any("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", &proxy);
    listener_with(name, at, INBOUND, proxy)
}

fn listener_with(name: &str, at: SocketAddr, direction: i32, filter: pb::Any) -> Named {
    let listener = listener::Listener {
        name: name.into(),
        address: Some(address(at)),
        traffic_direction: direction,
        filter_chains: vec![listener::FilterChain {
            filters: vec![listener::Filter {
                name: "filter".into(),
                config_type: Some(listener::filter::ConfigType::TypedConfig(filter)),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    (name.to_owned(), any(LDS, &listener))
}

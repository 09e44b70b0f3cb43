//! Listeners from literal protobufs, as our control plane and Istio's write them.

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::trace::v3 as trace;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::envoy::r#type::v3 as kind;
use envoy_types::pb::google::protobuf as pb;

use super::super::http_manager::{AccessLog, FILE_LOG, LogFormat, ZIPKIN};

use super::*;

fn any(type_url: &str, message: &impl Message) -> Any {
    Any { type_url: type_url.into(), value: message.encode_to_vec() }
}

fn manager() -> http::HttpConnectionManager {
    let log = file::FileAccessLog {
        path: "/dev/stdout".into(),
        access_log_format: Some(file::file_access_log::AccessLogFormat::LogFormat(core::SubstitutionFormatString {
            format: Some(core::substitution_format_string::Format::TextFormat("%START_TIME%\n".into())),
            ..Default::default()
        })),
    };
    let zipkin = trace::ZipkinConfig {
        collector_cluster: "zipkin".into(),
        collector_endpoint: "/api/v2/spans".into(),
        trace_id_128bit: true,
        shared_span_context: Some(pb::BoolValue { value: false }),
        ..Default::default()
    };
    http::HttpConnectionManager {
        stat_prefix: "outbound_127.1.0.11_15001;".into(),
        server_name: "istio-envoy".into(),
        route_specifier: Some(http::http_connection_manager::RouteSpecifier::Rds(http::Rds {
            route_config_name: "http_proxy".into(),
            ..Default::default()
        })),
        access_log: vec![accesslog::AccessLog {
            config_type: Some(accesslog::access_log::ConfigType::TypedConfig(any(FILE_LOG, &log))),
            ..Default::default()
        }],
        upgrade_configs: vec![http::http_connection_manager::UpgradeConfig {
            upgrade_type: "websocket".into(),
            ..Default::default()
        }],
        tracing: Some(http::http_connection_manager::Tracing {
            random_sampling: Some(kind::Percent { value: 50.0 }),
            provider: Some(trace::tracing::Http {
                name: "envoy.tracers.zipkin".into(),
                config_type: Some(trace::tracing::http::ConfigType::TypedConfig(any(ZIPKIN, &zipkin))),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn listener(manager: &http::HttpConnectionManager) -> listener::Listener {
    listener::Listener {
        name: "127.1.0.11_15001".into(),
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(core::SocketAddress {
                address: "127.1.0.11".into(),
                port_specifier: Some(core::socket_address::PortSpecifier::PortValue(15001)),
                ..Default::default()
            })),
        }),
        traffic_direction: 2,
        filter_chains: vec![listener::FilterChain {
            filters: vec![listener::Filter {
                name: "envoy.filters.network.http_connection_manager".into(),
                config_type: Some(listener::filter::ConfigType::TypedConfig(any(HTTP_MANAGER, manager))),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn the_explicit_proxy_listener_comes_out_whole() {
    let compiled = Listener::compile(&listener(&manager()), &mut Notes::default()).unwrap();
    assert_eq!(compiled.address, "127.1.0.11:15001".parse().unwrap());
    assert_eq!(compiled.direction, Direction::Outbound);
    assert_eq!(compiled.rds_name(), Some("http_proxy"));
    let http = compiled.http().unwrap();
    assert_eq!(http.server_name, "istio-envoy");
    assert_eq!(http.upgrades, ["websocket"]);
    assert_eq!(
        http.access_logs,
        [AccessLog { path: "/dev/stdout".into(), format: Some(LogFormat::Text("%START_TIME%\n".into())) }]
    );
    let tracing = http.tracing.as_ref().unwrap();
    assert_eq!(tracing.random_percent, 50.0);
    assert_eq!(tracing.client_percent, 100.0);
    let zipkin = tracing.zipkin.as_ref().unwrap();
    assert_eq!(zipkin.cluster, "zipkin");
    assert!(!zipkin.shared_spans);
}

#[test]
fn a_tcp_proxy_copies_to_its_cluster() {
    let mut from = listener(&manager());
    let proxy = tcp::TcpProxy {
        stat_prefix: "inbound|3306||".into(),
        cluster_specifier: Some(tcp::tcp_proxy::ClusterSpecifier::Cluster("inbound|3306||".into())),
        ..Default::default()
    };
    from.filter_chains[0].filters[0].config_type = Some(listener::filter::ConfigType::TypedConfig(any(TCP_PROXY, &proxy)));
    let compiled = Listener::compile(&from, &mut Notes::default()).unwrap();
    assert!(matches!(&compiled.serves, Serves::Tcp(tcp) if &*tcp.cluster == "inbound|3306||"));
    assert!(compiled.bound);
}

#[test]
fn what_is_not_known_is_noted_and_not_opened() {
    let mut from = listener(&manager());
    from.filter_chains.clear();
    let mut notes = Notes::default();
    let compiled = Listener::compile(&from, &mut notes).unwrap();
    assert!(!compiled.bound);
    assert_eq!(notes.into_inner(), ["listeners without an HTTP connection manager or a TCP proxy are not opened"]);
}

#[test]
fn garbage_in_place_of_a_manager_is_refused() {
    let mut from = listener(&manager());
    from.filter_chains[0].filters[0].config_type =
        Some(listener::filter::ConfigType::TypedConfig(Any { type_url: HTTP_MANAGER.into(), value: vec![0xff, 0xff] }));
    assert!(Listener::compile(&from, &mut Notes::default()).is_err());
}

fn with_filters(types: &[(&str, &str)]) -> http::HttpConnectionManager {
    let filters = types.iter().map(|(name, url)| http::HttpFilter {
        name: (*name).into(),
        config_type: Some(http::http_filter::ConfigType::TypedConfig(Any {
            type_url: format!("type.googleapis.com/{url}"),
            value: vec![],
        })),
        ..Default::default()
    });
    http::HttpConnectionManager { http_filters: filters.collect(), ..manager() }
}

#[test]
fn filters_that_are_not_honoured_are_noted() {
    let from = with_filters(&[
        ("istio.metadata_exchange", "io.istio.http.peer_metadata.Config"),
        ("envoy.filters.http.fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"),
        ("envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors"),
        ("envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua"),
        ("istio.stats", "stats.PluginConfig"),
        ("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
    ]);
    let mut notes = Notes::default();
    assert!(Listener::compile(&listener(&from), &mut notes).is_ok());
    assert_eq!(notes.into_inner(), ["the filter `envoy.filters.http.lua` is not honoured"]);
}

#[test]
fn a_listener_is_not_served_without_its_guards() {
    let refused = |name: &str, url: &str| {
        let from = listener(&with_filters(&[(name, url)]));
        Listener::compile(&from, &mut Notes::default()).unwrap_err().to_string()
    };
    assert_eq!(
        refused("guard", "envoy.extensions.filters.http.rbac.v3.RBAC"),
        "listener `127.1.0.11_15001`: `http_filters`: the filter `guard` (rbac) is not supported, \
         and serving without it would let everybody in; remove it"
    );
    let jwt = refused("envoy.filters.http.jwt_authn", "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication");
    assert!(jwt.contains("(jwt_authn)"), "{jwt}");
    // Its type says nothing; its name does.
    let wrapped = refused("envoy.filters.http.ext_authz", "xds.type.v3.TypedStruct");
    assert!(wrapped.contains("(ext_authz)"), "{wrapped}");
}

#[test]
fn guards_that_are_off_or_optional_are_left_out() {
    let rbac = [("envoy.filters.http.rbac", "envoy.extensions.filters.http.rbac.v3.RBAC")];
    let mut from = with_filters(&rbac);
    from.http_filters[0].disabled = true;
    assert!(Listener::compile(&listener(&from), &mut Notes::default()).is_ok());
    let mut from = with_filters(&rbac);
    from.http_filters[0].is_optional = true;
    let mut notes = Notes::default();
    assert!(Listener::compile(&listener(&from), &mut notes).is_ok());
    assert_eq!(notes.into_inner(), ["the filter `envoy.filters.http.rbac` is not honoured"]);
}

#[test]
fn guards_of_connections_count_too() {
    let mut from = listener(&manager());
    let url = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";
    let guard = listener::Filter {
        name: "envoy.filters.network.rbac".into(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(Any { type_url: url.into(), value: vec![] })),
    };
    from.filter_chains[0].filters.insert(0, guard);
    let refusal = Listener::compile(&from, &mut Notes::default()).unwrap_err();
    assert_eq!(refusal.field, "filter_chains.filters");
}

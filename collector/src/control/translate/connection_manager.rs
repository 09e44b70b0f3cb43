//! The HTTP connection manager of a listener: access log, tracing, filters.

use envoy_types::pb::envoy::config::accesslog::v3::{AccessLog, access_log};
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::core::v3::{DataSource, SubstitutionFormatString, data_source};
use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::trace::v3::zipkin_config::CollectorEndpointVersion;
use envoy_types::pb::envoy::config::trace::v3::{ZipkinConfig, tracing::Http, tracing::http};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log::AccessLogFormat};
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    ForwardClientCertDetails, RouteSpecifier, SetCurrentClientCertDetails, Tracing, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
};
use envoy_types::pb::google::protobuf::{Any, Duration};
use sidelight_mesh::identity::NodeIdentity;

use super::Scene;
use super::special::ZIPKIN;
use crate::control::ControlSettings;
use crate::control::wire::{ads, any, empty_any, flag, percent, uint};

pub(super) const FAULT_FILTER: &str = "envoy.filters.http.fault";
pub(super) const CORS_FILTER: &str = "envoy.filters.http.cors";

/// Istio's TEXT format, one line per request.
const ACCESS_LOG_FORMAT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" ",
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ",
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ",
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" ",
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% ",
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ",
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
);

/// Characters of a path that a span's tag keeps.
const PATH_TAG_MAX: u32 = 256;

/// On which side of the proxy a connection manager stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Inbound,
    Outbound,
    Gateway,
}

/// Where its routes come from.
pub(super) enum Routes {
    /// Asked for over ADS.
    Named(String),
    Inline(Box<RouteConfiguration>),
}

/// The network filter of an HTTP listener.
pub(super) fn http_filter(side: Side, stat_prefix: String, routes: Routes, scene: &Scene) -> Filter {
    let manager = HttpConnectionManager {
        stat_prefix,
        route_specifier: Some(match routes {
            Routes::Named(route_config_name) => RouteSpecifier::Rds(Rds { config_source: Some(ads()), route_config_name }),
            Routes::Inline(config) => RouteSpecifier::RouteConfig(*config),
        }),
        http_filters: http_filters(side, scene.node),
        tracing: Some(tracing(side, scene.settings)),
        server_name: "istio-envoy".to_owned(),
        stream_idle_timeout: Some(Duration::default()),
        access_log: vec![access_log()],
        use_remote_address: Some(flag(side == Side::Gateway)),
        generate_request_id: Some(flag(true)),
        normalize_path: Some(flag(true)),
        upgrade_configs: upgrades(side),
        forward_client_cert_details: client_certificates(side).into(),
        set_current_client_cert_details: (side != Side::Outbound).then(certificate_details),
        ..HttpConnectionManager::default()
    };
    network_filter("envoy.filters.network.http_connection_manager", any(manager))
}

/// Only an application's own proxy opens tunnels: to anybody else they would be a way around the gateway's rules.
fn upgrades(side: Side) -> Vec<UpgradeConfig> {
    let types: &[&str] = match side {
        Side::Outbound => &["websocket", "CONNECT"],
        Side::Inbound | Side::Gateway => &["websocket"],
    };
    types.iter().map(|kind| UpgradeConfig { upgrade_type: (*kind).to_owned(), ..UpgradeConfig::default() }).collect()
}

pub(super) fn network_filter(name: &str, config: Any) -> Filter {
    Filter { name: name.to_owned(), config_type: Some(filter::ConfigType::TypedConfig(config)) }
}

pub(super) fn access_log() -> AccessLog {
    let text = DataSource {
        specifier: Some(data_source::Specifier::InlineString(ACCESS_LOG_FORMAT.to_owned())),
        ..DataSource::default()
    };
    let format = SubstitutionFormatString { format: Some(Format::TextFormatSource(text)), ..SubstitutionFormatString::default() };
    let file = FileAccessLog { path: "/dev/stdout".to_owned(), access_log_format: Some(AccessLogFormat::LogFormat(format)) };
    AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(access_log::ConfigType::TypedConfig(any(file))),
        ..AccessLog::default()
    }
}

fn tracing(side: Side, settings: &ControlSettings) -> Tracing {
    let zipkin = ZipkinConfig {
        collector_cluster: ZIPKIN.to_owned(),
        collector_endpoint: "/api/v2/spans".to_owned(),
        trace_id_128bit: true,
        shared_span_context: Some(flag(false)),
        collector_endpoint_version: CollectorEndpointVersion::HttpJson.into(),
        ..ZipkinConfig::default()
    };
    Tracing {
        client_sampling: Some(percent(100.0)),
        random_sampling: Some(percent(settings.trace_sampling_percent.clamp(0.0, 100.0))),
        overall_sampling: Some(percent(100.0)),
        max_path_tag_length: Some(uint(PATH_TAG_MAX)),
        spawn_upstream_span: (side == Side::Gateway).then(|| flag(true)),
        provider: Some(Http {
            name: "envoy.tracers.zipkin".to_owned(),
            config_type: Some(http::ConfigType::TypedConfig(any(zipkin))),
        }),
        ..Tracing::default()
    }
}

/// In the order in which a request passes them.
fn http_filters(side: Side, node: &NodeIdentity) -> Vec<HttpFilter> {
    // A proxy that is not of Istio's make does not know Istio's filters, and would refuse the whole listener.
    let istio = !node.istio_version.is_empty();
    let mut filters = Vec::with_capacity(5);
    if istio {
        filters.push(filter_of("istio.metadata_exchange", empty_any("io.istio.http.peer_metadata.Config")));
    }
    if side != Side::Inbound {
        filters.push(filter_of(FAULT_FILTER, any(HttpFault::default())));
        filters.push(filter_of(CORS_FILTER, any(Cors::default())));
    }
    if istio {
        filters.push(filter_of("istio.stats", empty_any("stats.PluginConfig")));
    }
    filters.push(filter_of("envoy.filters.http.router", any(Router::default())));
    filters
}

fn filter_of(name: &str, config: Any) -> HttpFilter {
    HttpFilter { name: name.to_owned(), config_type: Some(http_filter::ConfigType::TypedConfig(config)), ..HttpFilter::default() }
}

fn client_certificates(side: Side) -> ForwardClientCertDetails {
    match side {
        Side::Inbound => ForwardClientCertDetails::AppendForward,
        Side::Outbound => ForwardClientCertDetails::Sanitize,
        Side::Gateway => ForwardClientCertDetails::SanitizeSet,
    }
}

fn certificate_details() -> SetCurrentClientCertDetails {
    SetCurrentClientCertDetails { subject: Some(flag(true)), dns: true, uri: true, ..SetCurrentClientCertDetails::default() }
}

//! HTTP connection managers: routes, header rules, access logs, tracing.

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::trace::v3 as trace;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::envoy::r#type::v3 as kind;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::filters::check_http;
use super::route::RouteTable;
use super::value::{At, optional_duration};
use super::{ConfigError, Notes};

pub const HTTP_MANAGER: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
pub(super) const ZIPKIN: &str = "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig";
pub(super) const FILE_LOG: &str = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
/// Envoy's name for itself in answers when nothing else is configured.
const SERVER_NAME: &str = "envoy";
/// Envoy's idle timeout of downstream connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_PATH_TAG: u32 = 256;

#[derive(Debug)]
pub struct HttpManager {
    pub stat_prefix: String,
    pub server_name: HeaderValue,
    pub routes: Routes,
    /// Gateways: the client's address is the peer's and is appended to `x-forwarded-for`.
    pub use_remote_address: bool,
    pub skip_xff_append: bool,
    /// Dot segments are resolved before routing.
    pub normalize_path: bool,
    pub preserve_request_id: bool,
    /// Upgrade types in lower case that may pass.
    pub upgrades: Vec<String>,
    pub idle_timeout: Duration,
    pub access_logs: Vec<AccessLog>,
    pub tracing: Option<Tracing>,
}

#[derive(Debug)]
pub enum Routes {
    /// By this name over RDS.
    Rds(String),
    Inline(Arc<RouteTable>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub path: String,
    /// Nothing: Envoy's default format.
    pub format: Option<LogFormat>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text(String),
    /// A JSON object of operators.
    Json(String),
}

/// Percentages count from 0 to 100.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    pub client_percent: f64,
    pub random_percent: f64,
    pub overall_percent: f64,
    pub path_tag_max: u32,
    pub upstream_span: bool,
    pub zipkin: Option<Zipkin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zipkin {
    pub cluster: String,
    pub path: String,
    pub host: String,
    pub wide_ids: bool,
    pub shared_spans: bool,
    pub with_w3c: bool,
}

impl HttpManager {
    pub fn compile(object: &str, any: &Any, notes: &mut Notes) -> Result<Self, ConfigError> {
        let at = |field| At { object, field };
        let from = http::HttpConnectionManager::decode(any.value.as_slice())
            .map_err(|error| at("http_connection_manager").error(format!("cannot be decoded: {error}")))?;
        check_http(object, &from.http_filters, notes)?;
        let server_name = match from.server_name.as_str() {
            "" => SERVER_NAME,
            name => name,
        };
        let idle = from.common_http_protocol_options.as_ref().and_then(|common| common.idle_timeout.as_ref());
        if from.generate_request_id.as_ref().is_some_and(|g| !g.value) {
            notes.add("generate_request_id: false is not honoured: every request gets an id");
        }
        Ok(Self {
            server_name: HeaderValue::from_str(server_name)
                .map_err(|_| at("server_name").error("is not a legal header value"))?,
            routes: routes(object, &from, notes)?,
            use_remote_address: from.use_remote_address.as_ref().is_some_and(|u| u.value),
            skip_xff_append: from.skip_xff_append,
            normalize_path: from.normalize_path.as_ref().is_some_and(|n| n.value),
            preserve_request_id: from.preserve_external_request_id,
            upgrades: from
                .upgrade_configs
                .iter()
                .filter(|upgrade| upgrade.enabled.as_ref().is_none_or(|e| e.value))
                .map(|upgrade| upgrade.upgrade_type.to_ascii_lowercase())
                .collect(),
            idle_timeout: optional_duration(at("idle_timeout"), idle)?
                .filter(|timeout| !timeout.is_zero())
                .unwrap_or(IDLE_TIMEOUT),
            access_logs: access_logs(object, &from.access_log, notes)?,
            tracing: from.tracing.as_ref().map(|tracing| Tracing::compile(object, tracing, notes)).transpose()?,
            stat_prefix: from.stat_prefix,
        })
    }
}

fn routes(object: &str, from: &http::HttpConnectionManager, notes: &mut Notes) -> Result<Routes, ConfigError> {
    use http::http_connection_manager::RouteSpecifier as Spec;
    match from.route_specifier.as_ref() {
        Some(Spec::Rds(rds)) if !rds.route_config_name.is_empty() => Ok(Routes::Rds(rds.route_config_name.clone())),
        Some(Spec::RouteConfig(table)) => Ok(Routes::Inline(RouteTable::compile(table, notes)?.into())),
        Some(Spec::ScopedRoutes(_)) => {
            notes.add("scoped_routes are not honoured: nothing is found");
            Ok(Routes::Inline(Arc::new(RouteTable::empty())))
        }
        _ => Err(ConfigError::new(object, "route_specifier", "one of rds, route_config is needed")),
    }
}

fn access_logs(object: &str, from: &[accesslog::AccessLog], notes: &mut Notes) -> Result<Vec<AccessLog>, ConfigError> {
    let at = At { object, field: "access_log" };
    let mut logs = Vec::new();
    for log in from {
        if log.filter.is_some() {
            notes.add("access log filters are not honoured: every request is logged");
        }
        let Some(accesslog::access_log::ConfigType::TypedConfig(any)) = &log.config_type else {
            continue;
        };
        if any.type_url != FILE_LOG {
            notes.add(format!("access logger `{}` is not honoured", log.name));
            continue;
        }
        let config =
            file::FileAccessLog::decode(any.value.as_slice()).map_err(|error| at.error(format!("cannot be decoded: {error}")))?;
        logs.push(AccessLog { format: log_format(&config, notes), path: config.path });
    }
    Ok(logs)
}

fn log_format(from: &file::FileAccessLog, notes: &mut Notes) -> Option<LogFormat> {
    use core::substitution_format_string::Format;
    use file::file_access_log::AccessLogFormat as Old;
    let json = |block| LogFormat::Json(super::value::struct_to_json(block).to_string());
    match from.access_log_format.as_ref() {
        None => None,
        Some(Old::Format(text)) if text.is_empty() => None,
        Some(Old::Format(text)) => Some(LogFormat::Text(text.clone())),
        Some(Old::JsonFormat(block) | Old::TypedJsonFormat(block)) => Some(json(block)),
        Some(Old::LogFormat(format)) => match format.format.as_ref() {
            None => None,
            Some(Format::TextFormat(text)) => Some(LogFormat::Text(text.clone())),
            Some(Format::JsonFormat(block)) => Some(json(block)),
            Some(Format::TextFormatSource(source)) => match source.specifier.as_ref() {
                Some(core::data_source::Specifier::InlineString(text)) => Some(LogFormat::Text(text.clone())),
                _ => {
                    notes.add("access log formats from files are not honoured");
                    None
                }
            },
        },
    }
}

impl Tracing {
    fn compile(object: &str, from: &http::http_connection_manager::Tracing, notes: &mut Notes) -> Result<Self, ConfigError> {
        let percent = |p: &Option<kind::Percent>| p.as_ref().map_or(100.0, |p| p.value);
        Ok(Self {
            client_percent: percent(&from.client_sampling),
            random_percent: percent(&from.random_sampling),
            overall_percent: percent(&from.overall_sampling),
            path_tag_max: from.max_path_tag_length.as_ref().map_or(MAX_PATH_TAG, |max| max.value),
            upstream_span: from.spawn_upstream_span.as_ref().is_some_and(|s| s.value),
            zipkin: from.provider.as_ref().map(|provider| zipkin(object, provider, notes)).transpose()?.flatten(),
        })
    }
}

fn zipkin(object: &str, from: &trace::tracing::Http, notes: &mut Notes) -> Result<Option<Zipkin>, ConfigError> {
    let at = At { object, field: "tracing.provider" };
    let Some(trace::tracing::http::ConfigType::TypedConfig(any)) = &from.config_type else {
        return Ok(None);
    };
    if any.type_url != ZIPKIN {
        notes.add(format!("tracing provider `{}` is not honoured", from.name));
        return Ok(None);
    }
    let config =
        trace::ZipkinConfig::decode(any.value.as_slice()).map_err(|error| at.error(format!("cannot be decoded: {error}")))?;
    let host = match config.collector_hostname.is_empty() {
        true => config.collector_cluster.clone(),
        false => config.collector_hostname,
    };
    Ok(Some(Zipkin {
        host,
        cluster: config.collector_cluster,
        path: config.collector_endpoint,
        wide_ids: config.trace_id_128bit,
        shared_spans: config.shared_span_context.is_none_or(|shared| shared.value),
        with_w3c: config.trace_context_option == 1,
    }))
}

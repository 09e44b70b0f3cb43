//! Listeners and their connection managers as JSON.

use envoy_types::pb::envoy::config::listener::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use serde_json::{Value, json};

use super::super::http_manager::HTTP_MANAGER;
use super::route::configuration;
use super::{Object, address, flag, number};

const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

pub fn listener(from: &pb::Listener) -> Object {
    let direction = match from.traffic_direction {
        1 => "INBOUND",
        2 => "OUTBOUND",
        _ => "",
    };
    Object::default()
        .put("name", from.name.as_str())
        .put_some("address", address(from.address.as_ref()))
        .put_all("filter_chains", &from.filter_chains, chain)
        .put_some("default_filter_chain", from.default_filter_chain.as_ref().map(chain))
        .put_some("bind_to_port", flag(from.bind_to_port.as_ref()))
        .put("traffic_direction", direction)
}

fn chain(from: &pb::FilterChain) -> Value {
    Object::default()
        .put_some("filter_chain_match", from.filter_chain_match.as_ref().map(chain_match))
        .put_all("filters", &from.filters, filter)
        .put("name", from.name.as_str())
        .into()
}

fn chain_match(from: &pb::FilterChainMatch) -> Object {
    Object::default()
        .put_some("destination_port", number(from.destination_port.as_ref()))
        .put_all("prefix_ranges", &from.prefix_ranges, |range| {
            Object::default()
                .put("address_prefix", range.address_prefix.as_str())
                .put_some("prefix_len", number(range.prefix_len.as_ref()))
                .into()
        })
        .put("server_names", from.server_names.clone())
        .put("transport_protocol", from.transport_protocol.as_str())
        .put("application_protocols", from.application_protocols.clone())
}

fn filter(from: &pb::Filter) -> Value {
    let config = match &from.config_type {
        Some(pb::filter::ConfigType::TypedConfig(any)) => Some(typed_config(any)),
        _ => None,
    };
    Object::default().put("name", from.name.as_str()).put_some("typed_config", config).into()
}

/// Only connection managers are opened up; of others the type is shown.
fn typed_config(any: &Any) -> Value {
    match decode(any) {
        Some(manager) => http_manager(&manager).of_type(&any.type_url),
        None => json!({"@type": any.type_url}),
    }
}

fn decode(any: &Any) -> Option<http::HttpConnectionManager> {
    if any.type_url != HTTP_MANAGER {
        return None;
    }
    http::HttpConnectionManager::decode(any.value.as_slice()).ok()
}

fn http_manager(from: &http::HttpConnectionManager) -> Object {
    use http::http_connection_manager::RouteSpecifier as Spec;
    let object = Object::default().put("stat_prefix", from.stat_prefix.as_str());
    let object = match &from.route_specifier {
        Some(Spec::Rds(rds)) => object.put(
            "rds",
            json!({
                "config_source": {"ads": {}, "resource_api_version": "V3"},
                "route_config_name": rds.route_config_name,
            }),
        ),
        Some(Spec::RouteConfig(routes)) => object.put("route_config", configuration(routes)),
        _ => object,
    };
    object
        .put_all("http_filters", &from.http_filters, http_filter)
        .put_some("tracing", from.tracing.as_ref().map(tracing))
        .put("server_name", from.server_name.as_str())
        .put_all("access_log", &from.access_log, |log| json!({"name": log.name}))
        .put_some("use_remote_address", flag(from.use_remote_address.as_ref()))
        .put_some("generate_request_id", flag(from.generate_request_id.as_ref()))
        .put_all("upgrade_configs", &from.upgrade_configs, |upgrade| json!({"upgrade_type": upgrade.upgrade_type}))
        .put_some("normalize_path", flag(from.normalize_path.as_ref()))
}

fn http_filter(from: &http::HttpFilter) -> Value {
    let kind = match &from.config_type {
        Some(http::http_filter::ConfigType::TypedConfig(any)) => Some(json!({"@type": any.type_url})),
        _ => None,
    };
    Object::default().put("name", from.name.as_str()).put_some("typed_config", kind).into()
}

fn tracing(from: &http::http_connection_manager::Tracing) -> Object {
    let percent = |value: &Option<envoy_types::pb::envoy::r#type::v3::Percent>| {
        value.as_ref().map(|percent| json!({"value": percent.value}))
    };
    Object::default()
        .put_some("client_sampling", percent(&from.client_sampling))
        .put_some("random_sampling", percent(&from.random_sampling))
        .put_some("overall_sampling", percent(&from.overall_sampling))
        .put_some("provider", from.provider.as_ref().map(|p| json!({"name": p.name})))
}

/// The route table that is written inside a listener.
pub fn inline_routes(any: &Any) -> Option<Value> {
    let from = pb::Listener::decode(any.value.as_slice()).ok()?;
    let mut filters = from.filter_chains.iter().flat_map(|chain| &chain.filters);
    filters.find_map(|filter| {
        let Some(pb::filter::ConfigType::TypedConfig(any)) = &filter.config_type else {
            return None;
        };
        match decode(any)?.route_specifier? {
            http::http_connection_manager::RouteSpecifier::RouteConfig(routes) => Some(configuration(&routes).of_type(ROUTES)),
            _ => None,
        }
    })
}

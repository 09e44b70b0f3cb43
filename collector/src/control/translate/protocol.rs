//! How a cluster speaks HTTP to its endpoints.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::common::matcher::v3::match_predicate::{MatchSet, Rule};
use envoy_types::pb::envoy::config::common::matcher::v3::{HttpHeadersMatch, MatchPredicate};
use envoy_types::pb::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonOptions,
};
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, OutlierDetection, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use envoy_types::pb::google::protobuf::Any;
use sidelight_mesh::config::{ConnectionPool, H2UpgradePolicy, HttpPool, Protocol, TcpPool};

use super::matches::exact;
use crate::control::wire::{any, duration, ordered, uint};

const EXTENSION: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// For a cluster without a policy: HTTP/2 where the port says so.
pub(super) fn explicit_http2(protocol: Protocol) -> HashMap<String, Any> {
    options(protocol, None, &[])
}

/// Empty when everything is left at its default.
pub(super) fn options(protocol: Protocol, pool: Option<&ConnectionPool>, error_codes: &[String]) -> HashMap<String, Any> {
    let tcp = pool.and_then(|pool| pool.tcp.clone()).unwrap_or_default();
    let http = pool.and_then(|pool| pool.http.clone()).unwrap_or_default();
    let common = common_options(&tcp, &http);
    let http2 = matches!(protocol, Protocol::Http2 | Protocol::Grpc) || http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade);
    let as_client = http.use_client_protocol == Some(true);
    if common.is_none() && !http2 && !as_client && error_codes.is_empty() {
        return HashMap::new();
    }
    let message = HttpProtocolOptions {
        common_http_protocol_options: common,
        outlier_detection: error_matcher(error_codes),
        upstream_protocol_options: Some(protocol_choice(http2, as_client, &http)),
        ..HttpProtocolOptions::default()
    };
    ordered(vec![(EXTENSION.to_owned(), any(message))])
}

fn common_options(tcp: &TcpPool, http: &HttpPool) -> Option<CommonOptions> {
    let idle_timeout = http.idle_timeout.or(tcp.idle_timeout).map(|d| duration(d.0));
    let max_connection_duration = tcp.max_connection_duration.map(|d| duration(d.0));
    let max_requests_per_connection = http.max_requests_per_connection.and_then(positive).map(uint);
    let any_set = idle_timeout.is_some() || max_connection_duration.is_some() || max_requests_per_connection.is_some();
    any_set.then(|| CommonOptions {
        idle_timeout,
        max_connection_duration,
        max_requests_per_connection,
        ..CommonOptions::default()
    })
}

fn protocol_choice(http2: bool, as_client: bool, http: &HttpPool) -> UpstreamProtocolOptions {
    let http2_options = Http2ProtocolOptions {
        max_concurrent_streams: http.max_concurrent_streams.and_then(positive).map(uint),
        ..Http2ProtocolOptions::default()
    };
    if as_client {
        return UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(Http1ProtocolOptions::default()),
            http2_protocol_options: Some(http2_options),
            http3_protocol_options: None,
        });
    }
    let config = if http2 {
        ProtocolConfig::Http2ProtocolOptions(http2_options)
    } else {
        // The choice is mandatory, even to say what would be the default.
        ProtocolConfig::HttpProtocolOptions(Http1ProtocolOptions::default())
    };
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) })
}

/// Responses that count as failures for outlier detection.
fn error_matcher(codes: &[String]) -> Option<OutlierDetection> {
    let mut rules: Vec<MatchPredicate> = codes.iter().map(|code| status_is(code)).collect();
    let predicate = match rules.len() {
        0 => return None,
        1 => rules.pop()?,
        _ => MatchPredicate { rule: Some(Rule::OrMatch(MatchSet { rules })) },
    };
    Some(OutlierDetection { error_matcher: Some(predicate) })
}

fn status_is(code: &str) -> MatchPredicate {
    let header = HeaderMatcher {
        name: ":status".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(exact(code))),
        ..HeaderMatcher::default()
    };
    MatchPredicate { rule: Some(Rule::HttpResponseHeadersMatch(HttpHeadersMatch { headers: vec![header] })) }
}

/// Values of a connection pool that are not above zero count as unset.
pub(super) fn positive(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| *value > 0)
}

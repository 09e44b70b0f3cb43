//! What of a request a consistent hash is taken from.

use envoy_types::pb::envoy::config::route::v3::route_action::HashPolicy;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, CookieAttribute, Header, PolicySpecifier, QueryParameter,
};
use sidelight_mesh::config::{ConsistentHash, HttpCookie};

use crate::control::wire::duration;

pub(super) fn hash_policies(hash: &ConsistentHash) -> Vec<HashPolicy> {
    let specifier = if let Some(name) = &hash.http_header_name {
        PolicySpecifier::Header(Header { header_name: name.clone(), regex_rewrite: None })
    } else if let Some(settings) = &hash.http_cookie {
        PolicySpecifier::Cookie(cookie(settings))
    } else if hash.use_source_ip == Some(true) {
        PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
    } else if let Some(name) = &hash.http_query_parameter_name {
        PolicySpecifier::QueryParameter(QueryParameter { name: name.clone() })
    } else {
        return Vec::new();
    };
    vec![HashPolicy { policy_specifier: Some(specifier), terminal: false }]
}

fn cookie(settings: &HttpCookie) -> Cookie {
    let attributes = settings.attributes.iter();
    Cookie {
        name: settings.name.clone(),
        ttl: settings.ttl.map(|d| duration(d.0)),
        path: settings.path.clone(),
        attributes: attributes.map(|a| CookieAttribute { name: a.name.clone(), value: a.value.clone() }).collect(),
    }
}

//! Filters beside the one that serves: which are honoured, which are only taken note of, which must not be left out.

use envoy_types::pb::envoy::config::core::v3::ExtensionConfigSource;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as http;

use super::value::At;
use super::{ConfigError, Notes};

/// Filters whose work is done here in another way, or whose absence changes nothing.
const HONOURED: [&str; 9] = [
    "envoy.extensions.filters.http.router.",
    "envoy.extensions.filters.http.fault.",
    // Left out, it lets nobody in: a browser refuses what no header allows.
    "envoy.extensions.filters.http.cors.",
    "stats.PluginConfig",
    "io.istio.http.peer_metadata.",
    "envoy.tcp.metadata_exchange.",
    "envoy.extensions.filters.http.grpc_stats.",
    "envoy.extensions.filters.network.http_connection_manager.",
    "envoy.extensions.filters.network.tcp_proxy.",
];

/// Filters that keep somebody out. Served without them, a listener would be open to everybody.
const GUARDS: [&str; 7] = ["rbac", "jwt_authn", "ext_authz", "basic_auth", "api_key_auth", "oauth2", "client_ssl_auth"];

/// One filter as a chain lists it, whatever its layer.
struct Listed<'a> {
    name: &'a str,
    types: Vec<&'a str>,
    /// Whoever wrote it agrees to its being left out.
    may_be_left_out: bool,
}

impl Listed<'_> {
    fn is_honoured(&self) -> bool {
        let known = |url: &&str| HONOURED.iter().any(|prefix| type_name(url).starts_with(prefix));
        !self.types.is_empty() && self.types.iter().all(known)
    }

    /// By its type, or by its name where the type tells nothing, as with a `TypedStruct`.
    fn guard(&self) -> Option<&'static str> {
        GUARDS.into_iter().find(|guard| {
            let by_type = |layer: &str| format!("envoy.extensions.filters.{layer}.{guard}.");
            let by_name = |layer: &str| format!("envoy.filters.{layer}.{guard}");
            ["http", "network"].into_iter().any(|layer| {
                self.name == by_name(layer) || self.types.iter().any(|url| type_name(url).starts_with(&by_type(layer)))
            })
        })
    }

    fn check(&self, at: At<'_>, notes: &mut Notes) -> Result<(), ConfigError> {
        match self.guard() {
            Some(guard) if !self.may_be_left_out => Err(at.error(format!(
                "the filter `{}` ({guard}) is not supported, and serving without it would let everybody in; remove it",
                self.name
            ))),
            None if self.is_honoured() => Ok(()),
            Some(_) | None => {
                notes.add(format!("the filter `{}` is not honoured", self.name));
                Ok(())
            }
        }
    }
}

fn type_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn discovered(source: &ExtensionConfigSource) -> Vec<&str> {
    source.type_urls.iter().map(String::as_str).collect()
}

/// The HTTP filters of a connection manager.
pub fn check_http(object: &str, filters: &[http::HttpFilter], notes: &mut Notes) -> Result<(), ConfigError> {
    use http::http_filter::ConfigType;
    for filter in filters.iter().filter(|filter| !filter.disabled) {
        let types = match &filter.config_type {
            Some(ConfigType::TypedConfig(any)) => vec![any.type_url.as_str()],
            Some(ConfigType::ConfigDiscovery(source)) => discovered(source),
            None => Vec::new(),
        };
        let listed = Listed { name: &filter.name, types, may_be_left_out: filter.is_optional };
        listed.check(At { object, field: "http_filters" }, notes)?;
    }
    Ok(())
}

/// The network filters of the chain that serves.
pub fn check_network(object: &str, filters: &[listener::Filter], notes: &mut Notes) -> Result<(), ConfigError> {
    use listener::filter::ConfigType;
    for filter in filters {
        let types = match &filter.config_type {
            Some(ConfigType::TypedConfig(any)) => vec![any.type_url.as_str()],
            Some(ConfigType::ConfigDiscovery(source)) => discovered(source),
            None => Vec::new(),
        };
        let listed = Listed { name: &filter.name, types, may_be_left_out: false };
        listed.check(At { object, field: "filter_chains.filters" }, notes)?;
    }
    Ok(())
}

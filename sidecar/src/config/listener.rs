//! Listeners: where they listen, and whether they serve HTTP or copy bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::filters::check_network;
use super::http_manager::{HTTP_MANAGER, HttpManager, Routes};
use super::value::{At, socket_address};
use super::{ConfigError, Notes};

const TCP_PROXY: &str = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

#[derive(Debug)]
pub struct Listener {
    pub name: String,
    pub address: SocketAddr,
    pub direction: Direction,
    /// Off: the listener only takes connections handed over by another.
    pub bound: bool,
    pub serves: Serves,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Unspecified,
    Inbound,
    Outbound,
}

#[derive(Clone, Debug)]
pub enum Serves {
    Http(Arc<HttpManager>),
    Tcp(Arc<TcpProxy>),
    /// Only filters that are not known here: the listener is taken note of and not opened.
    Nothing,
}

#[derive(Debug)]
pub struct TcpProxy {
    pub stat_prefix: String,
    pub cluster: Arc<str>,
}

impl Listener {
    pub fn compile(from: &listener::Listener, notes: &mut Notes) -> Result<Self, ConfigError> {
        let object = format!("listener `{}`", from.name);
        let at = |field| At { object: &object, field };
        if from.name.is_empty() {
            return Err(at("name").error("must not be empty"));
        }
        let serves = match chosen_chain(from, notes) {
            Some((chain, any)) => {
                if chain.transport_socket.is_some() {
                    notes.add("transport sockets (TLS) of listeners are not honoured: plain TCP is served");
                }
                check_network(&object, &chain.filters, notes)?;
                serves(&object, any, notes)?
            }
            None => {
                notes.add("listeners without an HTTP connection manager or a TCP proxy are not opened");
                Serves::Nothing
            }
        };
        let has_socket = has_tcp_socket(from);
        if !has_socket {
            notes.add("listeners on pipes, on UDP or inside the proxy are not opened");
        }
        Ok(Self {
            address: match has_socket {
                true => socket_address(at("address"), from.address.as_ref())?,
                false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            },
            direction: match from.traffic_direction {
                1 => Direction::Inbound,
                2 => Direction::Outbound,
                _ => Direction::Unspecified,
            },
            bound: has_socket && !matches!(serves, Serves::Nothing) && from.bind_to_port.as_ref().is_none_or(|bind| bind.value),
            serves,
            name: from.name.clone(),
        })
    }

    pub fn http(&self) -> Option<&Arc<HttpManager>> {
        match &self.serves {
            Serves::Http(http) => Some(http),
            Serves::Tcp(_) | Serves::Nothing => None,
        }
    }

    pub fn stat_prefix(&self) -> &str {
        match &self.serves {
            Serves::Http(http) => &http.stat_prefix,
            Serves::Tcp(tcp) => &tcp.stat_prefix,
            Serves::Nothing => "",
        }
    }

    pub fn rds_name(&self) -> Option<&str> {
        match &self.http()?.routes {
            Routes::Rds(name) => Some(name),
            Routes::Inline(_) => None,
        }
    }
}

fn has_tcp_socket(from: &listener::Listener) -> bool {
    use core::address::Address;
    match from.address.as_ref().and_then(|address| address.address.as_ref()) {
        Some(Address::SocketAddress(socket)) => socket.protocol == 0 && from.udp_listener_config.is_none(),
        Some(Address::Pipe(_) | Address::EnvoyInternalAddress(_)) => false,
        // Nothing at all is a mistake, which reading the address will name.
        None => from.listener_specifier.is_none(),
    }
}

/// The first plaintext chain that we can serve, HTTP before TCP; a TLS chain only when there is no other.
fn chosen_chain<'a>(from: &'a listener::Listener, notes: &mut Notes) -> Option<(&'a listener::FilterChain, &'a Any)> {
    if from.filter_chains.len() > 1 {
        notes.add("of several filter chains of a listener one serves all connections");
    }
    let chains = from.filter_chains.iter().chain(from.default_filter_chain.as_ref());
    let mut known: Vec<_> = chains.filter_map(|chain| Some((chain, known_filter(chain)?))).collect();
    known.sort_by_key(|(chain, any)| (chain.transport_socket.is_some(), any.type_url != HTTP_MANAGER));
    known.first().copied()
}

fn known_filter(chain: &listener::FilterChain) -> Option<&Any> {
    chain.filters.iter().find_map(|filter| match filter.config_type.as_ref()? {
        listener::filter::ConfigType::TypedConfig(any) => {
            matches!(any.type_url.as_str(), HTTP_MANAGER | TCP_PROXY).then_some(any)
        }
        listener::filter::ConfigType::ConfigDiscovery(_) => None,
    })
}

fn serves(object: &str, any: &Any, notes: &mut Notes) -> Result<Serves, ConfigError> {
    if any.type_url == HTTP_MANAGER {
        return Ok(Serves::Http(Arc::new(HttpManager::compile(object, any, notes)?)));
    }
    let at = At { object, field: "tcp_proxy" };
    let from = tcp::TcpProxy::decode(any.value.as_slice()).map_err(|error| at.error(format!("cannot be decoded: {error}")))?;
    if !from.access_log.is_empty() {
        notes.add("access logs of TCP proxies are not honoured");
    }
    use tcp::tcp_proxy::ClusterSpecifier as Spec;
    let cluster = match &from.cluster_specifier {
        Some(Spec::Cluster(name)) => name.as_str(),
        Some(Spec::WeightedClusters(weighted)) => {
            notes.add("weights of TCP proxies are not honoured: the first cluster gets all");
            weighted.clusters.first().map(|cluster| cluster.name.as_str()).unwrap_or_default()
        }
        None => return Err(at.error("a cluster is needed")),
    };
    Ok(Serves::Tcp(Arc::new(TcpProxy { stat_prefix: from.stat_prefix.clone(), cluster: cluster.into() })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "listener_tests.rs"]
mod tests;

//! The frame of a listener: address, direction, one chain of filters.

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener};

use crate::control::wire::socket_address;

pub(super) fn listener(host: &str, port: u16, direction: TrafficDirection, filter: Filter) -> Listener {
    Listener {
        name: format!("{host}_{port}"),
        address: Some(socket_address(host, port)),
        traffic_direction: direction.into(),
        filter_chains: vec![FilterChain { filters: vec![filter], ..FilterChain::default() }],
        ..Listener::default()
    }
}

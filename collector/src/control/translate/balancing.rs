//! How a cluster chooses among its endpoints.

use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    LbConfig, LbPolicy, LeastRequestLbConfig, MaglevLbConfig, RingHashLbConfig, RoundRobinLbConfig, SlowStartConfig,
};
use envoy_types::pb::envoy::config::core::v3::RuntimeDouble;
use envoy_types::pb::google::protobuf::UInt64Value;
use sidelight_mesh::config::{ConsistentHash, LoadBalancer, SimpleBalancer};

use crate::control::wire::{duration, percent};

/// Smallest ring of a consistent hash that names none.
const RING_SIZE_MIN: u64 = 1024;

/// Share of its traffic that a new endpoint gets at first, and how fast that grows, where they are not given.
const WARMUP_PERCENT_MIN: f64 = 10.0;
const WARMUP_AGGRESSION: f64 = 1.0;

/// Envoy asks for a key here even where there is no runtime to look it up in; this one is Istio's.
const WARMUP_RUNTIME_KEY: &str = "(";

pub(super) struct Balancing {
    pub(super) lb_policy: LbPolicy,
    pub(super) lb_config: Option<LbConfig>,
    /// The request is sent where its caller meant it to go.
    pub(super) original_destination: bool,
}

pub(super) fn choose(balancer: Option<&LoadBalancer>) -> Balancing {
    let Some(balancer) = balancer else { return by_policy(LbPolicy::LeastRequest, None) };
    if let Some(hash) = &balancer.consistent_hash {
        return consistent(hash);
    }
    let warmup = slow_start(balancer);
    match balancer.simple {
        Some(SimpleBalancer::RoundRobin) => {
            let config = warmup.map(|w| LbConfig::RoundRobinLbConfig(RoundRobinLbConfig { slow_start_config: Some(w) }));
            by_policy(LbPolicy::RoundRobin, config)
        }
        Some(SimpleBalancer::Random) => by_policy(LbPolicy::Random, None),
        Some(SimpleBalancer::Passthrough) => {
            Balancing { original_destination: true, ..by_policy(LbPolicy::ClusterProvided, None) }
        }
        Some(SimpleBalancer::LeastRequest | SimpleBalancer::LeastConn | SimpleBalancer::Unspecified) | None => {
            let config = warmup.map(|w| {
                LbConfig::LeastRequestLbConfig(LeastRequestLbConfig {
                    slow_start_config: Some(w),
                    ..LeastRequestLbConfig::default()
                })
            });
            by_policy(LbPolicy::LeastRequest, config)
        }
    }
}

fn by_policy(lb_policy: LbPolicy, lb_config: Option<LbConfig>) -> Balancing {
    Balancing { lb_policy, lb_config, original_destination: false }
}

fn consistent(hash: &ConsistentHash) -> Balancing {
    let size = |value: u64| (value != 0).then_some(UInt64Value { value });
    if let Some(maglev) = hash.maglev {
        let config = MaglevLbConfig { table_size: size(maglev.table_size) };
        return by_policy(LbPolicy::Maglev, Some(LbConfig::MaglevLbConfig(config)));
    }
    let minimum = match hash.ring_hash {
        Some(ring) => size(ring.minimum_ring_size),
        None => size(hash.minimum_ring_size.filter(|size| *size != 0).unwrap_or(RING_SIZE_MIN)),
    };
    let config = RingHashLbConfig { minimum_ring_size: minimum, ..RingHashLbConfig::default() };
    by_policy(LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))
}

fn slow_start(balancer: &LoadBalancer) -> Option<SlowStartConfig> {
    if let Some(warmup) = &balancer.warmup {
        return Some(SlowStartConfig {
            slow_start_window: Some(duration(warmup.duration?.0)),
            aggression: Some(RuntimeDouble {
                default_value: warmup.aggression.unwrap_or(WARMUP_AGGRESSION),
                runtime_key: WARMUP_RUNTIME_KEY.to_owned(),
            }),
            min_weight_percent: Some(percent(warmup.minimum_percent.unwrap_or(WARMUP_PERCENT_MIN))),
        });
    }
    let window = balancer.warmup_duration_secs?;
    Some(SlowStartConfig { slow_start_window: Some(duration(window.0)), ..SlowStartConfig::default() })
}

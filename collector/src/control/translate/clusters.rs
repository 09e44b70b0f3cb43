//! What a proxy can call: a cluster for each service port and subset, and the endpoints behind it.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::{Thresholds, thresholds};
use envoy_types::pb::envoy::config::cluster::v3::cluster::{CommonLbConfig, DiscoveryType, EdsClusterConfig};
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster, UpstreamConnectionOptions};
use envoy_types::pb::envoy::config::core::v3::TcpKeepalive;
use sidelight_mesh::config::{ConnectionPool, RetryBudget, ServicePort, Subset, TcpPool};
use sidelight_mesh::registry::{Registry, Service};
use sidelight_mesh::route::{EffectivePolicy as Policy, EffectiveRule as Rule};

use super::balancing::{self, Balancing};
use super::endpoints::load_assignment;
use super::metadata::services_metadata;
use super::outlier;
use super::protocol::{self, positive};
use super::{Scene, special};
use crate::control::resources::ProxyResources;
use crate::control::wire::{ads, duration, percent, uint};

/// "No limit", as Istio writes it: Envoy's own defaults would be 1,024 connections and 3 retries.
const UNLIMITED: u32 = u32::MAX;

/// Retries that a budget always allows, and its share of the active requests, where they are not given.
const RETRY_CONCURRENCY_MIN: u32 = 3;
const RETRY_BUDGET_PERCENT: f64 = 20.0;

pub(super) fn add(resources: &mut ProxyResources, scene: &Scene) {
    for service in scene.registry().services() {
        let rule = scene.rules.rule_for(&service.fqdn, scene.node.into());
        for port in &service.ports {
            add_one(resources, scene.registry(), &Target { service, port, subset: None }, &rule);
            for subset in &rule.subsets {
                add_one(resources, scene.registry(), &Target { service, port, subset: Some(subset) }, &rule);
            }
        }
    }
}

/// `outbound|<port>|<subset>|<host>`
pub(super) fn cluster_name(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// Whether a rule names the subset, and so whether its cluster exists.
pub(super) fn exists(scene: &Scene, host: &str, port: u16, subset: &str) -> bool {
    let service = scene.registry().service(host).filter(|service| service.port(port).is_some());
    service.is_some_and(|service| {
        subset.is_empty() || scene.rules.rule_for(&service.fqdn, scene.node.into()).subset(subset).is_some()
    })
}

struct Target<'a> {
    service: &'a Service,
    port: &'a ServicePort,
    subset: Option<&'a Subset>,
}

impl Target<'_> {
    fn subset_name(&self) -> &str {
        self.subset.map_or("", |subset| subset.name.as_str())
    }
}

fn add_one(resources: &mut ProxyResources, registry: &Registry, target: &Target, rule: &Rule) {
    let name = cluster_name(target.port.port, target.subset_name(), &target.service.fqdn);
    let policy = rule.policy(target.subset, target.port.port);
    resources.add_cluster(cluster(&name, target, rule, &policy));
    let no_labels = BTreeMap::new();
    let labels = target.subset.map_or(&no_labels, |subset| &subset.labels);
    let endpoints = registry.endpoints(target.service, target.port, labels);
    resources.add_endpoints(load_assignment(&name, &endpoints));
}

fn cluster(name: &str, target: &Target, rule: &Rule, policy: &Policy) -> Cluster {
    let balancing = balancing::choose(policy.load_balancer);
    let discovery = if balancing.original_destination { DiscoveryType::OriginalDst } else { DiscoveryType::Eds };
    let base = special::cluster(name, discovery);
    let tcp = policy.connection_pool.and_then(|pool| pool.tcp.as_ref());
    let codes = policy.outlier_detection.map(|o| o.outlier_detection_http_error_codes.as_slice()).unwrap_or_default();
    let Balancing { lb_policy, lb_config, original_destination } = balancing;
    Cluster {
        alt_stat_name: format!("{name};"),
        eds_cluster_config: (!original_destination)
            .then(|| EdsClusterConfig { eds_config: Some(ads()), service_name: name.to_owned() }),
        connect_timeout: tcp.and_then(|t| t.connect_timeout).map(|d| duration(d.0)).or(base.connect_timeout),
        lb_policy: lb_policy.into(),
        lb_config,
        circuit_breakers: Some(circuit_breakers(policy.connection_pool, policy.retry_budget)),
        outlier_detection: policy.outlier_detection.map(outlier::detection),
        common_lb_config: policy.outlier_detection.map(|o| CommonLbConfig {
            healthy_panic_threshold: Some(percent(outlier::panic_threshold(o))),
            ..CommonLbConfig::default()
        }),
        upstream_connection_options: tcp.and_then(keepalive),
        typed_extension_protocol_options: protocol::options(target.port.protocol_kind(), policy.connection_pool, codes),
        metadata: Some(services_metadata(
            target.service,
            rule.objects.first().map(|found| (&found.object, target.subset_name())),
        )),
        ..base
    }
}

fn circuit_breakers(pool: Option<&ConnectionPool>, budget: Option<&RetryBudget>) -> CircuitBreakers {
    let tcp = pool.and_then(|pool| pool.tcp.clone()).unwrap_or_default();
    let http = pool.and_then(|pool| pool.http.clone()).unwrap_or_default();
    let limit = |value: Option<i32>| Some(uint(value.and_then(positive).unwrap_or(UNLIMITED)));
    CircuitBreakers {
        thresholds: vec![Thresholds {
            max_connections: limit(tcp.max_connections),
            max_pending_requests: limit(http.http1_max_pending_requests),
            max_requests: limit(http.http2_max_requests),
            max_retries: limit(http.max_retries),
            retry_budget: budget.map(retry_budget),
            track_remaining: true,
            ..Thresholds::default()
        }],
        per_host_thresholds: Vec::new(),
    }
}

fn retry_budget(budget: &RetryBudget) -> thresholds::RetryBudget {
    thresholds::RetryBudget {
        budget_percent: Some(percent(budget.percent.map_or(RETRY_BUDGET_PERCENT, |p| p.value))),
        budget_interval: budget.budget_interval.map(|d| duration(d.0)),
        min_retry_concurrency: Some(uint(budget.min_retry_concurrency.unwrap_or(RETRY_CONCURRENCY_MIN))),
    }
}

fn keepalive(tcp: &TcpPool) -> Option<UpstreamConnectionOptions> {
    let keepalive = tcp.tcp_keepalive.as_ref()?;
    let seconds = |d: sidelight_mesh::config::Duration| uint(u32::try_from(d.0.as_secs()).unwrap_or(u32::MAX));
    Some(UpstreamConnectionOptions {
        tcp_keepalive: Some(TcpKeepalive {
            keepalive_probes: keepalive.probes.map(uint),
            keepalive_time: keepalive.time.map(seconds),
            keepalive_interval: keepalive.interval.map(seconds),
        }),
        ..UpstreamConnectionOptions::default()
    })
}

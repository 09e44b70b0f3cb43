//! `/clusters`: every cluster with its hosts and what they counted, as text and as JSON.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::cluster::Cluster;
use crate::shared::Shared;
use crate::upstream::{Host, LiveCluster};

fn sorted(shared: &Shared) -> Vec<Arc<LiveCluster>> {
    let mut all: Vec<_> = shared.upstreams.all().values().cloned().collect();
    all.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    all
}

fn observability_name(config: &Cluster) -> &str {
    match config.alt_stat_name.as_str() {
        "" => &config.name,
        name => name,
    }
}

/// Name, value, and whether it is a gauge.
fn host_stats(host: &Host) -> [(&'static str, u64, bool); 8] {
    let stats = &host.connections.stats;
    [
        ("cx_active", stats.cx_active.get(), true),
        ("cx_connect_fail", stats.cx_connect_fail.get(), false),
        ("cx_total", stats.cx_total.get(), false),
        ("rq_active", stats.rq_active.get(), true),
        ("rq_error", stats.rq_error.get(), false),
        ("rq_success", stats.rq_success.get(), false),
        ("rq_timeout", stats.rq_timeout.get(), false),
        ("rq_total", stats.rq_total.get(), false),
    ]
}

pub fn as_text(shared: &Shared) -> String {
    let mut out = String::new();
    for cluster in sorted(shared) {
        let config = &cluster.config;
        let name = &config.name;
        let lines = [
            ("observability_name", observability_name(config).to_owned()),
            ("default_priority::max_connections", config.connections_max.to_string()),
            ("default_priority::max_pending_requests", config.pending_max.to_string()),
            ("default_priority::max_requests", config.requests_max.to_string()),
            ("added_via_api", cluster.from_api.to_string()),
        ];
        for (key, value) in lines {
            let _ = writeln!(out, "{name}::{key}::{value}");
        }
        for host in &cluster.hosts().all {
            host_text(&mut out, name, host);
        }
    }
    out
}

fn host_text(out: &mut String, cluster: &str, host: &Host) {
    let address = host.address;
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{cluster}::{address}::{key}::{value}");
    };
    for (key, value, _) in host_stats(host) {
        line(key, &value);
    }
    let endpoint = &host.endpoint;
    line("hostname", &endpoint.hostname);
    let health = match endpoint.healthy {
        true => "healthy",
        false => "/failed_eds_health",
    };
    line("health_flags", &health);
    line("weight", &endpoint.weight);
    line("region", &endpoint.locality.region);
    line("zone", &endpoint.locality.zone);
    line("sub_zone", &endpoint.locality.sub_zone);
    line("canary", &false);
    line("priority", &endpoint.priority);
    line("success_rate", &-1);
    line("local_origin_success_rate", &-1);
}

pub fn as_json(shared: &Shared) -> Value {
    let statuses: Vec<_> = sorted(shared).iter().map(|c| cluster_json(c)).collect();
    json!({ "cluster_statuses": statuses })
}

fn cluster_json(cluster: &LiveCluster) -> Value {
    let config = &cluster.config;
    let hosts: Vec<_> = cluster.hosts().all.iter().map(|h| host_json(h)).collect();
    let mut status = json!({
        "name": config.name,
        "added_via_api": cluster.from_api,
        "observability_name": observability_name(config),
        "circuit_breakers": {"thresholds": [{
            "max_connections": config.connections_max,
            "max_pending_requests": config.pending_max,
            "max_requests": config.requests_max,
        }]},
        "host_statuses": hosts,
    });
    if let crate::config::cluster::Discovery::Eds(name) = &config.discovery {
        status["eds_service_name"] = name.as_str().into();
    }
    status
}

fn host_json(host: &Host) -> Value {
    let stats: Vec<_> = host_stats(host)
        .iter()
        .map(|(name, value, gauge)| {
            let mut stat = json!({"name": name, "value": value.to_string()});
            if *gauge {
                stat["type"] = "GAUGE".into();
            }
            stat
        })
        .collect();
    let endpoint = &host.endpoint;
    let health = match endpoint.healthy {
        true => "HEALTHY",
        false => "UNHEALTHY",
    };
    json!({
        "address": {"socket_address": {
            "address": host.address.ip().to_string(),
            "port_value": host.address.port(),
        }},
        "stats": stats,
        "health_status": {"eds_health_status": health},
        "weight": endpoint.weight,
        "hostname": endpoint.hostname,
        "priority": endpoint.priority,
        "locality": {
            "region": endpoint.locality.region,
            "zone": endpoint.locality.zone,
            "sub_zone": endpoint.locality.sub_zone,
        },
    })
}

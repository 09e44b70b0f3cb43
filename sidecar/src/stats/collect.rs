//! Gathers every statistic of this moment into one list.

use std::sync::Arc;

use super::{ListenerStats, XdsStats, resident_bytes};
use crate::shared::Shared;
use crate::upstream::LiveCluster;
use crate::upstream::stats::CodeCounts;
use crate::xds::Kind;

/// What a number belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Cluster(Arc<str>),
    ClusterManager,
    /// An HTTP connection manager by its stat prefix.
    Http(String),
    Listener(String),
    ListenerManager,
    Server,
}

/// One number.
#[derive(Clone, Debug)]
pub struct Collected {
    pub scope: Scope,
    /// After the scope, in Envoy's spelling: `upstream_cx_total`.
    pub name: &'static str,
    pub code: Option<u16>,
    /// Otherwise it is a counter.
    pub gauge: bool,
    pub value: u64,
}

/// Everything; a cluster that was never used is left out, as Istio's inclusion list leaves out all.
pub fn collect(shared: &Shared) -> Vec<Collected> {
    let mut list = List(Vec::new());
    let clusters = shared.upstreams.all();
    let mut used: Vec<_> = clusters.values().filter(|c| is_used(c)).collect();
    used.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    for cluster in used {
        list.cluster(cluster);
    }
    list.cluster_manager(&shared.xds);
    for (prefix, address, stats) in shared.listener_stats() {
        list.listener(prefix, address, &stats);
    }
    list.listener_manager(&shared.xds);
    list.server(shared);
    list.0
}

fn is_used(cluster: &LiveCluster) -> bool {
    let stats = &cluster.stats;
    stats.rq_total.get() + stats.cx_total.get() + stats.cx_connect_fail.get() > 0 || stats.cx_none_healthy.get() > 0
}

struct List(Vec<Collected>);

impl List {
    fn push(&mut self, scope: &Scope, gauge: bool, numbers: &[(&'static str, u64)]) {
        self.0.extend(numbers.iter().map(|(name, value)| Collected {
            scope: scope.clone(),
            name,
            code: None,
            gauge,
            value: *value,
        }));
    }

    fn codes(&mut self, scope: &Scope, name: &'static str, codes: &CodeCounts) {
        self.0.extend(codes.list().into_iter().map(|(code, value)| Collected {
            scope: scope.clone(),
            name,
            code: Some(code),
            gauge: false,
            value,
        }));
    }

    fn cluster(&mut self, cluster: &LiveCluster) {
        let scope = Scope::Cluster(cluster.config.name.clone());
        let stats = &cluster.stats;
        self.codes(&scope, "upstream_rq", &stats.codes);
        self.push(
            &scope,
            false,
            &[
                ("upstream_cx_total", stats.cx_total.get()),
                ("upstream_cx_http1_total", stats.cx_total.get()),
                ("upstream_cx_connect_fail", stats.cx_connect_fail.get()),
                ("upstream_cx_connect_timeout", stats.cx_connect_timeout.get()),
                ("upstream_cx_overflow", stats.cx_overflow.get()),
                ("upstream_cx_none_healthy", stats.cx_none_healthy.get()),
                ("upstream_cx_idle_timeout", stats.cx_idle_timeout.get()),
                ("upstream_rq_total", stats.rq_total.get()),
                ("upstream_rq_completed", stats.rq_completed.get()),
                ("upstream_rq_timeout", stats.rq_timeout.get()),
                ("upstream_rq_per_try_timeout", stats.rq_per_try_timeout.get()),
                ("upstream_rq_pending_total", stats.rq_pending_total.get()),
                ("upstream_rq_pending_overflow", stats.rq_pending_overflow.get()),
                ("upstream_rq_cancelled", stats.rq_cancelled.get()),
                ("upstream_rq_rx_reset", stats.rq_rx_reset.get()),
                ("upstream_rq_retry", stats.rq_retry.get()),
                ("upstream_rq_retry_success", stats.rq_retry_success.get()),
                ("upstream_rq_retry_limit_exceeded", stats.rq_retry_limit_exceeded.get()),
            ],
        );
        let hosts = cluster.hosts();
        let full = stats.rq_active.get() >= u64::from(cluster.config.connections_max);
        self.push(
            &scope,
            true,
            &[
                ("upstream_cx_active", stats.cx_active.get()),
                ("upstream_rq_active", stats.rq_active.get()),
                ("upstream_rq_pending_active", stats.rq_pending_active.get()),
                ("membership_total", hosts.all.len() as u64),
                ("membership_healthy", hosts.healthy_len() as u64),
                ("circuit_breakers_default_cx_open", u64::from(full)),
            ],
        );
    }

    fn cluster_manager(&mut self, xds: &XdsStats) {
        let scope = Scope::ClusterManager;
        let cds = xds.of(Kind::Cluster);
        self.push(
            &scope,
            false,
            &[
                ("cluster_added", xds.clusters_added.get()),
                ("cluster_modified", xds.clusters_modified.get()),
                ("cluster_removed", xds.clusters_removed.get()),
                ("cds_update_attempt", cds.success.get() + cds.rejected.get()),
                ("cds_update_success", cds.success.get()),
                ("cds_update_rejected", cds.rejected.get()),
            ],
        );
        self.push(
            &scope,
            true,
            &[
                ("active_clusters", xds.active_clusters.get()),
                ("warming_clusters", xds.warming_clusters.get()),
                ("cds_update_time", cds.time_ms.get()),
                ("cds_control_plane_connected_state", u64::from(xds.connected())),
            ],
        );
    }

    fn listener(&mut self, prefix: String, address: String, stats: &ListenerStats) {
        let scope = Scope::Listener(address);
        self.push(
            &scope,
            false,
            &[("downstream_cx_total", stats.cx_total.get()), ("downstream_cx_overflow", stats.cx_overflow.get())],
        );
        self.codes(&scope, "http_downstream_rq", &stats.codes);
        self.push(&scope, true, &[("downstream_cx_active", stats.cx_active.get())]);
        let scope = Scope::Http(prefix);
        self.push(
            &scope,
            false,
            &[
                ("downstream_cx_total", stats.cx_total.get()),
                ("downstream_cx_protocol_error", stats.cx_protocol_error.get()),
                ("downstream_cx_upgrades_total", stats.upgrades.get()),
                ("downstream_rq_total", stats.rq_total.get()),
                ("downstream_rq_http1_total", stats.rq_total.get()),
                ("downstream_rq_rx_reset", stats.rx_reset.get()),
                ("no_route", stats.no_route.get()),
                ("no_cluster", stats.no_cluster.get()),
                ("rq_direct_response", stats.direct_response.get()),
                ("rq_redirect", stats.redirect.get()),
                ("fault_delays_injected", stats.faults_delayed.get()),
                ("fault_aborts_injected", stats.faults_aborted.get()),
            ],
        );
        self.push(
            &scope,
            true,
            &[("downstream_cx_active", stats.cx_active.get()), ("downstream_rq_active", stats.rq_active.get())],
        );
    }

    fn listener_manager(&mut self, xds: &XdsStats) {
        let scope = Scope::ListenerManager;
        let lds = xds.of(Kind::Listener);
        self.push(
            &scope,
            false,
            &[
                ("lds_update_attempt", lds.success.get() + lds.rejected.get()),
                ("lds_update_success", lds.success.get()),
                ("lds_update_rejected", lds.rejected.get()),
            ],
        );
        self.push(
            &scope,
            true,
            &[
                ("total_listeners_active", xds.active_listeners.get()),
                ("total_listeners_warming", xds.warming_listeners.get()),
                ("workers_started", 1),
                ("lds_update_time", lds.time_ms.get()),
                ("lds_control_plane_connected_state", u64::from(xds.connected())),
            ],
        );
    }

    fn server(&mut self, shared: &Shared) {
        let state = shared.readiness.state() as u64;
        let resident = resident_bytes().unwrap_or(0);
        self.push(
            &Scope::Server,
            true,
            &[
                ("live", u64::from(state != 1)),
                ("state", state),
                ("uptime", shared.server.uptime_seconds()),
                ("start_time_ms", shared.server.started_ms),
                ("concurrency", shared.server.concurrency),
                ("memory_allocated", resident),
                ("memory_heap_size", resident),
                ("memory_physical_size", resident),
                ("total_connections", shared.total_connections()),
                ("hot_restart_epoch", 0),
            ],
        );
    }
}

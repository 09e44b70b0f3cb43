//! A cluster in use: its configuration, its hosts, its limits and its counters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ahash::AHashMap;
use arc_swap::ArcSwap;
use sidelight_telemetry::{ClusterInfo, Peer, ServiceInfo};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::balance::HostSet;
use super::connections::Connections;
use super::stats::ClusterStats;
use crate::config::cluster::{Cluster, Discovery};
use crate::config::endpoint::Endpoint;

/// A limit from here on is none: the connections of one process end far below.
const UNLIMITED: u32 = 1 << 20;
/// Destinations of one original-destination cluster that are remembered with their connections.
const DESTINATIONS_MAX: usize = 1024;

#[derive(Debug)]
pub struct LiveCluster {
    pub config: Arc<Cluster>,
    /// Labels and log fields of this cluster.
    pub info: Arc<ClusterInfo>,
    pub stats: Arc<ClusterStats>,
    pub from_api: bool,
    hosts: ArcSwap<HostSet>,
    turn: AtomicUsize,
    /// One for each request in flight; nothing when there is no limit worth keeping.
    slots: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
pub struct Host {
    pub address: SocketAddr,
    pub endpoint: Endpoint,
    /// Who the control plane says is there.
    pub peer: Option<Arc<Peer>>,
    pub connections: Arc<Connections>,
}

/// Held by a request while it is in flight.
#[derive(Debug)]
pub struct Slot(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

/// The circuit breaker is open.
#[derive(Debug, PartialEq, Eq)]
pub struct Overflow;

impl Host {
    pub fn new(address: SocketAddr, endpoint: Endpoint, before: Option<&Self>) -> Self {
        let same_peer = before.filter(|b| b.endpoint.workload == endpoint.workload && b.peer.is_some());
        Self {
            // The peer is kept while it is the same: metric series are found by its number.
            peer: match same_peer {
                Some(before) => before.peer.clone(),
                None => endpoint.workload.as_deref().and_then(Peer::from_endpoint_metadata),
            },
            connections: match before {
                Some(before) => before.connections.clone(),
                None => Arc::new(Connections::new(address)),
            },
            address,
            endpoint,
        }
    }

    pub fn load(&self) -> u64 {
        self.connections.stats.rq_active.get()
    }
}

impl LiveCluster {
    /// Takes over counters, hosts and open connections of its predecessor.
    pub fn new(config: Arc<Cluster>, from_api: bool, before: Option<&Self>) -> Self {
        let same_info = before.filter(|b| {
            b.config.service == config.service
                && b.config.alt_stat_name == config.alt_stat_name
                && b.config.hide_identity == config.hide_identity
        });
        let cluster = Self {
            info: match same_info {
                Some(before) => before.info.clone(),
                None => Arc::new(info(&config)),
            },
            stats: before.map_or_else(Arc::default, |b| b.stats.clone()),
            from_api,
            hosts: match before {
                Some(before) => ArcSwap::new(before.hosts.load_full()),
                None => ArcSwap::default(),
            },
            turn: AtomicUsize::new(rand::random::<u32>() as usize),
            slots: (config.connections_max < UNLIMITED).then(|| Arc::new(Semaphore::new(config.connections_max as usize))),
            config,
        };
        if let Discovery::Static(endpoints) = &cluster.config.discovery {
            cluster.set_endpoints(endpoints);
        }
        cluster
    }

    /// Replaces the hosts; those that stay keep their connections.
    pub fn set_endpoints(&self, endpoints: &[Endpoint]) {
        let addressed = endpoints.iter().filter_map(|endpoint| Some((endpoint.address()?, endpoint.clone())));
        self.set_hosts(addressed);
    }

    pub fn set_hosts(&self, hosts: impl Iterator<Item = (SocketAddr, Endpoint)>) {
        let before = self.hosts.load_full();
        let known: AHashMap<SocketAddr, &Arc<Host>> = before.all.iter().map(|host| (host.address, host)).collect();
        let mut seen = AHashMap::new();
        for (address, endpoint) in hosts {
            let host = match known.get(&address) {
                Some(same) if same.endpoint == endpoint => (*same).clone(),
                other => Arc::new(Host::new(address, endpoint, other.map(|host| host.as_ref()))),
            };
            seen.entry(address).or_insert(host);
        }
        let mut all: Vec<_> = seen.into_values().collect();
        all.sort_by_key(|host| host.address);
        self.hosts.store(Arc::new(HostSet::new(all)));
    }

    pub fn hosts(&self) -> Arc<HostSet> {
        self.hosts.load_full()
    }

    pub fn pick(&self, avoid: Option<&Arc<Host>>) -> Option<Arc<Host>> {
        self.hosts.load().pick(self.config.policy, &self.turn, avoid)
    }

    /// The host of an address that the caller named itself.
    pub fn destination(&self, address: SocketAddr) -> Arc<Host> {
        let known = self.hosts.load();
        if let Ok(at) = known.all.binary_search_by_key(&address, |host| host.address) {
            return known.all[at].clone();
        }
        let host = Arc::new(Host::new(address, Endpoint::at(address), None));
        // Beyond the bound a destination gets connections that nobody else will reuse.
        self.hosts.rcu(|current| {
            let mut all = current.all.clone();
            if let Err(at) = all.binary_search_by_key(&address, |host| host.address)
                && all.len() < DESTINATIONS_MAX
            {
                all.insert(at, host.clone());
            }
            HostSet::new(all)
        });
        host
    }

    /// Waits for a free slot, unless too many wait already.
    pub async fn slot(&self) -> Result<Slot, Overflow> {
        let Some(slots) = &self.slots else {
            return Ok(Slot(None));
        };
        if let Ok(permit) = slots.clone().try_acquire_owned() {
            return Ok(Slot(Some(permit)));
        }
        let stats = &self.stats;
        stats.cx_overflow.inc();
        if stats.rq_pending_active.get() >= u64::from(self.config.pending_max) {
            stats.rq_pending_overflow.inc();
            return Err(Overflow);
        }
        let _pending = Pending::new(stats);
        let permit = slots.clone().acquire_owned().await.map_err(|_| Overflow)?;
        Ok(Slot(Some(permit)))
    }

    pub fn sweep(&self) {
        let mut closed = 0;
        for host in &self.hosts.load().all {
            closed += host.connections.sweep(self.config.idle_timeout);
        }
        self.stats.cx_idle_timeout.add(closed);
        if self.config.discovery == Discovery::OriginalDestination {
            self.forget_unused();
        }
    }

    /// Makes room for other destinations. A request that holds one at this moment only loses its connection's reuse.
    fn forget_unused(&self) {
        if self.hosts.load().all.iter().any(|host| host.connections.is_unused()) {
            self.hosts.rcu(|current| {
                let used = current.all.iter().filter(|host| !host.connections.is_unused());
                HostSet::new(used.cloned().collect())
            });
        }
    }
}

/// Counts a waiting request down also when it is given up.
struct Pending<'a>(&'a ClusterStats);

impl<'a> Pending<'a> {
    fn new(stats: &'a ClusterStats) -> Self {
        stats.rq_pending_total.inc();
        stats.rq_pending_active.inc();
        Self(stats)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.rq_pending_active.dec();
    }
}

fn info(config: &Cluster) -> ClusterInfo {
    let info =
        ClusterInfo::new(config.name.clone()).with_alt_stat_name(&config.alt_stat_name).with_exchange(!config.hide_identity);
    match &config.service {
        None => info,
        Some(service) => info.with_service(ServiceInfo {
            host: service.host.clone(),
            name: service.name.clone().unwrap_or_default(),
            namespace: service.namespace.clone().unwrap_or_default(),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "cluster_tests.rs"]
mod tests;

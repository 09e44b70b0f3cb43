//! What the parts of one sidecar share; nothing of it is global, so many sidecars fit in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sidelight_telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

use crate::bootstrap::Bootstrap;
use crate::config::listener::Listener;
use crate::proxy::destination::Own;
use crate::readiness::Readiness;
use crate::stats::{ListenerStats, ServerStats, XdsStats};
use crate::upstream::Upstreams;
use crate::xds::world::World;

pub struct Shared {
    pub bootstrap: Bootstrap,
    pub telemetry: Telemetry,
    pub upstreams: Arc<Upstreams>,
    pub own: Own,
    pub xds: Arc<XdsStats>,
    pub world: Arc<ArcSwap<World>>,
    pub server: ServerStats,
    pub readiness: Arc<Readiness>,
    /// Listeners in force, for the admin interface and for `Sidecar::addresses`.
    pub listeners: ArcSwap<Vec<ListenerView>>,
    /// Somebody asked the process to end, over the admin interface.
    pub quit: CancellationToken,
}

#[derive(Clone)]
pub struct ListenerView {
    pub config: Arc<Listener>,
    /// Where it really listens.
    pub address: SocketAddr,
    pub stats: Arc<ListenerStats>,
}

impl Shared {
    /// Stat prefix, address as in statistics, numbers.
    pub fn listener_stats(&self) -> Vec<(String, String, Arc<ListenerStats>)> {
        self.listeners
            .load()
            .iter()
            .map(|view| {
                let address = view.address.to_string().replace(':', "_");
                (view.config.stat_prefix().to_owned(), address, view.stats.clone())
            })
            .collect()
    }

    pub fn total_connections(&self) -> u64 {
        let listeners = self.listeners.load();
        listeners.iter().map(|view| view.stats.cx_active.get()).sum()
    }
}

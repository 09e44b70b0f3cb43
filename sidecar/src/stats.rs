//! What the proxy counts about itself, in Envoy's names, written as `/stats` and as Prometheus text.

mod collect;
mod text;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub use collect::collect;
pub use text::{Filter, prometheus, stats_text};

use crate::upstream::stats::{CodeCounts, Count};
use crate::xds::Kind;

/// A number that is set.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One resource type's updates.
#[derive(Debug, Default)]
pub struct UpdateStats {
    pub success: Count,
    pub rejected: Count,
    /// Milliseconds since 1970 of the last good update.
    pub time_ms: Level,
}

impl UpdateStats {
    pub fn record(&self, accepted: bool) {
        if !accepted {
            return self.rejected.inc();
        }
        self.success.inc();
        self.time_ms.set(now_ms());
    }

    pub fn successes(&self) -> u64 {
        self.success.get()
    }
}

/// The ADS stream and what came over it.
#[derive(Debug, Default)]
pub struct XdsStats {
    pub responses: Count,
    pub connected_total: Count,
    connected: AtomicBool,
    updates: [UpdateStats; 4],
    pub clusters_added: Count,
    pub clusters_modified: Count,
    pub clusters_removed: Count,
    pub active_clusters: Level,
    pub warming_clusters: Level,
    pub active_listeners: Level,
    pub warming_listeners: Level,
}

impl XdsStats {
    pub fn of(&self, kind: Kind) -> &UpdateStats {
        &self.updates[kind as usize]
    }

    pub fn set_connected(&self, connected: bool) {
        if connected {
            self.connected_total.inc();
        }
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

/// One listener; kept by address across updates.
#[derive(Debug, Default)]
pub struct ListenerStats {
    pub cx_total: Count,
    pub cx_active: Count,
    /// Refused because the listener had too many.
    pub cx_overflow: Count,
    pub cx_protocol_error: Count,
    pub rq_total: Count,
    pub rq_active: Count,
    pub no_route: Count,
    pub no_cluster: Count,
    pub direct_response: Count,
    pub redirect: Count,
    pub rx_reset: Count,
    pub faults_delayed: Count,
    pub faults_aborted: Count,
    pub upgrades: Count,
    pub codes: CodeCounts,
}

/// Facts of the process that statistics show.
#[derive(Debug)]
pub struct ServerStats {
    started: Instant,
    /// Unix milliseconds. Not a statistic of Envoy: it tells a restart apart from a pause, which whole seconds cannot.
    pub started_ms: u64,
    pub concurrency: u64,
}

impl ServerStats {
    pub fn new(concurrency: usize) -> Self {
        Self { started: Instant::now(), started_ms: now_ms(), concurrency: concurrency as u64 }
    }

    pub fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Resident bytes of this process; nothing where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

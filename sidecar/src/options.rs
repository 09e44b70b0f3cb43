//! What the command line decides and Envoy's bootstrap has no word for.

use std::net::IpAddr;
use std::path::PathBuf;

use sidelight_telemetry::access_log::MemoryLog;

/// Worker threads when none are asked for, as in Istio.
pub const CONCURRENCY: usize = 2;

#[derive(Clone, Debug)]
pub struct SidecarOptions {
    /// Worker threads of the runtime that the sidecar is started in, for statistics.
    pub concurrency: usize,
    /// Where access log lines go instead of where the listeners say.
    pub access_log: Option<AccessLogSink>,
    /// Address of the status ports; otherwise the node's own where it is a loopback one, else all.
    pub status_bind: Option<IpAddr>,
}

/// A place for access log lines.
#[derive(Clone, Debug)]
pub enum AccessLogSink {
    Stdout,
    File(PathBuf),
    Discard,
    /// For tests.
    Memory(MemoryLog),
}

impl Default for SidecarOptions {
    fn default() -> Self {
        Self { concurrency: CONCURRENCY, access_log: None, status_bind: None }
    }
}

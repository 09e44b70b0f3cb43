//! What the web server is put together from.

use std::sync::Arc;

use axum::Router;

use super::auth::Auth;
use super::guard::HostPolicy;
use super::mesh::MeshSource;
use crate::store::Store;
use crate::store::revisions::RevisionStore;

/// Everything the web server needs from the rest of the collector.
pub struct WebParts {
    pub store: Arc<dyn Store>,
    pub revisions: Arc<dyn RevisionStore>,
    pub mesh: Arc<dyn MeshSource>,
    pub status: StatusFacts,
    /// Routes of other rooms that need a login: configuration, proxies, ingest report, Zipkin's API, our own metrics.
    pub api: Router,
    /// Routes of other rooms that need none.
    pub open: Router,
    pub auth: Arc<Auth>,
    pub hosts: HostPolicy,
}

/// What `GET /api/status` says beside the time.
#[derive(Clone, Copy, Debug)]
pub struct StatusFacts {
    pub started_at_ms: i64,
    pub scrape_interval_s: f64,
    pub retention_s: u64,
}

/// The parts that handlers share.
pub(super) struct Shared {
    pub store: Arc<dyn Store>,
    pub revisions: Arc<dyn RevisionStore>,
    pub mesh: Arc<dyn MeshSource>,
    pub status: StatusFacts,
}

impl WebParts {
    pub(super) fn shared(&self) -> Shared {
        Shared {
            store: Arc::clone(&self.store),
            revisions: Arc::clone(&self.revisions),
            mesh: Arc::clone(&self.mesh),
            status: self.status,
        }
    }
}

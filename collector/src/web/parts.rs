//! What the web server is put together from.

use std::sync::Arc;

use axum::Router;
use tokio::sync::OnceCell;

use super::auth::Auth;
use super::guard::HostPolicy;
use super::mesh::MeshSource;
use crate::clock;
use crate::export::Report;
use crate::own_metrics::OwnMetrics;
use crate::query::window::Moment;
use crate::store::revisions::RevisionStore;
use crate::store::{Store, StoreError};

/// Longest wait for proxies' news of a step; with rarer scrapes the newest rates are somewhat low instead of late.
const SETTLE_MS_MAX: f64 = 30_000.0;

/// Everything the web server needs from the rest of the collector.
pub struct WebParts {
    pub store: Arc<dyn Store>,
    pub metrics: Arc<OwnMetrics>,
    pub revisions: Arc<dyn RevisionStore>,
    pub mesh: Arc<dyn MeshSource>,
    pub status: StatusFacts,
    /// Routes of other rooms that need a login: configuration, proxies, ingest report, Zipkin's API, our own metrics.
    pub api: Router,
    /// Routes of other rooms that need none.
    pub open: Router,
    pub auth: Arc<Auth>,
    /// What `GET /api/status` says of exporters.
    pub exporters: Vec<Report>,
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
    pub exporters: Vec<Report>,
    born_ms: OnceCell<i64>,
}

impl Shared {
    /// When this request asks.
    pub async fn moment(&self) -> Result<Moment, StoreError> {
        let born_ms = *self.born_ms.get_or_try_init(|| self.store.created_at_ms()).await?;
        let settle_ms = (self.status.scrape_interval_s.max(0.0) * 1000.0).min(SETTLE_MS_MAX) as i64;
        Ok(Moment { now_ms: clock::now_ms(), settle_ms, born_ms })
    }
}

impl WebParts {
    pub(super) fn shared(&self) -> Shared {
        Shared {
            store: Arc::clone(&self.store),
            revisions: Arc::clone(&self.revisions),
            mesh: Arc::clone(&self.mesh),
            status: self.status,
            exporters: self.exporters.clone(),
            born_ms: OnceCell::new(),
        }
    }
}

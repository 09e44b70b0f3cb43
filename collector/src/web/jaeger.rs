//! Jaeger's query API from our own store: the classic JSON, v3, and both gRPC services.
//!
//! Grafana, Kiali and Jaeger's own interface are pointed at `/jaeger` on the dashboard's port, or at a port of its own.

mod answer;
mod classic;
mod grpc;
mod message;
mod metrics;
pub mod proto;
mod v3;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use tokio::sync::OwnedSemaphorePermit;

use self::answer::Problem;
use super::turns::Turns;
use crate::store::{ArchiveLimits, Archived, FoundTraces, ServiceLink, Span, Store, TraceQuery, Window};

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Jaeger {
    store: Arc<dyn Store>,
    turns: Turns,
    archive: ArchiveLimits,
}

impl Jaeger {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, archive: ArchiveLimits, turns: Turns) -> Self {
        Self { store, turns, archive }
    }

    /// The JSON APIs below `/jaeger`, for a port that serves other things as well.
    pub fn below(&self) -> Router {
        Router::new().nest("/jaeger", self.http())
    }

    /// Everything, for a port of Jaeger's own.
    pub fn port(&self) -> Router {
        self.http().merge(grpc::routes(self.clone()))
    }

    /// The JSON APIs, with paths as Jaeger has them.
    fn http(&self) -> Router {
        Router::new()
            .route("/api/services", get(classic::services))
            .route("/api/services/{service}/operations", get(classic::operation_names))
            .route("/api/operations", get(classic::operations))
            .route("/api/traces", get(classic::search))
            .route("/api/traces/{id}", get(classic::trace))
            .route("/api/archive/{id}", post(classic::archive))
            .route("/api/transform", post(classic::transform))
            .route("/api/dependencies", get(classic::dependencies))
            .route("/api/metrics/{name}", get(metrics::disabled))
            .route("/api/v3/services", get(v3::services))
            .route("/api/v3/operations", get(v3::operations))
            .route("/api/v3/traces", get(v3::search))
            .route("/api/v3/traces/{id}", get(v3::trace))
            .fallback(any(answer::no_such_endpoint))
            .with_state(self.clone())
    }

    /// Held until the answer is made.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.turns.take().await.ok_or_else(Problem::busy)
    }

    /// The spans of one trace.
    async fn spans(&self, id: [u8; 16]) -> Result<Vec<Span>, Problem> {
        let spans = self.store.trace(id).await?;
        if spans.is_empty() { Err(Problem::trace_not_found()) } else { Ok(spans) }
    }

    /// Keeps a trace beyond the retention.
    async fn archive(&self, id: [u8; 16]) -> Result<(), Problem> {
        match self.store.archive(id, self.archive, crate::clock::now_ms()).await? {
            Archived::Kept(_) => Ok(()),
            Archived::Unknown => Err(Problem::trace_not_found()),
            Archived::Full => Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "the archive is full")),
        }
    }

    async fn links(&self, from_ms: i64, to_ms: i64) -> Result<Vec<ServiceLink>, Problem> {
        Ok(self.store.service_links(Window { from_ms, to_ms }).await?)
    }

    async fn find(&self, query: &TraceQuery) -> Result<FoundTraces, Problem> {
        Ok(self.store.find_traces(query).await?)
    }
}

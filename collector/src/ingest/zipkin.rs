//! The Zipkin door: takes spans as Zipkin v2 JSON, and answers Zipkin's queries from the same store.

mod model;
mod query;
mod receive;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::pipeline::WriterHandle;
use crate::store::{Counts, Store, StoreError};

pub use model::{ZipkinSpan, decode};

/// Bytes of one body, as sent and after decompression.
pub const BODY_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Bodies that are read, decoded or written at the same time; beyond this the door answers "busy".
pub const BODIES_MAX: usize = 64;

/// Cheap to clone.
#[derive(Clone)]
pub struct ZipkinDoor {
    store: Arc<dyn Store>,
    writer: WriterHandle,
    bodies: Arc<Semaphore>,
    /// Refusals while the writer was behind; they go with the next batch.
    unwritten: Arc<Mutex<Counts>>,
    /// Spans that began longer ago are refused: their slice is about to be dropped.
    kept: Duration,
}

impl ZipkinDoor {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, writer: WriterHandle, kept: Duration) -> Self {
        Self { store, writer, bodies: Arc::new(Semaphore::new(BODIES_MAX)), unwritten: Arc::default(), kept }
    }

    /// What proxies need: they send spans, and nobody gave them a login.
    pub fn writes(&self) -> Router {
        Router::new().route("/api/v2/spans", post(receive::spans)).with_state(self.clone())
    }

    /// Whether spans can be stored, for whoever watches a port of the door's own.
    pub fn health(&self) -> Router {
        Router::new().route("/health", get(query::health)).with_state(self.clone())
    }

    /// Zipkin's query API: whoever asks it sees everybody's requests.
    pub fn reads(&self) -> Router {
        Router::new()
            .route("/api/v2/spans", get(query::span_names))
            .route("/api/v2/services", get(query::services))
            .route("/api/v2/traces", get(query::traces))
            .route("/api/v2/trace/{id}", get(query::trace))
            .with_state(self.clone())
    }
}

/// An answer in Zipkin's manner: a status and one line of text.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let retry = (self.0 == StatusCode::SERVICE_UNAVAILABLE).then_some([("retry-after", "1")]);
        match retry {
            Some(headers) => (self.0, headers, self.1).into_response(),
            None => (self.0, self.1).into_response(),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a query of spans failed");
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

#[cfg(test)]
mod tests;

//! The Zipkin door: takes spans as Zipkin's JSON and protobuf.

mod draft;
mod json;
mod model;
mod proto;
mod receive;
mod v1;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::door::{Door, DoorSecurity, Guard, Refusal, require_token};
use super::intern::Interners;
use crate::store::{Store, StoreError};

pub use model::ZipkinSpan;

/// Cheap to clone.
#[derive(Clone)]
pub struct ZipkinDoor {
    store: Arc<dyn Store>,
    door: Door,
    security: DoorSecurity,
    interners: Arc<Interners>,
    /// Spans that began longer ago are refused: their slice is about to be dropped.
    kept: Duration,
}

impl ZipkinDoor {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, door: Door, security: DoorSecurity, kept: Duration) -> Self {
        Self { store, door, security, interners: Arc::default(), kept }
    }

    /// What proxies need: they send spans, and nobody gave them a login.
    pub fn writes(&self) -> Router {
        let answer = |_: &Request, refusal: Refusal| Refused::from(refusal).into_response();
        let guard = Guard { security: self.security.clone(), door: self.door.clone(), signal: receive::SIGNAL, answer };
        Router::new()
            .route("/api/v2/spans", post(receive::v2))
            .route("/api/v1/spans", post(receive::v1))
            .layer(from_fn_with_state(guard, require_token))
            .with_state(self.clone())
    }

    /// Whether spans can be stored, for whoever watches a port of the door's own.
    pub fn health(&self) -> Router {
        Router::new().route("/health", get(health)).with_state(self.clone())
    }
}

async fn health(State(door): State<ZipkinDoor>) -> (StatusCode, Json<serde_json::Value>) {
    let (status, word) = match door.store.takes_writes() {
        true => (StatusCode::OK, "UP"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
    };
    (status, Json(serde_json::json!({"status": word})))
}

/// An answer in Zipkin's manner: a status and one line of text.
struct Refused(Response);

impl Refused {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self((status, text.into()).into_response())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.over_http(refusal.message.clone()))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a query of spans failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// For fuzzers: both of Zipkin's JSON spellings.
pub(crate) fn fuzz_json(body: &[u8], times: super::door::Times) {
    let mut interner = super::intern::Interner::default();
    let mut judge = draft::Judge::new(&mut interner, times, super::door::DoorLimits::default().items);
    let _ = json::decode::<json::V2>(body, &mut judge);
    let _ = json::decode::<v1::V1>(body, &mut judge);
}

/// For fuzzers: Zipkin's protobuf.
pub(crate) fn fuzz_protobuf(body: &[u8], times: super::door::Times) {
    let mut interner = super::intern::Interner::default();
    let _ = proto::decode(body, &mut draft::Judge::new(&mut interner, times, super::door::DoorLimits::default().items));
}

#[cfg(test)]
mod spellings;
#[cfg(test)]
mod tests;

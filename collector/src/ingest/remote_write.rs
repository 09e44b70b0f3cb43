//! Prometheus' remote write, versions 1.0 and 2.0: samples that somebody else scraped.

mod decode;
pub mod message;
mod receive;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::post;

use super::door::{Door, DoorSecurity, Guard, Refusal, require_token};
use crate::pipeline::SamplePush;
use crate::store::Store;

/// Cheap to clone.
#[derive(Clone)]
pub struct RemoteWriteDoor {
    store: Arc<dyn Store>,
    door: Door,
    /// Older samples are refused: their slice is about to be dropped.
    kept: Duration,
}

impl RemoteWriteDoor {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, door: Door, kept: Duration) -> Self {
        Self { store, door, kept }
    }

    /// Where somebody else asks who comes.
    pub fn routes(&self) -> Router {
        Router::new().route("/api/v1/write", post(receive::write)).with_state(self.clone())
    }

    /// On a port that has no login but what guards its door.
    pub fn guarded(&self, security: DoorSecurity) -> Router {
        let answer = |_: &Request, refusal: Refusal| refusal.over_http(format!("{refusal}\n"));
        let guard = Guard { security, door: self.door.clone(), signal: receive::SIGNAL, answer };
        self.routes().layer(from_fn_with_state(guard, require_token))
    }
}

/// For fuzzers: both versions, as far as they go before they are handed over.
pub(crate) fn fuzz(body: &[u8], samples: impl Fn() -> SamplePush) {
    for version in [decode::Version::One, decode::Version::Two] {
        let _ = decode::decode(version, body, samples());
    }
}

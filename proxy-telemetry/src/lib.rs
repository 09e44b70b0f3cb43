//! Says about a proxy's traffic exactly what Istio's Envoy says: metrics, access logs, spans and peer identity.
//!
//! One [`Exchange`] per request is filled while the request passes and handed over once, at its end:
//! counters, histograms, log line and span are written there and nowhere else.
//! Nothing on the request path waits: spans and log lines are offered to bounded queues, and every drop is counted.
//!
//! ```
//! use std::sync::Arc;
//! use http::{HeaderMap, StatusCode};
//! use sidelight_mesh::identity::NodeIdentity;
//! use sidelight_telemetry::{
//!     ClusterInfo, Downstream, Outcome, Protocol, Reporter, RequestHead, Telemetry, TelemetrySettings,
//! };
//!
//! let id = "sidecar~127.1.0.11~productpage-v1-0.bookinfo~bookinfo.svc.cluster.local";
//! let identity = NodeIdentity::from_node(id, "", &serde_json::Map::new())?;
//! let telemetry = Telemetry::new(identity, TelemetrySettings::default());
//!
//! let mut headers = HeaderMap::new();
//! let arrived = headers.clone();
//! let mut exchange = telemetry.start(Reporter::Source, &RequestHead {
//!     method: "GET",
//!     path: "/reviews/0",
//!     authority: "reviews:9080",
//!     scheme: "http",
//!     protocol: Protocol::Http11,
//!     headers: &arrived,
//!     downstream: Downstream::default(),
//!     internal: false,
//! });
//! exchange.set_cluster(Arc::new(ClusterInfo::new("outbound|9080||reviews.bookinfo.svc.cluster.local")));
//! exchange.inject(&mut headers); // to be sent on
//! exchange.upstream_response(StatusCode::OK, &mut HeaderMap::new());
//! exchange.finish(Outcome::Complete); // or `finish_with(body)`
//!
//! assert!(telemetry.render_metrics("").contains("response_code=\"200\""));
//! # Ok::<(), sidelight_mesh::identity::IdentityError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod access_log;
mod body;
pub mod context;
pub mod exchange;
pub mod export;
pub mod exposition;
pub mod flags;
mod labels;
pub mod metrics;
pub mod peer;
mod record;
mod request_id;
mod settings;
pub mod spans;
mod telemetry;
#[cfg(test)]
mod testing;
pub mod tower;

pub use body::{CountedBody, ExchangeBody};
pub use exchange::{Exchange, Outcome};
pub use flags::{ResponseFlag, ResponseFlags};
pub use labels::{ClusterInfo, Reporter, ServiceInfo, TlsIdentity};
pub use peer::Peer;
pub use record::{Downstream, Protocol, RequestHead};
pub use request_id::X_REQUEST_ID;
pub use settings::{TelemetrySettings, TracingSettings};
pub use telemetry::{Telemetry, TelemetryCounters};

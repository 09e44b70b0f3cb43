//! Says about a proxy's traffic exactly what Istio's Envoy says: metrics, access logs, spans and peer identity.
//!
//! One [`Exchange`] per request is filled while the request passes and handed over once, at its end:
//! counters, histograms, log line and span are written there and nowhere else.
//! Nothing on the request path waits: spans and log lines are offered to bounded queues, and every drop is counted.

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

//! The data plane of Sidelight: an HTTP proxy beside a workload or at the edge, configured over xDS v3.
//!
//! [`Bootstrap`] says who the node is and where its control plane is; [`Sidecar::start`] runs it inside the caller's
//! tokio runtime. Configuration is compiled once per update and swapped atomically: a request reads it without a lock
//! and never sees a protobuf.

mod admin;
mod bootstrap;
mod config;
mod listeners;
mod live;
mod options;
mod proxy;
mod readiness;
mod reporting;
mod shared;
mod sidecar;
mod stats;
mod status;
mod upstream;
mod xds;

pub use bootstrap::{Bootstrap, BootstrapError, Node};
pub use options::{AccessLogSink, CONCURRENCY, SidecarOptions};
pub use sidecar::{Addresses, Sidecar, StartError};

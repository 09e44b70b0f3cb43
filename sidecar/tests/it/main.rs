//! Whole sidecars in this process: a control plane of envoy-types' own server, real applications, real sockets.
#![allow(clippy::unwrap_used, deprecated)]

mod admin;
mod gateway;
mod http1;
mod routing;
mod support;
mod telemetry;
mod tunnels;
mod xds;

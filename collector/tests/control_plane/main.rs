//! The control plane as proxies and people see it: over ADS, and over its JSON API.
#![allow(clippy::unwrap_used)]

mod ads;
mod api;
mod mesh;
mod proxy;
mod real_envoy;

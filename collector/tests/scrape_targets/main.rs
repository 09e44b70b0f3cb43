//! Who is scraped: by a configuration, by files, by servers, by Kubernetes; judged by a real Prometheus.
#![allow(clippy::unwrap_used)]

mod api_server;
mod discoveries;
mod kubernetes;
mod one_url;
mod peer;
mod relabelling;
#[path = "../support/mod.rs"]
mod support;

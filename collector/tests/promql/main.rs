//! Our PromQL beside a real Prometheus that holds the same samples.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod differential;
mod expressions;
mod prometheus;
mod samples;

//! Our PromQL beside a real Prometheus that holds the same samples.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod answers;
mod api;
mod described;
mod differential;
mod expressions;
mod memory;
mod peers;
mod prometheus;
mod rules;
mod samples;

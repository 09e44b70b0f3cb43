//! The collector: takes what sidecars tell, keeps it, answers from it, and steers the mesh.
//!
//! Inside, data goes one way: `ingest` → `pipeline` → `store` → `query` → `web`; `control` stands beside it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod causes;
pub mod clock;
pub mod control;
pub mod duration;
pub mod export;
pub mod forward;
#[doc(hidden)]
pub mod fuzzing;
pub mod ingest;
pub mod own_metrics;
pub mod own_requests;
mod percent;
pub mod pipeline;
pub mod query;
pub mod rules;
pub mod settings;
mod start;
pub mod store;
pub mod web;

pub use settings::Settings;
pub use start::{Addresses, Collector, StartError};

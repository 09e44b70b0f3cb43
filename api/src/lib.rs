//! The JSON that the dashboard, the command line and the collector exchange: types only.
//!
//! Times whose names end in `_ms` are Unix milliseconds; durations whose names end in `_s` are seconds.
//! Fields are added, never renamed or re-typed: scripts and older dashboards read these bodies.

pub mod config;
pub mod error;
pub mod graph;
pub mod ingest;
pub mod logs;
pub mod proxy;
pub mod session;
pub mod status;
pub mod timeline;
pub mod trace;

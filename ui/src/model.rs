//! What the pages know, as plain values with tests that run on the host.

pub mod config;
pub mod diff;
pub mod find;
pub mod format;
pub mod view;

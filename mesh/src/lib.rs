//! The mesh's vocabulary, pure and without I/O: it also builds for the browser.

pub mod config;
pub mod finding;
pub mod hosts;
pub mod identity;
pub mod registry;

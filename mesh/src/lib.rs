//! The mesh's vocabulary, pure and without I/O: it also builds for the browser.

pub mod codes;
pub mod config;
pub mod finding;
#[cfg(test)]
mod fixture;
pub mod hosts;
pub mod identity;
pub mod nearest;
pub mod references;
pub mod registry;
pub mod route;
pub mod validate;

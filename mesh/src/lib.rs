//! The mesh's vocabulary, pure and without I/O: it also builds for the browser.

pub mod finding;
pub mod identity;

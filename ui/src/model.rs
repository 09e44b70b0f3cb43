//! What the pages know, as plain values with tests that run on the host.

pub mod find;
pub mod format;
pub mod view;

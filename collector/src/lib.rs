//! The collector: takes what sidecars tell, keeps it, answers from it, and steers the mesh.
//!
//! Inside, data goes one way: `ingest` → `pipeline` → `store` → `query` → `web`; `control` stands beside it.

pub mod clock;
pub mod control;
pub mod query;
pub mod store;
pub mod web;

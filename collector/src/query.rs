//! Answers questions about what the store holds: the service graph, traffic over time, the namespaces.
//!
//! Everything below is pure: rows of the store and a picture of the mesh go in, the JSON types of `api` come out. Fetching is
//! done in `web`.

pub mod graph;
pub mod jaeger;
pub mod latency;
pub mod logs;
pub mod params;
pub mod promql;
pub mod rounding;
pub mod timeline;
pub mod traces;
pub mod window;

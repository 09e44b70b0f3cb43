//! Traces as Jaeger tells them: its model, how our spans become it, and how its questions are read.

pub mod convert;
pub mod duration;
pub mod json;
pub mod model;
pub mod search;
mod shared;
pub mod v3;

pub use shared::apart;
